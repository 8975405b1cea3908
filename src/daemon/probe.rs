//! Is the upstream there? Asked in the way of `connection_check_type`.

use std::sync::Arc;
use std::time::Duration;

use super::peers::{self, DEADLINES};
use crate::config::{Config, ConnectionCheckType};
use crate::conninfo::Conninfo;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::failover::{Answer, ConnectFailure, Probe};
use crate::metadata::NodeRecord;
use crate::operations::attach::{self, LocalPosition, Refusal, Verdict};
use crate::postgres::{self, ConnectError, Connection, Ping, QueryError};
use crate::types::RecoveryState;

/// The answer to a probe, with the connection that may be kept.
#[derive(Debug)]
pub struct Probed {
    /// Kept, or made anew.
    pub connection: Option<Arc<Connection>>,
    /// The answer.
    pub probe: Probe,
    /// What a person reads if it is not up.
    pub error: Option<String>,
}

impl Probed {
    fn failed(error: ConnectError) -> Self {
        Probed {
            connection: None,
            probe: Err(error.failure),
            error: Some(error.message),
        }
    }
}

/// Probes a node.
pub async fn upstream(config: &Config, node: &NodeRecord, kept: Option<Arc<Connection>>) -> Probed {
    let conninfo = match peers::conninfo(node) {
        Ok(conninfo) => conninfo,
        Err(error) => return Probed::failed(error),
    };
    let there = match config.connection_check_type {
        ConnectionCheckType::Ping => ping(&conninfo).await,
        ConnectionCheckType::Connection => Connection::connect(&conninfo, DEADLINES).await.map(|_| ()),
        ConnectionCheckType::Query => return query(config, node, kept).await,
    };
    match there {
        Ok(()) => on_connection(node, kept).await,
        Err(error) => Probed::failed(error),
    }
}

fn connect_limit(conninfo: &Conninfo) -> Duration {
    conninfo
        .get("connect_timeout")
        .and_then(|seconds| seconds.parse().ok())
        .filter(|seconds| *seconds > 0)
        .map_or(DEADLINES.connect, Duration::from_secs)
}

/// How long a probe of this node takes at most if it is silent.
pub fn longest(config: &Config, node: &NodeRecord) -> Duration {
    let connect = peers::conninfo(node).map_or(DEADLINES.connect, |conninfo| connect_limit(&conninfo));
    match config.connection_check_type {
        ConnectionCheckType::Ping | ConnectionCheckType::Connection => connect,
        ConnectionCheckType::Query if config.async_query_timeout.is_zero() => DEADLINES.query + connect,
        ConnectionCheckType::Query => config.async_query_timeout + connect,
    }
}

/// Accepting connections, or refusing this login: there. Otherwise why not.
async fn ping(conninfo: &Conninfo) -> Result<(), ConnectError> {
    let limit = connect_limit(conninfo);
    let (failure, message) = match postgres::ping(conninfo, limit).await {
        Ping::Accepting => return Ok(()),
        Ping::Rejecting => (ConnectFailure::NotAccepting, "it is starting up or shutting down"),
        Ping::NoResponse(failure) => (failure, crate::failover::describe(&Err(failure))),
        Ping::NoAttempt => (ConnectFailure::BadParameters, "its conninfo cannot be used"),
    };
    Err(ConnectError {
        failure,
        message: message.to_owned(),
    })
}

