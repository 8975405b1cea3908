//! One turn in the making: what every mode needs to decide.

use std::time::Duration;

use crate::exit_code::ExitCode;
use crate::types::{NodeId, NodeType, RecoveryState};

use super::action::{Action, Announcement, Where};
use super::attempts::Attempts;
use super::observation::{Answer, Finished, Node, Observation, Probe, Right, Verdict, describe, verdict};
use super::rules::Rule;
use super::settings::Settings;
use super::state::{Cause, Decision, LocalServer, Mode, Phase, PrimaryPhase, State};

/// One turn: what is known, and what has been collected so far.
pub(super) struct Turn<'a> {
    pub settings: &'a Settings,
    pub seen: &'a Observation,
    /// What this turn learned of the upstream: the newest answer that came since the last one.
    pub upstream: Option<Probe>,
    pub next: State,
    pub actions: Vec<Action>,
    pub now: Duration,
}

impl<'a> Turn<'a> {
    pub fn new(settings: &'a Settings, state: &State, seen: &'a Observation) -> Self {
        let mut next = state.clone();
        if let Some(nodes) = &seen.nodes {
            next.nodes.clone_from(nodes);
        }
        next.guarded = seen.right != Right::NotNeeded;
        Turn {
            settings,
            seen,
            upstream: None,
            next,
            actions: Vec::new(),
            now: seen.now,
        }
    }

    /// The own record.
    pub fn own(&self) -> Option<&Node> {
        self.next.node(self.next.own)
    }

    pub fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub fn announce(&mut self, event: &'static str, successful: bool, to: Where, details: String) {
        self.act(Action::Announce(Announcement {
            event,
            successful,
            to,
            details,
            other: None,
        }));
    }

    /// The decision, due again after `wait` at the latest.
    pub fn decide(self, rule: Rule, reason: impl Into<String>, wait: Duration) -> Decision {
        // Whoever was told to hold back is to be told again in time.
        let wait = match self.next.overtaking {
            Some(_) => wait.min(self.settings.settle),
            None => wait,
        };
        Decision {
            rule,
            reason: reason.into(),
            actions: self.actions,
            next: self.next,
            wake_at: self.now + wait,
        }
    }

    /// The decision at the pace of monitoring, which counts from the start of the last probe.
    pub fn decide_paced(self, rule: Rule, reason: impl Into<String>) -> Decision {
        let wait = self.settings.monitor_interval;
        let passed = self
            .next
            .attempts
            .latest()
            .map(|latest| self.now.saturating_sub(latest));
        let passed = passed.filter(|passed| *passed < wait).unwrap_or_default();
        self.decide(rule, reason, wait - passed)
    }

    /// The decision while something is awaited.
    pub fn decide_polling(self, rule: Rule, reason: impl Into<String>) -> Decision {
        let wait = self.settings.polling();
        self.decide(rule, reason, wait)
    }

    /// The decision after which the next turn follows at once.
    pub fn decide_at_once(self, rule: Rule, reason: impl Into<String>) -> Decision {
        self.decide(rule, reason, Duration::ZERO)
    }

    /// The first result that `pick` wants.
    pub fn result<T>(&self, pick: impl Fn(&Finished) -> Option<T>) -> Option<T> {
        self.seen.finished.iter().find_map(pick)
    }

    /// Whether a probe that ended since the last turn found the upstream up.
    pub fn upstream_is_up(&self) -> bool {
        self.upstream.as_ref().map(verdict) == Some(Verdict::Up)
    }

