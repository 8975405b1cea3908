//! Copying the backup's files with rsync, which goes on where it was interrupted.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::catalogue::Barman;
use super::{Cloning, destination};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::operations::clone::copying::Running;
use crate::operations::clone::progress::{Line, Output, Patience};
use crate::process::{self, shell_quote};
use crate::remote::Host;

/// How often a copy that lost its connection is taken up again.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(5);
/// How long nothing may come from the other side.
pub(super) const SILENT: Duration = Duration::from_secs(15 * 60);

/// rsync is there.
pub(super) async fn check_rsync() -> Result<()> {
    let mut command = Command::new("rsync");
    command.arg("--version").stdin(Stdio::null());
    match process::capture(command, "rsync", Duration::from_secs(20)).await {
        Ok(finished) if finished.status.success() => Ok(()),
        Ok(finished) => Err(no_rsync(finished.stderr.trim())),
        Err(error) => Err(no_rsync(&error.to_string())),
    }
}

fn no_rsync(detail: &str) -> Error {
    Error::bad_config("\"rsync\" cannot be run")
        .detail(detail)
        .hint("install rsync: backups are copied from Barman with it")
}

/// rsync's exit codes (rsync(1), "EXIT VALUES") for a lost connection, and ssh's own.
fn connection_was_lost(code: Option<i32>) -> bool {
    matches!(code, Some(10 | 12 | 30 | 35 | 255))
}

/// rsync writes its errors behind an unfinished line of progress.
fn read_line(line: &str) -> Line<'_> {
    if let Some(at) = line.find("rsync:").or_else(|| line.find("rsync error:")) {
        return Line::Other(&line[at..]);
    }
    progress(line).map_or(Line::Other(line), |(done, total)| Line::Progress(done, total))
}

/// Bytes done and in all, from a line of `rsync --info=progress2`: `  1,234,567  12%  1.23MB/s  0:00:01 (xfr#…)`.
fn progress(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let done: String = words.next()?.chars().filter(|c| !matches!(c, ',' | '.')).collect();
    let done: u64 = done.parse().ok()?;
    let percent: u64 = words.next()?.strip_suffix('%')?.parse().ok()?;
    words.next()?.strip_suffix("B/s")?;
    let hundredfold = done.saturating_mul(100);
    let total = hundredfold.checked_div(percent).unwrap_or(hundredfold + 1);
    Some((done, total.max(done)))
}

async fn arguments(barman: &Barman<'_>, from: &str, to: &Path, options: &[String]) -> Vec<String> {
    let mut words: Vec<String> = [
        "--archive",
        "--keep-dirlinks",
        "--partial",
        "--info=progress2",
        "--protect-args",
        "--timeout=900",
    ]
    .map(str::to_owned)
    .to_vec();
    if barman.host != Host::Local {
        words.push(format!("--rsh={}", barman.ssh.sharing_program(&barman.host).await));
    }
    words.extend_from_slice(options);
    words.push(format!("{}/", barman.path(from)));
    words.push(format!("{}/", to.display()));
    words
}

