//! `repmgr.monitoring_history`: one row a turn, written by a standby's daemon on the primary.

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::metadata::functions;
use crate::postgres::{Connection, QueryError};
use crate::types::{Lsn, NodeId};

/// The recording that is under way, at most one: a slow primary must not gather a queue.
#[derive(Debug, Default)]
pub struct History {
    under_way: Option<JoinHandle<()>>,
}

impl History {
    /// Records the standby's distance to the primary, beside the loop.
    pub fn record(&mut self, local: Arc<Connection>, primary: Arc<Connection>, standby: NodeId, primary_id: NodeId) {
        if self.under_way.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.under_way = Some(tokio::spawn(async move {
            if let Err(error) = write(&local, &primary, standby, primary_id).await {
                crate::warning!("could not write the monitoring history: {error}");
            }
        }));
    }
}

async fn write(
    local: &Connection,
    primary: &Connection,
    standby: NodeId,
    primary_id: NodeId,
) -> Result<(), QueryError> {
    let sql = "SELECT CURRENT_TIMESTAMP::text, pg_catalog.pg_last_xact_replay_timestamp()::text, \
               pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()";
    let row = local.query_one(sql, &[]).await?;
    let (now, applied): (String, Option<String>) = (row.get(0), row.get(1));
    let received = row.get::<_, Option<Lsn>>(2).unwrap_or_default();
    let replayed = row.get::<_, Option<Lsn>>(3).unwrap_or_default();
    let written = primary.current_lsn().await?;
    if written < received {
        crate::warning!("this standby has received more ({received}) than its primary has written ({written})");
    }
    let lag = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let sql = "INSERT INTO repmgr.monitoring_history (primary_node_id, standby_node_id, last_monitor_time, \
               last_apply_time, last_wal_primary_location, last_wal_standby_location, replication_lag, apply_lag) \
               VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, $5, $6, $7, $8)";
    primary
        .execute(
            sql,
            &[
                &primary_id.0,
                &standby.0,
                &now,
                &applied,
                &written,
                &received,
                &lag(written.bytes_since(received)),
                &lag(received.bytes_since(replayed)),
            ],
        )
        .await?;
    functions::standby_set_last_updated(local).await
}
