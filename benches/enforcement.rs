//! What the enforcement of the right to write costs: pgbench on one server, with it and without it in turn. Prints the
//! ratio; ends with 1 if it costs more than what the runs differ by anyway.
//!
//! `cargo bench --bench enforcement`, as root or an ordinary user. `BENCH_ROUNDS` is the number of pairs (10),
//! `BENCH_SECONDS` the length of a run (5).

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::server::Server;
use support::{eventually, stage, user};

/// The most that the median of the ratios may be.
const GOAL: f64 = 1.03;

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
    let ratios = std::thread::scope(|scope| {
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
        let ratios = measure(&server, rounds, length);
        done.store(true, Ordering::Relaxed);
        ratios
    });
    drop(server);
    let _ = std::fs::remove_dir_all(folder);

    let median = ratios[ratios.len() / 2];
    println!(
        "\ntime of a transaction with enforcement, divided by that without: median {median:.3}, from {:.3} to {:.3}, goal {GOAL}",
        ratios[0],
        ratios[ratios.len() - 1]
    );
    if median > GOAL {
        println!("MISSED");
        std::process::exit(1);
    }
}

/// The ratio of each pair, ascending. Which one of a pair is first changes, as the second finds more in its caches.
fn measure(server: &Server, rounds: usize, length: usize) -> Vec<f64> {
    let seconds = length.to_string();
    let run = |on: bool| {
        switch(server, on);
        let said = pgbench(
            server,
            &["-n", "-N", "-c", "4", "-j", "2", "-M", "prepared", "-T", &seconds],
        );
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .expect("a rate");
        let rate: f64 = line.split(' ').next().expect("a rate").parse().expect("a number");
        1e6 * CLIENTS / rate
    };
    run(false);
    let mut ratios: Vec<f64> = (0..rounds)
        .map(|round| {
            let first = run(round % 2 == 0);
            let second = run(round % 2 == 1);
            let (with, without) = if round % 2 == 0 {
                (first, second)
            } else {
                (second, first)
            };
            println!(
                "with {with:.1} us, without {without:.1} us, ratio {:.3}",
                with / without
            );
            with / without
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios
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
