//! The life of a cluster, right and wrong steps, from its first node to the last.

use crate::script::{Script, compare};

#[test]
fn the_life_of_a_cluster() {
    compare("conformance-life", 3, cluster_life);
}

/// Builds a cluster step by step, right and wrong, and takes it apart again.
fn cluster_life(script: &mut Script) {
    let server_settings = "shared_preload_libraries = 'repmgr'";
    let first = script.cluster.node(1);
    first.server.initialise(server_settings);
    first.server.start();
    first.create_role();

    script.run(1, &["standby", "register"]);
    script.run(1, &["primary", "register", "--dry-run"]);
    script.run(1, &["primary", "register"]);
    script.metadata(1, "primary register");
    script.run(1, &["primary", "register"]);
    script.run(1, &["master", "register", "--force"]);
    script.metadata(1, "primary register --force");
    script.show(1, &["cluster", "show", "--csv"]);
    script.show(1, &["cluster", "show"]);
    script.show(1, &["cluster", "event", "--csv", "--event=primary_register"]);

    let source = script.cluster.node(1).server.conninfo();
    for id in [2, 3] {
        script.run(
            id,
            &["-d", &source, "standby", "clone", "--dry-run", "--fast-checkpoint"],
        );
        script.run(id, &["-d", &source, "standby", "clone", "--fast-checkpoint"]);
        script.replication_configuration(id);
        script.cluster.node(id).server.configure("");
        script.run(id, &["-d", &source, "standby", "clone", "--fast-checkpoint"]);
        script.run(id, &["standby", "register", "--wait-start=1"]);
        script.cluster.node(id).server.start();
        script.cluster.wait_streaming(1, id);
        script.run(id, &["standby", "register", "--dry-run"]);
        script.run(id, &["standby", "register", "--wait-sync=30"]);
        script.run(id, &["standby", "register"]);
        script.run(id, &["standby", "register", "--force"]);
        script.metadata(1, "standby register");
    }
    script.run(2, &["primary", "register"]);
    script.run(1, &["standby", "promote"]);
    script.run(1, &["standby", "follow"]);

    for id in [1, 2] {
        script.show(id, &["cluster", "show"]);
        script.show(id, &["cluster", "show", "--compact"]);
        script.show(id, &["cluster", "show", "--csv"]);
        script.show(id, &["service", "status"]);
        script.show(id, &["service", "status", "--csv"]);
        script.show(id, &["service", "status", "--detail"]);
        script.show(id, &["service", "status", "--compact"]);
    }
    script.run(1, &["service", "pause", "--dry-run"]);
    script.run(1, &["service", "pause"]);
    script.show(1, &["service", "status", "--csv"]);
    script.run(2, &["daemon", "unpause"]);
    script.show(1, &["service", "status", "--csv"]);
    script.run(1, &["cluster", "cleanup"]);
    script.run(1, &["cluster", "cleanup", "--keep-history=1"]);
    script.show(1, &["cluster", "event", "--csv", "--event=no_such_event"]);

    script.run(3, &["standby", "follow", "--dry-run"]);
    script.run(3, &["standby", "follow"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=2"]);
    script.cluster.wait_streaming(2, 3);
    script.metadata(1, "standby follow node2");
    script.replication_configuration(3);
    script.show(1, &["cluster", "show"]);
    script.run(2, &["standby", "unregister"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=1"]);
    script.cluster.wait_streaming(1, 3);
    script.run(3, &["standby", "follow", "--upstream-node-id=3"]);
    script.run(3, &["standby", "follow", "--upstream-node-id=7"]);

    script.run(2, &["standby", "promote"]);
    script.cluster.node(1).server.stop("fast");
    script.show(2, &["cluster", "show"]);
    script.show(2, &["cluster", "show", "--csv"]);
    script.show(2, &["service", "status"]);
    script.show(2, &["service", "status", "--csv"]);
    script.run(1, &["cluster", "show"]);
    script.run(2, &["standby", "promote", "--dry-run"]);
    script.run(2, &["standby", "promote"]);
    script.metadata(2, "standby promote");
    script.run(3, &["standby", "follow"]);
    script.cluster.wait_streaming(2, 3);
    script.metadata(2, "standby follow");
    script.show(2, &["cluster", "show", "--csv"]);
    script.run(2, &["primary", "unregister"]);
    script.run(2, &["primary", "unregister", "--node-id=1", "--dry-run"]);
    script.run(2, &["primary", "unregister", "--node-id=1"]);
    script.run(3, &["standby", "unregister", "--node-id=2"]);
    script.run(3, &["standby", "unregister"]);
    script.metadata(2, "unregister");
    script.show(2, &["cluster", "event", "--csv"]);
}
