//! The functions of the extension `repmgr_write_right`: how the right to write stands on one server, its end, and the
//! node's vote. Answers for the calls; what is asked and decided is in `write_right`.

use crate::postgres::{Connection, QueryError};
use crate::types::NodeId;

/// The name of the extension.
pub const EXTENSION: &str = "repmgr_write_right";

/// How the right stands on one server. Times are milliseconds of `CLOCK_BOOTTIME` on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The library is preloaded: what is switched on is enforced.
    pub loaded: bool,
    /// Commits need the right.
    pub required: bool,
    /// Another number whenever the server has forgotten its memory; zero if the library is not preloaded.
    pub server: u64,
    /// The end of its own right; zero: it has none.
    pub end: u64,
    /// What is left of it.
    pub left: u64,
    /// Somebody who is about to promote this server waits for its daemon to acquire the right.
    pub wished: bool,
}

/// Who grants the right, as it was said when it was switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GrantedBy {
    /// A majority of the nodes.
    #[default]
    Majority,
    /// etcd.
    Etcd,
}

impl GrantedBy {
    /// Its word, in SQL and in repmgr.conf.
    pub fn word(self) -> &'static str {
        match self {
            GrantedBy::Majority => "majority",
            GrantedBy::Etcd => "etcd",
        }
    }
}

/// What a person can tell the daemon through its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// These nodes are gone for good.
    GiveUp,
    /// These nodes, given up before, may vote again.
    TakeBack,
}

/// An order that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub kind: OrderKind,
    /// Of which nodes.
    pub nodes: Vec<NodeId>,
    /// Until when, on the host's `CLOCK_BOOTTIME`: a daemon that reads of it later must not obey any more.
    pub until: u64,
}

/// Everything that a server says for its own daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// How the right stands.
    pub standing: Standing,
    /// Who grants it.
    pub granted_by: GrantedBy,
    /// What a person has ordered.
    pub order: Option<Order>,
    /// Only ballots of a higher round can extend the server's right; zero: all can.
    pub over_round: u64,
}

/// What one server says of the right, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// `voting`; `silent` or `lost` while it may have forgotten something; `none` if it was never asked.
    pub voter: String,
    /// Who had the right last, as far as it knows.
    pub holder: Option<NodeId>,
    /// In which epoch.
    pub epoch: Option<u64>,
    /// What is left of the lease that it granted, in milliseconds.
    pub lease_left: u64,
    /// What is left of its own server's right, in milliseconds.
    pub own_left: u64,
}

/// What the server says of the right; `None` if the extension is not there.
pub async fn vote(connection: &Connection) -> Result<Option<Vote>, QueryError> {
    if !exists(connection).await? {
        return Ok(None);
    }
    let sql = "SELECT voter, holder, epoch, coalesce(lease_remaining_ms, 0), coalesce(remaining_ms, 0) \
               FROM repmgr_write_right.status()";
    let row = connection.query_one(sql, &[]).await?;
    let number = |column: usize| row.get::<_, i64>(column).max(0).unsigned_abs();
    Ok(Some(Vote {
        voter: row.get(0),
        holder: row.get::<_, Option<i32>>(1).map(NodeId),
        epoch: row.get::<_, Option<i64>>(2).map(|epoch| epoch.max(0).unsigned_abs()),
        lease_left: number(3),
        own_left: number(4),
    }))
}

/// Whether the extension is there. Asked first, as a call of what is missing is an error in the server's log.
pub async fn exists(connection: &Connection) -> Result<bool, QueryError> {
    let sql = "SELECT pg_catalog.to_regprocedure('repmgr_write_right.status()') IS NOT NULL";
    let exists: Option<bool> = connection.value(sql, &[]).await?;
    Ok(exists == Some(true))
}

/// How the right stands; `None` if the extension is not there.
pub async fn standing(connection: &Connection) -> Result<Option<Standing>, QueryError> {
    Ok(look(connection).await?.map(|look| look.standing))
}

