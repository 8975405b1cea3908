//! The cluster in virtual time: events, messages, processes. True time is in microseconds and known to nobody inside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use repmgr::write_right::{Action, Answered, Change, Rule, Settings, State};
use repmgr_write_right::{
    LocalEnd, NodeId, Payload, Record, Request, Rules, Verdict, VoterList, acceptor::answer_under,
};

use crate::checks;
use crate::enemies::Enemy;
use crate::host::{Daemon, Host, Memory, Role, Server};
use crate::random::Random;

pub const MS: u64 = 1_000;
pub const SECOND: u64 = 1_000_000;

#[derive(Clone)]
pub enum Event {
    /// The daemon's turn, if it is still the planned one.
    Turn(usize, u64),
    /// An action is carried out.
    Act(usize, u64, Box<Action>),
    /// A question reaches a voter.
    Ask {
        from: usize,
        incarnation: u64,
        attempt: u64,
        to: usize,
        request: Box<Request>,
    },
    /// An answer, or the news that there is none, reaches a daemon.
    Answer(usize, u64, Box<Answered>),
    /// Something is done over the local connection.
    Local(usize, Local),
    /// A client begins a transaction.
    Write(usize),
    /// The transaction is committed, if it was begun on this server, and is to be acknowledged.
    Committed(usize, u64),
    /// What watches over a host: candidates, restarts.
    Watch(usize),
    /// The page cache reaches the disk.
    Flush(usize, u64),
    /// The server is stopped cleanly.
    Stop(usize, u64),
    Enemy(Enemy),
    Heal,
}

#[derive(Clone, Copy)]
pub enum Local {
    Extend {
        ballot: repmgr_write_right::Ballot,
        until: u64,
        server: u64,
    },
    Zero {
        ballot: repmgr_write_right::Ballot,
    },
    Promote,
}

struct Planned(u64, u64, Event);

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub struct World {
    pub rules: Rules,
    pub random: Random,
    pub now: u64,
    pub planned: u64,
    queue: BinaryHeap<Reverse<Planned>>,
    pub hosts: Vec<Host>,
    pub settings: Settings,
    /// Percent of messages.
    pub loss: u64,
    pub doubled: u64,
    pub late: u64,
    /// Percent of the questions for acceptance.
    pub acceptances_lost: u64,
    /// Whether the news that a lease has ended is slow.
    pub releases_late: bool,
    /// Who was promoted last.
    pub primary: usize,
    /// Until when nothing gets from one to the other.
    pub cut: Vec<Vec<u64>>,
    pub change: Option<Change>,
    pub payload: Option<(u32, Vec<NodeId>)>,
    /// Who gives up whom.
    pub force: Option<(usize, Vec<NodeId>)>,
    pub healed: bool,
    pub loud: bool,
    pub failures: Vec<String>,
    pub fired: BTreeMap<Rule, u64>,
    pub inflicted: BTreeMap<&'static str, u64>,
    pub premises: BTreeMap<&'static str, u64>,
    pub verdicts: BTreeMap<Verdict, u64>,
    pub steps: u64,
    // What the checks know.
    pub last_epoch: u64,
    pub chosen_payload: Payload,
    pub chosen_list: VoterList,
    /// The newest one that any voter has accepted.
    pub newest_list: VoterList,
    pub lists: BTreeMap<u64, Vec<NodeId>>,
    pub first_after_healing: Option<u64>,
    pub quiet_until: u64,
}

