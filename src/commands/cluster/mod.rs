//! `repmgr cluster`: looking at all nodes together.

pub mod cleanup;
mod connections;
pub mod crosscheck;
pub mod event;
pub mod matrix;
pub mod show;
