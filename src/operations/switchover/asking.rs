//! What the primary, its host and this server are asked before anything is touched, each in one go.

use super::checks::Base;
use super::judging::unanswered;
use super::peer::{Asked, LOOK_UP_LIMIT, Peer};
use super::{Request, Rewind};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{control_file, disk_space};
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::operations::promote;
use crate::operations::rewind_settings;
use crate::postgres::{Connection, QueryError};
use crate::remote::Call;
use crate::types::NodeId;

/// What the primary says of itself and of this node.
pub(super) struct PrimaryAnswers {
    pub(super) record: std::result::Result<Option<NodeRecord>, QueryError>,
    pub(super) attached: Attachment,
    pub(super) in_backup: std::result::Result<Option<bool>, QueryError>,
    pub(super) base_backups: std::result::Result<Option<i64>, QueryError>,
    pub(super) archives: bool,
    pub(super) rewind: Option<std::result::Result<Rewind, Error>>,
}

pub(super) async fn ask_primary(request: &Request, base: &Base, primary: &Connection, id: NodeId) -> PrimaryAnswers {
    let in_backup = async {
        // The exclusive mode is gone since PostgreSQL 15, and with it the function.
        if base.major >= 15 {
            return Ok(Some(false));
        }
        primary.value("SELECT pg_catalog.pg_is_in_backup()", &[]).await
    };
    let rewind = async {
        match &request.force_rewind {
            Some(path) => Some(rewind(request, base, primary, path.as_deref()).await),
            None => None,
        }
    };
    let (record, attached, in_backup, base_backups, archive_mode, rewind) = tokio::join!(
        nodes::by_id(primary, id),
        attachment(primary, &base.own.node_name),
        in_backup,
        primary.value(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_progress_basebackup",
            &[]
        ),
        primary.setting("archive_mode"),
        rewind,
    );
    PrimaryAnswers {
        record,
        attached,
        in_backup,
        base_backups,
        archives: !matches!(archive_mode, Ok(Some(mode)) if mode == "off"),
        rewind,
    }
}

/// What the host of the primary says.
pub(super) struct HostAnswers {
    pub(super) reached: Result<()>,
    pub(super) answers: Option<RemoteAnswers>,
}

pub(super) struct RemoteAnswers {
    pub(super) version: Asked,
    pub(super) config_file: Asked,
    pub(super) data_directory: Asked,
    pub(super) superuser: Option<Asked>,
    pub(super) config_owner: Asked,
    pub(super) replication: Asked,
    pub(super) archive: Asked,
}

pub(super) async fn ask_host(request: &Request, peer: &Peer<'_>, own: NodeId) -> HostAnswers {
    let reached = peer.reach().await;
    if reached.is_err() {
        return HostAnswers { reached, answers: None };
    }
    let superuser = async {
        match &request.superuser {
            Some(name) => {
                let call = Call::DbConnection { superuser: Some(name) };
                Some(peer.ask(&call, LOOK_UP_LIMIT).await)
            }
            None => None,
        }
    };
    let calls = [
        Call::Version,
        Call::DataDirectoryConfig,
        Call::ReplicationConfigOwner,
        Call::ReplicationConnection { remote_node: own },
        Call::ArchiveReady,
    ];
    let [version, data, owner, replication, archive] = &calls;
    let (version, config_file, data_directory, superuser, config_owner, replication, archive) = tokio::join!(
        peer.ask(version, LOOK_UP_LIMIT),
        peer.has_config_file(),
        peer.ask(data, LOOK_UP_LIMIT),
        superuser,
        peer.ask(owner, LOOK_UP_LIMIT),
        peer.ask(replication, LOOK_UP_LIMIT),
        peer.ask(archive, LOOK_UP_LIMIT),
    );
    HostAnswers {
        reached,
        answers: Some(RemoteAnswers {
            version,
            config_file,
            data_directory,
            superuser,
            config_owner,
            replication,
            archive,
        }),
    }
}

/// What this node's server says of itself.
pub(super) struct LocalAnswers {
    pub(super) lag: std::result::Result<i64, QueryError>,
    pub(super) replay_paused: std::result::Result<Option<bool>, QueryError>,
    pub(super) replay_waits: std::result::Result<Option<bool>, QueryError>,
    /// Bytes that are free where this server keeps its WAL, and the size of a segment, as far as both are known.
    pub(super) room: Option<(u64, u64)>,
    pub(super) method: Result<promote::Method>,
}

pub(super) async fn ask_local(request: &Request, base: &Base) -> LocalAnswers {
    let local = &base.local;
    let promoter = base.superuser.as_ref().unwrap_or(local);
    let (lag, replay_paused, replay_waits, segment, method) = tokio::join!(
        local.replication_lag(),
        local.value("SELECT pg_catalog.pg_is_wal_replay_paused()", &[]),
        local.value(
            "SELECT pg_catalog.pg_last_wal_receive_lsn() > pg_catalog.pg_last_wal_replay_lsn()",
            &[]
        ),
        local.setting_number("wal_segment_size"),
        promote::choose_method(&request.config, promoter),
    );
    let segment = segment.ok().flatten().and_then(|bytes| u64::try_from(bytes).ok());
    let free = disk_space::free(&request.config.data_directory.join("pg_wal"));
    LocalAnswers {
        lag,
        replay_paused,
        replay_waits,
        room: free.zip(segment),
        method,
    }
}

/// Check 14: whether pg_rewind works between the two, and what it must not overwrite.
pub(super) async fn rewind(request: &Request, base: &Base, primary: &Connection, path: Option<&str>) -> Result<Rewind> {
    let asked = |error: QueryError| unanswered(ExitCode::BadConfig, "tell whether pg_rewind can be used", &error);
    let has_checksums =
        control_file::read(&request.config.data_directory).is_ok_and(|control| control.data_checksum_version != 0);
    let obstacles = rewind_settings::obstacles(primary, "the primary", has_checksums)
        .await
        .map_err(asked)?;
    if !obstacles.is_empty() {
        let error = Error::bad_config("--force-rewind was given, but pg_rewind cannot be used");
        return Err(obstacles
            .into_iter()
            .fold(error, Error::detail)
            .hint("set what is missing (\"wal_log_hints\" needs a restart), or go without --force-rewind"));
    }
    // It is this node's files that the old primary will read.
    let reader = base.superuser.as_ref().unwrap_or(&base.local);
    if !rewind_settings::may_read_files(reader).await.map_err(asked)? {
        return Err(Error::bad_config(
            "--force-rewind was given, but the role may not read the files of this node for pg_rewind",
        )
        .hint("name a superuser with -S/--superuser")
        .hint(rewind_settings::GRANTS));
    }
    Ok(Rewind {
        path: path.map(str::to_owned),
        config_files: config_files(primary).await.map_err(asked)?,
    })
}

/// The names of the configuration files in the data directory. A role that may not see them gets none.
async fn config_files(primary: &Connection) -> std::result::Result<String, QueryError> {
    let sql = "SELECT DISTINCT pg_catalog.regexp_replace(f.file, '^.*/', '') \
               FROM (SELECT sourcefile AS file FROM pg_catalog.pg_settings WHERE sourcefile IS NOT NULL \
                     UNION SELECT setting FROM pg_catalog.pg_settings \
                     WHERE name IN ('config_file', 'hba_file', 'ident_file')) f \
               WHERE pg_catalog.starts_with(f.file, (SELECT setting FROM pg_catalog.pg_settings \
                     WHERE name = 'data_directory') || '/') ORDER BY 1";
    let rows = primary.query(sql, &[]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(names.join(","))
}
