//! Commands on other hosts, whatever the way there.

use std::collections::HashMap;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::channel::{JobError, Output};
use super::choice::{Choice, choose};
use super::connection::ConnectError;
use super::effective::{Effective, NoAnswer};
use super::session::Link;
use super::system::{OpenError, System};
use super::{Host, RemoteError, SSH_FAILED, without_ssh};
use crate::config::Config;
use crate::process::{self, Finished, ProcessError, shell_quote};
use crate::verbose;

/// How long a connection for other programs may take.
const SHARING_LIMIT: Duration = Duration::from_secs(30);
/// What the service of a session may take to notice a deadline, before it is not waited for.
const NOTICE_MARGIN: Duration = Duration::from_secs(2);

/// How this host gets to others: one value for a whole command. The first command for a host opens a connection,
/// which serves all others, also at the same time, until the value is dropped.
#[derive(Debug)]
pub struct Ssh<'a> {
    options: &'a str,
    user: Option<&'a str>,
    reach_timeout: Option<Duration>,
    ways: Mutex<HashMap<String, Arc<OnceCell<Way>>>>,
    plain: OnceCell<Result<Effective, NoAnswer>>,
    /// For other programs, beside the sessions of the library.
    shared: Mutex<HashMap<String, Arc<OnceCell<System>>>>,
}

/// How commands get to one host.
#[derive(Debug)]
enum Way {
    Library(Link),
    System(System),
    /// Not at all, for this reason.
    None(String),
    /// There was no connection in time.
    TimedOut,
}

