//! Virtual time, the network, and what moves by itself: write-ahead log, restarts, faults.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;

use repmgr::failover::{ConnectFailure, Finished, Node, Notification, ProbeEnd, Rule, Settings};
use repmgr::types::NodeId;

use crate::coroutine::Coroutine;
use crate::daemon::{Daemon, Decided};
use crate::faults::Fault;
use crate::random::Random;
use crate::server::{Metadata, Server};

/// A daemon that is frozen for so many milliseconds notices it.
const LONG_STANDSTILL: u64 = 2000;
/// How often WAL moves.
const WAL_TICK: u64 = 400;

/// What the user's commands do on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Works,
    /// Exit code 1 without any effect.
    Fails,
    /// Killed by a signal before any effect.
    Killed,
    /// Killed by a signal after its effect.
    KilledLate,
    /// Works, but the records stay as they are.
    WithoutRecords,
    /// Exit code 0 without any effect.
    Lies,
    /// Does not end before its deadline, without any effect.
    Hangs,
}

pub enum Event {
    Wal,
    TurnStart {
        host: usize,
        generation: u64,
        token: u64,
    },
    Sample {
        host: usize,
        generation: u64,
        token: u64,
        of: usize,
    },
    TurnEnd {
        host: usize,
        generation: u64,
        token: u64,
    },
    /// A probe of `of`, started at `started`, reaches it.
    ProbeArrives {
        host: usize,
        generation: u64,
        of: usize,
        started: u64,
    },
    ProbeEnds {
        host: usize,
        generation: u64,
        end: ProbeEnd,
        own_record: Option<Node>,
    },
    Result {
        host: usize,
        generation: u64,
        result: Finished,
    },
    Deliver {
        from: usize,
        to: usize,
        value: Notification,
    },
    PromoteCheck {
        host: usize,
        generation: u64,
        behaviour: Command,
    },
    Promote {
        host: usize,
        generation: u64,
        behaviour: Command,
    },
    Follow {
        host: usize,
        generation: u64,
        target: usize,
    },
    ServerUp {
        host: usize,
    },
    DaemonUp {
        host: usize,
    },
    Fault(Fault),
    /// Whatever else arrives or ends at some time.
    Then(Box<dyn FnOnce(&mut World)>),
}

/// One host: a server, perhaps a daemon, and how the commands behave there.
pub struct Host {
    pub id: NodeId,
    pub server: Server,
    pub settings: Settings,
    pub daemon: Option<Daemon>,
    /// Whether the daemons of this host are those of the original, and the one that runs.
    pub runs_original: bool,
    pub original: Option<Coroutine>,
    /// The election that is being acted on.
    pub decided: Option<Decided>,
    /// When its daemon first told others to hold back, each for this loss.
    pub told: BTreeMap<NodeId, u64>,
    pub promote: Command,
    pub follow: Command,
    pub validation_rejects: bool,
    /// What clients are told in place of a login.
    pub refuses: Option<ConnectFailure>,
    /// Names have no address here.
    pub names_fail: bool,
    /// Its daemon is stopped until then, as by SIGSTOP.
    pub frozen_until: u64,
}

/// A server that left recovery by a daemon's command.
#[derive(Debug, Clone)]
pub struct Promotion {
    pub host: usize,
    pub decided: u64,
    /// When the server left recovery.
    pub promoted: u64,
    /// The primary that was lost, and when.
    pub upstream: Option<NodeId>,
    pub lost: u64,
    /// Whether its daemon is one of the original.
    pub original: bool,
    /// The branch that it left.
    pub parent: u64,
    /// The records by which the election was decided.
    pub records: Rc<Metadata>,
}

