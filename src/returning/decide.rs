//! The decision.

use super::ATTEMPTS;
use super::observation::{Histories, Holder, Observation, Server, Voters};
use super::rules::Rule;
use crate::config::Rejoin;
use crate::failover::Answer;
use crate::types::NodeId;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and it is not looked at again before something changes.
    Nothing,
    /// Nothing yet; look again.
    Wait,
    /// Let the own server have the right again although the other node was the last to be accepted.
    TakeAgain,
    /// Stop the own server.
    Stop,
    /// Make the stopped server a standby.
    Return(Course),
    /// Call a person, once.
    CallPerson,
}

/// How a stopped server becomes a standby of the new primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Configured as a standby and started.
    Follow,
    /// Rewound before, if that is needed.
    Rewind,
    /// Cloned again.
    Clone,
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rule that applied.
    pub rule: Rule,
    /// One sentence for a person.
    pub reason: String,
    /// What follows.
    pub action: Action,
}

fn decided(rule: Rule, action: Action, reason: impl Into<String>) -> Decision {
    Decision {
        rule,
        reason: reason.into(),
        action,
    }
}

/// Decides what becomes of the own server.
pub fn decide(seen: &Observation) -> Decision {
    match seen.server {
        Server::Primary {
            holds: true,
            enforcing: Answer::Yes | Answer::Unknown,
        } => {
            return decided(
                Rule::NothingToReturn,
                Action::Nothing,
                "the local server holds the right",
            );
        }
        Server::Unknown => {
            let reason = "the local server does not answer, and is not known to be gone";
            return decided(Rule::ServerUnknown, Action::Wait, reason);
        }
        Server::ShutDown => {
            let reason = "the local server was shut down by somebody, who is to start it again";
            return decided(Rule::ServerShutDown, Action::Nothing, reason);
        }
        Server::Primary {
            enforcing: Answer::No, ..
        } => {
            let reason = "the right to write is switched on, and the local server, a primary, enforces nothing: \
                          \"repmgr\" is not in its shared_preload_libraries";
            return decided(Rule::EnforcesNothing, Action::Stop, reason);
        }
        Server::Primary { .. } | Server::Standby | Server::Crashed | Server::Stopped => {}
    }
    let (holder, epoch, runs) = match &seen.voters {
        Voters::TooFew { missing } => {
            if missing.is_empty() {
                return decided(Rule::TooFewVoters, Action::Wait, "etcd does not answer");
            }
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let reason = format!(
                "no majority of the voters answers; missing: nodes {}",
                missing.join(", ")
            );
            return decided(Rule::TooFewVoters, Action::Wait, reason);
        }
        Voters::AtOdds => {
            let reason = "no majority of the voters has accepted the same node";
            return decided(Rule::VotersAtOdds, Action::Wait, reason);
        }
        Voters::Agree { holder, .. } if *holder == seen.own => {
            let reason = match seen.server {
                Server::Primary { .. } | Server::Standby => "this node was the last to have the right",
                _ => "this node was the last to have the right, and its server is to be started again",
            };
            return decided(Rule::LastHolder, Action::Wait, reason);
        }
        Voters::Agree {
            holder, epoch, runs, ..
        } => (*holder, *epoch, *runs),
    };
    match &seen.holder {
        Holder::Unseen(why) => {
            let reason = format!("node {holder}, which had the right in epoch {epoch}, does not answer: {why}");
            return decided(Rule::HolderUnseen, Action::Wait, reason);
        }
        Holder::InRecovery if runs || seen.server == Server::Standby => {
            let reason = format!("node {holder} was granted the right in epoch {epoch} and is still in recovery");
            return decided(Rule::HolderNotPromoted, Action::Wait, reason);
        }
        Holder::InRecovery => return not_promoted(seen, holder.0, epoch),
        Holder::Primary => {}
    }
    match seen.server {
        Server::Standby => past_the_fork(seen, holder.0, epoch),
        _ => overtaken(seen, holder.0, epoch),
    }
}

