//! `repmgr node control`: stops this node's WAL receiver or lets it start
//! again, for tests of what a standby without its upstream does.

use std::time::{Duration, Instant};

use crate::commands::Context;
use crate::commands::connecting::{self, unanswered};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::operations::wal_receiver;
use crate::postgres::{Connection, QueryError};
use crate::types::RecoveryState;
use crate::{detail, info, notice};

/// How long a receiver may take to start, or to end.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let local = connecting::local(context).await?;
    let title = connecting::local_title(context);
    let superuser = local
        .is_superuser()
        .await
        .map_err(|error| unanswered(ExitCode::BadConfig, "find out what this role may do", &error))?;
    if !superuser {
        return Err(
            Error::bad_config("the role in \"conninfo\" must be a superuser to control the WAL receiver")
                .hint("only the tests of a cluster need this command"),
        );
    }
    if connecting::recovery_state(&local, &title).await? != RecoveryState::Standby {
        return Err(Error::bad_config(format!(
            "{title} is not a standby, it has no WAL receiver"
        )));
    }
    if context.options.disable_wal_receiver {
        disable(&local).await
    } else if context.options.enable_wal_receiver {
        enable(&local).await
    } else {
        // The original ends with success here, and scripts may count on it.
        Error::bad_config("nothing to do")
            .hint("use --disable-wal-receiver or --enable-wal-receiver")
            .report();
        Ok(ExitCode::Success)
    }
}

async fn disable(local: &Connection) -> Result<ExitCode> {
    wal_receiver::hold(local).await.map_err(refused)?;
    if wal_receiver::pid(local).await.map_err(refused)?.is_none() {
        return Err(Error::bad_config("no WAL receiver runs on this node")
            .detail("none will start either: wal_retrieve_retry_interval was raised by a day")
            .hint("--enable-wal-receiver takes that back"));
    }
    if !wal_receiver::end(local).await.map_err(refused)? {
        return Err(Error::bad_config("the WAL receiver could not be stopped")
            .hint("--enable-wal-receiver sets wal_retrieve_retry_interval back"));
    }
    notice!("the WAL receiver is stopped");
    Ok(ExitCode::Success)
}

async fn enable(local: &Connection) -> Result<ExitCode> {
    wal_receiver::restore(local).await.map_err(refused)?;
    info!("waiting up to {} seconds for a WAL receiver", LIMIT.as_secs());
    let begin = Instant::now();
    loop {
        if let Some(pid) = wal_receiver::pid(local).await.map_err(refused)? {
            notice!("the WAL receiver runs");
            detail!("its process id is {pid}");
            return Ok(ExitCode::Success);
        }
        if begin.elapsed() >= LIMIT {
            return Err(Error::bad_config("no WAL receiver has started").hint("see the server's log for the reason"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn refused(error: QueryError) -> Error {
    unanswered(ExitCode::BadConfig, "control the WAL receiver", &error)
}
