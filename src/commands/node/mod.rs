//! `repmgr node`: this node alone.

mod report;
mod shutdown;
pub mod status;
