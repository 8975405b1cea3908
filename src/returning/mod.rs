//! The old primary comes back, decided: whether its data was overtaken by another node's, and what becomes of it then.
//!
//! Pure: no clock, no socket, no file, no async. The daemon gathers an [`Observation`], carries out what [`decide`]
//! returns, and tells its rule and reason. Answers for a server that runs as a primary without the right to write, or
//! did; does not answer for who gets the right (`write_right`), nor for promotions (`failover`).

mod decide;
#[cfg(test)]
mod decide_tests;
mod observation;
mod rules;

pub use decide::{Action, Course, Decision, decide};
pub use observation::{Histories, Holder, Observation, Server, Voters};
pub use rules::Rule;

/// After so many failures a person is called.
pub const ATTEMPTS: u32 = 3;
