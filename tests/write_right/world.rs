//! The cluster in virtual time: events, messages, processes. True time is in microseconds and known to nobody inside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use repmgr::write_right::{
    Action, Answered, Change, Observation, Rule, Server as Seen, Settings, State, Want, step_under,
};
use repmgr_write_right::{
    Answer, LocalEnd, NodeId, Payload, Record, Request, Rules, Safety, Verdict, VoterList, acceptor::answer_under,
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
    planned: u64,
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

    /// Makes the daemon's turn due now.
    pub fn wake(&mut self, node: usize) {
        self.turn_due(node, self.now);
    }

    fn turn_due(&mut self, node: usize, at: u64) {
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

    fn turn(&mut self, node: usize, turn: u64) {
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
            in_place_of: None,
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
    fn policy(&mut self, node: usize, rule: Rule) {
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

    fn act(&mut self, node: usize, incarnation: u64, action: Action) {
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

    fn send(&mut self, from: usize, to: usize, event: Event) {
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

    fn answered(&mut self, node: usize, incarnation: u64, answered: Answered) {
        if let Some(daemon) = &mut self.hosts[node].daemon
            && daemon.incarnation == incarnation
        {
            daemon.answers.push(answered);
            self.wake(node);
        }
    }

    // The voter.

    fn voter(&mut self, from: usize, incarnation: u64, attempt: u64, to: usize, request: Request) {
        let answered = |answer| {
            let voter = to as NodeId + 1;
            Event::Answer(from, incarnation, Box::new(Answered { attempt, voter, answer }))
        };
        let host = &mut self.hosts[to];
        if host.server_frozen > self.now && host.server.is_some() {
            let after = host.server_frozen - self.now + 10;
            let request = Box::new(request);
            self.plan(
                after,
                Event::Ask {
                    from,
                    incarnation,
                    attempt,
                    to,
                    request,
                },
            );
            return;
        }
        let clock = host.clock(self.now);
        let Some(server) = &mut host.server else {
            if host.on {
                self.send(to, from, answered(None));
            }
            return;
        };
        let before = server.record.clone();
        let (record, answer, durable_first) = answer_under(self.rules, &before, clock, &request);
        let durable = record.durable != before.durable;
        let volatile = record.volatile != before.volatile;
        server.record = record;
        host.lost = server.record.durable.is_none();
        if durable {
            let text = server.record.durable_text();
            if self.random.chance(3) {
                host.backup = host.durable.take();
            }
            host.durable = Some(text);
            if durable_first {
                host.durable_on_disk.clone_from(&host.durable);
            }
        }
        if durable || volatile {
            host.volatile = Some(server.record.volatile_text());
        }
        if durable && !durable_first {
            let boot = host.boot;
            self.plan(10 * SECOND, Event::Flush(to, boot));
        }
        *self.verdicts.entry(answer.verdict).or_default() += 1;
        let slow = self.hosts[to].slow_disk > self.now && durable_first;
        checks::after_answer(self, to, &before, &request, answer.verdict);
        self.say(|| {
            let line = format!(
                "voter {} to node {}: {} to {request}",
                to + 1,
                from + 1,
                answer.verdict.word()
            );
            line.replace("repmgr-write-right/1 ", "")
        });
        let answer = self.through_text(answer);
        if slow {
            let after = self.random.between(100, 5_000) * MS;
            self.plan(after, answered(Some(answer)));
        } else {
            self.send(to, from, answered(Some(answer)));
        }
    }

    /// Now and then an answer takes its real way.
    fn through_text(&mut self, answer: Answer) -> Answer {
        if !self.random.chance(5) {
            return answer;
        }
        let read = Answer::parse(&answer.to_string()).expect("an answer that can be read");
        assert_eq!(read, answer);
        read
    }

    // The server.

    fn local_later(&mut self, node: usize, local: Local) {
        let hangs = self.hosts[node].local_hangs.saturating_sub(self.now);
        let after = hangs + self.random.between(200, 3_000);
        self.plan(after, Event::Local(node, local));
    }

    fn local(&mut self, node: usize, local: Local) {
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
    fn write(&mut self, node: usize) {
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
    fn committed(&mut self, node: usize, start: u64) {
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
    fn watch(&mut self, node: usize) {
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
