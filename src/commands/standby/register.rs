//! `repmgr standby register`: records this node as a standby on the primary.
//!
//! It touches neither the standby's replication configuration nor slots.

use std::time::{Duration, Instant};

use crate::commands::{Context, connecting, records};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{detail, info, notice, survey, warning};

/// `--wait-start` without being given, in seconds.
const DEFAULT_WAIT_START: u32 = 30;
/// How long a standby that has just been started may take to appear on its upstream.
const ATTACH_GRACE: Duration = Duration::from_secs(5);

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let local = connect_local(context).await?;
    let (primary_record, primary) = find_primary(context, local.as_ref()).await?;
    if let Some(local) = &local {
        require_same_major(local, &primary).await?;
    }

    let unreadable = |error: QueryError| connecting::unanswered(ExitCode::BadConfig, "read the node records", &error);
    let mut own = NodeRecord::from_config(config, context.config_file.as_deref(), NodeType::Standby);
    if own.node_id == primary_record.node_id {
        return Err(Error::bad_config(format!(
            "the id {} is taken by the primary, {}",
            own.node_id,
            primary_record.title()
        ))
        .detail("this standby would overwrite the primary's record")
        .hint("give this node an id of its own with \"node_id\" in repmgr.conf"));
    }
    if let Some(namesake) = nodes::active_namesake(&primary, &own.node_name, own.node_id)
        .await
        .map_err(unreadable)?
    {
        return Err(Error::bad_config(format!(
            "the name \"{}\" is taken by node {}",
            own.node_name, namesake.node_id
        ))
        .hint("give this node a name of its own with \"node_name\" in repmgr.conf"));
    }
    let existing = nodes::by_id(&primary, own.node_id).await.map_err(unreadable)?;
    if let Some(existing) = &existing
        && !options.force
    {
        return Err(
            Error::bad_config(format!("this node is already registered: {}", existing.title()))
                .detail(format!("it is registered as {}", existing.node_type))
                .hint("use -F/--force to overwrite the existing record"),
        );
    }

    let mut placeholder = None;
    let mut problem = None;
    match options.upstream_node_id {
        Some(upstream) => {
            placeholder = examine_upstream(context, &primary, &primary_record, upstream).await?;
            own.upstream_node_id = Some(upstream);
        }
        None => {
            own.upstream_node_id = Some(primary_record.node_id);
            if existing.is_none() && local.is_some() {
                warning!("--upstream-node-id was not given, the primary is assumed to be the upstream");
                detail!("the primary is {}", primary_record.title());
                problem = examine_attachment(context, &primary, &primary_record).await?;
            }
        }
    }
    if options.dry_run {
        return Ok(end_dry_run(problem));
    }

    let written = write_records(&primary, &own, placeholder.as_ref(), existing.is_some()).await;
    let upstream = own.upstream_node_id.unwrap_or(primary_record.node_id);
    let forced = if options.force {
        "; -F/--force option was used"
    } else {
        ""
    };
    let details = match &written {
        Ok(()) => format!("standby registration succeeded; upstream node ID is {upstream}{forced}"),
        Err(error) => format!("standby registration failed: {error}"),
    };
    let event = Event::new(EventName::StandbyRegister, own.node_id)
        .successful(written.is_ok())
        .details(details)
        .about(&primary_record);
    events::emit(Some(&primary), config, event).await;
    written.map_err(|error| {
        connecting::unanswered(
            ExitCode::BadConfig,
            &format!("write the record of {}", own.title()),
            &error,
        )
    })?;

    if let (Some(local), Some(limit)) = (&local, options.wait_sync.filter(|limit| *limit != Some(0))) {
        wait_for_record(context, &primary, &primary_record, local, limit).await?;
    }
    info!("standby registration complete");
    notice!(
        "standby node \"{}\" (ID: {}) successfully registered",
        own.node_name,
        own.node_id
    );
    Ok(ExitCode::Success)
}

