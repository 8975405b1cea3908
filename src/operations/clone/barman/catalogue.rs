//! What Barman's own commands say: which backup, and where it lies.
//!
//! They print for people; only what has stayed the same from Barman 2.12 to 3
//! is read: the first line of `show-backup` and the lines `name: value` of
//! `show-server`.

use std::path::Path;
use std::time::Duration;

use super::backup_info::BackupInfo;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::process::{Finished, shell_quote};
use crate::remote::{Host, Ssh};

/// How long ssh may take to answer.
const SSH_LIMIT: Duration = Duration::from_secs(60);
/// How long one command of Barman may take: `show-server` also asks the server, which may be down.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// Barman on its host.
pub struct Barman<'r> {
    pub ssh: Ssh<'r>,
    pub host: Host,
    config: &'r Config,
}

/// A backup and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Such as `20260101T120000`.
    pub id: String,
    /// The folder of `data` and of one folder for each tablespace.
    pub folder: String,
    /// The WAL archive of the server.
    pub wals: Option<String>,
    /// Whether it is compressed there.
    pub compressed_wal: bool,
    /// What Barman knows about it.
    pub info: BackupInfo,
    /// How Barman connects to the server that it backs up. May hold a password.
    pub conninfo: Option<String>,
    /// Where Barman finds PostgreSQL's programs, if not in PATH.
    pub path_prefix: Option<String>,
}

/// `USER@HOST` or `HOST`.
fn split_user(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() => (Some(user), host),
        _ => (None, name),
    }
}

/// Barman's files belong to another user: then this host, too, is reached over SSH, as that user.
fn is_another_user(user: Option<&str>) -> bool {
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.is_some_and(|user| own.is_none_or(|own| own.name != user))
}

