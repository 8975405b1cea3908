//! What daemons cost while nothing happens, and how long nobody can write when
//! a primary is lost.

use std::time::{Duration, Instant};

use nix::time::ClockId;
use nix::unistd::Pid;

use crate::Bench;
use crate::commands::measure;
use crate::comparison::{Comparison, Goal};
use crate::support::eventually;
use crate::support::hosts::Hosts;
use crate::writers::Writers;

/// How long nothing happens.
const QUIET: Duration = Duration::from_secs(60);
/// How long the daemons have seen a primary before it is taken from them: one that has only just begun to watch lets the
/// others count it first.
const SETTLED: Duration = Duration::from_secs(10);
/// What a look at a server finds: transactions since its start, connections of others.
const LOOK: &str = "SELECT pg_stat_clear_snapshot(), \
     (SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = 'repmgr') || ' ' || \
     (SELECT count(*) FROM pg_stat_activity WHERE datname = 'repmgr' AND pid <> pg_backend_pid())";

/// What the daemon of a node and its server show at one time.
struct Reading {
    cpu: f64,
    resident: f64,
    transactions: f64,
    connections: f64,
}

impl Reading {
    fn of(hosts: &Hosts, id: u32) -> Reading {
        let pid = hosts.node(id).daemon_pid().expect("a daemon");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its memory");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()).map(number);
        let answer = hosts.node(id).server.query(LOOK);
        let seen: Vec<f64> = answer.trim_start_matches('|').split(' ').map(number).collect();
        Reading {
            cpu: processor_time(pid),
            resident: resident.expect("its memory") / 1024.0,
            transactions: seen[0],
            connections: seen[1],
        }
    }
}

/// Seconds of processor time of a process, those of its ended threads too, by its own clock, exact to the nanosecond
/// (clock_getcpuclockid(3)).
fn processor_time(pid: Pid) -> f64 {
    let clock = ClockId::pid_cpu_clock_id(pid).expect("its clock");
    Duration::from(clock.now().expect("its time")).as_secs_f64()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// All daemons of both run side by side for a minute in which nothing happens.
pub fn standing_by(bench: &mut Bench) {
    start_daemons(bench);
    let ids = [1, 2, 3];
    let read = |hosts: &Hosts| ids.map(|id| Reading::of(hosts, id));
    let begin = Instant::now();
    let before = [read(&bench.ours), read(&bench.original)];
    let mut connections: [[Vec<f64>; 3]; 2] = Default::default();
    while begin.elapsed() < QUIET {
        std::thread::sleep(QUIET / 12);
        for (hosts, seen) in [&bench.ours, &bench.original].into_iter().zip(&mut connections) {
            for (id, seen) in ids.into_iter().zip(seen) {
                seen.push(Reading::of(hosts, id).connections);
            }
        }
    }
    let after = [read(&bench.ours), read(&bench.original)];
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    let leading = primary(&bench.ours);
    assert_eq!(leading, primary(&bench.original), "the same node leads both clusters");
    for (at, id) in ids.into_iter().enumerate() {
        let name = if id == leading { "primary" } else { "standby" };
        let values = |pick: &dyn Fn(&Reading, &Reading) -> f64| {
            [0, 1].map(|side: usize| vec![pick(&before[side][at], &after[side][at])])
        };
        let rows: [(&str, [Vec<f64>; 2]); 4] = [
            (
                "processor time a minute",
                values(&|from, to| (to.cpu - from.cpu) / minutes),
            ),
            ("resident memory (MiB)", values(&|_, to| to.resident)),
            (
                "transactions a minute",
                values(&|from, to| (to.transactions - from.transactions) / minutes),
            ),
            (
                "open connections",
                [connections[0][at].clone(), connections[1][at].clone()],
            ),
        ];
        for (what, [ours, original]) in rows {
            bench.add(Comparison {
                title: format!("daemon of the {name} (node {id}): {what}"),
                goal: Goal::Part(1.0),
                ours,
                original,
            });
        }
    }
}

/// Daemons on all hosts of both, unless they run already.
fn start_daemons(bench: &mut Bench) {
    for hosts in [&mut bench.ours, &mut bench.original] {
        for id in 1..=3 {
            let node = hosts.node_mut(id);
            if node.daemon_pid().is_none() {
                node.write_config(&node.automatic_failover());
                node.start_daemon();
            }
        }
    }
    // What they do when they begin is over when the standbys have seen their upstream.
    let monitors = "SELECT NOT pg_is_in_recovery() OR repmgr.get_upstream_last_seen() >= 0";
    for hosts in [&bench.ours, &bench.original] {
        for node in &hosts.nodes {
            eventually("the daemon monitors", || {
                (node.server.query(monitors) == "t").then_some(())
            });
        }
    }
}

/// The primary's server is killed; then, when that has rejoined, the host of the next primary is switched off.
pub fn lost_primaries(bench: &mut Bench) {
    start_daemons(bench);
    let mut killed = Comparison::new("failover, server killed: write outage", Goal::Limit(3.0));
    let mut switched_off = Comparison::new("failover, host switched off: write outage", Goal::Limit(5.0));
    for (hosts, killed, switched_off) in [
        (&bench.ours, &mut killed.ours, &mut switched_off.ours),
        (&bench.original, &mut killed.original, &mut switched_off.original),
    ] {
        let lost = primary(hosts);
        std::thread::sleep(SETTLED);
        let writers = Writers::start(hosts);
        hosts.node(lost).server.kill();
        killed.push(writers.outage());
        rejoin(hosts, lost);
        std::thread::sleep(SETTLED);
        let writers = Writers::start(hosts);
        hosts.power_off(primary(hosts));
        switched_off.push(writers.outage());
    }
    bench.add(killed);
    bench.add(switched_off);
}

pub fn primary(hosts: &Hosts) -> u32 {
    let is_primary = |id: &u32| {
        hosts
            .node(*id)
            .server
            .try_query("SELECT pg_is_in_recovery()")
            .as_deref()
            == Ok("f")
    };
    (1..=3).find(is_primary).expect("a primary")
}

/// A lost primary becomes a standby of the new one.
fn rejoin(hosts: &Hosts, lost: u32) {
    let new = primary(hosts);
    let server = &hosts.node(new).server;
    eventually("the new primary is recorded", || {
        (hosts.node(new).record_on(server, "type") == "primary").then_some(())
    });
    // Before that pg_rewind takes the new primary for one of the old timeline, and the original believes it.
    server.query("CHECKPOINT");
    let conninfo = server.conninfo();
    let rewind = [
        "node",
        "rejoin",
        "-d",
        &conninfo,
        "--force-rewind",
        "--config-files=postgresql.conf",
    ];
    measure(hosts, lost, &rewind, &[0]);
    for standby in (1..=3).filter(|id| *id != new) {
        hosts.wait_streaming(new, standby);
        // A daemon that has not seen the new primary yet does not vote.
        let sees = "SELECT repmgr.get_upstream_last_seen() >= 0";
        eventually("the daemon sees the new primary", || {
            (hosts.node(standby).server.query(sees) == "t").then_some(())
        });
    }
}
