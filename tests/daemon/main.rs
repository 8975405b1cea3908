//! `repmgrd` on real servers: its process, and what it does when servers come and go.

#[path = "../support/mod.rs"]
mod support;

mod process;

use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::cluster::Cluster;
use support::flavor::Flavor;
use support::{eventually, stage, user, within};

fn daemon(cluster: &Cluster, id: u32, arguments: &[&str]) -> Output {
    cluster
        .node(id)
        .program("repmgrd")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("repmgrd")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The events of a daemon in the order of the table.
fn events(cluster: &Cluster, on: u32, node: u32) -> Vec<String> {
    let sql = format!(
        "SELECT event FROM repmgr.events WHERE node_id = {node} AND event LIKE 'repmgrd%' ORDER BY event_timestamp"
    );
    let rows = cluster.node(on).server.query(&sql);
    rows.lines().map(str::to_owned).collect()
}

/// Whom a standby receives WAL from, as the standby itself says.
fn sender_port(cluster: &Cluster, id: u32) -> Option<u16> {
    let sql = "SELECT sender_port FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    cluster.node(id).server.try_query(sql).ok()?.parse().ok()
}

fn follows(cluster: &Cluster, standby: u32, upstream: u32) {
    let port = cluster.node(upstream).server.port;
    eventually(&format!("node{standby} receives from node{upstream}"), || {
        (sender_port(cluster, standby) == Some(port)).then_some(())
    });
}

/// A primary and standbys with quick automatic failover and a running daemon each.
fn watched(name: &str, count: u32, more: &str) -> Cluster {
    let mut cluster = Cluster::new(name, count);
    cluster.automatic_up(more);
    for id in 1..=count {
        cluster.node_mut(id).start_daemon();
    }
    for id in 1..=count {
        started(&cluster, id);
    }
    cluster
}

/// Waits until a daemon has begun to watch.
fn started(cluster: &Cluster, id: u32) {
    eventually(&format!("the daemon of node{id} watches"), || {
        events(cluster, 1, id)
            .contains(&"repmgrd_start".to_owned())
            .then_some(())
    });
}

fn no_surprises(cluster: &Cluster, id: u32, expected: &[&str]) {
    for line in cluster.node(id).daemon_log().lines() {
        let bad = line.contains("[WARNING]") || line.contains("[ERROR]");
        assert!(
            !bad || expected.iter().any(|text| line.contains(text)),
            "node{id} logged: {line}\n{}",
            cluster.node(id).daemon_log()
        );
    }
}

#[test]
fn the_loss_of_the_primary_is_survived() {
    let cluster = watched("daemon-failover", 3, "");
    let term = cluster.node(1).server.query("SELECT term FROM repmgr.voting_term");
    let kept = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'repmgr'";
    eventually("one connection of its own daemon", || {
        (cluster.node(2).server.query(kept) == "1").then_some(())
    });
    eventually("one of each daemon", || {
        (cluster.node(1).server.query(kept) == "3").then_some(())
    });

    cluster.node(1).server.kill();
    cluster.wait_primary(2);
    follows(&cluster, 3, 2);
    assert_eq!(cluster.primaries(), [2]);
    let record = "SELECT type, active, upstream_node_id FROM repmgr.nodes ORDER BY node_id";
    eventually("the records say who is who", || {
        (cluster.node(2).server.query(record) == "primary|f|\nprimary|t|\nstandby|t|2").then_some(())
    });
    let next = (term.parse::<i32>().unwrap() + 1).to_string();
    eventually("the term is one higher", || {
        (cluster.node(2).server.query("SELECT term FROM repmgr.voting_term") == next).then_some(())
    });
    eventually("the promotion is recorded", || {
        let told = events(&cluster, 2, 2);
        (told == ["repmgrd_start", "repmgrd_failover_promote", "repmgrd_reload"]).then_some(())
    });
    eventually("the follow is recorded", || {
        events(&cluster, 2, 3)
            .contains(&"repmgrd_failover_follow".to_owned())
            .then_some(())
    });
    // The new primary's rows reach the standby.
    cluster
        .node(2)
        .server
        .query("CREATE TABLE after_failover AS SELECT 1 AS one");
    eventually("the standby replays what the new primary writes", || {
        (cluster
            .node(3)
            .server
            .try_query("SELECT one FROM after_failover")
            .ok()?
            == "1")
            .then_some(())
    });
    assert!(
        cluster.node(2).daemon_log().contains("rule \"election-won\""),
        "{}",
        cluster.node(2).daemon_log()
    );
    let expected = ["does not answer", "is not attached to node"];
    no_surprises(&cluster, 3, &expected);
}

#[test]
fn a_primary_that_comes_back_in_time_stays_the_primary() {
    let cluster = watched("daemon-back", 2, "reconnect_attempts=10\nreconnect_interval=1\n");
    cluster.node(1).server.stop("immediate");
    eventually("the loss is noticed", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("rule \"upstream-lost\"")
            .then_some(())
    });
    cluster.node(1).server.start();
    eventually("the return is recorded", || {
        let rows = cluster
            .node(1)
            .server
            .try_query("SELECT 1 FROM repmgr.events WHERE event = 'repmgrd_upstream_reconnect' AND node_id = 2");
        (rows.ok()? == "1").then_some(())
    });
    follows(&cluster, 2, 1);
    assert_eq!(cluster.primaries(), [1]);
    assert!(!cluster.node(2).daemon_log().contains("running promote_command"));
}

