//! Does a server accept connections? (PostgreSQL: `PQping`.)

use super::ConnectFailure;
use super::attempt::{self, ConnectLimit};
use crate::conninfo::{Conninfo, Environment};

/// What a server says to somebody who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ping {
    /// It accepts connections, also if it refuses this one.
    Accepting,
    /// It is there, but starting up, shutting down or recovering.
    Rejecting,
    /// No server answered.
    NoResponse(ConnectFailure),
    /// The connection string cannot be used, so nobody was asked.
    NoAttempt,
}

/// Knocks, within `limit` in all. Nothing is added to `conninfo`; PGCONNECT_TIMEOUT counts.
pub async fn ping(conninfo: &Conninfo, limit: impl Into<ConnectLimit>) -> Ping {
    ping_in(&Environment::of_process(), conninfo, limit).await
}

/// As [`ping`] with another environment than the process'.
pub async fn ping_in(environment: &Environment, conninfo: &Conninfo, limit: impl Into<ConnectLimit>) -> Ping {
    let limit = limit.into();
    let Ok((resolved, mut parameters)) = attempt::prepare(environment, conninfo) else {
        return Ping::NoAttempt;
    };
    // Any server that answers will do.
    parameters.target = super::parameters::TargetSession::Any;
    let whole = parameters
        .connect_timeout
        .flatten()
        .unwrap_or(limit.whole)
        .min(limit.whole);
    let each = ConnectLimit {
        whole,
        handshake: limit.handshake.min(whole),
    };
    match tokio::time::timeout(limit.whole, attempt::open(&resolved, &parameters, each)).await {
        Err(_) => Ping::NoResponse(ConnectFailure::Silent),
        Ok(Ok(_)) => Ping::Accepting,
        Ok(Err(failures)) => verdict(&failures.0),
    }
}

fn verdict(failures: &[attempt::Failed]) -> Ping {
    let Some(last) = failures.last() else {
        return Ping::NoAttempt;
    };
    let accepts = |failed: &attempt::Failed| {
        failed.authentication_requested
            || (failed.failure.server_is_there() && failed.failure != ConnectFailure::NotAccepting)
    };
    if failures.iter().any(accepts) {
        Ping::Accepting
    } else if failures
        .iter()
        .any(|failed| failed.failure == ConnectFailure::NotAccepting)
    {
        Ping::Rejecting
    } else if last.failure == ConnectFailure::BadParameters {
        Ping::NoAttempt
    } else {
        Ping::NoResponse(last.failure)
    }
}
