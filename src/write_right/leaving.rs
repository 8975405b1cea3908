//! Giving the right back before its end.

use std::collections::BTreeSet;

use repmgr_write_right::{Request, Safety, Verdict};

use super::action::Action;
use super::rules::Rule;
use super::state::{Decision, Ending, Held, Phase};
use super::turn::{Turn, listed};

impl Turn<'_> {
    /// Begins to give it back: from here on nothing is renewed, and the own end is never extended again.
    pub fn stop(mut self) -> Decision {
        let Some(Held {
            ballot, epoch, until, ..
        }) = self.next.held.take()
        else {
            return self.give_up();
        };
        // A new ballot of the same holder may have been accepted somewhere, too.
        let ballot = match &self.next.phase {
            Phase::Accepting(doing) => ballot.max(doing.proposal.ballot),
            _ => ballot,
        };
        self.act(Action::SetLocalEndToZero { ballot });
        self.stopping(Ending { ballot, epoch, until }, true)
    }

    /// Waits until nobody is left who could acknowledge a write.
    pub fn stopping(mut self, ending: Ending, told: bool) -> Decision {
        let Ending { ballot, epoch, until } = ending;
        if until <= self.now {
            return self.ended(&ending);
        }
        if self.seen.server.nobody_attached || !self.rules.hold(Safety::ZeroBeforeRelease) {
            return self.release(ending);
        }
        if !told && self.seen.server.end.is_some_and(|end| end > 0) {
            self.act(Action::SetLocalEndToZero { ballot });
        }
        self.next.phase = Phase::Stopping(ending);
        let reason = format!("the right of epoch {epoch} is given back when no process of the own server is left");
        let wake_at = until.min(self.now + self.settings.renewal());
        self.decide(Rule::Stopping, reason, wake_at)
    }

    fn release(mut self, ending: Ending) -> Decision {
        let voters = self.next.list.everybody();
        let reason = format!(
            "nodes {} are told that ballot {} has ended",
            listed(&voters),
            ending.ballot
        );
        let limit = self.settings.patience();
        let attempt = self.ask(voters, Request::Release { ballot: ending.ballot }, limit);
        self.next.phase = Phase::Releasing {
            ending,
            attempt,
            since: self.now,
            released: BTreeSet::new(),
        };
        let wake_at = self.now + limit;
        self.decide(Rule::Releasing, reason, wake_at)
    }

    /// Counts who knows.
    pub fn releasing(mut self, ending: Ending, attempt: u64, since: u64, mut released: BTreeSet<i32>) -> Decision {
        for answered in self.answers(attempt) {
            if answered.answer.as_ref().map(|answer| answer.verdict) == Some(Verdict::Released) {
                released.insert(answered.voter);
            }
        }
        let (epoch, wake_at) = (ending.epoch, self.now + self.settings.length);
        if self.next.list.is_quorum(|node| released.contains(&node)) {
            self.act(Action::Released { epoch });
            self.next.phase = Phase::Idle;
            let reason = format!("{} know that epoch {epoch} has ended", listed(&released));
            return self.decide(Rule::Released, reason, wake_at);
        }
        if ending.until <= self.now {
            return self.ended(&ending);
        }
        let limit = since + self.settings.patience();
        if limit <= self.now {
            return self.release(ending);
        }
        let reason = format!("{} know so far that epoch {epoch} has ended", listed(&released));
        self.next.phase = Phase::Releasing {
            ending,
            attempt,
            since,
            released,
        };
        self.decide(Rule::Releasing, reason, limit.min(ending.until))
    }

    fn ended(mut self, ending: &Ending) -> Decision {
        let epoch = ending.epoch;
        self.next.phase = Phase::Idle;
        self.act(Action::Released { epoch });
        let wake_at = self.now + self.settings.length;
        let reason = format!("the lease of epoch {epoch} has ended by itself before enough voters were told");
        self.decide(Rule::EndedBeforeRelease, reason, wake_at)
    }
}