/// This node's server, waited for; with `--force` it need not run if the options name the primary.
async fn connect_local(context: &Context) -> Result<Option<Connection>> {
    let options = &context.options;
    let title = connecting::local_title(context);
    info!("connecting to local {title}");
    let conninfo = connecting::local_conninfo(context)?;
    let retries = if options.force {
        0
    } else {
        options.wait_start.unwrap_or(DEFAULT_WAIT_START)
    };
    let mut connected = Connection::connect(&conninfo, Deadlines::default()).await;
    if connected.is_err() && retries > 0 {
        info!("waiting up to {retries} seconds for local {title} to accept connections");
        let end = Instant::now() + Duration::from_secs(retries.into());
        while connected.is_err() && Instant::now() < end {
            tokio::time::sleep(Duration::from_secs(1)).await;
            connected = Connection::connect(&conninfo, Deadlines::default()).await;
        }
        if connected.is_ok() {
            info!("connected to local {title}");
        }
    }
    let local = match connected {
        Ok(local) => local,
        Err(error) if !options.force => {
            return Err(connecting::unreachable(&format!("local {title}"), &conninfo, &error)
                .with_exit_code(ExitCode::BadConfig)
                .hint("start the standby, then register it")
                .hint("to register one that does not run, use -F/--force and connection options for the primary"));
        }
        Err(error) if context.source.is_none() => {
            return Err(connecting::unreachable(&format!("local {title}"), &conninfo, &error)
                .with_exit_code(ExitCode::BadConfig)
                .hint("give the primary's connection options to register a standby that does not run"));
        }
        Err(_) => return Ok(None),
    };
    if context.source.is_some() {
        warning!("connection options for the primary are not needed while the standby runs, and are ignored");
    }
    if connecting::recovery_state(&local, &title).await? == RecoveryState::Primary {
        return Err(Error::bad_config(format!(
            "{title} is not in recovery and cannot be registered as a standby"
        ))
        .hint("register it with \"repmgr primary register\""));
    }
    Ok(Some(local))
}

/// The primary, from this node's metadata or else from the options.
async fn find_primary(context: &Context, local: Option<&Connection>) -> Result<(NodeRecord, Connection)> {
    info!("connecting to primary database");
    if let Some(local) = local {
        return connecting::live_primary(local).await;
    }
    let conninfo = context.source.clone().unwrap_or_default();
    let primary = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            connecting::unreachable("the primary", &conninfo, &error).with_exit_code(ExitCode::BadConfig)
        })?;
    if connecting::recovery_state(&primary, "the server that the options name").await? != RecoveryState::Primary {
        return Err(
            Error::bad_config("the server that the connection options name is not a primary")
                .hint("give the connection options of the current primary"),
        );
    }
    let record = nodes::recorded_primary(&primary)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::BadConfig, "read the record of the primary", &error))?
        .ok_or_else(|| {
            Error::bad_config("no active primary is registered on the server that the connection options name")
                .hint("register it with \"repmgr primary register\" first")
        })?;
    Ok((record, primary))
}

async fn require_same_major(local: &Connection, primary: &Connection) -> Result<()> {
    let unknown =
        |error: QueryError| connecting::unanswered(ExitCode::DbConn, "determine the server's version", &error);
    let standby = local.server_version().await.map_err(unknown)?.major();
    let primary = primary.server_version().await.map_err(unknown)?.major();
    if standby == primary {
        return Ok(());
    }
    Err(
        Error::bad_config("standby and primary run different major versions of PostgreSQL").detail(format!(
            "the standby runs version {standby}, the primary version {primary}"
        )),
    )
}

/// Checks the upstream that was asked for; a record to be made for it, if it has none and `--force` was given.
async fn examine_upstream(
    context: &Context,
    primary: &Connection,
    primary_record: &NodeRecord,
    upstream: NodeId,
) -> Result<Option<NodeRecord>> {
    let options = &context.options;
    if upstream.0 == context.config.node_id {
        return Err(Error::bad_config("a node cannot be its own upstream")
            .detail(format!("--upstream-node-id is this node's own id, {upstream}")));
    }
    let record = nodes::by_id(primary, upstream)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::BadConfig, "read the record of the upstream", &error))?;
    let Some(record) = record else {
        if !options.force {
            return Err(
                Error::bad_config(format!("no record found for the upstream, node {upstream}"))
                    .hint("use -F/--force to have a placeholder record made for it"),
            );
        }
        notice!("no record found for the upstream, node {upstream}; an inactive placeholder record stands in for it");
        return Ok(Some(NodeRecord {
            node_id: upstream,
            upstream_node_id: Some(primary_record.node_id),
            active: false,
            node_name: String::new(),
            node_type: NodeType::Standby,
            location: "default".to_owned(),
            priority: 100,
            conninfo: options.upstream_conninfo.clone().unwrap_or_default(),
            repluser: String::new(),
            slot_name: None,
            config_file: String::new(),
        }));
    };
    if !record.active {
        if !options.force {
            return Err(
                Error::bad_config(format!("the upstream, {}, is marked as inactive", record.title()))
                    .hint("use -F/--force to register this standby nevertheless"),
            );
        }
        notice!("the upstream, {}, is marked as inactive", record.title());
    }
    let problem = match survey::connect(&record, Deadlines::default()).await {
        Err(error) => Some(
            Error::bad_config(format!("unable to connect to the upstream, {}", record.title()))
                .detail(error.to_string()),
        ),
        Ok(connection) => not_attached(context, &connection, &record).await,
    };
    match problem {
        Some(problem) if options.force => {
            warning!("{}", problem.message);
            for line in &problem.details {
                detail!("{line}");
            }
            Ok(None)
        }
        Some(problem) => Err(problem.hint("use -F/--force to register this standby nevertheless")),
        None => Ok(None),
    }
}

