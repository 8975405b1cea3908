//! What is observed: the own server, the voters, the node that had the right last, and both histories. What can be asked
//! at the same time is, and each answer is awaited for a while only.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use repmgr_write_right::{Answer as Vote, Ballot, Request};

use super::Told;
use super::votes::{self, Votes};
use crate::config::{Config, WriteRight};
use crate::daemon::peers::{self, Peers};
use crate::daemon::right;
use crate::etcd::Client;
use crate::exit_code::ExitCode;
use crate::failover::Answer;
use crate::instance::control_file::{self, ClusterState};
use crate::instance::{abandoned, data_directory};
use crate::metadata::{NodeRecord, write_right};
use crate::operations::attach::{self, Divergence, LocalPosition, Refusal, Verdict};
use crate::operations::rejoin;
use crate::postgres::Connection;
use crate::returning::{Histories, Holder, Observation, Server, Voters};
use crate::types::{NodeId, RecoveryState};

/// How long each of them is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the attendant itself remembers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Remembered {
    /// This daemon has stopped the server.
    pub stopped: bool,
    /// Returns that failed.
    pub failures: u32,
    /// One of them was a rewind.
    pub rewind_failed: bool,
    /// Looks in a row that found a standby past the fork.
    pub past_the_fork: u32,
}

/// An observation, and what is not for the decision but for carrying it out.
#[derive(Debug)]
pub struct Seen {
    /// For the decision.
    pub observation: Observation,
    /// The ballot that a majority has accepted.
    pub ballot: Option<Ballot>,
}

/// Looks at everything.
pub async fn look(
    own: NodeId,
    told: &Told,
    remembered: Remembered,
    kept: &mut Peers,
    etcd: &mut Option<Client>,
) -> Seen {
    let record = |id: NodeId| told.records.iter().find(|record| record.node_id == id);
    let (mine, votes) = tokio::join!(own_server(record(own), &told.config, remembered), async {
        if told.config.write_right == WriteRight::Etcd {
            return ask_etcd(&told.config, etcd).await;
        }
        let answers = ask(&told.records, kept).await;
        let registered: Vec<NodeId> = told.records.iter().map(|record| record.node_id).collect();
        votes::count(own, &registered, &answers)
    });
    let mut observation = Observation {
        own,
        server: mine.server(votes.switched_on),
        voters: votes.voters,
        holder: Holder::Unseen("it was not asked".to_owned()),
        histories: Histories::Unknown("it was not looked at".to_owned()),
        policy: told.config.rejoin,
        failures: remembered.failures,
        rewind_failed: remembered.rewind_failed,
        past_the_fork: remembered.past_the_fork,
    };
    if let Voters::Agree { holder, .. } = observation.voters
        && holder != own
    {
        match record(holder) {
            Some(holder) => {
                let looked =
                    tokio::time::timeout(PATIENCE, compare(&mine, record(own), holder, kept, &told.config)).await;
                (observation.holder, observation.histories) = looked.unwrap_or_else(|_| {
                    let why = format!("no answer within {PATIENCE:?}");
                    (Holder::Unseen(why.clone()), Histories::Unknown(why))
                });
            }
            None => observation.holder = Holder::Unseen("there is no record of it".to_owned()),
        }
    }
    Seen {
        observation,
        ballot: votes.ballot,
    }
}

/// The own server, as it was found.
enum Own {
    Runs {
        recovery: RecoveryState,
        standing: Option<write_right::Standing>,
        connection: Box<Connection>,
    },
    Gone(Server),
}

impl Own {
    fn server(&self, switched_on: bool) -> Server {
        match self {
            Own::Gone(server) => *server,
            Own::Runs { recovery, standing, .. } => match (recovery, standing) {
                (RecoveryState::Standby, _) => Server::Standby,
                (RecoveryState::Unknown, _) | (_, None) => Server::Unknown,
                (RecoveryState::Primary, Some(standing)) => Server::Primary {
                    holds: standing.left > 0,
                    enforcing: match (standing.loaded, switched_on) {
                        (false, true) => Answer::No,
                        (false, false) => Answer::Unknown,
                        (true, _) => Answer::Yes,
                    },
                },
            },
        }
    }
}

async fn own_server(record: Option<&NodeRecord>, config: &Config, remembered: Remembered) -> Own {
    let asked = async {
        let connection = Connection::connect(&peers::conninfo(record?).ok()?, peers::DEADLINES)
            .await
            .ok()?;
        let recovery = connection.recovery_state().await.ok()?;
        let standing = write_right::standing(&connection).await.ok()?;
        Some(Own::Runs {
            recovery,
            standing,
            connection: Box::new(connection),
        })
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some(runs)) => runs,
        _ => Own::Gone(gone(&config.data_directory, remembered.stopped)),
    }
}

