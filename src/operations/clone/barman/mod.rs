//! Cloning from Barman: the latest backup of `barman_server` is copied from its
//! host with rsync, and what a server needs to start from it is added.
//!
//! A connection to a node of the cluster is of use, but not needed: without one
//! the upstream's record is asked for through Barman's own connection.

mod backup_info;
mod catalogue;
mod complete;
mod copy;
mod record;
mod unpacking;
mod wal;

use super::Cloning;
use super::base_backup::BackupOptions;
use super::tablespaces::destination;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::data_directory::{self, State};
use crate::operations::attach::{self, Divergence, LocalPosition, Refusal, Verdict};

use catalogue::{Backup, Barman};
pub(super) use complete::check_identity;

/// What is known about the source of the files.
pub(super) struct FromBarman<'r> {
    barman: Barman<'r>,
    backup: Backup,
    /// WAL files that are copied, by their paths in Barman's archive.
    wal: Vec<String>,
    /// They are compressed there, so Barman must be asked for each.
    get_wal: bool,
}

fn barman_error(message: impl Into<String>) -> Error {
    Error::new(ExitCode::Barman, message)
}

impl<'r> Cloning<'r> {
    fn barman_source(&self) -> Result<&FromBarman<'r>> {
        self.barman
            .as_ref()
            .ok_or_else(|| Error::new(ExitCode::Internal, "Barman has not been asked yet"))
    }
}

