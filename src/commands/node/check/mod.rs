//! `repmgr node check`: this node, in forms that monitoring systems and other
//! nodes' `repmgr` read.
//!
//! A file for each group of checks: it measures, and a pure function judges
//! what was measured. `outcome` has the words, `report` puts them together.

mod archive;
mod attachment;
mod connection;
mod daemon;
mod data_directory;
mod lag;
mod outcome;
mod report;
mod role;
mod slots;
mod synchronous;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use crate::commands::connecting::{local_conninfo, local_title, unreachable};
use crate::commands::records::required_record;
use crate::commands::{ColumnFormat, Context, overview};
use crate::config::SynchronousMode;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, nodes};
use crate::output;
use crate::postgres::{ConnectError, Connection, Deadlines, PhysicalSlot};
use crate::types::{NodeId, RecoveryState};

use outcome::Outcome;
use report::Report;

/// The checks that have an outcome, each by the name of its option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Role,
    ReplicationLag,
    ArchiveReady,
    Upstream,
    Downstream,
    Slots,
    MissingSlots,
    DataDirectory,
    Repmgrd,
    Synchronous,
    ConfigOwner,
    DbConnection,
}

impl Check {
    /// In the order in which options are looked at; only the first one that was given counts.
    const BY_OPTION: [Check; 11] = [
        Check::ArchiveReady,
        Check::Upstream,
        Check::Downstream,
        Check::ReplicationLag,
        Check::Role,
        Check::Slots,
        Check::MissingSlots,
        Check::DataDirectory,
        Check::Repmgrd,
        Check::Synchronous,
        Check::ConfigOwner,
    ];

    /// In the order of the combined report.
    const COMBINED: [Check; 8] = [
        Check::Role,
        Check::ReplicationLag,
        Check::ArchiveReady,
        Check::Upstream,
        Check::Downstream,
        Check::Slots,
        Check::MissingSlots,
        Check::DataDirectory,
    ];

    /// The long name of its option.
    fn option(self) -> &'static str {
        match self {
            Check::Role => "role",
            Check::ReplicationLag => "replication-lag",
            Check::ArchiveReady => "archive-ready",
            Check::Upstream => "upstream",
            Check::Downstream => "downstream",
            Check::Slots => "slots",
            Check::MissingSlots => "missing-slots",
            Check::DataDirectory => "data-directory-config",
            Check::Repmgrd => "repmgrd",
            Check::Synchronous => "synchronous",
            Check::ConfigOwner => "replication-config-owner",
            Check::DbConnection => "db-connection",
        }
    }

    /// What the combined report calls it.
    fn label(self) -> &'static str {
        match self {
            Check::Role => "Server role",
            Check::ReplicationLag => "Replication lag",
            Check::ArchiveReady => "WAL archiving",
            Check::Upstream => "Upstream connection",
            Check::Downstream => "Downstream servers",
            Check::Slots => "Replication slots",
            Check::MissingSlots => "Missing physical replication slots",
            Check::DataDirectory => "Configured data directory",
            Check::Repmgrd => "repmgrd",
            Check::Synchronous => "Synchronous standbys",
            Check::ConfigOwner => "Replication configuration owner",
            Check::DbConnection => "Database connection",
        }
    }

    /// What its Nagios line begins with; `None` if the original has no such line.
    fn service(self) -> Option<&'static str> {
        Some(match self {
            Check::Role => "REPMGR_SERVER_ROLE",
            Check::ReplicationLag => "REPMGR_REPLICATION_LAG",
            Check::ArchiveReady => "REPMGR_ARCHIVE_READY",
            Check::Upstream => "REPMGR_UPSTREAM_SERVER",
            Check::Downstream => "REPMGR_DOWNSTREAM_SERVERS",
            Check::Slots => "REPMGR_INACTIVE_SLOTS",
            Check::MissingSlots => "REPMGR_MISSING_SLOTS",
            Check::DataDirectory => "REPMGR_DATA_DIRECTORY",
            Check::Repmgrd => "REPMGRD",
            Check::Synchronous => "REPMGR_SYNCHRONOUS",
            Check::ConfigOwner | Check::DbConnection => return None,
        })
    }

    /// Whether a single check can be shown in this form.
    fn has_form(self, format: ColumnFormat) -> bool {
        match format {
            ColumnFormat::Csv => false,
            ColumnFormat::Nagios => self.service().is_some(),
            ColumnFormat::Text => self != Check::ConfigOwner,
            ColumnFormat::Json | ColumnFormat::Optformat => true,
        }
    }
}

/// The node that is checked. What several checks need is asked for once; an error is its text.
pub struct Node<'a> {
    context: &'a Context,
    connection: &'a Connection,
    own: NodeRecord,
    recovery: OnceCell<Result<RecoveryState, String>>,
    slots: OnceCell<Result<Vec<PhysicalSlot>, String>>,
    downstream: OnceCell<Result<Vec<NodeRecord>, String>>,
}

