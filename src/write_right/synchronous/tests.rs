//! Each rule once, turn by turn.

use repmgr_write_right::NodeId;

use super::*;

/// A holder with two standbys, whose server and voters do what they are told.
struct Holder {
    seen: Seen,
    state: State,
}

fn sender(node: NodeId) -> Sender {
    Sender {
        name: format!("node{node}"),
        streaming: true,
        flushed: Some(Lsn(100)),
        counts: false,
    }
}

impl Holder {
    fn new(mode: Mode) -> Self {
        let standbys = (2..=3).map(|node| Standby {
            node,
            name: format!("node{node}"),
        });
        Holder {
            seen: Seen {
                now: 1_000_000,
                own: 1,
                mode,
                count: 1,
                standbys: standbys.collect(),
                senders: vec![sender(2), sender(3)],
                setting: String::new(),
                written: Lsn(100),
                checkpointer_idle: true,
                payload: Some((0, Vec::new())),
            },
            state: State::default(),
        }
    }

    /// A turn, and what it orders done.
    fn turn(&mut self) -> Decision {
        let decision = step(&self.state, &self.seen);
        self.state = decision.next.clone();
        match decision.order.clone() {
            Order::Nothing => {}
            Order::Set(text) => self.seen.setting = text,
            Order::Reset => self.seen.setting = String::new(),
            Order::Choose(count, standbys) => self.seen.payload = Some((count, standbys)),
        }
        let setting = Setting::parse(&self.seen.setting).unwrap_or_else(Setting::nobody);
        for sender in &mut self.seen.senders {
            sender.counts = setting.has(&sender.name);
        }
        self.seen.now += 300;
        decision
    }

    /// So many turns that all is done; the rules that ordered something, and the last one.
    fn settle(&mut self) -> (Vec<Rule>, Rule) {
        let decisions: Vec<Decision> = (0..20).map(|_| self.turn()).collect();
        let last = decisions.last().map(|decision| decision.rule);
        let orders = decisions
            .into_iter()
            .filter(|decision| decision.order != Order::Nothing);
        (orders.map(|decision| decision.rule).collect(), last.expect("a turn"))
    }

    /// Turns until this rule, which must come soon; the rules on the way that ordered something.
    fn until(&mut self, rule: Rule) -> Vec<Rule> {
        let mut orders = Vec::new();
        for _ in 0..40 {
            let decision = self.turn();
            if decision.rule == rule {
                return orders;
            }
            if decision.order != Order::Nothing {
                orders.push(decision.rule);
            }
        }
        panic!("{} did not come, but {orders:?}", rule.name());
    }

    fn steady(mode: Mode) -> Self {
        let mut holder = Holder::new(mode);
        holder.until(Rule::Steady);
        holder
    }

    fn loses(&mut self, node: NodeId) {
        self.seen.senders.retain(|sender| sender.name != format!("node{node}"));
    }

    fn payload(&self) -> (u32, &[NodeId]) {
        let payload = self.seen.payload.as_ref().expect("a payload");
        (payload.0, &payload.1)
    }
}

#[test]
fn the_mode_begins_with_the_holder_alone_and_ends_with_all_that_stream() {
    let mut holder = Holder::new(Mode::On);
    assert_eq!(
        holder.until(Rule::Steady),
        [Rule::Begins, Rule::Setting, Rule::Narrowing]
    );
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\", \"node3\")");
    assert_eq!(holder.payload(), (1, &[2, 3][..]));
}

#[test]
fn a_standby_that_is_far_behind_does_not_join() {
    let mut holder = Holder::new(Mode::On);
    holder.seen.written = Lsn(1 << 30);
    holder.seen.senders[0].flushed = Some(Lsn(1 << 30));
    holder.seen.senders[1].flushed = Some(Lsn(50));
    assert_eq!(holder.settle().1, Rule::Steady);
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\")");
    holder.seen.senders[1].flushed = Some(Lsn((1 << 30) - 5));
    // It is on both sides of the change that commits are known to be.
    assert_eq!(holder.until(Rule::Steady), [Rule::Widening, Rule::Setting]);
    assert_eq!(holder.payload(), (1, &[2, 3][..]));
}

#[test]
fn a_name_is_dropped_from_what_is_remembered_when_the_others_have_all() {
    let mut holder = Holder::steady(Mode::On);
    holder.loses(3);
    holder.until(Rule::SettingAwaited);
    holder.seen.written = Lsn(200);
    // It gets further, and has not got all.
    holder.until(Rule::CatchingUp);
    holder.seen.senders[0].flushed = Some(Lsn(150));
    assert_eq!(holder.until(Rule::CatchingUp), []);
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\")");
    assert_eq!(holder.payload(), (1, &[2, 3][..]));
    holder.seen.senders[0].flushed = Some(Lsn(200));
    assert_eq!(holder.settle(), (vec![Rule::Narrowing], Rule::Steady));
    assert_eq!(holder.payload(), (1, &[2][..]));
}

#[test]
fn the_last_one_is_dropped_when_a_majority_knows_it() {
    let mut holder = Holder::steady(Mode::On);
    holder.loses(2);
    holder.loses(3);
    assert_eq!(holder.until(Rule::Alone), []);
    assert_ne!(holder.seen.setting, "");
    assert_eq!(holder.payload(), (1, &[1][..]));
    assert_eq!(holder.settle(), (vec![Rule::Setting], Rule::Steady));
    assert_eq!(holder.seen.setting, "");
    // One is there again.
    holder.seen.senders.push(sender(2));
    assert_eq!(holder.settle(), (vec![Rule::Setting, Rule::Narrowing], Rule::Steady));
    assert_eq!(holder.payload(), (1, &[2][..]));
}

