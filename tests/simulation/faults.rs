//! What goes wrong, and what people do.

use std::time::Duration;

use repmgr::failover::{ConnectFailure, Notification};
use repmgr::types::{NodeId, NodeType};

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
    /// A server is restarted, and at times its daemon with it.
    Restart {
        host: usize,
        daemon: bool,
        takes: u64,
    },
    /// Connections are accepted, and nothing is answered.
    Hang {
        host: usize,
        lasts: u64,
    },
    /// A daemon is stopped, as by SIGSTOP.
    Freeze {
        host: usize,
        lasts: u64,
    },
    /// Everything between two hosts takes longer.
    Slow {
        from: usize,
        to: usize,
        by: u64,
        lasts: u64,
    },
    /// Two hosts do not see each other at all.
    CutBoth {
        one: usize,
        other: usize,
        until: u64,
    },
    /// `service pause` and `service unpause`: all nodes.
    PauseAll {
        paused: bool,
    },
    /// A person has a standby follow another node.
    FollowByHand {
        host: usize,
        to: usize,
    },
    /// A person removes the record of a node, and registers it again.
    Unregister {
        host: usize,
        back_after: u64,
    },
    /// Somebody else's tool writes a type that is not known, and the daemon is restarted.
    UnknownType {
        host: usize,
        lasts: u64,
    },
    /// The primary's record is made inactive.
    DisownPrimary {
        lasts: u64,
    },
    /// The daemon reads its configuration again.
    Reload {
        host: usize,
    },
    /// A standby begins or ends to apply WAL with a delay.
    Delay {
        host: usize,
        seconds: u64,
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
    let lasts = random.between(1_000, 30_000);
    match random.between(0, 40) {
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
        24 => Fault::ForgetUpstream { host },
        25 | 26 => Fault::Restart {
            host,
            daemon: random.chance(40),
            takes: random.between(300, 5_000),
        },
        27 => Fault::Hang { host, lasts },
        28 => Fault::Freeze { host, lasts },
        29 | 30 => Fault::Slow {
            from: host,
            to: other,
            by: random.between(100, 2_500),
            lasts,
        },
        31 => Fault::CutBoth {
            one: host,
            other,
            until,
        },
        32 | 33 => Fault::PauseAll {
            paused: random.chance(40),
        },
        34 => Fault::FollowByHand { host, to: other },
        35 => Fault::Unregister {
            host,
            back_after: random.between(5_000, 30_000),
        },
        36 => Fault::UnknownType { host, lasts },
        37 => Fault::DisownPrimary { lasts },
        38 | 39 => Fault::Reload { host },
        _ => Fault::Delay {
            host,
            seconds: if random.chance(70) { 3_600 } else { 0 },
        },
    }
}

impl Fault {
    /// All of them, as the run counts them.
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
        "restart of a server",
        "hung server",
        "frozen daemon",
        "slow link",
        "cut both ways",
        "pause of all",
        "follow by hand",
        "removed record",
        "unknown type",
        "disowned primary",
        "reload",
        "delayed standby",
    ];

    fn kind(&self) -> &'static str {
        let index = match self {
            Fault::ServerCrash { .. } => 0,
            Fault::HostLoss { .. } => 1,
            Fault::DaemonCrash { .. } => 2,
            Fault::Cut { .. } => 3,
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
            Fault::Restart { .. } => 18,
            Fault::Hang { .. } => 19,
            Fault::Freeze { .. } => 20,
            Fault::Slow { .. } => 21,
            Fault::CutBoth { .. } => 22,
            Fault::PauseAll { .. } => 23,
            Fault::FollowByHand { .. } => 24,
            Fault::Unregister { .. } => 25,
            Fault::UnknownType { .. } => 26,
            Fault::DisownPrimary { .. } => 27,
            Fault::Reload { .. } => 28,
            Fault::Delay { .. } => 29,
        };
        Self::KINDS[index]
    }
}

impl World {
    pub fn inflict(&mut self, fault: Fault) {
        *self.inflicted.entry(fault.kind()).or_default() += 1;
        self.log(|| fault.tell());
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
                self.daemon_down(host);
                self.at(back_after, Event::DaemonUp { host });
            }
            Fault::Cut { from, to, until } => self.cut(vec![(from, to)], until),
            Fault::Partition { side, until } => {
                let pairs = (0..side.len()).flat_map(|from| (0..side.len()).map(move |to| (from, to)));
                let between = pairs.filter(|(from, to)| side[*from] != side[*to]).collect();
                self.cut(between, until);
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
            Fault::Notify { to, value } => self.notify_by_hand(to, value),
            Fault::Switchover { to } => self.switchover(to),
            Fault::PromoteByHand { host, records } => self.promote_by_hand(host, records),
            Fault::ForgetUpstream { host } => self.change_record(host, |node| node.upstream = None),
            Fault::Restart { host, daemon, takes } => {
                self.server_down(host, false);
                self.back(host, Some(takes));
                if daemon {
                    self.daemon_down(host);
                    self.at(takes + 500, Event::DaemonUp { host });
                }
            }
            Fault::Hang { host, lasts } => {
                let server = &mut self.hosts[host].server;
                server.hung = server.up && !server.host_down;
                self.after(lasts, move |world| world.hosts[host].server.hung = false);
            }
            Fault::Freeze { host, lasts } => self.hosts[host].frozen_until = self.now + lasts,
            Fault::Slow { from, to, by, lasts } => {
                self.slow[from][to] = by;
                self.after(lasts, move |world| world.slow[from][to] = 0);
            }
            Fault::CutBoth { one, other, until } => self.cut(vec![(one, other), (other, one)], until),
            Fault::PauseAll { paused } => {
                for host in 0..self.hosts.len() {
                    self.hosts[host].server.paused = paused;
                }
            }
            Fault::FollowByHand { host, to } => self.follow_by_hand(host, to),
            Fault::Unregister { host, back_after } => self.unregister(host, back_after),
            Fault::UnknownType { host, lasts } => {
                let Some(primary) = self.true_primary().filter(|primary| *primary != host) else {
                    return;
                };
                let known = if self.hosts[host].server.witness {
                    NodeType::Witness
                } else {
                    NodeType::Standby
                };
                self.change_record(host, |node| node.node_type = NodeType::Unknown);
                self.log(|| format!("written on node {}", primary + 1));
                self.daemon_down(host);
                self.at(1_500, Event::DaemonUp { host });
                self.after(lasts, move |world| {
                    world.change_record(host, |node| {
                        if node.node_type == NodeType::Unknown {
                            node.node_type = known;
                        }
                    });
                });
            }
            Fault::DisownPrimary { lasts } => {
                let Some(primary) = self.true_primary() else { return };
                self.change_record(primary, |node| node.active = false);
                self.after(lasts, move |world| {
                    world.change_record(primary, |node| node.active = true)
                });
            }
            Fault::Reload { host } => self.reload(host),
            Fault::Delay { host, seconds } => {
                self.hosts[host].server.apply_delay = Duration::from_secs(seconds);
            }
        }
    }

    fn cut(&mut self, packets: Vec<(usize, usize)>, lasts: u64) {
        for (from, to) in &packets {
            self.links[*from][*to] = false;
        }
        self.after(lasts, move |world| {
            for (from, to) in &packets {
                world.links[*from][*to] = true;
            }
            world.log(|| "the network is whole again there".to_owned());
        });
    }

    fn back(&mut self, host: usize, after: Option<u64>) {
        if let Some(after) = after {
            self.at(after, Event::ServerUp { host });
        }
    }
}
