//! `node rejoin`: makes a stopped node a standby of the running primary,
//! rewinding it if its history has parted from the primary's.
//!
//! Until pg_rewind begins, whatever was done is taken back; from then on each
//! step can be run again, and running the same command again goes on where it
//! stopped. The order of the checks is the original's; it decides which of
//! several problems is reported, and with which exit code.

mod checks;
mod course;
mod finish;
mod journal;
mod keeping;
mod rewinding;

use std::fs::File;
use std::path::PathBuf;

use course::Course;
use journal::Journal;
use keeping::Keeping;

use super::attach::{LocalPosition, TargetPosition, Verdict};
use super::follow::Repoint;
use super::plan::{self, Step};
use super::slots::Helpers;
use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::instance::configuration_archive::Archive;
use crate::instance::control_file::ControlFile;
use crate::instance::put_aside::Aside;
use crate::instance::rewind::Rewind;
use crate::metadata::NodeRecord;
use crate::postgres::Connection;
use crate::types::NodeId;
use crate::{detail, info, notice, survey};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// repmgr.conf, with what the command line says in place of it.
    pub config: Config,
    /// Any running node of the cluster; its metadata name the primary.
    pub any_node: Conninfo,
    /// `--force-rewind`, and the path of pg_rewind if it gives one.
    pub force_rewind: Option<Option<PathBuf>>,
    /// `--config-files`.
    pub config_files: String,
    /// `--config-archive-dir`.
    pub config_archive_dir: PathBuf,
    /// A superuser of the primary, for what the recorded role may not do.
    pub superuser: Option<String>,
    /// The role for replication connections.
    pub replication_user: Option<String>,
    /// Do not wait until the node is attached.
    pub no_wait: bool,
    /// In which folder the WAL is put aside that a rewind discards; `None`: it is not kept.
    pub keep: Option<PathBuf>,
}

/// Where configuration files are kept unless said otherwise.
pub const CONFIG_ARCHIVE: &str = "/tmp";

/// How far a stopped server has come by its pg_control; its WAL may go further.
pub fn position(control: &ControlFile) -> LocalPosition {
    course::position(control, None)
}

/// What is found out and done.
struct Rejoin<'r> {
    request: &'r Request,
    config: &'r Config,
    /// The data directory, locked against a second rejoin.
    lock: Option<File>,
    control: Option<ControlFile>,
    major: i32,
    journal: Option<Journal>,
    primary: Option<(NodeRecord, Connection)>,
    own: Option<NodeRecord>,
    position: Option<LocalPosition>,
    target: Option<TargetPosition>,
    verdict: Option<Verdict>,
    course: Course,
    rewind: Option<Rewind>,
    /// pg_rewind has said that it can do it.
    is_rehearsed: bool,
    archive: Option<Archive>,
    /// The archive was made by this run.
    is_archived: bool,
    keeping: Option<Keeping>,
    aside: Option<Aside>,
    /// What the rewind discarded, for the event.
    discarded: Option<String>,
    /// standby.signal was taken away for crash recovery.
    signal_hidden: bool,
    changed: bool,
}

/// Rejoins, or with `dry_run` only checks.
///
/// # Errors
/// With the original's exit codes; the message says where things stand.
pub async fn rejoin(request: &Request, dry_run: bool) -> Result<()> {
    rejoin_unless(request, dry_run, plan::signals).await
}

/// The same for a program that has its own reasons to interrupt it, which says why. It is asked after the checks.
///
/// # Errors
/// As [`rejoin`].
pub async fn rejoin_unless<F: Future<Output = &'static str>>(
    request: &Request,
    dry_run: bool,
    interruption: impl FnOnce() -> Result<F>,
) -> Result<()> {
    let mut state = Rejoin {
        request,
        config: &request.config,
        lock: None,
        control: None,
        major: 0,
        journal: None,
        primary: None,
        own: None,
        position: None,
        target: None,
        verdict: None,
        course: Course::Attach,
        rewind: None,
        is_rehearsed: false,
        archive: None,
        is_archived: false,
        keeping: None,
        aside: None,
        discarded: None,
        signal_hidden: false,
        changed: false,
    };
    let steps = steps();
    plan::check(&steps, &mut state).await?;
    if dry_run {
        state.describe_rest();
        info!("prerequisites for executing NODE REJOIN are met");
        return Ok(());
    }
    if let Err(error) = plan::carry_out(&steps, &mut state, interruption()?, ExitCode::BadBasebackup).await {
        return Err(state.failed(error).await);
    }
    state.succeeded().await;
    Ok(())
}

fn step<'r>(name: &'static str) -> Step<Rejoin<'r>> {
    Step::new(name)
}

