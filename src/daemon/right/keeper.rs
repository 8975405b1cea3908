//! The turns of the proposer: what it sees, and what it decides carried out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use repmgr_write_right::{Answer, Ballot, Payload, Request, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::local::{self, Order};
use super::synchronous::{self, Gate, Outcome, Situation, Stage};
use super::voters::Voters;
use super::{News, Role, Told};
use crate::config::SynchronousMode;
use crate::daemon::clock::boottime;
use crate::failover::Right;
use crate::metadata::NodeRecord;
use crate::metadata::write_right::{GrantedBy, Order as PersonsOrder, OrderKind};
use crate::types::{NodeId, NodeType};
use crate::write_right::synchronous::without;
use crate::write_right::{self, Action, Answered, Change, Observation, Rule, Server, Settings, State, Want};

/// The number of questions that are not the proposer's.
const BESIDE: u64 = u64::MAX;
/// How often nodes that do not vote yet are asked whether they can.
const NEWCOMERS: Duration = Duration::from_secs(5);
/// How long a server may take to require the right after it was told to.
const REQUIRE: Duration = Duration::from_secs(10);
/// No turn begins sooner than this after the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);

/// Keeps the right for as long as the loop lives.
pub async fn keep(
    own: NodeId,
    data_directory: PathBuf,
    mut told: watch::Receiver<Told>,
    dismissed: watch::Receiver<Option<Ballot>>,
    seen: watch::Sender<Right>,
    news: mpsc::UnboundedSender<News>,
) {
    let (answer, mut answers) = mpsc::unbounded_channel();
    let (order, orders) = mpsc::unbounded_channel();
    let (record, of_record) = watch::channel(None);
    let (to_keeper, mut local) = watch::channel(local::Seen::default());
    tokio::spawn(local::attend(of_record, data_directory, orders, to_keeper));
    let first = told.borrow_and_update().clone();
    let (describe, situation) = watch::channel(Situation {
        records: first.records.clone(),
        mode: first.synchronous.0,
        count: first.synchronous.1,
        enforcing: false,
        stage: Stage::Other,
    });
    let (to_keeper, mut outcome) = watch::channel(Outcome::default());
    tokio::spawn(synchronous::attend(own, situation, to_keeper));
    let mut keeper = Keeper {
        own,
        outcome: Outcome::default(),
        state: State::new(own.0, random()),
        told: first,
        dismissed,
        local: local::Seen::default(),
        voters: Voters::new(answer),
        able: BTreeSet::new(),
        newcomers_asked: None,
        required: None,
        without_library: false,
        obeyed: None,
        of_etcd: false,
        silent_since: None,
        order,
        news,
        last_rule: None,
        told_rule: None,
    };
    let mut came: Vec<Answered> = Vec::new();
    loop {
        record.send_if_modified(|record| {
            let own = keeper.record(own.0);
            let changed = *record != own;
            *record = own;
            changed
        });
        let wake_at = keeper.turn(std::mem::take(&mut came));
        describe.send_if_modified(|situation| {
            let now = keeper.situation();
            let changed = *situation != now;
            *situation = now;
            changed
        });
        seen.send_if_modified(|seen| {
            let now = keeper.seen();
            let changed = *seen != now;
            *seen = now;
            changed
        });
        let pause = Duration::from_millis(wake_at.saturating_sub(now())).max(SHORTEST_PAUSE);
        let until = Instant::now() + pause.min(NEWCOMERS);
        tokio::select! {
            Some(answered) = answers.recv() => came.push(answered),
            changed = told.changed() => match changed {
                Ok(()) => keeper.told = told.borrow_and_update().clone(),
                Err(_) => return,
            },
            Ok(()) = local.changed() => keeper.local = local.borrow_and_update().clone(),
            Ok(()) = outcome.changed() => keeper.outcome = outcome.borrow_and_update().clone(),
            () = tokio::time::sleep_until(until) => {}
        }
        while let Ok(answered) = answers.try_recv() {
            came.push(answered);
        }
    }
}

