//! All nodes at once: probed in parallel, each with a verdict and its reason.
//!
//! `probe` asks, `verdict` judges what was seen: the latter is pure.

mod primary;
mod probe;
mod verdict;

pub use primary::{PrimarySearch, live_primary, search_primary};
pub use probe::{Attached, DaemonState, Observation, OwnRecord, Reachability, Subject, probe};
pub use verdict::{Verdict, verdict};

use crate::conninfo::Conninfo;
use crate::metadata::NodeRecord;
use crate::postgres::{ConnectError, ConnectFailure, Connection, Deadlines};

/// Connects to a registered node.
pub async fn connect(node: &NodeRecord, deadlines: Deadlines) -> Result<Connection, ConnectError> {
    let conninfo = Conninfo::parse(&node.conninfo).map_err(|error| ConnectError {
        failure: ConnectFailure::BadParameters,
        message: format!("the conninfo of {} is not valid: {error}", node.title()),
    })?;
    Connection::connect(&conninfo, deadlines).await
}
