//! What each node says of itself, and each upstream of its downstream nodes.
//!
//! Every node is connected to once, all at the same time; what is unreachable
//! costs one connect timeout in all.

use futures_util::future::join_all;

use super::connect;
use crate::conninfo::Conninfo;
use crate::metadata::{Attachment, Means, NodeRecord, attachment, functions, means, nodes, write_right};
use crate::postgres::{ConnectError, ConnectFailure, Connection, Deadlines};
use crate::types::{NodeId, NodeType, RecoveryState, TimelineId};

/// Whether a node let us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reachability {
    /// It did.
    Up,
    /// A server answered that would accept others, but not us.
    Rejected {
        /// What it said.
        reason: String,
    },
    /// No server accepts connections there: nothing listens, nothing answers, or it is starting up or shutting down.
    Down {
        /// What was tried and what came back.
        reason: String,
    },
}

impl Reachability {
    fn of(error: &ConnectError) -> Self {
        let reason = error.message.clone();
        if error.failure.server_is_there() && error.failure != ConnectFailure::NotAccepting {
            Reachability::Rejected { reason }
        } else {
            Reachability::Down { reason }
        }
    }
}

/// What a node's own copy of its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnRecord {
    /// What it is registered as.
    pub node_type: NodeType,
    /// Whom it follows.
    pub upstream: Option<NodeId>,
}

/// Whether the upstream that a node says it has confirms that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// Nothing to ask: no upstream, or another one than registered.
    NotAsked,
    /// There is no record of the upstream.
    NoRecord,
    /// The upstream could not be connected to.
    NoConnection,
    /// What the upstream says. For a witness, which does not stream, always attached.
    Asked(Attachment),
}

/// What a node's server says of its daemon; `None` is "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaemonState {
    /// Whether it runs.
    pub running: Option<bool>,
    /// Its process id.
    pub pid: Option<i32>,
    /// Whether it is paused.
    pub paused: Option<bool>,
    /// Seconds since it saw its upstream.
    pub upstream_last_seen: Option<i32>,
    /// Whether the server has the library; without it the rest is known from what PostgreSQL offers itself.
    pub library: Option<bool>,
}

/// What was seen of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Our record of it.
    pub record: NodeRecord,
    /// Whether it let us in. If not, nothing below is known.
    pub reachability: Reachability,
    /// What it says of itself.
    pub recovery: RecoveryState,
    /// Its own copy of its record.
    pub own: Option<OwnRecord>,
    /// The timeline of its last checkpoint.
    pub timeline: Option<TimelineId>,
    /// Replay is paused although WAL waits to be replayed.
    pub replay_paused: bool,
    /// What its upstream says.
    pub attached: Attached,
    /// What it says of its daemon; only if asked for.
    pub daemon: DaemonState,
    /// What it says of the right to write; only if asked for, and where that is switched on.
    pub right: Option<write_right::Vote>,
}

/// What is wanted beside what the servers say of themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    /// How their daemons are.
    pub daemons: bool,
    /// How the right to write stands.
    pub right: bool,
}

/// Asks all nodes; the answers come in the order of the records. If `open` is a
/// connection to one of them, that node is asked over it.
pub async fn probe(
    records: Vec<NodeRecord>,
    mut open: Option<Connection>,
    subject: Subject,
    deadlines: Deadlines,
) -> Vec<Observation> {
    let seen = join_all(records.into_iter().map(|record| {
        let open = open.take_if(|open| is_to(open, &record));
        async move {
            let connected = match open {
                Some(mut open) => {
                    open.set_query_deadline(deadlines.query);
                    Ok(open)
                }
                None => connect(&record, deadlines).await,
            };
            match connected {
                Ok(connection) => {
                    let observation = ask(record, &connection, subject).await;
                    (observation, Some(connection))
                }
                Err(error) => (unreachable(record, Reachability::of(&error)), None),
            }
        }
    }))
    .await;
    let answers = join_all(seen.iter().map(|(node, _)| ask_upstream(node, &seen))).await;
    let mut observations: Vec<Observation> = seen.into_iter().map(|(observation, _)| observation).collect();
    for (observation, attached) in observations.iter_mut().zip(answers) {
        observation.attached = attached;
    }
    observations
}

fn is_to(connection: &Connection, node: &NodeRecord) -> bool {
    !connection.is_closed() && Conninfo::parse(&node.conninfo).is_ok_and(|conninfo| conninfo == *connection.conninfo())
}

fn unreachable(record: NodeRecord, reachability: Reachability) -> Observation {
    Observation {
        record,
        reachability,
        recovery: RecoveryState::Unknown,
        own: None,
        timeline: None,
        replay_paused: false,
        attached: Attached::NotAsked,
        daemon: DaemonState::default(),
        right: None,
    }
}

/// A question without an answer leaves "not known" behind; the verdict says so. All are asked in one go.
async fn ask(record: NodeRecord, connection: &Connection, subject: Subject) -> Observation {
    let (recovery, own, timeline, replay_paused, daemon, right) = tokio::join!(
        connection.recovery_state(),
        nodes::by_id(connection, record.node_id),
        connection.checkpoint_timeline(),
        replay_is_paused(connection),
        daemon_state(connection, subject),
        right(connection, subject),
    );
    Observation {
        reachability: Reachability::Up,
        recovery: recovery.unwrap_or(RecoveryState::Unknown),
        own: own.ok().flatten().map(|own| OwnRecord {
            node_type: own.node_type,
            upstream: own.upstream_node_id,
        }),
        timeline: timeline.ok(),
        replay_paused,
        attached: Attached::NotAsked,
        daemon,
        right,
        record,
    }
}

async fn right(connection: &Connection, subject: Subject) -> Option<write_right::Vote> {
    if !subject.right {
        return None;
    }
    write_right::vote(connection).await.ok().flatten()
}

async fn daemon_state(connection: &Connection, subject: Subject) -> DaemonState {
    if !subject.daemons {
        return DaemonState::default();
    }
    let library = means::of(connection).await.ok().map(|means| means == Means::Library);
    let (running, pid, paused, upstream_last_seen) = tokio::join!(
        functions::repmgrd_is_running(connection),
        functions::repmgrd_pid(connection),
        functions::repmgrd_is_paused(connection),
        functions::upstream_last_seen(connection),
    );
    DaemonState {
        running: running.ok().flatten(),
        pid: pid.ok().flatten(),
        paused: paused.ok().flatten(),
        upstream_last_seen: upstream_last_seen.ok().flatten(),
        library,
    }
}

async fn replay_is_paused(connection: &Connection) -> bool {
    let sql = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() \
               AND pg_catalog.pg_last_wal_receive_lsn() > pg_catalog.pg_last_wal_replay_lsn() END";
    matches!(connection.value(sql, &[]).await, Ok(Some(true)))
}

async fn ask_upstream(node: &Observation, seen: &[(Observation, Option<Connection>)]) -> Attached {
    let Some(OwnRecord {
        node_type,
        upstream: Some(upstream),
    }) = node.own
    else {
        return Attached::NotAsked;
    };
    if !matches!(node_type, NodeType::Standby | NodeType::Witness) || node.record.upstream_node_id != Some(upstream) {
        return Attached::NotAsked;
    }
    match seen.iter().find(|(other, _)| other.record.node_id == upstream) {
        None => Attached::NoRecord,
        Some((_, None)) => Attached::NoConnection,
        Some((_, Some(_))) if node_type == NodeType::Witness => Attached::Asked(Attachment::Attached),
        Some((_, Some(connection))) => Attached::Asked(attachment(connection, &node.record.node_name).await),
    }
}
