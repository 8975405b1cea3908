//! How the time and the memory of `cluster show` grow with the number of nodes.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::commands::compare;
use crate::comparison::{Comparison, Goal};
use crate::support::eventually;
use crate::support::hosts::Hosts;

const NODES: [u32; 4] = [3, 10, 30, 50];
const SHOW: [&str; 2] = ["cluster", "show"];

/// Ids of the nodes that are only recorded.
const RECORDED: u32 = 100;

/// More records until there are `count`, all with the address of one of the nodes.
fn record(hosts: &Hosts, count: u32, address: u32) {
    let primary = crate::daemons::primary(hosts);
    let server = &hosts.node(primary).server;
    server.query(&format!("DELETE FROM repmgr.nodes WHERE node_id > {RECORDED}"));
    server.query(&format!(
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         SELECT id, {primary}, 'more' || id, 'standby', '{}', 'repmgr', '/etc/repmgr.conf' \
         FROM generate_series({RECORDED} + 1, {RECORDED} + {count} - 3) AS id",
        hosts.node(address).server.conninfo()
    ));
    let known = "SELECT count(*) FROM repmgr.nodes";
    eventually("node 1 knows the records", || {
        (hosts.node(1).server.query(known) == count.to_string()).then_some(())
    });
}

fn forget(bench: &Bench) {
    for hosts in [&bench.ours, &bench.original] {
        record(hosts, 3, 1);
    }
}

/// All nodes answer.
pub fn with_live_nodes(bench: &mut Bench) {
    for count in NODES {
        for hosts in [&bench.ours, &bench.original] {
            record(hosts, count, 2);
        }
        let title = format!("cluster show of {count} nodes");
        let rounds = bench.rounds;
        compare(bench, &title, Goal::Part(0.5), rounds, &SHOW, &[0, 25]);
    }
    forget(bench);
}

/// All but the first two are silent, as node 3 is. The original would need a connect timeout for each.
pub fn with_silent_nodes(bench: &mut Bench, limit: Goal) {
    for count in NODES {
        record(&bench.ours, count, 3);
        let mut time = Comparison::new(
            format!("cluster show of {count} nodes, {} of them silent", count - 2),
            limit,
        );
        let mut memory = Comparison::new("  its memory (MiB)", Goal::Limit(64.0));
        for _ in 0..bench.rounds.min(3) {
            let (took, peak) = show(&bench.ours);
            time.ours.push(took);
            memory.ours.push(peak);
        }
        bench.add(time);
        bench.add(memory);
    }
    forget(bench);
}

/// Seconds, and the most memory that was resident, in MiB.
fn show(hosts: &Hosts) -> (f64, f64) {
    let node = hosts.node(1);
    let begin = Instant::now();
    let mut child = hosts
        .command(1, node.programs.join("repmgr"))
        .arg("-f")
        .arg(&node.config_file)
        .args(SHOW)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("repmgr");
    let mut peak = 0.0_f64;
    while child.try_wait().expect("its status").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        peak = peak.max(kibibytes.unwrap_or_default() / 1024.0);
        std::thread::sleep(Duration::from_millis(10));
    }
    (begin.elapsed().as_secs_f64(), peak)
}
