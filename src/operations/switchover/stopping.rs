//! Stopping the primary, seeing that it is down, and starting it again if the
//! switchover comes to nothing.

use std::time::{Duration, Instant};

use super::peer::{ShutdownState, describe, exit_code};
use super::{Promotion, Shutdown, Switchover};
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::server_control::Action;
use crate::operations::write_right;
use crate::postgres::{Connection, Deadlines, Ping, ping};
use crate::remote::Call;
use crate::types::RecoveryState;
use crate::{detail, hint, info, notice, survey, warning};

const INTERVAL: Duration = Duration::from_millis(50);
const PING_LIMIT: Duration = Duration::from_secs(2);
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(3600);
/// How long a server that was told to stop may go on accepting connections after the command failed.
const FAILED_STOP_LIMIT: Duration = Duration::from_secs(5);

impl Switchover<'_> {
    /// Has the primary write its changed pages while it still serves, so that stopping it is quick.
    pub(super) async fn checkpoint_primary(&mut self) -> Result<()> {
        let Some(primary) = &self.primary else { return Ok(()) };
        if matches!(primary.has_role("pg_checkpoint").await, Ok(true)) {
            info!("issuing CHECKPOINT on {}", self.former.title());
            if let Err(error) = primary.batch_within("CHECKPOINT", CHECKPOINT_LIMIT).await {
                warning!(
                    "CHECKPOINT on {} failed, stopping it may take longer",
                    self.former.title()
                );
                detail!("{error}");
            }
        }
        Ok(())
    }

    /// Has the primary stopped, and waits until it is down.
    pub(super) async fn stop_primary(&mut self) -> Result<()> {
        if self.promotion == Promotion::Done {
            return Ok(());
        }
        self.journal.stopping = true;
        self.write_journal()?;
        // It would keep a server that stops smartly from stopping.
        self.primary = None;
        let title = self.former.title();
        let conninfo = Conninfo::parse(&self.former.conninfo).unwrap_or_default();
        let call = Call::Stop {
            superuser: self.request.superuser.as_deref(),
        };
        let line = self.peer.line(&call);
        let was_down = self.resumed && matches!(ping(&conninfo, PING_LIMIT).await, Ping::NoResponse(_));
        if was_down {
            info!("{title} does not answer, it was stopped before");
        } else {
            notice!("stopping current primary {title}");
            detail!("executing \"{}\"", self.peer.for_person(&line));
            self.stop_sent = true;
            self.writable_until = Some(Instant::now());
            let connection = self.superuser.as_ref().unwrap_or(&self.local);
            write_right::announce(&self.request.config, connection).await;
        }
        let stop_limit = Action::Stop.default_limit() + CHECKPOINT_LIMIT;
        let stopping = async {
            if was_down {
                return None;
            }
            Some(self.peer.run(&line, stop_limit).await)
        };
        let mut stopping = Box::pin(stopping);
        let limit = self.request.config.shutdown_check_timeout;
        info!(
            "waiting up to {} seconds (parameter \"shutdown_check_timeout\") for {title} to shut down",
            limit.as_secs()
        );
        let mut ended: Option<(Instant, Option<_>)> = None;
        let mut last_accepting = self.writable_until;
        let mut stops_since: Option<Instant> = None;
        let outcome = loop {
            if ended.is_none() {
                tokio::select! {
                    finished = &mut stopping => ended = Some((Instant::now(), finished)),
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            } else {
                tokio::time::sleep(INTERVAL).await;
            }
            match ping(&conninfo, PING_LIMIT).await {
                Ping::Accepting => {
                    last_accepting = Some(Instant::now());
                    stops_since = None;
                }
                Ping::Rejecting => {
                    stops_since.get_or_insert_with(Instant::now);
                }
                Ping::NoResponse(_) | Ping::NoAttempt => {
                    let since = *stops_since.get_or_insert_with(Instant::now);
                    match self.peer.shutdown_state(limit.saturating_sub(since.elapsed())).await {
                        ShutdownState::Down(lsn) => break Ok(Shutdown::At(lsn)),
                        ShutdownState::Unclean => break Ok(Shutdown::Unclean),
                        ShutdownState::NotYet => {}
                    }
                }
            }
            let failed = ended.as_ref().and_then(|(since, finished)| {
                let finished = finished.as_ref()?;
                (exit_code(finished) != Some(0) && stops_since.is_none() && since.elapsed() >= FAILED_STOP_LIMIT)
                    .then(|| describe(finished))
            });
            if let Some(reason) = failed {
                break Err(
                    Error::new(ExitCode::SwitchoverFail, format!("{title} could not be stopped")).detail(reason),
                );
            }
            let since = stops_since.or(ended.as_ref().map(|(since, _)| *since));
            if since.is_some_and(|since| since.elapsed() >= limit) {
                let error = Error::new(
                    ExitCode::SwitchoverFail,
                    format!("{title} is not known to be down after {} seconds", limit.as_secs()),
                )
                .hint("see that server's log for what keeps it; \"shutdown_check_timeout\" is the limit");
                break Err(match ended.as_ref().and_then(|(_, finished)| finished.as_ref()) {
                    Some(finished) if exit_code(finished) != Some(0) => {
                        error.detail(format!("the command that stops it: {}", describe(finished)))
                    }
                    _ => error,
                });
            }
        };
        drop(stopping);
        self.writable_until = last_accepting;
        self.shutdown = outcome?;
        match self.shutdown {
            Shutdown::At(lsn) => {
                notice!("current primary has been cleanly shut down at location {lsn}");
                Ok(())
            }
            _ if self.request.force => {
                warning!("{title} was not shut down cleanly, going on because of -F/--force");
                detail!("what this node has not received is lost");
                Ok(())
            }
            _ => Err(Error::new(
                ExitCode::SwitchoverFail,
                format!("{title} was not shut down cleanly"),
            )
            .hint("see that server's log; -F/--force promotes this node nevertheless, then what it has not received is lost")),
        }
    }

    /// Starts the old primary again, unless this node may become, or is, the new one.
    pub(super) async fn start_primary_again(&mut self) {
        let touched = self.stop_sent || (self.resumed && self.journal.stopping);
        if !touched || self.promotion != Promotion::NotAsked {
            return;
        }
        write_right::withdraw(self.superuser.as_ref().unwrap_or(&self.local)).await;
        let title = self.former.title();
        notice!("putting things back: {title} is to be primary again");
        let conninfo = Conninfo::parse(&self.former.conninfo).unwrap_or_default();
        let limit = self.request.config.shutdown_check_timeout;
        let line = self.peer.start_line();
        let begin = Instant::now();
        // A server that was told to stop cannot be told not to: it is started once it is down.
        let mut accepted_since: Option<Instant> = None;
        let is_down = loop {
            match ping(&conninfo, PING_LIMIT).await {
                Ping::Accepting => {
                    let since = *accepted_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= FAILED_STOP_LIMIT {
                        break false;
                    }
                }
                Ping::Rejecting => accepted_since = None,
                Ping::NoResponse(_) | Ping::NoAttempt => {
                    accepted_since = None;
                    let left = limit.saturating_sub(begin.elapsed());
                    if self.peer.shutdown_state(left).await != ShutdownState::NotYet {
                        break true;
                    }
                }
            }
            if begin.elapsed() >= limit {
                warning!("{title} is still not down after another {} seconds", limit.as_secs());
                break true;
            }
            tokio::time::sleep(INTERVAL).await;
        };
        let started = if !is_down {
            None
        } else if let Err(error) = self.peer.reach().await {
            // The time that a server may take to start is not spent on a host that does not answer.
            Some(Err(error.to_string()))
        } else {
            detail!("executing \"{}\"", self.peer.for_person(&line));
            Some(self.peer.run(&line, Action::Start.default_limit()).await)
        };
        if self.is_primary_again().await {
            notice!("{title} is primary, as before");
            self.put_back = true;
            return;
        }
        warning!("{title} could not be made primary again: nobody can write to this cluster now");
        if let Some(started) = started {
            detail!("{}", describe(&started));
        }
        hint!("start it with: {}", self.peer.for_person(&line));
        hint!("or run this command again once it is known to be down");
    }

    async fn is_primary_again(&self) -> bool {
        let limit = self.request.config.standby_reconnect_timeout;
        let begin = Instant::now();
        let mut connection: Option<Connection> = None;
        loop {
            if connection.as_ref().is_none_or(Connection::is_closed) {
                connection = survey::connect(&self.former, Deadlines::default()).await.ok();
            }
            if let Some(connection) = &connection
                && matches!(connection.recovery_state().await, Ok(RecoveryState::Primary))
            {
                return true;
            }
            // A start command that waits has waited: what is left is a moment.
            if begin.elapsed() >= limit {
                return false;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}
