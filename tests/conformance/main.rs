//! The same script against the original and against this program: exit codes,
//! machine-read output, metadata rows and replication configuration must be equal.
//!
//! Words of log lines are not compared: those are our own. Where this program
//! does otherwise on purpose (`docs/differences.md`), the step says so with
//! [`script::Script::differs`], what ours answers, and why.

#[path = "../support/mod.rs"]
mod support;

mod broken;
mod clone;
mod cluster_life;
mod command_line;
mod daemon_service;
mod events;
mod failover;
mod masks;
mod node_check;
mod node_service;
mod promotion;
mod registration;
mod rejoin;
mod script;
mod slots;
mod status;
mod unregistration;
mod witness;