impl<'a> Ssh<'a> {
    /// With `ssh_options`, and as the user of `--remote-user`; without one ssh decides.
    pub fn new(config: &'a Config, user: Option<&'a str>) -> Ssh<'a> {
        Ssh {
            options: &config.ssh_options,
            user,
            reach_timeout: None,
            ways: Mutex::default(),
            plain: OnceCell::new(),
            shared: Mutex::default(),
        }
    }

    /// Gives up on hosts that do not accept a connection within `limit`, unless somebody wrote `ssh_options`: then
    /// those say how long it may take. Holds for libssh2; the system's ssh has no limit for the connection alone.
    pub fn reaching_within(mut self, limit: Option<Duration>) -> Ssh<'a> {
        if self.options == Config::default().ssh_options {
            self.reach_timeout = limit;
        }
        self
    }

    /// `ssh` with its options and without a destination, for a shell and for rsync.
    pub fn program(&self) -> String {
        // ssh_options is a piece of a command line: the shell takes it apart.
        format!("ssh -o Batchmode=yes {}", self.options)
    }

    /// The same for a host to which other programs get several times: all of them share one connection, which is
    /// opened at the first time and lives as long as this value. Where there is none, each makes its own.
    pub async fn sharing_program(&self, host: &Host) -> String {
        let Host::Remote(host) = host else {
            return self.program();
        };
        let way = self.locked().get(host).cloned();
        if let Some(Way::System(system)) = way.as_ref().and_then(|way| way.get()) {
            return system.program();
        }
        let shared = Arc::clone(
            self.shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(host.clone())
                .or_default(),
        );
        let open = async || {
            let plain = || System::plain(self.program(), self.destination(host));
            match self.choose(host).await {
                Choice::System { shares: true, .. } => plain(),
                _ => {
                    let deadline = Instant::now() + SHARING_LIMIT;
                    let opened = System::shared(self.program(), self.destination(host), deadline).await;
                    opened.unwrap_or_else(|_| plain())
                }
            }
        };
        shared.get_or_init(open).await.program()
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
            Host::Remote(host) => System::plain(self.program(), self.destination(host)).line(command),
        }
    }

    /// Runs `command` in a shell there, captures its output, and stops waiting for it at the deadline: then its
    /// channel is closed, and what it does over there is not known. Of a host that ssh does not get to, the exit
    /// code is 255 and standard error has the reason. Errors do not contain the command, which may hold a password.
    pub async fn run(&self, host: &Host, command: &str, limit: Duration) -> Result<Finished, ProcessError> {
        match host {
            Host::Local => process::shell(command, "/bin/sh", limit).await,
            Host::Remote(host) => self.run_there(host, command, None, limit).await,
        }
    }

    /// As [`Ssh::run`], but without what the shell there says before the command, as some do at login.
    pub async fn run_quietly(&self, host: &Host, command: &str, limit: Duration) -> Result<Finished, ProcessError> {
        let marker = format!("repmgr-{}-{}", std::process::id(), self.options.len());
        // Every shell understands this, also those that are not like sh.
        let mut finished = self.run(host, &format!("echo {marker}; {command}"), limit).await?;
        if let Some((_, output)) = finished.stdout.split_once(&format!("{marker}\n")) {
            finished.stdout = output.to_owned();
        }
        Ok(finished)
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
        match host {
            Host::Local => {
                let line = format!("umask 077; {command} >{}", shell_quote(file));
                process::shell(&line, "/bin/sh", limit).await
            }
            Host::Remote(host) => self.run_there(host, command, Some(file), limit).await,
        }
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

    async fn run_there(
        &self,
        host: &str,
        command: &str,
        file: Option<&str>,
        limit: Duration,
    ) -> Result<Finished, ProcessError> {
        let deadline = Instant::now() + limit;
        let timed_out = || ProcessError::TimedOut {
            program: format!("ssh {}", self.destination(host)),
            limit,
        };
        let attempts = async {
            let mut again = true;
            loop {
                let way = self.way(host, deadline).await;
                let link = match way.get() {
                    Some(Way::Library(link)) => link,
                    Some(Way::System(system)) => return system.run(command, file, deadline).await,
                    Some(Way::None(reason)) => {
                        self.forget(host, &way);
                        return Ok(failed(reason));
                    }
                    Some(Way::TimedOut) | None => {
                        self.forget(host, &way);
                        return Err(timed_out());
                    }
                };
                let io = |source| ProcessError::Io {
                    program: format!("ssh {}", self.destination(host)),
                    source,
                };
                match link.run(command, output(file).map_err(io)?, deadline).await {
                    Ok(finished) => return Ok(finished),
                    Err(JobError::TimedOut) => return Err(timed_out()),
                    Err(JobError::Io(error)) => return Err(io(error)),
                    Err(JobError::NotStarted(reason)) => {
                        // A session that was idle may have been ended by the host.
                        self.forget(host, &way);
                        if !std::mem::take(&mut again) {
                            return Ok(failed(&format!("{host}: {reason}")));
                        }
                    }
                    Err(JobError::Lost(reason)) => {
                        self.forget(host, &way);
                        return Ok(failed(&format!("the connection to {host} was lost: {reason}")));
                    }
                }
            }
        };
        let guarded = tokio::time::timeout(limit.saturating_add(NOTICE_MARGIN), attempts);
        guarded.await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// The way to a host; those who come while it is being made wait for the same.
    async fn way(&self, host: &str, deadline: Instant) -> Arc<OnceCell<Way>> {
        let way = Arc::clone(self.locked().entry(host.to_owned()).or_default());
        let limit = deadline.saturating_duration_since(Instant::now());
        let made = way.get_or_init(|| self.make_way(host, deadline));
        // Without a way at the deadline the cell stays empty.
        let _ = tokio::time::timeout(limit, made).await;
        way
    }

    /// The next one tries anew.
    fn forget(&self, host: &str, way: &Arc<OnceCell<Way>>) {
        let mut ways = self.locked();
        if ways.get(host).is_some_and(|current| Arc::ptr_eq(current, way)) {
            ways.remove(host);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<OnceCell<Way>>>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_way(&self, host: &str, deadline: Instant) -> Way {
        let mut settings = match self.choose(host).await {
            Choice::Library(settings) => settings,
            Choice::System { reason, shares } => return self.system(host, &reason, shares, deadline).await,
        };
        settings.reach_timeout = self.reach_timeout;
        match Link::open(*settings, deadline).await {
            Ok(link) => {
                verbose!(Info, "{host} is reached with libssh2, with {}", link.key);
                Way::Library(link)
            }
            Err(ConnectError::Unable(reason)) => {
                let reason = format!("libssh2 could not: {reason}");
                self.system(host, &reason, false, deadline).await
            }
            Err(ConnectError::Unreachable(reason) | ConnectError::HostKey(reason)) => {
                verbose!(Info, "{host} is not reached with libssh2: {reason}");
                Way::None(reason)
            }
        }
    }

    async fn choose(&self, host: &str) -> Choice {
        let destination = self.destination(host);
        let (asked, plain) = tokio::join!(
            Effective::ask(self.options, &destination),
            self.plain.get_or_init(Effective::ask_plain)
        );
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let Some(user) = user else {
            let reason = "the running user has no entry in the user database".to_owned();
            return Choice::System { reason, shares: false };
        };
        let reason = match (asked, plain) {
            (Ok(asked), Ok(plain)) => return choose(&asked, plain, &user.dir, &user.name),
            (Err(NoAnswer::NotInstalled), _) => {
                match without_ssh::texts(self.options, &destination, &user.dir, &user.name) {
                    Ok(texts) => {
                        let (asked, plain) = (Effective::parse(&texts.asked), Effective::parse(&texts.plain));
                        return choose(&asked, &plain, &user.dir, &user.name);
                    }
                    Err(reason) => reason,
                }
            }
            (Err(NoAnswer::Failed(reason)), _) => reason,
            (_, Err(error)) => format!("ssh does not say what it does by itself: {error:?}"),
        };
        Choice::System { reason, shares: false }
    }

    async fn system(&self, host: &str, reason: &str, shares: bool, deadline: Instant) -> Way {
        verbose!(Info, "{host} is reached with the system's ssh; {reason}");
        if shares {
            return Way::System(System::plain(self.program(), self.destination(host)));
        }
        match System::shared(self.program(), self.destination(host), deadline).await {
            Ok(system) => Way::System(system),
            Err(OpenError::TimedOut) => Way::TimedOut,
            Err(OpenError::Failed(said)) => Way::None(said),
        }
    }
}

/// What ssh says when it did not get there.
fn failed(reason: &str) -> Finished {
    Finished {
        status: ExitStatus::from_raw(SSH_FAILED << 8),
        stdout: String::new(),
        stderr: reason.to_owned(),
    }
}

fn output(file: Option<&str>) -> std::io::Result<Output> {
    let Some(file) = file else {
        return Ok(Output::Memory(Vec::new()));
    };
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    Ok(Output::File(file))
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
