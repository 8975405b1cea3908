//! The verbs of `repmgr`: one folder a noun, one file a verb.

pub mod connecting;
mod options;
pub mod primary;
pub mod records;
pub mod standby;

use std::path::PathBuf;

pub use options::{ColumnFormat, Options};

use crate::config::Config;
use crate::exit_code::ExitCode;

/// What a verb gets: the options, the configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Context {
    /// The command line.
    pub options: Options,
    /// The configuration; defaults if there is no file.
    pub config: Config,
    /// The absolute path of repmgr.conf, if one was found.
    pub config_file: Option<PathBuf>,
}

/// The program `repmgr`.
pub fn main(_arguments: &[String]) -> ExitCode {
    ExitCode::BadConfig
}
