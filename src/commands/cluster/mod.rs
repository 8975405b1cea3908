//! `repmgr cluster`: looking at all nodes together.

pub mod cleanup;
pub mod event;
pub mod show;
