//! Starting, stopping, restarting, reloading and promoting the server on this
//! host, by the configured `service_*_command` or by `pg_ctl`.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::service_command::{self, Failure};
use super::{data_directory, program};
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

/// Where the server's configuration is: that is what `pg_ctl -D` wants.
pub fn configuration_directory(config: &Config) -> &Path {
    if config.config_directory.as_os_str().is_empty() {
        &config.data_directory
    } else {
        &config.config_directory
    }
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
    match service_command::run(&command, limit).await {
        Ok(None) => Ok(()),
        Ok(Some(path)) => {
            info!("the server writes its output to \"{}\"", path.display());
            crate::hint!("set logging_collector in postgresql.conf, or \"-l\" in pg_ctl_options");
            Ok(())
        }
        Err(failure @ Failure::StillRunning(_)) => {
            Err(failed(failure.to_string()).hint("it was not ended; look whether it still runs"))
        }
        Err(failure) => Err(failed(failure.to_string())),
    }
}

/// Stops the server, by the configured command or `pg_ctl`. One that cannot be told so, or has not ended within `limit`, is
/// sent a signal, which needs no program and no file; without a shutdown if need be (PostgreSQL: "Shutting Down the
/// Server"). Each way has as long again.
///
/// # Errors
/// [`ExitCode::LocalCommand`]: it still runs.
pub async fn stop_in_any_case(config: &Config, data_directory: &Path, limit: Duration) -> Result<()> {
    let begin = Instant::now();
    let asked = run(config, Action::Stop, data_directory, limit).await;
    let mut ways = vec![
        ("shut down", Signal::SIGINT),
        ("end without a shutdown", Signal::SIGQUIT),
    ];
    if begin.elapsed() >= limit {
        ways.remove(0);
    }
    if let Err(error) = asked
        && data_directory::running_server(data_directory)?.is_some()
    {
        crate::warning!("{}", error.message);
        error.details.iter().for_each(|line| crate::detail!("{line}"));
    }
    for (what, signal) in ways {
        let Some(pid) = data_directory::running_server(data_directory)? else {
            return Ok(());
        };
        // The file may have outlived its server, and the number may be another process's by now.
        let there = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
        if there.is_none() || there != std::fs::canonicalize(data_directory).ok() {
            break;
        }
        crate::notice!("sending {signal} to the server (process {pid}), to {what}");
        // It may have ended by now.
        let _ = kill(Pid::from_raw(pid), signal);
        let begin = Instant::now();
        while begin.elapsed() < limit {
            if data_directory::running_server(data_directory)?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    match data_directory::running_server(data_directory)? {
        None => Ok(()),
        Some(pid) => Err(Error::new(
            ExitCode::LocalCommand,
            format!("unable to stop the server in \"{}\"", data_directory.display()),
        )
        .detail(format!(
            "process {pid} lives; what has started it may have started it again"
        ))
        .hint("stop it by hand")),
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
    fn the_configuration_directory_is_preferred() {
        let mut config = Config {
            data_directory: "/data".into(),
            ..Config::default()
        };
        assert_eq!(configuration_directory(&config), Path::new("/data"));
        config.config_directory = "/etc/pg".into();
        assert_eq!(configuration_directory(&config), Path::new("/etc/pg"));
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

    #[tokio::test]
    async fn a_command_that_hangs_gives_an_error_at_its_deadline() {
        let error = start_with("exec sleep 30", Duration::from_millis(100))
            .await
            .unwrap_err();
        assert!(error.details[1].contains("not ended"), "{error}");
    }
}