impl Cloning<'_> {
    /// Finds the backup, and that it is one whose files can be used as they are.
    pub(super) async fn check_barman(&mut self) -> Result<()> {
        let config = &self.request.config;
        if self.request.verify_backup {
            return Err(
                Error::bad_config("--verify-backup cannot be used when cloning from Barman")
                    .hint("verify the backup on Barman's host: \"barman verify-backup\""),
            );
        }
        self.options = BackupOptions::parse(&config.pg_basebackup_options)?;
        let barman = Barman::reach(config).await?;
        crate::info!(
            "asking Barman on {} for the latest backup of \"{}\"",
            barman.title(),
            config.barman_server
        );
        let backup = barman.latest_backup().await?;
        crate::notice!("the latest backup of \"{}\" is {}", config.barman_server, backup.id);
        crate::detail!("{} MB in \"{}\"", backup.info.size >> 20, backup.folder);
        if let Some(obstacle) = &backup.info.obstacle {
            return Err(barman_error(format!("backup {} cannot be cloned from", backup.id))
                .detail(obstacle)
                .hint("have Barman take a plain, full backup, or use --without-barman to clone from a node"));
        }
        self.version = backup.info.version;
        self.check_server_program().await?;
        self.check_room(backup.info.size);
        copy::check_rsync().await?;
        let compression = backup.info.compression;
        self.barman = Some(FromBarman {
            barman,
            backup,
            wal: Vec::new(),
            get_wal: false,
        });
        match compression {
            Some(compression) => self.check_archives(compression).await,
            None => Ok(()),
        }
    }

    /// The source is asked if there is one; it is not needed.
    pub(super) async fn check_source_if_any(&mut self) -> Result<()> {
        let request = self.request;
        if request.no_upstream_connection {
            crate::info!("not connecting to a node (--no-upstream-connection)");
            return Ok(());
        }
        if request.source.get("host").or(request.source.get("hostaddr")).is_none() {
            crate::info!("no node was named to connect to, only Barman is asked");
            return Ok(());
        }
        match self.check_source().await {
            Err(error) if error.exit_code == ExitCode::DbConn => {
                crate::warning!("{}, only Barman is asked", error.message);
                for detail in &error.details {
                    crate::detail!("{detail}");
                }
                Ok(())
            }
            result => result,
        }
    }

    /// The upstream by its record, from the source or through Barman.
    pub(super) async fn check_upstream_or_ask_barman(&mut self) -> Result<()> {
        if self.source.is_some() {
            return self.check_upstream().await;
        }
        if self.request.upstream_conninfo.is_some() {
            return Ok(());
        }
        let from = self.barman_source()?;
        let record = record::ask(&from.barman, &from.backup, self.request).await?;
        if record.node_id == self.request.node_id() {
            return Err(
                Error::bad_config(format!("the id {} is taken by {}", record.node_id, record.title()))
                    .hint("give this node another node_id in repmgr.conf"),
            );
        }
        self.upstream = Some(record);
        Ok(())
    }

    /// The backup must be one of the cluster that the standby will join, and on its line of history.
    pub(super) async fn check_backup(&mut self) -> Result<()> {
        let info = &self.barman_source()?.backup.info;
        let Some(source) = &self.source else { return Ok(()) };
        if self.version.major() != info.version.major() {
            return Err(barman_error(format!(
                "the backup is of PostgreSQL {}, the source of PostgreSQL {}",
                info.version.major(),
                self.version.major()
            ))
            .hint("have Barman take a new backup, or check barman_server in repmgr.conf"));
        }
        if let (Some(own), Ok(theirs)) = (info.system_identifier, source.system_identifier().await)
            && own != theirs
        {
            return Err(
                barman_error("the backup is of another database cluster than the source")
                    .detail(format!(
                        "the backup's system identifier is {own}, that of the source is {theirs}"
                    ))
                    .hint("check barman_server in repmgr.conf, and the connection parameters"),
            );
        }
        let (Some(timeline), Some(upstream)) = (info.timeline, &self.upstream) else {
            return Ok(());
        };
        let target = match attach::observe_target(source, upstream, timeline, ExitCode::Barman).await {
            Ok(target) => target,
            Err(error) => {
                crate::warning!("it cannot be checked whether the backup belongs to the source's timeline");
                crate::detail!("{}", error.message);
                return Ok(());
            }
        };
        let local = LocalPosition {
            system_identifier: Some(target.system_identifier),
            timeline,
            lsn: info.end,
        };
        match attach::decide(&local, &target) {
            Verdict::Diverged(divergence) => Err(parted(divergence)),
            Verdict::Refused(Refusal::LocalIsAhead { local, target }) => Err(barman_error(
                "the backup holds more than the source has",
            )
            .detail(format!(
                "it ends at {local} in the write-ahead log, the source is at {target}"
            ))),
            _ => Ok(()),
        }
    }

    /// Each place that a tablespace of the backup goes to must be free.
    pub(super) fn check_backup_tablespaces(&mut self) -> Result<()> {
        let from = self.barman_source()?;
        let config = &self.request.config;
        let tablespaces = &from.backup.info.tablespaces;
        for mapping in &config.tablespace_mapping {
            if !tablespaces.iter().any(|tablespace| tablespace.location == mapping.old) {
                crate::warning!(
                    "tablespace_mapping: the backup has no tablespace in \"{}\"",
                    mapping.old.display()
                );
            }
        }
        let locations: Vec<String> = tablespaces
            .iter()
            .map(|tablespace| tablespace.location.to_string_lossy().into_owned())
            .collect();
        for path in self.other_paths(&locations) {
            if !matches!(data_directory::state(&path)?, State::Absent | State::Empty) {
                return Err(
                    Error::bad_config(format!("directory \"{}\" exists and is not empty", path.display()))
                        .detail("a tablespace of the backup, or its WAL (--waldir), would go there")
                        .hint("empty it, or choose another place with tablespace_mapping or --waldir in repmgr.conf"),
                );
            }
        }
        self.tablespaces = locations;
        Ok(())
    }

    /// What would be copied from where.
    pub(super) fn describe_copy(&self) -> Result<Vec<String>> {
        let from = self.barman_source()?;
        let mappings = &self.request.config.tablespace_mapping;
        let line = |folder: &str, to: &std::path::Path| {
            format!(
                "\"{}/{folder}\" to \"{}\"",
                from.barman.path(&from.backup.folder),
                to.display()
            )
        };
        let mut lines = vec![line("data", &self.request.data_directory)];
        for tablespace in &from.backup.info.tablespaces {
            let to = destination(&tablespace.location.to_string_lossy(), mappings);
            lines.push(line(&tablespace.oid.to_string(), &to));
        }
        Ok(lines)
    }
}

fn parted(divergence: Divergence) -> Error {
    let detail = match divergence {
        Divergence::TargetTimelineIsOlder { local, target } => {
            format!("the backup is on timeline {local}, the source on the older timeline {target}")
        }
        Divergence::ForkedEarlier { timeline, fork, local } => {
            format!("the cluster left timeline {timeline} at {fork}, the backup ends behind that, at {local}")
        }
        Divergence::OtherBranch { local, target } => {
            format!("the source's timeline {target} does not descend from the backup's timeline {local}")
        }
    };
    barman_error("a standby made from this backup could not follow the source: their histories have parted")
        .detail(detail)
        .hint("have Barman take a new backup, or use --without-barman to clone from a node")
}
