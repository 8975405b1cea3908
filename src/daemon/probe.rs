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
use crate::postgres::{self, ConnectError, ConnectLimit, Connection, Ping, QueryError};
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

/// Probes a node, within the time that [`Limits::of`] says.
pub async fn upstream(config: &Config, node: &NodeRecord, kept: Option<Arc<Connection>>) -> Probed {
    let conninfo = match peers::conninfo(node) {
        Ok(conninfo) => conninfo,
        Err(error) => return Probed::failed(error),
    };
    let limit = Limits::of(config, node).hung;
    let probe = async {
        match config.connection_check_type {
            ConnectionCheckType::Ping => on_connection(node, kept, limit, ping(&conninfo)).await,
            ConnectionCheckType::Connection => {
                let check = async { Connection::connect(&conninfo, DEADLINES).await.map(|_| ()) };
                on_connection(node, kept, limit, check).await
            }
            ConnectionCheckType::Query => query(config, node, kept).await,
        }
    };
    match tokio::time::timeout(limit, probe).await {
        Ok(probed) => probed,
        Err(_) => Probed::failed(ConnectError {
            failure: ConnectFailure::Silent,
            message: format!("it does not answer within {limit:?}"),
        }),
    }
}

/// How long a probe of a node takes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// If its host sends no packets.
    pub silent: Duration,
    /// If its host accepts connections and the server does not answer; also the limit of the whole probe.
    pub hung: Duration,
}

impl Limits {
    /// By the `connect_timeout` of its conninfo, for each host in there; and `async_query_timeout` if queries are sent.
    pub fn of(config: &Config, node: &NodeRecord) -> Limits {
        let (connect, hosts) = peers::conninfo(node).map_or((DEADLINES.connect, 1), |conninfo| {
            (connect_limit(&conninfo), hosts(&conninfo))
        });
        let each = ConnectLimit::leaving(connect, DEADLINES.login);
        let query = match config.connection_check_type {
            ConnectionCheckType::Ping | ConnectionCheckType::Connection => {
                return Limits {
                    silent: each.handshake * hosts,
                    hung: each.whole * hosts,
                };
            }
            ConnectionCheckType::Query if config.async_query_timeout.is_zero() => DEADLINES.query,
            ConnectionCheckType::Query => config.async_query_timeout,
        };
        Limits {
            silent: query + each.handshake * hosts,
            hung: query + each.whole * hosts,
        }
    }
}

fn connect_limit(conninfo: &Conninfo) -> Duration {
    conninfo
        .get("connect_timeout")
        .and_then(|seconds| seconds.parse().ok())
        .filter(|seconds| *seconds > 0)
        .map_or(DEADLINES.connect, Duration::from_secs)
}

/// How many hosts a connection string lists.
fn hosts(conninfo: &Conninfo) -> u32 {
    let listed = ["hostaddr", "host"]
        .into_iter()
        .find_map(|keyword| conninfo.get(keyword));
    listed.map_or(1, |list| u32::try_from(list.split(',').count()).unwrap_or(u32::MAX))
}

/// Accepting connections, or refusing this login: there. Otherwise why not.
async fn ping(conninfo: &Conninfo) -> Result<(), ConnectError> {
    let limit = ConnectLimit::leaving(connect_limit(conninfo), DEADLINES.login);
    let whole = ConnectLimit {
        whole: limit.whole * hosts(conninfo),
        ..limit
    };
    let (failure, message) = match postgres::ping(conninfo, whole).await {
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

/// Whether the server is there (`check`), and at the same time what it says of itself over the kept connection; if
/// that is broken or does not answer in half the time, over a new one. One that lets this node in and answers nothing on
/// a new connection serves nobody.
async fn on_connection(
    node: &NodeRecord,
    kept: Option<Arc<Connection>>,
    limit: Duration,
    check: impl Future<Output = Result<(), ConnectError>>,
) -> Probed {
    let over_kept = async {
        match kept {
            Some(kept) => Ok(tokio::time::timeout(limit / 2, recovery_state(kept)).await.ok()),
            None => Ok(None),
        }
    };
    let failure = match futures_util::future::try_join(check, over_kept).await {
        Ok(((), Some(Ok(probed)))) => return probed,
        Ok(_) => match peers::connected(node, None).await {
            Ok(connection) => match recovery_state(connection).await {
                Ok(probed) => return probed,
                Err(error) => error,
            },
            Err(error) => error,
        },
        Err(error) => error,
    };
    Probed::failed(failure)
}

/// What a server says of itself over a connection. An SQL error is an answer.
async fn recovery_state(connection: Arc<Connection>) -> Result<Probed, ConnectError> {
    let (probe, error) = match connection.recovery_state().await {
        Ok(state) => (Ok(state), None),
        Err(error) if !peers::is_lost(&error) => (Ok(RecoveryState::Unknown), Some(error.to_string())),
        Err(error) => {
            let failure = match error {
                QueryError::ConnectionLost(_) => ConnectFailure::Transport,
                _ => ConnectFailure::Silent,
            };
            return Err(ConnectError {
                failure,
                message: error.to_string(),
            });
        }
    };
    Ok(Probed {
        connection: Some(connection),
        probe,
        error,
    })
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
