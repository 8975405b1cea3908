//! Configured commands that start and stop services: the server, the daemon.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::output_file::OutputFile;

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
        .stdout(output.writer()?)
        .stderr(output.writer()?)
        .process_group(0)
        .spawn()?;
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(status) => status.map(Some),
        Err(_) => Ok(None),
    }
}
