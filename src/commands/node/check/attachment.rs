//! `--upstream` and `--downstream`: who is attached to whom.

use futures_util::future::join_all;

use super::{Node, Outcome};
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::output::CheckStatus;
use crate::survey;
use crate::types::{NodeType, RecoveryState};

/// What the upstream says of this node.
enum Seen {
    Answered(Attachment),
    NotConnected(String),
}

/// This node is attached to its registered upstream.
pub async fn upstream(node: &Node<'_>) -> Outcome {
    let own = &node.own;
    let record = match own.upstream_node_id {
        Some(id) if own.node_type != NodeType::Witness => match nodes::by_id(node.connection, id).await {
            Ok(record) => record,
            Err(error) => return Outcome::unknown("read the record of the upstream", error),
        },
        _ => None,
    };
    let Some(record) = record else {
        let recovery = node.recovery().await;
        return without_upstream(own, recovery.unwrap_or(RecoveryState::Unknown));
    };
    let seen = match survey::connect(&record, node.deadlines()).await {
        Ok(connection) => Seen::Answered(attachment(&connection, &own.node_name).await),
        Err(error) => Seen::NotConnected(error.message),
    };
    upstream_verdict(own, &record, &seen)
}

/// What it is counts, not what it is registered as: that is `--role`.
fn without_upstream(own: &NodeRecord, recovery: RecoveryState) -> Outcome {
    let outcome = match (own.node_type, recovery) {
        (NodeType::Witness, _) => Outcome::new(CheckStatus::Ok, "N/A - node is a witness"),
        (_, RecoveryState::Standby) => Outcome::new(
            CheckStatus::Critical,
            format!("{} is a standby but no upstream record found", own.title()),
        ),
        (_, RecoveryState::Primary) => Outcome::new(CheckStatus::Ok, "N/A - node is primary"),
        (_, RecoveryState::Unknown) => Outcome::new(CheckStatus::Unknown, "the server does not say what it is"),
    };
    outcome
        .measure("upstream_node_id", None::<i32>)
        .measure("upstream_node_name", None::<String>)
        .measure("attached", None::<bool>)
}

fn upstream_verdict(own: &NodeRecord, upstream: &NodeRecord, seen: &Seen) -> Outcome {
    let (own, title) = (own.title(), upstream.title());
    let (attached, outcome) = match seen {
        Seen::Answered(Attachment::Attached) => (
            Some(true),
            Outcome::new(
                CheckStatus::Ok,
                format!("{own} is attached to expected upstream {title}"),
            ),
        ),
        Seen::Answered(Attachment::NotAttached { .. } | Attachment::Detached) => (
            Some(false),
            Outcome::new(
                CheckStatus::Critical,
                format!("{own} is not attached to expected upstream {title}"),
            ),
        ),
        Seen::Answered(Attachment::Unknown { reason }) => (
            None,
            Outcome::unknown(
                &format!("determine whether {own} is attached to expected upstream {title}"),
                reason,
            ),
        ),
        Seen::NotConnected(reason) => (
            None,
            Outcome::new(
                CheckStatus::Critical,
                format!("{own} is unable to connect to expected upstream {title}: {reason}"),
            ),
        ),
    };
    outcome
        .measure("upstream_node_id", upstream.node_id.0)
        .measure("upstream_node_name", upstream.node_name.clone())
        .measure("attached", attached)
}

/// All standbys registered below this node are attached to it.
pub async fn downstream(node: &Node<'_>) -> Outcome {
    let records = match node.downstream().await {
        Ok(records) => records,
        Err(error) => return Outcome::unknown("read the records of the downstream nodes", error),
    };
    let standbys = records.iter().filter(|record| record.node_type != NodeType::Witness);
    let asked = join_all(standbys.map(|record| async move {
        let attached = attachment(node.connection, &record.node_name).await == Attachment::Attached;
        (record, attached)
    }));
    downstream_verdict(node.own.node_type, &asked.await)
}

fn downstream_verdict(own: NodeType, standbys: &[(&NodeRecord, bool)]) -> Outcome {
    let missing: Vec<&NodeRecord> = standbys
        .iter()
        .filter(|(_, attached)| !attached)
        .map(|(record, _)| *record)
        .collect();
    let (total, attached) = (standbys.len(), standbys.len() - missing.len());
    if own == NodeType::Witness {
        return counted(CheckStatus::Ok, "N/A - node is a witness", attached, &missing);
    }
    if total == 0 {
        return counted(CheckStatus::Ok, "this node has no downstream nodes", 0, &[]);
    }
    if missing.is_empty() {
        let details = format!("{attached} of {total} downstream nodes attached");
        return counted(CheckStatus::Ok, &details, attached, &[]);
    }
    let names: Vec<String> = missing
        .iter()
        .map(|record| format!("{} (ID: {})", record.node_name, record.node_id))
        .collect();
    let (text, names) = (
        format!("{} of {total} downstream nodes not attached", missing.len()),
        names.join(", "),
    );
    counted(
        CheckStatus::Critical,
        &format!("{text}; missing: {names}"),
        attached,
        &missing,
    )
    .nagios(format!("{text} (missing: {names})"))
}

