//! `repmgr standby follow`: points this running standby at another upstream.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::commands::{Context, connecting, records};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::instance::control_file;
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::operations::attach::{self, LocalPosition, Refusal, Verdict};
use crate::operations::follow::{Repoint, drop_old_slot};
use crate::operations::join_check::{describe, wait_until_attached};
use crate::operations::slots::Helpers;
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, RecoveryState};
use crate::{detail, info, notice, survey, warning};

/// How long an upstream that is itself a standby may take to receive what this node has already.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(10);
const PARTING_INTERVAL: Duration = Duration::from_secs(1);
const REWIND: &str = "stop this node and use \"repmgr node rejoin --force-rewind\", or clone it again";

/// The node to follow.
struct Target {
    record: NodeRecord,
    connection: Connection,
    state: RecoveryState,
}

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let local = connect_local(context).await?;
    let local_record = records::required_record(&local, NodeId(config.node_id), ExitCode::BadConfig).await?;
    let target = find_target(context, &local).await?;
    refuse_downstream(&local, &target).await?;
    let position = local_position(context, &local, &local_record).await?;
    let verdict = examine(position, &target).await?;
    info!("{} can follow {}", local_record.title(), target.record.title());
    detail!("{verdict}");

    let upstream_primary = match target.state {
        RecoveryState::Primary => None,
        _ => Some(
            connecting::live_primary(&target.connection)
                .await
                .map_err(|error| error.with_exit_code(ExitCode::FollowFail))?,
        ),
    };
    let primary = upstream_primary
        .as_ref()
        .map_or(&target.connection, |(_, connection)| connection);
    let own = records::required_record(primary, NodeId(config.node_id), ExitCode::BadConfig)
        .await
        .map_err(|error| error.hint("register this node with \"repmgr standby register --force\""))?;
    let repoint = Repoint {
        config,
        own: &own,
        primary,
        target: &target.record,
        target_connection: &target.connection,
        helpers: Helpers {
            superuser: options.superuser.as_deref(),
            replication_user: options.replication_user.as_deref(),
            upstream_repluser: Some(&target.record.repluser),
        },
        failure: ExitCode::FollowFail,
    };
    repoint.check_slot().await?;
    if options.dry_run {
        info!("prerequisites for executing STANDBY FOLLOW are met");
        return Ok(ExitCode::Success);
    }

    let failed = match repoint.run().await {
        Ok(()) => await_attachment(context, &own, &target, position).await.err(),
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        let event = Event::new(EventName::StandbyFollow, own.node_id)
            .successful(false)
            .details(
                std::iter::once(&error.message)
                    .chain(&error.details)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("; "),
            )
            .about(&target.record);
        events::emit(Some(primary), config, event).await;
        notice!("STANDBY FOLLOW failed");
        return Err(error);
    }
    let details = format!(
        "standby attached to upstream node \"{}\" (ID: {})",
        target.record.node_name, target.record.node_id
    );
    let event = Event::new(EventName::StandbyFollow, own.node_id)
        .details(details.clone())
        .about(&target.record);
    events::emit(Some(primary), config, event).await;
    leave_old_upstream(context, primary, &own, &target.record).await;
    notice!("STANDBY FOLLOW successful");
    detail!("{details}");
    Ok(ExitCode::Success)
}

async fn connect_local(context: &Context) -> Result<Connection> {
    let title = connecting::local_title(context);
    let local = connecting::local(context).await.map_err(|error| {
        error.hint("a standby that does not run can be brought back with \"repmgr node rejoin\", or started first")
    })?;
    if connecting::recovery_state(&local, &title).await? == RecoveryState::Primary {
        return Err(Error::bad_config(format!(
            "{title} is not in recovery, only a standby can follow another node"
        ))
        .hint("a former primary joins the cluster with \"repmgr node rejoin\""));
    }
    Ok(local)
}

