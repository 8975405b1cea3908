//! What only a person can put right. The daemon says so once, and goes on.

use std::time::Duration;

use crate::types::{NodeId, NodeType, RecoveryState};

use super::observation::{ConnectFailure, Observation, Seen};
use super::state::{Mode, Phase, PrimaryPhase, State};

/// How often a daemon whose cluster seems to be in order looks whether another node is a primary, too.
pub(super) const LOOK_AROUND: Duration = Duration::from_secs(30);

/// A state of the cluster that no daemon mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alarm {
    /// Beside the primary that this daemon serves or watches, this node is one, too.
    OtherPrimary(NodeId),
    /// The own server is out of recovery, and its record says standby.
    PromotedWithoutRecord,
    /// `repmgr.voting_term` has no row, without which nobody is elected.
    VotingTermMissing,
}

impl Alarm {
    /// What is the matter.
    pub fn sentence(self, state: &State) -> String {
        match self {
            Alarm::OtherPrimary(other) => {
                let beside = state.upstream.unwrap_or(state.own);
                format!("{} is a primary, and so is {}", state.title(other), state.title(beside))
            }
            Alarm::PromotedWithoutRecord => format!(
                "the server of {} is a primary, and its record says standby",
                state.title(state.own)
            ),
            Alarm::VotingTermMissing => "the table repmgr.voting_term has no row".to_owned(),
        }
    }

    /// What follows from it.
    pub fn consequence(self, state: &State) -> &'static str {
        match self {
            Alarm::OtherPrimary(_) if state.guarded => "only the one that holds the right to write commits anything",
            Alarm::OtherPrimary(_) => "both accept writes, and neither will take over those of the other",
            Alarm::PromotedWithoutRecord => "this node takes no part in failover",
            Alarm::VotingTermMissing => "there is no automatic failover",
        }
    }

    /// What a person can do.
    pub fn way_out(self) -> &'static str {
        match self {
            Alarm::OtherPrimary(_) => {
                "decide which one stays, stop the other, and make it a standby with \"repmgr node rejoin\""
            }
            Alarm::PromotedWithoutRecord => {
                "if it is to be the primary, run \"repmgr primary register --force\" there; else rejoin it"
            }
            Alarm::VotingTermMissing => "on the primary, run: INSERT INTO repmgr.voting_term (term) VALUES (1)",
        }
    }
}

impl State {
    /// The nodes to ask whether they are a primary beside the one that is there.
    pub(super) fn look_around(&self, now: Duration) -> Vec<NodeId> {
        let due = self
            .looked_around
            .is_none_or(|looked| now.saturating_sub(looked) >= LOOK_AROUND);
        if !due {
            return Vec::new();
        }
        match &self.mode {
            // An inactive one may be the former primary that was started again.
            Mode::Primary(PrimaryPhase::Normal) => self
                .nodes
                .iter()
                .filter(|node| node.id != self.own && is_server_of_data(node.node_type))
                .map(|node| node.id)
                .collect(),
            Mode::Standby(Phase::Normal) => self
                .alarms
                .iter()
                .filter_map(|alarm| match alarm {
                    Alarm::OtherPrimary(node) => Some(*node),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Takes note of what is the matter, by what this turn saw. What was not asked stays as it was.
    pub(super) fn watch_alarms(&mut self, seen: &Observation) {
        if matches!(
            self.mode,
            Mode::Primary(PrimaryPhase::Normal) | Mode::Standby(Phase::Normal)
        ) && !seen.others.is_empty()
        {
            self.looked_around = Some(seen.now);
        }
        if seen.local.recovery != RecoveryState::Unknown {
            let witness = matches!(self.mode, Mode::Witness(_));
            self.set_alarm(Alarm::VotingTermMissing, seen.local.voting_term.is_none() && !witness);
            let stands_by = matches!(self.mode, Mode::Standby(Phase::Normal | Phase::Degraded { .. }));
            let recorded = self
                .node(self.own)
                .is_some_and(|own| own.node_type == NodeType::Standby);
            self.set_alarm(
                Alarm::PromotedWithoutRecord,
                seen.local.recovery == RecoveryState::Primary && stands_by && recorded,
            );
        }
        self.watch_other_primaries(seen);
    }

    fn watch_other_primaries(&mut self, seen: &Observation) {
        let beside = match self.mode {
            Mode::Primary(PrimaryPhase::Normal) => Some(self.own),
            Mode::Standby(Phase::Normal) if !self.upstream_is_standby() => self.upstream.filter(|_| {
                self.attempts
                    .last()
                    .is_some_and(|last| last.answer == Ok(RecoveryState::Primary))
            }),
            Mode::Standby(Phase::Entering { .. }) => return,
            _ => None,
        };
        let Some(beside) = beside else {
            self.alarms.retain(|alarm| !matches!(alarm, Alarm::OtherPrimary(_)));
            return;
        };
        for other in seen.others.iter().filter(|other| other.node != beside) {
            let serves_data = self
                .node(other.node)
                .is_some_and(|node| is_server_of_data(node.node_type));
            if let Some(primary) = is_primary(other) {
                self.set_alarm(Alarm::OtherPrimary(other.node), primary && serves_data);
            }
        }
    }

    fn set_alarm(&mut self, alarm: Alarm, on: bool) {
        if on {
            self.alarms.insert(alarm);
        } else {
            self.alarms.remove(&alarm);
        }
    }
}

fn is_server_of_data(node_type: NodeType) -> bool {
    matches!(node_type, NodeType::Primary | NodeType::Standby)
}

/// Whether a node is a primary; `None` if its answer does not tell. Where nothing listens there is none.
fn is_primary(seen: &Seen) -> Option<bool> {
    match (seen.reached, seen.recovery) {
        (Err(ConnectFailure::Refused), _) => Some(false),
        (_, RecoveryState::Primary) => Some(true),
        (_, RecoveryState::Standby) => Some(false),
        (_, RecoveryState::Unknown) => None,
    }
}
