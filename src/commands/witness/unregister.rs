//! `repmgr witness unregister`: removes the record of a witness. It may run on
//! any registered node; the witness's own server and its copy are left alone.

use crate::commands::{Context, connecting, records};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::nodes;
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{detail, hint, info, notice};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let local = connect_local(context).await?;
    let primary = connect_primary(context, local.as_ref()).await?;
    let target_id = options.node_id.unwrap_or(NodeId(config.node_id));
    let target = records::required_record(&primary, target_id, ExitCode::BadConfig).await?;
    if target.node_type != NodeType::Witness {
        return Err(Error::bad_config(format!(
            "{} is registered as {}, not as witness",
            target.title(),
            target.node_type
        ))
        .hint(format!("remove it with \"repmgr {} unregister\"", target.node_type)));
    }
    records::refuse_with_dependants(&primary, &target).await?;
    if options.dry_run {
        info!("witness {} would now be unregistered", target.title());
        hint!("run the same command without --dry-run to unregister it");
        return Ok(ExitCode::Success);
    }

    info!("unregistering witness {}", target.title());
    nodes::delete(&primary, target.node_id).await.map_err(|error| {
        connecting::unanswered(
            ExitCode::BadConfig,
            &format!("delete the record of {}", target.title()),
            &error,
        )
    })?;
    let event = Event::new(EventName::WitnessUnregister, target.node_id).details("witness unregistration succeeded");
    events::emit(Some(&primary), config, event).await;
    info!("witness unregistration complete");
    detail!(
        "{} was unregistered; its server goes on running with its copy of the records",
        target.title()
    );
    Ok(ExitCode::Success)
}

/// This node's server; with `--force` it may be down.
async fn connect_local(context: &Context) -> Result<Option<Connection>> {
    let (title, conninfo) = (connecting::local_title(context), connecting::local_conninfo(context)?);
    info!("connecting to {title}");
    match Connection::connect(&conninfo, Deadlines::default()).await {
        Ok(local) => Ok(Some(local)),
        Err(error) if context.options.force => {
            notice!("unable to connect to {title}; going on, as -F/--force was given");
            detail!("{error}");
            Ok(None)
        }
        Err(error) => Err(connecting::unreachable(&title, &conninfo, &error)
            .with_exit_code(ExitCode::BadConfig)
            .hint("use -F/--force and the primary's connection options to unregister a witness that does not run")),
    }
}

/// The primary, from this node's metadata or else from the options.
async fn connect_primary(context: &Context, local: Option<&Connection>) -> Result<Connection> {
    info!("connecting to primary node");
    if let Some(local) = local {
        return connecting::live_primary(local).await.map(|(_, primary)| primary);
    }
    let conninfo = context.source.clone().unwrap_or_default();
    let hint = "name the primary with -h/--host and the other connection options";
    let primary = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            connecting::unreachable("the primary", &conninfo, &error)
                .with_exit_code(ExitCode::BadConfig)
                .hint(hint)
        })?;
    match connecting::recovery_state(&primary, "the given server").await {
        Ok(RecoveryState::Primary) => Ok(primary),
        Ok(_) => Err(Error::bad_config("the given server is in recovery, so it is not the primary").hint(hint)),
        Err(error) => Err(error.with_exit_code(ExitCode::BadConfig)),
    }
}
