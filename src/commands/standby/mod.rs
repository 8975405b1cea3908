//! `repmgr standby`: nodes that replay what their upstream sends.

pub mod clone;
pub mod follow;
pub mod promote;
pub mod register;
pub mod switchover;
pub mod unregister;
