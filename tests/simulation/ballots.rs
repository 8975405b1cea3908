//! An election that was won, judged again from the records, the settings and the answers of that turn alone.

use std::cmp::Reverse;

use repmgr::failover::{Answer, CommandEnd, Finished, Node, Observation, Rule, Seen, State};
use repmgr::types::{NodeId, NodeType, RecoveryState};

use crate::world::World;

/// What the siblings of the winner are in its eyes.
struct Sibling<'a> {
    node: &'a Node,
    seen: &'a Seen,
}

/// The siblings that were reached, and how many there are.
fn visible<'a>(state: &'a State, seen: &'a Observation, upstream: NodeId) -> (Vec<Sibling<'a>>, usize) {
    let ids = state.siblings(upstream);
    let reached = ids.iter().filter_map(|id| {
        let seen = seen.of(*id).filter(|seen| seen.reached.is_ok())?;
        let node = state.node(*id)?;
        Some(Sibling { node, seen })
    });
    (reached.collect(), ids.len())
}

/// Checks what a winner must have seen.
pub fn check_victory(world: &mut World, host: usize, before: &State, seen: &Observation, next: &State, label: &str) {
    let (Some(upstream), Some(own)) = (next.upstream, next.node(next.own)) else {
        return world.fail(format!("{label}: no upstream or no own record"));
    };
    let Some(lost) = next.node(upstream) else {
        return world.fail(format!("{label}: no record of the lost primary"));
    };
    let settings = world.hosts[host].settings.clone();
    let (siblings, count) = visible(next, seen, upstream);
    if count > 0 {
        world.premise("siblings are counted for a majority");
        if (siblings.len() + 1) * 2 <= count + 1 {
            world.fail(format!(
                "{label}: {} of {} are no majority",
                siblings.len() + 1,
                count + 1
            ));
        }
    }
    if own.location != lost.location {
        world.premise("a winner is elsewhere than the lost primary");
        if !siblings.iter().any(|sibling| sibling.node.location == lost.location) {
            world.fail(format!("{label}: nobody of the lost primary's location is visible"));
        }
    }
    // Where a promotion needs the right to write, it is granted in that one's place alone.
    if before.in_place_of().is_some() && world.lease.is_none() {
        world.fail(format!("{label}: votes although it never saw the primary"));
    }
    if settings.visibility_consensus && count > 0 {
        world.premise("a winner asks who still sees the primary");
        let sees = |sibling: &&Sibling| {
            sibling.seen.daemon_registered == Answer::Yes
                && (sibling.seen.recovery == RecoveryState::Standby || sibling.node.node_type == NodeType::Witness)
                && sibling.seen.upstream == Some(upstream)
                && sibling
                    .seen
                    .upstream_last_seen
                    .is_some_and(|age| age < settings.visibility_window())
        };
        if let Some(sibling) = siblings.iter().find(sees) {
            world.fail(format!("{label}: node {} still sees the primary", sibling.node.id));
        }
    }
    if let (Some(age), Some(since)) = (seen.local.wal_message_age, before.lost_at) {
        world.premise("a winner has a WAL receiver");
        if age < settings.visibility_window() && age < seen.now.saturating_sub(since) {
            world.fail(format!("{label}: the primary still sends WAL"));
        }
    }
    check_rank(world, host, &siblings, own, seen, next, label);
}

fn check_rank(
    world: &mut World,
    host: usize,
    siblings: &[Sibling],
    own: &Node,
    seen: &Observation,
    next: &State,
    label: &str,
) {
    let position = seen.local.receive_lsn.map_or(0, |lsn| lsn.0);
    let settle = world.hosts[host].settings.settle.as_millis() as u64;
    for Sibling { node, seen } in siblings {
        let rank = (seen.receive_lsn.map_or(0, |lsn| lsn.0), node.priority, Reverse(node.id));
        let candidate = seen.daemon_registered == Answer::Yes
            && seen.recovery == RecoveryState::Standby
            && node.node_type != NodeType::Witness
            && node.priority > 0;
        if !candidate || rank < (position, own.priority, Reverse(own.id)) {
            continue;
        }
        let able = seen.daemon_running != Answer::No
            && seen.daemon_paused != Answer::Yes
            && !next.passed_over.contains(&node.id);
        if able {
            world.fail(format!("{label}: node {} is better", node.id));
            continue;
        }
        world.premise("a better node is overtaken");
        // An original does not hold back when it is told; its daemon may have been seen, and killed since then.
        if world
            .host_of(node.id)
            .is_some_and(|host| world.hosts[host].runs_original)
        {
            continue;
        }
        let told = world.hosts[host].told.get(&node.id);
        if told.is_none_or(|told| world.now < told + settle - 1) {
            world.fail(format!("{label}: node {} was not told in time to hold back", node.id));
        }
    }
}

/// What has to have gone before a promotion.
pub fn check_validation(world: &mut World, host: usize, rule: Rule, seen: &Observation, label: &str) {
    if rule == Rule::ElectionWon && world.hosts[host].settings.validate {
        world.fail(format!("{label}: promotes without the validation"));
    }
    if rule == Rule::ValidationPassed {
        world.premise("a promotion is validated");
        if !seen.finished.contains(&Finished::Validation(CommandEnd::Exited(0))) {
            world.fail(format!("{label}: promotes although the validation did not agree"));
        }
    }
}

/// An election that follows the attempts begins when all of them, for as long as they take, found the primary down.
pub fn check_attempts(world: &mut World, host: usize, next: &State, label: &str) {
    let settings = &world.hosts[host].settings;
    let (count, time) = (settings.reconnect_attempts.max(1), settings.reconnect_time());
    world.premise("an election follows the attempts");
    if !next.attempts.found_down(count, time) {
        world.fail(format!("{label}: {count} attempts take {} s", time.as_secs()));
    }
}

/// Only a primary that was seen is followed.
pub fn check_target(world: &mut World, target: NodeId, seen: &Observation, label: &str) {
    world.premise("a node is to follow");
    if seen.of(target).map(|seen| seen.recovery) != Some(RecoveryState::Primary) {
        world.fail(format!("{label}: node {target} has not shown that it is a primary"));
    }
}
