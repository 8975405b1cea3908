//! An old primary in a cluster with the right to write: taken out of the clients' way, and by policy a standby again.
//! On real servers with real daemons.

mod support;

use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::cluster::Cluster;
use support::eventually;

/// Three guarded nodes with daemons, the first the primary, and a policy for its return.
fn guarded(name: &str, policy: &str, server_settings: &str) -> Cluster {
    let mut cluster = Cluster::new(name, 3);
    let settings = format!("write_right=majority\nwrite_right_duration=3\n{policy}\n");
    for node in &cluster.nodes {
        node.write_config(&(node.automatic_failover() + &settings));
    }
    cluster.primary_up(&format!("shared_preload_libraries = 'repmgr'\n{server_settings}"));
    for id in 2..=3 {
        cluster.standby_up(id);
    }
    cluster.node(1).server.query("CREATE TABLE written (what text)");
    for id in 2..=3 {
        cluster.wait_streaming(1, id);
        cluster.wait_record(id, 3);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    cluster.node(1).repmgr_ok(&["write-right", "enable"]);
    cluster
}

fn write(cluster: &Cluster, id: u32, what: &str) {
    eventually(&format!("node{id} takes a write"), || {
        let sql = format!("INSERT INTO written VALUES ('{what}')");
        cluster.node(id).server.try_query(&sql).is_ok().then_some(())
    });
}

/// The old primary loses its server and its daemon at the same moment, as when its host dies; who is promoted.
fn host_dies(cluster: &mut Cluster) -> u32 {
    let first = cluster.node_mut(1);
    first.signal_daemon(Signal::SIGKILL);
    first.server.kill();
    first.wait_daemon();
    promoted(cluster)
}

fn promoted(cluster: &Cluster) -> u32 {
    let winner = eventually("another node is the primary", || {
        (2..=3).find(|id| cluster.node(*id).server.is_primary())
    });
    write(cluster, winner, "by the new primary");
    winner
}

/// The old primary is a standby of the new one, with all its rows.
fn is_back(cluster: &Cluster, winner: u32) {
    cluster.wait_streaming(winner, 1);
    eventually("the rows of the new primary are on the old one", || {
        let sql = "SELECT count(*) > 0 FROM written WHERE what = 'by the new primary'";
        (cluster.node(1).server.try_query(sql).as_deref() == Ok("t")).then_some(())
    });
    assert_eq!(cluster.primaries(), [winner]);
    eventually("it is recorded as a standby", || {
        let record = cluster
            .node(1)
            .record_on(&cluster.node(winner).server, "type || ' ' || active");
        (record == "standby true").then_some(())
    });
}

fn event(cluster: &Cluster, winner: u32, name: &str, successful: bool) -> String {
    event_of(1, cluster, winner, name, successful)
}

fn event_of(id: u32, cluster: &Cluster, winner: u32, name: &str, successful: bool) -> String {
    let sql = format!(
        "SELECT details FROM repmgr.events WHERE event = '{name}' AND node_id = {id} AND successful = {successful} \
         ORDER BY event_timestamp DESC LIMIT 1"
    );
    eventually(&format!("the event {name} is there"), || {
        let details = cluster.node(winner).server.try_query(&sql).ok()?;
        (!details.is_empty()).then_some(details)
    })
}

fn put_aside(cluster: &Cluster) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&cluster.node(1).server.folder)
        .expect("the folder")
        .flatten();
    let aside = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("data-discarded-"));
    aside.map(|entry| entry.path()).collect()
}

fn is_stopped(cluster: &Cluster) {
    eventually("the old primary's server is stopped", || {
        (!cluster.node(1).server.is_running()).then_some(())
    });
}

