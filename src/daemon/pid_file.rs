//! The PID file: one daemon a path.
//!
//! The file appears whole under its name, its owner holds a lock on it
//! (`flock(2)`) as long as it lives, and removes it only if it still is its
//! own. A daemon of the original holds no lock; its file counts as in use as
//! long as the process it names exists and is not younger than the file.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::arguments::Arguments;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;

/// The PID file of this process, held until [`PidFile::remove`].
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

/// Where the PID file goes: `--no-pid-file` (nowhere), `--pid-file`,
/// `repmgrd_pid_file`, `$TMPDIR/repmgrd.pid`, `/tmp/repmgrd.pid`.
pub fn decide(arguments: &Arguments, config: &Config) -> Option<PathBuf> {
    if arguments.no_pid_file {
        return None;
    }
    if let Some(path) = &arguments.pid_file {
        return Some(path.clone());
    }
    if !config.repmgrd_pid_file.as_os_str().is_empty() {
        return Some(config.repmgrd_pid_file.clone());
    }
    let directory = std::env::var_os("TMPDIR")
        .filter(|directory| !directory.is_empty())
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    Some(directory.join("repmgrd.pid"))
}

impl PidFile {
    /// Puts the PID of this process there. A file that belongs to a living daemon,
    /// or that cannot be read, ends with [`ExitCode::BadPidFile`]; one that cannot be
    /// written, with [`ExitCode::BadConfig`].
    pub fn claim(path: &Path) -> Result<PidFile> {
        // Another daemon that starts or ends at this moment can make a turn fail; it cannot go on doing so.
        for _ in 0..10 {
            if let Some(file) = try_claim(path)? {
                return Ok(file);
            }
        }
        Err(Error::new(
            ExitCode::BadPidFile,
            format!("the PID file \"{}\" keeps changing", path.display()),
        )
        .hint("another repmgrd is starting with the same PID file"))
    }

    /// Removes the file, if it is still the one that this process wrote.
    pub fn remove(self) {
        let own = self.lock.metadata().map(|own| (own.dev(), own.ino()));
        let there = std::fs::metadata(&self.path).map(|there| (there.dev(), there.ino()));
        if let (Ok(own), Ok(there)) = (own, there)
            && own == there
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            crate::warning!("could not remove the PID file \"{}\": {error}", self.path.display());
        }
    }
}

fn try_claim(path: &Path) -> Result<Option<PidFile>> {
    let existing = match OpenOptions::new().read(true).open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(unreadable(path, &error)),
    };
    // The lock on the old file is kept until the new one has taken its name.
    let old = match existing {
        None => None,
        Some(file) => match take_over(path, file)? {
            Some(old) => Some(old),
            None => return Ok(None),
        },
    };

    let pid = std::process::id();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{pid}"));
    let beside = PathBuf::from(beside);
    let result = write_beside(&beside, pid).and_then(|lock| {
        let placed = if old.is_some() {
            std::fs::rename(&beside, path)
        } else {
            // Unlike a rename, a link fails if the name has been taken meanwhile.
            std::fs::hard_link(&beside, path)
        };
        match placed {
            Ok(()) => Ok(Some(lock)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    });
    if old.is_none() || !matches!(result, Ok(Some(_))) {
        // It has its place under the right name, or is not needed.
        let _ = std::fs::remove_file(&beside);
    }
    match result {
        Ok(lock) => Ok(lock.map(|lock| PidFile {
            path: path.to_owned(),
            lock,
        })),
        Err(error) => Err(
            Error::bad_config(format!("could not write the PID file \"{}\"", path.display()))
                .detail(error.to_string())
                .hint("make its directory writable for this user, or name another file with --pid-file or repmgrd_pid_file"),
        ),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        ExitCode::BadPidFile,
        format!("could not read the PID file \"{}\"", path.display()),
    )
    .detail(error.to_string())
    .hint("make sure that no other repmgrd uses it, then remove it")
}

fn in_use(path: &Path, pid: Option<i32>) -> Error {
    let by = pid.map_or_else(
        || "a running repmgrd".to_owned(),
        |pid| format!("the process with PID {pid}"),
    );
    Error::new(
        ExitCode::BadPidFile,
        format!("the PID file \"{}\" exists and belongs to {by}", path.display()),
    )
    .hint("if that is not a repmgrd of this node, give another file with --pid-file or repmgrd_pid_file")
}

/// Locks a file that was left behind. `None` if another one has taken its name meanwhile.
fn take_over(path: &Path, mut file: File) -> Result<Option<Flock<File>>> {
    let mut content = String::new();
    file.read_to_string(&mut content)
        .map_err(|error| unreadable(path, &error))?;
    let written = file.metadata().and_then(|file| file.modified());
    let pid = leading_number(&content);
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err(_) => return Err(in_use(path, pid)),
    };
    let same = std::fs::metadata(path).is_ok_and(|there| {
        lock.metadata()
            .is_ok_and(|here| (here.dev(), here.ino()) == (there.dev(), there.ino()))
    });
    if !same {
        return Ok(None);
    }
    if let Some(pid) = pid
        && pid != std::process::id().cast_signed()
        && exists(pid)
        && !started_after(pid, written.ok())
    {
        return Err(in_use(path, Some(pid)));
    }
    Ok(Some(lock))
}

