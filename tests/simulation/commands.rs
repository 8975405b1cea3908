//! What `repmgr standby promote` and `standby follow` do to a server.

use repmgr::failover::{CommandEnd, Finished};
use repmgr::types::{NodeId, NodeType};

use crate::invariants;
use crate::world::{Command, Event, Promotion, World};

impl World {
    /// `repmgr standby promote` first looks whether any active node is a primary.
    pub fn promote_check(&mut self, host: usize, generation: u64, behaviour: Command) {
        let end = |this: &mut World, delay: u64, end: CommandEnd| {
            let result = Finished::PromoteCommand(end);
            this.at(
                delay,
                Event::Result {
                    host,
                    generation,
                    result,
                },
            );
        };
        match behaviour {
            Command::Fails => return end(self, 300, CommandEnd::Exited(1)),
            Command::Killed => return end(self, 300, CommandEnd::Signalled(9)),
            Command::Lies => return end(self, 300, CommandEnd::Exited(0)),
            Command::Hangs => {
                let delay = self.hosts[host].settings.promote_timeout.as_millis() as u64;
                return end(self, delay, CommandEnd::TimedOut);
            }
            Command::Works | Command::KilledLate | Command::WithoutRecords => {}
        }
        let others: Vec<usize> = self.hosts[host]
            .server
            .metadata
            .nodes
            .iter()
            .filter(|node| node.active && node.node_type != NodeType::Witness && node.id != self.hosts[host].id)
            .filter_map(|node| self.host_of(node.id))
            .collect();
        for other in others {
            if self.connect(host, other).is_ok() && self.hosts[other].server.primary {
                return end(self, 50, CommandEnd::Exited(8));
            }
        }
        let delay = self.random.between(200, 2500);
        self.at(
            delay,
            Event::Promote {
                host,
                generation,
                behaviour,
            },
        );
    }

    pub fn promote_effect(&mut self, host: usize, generation: u64, behaviour: Command) {
        let now = self.now;
        let server = &self.hosts[host].server;
        let end = if !server.serves(now) || server.primary {
            CommandEnd::Exited(8)
        } else {
            let parent = server.branch;
            let branch = self.new_branch();
            let own = self.hosts[host].id;
            self.hosts[host].server.promote(branch);
            self.log(|| format!("server of node {} is promoted", host + 1));
            let decided = self.hosts[host].decided.clone();
            if let Some(decided) = decided {
                let promotion = Promotion {
                    host,
                    decided: decided.at,
                    promoted: now,
                    upstream: decided.upstream,
                    lost: decided.lost,
                    original: self.hosts[host].runs_original,
                    parent,
                    records: decided.records,
                };
                invariants::check_promotion(self, &promotion);
                self.promotions.push(promotion);
            }
            match behaviour {
                Command::KilledLate => CommandEnd::Signalled(9),
                Command::WithoutRecords => CommandEnd::Exited(0),
                _ => {
                    self.write(host, |records| records.promote(own));
                    CommandEnd::Exited(0)
                }
            }
        };
        let result = Finished::PromoteCommand(end);
        self.at(
            300,
            Event::Result {
                host,
                generation,
                result,
            },
        );
    }

    pub fn run_follow(&mut self, host: usize, generation: u64, target: NodeId) {
        let Some(target) = self.host_of(target) else { return };
        let delay = match self.hosts[host].follow {
            Command::Hangs => self.hosts[host].settings.command_timeout.as_millis() as u64,
            _ => self.random.between(100, 2000),
        };
        self.at(
            delay,
            Event::Follow {
                host,
                generation,
                target,
            },
        );
    }

    pub fn follow_effect(&mut self, host: usize, generation: u64, target: usize) {
        let works = self.hosts[host].follow == Command::Works;
        let end = if !works {
            CommandEnd::Exited(1)
        } else {
            let reached = self.connect(host, target).is_ok() && self.hosts[host].server.serves(self.now);
            let other = &self.hosts[target].server;
            if reached && other.primary && self.hosts[host].server.can_follow(other) {
                let (own, upstream) = (self.hosts[host].id, self.hosts[target].id);
                self.hosts[host].server.source = Some(target);
                self.write(target, |records| records.follow(own, upstream));
                if self.random.chance(40) {
                    // Restarted rather than reloaded.
                    self.hosts[host].server.forget();
                    self.hosts[host].server.starting_until = self.now + self.random.between(100, 1500);
                }
                CommandEnd::Exited(0)
            } else {
                CommandEnd::Exited(23)
            }
        };
        let result = Finished::FollowCommand(end);
        self.at(
            20,
            Event::Result {
                host,
                generation,
                result,
            },
        );
    }
}
