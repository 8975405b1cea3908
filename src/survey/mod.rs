//! All nodes at once: probed in parallel, each with a verdict and its reason.
//!
//! `probe` asks, `verdict` judges what was seen: the latter is pure.

mod probe;
mod verdict;

use futures_util::future::join_all;

pub use probe::{Attached, DaemonState, Observation, OwnRecord, Reachability, Subject, probe};
pub use verdict::{Verdict, verdict};

use crate::conninfo::Conninfo;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{ConnectError, ConnectFailure, Connection, Deadlines, QueryError};
use crate::types::RecoveryState;

/// Connects to a registered node.
pub async fn connect(node: &NodeRecord, deadlines: Deadlines) -> Result<Connection, ConnectError> {
    let conninfo = Conninfo::parse(&node.conninfo).map_err(|error| ConnectError {
        failure: ConnectFailure::BadParameters,
        message: format!("the conninfo of {} is not valid: {error}", node.title()),
    })?;
    Connection::connect(&conninfo, deadlines).await
}

/// The node that is not in recovery, searched among the active records that `connection` shows.
/// All are asked at the same time; of several the first in the original's order counts.
pub async fn live_primary(
    connection: &Connection,
    deadlines: Deadlines,
) -> Result<Option<(NodeRecord, Connection)>, QueryError> {
    let candidates = nodes::primary_candidates(connection).await?;
    let asked = join_all(candidates.into_iter().map(|node| async move {
        let connection = connect(&node, deadlines).await.ok()?;
        let state = connection.recovery_state().await.ok()?;
        (state == RecoveryState::Primary).then_some((node, connection))
    }));
    Ok(asked.await.into_iter().flatten().next())
}
