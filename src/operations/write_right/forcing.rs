//! Forced reconfiguration: a person gives nodes up, the majority being lost for good. Answers for what has to be true
//! before, and for the way to the daemon, which does it. Does not decide who may hold (`crate::write_right`).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use repmgr_write_right::{Answer, Known, Request};

use super::switching::PACE;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metadata::write_right::{self, GrantedBy, OrderKind};
use crate::metadata::{NodeRecord, functions};
use crate::postgres::{Connection, Deadlines};
use crate::survey;
use crate::types::{NodeId, RecoveryState};
use crate::{detail, hint, info, notice, warning};

/// How long the daemon may take beyond the leases that it may have to wait for.
const BEYOND: Duration = Duration::from_secs(20);

/// What a person wants.
#[derive(Debug)]
pub struct Forcing<'a> {
    /// The configuration of this node, which is to hold.
    pub config: &'a Config,
    /// All registered nodes.
    pub records: Vec<NodeRecord>,
    /// The nodes that are given up.
    pub given_up: Vec<NodeId>,
    /// Only checked.
    pub dry_run: bool,
    /// Said to be meant.
    pub force: bool,
}

/// Has the daemon of this node give nodes up, so that those that remain vote without them.
///
/// # Errors
/// What is against it, and nothing is changed then; or that the daemon has not done it in time.
pub async fn force(local: &Connection, request: Forcing<'_>, deadlines: Deadlines) -> Result<()> {
    let own = NodeId(request.config.node_id);
    let seen = write_right::look(local)
        .await
        .map_err(|error| unknown(&error.to_string()))?;
    let Some(seen) = seen else {
        return Err(Error::bad_config(
            "the right to write is not switched on, so there is nothing to force",
        ));
    };
    if seen.granted_by == GrantedBy::Etcd {
        return Err(Error::bad_config(
            "here etcd grants the right to write, so no node of this cluster can be given up",
        )
        .hint("restore etcd's own majority: see its manual on disaster recovery"));
    }
    let running = functions::repmgrd_is_running(local).await;
    if !matches!(running, Ok(Some(true))) {
        return Err(
            Error::bad_config("no repmgrd runs on this node, which is to hold the right to write")
                .hint("start it: it does what this command asks for"),
        );
    }
    let known = own_vote(local).await?;
    let title = |id: NodeId| {
        let record = request.records.iter().find(|record| record.node_id == id);
        record.map_or_else(|| format!("node {id}"), NodeRecord::title)
    };
    let remaining = remaining(&known, own, &request.given_up)?;
    let recovery = local
        .recovery_state()
        .await
        .map_err(|error| unknown(&error.to_string()))?;
    let mut answers = ask_remaining(&request.records, &remaining, deadlines).await?;
    answers.push(known);
    needs_force(&answers, &request.given_up)?;
    not_overtaken(own, recovery, &answers)?;
    gone(&request.records, &request.given_up, deadlines).await?;

    let names: Vec<String> = request.given_up.iter().map(|id| title(*id)).collect();
    let names = names.join(", ");
    let voters: Vec<String> = remaining.iter().map(|id| title(*id)).collect();
    warning!("given up for good: {names}");
    detail!(
        "from then on these alone grant the right to write: {}",
        voters.join(", ")
    );
    detail!(
        "if one of those given up still runs where this node does not reach it, two servers may acknowledge commits: \
         be sure that they are off, or cut off from all clients"
    );
    if recovery != RecoveryState::Primary {
        detail!("commits that were acknowledged and have not reached this standby are lost when it is promoted");
    }
    if request.dry_run {
        info!("all prerequisites for \"write-right force\" are met");
        return Ok(());
    }
    if !request.force {
        return Err(Error::bad_config("nothing was changed").hint("add --force if that is what you want"));
    }
    order(local, &request, recovery).await?;
    notice!("the nodes that were given up vote no more: {names}");
    if recovery != RecoveryState::Primary {
        hint!("promote this standby: \"repmgr standby promote\"");
    }
    hint!(
        "one that comes back is to be made a standby of this cluster; then \"repmgr write-right enable\" lets it vote again"
    );
    Ok(())
}

fn unknown(error: &str) -> Error {
    Error::bad_config("how the right to write stands on this node cannot be told").detail(error)
}

