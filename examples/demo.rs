//! `make demo`: a cluster that sets itself up and survives the loss of its primary.
//!
//! Three servers on loopback, made by `repmgr` from a configuration file each;
//! three daemons; a client that inserts numbered rows without pause; `kill -9`
//! of the primary; then who follows whom, what became of the rows, and how long
//! each phase took. `KEEP=1` leaves the cluster running.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use repmgr::conninfo::Conninfo;
use repmgr::postgres::{Connection, Deadlines};
use repmgr::types::RecoveryState;
use support::cluster::{Cluster, Node};
use support::{eventually, user};

fn main() {
    let mut cluster = Cluster::new("demo", 3);
    println!("A cluster of three servers in {}\n", cluster.folder.display());
    let times = cluster.folder.join("times");
    user::write(&times, "");
    for node in &cluster.nodes {
        node.write_config(&settings(node, &times));
    }
    set_up(&cluster);
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    step("three daemons watch");
    print!("{}", cluster.node(1).repmgr_ok(&["service", "status", "--compact"]));

    let client = Client::start(&cluster);
    eventually("the client writes", || (client.acknowledged() >= 1000).then_some(()));
    step(&format!(
        "a client has written {} rows; now the primary gets kill -9",
        client.acknowledged()
    ));
    let killed = Killed {
        at: Instant::now(),
        clock: now(),
    };
    let watcher = watch_promotion(&cluster);
    cluster.node(1).server.kill();

    let (promoted, promotion) = watcher.join().expect("the watcher");
    let promotion = promotion - killed.at;
    let first_write = client.first_write_after(killed.at);
    let follower = if promoted == 2 { 3 } else { 2 };
    cluster.wait_streaming(promoted, follower);
    let attached = killed.at.elapsed();
    eventually("the follower's record names its new upstream", || {
        let upstream = cluster
            .node(follower)
            .record_on(&cluster.node(promoted).server, "upstream_node_id");
        (upstream == promoted.to_string()).then_some(())
    });
    eventually("the client writes on", || {
        client.wrote_since(Duration::from_millis(500)).then_some(())
    });
    let acknowledged = client.stop();

    step("after the loss of the primary");
    // The lost primary is an issue to report, hence exit code 25.
    let shown = cluster.node(promoted).repmgr(&["cluster", "show", "--compact"]);
    print!("{}", String::from_utf8_lossy(&shown.stdout));
    let new = &cluster.node(promoted).server;
    println!(
        "\nnode{promoted} is the new primary; from it stream: {}",
        new.query("SELECT string_agg(application_name, ', ') FROM pg_stat_replication WHERE state = 'streaming'")
    );
    let found: u64 = new.query("SELECT count(*) FROM written").parse().expect("a number");
    println!("rows acknowledged: {}, rows found: {found}", acknowledged.len());
    let missing = acknowledged
        .iter()
        .filter(|number| new.query(&format!("SELECT count(*) FROM written WHERE number = {number}")) == "0");
    let missing: Vec<_> = if found >= acknowledged.len() as u64 {
        Vec::new()
    } else {
        missing.collect()
    };
    if !missing.is_empty() {
        println!(
            "replication is asynchronous: {} acknowledged rows were lost with the primary: {missing:?}",
            missing.len()
        );
    }

    println!("\nwhat the daemon of node{promoted} decided, and why:");
    print_decisions(&cluster.node(promoted).daemon_log());

    println!("\nhow long it took, from the kill:");
    let phase = |name: &str| recorded(&times, name).map(|at| at - killed.clock);
    print_phase("detected", phase("repmgrd_upstream_disconnect"));
    print_phase("elected", phase("elected"));
    print_phase("promoted", Some(promotion.as_secs_f64()));
    print_phase("first write", Some(first_write.as_secs_f64()));
    print_phase("follower attached", Some(attached.as_secs_f64()));

    if std::env::var_os("KEEP").is_some() {
        leave_running(&mut cluster, promoted);
    }
}

/// What the demo's nodes are configured with, beside what every node needs.
fn settings(node: &Node, times: &Path) -> String {
    let times = times.display();
    let failover = node.automatic_failover().replace(
        "promote_command='",
        &format!("promote_command='echo \"$(date +%s.%N) elected\" >> {times}; "),
    );
    format!("{failover}event_notification_command='echo \"$(date +%%s.%%N) %e\" >> {times}'\n")
}

fn set_up(cluster: &Cluster) {
    step("node1: initdb, start, repmgr primary register");
    cluster.primary_up("");
    for id in 2..=3 {
        step(&format!(
            "node{id}: repmgr standby clone, start, repmgr standby register"
        ));
        cluster.standby_up(id);
    }
    print!("{}", cluster.node(1).repmgr_ok(&["cluster", "show", "--compact"]));
}

struct Killed {
    at: Instant,
    clock: f64,
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs_f64()
}

