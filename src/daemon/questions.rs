//! What a turn asks a server: each one query, so that its answers belong to one moment.

use std::time::Duration;

use crate::failover::{Answer, ConnectFailure, Local, Notification, Seen};
use crate::metadata::substitute::{self, Mark};
use crate::metadata::{Means, NodeRecord, means, nodes};
use crate::postgres::{Connection, QueryError};
use crate::types::{Lsn, NodeId, NodeType, RecoveryState, TimelineId};

/// How far a standby's WAL goes: the original ranks candidates by what was received. A standby that was started and has
/// not streamed since says of that only where it would begin; where a promotion needs the right to write there is no
/// original, and a standby that was started without a primary may be promoted, so there all that it has counts.
const HAS_WAL_TO: &str = "CASE WHEN pg_catalog.current_setting('repmgr.require_write_right', true) = 'on' \
     THEN GREATEST(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) \
     ELSE pg_catalog.pg_last_wal_receive_lsn() END";

/// What the own server says of itself. It should know `pid` as the process of this node's daemon; `None` if none is
/// published. The session that asks becomes the daemon's presence there. In the same query its node records; `None`
/// if those cannot be read.
pub async fn local(
    connection: &Connection,
    own: NodeId,
    pid: Option<i32>,
) -> Result<(Local, Option<Vec<NodeRecord>>), QueryError> {
    let means = means::of(connection).await?;
    let (told, paused, serves, published) = match means {
        Means::Library => (
            "repmgr.get_new_primary()::bigint".to_owned(),
            "repmgr.repmgrd_is_paused()".to_owned(),
            "repmgr.get_local_node_id()",
            "repmgr.get_repmgrd_pid()::text",
        ),
        Means::Substitute => (
            substitute::told(),
            substitute::paused(),
            "NULL::integer",
            substitute::OWN_MARK,
        ),
    };
    let expressions = format!(
        "pg_catalog.pg_is_in_recovery(), {HAS_WAL_TO}, \
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END, \
         (SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.max(last_msg_receipt_time)) \
          FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'), \
         {told}, {paused}, (SELECT pg_catalog.max(term) FROM repmgr.voting_term), {serves}, {published}, \
         pg_catalog.date_part('epoch', pg_catalog.current_setting('recovery_min_apply_delay')::interval), {}",
        means::be_present(own)
    );
    let (row, records) = match nodes::all_beside(connection, &expressions).await {
        Ok((row, records)) => (row, Some(records)),
        Err(QueryError::Server(error)) => {
            crate::warning!("could not read the node records from the local server: {error}");
            (connection.query_one(&format!("SELECT {expressions}"), &[]).await?, None)
        }
        Err(error) => return Err(error),
    };
    let told: Option<i64> = row.get(4);
    let paused: Option<bool> = row.get(5);
    let published: Option<String> = row.get(8);
    let (notification, paused, registered) = match means {
        Means::Library => {
            let serves = row.get::<_, Option<i32>>(7).is_some_and(|id| id != -1);
            let published = published.and_then(|pid| pid.parse().ok()).filter(|pid| *pid != -1);
            let told = told.and_then(|number| i32::try_from(number).ok());
            (
                told.and_then(Notification::from_number),
                paused,
                serves && published == pid,
            )
        }
        Means::Substitute => {
            let mark = published.as_deref().and_then(Mark::parse);
            let registered = mark.is_some_and(|mark| mark.pid == pid);
            (
                substitute::notification(told),
                Some(paused.unwrap_or(false)),
                registered,
            )
        }
    };
    let local = Local {
        recovery: recovery(row.get(0)),
        receive_lsn: row.get::<_, Option<Lsn>>(1),
        replay_paused: Answer::from(row.get::<_, Option<bool>>(2)),
        apply_delay: time(row.get(9)).unwrap_or_default(),
        wal_message_age: time(row.get(3)),
        notification,
        paused: Answer::from(paused),
        voting_term: row.get(6),
        registered: Answer::from(Some(registered)),
        library: Answer::from(Some(means == Means::Library)),
    };
    Ok((local, records))
}

