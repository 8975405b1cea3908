//! How long commands take.

use crate::comparison::{Comparison, Goal};
use crate::growth;
use crate::support::hosts::Hosts;
use crate::writers::{Writers, micros, seconds};
use crate::{Bench, CONNECT_TIMEOUT};

/// Runs a command on a host with nothing but its own start in the measured time; seconds.
pub fn measure(hosts: &Hosts, id: u32, arguments: &[&str], codes: &[i32]) -> f64 {
    let node = hosts.node(id);
    let script = "from=$EPOCHREALTIME; \"$@\" >\"$0\" 2>&1; code=$?; to=$EPOCHREALTIME; echo $from $to $code";
    let output_file = hosts.host(id).home.join("output");
    let output = hosts
        .command(id, "bash")
        .args(["-c", script])
        .arg(&output_file)
        .arg(node.programs.join("repmgr"))
        .arg("-f")
        .arg(&node.config_file)
        .args(arguments)
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [from, to, code] = words[..] else {
        panic!("{output:?}");
    };
    let code: i32 = code.parse().expect("an exit code");
    let said = std::fs::read_to_string(&output_file).unwrap_or_default();
    assert!(codes.contains(&code), "{arguments:?} ended with {code}:\n{said}");
    seconds(micros(to) - micros(from))
}

const CROSSCHECK: [&str; 2] = ["cluster", "crosscheck"];

/// The commands that only look and have no goal but to be no slower.
const OTHERS_THAT_LOOK: [[&str; 2]; 3] = [["node", "status"], ["service", "status"], ["cluster", "event"]];

/// Measures a command of both in turn.
pub fn compare(bench: &mut Bench, title: &str, goal: Goal, rounds: usize, arguments: &[&str], codes: &[i32]) {
    let mut comparison = Comparison::new(title, goal);
    for _ in 0..rounds {
        comparison.ours.push(measure(&bench.ours, 1, arguments, codes));
        comparison.original.push(measure(&bench.original, 1, arguments, codes));
    }
    bench.add(comparison);
}

/// The commands that only look.
pub fn looking(bench: &mut Bench) {
    // These are over so soon that what else the machine does counts for more.
    let many = bench.rounds * 5;
    compare(bench, "cluster show", Goal::Part(0.5), many, &["cluster", "show"], &[0]);
    compare(bench, "node check", Goal::Part(0.5), many, &["node", "check"], &[0]);
    for verb in OTHERS_THAT_LOOK {
        let rounds = bench.rounds * 2;
        compare(bench, &verb.join(" "), Goal::Part(1.0), rounds, &verb, &[0]);
    }
    let rounds = bench.rounds;
    compare(
        bench,
        "cluster matrix",
        Goal::Part(0.25),
        rounds,
        &["cluster", "matrix"],
        &[0],
    );
    compare(bench, "cluster crosscheck", Goal::Part(0.25), rounds, &CROSSCHECK, &[0]);
}

/// The look at all hosts while one of them drops packets.
pub fn looking_past_a_silent_host(bench: &mut Bench) {
    let rounds = bench.rounds;
    for hosts in [&bench.ours, &bench.original] {
        hosts.isolate(3);
    }
    let limit = Goal::Limit(CONNECT_TIMEOUT.as_secs_f64() + 0.5);
    let rounds = rounds.min(3);
    for verb in [
        ["cluster", "show"],
        ["node", "check"],
        ["cluster", "matrix"],
        CROSSCHECK,
    ]
    .into_iter()
    .chain(OTHERS_THAT_LOOK)
    {
        let title = format!("{}, one host silent", verb.join(" "));
        compare(bench, &title, limit, rounds, &verb, &[0, 25]);
    }
    growth::with_silent_nodes(bench, limit);
    for hosts in [&bench.ours, &bench.original] {
        hosts.heal();
    }
}

/// Switchovers there and back, with a client that writes.
pub fn switchovers(bench: &mut Bench) {
    let mut time = Comparison::new("switchover --siblings-follow", Goal::Part(0.5));
    let mut outage = Comparison::new("  its write outage", Goal::Part(1.0));
    for to in [2, 1].into_iter().cycle().take(bench.rounds.min(3)) {
        let (took, nobody_wrote) = switch_over(&bench.ours, to);
        time.ours.push(took);
        outage.ours.push(nobody_wrote);
        let (took, nobody_wrote) = switch_over(&bench.original, to);
        time.original.push(took);
        outage.original.push(nobody_wrote);
    }
    bench.add(time);
    bench.add(outage);
}

/// Makes a standby the primary; how long that took, and how long nobody could write.
pub fn switch_over(hosts: &Hosts, to: u32) -> (f64, f64) {
    let writers = Writers::start(hosts);
    let time = measure(hosts, to, &["standby", "switchover", "--siblings-follow"], &[0]);
    let outage = writers.outage();
    for standby in (1..=3).filter(|id| *id != to) {
        hosts.wait_streaming(to, standby);
    }
    (time, outage)
}
