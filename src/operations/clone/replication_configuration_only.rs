//! `standby clone --replication-conf-only`: the replication configuration for a
//! data directory that was cloned by other means.

use super::Request;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::data_directory::{self, State};
use crate::instance::replication_configuration::{self, upstream_parameters};
use crate::metadata::{NodeRecord, nodes};
use crate::operations::slots::{self, Helpers, SlotManager};
use crate::postgres::{Connection, Deadlines, QueryError, ReplicationConnection};
use crate::survey;

/// Writes `primary_conninfo` and what belongs to it, and creates the slot on the upstream if it is missing.
///
/// # Errors
/// With the original's exit codes; unlike there, also if something could not be written.
pub async fn write_replication_configuration(request: &Request, dry_run: bool) -> Result<()> {
    let source = request.connect().await?;
    let running = check_directory(request)?;
    check_version(request, &source).await?;
    let (upstream, own) = records(request, &source).await?;
    let connection = survey::connect(&upstream, request.deadlines).await.map_err(|error| {
        Error::bad_config(format!("unable to connect to upstream {}", upstream.title())).detail(error.to_string())
    })?;
    let parameters =
        upstream_parameters(&upstream.conninfo, &upstream.repluser, &request.config.node_name).map_err(|error| {
            Error::bad_config(format!("the conninfo of {} is not valid", upstream.title())).detail(error.to_string())
        })?;
    check_replication(request, &upstream, &parameters).await?;

    let slot_name = match request.config.use_replication_slots {
        true => Some(check_slot_name(request, &connection, &own, dry_run).await?),
        false => None,
    };
    let create_slot = match &slot_name {
        Some(name) => check_slot(request, &connection, name, dry_run).await?,
        None => false,
    };

    let path = &request.data_directory;
    if dry_run {
        crate::info!("would create replication configuration in \"{}\"", path.display());
        for line in replication_configuration::preview(&request.config, &parameters, slot_name.as_deref()) {
            crate::detail!("{line}");
        }
        crate::info!("would write \"{}\"", path.join("standby.signal").display());
        return Ok(());
    }
    // The slot first: a standby that is started in between must find it.
    if let Some(name) = slot_name.as_deref().filter(|_| create_slot) {
        let helpers = Helpers {
            superuser: request.superuser.as_deref(),
            replication_user: request.replication_user.as_deref(),
            upstream_repluser: Some(&upstream.repluser),
        };
        let manager = SlotManager::new(&connection, helpers, request.deadlines).await?;
        manager
            .create(name)
            .await
            .map_err(|error| error.with_exit_code(ExitCode::BadConfig))?;
    }
    let settings = replication_configuration::settings(&request.config, &parameters, slot_name.as_deref());
    replication_configuration::write(path, &settings)?;
    crate::notice!(
        "replication configuration written to \"{}\"",
        path.join("postgresql.auto.conf").display()
    );
    if running {
        crate::hint!("the server runs: it must be reloaded, or restarted if it is not a standby yet");
    }
    Ok(())
}

/// Whether the server runs.
fn check_directory(request: &Request) -> Result<bool> {
    let path = &request.data_directory;
    let refuse = |message: &str| {
        Err(
            Error::bad_config(format!("data directory \"{}\" {message}", path.display()))
                .hint("check data_directory in repmgr.conf; without --replication-conf-only it would be cloned"),
        )
    };
    match data_directory::state(path)? {
        State::PostgreSql => {}
        State::Absent => return refuse("does not exist"),
        State::Empty => return refuse("is empty"),
        State::NotEmpty => return refuse("is not a PostgreSQL data directory"),
    }
    data_directory::check_owner(path)?;
    let running = data_directory::running_server(path)?;
    if let Some(pid) = running {
        if !request.force {
            return Err(Error::bad_config(format!(
                "a server runs in data directory \"{}\" (process {pid})",
                path.display()
            ))
            .hint("use -F/--force to write its replication configuration while it runs"));
        }
        crate::warning!("a server runs in data directory \"{}\" (process {pid})", path.display());
    }
    Ok(running.is_some())
}

/// A data directory of another major version can never stream from the source.
async fn check_version(request: &Request, source: &Connection) -> Result<()> {
    let version = source
        .server_version()
        .await
        .map_err(|error| Error::bad_config("unable to find out the version of the source").detail(error.to_string()))?;
    let path = &request.data_directory;
    let own = data_directory::version_text(path).map_err(|error| {
        Error::bad_config(format!("unable to read \"{}\"", path.join("PG_VERSION").display()))
            .detail(error.to_string())
            .hint("check data_directory in repmgr.conf")
    })?;
    if own == version.major().to_string() {
        return Ok(());
    }
    Err(Error::bad_config(format!(
        "data directory \"{}\" is of PostgreSQL {own}, the source of PostgreSQL {}",
        path.display(),
        version.major()
    ))
    .hint("a standby needs the same major version as its primary; clone it anew"))
}

