//! One turn in the making: what every phase needs.

use std::collections::BTreeMap;

use repmgr_write_right::{Answer, Ballot, Known, NodeId, Request, Rules, Safety};

use super::action::Action;
use super::observation::{Answered, Observation, Want};
use super::rules::Rule;
use super::settings::Settings;
use super::state::{Decision, Held, Phase, Relearning, State};

/// One turn: what is known, and what has been collected so far.
pub(super) struct Turn<'a> {
    pub rules: Rules,
    pub settings: &'a Settings,
    pub seen: &'a Observation,
    pub now: u64,
    pub next: State,
    pub actions: Vec<Action>,
    /// When the next turn is due for what runs beside the phases.
    beside: u64,
    /// A rule that runs beside the phases and did something this turn.
    pub noted: Option<(Rule, String)>,
}

impl<'a> Turn<'a> {
    pub fn new(rules: Rules, settings: &'a Settings, state: &State, seen: &'a Observation) -> Self {
        Turn {
            rules,
            settings,
            seen,
            now: seen.now,
            next: state.clone(),
            actions: Vec::new(),
            beside: u64::MAX,
            noted: None,
        }
    }

    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// The decision, due again at `wake_at` at the latest. What ran beside the phases is told if they had nothing to do.
    pub fn decide(mut self, rule: Rule, reason: impl Into<String>, wake_at: u64) -> Decision {
        let quiet = matches!(
            rule,
            Rule::NotWanted
                | Rule::VotersUnknown
                | Rule::Held
                | Rule::BackingOff
                | Rule::NotAVoter
                | Rule::NotEnforcing
        );
        let (rule, reason) = match self.noted.take() {
            Some(noted) if quiet => noted,
            _ => (rule, reason.into()),
        };
        Decision {
            rule,
            reason,
            actions: self.actions,
            next: self.next,
            wake_at: wake_at.min(self.beside).max(self.now),
        }
    }

    /// Puts a question and says its number.
    pub fn ask(&mut self, voters: Vec<NodeId>, request: Request, limit: u64) -> u64 {
        self.next.attempt += 1;
        let attempt = self.next.attempt;
        self.act(Action::Ask {
            attempt,
            voters,
            request,
            deadline: self.now + limit,
        });
        attempt
    }

