//! `repmgr witness register`: records this node's server as a witness on the
//! primary, and gives it a copy of the node records.
//!
//! Everything is checked before anything is changed; record and copy are made
//! together or not at all. Registering again with `--force` below another
//! primary is how a witness moves to it.

use crate::commands::{Context, connecting};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::extension::{self, ExtensionStatus};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::types::{NodeType, RecoveryState};
use crate::{info, notice};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    info!("connecting to witness {}", connecting::local_title(context));
    let witness = connect_witness(context).await?;
    info!("connecting to primary node");
    let (primary_record, primary) = find_primary(context).await?;
    require_own_cluster(&witness, &primary).await?;

    let mut own = NodeRecord::from_config(config, context.config_file.as_deref(), NodeType::Witness);
    own.priority = 0;
    own.upstream_node_id = Some(primary_record.node_id);
    let exists = examine_primary_records(&primary, &own, options.force).await?;
    examine_witness_records(&witness, options.force).await?;

    let created = extension::ensure(
        &witness,
        options.superuser.as_deref(),
        options.without_library,
        options.dry_run,
    )
    .await?;
    if options.dry_run {
        info!("all prerequisites for \"witness register\" are met");
        return Ok(ExitCode::Success);
    }
    if created {
        let event = Event::new(EventName::ClusterCreated, own.node_id);
        events::emit(Some(&witness), config, event).await;
    }
    register(&primary, &witness, &own, exists).await?;
    let event = Event::new(EventName::WitnessRegister, own.node_id).details(format!(
        "witness registration succeeded; upstream node ID is {}",
        primary_record.node_id
    ));
    events::emit(Some(&primary), config, event).await;
    info!("witness registration complete");
    notice!("witness node \"{}\" (ID: {}) registered", own.node_name, own.node_id);
    Ok(ExitCode::Success)
}

async fn connect_witness(context: &Context) -> Result<Connection> {
    let (title, conninfo) = (connecting::local_title(context), connecting::local_conninfo(context)?);
    let witness = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            connecting::unreachable(&format!("the witness, {title}"), &conninfo, &error)
                .with_exit_code(ExitCode::BadConfig)
                .hint("the witness's server must run before it can be registered")
        })?;
    match connecting::recovery_state(&witness, &title).await {
        Ok(RecoveryState::Primary) => Ok(witness),
        Ok(_) => Err(
            Error::bad_config(format!("{title} is in recovery and cannot be registered as a witness"))
                .detail("a witness is a server of its own, not a standby")
                .hint("make one with initdb, or register this node with \"repmgr standby register\""),
        ),
        Err(error) => Err(error.with_exit_code(ExitCode::BadConfig)),
    }
}

/// The primary that the options lead to: its record, and a connection as that record says.
async fn find_primary(context: &Context) -> Result<(NodeRecord, Connection)> {
    let own = connecting::local_conninfo(context)?;
    let mut source = context.source.clone().unwrap_or_default();
    for keyword in ["user", "dbname"] {
        if let Some(value) = own.get(keyword) {
            source.set_default(keyword, value);
        }
    }
    let given = connect_primary("the given primary", &source).await?;
    let record = nodes::recorded_primary(&given)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::BadConfig, "read the record of the primary", &error))?
        .ok_or_else(|| {
            Error::bad_config("no active primary is registered on the given server")
                .hint("register it with \"repmgr primary register\" first")
        })?;
    // Whoever was given may have a copy of the records, as a witness has.
    let conninfo = Conninfo::parse(&record.conninfo).map_err(|error| {
        Error::bad_config(format!("the conninfo of {} is not valid", record.title())).detail(error.to_string())
    })?;
    let primary = connect_primary(&format!("the primary, {}", record.title()), &conninfo).await?;
    Ok((record, primary))
}

