//! The invariants, looked at after each step with the true time.

use repmgr::write_right::{Action, Rule, State};
use repmgr_write_right::{Record, Request, Verdict, VoterList};

use crate::host::Role;
use crate::world::World;

/// What the invariants had to hold.
pub const PREMISES: &[&str] = &[
    "1: a node came to hold the right",
    "1: a holder was extended",
    "1: the right went from one node to another",
    "2: a commit was acknowledged",
    "2: a commit was acknowledged by what a crashed server left",
    "3: a promotion began",
    "4: a voter's epoch rose",
    "4: a voter's list rose",
    "5: a payload was chosen",
    "5: a new holder took over a payload",
    "6: a changed voter list counted",
    "6: a forced voter list counted",
    "a question to a voter with another node's lease",
    "a ballot was released",
    "a lost record was relearnt",
    "one that was given up was told so",
];

fn fail(world: &mut World, what: String) {
    world.say(|| format!("BROKEN: {what}"));
    world.failures.push(what);
}

/// Invariant 1: between "majority accepted" and "holder's own end" no other node is in that state.
pub fn after_step(world: &mut World) {
    let now = world.now;
    let holders: Vec<i32> = world
        .hosts
        .iter()
        .filter(|host| host.on && (host.holds(now) || host.may_write(now)))
        .map(|host| host.id)
        .collect();
    if holders.len() > 1 {
        fail(world, format!("1: nodes {holders:?} have the right at the same time"));
    }
}

fn overlap(one: &[i32], other: &[i32]) -> bool {
    // Every majority of the one with every majority of the other: two of them miss each other if the smallest ones fit
    // beside each other into all nodes, each taking first what only it has.
    let common = one.iter().filter(|node| other.contains(node)).count();
    let needed = |list: &[i32]| (list.len() / 2 + 1).saturating_sub(list.len() - common);
    needed(one) + needed(other) > common
}

fn list_counts(world: &mut World, list: &VoterList, forced: bool) {
    let version = list.version;
    if let Some(before) = world.lists.get(&(version - 1)) {
        let has = |node: &&i32| world.hosts[**node as usize - 1].list_accepted >= version;
        let majority = |list: &[i32]| list.iter().filter(has).count() * 2 > list.len();
        if !majority(before) || !majority(&list.voters) {
            let what = format!("6: voter list {version} counts without a majority of both");
            return fail(world, what);
        }
    }
    if let Some(voters) = world.lists.get(&version)
        && *voters != list.voters
    {
        let what = format!("6: voter list {version} is {:?} and {voters:?}", list.voters);
        return fail(world, what);
    }
    if list.version < world.chosen_list.version {
        let what = format!("4: voter list {version} counts after {}", world.chosen_list.version);
        return fail(world, what);
    }
    if !forced && let Some(before) = world.lists.get(&(version - 1)).cloned() {
        world.premise("6: a changed voter list counted");
        let before = &before;
        if !overlap(before, &list.voters) {
            fail(
                world,
                format!("6: majorities of {before:?} and {:?} need not overlap", list.voters),
            );
        }
    } else if !forced && version != world.chosen_list.version {
        fail(world, format!("6: voter list {version} counts, and none before it did"));
    }
    world.lists.insert(version, list.voters.clone());
    world.chosen_list = list.clone();
}

