//! What a turn sees: own server, upstream, other nodes, all asked at the same time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::peers::{self, Peers};
use super::probes::Probes;
use super::{probe, questions};
use crate::config::Config;
use crate::failover::{Local, Needs, Node, ProbeEnd, Seen, State};
use crate::metadata::{NodeRecord, functions, nodes};
use crate::postgres::{ConnectError, Connection, QueryError};
use crate::types::{NodeId, NodeType, RecoveryState};

/// How the daemon makes itself known to the library of its own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `node_id`.
    pub node: NodeId,
    /// The process.
    pub pid: i32,
    /// The PID file; empty if there is none.
    pub pid_file: String,
}

/// The answers of one turn.
#[derive(Debug)]
pub struct Gathered {
    /// The own server.
    pub local: Local,
    /// `repmgr.nodes` as the own server shows it.
    pub records: Option<Vec<NodeRecord>>,
    /// The own record as the primary shows it.
    pub own_on_primary: Option<Node>,
    /// When a probe of the upstream was started.
    pub started: Option<Duration>,
    /// The probes that have ended since the last turn, whenever they were started, and why each did not find it up.
    pub probes: Vec<(ProbeEnd, Option<String>)>,
    /// The other nodes.
    pub others: Vec<Seen>,
    /// Why the own server did not answer.
    pub local_error: Option<String>,
}

type Kept = Option<Arc<Connection>>;

/// How long the own record on the primary is waited for: nothing that is urgent depends on it.
const OWN_RECORD: Duration = Duration::from_secs(1);

/// What a turn goes by when it begins.
#[derive(Debug)]
pub struct Beginning<'a> {
    /// When that is.
    pub now: Duration,
    /// The parameters.
    pub config: &'a Arc<Config>,
    /// This daemon.
    pub identity: &'a Identity,
    /// What it remembers.
    pub state: &'a State,
    /// All nodes.
    pub records: &'a [NodeRecord],
    /// What is to be found out.
    pub needs: &'a Needs,
}

/// Asks everything that is needed and keeps the connections that answered.
pub async fn gather(beginning: &Beginning<'_>, peers: &mut Peers, probes: &mut Probes) -> Gathered {
    let Beginning {
        now,
        config,
        identity,
        state,
        records,
        needs,
    } = *beginning;
    let record = |id: NodeId| records.iter().find(|record| record.node_id == id);
    let own = record(identity.node);
    let upstream = needs.upstream.and_then(record);
    let primary = primary_to_read(state, needs).and_then(record);
    let asked: Vec<&NodeRecord> = needs.ask.iter().filter_map(|id| record(*id)).collect();

    let pid = (!state.standing_aside).then_some(identity.pid);

    let local = async {
        match own {
            Some(own) => ask_local(own, peers.kept(own), pid).await,
            None => LocalAnswer::default(),
        }
    };
    let shared = primary.filter(|primary| needs.upstream == Some(primary.node_id));
    if let Some(upstream) = upstream {
        probes.start(config, upstream, peers.kept(upstream), now);
    }
    let probe = async {
        if upstream.is_some() {
            probes.first(needs.patience).await;
        }
    };
    let on_primary = async {
        match primary {
            Some(primary) if shared.is_none() => {
                let asked = read_own_record(primary, peers.kept(primary), identity.node);
                tokio::time::timeout(OWN_RECORD, asked).await.unwrap_or_default()
            }
            _ => (None, None),
        }
    };
    let own_connection = own.and_then(|own| peers.kept(own));
    let others = join_all(
        asked
            .iter()
            .map(|node| ask_other(node, peers.kept(node), own.zip(own_connection.as_deref()))),
    );
    let (local, (), (primary_connection, own_on_primary), others) = tokio::join!(local, probe, on_primary, others);
    // The probe's connection is asked only where it matters, and behind the probe: an answer that takes its time
    // must not make those behind it late.
    let own_now = local.records.iter().flatten().find(|own| own.node_id == identity.node);
    let moved = own_now.is_some_and(|own| state.is_moved(&Node::from(own)));
    let shared_record = match shared
        .filter(|_| moved)
        .and_then(|primary| probes.connection(primary.node_id))
    {
        Some(connection) => {
            let asked = own_record(connection, identity.node);
            tokio::time::timeout(OWN_RECORD, asked).await.ok().flatten()
        }
        None => None,
    };

    if let Some(own) = own {
        peers.keep(own, local.connection);
    }
    let mut wanted: Vec<NodeId> = vec![identity.node];
    for (node, (connection, _, obstacle)) in asked.iter().zip(&others) {
        peers.keep(node, connection.clone());
        if peers.is_news(node.node_id, obstacle.as_deref())
            && let Some(obstacle) = obstacle
        {
            crate::warning!("this node may not be able to follow {}", node.title());
            crate::detail!("{obstacle}");
        }
        wanted.push(node.node_id);
    }
    if let Some(primary) = primary {
        if shared.is_none() {
            peers.keep(primary, primary_connection);
        }
        wanted.push(primary.node_id);
    }
    let ended = probes.take().into_iter().map(|ended| {
        if let Some(node) = record(ended.end.node) {
            peers.keep(node, ended.connection);
        }
        (ended.end, ended.error)
    });
    let ended = ended.collect();
    wanted.extend(state.upstream);
    peers.retain(&wanted);

    Gathered {
        local: local.local,
        records: local.records,
        own_on_primary: shared_record.or(own_on_primary),
        started: upstream.map(|_| now),
        probes: ended,
        others: others.into_iter().map(|(_, seen, _)| seen).collect(),
        local_error: local.error,
    }
}

