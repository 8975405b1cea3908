//! The `repmgr` schema: nodes, events, monitoring history, voting term, the
//! functions of the server library, life of the extension.

pub mod attachment;
pub mod events;
pub mod extension;
pub mod functions;
pub mod means;
pub mod monitoring_history;
pub mod nodes;
pub mod substitute;
pub mod synchronous;
pub mod voting_term;
pub mod write_right;

pub use attachment::{Attachment, attachment};
pub use means::Means;
pub use nodes::NodeRecord;
