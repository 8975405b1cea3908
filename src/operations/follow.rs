//! Pointing this node's server at another upstream: slot, replication
//! configuration, reload or start, record. Shared by `standby follow` and
//! `node rejoin`.
//!
//! Each step can be run again: what an earlier attempt left is taken over.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::replication_configuration;
use crate::instance::server_control::{self, Action};
use crate::metadata::{NodeRecord, nodes};
use crate::operations::slots::{self, Created, Dropped, Helpers, SlotManager};
use crate::operations::wal_receiver;
use crate::postgres::{ConnectError, Connection, Deadlines, Ping, QueryError, ServerVersion, ping};
use crate::types::RecoveryState;
use crate::{detail, hint, info, notice, survey, warning};

/// What a server answers that may not write (PostgreSQL: "PostgreSQL Error Codes").
const READ_ONLY: &str = "25006";
/// How long a primary that may not write just now is waited for, and how often it is asked.
const RIGHT_LIMIT: Duration = Duration::from_secs(15);
const RIGHT_INTERVAL: Duration = Duration::from_millis(500);
/// How long the old upstream's walsender may take to let go of the slot.
const OLD_WALSENDER_LIMIT: Duration = Duration::from_secs(15);

/// What is to be done, and what is needed for it.
pub struct Repoint<'a> {
    /// This node's configuration.
    pub config: &'a Config,
    /// This node's record, as read from the primary.
    pub own: &'a NodeRecord,
    /// A connection to the primary, for the record.
    pub primary: &'a Connection,
    /// The upstream to be.
    pub target: &'a NodeRecord,
    /// A connection to it.
    pub target_connection: &'a Connection,
    /// Who may help out with slots.
    pub helpers: Helpers<'a>,
    /// The exit code of failures that have none of their own.
    pub failure: ExitCode,
}

/// What the server must be made to do to read its new configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activation {
    Start,
    Reload,
    Restart,
}

fn activation(is_accepting: bool, version: ServerVersion, restart_wanted: bool) -> Activation {
    if !is_accepting {
        Activation::Start
    } else if version.major() >= 13 && !restart_wanted {
        Activation::Reload
    } else {
        Activation::Restart
    }
}