impl<'r> Barman<'r> {
    /// The host of `barman_host`, which must be reachable.
    ///
    /// # Errors
    /// [`ExitCode::Barman`].
    pub async fn reach(config: &'r Config) -> Result<Barman<'r>> {
        let (user, name) = split_user(&config.barman_host);
        let ssh = Ssh::new(config, user);
        let reached = async {
            let host = match Host::find(name, SSH_LIMIT).await? {
                Host::Local if is_another_user(user) => Host::Remote(name.to_owned()),
                host => host,
            };
            ssh.reach(&host, SSH_LIMIT).await.map(|()| host)
        };
        match reached.await {
            Ok(host) => Ok(Barman { ssh, host, config }),
            Err(error) => Err(Error::new(
                ExitCode::Barman,
                format!("unable to reach the Barman host \"{}\" over SSH", config.barman_host),
            )
            .detail(error.to_string())
            .hint("a key must open it without a password; barman_host may be USER@HOST")
            .hint("use --without-barman to clone from a node")),
        }
    }

    /// Where it is, for a person.
    pub fn title(&self) -> String {
        match &self.host {
            Host::Local => "this host".to_owned(),
            Host::Remote(_) => format!("\"{}\"", self.config.barman_host),
        }
    }

    /// The path of something on that host, as rsync takes it.
    pub fn path(&self, path: &str) -> String {
        match &self.host {
            Host::Local => path.to_owned(),
            Host::Remote(host) if host.contains(':') => {
                format!("{}:{path}", self.ssh.destination(&format!("[{host}]")))
            }
            Host::Remote(host) => format!("{}:{path}", self.ssh.destination(host)),
        }
    }

    /// Runs a command in a shell there.
    pub async fn shell(&self, command: &str, name: &str) -> Result<Finished> {
        let failed = |detail: String| {
            Error::new(
                ExitCode::Barman,
                format!("unable to run \"{name}\" on {}", self.title()),
            )
            .detail(detail)
        };
        let finished = self.ssh.run_quietly(&self.host, command, COMMAND_LIMIT).await;
        let finished = finished.map_err(|error| failed(error.to_string()))?;
        if finished.status.code() == Some(255) && self.host != Host::Local {
            return Err(failed(finished.stderr.trim().to_owned()).hint("check that ssh gets to that host"));
        }
        Ok(finished)
    }

    /// The line for a shell there that runs `barman` with its configuration.
    fn line(&self, words: &[&str]) -> String {
        let mut line = "barman".to_owned();
        if !self.config.barman_config.is_empty() {
            line.push_str(&format!(
                " {}",
                shell_quote(&format!("--config={}", self.config.barman_config))
            ));
        }
        for word in words {
            line.push(' ');
            line.push_str(&shell_quote(word));
        }
        line
    }

    /// Runs `barman` with its configuration and writes what it prints to a file of this host.
    pub async fn command_into(&self, words: &[&str], file: &Path) -> Result<()> {
        let line = self.line(words);
        crate::debug!("on {}: {line}", self.title());
        let ran = self
            .ssh
            .run_into(&self.host, &line, &file.to_string_lossy(), COMMAND_LIMIT)
            .await;
        let reason = match ran {
            Ok(finished) if finished.status.success() => return Ok(()),
            Ok(finished) => format!("it ended with {}: {}", finished.status, finished.stderr.trim()),
            Err(error) => error.to_string(),
        };
        Err(
            Error::new(ExitCode::Barman, format!("\"{line}\" on {} failed", self.title()))
                .detail(reason)
                .hint("set restore_command in repmgr.conf: the standby can then fetch WAL from Barman"),
        )
    }

    /// Runs `barman` with its configuration; what it printed.
    pub async fn command(&self, words: &[&str]) -> Result<String> {
        let line = self.line(words);
        crate::debug!("on {}: {line}", self.title());
        let finished = self.shell(&line, &line).await?;
        if finished.status.success() {
            return Ok(finished.stdout);
        }
        let mut error = Error::new(
            ExitCode::Barman,
            format!("\"{line}\" on {} ended with {}", self.title(), finished.status),
        );
        // Barman writes its errors to either of the two.
        let said = if finished.stderr.trim().is_empty() {
            &finished.stdout
        } else {
            &finished.stderr
        };
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        for said in lines.iter().rev().take(5).rev() {
            error = error.detail(*said);
        }
        if self.host == Host::Local && !self.config.barman_host.contains('@') {
            error = error.hint("if Barman runs as another user of this host, set barman_host to USER@HOST");
        }
        Err(match finished.status.code() {
            Some(127) => {
                error.hint("install barman there, and put it into the PATH of shells that are not interactive")
            }
            _ => error
                .hint("check barman_server and barman_config in repmgr.conf, and \"barman list-backups\" there")
                .hint("use --without-barman to clone from a node"),
        })
    }

    /// The latest backup of `barman_server`.
    ///
    /// # Errors
    /// [`ExitCode::Barman`] if Barman fails or has none, [`ExitCode::Internal`] if its answer is not understood.
    pub async fn latest_backup(&self) -> Result<Backup> {
        let server = &self.config.barman_server;
        let shown = self.command(&["show-backup", server, "latest"]).await?;
        let id = backup_id(&shown).ok_or_else(|| misunderstood("show-backup", "no line \"Backup ID:\"", &shown))?;
        let shown = self.command(&["show-server", server]).await?;
        let folder = property(&shown, "basebackups_directory")
            .ok_or_else(|| misunderstood("show-server", "no \"basebackups_directory\"", &shown))?;
        let folder = format!("{}/{id}", folder.trim_end_matches('/'));
        let info = self
            .backup_info(&folder, property(&shown, "meta_directory"), id)
            .await?;
        Ok(Backup {
            id: id.to_owned(),
            folder,
            wals: property(&shown, "wals_directory").map(str::to_owned),
            compressed_wal: property(&shown, "compression").is_some(),
            info,
            conninfo: property(&shown, "conninfo").map(str::to_owned),
            path_prefix: property(&shown, "path_prefix").map(str::to_owned),
        })
    }

    /// Newer versions keep it apart from the backup.
    async fn backup_info(&self, folder: &str, meta: Option<&str>, id: &str) -> Result<BackupInfo> {
        let mut places = vec![format!("{folder}/backup.info")];
        if let Some(meta) = meta {
            places.insert(0, format!("{meta}/{id}-backup.info"));
        }
        let words: Vec<String> = places
            .iter()
            .map(|place| format!("cat {}", shell_quote(place)))
            .collect();
        let finished = self.shell(&words.join(" 2>/dev/null || "), "cat backup.info").await?;
        let unreadable = |detail: &str| {
            Error::new(
                ExitCode::Internal,
                format!("unable to read backup.info of Barman's backup {id}"),
            )
            .detail(detail)
            .detail(format!("the file is \"{}\" on {}", places[0], self.title()))
        };
        if !finished.status.success() {
            return Err(unreadable(finished.stderr.trim())
                .hint("barman_host must be reached as the user that Barman runs as: USER@HOST"));
        }
        BackupInfo::parse(&finished.stdout).map_err(|reason| unreadable(&reason))
    }
}

fn misunderstood(command: &str, what: &str, said: &str) -> Error {
    let mut error = Error::new(
        ExitCode::Internal,
        format!("the answer of \"barman {command}\" is not understood: it has {what}"),
    );
    for line in said.lines().take(3) {
        error = error.detail(line);
    }
    error.hint("Barman 2.12 and newer are known")
}

/// `Backup 20260101T120000:`
fn backup_id(shown: &str) -> Option<&str> {
    let id = |line: &'_ str| -> Option<std::ops::Range<usize>> {
        let name = line.strip_prefix("Backup ")?.trim_end().strip_suffix(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!name.is_empty() && name.chars().all(plain)).then(|| 7..7 + name.len())
    };
    shown.lines().find_map(|line| id(line).map(|range| &line[range]))
}

/// The value of a line `<tab>name: value`; of one that is not set, nothing.
fn property<'a>(shown: &'a str, name: &str) -> Option<&'a str> {
    shown
        .lines()
        .filter_map(|line| line.strip_prefix('\t')?.split_once(':'))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty() && *value != "None")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_backup_is_found_below_a_banner() {
        let shown =
            "Welcome to backup1\nBackup policy: daily\nBackup 20261121T143516:\n  Server Name            : main\n";
        assert_eq!(backup_id(shown), Some("20261121T143516"));
        assert_eq!(backup_id("Backup ../../etc:\n"), None);
        assert_eq!(backup_id("No backups\n"), None);
    }

    #[test]
    fn properties_that_are_not_set_are_none() {
        let shown = "Server main:\n\tconninfo: host=n1 options='-c a:b'\n\tpath_prefix: None\n\tactive: True\n";
        assert_eq!(property(shown, "conninfo"), Some("host=n1 options='-c a:b'"));
        assert_eq!(property(shown, "path_prefix"), None);
        assert_eq!(property(shown, "wals_directory"), None);
    }

    #[test]
    fn the_host_may_name_barman_s_user() {
        assert_eq!(split_user("barman@backup1"), (Some("barman"), "backup1"));
        assert_eq!(split_user("backup1"), (None, "backup1"));
        assert!(is_another_user(Some("no such user")));
        assert!(!is_another_user(None));
    }
}
