//! `cluster matrix` and `cluster crosscheck` on hosts: all alive, one dead,
//! one half cut, with originals among them.

mod support;

use std::process::Output;
use std::time::{Duration, Instant};

use support::hosts::{Hosts, POSTGRES, SSH};

const MATRIX: &[&str] = &["cluster", "matrix", "--csv"];
const CROSSCHECK: &[&str] = &["cluster", "crosscheck", "--csv"];

/// Of three nodes, each row as three marks.
fn marks(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut result = String::new();
    let mut ids = (1..=3).flat_map(|from| (1..=3).map(move |to| (from, to)));
    for line in text.lines() {
        let (from, to) = ids.next().expect("nine lines");
        let mark = match line.strip_prefix(&format!("{from},{to},")) {
            Some("0") => '*',
            Some("-1") => 'x',
            Some("-2") => '?',
            _ => panic!("{line:?} of {output:?}"),
        };
        if to == 1 && from > 1 {
            result.push(' ');
        }
        result.push(mark);
    }
    assert_eq!(ids.next(), None, "{output:?}");
    result
}

fn expect(hosts: &Hosts, id: u32, arguments: &[&str], expected: &str, code: i32) -> Output {
    let output = hosts.node(id).repmgr(arguments);
    let found = (marks(&output), output.status.code());
    assert_eq!(
        found,
        (expected.to_owned(), Some(code)),
        "{arguments:?} on node{id}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn all_alive_a_dead_host_and_half_cut_ones() {
    let patience = "ssh_options='-q -o ConnectTimeout=3'\n";
    let Some(hosts) = Hosts::up_with("matrix", 3, "", patience) else {
        return;
    };
    for id in 1..=3 {
        expect(&hosts, id, MATRIX, "*** *** ***", 0);
        expect(&hosts, id, CROSSCHECK, "*** *** ***", 0);
    }
    let table = hosts.node(2).repmgr_ok(&["cluster", "crosscheck"]);
    let expected = [
        " Name  | ID | 1 | 2 | 3\n",
        "-------+----+---+---+---\n",
        " node1 | 1  | * | * | * \n",
        " node2 | 2  | * | * | * \n",
        " node3 | 3  | * | * | * \n",
    ];
    assert_eq!(table, expected.concat());

    // Nobody can connect to the server of node 3; it can to all others, and to itself.
    hosts.drop_port(3, POSTGRES);
    expect(&hosts, 1, MATRIX, "**x **x ???", 25);
    expect(&hosts, 1, CROSSCHECK, "**x **x ***", 25);
    expect(&hosts, 3, CROSSCHECK, "**x **x ***", 25);
    hosts.heal();

    // Nobody can log in to node 3, and all else works.
    hosts.stop_sshd(3);
    expect(&hosts, 1, MATRIX, "*** *** ???", 25);
    let output = expect(&hosts, 1, CROSSCHECK, "*** *** ???", 12);
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("WARNING"),
        "{output:?}"
    );
    let warning = hosts.node(1).repmgr_fails(12, &["cluster", "crosscheck"]);
    assert!(warning.contains("no answer from node \"node3\" (ID: 3)"), "{warning}");
    let terse = hosts.node(1).repmgr_fails(12, &["cluster", "matrix", "--terse"]);
    assert!(!terse.contains("WARNING"), "{terse}");
    hosts.start_sshd(3);

    // Only the one that asks cannot log in to node 3: node 2 does it for it.
    hosts.drop_port_from(1, 3, SSH);
    expect(&hosts, 1, MATRIX, "*** *** ???", 25);
    expect(&hosts, 1, CROSSCHECK, "*** *** ***", 12);
    hosts.heal();

    // The way to node 3 is cut for node 2 alone.
    hosts.cut(2, 3);
    expect(&hosts, 1, MATRIX, "*** **x *x*", 25);
    expect(&hosts, 1, CROSSCHECK, "*** **x *x*", 25);
    // Node 1 tells it what it sees of node 3.
    expect(&hosts, 2, CROSSCHECK, "*** **x *x*", 25);
    hosts.heal();

    // Connections need both ways.
    hosts.cut_one_way(3, 1);
    expect(&hosts, 2, CROSSCHECK, "**x *** x**", 25);
    hosts.heal();

    // Of a host whose server is down, its repmgr can tell nothing.
    hosts.node(3).server.stop("fast");
    expect(&hosts, 1, CROSSCHECK, "**x **x ???", 25);
}

