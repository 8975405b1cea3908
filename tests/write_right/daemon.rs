//! The daemons: each turn of the real proposer, and what it decides carried out in virtual time.

use repmgr::write_right::{Action, Answered, Change, Observation, Rule, Server as Seen, Want, step_under};
use repmgr_write_right::{NodeId, Request};

use crate::checks;
use crate::host::Role;
use crate::world::{Event, Local, MS, SECOND, World};

impl World {
    /// Makes the daemon's turn due now.
    pub fn wake(&mut self, node: usize) {
        self.turn_due(node, self.now);
    }

    pub fn turn_due(&mut self, node: usize, at: u64) {
        let frozen = self.hosts[node].daemon_frozen;
        let at = at.max(frozen).max(self.now);
        let Some(daemon) = &mut self.hosts[node].daemon else {
            return;
        };
        if daemon.turn_at <= at && daemon.turn_at >= self.now {
            return;
        }
        self.planned += 1;
        daemon.turn = self.planned;
        daemon.turn_at = at;
        let turn = daemon.turn;
        let after = at - self.now;
        self.plan(after, Event::Turn(node, turn));
    }

    fn want(&self, node: usize) -> Want {
        let host = &self.hosts[node];
        match (&host.daemon, host.role) {
            (Some(daemon), _) if daemon.releasing => Want::Release,
            (_, Role::Primary) => Want::Keep,
            (_, Role::Standby) if host.candidate => Want::Take,
            _ => Want::Nothing,
        }
    }

    pub fn turn(&mut self, node: usize, turn: u64) {
        let Some(daemon) = &mut self.hosts[node].daemon else {
            return;
        };
        if daemon.turn != turn {
            return;
        }
        daemon.turn_at = u64::MAX;
        if self.hosts[node].daemon_frozen > self.now {
            let thawed = self.hosts[node].daemon_frozen;
            self.turn_due(node, thawed);
            return;
        }
        let random = self.random.next();
        let want = self.want(node);
        let mut settings = self.settings.clone();
        // One that was booted may be promoted in the place of whom its records name, which may be old.
        let named = self.random.index(self.hosts.len()) as NodeId + 1;
        let booted = !self.healed && want == Want::Take && self.random.chance(10);
        let host = &mut self.hosts[node];
        if host.mad_length {
            settings.length = 60_000;
            settings.margin = 12_000;
        }
        let now = host.clock(self.now);
        let server_answers = host.server.is_some() && host.server_frozen <= self.now;
        let memory = host
            .server
            .as_ref()
            .map(|server| &server.memory)
            .filter(|_| server_answers);
        let told = memory.filter(|_| host.local_hangs <= self.now);
        let force = self
            .force
            .as_ref()
            .filter(|(by, _)| *by == node)
            .map(|(_, given_up)| given_up.clone());
        let daemon = host.daemon.as_mut().expect("looked at above");
        let observation = Observation {
            now,
            random,
            want: match (&force, want) {
                (Some(_), Want::Nothing) => Want::Take,
                _ => want,
            },
            nodes: self
                .cut
                .iter()
                .enumerate()
                .map(|(index, _)| index as NodeId + 1)
                .collect(),
            change: self.change,
            payload: self.payload.clone(),
            force,
            in_place_of: booted.then_some(named),
            dismissed: None,
            server: Seen {
                start: memory.map(|memory| memory.start),
                end: told.map(|memory| memory.end.until),
                enforcing: host.enforcing,
                nobody_attached: host.server.is_none() && host.orphans.is_none(),
            },
            answers: std::mem::take(&mut daemon.answers),
        };
        let before = daemon.state.clone();
        let decision = step_under(self.rules, &settings, &before, &observation);
        daemon.state = decision.next;
        *self.fired.entry(decision.rule).or_default() += 1;
        let incarnation = daemon.incarnation;
        if self.loud && (self.healed || !matches!(decision.rule, Rule::NotWanted)) {
            println!(
                "{:>12.3} node {}: {}: {}",
                (self.now - 10_000 * SECOND) as f64 / 1e6,
                node + 1,
                decision.rule.name(),
                decision.reason
            );
        }
        checks::after_turn(self, node, &before, decision.rule, &decision.actions);
        if let Some(frozen) = self.hosts[node].stumble.take_if(|_| !decision.actions.is_empty()) {
            self.hosts[node].daemon_frozen = self.now + frozen;
        }
        for action in decision.actions {
            let after = self.hosts[node].daemon_frozen.saturating_sub(self.now);
            if after == 0 {
                self.act(node, incarnation, action);
            } else {
                self.plan(after, Event::Act(node, incarnation, Box::new(action)));
            }
        }
        self.policy(node, decision.rule);
        let at = self.hosts[node].true_time(decision.wake_at).max(self.now + 100);
        self.turn_due(node, at);
    }

