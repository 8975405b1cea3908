//! Clusters whose primary acknowledges a commit only when standbys have it, and remembers at the voters which ones. On real
//! servers with real daemons.

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use support::cluster::Cluster;
use support::eventually;

/// What a node's vote has on record of who has all commits: count and nodes.
const REMEMBERED: &str =
    "SELECT (regexp_match(repmgr_write_right.ask('repmgr-write-right/1 status'), ' payload=[0-9]+:([^ ]*)'))[1]";

const BOTH: &str = "ANY 1 (\"node2\", \"node3\")";
const SERVER_SETTINGS: &str = "shared_preload_libraries = 'repmgr'";

fn settings(mode: &str) -> String {
    format!("write_right=majority\nwrite_right_duration=3\nsynchronous_mode={mode}\n")
}

/// Nodes with daemons, automatic failover and the right to write; the last one is a witness, if there is to be one.
fn up(name: &str, mode: &str, witness: bool) -> Cluster {
    let mut cluster = Cluster::new(name, 3);
    for id in 1..=3 {
        let node = cluster.node(id);
        node.write_config(&(node.automatic_failover() + &settings(mode)));
    }
    cluster.primary_up(SERVER_SETTINGS);
    cluster.standby_up(2);
    let third = cluster.node(3);
    if witness {
        third.server.initialise("");
        third.server.start();
        third.create_role();
        let primary = cluster.node(1).server.conninfo();
        third.repmgr_ok(&["witness", "register", "-d", &primary]);
    } else {
        cluster.standby_up(3);
    }
    cluster.node(1).server.query("CREATE TABLE written (number integer)");
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    cluster.node(1).repmgr_ok(&["write-right", "enable"]);
    cluster
}

fn remembered(cluster: &Cluster, id: u32) -> String {
    cluster.node(id).server.try_query(REMEMBERED).unwrap_or_default()
}

/// Waits until the primary's server waits for these, and its vote has these on record.
fn settled(cluster: &Cluster, primary: u32, setting: &str, payload: &str) {
    let what = format!("node{primary} goes by \"{setting}\", and \"{payload}\" is remembered");
    eventually(&what, || {
        let shown = cluster.node(primary).server.try_query("SHOW synchronous_standby_names");
        (shown.as_deref() == Ok(setting) && remembered(cluster, primary) == payload).then_some(())
    });
}

fn write(cluster: &Cluster, id: u32, number: u32) -> Result<String, String> {
    let sql = format!("INSERT INTO written VALUES ({number})");
    cluster.node(id).server.try_query(&sql)
}

/// Sets the mode of a node anew and has its daemon read it.
fn set_mode(cluster: &Cluster, id: u32, mode: &str) {
    let node = cluster.node(id);
    node.write_config(&(node.automatic_failover() + &settings(mode)));
    node.signal_daemon(Signal::SIGHUP);
}

#[test]
fn a_standby_that_goes_is_dropped_and_comes_back() {
    let cluster = up("synchronous-on", "on", false);
    settled(&cluster, 1, BOTH, "1:2,3");
    for id in 2..=3 {
        eventually("a majority remembers it", || {
            (remembered(&cluster, id) == "1:2,3").then_some(())
        });
    }
    cluster.node(3).server.stop("fast");
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
    write(&cluster, 1, 1).expect("a write");
    cluster.node(3).server.start();
    settled(&cluster, 1, BOTH, "1:2,3");
    // Switched off, it leaves nothing behind.
    set_mode(&cluster, 1, "off");
    settled(&cluster, 1, "", "0:");
}

#[test]
fn without_a_standby_writes_go_on_and_the_primary_is_waited_for() {
    let cluster = up("synchronous-alone", "on", true);
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
    cluster.node(2).server.stop("fast");
    write(&cluster, 1, 1).expect("it is acknowledged");
    settled(&cluster, 1, "", "1:1");
    // The standby lacks what was written meanwhile: it is not promoted, nor by hand.
    cluster.node(1).signal_daemon(Signal::SIGSTOP);
    cluster.node(1).server.kill();
    cluster.node(2).server.start();
    eventually("the standby says for whom it waits", || {
        let log = cluster.node(2).daemon_log();
        let waits = log.contains("only node \"node1\" (ID: 1) is known to have every acknowledged commit");
        (waits && log.contains("rule \"right-barred\"")).then_some(())
    });
    let said = cluster.node(2).repmgr_fails(8, &["standby", "promote"]);
    assert!(said.contains("only node \"node1\" (ID: 1)"), "{said}");
    assert!(!cluster.node(2).server.is_primary());
    cluster.node(1).server.start();
    cluster.node(1).signal_daemon(Signal::SIGCONT);
    eventually("the primary writes again", || write(&cluster, 1, 2).ok());
    assert_eq!(cluster.node(1).server.query("SELECT count(*) FROM written"), "2");
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
}

#[test]
fn strict_writes_wait_for_a_standby() {
    let cluster = up("synchronous-strict", "strict", true);
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
    let first = cluster.node(1);
    let strict = "SELECT synchronous_on FROM repmgr_write_right.status()";
    eventually("it is strict", || (first.server.query(strict) == "t").then_some(()));
    let lax = first.server.try_query_in(
        "repmgr",
        "SET synchronous_commit = local; INSERT INTO written VALUES (100)",
    );
    assert!(lax.is_err_and(|error| error.contains("would not wait")));
    cluster.node(2).server.stop("fast");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| write(&cluster, 1, 1));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        eventually("the writer waits", || (first.server.query(waits) == "1").then_some(()));
        eventually("the log says for whom", || {
            first.daemon_log().contains("writes wait for \"node2\"").then_some(())
        });
        assert_eq!(remembered(&cluster, 1), "1:2");
        assert!(!waiting.is_finished());
        cluster.node(2).server.start();
        waiting.join().expect("the writer").expect("it is acknowledged");
    });
}

