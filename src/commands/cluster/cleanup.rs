//! `repmgr cluster cleanup`.

use crate::commands::Context;
use crate::commands::connecting::{self, unanswered, unreachable};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::{monitoring_history, nodes};
use crate::postgres::{Connection, Deadlines};
use crate::types::NodeId;

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let options = &context.options;
    let (days, standby) = (options.keep_history, options.node_id);
    let primary = recorded_primary(context).await?;
    let count = monitoring_history::count_older(&primary, days, standby)
        .await
        .map_err(|error| unanswered(ExitCode::DbQuery, "count the monitoring records", &error))?;
    if count == 0 {
        crate::info!("no monitoring records to delete");
        return Ok(ExitCode::Success);
    }
    let details = details(days, standby);
    if options.dry_run {
        crate::info!("{count} monitoring records would be deleted");
        return Ok(ExitCode::Success);
    }
    crate::info!("{count} monitoring records are to be deleted");
    let event = Event::new(EventName::ClusterCleanup, NodeId(context.config.node_id));
    if let Err(error) = monitoring_history::delete_older(&primary, days, standby).await {
        let event = event.successful(false).details(error.to_string());
        events::emit(Some(&primary), &context.config, event).await;
        return Err(unanswered(ExitCode::DbQuery, "delete the monitoring records", &error));
    }
    if let Err(error) = monitoring_history::vacuum(&primary).await {
        crate::warning!("unable to vacuum the table \"repmgr.monitoring_history\"");
        crate::detail!("{error}");
    }
    events::emit(
        Some(&primary),
        &context.config,
        event.successful(true).details(&details),
    )
    .await;
    crate::notice!("{details}");
    Ok(ExitCode::Success)
}

/// A connection to the primary that this node's metadata names.
async fn recorded_primary(context: &Context) -> Result<Connection> {
    let local = connecting::local(context).await?;
    let record = nodes::recorded_primary(&local)
        .await
        .map_err(|error| unanswered(ExitCode::DbQuery, "read the record of the primary", &error))?
        .ok_or_else(|| {
            Error::new(ExitCode::DbQuery, "there is no record of an active primary")
                .hint("register it with \"repmgr primary register\"")
        })?;
    crate::info!("connecting to primary server");
    let conninfo = Conninfo::parse(&record.conninfo).map_err(|error| {
        Error::new(
            ExitCode::DbConn,
            format!("the conninfo of {} is not valid", record.title()),
        )
        .detail(error.to_string())
    })?;
    Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| unreachable(&record.title(), &conninfo, &error))
}

fn details(days: u32, standby: Option<NodeId>) -> String {
    let mut text = if days == 0 {
        "all monitoring records deleted".to_owned()
    } else {
        "monitoring records deleted".to_owned()
    };
    if let Some(id) = standby {
        text.push_str(&format!(" for node {id}"));
    }
    if days > 0 {
        text.push_str(&format!("; records newer than {days} day(s) retained"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_says_what_was_deleted() {
        assert_eq!(details(0, None), "all monitoring records deleted");
        assert_eq!(details(0, Some(NodeId(3))), "all monitoring records deleted for node 3");
        assert_eq!(
            details(7, Some(NodeId(3))),
            "monitoring records deleted for node 3; records newer than 7 day(s) retained"
        );
    }
}