struct Keeper {
    own: NodeId,
    /// What has become of the synchronous mode.
    outcome: Outcome,
    state: State,
    told: Told,
    dismissed: watch::Receiver<Option<Ballot>>,
    local: local::Seen,
    voters: Voters,
    /// Registered nodes that do not vote yet and have a record to vote with.
    able: BTreeSet<i32>,
    newcomers_asked: Option<Instant>,
    required: Option<Instant>,
    without_library: bool,
    /// The end of the person's order that is carried out: it may still be seen for a moment.
    obeyed: Option<u64>,
    /// It was told that the cluster goes by etcd.
    of_etcd: bool,
    silent_since: Option<Instant>,
    order: mpsc::UnboundedSender<Order>,
    news: mpsc::UnboundedSender<News>,
    last_rule: Option<Rule>,
    /// The last one that people were told of.
    told_rule: Option<Rule>,
}

impl Keeper {
    fn turn(&mut self, answers: Vec<Answered>) -> u64 {
        let (beside, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.attempt == BESIDE);
        for answered in beside {
            self.note_newcomer(answered.voter, answered.answer.as_ref());
        }
        self.ask_newcomers();
        let settings = Settings::new(self.told.duration);
        let silent = self.is_silent();
        let force = self.given_up();
        let wanted = self.unbarred(want(self.told.role, &self.local, self.state.held.is_some(), silent));
        self.state.round = self.state.round.max(self.local.over_round);
        let by_etcd = self.is_of_etcd();
        let observation = Observation {
            now: now(),
            random: random(),
            // What a person forces is done here, also by a standby, which is promoted afterwards.
            want: match wanted {
                _ if by_etcd => Want::Nothing,
                Want::Nothing if force.is_some() && !silent => Want::Take,
                wanted => wanted,
            },
            nodes: self.told.records.iter().map(|record| record.node_id.0).collect(),
            change: self.change(),
            payload: self.payload(),
            force,
            in_place_of: self.told.in_place_of.map(|node| node.0),
            dismissed: *self.dismissed.borrow(),
            server: self.server(),
            answers,
        };
        let decision = write_right::step(&settings, &self.state, &observation);
        self.say_why(decision.rule, &decision.reason);
        self.state = decision.next;
        for action in decision.actions {
            self.carry_out(action);
        }
        self.require();
        decision.wake_at
    }

    /// Whether this cluster was switched on with etcd: then no node may grant anything, whatever repmgr.conf says here.
    fn is_of_etcd(&mut self) -> bool {
        let by_etcd = self.local.standing.is_some() && self.local.granted_by == GrantedBy::Etcd;
        if by_etcd && !std::mem::replace(&mut self.of_etcd, by_etcd) {
            crate::error!("this node cannot hold the right to write");
            crate::detail!(
                "this cluster was switched to \"write_right=etcd\", and repmgr.conf of this node says majority"
            );
            crate::hint!("\"write_right\" must be the same on all nodes");
        }
        by_etcd
    }

