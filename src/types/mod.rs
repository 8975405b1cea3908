//! Values with units, no I/O: what the other rooms speak to each other in.

mod lsn;
mod node;

pub use lsn::{Lsn, SystemIdentifier, TimelineId};
pub use node::{NodeId, NodeType, RecoveryState};
