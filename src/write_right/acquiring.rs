//! Acquiring: promises of a majority, then acceptances of a majority.

use std::collections::{BTreeMap, BTreeSet};

use repmgr_write_right::{
    Epoch, FORCED_STEP, LONGEST_LEASE, NodeId, Payload, Proposal, Purpose, Request, Safety, Verdict, VoterList,
};

use super::action::Action;
use super::observation::Want;
use super::rules::Rule;
use super::state::{Accepting, Decision, Held, Phase, Preparing, Renewal};
use super::turn::{Turn, listed, merged};

impl Turn<'_> {
    /// Begins an attempt, if there is nothing against it.
    pub fn begin(mut self) -> Decision {
        let wake_at = self.now + self.settings.length;
        self.next.phase = Phase::Idle;
        if self.next.list.version == 0 && self.forced_list().is_none() {
            return self.decide(Rule::VotersUnknown, "no voter has said yet who votes", wake_at);
        }
        if !self.seen.server.enforcing && self.next.held.is_none() {
            let reason = "it is not proven that the own server enforces the right";
            return self.decide(Rule::NotEnforcing, reason, wake_at);
        }
        self.prepare()
    }

    /// Whether a person gives others up, and this node is among those who remain.
    pub fn may_force(&self) -> bool {
        self.forced_list().is_some()
    }

    /// The list without those whom a person gives up; `None`: nobody is, or this node is.
    fn forced_list(&self) -> Option<VoterList> {
        let given_up = self.seen.force.as_ref()?;
        let list = match self.next.list.version {
            0 => VoterList::first(self.seen.nodes.iter().copied()),
            _ => self.next.list.clone(),
        };
        let list = match list.everybody().iter().any(|node| given_up.contains(node)) {
            true => list.forced(given_up),
            // Done before, by an attempt that not everybody answered.
            false => list,
        };
        list.voters.contains(&self.next.own).then_some(list)
    }

    /// Whether so many of them are enough. By force: all that remain.
    fn enough(&self, list: &VoterList, whether: impl Fn(NodeId) -> bool) -> bool {
        if let Some(forced) = self.forced_list() {
            return forced.voters.iter().all(|node| whether(*node));
        }
        if !self.rules.hold(Safety::MajorityNeeded) {
            return list.voters.iter().filter(|node| whether(**node)).count() * 2 >= list.voters.len();
        }
        list.is_quorum(whether)
    }

    /// Asks for promises of a new ballot.
    pub fn prepare(mut self) -> Decision {
        let forced = self.forced_list();
        let list = forced
            .as_ref()
            .filter(|_| self.next.list.version == 0)
            .unwrap_or(&self.next.list)
            .clone();
        let whom = forced.map_or_else(|| list.everybody(), |forced| forced.voters);
        let ballot = self.fresh_ballot();
        let request = Request::Prepare {
            ballot,
            list: list.clone(),
        };
        let reason = format!("nodes {} are asked to promise ballot {ballot}", listed(&whom));
        let attempt = self.ask(whom, request, self.settings.patience());
        self.next.phase = Phase::Preparing(Preparing {
            ballot,
            attempt,
            since: self.now,
            list,
            promised: BTreeMap::new(),
            refused: BTreeMap::new(),
        });
        let wake_at = self.now + self.settings.patience();
        let wake_at = self.next.holds_until().map_or(wake_at, |end| end.min(wake_at));
        self.decide(Rule::Preparing, reason, wake_at)
    }

    /// Counts promises.
    pub fn preparing(mut self, mut doing: Preparing) -> Decision {
        if doing.list != self.next.list && self.next.list.version > 0 {
            let version = self.next.list.version;
            let reason = format!(
                "voter list {version} is newer than {}, which was gone by",
                doing.list.version
            );
            let at_once = self.now;
            return self.back_off(Rule::ListLearnt, reason, at_once);
        }
        let limit = doing.since + self.settings.patience();
        let limit = self.last_call(limit);
        let late = self.now >= limit;
        if !late {
            for answered in self.answers(doing.attempt) {
                match &answered.answer {
                    Some(answer) => match (answer.verdict, &answer.known) {
                        (Verdict::Promised, Some(known)) => {
                            doing.promised.insert(answered.voter, known.clone());
                        }
                        // By force those who have lost their record accept what they are told.
                        (Verdict::Lost, _) if self.seen.force.is_some() => {
                            doing.promised.insert(answered.voter, Default::default());
                        }
                        (verdict, _) => {
                            let left = match verdict {
                                Verdict::Held => Some(answer.left),
                                Verdict::Silent => Some(answer.silent),
                                _ => None,
                            };
                            doing.refused.insert(answered.voter, left);
                        }
                    },
                    None => {
                        doing.refused.insert(answered.voter, None);
                    }
                }
            }
        }
        if !late && self.enough(&doing.list, |node| doing.promised.contains_key(&node)) {
            return self.promised(doing);
        }
        if !late && self.enough(&doing.list, |node| !doing.refused.contains_key(&node)) {
            let reason = format!(
                "{} promised ballot {} so far",
                listed(doing.promised.keys()),
                doing.ballot
            );
            let wake_at = self.next.holds_until().map_or(limit, |end| end.min(limit));
            self.next.phase = Phase::Preparing(doing);
            return self.decide(Rule::PromisesAwaited, reason, wake_at);
        }
        self.not_promised(&doing)
    }

    fn not_promised(self, doing: &Preparing) -> Decision {
        // When so many leases have ended that those who promised or will then are enough.
        let mut ends: Vec<u64> = doing.refused.values().flatten().copied().collect();
        ends.sort_unstable();
        let free_after = |end: u64| {
            self.enough(&doing.list, |node| match doing.refused.get(&node) {
                Some(left) => left.is_some_and(|left| left <= end),
                None => doing.promised.contains_key(&node),
            })
        };
        let free = ends.iter().copied().find(|end| free_after(*end));
        let random = self.random_while();
        // What another node has it may give back at any moment, and nobody can write until a candidate has it.
        let soon = ends.first().filter(|_| self.seen.want == Want::Take).map(|left| {
            let poll = self.settings.poll();
            self.now + (*left).clamp(1, poll) + self.seen.random % (poll / 2)
        });
        match free {
            Some(left) => {
                let reason = format!(
                    "another node's lease, or silence after a loss, lasts {left} ms longer at the voters that are needed"
                );
                let short = (random - self.now) / 4;
                let end = (self.now + left.min(self.settings.length) + short).max(self.now + 1);
                self.back_off(Rule::HeldByOther, reason, soon.unwrap_or(end))
            }
            None => {
                let reason = format!(
                    "ballot {}: {} promised, {} did not",
                    doing.ballot,
                    listed(doing.promised.keys()),
                    listed(doing.refused.keys())
                );
                self.back_off(Rule::TooFewPromises, reason, soon.unwrap_or(random))
            }
        }
    }

    /// A majority promised: takes over what it knows, and asks for acceptance.
    fn promised(mut self, doing: Preparing) -> Decision {
        let highest = merged(doing.promised.values());
        let own = self.next.own;
        let previous = highest.accepted;
        let held = self.next.held.clone();
        // This very process had it last, and holds it still: the epoch goes on.
        let goes_on = held.as_ref().filter(|held| {
            let same = previous.is_some_and(|last| last.node == own && last.incarnation == self.next.incarnation);
            same && held.epoch == self.next.epoch && highest.epoch == held.epoch
        });
        if let Some(last) = previous
            && self.seen.want == Want::Keep
            && last.node != own
            && self.seen.dismissed != Some(last)
            // While it is held nobody else can have had it.
            && held.is_none()
            && self.rules.hold(Safety::OvertakenStays)
        {
            let reason = format!("node {} had the right last, under ballot {last}", last.node);
            let until = self.now + self.settings.length;
            return self.back_off(Rule::Overtaken, reason, until);
        }
        if let (Some(last), Some(expected), Want::Take) = (previous, self.seen.in_place_of, self.seen.want)
            && last.node != expected
            && last.node != own
            && held.is_none()
        {
            let node = last.node;
            let reason =
                format!("node {node} had the right last, and not node {expected}, in whose place it is wanted");
            let until = self.now + self.settings.length;
            return self.back_off(Rule::OtherHolder, reason, until);
        }
        let forced = self.forced_list();
        let epoch = match (&forced, goes_on) {
            (Some(_), _) => Epoch(self.next.epoch.0 + FORCED_STEP),
            (None, Some(held)) => held.epoch,
            (None, None) if !self.rules.hold(Safety::EpochRaised) => self.next.epoch.max(Epoch(1)),
            (None, None) => Epoch(self.next.epoch.0 + 1),
        };
        let payload = match self.rules.hold(Safety::HighestAdopted) {
            true => highest.payload,
            false => Payload::default(),
        };
        let proposal = Proposal {
            purpose: if forced.is_some() {
                Purpose::Force
            } else {
                Purpose::Acquire
            },
            ballot: doing.ballot,
            epoch,
            length: self.settings.length,
            payload,
            list: forced.unwrap_or_else(|| self.next.list.clone()),
        };
        let whom = proposal.list.everybody();
        let reason = format!(
            "{} promised ballot {}: nodes {} are asked to accept it for epoch {epoch}",
            listed(doing.promised.keys()),
            doing.ballot,
            listed(&whom)
        );
        let attempt = self.ask(whom, Request::Accept(proposal.clone()), self.settings.worth());
        self.next.epoch = self.next.epoch.max(epoch);
        self.next.phase = Phase::Accepting(Accepting {
            proposal,
            attempt,
            since: self.now,
            until: self.now + self.worth(),
            accepted: BTreeSet::new(),
            refused: BTreeSet::new(),
            previous: previous.map(|ballot| ballot.node),
        });
        let wake_at = self.now + self.settings.patience();
        let wake_at = self.next.holds_until().map_or(wake_at, |end| end.min(wake_at));
        self.decide(Rule::Promised, reason, wake_at)
    }

    /// Counts acceptances.
    pub fn accepting(mut self, mut doing: Accepting) -> Decision {
        let limit = doing.until.min(doing.since + self.settings.patience());
        let limit = self.last_call(limit);
        let late = self.now >= limit;
        if !late {
            for answered in self.answers(doing.attempt) {
                let verdict = answered.answer.as_ref().map(|answer| answer.verdict);
                match verdict {
                    Some(Verdict::Accepted) => doing.accepted.insert(answered.voter),
                    _ => doing.refused.insert(answered.voter),
                };
            }
        }
        let list = doing.proposal.list.clone();
        if !late && self.enough(&list, |node| doing.accepted.contains(&node)) {
            return self.acquired(doing);
        }
        let hopeless = !self.enough(&list, |node| !doing.refused.contains(&node));
        if late || hopeless {
            let (accepted, ballot) = (listed(&doing.accepted), doing.proposal.ballot);
            let reason = format!("ballot {ballot}: {accepted} accepted in time");
            let until = self.random_while();
            return self.back_off(Rule::TooFewAcceptances, reason, until);
        }
        let reason = format!(
            "{} accepted ballot {} so far",
            listed(&doing.accepted),
            doing.proposal.ballot
        );
        let wake_at = self.next.holds_until().map_or(limit, |end| end.min(limit));
        self.next.phase = Phase::Accepting(doing);
        self.decide(Rule::AcceptancesAwaited, reason, wake_at)
    }

    /// Until when answers count.
    fn last_call(&self, limit: u64) -> u64 {
        match self.rules.hold(Safety::LateIsNone) {
            true => limit,
            false => limit + LONGEST_LEASE,
        }
    }

    /// How long an acceptance is worth anything, from before it was asked for.
    pub fn worth(&self) -> u64 {
        match self.rules.hold(Safety::MarginSubtracted) {
            true => self.settings.worth(),
            false => self.settings.length,
        }
    }

    /// The own end that an acceptance gives.
    pub fn end_of(&self, since: u64, until: u64) -> u64 {
        match self.rules.hold(Safety::EndFromBeforeAsking) {
            true => until,
            false => self.now + (until - since),
        }
    }

    fn acquired(mut self, doing: Accepting) -> Decision {
        let Proposal {
            ballot,
            epoch,
            payload,
            list,
            ..
        } = doing.proposal.clone();
        let until = self.end_of(doing.since, doing.until);
        let before = self.next.held.take();
        let goes_on = before.as_ref().is_some_and(|held| held.epoch == epoch);
        let until = before.map_or(until, |held| held.until.max(until));
        self.next.held = Some(Held {
            ballot,
            epoch,
            until,
            payload: payload.clone(),
            payload_chosen: true,
            // Whether a change is over shows in the next turn.
            list_chosen: None,
        });
        // A voter that refused may have said of a newer one in the same turn; then it is gone by in the next.
        if (list.rank(), Some(ballot)) >= (self.next.list.rank(), self.next.list_from) {
            self.next.list = list.clone();
            self.next.list_from = Some(ballot);
        }
        if !goes_on {
            let previous = doing.previous;
            self.act(Action::Acquired { epoch, previous });
        }
        let forced = doing.proposal.purpose == Purpose::Force;
        if forced {
            let voters = list.voters.clone();
            self.act(Action::Forced { voters });
        }
        let left = until.saturating_sub(self.now);
        let accepted = listed(&doing.accepted);
        let reason = format!("{accepted} accepted ballot {ballot}: the right is held in epoch {epoch} for {left} ms");
        // Counted on, as its other answers may say that a change of the voters is over.
        let renewals = vec![Renewal {
            attempt: doing.attempt,
            since: doing.since,
            until: doing.until,
            proposal: doing.proposal,
            accepted: doing.accepted,
        }];
        let next = doing.since + self.settings.renewal();
        self.next.phase = Phase::Holding { renewals, next };
        self.extend_local_end();
        let rule = match (forced, goes_on) {
            (true, _) => Rule::Forced,
            (false, true) => Rule::AcquiredAnew,
            (false, false) => Rule::Acquired,
        };
        let wake_at = next.min(until);
        self.decide(rule, reason, wake_at)
    }
}
