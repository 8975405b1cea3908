//! Stopping this node's WAL receiver for a time: during an election
//! (`standby_disconnect_on_failover`), so that all nodes compare positions
//! that no longer move, and for tests (`node control`).

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use crate::metadata::functions;
use crate::postgres::{Connection, QueryError};

/// What is added to `wal_retrieve_retry_interval`, in milliseconds: a day, so that no new receiver starts meanwhile.
const A_DAY: i64 = 86_400_000;
const SETTING: &str = "wal_retrieve_retry_interval";

/// Stops the WAL receiver and keeps it stopped; whether that worked. Needs a superuser: the
/// receiver is ended by a signal, and the setting belongs to the server.
pub async fn stop(local: &Connection) -> bool {
    match try_stop(local).await {
        Ok(stopped) => stopped,
        Err(error) => {
            crate::warning!("could not stop the WAL receiver: {error}");
            false
        }
    }
}

async fn try_stop(local: &Connection) -> Result<bool, QueryError> {
    if !local.is_superuser().await? {
        crate::warning!(
            "standby_disconnect_on_failover needs a superuser in conninfo; the WAL receiver is not stopped"
        );
        return Ok(false);
    }
    hold(local).await?;
    end(local).await
}

/// Keeps a WAL receiver that ends from being started again. Needs a superuser.
pub async fn hold(local: &Connection) -> Result<(), QueryError> {
    let interval = local.setting_number(SETTING).await?.unwrap_or(0);
    if interval < A_DAY {
        set_interval(local, interval + A_DAY).await?;
        wait_for_setting(local, A_DAY).await?;
    }
    Ok(())
}

/// Ends the WAL receiver, which is held; whether none runs any more.
pub async fn end(local: &Connection) -> Result<bool, QueryError> {
    // A receiver that was just starting may come up once more.
    for _ in 0..2 {
        let Some(pid) = pid(local).await? else {
            return Ok(true);
        };
        if let Err(error) = kill(pid, Signal::SIGTERM) {
            crate::warning!("could not end the WAL receiver (PID {pid}): {error}");
            return Ok(false);
        }
        for _ in 0..300 {
            if kill(pid, None).is_err() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        sleep(Duration::from_secs(1)).await;
    }
    Ok(functions::wal_receiver_pid(local).await? == Some(0))
}

/// The WAL receiver's process, if one runs.
pub async fn pid(local: &Connection) -> Result<Option<Pid>, QueryError> {
    let pid = functions::wal_receiver_pid(local).await?;
    Ok(pid.filter(|pid| *pid > 0).map(Pid::from_raw))
}

async fn wait_for_setting(local: &Connection, at_least: i64) -> Result<(), QueryError> {
    for _ in 0..50 {
        if local.setting_number(SETTING).await?.unwrap_or(0) >= at_least {
            // The startup process reads its configuration a moment after this session.
            sleep(Duration::from_millis(200)).await;
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Lets the WAL receiver start again. Nothing is done if it is not being held.
pub async fn restore(local: &Connection) -> Result<(), QueryError> {
    let interval = local.setting_number(SETTING).await?.unwrap_or(0);
    if interval < A_DAY || !local.is_superuser().await? {
        return Ok(());
    }
    crate::notice!("the WAL receiver may start again");
    crate::detail!("{SETTING} is set back to {} ms", interval - A_DAY);
    set_interval(local, interval - A_DAY).await
}

async fn set_interval(local: &Connection, milliseconds: i64) -> Result<(), QueryError> {
    local
        .batch(&format!("ALTER SYSTEM SET {SETTING} = {milliseconds}"))
        .await?;
    local.batch("SELECT pg_catalog.pg_reload_conf()").await
}
