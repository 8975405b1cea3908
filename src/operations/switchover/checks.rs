//! What must hold before anything is touched, in the original's order.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::daemons::{self, Daemons};
use super::followers::{self, Followers};
use super::journal::Journal;
use super::peer::{self, Archive, Asked, Complaint, LOOK_UP_LIMIT, NoVersion, Peer, describe, ssh_failed};
use super::resume::{self, Phase};
use super::{Promotion, Request, Rewind, Shutdown, Switchover};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::control_file;
use crate::metadata::{Attachment, NodeRecord, attachment, nodes};
use crate::operations::join_check;
use crate::operations::promote::{self, Capacity};
use crate::operations::siblings::Route;
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::remote::{Call, Ssh};
use crate::survey::Observation;
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{detail, hint, info, notice, survey, warning};

/// The oldest PostgreSQL that this program works with.
const OLDEST_SUPPORTED_MAJOR: i32 = 13;
/// The first repmgr that knows `node check --replication-config-owner`.
const KNOWS_CONFIG_OWNER: u32 = 50100;

/// This node, as every switchover finds it.
pub struct Base {
    pub local: Connection,
    pub superuser: Option<Connection>,
    pub own: NodeRecord,
    pub state: RecoveryState,
    pub major: i32,
}

/// The checks of a fresh switchover, or of one that goes on where a killed one ended.
pub async fn examine<'r>(request: &'r Request, ssh: &'r Ssh<'r>, dry_run: bool) -> Result<Switchover<'r>> {
    let base = base(request, Some(dry_run)).await?;
    let journal = Journal::read(&request.config.data_directory, base.own.node_id);
    if let Some(journal) = &journal
        && base.state == RecoveryState::Primary
        && resume::phase(base.state, journal, None) == Phase::Promoted
    {
        resume::announce(journal, Phase::Promoted);
        return resume::examine(request, ssh, base, journal.clone(), Phase::Promoted).await;
    }
    if base.state != RecoveryState::Standby {
        return Err(Error::new(
            ExitCode::SwitchoverFail,
            format!("{} is not in recovery", base.own.title()),
        )
        .detail("a switchover is run on the standby that is to become primary")
        .hint("use \"repmgr node status\" to see what this node is"));
    }
    check_owner(&request.config.data_directory)?;
    info!("searching for primary node");
    let mut search = survey::search_primary(&base.local, Deadlines::default())
        .await
        .map_err(|error| unanswered(ExitCode::DbConn, "read the node records", &error))?;
    if let Some(journal) = &journal {
        let live = search.primaries.first().map(|(node, _)| node.node_id);
        if resume::phase(base.state, journal, live) == Phase::Stopped {
            resume::announce(journal, Phase::Stopped);
            return resume::examine(request, ssh, base, journal.clone(), Phase::Stopped).await;
        }
    }
    if search.primaries.len() > 1 {
        let error = Error::new(ExitCode::SwitchoverFail, "more than one node accepts writes");
        return Err(search
            .primaries
            .iter()
            .fold(error, |error, (node, _)| error.detail(node.title()))
            .hint("stop all of them but the one that is to stay primary"));
    }
    let Some((found, primary)) = search.primaries.pop() else {
        let error = Error::new(
            ExitCode::DbConn,
            "unable to find a primary of this cluster that answers",
        );
        return Err(search
            .others
            .iter()
            .fold(error, |error, (node, reason)| {
                error.detail(format!("{}: {reason}", node.title()))
            })
            .hint("without a primary, \"repmgr standby promote\" makes this node one"));
    };
    info!("current primary node is {}", found.title());
    let journal = journal.filter(|journal| journal.former_primary() == found.node_id);
    fresh(request, ssh, base, found, primary, journal, dry_run).await
}