async fn records(request: &Request, source: &Connection) -> Result<(NodeRecord, NodeRecord)> {
    let unreadable = |error: QueryError| {
        Error::bad_config("unable to read the node records on the source").detail(error.to_string())
    };
    let upstream = match request.upstream_node_id {
        Some(id) => nodes::by_id(source, id).await.map_err(unreadable)?.ok_or_else(|| {
            Error::bad_config(format!("there is no record of the upstream node {id} on the source"))
                .hint("\"repmgr cluster show\" lists the registered nodes")
        })?,
        None => nodes::recorded_primary(source)
            .await
            .map_err(unreadable)?
            .ok_or_else(|| {
                Error::bad_config("the source's metadata has no active primary")
                    .hint("name the upstream with --upstream-node-id")
            })?,
    };
    let own = nodes::by_id(source, request.node_id())
        .await
        .map_err(unreadable)?
        .ok_or_else(|| {
            Error::bad_config(format!("this node (ID: {}) is not registered", request.node_id()))
                .hint("register it first: \"repmgr standby register --force\" works while it is not running")
        })?;
    if upstream.node_id == own.node_id {
        return Err(
            Error::bad_config("a node cannot be its own upstream").hint("name another node with --upstream-node-id")
        );
    }
    Ok((upstream, own))
}

/// The connection that the standby will make, tried now.
async fn check_replication(request: &Request, upstream: &NodeRecord, parameters: &Conninfo) -> Result<()> {
    // With the password file and password that are going to be written, not with those of this program.
    let written = replication_configuration::settings(&request.config, parameters, None);
    let text = written.first().map_or("", |(_, conninfo)| conninfo.as_str());
    let tried = match Conninfo::parse(text) {
        Ok(written) => ReplicationConnection::connect(&written.for_replication(""), request.deadlines).await,
        Err(error) => return Err(Error::new(ExitCode::Internal, error.to_string())),
    };
    let Err(error) = tried else { return Ok(()) };
    let message = format!("a replication connection to {} cannot be made", upstream.title());
    if request.force {
        crate::warning!("{message}");
        crate::detail!("{error}");
        return Ok(());
    }
    Err(Error::bad_config(message)
        .detail(error.to_string())
        .hint("the role needs the REPLICATION attribute and a line in pg_hba.conf; -F/--force goes on without"))
}

/// The slot's name in this node's record, which gets one if it has none.
async fn check_slot_name(request: &Request, upstream: &Connection, own: &NodeRecord, dry_run: bool) -> Result<String> {
    if let Some(name) = &own.slot_name {
        return Ok(name.clone());
    }
    let name = request.slot_name();
    if dry_run {
        crate::info!("would set slot_name to \"{name}\" in the record of this node");
        return Ok(name);
    }
    let failed = |detail: String| Error::bad_config("unable to record the slot's name on the primary").detail(detail);
    let primary = survey::live_primary(upstream, Deadlines::default())
        .await
        .map_err(|error| failed(error.to_string()))?;
    let (_, primary) = primary.ok_or_else(|| failed("no primary can be reached".to_owned()))?;
    nodes::set_slot_name(&primary, own.node_id, &name)
        .await
        .map_err(|error| failed(error.to_string()))?;
    Ok(name)
}

/// Whether the slot is to be created.
async fn check_slot(request: &Request, upstream: &Connection, name: &str, dry_run: bool) -> Result<bool> {
    let unknown = |error: QueryError| {
        Error::bad_config("unable to look for replication slots on the upstream").detail(error.to_string())
    };
    let lenient = request.force || dry_run;
    let problem = |message: String, hint: &str| {
        if lenient {
            crate::warning!("{message}");
            return Ok(false);
        }
        Err(Error::bad_config(message).hint(hint))
    };
    match slots::find(upstream, name).await.map_err(unknown)? {
        Some(slot) if slot.active => problem(
            format!("replication slot \"{name}\" on the upstream is in use"),
            "stop the standby that uses it; -F/--force goes on without",
        ),
        Some(slot) if !slot.lost => {
            crate::info!("replication slot \"{name}\" exists on the upstream");
            Ok(false)
        }
        _ if slots::free_slots(upstream).await.map_err(unknown)? < 1 => problem(
            "the upstream has no free replication slot".to_owned(),
            "raise max_replication_slots there; -F/--force goes on without a slot",
        ),
        _ => {
            crate::info!(
                "replication slot \"{name}\" {} be created on the upstream",
                if dry_run { "would" } else { "will" }
            );
            Ok(true)
        }
    }
}
