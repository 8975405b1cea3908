//! `repmgr standby switchover`: this standby becomes the primary, and the primary a standby of it.

use crate::commands::Context;
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::operations::switchover::{self, Request};

/// Runs the verb.
pub async fn run(context: &Context) -> Result<ExitCode> {
    let (options, config) = (&context.options, &context.config);
    let request = Request {
        config: config.clone(),
        force: options.force,
        superuser: options.superuser.clone(),
        remote_user: options.remote_user.clone(),
        log_level: options.log_level.clone(),
        siblings_follow: options.siblings_follow,
        always_promote: options.always_promote,
        force_rewind: options.force_rewind.clone(),
        no_pause: options.repmgrd_no_pause,
        force_unpause: options.repmgrd_force_unpause,
    };
    switchover::switchover(&request, options.dry_run).await
}
