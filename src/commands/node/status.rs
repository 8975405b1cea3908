//! `repmgr node status`: gathers what `report` shows.

use futures_util::future::join_all;

use super::report::{Report, Slots};
use super::shutdown;
use super::slots::missing_slots;
use crate::commands::connecting::{self, unanswered};
use crate::commands::records::required_record;
use crate::commands::{ColumnFormat, Context};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::instance::{archive_status, control_file};
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::output;
use crate::postgres::{Connection, QueryError};
use crate::types::{NodeId, NodeType, RecoveryState};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    if options.is_shutdown_cleanly {
        return shutdown::run(context).await;
    }
    let connection = connecting::local(context).await?;
    let own = required_record(&connection, NodeId(context.config.node_id), ExitCode::BadConfig).await?;
    let report = gather(context, &connection, own)
        .await
        .map_err(|error| unanswered(ExitCode::DbQuery, "ask the local server for its state", &error))?;
    output::print(&report.render(options.format, options.verbose));
    let issues = report.issues(options.verbose);
    if issues.is_empty() {
        return Ok(ExitCode::Success);
    }
    if options.format == ColumnFormat::Text && !options.terse {
        let items: Vec<String> = issues.iter().map(|issue| format!("  - {issue}")).collect();
        crate::warning!("following issue(s) were detected:\n{}", items.join("\n"));
        crate::hint!("execute \"repmgr node check\" for more details");
    }
    Ok(ExitCode::NodeStatus)
}

async fn gather(context: &Context, connection: &Connection, own: NodeRecord) -> Result<Report, QueryError> {
    let recovery = connection.recovery_state().await?;
    let upstream = match own.upstream_node_id {
        Some(id) if own.node_type == NodeType::Standby => nodes::by_id(connection, id).await?,
        _ => None,
    };
    let downstream = nodes::downstream_of(connection, own.node_id).await?;
    let system_identifier = if context.options.verbose {
        control_file::read(&context.config.data_directory)
            .ok()
            .map(|control| control.system_identifier.to_string())
    } else {
        None
    };
    Ok(Report {
        version: connection.server_version_text().await?,
        data_size: connection.total_data_size().await?,
        system_identifier,
        recovery,
        archive_mode: connection.setting("archive_mode").await?.unwrap_or_default(),
        archive_command: connection.setting("archive_command").await?,
        archive_ready: archive_status::ready_files(&context.config.data_directory).ok(),
        walsenders: connection.walsender_count().await?,
        max_walsenders: connection.setting_number("max_wal_senders").await?.unwrap_or(0),
        slots: slots(connection, &downstream).await?,
        upstream: upstream.map(|upstream| (upstream.node_id, upstream.node_name)),
        lag: match recovery {
            RecoveryState::Standby => Some(connection.replication_lag().await?),
            // A standby that was promoted behind the metadata's back has nothing left to replay.
            _ => (own.node_type == NodeType::Standby).then_some(0),
        },
        received: connection.receive_lsn().await?,
        replayed: connection.replay_lsn().await?,
        detached: detached(connection, &downstream).await,
        own,
    })
}

async fn slots(connection: &Connection, downstream: &[NodeRecord]) -> Result<Slots, QueryError> {
    let present = connection.physical_slots().await?;
    Ok(Slots {
        max: connection.setting_number("max_replication_slots").await?.unwrap_or(0),
        missing: missing_slots(&present, downstream),
        present,
    })
}

/// The standbys registered under this node that do not stream from it.
async fn detached(connection: &Connection, downstream: &[NodeRecord]) -> Vec<String> {
    let standbys = downstream.iter().filter(|node| node.node_type != NodeType::Witness);
    let asked = join_all(standbys.map(|node| async move {
        let attached = attachment(connection, &node.node_name).await == Attachment::Attached;
        (!attached).then(|| node.title())
    }));
    asked.await.into_iter().flatten().collect()
}
