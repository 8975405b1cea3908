//! `repmgr standby promote`: makes this standby the primary.

use crate::commands::{Context, connecting, records};
use crate::config::{Config, ConnectionCheckType};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::operations::promote::{self, capacity};
use crate::operations::siblings::{self, Route, Siblings};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::remote::Ssh;
use crate::types::{NodeId, RecoveryState};
use crate::{detail, hint, info, survey, warning};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let title = connecting::local_title(context);
    let mut connection = connecting::local(context).await?;
    connecting::require_supported_version(&connection).await?;
    if connecting::recovery_state(&connection, &title).await? == RecoveryState::Primary {
        return Err(
            Error::new(ExitCode::PromotionFail, format!("{title} is not in recovery"))
                .detail("only a standby can be promoted")
                .hint("use \"repmgr node status\" to see what this node is"),
        );
    }
    let own = records::required_record(&connection, NodeId(config.node_id), ExitCode::DbQuery).await?;
    refuse_beside_primary(config, &connection).await?;

    let ssh = Ssh::new(config, options.remote_user.as_deref());
    let route = Route {
        config,
        ssh: &ssh,
        log_level: options.log_level.as_deref(),
    };
    let siblings = examine_siblings(context, route, &connection, &own).await?;
    let shortfall = examine_capacity(context, &connection, &siblings).await?;
    let method = promote::choose_method(config, &connection).await?;
    if options.dry_run {
        info!("node would be promoted using {}", method.describe());
        if shortfall {
            warning!("not all prerequisites for \"standby promote\" are met");
            return Ok(ExitCode::BadConfig);
        }
        info!("all prerequisites for \"standby promote\" are met");
        return Ok(ExitCode::Success);
    }

    promote::promote(config, &mut connection, &own, &method).await?;
    if !siblings.reachable.is_empty() {
        // The promotion is done: what a sibling does not do is told, and no reason to end as a failure.
        siblings::follow(route, &siblings.reachable, &own).await;
    }
    Ok(ExitCode::Success)
}

async fn refuse_beside_primary(config: &Config, connection: &Connection) -> Result<()> {
    let lost = std::env::var(promote::LOST_PRIMARY).ok();
    let lost = lost.and_then(|id| id.parse().ok()).map(NodeId);
    let found = survey::primary_beside(connection, Deadlines::default(), lost)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::DbQuery, "read the node records", &error))?;
    let Some((primary, other)) = found else {
        return Ok(());
    };
    if let Err(error) = passes_the_check(config, &other).await {
        warning!("{} is a primary and counts as lost", primary.title());
        detail!("its answer to \"connection_check_query\": {error}");
        return Ok(());
    }
    Err(
        Error::new(ExitCode::PromotionFail, "this cluster already has an active primary")
            .detail(format!("it is {}", primary.title()))
            .hint("to change places with it, use \"repmgr standby switchover\""),
    )
}

/// With `connection_check_type=query`: whether a primary answers `connection_check_query` in time, as repmgrd asks it.
/// One whose disk hangs answers only questions that write nothing. An SQL error is an answer.
async fn passes_the_check(config: &Config, primary: &Connection) -> Result<(), QueryError> {
    let limit = config.async_query_timeout;
    if config.connection_check_type != ConnectionCheckType::Query || limit.is_zero() {
        return Ok(());
    }
    match primary.batch_within(&config.connection_check_query, limit).await {
        Err(error @ (QueryError::ConnectionLost(_) | QueryError::TimedOut(_))) => Err(error),
        _ => Ok(()),
    }
}

/// The siblings that are to be told to follow; none without `--siblings-follow`.
async fn examine_siblings(
    context: &Context,
    route: Route<'_>,
    connection: &Connection,
    own: &NodeRecord,
) -> Result<Siblings> {
    let found = siblings::find(connection, own)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::DbQuery, "read the records of the siblings", &error))?;
    if !context.options.siblings_follow {
        if !found.is_empty() {
            warning!(
                "{} sibling nodes found, but option \"--siblings-follow\" was not given",
                found.len()
            );
            detail!("these nodes will remain attached to the current primary:");
            found
                .iter()
                .for_each(|node| detail!("  {} {}", node.node_type, node.title()));
        }
        return Ok(Siblings::default());
    }
    if found.is_empty() {
        warning!("option \"--siblings-follow\" was given, but this node has no siblings");
        return Ok(Siblings::default());
    }
    info!(
        "asking {} sibling nodes whether their hosts can be reached",
        found.len()
    );
    let siblings = siblings::probe(route, found).await;
    if siblings.unreachable.is_empty() {
        return Ok(siblings);
    }
    let count = siblings.unreachable.len();
    let lines = siblings
        .unreachable
        .iter()
        .map(|(node, reason)| format!("{}: {reason}", node.title()));
    if !context.options.force {
        let error = Error::bad_config(format!("{count} sibling nodes cannot be reached with ssh"));
        return Err(lines
            .fold(error, Error::detail)
            .hint("use -F/--force to promote this node nevertheless; those siblings stay where they are"));
    }
    warning!("{count} sibling nodes cannot be reached with ssh, they stay where they are");
    lines.for_each(|line| detail!("{line}"));
    Ok(siblings)
}

/// Whether walsenders or slots are short for the siblings; an error unless `--force` or `--dry-run` go on.
async fn examine_capacity(context: &Context, connection: &Connection, siblings: &Siblings) -> Result<bool> {
    let free = capacity(connection)
        .await
        .map_err(|error| connecting::unanswered(ExitCode::BadConfig, "count free walsenders and slots", &error))?;
    let mut short = false;
    for (what, setting, free, required) in [
        (
            "walsenders",
            "max_wal_senders",
            free.walsenders,
            siblings.required_walsenders(),
        ),
        (
            "replication slots",
            "max_replication_slots",
            free.slots,
            siblings.required_slots(),
        ),
    ] {
        if free >= i64::try_from(required).unwrap_or(i64::MAX) {
            continue;
        }
        short = true;
        let error = Error::bad_config(format!("this node has too few free {what} for its siblings"))
            .detail(format!("{free} are free, {required} are needed"))
            .hint(format!("raise \"{setting}\" and restart the server, or use -F/--force"));
        if context.options.force {
            warning!("{}", error.message);
            error.details.iter().for_each(|line| detail!("{line}"));
        } else if context.options.dry_run {
            error.report();
        } else {
            return Err(error);
        }
    }
    if short && context.options.force {
        hint!("siblings that find no free place keep trying until there is one");
    }
    Ok(short && !context.options.force)
}