    /// What the newest answer said of the upstream, for reasons.
    pub fn how(&self) -> &'static str {
        let last = self.next.attempts.last();
        last.map_or("was not probed", |last| describe(&last.answer))
    }

    /// Whether the upstream, registered as a primary, says that it is in recovery.
    pub fn upstream_was_demoted(&self) -> bool {
        !self.next.upstream_is_standby() && self.upstream == Some(Ok(RecoveryState::Standby))
    }

    /// The upstream's title, for reasons.
    pub fn upstream_title(&self) -> String {
        self.next
            .upstream
            .map_or_else(|| "the upstream".to_owned(), |upstream| self.next.title(upstream))
    }

    /// Where an event about the cluster is written.
    pub fn on_primary(&self) -> Where {
        self.next.primary().map_or(Where::Nowhere, Where::On)
    }

    pub fn is_witness(&self) -> bool {
        matches!(self.next.mode, Mode::Witness(_))
    }

    /// Goes on to a phase of the mode it is in.
    pub fn enter(&mut self, phase: Phase) {
        self.next.mode = if self.is_witness() {
            Mode::Witness(phase)
        } else {
            Mode::Standby(phase)
        };
    }

    /// Ends the hold on the own WAL receiver, if there is one.
    pub fn release_receiver(&mut self) {
        if self.next.receiver_stopped {
            self.next.receiver_stopped = false;
            self.act(Action::RestoreWalReceiver);
        }
    }

    /// Takes part in elections of others again.
    pub fn stand_again(&mut self) {
        if self.next.standing_aside {
            self.next.standing_aside = false;
            self.act(Action::StandAside(false));
        }
    }

    /// Has others not elect this node.
    pub fn stand_aside(&mut self) {
        if !self.next.standing_aside {
            self.next.standing_aside = true;
            self.act(Action::StandAside(true));
        }
    }

    /// Forgets what concerned the loss that is over.
    pub fn forget_loss(&mut self) {
        self.release_receiver();
        self.stand_again();
        self.next.lost_at = None;
        self.next.degraded_since = None;
        self.next.passed_over.clear();
        self.next.successor = None;
        self.next.waited_for = None;
        self.next.overtaking = None;
        self.next.failed_promotions = None;
        self.next.follow_again = None;
        self.next.early_notification = None;
        self.next.resume = super::state::Resume::NotAsked;
    }

    /// Tells the own library again who it serves.
    pub fn register_daemon(&mut self) {
        self.act(Action::RegisterDaemon);
        if self.next.standing_aside {
            self.act(Action::StandAside(true));
        }
    }

    /// Watches another node from now on, or searches one.
    pub fn watch(&mut self, upstream: Option<NodeId>) {
        self.next.upstream = upstream;
        self.next.recorded_upstream = self.own().and_then(|own| own.upstream);
        self.next.attempts = Attempts::default();
        self.next.last_up = None;
    }

    /// Begins primary mode.
    pub fn begin_primary(&mut self) {
        self.forget_loss();
        self.watch(None);
        self.next.local = LocalServer::Up;
        self.next.mode = Mode::Primary(PrimaryPhase::Normal);
        self.act(Action::ResetVotingStatus);
        self.act(Action::SetUpstreamNodeId(None));
        let title = self.next.title(self.next.own);
        let event = if self.next.start_announced {
            "repmgrd_reload"
        } else {
            "repmgrd_start"
        };
        self.next.start_announced = true;
        self.announce(event, true, Where::Local, format!("monitoring cluster primary {title}"));
    }

    /// Ends the daemon.
    pub fn exit(mut self, rule: Rule, reason: String, code: ExitCode, successful: bool) -> Decision {
        self.announce("repmgrd_shutdown", successful, Where::Nowhere, reason.clone());
        self.act(Action::Exit(code));
        self.decide_paced(rule, reason)
    }

    /// Whether degraded monitoring has lasted longer than it may.
    pub fn degraded_too_long(&self) -> Option<Duration> {
        let lasted = self.now.saturating_sub(self.next.degraded_since?);
        (lasted > self.settings.degraded_timeout?).then_some(lasted)
    }

    /// The live primary among the nodes that were asked: registered primaries first, then by priority
    /// ascending, then by id, as the original searches.
    pub fn live_primary(&self) -> Option<NodeId> {
        let mut found: Vec<&Node> = self
            .seen
            .others
            .iter()
            .filter(|seen| seen.recovery == RecoveryState::Primary && seen.node != self.next.own)
            .filter_map(|seen| self.next.node(seen.node))
            .filter(|node| self.next.may_be_primary(node))
            .collect();
        found.sort_by_key(|node| (node.node_type != NodeType::Primary, node.priority, node.id));
        found.first().map(|node| node.id)
    }

    /// A primary, other than the upstream, that the own server can follow: the highest timeline, then the lowest id.
    pub fn followable_primary(&self) -> Option<NodeId> {
        self.seen
            .others
            .iter()
            .filter(|seen| seen.recovery == RecoveryState::Primary)
            .filter(|seen| seen.node != self.next.own && Some(seen.node) != self.next.upstream)
            .filter(|seen| self.is_witness() || seen.followable != Answer::No)
            .filter(|seen| {
                self.next
                    .node(seen.node)
                    .is_some_and(|node| self.next.may_be_primary(node))
            })
            .max_by_key(|seen| (seen.timeline, std::cmp::Reverse(seen.node)))
            .map(|seen| seen.node)
    }

    /// Why this node must not go on to be promoted, as far as its own server, the settings, the pause and the newest
    /// answer of the upstream tell.
    pub fn unfit(&self) -> Option<(Rule, Cause, &'static str)> {
        if !self.settings.automatic {
            return Some((
                Rule::FailoverManual,
                Cause::Manual,
                "failover is set to manual on this node",
            ));
        }
        if self.seen.local.recovery == RecoveryState::Unknown {
            return Some((
                Rule::LocalServerAway,
                Cause::LocalServer,
                "the local server does not answer",
            ));
        }
        // The newest answer may have come in an earlier turn, while something else was awaited.
        if self.next.attempts.last().map(|last| verdict(&last.answer)) == Some(Verdict::RefusesUs) {
            let reason = "the upstream is there and does not let this node in";
            return Some((Rule::UpstreamRefuses, Cause::RefusesUs, reason));
        }
        (self.seen.local.paused != Answer::No).then_some((
            Rule::FailoverPaused,
            Cause::Paused,
            "failover is paused on this node",
        ))
    }

    /// Whether this node may act by itself: automatic and known not to be paused.
    pub fn may_act(&self) -> bool {
        self.settings.automatic && self.seen.local.paused == Answer::No
    }
}
