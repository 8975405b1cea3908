//! Whether the answers permit a switchover: one function a check, in nobody's order.

use super::asking::{LocalAnswers, RemoteAnswers};
use super::checks::Base;
use super::daemons::{self, Daemons};
use super::journal::Journal;
use super::peer::{self, Archive, Asked, Complaint, NoVersion, Peer, describe, ssh_failed};
use super::{Request, Rewind};
use crate::config::SynchronousMode;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{Attachment, NodeRecord};
use crate::operations::join_check;
use crate::operations::write_right::members::{self, Asked as Said};
use crate::postgres::QueryError;
use crate::remote::Call;
use crate::survey::Observation;
use crate::write_right::synchronous::may_take_over;
use crate::{detail, hint, info, warning};
/// The first repmgr that knows `node check --replication-config-owner`.
const KNOWS_CONFIG_OWNER: u32 = 50100;

/// Checks 9 to 11 and 14.
pub(super) fn judge_primary(
    request: &Request,
    base: &Base,
    found: &NodeRecord,
    record: std::result::Result<Option<NodeRecord>, QueryError>,
    attached: Attachment,
    rewind: Option<Result<Rewind>>,
) -> Result<(NodeRecord, Option<Rewind>)> {
    let former = record
        .map_err(|error| unanswered(ExitCode::DbQuery, "read the primary's record", &error))?
        .ok_or_else(|| {
            Error::new(
                ExitCode::DbQuery,
                format!("the primary has no record of itself, {}", found.title()),
            )
        })?;
    let own = &base.own;
    if own.upstream_node_id != Some(former.node_id) {
        let recorded = own
            .upstream_node_id
            .map_or("none".to_owned(), |id| format!("node {id}"));
        return Err(Error::bad_config(format!(
            "{} is not registered as a standby of the primary, {}",
            own.title(),
            former.title()
        ))
        .detail(format!("its recorded upstream is {recorded}"))
        .hint("if it does stream from the primary, run \"repmgr standby register --force\" on it"));
    }
    if attached != Attachment::Attached {
        return Err(Error::bad_config(format!(
            "{} is not attached to the primary, {}",
            own.title(),
            former.title()
        ))
        .detail(join_check::describe(&attached))
        .hint("see this server's log for what keeps its WAL receiver"));
    }
    let rewind = rewind.transpose()?;
    if request.force_rewind.is_some() {
        info!("pg_rewind can be used if it is needed");
    }
    Ok((former, rewind))
}

/// Check 13, and backups that would be broken off.
pub(super) fn judge_backups(
    in_backup: std::result::Result<Option<bool>, QueryError>,
    base_backups: std::result::Result<Option<i64>, QueryError>,
) -> Result<()> {
    match in_backup {
        Ok(Some(false)) => {}
        Ok(_) => {
            return Err(
                Error::new(ExitCode::SwitchoverFail, "the primary is in exclusive backup mode")
                    .hint("end the backup with pg_stop_backup() first"),
            );
        }
        Err(error) => {
            return Err(unanswered(
                ExitCode::SwitchoverFail,
                "tell whether the primary is in backup mode",
                &error,
            ));
        }
    }
    if let Ok(Some(count)) = base_backups
        && count > 0
    {
        warning!("{count} base backups of the primary are running, stopping it ends them");
    }
    Ok(())
}

/// A standby with paused replay would have to replay what waits while nobody can write.
pub(super) fn judge_replay(request: &Request, says: &LocalAnswers) -> Result<()> {
    if !matches!(says.replay_paused, Ok(Some(true))) {
        return Ok(());
    }
    let waits = !matches!(says.replay_waits, Ok(Some(false)));
    if waits && !request.force {
        return Err(Error::new(
            ExitCode::SwitchoverFail,
            "replay of WAL is paused on this node, and WAL waits to be replayed",
        )
        .detail("all of it would be replayed during the switchover, while nobody can write")
        .hint("resume it with \"SELECT pg_wal_replay_resume()\", or use -F/--force"));
    }
    warning!("replay of WAL is paused on this node; the promotion resumes it");
    Ok(())
}

/// A promotion begins with a new WAL segment; a server that cannot write it ends, while nobody is primary.
pub(super) fn judge_room(request: &Request, says: &LocalAnswers) -> Result<()> {
    let Some((free, segment)) = says.room.filter(|(free, segment)| *free < 2 * segment) else {
        return Ok(());
    };
    let folder = request.config.data_directory.join("pg_wal");
    let error = Error::new(
        ExitCode::SwitchoverFail,
        format!(
            "there is no room for a promotion on the file system of \"{}\"",
            folder.display()
        ),
    )
    .detail(format!(
        "{} kB are free, it needs at least {} kB (two WAL segments)",
        free >> 10,
        segment >> 9
    ))
    .hint("make room there, but remove no WAL files by hand");
    force(request, error)
}