impl Repoint<'_> {
    fn slot_name(&self) -> Option<String> {
        self.config.use_replication_slots.then(|| {
            self.own
                .slot_name
                .clone()
                .unwrap_or_else(|| slots::slot_name(self.own.node_id))
        })
    }

    /// Checks that a slot could be had on the target; changes nothing.
    pub async fn check_slot(&self) -> Result<()> {
        let Some(name) = self.slot_name() else {
            return Ok(());
        };
        let title = self.target.title();
        let unknown = |error: QueryError| {
            Error::new(
                self.failure,
                format!("unable to look at the replication slots of {title}"),
            )
            .detail(error.to_string())
        };
        if let Some(slot) = slots::find(self.target_connection, &name).await.map_err(unknown)? {
            info!("replication slot \"{name}\" exists on {title}");
            if !slot.physical || slot.active && !self.holds_slot(&name).await? {
                let what = if slot.physical {
                    "in use by another node"
                } else {
                    "not a physical slot"
                };
                return Err(Error::new(
                    self.failure,
                    format!("replication slot \"{name}\" on {title} is {what}"),
                )
                .hint("drop it there, or give this node another node_id"));
            }
        } else {
            let free = slots::free_slots(self.target_connection).await.map_err(unknown)?;
            if free < 1 {
                return Err(
                    Error::new(self.failure, format!("{title} has no free replication slots"))
                        .hint("raise \"max_replication_slots\" there, or drop slots that nobody needs"),
                );
            }
            info!("{title} has {free} free replication slots");
        }
        let manager = SlotManager::new(self.target_connection, self.helpers, Deadlines::default())
            .await
            .map_err(|error| error.with_exit_code(self.failure))?;
        info!("replication slots on {title} are managed by {}", manager.describe());
        Ok(())
    }

    /// Slot, configuration, reload or restart or start, record: in this order.
    pub async fn run(&self) -> Result<()> {
        let created = self.prepare_slot().await?;
        if let Err(error) = self.configure() {
            if let Some(name) = created {
                self.give_back_slot(&name).await;
            }
            return Err(error);
        }
        self.activate().await?;
        self.record().await
    }

    /// The slot's name if it was created, so that it can be given back.
    async fn prepare_slot(&self) -> Result<Option<String>> {
        let Some(name) = self.slot_name() else {
            return Ok(None);
        };
        if self.own.slot_name.is_none() {
            nodes::set_slot_name(self.primary, self.own.node_id, &name)
                .await
                .map_err(|error| self.failed(format!("unable to store the slot name \"{name}\""), error))?;
            notice!("slot name \"{name}\" was stored in the record of this node");
        }
        if self.holds_slot(&name).await? {
            info!(
                "this node already uses replication slot \"{name}\" on {}",
                self.target.title()
            );
            return Ok(None);
        }
        let manager = SlotManager::new(self.target_connection, self.helpers, Deadlines::default())
            .await
            .map_err(|error| error.with_exit_code(self.failure))?;
        match manager.create(&name).await {
            Ok(Created::New) => Ok(Some(name)),
            Ok(Created::Reused) => Ok(None),
            Err(error) => Err(error
                .with_exit_code(self.failure)
                .detail(format!("the slot is needed on {}", self.target.title()))),
        }
    }

    /// Nothing was configured to use the slot, so it must not keep WAL.
    async fn give_back_slot(&self, name: &str) {
        let manager = SlotManager::new(self.target_connection, self.helpers, Deadlines::default()).await;
        let dropped = match manager {
            Ok(manager) => manager.drop_if_inactive(name).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = dropped {
            warning!("replication slot \"{name}\" remains on {}", self.target.title());
            detail!("{}", error.message);
        }
    }

    /// Whether the slot is active because this very node streams from it.
    async fn holds_slot(&self, name: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_replication_slots s \
                   JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid \
                   WHERE s.slot_name = $1 AND s.slot_type = 'physical' AND r.application_name = $2)";
        self.target_connection
            .value(sql, &[&name, &self.own.node_name])
            .await
            .map(|held: Option<bool>| held == Some(true))
            .map_err(|error| self.failed(format!("unable to look at replication slot \"{name}\""), error))
    }

    fn configure(&self) -> Result<()> {
        let parameters = replication_configuration::upstream_parameters(
            &self.target.conninfo,
            &self.target.repluser,
            &self.config.node_name,
        )
        .map_err(|error| {
            Error::new(
                self.failure,
                format!("the conninfo of {} is not valid", self.target.title()),
            )
            .detail(error.to_string())
        })?;
        match self.own.upstream_node_id {
            Some(old) if old != self.target.node_id => notice!(
                "setting node {}'s upstream to node {}, before it was node {old}",
                self.own.node_id,
                self.target.node_id
            ),
            _ => notice!(
                "setting node {}'s upstream to node {}",
                self.own.node_id,
                self.target.node_id
            ),
        }
        let slot = self.slot_name();
        let settings = replication_configuration::settings(self.config, &parameters, slot.as_deref());
        replication_configuration::write(&self.config.data_directory, &settings)
            .map_err(|error| error.with_exit_code(self.failure))
    }

    async fn activate(&self) -> Result<()> {
        let Config {
            data_directory,
            conninfo,
            ..
        } = self.config;
        let conninfo = Conninfo::parse(conninfo).unwrap_or_default();
        let accepting = ping(&conninfo, Duration::from_secs(5)).await == Ping::Accepting;
        let version = self.primary.server_version().await.unwrap_or(ServerVersion(0));
        let wanted = activation(accepting, version, self.config.standby_follow_restart);
        let no_restart = |error: Error| {
            error
                .with_exit_code(ExitCode::NoRestart)
                .hint("the new replication configuration is written; run the same command again once this is mended")
        };
        let execute = async |action: Action| {
            notice!("{}", announcement(action));
            detail!(
                "executing server command \"{}\"",
                server_control::command(self.config, action, data_directory)
            );
            server_control::run(self.config, action, data_directory, action.default_limit()).await
        };
        if accepting {
            release_receiver(&conninfo).await;
        }
        match wanted {
            Activation::Start => execute(Action::Start).await.map_err(no_restart),
            Activation::Reload => {
                let Err(error) = execute(Action::Reload).await else {
                    return Ok(());
                };
                warning!("{}", error.message);
                error.details.iter().for_each(|line| detail!("{line}"));
                notice!("restarting the server instead");
                server_control::restart(self.config, data_directory)
                    .await
                    .map_err(no_restart)
            }
            Activation::Restart => {
                notice!("{}", announcement(Action::Restart));
                server_control::restart(self.config, data_directory)
                    .await
                    .map_err(no_restart)
            }
        }
    }

    async fn record(&self) -> Result<()> {
        let what = "the server follows its new upstream, but its node record could not be updated";
        let begin = Instant::now();
        let mut recorded = self.write_record(self.primary).await;
        // A restart of this server may have taken long: one more try on a new connection.
        if recorded.is_err()
            && self.primary.is_closed()
            && let Ok(primary) = self.reconnect().await
        {
            recorded = self.write_record(&primary).await;
        }
        if lacks_right(&recorded) {
            info!(
                "waiting up to {} seconds for the primary to accept writes",
                RIGHT_LIMIT.as_secs()
            );
        }
        while lacks_right(&recorded) && begin.elapsed() < RIGHT_LIMIT {
            tokio::time::sleep(RIGHT_INTERVAL).await;
            let Ok(primary) = self.reconnect().await else { break };
            if matches!(primary.recovery_state().await, Ok(RecoveryState::Standby)) {
                break;
            }
            recorded = self.write_record(&primary).await;
        }
        match recorded {
            Ok(1) => Ok(()),
            Ok(_) => Err(Error::new(self.failure, what)
                .detail("the primary has no record of this node any more")
                .hint("run \"repmgr standby register --force\" on this node")),
            Err(error) => Err(self
                .failed(what.to_owned(), error)
                .hint("run \"repmgr standby register --force\" on this node")),
        }
    }

    async fn write_record(&self, primary: &Connection) -> std::result::Result<u64, QueryError> {
        nodes::set_standby(primary, self.own.node_id, self.target.node_id).await
    }

    async fn reconnect(&self) -> std::result::Result<Connection, ConnectError> {
        Connection::connect(self.primary.conninfo(), self.primary.deadlines()).await
    }

    fn failed(&self, what: String, error: QueryError) -> Error {
        Error::new(self.failure, what).detail(error.to_string())
    }
}

