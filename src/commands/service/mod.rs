//! `repmgr service`: the daemons of all nodes.

pub mod pause;
pub mod status;
