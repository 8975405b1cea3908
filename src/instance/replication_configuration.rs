//! What makes a server a standby of its upstream: `primary_conninfo` and its
//! companions in `postgresql.auto.conf`, and `standby.signal`
//! (PostgreSQL 12 and later: "Replication", "Standby Servers").

use std::collections::HashSet;
use std::path::Path;

use super::{data_directory, files};
use crate::config::{Config, grammar};
use crate::conninfo::{Conninfo, ConninfoError, quote_strictly};
use crate::error::{Error, Result};

/// A line of `postgresql.auto.conf`: name and value, the value without quotes and escapes.
pub type Setting = (String, String);

/// The parameters with which a standby connects to a registered upstream: its conninfo without what
/// only makes sense elsewhere, the standby's name, and the upstream's replication role if it is known.
///
/// # Errors
/// The upstream's connection string is not valid.
pub fn upstream_parameters(
    upstream_conninfo: &str,
    upstream_repluser: &str,
    node_name: &str,
) -> Result<Conninfo, ConninfoError> {
    let mut parameters = Conninfo::new();
    merge_upstream(&mut parameters, upstream_conninfo)?;
    parameters.set("application_name", node_name);
    if !upstream_repluser.is_empty() {
        parameters.set("user", upstream_repluser);
    }
    Ok(parameters)
}

/// Sets what an upstream's conninfo says over `parameters`, in place, without the keywords that only
/// make sense on the upstream's own host or for its own connections.
pub fn merge_upstream(parameters: &mut Conninfo, upstream_conninfo: &str) -> Result<(), ConninfoError> {
    let upstream = Conninfo::parse(upstream_conninfo)?.in_libpq_order();
    for (keyword, value) in upstream.iter() {
        if !matches!(keyword, "application_name" | "passfile" | "servicefile") {
            parameters.set(keyword, value);
        }
    }
    Ok(())
}

/// The value of `primary_conninfo`: the parameters in order, without database and replication
/// mode, with an `application_name`, and with the password and `passfile` that the configuration
/// asks for. **May hold a password.**
pub fn primary_conninfo(parameters: &Conninfo, config: &Config, environment_password: Option<&str>) -> String {
    let mut parameters = parameters.clone();
    parameters.remove("dbname");
    parameters.remove("replication");
    let name = if config.node_name.is_empty() {
        "repmgr"
    } else {
        &config.node_name
    };
    set_last_if_missing(&mut parameters, "application_name", name);
    if config.use_primary_conninfo_password
        && let Some(password) = environment_password
    {
        set_last_if_missing(&mut parameters, "password", password);
    }
    if !config.passfile.is_empty() {
        parameters.remove("passfile");
        parameters.set("passfile", &config.passfile);
    }
    parameters.render(|_, value| quote_strictly(value))
}

fn set_last_if_missing(parameters: &mut Conninfo, keyword: &str, value: &str) {
    if parameters.get(keyword).is_none() {
        parameters.remove(keyword);
        parameters.set(keyword, value);
    }
}

