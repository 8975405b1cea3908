//! Which nodes are known to have every acknowledged commit, asked of the nodes themselves.

use std::collections::BTreeMap;

use std::time::Duration;

use futures_util::future::join_all;
use repmgr_write_right::{Answer, Known, Payload, Request};

use crate::metadata::{NodeRecord, nodes, synchronous, write_right};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::survey;
use crate::types::NodeId;
use crate::write_right::synchronous::{Position, without};

/// How long one node's answers are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub node: NodeId,
    /// What its vote has on record.
    pub known: Option<Known>,
    /// How far its server has the WAL.
    pub position: Option<Position>,
}

impl Asked {
    /// A node that did not answer.
    pub fn silent(node: NodeId) -> Self {
        Asked {
            node,
            known: None,
            position: None,
        }
    }
}

/// Asks one node.
pub async fn ask(node: NodeId, connection: &Connection) -> Asked {
    let answer = match write_right::exists(connection).await {
        Ok(true) => write_right::ask(connection, &Request::Status.to_string()).await.ok(),
        _ => None,
    };
    let known = answer.and_then(|text| Answer::parse(&text).ok()?.known);
    let position = synchronous::position(connection).await.ok().flatten();
    Asked {
        node,
        known,
        position: position.map(|(timeline, flushed)| Position { timeline, flushed }),
    }
}

/// Asks all registered nodes at the same time.
pub async fn ask_all(connection: &Connection) -> Result<(Vec<NodeRecord>, Vec<Asked>), QueryError> {
    let records = nodes::all(connection).await?;
    let asked = records.iter().map(|record| async move {
        match survey::connect(record, Deadlines::default()).await {
            Ok(connection) => tokio::time::timeout(PATIENCE, ask(record.node_id, &connection))
                .await
                .unwrap_or_else(|_| Asked::silent(record.node_id)),
            Err(_) => Asked::silent(record.node_id),
        }
    });
    let asked = join_all(asked).await;
    Ok((records, asked))
}

/// What a majority of the voters remembers, but for nodes that a person has given up; `None`: no majority answered.
pub fn remembered(asked: &[Asked]) -> Option<Payload> {
    let known = |asked: &&Asked| asked.known.is_some();
    let all: Vec<&Known> = asked.iter().filter_map(|asked| asked.known.as_ref()).collect();
    let list = &all.iter().max_by_key(|known| (known.list.rank(), known.accepted))?.list;
    let answered = |node: i32| asked.iter().filter(known).any(|asked| asked.node.0 == node);
    if list.version == 0 || !list.is_quorum(answered) {
        return None;
    }
    let newest = all.iter().max_by_key(|known| (known.accepted, known.payload.version))?;
    Some(without(&newest.payload, &list.given_up))
}

/// How far the servers are that said so.
pub fn positions(asked: &[Asked]) -> BTreeMap<i32, Position> {
    asked
        .iter()
        .filter_map(|asked| Some((asked.node.0, asked.position?)))
        .collect()
}
