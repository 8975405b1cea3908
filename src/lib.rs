//! repmgr-oxide: `repmgr` and `repmgrd` in one executable.
//!
//! The rooms and who may know whom, top to bottom:
//!
//! ```text
//! commands, daemon
//!   operations, survey
//!     failover, write_right, returning (pure), instance, remote, events, etcd
//!       metadata
//!         postgres
//!           conninfo, config, output
//!             types, error, exit_code, log, process, placeholders, nearest, http
//! ```
//!
//! Never upwards; `commands` and `daemon` do not know each other. `failover`,
//! `write_right` and `returning` have no clock, no socket, no file and no async:
//! that is what makes it possible to simulate them.

pub mod commands;
pub mod config;
pub mod conninfo;
pub mod daemon;
pub mod error;
pub mod etcd;
pub mod events;
pub mod exit_code;
pub mod failover;
pub mod http;
pub mod instance;
pub mod log;
pub mod metadata;
pub mod nearest;
pub mod operations;
pub mod output;
pub mod placeholders;
pub mod postgres;
pub mod process;
pub mod remote;
pub mod returning;
mod rules;
pub mod survey;
pub mod types;
pub mod write_right;

pub use error::{Error, Result};

/// The version that callers of the original parse: `repmgr 5.5.0`.
pub const COMPATIBLE_VERSION: &str = "5.5.0";
/// [`COMPATIBLE_VERSION`] as a number: major * 10000 + minor * 100 + patch.
pub const COMPATIBLE_VERSION_NUMBER: u32 = 50500;
/// Our own version, shown with `--verbose`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The base name under which the program was called; `repmgr` if there is none.
pub fn program_name(arguments: &[String]) -> String {
    arguments
        .first()
        .and_then(|path| std::path::Path::new(path).file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_else(|| "repmgr".to_owned())
}
