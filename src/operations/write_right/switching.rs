//! Switching the right to write on and off in a running cluster.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use repmgr_write_right::{Answer, Request, Verdict, VoterList};

use crate::error::{Error, Result};
use crate::etcd::Client;
use crate::metadata::write_right::{self, EXTENSION, GrantedBy, OrderKind, Standing};
use crate::metadata::{NodeRecord, functions, synchronous};
use crate::postgres::{Connection, Deadlines};
use crate::types::{NodeId, NodeType, RecoveryState};
use crate::{info, notice, survey};

/// How long each step may take at the slowest node.
const LIMIT: Duration = Duration::from_secs(30);
/// How long etcd may take.
const ETCD_LIMIT: Duration = Duration::from_secs(5);
pub(super) const PACE: Duration = Duration::from_millis(200);

/// A registered node, and the connection to it.
pub struct Voter {
    /// Its record.
    pub record: NodeRecord,
    /// The connection, or why there is none.
    pub connection: Result<Connection, String>,
}

/// Connects to all registered nodes at the same time.
pub async fn voters(records: Vec<NodeRecord>, deadlines: Deadlines) -> Vec<Voter> {
    join_all(records.into_iter().map(|record| async move {
        let connection = survey::connect(&record, deadlines).await;
        Voter {
            record,
            connection: connection.map_err(|error| error.message),
        }
    }))
    .await
}

/// How the right stands at a voter, and what it has on record; why that is not known.
pub async fn look(voter: &Voter) -> Result<(Standing, Option<Answer>), String> {
    let connection = voter.connection.as_ref().map_err(Clone::clone)?;
    let standing = write_right::standing(connection)
        .await
        .map_err(|error| error.to_string())?;
    let standing = standing.ok_or_else(|| "the right to write is not switched on here".to_owned())?;
    let answer = write_right::ask(connection, &Request::Status.to_string()).await;
    let answer = answer.ok().and_then(|text| Answer::parse(&text).ok());
    Ok((standing, answer))
}

/// The voters that answer; an error that names those that do not.
struct Reached<'a> {
    record: &'a NodeRecord,
    connection: &'a Connection,
}

fn reached<'a>(voters: impl IntoIterator<Item = &'a Voter>) -> Result<Vec<Reached<'a>>> {
    let mut reached = Vec::new();
    let mut missing = Vec::new();
    for voter in voters {
        match &voter.connection {
            Ok(connection) => reached.push(Reached {
                record: &voter.record,
                connection,
            }),
            Err(error) => missing.push(format!("{}: {error}", voter.record.title())),
        }
    }
    let error = Error::bad_config("not every registered node can be reached");
    problems(error, missing).map(|()| reached)
}

fn problems(error: Error, problems: Vec<String>) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(problems.into_iter().fold(error, Error::detail))
}

