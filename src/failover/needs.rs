//! What a turn has to find out beside the own server.

use std::time::Duration;

use crate::types::NodeId;

use super::settings::Settings;
use super::state::{Mode, Phase, PrimaryPhase, Promotion, State};

/// How old the newest answer of the upstream may be for an election to go by it.
const FRESH: Duration = Duration::from_secs(2);

/// What the turn that begins now has to find out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Start a probe of this node, by `connection_check_type`, with its recovery state.
    pub upstream: Option<NodeId>,
    /// How long the turn waits for the first answer to a probe before it goes on without; `None` until there is one.
    pub patience: Option<Duration>,
    /// Ask these nodes, all at the same time.
    pub ask: Vec<NodeId>,
}

impl State {
    /// What the turn that begins at `now` has to find out.
    pub fn needs(&self, settings: &Settings, now: Duration) -> Needs {
        let nobody = Vec::new;
        let others = || {
            self.nodes
                .iter()
                .filter(|node| node.id != self.own && self.may_be_primary(node))
                .map(|node| node.id)
                .collect::<Vec<_>>()
        };
        let siblings = || {
            self.upstream
                .map(|upstream| self.siblings(upstream))
                .unwrap_or_default()
        };
        let attempts = &self.attempts;
        // At the pace of what is awaited, or on the clock of the attempts; whether the one before has ended or not.
        let paced = !attempts.is_under_way() || attempts.latest().is_none_or(|at| now >= at + settings.polling());
        let on_the_clock = now >= attempts.next(settings.attempt_interval());
        let mut patience = Some(settings.polling().min(settings.attempt_interval()));
        let (probe, ask) = match &self.mode {
            Mode::Starting => (false, nobody()),
            Mode::Primary(PrimaryPhase::Searching) => (false, others()),
            Mode::Primary(_) => (false, self.look_around(now)),
            Mode::Standby(phase) | Mode::Witness(phase) => match phase {
                Phase::Entering { .. } if self.upstream.is_some() => {
                    patience = None;
                    (true, nobody())
                }
                Phase::Entering { .. } => (false, others()),
                Phase::Normal => (!attempts.is_under_way() || on_the_clock, self.look_around(now)),
                Phase::Reconnecting => (on_the_clock, nobody()),
                Phase::StoppingReceivers { .. } => (paced, siblings()),
                Phase::Electing { not_before } if now < *not_before => (paced, nobody()),
                Phase::Electing { .. } => {
                    patience = self.upstream_is_fresh(now).then_some(Duration::ZERO);
                    (true, siblings())
                }
                Phase::Promoting(Promotion::Running { .. }) => (false, nobody()),
                Phase::Validating { .. } | Phase::Promoting(_) | Phase::Degraded { .. } => (paced, others()),
                Phase::Waiting { .. } | Phase::VotingAgain { .. } => (paced, nobody()),
                Phase::Following(follow) => (paced, vec![follow.target]),
            },
        };
        Needs {
            upstream: self.upstream.filter(|_| probe),
            patience,
            ask,
        }
    }

    /// Whether the newest answer of the upstream is of this moment, as far as an election goes.
    pub(super) fn upstream_is_fresh(&self, now: Duration) -> bool {
        self.attempts
            .last()
            .is_some_and(|last| now.saturating_sub(last.at) <= FRESH)
    }
}
