//! `repmgr.nodes`.

use std::path::Path;

use tokio_postgres::Row;

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::postgres::{Connection, Parameter, QueryError};
use crate::types::{NodeId, NodeType};

/// A row of `repmgr.nodes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRecord {
    /// Its id.
    pub node_id: NodeId,
    /// The node it follows.
    pub upstream_node_id: Option<NodeId>,
    /// Whether it takes part.
    pub active: bool,
    /// Its name; also the application_name of its WAL receiver.
    pub node_name: String,
    /// What it is registered as.
    pub node_type: NodeType,
    /// Where it is.
    pub location: String,
    /// Higher is preferred in an election; 0 is never promoted.
    pub priority: i32,
    /// How the other nodes connect to it. May hold a password: never log it as it is.
    pub conninfo: String,
    /// The role for replication connections to it; may be empty.
    pub repluser: String,
    /// The slot it uses on its upstream.
    pub slot_name: Option<String>,
    /// The absolute path of its repmgr.conf.
    pub config_file: String,
}

impl NodeRecord {
    /// What a node is registered with: its configuration, active, without upstream.
    pub fn from_config(config: &Config, config_file: Option<&Path>, node_type: NodeType) -> NodeRecord {
        let repluser = if config.replication_user.is_empty() {
            // Only what the string says literally: the role must be the same from everywhere.
            let conninfo = Conninfo::parse(&config.conninfo).unwrap_or_default();
            conninfo.get("user").unwrap_or_default().to_owned()
        } else {
            config.replication_user.clone()
        };
        let node_id = NodeId(config.node_id);
        NodeRecord {
            node_id,
            upstream_node_id: None,
            active: true,
            node_name: config.node_name.clone(),
            node_type,
            location: config.location.clone(),
            priority: config.priority,
            conninfo: config.conninfo.clone(),
            repluser,
            slot_name: config.use_replication_slots.then(|| slot_name(node_id)),
            config_file: config_file.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
        }
    }

    /// `node "NAME" (ID: N)`, the original's way to name a node.
    pub fn title(&self) -> String {
        format!("node \"{}\" (ID: {})", self.node_name, self.node_id)
    }
}

/// The slot that a node uses on its upstream, whichever that is.
pub fn slot_name(id: NodeId) -> String {
    format!("repmgr_slot_{id}")
}

const COLUMNS: &str = "n.node_id, n.upstream_node_id, n.active, n.node_name, n.type, n.location, n.priority, \
                       n.conninfo, n.repluser::text, n.slot_name, n.config_file";

fn record(row: &Row) -> NodeRecord {
    record_behind(row, 0)
}

/// A record in a row that begins with `others` columns of something else.
fn record_behind(row: &Row, others: usize) -> NodeRecord {
    let at = |column: usize| others + column;
    NodeRecord {
        node_id: NodeId(row.get(at(0))),
        upstream_node_id: row.get::<_, Option<i32>>(at(1)).map(NodeId),
        active: row.get(at(2)),
        node_name: row.get(at(3)),
        node_type: NodeType::from_word(row.get(at(4))),
        location: row.get(at(5)),
        priority: row.get(at(6)),
        conninfo: row.get(at(7)),
        repluser: row.get(at(8)),
        slot_name: row.get::<_, Option<String>>(at(9)).filter(|name| !name.is_empty()),
        config_file: row.get(at(10)),
    }
}

