//! `repmgr node`: this node alone.

pub mod check;
pub mod control;
pub mod rejoin;
mod report;
pub mod service;
mod shutdown;
mod slots;
pub mod status;
