//! Elections: from the stop of the WAL receivers to the result, and waiting for another node's word.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::types::{NodeId, NodeType};

use super::action::{Action, Where};
use super::election::{Ballot, Outcome, Tally, elect};
use super::observation::{Answer, CommandEnd, Finished, Notification, Verdict, describe, verdict};
use super::rules::Rule;
use super::state::{Cause, Decision, Follow, FollowStep, Overtaking, Phase, Promotion, Resume};
use super::turn::Turn;

impl Turn<'_> {
    pub(super) fn stopping_receivers(mut self, own_done: bool, until: Duration) -> Decision {
        if self.upstream_is_up() {
            return self.upstream_back();
        }
        let result = self.result(|finished| match finished {
            Finished::WalReceiverStopped(stopped) => Some(*stopped),
            _ => None,
        });
        if !own_done {
            if result.is_none() && self.now < until {
                return self.decide_polling(Rule::ReceiversStopping, "the own WAL receiver is being stopped");
            }
            let until = self.now + self.settings.siblings_disconnect_timeout;
            self.enter(Phase::StoppingReceivers { own_done: true, until });
            return self.decide_at_once(Rule::ReceiversStopping, "the siblings' WAL receivers are looked at");
        }
        let running: Vec<String> = self
            .seen
            .others
            .iter()
            .filter(|seen| seen.wal_receiver == Answer::Yes)
            .map(|seen| seen.node.to_string())
            .collect();
        if running.is_empty() || self.now >= until {
            let reason = if running.is_empty() {
                "no sibling has a WAL receiver running".to_owned()
            } else {
                format!("the WAL receivers of node {} did not stop in time", running.join(", "))
            };
            return self.begin_election(reason);
        }
        let reason = format!("waiting for the WAL receivers of node {} to stop", running.join(", "));
        self.decide_polling(Rule::ReceiversStopping, reason)
    }

    pub(super) fn electing(mut self, not_before: Duration) -> Decision {
        if let Some(worked) = self.result(|finished| match finished {
            Finished::ReplayResumed(worked) => Some(*worked),
            _ => None,
        }) {
            self.next.resume = if worked { Resume::Done } else { Resume::Failed };
        }
        if self.upstream_is_up() {
            return self.upstream_back();
        }
        if self.seen.stood_still {
            let reason = "this daemon stood still while it looked, and looks again";
            return self.decide_at_once(Rule::ElectionDelayed, reason);
        }
        if self.now < not_before {
            let wait = (not_before - self.now).min(self.settings.polling());
            return self.decide(Rule::ElectionDelayed, "failover_delay has not passed", wait);
        }
        let title = self.upstream_title();
        let fresh = self
            .next
            .attempts
            .last()
            .filter(|_| self.next.upstream_is_fresh(self.now));
        let Some(probe) = fresh.map(|last| last.answer) else {
            return self.decide_polling(Rule::ElectionDelayed, format!("{title} is probed once more"));
        };
        let rerun = self.settings.rerun_interval;
        match verdict(&probe) {
            // A node that has seen it since would have said so; this one must not go by what it saw before.
            Verdict::Up => return self.decide_polling(Rule::ElectionDelayed, format!("{title} was up a moment ago")),
            Verdict::Down => {}
            Verdict::RefusesUs => {
                self.become_degraded(Cause::RefusesUs, rerun);
                return self.decide_paced(Rule::UpstreamRefuses, format!("{title} {}", describe(&probe)));
            }
            Verdict::Unknown => {
                self.become_degraded(Cause::Unknown, rerun);
                return self.decide_paced(Rule::UpstreamUnknown, format!("{title} {}", describe(&probe)));
            }
        }
        // This turn began when it was not time to vote yet.
        let siblings = self.next.upstream.map(|upstream| self.next.siblings(upstream));
        if self.seen.others.is_empty() && siblings.is_some_and(|siblings| !siblings.is_empty()) {
            return self.decide_at_once(Rule::ElectionDelayed, "the siblings are asked");
        }
        match self.notified() {
            Ok(turn) => turn.vote(),
            Err(decision) => *decision,
        }
    }

    fn vote(mut self) -> Decision {
        let rerun = self.settings.rerun_interval;
        if self.settings.automatic
            && let Some((rule, cause, reason)) = self.unfit()
        {
            self.become_degraded(cause, rerun);
            return self.decide_paced(rule, reason);
        }
        let records = self
            .own()
            .cloned()
            .zip(self.next.upstream.and_then(|id| self.next.node(id).cloned()));
        let Some((own, upstream)) = records else {
            self.become_degraded(Cause::NoUpstream, rerun);
            return self.decide_paced(
                Rule::ElectionCancelled,
                "the record of this node or of the lost primary is missing",
            );
        };
        if let Some(successor) = self.next.successor {
            let reason = format!(
                "{} became the primary since then and cannot be followed",
                self.next.title(successor)
            );
            self.become_degraded(Cause::FollowFailed, rerun);
            return self.decide_paced(Rule::SuccessorKnown, reason);
        }
        let lost_for = self.next.lost_at.map(|lost| self.now.saturating_sub(lost));
        let judge = |turn: &Self| {
            elect(&Ballot {
                settings: turn.settings,
                own: &own,
                upstream: &upstream,
                nodes: &turn.next.nodes,
                local: &turn.seen.local,
                survey: &turn.seen.others,
                passed_over: &turn.next.passed_over,
                resume: turn.next.resume,
                lost_for,
            })
        };
        let mut result = judge(&self);
        while let Outcome::Lost(Some(winner)) = result.outcome
            && self.has_had_its_time(winner)
        {
            self.next.passed_over.insert(winner);
            self.next.waited_for = None;
            result = judge(&self);
        }
        let instead_of = result.instead_of;
        let reason = result.reason;
        match result.outcome {
            Outcome::Won(tally) => self.election_won(tally, instead_of, reason),
            Outcome::Lost(winner) => self.election_lost(winner, reason),
            Outcome::NotCandidate => {
                self.await_word(None);
                self.decide_polling(Rule::NoCandidate, reason)
            }
            Outcome::Cancelled => {
                // What keeps this node from a decision may have kept the elected one from acting.
                self.next.waited_for = None;
                self.act(Action::ResetVotingStatus);
                self.become_degraded(Cause::Cancelled, rerun);
                self.decide_paced(Rule::ElectionCancelled, reason)
            }
            Outcome::PrimaryFound(primary) => {
                self.start_follow(primary);
                self.decide_polling(Rule::PrimaryFound, reason)
            }
            Outcome::ResumeReplay => {
                if self.next.resume == Resume::NotAsked {
                    self.next.resume = Resume::Asked;
                    self.act(Action::ResumeReplay);
                    let not_before = self.now;
                    self.enter(Phase::Electing { not_before });
                } else if let Phase::Electing { not_before } = self.phase()
                    && self.now.saturating_sub(not_before) > self.settings.notification_timeout
                {
                    self.next.resume = Resume::Failed;
                }
                self.decide_polling(Rule::ReplayResuming, reason)
            }
        }
    }

    fn phase(&self) -> Phase {
        match &self.next.mode {
            super::state::Mode::Standby(phase) | super::state::Mode::Witness(phase) => phase.clone(),
            _ => Phase::Normal,
        }
    }

    /// Whether a node has been the elected one for longer than a promotion may take. Originals go on naming it,
    /// but wait for a notification from whoever it comes.
    fn has_had_its_time(&self, winner: NodeId) -> bool {
        self.next.waited_for.is_some_and(|(node, since)| {
            node == winner && self.now.saturating_sub(since) >= self.settings.promote_timeout
        })
    }

    /// Won, but others may be deciding otherwise at this moment: those who did not yet see that this node can be
    /// elected, and every better node that seems unable to act: each of them may at this moment do the same to one
    /// that is better still. Holding back once lets their promotion show.
    fn hold_back(&mut self, instead_of: BTreeSet<NodeId>) -> Option<(Rule, Duration)> {
        let settle = self.settings.settle;
        if !instead_of.is_empty() {
            if let Some(overtaking) = &self.next.overtaking
                && instead_of.is_subset(&overtaking.nodes)
            {
                // Whoever does not know yet may be winning at this moment. A word that never arrives must not
                // keep a cluster without a primary.
                let pause = if overtaking.untold.is_empty() {
                    settle
                } else {
                    self.settings.promote_timeout
                };
                let at = overtaking.since + pause;
                return (self.now < at).then(|| (Rule::OvertakingAnnounced, at.min(self.now + settle)));
            }
            // Told to vote again, an original does not hold back: it may win at that very moment.
            let is_original = |node: &NodeId| {
                let seen = self.seen.of(*node);
                seen.is_some_and(|seen| seen.daemon_is_original == Answer::Yes)
            };
            let holding = Vec::from_iter(instead_of.iter().copied().filter(|node| !is_original(node)));
            self.next.overtaking = Some(Overtaking {
                nodes: instead_of,
                untold: holding.clone(),
                holding,
                since: self.now,
                told: self.now,
            });
            self.tell_to_hold_back();
            return Some((Rule::OvertakingAnnounced, self.now + settle));
        }
        self.next.overtaking = None;
        self.stand_again();
        let since = self.next.electable_since.unwrap_or(self.now);
        let at = since + settle;
        (self.now < at && !self.all_vote_since(since)).then_some((Rule::NewlyElectable, at))
    }

    /// Whether every sibling that may be elected saw the lost upstream after a moment, so that its election began later.
    fn all_vote_since(&self, moment: Duration) -> bool {
        // The server tells it in whole seconds.
        let rounded = Duration::from_secs(1);
        let upstream = self.next.upstream;
        let mut siblings = self.next.nodes.iter().filter(|node| {
            node.active && node.id != self.next.own && node.upstream == upstream && node.node_type != NodeType::Witness
        });
        siblings.all(|node| {
            let seen = self.seen.of(node.id).filter(|seen| seen.upstream == upstream);
            let age = seen.and_then(|seen| seen.upstream_last_seen);
            age.and_then(|age| self.now.checked_sub(age + rounded))
                .is_some_and(|at| at >= moment)
        })
    }

    /// The time to hold back begins when the last of those that are told has heard it.
    pub(super) fn watch_untold(&mut self) {
        let Some(overtaking) = &mut self.next.overtaking else {
            return;
        };
        for finished in &self.seen.finished {
            if let Finished::Told(nodes) = finished
                && !overtaking.untold.is_empty()
            {
                overtaking.untold.retain(|node| !nodes.contains(node));
                overtaking.since = if overtaking.untold.is_empty() {
                    self.now
                } else {
                    overtaking.since
                };
            }
        }
    }

    /// Those in whose place this node is about to be promoted hold back for a while only. Delays, the validation and the
    /// promotion may take longer, so they are told again until it is done.
    pub(super) fn renew_overtaking(&mut self, phase: &Phase) {
        let settle = self.settings.settle;
        let now = self.now;
        let on_its_way = matches!(
            phase,
            Phase::Electing { .. } | Phase::Validating { .. } | Phase::Promoting(_)
        );
        if let Some(overtaking) = &mut self.next.overtaking
            && on_its_way
            && now.saturating_sub(overtaking.told) >= settle
        {
            overtaking.told = now;
            self.tell_to_hold_back();
        }
    }

    fn tell_to_hold_back(&mut self) {
        let holding = self.next.overtaking.as_ref().map(|overtaking| &overtaking.holding);
        if let Some(nodes) = holding.filter(|nodes| !nodes.is_empty()).cloned() {
            self.act(Action::Notify {
                nodes,
                value: Notification::RerunElection,
            });
        }
    }

    fn election_won(mut self, tally: Tally, instead_of: BTreeSet<NodeId>, reason: String) -> Decision {
        // Before a better node is told to hold back for this one.
        if self.own().is_some_and(|own| own.upstream.is_none()) && !self.settings.always_promote {
            self.become_degraded(Cause::PromotionFailed, self.settings.rerun_interval);
            return self.decide_paced(Rule::UpstreamUnrecorded, reason);
        }
        if tally.shared > 1
            && let Some((rule, at)) = self.hold_back(instead_of)
        {
            self.enter(Phase::VotingAgain { at });
            let why = match rule {
                Rule::NewlyElectable => "others may not count with this node yet",
                _ => "every better node was told to hold back",
            };
            let pause = at.saturating_sub(self.now).as_secs_f64();
            return self.decide_polling(rule, format!("{reason}; {why}: voting again in {pause:.1} s"));
        }
        if self.settings.validate {
            self.release_receiver();
            let until = self.now + self.settings.command_timeout;
            self.enter(Phase::Validating { tally, until });
            self.act(Action::RunValidation {
                candidate: self.next.own,
                visible: tally.visible,
                shared: tally.shared,
                total: tally.total,
            });
        } else {
            self.start_promotion();
        }
        self.decide_polling(Rule::ElectionWon, reason)
    }

    fn election_lost(mut self, winner: Option<NodeId>, reason: String) -> Decision {
        match (winner, self.next.waited_for) {
            (Some(winner), Some((known, _))) if winner == known => {}
            (Some(winner), _) => self.next.waited_for = Some((winner, self.now)),
            (None, _) => {}
        }
        // Who was told to hold back does so only for a while.
        self.next.overtaking = None;
        self.await_word(winner);
        self.decide_polling(Rule::ElectionLost, reason)
    }

    /// The WAL receiver stays stopped for a while: the winner may still be looking whether it is.
    fn await_word(&mut self, winner: Option<NodeId>) {
        let until = self.now + self.settings.notification_timeout;
        self.enter(Phase::Waiting { winner, until });
    }

    pub(super) fn validating(mut self, tally: Tally, until: Duration) -> Decision {
        if self.upstream_is_up() {
            return self.upstream_back();
        }
        if self.may_act()
            && let Some(primary) = self.followable_primary()
        {
            let reason = format!("{} is a primary by now", self.next.title(primary));
            self.start_follow(primary);
            return self.decide_polling(Rule::PrimaryFound, reason);
        }
        let end = self.result(|finished| match finished {
            Finished::Validation(end) => Some(end.clone()),
            _ => None,
        });
        let end = match end {
            Some(end) => end,
            None if self.now < until => {
                return self.decide_polling(Rule::ValidationPending, format!("the validation command runs; {tally}"));
            }
            None => CommandEnd::TimedOut,
        };
        let reason = format!("the validation command {end}; {tally}");
        if let Some((rule, cause, reason)) = self.unfit() {
            self.become_degraded(cause, self.settings.rerun_interval);
            return self.decide_paced(rule, reason);
        }
        if end.succeeded() && self.seen.stood_still {
            return self.begin_election(format!("{reason}; this daemon stood still meanwhile"));
        }
        if end.succeeded() {
            self.start_promotion();
            return self.decide_polling(Rule::ValidationPassed, reason);
        }
        self.notify_siblings(Notification::RerunElection);
        let at = self.now + self.settings.rerun_interval;
        self.enter(Phase::VotingAgain { at });
        self.decide_polling(Rule::ValidationRejected, reason)
    }

    /// Tells all active siblings at the lost upstream.
    pub(super) fn notify_siblings(&mut self, value: Notification) {
        let nodes = self
            .next
            .upstream
            .map(|upstream| self.next.siblings(upstream))
            .unwrap_or_default();
        if !nodes.is_empty() {
            self.act(Action::Notify { nodes, value });
        }
    }

    pub(super) fn voting_again(self, at: Duration) -> Decision {
        if self.upstream_is_up() {
            return self.upstream_back();
        }
        let turn = match self.notified() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        if turn.now < at {
            let left = (at - turn.now).as_secs_f64();
            return turn.decide_polling(
                Rule::VoteAgainPending,
                format!("the next election begins in {left:.1} s"),
            );
        }
        turn.begin_election("election_rerun_interval has passed".to_owned())
    }

    pub(super) fn waiting(mut self, winner: Option<NodeId>, until: Duration) -> Decision {
        let whom = winner.map_or_else(|| "a new primary".to_owned(), |winner| self.next.title(winner));
        match self.seen.local.notification {
            Some(Notification::Follow(id)) if Some(id) == self.next.upstream => {
                self.act(Action::ResetVotingStatus);
                self.release_receiver();
                self.enter(Phase::Entering {
                    search: false,
                    until: self.now,
                });
                let reason = format!("told to stay with {}", self.next.title(id));
                return self.decide_at_once(Rule::ToldToStay, reason);
            }
            Some(Notification::Follow(id)) if id == self.next.own && self.may_be_promoted() => {
                self.act(Action::ResetVotingStatus);
                self.start_promotion();
                return self.decide_polling(Rule::ToldToPromote, "told the own id");
            }
            Some(Notification::RerunElection) if self.is_witness() => {
                self.act(Action::ResetVotingStatus);
                let until = self.now + self.settings.notification_timeout;
                self.enter(Phase::Waiting { winner, until });
                return self.decide_polling(Rule::WordAwaited, "the others vote again");
            }
            _ => {}
        }
        let mut turn = match self.notified() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        if turn.now < until {
            let left = (until - turn.now).as_secs_f64();
            if turn.now + turn.settings.notification_timeout >= until + turn.settings.settle {
                turn.release_receiver();
            }
            return turn.decide_polling(
                Rule::WordAwaited,
                format!("waiting for the word of {whom}, {left:.0} s left"),
            );
        }
        if turn.upstream_is_up() {
            return turn.upstream_back();
        }
        let cause = match winner {
            _ if !turn.settings.automatic && !turn.is_witness() => Cause::Manual,
            Some(_) => Cause::NoWord,
            None => Cause::NoWinner,
        };
        turn.become_degraded(cause, Duration::ZERO);
        let limit = turn.settings.notification_timeout.as_secs();
        turn.decide_paced(Rule::WaitedInVain, format!("no word of {whom} within {limit} s"))
    }

    /// Whether this node may be promoted at all.
    fn may_be_promoted(&self) -> bool {
        !self.is_witness() && self.may_act() && self.own().is_some_and(|own| own.priority > 0)
    }

    pub(super) fn start_promotion(&mut self) {
        if self.settings.promote_delay.is_zero() {
            self.promote_or_acquire();
        } else {
            let until = self.now + self.settings.promote_delay;
            self.enter(Phase::Promoting(Promotion::Delayed { until }));
        }
    }

    /// Begins to follow a node that has shown that it is a primary. A WAL receiver that was stopped starts again with the
    /// new primary, not before: the old one may be back, and would feed it what the new one does not have.
    pub(super) fn start_follow(&mut self, target: NodeId) {
        self.next.successor = Some(target);
        let until = self.now + self.settings.command_timeout;
        self.enter(Phase::Following(Follow {
            target,
            cascaded: self.next.upstream_is_standby(),
            step: FollowStep::Running { until },
        }));
        if self.is_witness() {
            self.act(Action::AdoptPrimary(target));
        } else {
            self.act(Action::RunFollowCommand(target));
        }
    }

    /// Where an event about a node that was reached goes.
    pub(super) fn on(node: Option<NodeId>) -> Where {
        node.map_or(Where::Nowhere, Where::On)
    }
}
