//! The upstream is lost: attempts on the clock, and notifications from others meanwhile.

use std::time::Duration;

use crate::types::RecoveryState;

use super::action::{Action, Where};
use super::observation::{Answer, Notification, Verdict, verdict};
use super::rules::Rule;
use super::state::{Cause, Decision, Follow, FollowStep, Phase};
use super::turn::Turn;

/// The pause after an attempt that could not be started.
const RETRY: Duration = Duration::from_millis(100);

/// How long a node that is to be followed may take to show that it is a primary.
pub(super) const CHECK_LIMIT: Duration = Duration::from_secs(5);

impl<'a> Turn<'a> {
    pub(super) fn reconnecting(self) -> Decision {
        if self.upstream_is_up() {
            return self.upstream_back();
        }
        let turn = match self.notified() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        if turn.attempts_are_used_up() {
            turn.attempts_used_up()
        } else {
            turn.try_on()
        }
    }

    /// Whether all attempts have failed, the last of them started when the last one is due.
    pub(super) fn attempts_are_used_up(&self) -> bool {
        let settings = self.settings;
        self.next
            .attempts
            .used_up(settings.reconnect_attempts.max(1), settings.reconnect_time())
    }

    /// Whether all attempts found the upstream down, one after the other, for as long as all together take.
    pub(super) fn down_long_enough(&self) -> bool {
        let settings = self.settings;
        self.next
            .attempts
            .found_down(settings.reconnect_attempts.max(1), settings.reconnect_time())
    }

    /// The time until an attempt is to be started, or what is awaited meanwhile to be looked at.
    pub(super) fn until_next_attempt(&self) -> Duration {
        let next = self.next.attempts.next(self.settings.attempt_interval());
        let wait = next.saturating_sub(self.now).min(self.settings.polling());
        // One that is due and could not be started is no reason for haste.
        let haste = self.next.attempts.is_under_way() || self.seen.started.is_some();
        if haste { wait } else { wait.max(RETRY) }
    }

    fn try_on(self) -> Decision {
        let limit = self.settings.reconnect_attempts.max(1);
        let ended = self.next.attempts.ended().min(limit);
        let reason = format!("{} {}: attempt {ended} of {limit}", self.upstream_title(), self.how());
        let wait = self.until_next_attempt();
        self.decide(Rule::UpstreamTried, reason, wait)
    }

    /// The attempts go on until there is something to decide by.
    fn attempts_used_up(mut self) -> Decision {
        let title = self.upstream_title();
        let how = self.how();
        let rerun = self.settings.rerun_interval;
        match self.next.attempts.last().map(|last| verdict(&last.answer)) {
            Some(Verdict::RefusesUs) => {
                self.become_degraded(Cause::RefusesUs, rerun);
                return self.decide_paced(Rule::UpstreamRefuses, format!("{title} {how}"));
            }
            Some(Verdict::Down) => {}
            _ => {
                self.become_degraded(Cause::Unknown, rerun);
                return self.decide_paced(Rule::UpstreamUnknown, format!("{title} {how}"));
            }
        }
        if !self.down_long_enough() {
            return self.try_on();
        }
        if self.is_witness() {
            let until = self.now + self.settings.notification_timeout;
            self.enter(Phase::Waiting { winner: None, until });
            return self.decide_polling(Rule::WitnessWaits, format!("{title} {how}"));
        }
        if self.seen.local.recovery == RecoveryState::Unknown {
            self.become_degraded(Cause::LocalServer, rerun);
            let reason = format!("{title} {how}, and the local server does not answer");
            return self.decide_paced(Rule::LocalServerAway, reason);
        }
        if self.seen.local.paused != Answer::No {
            self.become_degraded(Cause::Paused, rerun);
            return self.decide_paced(
                Rule::FailoverPaused,
                format!("{title} {how}, and failover is paused here"),
            );
        }
        if self.next.upstream_is_standby() {
            return self.cascaded_lost(&title, how);
        }
        let reason = format!("{title} {how}: {} attempts failed", self.next.attempts.ended());
        if self.settings.disconnect_receivers {
            self.next.receiver_stopped = true;
            self.act(Action::StopWalReceiver);
            let until = self.now + self.settings.command_timeout;
            self.enter(Phase::StoppingReceivers { own_done: false, until });
            return self.decide_polling(Rule::ReceiversStopping, reason);
        }
        self.begin_election(reason)
    }

