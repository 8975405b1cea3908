//! What the daemons of either program do and record: watching, failing over with a witness and in a cascade, and
//! leaving everything as it is where nobody may be promoted.

use std::collections::BTreeSet;

use crate::script::{Script, compare};
use crate::support::cluster::Node;
use crate::support::{PATIENCE, eventually, within};

/// Told when moments decide: how often, or whether at all.
const A_MATTER_OF_MOMENTS: &[&str] = &["child_node", "repmgrd_reload", "repmgrd_local"];

/// Automatic failover, and a file of the events that were told, with or without a row.
fn configure(node: &Node, more: &str) {
    let text = format!(
        "{}event_notification_command='echo %n %e %s >>{}'\nchild_nodes_check_interval=1\nwitness_sync_interval=1\n\
         log_level=INFO\n{more}",
        node.automatic_failover(),
        told_file(node).display()
    );
    node.write_config(&text);
}

fn told_file(node: &Node) -> std::path::PathBuf {
    node.server.folder.join("told")
}

fn told(node: &Node) -> BTreeSet<String> {
    let text = std::fs::read_to_string(told_file(node)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a node's daemon has told of an event since the last look.
fn wait_told(script: &Script, id: u32, event: &str) {
    let line = format!("{id} {event} 1");
    within(PATIENCE * 2, &format!("node{id} tells of {event}"), || {
        told(script.cluster.node(id)).contains(&line).then_some(())
    });
}

/// Records which events each node was told of, and forgets them.
fn look_told(script: &mut Script, ids: &[u32], after: &str) {
    for &id in ids {
        let node = script.cluster.node(id);
        let lines: Vec<String> = told(node)
            .into_iter()
            .filter(|line| !A_MATTER_OF_MOMENTS.iter().any(|event| line.contains(event)))
            .collect();
        let _ = std::fs::remove_file(told_file(node));
        script.fact(&format!("node{id} is told: {after}"), &lines.join("\n"));
    }
}

/// Records the rows of events and the records of nodes on a primary.
fn look(script: &mut Script, primary: u32, after: &str) {
    let rows = script.cluster.node(primary).server.query(
        "SELECT DISTINCT node_id, event, successful FROM repmgr.events WHERE event NOT LIKE '%register%' ORDER BY 1, 2, 3",
    );
    let rows: Vec<&str> = rows
        .lines()
        .filter(|row| !A_MATTER_OF_MOMENTS.iter().any(|event| row.contains(event)))
        .collect();
    script.fact(&format!("events after {after}"), &rows.join("\n"));
    script.nodes(primary, after);
    script.query(primary, "voting term", "SELECT term FROM repmgr.voting_term");
}

/// Starts all daemons, the primary's first, and waits until each has told so.
fn start_daemons(script: &mut Script, ids: &[u32]) {
    for &id in ids {
        script.cluster.node_mut(id).start_daemon();
        wait_told(script, id, "repmgrd_start");
    }
}

fn watches(script: &Script, id: u32, upstream: u32) {
    let seen = format!(
        "SELECT repmgr.get_upstream_node_id() = {upstream} AND repmgr.get_upstream_last_seen() BETWEEN 0 AND 3"
    );
    within(
        PATIENCE * 2,
        &format!("the daemon of node{id} watches node{upstream}"),
        || (script.cluster.node(id).server.try_query(&seen).as_deref() == Ok("t")).then_some(()),
    );
}

fn wait_answer(script: &Script, id: u32, sql: &str, answer: &str) {
    within(PATIENCE * 2, &format!("node{id} answers {answer} to {sql}"), || {
        (script.cluster.node(id).server.try_query(sql).as_deref() == Ok(answer)).then_some(())
    });
}

fn hide_daemons(script: &mut Script, ids: &[u32]) {
    let pids: Vec<String> = ids
        .iter()
        .map(|&id| script.cluster.node(id).server.query("SELECT repmgr.get_repmgrd_pid()"))
        .collect();
    script.hide(&pids);
}

#[test]
#[ignore = "make conformance"]
fn watching_and_a_witness() {
    compare("conformance-watching", 3, watching);
}

fn watching(script: &mut Script) {
    for node in &script.cluster.nodes {
        configure(node, "monitoring_history=true\n");
    }
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.standby_of(2, 1, 1);
    let third = script.cluster.node(3);
    third.server.initialise("shared_preload_libraries = 'repmgr'");
    third.server.start();
    third.create_role();
    let primary = script.cluster.node(1).server.conninfo();
    third.repmgr_ok(&["-d", &primary, "witness", "register"]);
    script.wait_replayed(1, 2);
    start_daemons(script, &[1, 2, 3]);
    for id in [2, 3] {
        watches(script, id, 1);
    }
    history(script);
    hide_daemons(script, &[1, 2, 3]);
    for id in [1, 2, 3] {
        script.shows(
            id,
            &["service status --csv", "node check --repmgrd", "cluster show --csv"],
        );
    }
    look_told(script, &[1, 2, 3], "the start");
    look(script, 1, "the start");

    script.cluster.node(2).server.stop("fast");
    wait_answer(script, 1, "SELECT active FROM repmgr.nodes WHERE node_id = 2", "f");
    script.nodes(1, "a standby that is down");
    script.shows(1, &["service status --csv", "node check --downstream"]);
    script.cluster.node(2).server.start();
    wait_answer(script, 1, "SELECT active FROM repmgr.nodes WHERE node_id = 2", "t");
    watches(script, 2, 1);
    wait_told(script, 2, "standby_recovery");
    look_told(script, &[2, 3], "a standby that was down");
    script.wait_replayed(1, 2);

    script.cluster.node(1).server.kill();
    script.cluster.wait_primary(2);
    wait_told(script, 2, "repmgrd_failover_promote");
    wait_told(script, 3, "repmgrd_failover_follow");
    watches(script, 3, 2);
    wait_answer(
        script,
        3,
        "SELECT type, active FROM repmgr.nodes WHERE node_id = 2",
        "primary|t",
    );
    // Whether the witness saw the primary go before it was told of the next one is a matter of moments.
    look_told(script, &[2], "a failover with a witness");
    look(script, 2, "a failover with a witness");
    script.nodes(3, "a failover, on the witness");
    script.sql(2, "CHECKPOINT");
    script.shows(2, &["cluster show --csv", "service status --csv"]);
    script.shows(3, &["cluster show --csv"]);
}

fn history(script: &mut Script) {
    script.sql(1, "CREATE TABLE written ()");
    let rows = "SELECT count(*) > 0 FROM repmgr.monitoring_history WHERE last_apply_time IS NOT NULL";
    wait_answer(script, 1, rows, "t");
    script.wait_replayed(1, 2);
    script.query(
        1,
        "the monitoring history",
        "SELECT DISTINCT primary_node_id, standby_node_id, last_monitor_time > now() - interval '5 min', \
         last_wal_primary_location > '0/1', last_wal_standby_location > '0/1', replication_lag >= 0, apply_lag >= 0 \
         FROM repmgr.monitoring_history",
    );
    script.query(
        1,
        "replication_status",
        "SELECT primary_node_id, standby_node_id, standby_name, node_type, active FROM repmgr.replication_status",
    );
}

#[test]
#[ignore = "make conformance"]
fn a_cascade() {
    compare("conformance-cascade", 3, cascade);
}

/// Node 3 below node 2 below the primary, without daemons.
fn three_in_a_line(script: &Script) {
    for node in &script.cluster.nodes {
        configure(node, "");
    }
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    script.standby_of(2, 1, 1);
    script.wait_replayed(1, 2);
    script.standby_of(3, 2, 2);
    script.wait_replayed(1, 3);
}

fn cascade(script: &mut Script) {
    three_in_a_line(script);
    start_daemons(script, &[1, 2, 3]);
    watches(script, 2, 1);
    watches(script, 3, 2);
    hide_daemons(script, &[1, 2, 3]);
    for id in [1, 3] {
        script.shows(id, &["service status --csv", "cluster show --csv"]);
    }
    look_told(script, &[1, 2, 3], "the start");
    script.wait_replayed(1, 3);

    // The end of the line stays where it is when the node above it becomes primary.
    script.cluster.node(1).server.kill();
    script.cluster.wait_primary(2);
    wait_told(script, 2, "repmgrd_failover_promote");
    watches(script, 3, 2);
    script.wait_replayed(2, 3);
    look_told(script, &[2], "a failover above a cascade");
    look(script, 2, "a failover above a cascade");
    script.replication_configuration(3);
}

#[test]
#[ignore = "make conformance"]
fn the_middle_of_a_cascade_is_lost() {
    compare("conformance-middle", 3, middle);
}

fn middle(script: &mut Script) {
    three_in_a_line(script);
    // Whoever watches the lost node itself would record it as inactive at a moment of its own.
    start_daemons(script, &[1, 3]);
    watches(script, 3, 2);
    look_told(script, &[1, 3], "the start");
    script.cluster.node(2).server.kill();
    wait_told(script, 3, "repmgrd_failover_follow");
    script.cluster.wait_streaming(1, 3);
    watches(script, 3, 1);
    script.wait_replayed(1, 3);
    look_told(script, &[3], "the middle is lost");
    look(script, 1, "the middle is lost");
    script.replication_configuration(3);
    script.shows(1, &["cluster show --csv"]);
}

#[test]
#[ignore = "make conformance"]
fn nobody_is_promoted() {
    compare("conformance-nobody", 3, nobody);
}

/// How often a daemon has said that it watches without a primary: neither program does so before it has decided.
fn waits(node: &Node) -> usize {
    let log = node.daemon_log();
    let lines = log.lines();
    lines.filter(|line| line.contains(" in degraded state")).count()
}

fn nobody(script: &mut Script) {
    for node in &script.cluster.nodes {
        configure(node, "");
    }
    script.cluster.primary_up("shared_preload_libraries = 'repmgr'");
    for id in [2, 3] {
        script.standby_of(id, 1, 1);
        script.wait_replayed(1, id);
    }
    for (what, settings, sql, undo) in [
        ("paused", "", "", ""),
        ("failover=manual", "failover=manual\n", "", ""),
        (
            "priority 0",
            "",
            "UPDATE repmgr.nodes SET priority = 0 WHERE node_id > 1",
            "UPDATE repmgr.nodes SET priority = 100",
        ),
        (
            "another location",
            "",
            "UPDATE repmgr.nodes SET location = 'elsewhere' WHERE node_id > 1",
            "UPDATE repmgr.nodes SET location = 'default'",
        ),
    ] {
        for id in [2, 3] {
            configure(script.cluster.node(id), &format!("log_status_interval=1\n{settings}"));
        }
        if !sql.is_empty() {
            script.sql(1, sql);
        }
        for id in [2, 3] {
            script.wait_replayed(1, id);
        }
        start_daemons(script, &[1, 2, 3]);
        for id in [2, 3] {
            watches(script, id, 1);
        }
        if what == "paused" {
            script.runs(1, &["service pause"]);
        }
        look_told(script, &[2, 3], what);
        let waited = [2, 3].map(|id| waits(script.cluster.node(id)));
        script.cluster.node(1).server.kill();
        for id in [2, 3] {
            wait_told(script, id, "repmgrd_upstream_disconnect");
        }
        for (id, before) in [2, 3].into_iter().zip(waited) {
            within(PATIENCE * 2, &format!("the daemon of node{id} waits, {what}"), || {
                (waits(script.cluster.node(id)) >= before + 3).then_some(())
            });
        }
        script.fact(
            &format!("primaries, {what}"),
            &format!("{:?}", script.cluster.primaries()),
        );
        script.cluster.node(1).server.start();
        for id in [2, 3] {
            script.cluster.wait_streaming(1, id);
            watches(script, id, 1);
            wait_told(script, id, "repmgrd_upstream_reconnect");
        }
        look_told(script, &[2, 3], &format!("the primary was lost, {what}"));
        if what == "paused" {
            script.runs(2, &["service unpause"]);
        }
        for id in [3, 2, 1] {
            script.cluster.node_mut(id).stop_daemon();
        }
        look(script, 1, what);
        script.sql(1, "DELETE FROM repmgr.events");
        if !undo.is_empty() {
            script.sql(1, undo);
        }
        for id in [1, 2, 3] {
            let _ = std::fs::remove_file(told_file(script.cluster.node(id)));
        }
    }
    eventually("all stand still", || (script.cluster.primaries() == [1]).then_some(()));
}
