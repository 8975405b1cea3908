//! One turn.

use repmgr_write_right::{Ballot, NodeId};

use super::observation::{Entry, Kept, Observation, Reply, Request, Seen};
use super::state::{Asked, Decision, Held, Phase, State};
use super::{Action, Rule};
use crate::write_right::{Settings, Want};

/// How often a candidate looks whether the holder's key has gone.
const POLL: u64 = 250;

/// Decides one turn.
pub fn step(settings: &Settings, state: &State, observation: &Observation) -> Decision {
    let turn = Turn {
        settings,
        seen: observation,
        now: observation.now,
        next: state.clone(),
        actions: Vec::new(),
    };
    turn.take()
}

struct Turn<'a> {
    settings: &'a Settings,
    seen: &'a Observation,
    now: u64,
    next: State,
    actions: Vec<Action>,
}

impl Turn<'_> {
    fn take(mut self) -> Decision {
        match self.next.phase {
            // These go on to their end, whatever is wanted meanwhile.
            Phase::Stopping(ending) => return self.stopping(ending),
            Phase::Releasing { ending, asked } => return self.releasing(ending, asked),
            _ => {}
        }
        if let Some(held) = self.next.held
            && self.seen.want == Want::Release
        {
            self.next.held = None;
            let ballot = held.ballot;
            self.actions.push(Action::SetLocalEndToZero { ballot });
            return self.stopping(held);
        }
        if matches!(self.seen.want, Want::Nothing | Want::Release) {
            return self.give_up();
        }
        if let Some(held) = self.next.held
            && held.until <= self.now
        {
            let over = self.now - held.until;
            let reason = format!(
                "the end of epoch {} passed {over} ms ago without a renewal",
                held.kept.epoch
            );
            return self.lapse(held, Rule::Lapsed, reason);
        }
        match self.next.phase {
            Phase::Idle => self.begin(),
            Phase::BackingOff { until, .. } if until <= self.now => self.begin(),
            Phase::BackingOff { until, rule } => {
                let reason = format!("{} ms are left after: {}", until - self.now, rule.name());
                self.decide(Rule::BackingOff, reason, until)
            }
            Phase::Looking(asked) => self.looking(asked),
            Phase::Taking { asked, kept, previous } => self.taking(asked, kept, previous),
            Phase::Holding { renewal, next } => self.holding(renewal, next),
            Phase::Stopping(_) | Phase::Releasing { .. } => unreachable!("answered above"),
        }
    }

    fn decide(mut self, rule: Rule, reason: impl Into<String>, wake_at: u64) -> Decision {
        self.extend_local_end();
        // What is held must not end unnoticed.
        let end = self.next.held.map_or(u64::MAX, |held| held.until);
        Decision {
            rule,
            reason: reason.into(),
            actions: self.actions,
            next: self.next,
            wake_at: wake_at.min(end).max(self.now),
        }
    }

    fn back_off(mut self, rule: Rule, reason: String, until: u64) -> Decision {
        self.next.phase = Phase::BackingOff { until, rule };
        self.decide(rule, reason, until)
    }

    fn random_while(&self) -> u64 {
        self.now + self.settings.back_off(self.seen.random)
    }

    fn ask(&mut self, request: Request) -> Asked {
        self.next.attempt += 1;
        let attempt = self.next.attempt;
        let deadline = self.now + self.settings.patience();
        self.actions.push(Action::Ask {
            attempt,
            request,
            deadline,
        });
        Asked {
            attempt,
            since: self.now,
            until: self.now + self.settings.worth(),
        }
    }

    /// The end of a question: `None` while there is none yet.
    fn reply(&self, asked: Asked) -> Option<Result<Reply, String>> {
        if self.now >= asked.since + self.settings.patience() {
            return Some(Err("no answer in time".to_owned()));
        }
        let found = self
            .seen
            .answers
            .iter()
            .find(|answered| answered.attempt == asked.attempt);
        found.map(|answered| answered.reply.clone())
    }

    fn awaited(mut self, phase: Phase, asked: Asked) -> Decision {
        self.next.phase = phase;
        let limit = asked.since + self.settings.patience();
        let reason = format!("etcd was asked {} ms ago", self.now - asked.since);
        self.decide(Rule::Awaited, reason, limit)
    }

    /// Tells the own server its end, if it does not know it.
    fn extend_local_end(&mut self) {
        let (Some(held), Some(server)) = (self.next.held, self.seen.server.start) else {
            return;
        };
        let Held { ballot, until, .. } = held;
        let forgotten = self.seen.server.end.is_some_and(|end| end < until);
        if until > self.now && (forgotten || self.next.extended != Some((server, until))) {
            self.next.extended = Some((server, until));
            self.actions.push(Action::ExtendLocalEnd { ballot, until, server });
        }
    }

    fn begin(mut self) -> Decision {
        if !self.seen.server.enforcing && self.next.held.is_none() {
            self.next.phase = Phase::Idle;
            let reason = "it is not proven that the own server enforces the right";
            let wake_at = self.now + self.settings.length;
            return self.decide(Rule::NotEnforcing, reason, wake_at);
        }
        let asked = self.ask(Request::Look);
        self.next.phase = Phase::Looking(asked);
        let wake_at = self.now + self.settings.patience();
        self.decide(Rule::Looking, "etcd is asked who has the right", wake_at)
    }

    fn silent(self, why: &str) -> Decision {
        let until = self.random_while();
        self.back_off(Rule::Silent, format!("no answer of etcd: {why}"), until)
    }

    fn looking(self, asked: Asked) -> Decision {
        match self.reply(asked) {
            None => self.awaited(Phase::Looking(asked), asked),
            Some(Ok(Reply::Keys(keys))) => self.consider(keys),
            Some(Ok(Reply::Done { .. })) => self.silent("it made a change that was not asked for"),
            Some(Err(why)) => self.silent(&why),
        }
    }

    /// Takes the right, if nobody else has it.
    fn consider(mut self, keys: Seen) -> Decision {
        let own = self.next.own;
        let other = |entry: &Entry| entry.kept.node != own;
        for entry in [keys.holder, keys.last].into_iter().flatten() {
            self.next.epoch = self.next.epoch.max(entry.kept.epoch);
        }
        // What this process holds until its end, nobody else can have had since.
        let goes_on = self.next.held;
        if let Some(held) = goes_on
            && let Some(entry) = [keys.last, keys.holder]
                .into_iter()
                .flatten()
                .find(|entry| entry.kept != held.kept)
        {
            let reason = format!("node {} has it, in epoch {}", entry.kept.node, entry.kept.epoch);
            return self.lapse(held, Rule::Lost, reason);
        }
        if let Some(last) = keys.last.filter(other)
            && self.seen.want == Want::Keep
            && self.seen.dismissed != Some(last.ballot())
        {
            let Kept { node, epoch, .. } = last.kept;
            let reason = format!("node {node} had the right last, in epoch {epoch}");
            let until = self.now + self.settings.length;
            return self.back_off(Rule::Overtaken, reason, until);
        }
        if let (Some(last), Some(expected), Want::Take) =
            (keys.last.filter(other), self.seen.in_place_of, self.seen.want)
            && last.kept.node != expected
        {
            let node = last.kept.node;
            let reason =
                format!("node {node} had the right last, and not node {expected}, in whose place it is wanted");
            let until = self.now + self.settings.length;
            return self.back_off(Rule::OtherHolder, reason, until);
        }
        if let Some(holder) = keys.holder.filter(other) {
            let reason = format!(
                "node {} has the right, in epoch {}",
                holder.kept.node, holder.kept.epoch
            );
            let until = self.now + POLL.min(self.settings.length / 10) + self.seen.random % 50;
            return self.back_off(Rule::HeldByOther, reason, until);
        }
        let kept = goes_on.map_or(
            Kept {
                node: own,
                incarnation: self.next.incarnation,
                epoch: self.next.epoch + 1,
            },
            |held| held.kept,
        );
        let revision = |entry: Option<Entry>| entry.map_or(0, |entry| entry.revision);
        let asked = self.ask(Request::Take {
            kept,
            holder: revision(keys.holder),
            last: Some(revision(keys.last)),
            seconds: self.settings.length.div_ceil(1000),
        });
        let previous = keys.last.map(|last| last.kept.node);
        self.next.phase = Phase::Taking { asked, kept, previous };
        let reason = format!("etcd is asked for the right in epoch {}", kept.epoch);
        let wake_at = self.now + self.settings.patience();
        self.decide(Rule::Taking, reason, wake_at)
    }

    fn taking(mut self, asked: Asked, kept: Kept, previous: Option<NodeId>) -> Decision {
        let revision = match self.reply(asked) {
            None => return self.awaited(Phase::Taking { asked, kept, previous }, asked),
            Some(Ok(Reply::Done { revision })) => revision,
            // Somebody was faster, or an earlier question of our own was.
            Some(Ok(Reply::Keys(keys))) => return self.consider(keys),
            Some(Err(why)) => return self.silent(&why),
        };
        let before = self.next.held;
        let goes_on = before.is_some_and(|held| held.kept == kept);
        if asked.until <= self.now {
            return self.silent("the right that it granted has ended already");
        }
        let ballot = match before.filter(|_| goes_on) {
            Some(held) => held.ballot,
            None => {
                self.next.round = self.next.round.max(self.seen.over_round) + 1;
                Ballot {
                    round: self.next.round,
                    node: self.next.own,
                    incarnation: self.next.incarnation,
                }
            }
        };
        let until = before.map_or(asked.until, |held| held.until.max(asked.until));
        self.next.epoch = self.next.epoch.max(kept.epoch);
        self.next.held = Some(Held {
            kept,
            revision,
            ballot,
            until,
        });
        if !goes_on {
            let epoch = kept.epoch;
            self.actions.push(Action::Acquired { epoch, previous });
        }
        let next = asked.since + self.settings.renewal();
        self.next.phase = Phase::Holding { renewal: None, next };
        let left = until - self.now;
        let reason = format!(
            "etcd granted the right: it is held in epoch {} for {left} ms",
            kept.epoch
        );
        let rule = if goes_on { Rule::AcquiredAnew } else { Rule::Acquired };
        self.decide(rule, reason, next)
    }

    fn holding(mut self, renewal: Option<Asked>, next: u64) -> Decision {
        let Some(mut held) = self.next.held else {
            return self.begin();
        };
        let Some(asked) = renewal else {
            if self.now >= next {
                return self.renew(held, Rule::Renewing, None);
            }
            let reason = format!(
                "the right is held in epoch {} for {} ms",
                held.kept.epoch,
                held.until - self.now
            );
            return self.decide(Rule::Held, reason, next);
        };
        match self.reply(asked) {
            None => self.awaited(Phase::Holding { renewal, next }, asked),
            Some(Ok(Reply::Done { revision })) => {
                held.revision = revision;
                held.until = held.until.max(asked.until);
                self.next.held = Some(held);
                let next = asked.since + self.settings.renewal();
                self.next.phase = Phase::Holding { renewal: None, next };
                let left = held.until.saturating_sub(self.now);
                let reason = format!("the right is held in epoch {} for {left} ms", held.kept.epoch);
                self.decide(Rule::Renewed, reason, next)
            }
            // An earlier renewal was taken in, and its answer was lost.
            Some(Ok(Reply::Keys(Seen {
                holder: Some(entry), ..
            }))) if entry.kept == held.kept => {
                held.revision = entry.revision;
                let why = format!("etcd has an earlier renewal, at revision {}", entry.revision);
                self.renew(held, Rule::Renewing, Some(why))
            }
            Some(Ok(Reply::Keys(keys))) => self.consider(keys),
            Some(Err(why)) => {
                let why = format!("no answer of etcd: {why}");
                self.renew(held, Rule::RenewalSilent, Some(why))
            }
        }
    }

    /// Asks for a renewal; soon again, if etcd has not been asked for long.
    fn renew(mut self, held: Held, rule: Rule, why: Option<String>) -> Decision {
        self.next.held = Some(held);
        let Kept { epoch, .. } = held.kept;
        let left = held.until - self.now;
        let reason = why.unwrap_or_else(|| format!("the right is held in epoch {epoch} for {left} ms"));
        if rule == Rule::RenewalSilent {
            let next = self.now + self.settings.length / 20;
            self.next.phase = Phase::Holding { renewal: None, next };
            return self.decide(rule, reason, next);
        }
        let asked = self.ask(Request::Take {
            kept: held.kept,
            holder: held.revision,
            last: None,
            seconds: self.settings.length.div_ceil(1000),
        });
        let next = self.now + self.settings.renewal();
        self.next.phase = Phase::Holding {
            renewal: Some(asked),
            next,
        };
        let wake_at = self.now + self.settings.patience();
        self.decide(rule, reason, wake_at)
    }

    fn lapse(mut self, held: Held, rule: Rule, reason: String) -> Decision {
        let Held { ballot, kept, .. } = held;
        self.next.held = None;
        self.actions.push(Action::SetLocalEndToZero { ballot });
        self.actions.push(Action::Lapsed { epoch: kept.epoch });
        let until = self.random_while();
        self.back_off(rule, reason, until)
    }

    fn give_up(mut self) -> Decision {
        self.next.phase = Phase::Idle;
        let wake_at = self.now + self.settings.length;
        let Some(Held { ballot, kept, .. }) = self.next.held.take() else {
            return self.decide(Rule::NotWanted, "the right is not wanted here", wake_at);
        };
        let epoch = kept.epoch;
        self.actions.push(Action::SetLocalEndToZero { ballot });
        self.actions.push(Action::Lapsed { epoch });
        let reason = format!("the right of epoch {epoch} is not wanted any more, and left to end");
        self.decide(Rule::GivenUp, reason, wake_at)
    }

    /// Waits until nobody is left who could acknowledge a write.
    fn stopping(mut self, ending: Held) -> Decision {
        let epoch = ending.kept.epoch;
        if ending.until <= self.now {
            return self.ended(ending);
        }
        if self.seen.server.nobody_attached {
            return self.release(ending);
        }
        if self.seen.server.end.is_some_and(|end| end > 0) && self.actions.is_empty() {
            let ballot = ending.ballot;
            self.actions.push(Action::SetLocalEndToZero { ballot });
        }
        self.next.phase = Phase::Stopping(ending);
        let reason = format!("the right of epoch {epoch} is given back when no process of the own server is left");
        let wake_at = ending.until.min(self.now + self.settings.renewal());
        self.decide(Rule::Stopping, reason, wake_at)
    }

    fn release(mut self, ending: Held) -> Decision {
        let asked = self.ask(Request::Drop {
            holder: ending.revision,
        });
        self.next.phase = Phase::Releasing { ending, asked };
        let reason = format!("etcd is told that epoch {} has ended", ending.kept.epoch);
        let wake_at = ending.until.min(self.now + self.settings.patience());
        self.decide(Rule::Releasing, reason, wake_at)
    }

    fn releasing(mut self, mut ending: Held, asked: Asked) -> Decision {
        if ending.until <= self.now {
            return self.ended(ending);
        }
        match self.reply(asked) {
            None => self.awaited(Phase::Releasing { ending, asked }, asked),
            // A renewal whose answer nobody waited for was taken in.
            Some(Ok(Reply::Keys(Seen {
                holder: Some(entry), ..
            }))) if entry.kept == ending.kept => {
                ending.revision = entry.revision;
                self.release(ending)
            }
            Some(Ok(_)) => {
                let epoch = ending.kept.epoch;
                self.actions.push(Action::Released { epoch });
                self.next.phase = Phase::Idle;
                let wake_at = self.now + self.settings.length;
                self.decide(
                    Rule::Released,
                    format!("etcd knows that epoch {epoch} has ended"),
                    wake_at,
                )
            }
            Some(Err(why)) => {
                self.next.phase = Phase::Stopping(ending);
                let wake_at = self.now + self.settings.length / 20;
                self.decide(Rule::Releasing, format!("no answer of etcd: {why}"), wake_at)
            }
        }
    }

    fn ended(mut self, ending: Held) -> Decision {
        let epoch = ending.kept.epoch;
        self.next.phase = Phase::Idle;
        self.actions.push(Action::Released { epoch });
        let wake_at = self.now + self.settings.length;
        let reason = format!("the right of epoch {epoch} has ended by itself before etcd was told");
        self.decide(Rule::EndedBeforeRelease, reason, wake_at)
    }
}