    /// The ends of this question that came since the last turn.
    pub fn answers(&self, attempt: u64) -> impl Iterator<Item = &'a Answered> {
        self.seen
            .answers
            .iter()
            .filter(move |answered| answered.attempt == attempt)
    }

    /// A ballot above all that were seen.
    pub fn fresh_ballot(&mut self) -> Ballot {
        if self.rules.hold(Safety::FreshBallot) || self.next.round == 0 {
            self.next.round = self.next.round.saturating_add(1);
        }
        Ballot {
            round: self.next.round,
            node: self.next.own,
            incarnation: self.next.incarnation,
        }
    }

    /// Takes from all answers, late ones too, what only grows.
    pub fn learn(&mut self) {
        for answer in self.seen.answers.iter().filter_map(|answered| answered.answer.as_ref()) {
            if let Some(known) = &answer.known {
                self.learn_from(known);
            }
        }
    }

    fn learn_from(&mut self, known: &Known) {
        let next = &mut self.next;
        let rounds = [known.promise, known.accepted, known.released];
        let highest = rounds.iter().flatten().map(|ballot| ballot.round).max().unwrap_or(0);
        next.round = next.round.max(highest);
        next.epoch = next.epoch.max(known.epoch);
        next.payload_version = next.payload_version.max(known.payload.version);
        let newer = (known.list.rank(), known.accepted) > (next.list.rank(), next.list_from);
        if newer && (self.rules.hold(Safety::OlderListRefused) || next.list.version == 0) {
            next.list = known.list.clone();
            next.list_from = known.accepted;
        }
    }

    /// Whom to ask as long as nobody has said who votes, or this node is none of them: all that are registered.
    fn everybody(&self) -> Vec<NodeId> {
        let mut all = self.seen.nodes.clone();
        all.extend(self.next.list.everybody());
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Asks the own voter from time to time whether it has lost its record, and everybody while no list names this node.
    pub fn look_around(&mut self) {
        let due = self.next.asked.map_or(0, |asked| asked + self.settings.length);
        if due <= self.now {
            let known = self.next.list.voters.contains(&self.next.own);
            let whom = if known { vec![self.next.own] } else { self.everybody() };
            self.ask(whom, Request::Status, self.settings.patience());
            self.next.asked = Some(self.now);
        }
        self.beside = self
            .beside
            .min(self.next.asked.unwrap_or(self.now) + self.settings.length);
    }

    /// Has the own voter relearn what it has lost, beside all phases.
    pub fn relearn(&mut self) {
        self.begin_relearning();
        let Some(mut relearning) = self.next.relearning.take() else {
            return;
        };
        let own = self.next.own;
        let known = self.answers(relearning.attempt).filter_map(|answered| {
            let known = answered.answer.as_ref()?.known.clone()?;
            Some((answered.voter, known))
        });
        let known: BTreeMap<NodeId, Known> = known.filter(|(voter, _)| *voter != own).collect();
        relearning.known.extend(known);
        let newest = relearning
            .known
            .values()
            .max_by_key(|known| (known.list.rank(), known.accepted));
        let enough = newest.is_some_and(|newest| {
            let list = &newest.list;
            let majority = list.is_majority_of_others(own, |node| relearning.known.contains_key(&node));
            list.version > 0 && (majority || !self.rules.hold(Safety::RelearnFromMajority))
        });
        if enough {
            let known = merged(relearning.known.values());
            let from: Vec<String> = relearning.known.keys().map(NodeId::to_string).collect();
            let reason = format!("the own voter relearns its record from {}", from.join(", "));
            self.noted = Some((Rule::Relearnt, reason));
            let loss = relearning.loss;
            self.ask(vec![own], Request::Relearn { loss, known }, self.settings.patience());
        } else if self.now < relearning.since + self.settings.patience() {
            self.beside = self.beside.min(relearning.since + self.settings.patience());
            self.next.relearning = Some(relearning);
        }
    }

    /// Only a loss whose silence is over is relearnt: until then the others may still answer questions that it took part in.
    fn begin_relearning(&mut self) {
        let own = self.next.own;
        let lost = |answer: &Answer| {
            let over = answer.node == own && answer.silent == 0;
            answer.loss.clone().filter(|_| over)
        };
        let found = self.seen.answers.iter().filter(|answered| answered.voter == own);
        let Some(loss) = found.filter_map(|answered| answered.answer.as_ref()).find_map(lost) else {
            return;
        };
        if self
            .next
            .relearning
            .as_ref()
            .is_some_and(|relearning| relearning.loss == loss)
        {
            return;
        }
        let others = self.everybody().into_iter().filter(|node| *node != own).collect();
        let attempt = self.ask(others, Request::Status, self.settings.patience());
        let reason = "the own voter has lost its record: the others are asked what they know";
        self.noted = Some((Rule::Relearning, reason.to_owned()));
        self.next.relearning = Some(Relearning {
            loss,
            attempt,
            since: self.now,
            known: BTreeMap::new(),
        });
    }

    /// Backs off, for a reason that is told until the next attempt.
    pub fn back_off(mut self, rule: Rule, reason: String, until: u64) -> Decision {
        self.next.phase = Phase::BackingOff { until, rule };
        let wake_at = self.next.holds_until().map_or(until, |end| end.min(until));
        self.decide(rule, reason, wake_at)
    }

    /// A random while from now; a holder has less time to lose.
    pub fn random_while(&self) -> u64 {
        let random = self.settings.back_off(self.seen.random);
        self.now + if self.next.held.is_some() { random / 4 } else { random }
    }

    /// The right, if its end has passed.
    pub fn lapsed(&self) -> Option<Held> {
        self.next.held.clone().filter(|held| held.until <= self.now)
    }

    pub fn wants_it(&self) -> bool {
        matches!(self.seen.want, Want::Keep | Want::Take)
    }
}

/// The highest of each of what several voters know.
pub(super) fn merged<'k>(all: impl Iterator<Item = &'k Known> + Clone) -> Known {
    let mut merged = all
        .clone()
        .max_by_key(|known| (known.accepted, known.payload.version))
        .cloned()
        .unwrap_or_default();
    for known in all.clone() {
        merged.promise = merged.promise.max(known.promise);
        merged.released = merged.released.max(known.released);
        merged.epoch = merged.epoch.max(known.epoch);
    }
    if let Some(newest) = all.max_by_key(|known| (known.list.rank(), known.accepted)) {
        merged.list = newest.list.clone();
    }
    merged
}

/// Node ids for a reason.
pub(super) fn listed<'n>(nodes: impl IntoIterator<Item = &'n NodeId>) -> String {
    let nodes: Vec<String> = nodes.into_iter().map(NodeId::to_string).collect();
    if nodes.is_empty() {
        "nobody".to_owned()
    } else {
        nodes.join(", ")
    }
}