    fn cascaded_lost(mut self, title: &str, how: &str) -> Decision {
        let rerun = self.settings.rerun_interval;
        if !self.settings.automatic {
            self.become_degraded(Cause::Manual, rerun);
            return self.decide_paced(
                Rule::FailoverManual,
                format!("{title} {how}, and failover is set to manual here"),
            );
        }
        let Some(target) = self
            .next
            .recorded_primary()
            .filter(|id| Some(*id) != self.next.upstream)
        else {
            self.become_degraded(Cause::NoUpstream, Duration::ZERO);
            return self.decide_paced(
                Rule::NoRecordedPrimary,
                format!("{title} {how}, and no primary is recorded"),
            );
        };
        let reason = format!("{title} {how}: {} is the primary", self.next.title(target));
        self.check_target(target);
        self.decide_at_once(Rule::CascadedFollow, reason)
    }

    pub(super) fn begin_election(mut self, reason: String) -> Decision {
        let not_before = self.now + self.settings.failover_delay;
        self.next.resume = super::state::Resume::NotAsked;
        self.enter(Phase::Electing { not_before });
        let wait = self.settings.failover_delay.min(self.settings.polling());
        self.decide(Rule::ElectionBegins, reason, wait)
    }

    /// Goes on to follow a node, once it has shown that it is a primary.
    pub(super) fn check_target(&mut self, target: crate::types::NodeId) {
        let cascaded = self.next.upstream_is_standby();
        self.enter(Phase::Following(Follow {
            target,
            cascaded,
            step: FollowStep::Checking {
                until: self.now + CHECK_LIMIT,
            },
        }));
    }

    /// Acts on a notification that is there while the upstream is not. Gives the turn back if there is none.
    pub(super) fn notified(mut self) -> Result<Turn<'a>, Box<Decision>> {
        let Some(value) = self.seen.local.notification else {
            return Ok(self);
        };
        let told = self.name_notification(value);
        let target = match value {
            Notification::RerunElection => return self.told_to_vote(told),
            Notification::Follow(id) => id,
        };
        self.act(Action::ResetVotingStatus);
        let useless = target == self.next.own || Some(target) == self.next.upstream || self.next.node(target).is_none();
        if useless {
            return Err(Box::new(self.decide_polling(
                Rule::NotificationDiscarded,
                format!("{told}, which is of no use"),
            )));
        }
        if !self.settings.automatic && !self.is_witness() {
            let details = format!("{told}, but failover is set to manual on this node");
            self.announce("standby_disconnect_manual", true, Where::On(target), details.clone());
            self.become_degraded(Cause::Manual, self.settings.rerun_interval);
            return Err(Box::new(self.decide_paced(Rule::FailoverManual, details)));
        }
        if self.seen.local.paused != Answer::No && !self.is_witness() {
            let reason = format!("{told}, but failover is paused on this node");
            return Err(Box::new(self.decide_polling(Rule::NotificationDiscarded, reason)));
        }
        self.check_target(target);
        Err(Box::new(self.decide_at_once(Rule::ToldToFollow, told)))
    }

    /// How long a node that is told to vote again holds back: longer than the one that told it, if that is to take its place.
    pub(super) fn rerun_pause(&self) -> Duration {
        self.settings.rerun_interval.max(self.settings.settle * 2)
    }

    fn told_to_vote(mut self, told: String) -> Result<Turn<'a>, Box<Decision>> {
        self.act(Action::ResetVotingStatus);
        let votes = !self.is_witness()
            && self.may_act()
            && !self.next.upstream_is_standby()
            && (self.next.last_up.is_some() || self.votes_unseen())
            && self.next.successor.is_none()
            && self.next.attempts.last().map(|last| verdict(&last.answer)) == Some(Verdict::Down);
        if !votes {
            let reason = format!("{told}, but this node takes no part");
            return Err(Box::new(self.decide_polling(Rule::NotificationDiscarded, reason)));
        }
        // Holding back takes longer than those hold back that this node told to.
        self.next.overtaking = None;
        let at = self.now + self.rerun_pause();
        self.enter(Phase::VotingAgain { at });
        Err(Box::new(self.decide_polling(Rule::ToldToVoteAgain, told)))
    }
}
