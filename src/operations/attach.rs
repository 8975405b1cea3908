//! Can a node attach to a target, given where both are in the write-ahead
//! log? Shared by follow, rejoin and switchover.
//!
//! The decision is a function of what was observed; [`observe_target`] does
//! the asking. (PostgreSQL: "Timelines"; "Streaming Replication Protocol",
//! `IDENTIFY_SYSTEM` and `TIMELINE_HISTORY`.)

use std::fmt;

use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::postgres::{Connection, Deadlines, HistoryEntry, ReplicationConnection};
use crate::types::{Lsn, SystemIdentifier, TimelineId};

/// Where this node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPosition {
    /// From its own `pg_control`; `None` if that could not be read.
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline it is on.
    pub timeline: TimelineId,
    /// The last WAL it holds; `None` if that is not known.
    pub lsn: Option<Lsn>,
}

/// Where the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPosition {
    /// What `IDENTIFY_SYSTEM` says.
    pub system_identifier: SystemIdentifier,
    /// The timeline it is on now.
    pub timeline: TimelineId,
    /// The last WAL it holds; `None` if that is not known.
    pub lsn: Option<Lsn>,
    /// How its timeline came about; `None` if it was not asked or had no answer.
    pub history: Option<Vec<HistoryEntry>>,
}

/// Whether the node can attach, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both are on one timeline and the target has all that the node has.
    SameTimeline {
        /// Of both.
        timeline: TimelineId,
        /// The node's.
        local: Lsn,
        /// The target's.
        target: Lsn,
    },
    /// The target left the node's timeline at or after the node's position: it can follow it there.
    ForkedLater {
        /// The node's timeline.
        local_timeline: TimelineId,
        /// The target's timeline.
        target_timeline: TimelineId,
        /// The node's position.
        local: Lsn,
        /// Where the target left the node's timeline.
        fork: Lsn,
    },
    /// The node's history and the target's have parted: only pg_rewind or a new clone helps.
    Diverged(Divergence),
    /// It cannot, and rewinding would not help.
    Refused(Refusal),
}

/// How the two histories have parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// The target is on an older timeline than the node.
    TargetTimelineIsOlder {
        /// The node's.
        local: TimelineId,
        /// The target's.
        target: TimelineId,
    },
    /// The target left the node's timeline before the node's position.
    ForkedEarlier {
        /// The timeline that was left.
        timeline: TimelineId,
        /// Where the target left it.
        fork: Lsn,
        /// The node's position.
        local: Lsn,
    },
    /// The target's timeline does not descend from the node's.
    OtherBranch {
        /// The node's.
        local: TimelineId,
        /// The target's.
        target: TimelineId,
    },
}

/// Why the node cannot attach whatever is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// They are servers of different clusters.
    OtherCluster {
        /// The node's.
        local: SystemIdentifier,
        /// The target's.
        target: SystemIdentifier,
    },
    /// The node's own identity could not be read.
    LocalIdentityUnknown,
    /// On the same timeline, the node holds WAL that the target has not.
    LocalIsAhead {
        /// The node's position.
        local: Lsn,
        /// The target's position.
        target: Lsn,
    },
    /// The position of one of the two is not known.
    PositionUnknown,
    /// The target gave no history of its timeline.
    HistoryUnknown {
        /// The target's timeline.
        timeline: TimelineId,
    },
}