#[test]
fn a_busy_checkpointer_may_not_have_everybody_wait_yet() {
    let mut holder = Holder::new(Mode::On);
    holder.seen.checkpointer_idle = false;
    assert_eq!(
        holder.settle(),
        (vec![Rule::Begins, Rule::Setting], Rule::SettingAwaited)
    );
    assert_eq!(holder.payload(), (1, &[1][..]));
    holder.seen.checkpointer_idle = true;
    assert_eq!(holder.settle(), (vec![Rule::Narrowing], Rule::Steady));
}

#[test]
fn strict_keeps_whoever_is_missed() {
    let mut holder = Holder::steady(Mode::Strict);
    holder.loses(3);
    holder.settle();
    holder.loses(2);
    assert_eq!(holder.settle(), (vec![], Rule::TooFew));
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\")");
    assert_eq!(holder.payload(), (1, &[2][..]));
    // Another one comes in its place.
    holder.seen.senders.push(sender(3));
    let expected = vec![Rule::Widening, Rule::Setting, Rule::Narrowing];
    assert_eq!(holder.settle(), (expected, Rule::Steady));
    assert_eq!(holder.payload(), (1, &[3][..]));
}

#[test]
fn strict_waits_from_the_beginning() {
    let mut holder = Holder::new(Mode::Strict);
    holder.seen.senders.clear();
    let decision = loop {
        let decision = holder.turn();
        if decision.rule == Rule::TooFew {
            break decision;
        }
    };
    assert!(decision.reason.contains("\"node2\", \"node3\""), "{}", decision.reason);
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\", \"node3\")");
    assert_eq!(holder.payload(), (1, &[1][..]));
}

#[test]
fn a_standby_that_hangs_is_as_good_as_gone() {
    let mut holder = Holder::steady(Mode::On);
    holder.seen.written = Lsn(200);
    holder.seen.senders[0].flushed = Some(Lsn(200));
    holder.until(Rule::SettingAwaited);
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\")");
    holder.until(Rule::Steady);
    holder.seen.senders[1].flushed = Some(Lsn(200));
    holder.until(Rule::Setting);
    assert_eq!(holder.seen.setting, "ANY 1 (\"node2\", \"node3\")");
}

#[test]
fn what_a_walsender_has_not_taken_in_does_not_count() {
    let mut holder = Holder::steady(Mode::On);
    holder.seen.senders[1].streaming = false;
    holder.until(Rule::Setting);
    holder.seen.senders[1].counts = true;
    for _ in 0..20 {
        holder.seen.senders[1].counts = true;
        let decision = step(&holder.state, &holder.seen);
        assert_eq!(decision.rule, Rule::SettingAwaited);
        holder.state = decision.next;
        holder.seen.now += 300;
    }
    holder.until(Rule::Narrowing);
}

#[test]
fn what_a_person_sets_meanwhile_is_put_right() {
    let mut holder = Holder::steady(Mode::On);
    holder.seen.setting = "node9".to_owned();
    assert_eq!(
        holder.until(Rule::Steady),
        [Rule::Foreign, Rule::Setting, Rule::Narrowing]
    );
    assert_eq!(holder.payload(), (1, &[2, 3][..]));
}

#[test]
fn nothing_is_decided_while_a_payload_is_on_its_way() {
    let mut holder = Holder::steady(Mode::On);
    holder.loses(3);
    holder.seen.payload = None;
    assert_eq!(holder.until(Rule::PayloadAwaited), []);
    for _ in 0..20 {
        assert_eq!(holder.turn().rule, Rule::PayloadAwaited);
    }
}

#[test]
fn switched_off_the_setting_is_given_back_and_nothing_remembered() {
    let mut holder = Holder::steady(Mode::On);
    holder.seen.mode = Mode::Off;
    assert_eq!(holder.until(Rule::Off), [Rule::SwitchingOff; 3]);
    assert_eq!(holder.payload(), (0, &[][..]));
    let mut never = Holder::new(Mode::Off);
    never.seen.setting = "FIRST 1 (a)".to_owned();
    assert_eq!(never.turn().rule, Rule::Off);
}

#[test]
fn a_higher_count_is_remembered_when_so_many_have_all() {
    let mut holder = Holder::steady(Mode::Strict);
    holder.seen.count = 2;
    assert_eq!(holder.until(Rule::Steady), [Rule::Setting, Rule::Narrowing]);
    assert_eq!(holder.payload(), (2, &[2, 3][..]));
    holder.seen.count = 1;
    assert_eq!(holder.until(Rule::Steady), [Rule::Widening, Rule::Setting]);
    assert_eq!(holder.payload(), (1, &[2, 3][..]));
}

#[test]
fn a_new_holder_begins_with_what_the_payload_says() {
    let standbys = Holder::new(Mode::On).seen.standbys;
    let before = |setting: &str, count, members: &[NodeId]| {
        before_promotion(setting, 1, &(count, members.to_vec()), &standbys).map(|setting| setting.to_string())
    };
    assert_eq!(before("", 0, &[]), None);
    assert_eq!(before("anything", 1, &[1, 2]), None);
    assert_eq!(
        before("", 2, &[1, 2, 3]).as_deref(),
        Some("ANY 1 (\"node2\", \"node3\")")
    );
    assert_eq!(before("ANY 1 (\"node2\")", 2, &[1, 2, 3]), None);
    assert_eq!(before("node2", 1, &[2]).as_deref(), Some("ANY 1 (\"node2\")"));
    assert_eq!(before("ANY 2 (\"node2\", \"node3\")", 1, &[2]), None);
}
