//! What a seed makes happen: a cluster, its settings, its faults, its healing, and what must be so at the end.

use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use repmgr::failover::{Node, Settings};
use repmgr::types::{NodeId, NodeType};

use crate::ending::{correct_sources, heal, rejoin_strays, settled};
use crate::faults::{Fault, any_fault};
use crate::random::Random;
use crate::rights::Lease;
use crate::server::{Memory, Metadata, Server};
use crate::world::{Command, Event, Host, World};

/// When faults begin, and between which times they end, in milliseconds.
const FIRST_FAULT: u64 = 15_000;
const LAST_FAULT: (u64, u64) = (100_000, 240_000);
/// How many faults a seed has at least, and how many at most.
const FAULTS: (u64, u64) = (20, 30);
/// The time within which everything must be well again.
const RECOVERY: u64 = 150_000;
/// How often the operator looks again after healing, and after how long.
const LOOKS: u64 = 3;
const NEXT_LOOK: u64 = 40_000;

fn settings(random: &mut Random, own: NodeId, shared: &Shared) -> Settings {
    let seconds = |random: &mut Random, low, high| Duration::from_secs(random.between(low, high));
    let monitor_interval = seconds(random, 1, 3);
    Settings {
        own,
        automatic: shared.clean || !random.chance(8),
        monitor_interval,
        reconnect_attempts: random.between(0, 5) as u32,
        reconnect_interval: seconds(random, 0, 4),
        degraded_timeout: (!shared.clean && random.chance(10)).then(|| Duration::from_secs(random.between(15, 60))),
        notification_timeout: seconds(random, 6, 15),
        startup_timeout: seconds(random, 5, 10),
        rerun_interval: seconds(random, 1, 5),
        disconnect_receivers: shared.disconnect_receivers,
        siblings_disconnect_timeout: seconds(random, 0, 5),
        visibility_consensus: shared.consensus,
        always_promote: random.chance(50),
        validate: !shared.clean && random.chance(20),
        promote_delay: if random.chance(15) {
            seconds(random, 1, 3)
        } else {
            Duration::ZERO
        },
        failover_delay: if random.chance(10) {
            seconds(random, 1, 2)
        } else {
            Duration::ZERO
        },
        right_timeout: Duration::from_secs(15),
        promote_check_timeout: seconds(random, 5, 8),
        promote_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_secs(15),
        settle: Duration::from_secs(5),
        local_grace: monitor_interval * 2 + Duration::from_secs(3),
    }
}

/// What all nodes of a cluster have in common.
struct Shared {
    /// Only the primary is lost, for good, and everything else works.
    clean: bool,
    consensus: bool,
    /// Some nodes run the original.
    mixed: bool,
    disconnect_receivers: bool,
}

/// Builds the cluster that a seed stands for.
fn cluster(seed: u64, trace: bool) -> (World, Shared) {
    let mut random = Random::new(seed);
    let count = random.between(2, 7) as usize;
    let shared = Shared {
        clean: random.chance(20),
        consensus: random.chance(30),
        mixed: random.chance(25),
        disconnect_receivers: random.chance(20),
    };
    let witness = count >= 3 && random.chance(35);
    let two_locations = random.chance(15);
    let mut nodes = Vec::new();
    for index in 0..count {
        let is_witness = witness && index == count - 1;
        let cascaded = index >= 2 && !is_witness && random.chance(20);
        let above = NodeId(random.between(2, index.max(2) as u64) as i32);
        nodes.push(Node {
            id: NodeId(index as i32 + 1),
            name: format!("n{}", index + 1),
            node_type: match index {
                0 => NodeType::Primary,
                _ if is_witness => NodeType::Witness,
                _ => NodeType::Standby,
            },
            upstream: match index {
                0 => None,
                _ if cascaded => Some(above),
                _ => Some(NodeId(1)),
            },
            active: true,
            location: if two_locations && random.chance(40) {
                "far".into()
            } else {
                "near".into()
            },
            priority: match random.between(0, 9) {
                0 if !is_witness => 0,
                1 => 200,
                _ => 100,
            },
        });
    }
    let initial = nodes.clone();
    let metadata = Rc::new(Metadata { nodes, term: 1 });
    let mut hosts = Vec::new();
    for index in 0..count {
        let node = &metadata.nodes[index];
        let is_witness = node.node_type == NodeType::Witness;
        let settings = settings(&mut random, node.id, &shared);
        hosts.push(Host {
            id: node.id,
            server: Server {
                up: true,
                host_down: false,
                destroyed: false,
                starting_until: 0,
                primary: index == 0,
                witness: is_witness,
                lsn: 1_000_000,
                timeline: 1,
                branch: 0,
                history: Vec::new(),
                source: node
                    .upstream
                    .filter(|_| !is_witness)
                    .map(|upstream| upstream.0 as usize - 1),
                stalled: false,
                receiver_held: false,
                replay_paused: false,
                apply_delay: Duration::ZERO,
                hung: false,
                last_message: None,
                metadata: Rc::clone(&metadata),
                memory: Memory::default(),
                paused: false,
            },
            settings,
            daemon: None,
            runs_original: shared.mixed && random.chance(50),
            original: None,
            decided: None,
            told: BTreeMap::new(),
            promote: Command::Works,
            follow: Command::Works,
            validation_rejects: false,
            refuses: None,
            names_fail: false,
            frozen_until: 0,
        });
    }
    // Without a majority of three nothing is ever granted after a loss.
    let has_right = count >= 3 && !shared.mixed && random.chance(30);
    let world = World {
        lease: has_right.then(Lease::first),
        random,
        now: 0,
        sequence: 0,
        queue: BinaryHeap::new(),
        events: BTreeMap::new(),
        links: vec![vec![true; count]; count],
        last_cut: vec![vec![0; count]; count],
        hosts,
        slow: vec![vec![0; count]; count],
        initial,
        calm: shared.clean,
        loss: 0,
        next_branch: 0,
        next_generation: 0,
        fired: BTreeMap::new(),
        inflicted: BTreeMap::new(),
        premises: BTreeMap::new(),
        attributed: BTreeMap::new(),
        promotions: Vec::new(),
        trace,
        failures: Vec::new(),
        turns: 0,
        planned: 0,
    };
    (world, shared)
}

