//! Configuration files that lie outside the source's data directory, which a
//! base backup therefore does not contain.
//!
//! They are fetched before the backup, which shows that they can be, and put
//! into their places after it, each as a whole.

use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{AccessFlags, access, mkdtemp};
use tokio::process::Command;

use super::{Cloning, ExternalFilesTo};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::postgres::Connection;
use crate::process::{self, ProcessError};

/// How long fetching one file may take.
const FETCH_LIMIT: Duration = Duration::from_secs(300);
/// How long `ssh` may take to answer.
const SSH_LIMIT: Duration = Duration::from_secs(60);

/// The files, and where they are between fetching and installing.
pub(super) struct ExternalFiles {
    files: Vec<PathBuf>,
    to: ExternalFilesTo,
    /// `None`: the source's host is this host.
    host: Option<String>,
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
        let host = (!is_this_host(host).await).then(|| host.to_owned());
        if let Some(host) = &host {
            self.test_ssh(host).await?;
        }
        let external = ExternalFiles {
            files,
            to,
            host,
            folder: None,
        };
        if to == ExternalFilesTo::SamePath && external.host.is_some() {
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

    async fn test_ssh(&self, host: &str) -> Result<()> {
        let mut command = self.request.ssh(host)?;
        command.arg("true");
        let failed = |detail: String| {
            Error::bad_config(format!("unable to reach the source's host \"{host}\" over SSH"))
                .detail(detail)
                .hint("external configuration files are copied over SSH: a key must open it without a password; see -R/--remote-user")
        };
        match process::capture(command, "ssh", SSH_LIMIT).await {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(failed(format!(
                "ssh ended with {}: {}",
                finished.status,
                finished.stderr.trim()
            ))),
            Err(error) => Err(failed(error.to_string())),
        }
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
                Some(host) => self.request.fetch(host, file, &to).await,
                None => std::fs::copy(file, &to)
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
            if !from.exists() || (external.host.is_none() && target == *file) {
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
    async fn fetch(&self, host: &str, file: &Path, to: &Path) -> Result<()> {
        let config = &self.config;
        let mut options = if config.rsync_options.is_empty() {
            let ssh = format!("--rsh=ssh -o BatchMode=yes {}", config.ssh_options);
            vec![
                "--archive".to_owned(),
                "--checksum".to_owned(),
                "--compress".to_owned(),
                ssh,
            ]
        } else {
            shell_words::split(&config.rsync_options)
                .map_err(|error| copy_error("\"rsync_options\" cannot be used".to_owned(), &error.to_string()))?
        };
        // A file may be reached through a link; and its name may hold blanks, which the remote shell must not split.
        options.extend(["--copy-links", "--protect-args"].map(str::to_owned));
        let remote = match &self.remote_user {
            Some(user) => format!("{user}@{host}:{}", file.display()),
            None => format!("{host}:{}", file.display()),
        };
        let mut command = Command::new("rsync");
        command.args(options).arg(remote).arg(to);
        match process::capture(command, "rsync", FETCH_LIMIT).await {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(not_fetched(host, file, finished.stderr.trim())),
            Err(ProcessError::NotStarted { .. }) if config.rsync_options.is_empty() => {
                self.fetch_over_ssh(host, file, to).await
            }
            Err(error) => Err(not_fetched(host, file, &error.to_string())),
        }
    }

    /// The copy is readable for its owner alone.
    async fn fetch_over_ssh(&self, host: &str, file: &Path, to: &Path) -> Result<()> {
        let mut command = self.ssh(host)?;
        command.arg(format!("cat {}", process::shell_quote(&file.to_string_lossy())));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let failed = |detail: &str| not_fetched(host, file, detail);
        let output = tokio::time::timeout(FETCH_LIMIT, command.output())
            .await
            .map_err(|_| failed("ssh gave no answer in time"))?
            .map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        std::fs::write(to, &output.stdout)
            .and_then(|()| std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600)))
            .map_err(|error| failed(&error.to_string()))
    }

    /// `ssh` to a host, without its command.
    fn ssh(&self, host: &str) -> Result<Command> {
        let options = shell_words::split(&self.config.ssh_options)
            .map_err(|error| Error::bad_config(format!("\"ssh_options\" cannot be used: {error}")))?;
        let mut command = Command::new("ssh");
        command.args(["-o", "BatchMode=yes"]).args(options);
        if let Some(user) = &self.remote_user {
            command.args(["-l", user]);
        }
        command.arg(host);
        Ok(command)
    }
}

fn not_fetched(host: &str, file: &Path, detail: &str) -> Error {
    copy_error(format!("unable to copy \"{}\" from \"{host}\"", file.display()), detail)
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

/// Whether a host name, address or socket directory is of this host: an address is, if a socket can be bound to it.
async fn is_this_host(host: &str) -> bool {
    if host.is_empty() || host.starts_with('/') || host.starts_with('@') {
        return true;
    }
    let own = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    if own.is_ok_and(|own| own == host) {
        return true;
    }
    let is_local = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_local(address);
    }
    match tokio::time::timeout(Duration::from_secs(10), tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(mut addresses)) => addresses.any(|address| is_local(address.ip())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_known_by_its_addresses_and_names() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let own = nix::unistd::gethostname().unwrap().into_string().unwrap();
        for host in ["127.0.0.1", "127.0.0.7", "/var/run/postgresql", "localhost", &own] {
            assert!(runtime.block_on(is_this_host(host)), "{host}");
        }
        for host in ["192.0.2.1", "2001:db8::1"] {
            assert!(!runtime.block_on(is_this_host(host)), "{host}");
        }
    }

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
