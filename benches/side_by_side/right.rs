//! What the right to write costs a switchover: ours with daemons, with the right and without it in turn.

use crate::Bench;
use crate::commands::switch_over;
use crate::comparison::{Comparison, Goal};
use crate::support::eventually;
use crate::support::hosts::Hosts;

/// What the medians of equals may differ by.
const NOT_LONGER: Goal = Goal::Part(1.1);
/// The right is given back and acquired while nobody can write: two questions to the voters.
const HARDLY_LONGER: Goal = Goal::Part(1.25);

/// Switchovers there and back, each once with the right and once without.
pub fn switchovers(bench: &mut Bench) {
    let hosts = &mut bench.ours;
    for id in 1..=3 {
        let node = hosts.node_mut(id);
        node.write_config(&(node.automatic_failover() + "write_right=majority\n"));
        node.start_daemon();
    }
    let mut time = Comparison::new("switchover with write_right (second column: without)", NOT_LONGER);
    let mut outage = Comparison::new("  its write outage", HARDLY_LONGER);
    for (to, with) in [(2, true), (1, false), (2, false), (1, true)]
        .into_iter()
        .cycle()
        .take(bench.rounds * 2)
    {
        switch(hosts, with);
        let (took, nobody_wrote) = switch_over(hosts, to);
        if with {
            time.ours.push(took);
            outage.ours.push(nobody_wrote);
        } else {
            time.original.push(took);
            outage.original.push(nobody_wrote);
        }
    }
    switch(hosts, false);
    for id in 1..=3 {
        let node = hosts.node_mut(id);
        node.stop_daemon();
        node.write_config("");
    }
    bench.add(time);
    bench.add(outage);
}

/// Switches the right on or off, once all daemons have come to terms with who is the primary.
fn switch(hosts: &Hosts, on: bool) {
    let verb = if on { "enable" } else { "disable" };
    eventually(&format!("write-right {verb}"), || {
        let output = hosts.node(1).repmgr(&["write-right", verb]);
        output.status.success().then_some(())
    });
}