/// Decides whether the node can attach to the target.
pub fn decide(local: &LocalPosition, target: &TargetPosition) -> Verdict {
    match local.system_identifier {
        None => return Verdict::Refused(Refusal::LocalIdentityUnknown),
        Some(own) if own != target.system_identifier => {
            return Verdict::Refused(Refusal::OtherCluster {
                local: own,
                target: target.system_identifier,
            });
        }
        Some(_) => {}
    }
    if target.timeline < local.timeline {
        return Verdict::Diverged(Divergence::TargetTimelineIsOlder {
            local: local.timeline,
            target: target.timeline,
        });
    }
    let known = |lsn: Option<Lsn>| lsn.filter(|lsn| *lsn != Lsn::INVALID);
    let Some(local_lsn) = known(local.lsn) else {
        return Verdict::Refused(Refusal::PositionUnknown);
    };
    if target.timeline == local.timeline {
        return match known(target.lsn) {
            None => Verdict::Refused(Refusal::PositionUnknown),
            Some(target_lsn) if target_lsn < local_lsn => Verdict::Refused(Refusal::LocalIsAhead {
                local: local_lsn,
                target: target_lsn,
            }),
            Some(target_lsn) => Verdict::SameTimeline {
                timeline: local.timeline,
                local: local_lsn,
                target: target_lsn,
            },
        };
    }
    let Some(history) = &target.history else {
        return Verdict::Refused(Refusal::HistoryUnknown {
            timeline: target.timeline,
        });
    };
    match history.iter().find(|entry| entry.timeline == local.timeline) {
        None => Verdict::Diverged(Divergence::OtherBranch {
            local: local.timeline,
            target: target.timeline,
        }),
        Some(entry) if local_lsn > entry.switch_point => Verdict::Diverged(Divergence::ForkedEarlier {
            timeline: local.timeline,
            fork: entry.switch_point,
            local: local_lsn,
        }),
        Some(entry) => Verdict::ForkedLater {
            local_timeline: local.timeline,
            target_timeline: target.timeline,
            local: local_lsn,
            fork: entry.switch_point,
        },
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::SameTimeline {
                timeline,
                local,
                target,
            } => write!(
                formatter,
                "both are on timeline {timeline}; this node is at {local}, the target at {target}"
            ),
            Verdict::ForkedLater {
                local_timeline,
                target_timeline,
                local,
                fork,
            } => write!(
                formatter,
                "this node is on timeline {local_timeline} at {local}; the target left that timeline at {fork} \
                 and is on timeline {target_timeline}"
            ),
            Verdict::Diverged(divergence) => divergence.fmt(formatter),
            Verdict::Refused(refusal) => refusal.fmt(formatter),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Divergence::TargetTimelineIsOlder { local, target } => write!(
                formatter,
                "the target is on timeline {target}, which is older than this node's timeline {local}"
            ),
            Divergence::ForkedEarlier { timeline, fork, local } => write!(
                formatter,
                "the target left timeline {timeline} at {fork}, before this node's position {local}"
            ),
            Divergence::OtherBranch { local, target } => write!(
                formatter,
                "the target's timeline {target} does not descend from this node's timeline {local}"
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::OtherCluster { local, target } => write!(
                formatter,
                "system identifiers differ: {local} on this node, {target} on the target"
            ),
            Refusal::LocalIdentityUnknown => formatter.write_str("this node's system identifier could not be read"),
            Refusal::LocalIsAhead { local, target } => write!(
                formatter,
                "this node is at {local}, ahead of the target, which is at {target} on the same timeline"
            ),
            Refusal::PositionUnknown => {
                formatter.write_str("the write-ahead log position of one of the two could not be determined")
            }
            Refusal::HistoryUnknown { timeline } => {
                write!(
                    formatter,
                    "the target did not give the history of its timeline {timeline}"
                )
            }
        }
    }
}

/// Asks the target where it is. Its history is asked for if it is on a newer timeline than `local_timeline`.
///
/// Connects as the target's replication role; errors carry `failure` as their exit code.
pub async fn observe_target(
    connection: &Connection,
    record: &NodeRecord,
    local_timeline: TimelineId,
    failure: ExitCode,
) -> Result<TargetPosition> {
    let title = record.title();
    let replication = replication_connection(connection, record, failure).await?;
    let identity = replication.identify_system().await.map_err(|error| {
        Error::new(failure, format!("unable to identify the system of {title}")).detail(error.to_string())
    })?;
    let history = if identity.timeline > local_timeline {
        match replication.timeline_history(identity.timeline).await {
            Ok(history) => Some(history),
            Err(error) => {
                crate::warning!("{title} gave no history of timeline {}", identity.timeline);
                crate::detail!("{error}");
                None
            }
        }
    } else {
        None
    };
    Ok(TargetPosition {
        system_identifier: identity.system_identifier,
        timeline: identity.timeline,
        lsn: connection.node_lsn().await.ok(),
        history,
    })
}

