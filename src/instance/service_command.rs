//! Configured commands that start and stop services: the server, the daemon.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::mkstemp;
use tokio::process::Command;

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is nowhere to write to, or no shell.
    #[error("it could not be started: {0}")]
    NotStarted(#[from] std::io::Error),
    /// It ended with another status than success.
    #[error("it ended with {status}; its output: {output}")]
    Ended {
        /// Exit code or signal.
        status: ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// It has not ended in this time, and is left to itself.
    #[error("it has not ended after {} seconds", .0.as_secs())]
    StillRunning(Duration),
}

/// Runs a command through `/bin/sh -c` and waits until it ends. One that has not ended at the limit is left to
/// itself: to kill it could take down the very service that it starts.
///
/// Returns the file that what it started goes on writing to, if there is such a file.
pub async fn run(command: &str, limit: Duration) -> Result<Option<PathBuf>, Failure> {
    let output = OutputFile::new()?;
    match spawn_and_wait(command, &output, limit).await? {
        Some(status) if status.success() => Ok(output.release()),
        Some(status) => Err(Failure::Ended {
            status,
            output: output.tail(),
        }),
        None => Err(Failure::StillRunning(limit)),
    }
}

async fn spawn_and_wait(command: &str, output: &OutputFile, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    // Own process group: Ctrl-C is meant for this program, not for the server it starts.
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(output.file.try_clone()?)
        .stderr(output.file.try_clone()?)
        .process_group(0)
        .spawn()?;
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(status) => status.map(Some),
        Err(_) => Ok(None),
    }
}

/// Where a command writes. A pipe would not do: the server that `pg_ctl` starts inherits it, so its
/// end would never come, and the server's log would be lost once nobody reads it.
struct OutputFile {
    path: PathBuf,
    file: File,
}

impl OutputFile {
    fn new() -> std::io::Result<OutputFile> {
        let (descriptor, path) = mkstemp(&std::env::temp_dir().join("repmgr_command.XXXXXX"))?;
        Ok(OutputFile {
            path,
            file: File::from(descriptor),
        })
    }

    /// The last lines, for a person.
    fn tail(&self) -> String {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        match lines.len() {
            0 => "none".to_owned(),
            count => lines[count.saturating_sub(5)..].join("\n"),
        }
    }

    /// The path of the file if another process goes on writing to it and it therefore stays.
    fn release(&self) -> Option<PathBuf> {
        is_open_elsewhere(&self.path).then(|| self.path.clone())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if !is_open_elsewhere(&self.path) {
            // A left-over in the temporary directory is no reason to fail.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether another process of this user has the file open (Linux: "proc(5)").
fn is_open_elsewhere(path: &Path) -> bool {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| {
            // "self" and "thread-self" are this process, too.
            let name = process.file_name();
            let name = name.to_string_lossy();
            name != own && name.bytes().all(|byte| byte.is_ascii_digit())
        })
        .filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok())
        .flatten()
        .flatten()
        .any(|descriptor| std::fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_nobody_goes_on_writing_to_is_removed() {
        let output = OutputFile::new().unwrap();
        let path = output.path.clone();
        assert!(output.release().is_none(), "only this process has it open");
        drop(output);
        assert!(!path.exists());
    }
}