/// When the first line with this name was written, in seconds of the clock.
fn recorded(times: &Path, name: &str) -> Option<f64> {
    let text = std::fs::read_to_string(times).ok()?;
    text.lines()
        .find_map(|line| line.strip_suffix(name)?.trim().parse().ok())
}

fn step(text: &str) {
    println!("\n== {text}");
}

/// The line before each line that names a rule is the rule's sentence of reason.
fn print_decisions(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    for pair in lines.windows(2) {
        let named = pair[1].split_once("rule \"").and_then(|(_, rest)| rest.split_once('"'));
        let reason = pair[0].splitn(3, "] ").nth(2);
        if let (Some((rule, _)), Some(reason)) = (named, reason) {
            println!("  {rule:<20} {reason}");
        }
    }
}

/// Asks both standbys every few milliseconds which of them has left recovery, and when.
fn watch_promotion(cluster: &Cluster) -> JoinHandle<(u32, Instant)> {
    let standby = |id: u32| {
        (
            id,
            Conninfo::parse(&cluster.node(id).server.conninfo()).expect("a connection string"),
        )
    };
    let standbys = [standby(2), standby(3)];
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut connections = Vec::new();
            for (id, conninfo) in &standbys {
                let connection = Connection::connect(conninfo, Deadlines::default()).await;
                connections.push((*id, connection.expect("a connection to a standby")));
            }
            let limit = Instant::now() + Duration::from_secs(60);
            while Instant::now() < limit {
                for (id, connection) in &connections {
                    if connection.recovery_state().await.ok() == Some(RecoveryState::Primary) {
                        return (*id, Instant::now());
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("no standby was promoted within a minute");
        })
    })
}

fn print_phase(name: &str, seconds: Option<f64>) {
    match seconds {
        Some(seconds) => println!("  {name:<18} {seconds:>6.2} s"),
        None => println!("  {name:<18} not recorded"),
    }
}

fn leave_running(cluster: &mut Cluster, promoted: u32) {
    cluster.keep();
    let node = cluster.node(promoted);
    println!(
        "\nThe cluster is left running. Talk to it, as the user {}:",
        user::ordinary().2
    );
    println!(
        "  {} -f {} cluster show",
        node.programs.join("repmgr").display(),
        node.config_file.display()
    );
    println!("  psql '{}'", node.server.conninfo());
    println!(
        "Its folder, with a repmgr.conf and the logs of each node: {}",
        cluster.folder.display()
    );
}

/// A client that inserts numbered rows without pause, wherever the primary is.
struct Client {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    writes: Receiver<Instant>,
    thread: JoinHandle<Vec<u64>>,
}

impl Client {
    fn start(cluster: &Cluster) -> Client {
        cluster
            .node(1)
            .server
            .query("CREATE TABLE written (number bigint PRIMARY KEY)");
        let targets: Vec<Conninfo> = cluster
            .nodes
            .iter()
            .map(|node| Conninfo::parse(&node.server.conninfo()).expect("a connection string"))
            .collect();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (sender, writes) = channel();
        let thread = {
            let (stop, count) = (stop.clone(), count.clone());
            std::thread::spawn(move || write_rows(&targets, &stop, &count, &sender))
        };
        Client {
            stop,
            count,
            writes,
            thread,
        }
    }

    fn acknowledged(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How long after `moment` a row was acknowledged again.
    fn first_write_after(&self, moment: Instant) -> Duration {
        let limit = Duration::from_secs(60);
        loop {
            let at = self.writes.recv_timeout(limit).expect("the client writes again");
            // What was under way at the moment itself does not count.
            if at > moment + Duration::from_millis(100) {
                return at - moment;
            }
        }
    }

    fn wrote_since(&self, age: Duration) -> bool {
        let before = self.acknowledged();
        let start = Instant::now();
        while start.elapsed() < age {
            if self.acknowledged() > before {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client")
    }
}

fn write_rows(targets: &[Conninfo], stop: &AtomicBool, count: &AtomicU64, writes: &Sender<Instant>) -> Vec<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let deadlines = Deadlines {
        connect: Duration::from_secs(2),
        query: Duration::from_secs(2),
        ..Deadlines::default()
    };
    let mut acknowledged = Vec::new();
    let mut number: u64 = 0;
    runtime.block_on(async {
        while !stop.load(Ordering::Relaxed) {
            for target in targets {
                let Ok(connection) = Connection::connect(target, deadlines).await else {
                    continue;
                };
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let sql = format!("INSERT INTO public.written VALUES ({number})");
                    if connection.batch(&sql).await.is_err() {
                        break;
                    }
                    acknowledged.push(number);
                    count.fetch_add(1, Ordering::Relaxed);
                    // Nobody may be listening any more.
                    let _ = writes.send(Instant::now());
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    });
    acknowledged
}