async fn connect_primary(title: &str, conninfo: &Conninfo) -> Result<Connection> {
    let connection = Connection::connect(conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            connecting::unreachable(title, conninfo, &error)
                .with_exit_code(ExitCode::BadConfig)
                .hint("name the primary with -h/--host and the other connection options")
        })?;
    match connecting::recovery_state(&connection, title).await {
        Ok(RecoveryState::Primary) => Ok(connection),
        Ok(_) => Err(
            Error::bad_config(format!("{title} is in recovery, so it is not the primary"))
                .hint("name the primary with -h/--host and the other connection options"),
        ),
        Err(error) => Err(error.with_exit_code(ExitCode::BadConfig)),
    }
}

/// A witness inside the cluster that it watches would die with it.
async fn require_own_cluster(witness: &Connection, primary: &Connection) -> Result<()> {
    let unknown =
        |error: QueryError| connecting::unanswered(ExitCode::BadConfig, "compare the system identifiers", &error);
    let (witness, primary) = tokio::join!(witness.system_identifier(), primary.system_identifier());
    let (witness, primary) = (witness.map_err(unknown)?, primary.map_err(unknown)?);
    if witness != primary {
        return Ok(());
    }
    Err(
        Error::bad_config("the witness's server belongs to the cluster that it is to watch")
            .detail(format!("the system identifier of both is {witness}"))
            .hint("a witness needs a server of its own, made with initdb, on a host of its own"),
    )
}

/// Whether a record of this witness exists on the primary; refuses to take over another node's id or name.
async fn examine_primary_records(primary: &Connection, own: &NodeRecord, force: bool) -> Result<bool> {
    let unreadable = |error: QueryError| connecting::unanswered(ExitCode::BadConfig, "read the node records", &error);
    let existing = nodes::by_id(primary, own.node_id).await.map_err(unreadable)?;
    match &existing {
        Some(existing) if existing.node_type != NodeType::Witness => {
            return Err(Error::bad_config(format!(
                "{} is registered as {}, not as witness",
                existing.title(),
                existing.node_type
            ))
            .hint(format!(
                "remove that record with \"repmgr {} unregister\", or give this node an id of its own",
                existing.node_type
            )));
        }
        Some(existing) if !force => {
            return Err(
                Error::bad_config(format!("this witness is already registered: {}", existing.title()))
                    .hint("use -F/--force to overwrite the existing record"),
            );
        }
        _ => {}
    }
    let namesake = nodes::active_namesake(primary, &own.node_name, own.node_id)
        .await
        .map_err(unreadable)?;
    if let Some(namesake) = namesake {
        return Err(Error::bad_config(format!(
            "the name \"{}\" is taken by node {}",
            own.node_name, namesake.node_id
        ))
        .hint("give this node a name of its own with \"node_name\" in repmgr.conf"));
    }
    Ok(existing.is_some())
}

/// Refuses to replace records that the witness's database already has.
async fn examine_witness_records(witness: &Connection, force: bool) -> Result<()> {
    let status = extension::status(witness).await.map_err(|error| {
        connecting::unanswered(
            ExitCode::BadConfig,
            "determine the status of the \"repmgr\" extension",
            &error,
        )
    })?;
    if force || !matches!(status, ExtensionStatus::Installed { .. } | ExtensionStatus::TablesOnly) {
        return Ok(());
    }
    let records = nodes::all(witness)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::BadConfig, "read the node records of the witness", &error))?;
    if records.is_empty() {
        return Ok(());
    }
    let refused = Error::bad_config("the witness's database already has node records");
    Err(records
        .iter()
        .fold(refused, |error, node| error.detail(node.title()))
        .hint("use -F/--force to replace them by those of the primary"))
}

/// The record on the primary and the copy on the witness: both or none.
async fn register(primary: &Connection, witness: &Connection, own: &NodeRecord, exists: bool) -> Result<()> {
    primary
        .transaction(async |primary| {
            if nodes::write(primary, own, exists).await? != 1 {
                return Err(QueryError::Unexpected("the record has just been removed".to_owned()));
            }
            let records = nodes::all(primary).await?;
            nodes::replace_all(witness, &records).await
        })
        .await
        .map_err(|error| {
            connecting::unanswered(
                ExitCode::BadConfig,
                &format!("register {} and copy the node records to it", own.title()),
                &error,
            )
            .detail("the records on the primary were not changed")
        })
}