#[test]
fn a_paused_or_manual_daemon_does_not_promote() {
    let cluster = watched("daemon-paused", 2, "");
    cluster.node(2).server.query("SELECT repmgr.repmgrd_pause(true)");
    cluster.node(1).server.stop("immediate");
    eventually("it stays aside because it is paused", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("rule \"failover-paused\"")
            .then_some(())
    });
    cluster.node(1).server.start();
    eventually("it watches again", || {
        let log = cluster.node(2).daemon_log();
        let paused = log.rfind("failover-paused")?;
        log[paused..].contains("rule \"upstream-back\"").then_some(())
    });
    cluster.node(2).server.query("SELECT repmgr.repmgrd_pause(false)");

    let manual = cluster
        .node(2)
        .automatic_failover()
        .replace("failover=automatic", "failover=manual");
    cluster.node(2).write_config(&manual);
    cluster.node(2).signal_daemon(Signal::SIGHUP);
    eventually("the new configuration counts", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("\"failover\" is now \"manual\"")
            .then_some(())
    });
    cluster.node(1).server.stop("immediate");
    eventually("it stays aside because it is manual", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("failover is set to manual on this node")
            .then_some(())
    });
    assert!(cluster.primaries().is_empty());
    assert!(!cluster.node(2).daemon_log().contains("running promote_command"));
}

#[test]
fn w14_an_event_command_that_hangs_does_not_stop_the_failover() {
    // Only for the daemon's events: `repmgr` itself waits for its commands.
    let events = "repmgrd_start,repmgrd_upstream_disconnect,repmgrd_failover_promote";
    let hanging = format!("event_notification_command='sleep 70'\nevent_notifications='{events}'\n");
    let cluster = watched("daemon-hook", 2, &hanging);
    cluster.node(1).server.kill();
    within(Duration::from_secs(45), "node2 is primary", || {
        cluster.node(2).server.is_primary().then_some(())
    });
}

#[test]
fn a_primary_whose_host_is_frozen_is_given_up() {
    let cluster = watched("daemon-frozen", 2, "");
    cluster.node(1).server.freeze();
    let promoted = || cluster.node(2).server.is_primary().then_some(());
    eventually("node2 is primary", promoted);
    cluster.node(1).server.kill();
}

