//! The long procedures: plans of small steps that can be run again.

pub mod attach;
pub mod clone;
pub mod follow;
pub mod join_check;
pub mod plan;
pub mod promote;
pub mod reclone;
pub mod rejoin;
pub mod rewind_settings;
pub mod siblings;
pub mod slots;
pub mod switchover;
pub mod wal_receiver;
pub mod write_right;
