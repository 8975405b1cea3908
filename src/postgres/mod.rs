//! One server as seen over SQL: connecting with a deadline, queries named by
//! intent, the replication protocol.
//!
//! Every connection and every query has a deadline. What a failure means is
//! kept apart: refused, silent, authentication failed, too many connections,
//! starting up, name not resolved are different observations.

mod connection;
mod error;
mod queries;
mod transaction;

pub use connection::{Connection, Deadlines};
pub use error::{ConnectError, ConnectFailure, QueryError};
pub use queries::ServerVersion;
