//! Is the upstream there? Asked in the way of `connection_check_type`.

use std::sync::Arc;
use std::time::Duration;

use super::peers::{self, DEADLINES};
use crate::config::{Config, ConnectionCheckType};
use crate::conninfo::Conninfo;
use crate::failover::{Answer, ConnectFailure, Probe};
use crate::metadata::NodeRecord;
use crate::postgres::{ConnectError, Connection};
use crate::types::{NodeType, RecoveryState};

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

/// Accepting connections, or refusing this login: there. Otherwise why not.
async fn ping(conninfo: &Conninfo) -> Result<(), ConnectError> {
    match Connection::connect(conninfo, DEADLINES).await {
        Ok(_) => Ok(()),
        Err(error) if error.failure.server_is_there() && error.failure != ConnectFailure::NotAccepting => Ok(()),
        Err(error) => Err(error),
    }
}

/// The server is there; what it says of itself over the kept connection or, if that is broken, a new one.
async fn on_connection(node: &NodeRecord, kept: Option<Arc<Connection>>) -> Probed {
    let mut kept = kept;
    loop {
        let was_kept = kept.is_some();
        let connection = match peers::connected(node, kept.take()).await {
            Ok(connection) => connection,
            Err(error) => return Probed::failed(error),
        };
        match connection.recovery_state().await {
            Ok(state) => {
                return Probed {
                    connection: Some(connection),
                    probe: Ok(state),
                    error: None,
                };
            }
            // Broken since the last turn: once more with a new one.
            Err(crate::postgres::QueryError::ConnectionLost(_)) if was_kept => {}
            Err(error) => {
                return Probed {
                    connection: (!peers::is_lost(&error)).then_some(connection),
                    probe: Ok(RecoveryState::Unknown),
                    error: Some(error.to_string()),
                };
            }
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
    match tokio::time::timeout(limit, connection.batch(sql)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if !peers::is_lost(&error) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// Whether the own server, a standby, can follow `target` without losing its way.
pub async fn followable(own: &NodeRecord, target: &NodeRecord) -> Answer {
    let _ = (own, target);
    if own.node_type != NodeType::Standby {
        return Answer::Unknown;
    }
    Answer::Unknown
}
