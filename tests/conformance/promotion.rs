//! Promotion with siblings, follow in a cascade and without a primary.

use crate::script::{Script, compare};

#[test]
fn promotion() {
    compare("conformance-promotion", 4, promotion_script);
}

fn promotion_script(script: &mut Script) {
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    script.wait_replayed(1, 2);
    script.standby_of(3, 1, 1);
    script.wait_replayed(1, 2);
    script.standby_of(4, 2, 2);
    script.metadata(1, "a cascade");
    script.shows(1, &["cluster show", "cluster show --csv"]);
    refused(script);
    in_a_cascade(script);
    without_primary(script);
    promoted(script);
}

fn refused(script: &mut Script) {
    script.runs(
        2,
        &[
            "standby promote",
            "standby promote --dry-run",
            "standby promote -F",
            "standby promote --siblings-follow",
        ],
    );
    script.runs(1, &["standby promote", "standby follow", "standby promote --dry-run"]);
    script.runs(
        3,
        &[
            "standby follow --upstream-node-id=3",
            "standby follow --upstream-node-id=9",
            "standby follow --upstream-node-id=1 --dry-run",
            "standby follow --upstream-node-id=2 --dry-run",
            "standby follow --upstream-node-id=4 --dry-run",
        ],
    );
    script.nodes(1, "what was refused");
}

fn in_a_cascade(script: &mut Script) {
    for id in [2, 4] {
        script.wait_replayed(1, id);
    }
    script
        .cluster
        .node(4)
        .write_config("standby_follow_restart=true\nrecovery_min_apply_delay=0\n");
    script.runs(4, &["standby follow --wait --upstream-node-id=3"]);
    script.cluster.wait_streaming(3, 4);
    script.replication_configuration(4);
    script.nodes(1, "follow with a restart");
    script.cluster.node(4).write_config("");
    script.runs(4, &["standby follow -w --recovery-min-apply-delay=1s"]);
    script.cluster.wait_streaming(1, 4);
    script.replication_configuration(4);
    script.metadata(1, "follow of the primary");
    script.cluster.node(4).server.stop("fast");
    script.runs(4, &["standby follow", "standby promote"]);
    script.cluster.node(4).server.start();
    script.cluster.wait_streaming(1, 4);
}

fn without_primary(script: &mut Script) {
    for id in [2, 3, 4] {
        script.wait_replayed(1, id);
    }
    script.cluster.node(1).server.stop("fast");
    script.cluster.node(3).write_config("primary_follow_timeout=2\n");
    script.runs(
        3,
        &[
            "standby follow",
            "standby follow --wait",
            "standby follow --upstream-node-id=1",
        ],
    );
    script.runs(
        3,
        &[
            "standby unregister",
            "standby register -F",
            "primary unregister --node-id=1",
            "cluster cleanup",
        ],
    );
    script.shows(
        3,
        &[
            "cluster show",
            "cluster show --csv",
            "service status --csv",
            "node status",
        ],
    );
    script.run(3, &["service", "pause"]);
    script.run(3, &["service", "unpause", "--dry-run"]);
}

fn promoted(script: &mut Script) {
    script
        .differs("sibling-on-this-host", "exit 0")
        .run(2, &["standby", "promote", "--dry-run", "--siblings-follow"]);
    script.runs(2, &["standby promote --dry-run"]);
    script
        .cluster
        .node(2)
        .write_config("service_promote_command='/bin/false'\n");
    script.runs(2, &["standby promote --dry-run", "standby promote"]);
    script
        .cluster
        .node(2)
        .write_config("service_promote_command='/bin/true'\npromote_check_timeout=1\n");
    script.runs(2, &["standby promote"]);
    let pg_ctl = script.cluster.node(2).server.stage.bindir.join("pg_ctl");
    let command = format!(
        "{} -D {} promote",
        pg_ctl.display(),
        script.cluster.node(2).server.data.display()
    );
    script
        .cluster
        .node(2)
        .write_config(&format!("service_promote_command='{command}'\n"));
    script.runs(2, &["standby promote"]);
    script.metadata(2, "standby promote");
    script.cluster.node(2).write_config("");
    script.sql(2, "CHECKPOINT");
    script.shows(2, &["cluster show", "cluster show --csv"]);
    script.runs(2, &["standby promote", "standby promote -F"]);
    script.runs(3, &["standby promote", "standby follow"]);
    script.runs(4, &["standby follow --upstream-node-id=3"]);
    script.cluster.wait_streaming(3, 4);
    script.metadata(2, "siblings follow");
    script.replication_configuration(4);
    // The old primary comes back as if nothing had happened.
    script.cluster.node(1).server.start();
    for id in [3, 4] {
        script.wait_replayed(2, id);
    }
    script.shows(2, &["cluster show", "cluster show --csv"]);
    script.shows(1, &["cluster show --csv"]);
    script.runs(1, &["primary register", "standby follow", "standby promote"]);
    script.runs(2, &["primary unregister --node-id=1"]);
    script.runs(2, &["primary unregister --node-id=1 -F"]);
    script.metadata(2, "the end");
}
