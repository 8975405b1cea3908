//! Known weaknesses of the original's daemon that only a real server shows (`docs/failover.md`).

mod support;

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::cluster::Cluster;
use support::eventually;

/// A primary and perhaps a standby with quick automatic failover, no daemon yet.
fn cluster(name: &str, count: u32, more: &str) -> Cluster {
    let cluster = Cluster::new(name, count);
    cluster.automatic_up(more);
    cluster
}

fn watches(cluster: &Cluster, id: u32) {
    let sql = format!("SELECT count(*) > 0 FROM repmgr.events WHERE node_id = {id} AND event = 'repmgrd_start'");
    eventually(&format!("the daemon of node{id} watches"), || {
        (cluster.node(1).server.query(&sql) == "t").then_some(())
    });
}

/// The sessions of daemons on a server.
fn sessions(cluster: &Cluster, id: u32) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name = 'repmgr'";
    let pids = cluster.node(id).server.query(sql);
    pids.lines().map(|pid| pid.parse().expect("a pid")).collect()
}

fn stop(pid: i32) {
    // It may have ended meanwhile.
    let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
}

fn seen_again(cluster: &Cluster, stopped: &[i32]) {
    eventually("the daemon has a new session", || {
        sessions(cluster, 1)
            .iter()
            .any(|pid| !stopped.contains(pid))
            .then_some(())
    });
    eventually("the primary was seen a moment ago", || {
        let seen = cluster.node(2).server.query("SELECT repmgr.get_upstream_last_seen()");
        (0..=2).contains(&seen.parse::<i32>().expect("seconds")).then_some(())
    });
}

#[test]
fn w12_w18_backends_that_hang_are_replaced_and_the_loss_is_noticed() {
    let mut cluster = cluster("weak-hanging", 2, "");
    cluster.node_mut(2).start_daemon();
    watches(&cluster, 2);
    // One backend hangs in the middle of its work for the daemon.
    let stopped = sessions(&cluster, 1);
    assert_eq!(stopped.len(), 1);
    stop(stopped[0]);
    seen_again(&cluster, &stopped);
    // All of them hang, and whatever else the server does; new ones answer: no loss.
    let postmaster = cluster.node(1).server.pid().unwrap();
    let stopped = sessions(&cluster, 1);
    let children = Command::new("pgrep")
        .args(["-P", &postmaster.to_string()])
        .output()
        .unwrap();
    for child in String::from_utf8_lossy(&children.stdout).lines() {
        stop(child.parse().unwrap());
    }
    seen_again(&cluster, &stopped);
    assert!(!cluster.node(2).daemon_log().contains("rule \"election-begins\""));
    assert_eq!(cluster.primaries(), [1]);
    // Now the server hangs altogether, with a connection of the daemon's that is in use.
    stop(postmaster.as_raw());
    for pid in sessions_of_postmaster(postmaster) {
        stop(pid);
    }
    eventually("node2 is primary", || cluster.node(2).server.is_primary().then_some(()));
    cluster.node(1).server.kill();
}

fn sessions_of_postmaster(postmaster: Pid) -> Vec<i32> {
    let children = Command::new("pgrep")
        .args(["-P", &postmaster.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&children.stdout).into_owned();
    text.lines().map(|pid| pid.parse().expect("a pid")).collect()
}

#[test]
fn w54_w55_w56_signals_at_any_moment_neither_end_nor_block_the_daemon() {
    let events = "event_notification_command='true'\nevent_notifications='repmgrd_start,repmgrd_shutdown'\n";
    let mapping = format!("tablespace_mapping='/a=/b'\n{events}");
    let mut cluster = cluster("weak-signals", 1, &mapping);
    cluster.node_mut(1).start_daemon();
    watches(&cluster, 1);
    let hup = |cluster: &Cluster, more: &str, sign: &str| {
        let node = cluster.node(1);
        let from = node.daemon_log().len();
        node.write_config(&format!("{}{mapping}{more}", node.automatic_failover()));
        node.signal_daemon(Signal::SIGHUP);
        eventually(&format!("the log says: {sign}"), || {
            node.daemon_log()[from..].contains(sign).then_some(())
        });
    };
    hup(
        &cluster,
        "monitor_interval_secs=2\n",
        "\"monitor_interval_secs\" is now",
    );
    hup(
        &cluster,
        "reconnect_attempts=nonsense\n",
        "the old configuration stays in force",
    );
    // The server is away: the change is taken over all the same.
    cluster.node(1).server.stop("fast");
    hup(&cluster, "log_status_interval=1\n", "\"log_status_interval\" is now");
    cluster.node(1).server.start();
    eventually("the daemon is known again", || {
        let pid = cluster.node(1).server.query("SELECT repmgr.get_repmgrd_pid()");
        (pid == cluster.node(1).daemon_pid().unwrap().to_string()).then_some(())
    });
    for _ in 0..200 {
        cluster.node(1).signal_daemon(Signal::SIGHUP);
    }
    let pid_file = cluster.node(1).pid_file();
    assert_eq!(cluster.node_mut(1).stop_daemon(), Some(0));
    assert!(!pid_file.exists());
}

#[test]
fn w42_a_witness_copies_a_standby_without_an_upstream() {
    let mut cluster = Cluster::new("weak-witness", 2);
    for node in &cluster.nodes {
        node.write_config(&format!("{}witness_sync_interval=1\n", node.automatic_failover()));
    }
    cluster.primary_up("");
    let (primary, witness) = (cluster.node(1), cluster.node(2));
    witness.server.initialise("");
    witness.server.start();
    witness.create_role();
    witness.repmgr_ok(&["-d", &primary.server.conninfo(), "witness", "register"]);
    cluster.node_mut(2).start_daemon();
    watches(&cluster, 2);
    // A former primary, which an original has made a standby, with an id lower than the primary's.
    let former = "INSERT INTO repmgr.nodes SELECT 0, NULL, true, 'former', 'standby', location, priority, conninfo, \
                  repluser, slot_name, config_file FROM repmgr.nodes WHERE node_id = 1";
    cluster.node(1).server.query(former);
    let copy = "SELECT type, upstream_node_id FROM repmgr.nodes WHERE node_id = 0";
    eventually("the witness has it", || {
        (cluster.node(2).server.query(copy) == "standby|1").then_some(())
    });
    // And what follows is copied, too.
    cluster
        .node(1)
        .server
        .query("UPDATE repmgr.nodes SET priority = 42 WHERE node_id = 0");
    let copy = "SELECT priority FROM repmgr.nodes WHERE node_id = 0";
    eventually("the next copy works", || {
        (cluster.node(2).server.query(copy) == "42").then_some(())
    });
}
