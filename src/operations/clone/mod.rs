//! `standby clone`: a base backup of another node in this node's data
//! directory, with the replication configuration that makes it a standby.
//!
//! The order of the checks is the original's; it decides which of several
//! problems is reported, and with which exit code.

mod backup_api;
mod barman;
mod base_backup;
mod checks;
mod copying;
mod external_files;
mod method;
mod progress;
mod replication_configuration_only;
mod slot;
mod tablespaces;

use std::path::PathBuf;

use base_backup::BackupOptions;
use external_files::ExternalFiles;
pub use method::Method;
pub use replication_configuration_only::write_replication_configuration;

use super::plan::{self, Step};
use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::instance::data_directory::{self, Prepared};
use crate::instance::replication_configuration;
use crate::instance::server_control::{self, Action};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines, ServerVersion};
use crate::remote::Ssh;
use crate::types::NodeId;

/// Where external configuration files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExternalFilesTo {
    /// To the path they have on the source.
    SamePath,
    /// Into the data directory.
    DataDirectory,
}

/// What is to be cloned, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the clone comes from.
    pub method: Method,
    /// repmgr.conf, with what the command line says in place of it; defaults if there is none.
    pub config: Config,
    /// How to connect to the source.
    pub source: Conninfo,
    /// Where the clone goes.
    pub data_directory: PathBuf,
    /// Use a directory with contents, which are removed.
    pub force: bool,
    /// With [`Method::Barman`]: connect to no node.
    pub no_upstream_connection: bool,
    /// The upstream, if it is not the recorded primary.
    pub upstream_node_id: Option<NodeId>,
    /// Used for `primary_conninfo` instead of the upstream's record.
    pub upstream_conninfo: Option<String>,
    /// A superuser, for what the connected role may not do.
    pub superuser: Option<String>,
    /// The role for replication connections to the source.
    pub replication_user: Option<String>,
    /// The system user on the source's host, for copying files from it.
    pub remote_user: Option<String>,
    /// Whether and where external configuration files are copied.
    pub external_files: Option<ExternalFilesTo>,
    /// Ask for an immediate checkpoint.
    pub fast_checkpoint: bool,
    /// Run pg_verifybackup afterwards.
    pub verify_backup: bool,
    /// For each connection.
    pub deadlines: Deadlines,
}

impl Request {
    /// The name and port of the source for a person.
    fn source_title(&self) -> String {
        let host = self.source.get("host").or(self.source.get("hostaddr")).unwrap_or("");
        format!("host \"{host}\", port {}", self.source.get("port").unwrap_or("5432"))
    }

    async fn connect(&self) -> Result<Connection> {
        Connection::connect(&self.source, self.deadlines)
            .await
            .map_err(|error| {
                Error::new(ExitCode::DbConn, "unable to connect to the source node")
                    .detail(error.to_string())
                    .detail(format!("connection string was: {}", self.source.redacted()))
                    .hint("check -h, -p, -U and -d, and that the server there runs and lets this host in")
            })
    }

    fn node_id(&self) -> NodeId {
        NodeId(self.config.node_id)
    }

    fn slot_name(&self) -> String {
        nodes::slot_name(self.node_id())
    }
}

/// What is found out and done while cloning.
struct Cloning<'r> {
    request: &'r Request,
    ssh: Ssh<'r>,
    dry_run: bool,
    options: BackupOptions,
    source: Option<Connection>,
    version: ServerVersion,
    /// Another server than the source, if the source is a standby.
    primary: Option<Connection>,
    upstream: Option<NodeRecord>,
    parameters: Conninfo,
    external: Option<ExternalFiles>,
    directory: Option<Prepared>,
    /// Locations on the source outside its data directory.
    tablespaces: Vec<String>,
    other_directories: Vec<Prepared>,
    barman: Option<barman::FromBarman<'r>>,
    backup_api: Option<backup_api::FromApi>,
    backup: Option<copying::Running>,
    slot_is_ours: bool,
    /// The upstream, if the slot was created there for a standby that does not stream while it is cloned.
    slot_holder: Option<Connection>,
}