/// The upstream that was asked for, or the live primary; with `--wait` tried until `primary_follow_timeout`.
async fn find_target(context: &Context, local: &Connection) -> Result<Target> {
    let Context { options, config, .. } = context;
    let wanted = match options.upstream_node_id {
        Some(id) if id.0 == config.node_id => {
            return Err(Error::new(ExitCode::FollowFail, "a node cannot follow itself")
                .detail(format!("--upstream-node-id is this node's own id, {id}")));
        }
        Some(id) => Some(records::required_record(local, id, ExitCode::FollowFail).await?),
        None => {
            notice!("attempting to find and follow current primary");
            None
        }
    };
    let limit = if options.wait.is_some() {
        config.primary_follow_timeout
    } else {
        Duration::ZERO
    };
    let begin = Instant::now();
    let mut told = false;
    loop {
        let found = match &wanted {
            Some(record) => survey::connect(record, Deadlines::default())
                .await
                .map(|connection| (record.clone(), connection))
                .map_err(|error| {
                    Error::new(ExitCode::FollowFail, format!("unable to connect to {}", record.title()))
                        .detail(error.to_string())
                }),
            None => connecting::live_primary(local)
                .await
                .map_err(|error| error.with_exit_code(ExitCode::FollowFail)),
        };
        match found {
            Ok((record, connection)) => return observe(record, connection).await,
            Err(error) if begin.elapsed() >= limit => {
                return Err(if limit.is_zero() {
                    error
                } else {
                    error.detail(format!("tried for {} seconds", limit.as_secs()))
                });
            }
            Err(error) => {
                if !told {
                    let whom = wanted.as_ref().map_or("a primary".to_owned(), NodeRecord::title);
                    info!(
                        "waiting up to {} seconds (parameter \"primary_follow_timeout\") for {whom}",
                        limit.as_secs()
                    );
                    detail!("{}", error.message);
                    told = true;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn observe(record: NodeRecord, connection: Connection) -> Result<Target> {
    let state = connecting::recovery_state(&connection, &record.title())
        .await
        .map_err(|error| error.with_exit_code(ExitCode::FollowFail))?;
    let record = records::required_record(&connection, record.node_id, ExitCode::FollowFail).await?;
    Ok(Target {
        record,
        connection,
        state,
    })
}

/// A node that streams from this one cannot be its upstream: nobody would send anything any more.
async fn refuse_downstream(local: &Connection, target: &Target) -> Result<()> {
    if target.state == RecoveryState::Standby
        && attachment(local, &target.record.node_name).await == Attachment::Attached
    {
        return Err(Error::new(
            ExitCode::FollowFail,
            format!(
                "{} is attached to this node and cannot be its upstream",
                target.record.title()
            ),
        )
        .hint("let it follow another node first"));
    }
    Ok(())
}

async fn local_position(context: &Context, local: &Connection, own: &NodeRecord) -> Result<LocalPosition> {
    let replication = attach::replication_connection(local, own, ExitCode::FollowFail).await?;
    let identity = replication.identify_system().await.map_err(|error| {
        Error::new(ExitCode::FollowFail, "unable to identify this node's system").detail(error.to_string())
    })?;
    refuse_foreign_directory(&context.config.data_directory, local).await?;
    let system_identifier = match control_file::read(&context.config.data_directory) {
        Ok(control) => Some(control.system_identifier),
        Err(error) => {
            warning!(
                "unable to read the control file in \"{}\"",
                context.config.data_directory.display()
            );
            detail!("{error}");
            None
        }
    };
    if system_identifier.is_some_and(|found| found != identity.system_identifier) {
        return Err(Error::new(
            ExitCode::FollowFail,
            "\"data_directory\" in repmgr.conf is not the data directory of the server that \"conninfo\" leads to",
        )
        .detail("their system identifiers differ"));
    }
    Ok(LocalPosition {
        system_identifier,
        timeline: identity.timeline,
        lsn: local.node_lsn().await.ok(),
    })
}

/// The replication configuration must not be written into the data directory of another server.
async fn refuse_foreign_directory(configured: &Path, local: &Connection) -> Result<()> {
    // Shown to superusers and members of pg_read_all_settings only.
    let Ok(Some(used)) = local.setting("data_directory").await else {
        return Ok(());
    };
    match (configured.canonicalize(), Path::new(&used).canonicalize()) {
        (Ok(ours), Ok(theirs)) if ours != theirs => Err(Error::new(
            ExitCode::FollowFail,
            "\"data_directory\" in repmgr.conf is not the data directory of the server that \"conninfo\" leads to",
        )
        .detail(format!(
            "configured is \"{}\", the server uses \"{used}\"",
            configured.display()
        ))),
        _ => Ok(()),
    }
}

/// Whether this node can attach; an upstream that is a standby gets a moment to catch up with it.
async fn examine(position: LocalPosition, target: &Target) -> Result<Verdict> {
    let begin = Instant::now();
    loop {
        let observed = attach::observe_target(
            &target.connection,
            &target.record,
            position.timeline,
            ExitCode::FollowFail,
        )
        .await?;
        let verdict = attach::decide(&position, &observed);
        match verdict {
            Verdict::SameTimeline { .. } | Verdict::ForkedLater { .. } => return Ok(verdict),
            Verdict::Refused(Refusal::LocalIsAhead { .. })
                if target.state == RecoveryState::Standby && begin.elapsed() < CATCH_UP_LIMIT =>
            {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Verdict::Refused(_) => return Err(refused(target, verdict)),
            Verdict::Diverged(_) => {
                return Err(refused(target, verdict).hint(REWIND));
            }
        }
    }
}

fn refused(target: &Target, verdict: Verdict) -> Error {
    Error::new(
        ExitCode::FollowFail,
        format!("this node cannot attach to {}", target.record.title()),
    )
    .detail(verdict.to_string())
}

async fn await_attachment(context: &Context, own: &NodeRecord, target: &Target, checked: LocalPosition) -> Result<()> {
    let limit = context.config.standby_follow_timeout;
    let seen = tokio::select! {
        seen = wait_until_attached(&target.record, &own.node_name, limit) => seen,
        verdict = await_parting(context, own, target) => return Err(parted(target, verdict, checked)),
    };
    // A walsender serves the common part of both histories, and is gone when that has been sent.
    if let Some(verdict) = look_for_parting(context, own, target).await {
        return Err(parted(target, verdict, checked));
    }
    if seen == Attachment::Attached {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::FollowFail,
        format!(
            "{} is not attached to {} after {} seconds (parameter \"standby_follow_timeout\")",
            own.title(),
            target.record.title(),
            limit.as_secs()
        ),
    )
    .detail(describe(&seen))
    .hint("its configuration was changed and it goes on trying; see this server's log for what keeps it"))
}

/// Ends when this node turns out to hold WAL that is not in the target's history: until it reads its new
/// configuration it goes on receiving from its old upstream.
async fn await_parting(context: &Context, own: &NodeRecord, target: &Target) -> Verdict {
    loop {
        tokio::time::sleep(PARTING_INTERVAL).await;
        if let Some(verdict) = look_for_parting(context, own, target).await {
            return verdict;
        }
    }
}

async fn look_for_parting(context: &Context, own: &NodeRecord, target: &Target) -> Option<Verdict> {
    let local = connecting::local(context).await.ok()?;
    let replication = attach::replication_connection(&local, own, ExitCode::FollowFail)
        .await
        .ok()?;
    // Position and timeline of one answer: what is received on a new timeline does not count on the old one.
    let identity = replication.identify_system().await.ok()?;
    let position = LocalPosition {
        system_identifier: Some(identity.system_identifier),
        timeline: identity.timeline,
        lsn: Some(identity.position),
    };
    let observed = attach::observe_target(
        &target.connection,
        &target.record,
        position.timeline,
        ExitCode::FollowFail,
    )
    .await
    .ok()?;
    let verdict = attach::decide(&position, &observed);
    matches!(verdict, Verdict::Diverged(_)).then_some(verdict)
}

fn parted(target: &Target, verdict: Verdict, checked: LocalPosition) -> Error {
    let error = refused(target, verdict);
    let error = match checked.lsn {
        Some(lsn) => error.detail(format!(
            "it was at {lsn} when that was checked, and received more from its old upstream before it left it"
        )),
        None => error,
    };
    error
        .hint(REWIND)
        .hint("its replication configuration names the new upstream already")
}

/// Drops the slot on the upstream that was left: nobody would use it, and it would keep WAL.
async fn leave_old_upstream(context: &Context, primary: &Connection, own: &NodeRecord, target: &NodeRecord) {
    let Context { options, config, .. } = context;
    let (Some(slot), Some(old)) = (&own.slot_name, own.upstream_node_id) else {
        return;
    };
    if !config.use_replication_slots || old == target.node_id {
        return;
    }
    match nodes::by_id(primary, old).await {
        Ok(Some(old)) => {
            drop_old_slot(
                &old,
                slot,
                options.superuser.as_deref(),
                options.replication_user.as_deref(),
            )
            .await;
        }
        Ok(None) => {
            warning!("no record found for the former upstream, node {old}; its replication slot \"{slot}\" may remain");
        }
        Err(error) => {
            warning!("unable to read the record of the former upstream, node {old}");
            detail!("{error}");
        }
    }
}
