//! Registering: again after changes, of nodes that do not run, below others, and what is refused.

use crate::script::{Script, compare};

#[test]
fn registration() {
    compare("conformance-registration", 3, registration_script);
}

fn registration_script(script: &mut Script) {
    primary(script);
    let source = script.cluster.node(1).server.conninfo();
    script.cluster.node(2).clone_from(script.cluster.node(1), &[]);
    inactive_nodes(script, &source);
    running_nodes(script, &source);
    below_others(script);
}

fn primary(script: &mut Script) {
    script.runs(1, &["primary register", "primary register --dry-run"]);
    let first = script.cluster.node(1);
    first.server.initialise("");
    first.server.start();
    script.runs(1, &["primary register"]);
    script.cluster.node(1).create_role();
    script.runs(
        1,
        &["primary register -S postgres --dry-run", "primary register -S postgres"],
    );
    script.metadata(1, "primary register");
    for (what, settings) in [
        ("location and priority", "location='dc 2'\npriority=7\n"),
        ("replication_user", "replication_user=repl\n"),
        ("slots", "use_replication_slots=true\n"),
    ] {
        script.cluster.node(1).write_config(settings);
        script.runs(1, &["primary register", "primary register --force"]);
        script.nodes(1, what);
    }
    script.cluster.node(1).write_config("");
    script
        .differs("register-dry-run", "exit 1")
        .run(1, &["primary", "register", "--dry-run"]);
    script.run(1, &["primary", "register", "--force", "--replication-user=other"]);
    script
        .differs("register-clears-slot-name", "1||t|node1|primary|default|100|")
        .nodes(1, "no slots");
    script.sql(1, "UPDATE repmgr.nodes SET slot_name = NULL");
    script.sql(1, "DELETE FROM repmgr.nodes; INSERT INTO repmgr.nodes(node_id, node_name, type, conninfo, repluser, config_file, active) VALUES (1, 'node1', 'standby', '', '', '', false)");
    script.runs(1, &["primary register", "primary register -F"]);
    script.metadata(1, "register of what was a standby");
    script.sql(1, "INSERT INTO repmgr.nodes(node_id, node_name, type, conninfo, repluser, config_file) VALUES (5, 'node5', 'primary', 'host=127.0.0.1 port=1', '', '')");
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id = 1");
    script.runs(1, &["primary register", "primary register -F"]);
    script.metadata(1, "register with a lost primary");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 5");
}

fn inactive_nodes(script: &mut Script, source: &str) {
    let (host, port) = ("127.0.0.1", script.cluster.node(1).server.port.to_string());
    script.runs(
        2,
        &[
            "standby register --wait-start=0",
            "standby register -F",
            "standby register -F --dry-run",
        ],
    );
    script.run(2, &["-d", source, "standby", "register", "--wait-start=1"]);
    script.run(2, &["-d", source, "standby", "register", "-F", "--dry-run"]);
    script.nodes(1, "standby register -F --dry-run");
    script.run(
        2,
        &[
            "-h", host, "-p", "1", "-U", "repmgr", "-d", "repmgr", "standby", "register", "-F",
        ],
    );
    script.run(
        2,
        &[
            "-h", host, "-p", &port, "-U", "repmgr", "-d", "repmgr", "standby", "register", "-F",
        ],
    );
    script.nodes(1, "standby register -F of a node that is down");
    script.run(2, &["-d", source, "standby", "register", "-F", "--wait-sync=2"]);
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 2");

    let placeholder = ["--upstream-node-id=9", "--upstream-conninfo=host=nine"];
    script.run(3, &[&["-d", source, "standby", "register"][..], &placeholder].concat());
    script.run(
        3,
        &[&["-d", source, "standby", "register", "-F"][..], &placeholder].concat(),
    );
    script.metadata(1, "standby register with a placeholder");
    script.run(3, &["-d", source, "standby", "register", "-F", "--upstream-node-id=9"]);
    script.run(3, &["-d", source, "standby", "register", "-F", "--upstream-node-id=3"]);
    script.nodes(1, "standby register below an inactive node");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 3");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 9");
    script.run(
        3,
        &[
            "-d",
            source,
            "standby",
            "register",
            "-F",
            "--dry-run",
            "--upstream-node-id=9",
        ],
    );
    script
        .differs("placeholder-dry-run", "1||t|node1")
        .nodes(1, "standby register -F --dry-run with a missing upstream");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 9");
}

fn running_nodes(script: &mut Script, source: &str) {
    script.cluster.node(2).server.start();
    script.cluster.wait_streaming(1, 2);
    script.run(2, &["-d", source, "standby", "register", "--dry-run"]);
    script.run(2, &["-d", source, "standby", "register", "--wait-sync"]);
    script.metadata(1, "standby register --wait-sync");
    script.runs(
        2,
        &[
            "standby register",
            "standby register --dry-run",
            "standby register --dry-run -F",
        ],
    );
    for (what, settings) in [
        ("location and priority", "location=elsewhere\npriority=0\n"),
        ("replication_user", "replication_user=repl\n"),
        ("slots", "use_replication_slots=true\n"),
    ] {
        script.cluster.node(2).write_config(settings);
        script.runs(2, &["standby register -F --wait-sync=30"]);
        script.nodes(1, what);
        script.nodes(2, what);
    }
    script.cluster.node(2).write_config("");
    script.sql(1, "UPDATE repmgr.nodes SET slot_name = NULL WHERE node_id = 2");
    script.runs(2, &["standby register -F --wait-sync=30"]);
    script.sql(
        1,
        "UPDATE repmgr.nodes SET node_name = 'node2', node_id = 8 WHERE node_id = 2",
    );
    script.runs(2, &["standby register", "standby register -F"]);
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id = 8");
    script.runs(2, &["standby register --dry-run", "standby register"]);
    script.nodes(1, "standby register with the name of an inactive node");
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 8");
    script.sql(2, "SELECT pg_wal_replay_pause()");
    script.runs(2, &["standby register -F --wait-sync=0"]);
    script.cluster.node(2).write_config("priority=55\n");
    script.runs(2, &["standby register -F --wait-sync=1"]);
    script.sql(2, "SELECT pg_wal_replay_resume()");
    script.cluster.node(2).write_config("");
    script.runs(2, &["standby register -F --wait-sync=30"]);
    script.metadata(1, "standby register with paused replay");
}

fn below_others(script: &mut Script) {
    script.wait_replayed(1, 2);
    let third = script.cluster.node(3);
    third.clone_from(script.cluster.node(1), &["--upstream-node-id=2"]);
    third.server.start();
    script.cluster.wait_streaming(2, 3);
    script.runs(
        3,
        &[
            "standby register --dry-run --upstream-node-id=1",
            "standby register --upstream-node-id=1",
        ],
    );
    script.runs(
        3,
        &[
            "standby register --upstream-node-id=2",
            "standby register -F --upstream-node-id=2",
        ],
    );
    script.metadata(1, "a cascade");
    script.runs(3, &["standby register -F --upstream-node-id=1"]);
    script.nodes(1, "register below a node that it is not attached to");
    script.runs(3, &["standby register -F"]);
    script.metadata(1, "register without upstream");
    script.runs(3, &["standby unregister", "standby register", "standby register -F"]);
    script.metadata(1, "register of a node that is attached elsewhere");
}
