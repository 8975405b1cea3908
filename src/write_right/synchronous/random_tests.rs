//! A holder and three standbys with everything against them: no acknowledged commit is ever on fewer standbys than what
//! is remembered says, and whoever may be promoted has all of them.

use repmgr_write_right::Payload;

use super::*;

const NODES: std::ops::RangeInclusive<NodeId> = 1..=4;
/// How long walsenders, and the one process that says whether anybody waits, may go by an old setting.
const RELOAD: u64 = 900;
const TICK: u64 = 100;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// A server as a standby, with its walsender at the holder.
#[derive(Clone, Default)]
struct Server {
    connected: bool,
    frozen: bool,
    flushed: u64,
    reported: Option<u64>,
    /// The setting that its walsender goes by, and from when on it goes by the newest.
    view: String,
    reloads_at: u64,
    timeline: u32,
}

struct World {
    random: Random,
    now: u64,
    holder: NodeId,
    servers: BTreeMap<NodeId, Server>,
    setting: String,
    /// Whether anybody waits at all.
    defined: bool,
    defined_at: u64,
    written: u64,
    acknowledged: u64,
    waiting: Vec<u64>,
    mode: Mode,
    count: u32,
    chosen: (u32, Vec<NodeId>),
    proposed: Option<((u32, Vec<NodeId>), u64)>,
    state: State,
    rules: std::collections::BTreeSet<Rule>,
    promotions: u32,
    /// Each timeline but the first: which one it left, and where.
    forks: BTreeMap<u32, (u32, u64)>,
}

fn name(node: NodeId) -> String {
    format!("node{node}")
}

/// The newest timeline that a server has WAL of which has so much of these.
fn timeline_at(lineage: &BTreeMap<u32, u64>, flushed: u64) -> u32 {
    let reached = lineage.iter().find(|(_, end)| flushed <= **end);
    *reached.expect("the last has no end").0
}

impl World {
    fn new(seed: u64) -> Self {
        let servers = NODES.map(|node| {
            (
                node,
                Server {
                    connected: true,
                    timeline: 1,
                    ..Server::default()
                },
            )
        });
        World {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now: 10_000,
            holder: 1,
            servers: servers.collect(),
            setting: String::new(),
            defined: false,
            defined_at: 0,
            written: 1,
            acknowledged: 0,
            waiting: Vec::new(),
            mode: Mode::On,
            count: 1,
            chosen: (0, Vec::new()),
            proposed: None,
            state: State::default(),
            rules: Default::default(),
            promotions: 0,
            forks: BTreeMap::new(),
        }
    }

    fn standbys(&self) -> Vec<Standby> {
        let others = NODES.filter(|node| *node != self.holder);
        others.map(|node| Standby { node, name: name(node) }).collect()
    }

    fn set(&mut self, setting: String) {
        self.setting = setting;
        for server in self.servers.values_mut() {
            server.reloads_at = self.now + self.random.below(RELOAD);
        }
        self.defined_at = self.now + self.random.below(5 * RELOAD);
    }

    /// What the server does by itself in one tick.
    fn serve(&mut self) {
        let holder = self.holder;
        if self.now >= self.defined_at {
            self.defined = Setting::parse(&self.setting).is_none_or(|setting| !setting.names.is_empty());
        }
        for server in self.servers.values_mut() {
            if self.now >= server.reloads_at {
                server.view = self.setting.clone();
            }
        }
        for _ in 0..self.random.below(3) {
            self.written += 1;
            if self.defined {
                self.waiting.push(self.written);
            } else {
                self.acknowledged = self.written;
            }
        }
        if !self.defined {
            // Whoever waits is let go.
            self.acknowledged = self.waiting.drain(..).max().unwrap_or(0).max(self.acknowledged);
        }
        let lineage = self.lineage(self.servers[&holder].timeline);
        let ids: Vec<NodeId> = NODES.filter(|node| *node != holder).collect();
        for id in ids {
            let lag = self.random.below(3);
            let reports = !self.random.chance(4);
            let (written, server) = (self.written, self.servers.get_mut(&id).expect("a server"));
            if !server.connected || server.frozen {
                continue;
            }
            server.flushed = server.flushed.max(written.saturating_sub(lag));
            server.timeline = timeline_at(&lineage, server.flushed);
            if reports {
                server.reported = Some(server.flushed);
                self.release(id);
            }
        }
    }