/// Started by the boot scripts before its daemon, the server is a primary; the daemon finds the other one.
#[test]
fn a_server_that_was_booted_as_a_primary_is_rewound() {
    let mut cluster = guarded("returning-rewind", "rejoin=rewind", "");
    write(&cluster, 1, "by the old primary");
    let winner = host_dies(&mut cluster);
    let first = cluster.node_mut(1);
    first.server.start();
    assert!(
        first
            .server
            .try_query("INSERT INTO written VALUES ('what must not be')")
            .is_err()
    );
    first.start_daemon();
    is_back(&cluster, winner);
    let stopped = event(&cluster, winner, "write_right_server_stopped", true);
    assert!(stopped.contains("has been promoted with the right"), "{stopped}");
    let given_up = event(&cluster, winner, "node_rejoin", true);
    assert!(given_up.contains("discarded timeline 1 from 0/"), "{given_up}");
    assert!(given_up.contains("no transaction was committed"), "{given_up}");
    let aside = put_aside(&cluster);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(given_up.contains(&aside[0].display().to_string()), "{given_up}");
    let names: Vec<_> = std::fs::read_dir(&aside[0]).expect("the folder").flatten().collect();
    assert!(
        names
            .iter()
            .any(|file| file.file_name().to_string_lossy().starts_with("00000001"))
    );
    // And again, from the other side: it votes, and may be promoted itself.
    let port = cluster.node(1).server.query("SHOW port");
    assert_eq!(port, cluster.node(1).server.port.to_string(), "its own configuration");
    assert_eq!(cluster.node(1).server.query("SHOW repmgr.require_write_right"), "on");
}

/// A crash under a living daemon: nobody has to start anything.
#[test]
fn a_crashed_server_comes_back_without_anybody() {
    let cluster = guarded("returning-crashed", "rejoin=rewind\nrejoin_keep=no", "");
    write(&cluster, 1, "by the old primary");
    cluster.node(1).server.kill();
    let winner = promoted(&cluster);
    is_back(&cluster, winner);
    assert_eq!(put_aside(&cluster), [] as [PathBuf; 0]);
}

/// Without hint bits in the WAL pg_rewind does not work.
#[test]
fn what_cannot_be_rewound_is_cloned_again() {
    let mut cluster = guarded("returning-clone", "rejoin=clone", "wal_log_hints = off");
    write(&cluster, 1, "by the old primary");
    let winner = host_dies(&mut cluster);
    cluster.node_mut(1).server.start();
    cluster.node_mut(1).start_daemon();
    is_back(&cluster, winner);
    let given_up = event(&cluster, winner, "node_rejoin", true);
    assert!(given_up.contains("cloned again"), "{given_up}");
    let aside = put_aside(&cluster);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].join("PG_VERSION").exists(), "its old data directory");
    let port = cluster.node(1).server.query("SHOW port");
    assert_eq!(port, cluster.node(1).server.port.to_string(), "its own configuration");
}

#[test]
fn by_hand_means_stopped_and_a_person_called() {
    let mut cluster = guarded("returning-manual", "", "");
    let winner = host_dies(&mut cluster);
    cluster.node_mut(1).server.start();
    cluster.node_mut(1).start_daemon();
    is_stopped(&cluster);
    let called = event(&cluster, winner, "node_rejoin", false);
    assert!(called.contains("rule \"overtaken-waits\""), "{called}");
    assert_eq!(put_aside(&cluster), [] as [PathBuf; 0]);
    // A person does what the log says.
    let target = cluster.node(winner).server.conninfo();
    let own_files = "--config-files=postgresql.conf,postgresql.auto.conf,pg_hba.conf";
    cluster
        .node(1)
        .repmgr_ok(&["-d", &target, "node", "rejoin", "--force-rewind", own_files]);
    is_back(&cluster, winner);
}

