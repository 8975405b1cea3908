//! The voter's side: one pure function from record, clock and question to record and answer.

use crate::message::{Answer, Known, Proposal, Purpose, Request, Verdict};
use crate::record::{Durable, Record};
use crate::safety::{Rules, Safety};
use crate::text::checksum;
use crate::{Ballot, LONGEST_LEASE, PLAUSIBLE_JUMP, VoterList};

/// Answers a question: the record afterwards, the answer, and whether the record's durable part must be on disk before
/// the answer is given (if it cannot be brought there, keep the old record and answer nothing). `now` is the voter's own
/// clock. Questions must be answered one after the other.
pub fn answer(record: &Record, now: u64, request: &Request) -> (Record, Answer, bool) {
    answer_under(Rules::default(), record, now, request)
}

/// [`answer`] under other rules, for tests alone.
#[doc(hidden)]
pub fn answer_under(rules: Rules, record: &Record, now: u64, request: &Request) -> (Record, Answer, bool) {
    let mut voter = Voter {
        rules,
        now,
        record: record.clone(),
    };
    let verdict = voter.decide(request).unwrap_or_else(|refusal| refusal);
    let mut after = voter.record;
    let changed =
        after.durable.as_ref().map(|durable| &durable.known) != record.durable.as_ref().map(|durable| &durable.known);
    if changed && let Some(durable) = &mut after.durable {
        after.volatile.changes += 1;
        durable.changes = after.volatile.changes;
    }
    let answer = Answer {
        verdict,
        node: after.node(),
        known: after.durable.as_ref().map(|durable| durable.known.clone()),
        left: after.volatile.lease_end.saturating_sub(now),
        silent: after.volatile.silent_until.saturating_sub(now),
        loss: after.durable.is_none().then(|| after.loss_stamp()),
    };
    let mark = after.disbelieved.is_some();
    (
        after,
        answer,
        mark || (changed && rules.hold(Safety::DurableBeforeAnswer)),
    )
}

struct Voter {
    rules: Rules,
    now: u64,
    record: Record,
}

/// A vote, or the refusal of one.
type Vote = Result<Verdict, Verdict>;

impl Voter {
    fn decide(&mut self, request: &Request) -> Vote {
        match request {
            Request::Status => Ok(Verdict::Status),
            Request::Found { list } => self.found(list),
            Request::Relearn { loss, known } => self.relearn(loss, known),
            Request::Prepare { ballot, list } => self.prepare(*ballot, list),
            Request::Accept(proposal) => self.accept(proposal),
            Request::Release { ballot } => self.release(*ballot),
        }
    }

    fn found(&mut self, list: &VoterList) -> Vote {
        match &self.record.durable {
            Some(durable) if durable.known.list == *list => Ok(Verdict::Founded),
            Some(_) => Err(Verdict::NotLost),
            None if !list.voters.contains(&self.record.node()) => Err(Verdict::NotAVoter),
            None => {
                self.begin(Known {
                    list: list.clone(),
                    ..Known::default()
                });
                // Nothing was enforced before: there is no lease to have forgotten.
                self.record.volatile.silent_until = 0;
                Ok(Verdict::Founded)
            }
        }
    }

    fn relearn(&mut self, loss: &str, known: &Known) -> Vote {
        if self.record.durable.is_some() {
            return Err(Verdict::NotLost);
        }
        self.not_silent()?;
        if loss != self.record.loss_stamp() {
            return Err(Verdict::Stale);
        }
        self.begin(known.clone());
        Ok(Verdict::Relearnt)
    }

    fn prepare(&mut self, ballot: Ballot, list: &VoterList) -> Vote {
        self.may_vote()?;
        self.eligible(ballot, list)?;
        if self.rules.hold(Safety::HeldIsRefused) {
            self.not_held(ballot)?;
        }
        if self.rules.hold(Safety::PromiseIsKept) {
            self.not_below_promise(ballot)?;
        }
        self.plausible(ballot)?;
        self.known().promise = Some(ballot);
        Ok(Verdict::Promised)
    }