    /// A walsender lets go whoever waits, by the setting that it knows.
    fn release(&mut self, by: NodeId) {
        let counts = |id: NodeId, server: &Server| {
            let view = Setting::parse(&server.view);
            id != self.holder && server.connected && view.is_some_and(|view| view.has(&name(id)))
        };
        let Some(view) = Setting::parse(&self.servers[&by].view) else {
            return;
        };
        if !counts(by, &self.servers[&by]) {
            return;
        }
        let reported = self.servers.iter().filter(|(id, server)| counts(**id, server));
        let mut reported: Vec<u64> = reported.filter_map(|(_, server)| server.reported).collect();
        reported.sort_unstable_by(|one, other| other.cmp(one));
        if let Some(upto) = reported.get(view.count as usize - 1).copied() {
            let gone: Vec<u64> = self.waiting.extract_if(.., |at| *at <= upto).collect();
            self.acknowledged = gone.into_iter().max().unwrap_or(0).max(self.acknowledged);
        }
    }

    fn decide(&mut self) {
        if let Some((payload, at)) = self.proposed.clone()
            && self.now >= at
        {
            self.chosen = payload;
            self.proposed = None;
        }
        let counts = |id: NodeId, server: &Server| Setting::parse(&server.view).is_some_and(|view| view.has(&name(id)));
        let senders = self
            .servers
            .iter()
            .filter(|(id, server)| **id != self.holder && server.connected);
        let senders = senders.map(|(id, server)| Sender {
            name: name(*id),
            streaming: true,
            flushed: server.reported.map(Lsn),
            counts: counts(*id, server),
        });
        let seen = Seen {
            now: self.now,
            own: self.holder,
            mode: self.mode,
            count: self.count,
            standbys: self.standbys(),
            senders: senders.collect(),
            setting: self.setting.clone(),
            written: Lsn(self.written),
            checkpointer_idle: self.now >= self.defined_at,
            payload: self.proposed.is_none().then(|| self.chosen.clone()),
        };
        let decision = step(&self.state, &seen);
        self.rules.insert(decision.rule);
        self.state = decision.next;
        match decision.order {
            Order::Nothing => {}
            Order::Set(text) => self.set(text),
            Order::Reset => self.set(String::new()),
            Order::Choose(count, standbys) => {
                let at = self.now + self.random.below(1_500);
                self.proposed = Some(((count, standbys), at));
            }
        }
    }

    fn enemies(&mut self) {
        let holder = self.holder;
        for id in NODES.filter(|node| *node != holder) {
            let (vanish, freeze, back) = (self.random.chance(60), self.random.chance(80), self.random.chance(25));
            let server = self.servers.get_mut(&id).expect("a server");
            match (server.connected, server.frozen) {
                (true, false) if vanish => {
                    server.connected = false;
                    server.reported = None;
                }
                (true, false) if freeze => server.frozen = true,
                (true, true) if back => server.frozen = false,
                (false, _) if back => {
                    server.connected = true;
                    server.frozen = false;
                    // A new walsender begins with what is in force.
                    server.view.clone_from(&self.setting);
                    self.follow(id);
                }
                _ => {}
            }
        }
        if self.random.chance(150) {
            self.mode = [Mode::On, Mode::Strict, Mode::Off][self.random.below(3) as usize];
        }
        if self.random.chance(150) {
            self.count = 1 + self.random.below(2) as u32;
        }
        if self.random.chance(100) {
            self.restart_daemon();
        }
        if self.random.chance(100) {
            self.lose_holder();
        }
    }

    /// A payload that was on its way is what the next process finds, or it is not.
    fn restart_daemon(&mut self) {
        self.state = State::default();
        if let Some((payload, _)) = self.proposed.take()
            && self.random.chance(2)
        {
            self.chosen = payload;
        }
    }

