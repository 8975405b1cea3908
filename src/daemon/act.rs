//! Carries out what was decided.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::announcer::{self, Target};
use super::gather::introduce;
use super::peers;
use super::right::News;
use super::watch::Watch;
use crate::events::{Event, EventName};
use crate::exit_code::ExitCode;
use crate::failover::{Action, Announcement, CommandEnd, Finished, Notification, RecordChange, Where};
use crate::metadata::{NodeRecord, functions, nodes, voting_term};
use crate::operations::{promote, wal_receiver};
use crate::placeholders;
use crate::postgres::{Connection, QueryError};
use crate::process::{self, ProcessError};
use crate::types::{NodeId, NodeType};

/// Runs a command of the user's to its end or its deadline; its output goes to the log while it runs.
async fn run(command: &str, environment: &[(&str, String)], limit: Duration) -> CommandEnd {
    use std::os::unix::process::ExitStatusExt;
    match process::run_shell_with(command, environment, limit).await {
        Ok(status) => match status.code() {
            Some(code) => CommandEnd::Exited(code),
            None => CommandEnd::Signalled(status.signal().unwrap_or_default()),
        },
        Err(error) => {
            crate::error!("{error}");
            match error {
                ProcessError::TimedOut { .. } => CommandEnd::TimedOut,
                ProcessError::NotStarted { .. } | ProcessError::Io { .. } => CommandEnd::NotStarted,
            }
        }
    }
}

impl Watch {
    /// Carries out one action. An exit code ends the daemon.
    pub async fn carry_out(&mut self, action: Action) -> Option<ExitCode> {
        match action {
            Action::Announce(announcement) => self.announce(&announcement, announcement.successful),
            Action::Exit(code) => return Some(code),
            Action::RunPromoteCommand => {
                let command = self.config.promote_command.clone();
                let lost = self
                    .state
                    .upstream
                    .map(|lost| (promote::LOST_PRIMARY, lost.to_string()));
                self.run_command(
                    "promote_command",
                    command,
                    Vec::from_iter(lost),
                    self.settings.promote_timeout,
                    Finished::PromoteCommand,
                );
            }
            Action::RunFollowCommand(target) => {
                let command = placeholders::follow_command(&self.config.follow_command, target);
                self.run_command(
                    "follow_command",
                    command,
                    Vec::new(),
                    self.settings.command_timeout,
                    Finished::FollowCommand,
                );
            }
            Action::RunValidation {
                candidate,
                visible,
                shared,
                total,
            } => {
                let name = self.record(candidate).map(|record| record.node_name.clone());
                let values = placeholders::ValidationValues {
                    node_id: candidate,
                    node_name: name.as_deref().unwrap_or_default(),
                    visible_nodes: visible,
                    nodes_of_upstream: shared,
                    registered_nodes: total,
                };
                let command =
                    placeholders::failover_validation_command(&self.config.failover_validation_command, &values);
                self.run_command(
                    "failover_validation_command",
                    command,
                    Vec::new(),
                    self.settings.command_timeout,
                    Finished::Validation,
                );
            }
            Action::Notify { nodes, value } => self.notify(&nodes, value).await,
            Action::StopWalReceiver => {
                let own = self.own_connection();
                self.beside(async move {
                    let stopped = match own {
                        Some(own) => wal_receiver::stop(&own).await,
                        None => false,
                    };
                    Finished::WalReceiverStopped(stopped)
                });
            }
            Action::ResumeReplay => {
                let own = self.own_connection();
                self.beside(async move {
                    let resumed = match own {
                        Some(own) => own.batch("SELECT pg_catalog.pg_wal_replay_resume()").await.is_ok(),
                        None => false,
                    };
                    Finished::ReplayResumed(resumed)
                });
            }
            Action::BecomeStandby(primary) => {
                let (own, target) = (self.own, self.connection_to(primary));
                self.beside(async move { Finished::BecameStandby(become_standby(target, own, primary).await) });
            }
            Action::AdoptPrimary(primary) => {
                let (own, target, local) = (self.own, self.connection_to(primary), self.record(self.own).cloned());
                self.beside(async move { Finished::PrimaryAdopted(adopt(target, local, own, primary).await) });
            }
            Action::RecordActive { on, active, event } => {
                let own = self.own;
                let written = match self.connect_to(on).await {
                    Ok(connection) => nodes::set_active(&connection, own, active)
                        .await
                        .map_err(|error| error.to_string()),
                    Err(error) => Err(error),
                };
                if let Err(error) = &written {
                    crate::warning!("could not write on node {on} whether this node is active: {error}");
                }
                if let Some(event) = event {
                    self.announce(&event, event.successful && written.is_ok());
                }
            }
            Action::RecordUpstream(primary) => {
                let own = self.own;
                let written = match self.connect_to(primary).await {
                    Ok(connection) => nodes::set_upstream(&connection, own, primary)
                        .await
                        .map_err(|error| error.to_string()),
                    Err(error) => Err(error),
                };
                if let Err(error) = written {
                    crate::error!("could not record node {primary} as the upstream of this node: {error}");
                }
            }
            own_server => self.on_own_server(own_server).await,
        }
        None
    }

