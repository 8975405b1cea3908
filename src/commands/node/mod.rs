//! `repmgr node`: this node alone.

pub mod check;
pub mod control;
mod report;
pub mod service;
mod shutdown;
mod slots;
pub mod status;
