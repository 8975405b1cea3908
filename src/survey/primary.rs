//! The search for the live primary.

use std::time::Duration;

use futures_util::future::join_all;

use super::connect;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::types::{NodeId, RecoveryState};

/// What the search for the primary found.
#[derive(Debug)]
pub struct PrimarySearch {
    /// The nodes that accept writes, in the original's order; more than one is a split brain.
    pub primaries: Vec<(NodeRecord, Connection)>,
    /// The other candidates, each with the reason why it is none.
    pub others: Vec<(NodeRecord, String)>,
}

/// Asks all active nodes that `connection` shows, witnesses left out, whether they are in recovery: at the same time.
pub async fn search_primary(connection: &Connection, deadlines: Deadlines) -> Result<PrimarySearch, QueryError> {
    search(connection, deadlines, None).await
}

/// How long a node is given that was found lost a moment ago, to show that it is back.
const LOST: Duration = Duration::from_millis(250);

async fn search(
    connection: &Connection,
    deadlines: Deadlines,
    lost: Option<NodeId>,
) -> Result<PrimarySearch, QueryError> {
    let candidates = nodes::primary_candidates(connection).await?;
    let asked = join_all(candidates.into_iter().map(|node| async move {
        let answer = if lost == Some(node.node_id) {
            let asked = tokio::time::timeout(LOST, ask(&node, deadlines)).await;
            asked.unwrap_or_else(|_| Err(format!("it was found lost, and gave no answer within {LOST:?}")))
        } else {
            ask(&node, deadlines).await
        };
        match answer {
            Ok(connection) => Ok((node, connection)),
            Err(reason) => Err((node, reason)),
        }
    }));
    let mut search = PrimarySearch {
        primaries: Vec::new(),
        others: Vec::new(),
    };
    for answer in asked.await {
        match answer {
            Ok(primary) => search.primaries.push(primary),
            Err(other) => search.others.push(other),
        }
    }
    Ok(search)
}

/// The node that is not in recovery; of several the first in the original's order.
pub async fn live_primary(
    connection: &Connection,
    deadlines: Deadlines,
) -> Result<Option<(NodeRecord, Connection)>, QueryError> {
    let search = search_primary(connection, deadlines).await?;
    Ok(search.primaries.into_iter().next())
}

/// The same for somebody who has just found a primary lost: that one is asked once more, and not waited for.
pub async fn primary_beside(
    connection: &Connection,
    deadlines: Deadlines,
    lost: Option<NodeId>,
) -> Result<Option<(NodeRecord, Connection)>, QueryError> {
    let search = search(connection, deadlines, lost).await?;
    Ok(search.primaries.into_iter().next())
}

async fn ask(node: &NodeRecord, deadlines: Deadlines) -> Result<Connection, String> {
    let connection = connect(node, deadlines).await.map_err(|error| error.to_string())?;
    match connection.recovery_state().await {
        Ok(RecoveryState::Primary) => Ok(connection),
        Ok(RecoveryState::Standby) => Err("it is in recovery".to_owned()),
        Ok(RecoveryState::Unknown) => Err("it does not say whether it is in recovery".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
