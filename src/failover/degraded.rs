//! Degraded monitoring: every turn looks for a way out.

use std::time::Duration;

use crate::exit_code::ExitCode;
use crate::types::RecoveryState;

use super::observation::{Answer, Notification, Right, Verdict, verdict};
use super::rules::Rule;
use super::state::{Cause, Decision, Phase};
use super::turn::Turn;

impl Turn<'_> {
    pub(super) fn degraded(mut self, cause: Cause, again: Duration) -> Decision {
        if let Some(lasted) = self.degraded_too_long() {
            let reason = format!("degraded for {} s: {}", lasted.as_secs(), cause.sentence());
            return self.exit(Rule::DegradedTooLong, reason, ExitCode::MonitoringTimeout, true);
        }
        if cause == Cause::UpstreamNotThere && self.next.last_up.is_none() && !self.is_witness() {
            if self.votes_unseen() {
                self.stand_again();
            } else {
                self.stand_aside();
            }
        }
        if self.upstream_is_up() && !(cause == Cause::NoUpstream && self.upstream_was_demoted()) {
            return self.upstream_back();
        }
        if let Some(upstream) = self.moved_record() {
            return self.record_moved(upstream);
        }
        if let Some(Notification::RerunElection) = self.seen.local.notification
            && self.votes_again(cause)
        {
            self.act(super::action::Action::ResetVotingStatus);
            let again = self.now + self.rerun_pause();
            self.enter(Phase::Degraded { cause, again });
            return self.decide_polling(Rule::ToldToVoteAgain, "told to vote again");
        }
        let turn = match self.notified() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        match turn.found_primary(cause) {
            Ok(turn) => turn.try_again(cause, again),
            Err(decision) => *decision,
        }
    }

    /// A primary among the nodes asked: watched if there is no upstream, else followed, where this node may.
    /// Gives the turn back if there is none.
    fn found_primary(mut self, cause: Cause) -> Result<Self, Box<Decision>> {
        if cause == Cause::NoUpstream {
            let Some(primary) = self.live_primary() else {
                return Ok(self);
            };
            self.watch(Some(primary));
            self.enter(Phase::Entering {
                search: true,
                until: self.now,
            });
            let reason = format!("{} is a primary", self.next.title(primary));
            return Err(Box::new(self.decide_at_once(Rule::PrimaryDiscovered, reason)));
        }
        let able = self.is_witness() || (self.may_act() && self.seen.local.recovery == RecoveryState::Standby);
        let too_soon = self.next.follow_again.is_some_and(|again| self.now < again);
        if !able || too_soon || cause == Cause::OutOfRecovery {
            return Ok(self);
        }
        let Some(primary) = self.followable_primary() else {
            return Ok(self);
        };
        let reason = format!("{} is a primary", self.next.title(primary));
        self.start_follow(primary);
        Err(Box::new(self.decide_polling(Rule::FollowBegins, reason)))
    }

    /// Whether elections are run again from here. One that was paused, or set to manual, when the upstream was
    /// lost stays as it is: unpausing is no order to fail over.
    fn votes_again(&self, cause: Cause) -> bool {
        !self.is_witness()
            && self.may_act()
            && !matches!(
                cause,
                Cause::Paused | Cause::Manual | Cause::OutOfRecovery | Cause::NoUpstream
            )
            && self.seen.local.recovery == RecoveryState::Standby
            && self.next.upstream.is_some()
            && !self.next.upstream_is_standby()
            && (self.next.last_up.is_some() || self.votes_unseen())
            && self.next.successor.is_none()
    }

    /// Whether a node votes about an upstream that it has not seen since its daemon was started. Where a promotion needs
    /// the right to write it may: the voters know who had that last, and grant it only in that node's place.
    pub(super) fn votes_unseen(&self) -> bool {
        self.seen.right != Right::NotNeeded
    }

    /// Whether hosts that were started together have had their time to come up.
    fn has_booted(&self, cause: Cause) -> bool {
        let since = self.next.degraded_since.unwrap_or(self.now);
        cause != Cause::UpstreamNotThere
            || self.next.last_up.is_some()
            || self.now.saturating_sub(since) >= self.settings.right_timeout
    }

    fn try_again(mut self, cause: Cause, again: Duration) -> Decision {
        let age = self
            .next
            .degraded_since
            .map_or(0, |since| self.now.saturating_sub(since).as_secs());
        let how = self.how();
        let title = self.upstream_title();
        let still = format!("degraded for {age} s: {}; {title} {how}", cause.sentence());
        if self.now < again {
            return self.decide_paced(Rule::StillDegraded, still);
        }
        if let Some((count, at)) = self.next.failed_promotions
            && self.next.passed_over.contains(&self.next.own)
            && self.now.saturating_sub(at) >= self.settings.notification_timeout * count.min(60)
            && self.seen.local.paused != Answer::Yes
        {
            let own = self.next.own;
            self.next.passed_over.remove(&own);
            if self.settings.automatic {
                self.stand_again();
            }
            return self.decide_paced(
                Rule::CandidateAgain,
                format!("{count} promotions failed, the last one a while ago"),
            );
        }
        let down = self.upstream.as_ref().map(verdict) == Some(Verdict::Down);
        if self.votes_again(cause) && down && self.down_long_enough() && self.has_booted(cause) {
            self.next.resume = super::state::Resume::NotAsked;
            self.enter(Phase::Electing { not_before: self.now });
            return self.decide_at_once(Rule::VoteAgain, still);
        }
        let again = self.now + self.settings.rerun_interval;
        self.enter(Phase::Degraded { cause, again });
        self.decide_paced(Rule::StillDegraded, still)
    }
}
