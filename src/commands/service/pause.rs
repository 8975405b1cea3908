//! `repmgr service pause` and `repmgr service unpause`.

use futures_util::future::join_all;

use crate::commands::{Context, connecting, overview};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::functions;
use crate::survey;

/// Runs `pause`, or else `unpause`: every registered node's flag is set, whether its daemon runs or not.
pub async fn run(context: &Context, pause: bool) -> Result<ExitCode> {
    let dry_run = context.options.dry_run;
    let local = connecting::local(context).await?;
    let records = overview::records(&local).await?;
    drop(local);
    let asked = join_all(records.iter().map(|record| async move {
        let connection = survey::connect(record, overview::deadlines())
            .await
            .map_err(|error| error.message)?;
        if dry_run {
            return Ok(());
        }
        functions::repmgrd_pause(&connection, pause)
            .await
            .map_err(|error| error.to_string())
    }));
    let done = if pause { "paused" } else { "unpaused" };
    let mut failures = 0;
    for (record, result) in records.iter().zip(asked.await) {
        let title = record.title();
        match result {
            Ok(()) if dry_run => crate::info!("{title} would be {done}"),
            Ok(()) => crate::notice!("{title} {done}"),
            Err(reason) => {
                failures += 1;
                crate::warning!("{title} could not be {done}");
                crate::detail!("{reason}");
            }
        }
    }
    if failures == 0 {
        return Ok(ExitCode::Success);
    }
    Err(Error::new(
        ExitCode::RepmgrdPause,
        format!("{failures} of {} nodes could not be {done}", records.len()),
    )
    .hint("\"repmgr service status\" shows which daemons are paused"))
}
