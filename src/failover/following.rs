//! Following another node: is it a primary, the command, the own server's return.

use std::time::Duration;

use crate::types::RecoveryState;

use super::action::{Action, Where};
use super::alarms::Alarm;
use super::follower::adoption;
use super::observation::{Answer, CommandEnd, Finished, RecordChange};
use super::rules::Rule;
use super::state::{Cause, Decision, Follow, FollowStep, Phase};
use super::turn::Turn;

impl Turn<'_> {
    pub(super) fn following(self, follow: Follow) -> Decision {
        match follow.step {
            FollowStep::Checking { until } => self.follow_checking(&follow, until),
            FollowStep::Running { until } => self.follow_running(&follow, until),
            FollowStep::AwaitingServer { until } => self.follow_awaiting_server(&follow, until),
        }
    }

    fn follow_checking(mut self, follow: &Follow, until: Duration) -> Decision {
        let target = self.next.title(follow.target);
        if follow.cascaded && self.upstream_is_up() {
            return self.upstream_back();
        }
        let answer = self.seen.of(follow.target);
        let state = answer.map_or(RecoveryState::Unknown, |seen| seen.recovery);
        let followable = self.is_witness() || answer.is_some_and(|seen| seen.followable != Answer::No);
        let may_act = self.is_witness() || self.may_act();
        let what = match state {
            RecoveryState::Primary if followable && may_act => {
                self.start_follow(follow.target);
                return self.decide_polling(Rule::FollowBegins, format!("{target} is a primary"));
            }
            RecoveryState::Primary => {
                self.next.successor = Some(follow.target);
                if followable {
                    "is a primary, and this node may not act now"
                } else {
                    "is a primary that this node cannot follow"
                }
            }
            RecoveryState::Standby => "is in recovery",
            RecoveryState::Unknown => "gives no answer",
        };
        let reason = format!("{target} {what}");
        if self.now < until {
            return self.decide_polling(Rule::FollowChecking, reason);
        }
        let elected = self
            .next
            .waited_for
            .is_some_and(|(elected, _)| elected == follow.target);
        if follow.cascaded || elected || state != RecoveryState::Standby {
            // Its word came after the upstream was lost, so it was promoted, even if it cannot be reached now, or if
            // somebody else is the primary by now.
            self.next.successor = Some(follow.target);
            return self.follow_failed(follow, &reason);
        }
        self.notification_stale(reason)
    }

    /// Goes back to where the notification was found: to the attempts, which went on meanwhile.
    fn notification_stale(mut self, reason: String) -> Decision {
        if self.next.lost_at.is_none() {
            self.become_degraded(Cause::FollowFailed, Duration::ZERO);
            return self.decide_paced(Rule::NotificationStale, reason);
        }
        self.enter(Phase::Reconnecting);
        self.decide_at_once(Rule::NotificationStale, reason)
    }

    fn follow_running(mut self, follow: &Follow, until: Duration) -> Decision {
        let target = self.next.title(follow.target);
        let end = if self.is_witness() {
            self.result(adoption).map(|change| match change {
                RecordChange::Done => Ok(()),
                RecordChange::RecordMissing => Err(format!("{target} has no record of this node")),
                RecordChange::Failed => Err(format!("the own record could not be changed on {target}")),
            })
        } else {
            self.result(|finished| match finished {
                Finished::FollowCommand(end) => Some(end.clone()),
                _ => None,
            })
            .map(|end| match end {
                CommandEnd::Exited(0) => Ok(()),
                end => Err(format!("follow_command {end}")),
            })
        };
        match end {
            Some(Ok(())) => {
                let until = self.now + self.settings.startup_timeout;
                self.enter(Phase::Following(Follow {
                    step: FollowStep::AwaitingServer { until },
                    ..follow.clone()
                }));
                self.decide_at_once(
                    Rule::FollowPending,
                    format!("follow of {target} done; the local server is awaited"),
                )
            }
            Some(Err(reason)) => self.follow_failed(follow, &reason),
            None if self.now >= until => {
                let reason = format!("the follow of {target} did not end in time");
                self.follow_failed(follow, &reason)
            }
            None => self.decide_polling(Rule::FollowPending, format!("the follow of {target} is under way")),
        }
    }

    fn follow_awaiting_server(mut self, follow: &Follow, until: Duration) -> Decision {
        let target = self.next.title(follow.target);
        let back = match self.seen.local.recovery {
            RecoveryState::Standby => true,
            RecoveryState::Primary => self.is_witness(),
            RecoveryState::Unknown => false,
        };
        if back {
            self.register_daemon();
            if follow.cascaded {
                self.act(Action::RecordUpstream(follow.target));
            }
            let details = format!("{} follows {target}", self.next.title(self.next.own));
            self.announce(
                "repmgrd_failover_follow",
                true,
                Where::On(follow.target),
                details.clone(),
            );
            self.act(Action::ResetVotingStatus);
            self.forget_loss();
            self.watch(Some(follow.target));
            self.next.last_up = Some(self.now);
            self.enter(Phase::Entering {
                search: false,
                until: self.now,
            });
            return self.decide_at_once(Rule::Followed, details);
        }
        if self.now >= until {
            return self.follow_failed(follow, "the local server did not come back in time");
        }
        self.decide_polling(Rule::FollowPending, "the local server has not come back yet")
    }

    fn follow_failed(mut self, follow: &Follow, reason: &str) -> Decision {
        let target = self.next.title(follow.target);
        let details = format!("could not follow {target}: {reason}");
        self.release_receiver();
        if self.seen.local.recovery != RecoveryState::Unknown {
            self.register_daemon();
        }
        if follow.cascaded {
            self.announce(
                "repmgrd_failover_follow",
                false,
                Where::On(follow.target),
                details.clone(),
            );
        } else if self.upstream_is_up() && !self.upstream_was_demoted() && !self.is_witness() {
            let to = Self::on(self.next.upstream);
            self.announce("repmgrd_failover_aborted", true, to, details.clone());
            // It was told to follow a primary, and watches the old one.
            self.next.alarms.insert(Alarm::OtherPrimary(follow.target));
            self.enter(Phase::Entering {
                search: false,
                until: self.now,
            });
            return self.decide_at_once(Rule::FollowOvertaken, details);
        }
        self.next.follow_again = Some(self.now + self.settings.rerun_interval);
        self.become_degraded(Cause::FollowFailed, self.settings.rerun_interval);
        self.decide_paced(Rule::FollowFailed, details)
    }
}
