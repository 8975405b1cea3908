//! `repmgr node`: this node alone.

pub mod check;
mod report;
mod shutdown;
mod slots;
pub mod status;
