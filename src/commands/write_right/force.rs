//! `repmgr write-right force`.

use crate::commands::{Context, connecting, overview};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::operations::write_right::{Forcing, force};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    if options.give_up.is_empty() {
        return Err(Error::bad_config("which nodes are given up must be said").hint("--give-up=ID,ID..."));
    }
    let local = connecting::local(context).await?;
    let forcing = Forcing {
        config,
        records: overview::records(&local).await?,
        given_up: options.give_up.clone(),
        dry_run: options.dry_run,
        force: options.force,
    };
    force(&local, forcing, overview::deadlines()).await?;
    Ok(ExitCode::Success)
}
