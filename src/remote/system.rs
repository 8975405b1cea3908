//! The system's `ssh`, with one shared connection a host.
//!
//! The first `ssh` stays in the background as the master of the connection,
//! the others go through it. It ends when it is told to, and by itself some
//! time after its last use, should nobody be left to tell it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::unistd::mkdtemp;

use crate::process::{self, Finished, ProcessError, shell_quote};

/// How long an unused master stays.
const PERSIST: &str = "60";
/// A host that is silent for three times ten seconds is gone.
const ALIVE: &str = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3";
/// How long a master may take to go.
const END_LIMIT: Duration = Duration::from_secs(1);
/// What the path of a Unix socket can be long, less what ssh appends to it while it makes it (unix(7), ssh(1)).
const PATH_LIMIT: usize = 107 - 17;

/// The way to one host.
#[derive(Debug)]
pub(super) struct System {
    /// `ssh` with its options.
    program: String,
    destination: String,
    shared: Option<Shared>,
}

/// A master and the private folder of its socket.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
}

impl Shared {
    fn new() -> std::io::Result<Shared> {
        let long = |folder: &PathBuf| folder.as_os_str().len() + "/repmgr-ssh.XXXXXX/master".len() > PATH_LIMIT;
        let parent = Some(std::env::temp_dir()).filter(|folder| !long(folder));
        // The template makes it readable for its owner alone.
        let folder = mkdtemp(&parent.unwrap_or("/tmp".into()).join("repmgr-ssh.XXXXXX"))?;
        Ok(Shared { folder })
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("master")
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OpenError {
    /// ssh's own words, if it said any.
    Failed(String),
    /// It was not there in time.
    TimedOut,
}

impl System {
    /// Without a shared connection: every command makes its own.
    pub(super) fn plain(program: String, destination: String) -> System {
        System {
            program,
            destination,
            shared: None,
        }
    }

    /// Connects. `program` is `ssh` with options for a shell.
    pub(super) async fn shared(program: String, destination: String, deadline: Instant) -> Result<System, OpenError> {
        let Ok(shared) = Shared::new() else {
            return Ok(System::plain(program, destination));
        };
        let said = shared.folder.join("said");
        // Its standard error is a file: in the background it would keep a pipe open. Without -v the -q of the
        // options would hide why it failed.
        let line = format!(
            "{} -v -o ControlMaster=yes -o ControlPersist={PERSIST} -o ControlPath={} {ALIVE} -f -N {} >/dev/null 2>{}",
            program,
            quoted(&shared.socket()),
            shell_quote(&destination),
            quoted(&said)
        );
        let system = System {
            program,
            destination,
            shared: Some(shared),
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        let status = match process::shell(&line, "ssh", limit).await {
            Ok(finished) => finished.status,
            Err(ProcessError::TimedOut { .. }) => return Err(OpenError::TimedOut),
            Err(error) => return Err(OpenError::Failed(error.to_string())),
        };
        if status.success() {
            return Ok(system);
        }
        let said = std::fs::read(&said).unwrap_or_default();
        Err(OpenError::Failed(match reason(&String::from_utf8_lossy(&said)) {
            said if said.is_empty() => format!("ssh ended with {status}"),
            said => said,
        }))
    }

    /// `ssh` with its options, and the shared connection if there is one.
    pub(super) fn program(&self) -> String {
        match &self.shared {
            // Without the master it makes a connection of its own.
            Some(shared) => format!(
                "{} -o ControlMaster=no -o ControlPath={}",
                self.program,
                quoted(&shared.socket())
            ),
            None => self.program.clone(),
        }
    }

    /// The line with which a shell of this host runs `command` in a shell there.
    pub(super) fn line(&self, command: &str) -> String {
        format!(
            "{} {} {}",
            self.program(),
            shell_quote(&self.destination),
            shell_quote(command)
        )
    }

    /// Runs a command in the login shell there.
    pub(super) async fn run(
        &self,
        command: &str,
        file: Option<&str>,
        deadline: Instant,
    ) -> Result<Finished, ProcessError> {
        let mut line = self.line(command);
        if let Some(file) = file {
            line = format!("umask 077; {line} >{}", shell_quote(file));
        }
        let limit = deadline.saturating_duration_since(Instant::now());
        process::shell(&line, &format!("ssh {}", self.destination), limit).await
    }

    /// Tells the master to go. Without one nothing happens.
    fn end(&self, shared: &Shared) {
        if !shared.socket().exists() {
            return;
        }
        let line = format!(
            "{} -o ControlPath={} -O exit {}",
            self.program,
            quoted(&shared.socket()),
            shell_quote(&self.destination)
        );
        let child = std::process::Command::new("/bin/sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = child else {
            return;
        };
        let until = Instant::now() + END_LIMIT;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= until {
                // The master ends by itself later.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.end(&shared);
            // It holds nothing else than the socket.
            let _ = std::fs::remove_dir_all(&shared.folder);
        }
    }
}

/// The last of what ssh says besides its reports about itself.
fn reason(said: &str) -> String {
    let reports = [
        "debug",
        "OpenSSH_",
        "Authenticated to ",
        "Transferred: ",
        "Bytes per second: ",
    ];
    let is_reason = |line: &&str| !line.is_empty() && !reports.iter().any(|report| line.starts_with(report));
    let lines: Vec<&str> = said.lines().map(str::trim).filter(is_reason).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

fn quoted(path: &Path) -> String {
    shell_quote(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_is_no_report() {
        let said = "OpenSSH_9.2p1\r\ndebug1: Reading\r\n\r\nssh: connect to host a port 22: Connection refused\r\n";
        assert_eq!(reason(said), "ssh: connect to host a port 22: Connection refused");
        assert_eq!(reason("1\n2\n3\n4\n"), "2; 3; 4");
        assert_eq!(reason("debug1: x"), "");
    }

    #[test]
    fn the_command_is_one_quoted_word() {
        let system = System::plain("ssh -o Batchmode=yes -q".to_owned(), "postgres@node3".to_owned());
        assert_eq!(
            system.line("repmgr -f 'a b'"),
            r"ssh -o Batchmode=yes -q postgres@node3 'repmgr -f '\''a b'\'''"
        );
    }
}
