//! What must hold before anything is touched, in the original's order.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::asking::{ask_host, ask_local, ask_primary};
use super::daemons::{self, Daemons};
use super::followers::{self, Followers};
use super::journal::Journal;
use super::judging::{
    Resource, judge_archive, judge_backups, judge_daemons, judge_lag, judge_primary, judge_replay, judge_replication,
    judge_repmgr, judge_room, judge_synchronous, too_few, unanswered,
};
use super::peer::Peer;
use super::resume::{self, Phase};
use super::{Promotion, Request, Shutdown, Switchover};
use crate::config::WriteRight;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, nodes};
use crate::operations::promote;
use crate::operations::siblings::Route;
use crate::operations::write_right::members;
use crate::postgres::{Connection, Deadlines};
use crate::remote::Ssh;
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{detail, info, notice, survey, warning};

/// The oldest PostgreSQL that this program works with.
const OLDEST_SUPPORTED_MAJOR: i32 = 13;

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
    // Before the others try to log in, each of which takes a walsender.
    let capacity = promote::capacity(&base.local)
        .await
        .map_err(|error| unanswered(ExitCode::BadConfig, "count free walsenders and slots", &error))?;
    let synchronous = async {
        match request.config.write_right {
            WriteRight::Off => None,
            _ => members::ask_all(&base.local).await.ok(),
        }
    };
    let (primary_says, host_says, local_says, followers, daemons, synchronous) = tokio::join!(
        ask_primary(request, &base, &primary, found.node_id),
        ask_host(request, &peer, base.own.node_id),
        ask_local(request, &base),
        followers::ask(request, route, &base.local, found.node_id, &base.own),
        daemons,
        synchronous,
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
    judge_room(request, &local_says)?;
    host_says.reached?;
    let answers = host_says
        .answers
        .ok_or_else(|| Error::new(ExitCode::Internal, "a host that was reached was not asked"))?;
    judge_repmgr(request, &peer, &former, &answers)?;
    let followers = followers.map_err(|error| followers::unreadable(&error))?;
    followers.judge(request.force)?;
    let required = followers.required_walsenders();
    let walsenders = too_few(Resource::Walsenders, capacity.walsenders, required);
    let few_walsenders = judge_capacity(request, walsenders, dry_run)?;
    // Without a free walsender nobody can log in, and that says nothing of who may.
    if !few_walsenders {
        followers.judge_logins(request.force)?;
        judge_replication(&peer, &base.own, &former, &answers.replication)?;
    }
    if primary_says.archives {
        judge_archive(request, &former, &answers.archive)?;
    }
    judge_lag(request, &local_says.lag)?;
    judge_synchronous(request, &base.own, &former, synchronous)?;
    let slots = too_few(Resource::Slots, capacity.slots, followers.required_slots(&former));
    let few_slots = judge_capacity(request, slots, dry_run)?;
    let method = local_says.method?;
    let daemons = judge_daemons(request, daemons, journal.as_ref())?;
    let journal = journal.unwrap_or_else(|| Journal::new(base.own.node_id, former.node_id));
    let mut switchover = assemble(request, ssh, base, former, peer, journal);
    switchover.primary = Some(primary);
    switchover.rewind = rewind;
    switchover.method = Some(method);
    switchover.followers = followers;
    switchover.daemons = daemons;
    switchover.short = few_walsenders || few_slots;
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

/// Checks 23 and 27: whether there is too little of it. `--force` goes on without enough slots; a dry run goes on to
/// show everything.
fn judge_capacity(request: &Request, few: Option<(Resource, Error)>, dry_run: bool) -> Result<bool> {
    let Some((resource, error)) = few else { return Ok(false) };
    if resource == Resource::Slots && request.force {
        warning!("{}", error.message);
        error.details.iter().for_each(|line| detail!("{line}"));
        return Ok(false);
    }
    if dry_run {
        error.report();
        return Ok(true);
    }
    Err(error)
}