/// What is known of a server that does not answer.
fn gone(data_directory: &Path, stopped: bool) -> Server {
    let runs = || data_directory::running_server(data_directory).map_or(true, |found| found.is_some());
    let state = control_file::read(data_directory).map(|control| control.state);
    match state {
        _ if stopped && !runs() => Server::Stopped,
        _ if abandoned::check(data_directory).is_err() => Server::Unknown,
        // A standby that crashed only needs to be started again, too.
        Ok(ClusterState::InArchiveRecovery | ClusterState::ShutDownInRecovery | ClusterState::ShutDown) => {
            Server::ShutDown
        }
        Ok(_) => Server::Crashed,
        Err(_) => Server::Unknown,
    }
}

/// What etcd says, in the words of voters: what it knows, all of them do.
async fn ask_etcd(config: &Config, etcd: &mut Option<Client>) -> Votes {
    if etcd.is_none() {
        *etcd = right::etcd::client(config).ok();
    }
    let standing = match etcd {
        Some(etcd) => etcd.standing(PATIENCE).await.ok(),
        None => None,
    };
    votes::of_etcd(standing)
}

/// Asks all voters at the same time.
async fn ask(records: &[NodeRecord], kept: &mut Peers) -> BTreeMap<i32, Vote> {
    let asked = join_all(records.iter().map(|record| {
        let known = kept.kept(record);
        async move {
            tokio::time::timeout(PATIENCE, ask_one(record, known))
                .await
                .ok()
                .flatten()
        }
    }));
    let mut answers = BTreeMap::new();
    for (record, answer) in records.iter().zip(asked.await) {
        let (connection, vote) = answer.unzip();
        kept.keep(record, connection);
        answers.extend(vote.map(|vote| (record.node_id.0, vote)));
    }
    answers
}

async fn ask_one(record: &NodeRecord, kept: Option<Arc<Connection>>) -> Option<(Arc<Connection>, Vote)> {
    let is_new = kept.is_none();
    let connection = peers::connected(record, kept).await.ok()?;
    if is_new && !write_right::exists(&connection).await.ok()? {
        return None;
    }
    let text = write_right::ask(&connection, &Request::Status.to_string()).await.ok()?;
    Some((connection, Vote::parse(&text).ok()?))
}

/// What the other node is, and how the histories belong together.
async fn compare(
    mine: &Own,
    own: Option<&NodeRecord>,
    holder: &NodeRecord,
    kept: &Peers,
    config: &Config,
) -> (Holder, Histories) {
    let unknown = |why: &dyn std::fmt::Display| Histories::Unknown(why.to_string());
    let connection = match peers::connected(holder, kept.kept(holder)).await {
        Ok(connection) => connection,
        Err(error) => return (Holder::Unseen(error.to_string()), unknown(&error)),
    };
    let role = match connection.recovery_state().await {
        Ok(RecoveryState::Primary) => Holder::Primary,
        Ok(RecoveryState::Standby) => Holder::InRecovery,
        Ok(RecoveryState::Unknown) => Holder::Unseen("it did not say whether it is in recovery".to_owned()),
        Err(error) => Holder::Unseen(error.to_string()),
    };
    let (position, clean) = match position(mine, own, config).await {
        Ok(position) => position,
        Err(why) => return (role, Histories::Unknown(why)),
    };
    let target = attach::observe_target(&connection, holder, position.timeline, ExitCode::RejoinFail).await;
    let histories = match target {
        Ok(target) => judge(&attach::decide(&position, &target), clean),
        Err(error) => unknown(&error),
    };
    (role, histories)
}

/// Where the own server is, and whether that is all it has.
async fn position(mine: &Own, own: Option<&NodeRecord>, config: &Config) -> Result<(LocalPosition, bool), String> {
    match (mine, own) {
        (Own::Runs { connection, .. }, Some(own)) => {
            let replication = attach::replication_connection(connection, own, ExitCode::RejoinFail).await;
            let replication = replication.map_err(|error| error.to_string())?;
            let identity = replication.identify_system().await.map_err(|error| error.to_string())?;
            let position = LocalPosition {
                system_identifier: Some(identity.system_identifier),
                timeline: identity.timeline,
                lsn: Some(identity.position),
            };
            Ok((position, true))
        }
        _ => {
            let control = control_file::read(&config.data_directory).map_err(|error| error.to_string())?;
            Ok((rejoin::position(&control), control.state.is_clean()))
        }
    }
}

/// What the verdict means for a former primary. One that was not shut down cleanly has more than its last checkpoint.
fn judge(verdict: &Verdict, clean: bool) -> Histories {
    let how = verdict.to_string();
    match verdict {
        Verdict::ForkedLater { .. } if clean => Histories::Joined,
        Verdict::ForkedLater { .. } => Histories::Parted {
            fork: None,
            how: format!("{how}; it was not shut down cleanly"),
        },
        Verdict::Diverged(Divergence::ForkedEarlier { timeline, fork, .. }) => Histories::Parted {
            fork: Some((*timeline, *fork)),
            how,
        },
        Verdict::Diverged(_) => Histories::Parted { fork: None, how },
        Verdict::SameTimeline { .. } | Verdict::Refused(Refusal::LocalIsAhead { .. }) => Histories::SameTimeline,
        Verdict::Refused(Refusal::OtherCluster { .. }) => Histories::Foreign(how),
        Verdict::Refused(_) => Histories::Unknown(how),
    }
}
