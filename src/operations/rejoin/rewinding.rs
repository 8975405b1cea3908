//! From the configuration files that are kept to the data directory that can
//! follow the primary. Without a rewind none of these steps does anything.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Rejoin;
use super::checks::{half_rewound, is_ahead, unanswered};
use super::course::{self, Course};
use super::journal::{self, Journal};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::configuration_archive;
use crate::instance::rewind::{Rewind, RewindError};
use crate::instance::vote::Vote;
use crate::instance::{closed, control_file, disk_space, program, replication_configuration, single_user};
use crate::operations::attach::{self, Verdict};
use crate::operations::rewind_settings;
use crate::postgres::{Connection, Deadlines};
use crate::{detail, hint, info, notice, survey, warning};

/// How long the primary may take for the checkpoint after its promotion, if this role may not ask for one.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(600);
/// pg_rewind copies at least the WAL segments around the fork.
const LEAST_SPACE: u64 = 32 << 20;

impl Rejoin<'_> {
    /// pg_rewind can work: settings of the primary, rights, room, and if possible a rehearsal.
    pub(super) async fn check_rewind(&mut self) -> Result<()> {
        let Course::Rewind { recover } = self.course else {
            return Ok(());
        };
        self.check_settings().await?;
        let rewind = self.prepare().await?;
        self.check_rights(&rewind).await?;
        self.check_space()?;
        self.rewind = Some(rewind);
        if self.primary_checkpoint_lags().await? {
            info!("the primary has made no checkpoint since its promotion, it will be asked for one");
            return Ok(());
        }
        if !recover {
            self.rehearse().await?;
        }
        Ok(())
    }

    async fn check_settings(&self) -> Result<()> {
        let (record, connection) = self.primary()?;
        let has_checksums = self.control()?.data_checksum_version != 0;
        let obstacles = rewind_settings::obstacles(connection, &record.title(), has_checksums)
            .await
            .map_err(|error| unanswered(&format!("read the settings of {}", record.title()), &error))?;
        if obstacles.is_empty() {
            return Ok(());
        }
        Err(Error::bad_config("pg_rewind cannot be used")
            .detail(obstacles.join("; "))
            .hint("clone this node again; for the next time, set what is missing"))
    }

    async fn prepare(&self) -> Result<Rewind> {
        let (record, _) = self.primary()?;
        let mut source = Conninfo::parse(&record.conninfo).map_err(|error| {
            Error::bad_config(format!("the conninfo of {} is not valid", record.title())).detail(error.to_string())
        })?;
        if let Some(superuser) = &self.request.superuser {
            source = source.for_user(superuser);
        }
        let data = &self.config.data_directory;
        let path = self.request.force_rewind.clone().flatten();
        let restore_command = single_user::setting(self.config, data, "restore_command").await;
        Ok(Rewind {
            program: path.unwrap_or_else(|| program(self.config, "pg_rewind")),
            data_directory: data.clone(),
            source,
            configuration_file: single_user::configuration_file(self.config, data).filter(|_| self.major >= 15),
            restore_target_wal: restore_command.is_some_and(|command| !command.is_empty())
                && (self.major >= 15 || data.join("postgresql.conf").exists()),
        })
    }

    /// pg_rewind reads the primary's files through functions that not every role may call
    /// (PostgreSQL: "pg_rewind", "Notes").
    async fn check_rights(&self, rewind: &Rewind) -> Result<()> {
        let (record, _) = self.primary()?;
        let user = rewind.source.get("user").unwrap_or_default().to_owned();
        let title = record.title();
        let connection = Connection::connect(&rewind.source, Deadlines::default())
            .await
            .map_err(|error| {
                Error::bad_config(format!("unable to connect to {title} as \"{user}\"")).detail(error.to_string())
            })?;
        let may = rewind_settings::may_read_files(&connection)
            .await
            .map_err(|error| unanswered(&format!("find out what \"{user}\" may do on {title}"), &error))?;
        if may {
            return Ok(());
        }
        Err(Error::bad_config(format!(
            "role \"{user}\" may not read the files of {title} for pg_rewind"
        ))
        .hint("name a superuser of that server with -S/--superuser")
        .hint(rewind_settings::GRANTS))
    }

    fn check_space(&self) -> Result<()> {
        let data = &self.config.data_directory;
        for folder in [data.clone(), data.join("pg_wal")] {
            let Some(free) = disk_space::free(&folder) else {
                continue;
            };
            if free < LEAST_SPACE {
                return Err(Error::new(
                    ExitCode::RejoinFail,
                    format!(
                        "there is no room for a rewind on the file system of \"{}\"",
                        folder.display()
                    ),
                )
                .detail(format!(
                    "{} kB are free, pg_rewind needs at least {} kB",
                    free >> 10,
                    LEAST_SPACE >> 10
                ))
                .hint("make room there, but remove no WAL files by hand; nothing was changed"));
            }
        }
        Ok(())
    }

    pub(super) fn keep_configuration_files(&mut self) -> Result<()> {
        self.changed = false;
        let Some(archive) = &mut self.archive else {
            return Ok(());
        };
        archive.keep()?;
        self.is_archived = true;
        archive.copy_from(&self.config.data_directory)
    }

    pub(super) fn discard_configuration_files(&mut self) {
        if let Some(archive) = self.archive.as_ref().filter(|_| self.is_archived) {
            archive.discard();
        }
    }

    /// Crash recovery in single-user mode, which refuses to be a standby.
    pub(super) async fn recover(&mut self) -> Result<()> {
        let Course::Rewind { recover: true } = self.course else {
            return Ok(());
        };
        let data = self.config.data_directory.clone();
        if data.join("recovery.signal").exists() {
            return Err(Error::new(
                ExitCode::RejoinFail,
                "the crash recovery that must come before the rewind cannot be made",
            )
            .detail("this server was recovering from an archive: there is a \"recovery.signal\"")
            .hint("let that recovery finish, or remove the file if it is not wanted any more"));
        }
        self.hide_signal(&data)?;
        notice!("this node recovers from its crash, in single-user mode");
        let recovered = single_user::recover(self.config, &data).await;
        self.show_signal();
        recovered?;
        let control = control_file::read(&data)?;
        if !control.state.is_clean() {
            return Err(
                Error::new(ExitCode::RejoinFail, "this node did not recover from its crash")
                    .detail(format!("its state in pg_control is \"{}\"", control.state)),
            );
        }
        info!("crash recovery is complete");
        self.control = Some(control);
        Ok(())
    }

    fn hide_signal(&mut self, data: &Path) -> Result<()> {
        match std::fs::remove_file(data.join("standby.signal")) {
            Ok(()) => self.signal_hidden = true,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::new(
                    ExitCode::RejoinFail,
                    "\"standby.signal\" could not be removed for the crash recovery",
                )
                .detail(error.to_string()));
            }
        }
        Ok(())
    }

    /// A standby must not be started as a primary by accident.
    pub(super) fn show_signal(&mut self) {
        if !std::mem::take(&mut self.signal_hidden) {
            return;
        }
        if let Err(error) = replication_configuration::write_standby_signal(&self.config.data_directory) {
            self.signal_hidden = true;
            warning!("{}", error.message);
            error.details.iter().for_each(|line| detail!("{line}"));
            hint!("create \"standby.signal\" by hand: without it this server would start as a primary");
        }
    }

    /// Before PostgreSQL 16 pg_rewind takes the timeline of the source's last checkpoint for its timeline.
    async fn primary_checkpoint_lags(&self) -> Result<bool> {
        let (record, connection) = self.primary()?;
        let checkpoint = connection
            .checkpoint_timeline()
            .await
            .map_err(|error| unanswered(&format!("look at the last checkpoint of {}", record.title()), &error))?;
        Ok(self.target.as_ref().is_some_and(|target| checkpoint < target.timeline))
    }

    /// Asks the primary for a checkpoint, or waits for it.
    pub(super) async fn await_checkpoint(&mut self) -> Result<()> {
        if !self.is_rewind() || !self.primary_checkpoint_lags().await? {
            return Ok(());
        }
        let (record, _) = self.primary()?;
        let title = record.title();
        let mut conninfo = Conninfo::parse(&record.conninfo).unwrap_or_default();
        if let Some(superuser) = &self.request.superuser {
            conninfo = conninfo.for_user(superuser);
        }
        if let Ok(mut connection) = Connection::connect(&conninfo, Deadlines::default()).await
            && matches!(connection.may_checkpoint().await, Ok(true))
        {
            notice!("issuing a CHECKPOINT on {title}");
            if let Err(error) = connection.checkpoint().await {
                warning!("the CHECKPOINT failed");
                detail!("{error}");
            }
        }
        let begin = Instant::now();
        let mut told = false;
        while self.primary_checkpoint_lags().await? {
            if begin.elapsed() >= CHECKPOINT_LIMIT {
                return Err(Error::new(
                    ExitCode::RejoinFail,
                    format!("{title} has made no checkpoint since its promotion"),
                )
                .hint("run CHECKPOINT there, or name a superuser with -S/--superuser"));
            }
            if !told {
                notice!(
                    "waiting up to {} seconds for {title} to complete the checkpoint after its promotion",
                    CHECKPOINT_LIMIT.as_secs()
                );
                hint!("run CHECKPOINT there to make it quicker");
                told = true;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// Lets pg_rewind go through everything without changing anything: it is the one to know whether it can.
    pub(super) async fn rehearse(&mut self) -> Result<()> {
        if !self.is_rewind() || self.is_rehearsed {
            return Ok(());
        }
        let (Some(rewind), Some(lock)) = (&self.rewind, &self.lock) else {
            return Ok(());
        };
        match rewind.run(true, lock).await {
            Ok(outcome) if !outcome.needed => {
                return Err(Error::new(
                    ExitCode::RejoinFail,
                    "pg_rewind finds nothing to rewind, yet this node's history has parted from the primary's",
                )
                .detail(self.verdict.map(|verdict| verdict.to_string()).unwrap_or_default())
                .hint("clone this node again"));
            }
            Ok(outcome) => {
                info!("pg_rewind can rewind this node");
                if let Some(megabytes) = outcome.megabytes {
                    detail!("it copies {megabytes} MB");
                    self.warn_of_space(megabytes);
                }
            }
            Err(RewindError::Failed { said, .. }) if rewind.restore_target_wal => {
                warning!("pg_rewind cannot rewind this node with the WAL that is there");
                detail!("{said}");
                hint!("it will ask restore_command for what is missing");
            }
            Err(error) => return Err(self.cannot_rewind(error, true)),
        }
        self.is_rehearsed = true;
        Ok(())
    }

    fn warn_of_space(&self, megabytes: u64) {
        if let Some(free) = disk_space::free(&self.config.data_directory).filter(|free| free >> 20 < megabytes) {
            warning!(
                "there may be too little room in \"{}\"",
                self.config.data_directory.display()
            );
            detail!(
                "{} MB are free; most of what is copied replaces what is there",
                free >> 20
            );
        }
    }

    fn cannot_rewind(&self, error: RewindError, unchanged: bool) -> Error {
        let failed = Error::new(ExitCode::RejoinFail, "pg_rewind cannot rewind this node");
        let said = match &error {
            RewindError::NotRun { .. } => {
                return failed
                    .detail(error.to_string())
                    .hint("set pg_bindir in repmgr.conf, or give its path with --force-rewind=PATH");
            }
            RewindError::Failed { said, .. } => said.clone(),
        };
        let failed = failed.detail(error.to_string());
        let interrupted = self.journal.is_some();
        let failed = if said.contains("pg_wal/") || said.contains("WAL record") {
            failed
                .detail("WAL that this node wrote before or since their histories parted is not there any more")
                .hint("if it is in an archive, set restore_command in this server's configuration and run the command again")
        } else {
            failed
        };
        match (unchanged, interrupted) {
            (true, true) => failed
                .detail("an earlier rewind was interrupted half-way")
                .hint("clone this node again with \"repmgr standby clone --force\""),
            (true, false) => failed.hint("nothing was changed; else clone this node again"),
            (false, _) => failed
                .detail("the data directory may be changed in part and must not be started as it is; its mode keeps a server from it")
                .hint("mend the reason and run the same command again; if that fails too, clone this node again"),
        }
    }

    /// From here on the data directory may be neither what it was nor what it is to be.
    pub(super) fn note_rewind(&mut self) -> Result<()> {
        if !self.is_rewind() {
            return Ok(());
        }
        let data = &self.config.data_directory;
        let earlier = self.journal.is_some();
        // A service manager may start the server at any moment: closed first, then looked at.
        closed::close(data).map_err(unwritable)?;
        match self.write_journal() {
            Ok(journal) => {
                self.journal = Some(journal);
                self.changed = true;
                Ok(())
            }
            Err(error) if earlier => Err(error),
            Err(error) => {
                closed::open(data).map_err(unwritable)?;
                Err(error)
            }
        }
    }

    fn write_journal(&self) -> Result<Journal> {
        self.require_stopped()?;
        let archive = match &self.journal {
            Some(earlier) => earlier.archive.clone(),
            None => self.archive.as_ref().map(|archive| archive.folder.clone()),
        };
        let journal = Journal::new(self.control()?, archive.as_deref());
        journal
            .write(&self.config.data_directory)
            .map_err(|error| unwritable(error).hint("nothing was changed"))?;
        Ok(journal)
    }

    pub(super) async fn rewind(&mut self) -> Result<()> {
        if !self.is_rewind() {
            return Ok(());
        }
        let (Some(rewind), Some(lock)) = (&self.rewind, &self.lock) else {
            return Ok(());
        };
        notice!("executing pg_rewind; it must not be interrupted");
        detail!("{}", rewind.command_line());
        let vote = Vote::read(&self.config.data_directory);
        let outcome = rewind.run(false, lock).await;
        if let Err(error) = vote.and_then(|vote| vote.put_back()) {
            warning!("what this node has promised as a voter could not be kept");
            detail!("{error}");
            hint!("it votes again when it has relearnt it from the other nodes");
        }
        // A server that starts now must not become a second primary.
        let signal = replication_configuration::write_standby_signal(&self.config.data_directory);
        if let Err(error) = outcome {
            return Err(self.cannot_rewind(error, false));
        }
        signal.map_err(|error| error.with_exit_code(ExitCode::RejoinFail))?;
        info!("pg_rewind is complete");
        self.require_attachable().await
    }

    /// What pg_rewind left must be able to follow the primary.
    async fn require_attachable(&mut self) -> Result<()> {
        let data = &self.config.data_directory;
        let control = control_file::read(data)?;
        let (record, _) = self.primary()?;
        let connection = survey::connect(record, Deadlines::default()).await.map_err(|error| {
            Error::new(ExitCode::RejoinFail, format!("unable to connect to {}", record.title()))
                .detail(error.to_string())
                .hint("this node is rewound; run the same command again once the primary answers")
        })?;
        let position = course::position(&control, None);
        let target = attach::observe_target(&connection, record, position.timeline, ExitCode::RejoinFail).await?;
        let verdict = attach::decide(&position, &target);
        let attaches = matches!(verdict, Verdict::SameTimeline { .. } | Verdict::ForkedLater { .. });
        // Ahead of what the source has written by now, not of what it has.
        if !attaches && !is_ahead(&verdict) {
            return Err(half_rewound().detail(verdict.to_string()));
        }
        self.control = Some(control);
        Ok(())
    }

    /// Configuration files come back; slots that the node had as a primary would keep WAL for nobody.
    pub(super) fn tidy_rewind(&mut self) -> Result<()> {
        let Some(mut journal) = self.journal.take() else {
            return Ok(());
        };
        self.changed = true;
        let data = &self.config.data_directory;
        if !journal.finished {
            nix::unistd::sync();
            journal.finished = true;
            journal.write(data).map_err(unwritable)?;
        }
        replication_configuration::write_standby_signal(data)
            .map_err(|error| error.with_exit_code(ExitCode::RejoinFail))?;
        remove_slots(&data.join("pg_replslot"));
        let own_settings = journal
            .archive
            .as_deref()
            .is_some_and(|folder| folder.join("postgresql.auto.conf").exists());
        if let Some(folder) = &journal.archive {
            configuration_archive::restore(folder, data, journal::is_note)?;
        }
        if !own_settings {
            // What the primary had there as a standby is not this node's.
            replication_configuration::remove_settings(data, &["primary_slot_name", "recovery_min_apply_delay"])
                .map_err(|error| error.with_exit_code(ExitCode::RejoinFail))?;
        }
        if let Err(error) = journal::remove(data) {
            warning!("the note of the rewind could not be removed");
            detail!("{error}");
        }
        Ok(())
    }

    /// A rewind that did not come to its end has left it closed.
    pub(super) fn open_data_directory(&self) -> Result<()> {
        closed::open(&self.config.data_directory).map_err(unwritable)
    }
}

fn unwritable(error: std::io::Error) -> Error {
    Error::new(ExitCode::RejoinFail, "unable to write into the data directory").detail(error.to_string())
}

fn remove_slots(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        match std::fs::remove_dir_all(entry.path()) {
            Ok(()) => info!(
                "replication slot \"{}\", which this node had as a primary, was removed",
                entry.file_name().display()
            ),
            Err(error) => {
                warning!("\"{}\" could not be removed", entry.path().display());
                detail!("{error}");
            }
        }
    }
}
