//! How it ends: everything is healed, and the cluster has to be well.

use std::rc::Rc;

use repmgr::failover::{Cause, Mode, Node, Phase, PrimaryPhase};
use repmgr::types::NodeType;

use crate::world::{Command, Event, World};

/// Everything works again, and the operator does what operators must: brings back what can be brought back,
/// and has primaries that were overtaken rejoin the latest one.
pub fn heal(world: &mut World) {
    world.log(|| "everything heals".to_owned());
    let lost_for_good = world.random.chance(40);
    world.loss = 0;
    world.calm = true;
    world.events.retain(|_, event| !matches!(event, Event::Fault(_)));
    let kept: Vec<_> = world
        .queue
        .drain()
        .filter(|entry| world.events.contains_key(&entry.0.1))
        .collect();
    world.queue.extend(kept);
    for host in 0..world.hosts.len() {
        for other in 0..world.hosts.len() {
            world.links[host][other] = true;
            world.slow[host][other] = 0;
        }
        let target = &mut world.hosts[host];
        target.promote = Command::Works;
        target.follow = Command::Works;
        target.validation_rejects = false;
        target.refuses = None;
        target.names_fail = false;
        target.server.stalled = false;
        target.server.paused = false;
        target.server.hung = false;
        target.frozen_until = target.frozen_until.min(world.now);
        let primary = world.hosts[host].server.primary && !world.hosts[host].server.witness;
        let down = !world.hosts[host].server.up || world.hosts[host].server.host_down;
        if down && primary && lost_for_good {
            world.hosts[host].server.destroyed = true;
        }
        if down && !world.hosts[host].server.destroyed {
            world.server_up(host);
        } else if world.generation(host).is_none() {
            world.at(1000, Event::DaemonUp { host });
        }
    }
    rejoin_strays(world);
}

/// What is out of recovery beside the latest primary is made its standby, and so is what cannot follow it.
pub fn rejoin_strays(world: &mut World) {
    let Some(primary) = world.true_primary() else { return };
    correct_records(world, primary);
    let latest = world.hosts[primary].server.clone();
    let id = world.hosts[primary].id;
    for host in 0..world.hosts.len() {
        let server = &world.hosts[host].server;
        if host == primary || server.destroyed {
            continue;
        }
        if server.witness {
            let own = world.hosts[host].id;
            let records = Rc::make_mut(&mut world.hosts[primary].server.metadata);
            records.promote(id);
            records.follow(own, id);
            world.hosts[host].server.metadata = Rc::clone(&world.hosts[primary].server.metadata);
            continue;
        }
        // Whose copy of the records lacks itself or the primary does not find out by itself where that is.
        let own = world.hosts[host].id;
        let known = [own, id].iter().all(|id| {
            let mut records = server.metadata.nodes.iter();
            records.any(|node| node.id == *id && node.node_type != NodeType::Unknown)
        });
        if !known {
            world.hosts[host].server.source = Some(primary);
        }
        let server = &world.hosts[host].server;
        if server.primary || !server.can_follow(&latest) {
            let own = world.hosts[host].id;
            world.hosts[host].server.rejoin(&latest, primary);
            let now = world.now;
            world.hosts[host].server.starting_until = now + 500;
            world.hosts[host].server.forget();
            let records = Rc::make_mut(&mut world.hosts[primary].server.metadata);
            records.follow(own, id);
            world.log(|| format!("node {} is made a standby of node {}", host + 1, primary + 1));
        }
    }
    let records = Rc::make_mut(&mut world.hosts[primary].server.metadata);
    records.promote(id);
}

/// Records that are missing, or have a type that nobody knows, are put right.
fn correct_records(world: &mut World, primary: usize) {
    let id = world.hosts[primary].id;
    for record in world.initial.clone() {
        let records = Rc::make_mut(&mut world.hosts[primary].server.metadata);
        let node_type = match record.node_type {
            NodeType::Witness => NodeType::Witness,
            _ => NodeType::Standby,
        };
        if let Some(node) = records.node_mut(record.id)
            && node.node_type == NodeType::Unknown
        {
            node.node_type = node_type;
        }
        records.register(record, id);
    }
}

/// A standby that was found streaming from elsewhere than its record says, as after promotions by hand.
pub fn correct_sources(world: &mut World) {
    let Some(primary) = world.true_primary() else { return };
    let id = world.hosts[primary].id;
    for host in 0..world.hosts.len() {
        let state = world.hosts[host].daemon.as_ref().map(|daemon| &daemon.state);
        let content = state.is_some_and(|state| state.name() == "normal" && state.upstream == Some(id));
        let server = &mut world.hosts[host].server;
        if content && !server.witness && !server.primary && server.source != Some(primary) {
            server.source = Some(primary);
        }
    }
}

