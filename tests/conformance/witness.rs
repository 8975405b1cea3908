//! `witness register|unregister`: what is refused, registering again, moving to another primary.

use crate::script::{Script, compare};
use crate::support::eventually;

#[test]
fn witness() {
    compare("conformance-witness", 3, witness_script);
}

const SHOWS: &[&str] = &[
    "cluster show",
    "cluster show --csv",
    "service status",
    "service status --csv",
    "node status --csv",
    "node check",
];

fn witness_script(script: &mut Script) {
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    let (primary, standby, own) = (
        script.cluster.node(1).server.conninfo(),
        script.cluster.node(2).server.conninfo(),
        script.cluster.node(3).server.conninfo(),
    );
    let register = |script: &mut Script, source: &str, more: &[&str]| {
        script.run(3, &[&["-d", source, "witness", "register"][..], more].concat());
    };
    script.runs(3, &["witness register", "witness register -d repmgr"]);
    register(script, &primary, &[]);
    let third = script.cluster.node(3);
    third.server.initialise("");
    third.server.start();
    third.create_role();
    register(script, &primary, &["--dry-run"]);
    script.query(
        3,
        "extension",
        "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr'",
    );
    register(script, &own, &[]);
    script.sql(3, "DROP EXTENSION IF EXISTS repmgr");
    register(script, &standby, &[]);
    register(script, "host=127.0.0.1 port=1", &[]);
    script.nodes(1, "refused registrations");
    taken_ids_and_names(script, &primary);

    register(script, &primary, &[]);
    look(script, "witness register");
    events(script, 1);
    events(script, 3);
    register(script, &primary, &[]);
    register(script, &primary, &["--dry-run", "-F"]);
    for (what, settings) in [
        ("location and priority", "location='dc 2'\npriority=7\n"),
        ("replication_user", "replication_user=repl\n"),
        ("slots", "use_replication_slots=true\n"),
    ] {
        script.cluster.node(3).write_config(settings);
        register(script, &primary, &["--force"]);
        script.nodes(1, what);
        script.nodes(3, what);
    }
    script.cluster.node(3).write_config("");
    script.sql(1, "UPDATE repmgr.nodes SET slot_name = NULL");
    // The host alone, with user and database of the witness.
    let port = script.cluster.node(1).server.port.to_string();
    script.run(3, &["-h", "127.0.0.1", "-p", &port, "witness", "register", "-F"]);
    look(script, "witness register -h HOST -F");

    moved(script, &standby);
    unregistered(script, &standby);
}

fn taken_ids_and_names(script: &mut Script, primary: &str) {
    let register = ["-d", primary, "witness", "register"];
    let force = ["-d", primary, "witness", "register", "--force"];
    for (what, sql) in [
        (
            "the id of a standby",
            "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
             VALUES (3, 1, 'three', 'standby', 'host=three', '', '')",
        ),
        (
            "the name of a standby",
            "UPDATE repmgr.nodes SET node_id = 8, node_name = 'node3' WHERE node_id = 3",
        ),
    ] {
        script.sql(1, sql);
        script.run(3, &register);
        script.run(3, &force);
        script.nodes(1, what);
        script.sql(3, "DROP EXTENSION IF EXISTS repmgr");
    }
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 8");
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id = 1");
    script.run(3, &register);
    script.sql(1, "UPDATE repmgr.nodes SET active = true WHERE node_id = 1");
    script.sql(3, "DROP EXTENSION IF EXISTS repmgr");
}

fn look(script: &mut Script, after: &str) {
    script.wait_replayed(1, 2);
    script.metadata(1, after);
    script.nodes(3, after);
    for id in [1, 2, 3] {
        script.shows(id, SHOWS);
    }
}

fn events(script: &mut Script, id: u32) {
    script.query(
        id,
        "events",
        "SELECT node_id, event, successful, details FROM repmgr.events ORDER BY event_timestamp",
    );
}

fn moved(script: &mut Script, standby: &str) {
    script.cluster.node(1).server.stop("fast");
    script.cluster.node(2).repmgr_ok(&["standby", "promote"]);
    script.cluster.wait_primary(2);
    script.shows(3, &["cluster show --csv", "node check --upstream"]);
    // What an original's switchover runs on the witness.
    script.run(3, &["witness", "register", "-d", standby, "--force"]);
    for id in [2, 3] {
        script.nodes(id, "the witness has moved");
        script.shows(id, &["cluster show --csv"]);
    }
}

fn unregistered(script: &mut Script, standby: &str) {
    script.runs(
        3,
        &[
            "witness unregister --dry-run",
            "witness unregister --node-id=2",
            "witness unregister --node-id=9",
        ],
    );
    script.runs(2, &["witness unregister", "witness unregister --node-id=3 --dry-run"]);
    script.nodes(2, "refused unregistrations");
    script.runs(2, &["witness unregister --node-id=3"]);
    events(script, 2);
    script.runs(3, &["witness unregister"]);
    script.nodes(3, "witness unregister");
    script.run(3, &["-d", standby, "witness", "register"]);
    script.run(3, &["-d", standby, "witness", "register", "--force"]);
    script.runs(3, &["witness unregister"]);
    script.run(3, &["-d", standby, "witness", "register", "--force"]);
    script.nodes(2, "witness register again");
    script.cluster.node(3).server.stop("fast");
    script.runs(3, &["witness unregister"]);
    script.runs(3, &["witness unregister --force -d host=127.0.0.1 -p 1"]);
    script.run(3, &["witness", "unregister", "--force", "--node-id=3", "-d", standby]);
    script.run(3, &["witness", "unregister", "--force", "--dry-run", "-d", standby]);
    script.shows(2, &["cluster show --csv", "service status --csv"]);
    script.run(3, &["witness", "unregister", "--force", "-d", standby]);
    script.nodes(2, "witness unregister --force");
    events(script, 2);
    eventually("node2 is alone", || {
        (script
            .cluster
            .node(2)
            .server
            .query("SELECT count(*) FROM repmgr.nodes WHERE active")
            == "1")
            .then_some(())
    });
}