/// The server is there; what it says of itself over the kept connection or, if that is broken or hangs, a new one.
/// One that lets this node in and answers nothing on a new connection serves nobody.
async fn on_connection(node: &NodeRecord, kept: Option<Arc<Connection>>) -> Probed {
    let mut kept = kept;
    loop {
        let was_kept = kept.is_some();
        let connection = match peers::connected(node, kept.take()).await {
            Ok(connection) => connection,
            Err(error) => return Probed::failed(error),
        };
        let limit = DEADLINES.connect;
        let (failure, message) = match tokio::time::timeout(limit, connection.recovery_state()).await {
            Ok(Ok(state)) => {
                return Probed {
                    connection: Some(connection),
                    probe: Ok(state),
                    error: None,
                };
            }
            Ok(Err(error)) if !peers::is_lost(&error) => {
                return Probed {
                    connection: Some(connection),
                    probe: Ok(RecoveryState::Unknown),
                    error: Some(error.to_string()),
                };
            }
            Ok(Err(error @ QueryError::ConnectionLost(_))) => (ConnectFailure::Transport, error.to_string()),
            Ok(Err(error)) => (ConnectFailure::Silent, error.to_string()),
            Err(_) => (
                ConnectFailure::Silent,
                format!("it lets this node in and does not answer within {limit:?}"),
            ),
        };
        if !was_kept {
            return Probed::failed(ConnectError { failure, message });
        }
    }
}

/// `connection_check_query` on the kept connection, and once more on a new one. An SQL error is an answer.
async fn query(config: &Config, node: &NodeRecord, kept: Option<Arc<Connection>>) -> Probed {
    let limit = config.async_query_timeout;
    let mut kept = kept;
    let mut last = None;
    for _ in 0..2 {
        let connection = match peers::connected(node, kept.take()).await {
            Ok(connection) => connection,
            Err(error) => return Probed::failed(error),
        };
        match answered(&connection, &config.connection_check_query, limit).await {
            Ok(()) => {
                let state = connection.recovery_state().await.unwrap_or(RecoveryState::Unknown);
                return Probed {
                    connection: Some(connection),
                    probe: Ok(state),
                    error: None,
                };
            }
            Err(error) => last = Some(error),
        }
    }
    Probed {
        connection: None,
        probe: Err(ConnectFailure::Silent),
        error: last,
    }
}

async fn answered(connection: &Connection, sql: &str, limit: Duration) -> Result<(), String> {
    // Without a limit of the user's own the query must only be taken in by the server; that takes a moment, too.
    let limit = if limit.is_zero() { DEADLINES.query } else { limit };
    match connection.batch_within(sql, limit).await {
        Ok(()) => Ok(()),
        Err(error) if !peers::is_lost(&error) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the own server, a standby, can follow `target` without losing its way, and why that is not certain.
pub async fn followable(
    own: &NodeRecord,
    own_connection: &Connection,
    target: &NodeRecord,
    target_connection: &Connection,
) -> (Answer, Option<String>) {
    let verdict = async {
        let local = attach::replication_connection(own_connection, own, ExitCode::DbConn).await?;
        let local = local
            .identify_system()
            .await
            .map_err(|error| Error::new(ExitCode::DbQuery, error.to_string()))?;
        let position = LocalPosition {
            system_identifier: Some(local.system_identifier),
            timeline: local.timeline,
            // Of one moment with the timeline; what SQL says of the position may be ahead of it.
            lsn: Some(local.position),
        };
        let target = attach::observe_target(target_connection, target, local.timeline, ExitCode::DbConn).await?;
        Ok::<_, Error>(attach::decide(&position, &target))
    };
    match tokio::time::timeout(DEADLINES.query, verdict).await {
        Ok(Ok(Verdict::SameTimeline { .. } | Verdict::ForkedLater { .. })) => (Answer::Yes, None),
        Ok(Ok(Verdict::Diverged(why))) => (Answer::No, Some(why.to_string())),
        Ok(Ok(Verdict::Refused(why @ (Refusal::PositionUnknown | Refusal::HistoryUnknown { .. })))) => {
            (Answer::Unknown, Some(why.to_string()))
        }
        Ok(Ok(Verdict::Refused(why))) => (Answer::No, Some(why.to_string())),
        Ok(Err(error)) => (Answer::Unknown, Some(error.to_string())),
        Err(_) => (Answer::Unknown, Some(format!("no answer within {:?}", DEADLINES.query))),
    }
}
