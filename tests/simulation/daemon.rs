//! A daemon: gathers, lets the core decide, carries out. The core is the real one.

use std::rc::Rc;
use std::time::Duration;

use repmgr::failover::{
    self, Answer, ConnectFailure, Finished, Local, Needs, Node, Observation, ProbeEnd, Right, Seen, State,
};
use repmgr::types::{Lsn, NodeId, RecoveryState, TimelineId};

use crate::coroutine::Coroutine;
use crate::invariants;
use crate::network::CONNECT_TIMEOUT;
use crate::original;
use crate::world::{Event, World};

/// An election that was won.
#[derive(Debug, Clone)]
pub struct Decided {
    pub at: u64,
    /// When the primary was lost.
    pub lost: u64,
    /// Which one.
    pub upstream: Option<NodeId>,
    /// The records by which it was decided.
    pub records: Rc<crate::server::Metadata>,
}

/// How long a probe may take in all, in milliseconds.
const ATTEMPT_LIMIT: u64 = 2000;
/// How long it waits for a host that sends no packets.
const HANDSHAKE_LIMIT: u64 = 1500;

pub struct Daemon {
    pub generation: u64,
    pub token: u64,
    pub gathering: bool,
    pub state: State,
    pub needs: Needs,
    pub turn_began: u64,
    pub turn_ends: u64,
    pub seen: Observation,
    pub results: Vec<Finished>,
    /// The probes that have ended, and the own record as the last of them saw it.
    pub ended: Vec<ProbeEnd>,
    pub own_record: Option<Node>,
    /// Whether it was frozen since its last turn, for so long that it tells.
    pub stood_still: bool,
    /// When `name()` last changed, for the limit on transitional states.
    pub in_state_since: u64,
    /// Turns within the current second.
    pub busy: (u64, u64),
}

fn nothing_seen() -> Observation {
    Observation {
        now: Duration::ZERO,
        local: Local::silent(),
        nodes: None,
        own_record_on_primary: None,
        started: None,
        probes: Vec::new(),
        others: Vec::new(),
        finished: Vec::new(),
        stood_still: false,
        right: Right::NotNeeded,
    }
}

impl World {
    pub fn daemon_up(&mut self, host: usize) {
        if self.generation(host).is_some() || self.hosts[host].server.destroyed {
            return;
        }
        let needs_server = self.hosts[host].runs_original || self.random.chance(90);
        if !self.hosts[host].server.serves(self.now) && needs_server {
            self.at(3000, Event::DaemonUp { host });
            return;
        }
        self.next_generation += 1;
        let generation = self.next_generation;
        self.hosts[host].decided = None;
        self.hosts[host].told.clear();
        let own = self.hosts[host].id;
        if self.hosts[host].runs_original {
            self.hosts[host].original = Some(Coroutine::new(generation, |port| original::run(port, own)));
            let memory = &mut self.hosts[host].server.memory;
            memory.node_id_set = true;
            memory.pid = Some(generation);
            self.log(|| format!("original daemon of node {} starts", host + 1));
            return self.run_program(host, generation);
        }
        self.hosts[host].daemon = Some(Daemon {
            generation,
            token: 0,
            gathering: false,
            state: State::new(self.hosts[host].id),
            needs: Needs::default(),
            turn_began: self.now,
            turn_ends: self.now,
            seen: nothing_seen(),
            results: Vec::new(),
            ended: Vec::new(),
            own_record: None,
            stood_still: false,
            in_state_since: self.now,
            busy: (0, 0),
        });
        // What a daemon that died had disabled.
        self.hosts[host].server.receiver_held = false;
        if self.hosts[host].server.serves(self.now) {
            let memory = &mut self.hosts[host].server.memory;
            memory.node_id_set = true;
            memory.pid = Some(generation);
        }
        self.log(|| format!("daemon of node {} starts", host + 1));
        self.wake(host, 0);
    }

    /// It dies without a word; its process id stays where it was published.
    pub fn daemon_down(&mut self, host: usize) {
        self.hosts[host].daemon = None;
        self.hosts[host].original = None;
        self.hosts[host].frozen_until = 0;
    }

    /// A signal, or a connection that breaks, makes the next turn due at once.
    pub fn interrupt(&mut self, host: usize) {
        let idle = self.hosts[host].daemon.as_ref().is_some_and(|daemon| !daemon.gathering);
        if idle {
            self.wake(host, 0);
        }
    }

    fn wake(&mut self, host: usize, delay: u64) {
        let Some(daemon) = &mut self.hosts[host].daemon else {
            return;
        };
        daemon.token += 1;
        let (generation, token) = (daemon.generation, daemon.token);
        self.at(
            delay,
            Event::TurnStart {
                host,
                generation,
                token,
            },
        );
    }