impl World {
    pub fn new(seed: u64, rules: Rules, loud: bool) -> Self {
        let mut random = Random::new(seed);
        let voters = random.between(2, 7) as usize;
        let spare = random.between(0, 2) as usize;
        let spare = spare.min(7 - voters);
        let now = 10_000 * SECOND;
        let settings = Settings::new(random.between(2, 10) * 1_000);
        let list = VoterList::first((1..=voters as NodeId).collect::<Vec<_>>());
        let mut hosts = Vec::new();
        for index in 0..voters + spare {
            let booted_at = now - random.between(1, 9_000) * SECOND;
            let witness = index > 0 && voters > 2 && random.chance(15);
            hosts.push(Host {
                id: index as NodeId + 1,
                on: true,
                given_up: false,
                boot: 1,
                booted_at,
                rate: random.between(900_000, 1_100_000),
                inode: random.between(1, 1_000_000),
                device: 2049,
                role: match (index, witness) {
                    (0, _) => Role::Primary,
                    (_, true) => Role::Witness,
                    (_, false) => Role::Standby,
                },
                candidate: false,
                restless: false,
                enforcing: true,
                durable: None,
                durable_on_disk: None,
                volatile: None,
                lost: false,
                backup: None,
                server: None,
                orphans: None,
                daemon: None,
                server_frozen: 0,
                daemon_frozen: 0,
                stumble: None,
                local_hangs: 0,
                slow_disk: 0,
                right_until: 0,
                released: Vec::new(),
                observed: (0, 0),
                list_accepted: 0,
                accepted: (None, 0),
                granted: None,
                wall: random.between(1, 1 << 40),
                mad_length: false,
            });
        }
        let count = hosts.len();
        let mut world = World {
            rules,
            random,
            now,
            planned: 0,
            queue: BinaryHeap::new(),
            hosts,
            settings,
            loss: 0,
            doubled: 0,
            late: 0,
            acceptances_lost: 0,
            releases_late: false,
            primary: 0,
            cut: vec![vec![0; count]; count],
            change: None,
            payload: None,
            force: None,
            healed: false,
            loud,
            failures: Vec::new(),
            fired: BTreeMap::new(),
            inflicted: BTreeMap::new(),
            premises: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            steps: 0,
            last_epoch: 0,
            chosen_payload: Payload::default(),
            chosen_list: list.clone(),
            newest_list: list.clone(),
            lists: BTreeMap::from([(1, list.voters.clone())]),
            first_after_healing: None,
            quiet_until: 0,
        };
        for node in 0..count {
            world.start_server(node);
            if node < voters {
                let list = list.clone();
                let server = world.hosts[node].server.as_ref().expect("just started");
                let clock = world.hosts[node].clock(now);
                let (record, answer, _) = repmgr_write_right::answer(&server.record, clock, &Request::Found { list });
                *world.verdicts.entry(answer.verdict).or_default() += 1;
                let host = &mut world.hosts[node];
                host.durable = Some(record.durable_text());
                host.durable_on_disk.clone_from(&host.durable);
                host.volatile = Some(record.volatile_text());
                host.server.as_mut().expect("just started").record = record;
                host.lost = false;
            }
            world.start_daemon(node);
            let first = world.random.between(0, 500) * MS;
            world.plan(first, Event::Watch(node));
            world.plan(first, Event::Write(node));
        }
        world
    }

    pub fn plan(&mut self, after: u64, event: Event) {
        self.planned += 1;
        self.queue.push(Reverse(Planned(self.now + after, self.planned, event)));
    }

    pub fn say(&self, line: impl FnOnce() -> String) {
        if self.loud {
            println!("{:>12.3} {}", (self.now - 10_000 * SECOND) as f64 / 1e6, line());
        }
    }

    pub fn premise(&mut self, name: &'static str) {
        *self.premises.entry(name).or_default() += 1;
    }

    /// Goes on until the end, a broken invariant, or the time.
    pub fn run(&mut self, until: u64) {
        while let Some(Reverse(Planned(at, _, event))) = self.queue.pop() {
            if at > until || !self.failures.is_empty() || self.first_after_healing.is_some() {
                break;
            }
            self.now = at;
            self.steps += 1;
            self.happen(event);
            checks::after_step(self);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Turn(node, turn) => self.turn(node, turn),
            Event::Act(node, incarnation, action) => self.act(node, incarnation, *action),
            Event::Ask {
                from,
                incarnation,
                attempt,
                to,
                request,
            } => self.voter(from, incarnation, attempt, to, *request),
            Event::Answer(node, incarnation, answered) => self.answered(node, incarnation, *answered),
            Event::Local(node, local) => self.local(node, local),
            Event::Write(node) => self.write(node),
            Event::Committed(node, start) => self.committed(node, start),
            Event::Watch(node) => self.watch(node),
            Event::Flush(node, boot) => {
                let host = &mut self.hosts[node];
                if host.boot == boot && host.on {
                    host.durable_on_disk.clone_from(&host.durable);
                }
            }
            Event::Stop(node, start) => {
                let running = self.hosts[node].server.as_ref().map(|server| server.memory.start);
                if running == Some(start) {
                    self.stop_server(node);
                }
            }
            Event::Enemy(enemy) => crate::enemies::strike(self, enemy),
            Event::Heal => crate::enemies::heal(self),
        }
    }

