//! `repmgr.events`.

use crate::postgres::{Connection, QueryError};
use crate::types::NodeId;

/// Writes a row; the server's text for its timestamp, in the session's `DateStyle` and `TimeZone`.
pub async fn insert(
    connection: &Connection,
    node_id: NodeId,
    event: &str,
    successful: bool,
    details: Option<&str>,
) -> Result<String, QueryError> {
    let sql = "INSERT INTO repmgr.events (node_id, event, successful, details) VALUES ($1, $2, $3, $4) \
               RETURNING event_timestamp::text";
    connection
        .value(sql, &[&node_id.0, &event, &successful, &details])
        .await
        .map(Option::unwrap_or_default)
}

/// A row as `cluster event` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The node it is about.
    pub node_id: NodeId,
    /// Its name; `None` if it is not registered any more.
    pub node_name: Option<String>,
    /// What happened.
    pub event: String,
    /// Whether it went well.
    pub successful: bool,
    /// `YYYY-MM-DD HH24:MI:SS` in the session's time zone.
    pub timestamp: String,
    /// What there is to say about it.
    pub details: Option<String>,
}

/// Which rows to read; the default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this node, which must be registered.
    pub node_id: Option<NodeId>,
    /// Only of the node that is registered under this name.
    pub node_name: Option<String>,
    /// Only with this name.
    pub event: Option<String>,
    /// Not more than so many, the newest.
    pub limit: Option<u32>,
}

/// Rows, newest first.
pub async fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventRow>, QueryError> {
    let sql = "SELECT e.node_id, n.node_name, e.event, e.successful, \
               pg_catalog.to_char(e.event_timestamp, 'YYYY-MM-DD HH24:MI:SS'), e.details \
               FROM repmgr.events e LEFT JOIN repmgr.nodes n ON e.node_id = n.node_id \
               WHERE ($1::int IS NULL OR n.node_id = $1) \
               AND ($2::text IS NULL OR n.node_name = $2) \
               AND ($3::text IS NULL OR e.event = $3) \
               ORDER BY e.event_timestamp DESC LIMIT $4";
    let rows = connection
        .query(
            sql,
            &[
                &filter.node_id.map(|id| id.0),
                &filter.node_name,
                &filter.event,
                &filter.limit.map(i64::from),
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| EventRow {
            node_id: NodeId(row.get(0)),
            node_name: row.get(1),
            event: row.get(2),
            successful: row.get(3),
            timestamp: row.get(4),
            details: row.get(5),
        })
        .collect())
}