/// Clones, or with `dry_run` only checks.
///
/// # Errors
/// With the original's exit codes; what was created is removed again.
pub async fn clone(request: &Request, dry_run: bool) -> Result<()> {
    clone_unless(request, dry_run, plan::signals).await
}

/// The same for a program that has its own reasons to interrupt it, which says why. It is asked after the checks.
///
/// # Errors
/// As [`clone`].
pub async fn clone_unless<F: Future<Output = &'static str>>(
    request: &Request,
    dry_run: bool,
    interruption: impl FnOnce() -> Result<F>,
) -> Result<()> {
    let mut state = Cloning {
        request,
        ssh: Ssh::new(&request.config, request.remote_user.as_deref()),
        dry_run,
        options: BackupOptions::default(),
        source: None,
        version: ServerVersion(0),
        primary: None,
        upstream: None,
        parameters: Conninfo::new(),
        external: None,
        directory: None,
        tablespaces: Vec::new(),
        other_directories: Vec::new(),
        barman: None,
        backup_api: None,
        backup: None,
        slot_is_ours: false,
        slot_holder: None,
    };
    let steps = match request.method {
        Method::BaseBackup => base_backup_steps(),
        Method::Barman => barman_steps(),
        Method::BackupApi => backup_api_steps(),
    };
    plan::check(&steps, &mut state).await?;
    if dry_run {
        return state.finish_dry_run();
    }
    plan::carry_out(&steps, &mut state, interruption()?, ExitCode::BadBasebackup).await?;
    state.finish().await;
    Ok(())
}

/// Fixes the type of the state that the steps' closures get.
fn step<'r>(name: &'static str) -> Step<Cloning<'r>> {
    Step::new(name)
}

fn base_backup_steps<'r>() -> Vec<Step<Cloning<'r>>> {
    vec![
        step("the data directory is not in use").check(|clone| Box::pin(async { clone.check_not_in_use() })),
        step("connect to the source").check(|clone| Box::pin(clone.check_source())),
        step("the data directory may be written").check(|clone| Box::pin(async { clone.check_directory() })),
        step("find the upstream").check(|clone| Box::pin(clone.check_upstream())),
        step("the source's configuration").check(|clone| Box::pin(clone.check_source_configuration())),
        step("PostgreSQL's programs").check(|clone| Box::pin(clone.check_programs())),
        step("connection parameters of the standby").check(|clone| Box::pin(async { clone.check_parameters() })),
        step("fetch external configuration files")
            .check(|clone| Box::pin(clone.check_external_files()))
            .act(|clone| Box::pin(clone.fetch_external_files())),
        step("directories of tablespaces and WAL")
            .check(|clone| Box::pin(clone.check_tablespaces()))
            .act(|clone| Box::pin(async { clone.prepare_other_directories() }))
            .undo(|clone| Box::pin(async { clone.remove_other_directories() })),
        step("replication slot on the source")
            .check(|clone| Box::pin(clone.check_slot()))
            .act(|clone| Box::pin(clone.create_slot()))
            .undo(|clone| Box::pin(clone.remove_slot())),
        step("prepare the data directory")
            .act(|clone| Box::pin(async { clone.prepare_directory() }))
            .undo(|clone| Box::pin(async { clone.remove_directory() })),
        step("base backup")
            .act(|clone| Box::pin(clone.back_up()))
            .undo(|clone| Box::pin(clone.stop_backup())),
        step("verify the base backup").act(|clone| Box::pin(clone.verify())),
        step("write the replication configuration")
            .act(|clone| Box::pin(async { clone.write_configuration() }))
            .point_of_no_return(),
        step("replication slot on the upstream").act(|clone| Box::pin(clone.settle_slot())),
        step("install external configuration files").act(|clone| Box::pin(async { clone.install_external_files() })),
    ]
}

