//! What goes wrong, and what people do.

use repmgr::failover::{ConnectFailure, Notification};
use repmgr::types::NodeId;

use crate::random::Random;
use crate::world::{Command, Event, World};

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

/// One fault or deed at random.
pub fn any_fault(random: &mut Random, count: usize) -> Fault {
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

impl Fault {
    /// The kinds that happen by themselves; an end of a cut is not one.
    pub const KINDS: &[&str] = &[
        "server crash",
        "loss of a host",
        "daemon crash",
        "cut",
        "partition",
        "loss of packets",
        "refused logins",
        "no name service",
        "pause",
        "promote command",
        "follow command",
        "validation command",
        "stalled receiver",
        "paused replay",
        "notification",
        "switchover",
        "promotion by hand",
        "forgotten upstream",
    ];

    fn kind(&self) -> Option<&'static str> {
        let index = match self {
            Fault::ServerCrash { .. } => 0,
            Fault::HostLoss { .. } => 1,
            Fault::DaemonCrash { .. } => 2,
            Fault::Cut { .. } => 3,
            Fault::Join { .. } => return None,
            Fault::Partition { .. } => 4,
            Fault::Loss { .. } => 5,
            Fault::Refuse { .. } => 6,
            Fault::Names { .. } => 7,
            Fault::Pause { .. } => 8,
            Fault::Promote { .. } => 9,
            Fault::Follow { .. } => 10,
            Fault::Validation { .. } => 11,
            Fault::Stall { .. } => 12,
            Fault::PauseReplay { .. } => 13,
            Fault::Notify { .. } => 14,
            Fault::Switchover { .. } => 15,
            Fault::PromoteByHand { .. } => 16,
            Fault::ForgetUpstream { .. } => 17,
        };
        Some(Self::KINDS[index])
    }
}

impl World {
    pub fn inflict(&mut self, fault: Fault) {
        if let Some(kind) = fault.kind() {
            *self.inflicted.entry(kind).or_default() += 1;
        }
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
