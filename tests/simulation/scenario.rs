//! What a seed makes happen: a cluster, its settings, its faults, its healing, and what must be so at the end.

use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use repmgr::failover::{Cause, ConnectFailure, Mode, Node, Notification, Phase, PrimaryPhase, Settings};
use repmgr::types::{NodeId, NodeType};

use crate::random::Random;
use crate::server::{Memory, Metadata, Server};
use crate::world::{Command, Event, Host, World};

/// What goes wrong, or is done by a person.
#[derive(Debug, Clone)]
pub enum Fault {
    ServerCrash {
        host: usize,
        back_after: Option<u64>,
    },
    HostLoss {
        host: usize,
        back_after: Option<u64>,
    },
    DaemonCrash {
        host: usize,
        back_after: u64,
    },
    /// Packets from the first to the second are lost.
    Cut {
        from: usize,
        to: usize,
        until: u64,
    },
    Join {
        from: usize,
        to: usize,
    },
    /// Two sides that do not see each other.
    Partition {
        side: Vec<bool>,
        until: u64,
    },
    Loss {
        percent: u64,
    },
    Refuse {
        host: usize,
        failure: Option<ConnectFailure>,
    },
    Names {
        host: usize,
        fail: bool,
    },
    Pause {
        host: usize,
        paused: bool,
    },
    Promote {
        host: usize,
        behaviour: Command,
    },
    Follow {
        host: usize,
        behaviour: Command,
    },
    Validation {
        host: usize,
        rejects: bool,
    },
    Stall {
        host: usize,
        stalled: bool,
    },
    PauseReplay {
        host: usize,
    },
    Notify {
        to: usize,
        value: Notification,
    },
    /// A person moves the primary and all standbys with it.
    Switchover {
        to: usize,
    },
    /// A person promotes one standby, with its records.
    PromoteByHand {
        host: usize,
        records: bool,
    },
    /// The record of a node loses its upstream.
    ForgetUpstream {
        host: usize,
    },
}

/// The time during which faults happen, in milliseconds.
const TROUBLE: u64 = 100_000;
/// The time within which everything must be well again.
const RECOVERY: u64 = 150_000;
/// When the operator looks again after healing.
const SECOND_LOOK: u64 = 40_000;

fn settings(random: &mut Random, own: NodeId, shared: &Shared) -> Settings {
    let seconds = |random: &mut Random, low, high| Duration::from_secs(random.between(low, high));
    let monitor_interval = seconds(random, 1, 3);
    Settings {
        own,
        automatic: shared.clean || !random.chance(8),
        monitor_interval,
        reconnect_attempts: random.between(0, 5) as u32,
        reconnect_interval: seconds(random, 0, 4),
        degraded_timeout: None,
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
    disconnect_receivers: bool,
}

/// Builds the cluster that a seed stands for.
fn cluster(seed: u64, trace: bool) -> (World, Shared) {
    let mut random = Random::new(seed);
    let count = random.between(2, 7) as usize;
    let shared = Shared {
        clean: random.chance(20),
        consensus: random.chance(30),
        disconnect_receivers: random.chance(20),
    };
    let witness = count >= 3 && random.chance(35);
    let two_locations = random.chance(15);
    let mut nodes = Vec::new();
    for index in 0..count {
        let is_witness = witness && index == count - 1;
        let cascaded = index >= 3 && !is_witness && random.chance(20);
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
                _ if cascaded => Some(NodeId(2)),
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
                last_message: None,
                metadata: Rc::clone(&metadata),
                memory: Memory::default(),
                paused: false,
            },
            settings,
            daemon: None,
            promote: Command::Works,
            follow: Command::Works,
            validation_rejects: false,
            refuses: None,
            names_fail: false,
        });
    }
    let world = World {
        random,
        now: 0,
        sequence: 0,
        queue: BinaryHeap::new(),
        events: BTreeMap::new(),
        links: vec![vec![true; count]; count],
        last_cut: vec![vec![0; count]; count],
        hosts,
        loss: 0,
        next_branch: 0,
        next_generation: 0,
        fired: BTreeMap::new(),
        promotions: Vec::new(),
        trace,
        failures: Vec::new(),
        turns: 0,
    };
    (world, shared)
}

/// Runs one seed to its end.
pub fn run(seed: u64, trace: bool) -> World {
    let (mut world, shared) = cluster(seed, trace);
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
        clean_loss(&mut world);
    } else {
        trouble(&mut world);
    }
    world
}