/// What is against one node as a voter, asked before anything is changed.
async fn obstacle(voter: &Reached<'_>) -> Option<String> {
    let connection = voter.connection;
    let available = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_available_extensions WHERE name = $1";
    let available: Option<i64> = match connection.value(available, &[&EXTENSION]).await {
        Ok(available) => available,
        Err(error) => return Some(error.to_string()),
    };
    if available != Some(1) {
        return Some("its server library is not the one of repmgr-oxide, or is missing".to_owned());
    }
    let preloaded = "SELECT pg_catalog.current_setting('shared_preload_libraries')";
    let preloaded: Option<String> = match connection.value(preloaded, &[]).await {
        Ok(preloaded) => preloaded,
        Err(error) => return Some(error.to_string()),
    };
    let names = preloaded.unwrap_or_default();
    let loaded = names.split(',').any(|name| name.trim().trim_matches('"') == "repmgr");
    if voter.record.node_type != NodeType::Witness && !loaded {
        return Some("\"repmgr\" is not in \"shared_preload_libraries\" of its server".to_owned());
    }
    match functions::repmgrd_is_running(connection).await {
        Ok(Some(true)) => None,
        Ok(_) => Some("no repmgrd runs there".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Checks all nodes, and unless it is only to be tried, switches the right on: the holder enforces it when this returns.
///
/// With `etcd` that grants the right, and the nodes do not vote.
///
/// # Errors
/// The node and what it lacks; nothing is required of any server then, or what is left to do.
pub async fn enable(voters: &[Voter], etcd: Option<&Client>, dry_run: bool) -> Result<()> {
    if etcd.is_none() && voters.len() < 3 {
        return Err(
            Error::bad_config("the right to write needs three voters, so that one may be lost")
                .detail(format!("{} nodes are registered", voters.len()))
                .hint("register a witness: \"repmgr witness register\"; or let etcd grant it: \"write_right=etcd\""),
        );
    }
    // A witness has nothing to say where etcd grants it.
    let takes_part = |voter: &&Voter| etcd.is_none() || voter.record.node_type != NodeType::Witness;
    let reached = reached(voters.iter().filter(takes_part))?;
    let obstacles = join_all(reached.iter().map(obstacle)).await;
    let found = reached
        .iter()
        .zip(obstacles)
        .filter_map(|(voter, obstacle)| Some(format!("{}: {}", voter.record.title(), obstacle?)));
    let error = Error::bad_config("not every registered node can vote about the right to write")
        .hint("install the library of repmgr-oxide on each host, preload it, and start the daemon");
    problems(error, found.collect())?;
    let primary = primary(&reached).await?;
    let granted_by = if etcd.is_some() {
        GrantedBy::Etcd
    } else {
        GrantedBy::Majority
    };
    not_otherwise(&reached[primary], granted_by).await?;
    if let Some(etcd) = etcd {
        etcd.standing(ETCD_LIMIT).await.map_err(|problem| {
            Error::bad_config("etcd, which is to grant the right to write, does not answer").detail(problem.to_string())
        })?;
    }
    if dry_run {
        info!("all prerequisites for \"write-right enable\" are met");
        return Ok(());
    }
    create(&reached, primary, granted_by).await?;
    let holder = &reached[primary];
    if etcd.is_some() {
        notice!("etcd grants the right to write to one of {} nodes", reached.len());
    } else {
        if let Some(given_up) = found_record(&reached).await? {
            take_back(&reached, primary, given_up).await?;
        }
        notice!("{} nodes vote about the right to write", reached.len());
    }
    // The one primary that there is may have it, whoever had it when the right was last switched on.
    let limit = u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX);
    write_right::wish(holder.connection, limit)
        .await
        .map_err(|error| Error::bad_config("the primary's daemon could not be told").detail(error.to_string()))?;
    await_all("to hold and enforce the right to write", &[holder], |standing| {
        standing.required && standing.left > 0
    })
    .await?;
    let _ = write_right::wish(holder.connection, 0).await;
    let servers: Vec<&Reached<'_>> = reached
        .iter()
        .filter(|voter| voter.record.node_type != NodeType::Witness)
        .collect();
    await_all("to require the right to write", &servers, |standing| standing.required).await
}

/// Switches the right off on all nodes.
///
/// # Errors
/// The node that could not be reached, before anything is changed; or what is left to do.
pub async fn disable(voters: &[Voter], dry_run: bool) -> Result<()> {
    let reached = reached(voters)?;
    let primary = primary(&reached).await?;
    if dry_run {
        info!("all prerequisites for \"write-right disable\" are met");
        return Ok(());
    }
    // Without the extension no daemon switches it on again; the primary has what is left of its right meanwhile.
    let sql = format!("DROP EXTENSION IF EXISTS {EXTENSION}");
    let changed = own_writers(&reached, primary);
    let dropped = join_all(changed.iter().map(|voter| voter.connection.batch(&sql))).await;
    let failed = changed
        .iter()
        .zip(dropped)
        .filter_map(|(voter, result)| Some(format!("{}: {}", voter.record.title(), result.err()?)));
    problems(
        Error::bad_config("the extension could not be removed"),
        failed.collect(),
    )?;
    let servers = || {
        reached
            .iter()
            .filter(|voter| voter.record.node_type != NodeType::Witness)
    };
    let reset = join_all(servers().map(|voter| async {
        write_right::require(voter.connection, false).await?;
        synchronous::give_back(voter.connection).await
    }))
    .await;
    let failed = servers()
        .zip(reset)
        .filter_map(|(voter, result)| Some(format!("{}: {}", voter.record.title(), result.err()?)));
    let error = Error::bad_config("some servers still require the right to write, and commit nothing as primary")
        .hint("there: ALTER SYSTEM RESET repmgr.require_write_right; SELECT pg_reload_conf()");
    problems(error, failed.collect())
}

/// The place of the one primary.
async fn primary(voters: &[Reached<'_>]) -> Result<usize> {
    let states = join_all(voters.iter().map(|voter| voter.connection.recovery_state())).await;
    let primaries: Vec<usize> = (0..voters.len())
        .filter(|at| {
            voters[*at].record.node_type != NodeType::Witness && matches!(states[*at], Ok(RecoveryState::Primary))
        })
        .collect();
    match primaries[..] {
        [primary] => Ok(primary),
        [] => Err(Error::bad_config("no registered node is a primary")),
        _ => Err(Error::bad_config("more than one registered node is a primary")
            .hint("\"repmgr cluster show\" shows them; see the chapter on troubleshooting")),
    }
}

/// The primary and the witnesses: what the standbys get by replication, these have of their own.
fn own_writers<'r, 'a>(voters: &'r [Reached<'a>], primary: usize) -> Vec<&'r Reached<'a>> {
    let own = |(at, voter): &(usize, &Reached<'_>)| *at == primary || voter.record.node_type == NodeType::Witness;
    voters.iter().enumerate().filter(own).map(|(_, voter)| voter).collect()
}

/// It is not switched on already with the other way of granting.
async fn not_otherwise(primary: &Reached<'_>, wanted: GrantedBy) -> Result<()> {
    let found = write_right::granted_by(primary.connection).await;
    let found =
        found.map_err(|error| Error::bad_config("how the right stands cannot be told").detail(error.to_string()))?;
    match found.filter(|found| *found != wanted) {
        None => Ok(()),
        Some(found) => Err(Error::bad_config(format!(
            "this cluster was switched to \"write_right={}\", and repmgr.conf says \"{}\"",
            found.word(),
            wanted.word()
        ))
        .hint("\"write_right\" must be the same on all nodes")
        .hint("to change it: \"repmgr write-right disable\", then repmgr.conf and the daemons, then enable")),
    }
}

async fn create(voters: &[Reached<'_>], primary: usize, granted_by: GrantedBy) -> Result<()> {
    let sql = format!(
        "BEGIN; CREATE EXTENSION IF NOT EXISTS {EXTENSION}; \
         INSERT INTO repmgr_write_right.granted_by (who) VALUES ('{}') ON CONFLICT DO NOTHING; COMMIT",
        granted_by.word()
    );
    let changed = own_writers(voters, primary);
    let created = join_all(changed.iter().map(|voter| voter.connection.batch(&sql))).await;
    let failed = changed
        .iter()
        .zip(created)
        .filter_map(|(voter, result)| Some(format!("{}: {}", voter.record.title(), result.err()?)));
    let error = Error::bad_config(format!("the extension {EXTENSION} could not be created"))
        .hint("the user in conninfo must be a superuser");
    problems(error, failed.collect())?;
    let all: Vec<&Reached<'_>> = voters.iter().collect();
    await_all("to have the extension", &all, |_| true).await
}

/// Gives every voter the first list, or finds that they have one already; says which nodes the newest one gives up.
async fn found_record(voters: &[Reached<'_>]) -> Result<Option<Vec<NodeId>>> {
    let list = VoterList::first(voters.iter().map(|voter| voter.record.node_id.0));
    let status = ask_all(voters, &Request::Status).await?;
    let known = status.iter().filter_map(|answer| answer.known.as_ref());
    if let Some(newest) = known.max_by_key(|known| (known.list.rank(), known.accepted)) {
        // What was agreed on before counts on; who lost it relearns it from the others.
        let registered = |id: &&i32| voters.iter().any(|voter| voter.record.node_id.0 == **id);
        let given_up: Vec<NodeId> = newest
            .list
            .given_up
            .iter()
            .filter(registered)
            .copied()
            .map(NodeId)
            .collect();
        return Ok((!given_up.is_empty()).then_some(given_up));
    }
    let answers = ask_all(voters, &Request::Found { list }).await?;
    let refused = voters
        .iter()
        .zip(answers)
        .filter(|(_, answer)| answer.verdict != Verdict::Founded)
        .map(|(voter, answer)| format!("{}: {}", voter.record.title(), answer.verdict.word()));
    problems(Error::bad_config("not every node begins to vote"), refused.collect()).map(|()| None)
}

/// Has the holder's daemon let nodes vote again that were given up by force.
async fn take_back(voters: &[Reached<'_>], primary: usize, given_up: Vec<NodeId>) -> Result<()> {
    let holder = voters[primary].connection;
    let milliseconds = u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX);
    write_right::order(holder, OrderKind::TakeBack, &given_up, milliseconds)
        .await
        .map_err(|error| Error::bad_config("the primary's daemon could not be told").detail(error.to_string()))?;
    let begin = Instant::now();
    loop {
        let status = ask_all(voters, &Request::Status).await?;
        let voting = |answer: &Answer| {
            let list = answer.known.as_ref().map(|known| &known.list);
            list.is_some_and(|list| {
                given_up
                    .iter()
                    .all(|id| list.is_settled() && list.voters.contains(&id.0))
            })
        };
        if status.iter().all(voting) {
            notice!("nodes that had been given up vote again: {}", ids(&given_up));
            // It would only stand for a while.
            let _ = write_right::order(holder, OrderKind::TakeBack, &[], 0).await;
            return Ok(());
        }
        if begin.elapsed() > LIMIT {
            return Err(Error::bad_config(format!(
                "nodes that had been given up do not vote again: {}",
                ids(&given_up)
            ))
            .hint("the log of the primary's daemon says why; this command can be run again"));
        }
        tokio::time::sleep(PACE).await;
    }
}

fn ids(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

async fn ask_all(voters: &[Reached<'_>], request: &Request) -> Result<Vec<Answer>> {
    let text = request.to_string();
    let asked = voters.iter().map(|voter| async {
        let answer = write_right::ask(voter.connection, &text)
            .await
            .map_err(|error| error.to_string())?;
        Answer::parse(&answer).map_err(|malformed| malformed.to_string())
    });
    let mut answers = Vec::new();
    let mut failed = Vec::new();
    for (voter, answer) in voters.iter().zip(join_all(asked).await) {
        match answer {
            Ok(answer) => answers.push(answer),
            Err(error) => failed.push(format!("{}: {error}", voter.record.title())),
        }
    }
    problems(Error::bad_config("not every node answers as a voter"), failed).map(|()| answers)
}

/// Waits until the right stands so at all of them.
async fn await_all(what: &str, voters: &[&Reached<'_>], so: impl Fn(&Standing) -> bool) -> Result<()> {
    let begin = Instant::now();
    loop {
        let seen = join_all(voters.iter().map(|voter| write_right::standing(voter.connection))).await;
        let missing: Vec<String> = voters
            .iter()
            .zip(&seen)
            .filter(|(_, standing)| !matches!(standing, Ok(Some(standing)) if so(standing)))
            .map(|(voter, _)| voter.record.title())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > LIMIT {
            let error = Error::bad_config(format!(
                "waited {} seconds in vain for these nodes {what}",
                LIMIT.as_secs()
            ))
            .hint("their daemons' logs say why; \"write_right\" must be the same in each repmgr.conf")
            .hint("this command can be run again; \"repmgr write-right disable\" takes it back");
            return problems(error, missing);
        }
        tokio::time::sleep(PACE).await;
    }
}
