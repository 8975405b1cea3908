//! `repmgr primary register`.

use crate::commands::Context;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;

/// Runs the verb.
pub async fn run(_context: &Context) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Internal, "\"primary register\" is not built yet"))
}
