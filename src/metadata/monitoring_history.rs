//! `repmgr.monitoring_history`: what a standby's daemon saw at each turn.

use crate::postgres::{Connection, QueryError};
use crate::types::{Lsn, NodeId};

/// A row to be written. Times are the standby's server's own, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The primary that the daemon follows.
    pub primary: NodeId,
    /// The daemon's own node.
    pub standby: NodeId,
    /// The standby's clock (`CURRENT_TIMESTAMP::text`) when it was asked.
    pub monitor_time: String,
    /// `pg_last_xact_replay_timestamp()::text`; `None` if nothing was replayed since the server started.
    pub apply_time: Option<String>,
    /// Where the primary writes.
    pub primary_lsn: Lsn,
    /// What the standby has received; [`Lsn::INVALID`] if it never streamed.
    pub received_lsn: Lsn,
    /// What the standby has replayed; [`Lsn::INVALID`] if nothing.
    pub replayed_lsn: Lsn,
}

impl Observation {
    /// Bytes that the primary has written and the standby has not received; 0 if it is ahead.
    pub fn replication_lag(&self) -> i64 {
        saturating(self.primary_lsn.bytes_since(self.received_lsn))
    }

    /// Bytes that were received and not replayed; 0 if replay is ahead (it reads from the archive).
    pub fn apply_lag(&self) -> i64 {
        saturating(self.received_lsn.bytes_since(self.replayed_lsn))
    }
}

fn saturating(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Writes a row, on the primary.
pub async fn insert(connection: &Connection, observation: &Observation) -> Result<(), QueryError> {
    let sql = "INSERT INTO repmgr.monitoring_history (primary_node_id, standby_node_id, last_monitor_time, \
               last_apply_time, last_wal_primary_location, last_wal_standby_location, replication_lag, apply_lag) \
               VALUES ($1, $2, $3::text::timestamptz, $4::text::timestamptz, $5, $6, $7, $8)";
    connection
        .execute(
            sql,
            &[
                &observation.primary.0,
                &observation.standby.0,
                &observation.monitor_time,
                &observation.apply_time,
                &observation.primary_lsn,
                &observation.received_lsn,
                &observation.replication_lag(),
                &observation.apply_lag(),
            ],
        )
        .await
        .map(|_| ())
}

const OLD: &str = "pg_catalog.age(pg_catalog.now(), last_monitor_time) >= pg_catalog.make_interval(days => $1) \
                   AND ($2::int IS NULL OR standby_node_id = $2)";

/// How many rows are at least `days` old, of one standby or of all.
pub async fn count_older(connection: &Connection, days: u32, standby: Option<NodeId>) -> Result<i64, QueryError> {
    let sql = format!("SELECT pg_catalog.count(*) FROM repmgr.monitoring_history WHERE {OLD}");
    connection
        .value(&sql, &[&interval_days(days), &standby.map(|id| id.0)])
        .await
        .map(Option::unwrap_or_default)
}

/// Deletes the rows that [`count_older`] counts; all rows of all standbys with TRUNCATE.
pub async fn delete_older(connection: &Connection, days: u32, standby: Option<NodeId>) -> Result<(), QueryError> {
    if days == 0 && standby.is_none() {
        return connection.batch("TRUNCATE TABLE repmgr.monitoring_history").await;
    }
    let sql = format!("DELETE FROM repmgr.monitoring_history WHERE {OLD}");
    connection
        .execute(&sql, &[&interval_days(days), &standby.map(|id| id.0)])
        .await
        .map(|_| ())
}

/// Gives the space of deleted rows back for new ones.
pub async fn vacuum(connection: &Connection) -> Result<(), QueryError> {
    connection.batch("VACUUM repmgr.monitoring_history").await
}

/// `make_interval` takes an int4.
fn interval_days(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_never_negative() {
        let observation = |primary, received, replayed| Observation {
            primary: NodeId(1),
            standby: NodeId(2),
            monitor_time: String::new(),
            apply_time: None,
            primary_lsn: Lsn(primary),
            received_lsn: Lsn(received),
            replayed_lsn: Lsn(replayed),
        };
        let lags = |o: Observation| (o.replication_lag(), o.apply_lag());
        assert_eq!(lags(observation(100, 90, 70)), (10, 20));
        assert_eq!(lags(observation(90, 100, 120)), (0, 0));
        assert_eq!(lags(observation(u64::MAX, 0, 0)), (i64::MAX, 0));
    }
}