/// The primary is asked for the own record over the upstream's connection, or over one of its
/// own if the upstream is a standby.
fn primary_to_read(state: &State, needs: &Needs) -> Option<NodeId> {
    needs.upstream.and(state.primary()).filter(|id| *id != state.own)
}

#[derive(Debug)]
struct LocalAnswer {
    connection: Kept,
    local: Local,
    records: Option<Vec<NodeRecord>>,
    error: Option<String>,
}

impl Default for LocalAnswer {
    fn default() -> Self {
        LocalAnswer {
            connection: None,
            local: Local::silent(),
            records: None,
            error: None,
        }
    }
}

impl LocalAnswer {
    fn without(error: impl std::fmt::Display) -> Self {
        LocalAnswer {
            error: Some(error.to_string()),
            ..LocalAnswer::default()
        }
    }
}

async fn ask_local(own: &NodeRecord, kept: Kept, pid: Option<i32>) -> LocalAnswer {
    let connection = match peers::connected(own, kept).await {
        Ok(connection) => connection,
        Err(error) => return LocalAnswer::without(error),
    };
    match questions::local(&connection, own.node_id, pid).await {
        Ok((local, records)) => LocalAnswer {
            connection: Some(connection),
            local,
            records,
            error: None,
        },
        Err(error) => LocalAnswer::without(error),
    }
}

/// Tells the own server's library which node and which process it serves. It forgets that when the server restarts.
pub async fn introduce(local: &Connection, identity: &Identity) {
    let result = async {
        functions::set_local_node_id(local, identity.node).await?;
        functions::set_repmgrd_pid(local, Some(identity.pid), &identity.pid_file).await
    };
    if let Err(error) = result.await {
        crate::warning!("could not make this daemon known to the local server: {error}");
    }
}

async fn read_own_record(primary: &NodeRecord, kept: Kept, own: NodeId) -> (Kept, Option<Node>) {
    let Ok(connection) = peers::connected(primary, kept).await else {
        return (None, None);
    };
    match nodes::by_id(&connection, own).await {
        Ok(record) => (Some(connection), record.as_ref().map(Node::from)),
        Err(_) => (None, None),
    }
}

async fn own_record(connection: &Connection, own: NodeId) -> Option<Node> {
    let record = nodes::by_id(connection, own).await.ok().flatten()?;
    Some(Node::from(&record))
}

async fn ask_other(
    node: &NodeRecord,
    kept: Kept,
    own: Option<(&NodeRecord, &Connection)>,
) -> (Kept, Seen, Option<String>) {
    let (connection, mut seen) = match status(node, kept).await {
        Ok(answer) => answer,
        Err(error) => {
            crate::debug!("{} cannot be reached: {error}", node.title());
            return (None, Seen::unreachable(node.node_id, error.failure), None);
        }
    };
    let mut obstacle = None;
    if seen.recovery == RecoveryState::Primary
        && let Some(connection) = &connection
        && let Some((own, own_connection)) = own
        && own.node_type == NodeType::Standby
    {
        (seen.followable, obstacle) = probe::followable(own, own_connection, node, connection).await;
    }
    (connection, seen, obstacle)
}

/// What a node says of itself. One that lets this node in and then does not answer is visible, as the original
/// counts it, and nothing more is known of it. That a connection was made in an earlier turn shows nothing:
/// without an answer over it a new one must be had.
async fn status(node: &NodeRecord, kept: Kept) -> Result<(Kept, Seen), ConnectError> {
    let mut was_kept = kept.as_ref().is_some_and(|connection| !connection.is_closed());
    let mut connection = peers::connected(node, kept).await?;
    loop {
        let error = match questions::status(&connection, node).await {
            Ok(seen) => return Ok((Some(connection), seen)),
            Err(error) => error,
        };
        crate::debug!("{} did not answer: {error}", node.title());
        if was_kept {
            connection = peers::connected(node, None).await?;
            // After a whole deadline without an answer the turn does not wait for another one.
            if !matches!(error, QueryError::TimedOut(_)) {
                was_kept = false;
                continue;
            }
        }
        let kept = (!connection.is_closed()).then_some(connection);
        return Ok((kept, questions::nothing_but_reached(node)));
    }
}
