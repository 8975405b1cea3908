//! Configuration files that lie outside the source's data directory, which a
//! base backup therefore does not contain.
//!
//! They are fetched before the backup, which shows that they can be, and put
//! into their places after it, each as a whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access, mkdtemp};
use tokio::process::Command;

use super::{Cloning, ExternalFilesTo};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::postgres::Connection;
use crate::process::{self, ProcessError};
use crate::remote::{Host, Ssh};

/// How long fetching one file may take.
const FETCH_LIMIT: Duration = Duration::from_secs(300);
/// How long `ssh` may take to answer.
const SSH_LIMIT: Duration = Duration::from_secs(60);

/// The files, and where they are between fetching and installing.
pub(super) struct ExternalFiles {
    files: Vec<PathBuf>,
    to: ExternalFilesTo,
    host: Host,
    folder: Option<PathBuf>,
}

impl Drop for ExternalFiles {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // It holds copies only.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl ExternalFiles {
    /// What the `number`th file is called in the folder, where two may have the same name.
    fn fetched(&self, number: usize) -> PathBuf {
        self.folder.clone().unwrap_or_default().join(number.to_string())
    }

    fn target(&self, file: &Path, data_directory: &Path) -> PathBuf {
        match self.to {
            ExternalFilesTo::SamePath => file.to_owned(),
            ExternalFilesTo::DataDirectory => data_directory.join(file.file_name().unwrap_or_default()),
        }
    }
}

fn copy_error(message: String, detail: &str) -> Error {
    Error::new(ExitCode::BadRsync, message).detail(detail)
}

impl Cloning<'_> {
    pub(super) async fn check_external_files(&mut self) -> Result<()> {
        let Some(to) = self.request.external_files else {
            return Ok(());
        };
        if self.source.is_none() {
            crate::warning!("no external configuration files are copied: there is no connection to a node");
            return Ok(());
        }
        let files = self.list_external_files().await?;
        if files.is_empty() {
            crate::info!("the source has no configuration files outside its data directory");
            return Ok(());
        }
        for file in &files {
            crate::debug!("external configuration file: {}", file.display());
        }
        let host = self
            .request
            .source
            .get("host")
            .or(self.request.source.get("hostaddr"))
            .unwrap_or_default();
        let host = self.find_host(host).await?;
        let external = ExternalFiles {
            files,
            to,
            host,
            folder: None,
        };
        if to == ExternalFilesTo::SamePath && external.host != Host::Local {
            for file in &external.files {
                self.unless_forced(check_writable(file))?;
            }
        }
        self.external = Some(external);
        Ok(())
    }

    /// With `--force` a file that cannot be copied is no reason to give up.
    fn unless_forced(&self, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if self.request.force => {
                error.report();
                crate::hint!("-F/--force was given, it goes on without this file; copy it by hand");
                Ok(())
            }
            result => result,
        }
    }

    async fn list_external_files(&self) -> Result<Vec<PathBuf>> {
        let source = self.source()?;
        let unreadable = |error: crate::postgres::QueryError| {
            Error::bad_config("unable to list the source's configuration files").detail(error.to_string())
        };
        let may = source.has_role("pg_read_all_settings").await.map_err(unreadable)?
            || source.has_role("pg_monitor").await.map_err(unreadable)?;
        if may {
            return query_external_files(source).await.map_err(unreadable);
        }
        let Some(superuser) = &self.request.superuser else {
            return Err(
                Error::bad_config("the connected role may not see the source's configuration files")
                    .hint("grant it pg_read_all_settings or pg_monitor, or name a superuser with -S/--superuser"),
            );
        };
        let connection = Connection::connect(&source.conninfo().for_user(superuser), self.request.deadlines)
            .await
            .map_err(|error| {
                Error::bad_config(format!("unable to connect to the source as superuser \"{superuser}\""))
                    .detail(error.to_string())
            })?;
        query_external_files(&connection).await.map_err(unreadable)
    }

    /// This host, or one that ssh gets to.
    async fn find_host(&self, name: &str) -> Result<Host> {
        let found = async {
            let host = Host::find(name, SSH_LIMIT).await?;
            self.ssh.reach(&host, SSH_LIMIT).await.map(|()| host)
        };
        found.await.map_err(|error| {
            Error::bad_config(format!("unable to reach the source's host \"{name}\" over SSH"))
                .detail(error.to_string())
                .hint("external configuration files are copied over SSH: a key must open it without a password; see -R/--remote-user")
        })
    }

    pub(super) async fn fetch_external_files(&mut self) -> Result<()> {
        let Some(mut external) = self.external.take() else {
            return Ok(());
        };
        external.folder = Some(
            mkdtemp(&std::env::temp_dir().join("repmgr_clone.XXXXXX")).map_err(|error| {
                copy_error(
                    "no temporary directory for external configuration files".to_owned(),
                    &error.to_string(),
                )
            })?,
        );
        let external = self.external.insert(external);
        let mut results = Vec::new();
        for (number, file) in external.files.iter().enumerate() {
            let to = external.fetched(number);
            results.push(match &external.host {
                Host::Remote(name) => self.request.fetch(&self.ssh, name, file, &to).await,
                Host::Local => std::fs::copy(file, &to)
                    .map(|_| ())
                    .map_err(|error| copy_error(format!("unable to read \"{}\"", file.display()), &error.to_string())),
            });
        }
        for result in results {
            self.unless_forced(result)?;
        }
        Ok(())
    }

    pub(super) fn install_external_files(&mut self) -> Result<()> {
        let Some(external) = self.external.take() else {
            return Ok(());
        };
        for (number, file) in external.files.iter().enumerate() {
            let target = external.target(file, &self.request.data_directory);
            let from = external.fetched(number);
            if !from.exists() || (external.host == Host::Local && target == *file) {
                continue;
            }
            crate::info!(
                "copying external configuration file \"{}\" to \"{}\"",
                file.display(),
                target.display()
            );
            let installed = install(&from, &target).map_err(|error| {
                copy_error(format!("unable to write \"{}\"", target.display()), &error.to_string())
                    .hint("the data directory is complete; copy this file by hand before the standby is started")
            });
            self.unless_forced(installed)?;
        }
        Ok(())
    }
}

