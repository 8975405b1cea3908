//! The system's `ssh`, as it is configured.

use std::time::Duration;

use super::{Host, RemoteError};
use crate::config::Config;
use crate::process::{self, Finished, ProcessError, shell_quote};

/// ssh's own exit code for its own failures (ssh(1)): the command was not run.
const SSH_FAILED: i32 = 255;

/// How this host gets to others: one value for a whole command.
#[derive(Debug)]
pub struct Ssh<'a> {
    options: &'a str,
    user: Option<&'a str>,
}

impl<'a> Ssh<'a> {
    /// With `ssh_options`, and as the user of `--remote-user`; without one ssh decides.
    pub fn new(config: &'a Config, user: Option<&'a str>) -> Ssh<'a> {
        Ssh {
            options: &config.ssh_options,
            user,
        }
    }

    /// `ssh` with its options and without a destination, for a shell and for rsync.
    pub fn program(&self) -> String {
        // ssh_options is a piece of a command line: the shell takes it apart.
        format!("ssh -o Batchmode=yes {}", self.options)
    }

    /// `user@host`, or the host alone.
    pub fn destination(&self, host: &str) -> String {
        match self.user {
            Some(user) => format!("{user}@{host}"),
            None => host.to_owned(),
        }
    }

    /// The line with which a shell of this host runs `command` in a shell there.
    pub fn command_line(&self, host: &Host, command: &str) -> String {
        match host {
            Host::Local => command.to_owned(),
            Host::Remote(host) => format!(
                "{} {} {}",
                self.program(),
                shell_quote(&self.destination(host)),
                shell_quote(command)
            ),
        }
    }

    /// Runs `command` in a shell there, captures its output, and ends it at the deadline. Of a host that ssh
    /// does not get to, the exit code is 255 and standard error has the reason. Errors do not
    /// contain the command, which may hold a password.
    pub async fn run(&self, host: &Host, command: &str, limit: Duration) -> Result<Finished, ProcessError> {
        self.run_line(host, &self.command_line(host, command), limit).await
    }

    /// Writes the standard output of `command` to a file of this host, readable for its owner alone.
    /// What is in the file after a failure has no meaning.
    pub async fn run_into(
        &self,
        host: &Host,
        command: &str,
        file: &str,
        limit: Duration,
    ) -> Result<Finished, ProcessError> {
        let line = self.command_line(host, command);
        let line = format!("umask 077; {line} >{}", shell_quote(file));
        self.run_line(host, &line, limit).await
    }

    async fn run_line(&self, host: &Host, line: &str, limit: Duration) -> Result<Finished, ProcessError> {
        let name = match host {
            Host::Local => "/bin/sh".to_owned(),
            Host::Remote(host) => format!("ssh {}", self.destination(host)),
        };
        process::shell(line, &name, limit).await
    }

    /// Whether commands can be run there.
    ///
    /// # Errors
    /// Why not, as ssh says it.
    pub async fn reach(&self, host: &Host, limit: Duration) -> Result<(), RemoteError> {
        if *host == Host::Local {
            return Ok(());
        }
        let mut finished = self.run(host, "/bin/true", limit).await?;
        if !finished.status.success() && finished.status.code() != Some(SSH_FAILED) {
            finished = self.run(host, "/usr/bin/true", limit).await?;
        }
        if finished.status.success() {
            return Ok(());
        }
        Err(RemoteError::Refused {
            status: finished.status,
            said: finished.stderr.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &str) -> Config {
        Config {
            ssh_options: options.to_owned(),
            ..Config::default()
        }
    }

    #[test]
    fn ssh_gets_user_options_and_one_quoted_command() {
        let config = Config::default();
        let host = Host::Remote("node3".to_owned());
        let command = "repmgr -f /etc/repmgr.conf standby follow";
        assert_eq!(
            Ssh::new(&config, Some("postgres")).command_line(&host, command),
            "ssh -o Batchmode=yes -q -o ConnectTimeout=10 postgres@node3 'repmgr -f /etc/repmgr.conf standby follow'"
        );
        assert_eq!(
            Ssh::new(&config, Some("postgres")).command_line(&Host::Local, command),
            command
        );
    }

    #[tokio::test]
    async fn output_and_exit_status_of_this_host_come_back_without_ssh() {
        let config = config("not used");
        let ssh = Ssh::new(&config, None);
        ssh.reach(&Host::Local, Duration::ZERO).await.unwrap();
        let command = "echo out; echo err >&2; exit 3";
        let finished = ssh.run(&Host::Local, command, Duration::from_secs(20)).await.unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_and_its_password_stays_hidden() {
        let config = config("");
        let command = "sleep 1000; : password=secret";
        let limit = Duration::from_millis(200);
        let error = Ssh::new(&config, None)
            .run(&Host::Local, command, limit)
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn output_goes_into_a_file_of_its_owner() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it's a file");
        let config = config("");
        let finished = Ssh::new(&config, None)
            .run_into(
                &Host::Local,
                r"printf '\377\000'",
                file.to_str().unwrap(),
                Duration::from_secs(20),
            )
            .await
            .unwrap();
        assert!(finished.status.success());
        assert_eq!(std::fs::read(&file).unwrap(), [0o377, 0]);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
