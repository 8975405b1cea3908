//! Clusters whose primary may write only while a majority of the nodes grants it the right: switched on and off while
//! it runs, and what becomes of a primary without it. On real servers with real daemons.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use support::cluster::Cluster;
use support::eventually;

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=3\n";

/// What is left of the own right of a node's server, and whether it is required.
const STANDING: &str = "SELECT enforcement_on AND coalesce(remaining_ms, 0) > 0 FROM repmgr_write_right.status()";

/// Three nodes with daemons and automatic failover; nothing is switched on yet.
fn watched(name: &str) -> Cluster {
    let mut cluster = Cluster::new(name, 3);
    cluster
        .node(1)
        .write_config(&(cluster.node(1).automatic_failover() + SETTINGS));
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    for id in 2..=3 {
        let node = cluster.node(id);
        node.write_config(&(node.automatic_failover() + SETTINGS));
        cluster.standby_up(id);
    }
    cluster.node(1).server.query("CREATE TABLE written (what text)");
    for id in 2..=3 {
        cluster.wait_streaming(1, id);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    cluster
}

/// The same with the right switched on.
fn guarded(name: &str) -> Cluster {
    let cluster = watched(name);
    cluster.node(1).repmgr_ok(&["write-right", "enable"]);
    cluster
}

fn writes(cluster: &Cluster, id: u32, what: &str) -> Result<String, String> {
    cluster
        .node(id)
        .server
        .try_query(&format!("INSERT INTO written VALUES ('{what}')"))
}

fn may_write(cluster: &Cluster, id: u32) {
    eventually(&format!("node{id} may write"), || {
        writes(cluster, id, "anything").is_ok().then_some(())
    });
}

fn is_refused(cluster: &Cluster, id: u32) {
    eventually(&format!("node{id} may not write any more"), || {
        let refused = writes(cluster, id, "what must not be").err()?;
        refused.contains("does not hold the right to write").then_some(())
    });
}

fn holds(cluster: &Cluster, id: u32) -> bool {
    cluster.node(id).server.try_query(STANDING).as_deref() == Ok("t")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_is_switched_on_and_off_while_clients_write() {
    let cluster = watched("guarded-switching");
    let first = cluster.node(1);
    let tried = first.repmgr(&["write-right", "enable", "--dry-run"]);
    assert!(said(&tried).contains("all prerequisites"), "{}", said(&tried));
    let extension = "SELECT count(*) FROM pg_extension WHERE extname = 'repmgr_write_right'";
    assert_eq!(first.server.query(extension), "0");

    let rows = "SELECT count(*) FROM written WHERE what = 'client'";
    let conninfo = first.server.conninfo();
    let script = format!(
        "for i in $(seq 400); do {} -Xqtd '{conninfo}' -c \"INSERT INTO written VALUES ('client')\" || exit 1; done",
        first.server.stage.bindir.join("psql").display()
    );
    let mut client = first.server.command("sh").args(["-c", &script]).spawn().expect("sh");
    first.repmgr_ok(&["write-right", "enable"]);
    for id in 1..=3 {
        let on = cluster.node(id).server.query("SHOW repmgr.require_write_right");
        assert_eq!(on, "on", "node{id}");
    }
    assert!(holds(&cluster, 1));
    assert!(!holds(&cluster, 2));
    let shown = first.repmgr(&["write-right", "show", "--format=json"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.matches("\"vote\": \"voting\"").count(), 3, "{shown}");
    assert_eq!(shown.matches("\"holder\": 1").count(), 3, "{shown}");
    for overview in [["cluster", "show"], ["service", "status"]] {
        let text = first.repmgr(&overview);
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.contains("| Holder | Epoch | Lease left"), "{text}");
        assert_eq!(text.matches("| node1  | 1     | ").count(), 3, "{text}");
        let csv = first.repmgr(&[overview[0], overview[1], "--csv"]);
        assert!(!String::from_utf8_lossy(&csv.stdout).contains("node1,1,"), "{csv:?}");
    }

    first.repmgr_ok(&["write-right", "disable"]);
    for id in 1..=3 {
        let off = cluster.node(id).server.query("SHOW repmgr.require_write_right");
        assert_eq!(off, "off", "node{id}");
    }
    eventually("the client has written all its rows", || {
        let ended = client.try_wait().expect("its status");
        assert!(ended.is_none_or(|status| status.success()), "a write was refused");
        ended
    });
    assert_eq!(first.server.query(rows), "400");
    // And on again, with what the voters have on record.
    first.repmgr_ok(&["write-right", "enable"]);
    assert!(holds(&cluster, 1));
}

#[test]
fn a_primary_whose_daemon_is_gone_writes_nothing_until_it_is_back() {
    let mut cluster = guarded("guarded-daemon");
    may_write(&cluster, 1);
    cluster.node(1).signal_daemon(Signal::SIGSTOP);
    is_refused(&cluster, 1);
    assert_eq!(cluster.primaries(), [1]);
    cluster.node(1).signal_daemon(Signal::SIGCONT);
    may_write(&cluster, 1);
    cluster.node(1).signal_daemon(Signal::SIGKILL);
    cluster.node_mut(1).wait_daemon();
    is_refused(&cluster, 1);
    cluster.node_mut(1).start_daemon();
    may_write(&cluster, 1);
}

#[test]
fn a_killed_primary_is_replaced_by_one_that_holds_the_right() {
    let cluster = guarded("guarded-killed");
    may_write(&cluster, 1);
    cluster.node(1).server.kill();
    let winner = eventually("another node is the primary", || {
        (2..=3).find(|id| {
            cluster
                .node(*id)
                .server
                .try_query("SELECT pg_is_in_recovery()")
                .as_deref()
                == Ok("f")
        })
    });
    assert!(holds(&cluster, winner), "it was promoted with the right");
    may_write(&cluster, winner);
    // Started by hand it is a primary still, and nobody grants it the right: its daemon stops it.
    cluster.node(1).server.start();
    assert!(writes(&cluster, 1, "what must not be").is_err());
    eventually("it is out of the clients' way", || {
        (!cluster.node(1).server.is_running()).then_some(())
    });
    let log = cluster.node(1).daemon_log();
    assert!(log.contains("rule \"overtaken\""), "{log}");
    let lost = "SELECT count(*) FROM written WHERE what = 'what must not be'";
    assert_eq!(cluster.node(winner).server.query(lost), "0");
    let acquired =
        "SELECT node_id FROM repmgr.events WHERE event = 'write_right_acquired' ORDER BY event_timestamp DESC LIMIT 1";
    eventually("the event is there", || {
        (cluster.node(winner).server.query(acquired) == winner.to_string()).then_some(())
    });
}

#[test]
fn a_promotion_by_hand_needs_the_daemon_and_a_majority() {
    let mut cluster = guarded("guarded-by-hand");
    for id in 1..=3 {
        cluster.node(id).repmgr_ok(&["service", "pause"]);
    }
    cluster.node_mut(2).stop_daemon();
    cluster.node(1).server.stop("fast");
    let said = cluster.node(2).repmgr_fails(8, &["standby", "promote"]);
    assert!(said.contains("was not granted the right to write"), "{said}");
    assert_eq!(cluster.primaries(), [] as [u32; 0]);
    // Without an upstream it publishes nothing, and keeps the right nevertheless.
    cluster.node_mut(2).spawn_daemon();
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    assert!(holds(&cluster, 2));
    may_write(&cluster, 2);
}

#[test]
fn a_switchover_hands_the_right_over() {
    let cluster = guarded("guarded-switchover");
    may_write(&cluster, 1);
    let output = cluster.node(2).repmgr(&["standby", "switchover", "--siblings-follow"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(holds(&cluster, 2));
    may_write(&cluster, 2);
    assert!(!holds(&cluster, 1));
    cluster.wait_streaming(2, 1);
}

/// Seed 37 of the random sequences: the server followed, and its record named the old upstream until a person came.
#[test]
fn a_follow_waits_for_the_right_of_the_primary_and_records_the_upstream() {
    let cluster = guarded("guarded-follow");
    may_write(&cluster, 1);
    let (first, third) = (cluster.node(1), cluster.node(3));
    third.repmgr_ok(&["standby", "follow", "--upstream-node-id=2"]);
    let recorded = || third.record_on(&first.server, "upstream_node_id");
    assert_eq!(recorded(), "2");
    first.signal_daemon(Signal::SIGSTOP);
    is_refused(&cluster, 1);
    let mut follow = third
        .program("repmgr")
        .args(["standby", "follow", "--upstream-node-id=1"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("repmgr");
    let lines = BufReader::new(follow.stderr.take().expect("a pipe")).lines();
    let said: Vec<String> = lines
        .map_while(Result::ok)
        .inspect(|line| {
            if line.contains("for the primary to accept writes") {
                first.signal_daemon(Signal::SIGCONT);
            }
        })
        .collect();
    assert!(follow.wait().expect("its end").success(), "{said:#?}");
    assert_eq!(recorded(), "1");
}

/// The newest list of voters that a node has on record: version, voters, voters before, those given up.
fn list(cluster: &Cluster, id: u32) -> String {
    let list = "SELECT list FROM repmgr_write_right.status()";
    cluster.node(id).server.try_query(list).unwrap_or_default()
}

fn shown(cluster: &Cluster, id: u32) -> String {
    let output = cluster.node(id).repmgr(&["write-right", "show", "--format=json"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_gone(cluster: &mut Cluster, id: u32) {
    cluster.node_mut(id).stop_daemon();
    cluster.node(id).server.stop("immediate");
}

#[test]
fn a_primary_that_lost_the_majority_for_good_goes_on_when_a_person_gives_the_others_up() {
    let mut cluster = guarded("guarded-force");
    may_write(&cluster, 1);
    let force = ["write-right", "force", "--give-up=2,3"];
    let refused = cluster.node(1).repmgr_fails(1, &force);
    assert!(refused.contains("still there"), "{refused}");
    is_gone(&mut cluster, 2);
    is_gone(&mut cluster, 3);
    is_refused(&cluster, 1);
    // An order that a frozen daemon reads of too late is not obeyed.
    cluster.node(1).signal_daemon(Signal::SIGSTOP);
    let first = &cluster.node(1).server;
    first.query("SELECT repmgr_write_right.give_up('2,3', 200)");
    eventually("the order is over", || {
        let over = first.query("SELECT ordered IS NULL FROM repmgr_write_right.status()");
        (over == "t").then_some(())
    });
    cluster.node(1).signal_daemon(Signal::SIGCONT);
    let said_only = cluster.node(1).repmgr_fails(1, &force);
    assert!(said_only.contains("nothing was changed"), "{said_only}");
    assert!(said_only.contains("two servers may acknowledge commits"), "{said_only}");
    let tried = cluster
        .node(1)
        .repmgr(&[&force[..], &["--force", "--dry-run"]].concat());
    assert!(said(&tried).contains("all prerequisites"), "{}", said(&tried));
    assert_eq!(list(&cluster, 1), "1:1,2,3::");
    assert!(writes(&cluster, 1, "what must not be").is_err());

    cluster.node(1).repmgr_ok(&[&force[..], &["--force"]].concat());
    may_write(&cluster, 1);
    assert_eq!(list(&cluster, 1), "1000001:1::2,3");
    assert!(
        shown(&cluster, 1).contains("\"vote\": \"given up; "),
        "{}",
        shown(&cluster, 1)
    );

    // Back again it is told, and votes no more.
    for id in 2..=3 {
        cluster.node(id).server.start();
        cluster.node_mut(id).start_daemon();
    }
    eventually("those given up know it", || {
        (2..=3).all(|id| list(&cluster, id) == "1000001:1::2,3").then_some(())
    });
    assert_eq!(shown(&cluster, 1).matches("\"vote\": \"given up\"").count(), 2);
    assert_eq!(shown(&cluster, 1).matches("\"vote\": \"voting\"").count(), 1);
    let refused = cluster
        .node(2)
        .repmgr_fails(1, &["write-right", "force", "--give-up=1", "--force"]);
    assert!(refused.contains("was given up itself"), "{refused}");
    for id in 2..=3 {
        cluster.wait_streaming(1, id);
    }
    cluster.node(1).repmgr_ok(&["write-right", "enable"]);
    let all = shown(&cluster, 1);
    assert_eq!(all.matches("\"vote\": \"voting\"").count(), 3, "{all}");
    may_write(&cluster, 1);
}

#[test]
fn a_standby_that_lost_the_majority_for_good_is_promoted_by_force() {
    let mut cluster = guarded("guarded-force-standby");
    may_write(&cluster, 1);
    for id in 1..=3 {
        cluster.node(id).repmgr_ok(&["service", "pause"]);
    }
    is_gone(&mut cluster, 1);
    is_gone(&mut cluster, 3);
    let said = cluster.node(2).repmgr_fails(8, &["standby", "promote"]);
    assert!(said.contains("was not granted the right to write"), "{said}");
    cluster
        .node(2)
        .repmgr_ok(&["write-right", "force", "--give-up=1,3", "--force"]);
    assert_eq!(list(&cluster, 2), "1000001:2::1,3");
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    may_write(&cluster, 2);
    // The primary that was given up is a primary still, and writes nothing.
    cluster.node(1).server.start();
    assert!(writes(&cluster, 1, "what must not be").is_err());
    cluster.node_mut(1).spawn_daemon();
    eventually("it knows that it was given up", || {
        list(&cluster, 1).ends_with(":2::1,3").then_some(())
    });
    assert!(writes(&cluster, 1, "what must not be").is_err());
    assert!(!holds(&cluster, 1));
    let shown = shown(&cluster, 2);
    assert!(shown.contains("\"vote\": \"given up\""), "{shown}");
    may_write(&cluster, 2);
}

#[test]
fn two_nodes_are_told_to_add_a_witness() {
    let mut cluster = Cluster::new("guarded-two", 2);
    cluster
        .node(1)
        .write_config(&(cluster.node(1).automatic_failover() + SETTINGS));
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    cluster
        .node(2)
        .write_config(&(cluster.node(2).automatic_failover() + SETTINGS));
    cluster.standby_up(2);
    for id in 1..=2 {
        cluster.node_mut(id).start_daemon();
    }
    let said = cluster.node(1).repmgr_fails(1, &["write-right", "enable"]);
    assert!(said.contains("witness"), "{said}");
}
