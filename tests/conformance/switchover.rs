//! `standby switchover` on hosts of their own: rehearsed, refused, there and back, with siblings, slots and daemons.

use crate::script::{Script, compare_on_hosts};
use crate::support::{eventually, user};

#[test]
#[ignore = "make conformance"]
fn switchover() {
    compare_on_hosts("conformance-switchover", 3, switchover_script);
}

const SERVER: &str = "shared_preload_libraries = 'repmgr'";

/// Quick where the original would wait long.
const SETTINGS: &str = "use_replication_slots=true\nshutdown_check_timeout=20\nnode_rejoin_timeout=20\n\
    standby_reconnect_timeout=20\nssh_options='-q -o ConnectTimeout=2'\n";

fn switchover_script(script: &mut Script) {
    script.hosts().bring_up(SERVER, SETTINGS);
    all_know(script, 1);
    refused(script);
    conditions(script);
    there_and_back(script);
    a_promotion_that_fails(script);
}

/// Waits until all standbys have what the primary has written.
fn all_know(script: &Script, primary: u32) {
    for id in [1, 2, 3] {
        if id != primary {
            script.wait_replayed(primary, id);
        }
    }
}

fn rehearse(script: &mut Script, what: &str) {
    script.fact(what, "");
    script.runs(2, &["standby switchover --dry-run"]);
}

fn refused(script: &mut Script) {
    script.runs(1, &["standby switchover", "standby switchover --dry-run"]);
    script.runs(
        2,
        &[
            "standby switchover --dry-run",
            "standby switchover --dry-run --siblings-follow",
            "standby switchover --dry-run --force-rewind",
            "standby switchover --dry-run --force-rewind=/nosuch/pg_rewind",
            "standby switchover --dry-run --siblings-follow -F --always-promote",
            "standby switchover --dry-run --repmgrd-no-pause",
            "standby switchover --dry-run -S postgres",
            "standby switchover --dry-run -S nosuch",
            "standby switchover --dry-run -R nosuch",
            "standby switchover --dry-run --remote-node-id=1 --csv",
        ],
    );
    script.nodes(1, "rehearsals");
    script.slots(1, "rehearsals");
    script.slots(2, "rehearsals");
}

/// What stands in the way, one after the other.
fn conditions(script: &mut Script) {
    script.hosts().stop_sshd(3);
    script.runs(
        2,
        &[
            "standby switchover --dry-run",
            "standby switchover --dry-run --siblings-follow",
            "standby switchover --siblings-follow",
            "standby switchover --dry-run --siblings-follow -F",
        ],
    );
    script.hosts().start_sshd(3);
    script.hosts().stop_sshd(1);
    rehearse(script, "no sshd on the primary's host");
    script.runs(2, &["standby switchover", "standby switchover -F"]);
    script.hosts().start_sshd(1);

    script.sql(
        1,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
    );
    let status = script.cluster.node(1).server.data.join("pg_wal/archive_status");
    script.cluster.node(1).server.stop("fast");
    script.runs(2, &["standby switchover --dry-run", "standby switchover"]);
    script.server_settings(1, "archive_mode = on\narchive_command = '/bin/false'\n");
    script.cluster.node(1).server.start();
    for id in [2, 3] {
        script.cluster.wait_streaming(1, id);
    }
    for name in ["a", "b", "c"] {
        user::write(&status.join(format!("{name}.ready")), "");
    }
    for settings in [
        "archive_ready_warning=3\narchive_ready_critical=4\n",
        "archive_ready_warning=1\narchive_ready_critical=2\n",
    ] {
        script.cluster.node(1).write_config(&format!("{SETTINGS}{settings}"));
        script.cluster.node(2).write_config(&format!("{SETTINGS}{settings}"));
        rehearse(script, settings);
        script.runs(2, &["standby switchover --dry-run -F"]);
    }
    for name in ["a", "b", "c"] {
        std::fs::remove_file(status.join(format!("{name}.ready"))).expect("the file that was written");
    }
    for id in [1, 2] {
        script.cluster.node(id).write_config(SETTINGS);
    }
    script.cluster.node(1).server.stop("fast");
    script.server_settings(1, "archive_mode = off\n");
    script.cluster.node(1).server.start();
    for id in [2, 3] {
        script.cluster.wait_streaming(1, id);
    }
    for (what, sql, undo) in [
        (
            "another upstream",
            "UPDATE repmgr.nodes SET upstream_node_id = 3 WHERE node_id = 2",
            "UPDATE repmgr.nodes SET upstream_node_id = 1 WHERE node_id = 2",
        ),
        (
            "inactive",
            "UPDATE repmgr.nodes SET active = false WHERE node_id = 2",
            "UPDATE repmgr.nodes SET active = true WHERE node_id = 2",
        ),
        (
            "the primary's record says standby",
            "UPDATE repmgr.nodes SET type = 'standby' WHERE node_id = 1",
            "UPDATE repmgr.nodes SET type = 'primary' WHERE node_id = 1",
        ),
        (
            "the primary's configuration file is another",
            "UPDATE repmgr.nodes SET config_file = '/nosuch.conf' WHERE node_id = 1",
            "UPDATE repmgr.nodes SET config_file = replace(c.config_file, 'node2', 'node1') \
             FROM repmgr.nodes c WHERE nodes.node_id = 1 AND c.node_id = 2",
        ),
        (
            "an unreachable standby",
            "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
             VALUES (9, 1, 'node9', 'standby', 'host=127.0.0.1 port=1', 'repmgr', '/nosuch.conf')",
            "DELETE FROM repmgr.nodes WHERE node_id = 9",
        ),
    ] {
        script.sql(1, sql);
        all_know(script, 1);
        rehearse(script, what);
        script.sql(1, undo);
        all_know(script, 1);
    }
    script.nodes(1, "what was refused");
    script.query(
        1,
        "events of refused switchovers",
        "SELECT DISTINCT node_id, event, successful FROM repmgr.events WHERE event LIKE '%switchover%' ORDER BY 1",
    );
}