    fn accept(&mut self, proposal: &Proposal) -> Vote {
        let Proposal {
            purpose,
            ballot,
            epoch,
            length,
            payload,
            list,
        } = proposal;
        if *purpose == Purpose::Force {
            self.not_silent()?;
            if self.record.durable.is_none() {
                // A person answers for it that nobody knows more.
                self.not_before_lease_end()?;
                self.begin(Known::default());
            }
        }
        self.may_vote()?;
        self.eligible(*ballot, list)?;
        if *length > LONGEST_LEASE && self.rules.hold(Safety::LongLeaseRefused) {
            return Err(Verdict::TooLong);
        }
        if self.rules.hold(Safety::HeldIsRefused) {
            self.not_held(*ballot)?;
        }
        if self.rules.hold(Safety::PromiseIsKept) {
            self.not_below_promise(*ballot)?;
        }
        self.plausible(*ballot)?;
        let (rules, node, end) = (self.rules, self.record.node(), self.now.saturating_add(*length));
        let known = self.known();
        if known.released == Some(*ballot) && rules.hold(Safety::ReleasedIsRefused) {
            return Err(Verdict::AlreadyReleased);
        }
        if *epoch < known.epoch && rules.hold(Safety::NothingGoesBack) {
            return Err(Verdict::OlderEpoch);
        }
        let overtaken = known.accepted == Some(*ballot) && payload.version < known.payload.version;
        if overtaken && rules.hold(Safety::NothingGoesBack) {
            return Err(Verdict::Stale);
        }
        known.promise = known.promise.max(Some(*ballot));
        known.accepted = Some(*ballot);
        known.epoch = *epoch;
        known.payload = payload.clone();
        known.list = list.clone();
        if !list.votes(node) {
            // It is told that it was given up, and grants nothing.
            return Err(Verdict::NotAVoter);
        }
        let lease_end = &mut self.record.volatile.lease_end;
        *lease_end = match rules.hold(Safety::LeaseNeverShortened) {
            true => end.max(*lease_end),
            false => end,
        };
        Ok(Verdict::Accepted)
    }

    fn release(&mut self, ballot: Ballot) -> Vote {
        self.may_vote()?;
        self.plausible(ballot)?;
        let running = self.record.running(self.now);
        let of_the_node = running.is_some_and(|running| running.node == ballot.node);
        // An earlier ballot of the same node: the later one was not accepted here.
        let named = of_the_node && running <= Some(ballot);
        if named || (of_the_node && !self.rules.hold(Safety::ReleaseNamesBallot)) {
            self.record.volatile.lease_end = 0;
        }
        if running.is_some() && !of_the_node {
            return Err(Verdict::Held);
        }
        let known = self.known();
        known.released = known.released.max(Some(ballot));
        known.promise = known.promise.max(Some(ballot));
        Ok(Verdict::Released)
    }

    fn begin(&mut self, known: Known) {
        let begun = checksum(&self.record.loss_stamp()).max(1);
        self.record.volatile.begun = begun;
        self.record.disbelieved = None;
        self.record.durable = Some(Durable {
            begun,
            changes: 0,
            known,
        });
    }

    /// What is known; only after [`Voter::may_vote`].
    fn known(&mut self) -> &mut Known {
        &mut self.record.durable.get_or_insert_default().known
    }

    fn may_vote(&self) -> Result<(), Verdict> {
        self.not_silent()?;
        if self.record.durable.is_none() && self.rules.hold(Safety::LostDoesNotVote) {
            return Err(Verdict::Lost);
        }
        Ok(())
    }

    fn not_silent(&self) -> Result<(), Verdict> {
        let silent = self.now < self.record.volatile.silent_until;
        if silent && self.rules.hold(Safety::SilentAfterLoss) {
            return Err(Verdict::Silent);
        }
        Ok(())
    }

    fn not_before_lease_end(&self) -> Result<(), Verdict> {
        match self.now < self.record.volatile.lease_end {
            true => Err(Verdict::Held),
            false => Ok(()),
        }
    }

    /// The proposer goes by a list that is as new as the own, and is a voter of it.
    fn eligible(&mut self, ballot: Ballot, list: &VoterList) -> Result<(), Verdict> {
        let rules = self.rules;
        if list.rank() < self.known().list.rank() && rules.hold(Safety::OlderListRefused) {
            return Err(Verdict::OlderList);
        }
        if !list.votes(ballot.node) {
            return Err(Verdict::NotAVoter);
        }
        Ok(())
    }

    fn not_held(&self, ballot: Ballot) -> Result<(), Verdict> {
        match self.record.running(self.now) {
            Some(running) if running.node != ballot.node => Err(Verdict::Held),
            _ => Ok(()),
        }
    }

    fn not_below_promise(&mut self, ballot: Ballot) -> Result<(), Verdict> {
        match self.known().promise {
            Some(promise) if ballot < promise => Err(Verdict::LowerBallot),
            _ => Ok(()),
        }
    }

    fn plausible(&mut self, ballot: Ballot) -> Result<(), Verdict> {
        let known = self.known().promise.map_or(0, |promise| promise.round);
        let far = ballot.round > known.saturating_add(PLAUSIBLE_JUMP);
        match far && self.rules.hold(Safety::ImplausibleRefused) {
            true => Err(Verdict::Implausible),
            false => Ok(()),
        }
    }
}