/// The primary is lost at one moment, and nothing else: the node that ranks best must be promoted, and the
/// others must follow it.
fn clean_loss(world: &mut World) {
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
    if promoted != expected {
        world.fail(format!(
            "lost primary alone: expected {expected:?} to be promoted, got {promoted:?}"
        ));
        return;
    }
    if !expected.is_empty() {
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

fn trouble(world: &mut World) {
    let count = world.hosts.len();
    let faults = world.random.between(1, 14);
    for _ in 0..faults {
        let at = world.random.between(15_000, TROUBLE);
        let fault = any_fault(&mut world.random, count);
        world.at(at, Event::Fault(fault));
    }
    let lose_primary = world.random.chance(60);
    if lose_primary {
        let at = world.random.between(20_000, TROUBLE - 30_000);
        let back_after = world.random.chance(40).then(|| world.random.between(2_000, 40_000));
        let fault = if world.random.chance(50) {
            Fault::ServerCrash { host: 0, back_after }
        } else {
            Fault::HostLoss { host: 0, back_after }
        };
        world.at(at, Event::Fault(fault));
    }
    world.run_until(TROUBLE);
    if world.failures.is_empty() {
        heal(world);
        let end = world.now + RECOVERY;
        // A promotion that had begun may still come through beside a primary that was healed; without a write
        // right only a person can tell which one is to stay.
        world.run_until(world.now + SECOND_LOOK);
        rejoin_strays(world);
        correct_sources(world);
        world.run_until(end);
    }
    if world.failures.is_empty() {
        settled(world);
    }
}

fn any_fault(random: &mut Random, count: usize) -> Fault {
    let host = random.index(count);
    let other = (host + random.between(1, count as u64 - 1) as usize) % count;
    let back = |random: &mut Random| random.chance(80).then(|| random.between(500, 40_000));
    let behaviours = [
        Command::Fails,
        Command::Killed,
        Command::KilledLate,
        Command::WithoutRecords,
        Command::Lies,
        Command::Hangs,
    ];
    let until = random.between(3_000, 40_000);
    match random.between(0, 24) {
        0 | 1 => Fault::ServerCrash {
            host,
            back_after: back(random),
        },
        2 => Fault::HostLoss {
            host,
            back_after: back(random),
        },
        3 | 4 => Fault::DaemonCrash {
            host,
            back_after: random.between(500, 30_000),
        },
        5 | 6 => Fault::Cut {
            from: host,
            to: other,
            until,
        },
        7..=9 => Fault::Partition {
            side: (0..count).map(|_| random.chance(50)).collect(),
            until,
        },
        10 => Fault::Loss {
            percent: random.between(1, 30),
        },
        11 => Fault::Refuse {
            host,
            failure: random.chance(70).then(|| {
                if random.chance(50) {
                    ConnectFailure::Authentication
                } else {
                    ConnectFailure::TooManyConnections
                }
            }),
        },
        12 => Fault::Names {
            host,
            fail: random.chance(60),
        },
        13 | 14 => Fault::Pause {
            host,
            paused: random.chance(60),
        },
        15 | 16 => Fault::Promote {
            host,
            behaviour: behaviours[random.index(behaviours.len())],
        },
        17 => Fault::Follow {
            host,
            behaviour: if random.chance(70) {
                Command::Fails
            } else {
                Command::Hangs
            },
        },
        18 => Fault::Validation {
            host,
            rejects: random.chance(70),
        },
        19 => Fault::Stall {
            host,
            stalled: random.chance(60),
        },
        20 => Fault::PauseReplay { host },
        21 => Fault::Notify {
            to: host,
            value: if random.chance(30) {
                Notification::RerunElection
            } else {
                Notification::Follow(NodeId(random.between(1, count as u64) as i32))
            },
        },
        22 => Fault::Switchover { to: host },
        23 => Fault::PromoteByHand {
            host,
            records: random.chance(70),
        },
        _ => Fault::ForgetUpstream { host },
    }
}

impl World {
    pub fn inflict(&mut self, fault: Fault) {
        self.log(|| format!("{fault:?}"));
        match fault {
            Fault::ServerCrash { host, back_after } => {
                self.server_down(host, false);
                self.back(host, back_after);
            }
            Fault::HostLoss { host, back_after } => {
                self.server_down(host, true);
                self.back(host, back_after);
            }
            Fault::DaemonCrash { host, back_after } => {
                self.hosts[host].daemon = None;
                self.at(back_after, Event::DaemonUp { host });
            }
            Fault::Cut { from, to, until } => {
                self.links[from][to] = false;
                self.at(until, Event::Fault(Fault::Join { from, to }));
            }
            Fault::Join { from, to } => self.links[from][to] = true,
            Fault::Partition { side, until } => {
                for from in 0..side.len() {
                    for to in 0..side.len() {
                        if side[from] != side[to] {
                            self.links[from][to] = false;
                            self.at(until, Event::Fault(Fault::Join { from, to }));
                        }
                    }
                }
            }
            Fault::Loss { percent } => self.loss = percent,
            Fault::Refuse { host, failure } => self.hosts[host].refuses = failure,
            Fault::Names { host, fail } => self.hosts[host].names_fail = fail,
            Fault::Pause { host, paused } => self.hosts[host].server.paused = paused,
            Fault::Promote { host, behaviour } => self.hosts[host].promote = behaviour,
            Fault::Follow { host, behaviour } => self.hosts[host].follow = behaviour,
            Fault::Validation { host, rejects } => self.hosts[host].validation_rejects = rejects,
            Fault::Stall { host, stalled } => self.hosts[host].server.stalled = stalled,
            Fault::PauseReplay { host } => {
                let server = &mut self.hosts[host].server;
                server.replay_paused = !server.primary && !server.witness;
            }
            Fault::Notify { to, value } => {
                let own = Notification::Follow(self.hosts[to].id);
                if value != own {
                    self.notify_by_hand(to, value);
                }
            }
            Fault::Switchover { to } => self.switchover(to),
            Fault::PromoteByHand { host, records } => self.promote_by_hand(host, records),
            Fault::ForgetUpstream { host } => {
                let id = self.hosts[host].id;
                if let Some(primary) = self.true_primary() {
                    self.write(primary, |metadata| {
                        if let Some(node) = metadata.node_mut(id) {
                            node.upstream = None;
                        }
                    });
                }
            }
        }
    }

    fn back(&mut self, host: usize, after: Option<u64>) {
        if let Some(after) = after {
            self.at(after, Event::ServerUp { host });
        }
    }

    /// The serving primary on the latest timeline.
    pub fn true_primary(&self) -> Option<usize> {
        (0..self.hosts.len())
            .filter(|host| {
                let server = &self.hosts[*host].server;
                server.primary && server.up && !server.host_down && !server.witness
            })
            .max_by_key(|host| (self.hosts[*host].server.timeline, self.hosts[*host].server.branch))
    }

    fn switchover(&mut self, to: usize) {
        let Some(from) = self.true_primary() else { return };
        let candidate = &self.hosts[to].server;
        if from == to || candidate.witness || candidate.primary || !candidate.serves(self.now) {
            return;
        }
        if !candidate.can_follow(&self.hosts[from].server) {
            return;
        }
        let branch = self.new_branch();
        let (old, new) = (self.hosts[from].id, self.hosts[to].id);
        let ended = self.hosts[from].server.clone();
        self.hosts[to].server.receive(&ended, self.now);
        self.hosts[to].server.lsn = ended.lsn;
        self.hosts[to].server.promote(branch);
        self.write(to, |records| {
            records.promote(new);
            let standbys: Vec<NodeId> = records
                .nodes
                .iter()
                .map(|node| node.id)
                .filter(|id| *id != new)
                .collect();
            for id in standbys {
                if id == old
                    || records
                        .nodes
                        .iter()
                        .any(|node| node.id == id && node.upstream == Some(old))
                {
                    records.follow(id, new);
                }
            }
        });
        let winner = self.hosts[to].server.clone();
        self.hosts[from].server.rejoin(&winner, to);
        self.hosts[from].server.forget();
        self.hosts[from].server.starting_until = self.now + self.random.between(500, 4000);
        for host in 0..self.hosts.len() {
            if self.hosts[host].server.source == Some(from) {
                self.hosts[host].server.source = Some(to);
            }
        }
    }

    fn promote_by_hand(&mut self, host: usize, records: bool) {
        let server = &self.hosts[host].server;
        if server.primary || server.witness || !server.serves(self.now) {
            return;
        }
        let branch = self.new_branch();
        let id = self.hosts[host].id;
        self.hosts[host].server.promote(branch);
        if records {
            self.write(host, |metadata| metadata.promote(id));
        }
    }
}

/// Everything works again, and the operator does what operators must: brings back what can be brought back,
/// and has primaries that were overtaken rejoin the latest one.
fn heal(world: &mut World) {
    world.log(|| "everything heals".to_owned());
    let lost_for_good = world.random.chance(40);
    world.loss = 0;
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
        }
        let target = &mut world.hosts[host];
        target.promote = Command::Works;
        target.follow = Command::Works;
        target.validation_rejects = false;
        target.refuses = None;
        target.names_fail = false;
        target.server.stalled = false;
        target.server.paused = false;
        let primary = world.hosts[host].server.primary && !world.hosts[host].server.witness;
        let down = !world.hosts[host].server.up || world.hosts[host].server.host_down;
        if down && primary && lost_for_good {
            world.hosts[host].server.destroyed = true;
        }
        if down && !world.hosts[host].server.destroyed {
            world.server_up(host);
        } else if world.hosts[host].daemon.is_none() {
            world.at(1000, Event::DaemonUp { host });
        }
    }
    rejoin_strays(world);
}

/// What is out of recovery beside the latest primary is made its standby, and so is what cannot follow it.
fn rejoin_strays(world: &mut World) {
    let Some(primary) = world.true_primary() else { return };
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

/// A standby that was found streaming from elsewhere than its record says, as after promotions by hand.
fn correct_sources(world: &mut World) {
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
fn settled(world: &mut World) {
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
        let Some(daemon) = &world.hosts[host].daemon else {
            return world.fail(format!("node {} has no daemon", host + 1));
        };
        let state = &daemon.state;
        let normal = matches!(state.mode, Mode::Standby(Phase::Normal) | Mode::Witness(Phase::Normal));
        let excused = matches!(&state.mode, Mode::Standby(Phase::Degraded { .. }))
            && (!world.hosts[host].settings.automatic || !server.can_follow(&world.hosts[primary].server));
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
        if direct && !server.witness && server.source != Some(primary) {
            return world.fail(format!("node {} does not stream from node {}", host + 1, primary + 1));
        }
    }
}
