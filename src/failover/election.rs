//! Who is to be promoted: computed by every standby for itself, from what it sees.
//!
//! Daemons of the original compute the same in the same cluster, so the order of
//! the steps, the numbers and the ranking are theirs:
//!
//! * **visible** are the siblings that can be connected to, and this node;
//!   **shared** are the active siblings by the local records, and this node.
//!   The lost primary is in neither. A majority is *more than half* of shared.
//! * Candidates rank by WAL received, then priority, then the lower id.
//! * The original cannot ask a node without the server library, and passes it over.
//!   Where a daemon of the original is seen, so does this one, and itself if need be.
//! * This node may refuse where the original would promote. It never names
//!   another winner than the original would, but for nodes that cannot act
//!   (their daemon is dead or paused, or had its time and did not act).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

use super::observation::{Answer, Local, Node, Seen};
use super::settings::Settings;
use super::state::Resume;

/// The votes of an election, as seen by one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Nodes that were reached, this one included.
    pub visible: usize,
    /// Active nodes that share the lost upstream, this one included.
    pub shared: usize,
    /// All registered nodes.
    pub total: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {} nodes visible", self.visible, self.shared)
    }
}

impl Tally {
    /// Whether more than half of those that count are visible.
    pub fn is_majority(self) -> bool {
        self.visible * 2 > self.shared
    }
}

/// What an election looks at. All of it was asked in the turn that decides.
#[derive(Debug, Clone, Copy)]
pub struct Ballot<'a> {
    /// The parameters.
    pub settings: &'a Settings,
    /// This node's record.
    pub own: &'a Node,
    /// The lost primary's record.
    pub upstream: &'a Node,
    /// All records.
    pub nodes: &'a [Node],
    /// The own server.
    pub local: &'a Local,
    /// The siblings' answers.
    pub survey: &'a [Seen],
    /// Nodes that had their time and did not act.
    pub passed_over: &'a BTreeSet<NodeId>,
    /// How resuming a paused replay goes.
    pub resume: Resume,
    /// How long ago the primary was found lost; `None` if that is not known.
    pub lost_for: Option<Duration>,
}

/// How an election ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This node is to be promoted.
    Won(Tally),
    /// Another node is to be promoted; `None` if this one only knows that it is not itself.
    Lost(Option<NodeId>),
    /// This node takes no part.
    NotCandidate,
    /// Nobody is to be promoted by what this node sees.
    Cancelled,
    /// A sibling is a primary already and can be followed.
    PrimaryFound(NodeId),
    /// Replay is paused here and has to be resumed first.
    ResumeReplay,
}

/// How an election ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub outcome: Outcome,
    /// One sentence with the votes.
    pub reason: String,
    /// The nodes that are better placed than the winner, but dead, paused or past their time. An original would name
    /// one of them, and one that is only past its time may be about to take the place of another.
    pub instead_of: BTreeSet<NodeId>,
}

/// Why a node is left out that a daemon of the original could not ask.
const NO_LIBRARY: &str = "without the server library, beside an original";

/// What nodes are ranked by: greater is better.
type Rank = (Lsn, i32, std::cmp::Reverse<NodeId>);

fn verdict(outcome: Outcome, reason: impl Into<String>) -> Verdict {
    Verdict {
        outcome,
        reason: reason.into(),
        instead_of: BTreeSet::new(),
    }
}