/// Checks 1 to 5: this node. Without `dry_run` nothing is announced.
pub async fn base(request: &Request, dry_run: Option<bool>) -> Result<Base> {
    let config = &request.config;
    let title = format!("node \"{}\" (ID: {})", config.node_name, config.node_id);
    let conninfo = Conninfo::parse(&config.conninfo)
        .map_err(|error| Error::bad_config("\"conninfo\" in repmgr.conf is not valid").detail(error.to_string()))?;
    let local = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            Error::new(ExitCode::DbConn, format!("unable to connect to {title}"))
                .detail(error.message.clone())
                .detail(format!("connection string is \"{}\"", conninfo.redacted()))
        })?;
    let (version, own, state, is_superuser) = tokio::join!(
        local.server_version(),
        nodes::by_id(&local, NodeId(config.node_id)),
        local.recovery_state(),
        local.is_superuser(),
    );
    let version = version.map_err(|error| unanswered(ExitCode::DbConn, "determine the server's version", &error))?;
    if version.major() < OLDEST_SUPPORTED_MAJOR {
        return Err(Error::bad_config(format!(
            "the server runs PostgreSQL {}; {OLDEST_SUPPORTED_MAJOR} is the oldest supported release",
            version.major()
        )));
    }
    let own = own
        .map_err(|error| unanswered(ExitCode::DbQuery, "read the record of this node", &error))?
        .ok_or_else(|| {
            Error::new(
                ExitCode::DbQuery,
                format!("no record found for node {}", config.node_id),
            )
            .hint("register this node with \"repmgr standby register\"")
        })?;
    if own.node_type == NodeType::Witness {
        return Err(Error::bad_config(format!(
            "{} is a witness, which cannot become primary",
            own.title()
        )));
    }
    match dry_run {
        Some(true) => notice!("checking switchover on {} in --dry-run mode", own.title()),
        Some(false) => notice!("executing switchover on {}", own.title()),
        None => {}
    }
    let superuser = match &request.superuser {
        Some(name) => Some(superuser(&local, name).await?),
        None => {
            if !matches!(is_superuser, Ok(true)) {
                warning!("the repmgr role is no superuser, and no superuser was named with -S/--superuser");
                detail!("it may lack the rights for CHECKPOINT and for some checks");
            }
            None
        }
    };
    // An unknown state is no recovery.
    let state = state.unwrap_or(RecoveryState::Unknown);
    Ok(Base {
        local,
        superuser,
        own,
        state,
        major: version.major(),
    })
}

