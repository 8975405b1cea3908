//! Questions to a server, named by intent.

use std::time::Duration;

use super::{Connection, QueryError};
use crate::types::{Lsn, RecoveryState, SystemIdentifier, TimelineId};

/// A checkpoint writes all of shared_buffers at once.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(600);

/// `server_version_num`, such as 150018.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion(pub i32);

impl ServerVersion {
    /// The major version, such as 15.
    pub fn major(self) -> i32 {
        self.0 / 10_000
    }
}

impl Connection {
    /// `pg_is_in_recovery()`; an error is the caller's to interpret as unknown.
    pub async fn recovery_state(&self) -> Result<RecoveryState, QueryError> {
        let in_recovery: Option<bool> = self.value("SELECT pg_catalog.pg_is_in_recovery()", &[]).await?;
        Ok(match in_recovery {
            Some(true) => RecoveryState::Standby,
            Some(false) => RecoveryState::Primary,
            None => RecoveryState::Unknown,
        })
    }

    /// The server's version.
    pub async fn server_version(&self) -> Result<ServerVersion, QueryError> {
        let text = self.setting("server_version_num").await?.unwrap_or_default();
        text.parse()
            .map(ServerVersion)
            .map_err(|_| QueryError::Unexpected(format!("server_version_num \"{text}\"")))
    }

    /// `server_version` up to the first blank, such as `15.18`.
    pub async fn server_version_text(&self) -> Result<String, QueryError> {
        let text = self.setting("server_version").await?.unwrap_or_default();
        Ok(text.split(' ').next().unwrap_or_default().to_owned())
    }

    /// A setting by name; `None` if the server does not know it or does not show it to this role.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, QueryError> {
        let row = self
            .query_opt("SELECT setting FROM pg_catalog.pg_settings WHERE name = $1", &[&name])
            .await?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// A setting that is a number without unit, in the unit of `pg_settings`.
    pub async fn setting_number(&self, name: &str) -> Result<Option<i64>, QueryError> {
        Ok(self.setting(name).await?.and_then(|text| text.parse().ok()))
    }

    /// Whether the connected role is a superuser.
    pub async fn is_superuser(&self) -> Result<bool, QueryError> {
        Ok(self
            .value("SELECT pg_catalog.current_setting('is_superuser') = 'on'", &[])
            .await?
            == Some(true))
    }

    /// Whether the connected role has the privileges of `role` (PostgreSQL: "Predefined Roles") or is a superuser.
    pub async fn has_role(&self, role: &str) -> Result<bool, QueryError> {
        let sql = "SELECT pg_catalog.current_setting('is_superuser') = 'on' OR EXISTS (\
                   SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND pg_catalog.pg_has_role(oid, 'USAGE'))";
        Ok(self.value(sql, &[&role]).await? == Some(true))
    }

    /// Whether the connected role may use the replication protocol.
    pub async fn has_replication_privilege(&self) -> Result<bool, QueryError> {
        let sql = "SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
        Ok(self.value(sql, &[]).await? == Some(true))
    }

    /// Whether the connected role may issue a CHECKPOINT: a superuser, and from PostgreSQL 15 on
    /// a member of `pg_checkpoint`.
    pub async fn may_checkpoint(&self) -> Result<bool, QueryError> {
        self.has_role("pg_checkpoint").await
    }

    /// Issues a CHECKPOINT; on a busy server that takes its time.
    pub async fn checkpoint(&mut self) -> Result<(), QueryError> {
        let usual = self.deadlines().query;
        self.set_query_deadline(CHECKPOINT_LIMIT);
        let result = self.batch("CHECKPOINT").await;
        self.set_query_deadline(usual);
        result
    }

    /// Where a primary writes.
    pub async fn current_lsn(&self) -> Result<Lsn, QueryError> {
        self.value("SELECT pg_catalog.pg_current_wal_lsn()", &[])
            .await
            .map(Option::unwrap_or_default)
    }

    /// What a standby has received and flushed; `None` if it never streamed.
    pub async fn receive_lsn(&self) -> Result<Option<Lsn>, QueryError> {
        self.value("SELECT pg_catalog.pg_last_wal_receive_lsn()", &[]).await
    }

    /// What a standby has replayed.
    pub async fn replay_lsn(&self) -> Result<Option<Lsn>, QueryError> {
        self.value("SELECT pg_catalog.pg_last_wal_replay_lsn()", &[]).await
    }

    /// A primary's write position, or the greater of a standby's receive and replay positions.
    pub async fn node_lsn(&self) -> Result<Lsn, QueryError> {
        match self.recovery_state().await? {
            RecoveryState::Primary => self.current_lsn().await,
            _ => Ok(self
                .receive_lsn()
                .await?
                .max(self.replay_lsn().await?)
                .unwrap_or_default()),
        }
    }

    /// The cluster's system identifier.
    pub async fn system_identifier(&self) -> Result<SystemIdentifier, QueryError> {
        let value: Option<i64> = self
            .value("SELECT system_identifier FROM pg_catalog.pg_control_system()", &[])
            .await?;
        // PostgreSQL shows the unsigned identifier as a signed bigint.
        value
            .map(|id| SystemIdentifier(id as u64))
            .ok_or_else(|| QueryError::Unexpected("no system identifier".to_owned()))
    }

    /// Whether two connections lead to the same server: it was started at the same microsecond with the same port.
    /// No answer is no.
    pub async fn is_same_server_as(&self, other: &Connection) -> bool {
        let sql = "SELECT pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::text || ' ' \
                   || pg_catalog.current_setting('port')";
        let (own, others) = tokio::join!(self.value::<String>(sql, &[]), other.value::<String>(sql, &[]));
        matches!((own, others), (Ok(Some(own)), Ok(Some(others))) if own == others)
    }

    /// The timeline of the last checkpoint or restartpoint, which lags behind after a promotion.
    pub async fn checkpoint_timeline(&self) -> Result<TimelineId, QueryError> {
        let value: Option<i32> = self
            .value("SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()", &[])
            .await?;
        value
            .map(|id| TimelineId(id as u32))
            .ok_or_else(|| QueryError::Unexpected("no timeline".to_owned()))
    }
}
