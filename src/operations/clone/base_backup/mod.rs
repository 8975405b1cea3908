//! pg_basebackup and pg_verifybackup (PostgreSQL: "pg_basebackup").

mod command_line;

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use command_line::{CommandLine, arguments, arguments_shown};

pub use command_line::BackupOptions;

use super::Cloning;
use super::copying::Running;
use super::progress::{Line, Output, Patience};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{data_directory, program};
use crate::process::shell_quote;

/// How long pg_basebackup may receive nothing before it is given up. On a living connection something comes every
/// second; the server sends nothing while it waits for its checkpoint, and pg_basebackup receives nothing while it
/// syncs what it wrote.
fn patience(checkpoint: Duration) -> Patience {
    let copying = Duration::from_secs(15 * 60);
    Patience {
        begin: copying + 2 * checkpoint,
        copying,
        end: 4 * copying,
    }
}

fn read_line(line: &str) -> Line<'_> {
    progress(line).map_or(Line::Other(line), |(done, total)| Line::Progress(done, total))
}

/// Bytes done and in all, from a line of `pg_basebackup --progress`.
fn progress(line: &str) -> Option<(u64, u64)> {
    let (numbers, rest) = line.trim_start().split_once(" kB (")?;
    rest.split_once("%)")?.0.trim().parse::<u32>().ok()?;
    let (done, total) = numbers.split_once('/')?;
    Some((done.parse::<u64>().ok()? << 10, total.parse::<u64>().ok()? << 10))
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
        let mut command = Command::new(program(&self.request.config, "pg_basebackup"));
        command.args(&arguments);
        if let Some(password) = self.request.source.get("password") {
            command.env("PGPASSWORD", password);
        }
        let checkpoint = self.source()?.setting_number("checkpoint_timeout").await.ok().flatten();
        let checkpoint = Duration::from_secs(checkpoint.unwrap_or(300).unsigned_abs());
        let running = Running::start(command).map_err(|error| {
            Error::new(ExitCode::BadBasebackup, "unable to start pg_basebackup")
                .detail(error.to_string())
                .hint("set pg_bindir in repmgr.conf")
        })?;
        let running = self.backup.insert(running);
        let mut output = Output::new("pg_basebackup", read_line, patience(checkpoint));
        let status = running.follow(&mut output).await;
        self.backup = None;
        let state = data_directory::state(&self.request.data_directory);
        match status {
            Ok(Some(status)) if status.success() && state == Ok(data_directory::State::PostgreSql) => Ok(()),
            Ok(Some(status)) if status.success() => Err(backup_error(
                "pg_basebackup left no PostgreSQL data directory".to_owned(),
                &output.errors,
            )),
            Ok(Some(status)) => Err(backup_error(
                format!("pg_basebackup ended with {status}"),
                &output.errors,
            )),
            Ok(None) => Err(backup_error(
                "pg_basebackup received nothing any more and was ended".to_owned(),
                &output.errors,
            )
            .hint("is the source, or the network to it, frozen?")),
            Err(error) => Err(backup_error(format!("pg_basebackup: {error}"), &output.errors)),
        }
    }

    pub(super) async fn stop_backup(&mut self) {
        if let Some(mut running) = self.backup.take() {
            running.end().await;
            crate::notice!("the copying was ended");
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
    fn progress_is_told_from_everything_else() {
        assert_eq!(
            progress("  12345/678901 kB (2%), 0/1 tablespace"),
            Some((12345 << 10, 678_901 << 10))
        );
        assert_eq!(
            progress("123/678 kB (18%), 0/2 tablespaces (/srv/data/base/16384/1259)"),
            Some((123 << 10, 678 << 10))
        );
        for line in [
            "pg_basebackup: error: 5/6 kB",
            "",
            "waiting for checkpoint",
            "a/b kB (1%)",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn a_full_disk_is_named_with_the_way_out() {
        let lines =
            ["pg_basebackup: error: could not write to file \"/d/base/1/2\": No space left on device".to_owned()];
        let error = backup_error("failed".to_owned(), &lines);
        assert!(error.hints[0].contains("make room"));
        assert_eq!(error.exit_code, ExitCode::BadBasebackup);
    }
}
