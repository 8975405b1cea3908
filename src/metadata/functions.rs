//! The functions of the server library: the node's shared state, seen over SQL.

use crate::postgres::{Connection, QueryError};
use crate::types::NodeId;

/// What `notify_follow_primary` says to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notification {
    /// Follow this node (its own id: promote; the old primary's id: carry on with it).
    Follow(NodeId),
    /// Vote again.
    RerunElection,
}

const RERUN: i32 = -2;

impl Notification {
    /// What the number in the library's memory says; -1 is nothing.
    pub fn from_number(number: i32) -> Option<Notification> {
        match number {
            -1 => None,
            RERUN => Some(Notification::RerunElection),
            id => Some(Notification::Follow(NodeId(id))),
        }
    }
}

/// The node id that the server's library knows, if one was set since the server's start.
pub async fn local_node_id(connection: &Connection) -> Result<Option<NodeId>, QueryError> {
    let id: Option<i32> = connection.value("SELECT repmgr.get_local_node_id()", &[]).await?;
    Ok(id.filter(|id| *id != -1).map(NodeId))
}

/// Tells the library which node it serves; only the first call since the server's start counts.
pub async fn set_local_node_id(connection: &Connection, id: NodeId) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr.set_local_node_id($1)", &[&id.0])
        .await
        .map(|_| ())
}

/// Publishes the daemon's process id; `None` when it ends.
pub async fn set_repmgrd_pid(connection: &Connection, pid: Option<i32>, pid_file: &str) -> Result<(), QueryError> {
    connection
        .query(
            "SELECT repmgr.set_repmgrd_pid($1, $2)",
            &[&pid.unwrap_or(-1), &pid_file],
        )
        .await
        .map(|_| ())
}

/// The process id that the daemon published.
pub async fn repmgrd_pid(connection: &Connection) -> Result<Option<i32>, QueryError> {
    let pid: Option<i32> = connection.value("SELECT repmgr.get_repmgrd_pid()", &[]).await?;
    Ok(pid.filter(|pid| *pid != -1))
}

/// Whether the published process lives; `None` if the library cannot say.
pub async fn repmgrd_is_running(connection: &Connection) -> Result<Option<bool>, QueryError> {
    connection.value("SELECT repmgr.repmgrd_is_running()", &[]).await
}

/// Whether the node's daemon is paused; `None` if the library cannot say.
pub async fn repmgrd_is_paused(connection: &Connection) -> Result<Option<bool>, QueryError> {
    connection.value("SELECT repmgr.repmgrd_is_paused()", &[]).await
}

/// Pauses or unpauses the node's daemon.
pub async fn repmgrd_pause(connection: &Connection, pause: bool) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr.repmgrd_pause($1)", &[&pause])
        .await
        .map(|_| ())
}

/// Seconds since the node's daemon saw its upstream; `None` if never.
pub async fn upstream_last_seen(connection: &Connection) -> Result<Option<i32>, QueryError> {
    let seconds: Option<i32> = connection.value("SELECT repmgr.get_upstream_last_seen()", &[]).await?;
    Ok(seconds.filter(|seconds| *seconds >= 0))
}

/// Records that the upstream was seen now.
pub async fn set_upstream_last_seen(connection: &Connection, upstream: NodeId) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr.set_upstream_last_seen($1)", &[&upstream.0])
        .await
        .map(|_| ())
}

/// The upstream that the node's daemon watches.
pub async fn upstream_node_id(connection: &Connection) -> Result<Option<NodeId>, QueryError> {
    let id: Option<i32> = connection.value("SELECT repmgr.get_upstream_node_id()", &[]).await?;
    Ok(id.filter(|id| *id != -1).map(NodeId))
}

/// Records the upstream that the daemon watches; `None` on a primary.
pub async fn set_upstream_node_id(connection: &Connection, upstream: Option<NodeId>) -> Result<(), QueryError> {
    connection
        .query(
            "SELECT repmgr.set_upstream_node_id($1)",
            &[&upstream.map_or(-1, |id| id.0)],
        )
        .await
        .map(|_| ())
}

/// Tells a node's daemon whom to follow, or to vote again.
pub async fn notify(connection: &Connection, notification: Notification) -> Result<(), QueryError> {
    let id = match notification {
        Notification::Follow(id) => id.0,
        Notification::RerunElection => RERUN,
    };
    connection
        .query("SELECT repmgr.notify_follow_primary($1)", &[&id])
        .await
        .map(|_| ())
}

/// What the node was told; sticky until [`reset_voting_status`].
pub async fn notification(connection: &Connection) -> Result<Option<Notification>, QueryError> {
    let id: Option<i32> = connection.value("SELECT repmgr.get_new_primary()", &[]).await?;
    Ok(id.and_then(Notification::from_number))
}

/// Forgets what the node was told.
pub async fn reset_voting_status(connection: &Connection) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr.reset_voting_status()", &[])
        .await
        .map(|_| ())
}

/// The process id of the WAL receiver; 0 if none runs, `None` if the library cannot say.
pub async fn wal_receiver_pid(connection: &Connection) -> Result<Option<i32>, QueryError> {
    connection.value("SELECT repmgr.get_wal_receiver_pid()", &[]).await
}

/// Records that the monitoring history was written now.
pub async fn standby_set_last_updated(connection: &Connection) -> Result<(), QueryError> {
    connection
        .query("SELECT repmgr.standby_set_last_updated()", &[])
        .await
        .map(|_| ())
}
