//! What commits wait for on one server: its walsenders, its settings, and how far it has the WAL. Answers for the questions
//! and the changes; what is decided is in `write_right`.

use crate::postgres::{Connection, QueryError};
use crate::types::Lsn;

/// A walsender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walsender {
    /// What the standby calls itself.
    pub name: String,
    /// Whether it has caught up and streams.
    pub streaming: bool,
    /// What the standby says that it has on disk.
    pub flushed: Option<Lsn>,
    /// Whether it takes its standby for a synchronous one.
    pub counts: bool,
}

/// How a primary stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its walsenders.
    pub walsenders: Vec<Walsender>,
    /// `synchronous_standby_names`.
    pub setting: String,
    /// Up to where its own WAL is on disk; `None` on a standby.
    pub written: Option<Lsn>,
    /// `repmgr.require_synchronous_commit`.
    pub strict: bool,
    /// The checkpointer is in no state in which it would not read the configuration again.
    pub checkpointer_idle: bool,
}

/// How a server stands.
pub async fn standing(connection: &Connection) -> Result<Standing, QueryError> {
    // https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW
    let sql = "SELECT application_name, state = 'streaming', flush_lsn, coalesce(sync_priority, 0) > 0 \
               FROM pg_catalog.pg_stat_replication";
    let walsenders = connection.query(sql, &[]).await?;
    let sql = "SELECT pg_catalog.current_setting('synchronous_standby_names'), \
               CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() END, \
               coalesce(pg_catalog.current_setting('repmgr.require_synchronous_commit', true), 'off') = 'on', \
               coalesce((SELECT wait_event IN ('CheckpointerMain', 'CheckpointWriteDelay') \
               FROM pg_catalog.pg_stat_activity WHERE backend_type = 'checkpointer'), false)";
    let row = connection.query_one(sql, &[]).await?;
    Ok(Standing {
        walsenders: walsenders
            .iter()
            .map(|row| Walsender {
                name: row.get::<_, Option<String>>(0).unwrap_or_default(),
                streaming: row.get::<_, Option<bool>>(1) == Some(true),
                flushed: row.get(2),
                counts: row.get(3),
            })
            .collect(),
        setting: row.get(0),
        written: row.get(1),
        strict: row.get(2),
        checkpointer_idle: row.get(3),
    })
}

/// Has a server wait for these; `None`: for whom its own configuration says.
pub async fn set(connection: &Connection, names: Option<&str>) -> Result<(), QueryError> {
    let change = match names {
        Some(names) => {
            let names = names.replace('\'', "''");
            format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        }
        None => "ALTER SYSTEM RESET synchronous_standby_names".to_owned(),
    };
    apply(connection, &change).await
}

/// Has a server refuse commits that would not wait, or not.
pub async fn be_strict(connection: &Connection, strict: bool) -> Result<(), QueryError> {
    let change = match strict {
        true => "ALTER SYSTEM SET repmgr.require_synchronous_commit = on",
        false => "ALTER SYSTEM RESET repmgr.require_synchronous_commit",
    };
    apply(connection, change).await
}

/// Takes back what a server was told for the synchronous mode, if anything.
pub async fn give_back(connection: &Connection) -> Result<(), QueryError> {
    let told = "SELECT pg_catalog.current_setting('repmgr.require_synchronous_commit', true) = 'on', \
                pg_catalog.current_setting('synchronous_standby_names') ~ '^ANY [0-9]+ \\(\"'";
    let row = connection.query_one(told, &[]).await?;
    if row.get::<_, Option<bool>>(0) == Some(true) {
        be_strict(connection, false).await?;
    }
    if row.get(1) {
        set(connection, None).await?;
    }
    Ok(())
}

async fn apply(connection: &Connection, change: &str) -> Result<(), QueryError> {
    connection.batch(change).await?;
    let reload = "SELECT pg_catalog.pg_reload_conf()";
    connection.query(reload, &[]).await.map(|_| ())
}

/// The newest timeline that a server has WAL of, and up to where it has that on disk; `None`: it has not read all of its own
/// WAL since it was started, so it may have more than it knows.
pub async fn position(connection: &Connection) -> Result<Option<(u32, Lsn)>, QueryError> {
    // The receive position of a standby is set when its own WAL, and the archive's, is read to the end.
    let sql = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_wal_flush_lsn() \
               WHEN pg_catalog.pg_last_wal_receive_lsn() IS NOT NULL \
               THEN greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn()) END, \
               (SELECT pg_catalog.max(pg_catalog.substr(name, 1, 8)) FROM pg_catalog.pg_ls_waldir() \
               WHERE name ~ '^[0-9A-F]{24}$')";
    let row = connection.query_one(sql, &[]).await?;
    let timeline = row.get::<_, Option<String>>(1);
    let timeline = timeline.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
    Ok(timeline.zip(row.get(0)))
}
