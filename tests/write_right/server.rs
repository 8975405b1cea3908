//! The servers: what they are told of the right, and what they commit by it.

use repmgr_write_right::Safety;

use crate::checks;
use crate::host::Role;
use crate::world::{Event, Local, MS, World};

impl World {
    pub fn local_later(&mut self, node: usize, local: Local) {
        let hangs = self.hosts[node].local_hangs.saturating_sub(self.now);
        let after = hangs + self.random.between(200, 3_000);
        self.plan(after, Event::Local(node, local));
    }

    pub fn local(&mut self, node: usize, local: Local) {
        let (now, rules) = (self.now, self.rules);
        let host = &mut self.hosts[node];
        if host.server_frozen > now && host.server.is_some() {
            let after = host.server_frozen - now + 10;
            self.plan(after, Event::Local(node, local));
            return;
        }
        let clock = host.clock(now);
        let role = host.role;
        let Some(server) = &mut host.server else { return };
        let memory = &mut server.memory;
        match local {
            Local::Extend { ballot, until, server } => {
                let meant_for = if rules.hold(Safety::EndBoundToServer) {
                    server
                } else {
                    memory.start
                };
                let _ = memory.end.extend(clock, ballot, until, meant_for, memory.start);
            }
            Local::Zero { ballot } => memory.end.set_to_zero(ballot),
            Local::Promote => {
                let may = memory.end.may_write(clock) || !rules.hold(Safety::PromotionChecksEnd);
                if role == Role::Standby && may {
                    self.hosts[node].role = Role::Primary;
                    checks::promoted(self, node);
                }
            }
        }
    }

    /// Check (a): before the commit.
    pub fn write(&mut self, node: usize) {
        let next = self.random.between(100, 400) * MS;
        self.plan(next, Event::Write(node));
        let host = &self.hosts[node];
        let Some(memory) = host.memory() else { return };
        let frozen = host.server_frozen > self.now;
        if host.role != Role::Primary || frozen || !memory.end.may_write(host.clock(self.now)) {
            return;
        }
        let start = memory.start;
        // Some wait for a synchronous standby.
        let long = self.random.chance(10);
        let after = if long {
            self.random.between(500, 6_000)
        } else {
            self.random.between(1, 30)
        };
        self.plan(after * MS, Event::Committed(node, start));
    }

    /// Check (c): after the commit, before the answer.
    pub fn committed(&mut self, node: usize, start: u64) {
        let host = &self.hosts[node];
        let Some(memory) = host.memory().filter(|memory| memory.start == start) else {
            return;
        };
        if host.server_frozen > self.now {
            let after = host.server_frozen - self.now + 10;
            self.plan(after, Event::Committed(node, start));
            return;
        }
        let may = memory.end.may_write(host.clock(self.now)) || !self.rules.hold(Safety::CheckedAfterCommit);
        if may {
            checks::acknowledged(self, node);
        }
    }

    /// A service manager, a failover and a person: restarts what is down, names candidates.
    pub fn watch(&mut self, node: usize) {
        let next = self.random.between(300, 1_200) * MS;
        self.plan(next, Event::Watch(node));
        let (now, healed) = (self.now, self.healed);
        let host = &mut self.hosts[node];
        if !host.on {
            return;
        }
        if host.orphans.as_ref().is_some_and(|(_, end)| *end <= now) {
            host.orphans = None;
            self.wake(node);
        }
        let host = &mut self.hosts[node];
        let releasing = host.daemon.as_ref().is_some_and(|daemon| daemon.releasing);
        if host.server.is_none() && self.random.chance(if releasing { 25 } else { 40 }) {
            self.start_server(node);
        }
        let host = &mut self.hosts[node];
        if host.server.is_none()
            && host.orphans.is_none()
            && self.random.chance(50)
            && let Some(daemon) = &mut host.daemon
            && daemon.state.held.is_some()
        {
            // The server crashed under a daemon that lives: the others need not wait.
            daemon.releasing = true;
            self.wake(node);
        }
        if self.hosts[node].daemon.is_none() && self.random.chance(40) {
            self.start_daemon(node);
        }
        let random = self.random.next();
        let host = &mut self.hosts[node];
        if host.role != Role::Standby {
            return;
        }
        let clock = host.clock(now);
        let running = host.server.as_ref().and_then(|server| server.record.running(clock));
        let others = running.is_some_and(|ballot| ballot.node != host.id);
        let holds = host.daemon.as_ref().is_some_and(|daemon| daemon.state.held.is_some());
        let before = host.candidate;
        host.candidate = match (host.restless, others) {
            _ if holds || host.restless => true,
            (_, true) => false,
            _ if before => !random.is_multiple_of(16) || healed,
            _ => random.is_multiple_of(3),
        };
        if host.candidate != before {
            self.wake(node);
        }
    }
}