/// Decides an election.
pub fn elect(ballot: &Ballot<'_>) -> Verdict {
    let Ballot {
        settings,
        own,
        upstream,
        local,
        ..
    } = *ballot;
    if local.voting_term.is_none() {
        return verdict(Outcome::NotCandidate, "the voting term cannot be read");
    }
    if !settings.automatic {
        return verdict(Outcome::NotCandidate, "failover is set to manual on this node");
    }
    if own.priority <= 0 {
        return verdict(Outcome::Lost(None), format!("this node's priority is {}", own.priority));
    }

    let mut siblings: Vec<&Node> = ballot
        .nodes
        .iter()
        .filter(|node| node.active && node.id != own.id && node.upstream == Some(upstream.id))
        .collect();
    siblings.sort_unstable_by_key(|node| node.id);
    let mut tally = Tally {
        visible: 1,
        shared: siblings.len() + 1,
        total: ballot.nodes.len(),
    };
    if siblings.is_empty() {
        if own.location != upstream.location {
            return verdict(
                Outcome::NotCandidate,
                format!(
                    "the lost primary is in location \"{}\" and the only standby, this one, in \"{}\"",
                    upstream.location, own.location
                ),
            );
        }
        if local.recovery == RecoveryState::Unknown {
            return verdict(Outcome::Lost(None), "the local server does not answer");
        }
        if ballot.passed_over.contains(&own.id) {
            return verdict(
                Outcome::Lost(None),
                "this node is the only one, and its promotion failed",
            );
        }
        if let Some(refusal) = primary_still_sends(ballot) {
            return refusal;
        }
        let behind = behind(own.id, local.replay_paused, local.apply_delay)
            .map_or(String::new(), |behind| format!("; WAL replay: {behind}"));
        return verdict(
            Outcome::Won(tally),
            format!("this node is the only one attached to the lost primary{behind}"),
        );
    }
    if local.recovery == RecoveryState::Unknown {
        return verdict(Outcome::Lost(None), "the local server does not answer");
    }
    if local.replay_paused == Answer::Yes {
        match ballot.resume {
            Resume::NotAsked | Resume::Asked => {
                return verdict(Outcome::ResumeReplay, "WAL replay is paused on this node");
            }
            Resume::Failed => return verdict(Outcome::Lost(None), "WAL replay is paused and could not be resumed"),
            Resume::Done => {}
        }
    }

    let mut location_seen = own.location == upstream.location;
    let mut primary_seen_by: Vec<NodeId> = Vec::new();
    let mut left_out: Vec<String> = Vec::new();
    let mut not_replayed: Vec<String> = Vec::from_iter(behind(own.id, local.replay_paused, local.apply_delay));
    let own_rank: Rank = (
        local.receive_lsn.unwrap_or(Lsn::INVALID),
        own.priority,
        std::cmp::Reverse(own.id),
    );
    let originals = ballot.survey.iter().any(|seen| seen.daemon_is_original == Answer::Yes);
    let own_obstacle = if ballot.passed_over.contains(&own.id) {
        Some("its promotion failed")
    } else if originals && local.library == Answer::No {
        Some(NO_LIBRARY)
    } else {
        None
    };
    let mut best: Option<(Rank, NodeId)> = own_obstacle.is_none().then_some((own_rank, own.id));
    if let Some(obstacle) = own_obstacle {
        left_out.push(format!("{} ({obstacle})", own.id));
    }
    let mut unjudged_primary = None;
    let mut watched_elsewhere = None;
    let mut unable: Vec<(Rank, NodeId)> = Vec::new();

    for node in siblings {
        let Some(seen) = ballot.survey.iter().find(|seen| seen.node == node.id) else {
            left_out.push(format!("{} (not asked)", node.id));
            continue;
        };
        if seen.reached.is_err() {
            left_out.push(format!("{} (not reached)", node.id));
            continue;
        }
        tally.visible += 1;
        location_seen |= node.location == upstream.location;
        if seen.recovery == RecoveryState::Unknown {
            left_out.push(format!("{} (status unreadable)", node.id));
            continue;
        }
        if seen.daemon_registered != Answer::Yes {
            left_out.push(format!("{} (no repmgrd)", node.id));
            continue;
        }
        if originals && seen.library == Answer::No {
            left_out.push(format!("{} ({NO_LIBRARY})", node.id));
            continue;
        }
        let witness = node.node_type == NodeType::Witness;
        if seen.recovery == RecoveryState::Primary && !witness {
            match seen.followable {
                Answer::Yes => {
                    return verdict(
                        Outcome::PrimaryFound(node.id),
                        format!("{} is already a primary", node.title()),
                    );
                }
                Answer::No => left_out.push(format!("{} (a primary that cannot be followed)", node.id)),
                Answer::Unknown => unjudged_primary = Some(node),
            }
            continue;
        }
        if seen.upstream == Some(upstream.id)
            && seen
                .upstream_last_seen
                .is_some_and(|age| age < settings.visibility_window())
        {
            primary_seen_by.push(node.id);
        }
        watched_elsewhere = watched_elsewhere.or_else(|| other_upstream(ballot, seen));
        if witness {
            continue;
        }
        not_replayed.extend(behind(node.id, seen.replay_paused, seen.apply_delay));
        if node.priority <= 0 {
            left_out.push(format!("{} (priority {})", node.id, node.priority));
            continue;
        }
        let rank: Rank = (
            seen.receive_lsn.unwrap_or(Lsn::INVALID),
            node.priority,
            std::cmp::Reverse(node.id),
        );
        let obstacle = if seen.daemon_running == Answer::No {
            "its repmgrd is dead"
        } else if seen.daemon_paused == Answer::Yes {
            "paused"
        } else if ballot.passed_over.contains(&node.id) {
            "was elected and did not act"
        } else {
            best = best.max(Some((rank, node.id)));
            continue;
        };
        left_out.push(format!("{} ({obstacle})", node.id));
        unable.push((rank, node.id));
    }

    let mut votes = tally.to_string();
    for (what, nodes) in [("left out", &left_out), ("WAL replay", &not_replayed)] {
        if !nodes.is_empty() {
            votes.push_str(&format!("; {what}: {}", nodes.join(", ")));
        }
    }
    if let Some(node) = unjudged_primary {
        return verdict(
            Outcome::Cancelled,
            format!(
                "{} is a primary, and whether this node can follow it is not known; {votes}",
                node.title()
            ),
        );
    }
    if let Some((other, sibling)) = watched_elsewhere {
        return verdict(
            Outcome::Cancelled,
            format!(
                "node {sibling} watches node {other}, which this node cannot judge and which may have been promoted; \
                 {votes}"
            ),
        );
    }
    if !location_seen {
        return verdict(
            Outcome::Cancelled,
            format!(
                "no node of the lost primary's location \"{}\" is visible; {votes}",
                upstream.location
            ),
        );
    }
    if settings.visibility_consensus && !primary_seen_by.is_empty() {
        let ids: Vec<String> = primary_seen_by.iter().map(NodeId::to_string).collect();
        return verdict(
            Outcome::Cancelled,
            format!("the primary is still seen by node {}; {votes}", ids.join(", ")),
        );
    }
    if !tally.is_majority() {
        return verdict(Outcome::Cancelled, format!("no majority: {votes}"));
    }
    if let Some(refusal) = primary_still_sends(ballot) {
        return refusal;
    }
    let seen_note = if primary_seen_by.is_empty() {
        String::new()
    } else {
        let ids: Vec<String> = primary_seen_by.iter().map(NodeId::to_string).collect();
        format!("; the primary is still seen by node {}", ids.join(", "))
    };
    let result = match best {
        Some((rank, id)) if id == own.id => verdict(
            Outcome::Won(tally),
            format!(
                "this node is the best candidate at {} with priority {}; {votes}{seen_note}",
                rank.0, rank.1
            ),
        ),
        Some((rank, id)) => verdict(
            Outcome::Lost(Some(id)),
            format!(
                "node {id} is the best candidate at {} with priority {}; {votes}{seen_note}",
                rank.0, rank.1
            ),
        ),
        None => verdict(
            Outcome::Lost(None),
            format!("there is no candidate; {votes}{seen_note}"),
        ),
    };
    Verdict {
        instead_of: unable
            .into_iter()
            .filter(|(rank, _)| best.is_some_and(|(best, _)| best < *rank))
            .map(|(_, id)| id)
            .collect(),
        ..result
    }
}

