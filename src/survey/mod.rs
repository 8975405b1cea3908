//! All nodes at once: probed in parallel, each with a verdict and its reason.
//!
//! `probe` asks, `verdict` judges what was seen; `views` asks all nodes what
//! they can connect to, `links` puts it together. `verdict` and `links` are pure.

mod links;
mod primary;
mod probe;
mod verdict;
mod views;

pub use links::{Link, Links, Problem};
pub use primary::{PrimarySearch, live_primary, primary_beside, search_primary};
pub use probe::{Attached, DaemonState, Observation, OwnRecord, Reachability, Subject, probe};
pub use verdict::{Verdict, verdict};
pub use views::{Asking, Views, connect_limit};

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
