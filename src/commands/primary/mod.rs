//! `repmgr primary`: the record of the node that accepts writes.

pub mod register;
pub mod unregister;