/// The node that a sibling of the lost primary watches in its place, and the sibling: somebody has promoted that node,
/// unless it answers here that it is a standby. Where this node does not reach it, a second one would be promoted.
fn other_upstream(ballot: &Ballot<'_>, seen: &Seen) -> Option<(NodeId, NodeId)> {
    let other = seen.upstream?;
    let recently = seen.upstream_last_seen? < ballot.settings.visibility_window();
    let a_standby = |answer: &Seen| answer.node == other && answer.recovery == RecoveryState::Standby;
    let elsewhere = other != ballot.upstream.id && other != ballot.own.id && other != seen.node;
    (elsewhere && recently && !ballot.survey.iter().any(a_standby)).then_some((other, seen.node))
}

/// What a person should know of a node that has not replayed all that it has received. It ranks by what it has
/// received like any other: a promotion replays the rest, without the delay.
fn behind(node: NodeId, paused: Answer, delay: Duration) -> Option<String> {
    if paused == Answer::Yes {
        Some(format!("{node} (paused)"))
    } else if !delay.is_zero() {
        Some(format!("{node} (delayed by {} s)", delay.as_secs_f64()))
    } else {
        None
    }
}

/// A refusal, if the own WAL receiver had a message from the primary after it was found lost: it lives, whatever
/// its other connections do.
fn primary_still_sends(ballot: &Ballot<'_>) -> Option<Verdict> {
    let age = ballot.local.wal_message_age?;
    let lost_for = ballot.lost_for?;
    (age < lost_for && age < ballot.settings.visibility_window()).then(|| {
        verdict(
            Outcome::Cancelled,
            format!(
                "the primary has been found lost for {:.1} s but sent WAL {:.1} s ago",
                lost_for.as_secs_f64(),
                age.as_secs_f64()
            ),
        )
    })
}
