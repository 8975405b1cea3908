//! What must hold before anything is changed.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use super::course::{self, Course, Obstacle};
use super::journal::Journal;
use super::{Rejoin, Request};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::configuration_archive::{self, Archive};
use crate::instance::{control_file, data_directory, wal};
use crate::metadata::nodes;
use crate::operations::attach::{self, Divergence, Refusal, Verdict};
use crate::postgres::{Connection, Deadlines, Ping, QueryError, ping};
use crate::types::RecoveryState;
use crate::{detail, hint, info, notice, survey, warning};

/// An idle primary writes what it has inserted within 15 seconds, with its background writer's next snapshot.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);
const PING_LIMIT: Duration = Duration::from_secs(10);

impl Rejoin<'_> {
    /// No server runs in the data directory, which can be read, and nobody else rejoins it.
    pub(super) async fn check_stopped(&mut self) -> Result<()> {
        let config = self.config;
        let conninfo = Conninfo::parse(&config.conninfo)
            .map_err(|error| Error::bad_config("\"conninfo\" in repmgr.conf is not valid").detail(error.to_string()))?;
        // The server first: one that ends in between has then left its last word in pg_control.
        let answer = ping(&conninfo, PING_LIMIT).await;
        if answer == Ping::NoAttempt {
            return Err(Error::bad_config("this node's server could not be looked for")
                .detail(format!("connection string is \"{}\"", conninfo.redacted()))
                .hint("correct \"conninfo\" in repmgr.conf"));
        }
        let data = &config.data_directory;
        let control = control_file::read(data)?;
        let running = |reason: String| {
            Error::new(
                ExitCode::RejoinFail,
                format!(
                    "node \"{}\" (ID: {}) is running, only a stopped node can rejoin",
                    config.node_name, config.node_id
                ),
            )
            .detail(reason)
            .detail(format!("its state in pg_control is \"{}\"", control.state))
        };
        if matches!(answer, Ping::Accepting | Ping::Rejecting) {
            let what = match answer {
                Ping::Accepting => "its server accepts connections",
                _ => "its server is starting up or shutting down",
            };
            let stop = "stop it, for instance with \"repmgr node service --action=stop --checkpoint\"";
            let follow = "a running standby is attached to another node with \"repmgr standby follow\"";
            return Err(running(what.to_owned()).hint(stop).hint(follow));
        }
        self.require_stopped()?;
        data_directory::check_owner(data)?;
        let version = data_directory::version_text(data).unwrap_or_default();
        self.major = version.parse().unwrap_or_default();
        self.lock = self.take_lock()?;
        let archives = configuration_archive::folders(&self.request.config_archive_dir, &config.node_name);
        self.journal = Journal::find(&control, data, &archives);
        self.control = Some(control);
        Ok(())
    }

    /// No process runs in the data directory.
    pub(super) fn require_stopped(&self) -> Result<()> {
        let data = &self.config.data_directory;
        match data_directory::running_server(data)? {
            None => Ok(()),
            Some(pid) => Err(Error::new(
                ExitCode::RejoinFail,
                format!(
                    "a server runs in \"{}\", only a stopped node can rejoin",
                    data.display()
                ),
            )
            .detail(format!("\"postmaster.pid\" there names process {pid}, which lives"))
            .hint("stop the server; if that process is none, remove \"postmaster.pid\"")),
        }
    }

    fn take_lock(&self) -> Result<Option<File>> {
        let data = &self.config.data_directory;
        let Ok(file) = File::open(data) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ExitCode::RejoinFail,
                format!(
                    "another rejoin, or a pg_rewind that one has started, works in \"{}\"",
                    data.display()
                ),
            )
            .hint("wait for its end, and run the command again if it is still needed")),
            // Not every file system can lock.
            Err(TryLockError::Error(error)) => {
                crate::debug!("\"{}\" cannot be locked: {error}", data.display());
                Ok(Some(file))
            }
        }
    }

    /// The recorded primary, by the metadata of whatever node was given; it must accept writes.
    pub(super) async fn check_primary(&mut self) -> Result<()> {
        let Request { any_node, .. } = self.request;
        let given = Connection::connect(any_node, Deadlines::default())
            .await
            .map_err(|error| {
                Error::new(ExitCode::DbConn, "unable to connect to the given node of the cluster")
                    .detail(error.to_string())
                    .detail(format!("connection string is \"{}\"", any_node.redacted()))
                    .hint("name any running node of the cluster but this one with -d/--dbname")
            })?;
        let given_is_primary = given.recovery_state().await.ok() == Some(RecoveryState::Primary);
        let record = nodes::recorded_primary(&given)
            .await
            .map_err(|error| unanswered("read the record of the primary", &error))?
            .ok_or_else(|| {
                Error::bad_config("the metadata of the given node name no active primary")
                    .hint("use \"repmgr cluster show\" on a running node, and register or promote a primary first")
            })?;
        let title = record.title();
        notice!("rejoin target is {title}");
        if record.node_id == self.node_id() {
            return Err(Error::bad_config(format!(
                "the metadata of the given node name this very node, {title}, as the primary"
            ))
            .detail("a node cannot be a standby of itself")
            .hint("if no other node was promoted, start this one; else give the new primary with -d/--dbname"));
        }
        let elsewhere = |error: Error| {
            if given_is_primary {
                error
                    .detail("the given node accepts writes itself, but its metadata name another primary")
                    .hint("if it is the primary, let it register as such: \"repmgr primary register --force\"")
            } else {
                error.hint("use \"repmgr cluster show\" to find the running primary, and give it with -d/--dbname")
            }
        };
        let connection = survey::connect(&record, Deadlines::default()).await.map_err(|error| {
            elsewhere(
                Error::bad_config(format!("unable to connect to {title}, the recorded primary"))
                    .detail(error.to_string()),
            )
        })?;
        match connection.recovery_state().await {
            Ok(RecoveryState::Primary) => {}
            Ok(_) => {
                return Err(elsewhere(Error::bad_config(format!(
                    "{title} is recorded as the primary, but is in recovery"
                ))));
            }
            Err(error) => return Err(unanswered(&format!("find out whether {title} is in recovery"), &error)),
        }
        self.primary = Some((record, connection));
        Ok(())
    }

    /// This node is registered.
    pub(super) async fn check_own_record(&mut self) -> Result<()> {
        let id = self.node_id();
        let (record, connection) = self.primary()?;
        let own = nodes::by_id(connection, id)
            .await
            .map_err(|error| unanswered("read the record of this node", &error))?
            .ok_or_else(|| {
                Error::bad_config(format!("{} has no record of this node, {id}", record.title())).hint(
                    "check node_id in repmgr.conf; a node that was never registered is cloned and registered instead",
                )
            })?;
        self.own = Some(own);
        Ok(())
    }

    /// A slot could be had on the primary.
    pub(super) async fn check_slot(&mut self) -> Result<()> {
        let (_, connection) = self.primary()?;
        let checked = self.repoint(connection)?.check_slot().await;
        checked.map_err(|error| error.with_exit_code(ExitCode::BadConfig))
    }

    /// The system identifiers are equal, and it is clear what this node needs.
    pub(super) async fn check_positions(&mut self) -> Result<()> {
        let control = self.control()?.clone();
        let control = &control;
        let (record, connection) = self.primary()?;
        let title = record.title();
        let by_control = course::position(control, None);
        let from = control.min_recovery_point.map_or(control.checkpoint, |(lsn, _)| lsn);
        let (end, target) = tokio::join!(
            wal::end(self.config, &self.config.data_directory, by_control.timeline, from),
            attach::observe_target(connection, record, by_control.timeline, ExitCode::RejoinFail)
        );
        let mut target = target?;
        if end.is_none() {
            crate::debug!("pg_waldump did not tell where the WAL of this node ends");
        }
        let position = course::position(control, end);
        let mut verdict = attach::decide(&position, &target);
        let interrupted = self.journal.is_some();
        let begin = Instant::now();
        while interrupted && is_ahead(&verdict) && begin.elapsed() < FLUSH_LIMIT {
            tokio::time::sleep(Duration::from_millis(500)).await;
            target = attach::observe_target(connection, record, by_control.timeline, ExitCode::RejoinFail).await?;
            verdict = attach::decide(&position, &target);
        }
        if let Some(journal) = self.journal.as_ref().filter(|journal| journal.is_of_lost_boot())
            && control.checkpoint != journal.checkpoint
        {
            return Err(half_rewound().detail("the host was restarted before all was known to be on disk"));
        }
        let wanted = self.request.force_rewind.is_some();
        let decided = course::decide(
            control,
            &attach::decide(&by_control, &target),
            &verdict,
            wanted,
            interrupted,
        );
        let obstacle = match decided {
            Ok(course) => {
                self.course = course;
                None
            }
            Err(obstacle) => Some(self.obstacle(obstacle, &verdict)),
        };
        let state = control.state;
        if obstacle.is_none() {
            match self.course {
                Course::Attach => {
                    info!("this node can attach to {}", title);
                    detail!("{verdict}");
                    if wanted && !interrupted {
                        info!("a rewind is not needed");
                    }
                    if !state.is_clean() && !interrupted {
                        notice!("this standby was not shut down cleanly, it will recover when it is started");
                    }
                }
                Course::Rewind { recover } => {
                    notice!("a rewind of this node to {} is required", title);
                    detail!("{verdict}");
                    if recover && !state.is_clean() {
                        warning!("this node was not shut down cleanly");
                        detail!("its state in pg_control is \"{state}\"; crash recovery comes before the rewind");
                    }
                }
            }
        }
        self.position = Some(position);
        self.target = Some(target);
        self.verdict = Some(verdict);
        if matches!(verdict, Verdict::Diverged(_)) {
            self.tell_what_would_be_lost(&verdict).await;
        }
        obstacle.map_or(Ok(()), Err)
    }

    fn obstacle(&self, obstacle: Obstacle, verdict: &Verdict) -> Error {
        let failed = |message: &str| Error::new(ExitCode::RejoinFail, message);
        let title = self
            .primary
            .as_ref()
            .map(|(record, _)| record.title())
            .unwrap_or_default();
        let state = self
            .control
            .as_ref()
            .map(|control| control.state.as_str())
            .unwrap_or_default();
        match obstacle {
            Obstacle::Unclean => failed("this node was not shut down cleanly")
                .detail(format!("its state in pg_control is \"{state}\""))
                .detail(verdict.to_string())
                .hint("use --force-rewind, which makes it recover from its crash and rewinds it")
                .hint("without a rewind: start it, let recovery finish, stop it cleanly, and run the command again"),
            Obstacle::NeedsRewind => failed(&format!(
                "this node cannot attach to {title}: their histories have parted"
            ))
            .detail(verdict.to_string())
            .hint("use --force-rewind, or clone this node again"),
            Obstacle::CannotAttach => failed(&format!("this node cannot attach to {title}"))
                .detail(verdict.to_string())
                .hint("a rewind does not help here; if this is the right node and the right cluster, clone it again"),
            Obstacle::CrashedOnSameTimeline => failed(&format!(
                "this node crashed as a primary, on the very timeline that {title} is on"
            ))
            .detail(verdict.to_string())
            .detail("crash recovery would write into that timeline, after which the two could never be told apart")
            .hint("clone this node again; its data directory is as it was, should something be needed from it"),
            Obstacle::HalfRewound => half_rewound().detail(format!("its state in pg_control is \"{state}\"")),
        }
    }

    /// Says which part of this node's history the rewind throws away.
    async fn tell_what_would_be_lost(&mut self, verdict: &Verdict) {
        let Verdict::Diverged(Divergence::ForkedEarlier { timeline, fork, local }) = *verdict else {
            detail!("what this node has written since their histories parted is discarded by a rewind");
            return;
        };
        let bytes = local.bytes_since(fork);
        let range = format!("timeline {timeline} from {fork} to {local} ({bytes} bytes of WAL)");
        let commits = wal::commits(self.config, &self.config.data_directory, timeline, fork).await;
        let commits = match commits {
            Some(commits) if commits.count == 0 => "no transaction was committed in it".to_owned(),
            Some(commits) if commits.count == 1 => format!("1 transaction was committed in it, at {}", commits.first),
            Some(commits) => format!(
                "{} transactions were committed in it, from {} to {}",
                commits.count, commits.first, commits.last
            ),
            None => "its transactions could not be counted".to_owned(),
        };
        notice!("the rewind discards {range}");
        detail!("{commits}");
        self.discarded = Some(format!("discarded {range}; {commits}"));
    }

    /// The files to keep can be kept; those that will be replaced are named.
    pub(super) fn check_configuration_files(&mut self) -> Result<()> {
        if !self.is_rewind() {
            if !self.request.config_files.is_empty() && self.journal.is_none() {
                info!("no configuration files need to be kept: there is no rewind");
            }
            return Ok(());
        }
        if self.journal.is_some() {
            // What lies in the data directory now may be the source's; what was kept first is this node's.
            return Ok(());
        }
        let data = &self.config.data_directory;
        let files = configuration_archive::select(&self.request.config_files, data);
        let replaced: Vec<&str> = [
            "postgresql.conf",
            "postgresql.auto.conf",
            "pg_hba.conf",
            "pg_ident.conf",
        ]
        .into_iter()
        .filter(|name| data.join(name).is_file() && !files.iter().any(|file| file.as_os_str() == *name))
        .collect();
        if !replaced.is_empty() {
            warning!("the rewind replaces configuration files of this node with those of the primary");
            detail!("in \"{}\": {}", data.display(), replaced.join(", "));
            hint!("name those that are to stay with --config-files");
        }
        if files.is_empty() {
            return Ok(());
        }
        let archive = Archive {
            folder: configuration_archive::folder(&self.request.config_archive_dir, &self.config.node_name),
            files,
        };
        archive.check()?;
        self.archive = Some(archive);
        Ok(())
    }

    /// The last lines of a dry run: what the checks did not say yet.
    pub(super) fn describe_rest(&self) {
        if let Some(archive) = &self.archive {
            for file in &archive.files {
                info!(
                    "configuration file \"{}\" would be kept in \"{}\"",
                    file.display(),
                    archive.folder.display()
                );
            }
        }
        if let Some(rewind) = &self.rewind {
            info!("pg_rewind would be run");
            detail!("{}", rewind.command_line());
        }
        if let Some((record, _)) = &self.primary {
            info!("this node would be started as a standby of {}", record.title());
        }
    }
}

/// pg_rewind notes where the source inserts WAL, which is a little ahead of what the source has written.
pub(super) fn is_ahead(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Refused(Refusal::LocalIsAhead { .. }))
}

pub(super) fn half_rewound() -> Error {
    Error::new(
        ExitCode::RejoinFail,
        "an earlier rewind of this node was interrupted half-way, its data directory is not usable",
    )
    .hint("clone it again with \"repmgr standby clone --force\"")
}

pub(super) fn unanswered(what: &str, error: &QueryError) -> Error {
    Error::bad_config(format!("unable to {what}")).detail(error.to_string())
}