/// Nothing can be put aside: nothing is done, and a person is called.
#[test]
fn without_a_place_to_put_things_aside_nothing_is_done() {
    let mut cluster = guarded("returning-no-room", "rejoin=clone", "");
    let winner = host_dies(&mut cluster);
    let folder = cluster.node(1).server.folder.clone();
    cluster.node_mut(1).server.start();
    cluster.node_mut(1).start_daemon();
    set_mode(&folder, 0o500);
    let called = event(&cluster, winner, "node_rejoin", false);
    set_mode(&folder, 0o700);
    assert!(called.contains("nothing can be put aside in"), "{called}");
    is_stopped(&cluster);
    let control = cluster.node(1).server.data.join("global/pg_control");
    assert!(control.exists() && put_aside(&cluster).is_empty());
    assert!(!cluster.node(1).server.data.join("standby.signal").exists());
}

fn set_mode(folder: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("the mode");
}

/// Without the library the server would commit what it may not.
#[test]
fn a_primary_that_lost_its_library_is_stopped() {
    let cluster = guarded("returning-unloaded", "", "");
    let first = cluster.node(1);
    let conf = first.server.data.join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).expect("postgresql.conf");
    support::user::write(&conf, &format!("{text}\nshared_preload_libraries = ''\n"));
    first.server.stop("fast");
    first.server.start();
    is_stopped(&cluster);
    eventually("it says why", || {
        first.daemon_log().contains("rule \"enforces-nothing\"").then_some(())
    });
    let winner = promoted(&cluster);
    let stopped = event(&cluster, winner, "node_rejoin", false);
    assert!(stopped.contains("overtaken-waits"), "{stopped}");
}

/// What the old primary had sent to one standby only is not on the one that is promoted.
#[test]
fn a_standby_that_is_past_the_fork_is_rewound() {
    let mut cluster = guarded("returning-past-the-fork", "rejoin=rewind", "");
    // Otherwise the standby that has more would win.
    let never = "UPDATE repmgr.nodes SET priority = 0 WHERE node_id = 3";
    cluster.node(1).server.query(never);
    for id in 2..=3 {
        let there = "SELECT priority FROM repmgr.nodes WHERE node_id = 3";
        eventually("the priority is known", || {
            (cluster.node(id).server.query(there) == "0").then_some(())
        });
    }
    let receiver = cluster.node(2).server.query("SELECT pid FROM pg_stat_wal_receiver");
    let receiver = Pid::from_raw(receiver.parse().expect("a process"));
    kill(receiver, Signal::SIGSTOP).expect("a signal");
    // More than the sockets between them hold.
    let rows = "INSERT INTO written SELECT repeat('x', 1000) FROM generate_series(1, 60000)";
    cluster.node(1).server.query(rows);
    eventually("one standby has all rows", || {
        (cluster.node(3).server.query("SELECT count(*) FROM written") == "60000").then_some(())
    });
    let first = cluster.node_mut(1);
    first.signal_daemon(Signal::SIGKILL);
    first.server.kill();
    first.wait_daemon();
    kill(receiver, Signal::SIGCONT).expect("a signal");
    assert_eq!(promoted(&cluster), 2);
    // Its vote is needed as long as the old primary is away.
    eventually("it says so", || {
        cluster
            .node(3)
            .daemon_log()
            .contains("rule \"vote-needed\"")
            .then_some(())
    });
    cluster.node(1).server.start();
    cluster.node_mut(1).start_daemon();
    is_back(&cluster, 2);
    cluster.wait_streaming(2, 3);
    let rows = "SELECT count(*) FROM written";
    let on_the_primary = cluster.node(2).server.query(rows);
    assert_ne!(on_the_primary, "60001");
    eventually("both have the same rows", || {
        (cluster.node(3).server.query(rows) == on_the_primary).then_some(())
    });
    let given_up = event_of(3, &cluster, 2, "node_rejoin", true);
    assert!(given_up.contains("discarded timeline 1 from 0/"), "{given_up}");
    eventually("its daemon watches the new primary", || {
        let sql = "SELECT repmgr.get_upstream_node_id()";
        (cluster.node(3).server.query(sql) == "2").then_some(())
    });
}