    async fn on_own_server(&mut self, action: Action) {
        let Some(connection) = self.own_connection() else {
            crate::debug!("there is no connection to the local server for {action:?}");
            return;
        };
        let result = match &action {
            Action::ResetVotingStatus => functions::reset_voting_status(&connection).await,
            Action::SetUpstreamLastSeen(upstream) => functions::set_upstream_last_seen(&connection, *upstream).await,
            Action::SetUpstreamNodeId(upstream) => functions::set_upstream_node_id(&connection, *upstream).await,
            Action::RegisterDaemon => {
                introduce(&connection, &self.identity).await;
                Ok(())
            }
            Action::StandAside(aside) => {
                let pid = (!aside).then_some(self.identity.pid);
                functions::set_repmgrd_pid(&connection, pid, &self.identity.pid_file).await
            }
            Action::RestoreWalReceiver => wal_receiver::restore(&connection).await,
            Action::RecordOwnPromotion => record_own_promotion(&connection, self.own).await,
            Action::IncrementVotingTerm => voting_term::increment(&connection).await,
            _ => Ok(()),
        };
        if let Err(error) = result {
            crate::warning!("the local server did not carry out {action:?}: {error}");
            if peers::is_lost(&error) {
                self.peers.forget(self.own);
            }
        }
    }

    fn announce(&mut self, announcement: &Announcement, successful: bool) {
        let Some(event) = announcer::event(announcement.event, self.own) else {
            crate::error!("there is no event \"{}\"", announcement.event);
            return;
        };
        let mut event: Event = event.successful(successful).details(announcement.details.clone());
        if let Some(other) = announcement.other {
            event = event.other_id(other);
        }
        let target = match announcement.to {
            Where::Nowhere => Target::Nowhere,
            Where::Local => self.target(self.own),
            Where::On(node) => self.target(node),
        };
        self.announcer.raise(&self.config, target, event);
    }

    /// Raises the event for what has become of the right to write.
    pub(super) fn announce_right(&mut self, news: News) {
        let (name, successful, other, details) = match news {
            News::Acquired { epoch, previous } => {
                let before = match previous.filter(|node| *node != self.own) {
                    Some(node) => format!("; {} had it before", self.title(node)),
                    None => String::new(),
                };
                let details = format!("the right to write is held in epoch {epoch}{before}");
                (EventName::WriteRightAcquired, true, previous, details)
            }
            News::RenewalFailed(reason) => (EventName::WriteRightRenewalFailed, false, None, reason),
            News::Lapsed { epoch } => {
                let details = format!("the right to write of epoch {epoch} has ended without a renewal");
                (EventName::WriteRightLapsed, false, None, details)
            }
            News::Released { epoch } => {
                let details = format!("the right to write of epoch {epoch} was given back");
                (EventName::WriteRightReleased, true, None, details)
            }
        };
        // Without the right no row can be written here.
        let target = match name {
            EventName::WriteRightLapsed | EventName::WriteRightReleased => Target::Nowhere,
            _ => self.target(self.own),
        };
        let mut event = Event::new(name, self.own).successful(successful).details(details);
        if let Some(other) = other {
            event = event.other_id(other);
        }
        self.announcer.raise(&self.config, target, event);
    }

    /// A node as the place for an event's row.
    pub fn target(&self, node: NodeId) -> Target {
        match self.record(node) {
            Some(record) => Target::Node(Box::new(record.clone()), self.peers.kept(record)),
            None => Target::Nowhere,
        }
    }

