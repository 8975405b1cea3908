//! `repmgr daemon`: the daemon of this node, started and stopped by the
//! configured service commands.

pub mod start;
pub mod stop;

use std::time::{Duration, Instant};

use crate::commands::Context;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::service_command;
use crate::metadata::{functions, means};
use crate::postgres::Connection;
use crate::{hint, info, process};

/// How long to wait for the daemon if `--wait` gives no number.
const DEFAULT_WAIT: Duration = Duration::from_secs(15);
/// How long the service command may take. Starting a daemon is quick; stopping one may wait for a promotion.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// How long to wait for the daemon; `None`: not at all.
fn patience(context: &Context) -> Option<Duration> {
    let options = &context.options;
    match options.wait {
        _ if options.no_wait => None,
        Some(Some(0)) => None,
        Some(Some(seconds)) => Some(Duration::from_secs(seconds.into())),
        Some(None) | None => Some(DEFAULT_WAIT),
    }
}

/// The configured command, which must be there.
fn configured<'a>(command: &'a str, parameter: &str) -> Result<&'a str> {
    if command.is_empty() {
        return Err(
            Error::bad_config(format!("\"{parameter}\" is not set in the configuration file")).hint(format!(
                "set \"{parameter}\", such as to a command of the service manager"
            )),
        );
    }
    Ok(command)
}

/// The server must be able to say what its daemon does.
async fn require_metadata(connection: &Connection) -> Result<()> {
    let Err(error) = means::of(connection).await else {
        return Ok(());
    };
    Err(Error::bad_config("the server does not know of daemons")
        .detail(error.to_string())
        .hint("register the node; the original's library must also stand in shared_preload_libraries, and the server be restarted"))
}

/// The process id of this node's daemon, if the server knows one and it lives.
async fn running_pid(connection: &Connection) -> Option<i32> {
    let pid = functions::repmgrd_pid(connection).await.ok().flatten()?;
    process::is_alive(pid).then_some(pid)
}

/// Runs a service command.
async fn run_command(command: &str, parameter: &str) -> Result<()> {
    crate::debug!("command is:\n  {command}");
    match service_command::run(command, COMMAND_LIMIT).await {
        Ok(None) => Ok(()),
        Ok(Some(path)) => {
            info!("the daemon writes its output to \"{}\"", path.display());
            hint!("set log_file in the configuration file");
            Ok(())
        }
        Err(failure) => Err(Error::new(
            ExitCode::RepmgrdService,
            format!("the command in \"{parameter}\" failed"),
        )
        .detail(format!("command was: {command}"))
        .detail(failure.to_string())
        .hint("run it by hand to see what is wrong")),
    }
}

/// Waits until `is_done`; whether it was in time.
async fn wait_until(limit: Duration, mut is_done: impl AsyncFnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if is_done().await {
            return true;
        }
        if begin.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(wait: Option<Option<u32>>, no_wait: bool) -> Option<u64> {
        let mut context = Context::default();
        context.options.wait = wait;
        context.options.no_wait = no_wait;
        patience(&context).map(|limit| limit.as_secs())
    }

    #[test]
    fn waiting_without_a_number_has_an_end() {
        assert_eq!(wait(None, false), Some(15));
        assert_eq!(wait(Some(None), false), Some(15));
        assert_eq!(wait(Some(Some(3)), false), Some(3));
        assert_eq!(wait(Some(Some(0)), false), None);
        assert_eq!(wait(None, true), None);
    }
}
