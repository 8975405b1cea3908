//! What people do, with the tools or by hand.

use std::time::Duration;

use repmgr::failover::Node;
use repmgr::types::NodeId;

use crate::random::Random;
use crate::world::World;

impl World {
    /// Changes a node's record on the latest primary.
    pub(super) fn change_record(&mut self, host: usize, change: impl FnOnce(&mut Node)) {
        let id = self.hosts[host].id;
        if let Some(primary) = self.true_primary() {
            self.write(primary, |metadata| {
                if let Some(node) = metadata.node_mut(id) {
                    change(node);
                }
            });
        }
    }

    /// `standby unregister`, which refuses while others are registered at the node, and `standby register` later.
    pub(super) fn unregister(&mut self, host: usize, back_after: u64) {
        let id = self.hosts[host].id;
        let Some(primary) = self.true_primary().filter(|primary| *primary != host) else {
            return;
        };
        let nodes = &self.hosts[primary].server.metadata.nodes;
        if nodes.iter().any(|node| node.upstream == Some(id)) {
            return;
        }
        let Some(record) = nodes.iter().find(|node| node.id == id).cloned() else {
            return;
        };
        self.write(primary, |metadata| metadata.nodes.retain(|node| node.id != id));
        self.after(back_after, move |world| {
            if let Some(primary) = world.true_primary() {
                let upstream = world.hosts[primary].id;
                world.write(primary, |metadata| metadata.register(record, upstream));
            }
        });
    }

    pub(super) fn follow_by_hand(&mut self, host: usize, to: usize) {
        let (own, other) = (&self.hosts[host].server, &self.hosts[to].server);
        let chain = std::iter::successors(Some(to), |host| self.hosts[*host].server.source);
        let circle = chain.take(self.hosts.len()).any(|above| above == host);
        let works = !own.primary && !own.witness && !other.witness && !circle;
        if !works || !own.serves(self.now) || !other.serves(self.now) || !own.can_follow(other) {
            return;
        }
        let Some(primary) = self.true_primary() else { return };
        let (id, upstream) = (self.hosts[host].id, self.hosts[to].id);
        if self.write(primary, |records| records.follow(id, upstream)) {
            self.hosts[host].server.source = Some(to);
        }
    }

    /// New settings, and a turn at once.
    pub(super) fn reload(&mut self, host: usize) {
        let seconds = |random: &mut Random, low, high| Duration::from_secs(random.between(low, high));
        let random = &mut self.random;
        let settings = &mut self.hosts[host].settings;
        settings.reconnect_attempts = random.between(0, 5) as u32;
        settings.reconnect_interval = seconds(random, 0, 4);
        settings.notification_timeout = seconds(random, 6, 15);
        settings.failover_delay = seconds(random, 0, 4);
        settings.promote_delay = seconds(random, 0, 3);
        settings.validate = random.chance(20);
        if random.chance(15) {
            settings.automatic = !settings.automatic;
        }
        self.interrupt(host);
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

    pub(super) fn switchover(&mut self, to: usize) {
        let Some(from) = self.true_primary() else { return };
        let candidate = &self.hosts[to].server;
        let recorded = self.hosts[from]
            .server
            .metadata
            .nodes
            .iter()
            .any(|node| node.id == self.hosts[to].id);
        if !recorded || !self.linked(from, to) {
            return;
        }
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
            if self.hosts[host].server.source == Some(from) && self.linked(host, to) {
                self.hosts[host].server.source = Some(to);
            }
        }
    }

    pub(super) fn promote_by_hand(&mut self, host: usize, records: bool) {
        let server = &self.hosts[host].server;
        if server.primary || server.witness || !server.serves(self.now) {
            return;
        }
        let id = self.hosts[host].id;
        // `repmgr` wants a record; `pg_ctl promote` does not.
        if records && !server.metadata.nodes.iter().any(|node| node.id == id) {
            return;
        }
        let branch = self.new_branch();
        self.hosts[host].server.promote(branch);
        if records {
            self.write(host, |metadata| metadata.promote(id));
        }
    }
}
