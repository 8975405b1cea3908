//! SIGHUP: the configuration is read again into new values, which take the
//! place of the old ones all or not at all. The log is opened again in any case.

use std::path::Path;

use super::peers::DEADLINES;
use super::process::reloaded_log_settings;
use crate::config::{self, Changes, Config};
use crate::conninfo::Conninfo;
use crate::log;
use crate::postgres::Connection;
use crate::types::NodeType;

/// The new configuration, or `None` if the old one stays.
pub async fn reload(current: &Config, file: &Path, node_type: NodeType) -> Option<Config> {
    let new = read(current, file, node_type).await;
    let result = match &new {
        Some(new) => log::configure(&reloaded_log_settings(new)),
        None => log::reopen(),
    };
    if let Err(error) = result {
        error.report();
    }
    new
}

async fn read(current: &Config, file: &Path, node_type: NodeType) -> Option<Config> {
    let loaded = match config::load_again(file) {
        Ok(loaded) => loaded,
        Err(error) => {
            error.report(false);
            crate::notice!("the old configuration stays in force");
            return None;
        }
    };
    let new = loaded.config;
    let mut problems = Vec::new();
    let changes = config::compare(current, &new, node_type).unwrap_or_else(|refusals| {
        problems = refusals;
        Changes::default()
    });
    if problems.is_empty() && changes.reconnect {
        problems.extend(unreachable(&new).await);
    }
    if !problems.is_empty() {
        crate::error!("the new configuration cannot be used");
        for problem in problems {
            crate::detail!("{problem}");
        }
        crate::notice!("the old configuration stays in force");
        return None;
    }
    if changes.reported.is_empty() {
        crate::info!("the configuration has not changed");
    } else {
        crate::notice!("the configuration has changed");
        for change in &changes.reported {
            crate::detail!("{change}");
        }
    }
    if !changes.unused.is_empty() {
        crate::info!("some parameters have changed that a running repmgrd does not use");
        for change in &changes.unused {
            crate::detail!("{change}");
        }
    }
    if !loaded.warnings.is_empty() {
        crate::warning!("something in the configuration is strange");
        for warning in &loaded.warnings {
            crate::detail!("{warning}");
        }
    }
    Some(new)
}

/// Why a new `conninfo` does not lead to a server, if it does not.
async fn unreachable(new: &Config) -> Option<String> {
    let conninfo = match Conninfo::parse(&new.conninfo) {
        Ok(conninfo) => conninfo,
        Err(error) => return Some(format!("\"conninfo\": {error}")),
    };
    Connection::connect(&conninfo, DEADLINES)
        .await
        .err()
        .map(|error| format!("the new \"conninfo\" does not lead to a server: {error}"))
}
