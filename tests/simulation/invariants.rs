//! What must hold after every step, judged from outside the core.

use std::rc::Rc;

use repmgr::failover::{
    Action, ConnectFailure, Decision, Mode, Observation, PrimaryPhase, Probe, ProbeEnd, Right, Rule, State, Verdict,
    verdict,
};
use repmgr::types::{NodeType, RecoveryState};

use crate::ballots;
use crate::daemon::Decided;
use crate::world::{Promotion, World};

/// What each invariant speaks of. A run in which one of them never came up has shown nothing about it.
pub const PREMISES: &[&str] = &[
    "a decision is in the table",
    "a transitional state lasts",
    "a node is to be promoted",
    "siblings are counted for a majority",
    "a winner is elsewhere than the lost primary",
    "a winner asks who still sees the primary",
    "a winner has a WAL receiver",
    "a better node is overtaken",
    "a promotion is validated",
    "an election follows the attempts",
    "a node is to follow",
    "a promotion is claimed",
    "a second promotion from one timeline",
    "one of ours is promoted in a mixed cluster",
    "an original is promoted in a mixed cluster",
    "the lost primary alone is replaced by the best",
    "the lost primary of a mixed cluster is replaced",
    "a healed cluster is well",
    "nobody is promoted without the right to write",
    "who never saw the primary is promoted in its place alone",
];

/// Longer than any transitional state may last with the settings of the simulation.
const LONGEST_TRANSITION: u64 = 180_000;

/// Checks one decision of one daemon.
pub fn check_decision(world: &mut World, host: usize, before: &State, seen: &Observation, decision: &Decision) {
    let rule = decision.rule;
    world.premise("a decision is in the table");
    let label = format!("node {} {}: {}", host + 1, rule.name(), decision.reason);
    let listed = |list: &str, name: &str| list.split(", ").any(|entry| entry == name);
    if !listed(rule.from(), before.name()) {
        world.fail(format!(
            "{label}: the table does not have it in state {}",
            before.name()
        ));
    }
    let same = before.name() == decision.next.name();
    if !(listed(rule.to(), decision.next.name()) || same && listed(rule.to(), "same")) {
        world.fail(format!(
            "{label}: the table does not have it lead from {} to {}",
            before.name(),
            decision.next.name()
        ));
    }
    if decision.reason.is_empty() {
        world.fail(format!("{label}: no reason"));
    }

    if same && !resting(decision) {
        world.premise("a transitional state lasts");
    }
    let now = world.now;
    if let Some(daemon) = &mut world.hosts[host].daemon {
        let second = now / 1000;
        daemon.busy = if daemon.busy.0 == second {
            (second, daemon.busy.1 + 1)
        } else {
            (second, 1)
        };
        let (turns, since) = (daemon.busy.1, daemon.in_state_since);
        if turns > 40 {
            world.fail(format!("{label}: {turns} turns within one second"));
        }
        if same && !resting(decision) && now - since > LONGEST_TRANSITION {
            world.fail(format!(
                "{label}: in state {} for {} s",
                before.name(),
                (now - since) / 1000
            ));
        }
    }

    let promotes = decision.actions.contains(&Action::RunPromoteCommand);
    if promotes || rule == Rule::ElectionWon {
        check_right_to_promote(world, host, before, seen, decision, &label);
    }
    if rule == Rule::ElectionWon {
        ballots::check_victory(world, host, before, seen, &decision.next, &label);
        let records = Rc::clone(&world.hosts[host].server.metadata);
        world.hosts[host].decided = Some(Decided {
            at: now,
            lost: before.lost_at.map_or(now, |at| at.as_millis() as u64),
            upstream: before.upstream,
            records,
        });
    }
    if rule == Rule::ToldToPromote {
        world.hosts[host].decided = None;
    }
    let exits = decision.actions.iter().any(|action| matches!(action, Action::Exit(_)));
    if exits && !matches!(rule, Rule::NotRegistered | Rule::DegradedTooLong) {
        world.fail(format!("{label}: ends"));
    }
    if matches!(before.name(), "normal" | "primary: normal") {
        world.hosts[host].told.clear();
    }
    if promotes && world.lease.is_some() {
        world.premise("nobody is promoted without the right to write");
        if seen.right != Right::Held {
            world.fail(format!("{label}: promotes without the right to write"));
        }
        if let Some(place) = before.in_place_of() {
            world.premise("who never saw the primary is promoted in its place alone");
            if !world.came_after(host, place) {
                world.fail(format!(
                    "{label}: promotes in the place of node {place}, which was not the last"
                ));
            }
        }
    }
    if promotes {
        ballots::check_validation(world, host, rule, seen, &label);
    }
    if rule == Rule::ElectionBegins && before.name() == "reconnecting" {
        ballots::check_attempts(world, host, &decision.next, &label);
    }
    let target = decision.actions.iter().find_map(|action| match action {
        Action::RunFollowCommand(target) => Some(*target),
        _ => None,
    });
    if let Some(target) = target {
        ballots::check_target(world, target, seen, &label);
    }
    let follows = target.is_some();
    if follows
        && (!world.hosts[host].settings.automatic
            || world.hosts[host].server.paused && seen.local.paused != repmgr::failover::Answer::No)
    {
        world.fail(format!("{label}: follows although it is manual or paused"));
    }
    if rule == Rule::Promoted {
        world.premise("a promotion is claimed");
    }
    if matches!(decision.next.mode, Mode::Primary(PrimaryPhase::Normal))
        && rule == Rule::Promoted
        && seen.local.recovery != RecoveryState::Primary
    {
        world.fail(format!("{label}: claims a promotion that the server does not confirm"));
    }
}

