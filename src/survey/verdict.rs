//! What is to be thought of a node, given what was seen of it: the Status and
//! Upstream cells of the tables, and the warnings with their reasons.

use super::probe::{Attached, Observation, OwnRecord, Reachability};
use crate::metadata::{Attachment, NodeRecord};
use crate::types::{NodeId, NodeType, RecoveryState};

/// The judgement on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The Status cell, such as `* running`.
    pub status: &'static str,
    /// The Upstream cell, such as `! node1`.
    pub upstream: String,
    /// What is wrong, in the original's order.
    pub warnings: Vec<String>,
    /// Something is wrong that the Status cell alone says.
    pub error: bool,
}

impl Verdict {
    /// Whether nothing is wrong with the node.
    pub fn is_good(&self) -> bool {
        self.warnings.is_empty() && !self.error
    }
}

/// Judges a node. `records` are those of the same survey; with `reasons` a connect failure is explained.
pub fn verdict(node: &Observation, records: &[&NodeRecord], reasons: bool) -> Verdict {
    let mut warnings = Vec::new();
    let title = node.record.title();
    if let Reachability::Rejected { reason } | Reachability::Down { reason } = &node.reachability {
        warnings.push(if reasons {
            format!("unable to connect to {title}: {reason}")
        } else {
            format!("unable to connect to {title}")
        });
    }
    let (status, error) = status(node, &title, &mut warnings);
    if node.replay_paused {
        warnings.push(format!(
            "WAL replay is paused on {title} with WAL to be replayed; it cannot be promoted until replay is resumed"
        ));
    }
    let upstream = upstream(node, records, &title, &mut warnings);
    Verdict {
        status,
        upstream,
        warnings,
        error,
    }
}

/// The Status cell, and whether it stands for an error that has no warning.
fn status(node: &Observation, title: &str, warnings: &mut Vec<String>) -> (&'static str, bool) {
    let role = match node.record.node_type {
        NodeType::Primary => "primary",
        NodeType::Standby => "standby",
        NodeType::Witness => return witness_status(node),
        NodeType::Unknown => return ("? unknown node type", true),
    };
    let active = node.record.active;
    match node.reachability {
        Reachability::Up => {}
        Reachability::Rejected { .. } if active => return ("? running", false),
        Reachability::Rejected { .. } => return ("! running", true),
        Reachability::Down { .. } if active => {
            warnings.push(format!("{title} is registered as an active {role} but is unreachable"));
            return ("? unreachable", false);
        }
        Reachability::Down { .. } => return ("- failed", true),
    }
    let (as_registered, cell, otherwise) = match node.record.node_type {
        NodeType::Primary => (RecoveryState::Primary, "* running", "! running as standby"),
        _ => (RecoveryState::Standby, "  running", "! running as primary"),
    };
    let actual = if role == "primary" { "standby" } else { "primary" };
    if node.recovery == as_registered {
        if active {
            return (cell, false);
        }
        warnings.push(format!("{title} is running, but its record is inactive"));
        return ("! running", false);
    }
    if node.recovery == RecoveryState::Unknown {
        warnings.push(format!("{title} does not say whether it is in recovery"));
        return (if active { "! unknown" } else { otherwise }, false);
    }
    warnings.push(format!("{title} is registered as {role} but running as {actual}"));
    (otherwise, false)
}

fn witness_status(node: &Observation) -> (&'static str, bool) {
    match (&node.reachability, node.record.active) {
        (Reachability::Up, true) => ("* running", false),
        (Reachability::Up, false) => ("! running", true),
        (Reachability::Rejected { .. }, true) => ("? rejected", false),
        (Reachability::Rejected { .. }, false) => ("! failed", true),
        (Reachability::Down { .. }, true) => ("? unreachable", false),
        (Reachability::Down { .. }, false) => ("- failed", true),
    }
}

