//! Life of the `repmgr` extension.

use crate::postgres::{Connection, QueryError};

/// Whether the extension is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionStatus {
    /// The server has no control file for it.
    Unavailable,
    /// It can be created.
    Available,
    /// An older version than the server's default is installed.
    OldVersionInstalled {
        /// What is installed.
        installed: String,
        /// What the server's control file offers.
        default: String,
    },
    /// It is installed.
    Installed {
        /// Its version, such as `5.3`.
        version: String,
    },
}

/// The state of the extension in the connected database.
pub async fn status(connection: &Connection) -> Result<ExtensionStatus, QueryError> {
    let sql = "SELECT a.default_version::text, e.extversion::text FROM pg_catalog.pg_available_extensions a \
               LEFT JOIN pg_catalog.pg_extension e ON e.extname = a.name WHERE a.name = 'repmgr'";
    let Some(row) = connection.query_opt(sql, &[]).await? else {
        return Ok(ExtensionStatus::Unavailable);
    };
    let default: String = row.get(0);
    let installed: Option<String> = row.get(1);
    Ok(match installed {
        None => ExtensionStatus::Available,
        Some(installed) if version_number(&default) > version_number(&installed) => {
            ExtensionStatus::OldVersionInstalled { installed, default }
        }
        Some(version) => ExtensionStatus::Installed { version },
    })
}

/// `X.Y` as a pair that orders as versions do; unknown text orders first.
pub fn version_number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
