//! What to do, decided: state and observation in, decision with its reason out.
//!
//! Pure: no clock, no socket, no file, no async. The daemon and the simulator
//! drive the very same [`step`].
//!
//! # How the daemon drives it
//!
//! ```text
//! let mut state = State::new(own_id);
//! loop {
//!     let needs = state.needs(&settings, now());
//!     let observation = gather(needs);             // everything at the same time, each with its deadline
//!     let decision = failover::step(&settings, &state, &observation);
//!     log(decision.rule, decision.reason);         // when the rule or the state's name changed
//!     state = decision.next;
//!     for action in decision.actions { carry_out(action); }   // in this order
//!     wait until decision.wake_at, a result or a signal
//! }
//! ```
//!
//! * Every turn reads the own server ([`Local`]) and all of `repmgr.nodes` from it. A server that does not
//!   answer is [`Local::silent`], and `nodes` is `None`.
//! * [`State::needs`] names the node to probe as upstream ([`Needs::upstream`], by `connection_check_type`; a
//!   success with the server's recovery state) and the nodes to ask ([`Needs::ask`], one [`Seen`] each; those
//!   out of recovery are also asked whether the own server could follow them). What was not asked is absent.
//! * A probe runs beside the loop, within a deadline of its own. The turn that starts it says so
//!   ([`Observation::started`]) and waits for the first answer for [`Needs::patience`]. The end of each is
//!   given once, in [`Observation::probes`]; one that comes between two turns makes the next one due at once.
//! * Actions whose documentation says *(result)* run beside the loop. Their result is given once, in
//!   [`Observation::finished`] of the next turn. The core has its own limit for each and never waits for ever;
//!   a result that comes later than that is ignored, except a promotion's, which is judged by the server's
//!   recovery state in any case.
//! * `now` is monotonic time since the daemon's start. `wake_at` is on the same scale.
//! * [`Action::Exit`] is the last one of its decision. There is no exit because a server is down.
//! * A reload builds new [`Settings`] and keeps the [`State`].
//! * Status lines, child nodes, monitoring history and the witness's periodic copy are the daemon's; it
//!   reads [`State::mode`], [`State::upstream`], [`State::primary`] and [`State::is_degraded`] for them.
//!
//! # What a later exclusive vote needs
//!
//! An election ends in [`Phase::Validating`] or [`Phase::Promoting`]; a phase in which a ballot is put to the voters
//! stands between them and changes nothing else: ranking, quorum and reasons stay as they are.

mod action;
mod alarms;
mod attempts;
#[cfg(test)]
mod attempts_tests;
mod degraded;
#[cfg(test)]
mod driven;
pub mod election;
#[cfg(test)]
mod election_tests;
mod follower;
mod following;
mod manual;
mod needs;
mod observation;
mod primary;
mod promoting;
mod reconnecting;
mod rules;
mod settings;
mod state;
#[cfg(test)]
mod step_tests;
mod turn;
mod voting;
#[cfg(test)]
mod voting_tests;
#[cfg(test)]
mod weakness_tests;

use std::time::Duration;

use crate::types::NodeType;

pub use action::{Action, Announcement, Where};
pub use alarms::Alarm;
pub use attempts::{Answered, Attempts};
pub use election::Tally;
pub use manual::manual;
pub use needs::Needs;
pub use observation::{
    Answer, CommandEnd, ConnectFailure, Finished, Local, Node, Notification, Observation, Probe, ProbeEnd,
    RecordChange, Right, Seen, Verdict, describe, verdict,
};
pub use rules::Rule;
pub use settings::Settings;
pub use state::{
    Cause, Decision, Follow, FollowStep, LocalServer, Mode, Overtaking, Phase, PrimaryPhase, Promotion, Resume, State,
};

/// Decides one turn.
pub fn step(settings: &Settings, state: &State, observation: &Observation) -> Decision {
    let turn = turn::Turn::new(settings, state, observation);
    let mut decision = match state.mode.clone() {
        Mode::Starting => begin(turn),
        Mode::Primary(phase) => turn.primary(phase),
        Mode::Standby(phase) | Mode::Witness(phase) => turn.follower(phase),
    };
    decision.next.watch_alarms(observation);
    decision
}

/// Chooses the mode by the type in the own record.
fn begin(mut turn: turn::Turn<'_>) -> Decision {
    let Some(own) = turn.own().cloned() else {
        return turn.decide_paced(Rule::RecordsUnknown, "the own record could not be read");
    };
    let entering = Phase::Entering {
        search: false,
        until: turn.now + turn.settings.monitor_interval.max(Duration::from_secs(1)),
    };
    let reason = format!("{} is registered as {}", own.title(), own.node_type);
    let rule = match own.node_type {
        NodeType::Primary => {
            turn.begin_primary();
            Rule::BeginPrimary
        }
        NodeType::Standby => {
            turn.next.mode = Mode::Standby(entering);
            Rule::BeginStandby
        }
        NodeType::Witness => {
            turn.next.mode = Mode::Witness(entering);
            Rule::BeginWitness
        }
        NodeType::Unknown => return turn.decide_paced(Rule::UnknownType, reason),
    };
    turn.decide_at_once(rule, reason)
}
