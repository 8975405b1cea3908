//! `repmgr primary register`: creates the extension if need be and records
//! this node as the cluster's primary.

use crate::commands::{Context, connecting};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::extension::{self, ExtensionStatus};
use crate::metadata::{NodeRecord, nodes, voting_term};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::types::{NodeType, RecoveryState};
use crate::{detail, hint, info, notice, survey, warning};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let title = connecting::local_title(context);
    info!("connecting to primary database on {title}");
    let connection = connecting::local(context).await?;
    connecting::require_supported_version(&connection).await?;
    if connecting::recovery_state(&connection, &title).await? == RecoveryState::Standby {
        return Err(
            Error::bad_config(format!("{title} is in recovery and cannot be registered as a primary"))
                .hint("register it with \"repmgr standby register\""),
        );
    }
    let own = NodeRecord::from_config(config, context.config_file.as_deref(), NodeType::Primary);
    if extension::ensure(
        &connection,
        options.superuser.as_deref(),
        options.without_library,
        options.dry_run,
    )
    .await?
    {
        let event = Event::new(EventName::ClusterCreated, own.node_id);
        events::emit(Some(&connection), config, event).await;
    }
    // A dry run may find no schema yet, hence no records either.
    let created = !options.dry_run || is_installed(&connection).await?;
    let findings = if created {
        examine_records(&connection, &own, options.force).await?
    } else {
        Findings::default()
    };
    if options.dry_run {
        info!(
            "all prerequisites for \"primary register\" are met; the record would be {}",
            if findings.own_record_exists {
                "updated"
            } else {
                "created"
            }
        );
        return Ok(ExitCode::Success);
    }

    let written = write_records(&connection, &own, &findings).await;
    let details = match &written {
        Ok(()) if findings.own_record_exists => "existing primary record updated".to_owned(),
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    let event = Event::new(EventName::PrimaryRegister, own.node_id)
        .successful(written.is_ok())
        .details(details);
    events::emit(Some(&connection), config, event).await;
    match written {
        Ok(()) if findings.own_record_exists => notice!("primary node record (ID: {}) updated", own.node_id),
        Ok(()) => notice!("primary node record (ID: {}) registered", own.node_id),
        Err(error) => {
            return Err(connecting::unanswered(
                ExitCode::DbQuery,
                &format!("write the record of {}", own.title()),
                &error,
            )
            .detail("nothing was changed"));
        }
    }
    Ok(ExitCode::Success)
}

async fn is_installed(connection: &Connection) -> Result<bool> {
    match extension::status(connection).await {
        Ok(status) => Ok(matches!(
            status,
            ExtensionStatus::Installed { .. } | ExtensionStatus::TablesOnly
        )),
        Err(error) => Err(connecting::unanswered(
            ExitCode::BadConfig,
            "determine the status of the \"repmgr\" extension",
            &error,
        )),
    }
}

/// What the existing records mean for this registration.
#[derive(Debug, Default)]
struct Findings {
    own_record_exists: bool,
    /// A registered primary that is none any more, as far as can be seen.
    former_primary: Option<NodeRecord>,
}

/// Refuses to register beside a primary that lives, or over an own record without `force`.
async fn examine_records(connection: &Connection, own: &NodeRecord, force: bool) -> Result<Findings> {
    let unreadable = |error: QueryError| connecting::unanswered(ExitCode::DbQuery, "read the node records", &error);
    let recorded = nodes::recorded_primary(connection).await.map_err(unreadable)?;
    let former_primary = recorded.filter(|primary| primary.node_id != own.node_id);
    if let Some(former) = &former_primary {
        match recovery_state(former).await {
            Ok((RecoveryState::Primary, there)) if there.is_same_server_as(connection).await => {
                return Err(
                    Error::bad_config(format!("this server is already registered as {}", former.title()))
                        .detail(format!("\"node_id\" in repmgr.conf is {}", own.node_id))
                        .hint(format!(
                            "set it to {}, or remove that record with \"repmgr primary unregister --force\" first",
                            former.node_id
                        )),
                );
            }
            Ok((RecoveryState::Primary, _)) => {
                return Err(Error::bad_config(format!(
                    "{} is already registered as a primary and is running",
                    former.title()
                ))
                .detail("a cluster has one primary; two servers now accept writes")
                .hint("find out which of them is the primary before anything else is done"));
            }
            Ok(_) => warning!("{} is registered as primary, but is in recovery", former.title()),
            Err(reason) => {
                warning!("{} is registered as primary, but does not answer", former.title());
                detail!("{reason}");
            }
        }
    }
    let namesake = nodes::active_namesake(connection, &own.node_name, own.node_id)
        .await
        .map_err(unreadable)?;
    // The name of a former primary is free: its record is set inactive together with this registration.
    if let Some(namesake) = namesake.filter(|node| {
        former_primary
            .as_ref()
            .is_none_or(|former| former.node_id != node.node_id)
    }) {
        return Err(Error::bad_config(format!(
            "the name \"{}\" is taken by node {}",
            own.node_name, namesake.node_id
        ))
        .hint("give this node a name of its own with \"node_name\" in repmgr.conf"));
    }
    let existing = nodes::by_id(connection, own.node_id).await.map_err(unreadable)?;
    if let Some(existing) = &existing
        && !force
    {
        return Err(
            Error::bad_config(format!("this node is already registered: {}", existing.title()))
                .detail(format!(
                    "it is registered as {}, {}",
                    existing.node_type,
                    if existing.active { "active" } else { "inactive" }
                ))
                .hint("use -F/--force to overwrite the existing record"),
        );
    }
    Ok(Findings {
        own_record_exists: existing.is_some(),
        former_primary,
    })
}

async fn recovery_state(node: &NodeRecord) -> Result<(RecoveryState, Connection), String> {
    let connection = survey::connect(node, Deadlines::default())
        .await
        .map_err(|error| error.to_string())?;
    let state = connection.recovery_state().await.map_err(|error| error.to_string())?;
    Ok((state, connection))
}

/// The voting term, the former primary's record and this node's record: all or nothing.
async fn write_records(connection: &Connection, own: &NodeRecord, findings: &Findings) -> Result<(), QueryError> {
    connection
        .transaction(async |connection| {
            voting_term::initialise(connection).await?;
            if let Some(former) = &findings.former_primary {
                nodes::set_active(connection, former.node_id, false).await?;
            }
            nodes::write(connection, own, findings.own_record_exists)
                .await
                .map(|_| ())
        })
        .await?;
    if let Some(former) = &findings.former_primary {
        notice!("{} was set inactive", former.title());
        hint!("if it is gone for good, remove it with \"repmgr primary unregister\"");
    }
    Ok(())
}
