//! `repmgr write-right`: the right to write of the whole cluster.

pub mod force;
pub mod show;
pub mod switch;
