//! `repmgr cluster matrix`.

use super::connections::{self, Kind};
use crate::commands::Context;
use crate::error::Result;
use crate::exit_code::ExitCode;

/// Runs the verb: which node this one can connect to, and whom those can connect to in their turn.
pub async fn run(context: &Context) -> Result<ExitCode> {
    connections::run(context, Kind::Matrix).await
}