pub struct World {
    /// The right to write, in a cluster that has it.
    pub lease: Option<crate::rights::Lease>,
    pub random: Random,
    pub now: u64,
    pub sequence: u64,
    pub queue: BinaryHeap<Reverse<(u64, u64)>>,
    pub events: BTreeMap<u64, Event>,
    pub hosts: Vec<Host>,
    /// `links[a][b]`: packets from a arrive at b.
    pub links: Vec<Vec<bool>>,
    /// `slow[a][b]`: how much longer than usual packets from a to b take.
    pub slow: Vec<Vec<u64>>,
    /// The records at the beginning.
    pub initial: Vec<Node>,
    /// Nothing takes longer than usual any more.
    pub calm: bool,
    /// Percentage of connections that get no answer.
    pub loss: u64,
    /// When a link or login between two hosts last failed.
    pub last_cut: Vec<Vec<u64>>,
    pub next_branch: u64,
    pub next_generation: u64,
    pub fired: BTreeMap<Rule, u64>,
    /// How often each kind of fault happened.
    pub inflicted: BTreeMap<&'static str, u64>,
    /// How often the premise of each invariant was reached.
    pub premises: BTreeMap<&'static str, u64>,
    /// What originals did that we would not have done, or could not prevent.
    pub attributed: BTreeMap<&'static str, u64>,
    pub promotions: Vec<Promotion>,
    pub trace: bool,
    pub failures: Vec<String>,
    pub turns: u64,
    /// How many faults the seed stands for.
    pub planned: usize,
}

