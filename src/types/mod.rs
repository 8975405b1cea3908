//! Values with units, no I/O: what the other rooms speak to each other in.

mod connect_failure;
mod lsn;
mod node;

pub use connect_failure::ConnectFailure;
pub use lsn::{Lsn, SystemIdentifier, TimelineId};
pub use node::{NodeId, NodeType, RecoveryState};