/// What this node's own vote has on record.
async fn own_vote(local: &Connection) -> Result<Known> {
    let answer = status(local).await.map_err(|error| unknown(&error))?;
    if answer.silent > 0 {
        return Err(Error::bad_config("this node may have forgotten a vote, and is silent")
            .hint(format!("try again in {} seconds", answer.silent.div_ceil(1000))));
    }
    answer.known.ok_or_else(|| {
        Error::bad_config("this node has lost its record of the right to write")
            .detail("it cannot tell who had the right last, nor who votes")
            .hint("do this on a node that has its record: \"repmgr write-right show\"")
    })
}

async fn status(connection: &Connection) -> std::result::Result<Answer, String> {
    let text = write_right::ask(connection, &Request::Status.to_string()).await;
    let text = text.map_err(|error| error.to_string())?;
    Answer::parse(&text).map_err(|malformed| malformed.to_string())
}

/// Who would vote without those given up.
fn remaining(known: &Known, own: NodeId, given_up: &[NodeId]) -> Result<Vec<NodeId>> {
    let list = &known.list;
    let voters = list.everybody();
    if given_up.contains(&own) {
        return Err(
            Error::bad_config("this node cannot give itself up").hint("run this on the node that is to hold the right")
        );
    }
    if list.given_up.contains(&own.0) || !voters.contains(&own.0) {
        return Err(Error::bad_config(
            "this node was given up itself, or never voted, so it cannot give up others",
        ));
    }
    let foreign: Vec<String> = given_up
        .iter()
        .filter(|id| !voters.contains(&id.0) && !list.given_up.contains(&id.0))
        .map(NodeId::to_string)
        .collect();
    if !foreign.is_empty() {
        return Err(Error::bad_config(format!("no voter has the id {}", foreign.join(", ")))
            .detail(format!("the voters are {voters:?}")));
    }
    let remains = |voter: &i32| !given_up.contains(&NodeId(*voter));
    Ok(voters.into_iter().filter(remains).map(NodeId).collect())
}

/// Without those given up there must be no majority, or nobody who is known to have every acknowledged commit.
fn needs_force(known: &[Known], given_up: &[NodeId]) -> Result<()> {
    let remains = |voter: i32| !given_up.contains(&NodeId(voter));
    let list = known.iter().max_by_key(|known| (known.list.rank(), known.accepted));
    let newest = known.iter().max_by_key(|known| (known.accepted, known.payload.version));
    let commits_are_there = newest.is_none_or(|known| {
        let payload = &known.payload;
        let there = payload.standbys.iter().filter(|node| remains(**node)).count();
        payload.count == 0 || payload.needed().is_some_and(|needed| there >= needed)
    });
    if list.is_some_and(|known| known.list.is_quorum(remains)) && commits_are_there {
        return Err(
            Error::bad_config("the nodes that would remain are a majority, so nothing has to be forced")
                .hint("unregister the node that is gone for good: \"repmgr standby unregister --node-id\""),
        );
    }
    Ok(())
}

/// Those that remain must all accept, so they must all answer.
async fn ask_remaining(records: &[NodeRecord], remaining: &[NodeId], deadlines: Deadlines) -> Result<Vec<Known>> {
    let asked = remaining.iter().map(|id| async move {
        let record = records.iter().find(|record| record.node_id == *id);
        let record = record.ok_or_else(|| format!("node {id}: there is no record of it"))?;
        let connection = survey::connect(record, deadlines).await;
        let connection = connection.map_err(|error| format!("{}: {}", record.title(), error.message))?;
        let answer = status(&connection).await;
        answer.map_err(|error| format!("{}: {error}", record.title()))
    });
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => known.extend(answer.known),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        return Ok(known);
    }
    let error = Error::bad_config("a node that would remain does not answer, and all of them must agree")
        .hint("bring it back, or give it up too");
    Err(problems.into_iter().fold(error, Error::detail))
}

/// A primary goes on only if nobody is known to have had the right since.
fn not_overtaken(own: NodeId, recovery: RecoveryState, known: &[Known]) -> Result<()> {
    let last = known
        .iter()
        .max_by_key(|known| (known.epoch, known.accepted))
        .and_then(Known::holder);
    match last {
        Some(holder) if recovery == RecoveryState::Primary && holder != own.0 => Err(Error::bad_config(format!(
            "node {holder} had the right to write after this primary"
        ))
        .detail("it may have acknowledged commits that are not here")
        .hint("hold the right on a standby of that node instead, or make this one a standby: \"repmgr node rejoin\"")),
        _ => Ok(()),
    }
}