impl super::Request {
    /// With rsync, as the original does: its options are configured. Where it is not installed and no
    /// options ask for it, over plain SSH.
    async fn fetch(&self, ssh: &Ssh<'_>, name: &str, file: &Path, to: &Path) -> Result<()> {
        let config = &self.config;
        let mut options = if config.rsync_options.is_empty() {
            let program = format!("--rsh={}", ssh.sharing_program(&Host::Remote(name.to_owned())).await);
            vec![
                "--archive".to_owned(),
                "--checksum".to_owned(),
                "--compress".to_owned(),
                program,
            ]
        } else {
            shell_words::split(&config.rsync_options)
                .map_err(|error| copy_error("\"rsync_options\" cannot be used".to_owned(), &error.to_string()))?
        };
        // A file may be reached through a link; and its name may hold blanks, which the remote shell must not split.
        options.extend(["--copy-links", "--protect-args"].map(str::to_owned));
        let remote = format!("{}:{}", ssh.destination(name), file.display());
        let mut command = Command::new("rsync");
        command.args(options).arg(remote).arg(to);
        match process::capture(command, "rsync", FETCH_LIMIT).await {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(not_fetched(name, file, finished.stderr.trim())),
            Err(ProcessError::NotStarted { .. }) if config.rsync_options.is_empty() => {
                fetch_over_ssh(ssh, name, file, to).await
            }
            Err(error) => Err(not_fetched(name, file, &error.to_string())),
        }
    }
}

async fn fetch_over_ssh(ssh: &Ssh<'_>, name: &str, file: &Path, to: &Path) -> Result<()> {
    let command = format!("cat {}", process::shell_quote(&file.to_string_lossy()));
    let host = Host::Remote(name.to_owned());
    let fetched = ssh.run_into(&host, &command, &to.to_string_lossy(), FETCH_LIMIT).await;
    let reason = match fetched {
        Ok(finished) if finished.status.success() => return Ok(()),
        Ok(finished) => finished.stderr.trim().to_owned(),
        Err(error) => error.to_string(),
    };
    // Half a file must not be taken for the file.
    let _ = std::fs::remove_file(to);
    Err(not_fetched(name, file, &reason))
}

fn not_fetched(name: &str, file: &Path, detail: &str) -> Error {
    copy_error(format!("unable to copy \"{}\" from \"{name}\"", file.display()), detail)
}

async fn query_external_files(connection: &Connection) -> Result<Vec<PathBuf>, crate::postgres::QueryError> {
    let sql = "SELECT DISTINCT file, pg_catalog.current_setting('data_directory') FROM ( \
               SELECT sourcefile AS file FROM pg_catalog.pg_settings WHERE sourcefile IS NOT NULL \
               UNION SELECT setting FROM pg_catalog.pg_settings \
               WHERE name IN ('config_file', 'hba_file', 'ident_file')) files \
               WHERE file <> '' ORDER BY file";
    let rows = connection.query(sql, &[]).await?;
    let row = |row: &tokio_postgres::Row| (PathBuf::from(row.get::<_, String>(0)), row.get::<_, String>(1));
    Ok(rows
        .iter()
        .map(row)
        .filter(|(file, data_directory)| !file.starts_with(data_directory))
        .map(|(file, _)| file)
        .collect())
}

fn check_writable(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    access(folder, AccessFlags::W_OK).map_err(|error| {
        copy_error(
            format!("unable to write \"{}\" on this host", file.display()),
            &format!("{}: {error}", folder.display()),
        )
        .hint("create the directory for it, or use --copy-external-config-files=pgdata")
    })
}

/// Written beside and renamed; a link at that path stays a link.
fn install(from: &Path, to: &Path) -> std::io::Result<()> {
    let to = std::fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
    let mut beside = to.clone().into_os_string();
    beside.push(".repmgr-new");
    let result = std::fs::copy(from, &beside)
        .and_then(|_| std::fs::File::open(&beside)?.sync_all())
        .and_then(|()| std::fs::rename(&beside, &to));
    if result.is_err() {
        // The copy's failure is what is reported.
        let _ = std::fs::remove_file(&beside);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_installed_whole_and_links_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("new"), "new").unwrap();
        std::fs::write(path("old"), "old").unwrap();
        std::os::unix::fs::symlink(path("old"), path("link")).unwrap();
        install(&path("new"), &path("link")).unwrap();
        assert_eq!(std::fs::read_to_string(path("old")).unwrap(), "new");
        assert!(path("link").is_symlink());
        assert!(install(&path("new"), &path("no/such/folder")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
