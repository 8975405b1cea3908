//! Detection keeps its word: the time from the loss of the primary to the decision is the one that the daemon
//! announced from its settings, for a server that is killed, one that hangs, and a host that is switched off.
//!
//! The limits here leave room for a busy machine. `DETECTION_EXACT=1` leaves none, and asks for the first write on the
//! new primary within 3 seconds (killed) and 5 (switched off); `DETECTION_ROUNDS=n` measures that many times.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::cluster::Cluster;
use support::hosts::Hosts;
use support::{eventually, within};

/// What a busy machine may add.
const ROOM: Duration = Duration::from_secs(6);

/// How long after its start a daemon holds back with a promotion, and a moment more.
const JUST_BACK: Duration = Duration::from_millis(5500);

fn number(name: &str) -> Option<u32> {
    std::env::var(name).ok()?.parse().ok()
}

fn rounds() -> u32 {
    number("DETECTION_ROUNDS").unwrap_or(1)
}

fn room() -> Duration {
    match number("DETECTION_EXACT") {
        Some(1) => Duration::from_millis(250),
        _ => ROOM,
    }
}

/// A primary and two standbys, all with quick automatic failover, watched by a daemon each.
fn watched(cluster: &mut Cluster) {
    cluster.automatic_up("");
    cluster.node(1).server.query("CREATE TABLE writes (at timestamptz)");
    for id in 2..=3 {
        cluster.wait_streaming(1, id);
    }
    for id in 1..=3 {
        cluster.node_mut(id).start_daemon();
    }
    for id in 2..=3 {
        eventually(&format!("the daemon of node{id} watches node1"), || {
            cluster
                .node(id)
                .daemon_log()
                .contains("a decision within")
                .then_some(())
        });
    }
    // A node that is just back holds back with its promotion, by the clock.
    std::thread::sleep(JUST_BACK);
}

/// What the daemon of a node announced: the number of seconds in front of `words`.
fn announced(cluster: &Cluster, id: u32, words: &str) -> Duration {
    let log = cluster.node(id).daemon_log();
    let line = log.lines().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("node{id} announces \"{words}\":\n{log}"));
    let before = line.split(words).next().expect("what is before");
    let seconds = before.trim_end().trim_end_matches(" s").rsplit([' ', ',']).next();
    let seconds = seconds.and_then(|text| text.parse().ok());
    Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("a number before \"{words}\": {line}")))
}

/// A client that tries to write on both standbys, over their sockets, until one lets it.
struct Writer {
    threads: Vec<std::thread::JoinHandle<Option<Instant>>>,
    end: Arc<AtomicBool>,
}

impl Writer {
    fn at_work(cluster: &Cluster) -> Writer {
        let end = Arc::new(AtomicBool::new(false));
        let threads = [2, 3].map(|id| {
            let server = &cluster.node(id).server;
            let (socket, port, end) = (server.folder.clone(), server.port, Arc::clone(&end));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(first_write(socket, port, &end))
            })
        });
        Writer {
            threads: threads.into(),
            end,
        }
    }

    /// When the first write was confirmed.
    fn first(self) -> Instant {
        within(Duration::from_secs(60), "a write is confirmed", || {
            self.threads.iter().any(|thread| thread.is_finished()).then_some(())
        });
        self.end.store(true, Ordering::Relaxed);
        let first = self
            .threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("a client"));
        first.min().expect("a write")
    }
}

async fn first_write(socket: PathBuf, port: u16, end: &AtomicBool) -> Option<Instant> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket).port(port).user("postgres").dbname("repmgr");
    while !end.load(Ordering::Relaxed) {
        if let Ok((client, connection)) = config.connect(tokio_postgres::NoTls).await {
            let connection = tokio::spawn(connection);
            while !end.load(Ordering::Relaxed) && !connection.is_finished() {
                if client.batch_execute("INSERT INTO writes VALUES (now())").await.is_ok() {
                    return Some(Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// Loses the primary and measures: no decision later than announced, and not without all attempts.
fn measure(cluster: &Cluster, what: &str, words: &str, writes_within: Duration, lose: impl FnOnce()) {
    let bound = announced(cluster, 2, words);
    assert!(announced(cluster, 2, "s if the server hangs") >= bound);
    let writer = Writer::at_work(cluster);
    let begin = Instant::now();
    lose();
    let lost = Instant::now();
    let decided = within(Duration::from_secs(60), "an election is won", || {
        let won = |id| cluster.node(id).daemon_log().contains("rule \"election-won\"");
        (won(2) || won(3)).then(Instant::now)
    });
    let written = writer.first() - begin;
    println!(
        "{what}: decision after {:.2} s of {:.1} s, first write after {:.2} s",
        (decided - begin).as_secs_f64(),
        bound.as_secs_f64(),
        written.as_secs_f64()
    );
    let attempts = Duration::from_secs(2);
    let (soonest, longest) = (decided - begin, decided - lost);
    assert!(
        soonest >= attempts,
        "{what}: decided after {soonest:?}, before all attempts were made"
    );
    assert!(
        longest <= bound + room(),
        "{what}: decided after {longest:?}, announced were {bound:?}"
    );
    assert!(
        written <= writes_within + room(),
        "{what}: the first write after {written:?}"
    );
}

#[test]
fn a_killed_primary_is_replaced_in_the_announced_time() {
    for round in 0..rounds() {
        let mut cluster = Cluster::new(&format!("detection-killed-{round}"), 3);
        watched(&mut cluster);
        let limit = Duration::from_secs(3);
        measure(&cluster, "killed", "s if its host refuses", limit, || {
            cluster.node(1).server.kill();
        });
    }
}

#[test]
fn a_primary_that_hangs_is_replaced_in_the_announced_time() {
    for round in 0..rounds() {
        let mut cluster = Cluster::new(&format!("detection-hangs-{round}"), 3);
        watched(&mut cluster);
        let limit = Duration::from_secs(6);
        measure(&cluster, "frozen", "s if the server hangs", limit, || {
            cluster.node(1).server.freeze();
        });
        cluster.node(1).server.go_on();
    }
}

#[test]
fn a_primary_whose_host_is_switched_off_is_replaced_in_the_announced_time() {
    for round in 0..rounds() {
        let Some(mut hosts) = Hosts::new(&format!("detection-off-{round}"), 3) else {
            return;
        };
        watched(&mut hosts);
        let limit = Duration::from_secs(5);
        measure(&hosts, "switched off", "s if it is silent", limit, || {
            hosts.power_off(1)
        });
    }
}
