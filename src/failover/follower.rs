//! Standby and witness mode while nothing is wrong: finding an upstream, watching it, and the own server.

use std::time::Duration;

use crate::exit_code::ExitCode;
use crate::types::{NodeId, NodeType, RecoveryState};

use super::action::{Action, Announcement, Where};
use super::observation::{Answer, Finished, Notification, RecordChange, Verdict, describe, verdict};
use super::rules::Rule;
use super::state::{Cause, Decision, LocalServer, Phase, Promotion};
use super::turn::Turn;

/// How long a change of the own record may take to show in the local copy before it is asked for again.
const ACTIVATION_PAUSE: Duration = Duration::from_secs(10);

/// What the own server did since the last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LocalChange {
    None,
    Lost,
    Inactive,
    Back,
}

impl Turn<'_> {
    pub(super) fn follower(mut self, phase: Phase) -> Decision {
        self.take_evidence();
        self.watch_successor();
        self.watch_electability();
        self.watch_untold();
        self.renew_overtaking(&phase);
        let change = self.watch_own_server(&phase);
        if self.is_out_of_recovery(&phase) {
            return self.out_of_recovery(&phase);
        }
        match phase {
            Phase::Entering { search, until } => self.entering(search, until),
            Phase::Normal => self.normal(change),
            Phase::Reconnecting => self.reconnecting(),
            Phase::StoppingReceivers { own_done, until } => self.stopping_receivers(own_done, until),
            Phase::Electing { not_before } => self.electing(not_before),
            Phase::Validating { tally, until } => self.validating(tally, until),
            Phase::Promoting(step) => self.promoting(step),
            Phase::Waiting { winner, until } => self.waiting(winner, until),
            Phase::Following(follow) => self.following(follow),
            Phase::VotingAgain { at } => self.voting_again(at),
            Phase::Degraded { cause, again } => self.degraded(cause, again),
        }
    }

    /// Takes note of the probes that were started and of those that ended. Only a sighting of this very turn is
    /// published.
    fn take_evidence(&mut self) {
        if let Some(started) = self.seen.started {
            self.next.attempts.start(started);
        }
        let upstream = self.next.upstream;
        for end in self.seen.probes.iter().filter(|end| Some(end.node) == upstream) {
            // The answer may have come before the daemon stood still.
            let at = if self.seen.stood_still { end.started } else { self.now };
            // One that found it up counts although a later one that ended by now did not: a turn for each would have seen it.
            if self.next.attempts.end(end.started, end.answer, at) && !self.upstream_is_up() {
                self.upstream = Some(end.answer);
            }
        }
        if self.upstream_is_up() {
            self.next.last_up = Some(self.now);
            if let Some(upstream) = upstream
                && self.seen.local.recovery != RecoveryState::Unknown
            {
                self.act(Action::SetUpstreamLastSeen(upstream));
            }
        }
    }

    /// A successor that says it is in recovery is none, unless it was elected here and said that it was promoted.
    fn watch_successor(&mut self) {
        let elected = self.next.waited_for.map(|(elected, _)| elected);
        let successor = self.next.successor.filter(|node| Some(*node) != elected);
        let answer = successor.and_then(|node| self.seen.of(node));
        if answer.is_some_and(|seen| seen.recovery == RecoveryState::Standby) {
            self.next.successor = None;
        }
    }

    /// Whether other daemons can see that this node may be elected, and since when.
    fn watch_electability(&mut self) {
        let local = &self.seen.local;
        let electable = local.recovery == RecoveryState::Standby
            && local.registered != Answer::No
            && local.paused == Answer::No
            && !self.next.standing_aside;
        self.next.electable_since = electable.then(|| self.next.electable_since.unwrap_or(self.now));
    }

    fn watch_own_server(&mut self, phase: &Phase) -> LocalChange {
        if matches!(phase, Phase::Promoting(_) | Phase::Following(_)) {
            return LocalChange::None;
        }
        let answers = self.seen.local.recovery != RecoveryState::Unknown;
        match self.next.local {
            LocalServer::Up if answers => {
                if self.seen.local.registered == Answer::No {
                    self.register_daemon();
                }
                LocalChange::None
            }
            LocalServer::Up => {
                self.next.local = LocalServer::Down {
                    since: self.now,
                    announced: false,
                };
                LocalChange::Lost
            }
            LocalServer::Down { announced, .. } if answers => {
                self.next.local = LocalServer::Up;
                self.register_daemon();
                if announced {
                    self.record_active(true, Some("standby_recovery"));
                }
                LocalChange::Back
            }
            LocalServer::Down {
                since,
                announced: false,
            } if self.now.saturating_sub(since) >= self.settings.local_grace && self.upstream_is_up() => {
                self.next.local = LocalServer::Down { since, announced: true };
                self.record_active(false, Some("standby_failure"));
                LocalChange::Inactive
            }
            LocalServer::Down { .. } => LocalChange::None,
        }
    }

    /// Has the own record made active or inactive on the primary, if there is one to write on.
    fn record_active(&mut self, active: bool, event: Option<&'static str>) {
        let Some(on) = self.next.primary() else { return };
        self.next.activation_asked = Some(self.now);
        let title = self.next.title(self.next.own);
        let details = if active {
            format!("{title} is there again")
        } else {
            format!("the server of {title} does not answer")
        };
        self.act(Action::RecordActive {
            on,
            active,
            event: event.map(|event| Announcement {
                event,
                successful: true,
                to: Where::On(on),
                details,
                other: None,
            }),
        });
    }

    fn is_out_of_recovery(&self, phase: &Phase) -> bool {
        let promoting = matches!(
            phase,
            Phase::Promoting(Promotion::Running { .. } | Promotion::Verifying { .. })
        );
        self.seen.local.recovery == RecoveryState::Primary && !self.is_witness() && !promoting
    }

    /// The own server is a primary although this daemon did not just promote it.
    fn out_of_recovery(mut self, phase: &Phase) -> Decision {
        if self.next.failed_promotions.is_some() {
            let former = self.next.upstream;
            self.complete_promotion(former, false);
            return self.decide_at_once(Rule::PromotionCompleted, "the local server has left recovery after all");
        }
        if self.own().is_some_and(|own| own.node_type == NodeType::Primary) {
            self.begin_primary();
            let reason = "the local server is a primary and its record says so";
            return self.decide_at_once(Rule::PromotedByHand, reason);
        }
        if !matches!(phase, Phase::Normal | Phase::Degraded { .. }) {
            self.become_degraded(Cause::OutOfRecovery, self.settings.rerun_interval);
        }
        let reason = "the local server is a primary, and its record says standby";
        self.decide_paced(Rule::OutOfRecovery, reason)
    }

    /// Goes on to be degraded, and looks again after `wait`.
    pub(super) fn become_degraded(&mut self, cause: Cause, wait: Duration) {
        self.release_receiver();
        // Who was told to hold back does so only for a while.
        self.next.overtaking = None;
        self.next.degraded_since.get_or_insert(self.now);
        let again = self.now + wait;
        self.enter(Phase::Degraded { cause, again });
    }

    /// Drops the upstream, which is no primary any more, and searches the one that is.
    pub(super) fn upstream_demoted(mut self) -> Decision {
        let reason = format!("{} is in recovery now", self.upstream_title());
        self.forget_loss();
        self.watch(None);
        self.enter(Phase::Entering {
            search: true,
            until: self.now + self.settings.monitor_interval * 2,
        });
        self.decide_at_once(Rule::UpstreamDemoted, reason)
    }

    /// The upstream is there again after it was lost.
    pub(super) fn upstream_back(mut self) -> Decision {
        if self.upstream_was_demoted() {
            return self.upstream_demoted();
        }
        let title = self.upstream_title();
        let since = self.next.lost_at.or(self.next.degraded_since).unwrap_or(self.now);
        let details = format!(
            "{title} is there again after {} seconds",
            self.now.saturating_sub(since).as_secs()
        );
        let to = self.on_primary();
        self.announce_return(to, &details);
        self.forget_loss();
        self.enter(Phase::Normal);
        self.decide_paced(Rule::UpstreamBack, details)
    }

    fn announce_return(&mut self, to: Where, details: &str) {
        let event = if self.next.start_announced {
            "repmgrd_upstream_reconnect"
        } else {
            "repmgrd_start"
        };
        self.next.start_announced = true;
        self.announce(event, true, to, details.to_owned());
    }

    fn entering(mut self, search: bool, until: Duration) -> Decision {
        let Some(upstream) = self.next.upstream else {
            return self.seek_upstream(search, until);
        };
        let title = self.next.title(upstream);
        let Some(probe) = self.upstream else {
            return self.decide_polling(Rule::UpstreamSought, format!("connecting to {title}"));
        };
        if self.upstream_was_demoted() && !search {
            self.watch(None);
            let until = self.now + self.settings.monitor_interval * 2;
            self.enter(Phase::Entering { search: true, until });
            return self.decide_at_once(
                Rule::UpstreamSought,
                format!("{title} is in recovery: looking for the primary"),
            );
        }
        if verdict(&probe) != Verdict::Up {
            // This daemon never saw the upstream, so it will not vote; others must not wait for it.
            if self.next.last_up.is_none() && !self.is_witness() && !self.votes_unseen() {
                self.stand_aside();
            }
            self.become_degraded(Cause::UpstreamNotThere, Duration::ZERO);
            return self.decide_paced(Rule::UpstreamNotThere, format!("{title} {}", describe(&probe)));
        }
        self.act(Action::ResetVotingStatus);
        if self.seen.local.notification == Some(Notification::Follow(upstream)) && self.may_be_attached_to(upstream) {
            let told = self.name_notification(Notification::Follow(upstream));
            self.watch(None);
            self.check_target(upstream);
            return self.decide_at_once(Rule::ToldToFollow, told);
        }
        let to = self.on_primary();
        if self.is_witness() {
            self.act(Action::AdoptPrimary(upstream));
            self.announce_return(to, &format!("witness of {title}"));
        } else {
            if self.own().is_some_and(|own| !own.active) {
                self.record_active(true, None);
            }
            if !self.next.start_announced {
                self.announce_return(to, &format!("monitoring connection to upstream {title}"));
            }
        }
        self.forget_loss();
        self.enter(Phase::Normal);
        self.decide_paced(Rule::UpstreamFound, format!("{title} is there"))
    }

    /// Whether the node that is about to be watched is one that this standby is not recorded at, and may be moved to.
    fn may_be_attached_to(&self, upstream: NodeId) -> bool {
        self.settings.automatic
            && !self.is_witness()
            && self.may_act()
            && self.seen.local.recovery == RecoveryState::Standby
            && self.own().is_some_and(|own| own.upstream != Some(upstream))
    }

    fn seek_upstream(mut self, search: bool, until: Duration) -> Decision {
        let own = self.next.own;
        let recorded = self
            .own()
            .and_then(|record| record.upstream)
            .filter(|upstream| *upstream != own && self.next.node(*upstream).is_some());
        if !search && let Some(upstream) = recorded {
            self.watch(Some(upstream));
            let reason = format!("connecting to {}", self.next.title(upstream));
            return self.decide_at_once(Rule::UpstreamSought, reason);
        }
        if let Some(primary) = self.live_primary() {
            self.watch(Some(primary));
            self.enter(Phase::Entering { search: true, until });
            let reason = format!("{} is a primary", self.next.title(primary));
            return self.decide_at_once(Rule::UpstreamSought, reason);
        }
        let asked = self.seen.others.len();
        if self.now < until {
            let reason = format!("none of {asked} other nodes is a primary");
            return self.decide_polling(Rule::UpstreamSought, reason);
        }
        self.watch(recorded);
        self.become_degraded(Cause::NoUpstream, Duration::ZERO);
        self.decide_paced(Rule::NoUpstream, format!("none of {asked} other nodes is a primary"))
    }

    fn normal(mut self, change: LocalChange) -> Decision {
        let title = self.upstream_title();
        let Some(probe) = self.upstream else {
            return self.upstream_awaited(&title);
        };
        if verdict(&probe) != Verdict::Up {
            return self.upstream_lost(&title, describe(&probe));
        }
        if self.upstream_was_demoted() {
            return self.upstream_demoted();
        }
        if self.result(adoption) == Some(RecordChange::RecordMissing) {
            let reason = format!("{title} has no record of this node");
            return self.exit(Rule::NotRegistered, reason, ExitCode::BadConfig, false);
        }
        if let Some(upstream) = self.moved_record() {
            return self.record_moved(upstream);
        }
        match change {
            LocalChange::Lost => {
                return self.decide_polling(Rule::LocalServerLost, "the local server does not answer");
            }
            LocalChange::Inactive => {
                let reason = format!(
                    "the local server was away for {} s",
                    self.settings.local_grace.as_secs()
                );
                return self.decide_paced(Rule::LocalServerInactive, reason);
            }
            LocalChange::Back => {
                return self.decide_paced(Rule::LocalServerBack, "the local server answers again");
            }
            LocalChange::None => {}
        }
        let inactive = self.own().is_some_and(|own| !own.active);
        let pause_over = self
            .next
            .activation_asked
            .is_none_or(|asked| self.now.saturating_sub(asked) >= ACTIVATION_PAUSE);
        if inactive && pause_over && self.next.local == LocalServer::Up {
            self.record_active(true, Some("standby_recovery"));
        }
        self.early_notification(&title)
    }

    /// A notification that comes while the upstream is there may be meant for a loss that this node has not
    /// noticed yet, so it is kept for a while. After that it is not to be acted on at some later loss.
    fn early_notification(mut self, title: &str) -> Decision {
        let Some(value) = self.seen.local.notification else {
            self.next.early_notification = None;
            return self.decide_paced(Rule::UpstreamSeen, format!("{title} is there"));
        };
        let since = match self.next.early_notification {
            Some((known, since)) if known == value => since,
            _ => self.now,
        };
        let names_upstream = matches!(value, Notification::Follow(id) if Some(id) == self.next.upstream);
        if names_upstream || self.now.saturating_sub(since) >= self.settings.notification_timeout {
            self.next.early_notification = None;
            self.act(Action::ResetVotingStatus);
            let reason = format!("{}, but {title} is there", self.name_notification(value));
            return self.decide_paced(Rule::NotificationDiscarded, reason);
        }
        self.next.early_notification = Some((value, since));
        let reason = format!("{}, but {title} is there", self.name_notification(value));
        self.decide_paced(Rule::NotificationKept, reason)
    }

    pub(super) fn name_notification(&self, value: Notification) -> String {
        match value {
            Notification::Follow(id) => format!("told to follow {}", self.next.title(id)),
            Notification::RerunElection => "told to vote again".to_owned(),
        }
    }

    fn upstream_lost(mut self, title: &str, how: &str) -> Decision {
        self.next.lost_at = Some(self.now);
        let to = if self.next.upstream_is_standby() {
            self.on_primary()
        } else {
            Where::Nowhere
        };
        let details = format!("{title} {how}");
        self.announce("repmgrd_upstream_disconnect", true, to, details.clone());
        if !self.settings.automatic && !self.is_witness() {
            self.stand_aside();
        }
        self.enter(Phase::Reconnecting);
        let wait = if self.attempts_are_used_up() {
            Duration::ZERO
        } else {
            self.until_next_attempt()
        };
        self.decide(Rule::UpstreamLost, details, wait)
    }

    /// An answer that takes its time holds nothing up: the next attempt begins on the clock.
    fn upstream_awaited(self, title: &str) -> Decision {
        let begun = self.next.attempts.latest().unwrap_or(self.now);
        let waited = self.now.saturating_sub(begun).as_secs_f64();
        let wait = self.until_next_attempt();
        let reason = format!("{title} has not answered for {waited:.1} s");
        self.decide(Rule::UpstreamAwaited, reason, wait)
    }

    /// The upstream that the own record names since it has changed, confirmed by the primary's copy if that was read.
    pub(super) fn moved_record(&mut self) -> Option<Option<NodeId>> {
        let own = self.own()?.clone();
        let recorded = own.upstream;
        if self.next.local != LocalServer::Up {
            return None;
        }
        if !self.next.is_moved(&own) {
            if recorded == self.next.upstream {
                self.next.recorded_upstream = recorded;
            }
            return None;
        }
        let stale = self
            .seen
            .own_record_on_primary
            .as_ref()
            .is_some_and(|own| own.upstream == self.next.upstream || own.upstream == self.next.recorded_upstream);
        (!stale).then_some(recorded)
    }

    pub(super) fn record_moved(mut self, upstream: Option<NodeId>) -> Decision {
        let reason = match upstream {
            Some(upstream) => format!("the own record names {} as upstream now", self.next.title(upstream)),
            None => "the own record names no upstream any more".to_owned(),
        };
        self.forget_loss();
        self.watch(None);
        self.enter(Phase::Entering {
            search: false,
            until: self.now + self.settings.monitor_interval,
        });
        self.decide_at_once(Rule::RecordMoved, reason)
    }
}

/// The result of adopting a primary.
pub(super) fn adoption(finished: &Finished) -> Option<RecordChange> {
    match finished {
        Finished::PrimaryAdopted(change) => Some(*change),
        _ => None,
    }
}