fn resting(decision: &Decision) -> bool {
    decision.next.is_degraded()
        || matches!(
            decision.next.name(),
            "normal" | "primary: normal" | "primary: searching" | "starting"
        )
}

fn check_right_to_promote(
    world: &mut World,
    host: usize,
    before: &State,
    seen: &Observation,
    decision: &Decision,
    label: &str,
) {
    world.premise("a node is to be promoted");
    let own = world.hosts[host].id;
    let priority = before.node(own).map_or(0, |node| node.priority);
    if !world.hosts[host].settings.automatic || seen.local.paused != repmgr::failover::Answer::No || priority <= 0 {
        world.fail(format!(
            "{label}: promotes although it is manual, paused or of priority 0"
        ));
    }
    let node_type = before.node(own).map(|node| node.node_type);
    if node_type == Some(NodeType::Witness) {
        world.fail(format!("{label}: promotes a witness"));
    }
    // Told its own id it promotes itself: somebody takes the responsibility.
    if decision.rule == Rule::ToldToPromote {
        return;
    }
    let ended = |end: &&ProbeEnd| Some(end.node) == before.upstream;
    let newest = seen.probes.iter().filter(ended).max_by_key(|end| end.started);
    let newest = newest.map(|end| end.answer);
    let newest = newest.or(before.attempts.last().map(|last| last.answer));
    // Judged here once more: a server that turns a login down is there.
    let turned_down = |failure: &ConnectFailure| {
        matches!(
            failure,
            ConnectFailure::Authentication | ConnectFailure::TooManyConnections
        )
    };
    let there = |answer: &Probe| answer.as_ref().map_or_else(turned_down, |_| true);
    let found_up = |end: &ProbeEnd| verdict(&end.answer) == Verdict::Up;
    if newest.as_ref().is_none_or(there) || seen.probes.iter().filter(ended).any(found_up) {
        let probes = &seen.probes;
        world.fail(format!("{label}: promotes although it saw the primary: {probes:?}"));
    }
}

/// Two servers that left the same timeline by daemons' elections, although the two nodes could see each other
/// all the while and went by the same records.
pub fn check_promotion(world: &mut World, promotion: &Promotion) {
    if world.hosts.iter().any(|host| host.runs_original) {
        world.premise(if promotion.original {
            "an original is promoted in a mixed cluster"
        } else {
            "one of ours is promoted in a mixed cluster"
        });
    }
    let second = |other: &Promotion| other.parent == promotion.parent && other.host != promotion.host;
    if world.promotions.iter().any(second) {
        world.premise("a second promotion from one timeline");
    }
    let clash = world.promotions.iter().find(|other| {
        let since = other.decided.min(promotion.decided).saturating_sub(5000);
        // Who saw the primary alive after the other was decided lost it another time.
        let one_loss = promotion.lost <= other.decided && other.lost <= promotion.decided;
        // A person may have made the first one a standby of another node since then.
        let stays = world.hosts[other.host].server.primary;
        one_loss
            && stays
            && other.parent == promotion.parent
            && other.host != promotion.host
            && world.last_cut[other.host][promotion.host] < since
            && world.last_cut[promotion.host][other.host] < since
            && other.records.nodes == promotion.records.nodes
            && counted(world, other)
            && counted(world, promotion)
            && other.upstream == promotion.upstream
    });
    if let Some(other) = clash.cloned() {
        if promotion.original || other.original {
            return check_mixed_promotion(world, &other, promotion);
        }
        let text = format!(
            "nodes {} (decided at {:.3}) and {} (decided at {:.3}) are both promoted from one timeline and saw each other",
            other.host + 1,
            other.decided as f64 / 1000.0,
            promotion.host + 1,
            promotion.decided as f64 / 1000.0,
        );
        world.fail(text);
    }
}

/// Originals neither announce nor hold back, so two of them, or one and one of ours that decides at the same moment,
/// cannot be kept apart. One of ours must not be promoted beside an original that was the primary already.
fn check_mixed_promotion(world: &mut World, other: &Promotion, promotion: &Promotion) {
    if promotion.original && other.original {
        return world.attribute("two of them were promoted from one timeline");
    }
    let seen = other.promoted < promotion.decided;
    if !promotion.original && seen {
        world.fail(format!(
            "node {} (decided at {:.3}) is promoted beside the original on node {}, a primary since {:.3}",
            promotion.host + 1,
            promotion.decided as f64 / 1000.0,
            other.host + 1,
            other.promoted as f64 / 1000.0,
        ));
    } else if seen {
        world.attribute("one was promoted beside one of ours that was the primary");
    } else {
        world.attribute("one was promoted while one of ours was");
    }
}

/// Whether the others count this node among the voters on the lost primary.
fn counted(world: &World, promotion: &Promotion) -> bool {
    let own = world.hosts[promotion.host].id;
    let mut records = promotion.records.nodes.iter();
    records.any(|node| node.id == own && node.active && node.upstream.is_some() && node.upstream == promotion.upstream)
}
