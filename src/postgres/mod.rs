//! One server as seen over SQL: connecting with a deadline, queries named by
//! intent, the replication protocol.
//!
//! Every connection and every query has a deadline. What a failure means is
//! kept apart: refused, silent, authentication failed, too many connections,
//! starting up, name not resolved are different observations.

mod attempt;
mod connection;
mod error;
mod occupancy;
mod parameters;
mod ping;
mod queries;
mod replication;
mod session;
mod socket;
mod startup;
mod tls;
mod transaction;
mod typed;
mod wire;

pub use attempt::ConnectLimit;
pub use connection::{Connection, Deadlines};
pub use error::{ConnectError, ConnectFailure, QueryError};
pub use occupancy::PhysicalSlot;
pub use ping::{Ping, ping, ping_in};
pub use queries::ServerVersion;
pub use replication::{HistoryEntry, IdentifySystem, ReplicationConnection};
pub use typed::Parameter;
