//! Random stories: nodes that freeze, questions and answers that are late or lost, clocks of different rates, daemons and
//! servers that start anew. Never may two servers acknowledge writes.

use repmgr_write_right::LocalEnd;

use super::*;
use crate::write_right::{Server, Settings, Want};

const LENGTH: u64 = 5000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

#[derive(Default)]
struct Etcd {
    revision: u64,
    holder: Option<(Entry, u64)>,
    last: Option<Entry>,
}

impl Etcd {
    /// `lease` is how many milliseconds a second of it lasts.
    fn answer(&mut self, now: u64, request: &Request, lease: u64) -> Reply {
        if self.holder.is_some_and(|(_, end)| end <= now) {
            self.holder = None;
            self.revision += 1;
        }
        let at = |entry: Option<Entry>| entry.map_or(0, |entry| entry.revision);
        let found = self.holder.map(|(entry, _)| entry);
        match request {
            Request::Take {
                kept,
                holder,
                last,
                seconds,
            } if at(found) == *holder && last.is_none_or(|last| at(self.last) == last) => {
                self.revision += 1;
                let entry = Entry {
                    kept: *kept,
                    revision: self.revision,
                };
                self.holder = Some((entry, now + seconds * lease));
                if last.is_some() {
                    self.last = Some(entry);
                }
                Reply::Done {
                    revision: self.revision,
                }
            }
            Request::Drop { holder } if at(found) == *holder => {
                self.holder = None;
                self.revision += 1;
                Reply::Done {
                    revision: self.revision,
                }
            }
            _ => Reply::Keys(Seen {
                holder: found,
                last: self.last,
            }),
        }
    }
}

struct Node {
    state: State,
    /// Thousandths of its clock's rate, and what it was at the beginning.
    rate: u64,
    offset: u64,
    frozen_until: u64,
    wake_at: u64,
    came: Vec<Answered>,
    server: u64,
    local: LocalEnd,
    is_primary: bool,
    wants: bool,
    gone: bool,
}

impl Node {
    fn clock(&self, now: u64) -> u64 {
        self.offset + now * self.rate / 1000
    }

    fn may_write(&self, now: u64) -> bool {
        self.local.may_write(self.clock(now))
    }

    fn want(&self) -> Want {
        match (self.gone, self.is_primary, self.wants) {
            (true, ..) => Want::Release,
            (_, true, _) => Want::Keep,
            (_, _, true) => Want::Take,
            _ => Want::Nothing,
        }
    }
}

/// What is under way: when it arrives, for whom.
enum Message {
    Question(usize, u64, Request, u64),
    Answer(usize, Answered, u64),
    Told(usize, Action),
}

/// How often the right was acquired, or at what time two servers could write.
fn story(seed: u64, lease: u64) -> Result<u32, u64> {
    let mut random = Random(seed);
    let mut etcd = Etcd::default();
    let settings = Settings::new(LENGTH);
    let mut nodes: Vec<Node> = (0..3)
        .map(|at| Node {
            state: State::new(at + 1, random.next()),
            rate: 970 + random.below(61),
            offset: random.below(1 << 40),
            frozen_until: 0,
            wake_at: 0,
            came: Vec::new(),
            server: 1,
            local: LocalEnd::default(),
            is_primary: at == 0,
            wants: false,
            gone: false,
        })
        .collect();
    let mut messages: Vec<(u64, Message)> = Vec::new();
    let (mut now, mut acquired) = (0, 0);
    while now < 200_000 {
        now += 1 + random.below(120);
        let (due, later): (Vec<_>, Vec<_>) = messages.drain(..).partition(|(at, _)| *at <= now);
        messages = later;
        for (_, message) in due {
            match message {
                Message::Question(who, attempt, request, deadline) => {
                    let answered = Answered {
                        attempt,
                        reply: Ok(etcd.answer(now, &request, lease)),
                    };
                    if !random.one_in(12) {
                        messages.push((now + random.below(300), Message::Answer(who, answered, deadline)));
                    }
                }
                Message::Answer(who, answered, deadline) if nodes[who].clock(now) < deadline => {
                    nodes[who].came.push(answered);
                }
                Message::Answer(..) => {}
                Message::Told(who, action) => {
                    let clock = nodes[who].clock(now);
                    let node = &mut nodes[who];
                    match action {
                        Action::ExtendLocalEnd { ballot, until, server } => {
                            let _ = node.local.extend(clock, ballot, until, server, node.server);
                        }
                        Action::SetLocalEndToZero { ballot } => node.local.set_to_zero(ballot),
                        _ => {}
                    }
                }
            }
        }
        for (at, node) in nodes.iter_mut().enumerate() {
            if random.one_in(400) {
                node.frozen_until = now + random.below(15_000);
            }
            if random.one_in(900) {
                node.state = State::new(node.state.own, random.next());
                node.came.clear();
            }
            if random.one_in(500) {
                // The server is gone, and its memory with it.
                (node.gone, node.local, node.server) = (true, LocalEnd::default(), node.server + 1);
            } else if node.gone && random.one_in(20) {
                node.gone = false;
            }
            if random.one_in(150) {
                node.wants = !node.wants;
            }
            if now < node.frozen_until || (now < node.wake_at && node.came.is_empty() && !random.one_in(10)) {
                continue;
            }
            let clock = node.clock(now);
            let observation = Observation {
                now: clock,
                random: random.next(),
                want: node.want(),
                server: Server {
                    start: (!node.gone).then_some(node.server),
                    end: (!node.gone).then_some(node.local.until),
                    enforcing: !node.gone,
                    nobody_attached: node.gone,
                },
                in_place_of: None,
                dismissed: None,
                over_round: node.local.over.map_or(0, |over| over.round),
                answers: std::mem::take(&mut node.came),
            };
            let decision = step(&settings, &node.state, &observation);
            node.state = decision.next;
            node.wake_at = now + (decision.wake_at - clock) * 1000 / node.rate;
            for action in decision.actions {
                match action {
                    Action::Ask {
                        attempt,
                        request,
                        deadline,
                    } => {
                        if !random.one_in(12) {
                            let arrival = if random.one_in(30) { 6000 } else { 200 };
                            let arrival = now + random.below(arrival);
                            messages.push((arrival, Message::Question(at, attempt, request, deadline)));
                        }
                    }
                    Action::Acquired { .. } => acquired += 1,
                    Action::Lapsed { .. } | Action::Released { .. } => {}
                    told => messages.push((now + random.below(200), Message::Told(at, told))),
                }
            }
            if !node.is_primary && node.wants && node.state.held.is_some() && node.may_write(now) {
                node.is_primary = true;
            } else if node.is_primary && !node.may_write(now) && random.one_in(200) {
                // Somebody made it a standby.
                node.is_primary = false;
            }
        }
        if nodes.iter().filter(|node| node.may_write(now)).count() > 1 {
            return Err(now);
        }
    }
    Ok(acquired)
}

#[test]
fn never_may_two_servers_write() {
    let mut acquired = 0;
    for seed in 0..150 {
        acquired += story(seed, 1000).unwrap_or_else(|at| panic!("seed {seed}: two may write at {at} ms"));
    }
    assert!(acquired > 300, "the right was acquired {acquired} times only");
}

#[test]
fn a_lease_that_ends_too_early_would_be_noticed() {
    assert!((0..150).any(|seed| story(seed, 500).is_err()));
}
