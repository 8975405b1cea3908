//! Life of the `repmgr` extension.

use crate::error::{Error, Result};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::{info, notice};

/// The extension's tables.
const TABLES: &str = include_str!("../../extension/sql/parts/tables.sql");

/// Whether the extension is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionStatus {
    /// The server has no control file for it.
    Unavailable,
    /// It can be created.
    Available,
    /// It is not installed, but its tables are there: registered without the library.
    TablesOnly,
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
    let sql = "SELECT (SELECT default_version::text FROM pg_catalog.pg_available_extensions WHERE name = 'repmgr'), \
               (SELECT extversion::text FROM pg_catalog.pg_extension WHERE extname = 'repmgr'), \
               pg_catalog.to_regclass('repmgr.nodes') IS NOT NULL";
    let row = connection.query_one(sql, &[]).await?;
    let (default, installed): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    Ok(match (default, installed) {
        (Some(default), Some(installed)) if version_number(&default) > version_number(&installed) => {
            ExtensionStatus::OldVersionInstalled { installed, default }
        }
        // A standby has it from its primary, even where this server's host has no files of it.
        (_, Some(version)) => ExtensionStatus::Installed { version },
        (_, None) if row.get(2) => ExtensionStatus::TablesOnly,
        (Some(_), None) => ExtensionStatus::Available,
        (None, None) => ExtensionStatus::Unavailable,
    })
}

/// `X.Y` as a pair that orders as versions do; unknown text orders first.
pub fn version_number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Makes sure that the connected database has the extension, in the version that the server offers.
///
/// Creating it takes a superuser: the connected role, or `superuser` with otherwise the same
/// parameters. A connected role that is none gets the use of schema and tables.
/// `without_library` makes do with the tables, which takes no superuser, only the right to create a schema.
/// With `dry_run` all of this is checked and nothing is created.
/// Returns whether it was created, which is the event `cluster_created`.
pub async fn ensure(
    connection: &Connection,
    superuser: Option<&str>,
    without_library: bool,
    dry_run: bool,
) -> Result<bool> {
    let found = status(connection).await.map_err(|error| {
        Error::bad_config("unable to determine the status of the \"repmgr\" extension").detail(error.to_string())
    })?;
    match found {
        ExtensionStatus::Available | ExtensionStatus::Unavailable if without_library => {
            return create_tables(connection, dry_run).await;
        }
        ExtensionStatus::TablesOnly => {
            info!("repmgr's tables are there already, without the extension");
            return Ok(false);
        }
        ExtensionStatus::Unavailable => {
            return Err(
                Error::bad_config("the \"repmgr\" extension is not installed on this server's host")
                    .hint("install the package with the extension for this PostgreSQL release")
                    .hint("where that is not possible on any node, --without-library makes do with the tables"),
            );
        }
        ExtensionStatus::OldVersionInstalled { installed, default } => {
            return Err(Error::bad_config(
                "an older version of the \"repmgr\" extension is installed in this database",
            )
            .detail(format!(
                "version {installed} is installed and version {default} is available"
            ))
            .hint("run \"ALTER EXTENSION repmgr UPDATE\" in this database as a superuser"));
        }
        ExtensionStatus::Installed { version } => {
            info!("\"repmgr\" extension is already installed, version {version}");
            return Ok(false);
        }
        ExtensionStatus::Available if dry_run => notice!("\"repmgr\" extension would be created"),
        ExtensionStatus::Available => notice!("creating the \"repmgr\" extension"),
    }

    let unknown_role = |error: QueryError| {
        Error::bad_config("unable to determine the privileges of the connected role").detail(error.to_string())
    };
    let is_superuser = connection.is_superuser().await.map_err(unknown_role)?;
    let privileged = if is_superuser {
        None
    } else {
        Some(connect_as_superuser(connection, superuser).await?)
    };
    if dry_run {
        return Ok(false);
    }
    let creator = privileged.as_ref().unwrap_or(connection);
    let role: Option<String> = connection
        .value("SELECT pg_catalog.quote_ident(current_user)", &[])
        .await
        .map_err(unknown_role)?;
    let role = role.unwrap_or_default();
    creator
        .transaction(async |creator| {
            creator.batch("CREATE EXTENSION repmgr").await?;
            if !is_superuser {
                creator
                    .batch(&format!("GRANT USAGE ON SCHEMA repmgr TO {role}"))
                    .await?;
                creator
                    .batch(&format!("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO {role}"))
                    .await?;
            }
            Ok(())
        })
        .await
        .map_err(|error| {
            Error::bad_config("unable to create the \"repmgr\" extension")
                .detail(error.to_string())
                .hint("the server's log may say more; nothing was created")
        })?;
    notice!("\"repmgr\" extension was created");
    Ok(true)
}

/// The tables of the extension, without its functions.
async fn create_tables(connection: &Connection, dry_run: bool) -> Result<bool> {
    if dry_run {
        notice!("repmgr's tables would be created, without the extension");
        return Ok(false);
    }
    connection
        .transaction(async |creator| {
            creator.batch("CREATE SCHEMA IF NOT EXISTS repmgr").await?;
            creator.batch(TABLES).await
        })
        .await
        .map_err(|error| {
            Error::bad_config("unable to create repmgr's tables")
                .detail(error.to_string())
                .hint("nothing was created; the role needs the right CREATE on the database")
        })?;
    notice!("repmgr's tables were created, without the extension");
    crate::detail!("daemons of the original cannot work with them");
    Ok(true)
}

async fn connect_as_superuser(connection: &Connection, superuser: Option<&str>) -> Result<Connection> {
    let Some(name) = superuser else {
        return Err(Error::bad_config("creating the \"repmgr\" extension takes a superuser")
            .detail("the role in \"conninfo\" is none")
            .hint("name one with -S/--superuser, or create the extension by hand"));
    };
    let mut conninfo = connection.conninfo().clone();
    conninfo.set("user", name);
    // The password is that of another role; the superuser's comes from the environment or the passfile.
    conninfo.remove("password");
    let privileged = Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| {
            Error::bad_config(format!("unable to connect as the superuser \"{name}\"")).detail(error.to_string())
        })?;
    match privileged.is_superuser().await {
        Ok(true) => Ok(privileged),
        Ok(false) => Err(Error::bad_config(format!("the role \"{name}\" is not a superuser"))
            .hint("name a superuser with -S/--superuser")),
        Err(error) => Err(
            Error::bad_config(format!("unable to determine whether \"{name}\" is a superuser"))
                .detail(error.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::version_number;

    #[test]
    fn versions_order_as_numbers() {
        assert!(version_number("5.10") > version_number("5.9"));
        assert!(version_number("5.5") > version_number("5.3"));
        assert!(version_number("unpackaged") < version_number("4.0"));
    }
}