    fn lose_holder(&mut self) {
        self.restart_daemon();
        let written = self.written;
        self.servers.get_mut(&self.holder).expect("the holder").flushed = written;
        let payload = Payload {
            version: 1,
            count: self.chosen.0,
            standbys: self.chosen.1.clone(),
        };
        let mut positions = BTreeMap::new();
        for id in NODES.filter(|node| *node != self.holder) {
            if !self.random.chance(4) {
                let Server { timeline, flushed, .. } = self.servers[&id];
                let flushed = Lsn(flushed);
                positions.insert(id, Position { timeline, flushed });
            }
        }
        let allowed = |id: &NodeId| may_be_promoted(*id, &payload, &positions, name).is_ok();
        let Some(winner) = positions.keys().copied().rfind(allowed) else {
            return;
        };
        let has = self.servers[&winner].flushed;
        // Without the mode nothing is promised.
        if payload.count > 0 {
            assert!(
                has >= self.acknowledged,
                "node {winner} is at {has}, {} was acknowledged under {payload:?}; {positions:?}",
                self.acknowledged
            );
        }
        self.promotions += 1;
        self.written = has;
        self.acknowledged = self.acknowledged.min(has);
        self.waiting.clear();
        self.holder = winner;
        let stale = ["", "ANY 1 (\"node2\", \"node3\")", "ANY 1 (\"node1\")", "*"][self.random.below(4) as usize];
        let before = before_promotion(stale, winner, &self.chosen, &self.standbys());
        self.setting = before.map_or(stale.to_owned(), |setting| setting.to_string());
        self.defined = !self.setting.is_empty();
        self.defined_at = self.now;
        let parent = self.servers[&winner].timeline;
        let timeline = self.servers.values().map(|server| server.timeline).max().unwrap_or(0) + 1;
        self.forks.insert(timeline, (parent, has));
        for (id, server) in &mut self.servers {
            server.view.clone_from(&self.setting);
            server.reloads_at = self.now;
            server.reported = None;
            server.connected = false;
            if *id == winner {
                server.timeline = timeline;
            }
        }
    }

    /// The timeline and those that it comes from, each with where it was left.
    fn lineage(&self, timeline: u32) -> BTreeMap<u32, u64> {
        let mut lineage = BTreeMap::from([(timeline, u64::MAX)]);
        let mut at = timeline;
        while let Some((parent, fork)) = self.forks.get(&at) {
            lineage.insert(*parent, *fork);
            at = *parent;
        }
        lineage
    }

    /// A standby that streams from the holder again is put back to where its WAL parts from the holder's.
    fn follow(&mut self, id: NodeId) {
        let (theirs, ours) = (self.servers[&id].timeline, self.servers[&self.holder].timeline);
        let (theirs, ours) = (self.lineage(theirs), self.lineage(ours));
        let common = theirs
            .keys()
            .filter(|timeline| ours.contains_key(timeline))
            .max()
            .expect("the first");
        let limit = theirs[common].min(ours[common]);
        let server = self.servers.get_mut(&id).expect("a server");
        server.flushed = server.flushed.min(limit);
        server.timeline = timeline_at(&ours, server.flushed);
    }

    fn check(&self) {
        let may_be_known = [Some(&self.chosen), self.proposed.as_ref().map(|(payload, _)| payload)];
        for (count, members) in may_be_known.into_iter().flatten() {
            let has = |node: &&NodeId| **node == self.holder || self.servers[*node].flushed >= self.acknowledged;
            let have = members.iter().filter(has).count();
            assert!(
                have >= *count as usize,
                "{} is acknowledged, and {have} of {members:?} have it, not {count}; the setting is {}",
                self.acknowledged,
                self.setting
            );
        }
    }
}

#[test]
fn what_is_acknowledged_is_where_it_is_remembered_to_be() {
    let mut rules = std::collections::BTreeSet::new();
    let mut promotions = 0;
    for seed in 1..=60 {
        let mut world = World::new(seed);
        let before = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for turn in 0..600 {
                world.serve();
                world.check();
                if turn % 3 == 0 {
                    world.decide();
                    world.check();
                }
                world.enemies();
                world.now += TICK;
            }
        }));
        assert!(before.is_ok(), "seed {seed}");
        rules.extend(world.rules);
        promotions += world.promotions;
    }
    assert!(promotions > 40, "{promotions} promotions");
    let expected = Rule::ALL.iter().filter(|rule| **rule != Rule::Foreign);
    let missing: Vec<&Rule> = expected.filter(|rule| !rules.contains(rule)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}