pub fn after_turn(world: &mut World, node: usize, before: &State, rule: Rule, actions: &[Action]) {
    let now = world.now;
    let Some(state) = world.hosts[node].daemon.as_ref().map(|daemon| daemon.state.clone()) else {
        return;
    };
    if state.epoch < before.epoch || state.list.version < before.list.version {
        fail(
            world,
            format!("4: a daemon of node {} saw epoch or list fall", node + 1),
        );
    }
    if let Some(held) = &state.held {
        let until = world.hosts[node].true_time(held.until);
        let clock = world.hosts[node].clock(now);
        if until > world.hosts[node].right_until {
            world.hosts[node].right_until = until;
            world.premise("1: a holder was extended");
        }
        let anew = matches!(rule, Rule::Acquired | Rule::AcquiredAnew | Rule::Forced);
        if anew {
            if clock >= held.until {
                fail(
                    world,
                    format!("3: node {} acquired a right that had ended already", node + 1),
                );
            }
            let (chosen, payload) = (world.chosen_payload.clone(), &held.payload);
            let lost = payload.version < chosen.version || (payload.version == chosen.version && *payload != chosen);
            if lost && rule != Rule::Forced {
                fail(
                    world,
                    format!(
                        "5: node {} goes by payload {payload}, and {chosen} was chosen",
                        node + 1
                    ),
                );
            }
            if state.list.is_settled() {
                // Its change may have been over before anybody could say so.
                world
                    .lists
                    .entry(state.list.version)
                    .or_insert_with(|| state.list.voters.clone());
            }
            if chosen.version > 0 {
                world.premise("5: a new holder took over a payload");
            }
            if state.list.version < world.chosen_list.version && rule != Rule::Forced {
                let (list, chosen) = (&state.list, &world.chosen_list);
                let what = format!("4: node {} goes by voter list {list}, and {chosen} counts", node + 1);
                fail(world, what);
            }
        }
    }
    for action in actions {
        match action {
            Action::Acquired { epoch, previous } => {
                world.premise("1: a node came to hold the right");
                if previous.is_some_and(|previous| previous != node as i32 + 1) {
                    world.premise("1: the right went from one node to another");
                }
                if epoch.0 <= world.last_epoch {
                    let last = world.last_epoch;
                    fail(
                        world,
                        format!("4: node {} holds in epoch {epoch} after {last}", node + 1),
                    );
                }
                world.last_epoch = epoch.0;
            }
            Action::PayloadChosen { payload } => {
                world.premise("5: a payload was chosen");
                world.chosen_payload = payload.clone();
            }
            Action::VotersChanged { .. } => list_counts(world, &state.list, false),
            Action::Forced { .. } => {
                world.premise("6: a forced voter list counted");
                if world.hosts[node].role == Role::Primary {
                    // By a person's order: nobody who is left knows that it was overtaken, if it was.
                    world.primary = node;
                }
                // What only those knew who were given up is lost with them.
                world.chosen_payload = state.held.as_ref().map(|held| held.payload.clone()).unwrap_or_default();
                list_counts(world, &state.list, true);
            }
            _ => {}
        }
    }
    if rule == Rule::NotAVoter && state.list.given_up.contains(&(node as i32 + 1)) {
        world.premise("one that was given up was told so");
    }
}

pub fn after_answer(world: &mut World, voter: usize, before: &Record, request: &Request, verdict: Verdict) {
    let clock = world.hosts[voter].clock(world.now);
    let Some(server) = &world.hosts[voter].server else {
        return;
    };
    let after = server.record.clone();
    if let Some(durable) = &after.durable {
        let seen = (durable.known.epoch.0, durable.known.list.version);
        let observed = world.hosts[voter].observed;
        if seen.0 < observed.0 || seen.1 < observed.1 {
            fail(
                world,
                format!("4: voter {} saw epoch and list {seen:?} after {observed:?}", voter + 1),
            );
        }
        if durable.known.list.rank() > world.newest_list.rank() {
            world.newest_list = durable.known.list.clone();
        }
        if seen.0 > observed.0 {
            world.premise("4: a voter's epoch rose");
        }
        if seen.1 > observed.1 {
            world.premise("4: a voter's list rose");
        }
        world.hosts[voter].observed = seen;
        world.hosts[voter].list_accepted = world.hosts[voter].list_accepted.max(seen.1);
        let accepted = (durable.known.accepted, durable.known.payload.version);
        let before = world.hosts[voter].accepted;
        if accepted < before {
            fail(
                world,
                format!(
                    "4: what voter {} accepted goes back: {accepted:?} after {before:?}",
                    voter + 1
                ),
            );
        }
        world.hosts[voter].accepted = accepted;
    }
    let asker = match request {
        Request::Prepare { ballot, .. } | Request::Release { ballot } => Some(ballot.node),
        _ => None,
    };
    if let (Some(running), Some(asker)) = (before.running(clock), asker)
        && running.node != asker
    {
        world.premise("a question to a voter with another node's lease");
        if after.durable != before.durable {
            fail(
                world,
                format!(
                    "voter {} let node {asker} change what it grants to {running}",
                    voter + 1
                ),
            );
        }
    }
    word(world, voter, request, verdict);
    match (request, verdict) {
        (Request::Release { ballot }, Verdict::Released) => {
            world.premise("a ballot was released");
            world.hosts[voter].released.push(*ballot);
        }
        (Request::Accept(proposal), Verdict::Accepted) if world.hosts[voter].released.contains(&proposal.ballot) => {
            let ballot = proposal.ballot;
            fail(
                world,
                format!("voter {} grants ballot {ballot}, which was released there", voter + 1),
            );
        }
        (Request::Relearn { .. }, Verdict::Relearnt) => world.premise("a lost record was relearnt"),
        _ => {}
    }
}

