//! `cluster show` and `service status` of clusters where something is wrong.

use crate::script::{Script, compare};
use crate::support::eventually;

#[test]
fn broken_clusters() {
    compare("conformance-broken", 3, broken);
}

const SHOWS: &[&str] = &[
    "cluster show",
    "cluster show --csv",
    "cluster show --compact --terse",
    "service status",
    "service status --csv",
];

fn look(script: &mut Script, what: &str, ids: &[u32]) {
    script.fact(what, "");
    for &id in ids {
        if id != 1 && script.cluster.node(1).server.is_running() {
            script.wait_replayed(1, id);
        }
        script.shows(id, SHOWS);
    }
}

fn broken(script: &mut Script) {
    script.cluster.primary_up("");
    script.standby_of(2, 1, 1);
    script.standby_of(3, 1, 1);
    records_and_servers(script);
    witnesses(script);
    detached(script);
    two_primaries(script);
}

fn records_and_servers(script: &mut Script) {
    for (what, sql, undo) in [
        (
            "inactive",
            "UPDATE repmgr.nodes SET active = false",
            "UPDATE repmgr.nodes SET active = true",
        ),
        (
            "wrong upstream",
            "UPDATE repmgr.nodes SET upstream_node_id = 2 WHERE node_id = 3",
            "UPDATE repmgr.nodes SET upstream_node_id = 1 WHERE node_id = 3",
        ),
        (
            "no upstream",
            "UPDATE repmgr.nodes SET upstream_node_id = NULL WHERE node_id = 3",
            "UPDATE repmgr.nodes SET upstream_node_id = 1 WHERE node_id = 3",
        ),
        (
            "types exchanged",
            "UPDATE repmgr.nodes SET type = CASE node_id WHEN 2 THEN 'primary' ELSE 'standby' END",
            "UPDATE repmgr.nodes SET type = CASE node_id WHEN 1 THEN 'primary' ELSE 'standby' END",
        ),
        (
            "unreachable nodes",
            "INSERT INTO repmgr.nodes(node_id, node_name, type, conninfo, repluser, config_file, active) VALUES \
             (7, 'node7', 'primary', 'host=127.0.0.1 port=1', '', '', true), \
             (8, 'node8', 'primary', 'host=127.0.0.1 port=1', '', '', false), \
             (9, 'node9', 'standby', 'host=127.0.0.1 port=1', '', '', true), \
             (10, 'node10', 'standby', 'host=127.0.0.1 port=1', '', '', false), \
             (11, 'node11', 'witness', 'host=127.0.0.1 port=1', '', '', true), \
             (12, 'node12', 'witness', 'host=127.0.0.1 port=1', '', '', false)",
            "DELETE FROM repmgr.nodes WHERE node_id > 3",
        ),
    ] {
        script.sql(1, sql);
        look(script, what, &[1, 2]);
        script.sql(1, undo);
    }
    // A server that rejects connections: registered with a database that is not there.
    script.sql(
        1,
        "UPDATE repmgr.nodes SET conninfo = replace(conninfo, 'dbname=repmgr', 'dbname=nosuch') WHERE node_id > 1",
    );
    look(script, "rejected", &[1]);
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id > 1");
    look(script, "rejected and inactive", &[1]);
    script.sql(
        1,
        "UPDATE repmgr.nodes SET active = true, conninfo = replace(conninfo, 'nosuch', 'repmgr')",
    );
}

fn witnesses(script: &mut Script) {
    let conninfo = script.cluster.node(1).server.conninfo();
    for (what, upstream, active) in [
        ("a witness", "1", true),
        ("a witness without upstream", "NULL", true),
        ("an inactive witness", "2", false),
    ] {
        script.sql(
            1,
            &format!(
                "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file, priority, active) \
                 VALUES (4, {upstream}, 'node4', 'witness', '{conninfo}', '', '', 0, {active})"
            ),
        );
        look(script, what, &[1, 2]);
        script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 4");
    }
}

fn detached(script: &mut Script) {
    script.cluster.node(3).server.stop("fast");
    look(script, "a standby that is down", &[1, 2]);
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);
    script.wait_replayed(1, 3);
    script.sql(3, "ALTER SYSTEM SET primary_conninfo = ''");
    script.sql(3, "SELECT pg_reload_conf()");
    eventually("node3 is detached", || {
        let attached = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'node3'";
        (script.cluster.node(1).server.query(attached) == "0").then_some(())
    });
    look(script, "a detached standby", &[1, 2]);
    script.runs(3, &["cluster show --csv", "standby follow"]);
    script.cluster.wait_streaming(1, 3);
    script.wait_replayed(1, 2);
    script.sql(2, "SELECT pg_wal_replay_pause()");
    script.sql(1, "CREATE TABLE public.something()");
    eventually("node2 has received", || {
        let behind = "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
        (script.cluster.node(2).server.query(behind) == "t").then_some(())
    });
    script.shows(1, SHOWS);
    script.sql(2, "SELECT pg_wal_replay_resume()");
}

fn two_primaries(script: &mut Script) {
    script.wait_replayed(1, 2);
    script.wait_replayed(1, 3);
    script.sql(3, "SELECT pg_promote()");
    script.cluster.wait_primary(3);
    script.sql(3, "CHECKPOINT");
    look(script, "a promotion by hand", &[1, 2]);
    script.shows(3, SHOWS);
    script.sql(
        3,
        "UPDATE repmgr.nodes SET type = 'primary', upstream_node_id = NULL WHERE node_id = 3",
    );
    script.shows(3, SHOWS);
    look(script, "two primaries", &[1, 2]);
    script.cluster.node(1).server.stop("fast");
    script.shows(2, SHOWS);
    script.shows(3, SHOWS);
    script.sql(3, "UPDATE repmgr.nodes SET active = false WHERE node_id = 1");
    script.shows(3, SHOWS);
    script.sql(3, "DELETE FROM repmgr.nodes");
    script.shows(3, SHOWS);
    script.shows(1, &["cluster show", "service status", "service pause"]);
}