/// What is written for a standby with these connection parameters: `primary_conninfo` and, as far
/// as they are configured, `recovery_min_apply_delay`, `primary_slot_name`, `restore_command` and
/// `archive_cleanup_command`. The password comes from `PGPASSWORD` if the configuration asks for it.
pub fn settings(config: &Config, parameters: &Conninfo, slot_name: Option<&str>) -> Vec<Setting> {
    let password = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
    let optional = |name: &str, value: Option<&str>| {
        value
            .filter(|value| !value.is_empty())
            .map(|value| (name.to_owned(), value.to_owned()))
    };
    let conninfo = primary_conninfo(parameters, config, password.as_deref());
    let slot_name = slot_name.filter(|_| config.use_replication_slots);
    [
        optional("primary_conninfo", Some(&conninfo)),
        optional("recovery_min_apply_delay", config.recovery_min_apply_delay.as_deref()),
        optional("primary_slot_name", slot_name),
        optional("restore_command", Some(&config.restore_command)),
        optional("archive_cleanup_command", Some(&config.archive_cleanup_command)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The lines that [`write`] adds, for `--dry-run`, with passwords hidden.
pub fn preview(config: &Config, parameters: &Conninfo, slot_name: Option<&str>) -> Vec<String> {
    let shown = parameters.hidden();
    let mut lines = settings(config, &shown, slot_name);
    if let Some((_, conninfo)) = lines.first_mut() {
        *conninfo = primary_conninfo(&shown, config, Some("********"));
    }
    lines
        .iter()
        .map(|(name, value)| format!("{name} = {}", grammar::quote(value)))
        .collect()
}

/// Writes the settings into `postgresql.auto.conf` of a data directory and creates `standby.signal`.
/// Other settings in the file stay as they are; of several with one name the last, which is the one
/// that counts. The server reads it at its next start or reload.
///
/// # Errors
/// The file is not understood (and is left alone), or the system refuses.
pub fn write(data_directory: &Path, settings: &[Setting]) -> Result<()> {
    write_settings(data_directory, settings)?;
    write_standby_signal(data_directory)
}

/// The first half of [`write`]: `postgresql.auto.conf` alone.
pub fn write_settings(data_directory: &Path, settings: &[Setting]) -> Result<()> {
    rewrite(data_directory, |existing| merge(existing, settings))
}

fn rewrite(data_directory: &Path, change: impl FnOnce(Vec<Setting>) -> Vec<Setting>) -> Result<()> {
    let path = data_directory.join("postgresql.auto.conf");
    let failed = |error: std::io::Error| unable_to_write(&path, &error);
    let existing = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let existing = grammar::parse_plain(&existing).map_err(|error| {
        Error::bad_config(format!("\"{}\" cannot be understood", path.display()))
            .detail(format!("line {}: {error}", error.line))
            .hint("correct the file, or remove the line; it was left as it is")
    })?;
    let mode = data_directory::file_mode(data_directory).map_err(failed)?;
    files::replace(&path, render(&change(existing)).as_bytes(), mode).map_err(failed)
}

/// Removes settings from `postgresql.auto.conf`.
///
/// # Errors
/// As [`write`].
pub fn remove_settings(data_directory: &Path, names: &[&str]) -> Result<()> {
    let is_meant = |name: &str| names.iter().any(|meant| meant.eq_ignore_ascii_case(name));
    rewrite(data_directory, |mut settings| {
        settings.retain(|(name, _)| !is_meant(name));
        settings
    })
}

/// The second half of [`write`]: `standby.signal` alone.
pub fn write_standby_signal(data_directory: &Path) -> Result<()> {
    let path = data_directory.join("standby.signal");
    files::replace(&path, b"# created by repmgr\n", 0o600).map_err(|error| unable_to_write(&path, &error))
}

fn unable_to_write(path: &Path, error: &std::io::Error) -> Error {
    let error_line = Error::bad_config(format!("unable to write \"{}\"", path.display())).detail(error.to_string());
    match error.kind() {
        std::io::ErrorKind::StorageFull => error_line.hint("make room on that file system and run the command again"),
        std::io::ErrorKind::PermissionDenied => {
            error_line.hint("run repmgr as the system user that owns the data directory")
        }
        _ => error_line,
    }
}

/// Duplicates collapse to the last one; new settings replace old ones and go to the end.
fn merge(existing: Vec<Setting>, new: &[Setting]) -> Vec<Setting> {
    let mut seen: HashSet<String> = new.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    let mut merged: Vec<Setting> = existing
        .into_iter()
        .rev()
        .filter(|(name, _)| seen.insert(name.to_ascii_lowercase()))
        .collect();
    merged.reverse();
    merged.extend_from_slice(new);
    merged
}

fn render(settings: &[Setting]) -> String {
    let mut text =
        String::from("# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n");
    for (name, value) in settings {
        text.push_str(&format!("{name} = {}\n", grammar::quote(value)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            node_name: "node4".to_owned(),
            ..Config::default()
        }
    }

    /// Parameters as the command line gives them, one after the other.
    fn given(parameters: &[(&str, &str)]) -> Conninfo {
        let mut conninfo = Conninfo::new();
        for (keyword, value) in parameters {
            conninfo.set(keyword, value);
        }
        conninfo
    }

    /// The line as it stands in postgresql.auto.conf.
    fn line(parameters: &Conninfo, config: &Config, password: Option<&str>) -> String {
        let value = primary_conninfo(parameters, config, password);
        format!("primary_conninfo = {}", grammar::quote(&value))
    }

    #[test]
    fn a_clone_keeps_positions_and_what_only_the_command_line_has() {
        let mut parameters = given(&[("host", "source"), ("port", "77"), ("user", "someone")]);
        parameters.set("application_name", "node4");
        merge_upstream(
            &mut parameters,
            "host=node-x user=repmgr dbname=repmgr keepalives=1 sslmode=require application_name=x passfile=/x",
        )
        .unwrap();
        assert_eq!(
            line(&parameters, &config(), None),
            "primary_conninfo = 'host=''node-x'' port=77 user=repmgr application_name=node4 keepalives=1 sslmode=require'"
        );
    }

    #[test]
    fn names_and_paths_with_blanks_are_quoted_twice() {
        let config = Config {
            node_name: "node two".to_owned(),
            passfile: "/path/my pass".to_owned(),
            ..Config::default()
        };
        let parameters = upstream_parameters("user=repmgr host=n1 port=5432 dbname=repmgr", "", "node two").unwrap();
        assert_eq!(
            line(&parameters, &config, None),
            "primary_conninfo = 'user=repmgr host=n1 port=5432 application_name=''node two'' passfile=''/path/my pass'''"
        );
    }

    #[test]
    fn following_uses_the_replication_role_in_the_place_of_the_user() {
        let parameters = upstream_parameters("user=repmgr host=n1 dbname=repmgr", "repl", "node4").unwrap();
        assert_eq!(
            primary_conninfo(&parameters, &config(), None),
            "user=repl host=n1 application_name=node4"
        );
    }

    #[test]
    fn without_configuration_the_application_name_is_repmgr() {
        assert_eq!(
            primary_conninfo(&given(&[("host", "n1")]), &Config::default(), None),
            "host=n1 application_name=repmgr"
        );
    }

    #[test]
    fn passwords_are_written_if_they_are_there_or_asked_for() {
        let mut config = config();
        let with = given(&[("host", "n1"), ("password", "a'b")]);
        assert_eq!(
            primary_conninfo(&given(&[("host", "n1")]), &config, Some("x")),
            "host=n1 application_name=node4"
        );
        config.use_primary_conninfo_password = true;
        assert_eq!(
            primary_conninfo(&given(&[("host", "n1")]), &config, Some(r"it's\")),
            r"host=n1 application_name=node4 password='it\'s\\'"
        );
        assert_eq!(
            primary_conninfo(&with, &config, Some("x")),
            r"host=n1 password='a\'b' application_name=node4"
        );
        assert!(!preview(&config, &with, None).join("\n").contains("a'b"));
    }

    #[test]
    fn settings_come_in_the_original_order() {
        let config = Config {
            use_replication_slots: true,
            restore_command: "cp '/a b/%f' %p".to_owned(),
            archive_cleanup_command: "clean %r".to_owned(),
            recovery_min_apply_delay: Some("5min".to_owned()),
            ..config()
        };
        assert_eq!(
            preview(&config, &given(&[("host", "n1")]), Some("repmgr_slot_4")),
            [
                "primary_conninfo = 'host=n1 application_name=node4'",
                "recovery_min_apply_delay = '5min'",
                "primary_slot_name = 'repmgr_slot_4'",
                "restore_command = 'cp ''/a b/%f'' %p'",
                "archive_cleanup_command = 'clean %r'",
            ]
        );
    }

    #[test]
    fn other_settings_survive_the_writing_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("postgresql.auto.conf");
        std::fs::write(
            &file,
            "# comment\nwork_mem = '8MB'\nPrimary_Conninfo = 'old'\nlog_line_prefix = 'it''s \\\\ %m'\n\
             primary_slot_name = 'stale'\nwork_mem = '16MB'\nport 5555 # moved\n",
        )
        .unwrap();
        let settings = settings(&config(), &given(&[("host", "n-1")]), None);
        write(folder.path(), &settings).unwrap();
        let expected = "# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n\
             log_line_prefix = 'it''s \\\\ %m'\nprimary_slot_name = 'stale'\nwork_mem = '16MB'\nport = '5555'\n\
             primary_conninfo = 'host=''n-1'' application_name=node4'\n";
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
        assert_eq!(
            std::fs::read_to_string(folder.path().join("standby.signal")).unwrap(),
            "# created by repmgr\n"
        );
        write(folder.path(), &settings).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_not_understood_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("postgresql.auto.conf");
        std::fs::write(&file, "a = 'b'\n= what\n").unwrap();
        let error = write(folder.path(), &[]).unwrap_err();
        assert!(error.details[0].contains("line 2"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a = 'b'\n= what\n");
        assert!(!folder.path().join("standby.signal").exists());
    }

    #[test]
    fn files_are_readable_for_the_group_if_the_directory_is() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for (directory, file) in [(0o700, 0o600), (0o750, 0o640)] {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(directory)).unwrap();
            write(folder.path(), &[]).unwrap();
            let mode = |name: &str| {
                std::fs::metadata(folder.path().join(name))
                    .unwrap()
                    .permissions()
                    .mode()
                    & 0o777
            };
            assert_eq!(mode("postgresql.auto.conf"), file);
            assert_eq!(mode("standby.signal"), 0o600);
        }
    }
}