type Parameters<'a> = &'a [&'a dyn Parameter];

async fn select(
    connection: &Connection,
    condition: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<NodeRecord>, QueryError> {
    let sql = format!("SELECT {COLUMNS} FROM repmgr.nodes n {condition}");
    Ok(connection.query(&sql, parameters).await?.iter().map(record).collect())
}

/// The record of a node.
pub async fn by_id(connection: &Connection, id: NodeId) -> Result<Option<NodeRecord>, QueryError> {
    Ok(select(connection, "WHERE n.node_id = $1", &[&id.0]).await?.pop())
}

/// The first record with a name.
pub async fn by_name(connection: &Connection, name: &str) -> Result<Option<NodeRecord>, QueryError> {
    Ok(select(
        connection,
        "WHERE n.node_name = $1 ORDER BY n.node_id LIMIT 1",
        &[&name],
    )
    .await?
    .pop())
}

/// An active record with this name and another id: names must be unique among the active.
pub async fn active_namesake(
    connection: &Connection,
    name: &str,
    own: NodeId,
) -> Result<Option<NodeRecord>, QueryError> {
    Ok(select(
        connection,
        "WHERE n.node_name = $1 AND n.node_id <> $2 AND n.active ORDER BY n.node_id LIMIT 1",
        &[&name, &own.0],
    )
    .await?
    .pop())
}

/// All records by id.
pub async fn all(connection: &Connection) -> Result<Vec<NodeRecord>, QueryError> {
    select(connection, "ORDER BY n.node_id", &[]).await
}

/// All records by id, and the values of SQL expressions in the same query. Each expression is evaluated once; the row
/// begins with them.
pub async fn all_beside(connection: &Connection, expressions: &str) -> Result<(Row, Vec<NodeRecord>), QueryError> {
    // OFFSET keeps the expressions from being evaluated for every record.
    let sql = format!(
        "SELECT beside.*, {COLUMNS} FROM (SELECT {expressions} OFFSET 0) beside LEFT JOIN repmgr.nodes n ON TRUE \
         ORDER BY n.node_id"
    );
    let rows = connection.query(&sql, &[]).await?;
    let others = rows.first().map_or(0, |row| row.len() - COLUMNS.split(", ").count());
    let are_there = rows.iter().filter(|row| row.get::<_, Option<i32>>(others).is_some());
    let records = are_there.map(|row| record_behind(row, others)).collect();
    let row = rows.into_iter().next();
    Ok((row.ok_or_else(|| QueryError::Unexpected("no row".to_owned()))?, records))
}

/// All records that name `upstream` as their upstream, active or not, by id.
pub async fn downstream_of(connection: &Connection, upstream: NodeId) -> Result<Vec<NodeRecord>, QueryError> {
    select(
        connection,
        "WHERE n.upstream_node_id = $1 ORDER BY n.node_id",
        &[&upstream.0],
    )
    .await
}

/// The active records with this upstream other than `own`, witness included, by id.
pub async fn active_siblings(
    connection: &Connection,
    upstream: NodeId,
    own: NodeId,
) -> Result<Vec<NodeRecord>, QueryError> {
    select(
        connection,
        "WHERE n.upstream_node_id = $1 AND n.node_id <> $2 AND n.active ORDER BY n.node_id",
        &[&upstream.0, &own.0],
    )
    .await
}

/// The record of type primary that is active: the primary according to the metadata.
pub async fn recorded_primary(connection: &Connection) -> Result<Option<NodeRecord>, QueryError> {
    Ok(select(
        connection,
        "WHERE n.type = 'primary' AND n.active ORDER BY n.node_id LIMIT 1",
        &[],
    )
    .await?
    .pop())
}

/// Where to look for the live primary: active, no witness, registered primaries first.
pub async fn primary_candidates(connection: &Connection) -> Result<Vec<NodeRecord>, QueryError> {
    select(
        connection,
        "WHERE n.active AND n.type <> 'witness' ORDER BY n.type <> 'primary', n.priority, n.node_id",
        &[],
    )
    .await
}

/// Writes a record: INSERT, or UPDATE of all columns if `exists`.
/// A standby without upstream gets the recorded primary.
pub async fn write(connection: &Connection, node: &NodeRecord, exists: bool) -> Result<u64, QueryError> {
    let mut upstream = node.upstream_node_id;
    if upstream.is_none() && node.node_type == NodeType::Standby {
        upstream = recorded_primary(connection).await?.map(|primary| primary.node_id);
    }
    let sql = if exists {
        "UPDATE repmgr.nodes SET upstream_node_id = $2, active = $3, node_name = $4, type = $5, location = $6, \
         priority = $7, conninfo = $8, repluser = $9::text, slot_name = $10, config_file = $11 WHERE node_id = $1"
    } else {
        "INSERT INTO repmgr.nodes (node_id, upstream_node_id, active, node_name, type, location, priority, conninfo, \
         repluser, slot_name, config_file) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text, $10, $11)"
    };
    connection
        .execute(
            sql,
            &[
                &node.node_id.0,
                &upstream.map(|id| id.0),
                &node.active,
                &node.node_name,
                &node.node_type.as_str(),
                &node.location,
                &node.priority,
                &node.conninfo,
                &node.repluser,
                &node.slot_name,
                &node.config_file,
            ],
        )
        .await
}

/// Replaces all records by copies, all or nothing. The connection must be used for nothing else meanwhile.
/// A standby without upstream gets the recorded primary, wherever that stands in the list.
pub async fn replace_all(connection: &Connection, records: &[NodeRecord]) -> Result<(), QueryError> {
    let primary = records
        .iter()
        .find(|node| node.active && node.node_type == NodeType::Primary)
        .map(|node| node.node_id);
    connection
        .transaction(async |connection| {
            connection
                .batch("SET CONSTRAINTS ALL DEFERRED; TRUNCATE repmgr.nodes")
                .await?;
            for record in records {
                let mut copy = record.clone();
                if copy.node_type == NodeType::Standby {
                    copy.upstream_node_id = copy.upstream_node_id.or(primary);
                }
                write(connection, &copy, false).await?;
            }
            Ok(())
        })
        .await
}

/// Deletes a record; fails if others name it as their upstream.
pub async fn delete(connection: &Connection, id: NodeId) -> Result<u64, QueryError> {
    connection
        .execute("DELETE FROM repmgr.nodes WHERE node_id = $1", &[&id.0])
        .await
}

/// Marks a node as taking part or not.
pub async fn set_active(connection: &Connection, id: NodeId, active: bool) -> Result<u64, QueryError> {
    connection
        .execute(
            "UPDATE repmgr.nodes SET active = $2 WHERE node_id = $1",
            &[&id.0, &active],
        )
        .await
}

/// Records whom a standby or witness follows.
pub async fn set_upstream(connection: &Connection, id: NodeId, upstream: NodeId) -> Result<u64, QueryError> {
    connection
        .execute(
            "UPDATE repmgr.nodes SET upstream_node_id = $2 WHERE node_id = $1",
            &[&id.0, &upstream.0],
        )
        .await
}

/// Makes a node an active standby of `upstream`.
pub async fn set_standby(connection: &Connection, id: NodeId, upstream: NodeId) -> Result<u64, QueryError> {
    connection
        .execute(
            "UPDATE repmgr.nodes SET type = 'standby', upstream_node_id = $2, active = TRUE WHERE node_id = $1",
            &[&id.0, &upstream.0],
        )
        .await
}

/// Stores the name of the slot a node uses.
pub async fn set_slot_name(connection: &Connection, id: NodeId, slot_name: &str) -> Result<u64, QueryError> {
    connection
        .execute(
            "UPDATE repmgr.nodes SET slot_name = $2 WHERE node_id = $1",
            &[&id.0, &slot_name],
        )
        .await
}

/// Makes a node the one active primary, in one statement: all or nothing.
///
/// # Errors
/// Also if the node has no record here: then nothing is changed, as this may be the metadata of another cluster.
pub async fn set_primary(connection: &Connection, id: NodeId) -> Result<(), QueryError> {
    let changed = connection
        .execute(
            "UPDATE repmgr.nodes SET \
             active = (node_id = $1), \
             type = 'primary', \
             upstream_node_id = CASE WHEN node_id = $1 THEN NULL ELSE upstream_node_id END \
             WHERE (node_id = $1 OR (type = 'primary' AND active)) \
             AND EXISTS (SELECT FROM repmgr.nodes WHERE node_id = $1)",
            &[&id.0],
        )
        .await?;
    if changed == 0 {
        return Err(QueryError::Unexpected(format!("there is no record of node {id} here")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            node_id: 3,
            node_name: "three".to_owned(),
            conninfo: "host=h user=repmgr dbname=repmgr".to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn the_replication_role_is_the_configured_one_or_that_of_conninfo() {
        let repluser = |config: &Config| NodeRecord::from_config(config, None, NodeType::Primary).repluser;
        assert_eq!(repluser(&config()), "repmgr");
        let configured = Config {
            replication_user: "replicator".to_owned(),
            ..config()
        };
        assert_eq!(repluser(&configured), "replicator");
        let silent = Config {
            conninfo: "host=h".to_owned(),
            ..config()
        };
        assert_eq!(repluser(&silent), "");
    }

    #[test]
    fn a_slot_is_named_after_the_node_only_if_slots_are_used() {
        let slot = |config: &Config| NodeRecord::from_config(config, None, NodeType::Standby).slot_name;
        assert_eq!(slot(&config()), None);
        let with_slots = Config {
            use_replication_slots: true,
            ..config()
        };
        assert_eq!(slot(&with_slots).as_deref(), Some("repmgr_slot_3"));
    }
}
