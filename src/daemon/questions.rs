//! What a turn asks a server: each one query, so that its answers belong to one moment.

use std::time::Duration;

use crate::failover::{Answer, ConnectFailure, Local, Notification, Seen};
use crate::metadata::NodeRecord;
use crate::postgres::{Connection, QueryError};
use crate::types::{Lsn, NodeId, NodeType, RecoveryState, TimelineId};

/// What the own server says of itself. Its library should know `pid` as the daemon's; `None` if none is published.
pub async fn local(connection: &Connection, pid: Option<i32>) -> Result<Local, QueryError> {
    let sql = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_receive_lsn(), \
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END, \
               (SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.max(last_msg_receipt_time)) \
                FROM pg_catalog.pg_stat_wal_receiver), \
               repmgr.get_new_primary(), repmgr.repmgrd_is_paused(), \
               (SELECT pg_catalog.max(term) FROM repmgr.voting_term), \
               repmgr.get_local_node_id(), repmgr.get_repmgrd_pid(), \
               pg_catalog.date_part('epoch', pg_catalog.current_setting('recovery_min_apply_delay')::interval)";
    let row = connection.query_one(sql, &[]).await?;
    let serves = row.get::<_, Option<i32>>(7).filter(|id| *id != -1);
    let published = row.get::<_, Option<i32>>(8).filter(|pid| *pid != -1);
    Ok(Local {
        recovery: recovery(row.get(0)),
        receive_lsn: row.get::<_, Option<Lsn>>(1),
        replay_paused: Answer::from(row.get::<_, Option<bool>>(2)),
        apply_delay: time(row.get(9)).unwrap_or_default(),
        wal_message_age: time(row.get(3)),
        notification: row.get::<_, Option<i32>>(4).and_then(Notification::from_number),
        paused: Answer::from(row.get::<_, Option<bool>>(5)),
        voting_term: row.get(6),
        registered: Answer::from(Some(serves.is_some() && published == pid)),
    })
}

/// What another node says of itself. Without an answer of its library at least whether it is in recovery.
pub async fn status(connection: &Connection, node: &NodeRecord) -> Result<Seen, QueryError> {
    let sql = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_receive_lsn(), \
               repmgr.get_repmgrd_pid(), repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused(), \
               repmgr.get_upstream_last_seen(), repmgr.get_upstream_node_id(), repmgr.get_wal_receiver_pid(), \
               COALESCE((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
                        (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())), \
               CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END, \
               pg_catalog.date_part('epoch', pg_catalog.current_setting('recovery_min_apply_delay')::interval)";
    let mut seen = nothing_but_reached(node);
    let row = match connection.query_one(sql, &[]).await {
        Ok(row) => row,
        Err(QueryError::Server(error)) => {
            crate::warning!("{} cannot say what its daemon does: {error}", node.title());
            seen.recovery = connection.recovery_state().await?;
            return Ok(seen);
        }
        Err(error) => return Err(error),
    };
    let in_recovery: Option<bool> = row.get(0);
    seen.recovery = recovery(in_recovery);
    seen.receive_lsn = row.get(1);
    seen.daemon_registered = Answer::from(Some(row.get::<_, Option<i32>>(2).is_some_and(|pid| pid != -1)));
    seen.daemon_running = Answer::from(row.get::<_, Option<bool>>(3));
    seen.daemon_paused = Answer::from(row.get::<_, Option<bool>>(4));
    // A server that is out of recovery goes on counting from its time as a standby.
    if in_recovery == Some(true) || node.node_type == NodeType::Witness {
        seen.upstream_last_seen = row
            .get::<_, Option<i32>>(5)
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs);
        seen.upstream = row.get::<_, Option<i32>>(6).filter(|id| *id > 0).map(NodeId);
    }
    seen.wal_receiver = Answer::from(row.get::<_, Option<i32>>(7).filter(|pid| *pid >= 0).map(|pid| pid > 0));
    seen.timeline = row.get::<_, Option<i32>>(8).map(|id| TimelineId(id.cast_unsigned()));
    seen.replay_paused = Answer::from(row.get::<_, Option<bool>>(9));
    seen.apply_delay = time(row.get(10)).unwrap_or_default();
    Ok(seen)
}

fn time(seconds: Option<f64>) -> Option<Duration> {
    seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0)))
}

/// What is known of a node that lets this one in and does not say more: that it is there.
pub fn nothing_but_reached(node: &NodeRecord) -> Seen {
    Seen {
        reached: Ok(()),
        ..Seen::unreachable(node.node_id, ConnectFailure::Other)
    }
}

fn recovery(in_recovery: Option<bool>) -> RecoveryState {
    match in_recovery {
        Some(true) => RecoveryState::Standby,
        Some(false) => RecoveryState::Primary,
        None => RecoveryState::Unknown,
    }
}