async fn superuser(local: &Connection, name: &str) -> Result<Connection> {
    let failed = |reason: String| {
        Error::bad_config(format!(
            "unable to connect to this node as superuser \"{name}\" (-S/--superuser)"
        ))
        .detail(reason)
    };
    let connection = Connection::connect(&local.conninfo().for_user(name), Deadlines::default())
        .await
        .map_err(|error| failed(error.to_string()))?;
    match connection.is_superuser().await {
        Ok(true) => Ok(connection),
        Ok(false) => Err(Error::bad_config(format!(
            "\"{name}\", named with -S/--superuser, is no superuser"
        ))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Check 7: the server must be able to write the file that holds the replication settings.
fn check_owner(data_directory: &Path) -> Result<()> {
    let owner = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.uid());
    let file = data_directory.join("postgresql.auto.conf");
    match (owner(&file), owner(data_directory)) {
        (Ok(file_owner), Ok(directory_owner)) if file_owner != directory_owner => Err(Error::bad_config(format!(
            "\"{}\" belongs to another user than the data directory",
            file.display()
        ))
        .hint("give it to the user that runs the server")),
        _ => Ok(()),
    }
}

/// What the primary says of itself and of this node.
struct PrimaryAnswers {
    record: std::result::Result<Option<NodeRecord>, QueryError>,
    attached: Attachment,
    in_backup: std::result::Result<Option<bool>, QueryError>,
    base_backups: std::result::Result<Option<i64>, QueryError>,
    archives: bool,
    rewind: Option<std::result::Result<Rewind, Error>>,
}

async fn ask_primary(request: &Request, base: &Base, primary: &Connection, id: NodeId) -> PrimaryAnswers {
    let in_backup = async {
        // The exclusive mode is gone since PostgreSQL 15, and with it the function.
        if base.major >= 15 {
            return Ok(Some(false));
        }
        primary.value("SELECT pg_catalog.pg_is_in_backup()", &[]).await
    };
    let rewind = async {
        match &request.force_rewind {
            Some(path) => Some(rewind(request, primary, path.as_deref()).await),
            None => None,
        }
    };
    let (record, attached, in_backup, base_backups, archive_mode, rewind) = tokio::join!(
        nodes::by_id(primary, id),
        attachment(primary, &base.own.node_name),
        in_backup,
        primary.value(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_progress_basebackup",
            &[]
        ),
        primary.setting("archive_mode"),
        rewind,
    );
    PrimaryAnswers {
        record,
        attached,
        in_backup,
        base_backups,
        archives: !matches!(archive_mode, Ok(Some(mode)) if mode == "off"),
        rewind,
    }
}

/// What the host of the primary says.
struct HostAnswers {
    reached: Result<()>,
    answers: Option<RemoteAnswers>,
}

struct RemoteAnswers {
    version: Asked,
    config_file: Asked,
    data_directory: Asked,
    superuser: Option<Asked>,
    config_owner: Asked,
    replication: Asked,
    archive: Asked,
}

async fn ask_host(request: &Request, peer: &Peer<'_>, own: NodeId) -> HostAnswers {
    let reached = peer.reach().await;
    if reached.is_err() {
        return HostAnswers { reached, answers: None };
    }
    let superuser = async {
        match &request.superuser {
            Some(name) => {
                let call = Call::DbConnection { superuser: Some(name) };
                Some(peer.ask(&call, LOOK_UP_LIMIT).await)
            }
            None => None,
        }
    };
    let calls = [
        Call::Version,
        Call::DataDirectoryConfig,
        Call::ReplicationConfigOwner,
        Call::ReplicationConnection { remote_node: own },
        Call::ArchiveReady,
    ];
    let [version, data, owner, replication, archive] = &calls;
    let (version, config_file, data_directory, superuser, config_owner, replication, archive) = tokio::join!(
        peer.ask(version, LOOK_UP_LIMIT),
        peer.has_config_file(),
        peer.ask(data, LOOK_UP_LIMIT),
        superuser,
        peer.ask(owner, LOOK_UP_LIMIT),
        peer.ask(replication, LOOK_UP_LIMIT),
        peer.ask(archive, LOOK_UP_LIMIT),
    );
    HostAnswers {
        reached,
        answers: Some(RemoteAnswers {
            version,
            config_file,
            data_directory,
            superuser,
            config_owner,
            replication,
            archive,
        }),
    }
}

/// What this node's server says of itself.
struct LocalAnswers {
    capacity: std::result::Result<Capacity, QueryError>,
    lag: std::result::Result<i64, QueryError>,
    replay_paused: std::result::Result<Option<bool>, QueryError>,
    replay_waits: std::result::Result<Option<bool>, QueryError>,
    method: Result<promote::Method>,
}

async fn ask_local(request: &Request, base: &Base) -> LocalAnswers {
    let local = &base.local;
    let promoter = base.superuser.as_ref().unwrap_or(local);
    let (capacity, lag, replay_paused, replay_waits, method) = tokio::join!(
        promote::capacity(local),
        local.replication_lag(),
        local.value("SELECT pg_catalog.pg_is_wal_replay_paused()", &[]),
        local.value(
            "SELECT pg_catalog.pg_last_wal_receive_lsn() > pg_catalog.pg_last_wal_replay_lsn()",
            &[]
        ),
        promote::choose_method(&request.config, promoter),
    );
    LocalAnswers {
        capacity,
        lag,
        replay_paused,
        replay_waits,
        method,
    }
}

/// Checks 9 to 28: everything is asked at the same time, and judged in order.
async fn fresh<'r>(
    request: &'r Request,
    ssh: &'r Ssh<'r>,
    base: Base,
    found: NodeRecord,
    primary: Connection,
    journal: Option<Journal>,
    dry_run: bool,
) -> Result<Switchover<'r>> {
    let peer = Peer::find(&request.config, ssh, request.log_level.as_deref(), &found).await?;
    let route = Route {
        config: &request.config,
        ssh,
        log_level: request.log_level.as_deref(),
    };
    let daemons = async {
        if request.no_pause {
            return Ok(None);
        }
        match nodes::all(&base.local).await {
            Ok(all) => Ok(Some(daemons::ask(all).await)),
            Err(error) => Err(error),
        }
    };
    let (primary_says, host_says, local_says, followers, daemons) = tokio::join!(
        ask_primary(request, &base, &primary, found.node_id),
        ask_host(request, &peer, base.own.node_id),
        ask_local(request, &base),
        followers::ask(request, route, &base.local, found.node_id, &base.own),
        daemons,
    );
    let (former, rewind) = judge_primary(
        request,
        &base,
        &found,
        primary_says.record,
        primary_says.attached,
        primary_says.rewind,
    )?;
    judge_backups(primary_says.in_backup, primary_says.base_backups)?;
    judge_replay(request, &local_says)?;
    host_says.reached?;
    let answers = host_says
        .answers
        .ok_or_else(|| Error::new(ExitCode::Internal, "a host that was reached was not asked"))?;
    judge_repmgr(request, &peer, &former, &answers)?;
    let followers = followers.map_err(|error| followers::unreadable(&error))?;
    followers.judge(request.force)?;
    let mut short = Vec::new();
    let capacity = local_says
        .capacity
        .map_err(|error| unanswered(ExitCode::BadConfig, "count free walsenders and slots", &error))?;
    short.extend(too_few(
        Resource::Walsenders,
        capacity.walsenders,
        followers.required_walsenders(),
    ));
    judge_replication(&peer, &base.own, &former, &answers.replication)?;
    if primary_says.archives {
        judge_archive(request, &former, &answers.archive)?;
    }
    judge_lag(request, &local_says.lag)?;
    short.extend(too_few(
        Resource::Slots,
        capacity.slots,
        followers.required_slots(&former),
    ));
    let method = local_says.method?;
    let daemons = judge_daemons(request, daemons, journal.as_ref())?;
    let journal = journal.unwrap_or_else(|| Journal::new(base.own.node_id, former.node_id));
    let mut switchover = assemble(request, ssh, base, former, peer, journal);
    switchover.primary = Some(primary);
    switchover.rewind = rewind;
    switchover.method = Some(method);
    switchover.followers = followers;
    switchover.daemons = daemons;
    switchover.judge_capacity(short, dry_run)?;
    Ok(switchover)
}