impl Node<'_> {
    /// The limits for connections to other nodes.
    fn deadlines(&self) -> Deadlines {
        overview::deadlines()
    }

    /// Whether its server is in recovery.
    async fn recovery(&self) -> Result<RecoveryState, String> {
        let ask = async || {
            self.connection
                .recovery_state()
                .await
                .map_err(|error| error.to_string())
        };
        self.recovery.get_or_init(ask).await.clone()
    }

    /// Its physical replication slots.
    async fn slots(&self) -> &Result<Vec<PhysicalSlot>, String> {
        let ask = async || {
            self.connection
                .physical_slots()
                .await
                .map_err(|error| error.to_string())
        };
        self.slots.get_or_init(ask).await
    }

    /// The records that name it as their upstream.
    async fn downstream(&self) -> &Result<Vec<NodeRecord>, String> {
        let ask = async || {
            let records = nodes::downstream_of(self.connection, self.own.node_id).await;
            records.map_err(|error| error.to_string())
        };
        self.downstream.get_or_init(ask).await
    }

    async fn examine(&self, check: Check) -> Outcome {
        match check {
            Check::Role => role::check(self).await,
            Check::ReplicationLag => lag::check(self).await,
            Check::ArchiveReady => archive::check(self),
            Check::Upstream => attachment::upstream(self).await,
            Check::Downstream => attachment::downstream(self).await,
            Check::Slots => slots::inactive(self).await,
            Check::MissingSlots => slots::missing(self).await,
            Check::DataDirectory => data_directory::configured(self).await,
            Check::Repmgrd => daemon::check(self).await,
            Check::Synchronous => synchronous::check(self).await,
            Check::ConfigOwner => data_directory::owner(&self.context.config.data_directory),
            Check::DbConnection => Outcome::new(output::CheckStatus::Ok, ""),
        }
    }
}

/// Runs the verb. A single check ends with 0 to 3, the combined report with [`ExitCode::NodeStatus`] if any is not OK.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    let is_asked = |option: &str| options.checks.contains(&option);
    if is_asked("has-passfile") {
        return Ok(ExitCode::Success);
    }
    if is_asked("replication-connection") {
        output::print(connection::replication(context).await);
        return Ok(ExitCode::Success);
    }
    if let Err(error) = local_conninfo(context) {
        return Err(failed(options.format, "CONNINFO_PARSE", error));
    }
    let (conninfo, connected) = connect(context).await;
    if is_asked("db-connection") {
        let outcome = connection::database(&conninfo, &connected);
        return single(context, &context.config.node_name, Check::DbConnection, outcome);
    }
    let connection = connected.map_err(|error| {
        let error = unreachable(&local_title(context), &conninfo, &error);
        failed(options.format, "DB_CONNECTION", error)
    })?;
    let own = required_record(&connection, NodeId(context.config.node_id), ExitCode::BadConfig).await?;
    let node = Node {
        context,
        connection: &connection,
        own,
        recovery: OnceCell::new(),
        slots: OnceCell::new(),
        downstream: OnceCell::new(),
    };
    let asked = Check::BY_OPTION.into_iter().find(|check| is_asked(check.option()));
    match asked {
        Some(check) => {
            require_form(check, options.format)?;
            let outcome = node.examine(check).await;
            single(context, &node.own.node_name, check, outcome)
        }
        None => combined(&node).await,
    }
}

/// The node's own server, as the role of `--superuser` if one was given.
async fn connect(context: &Context) -> (Conninfo, Result<Connection, ConnectError>) {
    let conninfo = local_conninfo(context).unwrap_or_default();
    let conninfo = match &context.options.superuser {
        Some(superuser) => conninfo.for_user(superuser),
        None => conninfo,
    };
    let connected = Connection::connect(&conninfo, overview::deadlines()).await;
    (conninfo, connected)
}

/// Other nodes' `repmgr` reads why there is no answer.
fn failed(format: ColumnFormat, word: &str, error: Error) -> Error {
    if format == ColumnFormat::Optformat {
        output::print(&format!("--error={word}\n"));
    }
    error
}

fn require_form(check: Check, format: ColumnFormat) -> Result<()> {
    if check.has_form(format) {
        return Ok(());
    }
    Err(Error::bad_config(format!(
        "the result of --{} cannot be shown in this form",
        check.option()
    ))
    .hint("use --format=json for a form that programs can read"))
}

fn single(context: &Context, name: &str, check: Check, outcome: Outcome) -> Result<ExitCode> {
    let format = context.options.format;
    require_form(check, format)?;
    let text = match (format, check.service()) {
        (ColumnFormat::Nagios, Some(service)) => outcome.nagios_line(service),
        (ColumnFormat::Optformat, _) => outcome.optformat_line(),
        (ColumnFormat::Json, _) => Report::new(context, name, vec![(check, outcome.clone())]).json(),
        _ => outcome.text_line(),
    };
    output::print(&text);
    Ok(outcome.exit_code())
}

async fn combined(node: &Node<'_>) -> Result<ExitCode> {
    let mode = node.context.config.synchronous_mode;
    let ours = (mode != SynchronousMode::Off).then_some(Check::Synchronous);
    let checks = Check::COMBINED.into_iter().chain(ours);
    let asked = join_all(checks.map(|check| async move { (check, node.examine(check).await) }));
    let report = Report::new(node.context, &node.own.node_name, asked.await);
    let format = node.context.options.format;
    output::print(&match format {
        ColumnFormat::Text => report.text(),
        ColumnFormat::Csv => report.csv(),
        ColumnFormat::Json => report.json(),
        ColumnFormat::Nagios => report.nagios(),
        ColumnFormat::Optformat => report.optformat(),
    });
    Ok(match (report.status(), format) {
        (status, ColumnFormat::Nagios) => outcome::exit_code(status),
        (output::CheckStatus::Ok, _) => ExitCode::Success,
        _ => ExitCode::NodeStatus,
    })
}
