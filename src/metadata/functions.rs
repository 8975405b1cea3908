//! The node's shared state: what its daemon tells and is told. Kept by the functions
//! of the server library, or by what stands in for it ([`super::means`]).

use super::means::{self, Means};
use super::substitute;
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
    if means::of(connection).await? == Means::Substitute {
        return substitute::local_node_id(connection).await;
    }
    let id: Option<i32> = connection.value("SELECT repmgr.get_local_node_id()", &[]).await?;
    Ok(id.filter(|id| *id != -1).map(NodeId))
}

/// Tells the library which node it serves; only the first call since the server's start counts.
pub async fn set_local_node_id(connection: &Connection, id: NodeId) -> Result<(), QueryError> {
    // First of all: whoever sees the daemon's process must see whose it is.
    substitute::be_present(connection, id).await?;
    if means::of(connection).await? == Means::Substitute {
        return Ok(());
    }
    connection
        .query("SELECT repmgr.set_local_node_id($1)", &[&id.0])
        .await
        .map(|_| ())
}

/// Publishes the daemon's process id; `None` when it ends.
pub async fn set_repmgrd_pid(connection: &Connection, pid: Option<i32>, pid_file: &str) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::mark(connection, |mark, _| mark.pid = pid).await;
    }
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
    if means::of(connection).await? == Means::Substitute {
        return Ok(substitute::present(connection).await?.0.and_then(|mark| mark.pid));
    }
    let pid: Option<i32> = connection.value("SELECT repmgr.get_repmgrd_pid()", &[]).await?;
    Ok(pid.filter(|pid| *pid != -1))
}

/// Whether the published process lives; `None` if the library cannot say.
pub async fn repmgrd_is_running(connection: &Connection) -> Result<Option<bool>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return Ok(Some(substitute::present(connection).await?.0.is_some()));
    }
    connection.value("SELECT repmgr.repmgrd_is_running()", &[]).await
}

/// Whether the node's daemon is paused; `None` if the library cannot say.
pub async fn repmgrd_is_paused(connection: &Connection) -> Result<Option<bool>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::is_paused(connection).await;
    }
    connection.value("SELECT repmgr.repmgrd_is_paused()", &[]).await
}

/// Pauses or unpauses the node's daemon.
pub async fn repmgrd_pause(connection: &Connection, pause: bool) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::pause(connection, pause).await;
    }
    connection
        .query("SELECT repmgr.repmgrd_pause($1)", &[&pause])
        .await
        .map(|_| ())
}

/// Seconds since the node's daemon saw its upstream; `None` if never.
pub async fn upstream_last_seen(connection: &Connection) -> Result<Option<i32>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        let (mark, now) = substitute::present(connection).await?;
        let age = mark.and_then(|mark| mark.age(now));
        return Ok(age.and_then(|age| i32::try_from(age.as_secs()).ok()));
    }
    let seconds: Option<i32> = connection.value("SELECT repmgr.get_upstream_last_seen()", &[]).await?;
    Ok(seconds.filter(|seconds| *seconds >= 0))
}

/// Records that the upstream was seen now.
pub async fn set_upstream_last_seen(connection: &Connection, upstream: NodeId) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::mark(connection, |mark, now| {
            (mark.upstream, mark.seen) = (Some(upstream), Some(now))
        })
        .await;
    }
    connection
        .query("SELECT repmgr.set_upstream_last_seen($1)", &[&upstream.0])
        .await
        .map(|_| ())
}

/// The upstream that the node's daemon watches.
pub async fn upstream_node_id(connection: &Connection) -> Result<Option<NodeId>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return Ok(substitute::present(connection).await?.0.and_then(|mark| mark.upstream));
    }
    let id: Option<i32> = connection.value("SELECT repmgr.get_upstream_node_id()", &[]).await?;
    Ok(id.filter(|id| *id != -1).map(NodeId))
}

/// Records the upstream that the daemon watches; `None` on a primary.
pub async fn set_upstream_node_id(connection: &Connection, upstream: Option<NodeId>) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::mark(connection, |mark, _| mark.upstream = upstream).await;
    }
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
    if means::of(connection).await? == Means::Substitute {
        return substitute::notify(connection, id).await;
    }
    connection
        .query("SELECT repmgr.notify_follow_primary($1)", &[&id])
        .await
        .map(|_| ())
}

/// What the node was told; sticky until [`reset_voting_status`].
pub async fn notification(connection: &Connection) -> Result<Option<Notification>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        let key = connection.value(&format!("SELECT {}", substitute::told()), &[]).await?;
        return Ok(substitute::notification(key));
    }
    let id: Option<i32> = connection.value("SELECT repmgr.get_new_primary()", &[]).await?;
    Ok(id.and_then(Notification::from_number))
}

/// Forgets what the node was told.
pub async fn reset_voting_status(connection: &Connection) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return substitute::forget_told(connection).await;
    }
    connection
        .query("SELECT repmgr.reset_voting_status()", &[])
        .await
        .map(|_| ())
}

/// The process id of the WAL receiver; 0 if none runs, `None` if the library cannot say.
pub async fn wal_receiver_pid(connection: &Connection) -> Result<Option<i32>, QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return connection
            .value(&format!("SELECT {}", substitute::WAL_RECEIVER), &[])
            .await;
    }
    connection.value("SELECT repmgr.get_wal_receiver_pid()", &[]).await
}

/// Records that the monitoring history was written now.
pub async fn standby_set_last_updated(connection: &Connection) -> Result<(), QueryError> {
    if means::of(connection).await? == Means::Substitute {
        return Ok(());
    }
    connection
        .query("SELECT repmgr.standby_set_last_updated()", &[])
        .await
        .map(|_| ())
}
