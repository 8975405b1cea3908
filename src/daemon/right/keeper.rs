//! The turns of the proposer: what it sees, and what it decides carried out.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use repmgr_write_right::{Answer, Ballot, Payload, Request, Verdict};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::local::Order;
use super::own::{self, Own, Said, now, random};
use super::synchronous::{self, Gate, Outcome, Situation, Stage};
use super::voters::Voters;
use super::{News, Role, Told};
use crate::config::SynchronousMode;
use crate::failover::Right;
use crate::metadata::write_right::{GrantedBy, Order as PersonsOrder, OrderKind};
use crate::types::NodeId;
use crate::write_right::synchronous::without;
use crate::write_right::{self, Action, Answered, Change, Observation, Rule, Settings, State, Want};

/// The number of questions that are not the proposer's.
const BESIDE: u64 = u64::MAX;
/// How often nodes that do not vote yet are asked whether they can.
const NEWCOMERS: Duration = Duration::from_secs(5);

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
    let (own, mut local) = Own::attend(own, data_directory, first, seen, news);
    let mut keeper = Keeper {
        outcome: Outcome::default(),
        state: State::new(own.id.0, random()),
        own,
        dismissed,
        voters: Voters::new(answer),
        able: BTreeSet::new(),
        newcomers_asked: None,
        without_library: false,
        obeyed: None,
        of_etcd: false,
        last_rule: None,
    };
    let mut came: Vec<Answered> = Vec::new();
    loop {
        keeper.own.find();
        let wake_at = keeper.turn(std::mem::take(&mut came));
        own::change(&describe, keeper.situation());
        keeper.own.show(keeper.seen());
        tokio::select! {
            Some(answered) = answers.recv() => came.push(answered),
            changed = told.changed() => match changed {
                Ok(()) => keeper.own.told = told.borrow_and_update().clone(),
                Err(_) => return,
            },
            Ok(()) = local.changed() => keeper.own.local = local.borrow_and_update().clone(),
            Ok(()) = outcome.changed() => keeper.outcome = outcome.borrow_and_update().clone(),
            () = tokio::time::sleep_until(own::next_turn(wake_at)) => {}
        }
        while let Ok(answered) = answers.try_recv() {
            came.push(answered);
        }
    }
}

struct Keeper {
    own: Own,
    /// What has become of the synchronous mode.
    outcome: Outcome,
    state: State,
    dismissed: watch::Receiver<Option<Ballot>>,
    voters: Voters,
    /// Registered nodes that do not vote yet and have a record to vote with.
    able: BTreeSet<i32>,
    newcomers_asked: Option<Instant>,
    without_library: bool,
    /// The end of the person's order that is carried out: it may still be seen for a moment.
    obeyed: Option<u64>,
    /// It was told that the cluster goes by etcd.
    of_etcd: bool,
    last_rule: Option<Rule>,
}

impl Keeper {
    fn turn(&mut self, answers: Vec<Answered>) -> u64 {
        let (beside, answers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.attempt == BESIDE);
        for answered in beside {
            self.note_newcomer(answered.voter, answered.answer.as_ref());
        }
        self.ask_newcomers();
        let settings = Settings::new(self.own.told.duration);
        let force = self.given_up();
        let (wanted, silent) = self.own.want(self.state.held.is_some());
        let wanted = self.unbarred(wanted);
        self.state.round = self.state.round.max(self.own.local.over_round);
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
            nodes: self.own.told.records.iter().map(|record| record.node_id.0).collect(),
            change: self.change(),
            payload: self.payload(),
            force,
            in_place_of: self.own.told.in_place_of.map(|node| node.0),
            dismissed: *self.dismissed.borrow(),
            server: self.own.server(),
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
        let by_etcd = self.own.local.standing.is_some() && self.own.local.granted_by == GrantedBy::Etcd;
        if by_etcd && !std::mem::replace(&mut self.of_etcd, by_etcd) {
            crate::error!("this node cannot hold the right to write");
            crate::detail!(
                "this cluster was switched to \"write_right=etcd\", and repmgr.conf of this node says majority"
            );
            crate::hint!("\"write_right\" must be the same on all nodes");
        }
        by_etcd
    }

    /// A right that this node could do nothing with would only make an overtaken primary of the last holder. A primary that
    /// takes it is being switched on, and has all commits.
    fn unbarred(&self, want: Want) -> Want {
        let may = match (want, &self.state.held) {
            _ if self.own.is_primary() => true,
            (Want::Take, Some(_)) => !matches!(self.outcome.gate, Gate::Barred(_)),
            (Want::Take, None) => !self.is_guarded() || matches!(self.outcome.gate, Gate::MayTry),
            _ => true,
        };
        if may { want } else { Want::Nothing }
    }

    /// Whether, by what is known here, a majority may remember where acknowledged commits are.
    fn is_guarded(&self) -> bool {
        self.own.told.synchronous.0 != SynchronousMode::Off || self.state.payload_version > 0
    }

    fn is_to_be_promoted(&self) -> bool {
        let wished = self.own.local.standing.is_some_and(|standing| standing.wished);
        self.own.told.role == Role::Candidate || (self.own.told.role == Role::Other && wished)
    }

