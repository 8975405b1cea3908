//! What the enforcement of the right to write costs, on one server, with it and without it in turn: pgbench's transactions,
//! and bare commits in one session. Ends with 1 if a bare commit costs more by over a hundredth of pgbench's transaction;
//! pgbench's own difference is shown, and is the machine's ups and downs.
//!
//! `cargo bench --bench enforcement`, as root or an ordinary user. `BENCH_ROUNDS` is the number of pairs (10),
//! `BENCH_SECONDS` the length of a run of pgbench (5).

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::server::Server;
use support::{eventually, stage, user};

/// The most that a commit may cost more, as a part of a transaction of pgbench.
const GOAL: f64 = 0.01;

/// Bare commits of a run.
const COMMITS: f64 = 50_000.0;

const CLIENTS: f64 = 4.0;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn main() {
    let (rounds, length) = (number("BENCH_ROUNDS", 10), number("BENCH_SECONDS", 5));
    let folder = std::env::temp_dir().join(format!("repmgr-oxide-bench-enforcement-{}", std::process::id()));
    user::folder(&folder);
    let server = Server::new(&folder.join("server"), stage::stage());
    // Without fsync, which the tests leave out, so that nothing hides what a commit costs the processor.
    server.initialise("shared_preload_libraries = 'repmgr'\nmax_wal_size = 4GB\nsynchronous_commit = off");
    server.start();
    server
        .try_query_in("postgres", "CREATE DATABASE repmgr")
        .expect("the database");
    server.query("CREATE EXTENSION repmgr_write_right");
    pgbench(&server, &["-i", "-q", "-s", "10"]);

    let done = AtomicBool::new(false);
    let pairs = std::thread::scope(|scope| {
        // What the daemon does.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                server.query(
                    "SELECT repmgr_write_right.hold_until(boottime_ms + 20000, server, '1.1.1') \
                     FROM repmgr_write_right.status()",
                );
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        // The first run fills the caches.
        measure(&server, false, length);
        let pairs: Vec<Pair> = (0..rounds).map(|round| pair(&server, round % 2 == 0, length)).collect();
        done.store(true, Ordering::Relaxed);
        pairs
    });
    drop(server);
    let _ = std::fs::remove_dir_all(folder);

    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|pair| pair.with.pgbench / pair.without.pgbench)
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "\npgbench, with / without: median {:.3}, from {:.3} to {:.3}",
        ratios[ratios.len() / 2],
        ratios[0],
        ratios[ratios.len() - 1]
    );
    // What disturbs a run only ever makes it longer.
    let least = |time: fn(&Pair) -> f64| pairs.iter().map(time).fold(f64::INFINITY, f64::min);
    let transaction = least(|pair| pair.without.pgbench);
    let (with, without) = (least(|pair| pair.with.commit), least(|pair| pair.without.commit));
    let part = (with - without) / transaction;
    println!("a bare commit, at least: {with:.3} us with, {without:.3} us without");
    println!(
        "what it costs more: {:.3}% of a transaction of pgbench, goal {:.0}%",
        part * 100.0,
        GOAL * 100.0
    );
    if part > GOAL {
        println!("MISSED");
        std::process::exit(1);
    }
}

/// What things took, in microseconds.
struct Run {
    /// A transaction of pgbench.
    pgbench: f64,
    /// A bare commit.
    commit: f64,
}

struct Pair {
    with: Run,
    without: Run,
}

fn pair(server: &Server, on_first: bool, length: usize) -> Pair {
    let first = measure(server, on_first, length);
    let second = measure(server, !on_first, length);
    let (with, without) = if on_first { (first, second) } else { (second, first) };
    println!(
        "pgbench: {:.1} us with, {:.1} us without; commit: {:.3} us with, {:.3} us without",
        with.pgbench, without.pgbench, with.commit, without.commit
    );
    Pair { with, without }
}

fn measure(server: &Server, on: bool, length: usize) -> Run {
    switch(server, on);
    let seconds = length.to_string();
    let said = pgbench(
        server,
        &["-n", "-N", "-c", "4", "-j", "2", "-M", "prepared", "-T", &seconds],
    );
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|line| line.split(' ').next()).expect("a rate");
    let rate: f64 = rate.parse().expect("a number");
    let start = Instant::now();
    server.query(&format!(
        "DO $$ BEGIN FOR i IN 1..{COMMITS} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
    ));
    Run {
        pgbench: 1e6 * CLIENTS / rate,
        commit: start.elapsed().as_secs_f64() * 1e6 / COMMITS,
    }
}

fn switch(server: &Server, on: bool) {
    let word = if on { "on" } else { "off" };
    server.query(&format!("ALTER SYSTEM SET repmgr.require_write_right = {word}"));
    server.query("SELECT pg_reload_conf()");
    eventually("the setting is in force", || {
        let is = server.query("SELECT enforcement_on FROM repmgr_write_right.status()");
        ((is == "t") == on).then_some(())
    });
}

fn pgbench(server: &Server, arguments: &[&str]) -> String {
    let mut command = server.command(server.stage.bindir.join("pgbench"));
    command.args(arguments).arg("-h").arg(&server.folder);
    command.args(["-p", &server.port.to_string(), "-U", "postgres", "repmgr"]);
    let output = command.output().expect("pgbench");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}