#[test]
fn w27_a_daemon_that_is_told_to_end_while_it_promotes_completes_the_failover() {
    let mut cluster = watched("daemon-term", 3, "");
    let config = std::fs::read_to_string(&cluster.node(2).config_file).unwrap();
    let slow = config.replace("promote_command='", "promote_command='sleep 3; ");
    user::write(&cluster.node(2).config_file, &slow);
    cluster.node(2).signal_daemon(Signal::SIGHUP);
    eventually("the new configuration counts", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("\"promote_command\" is now")
            .then_some(())
    });
    cluster.node(1).server.kill();
    eventually("the promotion is under way", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("running promote_command")
            .then_some(())
    });
    assert_eq!(cluster.node_mut(2).stop_daemon(), Some(0));
    assert_eq!(cluster.primaries(), [2]);
    assert_eq!(cluster.node(2).server.query("SELECT term FROM repmgr.voting_term"), "2");
    let told = events(&cluster, 2, 2);
    assert!(told.contains(&"repmgrd_failover_promote".to_owned()), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("repmgrd_shutdown"), "{told:?}");
    follows(&cluster, 3, 2);
    assert!(
        cluster.node(3).daemon_log().contains("told to follow node \"node2\""),
        "{}",
        cluster.node(3).daemon_log()
    );
}

#[test]
fn what_a_standby_saw_is_published_and_its_history_written() {
    let cluster = watched("daemon-history", 2, "monitoring_history=true\n");
    let rows = "SELECT count(*) FROM repmgr.monitoring_history WHERE standby_node_id = 2 AND primary_node_id = 1 \
                AND replication_lag >= 0 AND apply_lag >= 0";
    eventually("the history grows", || {
        (cluster.node(1).server.query(rows).parse::<u32>().unwrap() >= 2).then_some(())
    });
    let seen = "SELECT repmgr.get_upstream_last_seen() BETWEEN 0 AND 5, repmgr.get_upstream_node_id(), \
                repmgr.standby_get_last_updated() > now() - interval '20 seconds'";
    assert_eq!(cluster.node(2).server.query(seen), "t|1|t");

    // A standby whose server stays away is marked, and is back when it is back.
    cluster.node(2).server.stop("fast");
    let active = || cluster.node(2).record_on(&cluster.node(1).server, "active");
    eventually("node2 is recorded as inactive", || (active() == "f").then_some(()));
    cluster.node(2).server.start();
    eventually("node2 is recorded as active", || (active() == "t").then_some(()));
    let told = "SELECT string_agg(event, ' ' ORDER BY event_timestamp) FROM repmgr.events \
                WHERE node_id = 2 AND event IN ('standby_failure', 'standby_recovery')";
    eventually("both are recorded", || {
        (cluster.node(1).server.query(told) == "standby_failure standby_recovery").then_some(())
    });
    // And its primary saw it leave and come.
    let children =
        "SELECT string_agg(DISTINCT event, ' ' ORDER BY event) FROM repmgr.events WHERE event LIKE 'child_node%'";
    eventually("the primary's daemon has seen it, too", || {
        (cluster.node(1).server.query(children) == "child_node_disconnect child_node_reconnect").then_some(())
    });
}

#[test]
fn w34_wal_receivers_are_stopped_for_the_election_and_start_again() {
    if Flavor::current() == Flavor::Unprivileged {
        // Only a superuser may stop a WAL receiver, as with the original; the failover goes on without.
        return;
    }
    let more = "standby_disconnect_on_failover=true\nsibling_nodes_disconnect_timeout=10\n";
    let mut cluster = watched("daemon-receivers", 3, more);
    cluster.node(1).server.kill();
    cluster.wait_primary(2);
    follows(&cluster, 3, 2);
    let interval = "SHOW wal_retrieve_retry_interval";
    for id in [2, 3] {
        assert!(
            cluster.node(id).daemon_log().contains("rule \"receivers-stopping\""),
            "{}",
            cluster.node(id).daemon_log()
        );
        eventually("the interval is as before", || {
            (cluster.node(id).server.query(interval) == "5s").then_some(())
        });
    }

    // What a daemon left that was killed in the midst of it, the next one puts right.
    assert_eq!(cluster.node_mut(3).stop_daemon(), Some(0));
    cluster
        .node(3)
        .server
        .query("ALTER SYSTEM SET wal_retrieve_retry_interval = 86405000");
    cluster.node(3).server.query("SELECT pg_reload_conf()");
    cluster.node_mut(3).start_daemon();
    eventually("the interval is as before", || {
        (cluster.node(3).server.query(interval) == "5s").then_some(())
    });
}