/// A replication connection to the node that `connection` leads to, as its replication role.
pub async fn replication_connection(
    connection: &Connection,
    record: &NodeRecord,
    failure: ExitCode,
) -> Result<ReplicationConnection> {
    let conninfo = connection.conninfo().for_replication(&record.repluser);
    ReplicationConnection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            Error::new(
                failure,
                format!("unable to make a replication connection to {}", record.title()),
            )
            .detail(error.to_string())
            .detail(format!("connection string is \"{}\"", conninfo.redacted()))
            .hint("its pg_hba.conf must let this host's replication role in, and the role needs REPLICATION")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: SystemIdentifier = SystemIdentifier(7);

    fn local(timeline: u32, lsn: u64) -> LocalPosition {
        LocalPosition {
            system_identifier: Some(OWN),
            timeline: TimelineId(timeline),
            lsn: Some(Lsn(lsn)),
        }
    }

    fn target(timeline: u32, lsn: u64, history: &[(u32, u64)]) -> TargetPosition {
        TargetPosition {
            system_identifier: OWN,
            timeline: TimelineId(timeline),
            lsn: Some(Lsn(lsn)),
            history: Some(
                history
                    .iter()
                    .map(|(timeline, switch_point)| HistoryEntry {
                        timeline: TimelineId(*timeline),
                        switch_point: Lsn(*switch_point),
                    })
                    .collect(),
            ),
        }
    }

    #[test]
    fn a_server_of_another_cluster_is_refused_before_anything_else() {
        let mut other = target(1, 100, &[]);
        other.system_identifier = SystemIdentifier(8);
        assert!(matches!(
            decide(&local(1, 50), &other),
            Verdict::Refused(Refusal::OtherCluster { .. })
        ));
        let unknown = LocalPosition {
            system_identifier: None,
            ..local(1, 50)
        };
        assert_eq!(
            decide(&unknown, &target(1, 100, &[])),
            Verdict::Refused(Refusal::LocalIdentityUnknown)
        );
    }

    #[test]
    fn on_one_timeline_the_target_must_have_what_the_node_has() {
        for (own, its, attaches) in [(50, 100, true), (100, 100, true), (101, 100, false)] {
            let verdict = decide(&local(3, own), &target(3, its, &[]));
            assert_eq!(
                matches!(verdict, Verdict::SameTimeline { .. }),
                attaches,
                "{own} {its}: {verdict}"
            );
        }
    }

    #[test]
    fn positions_that_are_not_known_are_no_reason_to_go_on() {
        assert_eq!(
            decide(&local(1, 0), &target(1, 100, &[])),
            Verdict::Refused(Refusal::PositionUnknown)
        );
        let mut silent = target(1, 100, &[]);
        silent.lsn = None;
        assert_eq!(
            decide(&local(1, 50), &silent),
            Verdict::Refused(Refusal::PositionUnknown)
        );
    }

    #[test]
    fn an_older_timeline_of_the_target_means_that_histories_parted() {
        assert!(matches!(
            decide(&local(3, 50), &target(2, 100, &[])),
            Verdict::Diverged(Divergence::TargetTimelineIsOlder { .. })
        ));
    }

    #[test]
    fn the_fork_point_decides_if_the_target_is_on_a_newer_timeline() {
        for (own, attaches) in [(99, true), (100, true), (101, false)] {
            let verdict = decide(&local(1, own), &target(2, 500, &[(1, 100)]));
            assert_eq!(
                matches!(verdict, Verdict::ForkedLater { .. }),
                attaches,
                "{own}: {verdict}"
            );
        }
    }

    #[test]
    fn several_promotions_may_lie_between() {
        let far = target(4, 900, &[(1, 100), (2, 200), (3, 300)]);
        assert!(matches!(
            decide(&local(2, 150), &far),
            Verdict::ForkedLater { fork: Lsn(200), .. }
        ));
        assert!(matches!(
            decide(&local(2, 201), &far),
            Verdict::Diverged(Divergence::ForkedEarlier { .. })
        ));
    }

    #[test]
    fn another_branch_is_not_an_ancestor() {
        assert!(matches!(
            decide(&local(2, 10), &target(3, 900, &[(1, 100)])),
            Verdict::Diverged(Divergence::OtherBranch { .. })
        ));
    }

    #[test]
    fn without_history_nothing_is_assumed() {
        let mut silent = target(2, 900, &[]);
        silent.history = None;
        assert!(matches!(
            decide(&local(1, 10), &silent),
            Verdict::Refused(Refusal::HistoryUnknown { .. })
        ));
    }
}