/// Whether a primary has answered that it may not write: without the right it is read-only.
fn lacks_right(recorded: &std::result::Result<u64, QueryError>) -> bool {
    recorded
        .as_ref()
        .is_err_and(|error| error.sqlstate() == Some(READ_ONLY))
}

fn announcement(action: Action) -> &'static str {
    match action {
        Action::Start => "starting server",
        Action::Reload => "reloading the server's configuration",
        _ => "restarting server",
    }
}

/// Drops this node's slot on the upstream that it has left, once that upstream's walsender is gone.
/// What goes wrong is a WARNING with the way out: the node itself is where it should be.
pub async fn drop_old_slot(
    old_upstream: &NodeRecord,
    slot: &str,
    superuser: Option<&str>,
    replication_user: Option<&str>,
) {
    let title = old_upstream.title();
    let way_out =
        || hint!("once that node runs: SELECT pg_drop_replication_slot('{slot}') there, or it keeps WAL for ever");
    let connection = match survey::connect(old_upstream, Deadlines::default()).await {
        Ok(connection) => connection,
        Err(error) => {
            warning!("unable to connect to {title} to drop replication slot \"{slot}\"");
            detail!("{error}");
            way_out();
            return;
        }
    };
    wait_until_inactive(&connection, slot, &title).await;
    let helpers = Helpers {
        superuser,
        replication_user,
        upstream_repluser: Some(&old_upstream.repluser),
    };
    let dropped = match SlotManager::new(&connection, helpers, Deadlines::default()).await {
        Ok(manager) => manager.drop_if_inactive(slot).await,
        Err(error) => Err(error),
    };
    match dropped {
        Ok(Dropped::Dropped) => notice!("replication slot \"{slot}\" deleted on {title}"),
        Ok(Dropped::Absent) => {}
        Ok(Dropped::Active) => way_out(),
        Err(error) => {
            warning!("unable to drop replication slot \"{slot}\" on {title}");
            detail!("{}", error.message);
            error.details.iter().for_each(|line| detail!("{line}"));
            way_out();
        }
    }
}

async fn wait_until_inactive(connection: &Connection, slot: &str, title: &str) {
    let begin = Instant::now();
    let mut told = false;
    while let Ok(Some(found)) = slots::find(connection, slot).await {
        if !found.active || begin.elapsed() >= OLD_WALSENDER_LIMIT {
            return;
        }
        if !told {
            info!(
                "waiting up to {} seconds for {title} to let go of replication slot \"{slot}\"",
                OLD_WALSENDER_LIMIT.as_secs()
            );
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A WAL receiver that an election stopped may start again: now it starts with the new primary.
async fn release_receiver(conninfo: &Conninfo) {
    let released = match Connection::connect(conninfo, Deadlines::default()).await {
        Ok(local) => wal_receiver::restore(&local).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.message),
    };
    if let Err(error) = released {
        warning!("whether an election stopped the WAL receiver cannot be told");
        detail!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_server_is_reloaded_unless_a_restart_is_wanted() {
        let pg15 = ServerVersion(150_018);
        assert_eq!(activation(true, pg15, false), Activation::Reload);
        assert_eq!(activation(true, pg15, true), Activation::Restart);
        assert_eq!(activation(true, ServerVersion(120_000), false), Activation::Restart);
        assert_eq!(activation(false, pg15, true), Activation::Start);
    }
}