fn barman_steps<'r>() -> Vec<Step<Cloning<'r>>> {
    vec![
        step("the data directory is not in use").check(|clone| Box::pin(async { clone.check_not_in_use() })),
        step("find Barman's latest backup").check(|clone| Box::pin(clone.check_barman())),
        step("connect to the source, if there is one").check(|clone| Box::pin(clone.check_source_if_any())),
        step("the data directory may be written").check(|clone| Box::pin(async { clone.check_directory() })),
        step("find the upstream").check(|clone| Box::pin(clone.check_upstream_or_ask_barman())),
        step("the source's configuration").check(|clone| Box::pin(clone.check_source_configuration())),
        step("the backup belongs to the source's cluster").check(|clone| Box::pin(clone.check_backup())),
        step("the WAL since the backup").check(|clone| Box::pin(clone.check_wal())),
        step("connection parameters of the standby").check(|clone| Box::pin(async { clone.check_parameters() })),
        step("fetch external configuration files")
            .check(|clone| Box::pin(clone.check_external_files()))
            .act(|clone| Box::pin(clone.fetch_external_files())),
        step("directories of tablespaces and WAL")
            .check(|clone| Box::pin(async { clone.check_backup_tablespaces() }))
            .act(|clone| Box::pin(async { clone.prepare_other_directories() }))
            .undo(|clone| Box::pin(async { clone.remove_other_directories() })),
        step("replication slot on the upstream")
            .check(|clone| Box::pin(clone.check_upstream_slot()))
            .act(|clone| Box::pin(clone.create_upstream_slot()))
            .undo(|clone| Box::pin(clone.remove_upstream_slot())),
        step("prepare the data directory")
            .act(|clone| Box::pin(async { clone.prepare_directory().and_then(|()| clone.link_wal_directory()) }))
            .undo(|clone| Box::pin(async { clone.remove_directory() })),
        step("copy the backup")
            .act(|clone| Box::pin(clone.copy_backup()))
            .undo(|clone| Box::pin(clone.stop_backup())),
        step("copy WAL that the source has removed")
            .act(|clone| Box::pin(clone.copy_wal()))
            .undo(|clone| Box::pin(clone.stop_backup())),
        step("complete the data directory").act(|clone| Box::pin(clone.complete_backup())),
        step("write the replication configuration")
            .act(|clone| Box::pin(async { clone.write_configuration() }))
            .point_of_no_return(),
        step("install external configuration files").act(|clone| Box::pin(async { clone.install_external_files() })),
    ]
}

fn backup_api_steps<'r>() -> Vec<Step<Cloning<'r>>> {
    vec![
        step("the data directory is not in use").check(|clone| Box::pin(async { clone.check_not_in_use() })),
        step("connect to the source").check(|clone| Box::pin(clone.check_source())),
        step("the data directory may be written").check(|clone| Box::pin(async { clone.check_directory() })),
        step("find the upstream").check(|clone| Box::pin(clone.check_upstream())),
        step("the source's configuration").check(|clone| Box::pin(clone.check_source_configuration())),
        step("PostgreSQL's server").check(|clone| Box::pin(clone.check_server_program())),
        step("connection parameters of the standby").check(|clone| Box::pin(async { clone.check_parameters() })),
        step("reach pg-backup-api").check(|clone| Box::pin(clone.check_backup_api())),
        step("fetch external configuration files")
            .check(|clone| Box::pin(clone.check_external_files()))
            .act(|clone| Box::pin(clone.fetch_external_files())),
        step("directories of tablespaces")
            .check(|clone| Box::pin(clone.check_recovered_tablespaces()))
            .act(|clone| Box::pin(async { clone.prepare_other_directories() }))
            .undo(|clone| Box::pin(async { clone.remove_other_directories() })),
        step("replication slot on the upstream")
            .check(|clone| Box::pin(clone.check_upstream_slot()))
            .act(|clone| Box::pin(clone.create_upstream_slot()))
            .undo(|clone| Box::pin(clone.remove_upstream_slot())),
        step("prepare the data directory")
            .act(|clone| Box::pin(async { clone.prepare_recovery_directory() }))
            .undo(|clone| Box::pin(async { clone.remove_directory() })),
        step("have Barman recover the backup")
            .act(|clone| Box::pin(clone.recover()))
            .undo(|clone| Box::pin(async { clone.leave_recovery() })),
        step("check the data directory").act(|clone| Box::pin(clone.check_recovered())),
        step("write the replication configuration")
            .act(|clone| Box::pin(async { clone.write_configuration() }))
            .point_of_no_return(),
        step("install external configuration files").act(|clone| Box::pin(async { clone.install_external_files() })),
    ]
}