fn look(script: &mut Script, primary: u32, others: [u32; 2], after: &str) {
    all_know(script, primary);
    script.nodes(primary, after);
    script.query(
        primary,
        &format!("events after {after}"),
        "SELECT node_id, event, successful FROM repmgr.events \
         WHERE event NOT LIKE '%register%' AND event NOT LIKE '%clone%' ORDER BY 1, 2, 3",
    );
    for id in [1, 2, 3] {
        script.slots(id, after);
        script.shows(id, &["cluster show --csv"]);
    }
    for id in others {
        script.replication_configuration(id);
        script.query(
            id,
            "the upstream",
            "SELECT substring(conninfo from 'host=([^ ]*)') FROM pg_stat_wal_receiver",
        );
    }
    script.sql(primary, "DELETE FROM repmgr.events");
}

fn there_and_back(script: &mut Script) {
    script.sql(1, "DELETE FROM repmgr.events");
    all_know(script, 1);
    script.runs(2, &["standby switchover --siblings-follow"]);
    for id in [1, 3] {
        script.cluster.wait_streaming(2, id);
    }
    look(script, 2, [1, 3], "switchover --siblings-follow");
    // The sibling stays where it is.
    script.runs(3, &["standby switchover"]);
    script.cluster.wait_streaming(3, 2);
    script.cluster.wait_streaming(2, 1);
    look(script, 3, [1, 2], "switchover without siblings");
    script.runs(
        1,
        &["standby switchover --dry-run", "standby follow --upstream-node-id=3"],
    );
    script.cluster.wait_streaming(3, 1);
    all_know(script, 3);
    script.runs(1, &["standby switchover --siblings-follow --always-promote -F"]);
    for id in [2, 3] {
        script.cluster.wait_streaming(1, id);
    }
    look(script, 1, [2, 3], "switchover --always-promote -F");
}

fn a_promotion_that_fails(script: &mut Script) {
    script.cluster.node(2).write_config(&format!(
        "{SETTINGS}service_promote_command='/bin/false'\npromote_check_timeout=2\n"
    ));
    script.runs(2, &["standby switchover --dry-run", "standby switchover"]);
    let runs = script.cluster.node(1).server.is_primary().to_string();
    script
        .differs("switchover-goes-back", "true")
        .fact("the old primary runs", &runs);
    script.query(
        2,
        "events",
        "SELECT node_id, event, successful FROM repmgr.events WHERE event LIKE '%switchover%' ORDER BY 1, 2, 3",
    );
}

#[test]
#[ignore = "make conformance"]
fn switchover_with_daemons() {
    compare_on_hosts("conformance-switchover-daemons", 3, with_daemons);
}

const DAEMONS: &str = "SELECT repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused(), repmgr.get_upstream_node_id()";

fn with_daemons(script: &mut Script) {
    for node in &script.cluster.nodes {
        let text = format!("{SETTINGS}{}", node.automatic_failover());
        node.write_config(&text.replace("reconnect_attempts=3", "reconnect_attempts=30"));
    }
    script.cluster.primary_up(SERVER);
    for id in [2, 3] {
        script.cluster.standby_up(id);
        script.wait_replayed(1, id);
    }
    for id in [1, 2, 3] {
        script.cluster.node_mut(id).start_daemon();
    }
    watches(script, 1, &[2, 3]);
    all_know(script, 1);
    script.runs(
        2,
        &[
            "standby switchover --dry-run",
            "standby switchover --siblings-follow --repmgrd-force-unpause",
        ],
    );
    watches(script, 2, &[1, 3]);
    for id in [1, 2, 3] {
        script.query(id, "the daemon after a switchover", DAEMONS);
    }
    script.query(
        2,
        "events",
        "SELECT DISTINCT node_id, event, successful FROM repmgr.events \
         WHERE event LIKE '%switchover%' OR event LIKE '%promote%' OR event LIKE '%follow' OR event LIKE '%rejoin' ORDER BY 1, 2",
    );
    all_know(script, 2);
    script.runs(1, &["service pause"]);
    script.runs(1, &["standby switchover --siblings-follow --repmgrd-no-pause"]);
    watches(script, 1, &[2, 3]);
    for id in [1, 2, 3] {
        script.query(id, "the daemon after a switchover that leaves it alone", DAEMONS);
    }
    script.nodes(1, "there and back");
}

/// Waits until the daemons of the others watch the primary.
fn watches(script: &Script, primary: u32, others: &[u32]) {
    for &id in others {
        let seen = format!(
            "SELECT repmgr.get_upstream_node_id() = {primary} AND repmgr.get_upstream_last_seen() BETWEEN 0 AND 3"
        );
        eventually(&format!("the daemon of node{id} watches node{primary}"), || {
            (script.cluster.node(id).server.try_query(&seen).as_deref() == Ok("t")).then_some(())
        });
    }
}
