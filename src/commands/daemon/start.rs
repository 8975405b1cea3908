//! `repmgr daemon start`.

use super::{configured, patience, require_metadata, run_command, running_pid, wait_until};
use crate::commands::{Context, connecting};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::{hint, info, notice};

const PARAMETER: &str = "repmgrd_service_start_command";

/// Runs the verb: it is done when the server knows a daemon that lives.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let command = configured(&context.config.repmgrd_service_start_command, PARAMETER)?;
    let connection = connecting::local(context).await?;
    require_metadata(&connection).await?;
    if let Some(pid) = running_pid(&connection).await {
        return Err(
            Error::new(ExitCode::RepmgrdService, "the daemon of this node is already running")
                .detail(format!("its process id is {pid}")),
        );
    }
    if context.options.dry_run {
        info!("prerequisites for starting the daemon are met");
        info!("this command would be run:\n  {command}");
        return Ok(ExitCode::Success);
    }
    notice!("running: \"{command}\"");
    run_command(command, PARAMETER).await?;
    let Some(limit) = patience(context) else {
        hint!("\"repmgr service status\" shows whether the daemon runs");
        return Ok(ExitCode::Success);
    };
    // The command may have taken long; the server may have been restarted meanwhile.
    let connection = connecting::local(context).await?;
    if wait_until(limit, async || running_pid(&connection).await.is_some()).await {
        notice!("the daemon was started");
        return Ok(ExitCode::Success);
    }
    Err(Error::new(
        ExitCode::RepmgrdService,
        format!("the daemon did not appear within {} seconds", limit.as_secs()),
    )
    .detail("the command ended well, but the server knows no daemon that lives")
    .hint("see the daemon's log"))
}