/// Writes numbers to whoever is the primary, and keeps those that were acknowledged.
fn write_on(cluster: &Cluster, end: &AtomicBool, acknowledged: &Mutex<Vec<u32>>) {
    let mut number = 0;
    while !end.load(Ordering::Relaxed) {
        for id in 1..=3 {
            number += 1;
            if write(cluster, id, number).is_ok() {
                acknowledged.lock().expect("the numbers").push(number);
            }
        }
    }
}

#[test]
fn no_acknowledged_row_is_lost_in_a_failover() {
    let mut cluster = up("synchronous-failover", "strict", false);
    settled(&cluster, 1, BOTH, "1:2,3");
    let (end, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let count = || acknowledged.lock().expect("the numbers").len();
    let winner = std::thread::scope(|scope| {
        scope.spawn(|| write_on(&cluster, &end, &acknowledged));
        eventually("it writes", || (count() > 20).then_some(()));
        cluster.node(1).server.kill();
        let winner = eventually("another node is the primary", || {
            (2..=3).find(|id| cluster.node(*id).server.is_primary())
        });
        let before = count();
        eventually("it writes on", || (count() > before + 5).then_some(()));
        end.store(true, Ordering::Relaxed);
        winner
    });
    let kept = cluster.node(winner).server.query("SELECT number FROM written");
    let kept: std::collections::BTreeSet<u32> = kept.lines().filter_map(|line| line.parse().ok()).collect();
    let acknowledged = acknowledged.into_inner().expect("the numbers");
    let lost: Vec<&u32> = acknowledged.iter().filter(|number| !kept.contains(number)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let other = if winner == 2 { 3 } else { 2 };
    settled(
        &cluster,
        winner,
        &format!("ANY 1 (\"node{other}\")"),
        &format!("1:{other}"),
    );
    cluster.node_mut(1).stop_daemon();
}

#[test]
fn only_a_synchronous_standby_is_switched_over_to() {
    let cluster = up("synchronous-switchover", "on", false);
    settled(&cluster, 1, BOTH, "1:2,3");
    // One that is never to be promoted is not waited for.
    let never = "UPDATE repmgr.nodes SET priority = 0 WHERE node_id = 3";
    cluster.node(1).server.query(never);
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
    let said = cluster
        .node(3)
        .repmgr_fails(18, &["standby", "switchover", "--siblings-follow", "--dry-run"]);
    assert!(said.contains("these are: node \"node2\" (ID: 2)"), "{said}");
    let check = cluster.node(1).repmgr_ok(&["node", "check", "--synchronous"]);
    assert!(check.contains("OK (1 of 1 synchronous standbys"), "{check}");
    let output = cluster.node(2).repmgr(&["standby", "switchover", "--siblings-follow"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    settled(&cluster, 2, "ANY 1 (\"node1\")", "1:1");
    write(&cluster, 2, 1).expect("a write");
}

/// Nodes are lost for good; a person gives them up on node 2, which is then promoted.
fn is_promoted_by_force(cluster: &mut Cluster, lost: &[u32]) {
    for id in lost {
        cluster.node(*id).signal_daemon(Signal::SIGKILL);
        cluster.node_mut(*id).wait_daemon();
        cluster.node(*id).server.kill();
    }
    let second = cluster.node(2);
    if !second.server.is_running() {
        second.server.start();
        let running = "SELECT repmgr.repmgrd_is_running()";
        eventually("its daemon has found it again", || {
            (second.server.try_query(running).as_deref() == Ok("t")).then_some(())
        });
    }
    let said = second.repmgr_fails(8, &["standby", "promote"]);
    assert!(
        said.contains("write-right force --give-up") || said.contains("was not granted"),
        "{said}"
    );
    let given_up: Vec<String> = lost.iter().map(u32::to_string).collect();
    let given_up = format!("--give-up={}", given_up.join(","));
    second.repmgr_ok(&["write-right", "force", &given_up, "--force"]);
    // Its daemon may be faster: nothing is in the way of an election any more.
    let promotion = second.repmgr(&["standby", "promote"]);
    eventually("the standby is promoted", || second.server.is_primary().then_some(()));
    let said = String::from_utf8_lossy(&promotion.stderr);
    eventually(&format!("the new primary writes; the promotion said: {said}"), || {
        write(cluster, 2, 100).ok()
    });
}

#[test]
fn a_member_is_promoted_by_force_when_the_others_are_lost_for_good() {
    let mut cluster = up("synchronous-force", "on", false);
    settled(&cluster, 1, BOTH, "1:2,3");
    write(&cluster, 1, 1).expect("a write");
    is_promoted_by_force(&mut cluster, &[1, 3]);
}

#[test]
fn what_a_lost_primary_alone_had_is_given_up_by_a_person() {
    let mut cluster = up("synchronous-force-alone", "on", true);
    settled(&cluster, 1, "ANY 1 (\"node2\")", "1:2");
    cluster.node(2).server.stop("fast");
    write(&cluster, 1, 1).expect("it is acknowledged");
    settled(&cluster, 1, "", "1:1");
    is_promoted_by_force(&mut cluster, &[1]);
    settled(&cluster, 2, "", "1:2");
}
