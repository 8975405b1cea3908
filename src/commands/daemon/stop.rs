//! `repmgr daemon stop`.

use std::path::Path;

use super::{configured, patience, require_metadata, run_command, running_pid, wait_until};
use crate::commands::{Context, connecting};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::postgres::{Connection, Deadlines};
use crate::{detail, hint, info, notice, process, warning};

const PARAMETER: &str = "repmgrd_service_stop_command";

/// Runs the verb: it is done when the daemon's process is gone.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let command = configured(&context.config.repmgrd_service_stop_command, PARAMETER)?;
    let pid = find_daemon(context).await?;
    if context.options.dry_run {
        info!("prerequisites for stopping the daemon are met");
        info!("this command would be run:\n  {command}");
        return Ok(ExitCode::Success);
    }
    notice!("running: \"{command}\"");
    run_command(command, PARAMETER).await?;
    let Some(limit) = patience(context) else {
        hint!("\"repmgr service status\" shows whether the daemon runs");
        return Ok(ExitCode::Success);
    };
    let Some(pid) = pid else {
        return Err(Error::new(
            ExitCode::RepmgrdService,
            "the command was run, but whether the daemon has ended is not known",
        )
        .detail("the server could not be asked for its process id, and there is no PID file that names it")
        .hint("look for a process \"repmgrd\" on this host"));
    };
    if wait_until(limit, async || !process::is_alive(pid)).await {
        notice!("the daemon was stopped");
        return Ok(ExitCode::Success);
    }
    Err(Error::new(
        ExitCode::RepmgrdService,
        format!("the daemon did not end within {} seconds", limit.as_secs()),
    )
    .detail(format!("its process id is {pid}"))
    .hint("it may be busy with a promotion; see its log"))
}

/// The daemon's process id, from the server or, if that is down, from the configured PID file; `None`: not known.
async fn find_daemon(context: &Context) -> Result<Option<i32>> {
    let conninfo = connecting::local_conninfo(context)?;
    let connection = match Connection::connect(&conninfo, Deadlines::default()).await {
        Ok(connection) => connection,
        Err(error) => {
            warning!("unable to connect to {}", connecting::local_title(context));
            detail!("{error}");
            return Ok(pid_in_file(&context.config.repmgrd_pid_file));
        }
    };
    require_metadata(&connection).await?;
    match running_pid(&connection).await {
        Some(pid) => Ok(Some(pid)),
        None => Err(Error::new(
            ExitCode::RepmgrdService,
            "the daemon of this node is not running",
        )),
    }
}

fn pid_in_file(path: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().filter(|pid| process::is_alive(*pid))
}
