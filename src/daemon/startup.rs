//! What must be true before the daemon goes into the background: each check
//! ends the program with its exit code while the caller still listens.

use super::without_library;
use crate::config::{self, Config, FailoverMode};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::extension::{self, ExtensionStatus};
use crate::metadata::{Means, NodeRecord, functions, means, nodes};
use crate::postgres::{Connection, Deadlines};
use crate::survey;
use crate::types::{NodeId, NodeType, RecoveryState};

/// The versions of the extension whose tables and functions are the ones used here: the same in all three.
const EXTENSION_VERSIONS: std::ops::RangeInclusive<(u32, u32)> = (5, 3)..=(5, 5);

/// Asks the own server whether the daemon can serve it; its own record.
pub async fn check(config: &Config) -> Result<NodeRecord> {
    let own = NodeId(config.node_id);
    let local = connect(config).await?;
    check_extension(&local).await?;
    let record = own_record(&local, own).await?;
    check_library(&local, own).await?;
    let record = check_active(&local, config, record).await?;
    check_commands(config)?;
    Ok(record)
}

async fn connect(config: &Config) -> Result<Connection> {
    let conninfo = Conninfo::parse(&config.conninfo)
        .map_err(|error| Error::bad_config("the parameter \"conninfo\" is not valid").detail(error.to_string()))?;
    Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            Error::new(ExitCode::DbConn, "could not connect to the server of this node")
                .detail(format!("conninfo is \"{}\"", conninfo.redacted()))
                .detail(error.message)
                .hint("start PostgreSQL before repmgrd")
        })
}

fn unanswered(what: &str, error: &impl std::fmt::Display, code: ExitCode) -> Error {
    Error::new(code, format!("could not read {what} from the server of this node")).detail(error.to_string())
}

async fn check_extension(local: &Connection) -> Result<()> {
    let status = extension::status(local)
        .await
        .map_err(|error| unanswered("the state of the extension \"repmgr\"", &error, ExitCode::DbQuery))?;
    let installed = match status {
        ExtensionStatus::Unavailable => {
            return Err(
                Error::bad_config("the extension \"repmgr\" is not available on this server")
                    .detail("its control file is missing")
                    .hint("install the package with the repmgr library for this version of PostgreSQL"),
            );
        }
        ExtensionStatus::Available => {
            return Err(
                Error::bad_config("the extension \"repmgr\" is not installed in the database of \"conninfo\"")
                    .detail("repmgr's metadata is not there")
                    .hint("register the node first, or correct dbname in conninfo"),
            );
        }
        // Whether its daemon can work without is the next question.
        ExtensionStatus::TablesOnly => return Ok(()),
        ExtensionStatus::OldVersionInstalled { installed, .. } => installed,
        ExtensionStatus::Installed { version } => version,
    };
    let version = extension::version_number(&installed);
    if EXTENSION_VERSIONS.contains(&version) {
        return Ok(());
    }
    let error = Error::bad_config(format!("the extension \"repmgr\" is installed in version {installed}"))
        .detail("this program works with the versions 5.3, 5.4 and 5.5");
    Err(if version < *EXTENSION_VERSIONS.start() {
        error.hint("run ALTER EXTENSION repmgr UPDATE on the primary")
    } else {
        error.hint("install the repmgr package that belongs to the extension")
    })
}

async fn own_record(local: &Connection, own: NodeId) -> Result<NodeRecord> {
    let missing = |detail: String| {
        Error::bad_config(format!("there is no record of this node (ID: {own})"))
            .detail(detail)
            .hint("register the node, or correct \"node_id\" in repmgr.conf")
    };
    match nodes::by_id(local, own).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(missing(
            "repmgr.nodes on the server of this node has no such row".to_owned(),
        )),
        Err(error) => Err(missing(error.to_string())),
    }
}

async fn check_library(local: &Connection, own: NodeId) -> Result<()> {
    let unusable = |detail: String| {
        Error::bad_config("the repmgr library of this server does not answer")
            .detail(detail)
            .hint("install the repmgr library of this package on this host; the original's must be in shared_preload_libraries")
    };
    match means::of(local).await {
        Ok(Means::Library) => {}
        Ok(Means::Substitute) => return without_library::check(local, own).await,
        Err(error) => return Err(unusable(error.to_string())),
    }
    functions::set_local_node_id(local, own)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    match functions::local_node_id(local).await {
        Ok(Some(id)) if id == own => Ok(()),
        Ok(Some(id)) => {
            crate::warning!("the library of this server was told that it serves node {id}, but this is node {own}");
            crate::detail!("a paused state does not survive the next restart of the server");
            crate::hint!("restart PostgreSQL when convenient");
            Ok(())
        }
        Ok(None) => Err(unusable("it did not keep the node's id".to_owned())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

async fn check_active(local: &Connection, config: &Config, mut record: NodeRecord) -> Result<NodeRecord> {
    if record.active {
        return Ok(record);
    }
    let state = local.recovery_state().await.unwrap_or(RecoveryState::Unknown);
    let contradiction = match (state, record.node_type) {
        (RecoveryState::Standby, NodeType::Primary | NodeType::Witness) => Some("a standby"),
        (RecoveryState::Primary, NodeType::Standby) => Some("a primary"),
        _ => None,
    };
    if let Some(really) = contradiction {
        let message = format!(
            "this node is registered as an inactive {}, but its server is {really}",
            record.node_type
        );
        announce_failed_start(config, &message).await;
        return Err(
            Error::bad_config(message).hint("register the node again with --force, or rejoin it to the cluster")
        );
    }
    if !config.repmgrd_exit_on_inactive_node {
        record.active = activate(local, &record).await;
    }
    if record.active {
        return Ok(record);
    }
    let message = "this node is registered as inactive";
    if config.failover == FailoverMode::Automatic {
        announce_failed_start(config, message).await;
        return Err(Error::bad_config(message)
            .detail("with failover=automatic only an active node can be watched")
            .hint("check that the node is part of the cluster, then register it again with --force"));
    }
    crate::warning!("{message}");
    crate::hint!("check that the node is part of the cluster, then register it again with --force");
    Ok(record)
}

async fn activate(local: &Connection, record: &NodeRecord) -> bool {
    match survey::live_primary(local, Deadlines::default()).await {
        Ok(Some((primary, connection))) => match nodes::set_active(&connection, record.node_id, true).await {
            Ok(_) => {
                crate::notice!("the record of this node was inactive and is now active");
                true
            }
            Err(error) => {
                crate::warning!(
                    "could not set the record of this node to active on {}: {error}",
                    primary.title()
                );
                false
            }
        },
        Ok(None) => {
            crate::warning!("could not set the record of this node to active: no primary was found");
            false
        }
        Err(error) => {
            crate::warning!("could not set the record of this node to active: {error}");
            false
        }
    }
}

async fn announce_failed_start(config: &Config, details: &str) {
    let event = Event::new(EventName::RepmgrdStart, NodeId(config.node_id))
        .successful(false)
        .details(details);
    events::emit(None, config, event).await;
}

fn check_commands(config: &Config) -> Result<()> {
    let missing = config::missing_for_automatic_failover(config, None);
    if missing.is_empty() {
        return Ok(());
    }
    Err(
        Error::bad_config(format!("failover=automatic, but {} is not set", missing.join(" and ")))
            .hint("set promote_command and follow_command in repmgr.conf, or failover=manual"),
    )
}
