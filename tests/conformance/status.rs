//! `service status|pause|unpause` with daemons that pretend to be there, `node status` in its states.

use crate::script::{Script, compare};

#[test]
fn status() {
    compare("conformance-status", 2, status_script);
}

const SHOWS: &[&str] = &[
    "service status",
    "service status --csv",
    "service status --detail",
    "service status --compact",
    "daemon status --detail --compact",
];

const CLEANLY: &str = "node status --is-shutdown-cleanly";

fn status_script(script: &mut Script) {
    script.shows(1, &[CLEANLY]);
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.standby_of(2, 1, 1);
    script.wait_replayed(1, 2);
    services(script);
    nodes(script);
    shutdown(script);
}

fn services(script: &mut Script) {
    script.runs(1, &["service pause --dry-run", "service pause"]);
    script.shows(1, SHOWS);
    script.runs(2, &["service unpause --dry-run", "daemon unpause"]);
    for id in [1, 2] {
        // Any process will do.
        let pid = script.cluster.node(id).server.pid().expect("a running server");
        script.sql(id, &format!("SELECT repmgr.set_repmgrd_pid({pid}, '/tmp/repmgrd.pid')"));
    }
    let pids: Vec<String> = [1, 2]
        .iter()
        .map(|&id| {
            script
                .cluster
                .node(id)
                .server
                .pid()
                .expect("a running server")
                .to_string()
        })
        .collect();
    script.hide(&pids);
    for (pause, ids) in [("service unpause", [1, 2]), ("service pause", [2, 1])] {
        script.runs(ids[0], &[pause]);
        for id in ids {
            script.sql(2, "SELECT repmgr.set_upstream_last_seen(1)");
            script.shows(id, SHOWS);
        }
    }
    script.sql(1, "SELECT repmgr.set_repmgrd_pid(NULL, NULL)");
    script.shows(1, SHOWS);
    script.query(
        1,
        "the daemon",
        "SELECT repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused(), repmgr.get_repmgrd_pid()",
    );
    script.sql(2, "SELECT repmgr.set_repmgrd_pid(NULL, NULL)");
    script.runs(1, &["service unpause"]);
}

fn nodes(script: &mut Script) {
    let variants: &[&str] = &[
        "node status",
        "node status --csv",
        "primary status",
        "standby status --terse",
        "node status --node-id=2",
        "node status --nosuch",
    ];
    script.wait_replayed(1, 2);
    for id in [1, 2] {
        script.shows(id, variants);
    }
    script.sql(
        1,
        "UPDATE repmgr.nodes SET slot_name = 'repmgr_slot_2' WHERE node_id = 2",
    );
    script.sql(
        1,
        "SELECT pg_create_physical_replication_slot('foo'), pg_create_physical_replication_slot('bar')",
    );
    script.sql(1, "ALTER SYSTEM SET archive_command = '/bin/false \"%p\"'");
    script.sql(1, "SELECT pg_reload_conf()");
    script.wait_replayed(1, 2);
    for id in [1, 2] {
        script.shows(id, &variants[..2]);
    }
    script.sql(
        1,
        "SELECT pg_drop_replication_slot('foo'), pg_drop_replication_slot('bar')",
    );
    script.sql(
        1,
        "UPDATE repmgr.nodes SET type = CASE node_id WHEN 2 THEN 'primary' ELSE 'standby' END",
    );
    script.wait_replayed(1, 2);
    script
        .differs("status-of-a-primary", "exit 25\nNode")
        .show(1, &["node", "status"]);
    script
        .differs("status-of-a-primary", "exit 25\n\"Node")
        .show(1, &["node", "status", "--csv"]);
    script.shows(2, &variants[..2]);
    script.sql(1, "UPDATE repmgr.nodes SET type = 'witness' WHERE node_id = 1");
    script.shows(1, &variants[..2]);
    script.sql(
        1,
        "UPDATE repmgr.nodes SET type = CASE node_id WHEN 1 THEN 'primary' ELSE 'standby' END",
    );
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 2");
    script.wait_replayed(1, 2);
    script.shows(1, &variants[..2]);
    script.shows(2, &variants[..2]);
    script.runs(2, &["standby register"]);
    script.cluster.node(2).server.stop("fast");
    script.shows(1, &variants[..2]);
    script.shows(2, &variants[..2]);
    script.shows(2, &[CLEANLY]);
    script.cluster.node(1).server.stop("fast");
    script.server_settings(1, "archive_mode = on\n");
    script.cluster.node(1).server.start();
    script.sql(1, "SELECT pg_switch_wal()");
    script.shows(1, &["node status", "node status --csv"]);
}

fn shutdown(script: &mut Script) {
    script.shows(1, &[CLEANLY]);
    script.cluster.node(1).server.kill();
    script.shows(1, &[CLEANLY]);
    script.cluster.node(1).server.start();
    script.shows(1, &[CLEANLY]);
    script.cluster.node(1).server.stop("immediate");
    script.shows(1, &[CLEANLY]);
    script.cluster.node(1).server.start();
    script.cluster.node(1).server.stop("fast");
    script.shows(1, &[CLEANLY, "node status --is-shutdown-cleanly --csv"]);
    let control = script.cluster.node(1).server.data.join("global/pg_control");
    std::fs::write(control, "nothing").expect("a broken pg_control");
    script.shows(1, &[CLEANLY]);
}
