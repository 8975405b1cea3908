//! Child processes with a deadline: hooks, service commands, PostgreSQL's programs.
//!
//! Every child gets a process group of its own, so that reaching the deadline
//! ends it with all its descendants.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// What a service manager tells this process alone: a server that a child starts would speak in our name.
const OF_THE_SERVICE_MANAGER: &[&str] = &["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

fn without_service_manager(command: &mut Command) -> &mut Command {
    for name in OF_THE_SERVICE_MANAGER {
        command.env_remove(name);
    }
    command
}

/// How a child ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// All of its standard output, lossily decoded.
    pub stdout: String,
    /// All of its standard error, lossily decoded.
    pub stderr: String,
}

/// Why there is no result of a child.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("could not start \"{program}\": {source}")]
    NotStarted {
        /// What was to be started.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It was ended at its deadline.
    #[error("\"{program}\" was still running after {limit:?} and was ended")]
    TimedOut {
        /// What was started.
        program: String,
        /// The deadline.
        limit: Duration,
    },
    /// Its output could not be read.
    #[error("could not read the output of \"{program}\": {source}")]
    Io {
        /// What was started.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Runs `command` through `/bin/sh -c`, captures its output, and ends it at the deadline. Errors call it
/// `name`: the command itself may hold a password.
pub async fn shell(command: &str, name: &str, limit: Duration) -> Result<Finished, ProcessError> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    capture(shell, name, limit).await
}

/// Runs `command` through `/bin/sh -c` with its output in our own log (standard error), and ends it at the deadline.
/// It is over when the shell is: what it left in the background goes on.
pub async fn run_shell(command: &str, limit: Duration) -> Result<ExitStatus, ProcessError> {
    run_shell_with(command, &[], limit).await
}

/// The same with more in the environment.
pub async fn run_shell_with(
    command: &str,
    environment: &[(&str, String)],
    limit: Duration,
) -> Result<ExitStatus, ProcessError> {
    let mut child = without_service_manager(&mut Command::new("/bin/sh"))
        .arg("-c")
        .arg(command)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| ProcessError::NotStarted {
            program: command.to_owned(),
            source,
        })?;
    let group = child.id();
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(source)) => Err(ProcessError::Io {
            program: command.to_owned(),
            source,
        }),
        Err(_) => {
            end_group(group);
            Err(ProcessError::TimedOut {
                program: command.to_owned(),
                limit,
            })
        }
    }
}

fn end_group(group: Option<u32>) {
    if let Some(group) = group.and_then(|id| i32::try_from(id).ok()) {
        // The group may be gone already; there is nothing else to do about it.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Runs a program, captures its output, and ends it with its whole process group at the deadline.
pub async fn capture(mut command: Command, name: &str, limit: Duration) -> Result<Finished, ProcessError> {
    let mut child = without_service_manager(&mut command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| ProcessError::NotStarted {
            program: name.to_owned(),
            source,
        })?;
    let group = child.id();
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let work = async {
        let (stdout, stderr, status) = tokio::join!(stdout, stderr, child.wait());
        Ok::<_, std::io::Error>(Finished {
            status: status?,
            stdout: stdout?,
            stderr: stderr?,
        })
    };
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(finished)) => Ok(finished),
        Ok(Err(source)) => Err(ProcessError::Io {
            program: name.to_owned(),
            source,
        }),
        Err(_) => {
            end_group(group);
            Err(ProcessError::TimedOut {
                program: name.to_owned(),
                limit,
            })
        }
    }
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a process lives, of whatever user; one that has ended and was not waited for yet does not (proc(5): state Z).
pub fn is_alive(pid: i32) -> bool {
    if pid <= 0 || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return false;
    }
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command name in parentheses may contain anything; the fields are counted after it.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X'))
}

/// One word for the shell, quoted so that it arrives as it is.
pub fn shell_quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn output_and_status_come_back_separately() {
        let finished = shell("echo out; echo err >&2; exit 3", "test", Duration::from_secs(20))
            .await
            .unwrap();
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.status.code(), Some(3));
    }

    #[tokio::test]
    async fn a_child_that_hangs_is_ended_with_its_descendants() {
        let error = shell("sleep 1000 & sleep 1000", "test", Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_a_command_left_in_the_background_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (go, done) = (folder.path().join("go"), folder.path().join("done"));
        let command = format!(
            "while [ ! -e '{}' ]; do sleep 0.05; done; touch '{}'",
            go.display(),
            done.display()
        );
        let status = run_shell(&format!("({command}) & exit 3"), Duration::from_secs(20))
            .await
            .unwrap();
        assert_eq!(status.code(), Some(3));
        std::fs::write(&go, "").unwrap();
        for _ in 0..400 {
            if done.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the background command did not end");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended() {
        let error = run_shell("sleep 1000 & sleep 1000", Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_process_that_was_not_waited_for_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let died = (0..400).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            !is_alive(pid)
        });
        let is_listed = kill(Pid::from_raw(pid), None).is_ok();
        child.wait().unwrap();
        assert!(died && is_listed);
    }

    #[test]
    fn a_process_of_another_user_is_alive() {
        assert!(is_alive(1));
        assert!(!is_alive(0) && !is_alive(-1));
    }

    #[tokio::test]
    async fn quoting_survives_the_shell() {
        for word in [
            "",
            "plain",
            "with space",
            "it's",
            "$HOME `x` \"q\" \\",
            "a&b;c|d",
            "ä\n",
        ] {
            let command = format!("printf %s {}", shell_quote(word));
            assert_eq!(
                shell(&command, "test", Duration::from_secs(20)).await.unwrap().stdout,
                word
            );
        }
    }
}