#[test]
fn w28_a_promotion_that_dies_is_no_promotion_and_the_next_one_is_elected() {
    let cluster = watched("daemon-dies", 3, "election_rerun_interval=1\npromote_check_timeout=3\n");
    let config = std::fs::read_to_string(&cluster.node(2).config_file).unwrap();
    let deadly = config.replace("promote_command='", "promote_command='kill -9 $$; ");
    user::write(&cluster.node(2).config_file, &deadly);
    cluster.node(2).signal_daemon(Signal::SIGHUP);
    eventually("the new configuration counts", || {
        cluster
            .node(2)
            .daemon_log()
            .contains("\"promote_command\" is now")
            .then_some(())
    });
    cluster.node(1).server.kill();
    cluster.wait_primary(3);
    follows(&cluster, 2, 3);
    assert_eq!(cluster.primaries(), [3]);
    let log = cluster.node(2).daemon_log();
    assert!(log.contains("was killed by signal 9"), "{log}");
    assert!(!events(&cluster, 3, 2).contains(&"repmgrd_failover_promote".to_owned()));
}

/// Two daemons of the original and one of ours; the primary is lost.
fn mixed(ours: u32) -> Option<Cluster> {
    let Some(original) = stage::original() else {
        support::skip("conformance", "the original is not staged (scripts/stage-original.sh)");
        return None;
    };
    let mut cluster = Cluster::with_stage(&format!("daemon-mixed{ours}"), 3, original, &original.bindir);
    cluster.node_mut(ours).programs = stage::programs().to_owned();
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    for id in 2..=3 {
        cluster.standby_up(id);
        cluster.wait_record(id, id);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    for id in 1..=3 {
        started(&cluster, id);
    }
    cluster.node(1).server.kill();
    cluster.wait_primary(2);
    follows(&cluster, 3, 2);
    assert_eq!(cluster.primaries(), [2]);
    let record = "SELECT type, active, upstream_node_id FROM repmgr.nodes ORDER BY node_id";
    eventually("the records say who is who", || {
        (cluster.node(2).server.query(record) == "primary|f|\nprimary|t|\nstandby|t|2").then_some(())
    });
    let told = "SELECT string_agg(node_id || ':' || event, ' ' ORDER BY event_timestamp) FROM repmgr.events \
                WHERE event IN ('repmgrd_failover_promote', 'repmgrd_reload', 'repmgrd_failover_follow')";
    eventually("all of it is recorded", || {
        let all = cluster.node(2).server.query(told);
        [
            "2:repmgrd_failover_promote",
            "2:repmgrd_reload",
            "3:repmgrd_failover_follow",
        ]
        .iter()
        .all(|event| all.contains(event))
        .then_some(())
    });
    let term = cluster.node(2).server.query("SELECT term FROM repmgr.voting_term");
    assert_eq!(term, "2");
    Some(cluster)
}

#[test]
fn an_original_follows_the_word_of_this_program() {
    mixed(2);
}

#[test]
fn this_program_follows_an_original() {
    let Some(cluster) = mixed(3) else { return };
    let log = cluster.node(3).daemon_log();
    let told = log.contains("rule \"told-to-follow\"");
    assert!(told || log.contains("rule \"primary-found\""), "{log}");
}

#[test]
fn a_cascaded_standby_moves_to_the_primary() {
    let mut cluster = Cluster::new("daemon-cascaded", 3);
    for node in &cluster.nodes {
        node.write_config(&node.automatic_failover());
    }
    cluster.primary_up("");
    cluster.standby_up(2);
    let third = cluster.node(3);
    third.clone_from(cluster.node(2), &["--upstream-node-id=2"]);
    third.server.start();
    third.repmgr_ok(&["standby", "register", "--upstream-node-id=2"]);
    cluster.wait_streaming(2, 3);
    cluster.wait_record(3, 3);
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    for id in 1..=3 {
        started(&cluster, id);
    }
    cluster.node(2).server.kill();
    follows(&cluster, 3, 1);
    eventually("the record names the primary", || {
        (cluster.node(3).record_on(&cluster.node(1).server, "upstream_node_id") == "1").then_some(())
    });
    eventually("the follow is recorded", || {
        events(&cluster, 1, 3)
            .contains(&"repmgrd_failover_follow".to_owned())
            .then_some(())
    });
    assert_eq!(cluster.primaries(), [1]);
}
