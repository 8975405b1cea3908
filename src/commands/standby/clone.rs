//! `repmgr standby clone`: makes this node's data directory a copy of another node's.

use crate::commands::Context;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::operations::clone::{self, ExternalFilesTo, Method, Request};
use crate::postgres::Deadlines;

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let (options, config) = (&context.options, &context.config);
    let data_directory = match &options.pgdata {
        Some(directory) if config.data_directory.as_os_str().is_empty() => directory.into(),
        _ => config.data_directory.clone(),
    };
    if data_directory.as_os_str().is_empty() {
        return Err(Error::bad_config("no data directory was given")
            .hint("set data_directory in repmgr.conf, or use -D/--pgdata"));
    }
    let data_directory = std::path::absolute(&data_directory).map_err(|error| {
        Error::bad_config(format!(
            "\"{}\" cannot be made an absolute path",
            data_directory.display()
        ))
        .detail(error.to_string())
    })?;
    let request = Request {
        method: Method::configured(config, options.without_barman),
        config: config.clone(),
        source: context.source.clone().unwrap_or_default(),
        data_directory,
        force: options.force,
        no_upstream_connection: options.no_upstream_connection,
        upstream_node_id: options.upstream_node_id,
        upstream_conninfo: options.upstream_conninfo.clone(),
        superuser: options.superuser.clone(),
        replication_user: options.replication_user.clone(),
        remote_user: options.remote_user.clone(),
        external_files: options.copy_external_config_files.as_deref().map(|place| match place {
            "samepath" => ExternalFilesTo::SamePath,
            _ => ExternalFilesTo::DataDirectory,
        }),
        fast_checkpoint: options.fast_checkpoint,
        verify_backup: options.verify_backup,
        deadlines: Deadlines::default(),
    };
    if options.replication_conf_only {
        clone::write_replication_configuration(&request, options.dry_run).await?;
        return Ok(ExitCode::Success);
    }
    clone::clone(&request, options.dry_run).await?;
    Ok(ExitCode::Success)
}