fn steps<'r>() -> Vec<Step<Rejoin<'r>>> {
    vec![
        step("the server is stopped").check(|rejoin| Box::pin(rejoin.check_stopped())),
        step("connect to the primary").check(|rejoin| Box::pin(rejoin.check_primary())),
        step("the record of this node").check(|rejoin| Box::pin(rejoin.check_own_record())),
        step("replication slot").check(|rejoin| Box::pin(rejoin.check_slot())),
        step("where both are in the write-ahead log").check(|rejoin| Box::pin(rejoin.check_positions())),
        step("configuration files").check(|rejoin| Box::pin(async { rejoin.check_configuration_files() })),
        step("pg_rewind can be used").check(|rejoin| Box::pin(rejoin.check_rewind())),
        step("the server is still stopped").act(|rejoin| Box::pin(async { rejoin.require_stopped() })),
        step("keep configuration files")
            .act(|rejoin| Box::pin(async { rejoin.keep_configuration_files() }))
            .undo(|rejoin| Box::pin(async { rejoin.discard_configuration_files() })),
        step("crash recovery")
            .act(|rejoin| Box::pin(rejoin.recover()))
            .undo(|rejoin| Box::pin(async { rejoin.show_signal() })),
        step("a checkpoint of the primary").act(|rejoin| Box::pin(rejoin.await_checkpoint())),
        step("rehearse the rewind").act(|rejoin| Box::pin(rejoin.rehearse())),
        step("put aside what is discarded")
            .check(|rejoin| Box::pin(rejoin.check_room()))
            .act(|rejoin| Box::pin(rejoin.put_aside()))
            .undo(|rejoin| Box::pin(async { rejoin.take_back_aside() })),
        step("note that the rewind begins")
            .act(|rejoin| Box::pin(async { rejoin.note_rewind() }))
            .point_of_no_return(),
        step("rewind").act(|rejoin| Box::pin(rejoin.rewind())),
        step("what a rewind leaves behind").act(|rejoin| Box::pin(async { rejoin.tidy_rewind() })),
        step("a server may start again").act(|rejoin| Box::pin(async { rejoin.open_data_directory() })),
        step("slot, replication configuration, start, record").act(|rejoin| Box::pin(rejoin.attach())),
        step("wait until the node is attached").act(|rejoin| Box::pin(rejoin.await_attachment())),
        step("slots of the former primary").act(|rejoin| Box::pin(rejoin.drop_slots())),
    ]
}

impl<'r> Rejoin<'r> {
    fn control(&self) -> Result<&ControlFile> {
        self.control.as_ref().ok_or_else(|| unknown("pg_control"))
    }

    fn primary(&self) -> Result<&(NodeRecord, Connection)> {
        self.primary.as_ref().ok_or_else(|| unknown("the primary"))
    }

    fn own(&self) -> Result<&NodeRecord> {
        self.own.as_ref().ok_or_else(|| unknown("this node's record"))
    }

    fn node_id(&self) -> NodeId {
        NodeId(self.config.node_id)
    }

    fn is_rewind(&self) -> bool {
        matches!(self.course, Course::Rewind { .. })
    }

    fn repoint<'a>(&'a self, connection: &'a Connection) -> Result<Repoint<'a>> {
        let (record, _) = self.primary()?;
        Ok(Repoint {
            config: self.config,
            own: self.own()?,
            primary: connection,
            target: record,
            target_connection: connection,
            helpers: Helpers {
                superuser: self.request.superuser.as_deref(),
                replication_user: self.request.replication_user.as_deref(),
                upstream_repluser: Some(&record.repluser),
            },
            failure: ExitCode::RejoinFail,
        })
    }

    /// A connection to the primary; the one of the checks may be over after a long rewind.
    async fn reconnect(&mut self) -> Result<()> {
        let (record, connection) = self.primary()?;
        let answers = !connection.is_closed() && connection.recovery_state().await.is_ok();
        if answers {
            return Ok(());
        }
        let record = record.clone();
        let connection = survey::connect(&record, Default::default()).await.map_err(|error| {
            Error::new(
                ExitCode::RejoinFail,
                format!("the connection to {} was lost", record.title()),
            )
            .detail(error.to_string())
            .hint("run the same command again once it answers; it goes on where it stopped")
        })?;
        self.primary = Some((record, connection));
        Ok(())
    }

    /// What goes with every error of the procedure itself.
    async fn failed(&self, error: Error) -> Error {
        let error = match error.exit_code {
            // An interruption: the plan does not know whose it is.
            ExitCode::BadBasebackup => error
                .with_exit_code(ExitCode::RejoinFail)
                .hint("the rewind had not begun; what was done is taken back, and the command can be run again"),
            _ => error,
        };
        if !self.changed {
            return error;
        }
        let details = std::iter::once(&error.message).chain(&error.details);
        let details = details.cloned().collect::<Vec<_>>().join("; ");
        let mut event = Event::new(EventName::NodeRejoin, self.node_id())
            .successful(false)
            .details(details);
        if let Some((record, connection)) = &self.primary {
            event = event.about(record);
            events::emit(Some(connection), self.config, event).await;
        } else {
            events::emit(None, self.config, event).await;
        }
        notice!("NODE REJOIN failed");
        error
    }

    async fn succeeded(&self) {
        let Some((record, connection)) = &self.primary else {
            return;
        };
        let details = format!(
            "node {} is now attached to node {}",
            self.config.node_id, record.node_id
        );
        if self.request.no_wait {
            // The original reports no event here, and a switchover that calls it writes its own.
            notice!("NODE REJOIN successful");
            detail!(
                "it was not waited until the node is attached to node {}",
                record.node_id
            );
            return;
        }
        let text = match &self.discarded {
            Some(discarded) => format!("{details}; {discarded}"),
            None => details.clone(),
        };
        let event = Event::new(EventName::NodeRejoin, self.node_id())
            .details(text)
            .about(record);
        events::emit(Some(connection), self.config, event).await;
        notice!("NODE REJOIN successful");
        detail!("{details}");
    }
}

fn unknown(what: &str) -> Error {
    Error::new(ExitCode::Internal, format!("{what} was not looked at"))
}