    /// Whether the own server has not answered for so long that its right is of no use: a frozen one would otherwise keep
    /// the others from having it.
    fn is_silent(&mut self) -> bool {
        if self.local.standing.is_some() || self.local.nobody_attached {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_millis(self.told.duration / 2)
    }

    /// A right that this node could do nothing with would only make an overtaken primary of the last holder. A primary that
    /// takes it is being switched on, and has all commits.
    fn unbarred(&self, want: Want) -> Want {
        let may = match (want, &self.state.held) {
            _ if self.told.role == Role::Primary => true,
            (Want::Take, Some(_)) => !matches!(self.outcome.gate, Gate::Barred(_)),
            (Want::Take, None) => !self.is_guarded() || matches!(self.outcome.gate, Gate::MayTry),
            _ => true,
        };
        if may { want } else { Want::Nothing }
    }

    /// Whether, by what is known here, a majority may remember where acknowledged commits are.
    fn is_guarded(&self) -> bool {
        self.told.synchronous.0 != SynchronousMode::Off || self.state.payload_version > 0
    }

    fn is_to_be_promoted(&self) -> bool {
        let wished = self.local.standing.is_some_and(|standing| standing.wished);
        self.told.role == Role::Candidate || (self.told.role == Role::Other && wished)
    }

    /// What is told to who keeps the synchronous mode.
    fn situation(&self) -> Situation {
        let remembered = |payload: Payload| (payload.count, payload.standbys);
        let given_up = &self.state.list.given_up;
        let stage = match &self.state.held {
            Some(held) if self.told.role == Role::Primary => Stage::Holder {
                epoch: held.epoch.0,
                payload: held.payload_chosen.then(|| remembered(held.payload.clone())),
            },
            Some(held) if self.is_to_be_promoted() => Stage::Elected {
                epoch: held.epoch.0,
                payload: remembered(without(&held.payload, given_up)),
            },
            None if self.is_to_be_promoted() && self.is_guarded() => Stage::Candidate,
            _ => Stage::Other,
        };
        let (mode, count) = self.told.synchronous;
        Situation {
            records: self.told.records.clone(),
            mode,
            count,
            enforcing: self
                .local
                .standing
                .is_some_and(|standing| standing.loaded && standing.required),
            stage,
        }
    }

    /// What a majority is to remember of the synchronous standbys.
    fn payload(&self) -> Option<(u32, Vec<i32>)> {
        let held = self.state.held.as_ref().filter(|_| self.told.role == Role::Primary)?;
        let (epoch, payload) = self.outcome.payload.as_ref()?;
        (*epoch == held.epoch.0).then(|| payload.clone())
    }

    /// Whether the own server may be told its end: one that is to be promoted, not before it has every acknowledged commit.
    fn may_be_told(&self) -> bool {
        let Some(held) = &self.state.held else { return true };
        self.told.role == Role::Primary || held.payload.count == 0 || self.outcome.gate == Gate::Open(held.epoch.0)
    }

    /// How it stands, for the loop.
    fn seen(&self) -> Right {
        let required = self.local.standing.is_some_and(|standing| standing.required);
        let never_begun = self.state.list.version == 0 && self.local.standing.is_some() && !required;
        if self.local.without_extension || never_begun {
            return Right::NotNeeded;
        }
        match self.local.standing {
            Some(standing) if self.state.held.is_some() && standing.end > now() => Right::Held,
            Some(_) if let Gate::Barred(why) = &self.outcome.gate => Right::Barred(why.clone()),
            Some(_) => {
                let rule = self.last_rule.map_or("", Rule::sentence);
                Right::Missing(rule.trim_end_matches('.').to_owned())
            }
            None => Right::Missing("the local server does not answer".to_owned()),
        }
    }

    fn server(&self) -> Server {
        let standing = self.local.standing;
        let primary = self.told.role == Role::Primary;
        Server {
            start: standing.map(|standing| standing.server),
            end: standing.map(|standing| standing.end),
            // A primary is made to require the right once it holds it: its clients must not notice the beginning.
            enforcing: standing.is_some_and(|standing| standing.loaded && (standing.required || primary)),
            nobody_attached: self.local.nobody_attached,
        }
    }

    /// The registered nodes are the voters, and the holder sees to it.
    fn change(&self) -> Option<Change> {
        let list = &self.state.list;
        if self.told.role != Role::Primary || self.state.held.is_none() || self.told.records.is_empty() {
            return None;
        }
        let registered: BTreeSet<i32> = self.told.records.iter().map(|record| record.node_id.0).collect();
        let gone = list
            .voters
            .iter()
            .find(|voter| !registered.contains(voter) && **voter != self.own.0);
        // Those who were given up vote again when a person says so.
        let barred = |node: &i32| list.given_up.contains(node) && !self.taken_back().contains(node);
        let new = || {
            self.able
                .iter()
                .find(|node| !list.voters.contains(node) && !barred(node))
        };
        gone.map(|node| Change::Remove(*node))
            .or_else(|| new().map(|node| Change::Add(*node)))
    }

    /// The nodes that a person gives up, as long as the order stands and is not carried out.
    fn given_up(&self) -> Option<Vec<i32>> {
        let given_up = self.ordered(OrderKind::GiveUp)?;
        (self.obeyed != Some(given_up.until)).then(|| given_up.nodes.iter().map(|id| id.0).collect())
    }

    fn taken_back(&self) -> Vec<i32> {
        let taken_back = self.ordered(OrderKind::TakeBack);
        taken_back.map_or_else(Vec::new, |order| order.nodes.iter().map(|id| id.0).collect())
    }

    /// A person's order. A daemon that slept over its end must not obey it any more.
    fn ordered(&self, kind: OrderKind) -> Option<&PersonsOrder> {
        let order = self.local.order.as_ref();
        order.filter(|order| order.kind == kind && now() < order.until)
    }

    /// The nodes that remain have accepted that the others are given up.
    fn forced(&mut self, voters: &[i32]) {
        self.obeyed = self.local.order.as_ref().map(|order| order.until);
        crate::notice!("as a person ordered, these nodes alone grant the right to write: {voters:?}");
        self.tell_server(Order::Done(OrderKind::GiveUp));
    }

    /// Nodes that were registered since, which the holder asks whether they have a record to vote with.
    fn ask_newcomers(&mut self) {
        let due = self.newcomers_asked.is_none_or(|asked| asked.elapsed() >= NEWCOMERS);
        if !due || self.state.held.is_none() {
            return;
        }
        self.newcomers_asked = Some(Instant::now());
        let list = &self.state.list;
        let registered = self.told.records.iter().map(|record| record.node_id.0);
        let new: Vec<i32> = registered.filter(|node| !list.voters.contains(node)).collect();
        self.able.retain(|node| new.contains(node));
        for node in new {
            self.voters
                .ask(BESIDE, self.record(node), node, &Request::Status, NEWCOMERS);
        }
    }

    fn note_newcomer(&mut self, node: i32, answer: Option<&Answer>) {
        let able = answer.is_some_and(|answer| answer.verdict == Verdict::Status && answer.known.is_some());
        if able {
            self.able.insert(node);
        } else {
            self.able.remove(&node);
        }
    }

    /// Has a server that takes part require the right: a primary once it holds it, a standby before it may be promoted.
    fn require(&mut self) {
        let Some(standing) = self.local.standing.filter(|standing| !standing.required) else {
            self.without_library = false;
            return;
        };
        // A witness votes, and writes what is its own.
        let witness = self
            .record(self.own.0)
            .is_some_and(|own| own.node_type == NodeType::Witness);
        if witness || !self.state.list.voters.contains(&self.own.0) {
            return;
        }
        if !standing.loaded {
            if !std::mem::replace(&mut self.without_library, true) {
                crate::error!("the local server cannot enforce the right to write, so this node cannot be promoted");
                crate::hint!("add \"repmgr\" to \"shared_preload_libraries\" and restart the server");
            }
            return;
        }
        let ready = self.told.role != Role::Primary || self.seen() == Right::Held;
        if ready && self.required.is_none_or(|told| told.elapsed() > REQUIRE) {
            self.required = Some(Instant::now());
            crate::notice!("the local server is made to require the right to write");
            self.tell_server(Order::Require);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Ask {
                attempt,
                voters,
                request,
                deadline,
            } => {
                let limit = Duration::from_millis(deadline.saturating_sub(now()));
                for voter in voters {
                    self.voters.ask(attempt, self.record(voter), voter, &request, limit);
                }
            }
            // It is told in a later turn, as it does not know its end.
            Action::ExtendLocalEnd { .. } if !self.may_be_told() => {}
            Action::ExtendLocalEnd { ballot, until, server } => self.tell_server(Order::HoldUntil {
                until,
                server,
                ballot: ballot.to_string(),
            }),
            Action::SetLocalEndToZero { ballot } => self.tell_server(Order::Lapse {
                ballot: ballot.to_string(),
            }),
            Action::Acquired { epoch, previous } => self.announce(News::Acquired {
                epoch: epoch.0,
                previous: previous.map(NodeId),
            }),
            Action::Lapsed { epoch } => self.announce(News::Lapsed { epoch: epoch.0 }),
            Action::Released { epoch } => self.announce(News::Released { epoch: epoch.0 }),
            // Nothing waits for these: the next turns show what has become of them.
            Action::VotersChanged { .. } | Action::PayloadChosen { .. } => {}
            Action::Forced { voters } => self.forced(&voters),
        }
    }

    fn tell_server(&self, order: Order) {
        // It lives as long as this.
        let _ = self.order.send(order);
    }

    fn announce(&self, news: News) {
        // The loop may have ended.
        let _ = self.news.send(news);
    }

    fn say_why(&mut self, rule: Rule, reason: &str) {
        if self.last_rule.replace(rule) == Some(rule) {
            return;
        }
        if rule == Rule::RenewalRefused || rule == Rule::TooFewPromises && self.state.held.is_some() {
            self.announce(News::RenewalFailed(reason.to_owned()));
        }
        let daily = [
            Rule::Held,
            Rule::Renewing,
            Rule::Renewed,
            Rule::NotWanted,
            Rule::BackingOff,
            Rule::Preparing,
            Rule::PromisesAwaited,
            Rule::Promised,
            Rule::AcceptancesAwaited,
        ];
        // What is tried again and again is told once.
        if daily.contains(&rule) || self.told_rule == Some(rule) {
            crate::debug!("the right to write: {reason}");
            if matches!(rule, Rule::Held | Rule::Renewed | Rule::NotWanted) {
                self.told_rule = None;
            }
        } else {
            self.told_rule = Some(rule);
            crate::info!("the right to write: {reason}");
            crate::detail!("rule \"{}\"", rule.name());
        }
    }

    fn record(&self, node: i32) -> Option<NodeRecord> {
        let found = self.told.records.iter().find(|record| record.node_id.0 == node);
        found.cloned()
    }
}

/// What is wanted of the right.
pub(super) fn want(role: Role, local: &local::Seen, held: bool, silent: bool) -> Want {
    let wished = local.standing.is_some_and(|standing| standing.wished);
    match role {
        _ if held && local.nobody_attached => Want::Release,
        _ if silent => Want::Nothing,
        // It is being switched on: what was on record before does not count.
        Role::Primary if wished && !local.standing.is_some_and(|standing| standing.required) => Want::Take,
        Role::Primary => Want::Keep,
        Role::Candidate => Want::Take,
        Role::Other if wished => Want::Take,
        Role::Other => Want::Nothing,
    }
}

pub(super) fn now() -> u64 {
    u64::try_from(boottime().as_millis()).unwrap_or(u64::MAX)
}

/// A number that no other call gives: the keys of a hasher come from the operating system.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::write_right::Standing;

