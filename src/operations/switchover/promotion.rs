//! The last WAL of the old primary, and the point of no return.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Promotion, Shutdown, Switchover};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::control_file::{self, ClusterState};
use crate::instance::data_directory;
use crate::operations::promote;
use crate::postgres::{Connection, Deadlines};
use crate::types::{Lsn, RecoveryState};
use crate::{detail, hint, info, notice, warning};

const INTERVAL: Duration = Duration::from_millis(25);
/// The file with which a promotion is asked for, as long as nobody took notice of it (PostgreSQL: `pg_promote`).
const PROMOTE_SIGNAL_FILE: &str = "promote";

impl Switchover<'_> {
    /// Waits until this node has all that the old primary wrote.
    pub(super) async fn receive_last_wal(&mut self) -> Result<()> {
        if self.promotion == Promotion::Done {
            return Ok(());
        }
        let Shutdown::At(checkpoint) = self.shutdown else {
            // After a crash (and with --force) nobody knows how much there is.
            return Ok(());
        };
        let limit = self.request.config.wal_receive_check_timeout;
        let begin = Instant::now();
        let received = loop {
            let received = self.received().await?;
            if has_all(received, checkpoint) {
                info!("this node has received all WAL of {}", self.former.title());
                detail!("its last checkpoint is at {checkpoint}, this node has received up to {received}");
                return Ok(());
            }
            if begin.elapsed() >= limit {
                break received;
            }
            tokio::time::sleep(INTERVAL).await;
        };
        self.behind = true;
        let message = format!(
            "this node has not received all WAL of {} after {} seconds (parameter \"wal_receive_check_timeout\")",
            self.former.title(),
            limit.as_secs()
        );
        let detail = format!("its last checkpoint is at {checkpoint}, this node has received up to {received}");
        if !self.request.always_promote {
            return Err(Error::new(ExitCode::SwitchoverFail, message).detail(detail));
        }
        warning!("{message}");
        detail!("{detail}");
        detail!("it is promoted nevertheless (--always-promote), what it has not received is lost");
        if self.rewind.is_none() {
            hint!("the old primary will need \"repmgr node rejoin --force-rewind\"");
        }
        Ok(())
    }

    async fn received(&mut self) -> Result<Lsn> {
        if self.local.is_closed() {
            self.reconnect().await?;
        }
        match self.local.node_lsn().await {
            Ok(lsn) => Ok(lsn),
            Err(_) => {
                self.reconnect().await?;
                self.local.node_lsn().await.map_err(|error| {
                    Error::new(
                        ExitCode::DbConn,
                        "unable to find out how much WAL this node has received",
                    )
                    .detail(error.to_string())
                })
            }
        }
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.local = Connection::connect(self.local.conninfo(), Deadlines::default())
            .await
            .map_err(|error| {
                Error::new(ExitCode::DbConn, "the connection to this node was lost").detail(error.to_string())
            })?;
        Ok(())
    }

    /// Promotes this node.
    pub(super) async fn promote(&mut self) -> Result<()> {
        if self.promotion == Promotion::Done {
            return Ok(());
        }
        let config = &self.request.config;
        if !config.promote_delay.is_zero() {
            info!(
                "waiting {} seconds (parameter \"promote_delay\")",
                config.promote_delay.as_secs()
            );
            tokio::time::sleep(config.promote_delay).await;
        }
        let method = match &self.method {
            Some(method) => method.clone(),
            None => promote::choose_method(config, &self.local).await?,
        };
        self.promotion = Promotion::Asked;
        let connection = self.superuser.as_mut().unwrap_or(&mut self.local);
        let Err(error) = promote::promote(config, connection, &self.own, &method).await else {
            self.promoted();
            return Ok(());
        };
        if error.exit_code == ExitCode::DbQuery || self.is_primary().await {
            // There is no way back: what is missing is told, and the rest is done.
            self.promoted();
            error.report();
            self.left
                .push(format!("on {}: repmgr primary register --force", self.own.title()));
            return Ok(());
        }
        Err(error)
    }

    pub(super) fn promoted(&mut self) {
        self.promotion = Promotion::Done;
        self.writable_again = Some(Instant::now());
    }

    pub(super) async fn is_primary(&mut self) -> bool {
        if self.local.is_closed() && self.reconnect().await.is_err() {
            return false;
        }
        matches!(self.local.recovery_state().await, Ok(RecoveryState::Primary))
    }

    /// Makes sure that this node will not become primary later by itself; only then may the old one be started.
    pub(super) async fn take_back_promotion(&mut self) {
        if self.promotion != Promotion::Asked {
            return;
        }
        match self.revoke().await {
            Ok(()) => {
                self.promotion = Promotion::NotAsked;
                notice!("{} stays a standby, no promotion is under way", self.own.title());
            }
            Err(reason) => {
                warning!("the promotion of {} may still come about", self.own.title());
                detail!("{reason}");
                detail!(
                    "therefore {} is not started again, and no daemon is unpaused",
                    self.former.title()
                );
                hint!("run this command again: it goes on from here, or says what is missing");
            }
        }
    }

    /// A request that nobody took notice of is withdrawn; one that is carried out cannot be.
    async fn revoke(&mut self) -> std::result::Result<(), String> {
        let file = self.request.config.data_directory.join(PROMOTE_SIGNAL_FILE);
        if file.exists() && !can_be_withdrawn(&self.request.config.data_directory) {
            return Err("before version 14 a server carries out what it was asked for, withdrawn or not".to_owned());
        }
        match std::fs::remove_file(&file) {
            Ok(()) => info!("the request to promote was withdrawn before the server took notice of it"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("\"{}\" cannot be removed: {error}", file.display())),
        }
        // The server takes notice between two looks of its own; after this it has, or never will.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if self.local.is_closed()
            && let Err(error) = self.reconnect().await
        {
            if !ended_as_standby(&self.request.config.data_directory) {
                return Err(error.message);
            }
            warning!(
                "the server of {} ended in the promotion, and is a standby when it starts again",
                self.own.title()
            );
            hint!("see its log for the reason, mend it, and start the server");
            return Ok(());
        }
        match self.local.recovery_state().await {
            Ok(RecoveryState::Standby) => {}
            Ok(_) => return Err("it is not in recovery".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        // PostgreSQL, "Recovery Control Functions": refused while a promotion is ongoing.
        let connection = self.superuser.as_ref().unwrap_or(&self.local);
        connection
            .batch("SELECT pg_catalog.pg_wal_replay_resume()")
            .await
            .map_err(|error| error.to_string())
    }
}

/// Whether a server looks again for the file before it acts on the signal that told it so; as long as the signal waits,
/// nothing shows whether it was sent (PostgreSQL 14: `CheckForStandbyTrigger`, which replaced the slow promotion that went
/// without the file).
fn can_be_withdrawn(data_directory: &Path) -> bool {
    let version = data_directory::version_text(data_directory).ok();
    version
        .and_then(|text| text.parse::<u32>().ok())
        .is_some_and(|major| major >= 14)
}

/// Whether no server runs in the data directory, and the next one that does will be a standby on the timeline that
/// the last one was on. A promotion writes the history of the new timeline and removes `standby.signal`.
fn ended_as_standby(data_directory: &Path) -> bool {
    if !matches!(data_directory::running_server(data_directory), Ok(None))
        || !data_directory.join("standby.signal").exists()
    {
        return false;
    }
    let Ok(control) = control_file::read(data_directory) else {
        return false;
    };
    let checkpoint = control.checkpoint_timeline;
    let timeline = control
        .min_recovery_point
        .map_or(checkpoint, |(_, timeline)| timeline.max(checkpoint));
    let Ok(entries) = std::fs::read_dir(data_directory.join("pg_wal")) else {
        return false;
    };
    let newer = entries.flatten().any(|entry| {
        let name = entry.file_name();
        let history = name.to_str().and_then(|name| name.strip_suffix(".history"));
        history
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .is_some_and(|of| of > timeline.0)
    });
    control.state != ClusterState::InProduction && !newer
}

/// The position is the beginning of the last checkpoint record: to have that record is to be behind it.
fn has_all(received: Lsn, checkpoint: Lsn) -> bool {
    received > checkpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_checkpoint_record_itself_must_be_there() {
        assert!(!has_all(Lsn(99), Lsn(100)));
        assert!(!has_all(Lsn(100), Lsn(100)));
        assert!(has_all(Lsn(220), Lsn(100)));
    }
}
