//! `repmgr node rejoin`: makes this stopped node a standby of the running primary.

use std::path::PathBuf;

use crate::commands::Context;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::operations::rejoin::{self, Request};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let Context { options, config, .. } = context;
    let any_node = context.source.clone().filter(|source| *source != Conninfo::new());
    let request = Request {
        config: config.clone(),
        any_node: any_node
            .ok_or_else(|| Error::bad_config("a running node of the cluster must be given with -d/--dbname"))?,
        force_rewind: options.force_rewind.clone().map(|path| path.map(PathBuf::from)),
        config_files: options.config_files.clone().unwrap_or_default(),
        config_archive_dir: PathBuf::from(options.config_archive_dir.as_deref().unwrap_or(rejoin::CONFIG_ARCHIVE)),
        superuser: options.superuser.clone(),
        replication_user: options.replication_user.clone(),
        no_wait: options.no_wait,
        keep: None,
    };
    rejoin::rejoin(&request, options.dry_run).await?;
    Ok(ExitCode::Success)
}