    // Processes.

    pub fn start_server(&mut self, node: usize) {
        let start = self.planned + 1;
        self.planned += 1;
        let (now, rules) = (self.now, self.rules);
        let host = &mut self.hosts[node];
        if !host.on || host.server.is_some() || host.orphans.is_some() {
            return;
        }
        let (identity, clock) = (host.identity(), host.clock(now));
        let (record, loss) = Record::load_under(
            rules,
            identity,
            host.durable.as_deref(),
            host.volatile.as_deref(),
            clock,
        );
        if loss.durable.is_some() {
            // It is a new observer now.
            host.observed = (0, 0);
            host.accepted = (None, 0);
        }
        if loss != Default::default() {
            host.released.clear();
        }
        // Its daemon asks it at once; what is not believed is marked then.
        let (record, _, mark) = answer_under(rules, &record, clock, &Request::Status);
        if mark {
            host.durable = Some(record.durable_text());
            host.durable_on_disk.clone_from(&host.durable);
        }
        host.lost = record.durable.is_none();
        host.volatile = Some(record.volatile_text());
        host.server_frozen = 0;
        host.server = Some(Server {
            memory: Memory {
                start,
                end: LocalEnd::default(),
            },
            record,
        });
        self.say(|| format!("node {}: server started, {loss:?}", node + 1));
        self.wake(node);
    }

    /// Cleanly: all its processes end.
    pub fn stop_server(&mut self, node: usize) {
        self.hosts[node].server = None;
        self.say(|| format!("node {}: server stopped", node + 1));
        self.wake(node);
    }

    pub fn start_daemon(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        if !host.on || host.daemon.is_some() {
            return;
        }
        host.wall += 1;
        let incarnation = host.wall;
        host.daemon = Some(Daemon {
            incarnation,
            state: State::new(host.id, incarnation),
            answers: Vec::new(),
            turn: 0,
            turn_at: u64::MAX,
            releasing: false,
            last_promotion: 0,
        });
        host.daemon_frozen = 0;
        host.stumble = None;
        self.wake(node);
    }

    /// Power off: what is not on disk is gone.
    pub fn power_off(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        host.on = false;
        host.server = None;
        host.orphans = None;
        host.daemon = None;
        host.durable.clone_from(&host.durable_on_disk);
        self.say(|| format!("node {}: power off", node + 1));
    }

    pub fn power_on(&mut self, node: usize) {
        let now = self.now;
        let rate = self.random.between(900_000, 1_100_000);
        let renumbered = self.random.chance(20);
        let host = &mut self.hosts[node];
        if host.on {
            return;
        }
        host.on = true;
        host.boot += 1;
        host.booted_at = now;
        host.rate = rate;
        host.device += u64::from(renumbered);
        host.right_until = host.right_until.min(now);
        (host.server_frozen, host.daemon_frozen) = (0, 0);
        self.say(|| format!("node {}: power on", node + 1));
        self.start_server(node);
        self.start_daemon(node);
    }

    // The daemon.

    pub fn send(&mut self, from: usize, to: usize, event: Event) {
        if from != to {
            let accept = matches!(&event, Event::Ask { request, .. } if matches!(**request, Request::Accept(_)));
            let loss = if accept {
                self.loss.max(self.acceptances_lost)
            } else {
                self.loss
            };
            let lost = self.cut[from][to] > self.now || self.random.chance(loss);
            if lost {
                return;
            }
        }
        let copies = if from != to && self.random.chance(self.doubled) {
            2
        } else {
            1
        };
        let release = matches!(&event, Event::Ask { request, .. } if matches!(**request, Request::Release { .. }));
        let late = if release && self.releases_late { 60 } else { self.late };
        for _ in 0..copies {
            let after = match from != to && self.random.chance(late) {
                true if self.random.chance(60) => self.random.between(20, 2_000) * MS,
                true => self.random.between(100, 40_000) * MS,
                false => self.random.between(200, 8_000),
            };
            self.plan(after, event.clone());
        }
    }
}
