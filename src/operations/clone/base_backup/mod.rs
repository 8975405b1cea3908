//! pg_basebackup and pg_verifybackup (PostgreSQL: "pg_basebackup").

mod command_line;
mod progress;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use command_line::{CommandLine, arguments, arguments_shown};
use progress::Output;

pub use command_line::BackupOptions;

use super::Cloning;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{data_directory, program};
use crate::process::shell_quote;

/// A pg_basebackup at work. It has a process group of its own: Ctrl-C is for us to act on.
pub(super) struct Running {
    child: Child,
    group: Option<i32>,
}

impl Running {
    fn start(program: PathBuf, arguments: &[String], password: Option<&str>) -> std::io::Result<Running> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Running { child, group })
    }

    /// Ends it with its descendants, and waits until they are gone and write no more.
    async fn end(&mut self) {
        let Some(group) = self.group.map(Pid::from_raw) else {
            return;
        };
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
        // A process that waits for a dead disk cannot be ended; that must not hold us up.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while killpg(group, None).is_ok() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Cloning<'_> {
    /// The user for pg_basebackup and the walsender check.
    pub(super) fn replication_user(&self) -> Option<&str> {
        let upstream = self.upstream.as_ref().map(|node| node.repluser.as_str());
        self.request
            .replication_user
            .as_deref()
            .or(upstream.filter(|user| !user.is_empty()))
    }

    /// Arguments, and the line that a person could type, without passwords.
    pub(super) fn base_backup_command(&self) -> (Vec<String>, String) {
        let request = self.request;
        let own = request.config.replication_user.as_str();
        let slot = request.config.use_replication_slots.then(|| request.slot_name());
        let command_line = CommandLine {
            data_directory: &request.data_directory.to_string_lossy(),
            source: &request.source,
            user: self.replication_user().or(Some(own).filter(|user| !user.is_empty())),
            fast_checkpoint: request.fast_checkpoint,
            mappings: &request.config.tablespace_mapping,
            slot: slot.as_deref(),
            options: &self.options,
        };
        let program = program(&request.config, "pg_basebackup");
        let words = std::iter::once(program.to_string_lossy().into_owned()).chain(arguments_shown(&command_line));
        let line = words.map(|word| shell_quote(&word)).collect::<Vec<_>>().join(" ");
        (arguments(&command_line), line)
    }

    pub(super) async fn back_up(&mut self) -> Result<()> {
        crate::notice!("starting backup (using pg_basebackup)...");
        self.hint_checkpoint();
        let (arguments, line) = self.base_backup_command();
        crate::info!("executing:\n  {line}");
        let program = program(&self.request.config, "pg_basebackup");
        let password = self.request.source.get("password");
        let running = Running::start(program, &arguments, password).map_err(|error| {
            Error::new(ExitCode::BadBasebackup, "unable to start pg_basebackup")
                .detail(error.to_string())
                .hint("set pg_bindir in repmgr.conf")
        })?;
        let running = self.backup.insert(running);
        let mut output = Output::new();
        output.follow(running.child.stderr.take()).await;
        let status = running.child.wait().await;
        self.backup = None;
        let state = data_directory::state(&self.request.data_directory);
        match status {
            Ok(status) if status.success() && state == Ok(data_directory::State::PostgreSql) => Ok(()),
            Ok(status) if status.success() => Err(backup_error(
                "pg_basebackup left no PostgreSQL data directory".to_owned(),
                &output.errors,
            )),
            Ok(status) => Err(backup_error(
                format!("pg_basebackup ended with {status}"),
                &output.errors,
            )),
            Err(error) => Err(backup_error(format!("pg_basebackup: {error}"), &output.errors)),
        }
    }

    pub(super) async fn stop_backup(&mut self) {
        if let Some(mut running) = self.backup.take() {
            running.end().await;
            crate::notice!("pg_basebackup was ended");
        }
    }

    /// Without a limit: it reads the whole backup. An interruption ends it.
    pub(super) async fn verify(&mut self) -> Result<()> {
        if !self.request.verify_backup {
            return Ok(());
        }
        let path = &self.request.data_directory;
        let program = program(&self.request.config, "pg_verifybackup");
        crate::info!("verifying the backup in \"{}\"", path.display());
        let finished = Command::new(&program)
            .arg(path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| {
                Error::bad_config(format!("unable to run \"{}\"", program.display())).detail(error.to_string())
            })?;
        if finished.status.success() {
            crate::notice!("pg_verifybackup found the backup to be intact");
            return Ok(());
        }
        let text = String::from_utf8_lossy(&finished.stderr).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Err(backup_error("the backup is not intact".to_owned(), &lines))
    }
}

/// What pg_basebackup said, with the way out where the reason is known.
fn backup_error(message: String, lines: &[String]) -> Error {
    let mut error = Error::new(ExitCode::BadBasebackup, message);
    for line in lines.iter().rev().take(10).rev() {
        error = error.detail(line);
    }
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    if says("No space left on device") || says("Disk quota exceeded") {
        error = error.hint("make room on the file system of the data directory and its tablespaces, and clone again");
    } else if says("no pg_hba.conf entry") {
        error = error.hint("allow replication connections from this host in the source's pg_hba.conf");
    } else if says("password authentication failed") || says("no password supplied") {
        error = error.hint("put the replication role's password into the password file, database \"replication\"");
    } else {
        error =
            error.hint("the log of the source may say more; what was copied is removed, so the clone can be run again");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_with_the_way_out() {
        let lines =
            ["pg_basebackup: error: could not write to file \"/d/base/1/2\": No space left on device".to_owned()];
        let error = backup_error("failed".to_owned(), &lines);
        assert!(error.hints[0].contains("make room"));
        assert_eq!(error.exit_code, ExitCode::BadBasebackup);
    }
}