/// After healing: one primary, and every daemon watches it, or says why not.
pub fn settled(world: &mut World) {
    let primaries: Vec<usize> = (0..world.hosts.len())
        .filter(|host| {
            let server = &world.hosts[*host].server;
            server.primary && !server.witness && server.serves(world.now)
        })
        .collect();
    match primaries.as_slice() {
        [] => nobody(world),
        [primary] => one(world, *primary),
        several => {
            let ids: Vec<usize> = several.iter().map(|host| host + 1).collect();
            world.fail(format!("several primaries after healing: {ids:?}"));
        }
    }
}

/// Without a primary each daemon has to be degraded, or on its way, for a reason.
fn nobody(world: &mut World) {
    for host in 0..world.hosts.len() {
        let Some(daemon) = &world.hosts[host].daemon else {
            continue;
        };
        let Mode::Standby(phase) = &daemon.state.mode else {
            continue;
        };
        let state = &daemon.state;
        let automatic = world.hosts[host].settings.automatic;
        let name = state.name();
        if matches!(phase, Phase::Normal) && !state.upstream_is_standby() {
            return world.fail(format!("node {} watches a primary that is not there", host + 1));
        }
        // Whoever saw the primary alive goes on voting; if it is the one, it would have been promoted.
        let stuck = matches!(
            phase,
            Phase::Degraded {
                cause: Cause::NoWord,
                ..
            }
        ) && automatic
            && state.passed_over.is_empty()
            && state
                .degraded_since
                .is_some_and(|since| world.now.saturating_sub(since.as_millis() as u64) > 120_000);
        if stuck {
            return world.fail(format!("node {} is {name} for nobody's sake", host + 1));
        }
    }
}

fn one(world: &mut World, primary: usize) {
    let id = world.hosts[primary].id;
    let state = world.hosts[primary].daemon.as_ref().map(|daemon| daemon.state.clone());
    match state {
        _ if world.hosts[primary].runs_original => {}
        Some(state) if matches!(state.mode, Mode::Primary(PrimaryPhase::Normal)) => {}
        Some(state) => {
            return world.fail(format!(
                "the primary's daemon, node {}, is {}",
                primary + 1,
                state.name()
            ));
        }
        None => return world.fail("the primary has no daemon".to_owned()),
    }
    for host in 0..world.hosts.len() {
        let server = &world.hosts[host].server;
        if host == primary || server.destroyed {
            continue;
        }
        if world.hosts[host].runs_original {
            if world.generation(host).is_none() || !(server.witness || leads_to(world, host, primary)) {
                world.attribute("one was not well in the end");
            }
            continue;
        }
        // A manual one does not follow, and begins anew as often as it is degraded for too long.
        let settings = &world.hosts[host].settings;
        if settings.degraded_timeout.is_some() && !settings.automatic {
            continue;
        }
        let Some(daemon) = &world.hosts[host].daemon else {
            return world.fail(format!("node {} has no daemon", host + 1));
        };
        let state = &daemon.state;
        let normal = matches!(state.mode, Mode::Standby(Phase::Normal) | Mode::Witness(Phase::Normal));
        // Its copy of the records calls the primary replaced, and who could send it a newer one is gone.
        let misled = |record: &Node| record.node_type == NodeType::Primary && !record.active;
        let excused = matches!(&state.mode, Mode::Standby(Phase::Degraded { .. }))
            && (!world.hosts[host].settings.automatic
                || !server.can_follow(&world.hosts[primary].server)
                || state.node(id).is_some_and(misled));
        if excused {
            continue;
        }
        if !normal {
            let name = state.name();
            return world.fail(format!(
                "node {} is {name} although node {} is the primary",
                host + 1,
                primary + 1
            ));
        }
        if !server.witness && !state.upstream_is_standby() && state.upstream != Some(id) {
            let upstream = state.upstream;
            return world.fail(format!(
                "node {} watches {upstream:?} and not node {}",
                host + 1,
                primary + 1
            ));
        }
        let direct = state.upstream == Some(id);
        if direct && !server.witness && !leads_to(world, host, primary) {
            return world.fail(format!("node {} does not stream from node {}", host + 1, primary + 1));
        }
    }
}

/// Whether a server streams from another one, directly or through others.
fn leads_to(world: &World, host: usize, primary: usize) -> bool {
    let chain = std::iter::successors(Some(host), |host| world.hosts[*host].server.source);
    chain.take(world.hosts.len()).any(|host| host == primary)
}
