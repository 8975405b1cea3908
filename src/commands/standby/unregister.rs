//! `repmgr standby unregister`: removes the record of a standby. It may run
//! on any registered node; servers and slots are left alone.

use crate::commands::{Context, connecting, records};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, NodeType};
use crate::{detail, hint, info, notice, survey};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    info!("connecting to local {}", connecting::local_title(context));
    let local = connecting::local(context).await?;
    let target_id = records::node_named_by_options(context, &local)
        .await?
        .map_or(NodeId(config.node_id), |node| node.node_id);

    info!("connecting to primary database");
    let (_, primary) = connecting::live_primary(&local).await?;
    let target = records::required_record(&primary, target_id, ExitCode::BadConfig).await?;
    if target.node_type != NodeType::Standby {
        return Err(Error::bad_config(format!(
            "{} is registered as {}, not as standby",
            target.title(),
            target.node_type
        ))
        .hint(format!("remove it with \"repmgr {} unregister\"", target.node_type)));
    }
    records::refuse_with_dependants(&primary, &target).await?;
    if options.dry_run {
        notice!("standby {} would now be unregistered", target.title());
        hint!("run the same command without --dry-run to unregister it");
        return Ok(ExitCode::Success);
    }

    notice!("unregistering node {}", target.node_id);
    nodes::delete(&primary, target.node_id).await.map_err(|error| {
        connecting::unanswered(
            ExitCode::BadConfig,
            &format!("delete the record of {}", target.title()),
            &error,
        )
    })?;
    events::emit(
        Some(&primary),
        config,
        Event::new(EventName::StandbyUnregister, target.node_id),
    )
    .await;
    info!("standby unregistration complete");
    report_slot(&primary, &target).await;
    Ok(ExitCode::Success)
}

/// A slot that stays behind keeps WAL until the disk is full: says where one is.
async fn report_slot(primary: &Connection, target: &NodeRecord) {
    let (Some(slot), Some(upstream_id)) = (&target.slot_name, target.upstream_node_id) else {
        return;
    };
    let Ok(Some(upstream)) = nodes::by_id(primary, upstream_id).await else {
        return;
    };
    let Ok(connection) = survey::connect(&upstream, Deadlines::default()).await else {
        return;
    };
    let found = connection
        .query_opt(
            "SELECT active FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
            &[slot],
        )
        .await;
    if let Ok(Some(_)) = found {
        notice!("the replication slot \"{slot}\" is still there on {}", upstream.title());
        detail!("a slot that nobody uses keeps WAL on its server until the disk is full");
        hint!("once the standby is stopped for good: SELECT pg_drop_replication_slot('{slot}')");
    }
}
