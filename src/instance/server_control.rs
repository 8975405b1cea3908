//! Starting, stopping, restarting, reloading and promoting the server on this
//! host, by the configured `service_*_command` or by `pg_ctl`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::unistd::mkstemp;
use tokio::process::Command;

use super::program;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::info;
use crate::process::shell_quote;

/// What is to be done with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it and wait until it accepts connections.
    Start,
    /// Stop it (fast) and wait.
    Stop,
    /// Stop it (fast) without waiting.
    StopNoWait,
    /// Restart it and wait.
    Restart,
    /// Have it read its configuration again.
    Reload,
    /// Promote it.
    Promote,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop | Action::StopNoWait => "stop",
            Action::Restart => "restart",
            Action::Reload => "reload",
            Action::Promote => "promote",
        }
    }

    /// How long to wait for the command unless the caller knows better: starting and stopping may
    /// include crash recovery or a long checkpoint.
    pub fn default_limit(self) -> Duration {
        match self {
            Action::Start | Action::Stop | Action::Restart => Duration::from_secs(600),
            Action::StopNoWait | Action::Reload | Action::Promote => Duration::from_secs(60),
        }
    }
}

/// The configured command for an action, if there is one.
pub fn configured_command(config: &Config, action: Action) -> Option<&str> {
    let command = match action {
        Action::Start => &config.service_start_command,
        Action::Stop | Action::StopNoWait => &config.service_stop_command,
        Action::Restart => &config.service_restart_command,
        Action::Reload => &config.service_reload_command,
        Action::Promote => &config.service_promote_command,
    };
    Some(command.trim()).filter(|command| !command.is_empty())
}

/// The shell command for an action: the configured one, or `pg_ctl` with this data directory.
pub fn command(config: &Config, action: Action, data_directory: &Path) -> String {
    if let Some(command) = configured_command(config, action) {
        return command.to_owned();
    }
    let pg_ctl = shell_quote(&program(config, "pg_ctl").to_string_lossy());
    let options = match config.pg_ctl_options.trim() {
        "" => String::new(),
        options => format!(" {options}"),
    };
    let directory = shell_quote(&data_directory.to_string_lossy());
    match action {
        Action::Stop => format!("{pg_ctl}{options} -D {directory} -w -m fast stop"),
        Action::StopNoWait => format!("{pg_ctl}{options} -D {directory} -W -m fast stop"),
        _ => format!("{pg_ctl}{options} -w -D {directory} {}", action.verb()),
    }
}

/// Runs the command for an action and waits until it has ended, at most `limit`. At the limit the
/// command is left to itself: to kill it could take down the very server that it starts.
///
/// # Errors
/// [`ExitCode::LocalCommand`]: it could not be started, did not succeed, or has not ended; with its output.
pub async fn run(config: &Config, action: Action, data_directory: &Path, limit: Duration) -> Result<()> {
    let command = command(config, action, data_directory);
    crate::debug!("command is:\n  {command}");
    let failed = |detail: String| {
        Error::new(
            ExitCode::LocalCommand,
            format!(
                "unable to {} the server in \"{}\"",
                action.verb(),
                data_directory.display()
            ),
        )
        .detail(format!("command was: {command}"))
        .detail(detail)
    };
    let output = OutputFile::new().map_err(|error| failed(format!("no file for its output: {error}")))?;
    let status = spawn_and_wait(&command, &output, limit)
        .await
        .map_err(|error| failed(format!("it could not be started: {error}")))?;
    match status {
        Some(status) if status.success() => {
            if let Some(path) = output.release() {
                info!("the server writes its output to \"{}\"", path.display());
                crate::hint!("set logging_collector in postgresql.conf, or \"-l\" in pg_ctl_options");
            }
            Ok(())
        }
        Some(status) => Err(failed(format!("it ended with {status}; its output: {}", output.tail()))),
        None => Err(failed(format!("it has not ended after {} seconds", limit.as_secs()))
            .hint("it was not ended; look whether it still runs")),
    }
}

/// Restarts the server: with the configured restart command if there is one, else by stopping and starting.
///
/// # Errors
/// As [`run`].
pub async fn restart(config: &Config, data_directory: &Path) -> Result<()> {
    if configured_command(config, Action::Restart).is_some() {
        return run(config, Action::Restart, data_directory, Action::Restart.default_limit()).await;
    }
    run(config, Action::Stop, data_directory, Action::Stop.default_limit()).await?;
    run(config, Action::Start, data_directory, Action::Start.default_limit()).await
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
    fn pg_ctl_is_called_with_a_quoted_directory() {
        let config = Config {
            pg_bindir: "/opt/my pg/bin".into(),
            pg_ctl_options: "-t 100".to_owned(),
            ..Config::default()
        };
        let data = Path::new("/srv/it's & data");
        assert_eq!(
            command(&config, Action::Start, data),
            r"'/opt/my pg/bin/pg_ctl' -t 100 -w -D '/srv/it'\''s & data' start"
        );
        let plain = Config::default();
        let data = Path::new("/srv/data");
        assert_eq!(
            command(&plain, Action::Stop, data),
            "pg_ctl -D /srv/data -w -m fast stop"
        );
        assert_eq!(
            command(&plain, Action::StopNoWait, data),
            "pg_ctl -D /srv/data -W -m fast stop"
        );
        assert_eq!(command(&plain, Action::Promote, data), "pg_ctl -w -D /srv/data promote");
    }

    #[test]
    fn a_configured_command_wins() {
        let config = Config {
            service_reload_command: "sudo systemctl reload postgresql".to_owned(),
            ..Config::default()
        };
        assert_eq!(
            command(&config, Action::Reload, Path::new("/d")),
            "sudo systemctl reload postgresql"
        );
    }

    async fn start_with(command: &str, limit: Duration) -> Result<()> {
        let config = Config {
            service_start_command: command.to_owned(),
            ..Config::default()
        };
        run(&config, Action::Start, Path::new("/d"), limit).await
    }

    #[tokio::test]
    async fn a_failing_command_is_reported_with_its_output() {
        let error = start_with("echo first; echo the reason >&2; exit 7", Duration::from_secs(20))
            .await
            .unwrap_err();
        assert_eq!(error.exit_code, ExitCode::LocalCommand);
        assert!(error.details[1].contains("exit status: 7") && error.details[1].contains("the reason"));
    }

    #[tokio::test]
    async fn a_process_left_behind_that_keeps_the_output_open_is_not_waited_for() {
        let started = std::time::Instant::now();
        start_with("sleep 30 & echo $!", Duration::from_secs(20)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn output_that_nobody_goes_on_writing_to_is_removed() {
        let output = OutputFile::new().unwrap();
        let path = output.path.clone();
        assert!(output.release().is_none(), "only this process has it open");
        drop(output);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_command_that_hangs_gives_an_error_at_its_deadline() {
        let error = start_with("exec sleep 30", Duration::from_millis(100))
            .await
            .unwrap_err();
        assert!(error.details[1].contains("not ended"), "{error}");
    }
}