    /// What is told to who keeps the synchronous mode.
    fn situation(&self) -> Situation {
        let remembered = |payload: Payload| (payload.count, payload.standbys);
        let given_up = &self.state.list.given_up;
        let stage = match &self.state.held {
            Some(held) if self.own.is_primary() => Stage::Holder {
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
        let (mode, count) = self.own.told.synchronous;
        Situation {
            records: self.own.told.records.clone(),
            mode,
            count,
            enforcing: self
                .own
                .local
                .standing
                .is_some_and(|standing| standing.loaded && standing.required),
            stage,
        }
    }

    /// What a majority is to remember of the synchronous standbys.
    fn payload(&self) -> Option<(u32, Vec<i32>)> {
        let held = self.state.held.as_ref().filter(|_| self.own.is_primary())?;
        let (epoch, payload) = self.outcome.payload.as_ref()?;
        (*epoch == held.epoch.0).then(|| payload.clone())
    }

    /// Whether the own server may be told its end: one that is to be promoted, not before it has every acknowledged commit.
    fn may_be_told(&self) -> bool {
        let Some(held) = &self.state.held else { return true };
        self.own.is_primary() || held.payload.count == 0 || self.outcome.gate == Gate::Open(held.epoch.0)
    }

    /// How it stands, for the loop.
    fn seen(&self) -> Right {
        let required = self.own.local.standing.is_some_and(|standing| standing.required);
        let never_begun = self.state.list.version == 0 && self.own.local.standing.is_some() && !required;
        if self.own.local.without_extension || never_begun {
            return Right::NotNeeded;
        }
        let rule = self.last_rule.map_or("", Rule::sentence);
        match (self.own.right(self.state.held.is_some(), rule), &self.outcome.gate) {
            (Right::Missing(_), Gate::Barred(why)) if self.own.local.standing.is_some() => Right::Barred(why.clone()),
            (right, _) => right,
        }
    }

    /// The registered nodes are the voters, and the holder sees to it.
    fn change(&self) -> Option<Change> {
        let list = &self.state.list;
        if !self.own.is_primary() || self.state.held.is_none() || self.own.told.records.is_empty() {
            return None;
        }
        let registered: BTreeSet<i32> = self.own.told.records.iter().map(|record| record.node_id.0).collect();
        let gone = list
            .voters
            .iter()
            .find(|voter| !registered.contains(voter) && **voter != self.own.id.0);
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
        let order = self.own.local.order.as_ref();
        order.filter(|order| order.kind == kind && now() < order.until)
    }

    /// The nodes that remain have accepted that the others are given up.
    fn forced(&mut self, voters: &[i32]) {
        self.obeyed = self.own.local.order.as_ref().map(|order| order.until);
        crate::notice!("as a person ordered, these nodes alone grant the right to write: {voters:?}");
        self.own.tell(Order::Done(OrderKind::GiveUp));
    }

    /// Nodes that were registered since, which the holder asks whether they have a record to vote with.
    fn ask_newcomers(&mut self) {
        let due = self.newcomers_asked.is_none_or(|asked| asked.elapsed() >= NEWCOMERS);
        if !due || self.state.held.is_none() {
            return;
        }
        self.newcomers_asked = Some(Instant::now());
        let list = &self.state.list;
        let registered = self.own.told.records.iter().map(|record| record.node_id.0);
        let new: Vec<i32> = registered.filter(|node| !list.voters.contains(node)).collect();
        self.able.retain(|node| new.contains(node));
        for node in new {
            self.voters
                .ask(BESIDE, self.own.record(node), node, &Request::Status, NEWCOMERS);
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
        let Some(standing) = self.own.local.standing.filter(|standing| !standing.required) else {
            self.without_library = false;
            return;
        };
        // A witness votes, and writes what is its own.
        if self.own.told.role == Role::Witness || !self.state.list.voters.contains(&self.own.id.0) {
            return;
        }
        if !standing.loaded {
            if !std::mem::replace(&mut self.without_library, true) {
                crate::error!("the local server cannot enforce the right to write, so this node cannot be promoted");
                crate::hint!("add \"repmgr\" to \"shared_preload_libraries\" and restart the server");
            }
            return;
        }
        self.own.require(&self.seen());
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
                    self.voters.ask(attempt, self.own.record(voter), voter, &request, limit);
                }
            }
            // It is told in a later turn, as it does not know its end.
            Action::ExtendLocalEnd { .. } if !self.may_be_told() => {}
            Action::ExtendLocalEnd { ballot, until, server } => self.own.tell(Order::HoldUntil {
                until,
                server,
                ballot: ballot.to_string(),
            }),
            Action::SetLocalEndToZero { ballot } => self.own.tell(Order::Lapse {
                ballot: ballot.to_string(),
            }),
            Action::Acquired { epoch, previous } => self.own.announce(News::Acquired {
                epoch: epoch.0,
                previous: previous.map(NodeId),
            }),
            Action::Lapsed { epoch } => self.own.announce(News::Lapsed { epoch: epoch.0 }),
            Action::Released { epoch } => self.own.announce(News::Released { epoch: epoch.0 }),
            // Nothing waits for these: the next turns show what has become of them.
            Action::VotersChanged { .. } | Action::PayloadChosen { .. } => {}
            Action::Forced { voters } => self.forced(&voters),
        }
    }

    fn say_why(&mut self, rule: Rule, reason: &str) {
        if self.last_rule.replace(rule) == Some(rule) {
            return;
        }
        if rule == Rule::RenewalRefused || rule == Rule::TooFewPromises && self.state.held.is_some() {
            self.own.announce(News::RenewalFailed(reason.to_owned()));
        }
        self.own.say(&Said {
            name: rule.name(),
            reason,
            daily: rule.is_daily(),
            well: matches!(rule, Rule::Held | Rule::Renewed | Rule::NotWanted),
        });
    }
}