fn upstream(node: &Observation, records: &[&NodeRecord], title: &str, warnings: &mut Vec<String>) -> String {
    let name_of = |id: Option<NodeId>| {
        let record = id.and_then(|id| records.iter().find(|record| record.node_id == id));
        record.map(|record| record.node_name.clone()).unwrap_or_default()
    };
    let title_of = |id: NodeId| {
        let record = records.iter().find(|record| record.node_id == id);
        record.map_or_else(|| format!("an unregistered node (ID: {id})"), |record| record.title())
    };
    let ours = node.record.upstream_node_id;
    let expected = name_of(ours);
    let Some(OwnRecord { node_type, upstream }) = node.own else {
        return format!("? {expected}");
    };
    match (node_type, upstream, ours) {
        (NodeType::Primary | NodeType::Unknown, ..) => String::new(),
        (NodeType::Standby, None, Some(ours)) => {
            warnings.push(format!(
                "{title} reports that it has no upstream (expected: {})",
                title_of(ours)
            ));
            "!".to_owned()
        }
        (NodeType::Standby, _, None) => String::new(),
        (NodeType::Witness, None, _) => {
            warnings.push(format!("{title} is a witness without an upstream"));
            "! ".to_owned()
        }
        (_, Some(reported), ours) if ours != Some(reported) => {
            let expected = ours.map_or_else(|| "none".to_owned(), title_of);
            warnings.push(format!(
                "{title} reports a different upstream (reported: {}; expected: {expected})",
                title_of(reported)
            ));
            format!("! {}", name_of(Some(reported)))
        }
        (_, Some(id), _) => confirmed(&node.attached, title, &title_of(id), &expected, warnings),
    }
}

