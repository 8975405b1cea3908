//! What a server holds and how much of its limits is in use.

use super::{Connection, QueryError};

/// A physical replication slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalSlot {
    /// Its name.
    pub name: String,
    /// Whether a walsender uses it.
    pub active: bool,
}

impl Connection {
    /// The size of all databases, for people; `None` if the role may not see it.
    pub async fn total_data_size(&self) -> Result<Option<String>, QueryError> {
        let sql = "SELECT pg_catalog.pg_size_pretty(pg_catalog.sum(pg_catalog.pg_database_size(oid))) \
                   FROM pg_catalog.pg_database";
        match self.value(sql, &[]).await {
            Err(error) if error.sqlstate() == Some("42501") => Ok(None),
            result => result,
        }
    }

    /// How many walsenders serve a standby or a backup now.
    pub async fn walsender_count(&self) -> Result<i64, QueryError> {
        self.value("SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication", &[])
            .await
            .map(Option::unwrap_or_default)
    }

    /// The physical replication slots by name.
    pub async fn physical_slots(&self) -> Result<Vec<PhysicalSlot>, QueryError> {
        let sql = "SELECT slot_name::text, active FROM pg_catalog.pg_replication_slots \
                   WHERE slot_type = 'physical' ORDER BY slot_name";
        let rows = self.query(sql, &[]).await?;
        Ok(rows
            .iter()
            .map(|row| PhysicalSlot {
                name: row.get(0),
                active: row.get(1),
            })
            .collect())
    }

    /// How many seconds a standby's data is old: 0 if all that was received is replayed, or nothing was replayed yet.
    pub async fn replication_lag(&self) -> Result<i64, QueryError> {
        let sql = "SELECT CASE WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0 \
                   ELSE COALESCE(EXTRACT(epoch FROM \
                   (pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()))::bigint, 0) END";
        self.value(sql, &[]).await.map(Option::unwrap_or_default)
    }
}