/// None of those given up may answer: what is there can vote, or be unregistered.
async fn gone(records: &[NodeRecord], given_up: &[NodeId], deadlines: Deadlines) -> Result<()> {
    let tried = records
        .iter()
        .filter(|record| given_up.contains(&record.node_id))
        .map(|record| async move {
            match survey::connect(record, deadlines).await {
                Ok(_) => Some(record.title()),
                Err(error) => error.failure.server_is_there().then(|| record.title()),
            }
        });
    let alive: Vec<String> = join_all(tried).await.into_iter().flatten().collect();
    if alive.is_empty() {
        return Ok(());
    }
    Err(Error::bad_config(format!("still there: {}", alive.join(", ")))
        .detail("a node that answers can vote; if it held the right, it could go on to acknowledge commits")
        .hint("stop its server first if it is to be given up"))
}

/// Tells the daemon through the server, and waits until it has done it.
async fn order(local: &Connection, request: &Forcing<'_>, recovery: RecoveryState) -> Result<()> {
    let limit = request.config.write_right_duration * 3 + BEYOND;
    let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    write_right::order(local, OrderKind::GiveUp, &request.given_up, milliseconds)
        .await
        .map_err(|error| Error::bad_config("the daemon could not be told").detail(error.to_string()))?;
    notice!("waiting up to {} seconds until the daemon has done it", limit.as_secs());
    let begin = Instant::now();
    while begin.elapsed() < limit {
        tokio::time::sleep(PACE).await;
        let (Ok(Some(seen)), Ok(answer)) = (write_right::look(local).await, status(local).await) else {
            continue;
        };
        let list = answer.known.map(|known| known.list).unwrap_or_default();
        let done = request.given_up.iter().all(|id| list.given_up.contains(&id.0));
        let holds = recovery != RecoveryState::Primary || seen.standing.left > 0;
        // The daemon takes the order back when all that remain have accepted.
        if done && holds && seen.order.is_none() {
            return Ok(());
        }
    }
    // Nobody is to find it later.
    let _ = write_right::order(local, OrderKind::GiveUp, &[], 0).await;
    Err(Error::bad_config("the daemon has not done it in time")
        .detail("some of the nodes that remain may know already who was given up: this command can be run again")
        .hint("see the daemon's log; \"repmgr write-right show\" asks all nodes"))
}

#[cfg(test)]
mod tests {
    use repmgr_write_right::{Ballot, Epoch, VoterList};

    use super::*;

    fn known(holder: i32, epoch: u64) -> Known {
        Known {
            accepted: Some(Ballot {
                round: epoch,
                node: holder,
                incarnation: 1,
            }),
            epoch: Epoch(epoch),
            list: VoterList::first([1, 2, 3]),
            ..Known::default()
        }
    }

    #[test]
    fn only_voters_are_given_up_and_by_a_voter() {
        let ids = |ids: &[i32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let known = known(1, 1);
        assert_eq!(remaining(&known, NodeId(1), &ids(&[2, 3])).unwrap(), ids(&[1]));
        for (own, given_up, why) in [
            (1, &[1, 2][..], "give itself up"),
            (1, &[2, 9], "no voter has the id 9"),
            (4, &[2, 3], "was given up itself"),
        ] {
            let error = remaining(&known, NodeId(own), &ids(given_up)).unwrap_err();
            assert!(error.message.contains(why), "{}", error.message);
        }
    }

    #[test]
    fn only_a_lost_majority_or_lost_commits_are_forced() {
        let commits_on = |count, standbys: &[i32]| {
            let mut known = known(1, 1);
            known.payload.count = count;
            known.payload.standbys = standbys.to_vec();
            [known]
        };
        let forced = |known: &[Known], given_up: &[i32]| {
            let given_up: Vec<NodeId> = given_up.iter().copied().map(NodeId).collect();
            needs_force(known, &given_up).is_ok()
        };
        assert!(forced(&commits_on(0, &[]), &[2, 3]));
        assert!(!forced(&commits_on(0, &[]), &[3]));
        // The old primary alone is known to have them all, or one of two of whom one is gone.
        assert!(forced(&commits_on(1, &[1]), &[1]));
        assert!(forced(&commits_on(1, &[2, 3]), &[3]));
        assert!(!forced(&commits_on(1, &[2, 3]), &[1]));
        assert!(!forced(&commits_on(2, &[2, 3]), &[3]));
    }

    #[test]
    fn a_primary_that_was_overtaken_is_refused() {
        let primary = RecoveryState::Primary;
        assert!(not_overtaken(NodeId(1), primary, &[known(1, 2), known(2, 1)]).is_ok());
        assert!(not_overtaken(NodeId(1), primary, &[known(1, 2), known(2, 3)]).is_err());
        assert!(not_overtaken(NodeId(3), RecoveryState::Standby, &[known(2, 3)]).is_ok());
    }
}