/// A standby that receives nothing: whether it could.
fn past_the_fork(seen: &Observation, holder: i32, epoch: u64) -> Decision {
    let primary = format!("node {holder} has been promoted with the right in epoch {epoch}");
    let how = match &seen.histories {
        Histories::Joined | Histories::SameTimeline => {
            let reason = format!("{primary}, and this standby can follow it");
            return decided(Rule::NothingToReturn, Action::Nothing, reason);
        }
        Histories::Unknown(why) => {
            return decided(Rule::HistoriesUnknown, Action::Wait, format!("{primary}; {why}"));
        }
        Histories::Foreign(why) => {
            return decided(Rule::NoRelation, Action::CallPerson, format!("{primary}; {why}"));
        }
        Histories::Parted { how, .. } => how,
    };
    let reason = format!("{primary}; {how}");
    // A standby does no harm where it is.
    match seen.policy {
        Rejoin::Manual | Rejoin::Follow => decided(Rule::PastTheFork, Action::CallPerson, reason),
        _ if seen.failures >= ATTEMPTS => given_up(seen, &reason),
        Rejoin::Rewind | Rejoin::Clone if needs_vote(seen) => vote_needed(&reason),
        Rejoin::Rewind | Rejoin::Clone if seen.past_the_fork < looks_before_stop(seen.own) => decided(
            Rule::PastTheFork,
            Action::Wait,
            format!("{reason}; others may go first"),
        ),
        Rejoin::Rewind | Rejoin::Clone => decided(Rule::PastTheFork, Action::Stop, reason),
    }
}

/// An overtaken primary that has just come goes first, and of several standbys one: two that stop at the same moment could
/// take the majority away, without which neither comes back.
fn looks_before_stop(own: NodeId) -> u32 {
    1 + own.0.unsigned_abs() % 4
}

/// Whether there is no majority without this node, whose vote is not there while its server is stopped.
fn needs_vote(seen: &Observation) -> bool {
    matches!(
        seen.voters,
        Voters::Agree {
            others_suffice: false,
            ..
        }
    )
}

fn vote_needed(reason: &str) -> Decision {
    let reason = format!("{reason}; without this node's vote there is no majority");
    decided(Rule::VoteNeeded, Action::Wait, reason)
}

fn given_up(seen: &Observation, reason: &str) -> Decision {
    let reason = format!("{reason}; {} attempts to come back failed", seen.failures);
    decided(Rule::GivenUp, Action::CallPerson, reason)
}

fn not_promoted(seen: &Observation, holder: i32, epoch: u64) -> Decision {
    let reason = format!("node {holder} had the right in epoch {epoch}, which has ended, and is in recovery");
    // What crashed or was stopped goes on when it is started again.
    let action = match seen.server {
        Server::Primary { .. } => Action::TakeAgain,
        _ => Action::Wait,
    };
    // It may be a standby again, after it was a primary whose commits this node does not have.
    match &seen.histories {
        Histories::Joined | Histories::Parted { .. } => {
            let reason = format!("{reason}, on a timeline that this node is not on");
            decided(Rule::HolderUnseen, Action::Wait, reason)
        }
        Histories::SameTimeline => decided(Rule::NotOvertaken, action, reason),
        Histories::Unknown(why) => decided(Rule::HistoriesUnknown, Action::Wait, format!("{reason}; {why}")),
        Histories::Foreign(why) => decided(Rule::NoRelation, Action::CallPerson, format!("{reason}; {why}")),
    }
}

fn overtaken(seen: &Observation, holder: i32, epoch: u64) -> Decision {
    let primary = format!("node {holder} has been promoted with the right in epoch {epoch}");
    let how = match &seen.histories {
        Histories::Unknown(why) => {
            return decided(Rule::HistoriesUnknown, Action::Wait, format!("{primary}; {why}"));
        }
        Histories::Foreign(why) => {
            return decided(Rule::NoRelation, Action::CallPerson, format!("{primary}; {why}"));
        }
        // A rewind goes over to the new primary's timeline before the server is a standby.
        Histories::SameTimeline if seen.rewind_failed => "this node has been rewound, and is no standby yet".to_owned(),
        Histories::SameTimeline => {
            let reason = format!("{primary}, and is on the very timeline of this node");
            return decided(Rule::NoRelation, Action::CallPerson, reason);
        }
        Histories::Joined => "this node has nothing that it has not".to_owned(),
        Histories::Parted { how, .. } => how.clone(),
    };
    let reason = format!("{primary}; {how}");
    if let Server::Primary { .. } = seen.server {
        return match needs_vote(seen) {
            true => vote_needed(&reason),
            false => decided(Rule::Overtaken, Action::Stop, reason),
        };
    }
    if seen.policy == Rejoin::Manual {
        return decided(Rule::OvertakenWaits, Action::CallPerson, reason);
    }
    if seen.failures >= ATTEMPTS {
        return given_up(seen, &reason);
    }
    let joined = seen.histories == Histories::Joined;
    let (rule, course) = match seen.policy {
        _ if joined && seen.failures == 0 => (Rule::ReturnsByFollowing, Course::Follow),
        Rejoin::Manual | Rejoin::Follow => return decided(Rule::NotAllowed, Action::CallPerson, reason),
        Rejoin::Clone if seen.rewind_failed => (Rule::ReturnsByClone, Course::Clone),
        Rejoin::Rewind | Rejoin::Clone => (Rule::ReturnsByRewind, Course::Rewind),
    };
    decided(rule, Action::Return(course), reason)
}