fn write_beside(beside: &Path, pid: u32) -> std::io::Result<Flock<File>> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(beside)?;
    file.write_all(pid.to_string().as_bytes())?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

fn leading_number(content: &str) -> Option<i32> {
    let digits: String = content.trim_start().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|pid| *pid > 0)
}

/// Whether a process exists, of whatever user.
pub fn exists(pid: i32) -> bool {
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

/// Whether a process exists and its program is called `repmgrd`, ours or the original's.
pub fn is_repmgrd(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "repmgrd")
}

/// Whether a process is certainly younger than a file: its number was given anew.
fn started_after(pid: i32, written: Option<SystemTime>) -> bool {
    let (Some(written), Some(started)) = (written, start_time(pid)) else {
        return false;
    };
    started > written + Duration::from_secs(2)
}

/// When a process was started, from `/proc` (proc(5): starttime, btime).
fn start_time(pid: i32) -> Option<SystemTime> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name in parentheses may contain anything; the fields are counted after it.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let boot: u64 = std::fs::read_to_string("/proc/stat")
        .ok()?
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(boot) + Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<PidFile>) -> u8 {
        result.expect_err("the claim must fail").exit_code.code()
    }

    #[test]
    fn the_file_holds_the_plain_number_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repmgrd.pid");
        let file = PidFile::claim(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        file.remove();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn w53_a_second_claim_is_refused_and_leaves_the_first_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repmgrd.pid");
        let first = PidFile::claim(&path).unwrap();
        assert_eq!(code(PidFile::claim(&path)), 3);
        assert!(path.exists());
        first.remove();
    }

    #[test]
    fn what_a_dead_daemon_left_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repmgrd.pid");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        for content in [child.id().to_string().as_str(), "", "0", "garbage", "-1"] {
            std::fs::write(&path, content).unwrap();
            PidFile::claim(&path).unwrap().remove();
        }
    }

    #[test]
    fn w53_a_living_process_keeps_its_file_unless_its_number_was_given_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repmgrd.pid");
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        std::fs::write(&path, child.id().to_string()).unwrap();
        let fresh = PidFile::claim(&path);
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        let reused = PidFile::claim(&path);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(code(fresh), 3);
        reused.unwrap().remove();
    }

    #[test]
    fn a_file_of_another_daemon_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repmgrd.pid");
        let file = PidFile::claim(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "1").unwrap();
        file.remove();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1");
    }

    #[test]
    fn a_path_that_cannot_be_written_says_so() {
        assert_eq!(code(PidFile::claim(Path::new("/nonexistent/repmgrd.pid"))), 1);
    }
}
