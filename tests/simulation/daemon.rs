//! A daemon: gathers, lets the core decide, carries out. The core is the real one.

use std::rc::Rc;
use std::time::Duration;

use repmgr::failover::{
    self, Action, Answer, CommandEnd, ConnectFailure, Finished, Local, Needs, Node, Notification, Observation,
    ProbeEnd, RecordChange, Seen, State, Where,
};
use repmgr::types::{Lsn, NodeId, NodeType, RecoveryState, TimelineId};

use crate::invariants;
use crate::scenario::TROUBLE;
use crate::world::{CONNECT_TIMEOUT, Event, World};

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
    /// When `name()` last changed, for the limit on transitional states.
    pub in_state_since: u64,
    /// Turns within the current second.
    pub busy: (u64, u64),
    /// When the election that is being acted on was decided, and by which records.
    pub decided: Option<(u64, Rc<crate::server::Metadata>)>,
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
    }
}

impl World {
    pub fn daemon_up(&mut self, host: usize) {
        if self.hosts[host].daemon.is_some() || self.hosts[host].server.destroyed {
            return;
        }
        if !self.hosts[host].server.serves(self.now) && self.random.chance(90) {
            self.at(3000, Event::DaemonUp { host });
            return;
        }
        self.next_generation += 1;
        let generation = self.next_generation;
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
            in_state_since: self.now,
            busy: (0, 0),
            decided: None,
        });
        if self.hosts[host].server.serves(self.now) {
            let memory = &mut self.hosts[host].server.memory;
            memory.node_id_set = true;
            memory.pid = Some(generation);
        }
        self.log(|| format!("daemon of node {} starts", host + 1));
        self.wake(host, 0);
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
            let arrives = self.one_way();
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
                let delay = self.random.between(1, 30);
                last = last.max(delay);
                self.at(
                    delay,
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

    /// How long a probe is on its way, or its answer: now and then so long that others overtake it.
    fn one_way(&mut self) -> u64 {
        if self.now < TROUBLE && self.random.chance(2) {
            self.random.between(100, 2500)
        } else {
            self.random.between(1, 15)
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
            reached => (reached.map(|()| recovery), self.now + self.one_way()),
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
        let living = other.daemon.as_ref().map(|daemon| daemon.generation);
        let own = &self.hosts[host].server;
        let standby = !own.primary && !own.witness;
        Seen {
            node: other.id,
            reached: Ok(()),
            daemon_registered: Answer::from(Some(memory.pid.is_some())),
            daemon_running: Answer::from(Some(memory.pid.is_some() && memory.pid == living)),
            daemon_paused: Answer::from(Some(other.server.paused)),
            daemon_is_original: Answer::No,
            library: Answer::Yes,
            recovery,
            receive_lsn: (!other.server.primary && !other.server.witness).then_some(Lsn(other.server.lsn)),
            replay_paused: Answer::from(Some(other.server.replay_paused)),
            apply_delay: Duration::ZERO,
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
        let generation = self.hosts[host].daemon.as_ref().map(|daemon| daemon.generation);
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
            apply_delay: Duration::ZERO,
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
        daemon.gathering = false;
        let mut seen = std::mem::replace(&mut daemon.seen, nothing_seen());
        seen.now = Duration::from_millis(now);
        seen.finished = std::mem::take(&mut daemon.results);
        seen.probes = std::mem::take(&mut daemon.ended);
        seen.own_record_on_primary = daemon.own_record.take();
        let before = daemon.state.clone();
        let decision = failover::step(&self.hosts[host].settings, &before, &seen);
        self.turns += 1;
        *self.fired.entry(decision.rule).or_default() += 1;
        if self.trace && (before.name() != decision.next.name() || decision.actions.len() > 1) {
            self.log(|| {
                format!(
                    "node {} {} -> {}: {}: {} {:?}",
                    host + 1,
                    before.name(),
                    decision.next.name(),
                    decision.rule.name(),
                    decision.reason,
                    decision.actions
                )
            });
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

    fn result(&mut self, host: usize, delay: u64, result: Finished) {
        if let Some(daemon) = &self.hosts[host].daemon {
            let generation = daemon.generation;
            self.at(
                delay,
                Event::Result {
                    host,
                    generation,
                    result,
                },
            );
        }
    }

    fn reach_primary(&mut self, from: usize, id: NodeId) -> Option<usize> {
        let to = self.host_of(id)?;
        (self.connect(from, to).is_ok() && self.hosts[to].server.primary).then_some(to)
    }

    fn carry_out(&mut self, host: usize, action: Action) {
        let own = self.hosts[host].id;
        let now = self.now;
        let serves = self.hosts[host].server.serves(now);
        let generation = self.hosts[host].daemon.as_ref().map_or(0, |daemon| daemon.generation);
        let server = &mut self.hosts[host].server;
        match action {
            Action::Announce(announcement) => {
                if let Where::On(node) = announcement.to
                    && self.host_of(node).is_none()
                {
                    self.fail(format!(
                        "event {} is to be written on an unknown node",
                        announcement.event
                    ));
                }
            }
            Action::ResetVotingStatus if serves => server.memory.notification = None,
            Action::SetUpstreamLastSeen(upstream) if serves => {
                server.memory.upstream = Some(upstream);
                server.memory.upstream_seen_at = Some(now);
            }
            Action::SetUpstreamNodeId(upstream) if serves => server.memory.upstream = upstream,
            Action::RegisterDaemon if serves => {
                server.memory.node_id_set = true;
                server.memory.pid = Some(generation);
            }
            Action::StandAside(aside) if serves => server.memory.pid = (!aside).then_some(generation),
            Action::ResetVotingStatus
            | Action::SetUpstreamLastSeen(_)
            | Action::SetUpstreamNodeId(_)
            | Action::RegisterDaemon
            | Action::StandAside(_) => {}
            Action::RunPromoteCommand => {
                let behaviour = self.hosts[host].promote;
                self.at(
                    100,
                    Event::PromoteCheck {
                        host,
                        generation,
                        behaviour,
                    },
                );
            }
            Action::RunFollowCommand(target) => self.run_follow(host, generation, target),
            Action::RunValidation { .. } => {
                let code = i32::from(self.hosts[host].validation_rejects);
                let delay = self.random.between(50, 1500);
                self.result(host, delay, Finished::Validation(CommandEnd::Exited(code)));
            }
            Action::Notify { nodes, value } => {
                for id in nodes {
                    if let Some(to) = self.host_of(id) {
                        let delay = self.random.between(1, 60);
                        self.at(delay, Event::Deliver { from: host, to, value });
                    }
                }
            }
            Action::StopWalReceiver => {
                server.receiver_held = true;
                let delay = self.random.between(200, 3000);
                self.result(host, delay, Finished::WalReceiverStopped(true));
            }
            Action::RestoreWalReceiver => server.receiver_held = false,
            Action::ResumeReplay => {
                server.replay_paused = false;
                self.result(host, 20, Finished::ReplayResumed(true));
            }
            Action::RecordOwnPromotion => {
                self.write(host, |records| records.promote(own));
            }
            Action::IncrementVotingTerm => {
                self.write(host, |records| records.term += 1);
            }
            Action::RecordActive { on, active, .. } => {
                if let Some(to) = self.reach_primary(host, on) {
                    self.write(to, |records| {
                        if let Some(node) = records.node_mut(own) {
                            node.active = active;
                        }
                    });
                }
            }
            Action::RecordUpstream(primary) => {
                if let Some(to) = self.reach_primary(host, primary) {
                    self.write(to, |records| records.follow(own, primary));
                }
            }
            Action::BecomeStandby(primary) => {
                let change = match self.reach_primary(host, primary) {
                    Some(to) => {
                        self.write(to, |records| {
                            if records
                                .node_mut(own)
                                .is_some_and(|node| node.node_type == NodeType::Primary)
                            {
                                records.follow(own, primary);
                            }
                        });
                        RecordChange::Done
                    }
                    None => RecordChange::Failed,
                };
                let delay = self.random.between(10, 2500);
                self.result(host, delay, Finished::BecameStandby(change));
            }
            Action::AdoptPrimary(primary) => {
                let change = match self.reach_primary(host, primary) {
                    Some(to) => {
                        self.write(to, |records| records.follow(own, primary));
                        self.hosts[host].server.metadata = Rc::clone(&self.hosts[to].server.metadata);
                        RecordChange::Done
                    }
                    None => RecordChange::Failed,
                };
                let delay = self.random.between(10, 2500);
                self.result(host, delay, Finished::PrimaryAdopted(change));
            }
            Action::Exit(code) => self.fail(format!("node {} exits with {code:?}", host + 1)),
        }
    }

    /// A notification that no daemon sent.
    pub fn notify_by_hand(&mut self, to: usize, value: Notification) {
        if self.hosts[to].server.memory.node_id_set {
            self.hosts[to].server.memory.notification = Some(value);
        }
    }
}