    /// What a daemon does with its server.
    pub fn policy(&mut self, node: usize, rule: Rule) {
        let now = self.now;
        let start = self.hosts[node].server.as_ref().map(|server| server.memory.start);
        let host = &mut self.hosts[node];
        let role = host.role;
        match rule {
            Rule::Lapsed if role == Role::Primary => {
                // Out of the clients' way, and by policy a standby again.
                if self.random.chance(50)
                    && let Some(start) = start
                {
                    self.hosts[node].role = Role::Standby;
                    let after = self.random.between(100, 3_000) * MS;
                    self.plan(after, Event::Stop(node, start));
                }
            }
            Rule::Overtaken if role == Role::Primary => {
                host.role = Role::Standby;
                self.stop_server(node);
            }
            Rule::Released | Rule::EndedBeforeRelease => {
                if role == Role::Primary {
                    host.role = Role::Standby;
                }
                if let Some(daemon) = &mut host.daemon {
                    daemon.releasing = false;
                }
                host.candidate = false;
            }
            _ => {}
        }
        let host = &mut self.hosts[node];
        if host.role == Role::Standby
            && let Some(daemon) = &mut host.daemon
            && daemon.state.held.is_some()
            && daemon.last_promotion + 200 * MS < now
        {
            daemon.last_promotion = now;
            self.local_later(node, Local::Promote);
        }
    }

    pub fn act(&mut self, node: usize, incarnation: u64, action: Action) {
        // A frozen process carries its actions out when it is thawed, unless it is killed.
        let alive = self.hosts[node]
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.incarnation == incarnation);
        if !alive {
            return;
        }
        match action {
            Action::Ask {
                attempt,
                voters,
                request,
                ..
            } => {
                if let Request::Release { .. } = request {
                    checks::released(self, node);
                }
                for voter in voters {
                    let to = voter as usize - 1;
                    let event = Event::Ask {
                        from: node,
                        incarnation,
                        attempt,
                        to,
                        request: Box::new(request.clone()),
                    };
                    self.send(node, to, event);
                }
            }
            Action::ExtendLocalEnd { ballot, until, server } => {
                self.local_later(node, Local::Extend { ballot, until, server });
            }
            Action::SetLocalEndToZero { ballot } => self.local_later(node, Local::Zero { ballot }),
            Action::VotersChanged { voters } => {
                if let Some(change) = self.change {
                    let done = match change {
                        Change::Add(node) => voters.contains(&node),
                        Change::Remove(node) => !voters.contains(&node),
                    };
                    if done {
                        self.change = None;
                    }
                }
            }
            Action::Forced { .. } => self.force = None,
            Action::Acquired { .. }
            | Action::Lapsed { .. }
            | Action::Released { .. }
            | Action::PayloadChosen { .. } => {}
        }
    }

    // The network.

    pub fn answered(&mut self, node: usize, incarnation: u64, answered: Answered) {
        if let Some(daemon) = &mut self.hosts[node].daemon
            && daemon.incarnation == incarnation
        {
            daemon.answers.push(answered);
            self.wake(node);
        }
    }

    // The voter.
}