/// A switchover of which nothing is done yet.
pub fn assemble<'r>(
    request: &'r Request,
    ssh: &'r Ssh<'r>,
    base: Base,
    former: NodeRecord,
    peer: Peer<'r>,
    journal: Journal,
) -> Switchover<'r> {
    Switchover {
        request,
        ssh,
        local: base.local,
        superuser: base.superuser,
        own: base.own,
        former,
        primary: None,
        peer,
        rewind: None,
        method: None,
        followers: Followers::default(),
        daemons: Daemons::default(),
        journal,
        resumed: false,
        short: false,
        stop_sent: false,
        shutdown: Shutdown::NotYet,
        behind: false,
        promotion: Promotion::NotAsked,
        writable_until: None,
        writable_again: None,
        put_back: false,
        rejoined: None,
        attached: false,
        unpaused: false,
        left: Vec::new(),
    }
}

/// Checks 9 to 11 and 14.
fn judge_primary(
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

/// Check 14: whether pg_rewind works between the two, and what it must not overwrite.
pub async fn rewind(request: &Request, primary: &Connection, path: Option<&str>) -> Result<Rewind> {
    let asked = |error: QueryError| unanswered(ExitCode::BadConfig, "tell whether pg_rewind can be used", &error);
    let (full_page_writes, wal_log_hints) =
        tokio::join!(primary.setting("full_page_writes"), primary.setting("wal_log_hints"));
    let is_on = |value: Option<String>| value.as_deref() == Some("on");
    let mut reasons = Vec::new();
    if !is_on(full_page_writes.map_err(asked)?) {
        reasons.push("\"full_page_writes\" is off on the primary");
    }
    let checksums =
        control_file::read(&request.config.data_directory).is_ok_and(|control| control.data_checksum_version != 0);
    if !is_on(wal_log_hints.map_err(asked)?) && !checksums {
        reasons.push("\"wal_log_hints\" is off on the primary, and there are no data checksums");
    }
    if !reasons.is_empty() {
        let error = Error::bad_config("--force-rewind was given, but pg_rewind cannot be used");
        return Err(reasons.into_iter().fold(error, Error::detail));
    }
    Ok(Rewind {
        path: path.map(str::to_owned),
        config_files: config_files(primary).await.map_err(asked)?,
    })
}

/// The names of the configuration files in the data directory. A role that may not see them gets none.
async fn config_files(primary: &Connection) -> std::result::Result<String, QueryError> {
    let sql = "SELECT DISTINCT pg_catalog.regexp_replace(f.file, '^.*/', '') \
               FROM (SELECT sourcefile AS file FROM pg_catalog.pg_settings WHERE sourcefile IS NOT NULL \
                     UNION SELECT setting FROM pg_catalog.pg_settings \
                     WHERE name IN ('config_file', 'hba_file', 'ident_file')) f \
               WHERE pg_catalog.starts_with(f.file, (SELECT setting FROM pg_catalog.pg_settings \
                     WHERE name = 'data_directory') || '/') ORDER BY 1";
    let rows = primary.query(sql, &[]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    Ok(names.join(","))
}

/// Check 13, and backups that would be broken off.
fn judge_backups(
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
fn judge_replay(request: &Request, says: &LocalAnswers) -> Result<()> {
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

/// Checks 15 to 21.
fn judge_repmgr(request: &Request, peer: &Peer<'_>, former: &NodeRecord, answers: &RemoteAnswers) -> Result<()> {
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

fn judge_data_directory(peer: &Peer<'_>, title: &str, answer: &Asked) -> Result<()> {
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
fn judge_replication(peer: &Peer<'_>, own: &NodeRecord, former: &NodeRecord, answer: &Asked) -> Result<()> {
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
fn judge_archive(request: &Request, former: &NodeRecord, answer: &Asked) -> Result<()> {
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
fn judge_lag(request: &Request, lag: &std::result::Result<i64, QueryError>) -> Result<()> {
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

/// Check 28.
pub fn judge_daemons(
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

fn force(request: &Request, error: Error) -> Result<()> {
    if !request.force {
        return Err(error.hint("use -F/--force to go on nevertheless"));
    }
    warning!("{}", error.message);
    error.details.iter().for_each(|line| detail!("{line}"));
    Ok(())
}

/// What a server has a limited number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Walsenders,
    Slots,
}

fn too_few(resource: Resource, free: i64, required: usize) -> Option<(Resource, Error)> {
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

fn unanswered(exit_code: ExitCode, what: &str, error: &QueryError) -> Error {
    let unanswered = Error::new(exit_code, format!("unable to {what}")).detail(error.to_string());
    match error.way_out() {
        Some(hint) => unanswered.hint(hint),
        None => unanswered,
    }
}

impl Switchover<'_> {
    /// Checks 23 and 27. `--force` goes on without enough slots; a dry run goes on to show everything.
    fn judge_capacity(&mut self, short: Vec<(Resource, Error)>, dry_run: bool) -> Result<()> {
        for (resource, error) in short {
            if resource == Resource::Slots && self.request.force {
                warning!("{}", error.message);
                error.details.iter().for_each(|line| detail!("{line}"));
            } else if dry_run {
                error.report();
                self.short = true;
            } else {
                return Err(error);
            }
        }
        Ok(())
    }

    /// What would be done.
    pub(super) async fn finish_dry_run(self) -> Result<ExitCode> {
        if self.resumed {
            info!("a switchover to this node was begun and not completed; it would be completed");
        }
        self.daemons.announce();
        info!(
            "local {} would be promoted to primary; current primary {} would be demoted to standby",
            self.own.title(),
            self.former.title()
        );
        if self.promotion != Promotion::Done {
            let call = Call::ListStopAction;
            let asked = self.peer.ask(&call, LOOK_UP_LIMIT).await;
            info!("following shutdown command would be run on {}:", self.former.title());
            info!("  {}", stop_command(&asked).unwrap_or_else(|| describe(&asked)));
            info!(
                "parameter \"shutdown_check_timeout\" is set to {} seconds",
                self.request.config.shutdown_check_timeout.as_secs()
            );
            if let Some(method) = &self.method {
                info!("node would be promoted using {}", method.describe());
            }
        }
        for sibling in &self.followers.standbys.reachable {
            info!("{} would be told to follow this node", sibling.node.title());
        }
        if self.short {
            warning!("not all prerequisites for executing STANDBY SWITCHOVER are met");
            return Ok(ExitCode::BadConfig);
        }
        info!("prerequisites for executing STANDBY SWITCHOVER are met");
        Ok(ExitCode::Success)
    }
}

/// The command in the answer of `node service --list-actions`.
fn stop_command(asked: &Asked) -> Option<String> {
    let finished = asked.as_ref().ok()?;
    finished
        .stdout
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("stop:"))
        .map_or_else(
            || {
                // Of a single action, an original shows the bare command.
                let line = finished.stdout.lines().map(str::trim).rfind(|line| !line.is_empty())?;
                Some(line.to_owned())
            },
            |line| Some(line.trim_start_matches("stop:").trim().to_owned()),
        )
}
