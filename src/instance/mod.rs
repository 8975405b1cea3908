//! One server as seen from its own host: data directory, pg_control,
//! replication configuration, starting and stopping.
//!
//! Nothing here asks the server over SQL; that is `postgres`.

pub mod abandoned;
pub mod archive_status;
pub mod closed;
pub mod configuration_archive;
pub mod control_file;
pub mod data_directory;
pub mod disk_space;
pub(crate) mod files;
mod output_file;
pub mod put_aside;
pub mod replication_configuration;
pub mod rewind;
pub mod server_control;
pub mod service_command;
pub mod single_user;
pub mod vote;
pub mod wal;
pub mod wal_files;

use std::path::PathBuf;

use crate::config::Config;

/// A PostgreSQL program: in `pg_bindir`, or by its bare name, which is searched in PATH.
pub fn program(config: &Config, name: &str) -> PathBuf {
    if config.pg_bindir.as_os_str().is_empty() {
        PathBuf::from(name)
    } else {
        config.pg_bindir.join(name)
    }
}
