//! `repmgr cluster crosscheck`.

use super::connections::{self, Kind};
use crate::commands::Context;
use crate::error::Result;
use crate::exit_code::ExitCode;

/// Runs the verb: which node can connect to which, as all of them together see it.
pub async fn run(context: &Context) -> Result<ExitCode> {
    connections::run(context, Kind::Crosscheck).await
}
