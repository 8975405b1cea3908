//! The own promotion. What counts is that the server leaves recovery, not how the command ended.

use std::time::Duration;

use crate::types::{NodeId, RecoveryState};

use super::action::{Action, Announcement, Where};
use super::observation::{CommandEnd, Finished, Notification, Right};
use super::rules::Rule;
use super::state::{Cause, Decision, Phase, Promotion};
use super::turn::Turn;

/// How long a server may still leave recovery after a command that failed soon.
const SHORT_VERIFICATION: Duration = Duration::from_secs(5);

impl Turn<'_> {
    pub(super) fn promoting(self, step: Promotion) -> Decision {
        match step {
            Promotion::Delayed { until } => self.promotion_delayed(until),
            Promotion::Acquiring { until } => self.acquiring(until),
            Promotion::Running { since } => self.promotion_running(since),
            Promotion::Verifying { end, until } => self.promotion_verifying(end, until),
        }
    }

    fn promotion_delayed(self, until: Duration) -> Decision {
        let mut turn = match self.still_due() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        if turn.now < until {
            let left = until - turn.now;
            let wait = left.min(turn.settings.polling());
            return turn.decide(
                Rule::PromotionDelayed,
                format!("{:.1} s left", left.as_secs_f64()),
                wait,
            );
        }
        if turn.seen.stood_still {
            return turn.begin_election("this daemon stood still while it waited for promote_delay".to_owned());
        }
        turn.promote_or_acquire();
        turn.decide_polling(Rule::PromotionBegins, "promote_delay has passed")
    }

    /// Runs promote_command, or acquires the right to write first.
    pub(super) fn promote_or_acquire(&mut self) {
        if matches!(self.seen.right, Right::Missing(_) | Right::Barred(_)) {
            let until = self.now + self.settings.right_timeout;
            self.enter(Phase::Promoting(Promotion::Acquiring { until }));
        } else {
            self.act(Action::RunPromoteCommand);
            let since = self.now;
            self.enter(Phase::Promoting(Promotion::Running { since }));
        }
    }

    fn acquiring(self, until: Duration) -> Decision {
        let mut turn = match self.still_due() {
            Ok(turn) => turn,
            Err(decision) => return *decision,
        };
        let (why, barred) = match turn.seen.right.clone() {
            Right::Missing(why) => (why, false),
            Right::Barred(why) => (why, true),
            Right::NotNeeded | Right::Held => {
                if turn.seen.stood_still {
                    return turn
                        .begin_election("this daemon stood still while it acquired the right to write".to_owned());
                }
                turn.promote_or_acquire();
                return turn.decide_polling(Rule::PromotionBegins, "the right to write is held");
            }
        };
        if turn.now < until {
            let left = (until - turn.now).as_secs_f64();
            let rule = if barred { Rule::RightBarred } else { Rule::RightSought };
            return turn.decide_polling(rule, format!("{why}; it is tried for {left:.0} s more"));
        }
        // Whom it went past gets another chance: that one may reach a majority.
        let own = turn.next.own;
        turn.next.passed_over.retain(|node| *node == own);
        turn.next.waited_for = None;
        turn.notify_siblings(Notification::RerunElection);
        turn.become_degraded(Cause::Cancelled, turn.settings.rerun_interval);
        if barred {
            return turn.decide_paced(Rule::RightBarred, format!("this node is not promoted: {why}"));
        }
        turn.decide_paced(
            Rule::RightMissing,
            format!("nobody is promoted without the right to write: {why}"),
        )
    }

    /// Whether the promotion that has not begun is still to be made.
    fn still_due(mut self) -> Result<Self, Box<Decision>> {
        if self.upstream_is_up() {
            return Err(Box::new(
                self.promotion_aborted("it came back before the promotion began"),
            ));
        }
        if let Some((rule, cause, reason)) = self.unfit() {
            self.become_degraded(cause, self.settings.rerun_interval);
            return Err(Box::new(self.decide_paced(rule, reason)));
        }
        if self.may_act()
            && let Some(primary) = self.followable_primary()
        {
            let reason = format!("{} is a primary by now", self.next.title(primary));
            self.start_follow(primary);
            return Err(Box::new(self.decide_polling(Rule::PrimaryFound, reason)));
        }
        Ok(self)
    }

    fn promotion_running(mut self, since: Duration) -> Decision {
        let end = self.result(|finished| match finished {
            Finished::PromoteCommand(end) => Some(end.clone()),
            _ => None,
        });
        let lasted = self.now.saturating_sub(since);
        let end = match end {
            Some(end) => end,
            None if lasted < self.settings.promote_timeout + SHORT_VERIFICATION => {
                let reason = format!("promote_command has run for {:.0} s", lasted.as_secs_f64());
                return self.decide_polling(Rule::PromotionPending, reason);
            }
            None => CommandEnd::TimedOut,
        };
        // A command that did not end by itself, or not soon, may have begun a promotion that is still going on.
        let may_be_under_way = match &end {
            CommandEnd::Exited(0) => true,
            CommandEnd::NotStarted => false,
            CommandEnd::Exited(_) => lasted * 2 >= self.settings.promote_check_timeout,
            CommandEnd::Signalled(_) | CommandEnd::TimedOut => true,
        };
        let limit = if may_be_under_way {
            self.settings.promote_check_timeout
        } else {
            SHORT_VERIFICATION.min(self.settings.promote_check_timeout)
        };
        let until = self.now + limit;
        let reason = format!("promote_command {end} after {:.1} s", lasted.as_secs_f64());
        self.enter(Phase::Promoting(Promotion::Verifying { end, until }));
        self.decide_at_once(Rule::PromotionPending, reason)
    }

    fn promotion_verifying(mut self, end: CommandEnd, until: Duration) -> Decision {
        let former = self.next.upstream;
        if self.seen.local.recovery == RecoveryState::Primary {
            let reason = format!("promote_command {end}, and the local server has left recovery");
            self.complete_promotion(former, true);
            return self.decide_at_once(Rule::Promoted, reason);
        }
        let refused_at_once = !end.succeeded();
        if refused_at_once && self.seen.local.recovery == RecoveryState::Standby {
            if self.upstream_is_up() {
                if self.upstream_was_demoted() {
                    return self.upstream_demoted();
                }
                return self.promotion_aborted(&format!("promote_command {end}"));
            }
            if self.may_act()
                && let Some(primary) = self.followable_primary()
            {
                let reason = format!("promote_command {end}, and {} is a primary", self.next.title(primary));
                self.start_follow(primary);
                return self.decide_polling(Rule::PrimaryFound, reason);
            }
        }
        if self.now < until {
            let left = (until - self.now).as_secs_f64();
            let reason = format!("promote_command {end}; the server has {left:.0} s left to leave recovery");
            return self.decide_polling(Rule::PromotionPending, reason);
        }
        self.promotion_failed(&end)
    }

    fn promotion_failed(mut self, end: &CommandEnd) -> Decision {
        let state = match self.seen.local.recovery {
            RecoveryState::Unknown => "does not answer",
            _ => "is still in recovery",
        };
        let details = format!("promote_command {end}, and the local server {state}");
        self.announce("repmgrd_promote_error", false, Where::Nowhere, details.clone());
        let count = self
            .next
            .failed_promotions
            .map_or(1, |(count, _)| count.saturating_add(1));
        self.next.failed_promotions = Some((count, self.now));
        let own = self.next.own;
        self.next.passed_over.insert(own);
        self.stand_aside();
        self.notify_siblings(Notification::RerunElection);
        self.become_degraded(Cause::PromotionFailed, self.settings.rerun_interval);
        self.decide_paced(Rule::PromotionFailed, details)
    }

    /// The old primary is there: nobody is to be promoted.
    fn promotion_aborted(mut self, why: &str) -> Decision {
        let Some(former) = self.next.upstream else {
            return self.upstream_back();
        };
        let details = format!("{} is there again: {why}", self.next.title(former));
        self.announce("repmgrd_failover_abort", true, Where::On(former), details.clone());
        self.notify_siblings(Notification::Follow(former));
        self.forget_loss();
        self.enter(Phase::Entering {
            search: false,
            until: self.now,
        });
        self.decide_at_once(Rule::PromotionAborted, details)
    }

    /// The own server is the primary now: record it, count the term, tell the siblings, watch it.
    /// A promotion that came through late counts no term, as with the original.
    pub(super) fn complete_promotion(&mut self, former: Option<NodeId>, count_term: bool) {
        self.release_receiver();
        self.act(Action::RecordOwnPromotion);
        if count_term {
            self.act(Action::IncrementVotingTerm);
        }
        let own = self.next.title(self.next.own);
        let details = match former {
            Some(former) => format!("{own} promoted; old primary {} is lost", self.next.title(former)),
            None => format!("{own} promoted"),
        };
        self.act(Action::Announce(Announcement {
            event: "repmgrd_failover_promote",
            successful: true,
            to: Where::Local,
            details,
            other: former,
        }));
        let told = Notification::Follow(self.next.own);
        self.notify_siblings(told);
        self.begin_primary();
    }
}