/// Runs one seed to its end.
pub fn run(seed: u64, trace: bool) -> World {
    run_part(seed, trace, None)
}

/// Runs one seed with some of its faults only, by their number in time; `None` for all of them.
pub fn run_part(seed: u64, trace: bool, kept: Option<&[usize]>) -> World {
    let (mut world, shared) = cluster(seed, trace);
    world.introduce();
    world.at(0, Event::Wal);
    for host in 0..world.hosts.len() {
        let delay = world.random.between(0, 5000);
        if shared.clean || world.random.chance(95) {
            world.at(delay, Event::DaemonUp { host });
        } else {
            world.at(delay + 30_000, Event::DaemonUp { host });
        }
    }
    if shared.clean {
        clean_loss(&mut world, &shared);
    } else {
        trouble(&mut world, kept);
    }
    world
}

/// The primary is lost at one moment, and nothing else: the node that ranks best must be promoted, and the
/// others must follow it.
fn clean_loss(world: &mut World, shared: &Shared) {
    world.run_until(20_000);
    let silent = world.random.chance(50);
    world.hosts[0].server.destroyed = true;
    world.server_down(0, silent);
    let winner = best_candidate(world);
    world.run_until(20_000 + RECOVERY);
    if !world.failures.is_empty() {
        return;
    }
    let promoted: Vec<usize> = world.promotions.iter().map(|promotion| promotion.host).collect();
    let expected: Vec<usize> = winner.into_iter().collect();
    let slow = expected.iter().any(|host| world.hosts[*host].runs_original);
    if promoted != expected && slow && promoted.len() < 2 {
        // With its consensus it gives up, or its attempts last longer than anybody waits.
        world.attribute("the best one did not act in time");
        if promoted.is_empty() {
            return;
        }
    } else if slow && promoted.len() == 2 && promoted.contains(&expected[0]) {
        // Its attempts ended at the moment at which one of ours gave it up.
        return world.attribute("the best one acted when another one took its place");
    } else if promoted != expected {
        world.fail(format!(
            "lost primary alone: expected {expected:?} to be promoted, got {promoted:?}"
        ));
        return;
    }
    if !expected.is_empty() {
        world.premise("the lost primary alone is replaced by the best");
        if shared.mixed {
            world.premise("the lost primary of a mixed cluster is replaced");
        }
        settled(world);
    }
}

/// Who has to win, by the ranking and the conditions that the operator reads in the manual.
fn best_candidate(world: &World) -> Option<usize> {
    let records = &world.hosts[0].server.metadata.nodes;
    let attached: Vec<usize> = (1..world.hosts.len())
        .filter(|host| records[*host].upstream == Some(NodeId(1)))
        .collect();
    // A witness in the primary's location is enough to tell that it is not the network.
    if !attached
        .iter()
        .any(|host| records[*host].location == records[0].location)
    {
        return None;
    }
    attached
        .into_iter()
        .filter(|host| records[*host].node_type == NodeType::Standby && records[*host].priority > 0)
        .max_by_key(|host| {
            let server = &world.hosts[*host].server;
            (server.lsn, records[*host].priority, std::cmp::Reverse(*host))
        })
}

/// What is to happen, in the order of time. Drawn before anything moves, so that a part of it is the same faults.
fn plan(world: &mut World) -> (u64, Vec<(u64, Fault)>) {
    let count = world.hosts.len();
    let (low, high) = LAST_FAULT;
    let end = world.random.between(low, high);
    let faults = world.random.between(FAULTS.0, FAULTS.1);
    let mut planned: Vec<(u64, Fault)> = Vec::new();
    for _ in 0..faults {
        // Some strike shortly after another one, before anybody is done with that.
        let at = match planned.last() {
            Some((before, _)) if world.random.chance(30) => before + world.random.between(0, 8_000),
            _ => world.random.between(FIRST_FAULT, end - 10_000),
        };
        planned.push((at.min(end - 1), any_fault(&mut world.random, count)));
    }
    if world.random.chance(60) {
        let at = world.random.between(20_000, end - 30_000);
        let back_after = world.random.chance(40).then(|| world.random.between(2_000, 40_000));
        let fault = if world.random.chance(50) {
            Fault::ServerCrash { host: 0, back_after }
        } else {
            Fault::HostLoss { host: 0, back_after }
        };
        planned.push((at, fault));
    }
    planned.sort_by_key(|(at, _)| *at);
    (end, planned)
}

fn trouble(world: &mut World, kept: Option<&[usize]>) {
    let (end, planned) = plan(world);
    world.planned = planned.len();
    for (number, (at, fault)) in planned.into_iter().enumerate() {
        if kept.is_none_or(|kept| kept.contains(&number)) {
            world.at(at, Event::Fault(fault));
        }
    }
    world.run_until(end);
    if world.failures.is_empty() {
        heal(world);
        let end = world.now + RECOVERY;
        // A promotion that had begun may still come through beside a primary that was healed; without a write
        // right only a person can tell which one is to stay.
        for _ in 0..LOOKS {
            world.run_until(world.now + NEXT_LOOK);
            rejoin_strays(world);
            correct_sources(world);
        }
        world.run_until(end);
    }
    if world.failures.is_empty() {
        world.premise("a healed cluster is well");
        settled(world);
    }
}