impl World {
    pub fn at(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + delay, self.sequence)));
        self.events.insert(self.sequence, event);
    }

    pub fn after(&mut self, delay: u64, then: impl FnOnce(&mut World) + 'static) {
        self.at(delay, Event::Then(Box::new(then)));
    }

    /// The process that a host's daemon is now.
    pub fn generation(&self, host: usize) -> Option<u64> {
        let host = &self.hosts[host];
        let ours = host.daemon.as_ref().map(|daemon| daemon.generation);
        ours.or(host.original.as_ref().map(|original| original.generation))
    }

    pub fn log(&self, text: impl FnOnce() -> String) {
        if self.tells() {
            println!("{:>8.3}  {}", self.now as f64 / 1000.0, text());
        }
    }

    /// Counts that there was something for an invariant to hold.
    pub fn premise(&mut self, invariant: &'static str) {
        *self.premises.entry(invariant).or_default() += 1;
    }

    /// Counts what an original is to blame for.
    pub fn attribute(&mut self, what: &'static str) {
        *self.attributed.entry(what).or_default() += 1;
    }

    /// A node's record as a server has it.
    pub fn record_on(&self, host: usize, id: NodeId) -> Option<Node> {
        let nodes = &self.hosts[host].server.metadata.nodes;
        nodes.iter().find(|node| node.id == id).cloned()
    }

    pub fn fail(&mut self, text: String) {
        self.log(|| format!("VIOLATION {text}"));
        self.failures
            .push(format!("at {:.3} s: {text}", self.now as f64 / 1000.0));
    }

    pub fn host_of(&self, id: NodeId) -> Option<usize> {
        self.hosts.iter().position(|host| host.id == id)
    }

    /// Runs until nothing is left before `end`, or an invariant is broken.
    pub fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, sequence))) = self.queue.peek().copied() {
            if at > end || !self.failures.is_empty() {
                break;
            }
            self.queue.pop();
            self.now = at;
            let event = self.events.remove(&sequence).expect("every queued event is stored");
            self.handle(event);
        }
        self.now = self.now.max(end);
    }

    /// How long the daemon to which an event comes is still frozen; it will find out when that is over.
    fn frozen(&mut self, event: &Event) -> Option<u64> {
        let host = match event {
            Event::TurnStart { host, .. }
            | Event::Sample { host, .. }
            | Event::TurnEnd { host, .. }
            | Event::ProbeEnds { host, .. }
            | Event::Result { host, .. } => *host,
            _ => return None,
        };
        let host = &mut self.hosts[host];
        let wait = host.frozen_until.checked_sub(self.now).filter(|wait| *wait > 0)?;
        if let Some(daemon) = host.daemon.as_mut() {
            daemon.stood_still |= wait >= LONG_STANDSTILL;
        }
        Some(wait)
    }

    fn handle(&mut self, event: Event) {
        if let Some(wait) = self.frozen(&event) {
            return self.at(wait, event);
        }
        match event {
            Event::Wal => {
                self.move_wal();
                self.at(WAL_TICK, Event::Wal);
            }
            Event::TurnStart {
                host,
                generation,
                token,
            } => self.turn_start(host, generation, token),
            Event::Sample {
                host,
                generation,
                token,
                of,
            } => self.sample(host, generation, token, of),
            Event::TurnEnd {
                host,
                generation,
                token,
            } => self.turn_end(host, generation, token),
            Event::ProbeArrives {
                host,
                generation,
                of,
                started,
            } => self.probe_arrives(host, generation, of, started),
            Event::ProbeEnds {
                host,
                generation,
                end,
                own_record,
            } => self.probe_ends(host, generation, end, own_record),
            Event::Result {
                host,
                generation,
                result,
            } => self.deliver_result(host, generation, result),
            Event::Deliver { from, to, value } => {
                self.deliver(from, to, value);
            }
            Event::PromoteCheck {
                host,
                generation,
                behaviour,
            } => self.promote_check(host, generation, behaviour),
            Event::Promote {
                host,
                generation,
                behaviour,
            } => self.promote_effect(host, generation, behaviour),
            Event::Follow {
                host,
                generation,
                target,
            } => self.follow_effect(host, generation, target),
            Event::ServerUp { host } => self.server_up(host),
            Event::DaemonUp { host } => self.daemon_up(host),
            Event::Fault(fault) => self.inflict(fault),
            Event::Then(then) => then(self),
        }
    }

    /// Tells a node something; whether its server took it in.
    pub fn deliver(&mut self, from: usize, to: usize, value: Notification) -> bool {
        let heard = self.connect(from, to).is_ok() && self.hosts[to].server.memory.node_id_set;
        if heard {
            self.hosts[to].server.memory.notification = Some(value);
            self.log(|| format!("node {} is told {value:?}", to + 1));
        }
        heard
    }

    fn move_wal(&mut self) {
        for index in 0..self.hosts.len() {
            let server = &self.hosts[index].server;
            if server.witness || !server.serves(self.now) {
                continue;
            }
            if server.primary {
                self.hosts[index].server.lsn += self.random.between(0, 500);
                continue;
            }
            let Some(source) = server.source else { continue };
            let linked = self.linked(index, source);
            let other = &self.hosts[source].server;
            if linked && !server.receiver_held && other.serves(self.now) && server.can_follow(other) {
                let other = other.clone();
                self.hosts[index].server.receive(&other, self.now);
            }
        }
    }

    pub fn server_down(&mut self, host: usize, host_down: bool) {
        let server = &mut self.hosts[host].server;
        server.up = false;
        server.host_down = host_down;
        server.hung = false;
        server.forget();
        for other in 0..self.hosts.len() {
            self.last_cut[host][other] = self.now;
            self.last_cut[other][host] = self.now;
        }
        if host_down {
            self.daemon_down(host);
        }
        self.log(|| format!("server of node {} goes down (host too: {host_down})", host + 1));
    }

    pub fn server_up(&mut self, host: usize) {
        let starting = self.now + self.random.between(100, 3000);
        let server = &mut self.hosts[host].server;
        if server.destroyed || (server.up && !server.host_down) {
            return;
        }
        server.up = true;
        server.host_down = false;
        server.starting_until = starting;
        let primary = server.primary;
        self.log(|| format!("server of node {} comes up, primary: {primary}", host + 1));
        if self.hosts[host].daemon.is_none() {
            self.at(4000, Event::DaemonUp { host });
        }
    }

    /// Changes the records on a primary.
    pub fn write(&mut self, on: usize, change: impl FnOnce(&mut Metadata)) -> bool {
        let now = self.now;
        let server = &mut self.hosts[on].server;
        if !server.primary || !server.serves(now) {
            return false;
        }
        change(Rc::make_mut(&mut server.metadata));
        true
    }

    pub fn new_branch(&mut self) -> u64 {
        self.next_branch += 1;
        self.next_branch
    }
}