    fn run_command(
        &mut self,
        name: &'static str,
        command: String,
        environment: Vec<(&'static str, String)>,
        limit: Duration,
        finished: impl FnOnce(CommandEnd) -> Finished + Send + 'static,
    ) {
        crate::notice!("running {name}");
        crate::detail!("{command}");
        self.beside(async move {
            let end = run(&command, &environment, limit).await;
            if end.succeeded() {
                crate::info!("{name} {end}");
            } else {
                crate::warning!("{name} {end}");
            }
            finished(end)
        });
    }

    /// Tells all these nodes at the same time.
    async fn notify(&mut self, targets: &[NodeId], value: Notification) {
        let told = join_all(targets.iter().map(|id| {
            let target = self.connection_to(*id);
            async move {
                let connection = target.open().await?;
                functions::notify(&connection, value)
                    .await
                    .map_err(|error| error.to_string())
            }
        }));
        let mut heard = Vec::new();
        for (id, result) in targets.iter().zip(told.await) {
            match result {
                Ok(()) => {
                    crate::info!("told {} {}", self.title(*id), words(value));
                    heard.push(*id);
                }
                Err(error) => {
                    crate::warning!("could not tell {} {}", self.title(*id), words(value));
                    crate::detail!("{error}");
                }
            }
        }
        self.finished_early.push(Finished::Told(heard));
    }

    async fn connect_to(&mut self, node: NodeId) -> Result<Arc<Connection>, String> {
        self.connection_to(node).open().await
    }

    fn connection_to(&self, node: NodeId) -> Way {
        match self.record(node) {
            Some(record) => Way {
                node: Some(record.clone()),
                kept: self.peers.kept(record),
            },
            None => Way { node: None, kept: None },
        }
    }
}

/// The way to a node, for work beside the loop.
struct Way {
    node: Option<NodeRecord>,
    kept: Option<Arc<Connection>>,
}

impl Way {
    async fn open(self) -> Result<Arc<Connection>, String> {
        match self.node {
            Some(node) => peers::connected(&node, self.kept)
                .await
                .map_err(|error| error.to_string()),
            None => Err("the local server has no record of it".to_owned()),
        }
    }
}

fn words(value: Notification) -> String {
    match value {
        Notification::Follow(node) => format!("to follow node {node}"),
        Notification::RerunElection => "to vote again".to_owned(),
    }
}

async fn become_standby(target: Way, own: NodeId, primary: NodeId) -> RecordChange {
    let Ok(connection) = target.open().await else {
        return RecordChange::Failed;
    };
    let change = async {
        let Some(record) = nodes::by_id(&connection, own).await? else {
            return Ok(RecordChange::RecordMissing);
        };
        if record.node_type == NodeType::Primary {
            nodes::set_standby(&connection, own, primary).await?;
        }
        Ok(RecordChange::Done)
    };
    change.await.unwrap_or_else(|error: QueryError| {
        crate::warning!("could not change the record of this node on node {primary}: {error}");
        RecordChange::Failed
    })
}

async fn adopt(target: Way, local: Option<NodeRecord>, own: NodeId, primary: NodeId) -> RecordChange {
    let (Ok(connection), Some(local)) = (target.open().await, local) else {
        return RecordChange::Failed;
    };
    let change = async {
        if nodes::by_id(&connection, own).await?.is_none() {
            return Ok(RecordChange::RecordMissing);
        }
        nodes::set_upstream(&connection, own, primary).await?;
        copy_records(&connection, &local).await?;
        Ok(RecordChange::Done)
    };
    change.await.unwrap_or_else(|error: QueryError| {
        crate::warning!("could not adopt node {primary} as the primary: {error}");
        RecordChange::Failed
    })
}

/// Copies all node records from the primary to a witness, over a connection of its own: a
/// transaction must not mix with what the loop asks.
pub async fn copy_records(primary: &Connection, witness: &NodeRecord) -> Result<(), QueryError> {
    let records = nodes::all(primary).await?;
    let witness = peers::connected(witness, None)
        .await
        .map_err(|error| QueryError::ConnectionLost(error.to_string()))?;
    nodes::replace_all(&witness, &records).await
}

/// `repmgr standby promote` has done this already unless the command was something else.
async fn record_own_promotion(local: &Connection, own: NodeId) -> Result<(), QueryError> {
    let record = nodes::by_id(local, own).await?;
    let done = record.is_some_and(|record| record.node_type == NodeType::Primary && record.active);
    if !done {
        nodes::set_primary(local, own).await?;
    }
    Ok(())
}