    fn seen(wished: bool, nobody_attached: bool) -> local::Seen {
        let standing = Standing {
            loaded: true,
            required: true,
            server: 7,
            end: 0,
            left: 0,
            wished,
        };
        local::Seen {
            standing: (!nobody_attached).then_some(standing),
            nobody_attached,
            ..local::Seen::default()
        }
    }

    #[test]
    fn a_server_that_is_gone_gives_the_right_back_whatever_it_was() {
        for role in [Role::Primary, Role::Candidate, Role::Other] {
            assert_eq!(want(role, &seen(false, true), true, false), Want::Release);
        }
        assert_eq!(want(Role::Primary, &seen(false, true), false, false), Want::Keep);
    }

    #[test]
    fn a_standby_wants_it_only_for_a_promotion() {
        assert_eq!(want(Role::Other, &seen(false, false), false, false), Want::Nothing);
        assert_eq!(want(Role::Other, &seen(true, false), false, false), Want::Take);
        assert_eq!(want(Role::Candidate, &seen(false, false), false, false), Want::Take);
    }

    #[test]
    fn the_primary_may_take_it_while_it_is_switched_on() {
        let mut wished = seen(true, false);
        assert_eq!(want(Role::Primary, &wished, false, false), Want::Keep);
        wished.standing.as_mut().unwrap().required = false;
        assert_eq!(want(Role::Primary, &wished, false, false), Want::Take);
    }

    #[test]
    fn a_server_that_is_frozen_does_not_keep_the_right_from_the_others() {
        assert_eq!(want(Role::Primary, &seen(false, false), true, true), Want::Nothing);
        assert_eq!(want(Role::Primary, &seen(false, true), true, true), Want::Release);
    }

    #[test]
    fn no_two_numbers_are_alike() {
        let numbers: BTreeSet<u64> = (0..100).map(|_| random()).collect();
        assert_eq!(numbers.len(), 100);
    }
}
