//! `--data-directory-config` and `--replication-config-owner`: the configured
//! data directory is the server's, and its replication configuration belongs
//! to whom the directory belongs.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Node, Outcome};
use crate::instance::data_directory;
use crate::output::CheckStatus;

/// The role may not see a setting (PostgreSQL: "PostgreSQL Error Codes").
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What is known of the server's data directory.
enum Actual {
    /// The server says where it is.
    Told(String),
    /// The role may not see it; whether the configured directory looks like one.
    NotTold { looks_like_one: bool },
}

/// `data_directory` in repmgr.conf is the server's.
pub async fn configured(node: &Node<'_>) -> Outcome {
    let configured = &node.context.config.data_directory;
    // Much quicker than to look it up in pg_settings, which lists every setting there is.
    let sql = "SELECT pg_catalog.current_setting('data_directory')";
    let told = match node.connection.value::<String>(sql, &[]).await {
        Err(error) if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) => Ok(None),
        told => told,
    };
    let actual = match told {
        Ok(Some(actual)) => Actual::Told(actual),
        Ok(None) => {
            crate::info!("the connected role may not see the server's setting \"data_directory\"");
            crate::hint!("grant it \"pg_read_all_settings\" or \"pg_monitor\" for a complete check");
            Actual::NotTold {
                looks_like_one: data_directory::version_text(configured).is_ok(),
            }
        }
        Err(error) => return Outcome::unknown("ask the server for its data directory", error),
    };
    verdict(&configured.display().to_string(), &actual)
}

fn verdict(configured: &str, actual: &Actual) -> Outcome {
    let critical = |tail: String, nagios: String| {
        Outcome::new(CheckStatus::Critical, format!("configured \"data_directory\" {tail}")).performance(nagios)
    };
    let fine = || {
        Outcome::new(
            CheckStatus::Ok,
            format!("configured \"data_directory\" is \"{configured}\""),
        )
    };
    let outcome = match actual {
        Actual::Told(actual) if actual == configured => fine(),
        Actual::Told(actual) => {
            let second = format!("actual data directory is \"{actual}\"");
            critical(format!("is \"{configured}\"; {second}"), second)
        }
        Actual::NotTold { looks_like_one: true } => fine(),
        Actual::NotTold { looks_like_one: false } => critical(
            format!("\"{configured}\" is not a PostgreSQL data directory"),
            "this is not a PostgreSQL data directory".to_owned(),
        ),
    };
    let actual = match actual {
        Actual::Told(actual) => Some(actual.clone()),
        Actual::NotTold { .. } => None,
    };
    let status = outcome.status.as_str();
    outcome
        .nagios(configured)
        .optformat(format!("--configured-data-directory={status}"))
        .measure("configured", configured)
        .measure("actual", actual)
}

/// `postgresql.auto.conf` belongs to whom the data directory belongs. A missing file is written when it is needed.
pub fn owner(directory: &Path) -> Outcome {
    let file = directory.join("postgresql.auto.conf");
    let outcome = match (directory.metadata(), file.metadata()) {
        (Err(error), _) => Outcome::new(
            CheckStatus::Critical,
            format!(
                "the data directory \"{}\" cannot be looked at: {error}",
                directory.display()
            ),
        ),
        (Ok(directory), Ok(found)) if directory.uid() != found.uid() => Outcome::new(
            CheckStatus::Critical,
            format!(
                "\"{}\" belongs to user {}, the data directory to user {}",
                file.display(),
                found.uid(),
                directory.uid()
            ),
        ),
        (Ok(_), Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Outcome::new(
            CheckStatus::Critical,
            format!("\"{}\" cannot be looked at: {error}", file.display()),
        ),
        _ => Outcome::new(CheckStatus::Ok, "the owner is that of the data directory"),
    };
    let status = outcome.status.as_str();
    outcome.optformat(format!("--replication-config-owner={status}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(actual: Actual) -> String {
        let outcome = verdict("/data/n3", &actual);
        outcome.text_line() + &outcome.nagios_line("REPMGR_DATA_DIRECTORY") + &outcome.optformat_line()
    }

    #[test]
    fn the_server_says_which_directory_is_right() {
        insta::assert_snapshot!(lines(Actual::Told("/data/n3".to_owned())), @r#"
        OK (configured "data_directory" is "/data/n3")
        REPMGR_DATA_DIRECTORY OK: /data/n3
        --configured-data-directory=OK
        "#);
        insta::assert_snapshot!(lines(Actual::Told("/data/n2".to_owned())), @r#"
        CRITICAL (configured "data_directory" is "/data/n3"; actual data directory is "/data/n2")
        REPMGR_DATA_DIRECTORY CRITICAL: /data/n3 | actual data directory is "/data/n2"
        --configured-data-directory=CRITICAL
        "#);
    }

    #[test]
    fn without_its_word_the_directory_must_look_like_one() {
        assert!(lines(Actual::NotTold { looks_like_one: true }).starts_with("OK (configured"));
        insta::assert_snapshot!(lines(Actual::NotTold { looks_like_one: false }), @r#"
        CRITICAL (configured "data_directory" "/data/n3" is not a PostgreSQL data directory)
        REPMGR_DATA_DIRECTORY CRITICAL: /data/n3 | this is not a PostgreSQL data directory
        --configured-data-directory=CRITICAL
        "#);
    }

    #[test]
    fn a_missing_configuration_file_has_no_wrong_owner() {
        let folder = tempfile::tempdir().unwrap();
        let status = |path: &Path| owner(path).status;
        assert_eq!(status(folder.path()), CheckStatus::Ok);
        std::fs::write(folder.path().join("postgresql.auto.conf"), "").unwrap();
        assert_eq!(status(folder.path()), CheckStatus::Ok);
        assert_eq!(status(&folder.path().join("missing")), CheckStatus::Critical);
    }
}