/// How the right stands, and what the daemon is to do about it; `None` if the extension is not there.
pub async fn look(connection: &Connection) -> Result<Option<Look>, QueryError> {
    if !exists(connection).await? {
        return Ok(None);
    }
    let sql = "SELECT enforcement_loaded, enforcement_on, server, coalesce(end_boottime_ms, 0), \
               coalesce(remaining_ms, 0), wished, ordered, ordered_nodes, coalesce(ordered_until_ms, 0), over_round, \
               (SELECT who FROM repmgr_write_right.granted_by) FROM repmgr_write_right.status()";
    let row = connection.query_one(sql, &[]).await?;
    let number = |column: usize| row.get::<_, i64>(column).max(0).unsigned_abs();
    let kind = match row.get::<_, Option<&str>>(6) {
        Some("give-up") => Some(OrderKind::GiveUp),
        Some("take-back") => Some(OrderKind::TakeBack),
        _ => None,
    };
    let nodes = row.get::<_, Option<&str>>(7).unwrap_or_default();
    let order = kind.map(|kind| Order {
        kind,
        nodes: nodes.split(',').filter_map(|id| id.parse().ok()).map(NodeId).collect(),
        until: number(8),
    });
    Ok(Some(Look {
        standing: Standing {
            loaded: row.get(0),
            required: row.get(1),
            server: number(2),
            end: number(3),
            left: number(4),
            wished: row.get(5),
        },
        granted_by: match row.get::<_, Option<&str>>(10) {
            Some("etcd") => GrantedBy::Etcd,
            _ => GrantedBy::Majority,
        },
        order,
        over_round: number(9),
    }))
}

/// Who grants the right in the cluster of this server; `None` if the extension is not there.
pub async fn granted_by(connection: &Connection) -> Result<Option<GrantedBy>, QueryError> {
    Ok(look(connection).await?.map(|look| look.granted_by))
}

/// Tells the server's daemon what a person orders; it stands for `milliseconds`, zero takes it back.
pub async fn order(
    connection: &Connection,
    kind: OrderKind,
    nodes: &[NodeId],
    milliseconds: u64,
) -> Result<(), QueryError> {
    let sql = match kind {
        OrderKind::GiveUp => "SELECT repmgr_write_right.give_up($1, $2)",
        OrderKind::TakeBack => "SELECT repmgr_write_right.take_back($1, $2)",
    };
    let nodes: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    let (nodes, milliseconds) = (nodes.join(","), bigint(milliseconds));
    connection.query(sql, &[&nodes, &milliseconds]).await.map(|_| ())
}

/// Puts a question to the node's vote; question and answer are those of `write-right/`.
pub async fn ask(connection: &Connection, request: &str) -> Result<String, QueryError> {
    let answer: Option<String> = connection
        .value("SELECT repmgr_write_right.ask($1)", &[&request])
        .await?;
    answer.ok_or_else(|| QueryError::Unexpected("no answer to a question about the right to write".to_owned()))
}

/// Extends the end of the server's own right.
pub async fn hold_until(connection: &Connection, until: u64, server: u64, ballot: &str) -> Result<(), QueryError> {
    let (until, server) = (bigint(until), bigint(server));
    connection
        .query(
            "SELECT repmgr_write_right.hold_until($1, $2, $3)",
            &[&until, &server, &ballot],
        )
        .await
        .map(|_| ())
}

/// Ends the server's own right at once.
pub async fn lapse(connection: &Connection, ballot: &str) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr_write_right.lapse($1)", &[&ballot])
        .await
        .map(|_| ())
}

/// Asks the server's daemon to acquire the right for a promotion; it has `milliseconds` to do so.
pub async fn wish(connection: &Connection, milliseconds: u64) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr_write_right.wish($1)", &[&bigint(milliseconds)])
        .await
        .map(|_| ())
}

/// Makes the server require the right, or not, from now on and after a restart. On a standby, too.
pub async fn require(connection: &Connection, required: bool) -> Result<(), QueryError> {
    let change = if required {
        "ALTER SYSTEM SET repmgr.require_write_right = on"
    } else {
        "ALTER SYSTEM RESET repmgr.require_write_right"
    };
    connection.batch(change).await?;
    connection
        .query("SELECT pg_catalog.pg_reload_conf()", &[])
        .await
        .map(|_| ())
}

fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
