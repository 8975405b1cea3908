//! Clusters of both: some nodes with the original's programs, some with ours, on
//! either server library. What is asserted is what the servers report.
//!
//! `make test` runs the tests that are not ignored, `make mixed` all of them,
//! but for the take-over, which is `make takeover`.

#[path = "../support/mod.rs"]
mod support;

mod abort;
mod cascade;
mod failover;
mod mix;
mod pause;
mod rerun;
mod setting_up;
mod takeover;
mod without_library;
mod witness;