impl Cloning<'_> {
    fn source(&self) -> Result<&Connection> {
        self.source
            .as_ref()
            .ok_or_else(|| Error::new(ExitCode::Internal, "there is no connection to the source"))
    }

    /// Where events go: the primary, which may be the source.
    fn events_connection(&self) -> Option<&Connection> {
        self.primary.as_ref().or(self.source.as_ref())
    }

    fn prepare_directory(&mut self) -> Result<()> {
        let path = &self.request.data_directory;
        let state = data_directory::state(path)?;
        match state {
            data_directory::State::Absent => crate::info!("creating directory \"{}\"...", path.display()),
            data_directory::State::Empty => {
                crate::info!(
                    "checking and correcting permissions on directory \"{}\"",
                    path.display()
                );
            }
            _ if self.request.force => crate::notice!("removing the contents of \"{}\" (-F/--force)", path.display()),
            _ => {}
        }
        self.directory = Some(data_directory::prepare(path, self.request.force)?);
        Ok(())
    }

    fn remove_directory(&mut self) {
        let Some(prepared) = self.directory.take() else { return };
        let path = self.request.data_directory.display();
        match prepared.undo() {
            Ok(()) => crate::notice!("what the clone had written to \"{path}\" was removed"),
            Err(error) => {
                crate::warning!("\"{path}\" could not be cleaned up: {error}");
                crate::hint!("remove what is left in it");
            }
        }
    }

    fn write_configuration(&mut self) -> Result<()> {
        let config = &self.request.config;
        let path = &self.request.data_directory;
        let settings = replication_configuration::settings(config, &self.parameters, Some(&self.request.slot_name()));
        replication_configuration::write(path, &settings)?;
        data_directory::restrict_mode(path)
    }

    fn finish_dry_run(&self) -> Result<()> {
        if let Some(upstream) = &self.upstream {
            crate::notice!("standby will attach to upstream node {}", upstream.node_id);
        } else {
            crate::warning!("the upstream node is not known, the standby will attach to --upstream-conninfo");
        }
        match self.request.method {
            Method::BaseBackup => {
                self.hint_checkpoint();
                crate::info!("pg_basebackup would be run as:\n  {}", self.base_backup_command().1);
            }
            Method::Barman => {
                for line in self.describe_copy()? {
                    crate::info!("would be copied from Barman: {line}");
                }
            }
            Method::BackupApi => {
                crate::info!(
                    "pg-backup-api would be asked to recover backup \"{}\"",
                    self.request.config.pg_backupapi_backup_id
                );
            }
        }
        for line in
            replication_configuration::preview(&self.request.config, &self.parameters, Some(&self.request.slot_name()))
        {
            crate::detail!("would be written to postgresql.auto.conf: {line}");
        }
        crate::info!("all prerequisites for \"standby clone\" are met");
        Ok(())
    }

    fn hint_checkpoint(&self) {
        if !self.request.fast_checkpoint {
            crate::hint!("the backup begins with the source's next checkpoint; -c/--fast-checkpoint asks for one now");
        }
    }

    async fn finish(&mut self) {
        let request = self.request;
        crate::notice!("standby clone (using {}) complete", request.method.title());
        crate::notice!("you can now start your PostgreSQL server");
        let start = server_control::command(&request.config, Action::Start, &request.data_directory);
        crate::hint!("for example: {start}");
        self.refresh_connections().await;
        let registered = match self.events_connection() {
            Some(primary) => nodes::by_id(primary, request.node_id()).await,
            None => Ok(None),
        };
        match registered {
            Ok(Some(_)) => crate::hint!(
                "after starting the server, update this node's record with \"repmgr standby register --force\""
            ),
            _ => crate::hint!("after starting the server, register this standby with \"repmgr standby register\""),
        }
        let details = format!(
            "cloned from {}; backup method: {}; --force: {}",
            request.source_title(),
            request.method.as_str(),
            if request.force { "Y" } else { "N" }
        );
        let event = Event::new(EventName::StandbyClone, request.node_id()).details(details);
        events::emit(self.events_connection(), &request.config, event).await;
    }
}