/// Longer than a connect timeout and the half second, by what a busy machine may take. What it takes on an idle one
/// is for the benchmark to say.
const ONE_TIMEOUT: Duration = Duration::from_millis(6000);

#[test]
fn a_host_that_drops_packets_costs_one_connect_timeout() {
    let Some(hosts) = Hosts::up("matrix-dropped", 3) else {
        return;
    };
    hosts.isolate(3);
    for (arguments, expected) in [(MATRIX, "**x **x ???"), (CROSSCHECK, "**x **x ???")] {
        let start = Instant::now();
        expect(&hosts, 1, arguments, expected, 25);
        let elapsed = start.elapsed();
        assert!(elapsed < ONE_TIMEOUT, "{arguments:?} took {elapsed:?}");
        assert!(elapsed > Duration::from_millis(1500), "{arguments:?} took {elapsed:?}");
    }
    hosts.heal();

    // Its server answers, its sshd does not: the limit is that of its connection string, not ssh's ten seconds.
    hosts.drop_port(3, SSH);
    for (arguments, code) in [(MATRIX, 25), (CROSSCHECK, 12)] {
        let start = Instant::now();
        expect(&hosts, 1, arguments, "*** *** ???", code);
        let elapsed = start.elapsed();
        assert!(elapsed < ONE_TIMEOUT, "{arguments:?} took {elapsed:?}");
    }
    // Whoever writes ssh_options decides.
    hosts.node(1).write_config("ssh_options='-o ConnectTimeout=7'");
    let start = Instant::now();
    expect(&hosts, 1, MATRIX, "*** *** ???", 25);
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_secs(7), "it took {elapsed:?}");
}

#[test]
fn originals_and_ours_ask_each_other() {
    let Some(hosts) = Hosts::mixed("matrix-mixed", 3, &[2]) else {
        return;
    };
    hosts.bring_up("shared_preload_libraries = 'repmgr'", "");
    for id in 1..=3 {
        let version = hosts.node(id).repmgr_ok(&["--version"]);
        assert_eq!(version.starts_with("repmgr 5.3"), id == 2, "{version}");
        expect(&hosts, id, MATRIX, "*** *** ***", 0);
        expect(&hosts, id, CROSSCHECK, "*** *** ***", 0);
    }
    hosts.drop_port_from(1, 3, SSH);
    // Here ours asks an original for its matrix.
    expect(&hosts, 1, CROSSCHECK, "*** *** ***", 12);
    hosts.heal();
    hosts.node(3).server.stop("fast");
    for id in [1, 2] {
        expect(&hosts, id, CROSSCHECK, "**x **x ???", 25);
    }
}

#[test]
fn without_a_configuration_every_node_is_asked() {
    let Some(hosts) = Hosts::up("matrix-options", 3) else {
        return;
    };
    let conninfo = hosts.node(2).server.conninfo();
    let run = |more: &[&str]| {
        hosts
            .command(1, hosts.node(1).programs.join("repmgr"))
            .args(["-d", &conninfo, "cluster", "crosscheck", "--csv"])
            .arg(format!("-b{}", hosts.node(1).programs.display()))
            .args(more)
            .output()
            .expect("repmgr")
    };
    let output = run(&[]);
    assert_eq!(marks(&output), "*** *** ***", "{output:?}");
    let output = run(&["--node-id=1"]);
    assert_eq!(marks(&output), "*** *** ***", "{output:?}");
}