fn counted(status: CheckStatus, details: &str, attached: usize, missing: &[&NodeRecord]) -> Outcome {
    let ids: Vec<i32> = missing.iter().map(|record| record.node_id.0).collect();
    Outcome::new(status, details)
        .performance(format!("attached={attached}, missing={}", missing.len()))
        .metrics(format!("attached={attached} missing={}", missing.len()))
        .measure("attached", attached)
        .measure("missing_node_ids", ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeId;

    fn record(id: i32, node_type: NodeType) -> NodeRecord {
        NodeRecord {
            node_id: NodeId(id),
            upstream_node_id: None,
            active: true,
            node_name: format!("node{id}"),
            node_type,
            location: String::new(),
            priority: 100,
            conninfo: String::new(),
            repluser: String::new(),
            slot_name: None,
            config_file: String::new(),
        }
    }

    fn of_upstream(seen: Seen) -> String {
        let (own, upstream) = (record(2, NodeType::Standby), record(1, NodeType::Primary));
        upstream_verdict(&own, &upstream, &seen).nagios_line("REPMGR_UPSTREAM_SERVER")
    }

    #[test]
    fn what_the_upstream_says_decides() {
        let all = [
            of_upstream(Seen::Answered(Attachment::Attached)),
            of_upstream(Seen::Answered(Attachment::Detached)),
            of_upstream(Seen::Answered(Attachment::NotAttached {
                state: "catchup".to_owned(),
            })),
            of_upstream(Seen::Answered(Attachment::Unknown {
                reason: "2 of that name".to_owned(),
            })),
            of_upstream(Seen::NotConnected("refused".to_owned())),
        ];
        insta::assert_snapshot!(all.concat(), @r#"
        REPMGR_UPSTREAM_SERVER OK: node "node2" (ID: 2) is attached to expected upstream node "node1" (ID: 1)
        REPMGR_UPSTREAM_SERVER CRITICAL: node "node2" (ID: 2) is not attached to expected upstream node "node1" (ID: 1)
        REPMGR_UPSTREAM_SERVER CRITICAL: node "node2" (ID: 2) is not attached to expected upstream node "node1" (ID: 1)
        REPMGR_UPSTREAM_SERVER UNKNOWN: unable to determine whether node "node2" (ID: 2) is attached to expected upstream node "node1" (ID: 1): 2 of that name
        REPMGR_UPSTREAM_SERVER CRITICAL: node "node2" (ID: 2) is unable to connect to expected upstream node "node1" (ID: 1): refused
        "#);
    }

    #[test]
    fn only_a_standby_must_have_an_upstream() {
        let lines = [
            (NodeType::Standby, RecoveryState::Primary),
            (NodeType::Primary, RecoveryState::Standby),
            (NodeType::Standby, RecoveryState::Unknown),
            (NodeType::Witness, RecoveryState::Primary),
        ]
        .map(|(node_type, recovery)| without_upstream(&record(2, node_type), recovery).text_line());
        insta::assert_snapshot!(lines.concat(), @r#"
        OK (N/A - node is primary)
        CRITICAL (node "node2" (ID: 2) is a standby but no upstream record found)
        UNKNOWN (the server does not say what it is)
        OK (N/A - node is a witness)
        "#);
    }

    #[test]
    fn missing_downstream_nodes_are_named() {
        let (two, three) = (record(2, NodeType::Standby), record(3, NodeType::Standby));
        let lines = |standbys: &[(&NodeRecord, bool)]| {
            let outcome = downstream_verdict(NodeType::Primary, standbys);
            outcome.text_line() + &outcome.nagios_line("REPMGR_DOWNSTREAM_SERVERS")
        };
        insta::assert_snapshot!(lines(&[]) + &lines(&[(&two, true), (&three, true)]), @r"
        OK (this node has no downstream nodes)
        REPMGR_DOWNSTREAM_SERVERS OK: this node has no downstream nodes | attached=0, missing=0
        OK (2 of 2 downstream nodes attached)
        REPMGR_DOWNSTREAM_SERVERS OK: 2 of 2 downstream nodes attached | attached=2, missing=0
        ");
        insta::assert_snapshot!(lines(&[(&two, false), (&three, false)]), @r"
        CRITICAL (2 of 2 downstream nodes not attached; missing: node2 (ID: 2), node3 (ID: 3))
        REPMGR_DOWNSTREAM_SERVERS CRITICAL: 2 of 2 downstream nodes not attached (missing: node2 (ID: 2), node3 (ID: 3)) | attached=0, missing=2
        ");
    }
}