    fn is_current(&self, host: usize, generation: u64, token: u64) -> bool {
        self.hosts[host]
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.generation == generation && daemon.token == token)
    }

    pub fn turn_start(&mut self, host: usize, generation: u64, token: u64) {
        if !self.is_current(host, generation, token) {
            return;
        }
        let now = Duration::from_millis(self.now);
        let settings = self.hosts[host].settings.clone();
        let daemon = self.hosts[host].daemon.as_mut().expect("is current");
        daemon.needs = daemon.state.needs(&settings, now);
        daemon.gathering = true;
        daemon.seen = nothing_seen();
        daemon.turn_began = self.now;
        daemon.turn_ends = self.now;
        daemon.own_record = None;
        let others = daemon.needs.ask.clone();
        let probed = daemon.needs.upstream;
        if let Some(of) = probed.and_then(|id| self.host_of(id)) {
            self.hosts[host].daemon.as_mut().expect("is current").seen.started = Some(now);
            let arrives = self.latency(host, of);
            let started = self.now;
            self.at(
                arrives,
                Event::ProbeArrives {
                    host,
                    generation,
                    of,
                    started,
                },
            );
        }
        let mut last = 0;
        for id in std::iter::once(self.hosts[host].id).chain(others) {
            if let Some(of) = self.host_of(id) {
                let (there, back) = (self.latency(host, of), self.latency(of, host));
                last = last.max((there + back).min(CONNECT_TIMEOUT));
                if there + back > CONNECT_TIMEOUT {
                    self.not_answered(host, of);
                    continue;
                }
                self.at(
                    there,
                    Event::Sample {
                        host,
                        generation,
                        token,
                        of,
                    },
                );
            }
        }
        self.hosts[host].daemon.as_mut().expect("is current").turn_ends += last;
        self.at(
            last,
            Event::TurnEnd {
                host,
                generation,
                token,
            },
        );
    }

    /// The answer takes too long.
    fn not_answered(&mut self, host: usize, of: usize) {
        self.last_cut[host][of] = self.now;
        let silent = Seen::unreachable(self.hosts[of].id, ConnectFailure::Silent);
        let daemon = self.hosts[host].daemon.as_mut().expect("is current");
        daemon.seen.others.push(silent);
    }

    pub fn sample(&mut self, host: usize, generation: u64, token: u64, of: usize) {
        if !self.is_current(host, generation, token) {
            return;
        }
        if of == host {
            let local = self.local(host);
            let nodes =
                (local.recovery != RecoveryState::Unknown).then(|| self.hosts[host].server.metadata.nodes.clone());
            let daemon = self.hosts[host].daemon.as_mut().expect("is current");
            daemon.seen.local = local;
            daemon.seen.nodes = nodes;
            return;
        }
        let reached = self.connect(host, of);
        let id = self.hosts[of].id;
        let recovery = if self.hosts[of].server.primary || self.hosts[of].server.witness {
            RecoveryState::Primary
        } else {
            RecoveryState::Standby
        };
        let seen = match reached {
            Err(failure) => Seen::unreachable(id, failure),
            Ok(()) => self.answers(host, of, recovery),
        };
        let now = self.now;
        let daemon = self.hosts[host].daemon.as_mut().expect("is current");
        daemon.seen.others.push(seen);
        if reached == Err(ConnectFailure::Silent) {
            daemon.turn_ends = daemon.turn_ends.max(now + CONNECT_TIMEOUT);
        }
    }

    pub fn probe_arrives(&mut self, host: usize, generation: u64, of: usize, started: u64) {
        let reached = self.connect(host, of);
        let own = self.hosts[host].id;
        let server = &self.hosts[of].server;
        let recovery = if server.primary || server.witness {
            RecoveryState::Primary
        } else {
            RecoveryState::Standby
        };
        let own_record = (reached.is_ok() && server.primary)
            .then(|| server.metadata.nodes.iter().find(|node| node.id == own).cloned())
            .flatten();
        let (mut answer, mut ends) = match reached {
            Err(ConnectFailure::Silent) => (Err(ConnectFailure::Silent), started + HANDSHAKE_LIMIT),
            reached => (reached.map(|()| recovery), self.now + self.latency(of, host)),
        };
        if ends > started + ATTEMPT_LIMIT {
            (answer, ends) = (Err(ConnectFailure::Silent), started + ATTEMPT_LIMIT);
        }
        let end = ProbeEnd {
            node: self.hosts[of].id,
            started: Duration::from_millis(started),
            answer,
        };
        self.at(
            ends.saturating_sub(self.now),
            Event::ProbeEnds {
                host,
                generation,
                end,
                own_record,
            },
        );
    }

    pub fn probe_ends(&mut self, host: usize, generation: u64, end: ProbeEnd, own_record: Option<Node>) {
        let Some(daemon) = self.hosts[host].daemon.as_mut() else {
            return;
        };
        if daemon.generation != generation {
            return;
        }
        daemon.ended.push(end);
        daemon.own_record = own_record;
        if daemon.gathering {
            let token = daemon.token;
            self.at(
                0,
                Event::TurnEnd {
                    host,
                    generation,
                    token,
                },
            );
        } else {
            self.wake(host, 0);
        }
    }

    fn answers(&self, host: usize, of: usize, recovery: RecoveryState) -> Seen {
        let other = &self.hosts[of];
        let memory = &other.server.memory;
        let living = self.generation(of);
        let own = &self.hosts[host].server;
        let standby = !own.primary && !own.witness;
        Seen {
            node: other.id,
            reached: Ok(()),
            daemon_registered: Answer::from(Some(memory.pid.is_some())),
            daemon_running: Answer::from(Some(memory.pid.is_some() && memory.pid == living)),
            daemon_paused: Answer::from(Some(other.server.paused)),
            daemon_is_original: Answer::from(Some(
                other.runs_original && memory.pid.is_some() && memory.pid == living,
            )),
            library: Answer::Yes,
            recovery,
            receive_lsn: (!other.server.primary && !other.server.witness).then_some(Lsn(other.server.lsn)),
            replay_paused: Answer::from(Some(other.server.replay_paused)),
            apply_delay: other.server.apply_delay,
            timeline: Some(TimelineId(other.server.timeline)),
            upstream_last_seen: memory
                .upstream_seen_at
                .map(|at| Duration::from_secs((self.now - at) / 1000)),
            upstream: memory.upstream,
            wal_receiver: Answer::from(Some(self.receives(of))),
            followable: if standby && other.server.primary {
                Answer::from(Some(own.can_follow(&other.server)))
            } else {
                Answer::Unknown
            },
        }
    }

    /// Whether a WAL receiver is connected.
    fn receives(&self, host: usize) -> bool {
        let server = &self.hosts[host].server;
        let fresh = server.last_message.is_some_and(|at| self.now - at < 1000);
        fresh && !server.receiver_held
    }

    fn local(&self, host: usize) -> Local {
        let server = &self.hosts[host].server;
        if !server.serves(self.now) {
            return Local::silent();
        }
        let generation = self.generation(host);
        let out_of_recovery = server.primary || server.witness;
        let aside = self.hosts[host]
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.state.standing_aside);
        Local {
            recovery: if out_of_recovery {
                RecoveryState::Primary
            } else {
                RecoveryState::Standby
            },
            receive_lsn: (!out_of_recovery).then_some(Lsn(server.lsn)),
            replay_paused: Answer::from(Some(server.replay_paused)),
            apply_delay: server.apply_delay,
            wal_message_age: server.last_message.map(|at| Duration::from_millis(self.now - at)),
            notification: server.memory.notification,
            paused: Answer::from(Some(server.paused)),
            voting_term: Some(server.metadata.term),
            registered: Answer::from(Some(
                server.memory.node_id_set && (aside || server.memory.pid == generation),
            )),
            library: Answer::Yes,
        }
    }

    pub fn turn_end(&mut self, host: usize, generation: u64, token: u64) {
        if !self.is_current(host, generation, token) {
            return;
        }
        let now = self.now;
        let daemon = self.hosts[host].daemon.as_mut().expect("is current");
        if !daemon.gathering {
            return;
        }
        let mut ends = daemon.turn_ends;
        if daemon.seen.started.is_some() && daemon.ended.is_empty() {
            match daemon.needs.patience {
                Some(patience) => ends = ends.max(daemon.turn_began + patience.as_millis() as u64),
                // The end of a probe ends the turn, too.
                None => return,
            }
        }
        if ends > now {
            let wait = ends - now;
            self.at(
                wait,
                Event::TurnEnd {
                    host,
                    generation,
                    token,
                },
            );
            return;
        }
        let right = self.right_of(host);
        let daemon = self.hosts[host].daemon.as_mut().expect("is current");
        daemon.gathering = false;
        let mut seen = std::mem::replace(&mut daemon.seen, nothing_seen());
        seen.right = right;
        seen.now = Duration::from_millis(now);
        seen.finished = std::mem::take(&mut daemon.results);
        seen.stood_still = std::mem::take(&mut daemon.stood_still);
        seen.probes = std::mem::take(&mut daemon.ended);
        seen.own_record_on_primary = daemon.own_record.take();
        let before = daemon.state.clone();
        let decision = failover::step(&self.hosts[host].settings, &before, &seen);
        self.turns += 1;
        *self.fired.entry(decision.rule).or_default() += 1;
        if self.trace {
            self.tell_decision(host, &before, &seen, &decision);
        }
        invariants::check_decision(self, host, &before, &seen, &decision);
        let wake_at = decision.wake_at.as_millis() as u64;
        if let Some(daemon) = &mut self.hosts[host].daemon {
            if before.name() != decision.next.name() {
                daemon.in_state_since = now;
            }
            daemon.state = decision.next;
        }
        for action in decision.actions {
            self.carry_out(host, action);
        }
        let early = self.hosts[host]
            .daemon
            .as_ref()
            .is_some_and(|daemon| !daemon.results.is_empty() || !daemon.ended.is_empty());
        self.wake(host, if early { 0 } else { wake_at.saturating_sub(now) });
    }

    pub fn deliver_result(&mut self, host: usize, generation: u64, result: Finished) {
        if self.hosts[host].original.is_some() {
            return self.finish_program(host, generation, result);
        }
        let Some(daemon) = &mut self.hosts[host].daemon else {
            return;
        };
        if daemon.generation != generation {
            return;
        }
        daemon.results.push(result);
        if !daemon.gathering {
            self.wake(host, 0);
        }
    }
}