/// Checks 15 to 21.
pub(super) fn judge_repmgr(
    request: &Request,
    peer: &Peer<'_>,
    former: &NodeRecord,
    answers: &RemoteAnswers,
) -> Result<()> {
    let title = former.title();
    let version =
        match peer::version(&answers.version) {
            Ok(version) => version,
            Err(NoVersion::NotExecutable) => {
                return Err(Error::bad_config(format!("unable to run repmgr on the host of {title}"))
                .detail(format!(
                    "\"{}\": {}",
                    peer.for_person(&peer.line(&Call::Version)),
                    describe(&answers.version)
                ))
                .hint("it is expected where this host has it: see \"repmgr_bindir\" and \"pg_bindir\" in repmgr.conf"));
            }
            Err(NoVersion::Unreadable) => {
                return Err(
                    Error::bad_config(format!("unable to tell the version of repmgr on the host of {title}"))
                        .detail(describe(&answers.version)),
                );
            }
        };
    info!("repmgr on the host of {title} has version {version}");
    if peer::exit_code(&answers.config_file) != Some(0) {
        let unsure = ssh_failed(&answers.config_file);
        let what = if unsure {
            "cannot be looked for"
        } else {
            "does not exist"
        };
        return Err(Error::bad_config(format!(
            "the configuration file of {title}, \"{}\", {what} on its host",
            peer.config_file()
        ))
        .hint("if it was moved, register that node again with --force"));
    }
    judge_data_directory(peer, &title, &answers.data_directory)?;
    if let Some(answer) = &answers.superuser {
        if ssh_failed(answer) {
            return Err(Error::bad_config("unable to ask for a connection of the superuser").detail(describe(answer)));
        }
        if !peer::db_connection(answer) {
            return Err(Error::new(
                ExitCode::DbConn,
                format!(
                    "on the host of {title}, superuser \"{}\" cannot connect to its server",
                    request.superuser.as_deref().unwrap_or("")
                ),
            )
            .detail(describe(answer)));
        }
    }
    if version >= KNOWS_CONFIG_OWNER
        && let Err(complaint) = peer::config_owner(&answers.config_owner)
    {
        let error = match complaint {
            Complaint::NotOk => "\"postgresql.auto.conf\" belongs to another user than the data directory",
            _ => "the owner of \"postgresql.auto.conf\" could not be found out",
        };
        return Err(
            Error::bad_config(format!("on the host of {title}, {error}")).detail(describe(&answers.config_owner))
        );
    }
    Ok(())
}

pub(super) fn judge_data_directory(peer: &Peer<'_>, title: &str, answer: &Asked) -> Result<()> {
    let Err(complaint) = peer::data_directory(answer) else {
        return Ok(());
    };
    let error = |what: &str| Error::bad_config(format!("on the host of {title}, {what}")).detail(describe(answer));
    let line = peer.line(&Call::DbConnection { superuser: None });
    Err(match complaint {
        Complaint::NotOk => error("\"data_directory\" in repmgr.conf is not the server's"),
        Complaint::DbConnection => error("repmgr cannot connect to its server").hint(format!(
            "see why with: {}",
            peer.for_person(line.trim_end_matches(" --optformat -LINFO"))
        )),
        Complaint::ConninfoParse => error("\"conninfo\" in repmgr.conf is not valid"),
        Complaint::Silent => error("repmgr gave no answer about its data directory"),
    })
}

/// Check 24.
pub(super) fn judge_replication(peer: &Peer<'_>, own: &NodeRecord, former: &NodeRecord, answer: &Asked) -> Result<()> {
    let known = match peer::replication_connection(answer) {
        Some(true) => return Ok(()),
        Some(false) => "cannot make a replication connection",
        None => "is not known to be able to make a replication connection",
    };
    let call = Call::ReplicationConnection {
        remote_node: own.node_id,
    };
    Err(
        Error::bad_config(format!("{} {known} to {}", former.title(), own.title()))
            .detail(describe(answer))
            .detail(format!("it was asked with: {}", peer.for_person(&peer.line(&call))))
            .hint("pg_hba.conf of this node must let in the replication role from there"),
    )
}