impl Cloning<'_> {
    /// The data directory and the tablespaces, one after the other.
    pub(in crate::operations::clone) async fn copy_backup(&mut self) -> Result<()> {
        let from = self.barman_source()?;
        let request = self.request;
        crate::notice!(
            "copying backup {} from Barman on {}...",
            from.backup.id,
            from.barman.title()
        );
        if let Some(compression) = from.backup.info.compression {
            return self.unpack_backup(compression).await;
        }
        let folder = from.backup.folder.clone();
        let total = from.backup.info.size;
        let tablespaces = from.backup.info.tablespaces.clone();
        // Barman's links to its own folders; and what belongs to the server that was backed up.
        let mut without: Vec<String> = tablespaces
            .iter()
            .map(|tablespace| format!("--exclude=/pg_tblspc/{}", tablespace.oid))
            .collect();
        let others = [
            "/postmaster.pid",
            "/postmaster.opts",
            "/recovery.signal",
            "/pg_replslot/*",
        ];
        without.extend(others.map(|path| format!("--exclude={path}")));
        let mut parts = vec![(format!("{folder}/data"), request.data_directory.clone(), without)];
        for tablespace in &tablespaces {
            let location = tablespace.location.to_string_lossy();
            let to = destination(&location, &request.config.tablespace_mapping);
            parts.push((format!("{folder}/{}", tablespace.oid), to, Vec::new()));
        }
        let mut done = 0;
        for (from, to, options) in parts {
            done += self.copy_part(&from, &to, &options, done, total).await?;
        }
        Ok(())
    }

    /// Copies one directory, with more options of rsync; how many bytes it had.
    pub(super) async fn copy_part(
        &mut self,
        from: &str,
        to: &Path,
        options: &[String],
        done: u64,
        total: u64,
    ) -> Result<u64> {
        let words = arguments(&self.barman_source()?.barman, from, to, options).await;
        let shown: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
        crate::info!("executing:\n  rsync {}", shown.join(" "));
        let mut attempt = 1;
        loop {
            let mut command = Command::new("rsync");
            command.args(&words);
            let running = Running::start(command).map_err(|error| no_rsync(&error.to_string()))?;
            let patience = Patience {
                begin: SILENT,
                copying: SILENT,
                end: 4 * SILENT,
            };
            let mut output = Output::new("rsync", read_line, patience).part_of(done, total);
            let status = self.backup.insert(running).follow(&mut output).await;
            self.backup = None;
            let reason = match status {
                Ok(Some(status)) if status.success() => return Ok(output.done()),
                Ok(Some(status)) if attempt < ATTEMPTS && connection_was_lost(status.code()) => {
                    crate::warning!(
                        "rsync ended with {status}, it is taken up again ({attempt} of {ATTEMPTS} attempts)"
                    );
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Ok(Some(status)) => format!("rsync ended with {status}"),
                Ok(None) => "rsync received nothing any more and was ended".to_owned(),
                Err(error) => format!("rsync: {error}"),
            };
            return Err(copy_error(from, &reason, &output.errors));
        }
    }
}

pub(super) fn copy_error(from: &str, reason: &str, lines: &[String]) -> Error {
    let mut error = Error::new(
        ExitCode::BadBasebackup,
        format!("the backup could not be copied from Barman: {reason}"),
    )
    .detail(format!("it was copied from \"{from}\""));
    for line in lines.iter().rev().take(10).rev() {
        error = error.detail(line);
    }
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    if says("No space left on device") || says("Disk quota exceeded") {
        error.hint("make room on the file system of the data directory and its tablespaces, and clone again")
    } else if says("Permission denied") {
        error.hint("barman_host must be reached as the user that Barman runs as: USER@HOST")
    } else if says("command not found") || says("No such file or directory") {
        error.hint("rsync must be installed on Barman's host, too; and the backup must not be deleted meanwhile")
    } else {
        error.hint("what was copied is removed, so the clone can be run again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_everything_else() {
        let line = "     23,400,889  50%   93.20MB/s    0:00:00 (xfr#1012, to-chk=0/1060)";
        assert_eq!(progress(line), Some((23_400_889, 46_801_778)));
        assert_eq!(progress("              0   0%    0.00kB/s    0:00:00"), Some((0, 1)));
        assert_eq!(progress("100 100% 1.00B/s 0:00:00"), Some((100, 100)));
        for line in [
            "rsync: [receiver] write failed on \"/d/base/1/2\": No space left on device (28)",
            "rsync error: error in file IO (code 11) at receiver.c(380)",
            "",
            "5 files",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn an_error_behind_progress_is_an_error() {
        let error = "rsync: [receiver] write failed on \"/d/x\": No space left on device (28)";
        let line = format!("  6,383,000  20%   93.20MB/s    0:00:00 {error}");
        assert_eq!(read_line(&line), Line::Other(error));
        assert_eq!(read_line("  1,000  50%  1.00kB/s  0:00:00"), Line::Progress(1000, 2000));
    }

    #[test]
    fn a_lost_connection_is_worth_another_attempt_and_a_full_disk_is_not() {
        assert!(connection_was_lost(Some(12)) && connection_was_lost(Some(255)));
        for code in [Some(11), Some(23), None] {
            assert!(!connection_was_lost(code));
        }
        let error = copy_error("/b", "rsync ended", &["… No space left on device (28)".to_owned()]);
        assert!(error.hints[0].contains("make room"));
        assert_eq!(error.exit_code, ExitCode::BadBasebackup);
    }
}