/// Checks that this node is attached to the primary. In a dry run the problem is returned for later.
async fn examine_attachment(
    context: &Context,
    primary: &Connection,
    primary_record: &NodeRecord,
) -> Result<Option<Error>> {
    let options = &context.options;
    let Some(problem) = not_attached(context, primary, primary_record).await else {
        return Ok(None);
    };
    if options.force {
        warning!("{}", problem.message);
        notice!("registering it nevertheless, as -F/--force was given");
        return Ok(None);
    }
    let problem = problem
        .hint("if it replicates from another node, name that one with --upstream-node-id")
        .hint("use -F/--force to register it nevertheless");
    if options.dry_run {
        problem.report();
        return Ok(Some(problem));
    }
    Err(problem)
}

/// Why this node does not count as attached to `upstream`. One that was only just started is given some seconds.
async fn not_attached(context: &Context, connection: &Connection, upstream: &NodeRecord) -> Option<Error> {
    let name = &context.config.node_name;
    let grace = if context.options.force {
        Duration::ZERO
    } else {
        ATTACH_GRACE
    };
    let end = Instant::now() + grace;
    loop {
        let found = attachment(connection, name).await;
        if found == Attachment::Attached {
            return None;
        }
        if Instant::now() >= end {
            let title = connecting::local_title(context);
            let error = Error::bad_config(format!("{title} is not attached to {}", upstream.title()));
            return Some(match found {
                Attachment::NotAttached { state } => error.detail(format!("its state there is \"{state}\"")),
                Attachment::Unknown { reason } => error.detail(reason),
                _ => error.detail(format!(
                    "no walsender with the application_name \"{name}\" runs there (pg_stat_replication)"
                )),
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn end_dry_run(problem: Option<Error>) -> ExitCode {
    match problem {
        Some(problem) => {
            warning!("not all prerequisites for \"standby register\" are met");
            problem.exit_code
        }
        None => {
            info!("all prerequisites for \"standby register\" are met");
            ExitCode::Success
        }
    }
}

/// The placeholder of the upstream and this node's record: both or none.
async fn write_records(
    primary: &Connection,
    own: &NodeRecord,
    placeholder: Option<&NodeRecord>,
    exists: bool,
) -> Result<(), QueryError> {
    primary
        .transaction(async |primary| {
            if let Some(placeholder) = placeholder
                && nodes::by_id(primary, placeholder.node_id).await?.is_none()
            {
                nodes::write(primary, placeholder, false).await?;
            }
            match nodes::write(primary, own, exists).await? {
                1 => Ok(()),
                _ => Err(QueryError::Unexpected("the record has just been removed".to_owned())),
            }
        })
        .await
}

/// Waits until this node's own copy of its record equals the primary's. No limit: for ever.
async fn wait_for_record(
    context: &Context,
    primary: &Connection,
    primary_record: &NodeRecord,
    local: &Connection,
    limit: Option<u32>,
) -> Result<()> {
    let id = NodeId(context.config.node_id);
    let expected = records::required_record(primary, id, ExitCode::RegistrationSync).await?;
    match limit {
        Some(seconds) => info!("waiting up to {seconds} seconds for the record to arrive on this node"),
        None => info!("waiting for the record to arrive on this node"),
    }
    let begin = Instant::now();
    let synced = loop {
        if let Ok(Some(found)) = nodes::by_id(local, id).await
            && is_same_registration(&found, &expected)
        {
            break true;
        }
        if local.is_closed() || limit.is_some_and(|limit| begin.elapsed() >= Duration::from_secs(limit.into())) {
            break false;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let seconds = begin.elapsed().as_secs();
    let details = if synced {
        format!("node record synchronised after {seconds} seconds")
    } else {
        format!("node record was not synchronised after {seconds} seconds")
    };
    let event = Event::new(EventName::StandbyRegisterSync, id)
        .successful(synced)
        .details(details.clone())
        .about(primary_record);
    events::emit(Some(primary), &context.config, event).await;
    if !synced {
        return Err(Error::new(
            ExitCode::RegistrationSync,
            "the record of this node did not arrive on it in time",
        )
        .detail(details)
        .hint("the record itself was written; check that this standby replays what the primary sends"));
    }
    info!("the record of this node has arrived on it");
    detail!("{details}");
    Ok(())
}

/// What must have arrived: all but what only the primary side reads.
fn is_same_registration(found: &NodeRecord, expected: &NodeRecord) -> bool {
    let key = |node: &NodeRecord| {
        (
            node.upstream_node_id,
            node.node_type,
            node.priority,
            node.location.clone(),
            node.active,
            node.node_name.clone(),
            node.conninfo.clone(),
            node.slot_name.clone(),
        )
    };
    key(found) == key(expected)
}
