//! Unregistering: of this node, of others, and of primaries in every state.

use crate::script::{Script, compare};

#[test]
fn unregistration() {
    compare("conformance-unregistration", 3, unregistration_script);
}

const WITNESS: &str = "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file, priority) \
    VALUES (9, 1, 'node9', 'witness', 'host=127.0.0.1 port=1', 'repmgr', '/nine', 0)";

fn dead(id: u32, kind: &str, active: bool) -> String {
    format!(
        "INSERT INTO repmgr.nodes(node_id, node_name, type, conninfo, repluser, config_file, active) \
         VALUES ({id}, 'node{id}', '{kind}', 'host=127.0.0.1 port=1', 'repmgr', '/', {active})"
    )
}

fn unregistration_script(script: &mut Script) {
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    script.standby_of(3, 1, 1);
    script.wait_replayed(1, 2);
    script.wait_replayed(1, 3);
    standbys(script);
    primaries(script);
    two_primaries(script);
}

fn standbys(script: &mut Script) {
    script.runs(
        1,
        &[
            "standby unregister",
            "standby unregister --node-id=1",
            "standby unregister --node-id=7",
        ],
    );
    script.runs(
        2,
        &[
            "standby unregister --node-name=nosuch",
            "standby unregister --node-id=3",
        ],
    );
    script.metadata(1, "standby unregister --node-id");
    script.runs(3, &["standby register", "standby unregister --dry-run"]);
    script
        .differs("unregister-dry-run", "1||t|node1")
        .nodes(1, "standby unregister --dry-run");
    script.runs(3, &["standby register -F"]);
    script.wait_replayed(1, 2);
    script.runs(2, &["standby unregister --node-name=node3"]);
    script
        .differs("unregister-by-name", "1||t|node1")
        .nodes(1, "standby unregister --node-name");
    script.runs(2, &["standby register -F"]);
    script.runs(3, &["standby register -F"]);
    script.sql(1, "DELETE FROM repmgr.events");
    script.wait_replayed(1, 3);
    script.runs(3, &["standby unregister --node-id=3 --node-name=node2"]);
    script.nodes(1, "standby unregister with both");
    script.runs(3, &["standby register"]);
    script.sql(1, "UPDATE repmgr.nodes SET upstream_node_id = 2 WHERE node_id = 3");
    script.runs(2, &["standby unregister"]);
    script.sql(1, "UPDATE repmgr.nodes SET upstream_node_id = 1 WHERE node_id = 3");
    script.cluster.node(3).server.stop("fast");
    script.runs(3, &["standby unregister"]);
    script.runs(1, &["standby unregister --node-id=3"]);
    script.nodes(1, "standby unregister of a node that is down");
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);
    script.wait_replayed(1, 3);
    script.runs(
        3,
        &[
            "standby unregister",
            "standby unregister --node-id=3",
            "standby register",
        ],
    );
    script.sql(1, WITNESS);
    script.runs(1, &["standby unregister --node-id=9"]);
}

fn primaries(script: &mut Script) {
    script.wait_replayed(1, 2);
    script.wait_replayed(1, 3);
    for id in [1, 2] {
        script.runs(
            id,
            &[
                "primary unregister",
                "primary unregister -F",
                "primary unregister --dry-run",
                "primary unregister --node-id=2",
                "primary unregister --node-id=2 -F",
                "primary unregister --node-id=7",
                "primary unregister --node-id=9",
                "primary unregister --node-name=node1",
            ],
        );
    }
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 9");
    script.nodes(1, "refused primary unregister");

    script.sql(1, &dead(7, "primary", true));
    script.sql(1, &dead(8, "primary", false));
    script.sql(1, &dead(6, "standby", false));
    script.wait_replayed(1, 2);
    script.runs(
        2,
        &[
            "primary unregister --node-id=6 -F",
            "primary unregister --node-id=7 --dry-run",
            "primary unregister --node-id=7",
            "primary unregister --node-id=8 --dry-run",
            "primary unregister --node-id=8",
            "primary unregister --node-id=7 --dry-run -F",
            "primary unregister --node-id=7 -F",
        ],
    );
    script.metadata(1, "primary unregister of dead nodes");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 6");

    // Registered as primaries, running as standbys.
    script.sql(
        1,
        "UPDATE repmgr.nodes SET type = 'primary', upstream_node_id = NULL, active = false WHERE node_id = 3",
    );
    script.wait_replayed(1, 2);
    script.runs(
        2,
        &[
            "primary unregister --node-id=3 --dry-run",
            "primary unregister --node-id=3",
            "primary unregister --node-id=3 -F --dry-run",
            "primary unregister --node-id=3 -F",
        ],
    );
    script.metadata(1, "primary unregister of a running standby");
    script.runs(3, &["standby register"]);
}

fn two_primaries(script: &mut Script) {
    script.wait_replayed(1, 3);
    script.sql(3, "SELECT pg_promote()");
    script.cluster.wait_primary(3);
    script.wait_replayed(1, 2);
    script.runs(
        1,
        &[
            "primary unregister --node-id=3",
            "standby unregister --node-id=3 --dry-run",
        ],
    );
    script.nodes(3, "a promotion by hand");
    script.runs(3, &["primary register", "primary register -F", "primary unregister"]);
    script.metadata(3, "primary register with another primary");
    // The other primary has a record that says so.
    script.runs(1, &["standby register -F"]);
    script.cluster.node(1).server.stop("fast");
    script.runs(3, &["primary register", "primary register -F"]);
    script.metadata(3, "primary register without the other");
    script.runs(2, &["primary unregister"]);
    script.runs(3, &["primary unregister --node-id=1"]);
    script
        .differs("unregister-without-recorded-primary", "exit 0")
        .run(2, &["standby", "unregister"]);
    script.sql(3, "DELETE FROM repmgr.nodes WHERE node_id = 2");
    script.sql(3, "DELETE FROM repmgr.events WHERE node_id = 2");
    script.runs(
        3,
        &[
            "primary unregister --node-id=1",
            "primary unregister",
            "primary unregister -F",
        ],
    );
    script.metadata(3, "the last primary");
    script.runs(3, &["primary unregister -F", "cluster show", "primary register"]);
}