/// What invariant 1 rests on: whoever granted a lease promises and grants no other before it ended or was given back.
fn word(world: &mut World, voter: usize, request: &Request, verdict: Verdict) {
    let (now, granted) = (world.now, world.hosts[voter].granted);
    let (ballot, length) = match (request, verdict) {
        (Request::Prepare { ballot, .. }, Verdict::Promised) => (*ballot, None),
        (Request::Accept(proposal), Verdict::Accepted) => (proposal.ballot, Some(proposal.length)),
        (Request::Release { ballot }, Verdict::Released) => {
            world.hosts[voter].granted = granted.filter(|(own, _)| own > ballot || own.node != ballot.node);
            return;
        }
        _ => return,
    };
    if let Some((own, until)) = granted
        && own.node != ballot.node
        && now < until
    {
        let left = (until - now) / 1_000;
        let what = format!(
            "voter {} is for {ballot}, and its lease to {own} lasts {left} ms longer",
            voter + 1
        );
        return fail(world, what);
    }
    if let Some(length) = length {
        // The holder subtracts a fifth, and its clock is a tenth slower at most.
        let until = now + length * 888;
        let before = granted
            .filter(|(own, _)| own.node == ballot.node)
            .map_or(0, |(_, until)| until);
        world.hosts[voter].granted = Some((ballot, until.max(before)));
    }
}

/// Whether the only voter of the newest list, or the only one before it, has lost its record: nobody else can know what
/// it was, and somebody has to be given up.
pub fn needs_a_person(world: &World) -> bool {
    let lost = |node: i32| world.hosts[node as usize - 1].lost;
    let alone = |voters: &[i32]| matches!(voters, [only] if lost(*only));
    alone(&world.newest_list.voters) || alone(&world.newest_list.before)
}

/// The node tells the voters that its right has ended.
pub fn released(world: &mut World, node: usize) {
    world.hosts[node].right_until = world.now;
}

/// Invariant 2: no server acknowledges a writing transaction outside its own interval.
pub fn acknowledged(world: &mut World, node: usize) {
    world.premise("2: a commit was acknowledged");
    if world.hosts[node].orphans.is_some() {
        world.premise("2: a commit was acknowledged by what a crashed server left");
    }
    if world.healed {
        world.first_after_healing = Some(world.now);
    }
    if world.primary != node {
        let last = world.primary + 1;
        let what = format!(
            "2: node {} acknowledged a commit on data that node {last} has overtaken",
            node + 1
        );
        fail(world, what);
    }
    if world.now >= world.hosts[node].right_until {
        fail(
            world,
            format!("2: node {} acknowledged a commit outside its interval", node + 1),
        );
    }
}

/// Invariant 3: a promotion begins only inside the promoting node's interval.
pub fn promoted(world: &mut World, node: usize) {
    world.premise("3: a promotion began");
    world.primary = node;
    if world.now >= world.hosts[node].right_until {
        fail(world, format!("3: node {} was promoted outside its interval", node + 1));
    }
}
