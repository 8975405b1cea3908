//! `repmgr write-right`: the right to write of the whole cluster.

pub mod show;
pub mod switch;