/// Check 25.
pub(super) fn judge_archive(request: &Request, former: &NodeRecord, answer: &Asked) -> Result<()> {
    let title = former.title();
    let (error, overridable) = match peer::archive(answer) {
        Archive::Ok => return Ok(()),
        Archive::Warning { files, threshold } => {
            warning!("{files} WAL files of {title} wait for being archived (\"archive_ready_warning\" is {threshold})");
            hint!("the primary archives all of them before it is down");
            return Ok(());
        }
        Archive::Critical { files, threshold } => (
            Error::new(
                ExitCode::SwitchoverFail,
                format!("{files} WAL files of {title} wait for being archived"),
            )
            .detail(format!("\"archive_ready_critical\" is {threshold}"))
            .hint("the primary archives all of them before it is down, and nobody can write meanwhile"),
            true,
        ),
        Archive::Unknown { no_connection } => (
            Error::new(
                ExitCode::SwitchoverFail,
                format!("unable to tell how many WAL files of {title} wait for being archived"),
            )
            .detail(describe(answer)),
            !no_connection,
        ),
    };
    if overridable {
        return force(request, error);
    }
    Err(error)
}

/// Check 26.
pub(super) fn judge_lag(request: &Request, lag: &std::result::Result<i64, QueryError>) -> Result<()> {
    let config = &request.config;
    let lag = match lag {
        Ok(lag) => u64::try_from(*lag).unwrap_or(0),
        Err(error) => {
            return force(
                request,
                unanswered(
                    ExitCode::SwitchoverFail,
                    "determine the replication lag of this node",
                    error,
                ),
            );
        }
    };
    let (warn, critical) = (
        config.replication_lag_warning.as_secs(),
        config.replication_lag_critical.as_secs(),
    );
    if lag >= critical {
        return force(
            request,
            Error::new(
                ExitCode::SwitchoverFail,
                format!("replication lag of this node is critical: {lag} seconds"),
            )
            .detail(format!("\"replication_lag_critical\" is {critical} seconds")),
        );
    }
    if lag >= warn {
        warning!("replication lag of this node is {lag} seconds (\"replication_lag_warning\" is {warn})");
    }
    Ok(())
}

/// With the synchronous mode: the standby must be one that commits wait for.
pub(super) fn judge_synchronous(
    request: &Request,
    own: &NodeRecord,
    former: &NodeRecord,
    asked: Option<(Vec<NodeRecord>, Vec<Said>)>,
) -> Result<()> {
    let Some((records, asked)) = asked else { return Ok(()) };
    let Some(payload) = members::remembered(&asked) else {
        if request.config.synchronous_mode == SynchronousMode::Off {
            return Ok(());
        }
        return Err(Error::new(
            ExitCode::SwitchoverFail,
            "no majority of the nodes says which standbys have every acknowledged commit",
        )
        .hint("\"repmgr write-right show\" asks all of them"));
    };
    let answering: Vec<i32> = members::positions(&asked).into_keys().collect();
    let title = |node: i32| {
        let found = records.iter().find(|record| record.node_id.0 == node);
        found.map_or_else(|| format!("node {node}"), NodeRecord::title)
    };
    may_take_over(own.node_id.0, former.node_id.0, &payload, &answering, title).map_err(|barred| {
        Error::new(
            ExitCode::SwitchoverFail,
            "acknowledged commits might be lost by this switchover",
        )
        .detail(barred.reason)
        .hint(barred.way_out)
    })
}

/// Check 28.
pub(super) fn judge_daemons(
    request: &Request,
    asked: std::result::Result<Option<Vec<Observation>>, QueryError>,
    journal: Option<&Journal>,
) -> Result<Daemons> {
    let asked = asked.map_err(|error| unanswered(ExitCode::SwitchoverFail, "read the node records", &error))?;
    match asked {
        Some(observations) => daemons::judge(observations, journal, request.force),
        None => Ok(Daemons::default()),
    }
}

pub(super) fn force(request: &Request, error: Error) -> Result<()> {
    if !request.force {
        return Err(error.hint("use -F/--force to go on nevertheless"));
    }
    warning!("{}", error.message);
    error.details.iter().for_each(|line| detail!("{line}"));
    Ok(())
}

/// What a server has a limited number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Walsenders,
    Slots,
}

pub(super) fn too_few(resource: Resource, free: i64, required: usize) -> Option<(Resource, Error)> {
    if free >= i64::try_from(required).unwrap_or(i64::MAX) {
        return None;
    }
    let (what, setting) = match resource {
        Resource::Walsenders => ("walsenders", "max_wal_senders"),
        Resource::Slots => ("replication slots", "max_replication_slots"),
    };
    let error = Error::bad_config(format!("this node has too few free {what}"))
        .detail(format!("{free} are free, {required} are needed"))
        .hint(format!("raise \"{setting}\" and restart this server"));
    Some((resource, error))
}

pub(super) fn unanswered(exit_code: ExitCode, what: &str, error: &QueryError) -> Error {
    let unanswered = Error::new(exit_code, format!("unable to {what}")).detail(error.to_string());
    match error.way_out() {
        Some(hint) => unanswered.hint(hint),
        None => unanswered,
    }
}