/// What another node says of itself. Without an answer about its daemon at least whether it is in recovery.
pub async fn status(connection: &Connection, node: &NodeRecord) -> Result<Seen, QueryError> {
    let answer = match means::of(connection).await {
        Ok(means) => ask_status(connection, node, means).await,
        Err(error) => Err(error),
    };
    match answer {
        Err(QueryError::Server(error)) => {
            crate::warning!("{} cannot say what its daemon does: {error}", node.title());
            Ok(Seen {
                recovery: connection.recovery_state().await?,
                ..nothing_but_reached(node)
            })
        }
        answer => answer,
    }
}

async fn ask_status(connection: &Connection, node: &NodeRecord, means: Means) -> Result<Seen, QueryError> {
    let daemon = match means {
        Means::Library => format!(
            "repmgr.get_repmgrd_pid(), repmgr.repmgrd_is_running(), repmgr.repmgrd_is_paused(), \
             repmgr.get_upstream_last_seen()::bigint, repmgr.get_upstream_node_id(), repmgr.get_wal_receiver_pid(), \
             NOT {}, NULL::text",
            means::is_present()
        ),
        Means::Substitute => format!(
            "NULL::integer, NULL::boolean, {}, {}, NULL::integer, {}, false, {}",
            substitute::paused(),
            substitute::CLOCK,
            substitute::WAL_RECEIVER,
            substitute::present_mark()
        ),
    };
    let sql = format!(
        "SELECT pg_catalog.pg_is_in_recovery(), {HAS_WAL_TO}, {daemon}, \
         COALESCE((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
                  (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())), \
         CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END, \
         pg_catalog.date_part('epoch', pg_catalog.current_setting('recovery_min_apply_delay')::interval)"
    );
    let row = connection.query_one(&sql, &[]).await?;
    let in_recovery: Option<bool> = row.get(0);
    let mut seen = nothing_but_reached(node);
    seen.recovery = recovery(in_recovery);
    seen.receive_lsn = row.get(1);
    seen.library = Answer::from(Some(means == Means::Library));
    seen.wal_receiver = Answer::from(row.get::<_, Option<i32>>(7).filter(|pid| *pid >= 0).map(|pid| pid > 0));
    seen.timeline = row.get::<_, Option<i32>>(10).map(|id| TimelineId(id.cast_unsigned()));
    seen.replay_paused = Answer::from(row.get::<_, Option<bool>>(11));
    seen.apply_delay = time(row.get(12)).unwrap_or_default();
    let (last_seen, upstream) = match means {
        Means::Library => {
            let registered = row.get::<_, Option<i32>>(2).is_some_and(|pid| pid != -1);
            let running: Option<bool> = row.get(3);
            let absent: Option<bool> = row.get(8);
            seen.daemon_registered = Answer::from(Some(registered));
            seen.daemon_running = Answer::from(running);
            seen.daemon_paused = Answer::from(row.get::<_, Option<bool>>(4));
            seen.daemon_is_original = Answer::from(Some(registered && running == Some(true) && absent == Some(true)));
            let seconds = row.get::<_, Option<i64>>(5).and_then(|age| u64::try_from(age).ok());
            let upstream = row.get::<_, Option<i32>>(6).filter(|id| *id > 0).map(NodeId);
            (seconds.map(Duration::from_secs), upstream)
        }
        Means::Substitute => {
            let mark = row.get::<_, Option<String>>(9).as_deref().and_then(Mark::parse);
            seen.daemon_registered = Answer::from(Some(mark.as_ref().is_some_and(|mark| mark.pid.is_some())));
            seen.daemon_running = Answer::from(Some(mark.is_some()));
            seen.daemon_paused = Answer::from(Some(row.get::<_, Option<bool>>(4).unwrap_or(false)));
            seen.daemon_is_original = Answer::No;
            let now: i64 = row.get(5);
            (
                mark.as_ref().and_then(|mark| mark.age(now)),
                mark.and_then(|mark| mark.upstream),
            )
        }
    };
    // A server that is out of recovery goes on counting from its time as a standby.
    if in_recovery == Some(true) || node.node_type == NodeType::Witness {
        (seen.upstream_last_seen, seen.upstream) = (last_seen, upstream);
    }
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