/// The cell of a node whose upstream is the registered one.
fn confirmed(attached: &Attached, title: &str, upstream: &str, name: &str, warnings: &mut Vec<String>) -> String {
    let (mark, reason) = match attached {
        Attached::Asked(Attachment::Attached) => return name.to_owned(),
        Attached::Asked(Attachment::NotAttached { state }) => (
            '?',
            format!("{title} is attached to its upstream {upstream} in state \"{state}\""),
        ),
        Attached::Asked(Attachment::Detached) => ('!', format!("{title} is not attached to its upstream {upstream}")),
        Attached::Asked(Attachment::Unknown { reason }) => (
            '?',
            format!("unable to determine whether {title} is attached to its upstream {upstream}: {reason}"),
        ),
        Attached::NoRecord | Attached::NotAsked => {
            warnings.push(format!("the record of {upstream}, the upstream of {title}, is missing"));
            return format!("? {name}");
        }
        Attached::NoConnection => {
            warnings.push(format!("unable to connect to {upstream}, the upstream of {title}"));
            (
                '?',
                format!("unable to determine whether {title} is attached to its upstream {upstream}"),
            )
        }
    };
    warnings.push(reason);
    format!("{mark} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::DaemonState;
    use crate::types::TimelineId;

    fn record(id: i32, node_type: NodeType, upstream: Option<i32>, active: bool) -> NodeRecord {
        NodeRecord {
            node_id: NodeId(id),
            upstream_node_id: upstream.map(NodeId),
            active,
            node_name: format!("node{id}"),
            node_type,
            location: "default".to_owned(),
            priority: 100,
            conninfo: format!("host=node{id}"),
            repluser: "repmgr".to_owned(),
            slot_name: None,
            config_file: String::new(),
        }
    }

    fn seen(record: NodeRecord, recovery: RecoveryState) -> Observation {
        Observation {
            own: Some(OwnRecord {
                node_type: record.node_type,
                upstream: record.upstream_node_id,
            }),
            attached: Attached::Asked(Attachment::Attached),
            reachability: Reachability::Up,
            recovery,
            timeline: Some(TimelineId(1)),
            replay_paused: false,
            daemon: DaemonState::default(),
            right: None,
            record,
        }
    }

    fn judged(node: &Observation) -> Verdict {
        let primary = record(1, NodeType::Primary, None, true);
        let standby = record(2, NodeType::Standby, Some(1), true);
        verdict(node, &[&primary, &standby], false)
    }

    /// Every row of the reference's status table: cell, whether the state itself warns, whether it is an error.
    #[test]
    fn status_cells() {
        use NodeType::{Primary, Standby, Unknown, Witness};
        // type, reachability, recovery state, active; cell, warnings, error
        type Row = (
            NodeType,
            &'static str,
            Option<RecoveryState>,
            bool,
            &'static str,
            usize,
            bool,
        );
        let up = |state| Some(state);
        let rows: &[Row] = &[
            (Primary, "up", up(RecoveryState::Primary), true, "* running", 0, false),
            (Primary, "up", up(RecoveryState::Primary), false, "! running", 1, false),
            (
                Primary,
                "up",
                up(RecoveryState::Standby),
                true,
                "! running as standby",
                1,
                false,
            ),
            (
                Primary,
                "up",
                up(RecoveryState::Standby),
                false,
                "! running as standby",
                1,
                false,
            ),
            (Primary, "up", up(RecoveryState::Unknown), true, "! unknown", 1, false),
            (
                Primary,
                "up",
                up(RecoveryState::Unknown),
                false,
                "! running as standby",
                1,
                false,
            ),
            (Primary, "rejected", None, true, "? running", 1, false),
            (Primary, "rejected", None, false, "! running", 1, true),
            (Primary, "down", None, true, "? unreachable", 2, false),
            (Primary, "down", None, false, "- failed", 1, true),
            (Standby, "up", up(RecoveryState::Standby), true, "  running", 0, false),
            (Standby, "up", up(RecoveryState::Standby), false, "! running", 1, false),
            (
                Standby,
                "up",
                up(RecoveryState::Primary),
                true,
                "! running as primary",
                1,
                false,
            ),
            (
                Standby,
                "up",
                up(RecoveryState::Primary),
                false,
                "! running as primary",
                1,
                false,
            ),
            (Standby, "up", up(RecoveryState::Unknown), true, "! unknown", 1, false),
            (
                Standby,
                "up",
                up(RecoveryState::Unknown),
                false,
                "! running as primary",
                1,
                false,
            ),
            (Standby, "rejected", None, true, "? running", 1, false),
            (Standby, "rejected", None, false, "! running", 1, true),
            (Standby, "down", None, true, "? unreachable", 2, false),
            (Standby, "down", None, false, "- failed", 1, true),
            (Witness, "up", up(RecoveryState::Primary), true, "* running", 0, false),
            (Witness, "up", up(RecoveryState::Unknown), true, "* running", 0, false),
            (Witness, "up", up(RecoveryState::Primary), false, "! running", 0, true),
            (Witness, "rejected", None, true, "? rejected", 1, false),
            (Witness, "rejected", None, false, "! failed", 1, true),
            (Witness, "down", None, true, "? unreachable", 1, false),
            (Witness, "down", None, false, "- failed", 1, true),
            (
                Unknown,
                "up",
                up(RecoveryState::Primary),
                true,
                "? unknown node type",
                0,
                true,
            ),
        ];
        for &(node_type, reach, recovery, active, cell, warnings, error) in rows {
            let upstream = matches!(node_type, Standby | Witness).then_some(1);
            let mut node = seen(
                record(2, node_type, upstream, active),
                recovery.unwrap_or(RecoveryState::Unknown),
            );
            let reason = "no route".to_owned();
            match reach {
                "rejected" => node.reachability = Reachability::Rejected { reason },
                "down" => node.reachability = Reachability::Down { reason },
                _ => {}
            }
            if reach != "up" {
                node.own = None;
            }
            let verdict = judged(&node);
            assert_eq!(
                (verdict.status, verdict.warnings.len(), verdict.error),
                (cell, warnings, error),
                "{node_type} {reach} {recovery:?} active={active}: {:?}",
                verdict.warnings
            );
        }
    }

    /// Every row of the reference's upstream table.
    #[test]
    fn upstream_cells() {
        use NodeType::{Primary, Standby, Witness};
        let asked = |attachment| Attached::Asked(attachment);
        let state = "catchup".to_owned();
        let reason = "why".to_owned();
        let not_asked = || Attached::NotAsked;
        // type, registered upstream, own record (type, upstream), upstream's answer, cell, warnings
        type Row = (
            NodeType,
            Option<i32>,
            Option<(NodeType, Option<i32>)>,
            Attached,
            &'static str,
            usize,
        );
        let rows: Vec<Row> = vec![
            (Standby, Some(1), None, not_asked(), "? node1", 0),
            (Primary, None, None, not_asked(), "? ", 0),
            (Primary, None, Some((Primary, None)), not_asked(), "", 0),
            (Standby, Some(1), Some((Primary, None)), not_asked(), "", 0),
            (
                Standby,
                Some(1),
                Some((Standby, Some(1))),
                asked(Attachment::Attached),
                "node1",
                0,
            ),
            (
                Standby,
                Some(1),
                Some((Standby, Some(1))),
                asked(Attachment::NotAttached { state }),
                "? node1",
                1,
            ),
            (
                Standby,
                Some(1),
                Some((Standby, Some(1))),
                asked(Attachment::Detached),
                "! node1",
                1,
            ),
            (
                Standby,
                Some(1),
                Some((Standby, Some(1))),
                asked(Attachment::Unknown { reason }),
                "? node1",
                1,
            ),
            (
                Standby,
                Some(1),
                Some((Standby, Some(1))),
                Attached::NoConnection,
                "? node1",
                2,
            ),
            (Standby, Some(7), Some((Standby, Some(7))), Attached::NoRecord, "? ", 1),
            (Standby, Some(1), Some((Standby, None)), not_asked(), "!", 1),
            (Standby, Some(1), Some((Standby, Some(2))), not_asked(), "! node2", 1),
            (Standby, None, Some((Standby, Some(1))), not_asked(), "", 0),
            (Witness, Some(1), Some((Witness, None)), not_asked(), "! ", 1),
            (Witness, Some(1), Some((Witness, Some(2))), not_asked(), "! node2", 1),
            (
                Witness,
                Some(1),
                Some((Witness, Some(1))),
                Attached::NoConnection,
                "? node1",
                2,
            ),
            (Witness, Some(7), Some((Witness, Some(7))), Attached::NoRecord, "? ", 1),
            (
                Witness,
                Some(1),
                Some((Witness, Some(1))),
                asked(Attachment::Attached),
                "node1",
                0,
            ),
        ];
        for (node_type, registered, own, attached, cell, warnings) in rows {
            let recovery = if node_type == Standby {
                RecoveryState::Standby
            } else {
                RecoveryState::Primary
            };
            let mut node = seen(record(3, node_type, registered, true), recovery);
            node.own = own.map(|(node_type, upstream)| OwnRecord {
                node_type,
                upstream: upstream.map(NodeId),
            });
            node.attached = attached;
            let verdict = judged(&node);
            assert_eq!(
                (verdict.upstream.as_str(), verdict.warnings.len()),
                (cell, warnings),
                "{node:?}: {:?}",
                verdict.warnings
            );
        }
    }

    #[test]
    fn warnings_come_in_the_order_connect_state_replay_upstream() {
        let mut node = seen(record(3, NodeType::Standby, Some(1), false), RecoveryState::Standby);
        node.replay_paused = true;
        node.attached = Attached::Asked(Attachment::Detached);
        insta::assert_snapshot!(judged(&node).warnings.join("\n"), @r#"
        node "node3" (ID: 3) is running, but its record is inactive
        WAL replay is paused on node "node3" (ID: 3) with WAL to be replayed; it cannot be promoted until replay is resumed
        node "node3" (ID: 3) is not attached to its upstream node "node1" (ID: 1)
        "#);
    }

    #[test]
    fn the_reason_of_a_connect_failure_shows_on_request() {
        let mut node = seen(record(1, NodeType::Primary, None, true), RecoveryState::Unknown);
        node.reachability = Reachability::Down {
            reason: "connection refused".to_owned(),
        };
        let primary = node.record.clone();
        assert!(!verdict(&node, &[&primary], false).warnings[0].contains("refused"));
        assert!(verdict(&node, &[&primary], true).warnings[0].contains("refused"));
        assert!(!verdict(&node, &[&primary], true).is_good());
    }
}
