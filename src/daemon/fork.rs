//! Going into the background.
//!
//! `fork()` copies only the calling thread, so it is called between two async
//! runtimes, when this process has no other thread: the one module with
//! `unsafe`, as Rust cannot know that.
#![allow(unsafe_code)]

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{ForkResult, chdir, fork, setsid};

/// Who returns from [`daemonize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The process that was called; it has nothing left to do.
    Launcher,
    /// The daemon, in a session of its own without a controlling terminal.
    Daemon,
}

/// Forks twice, with a new session in between, and goes to `directory` (a
/// failure of that is only logged). No async runtime may exist in this process.
pub fn daemonize(directory: &Path) -> Result<Side, Errno> {
    if split()? == Side::Launcher {
        return Ok(Side::Launcher);
    }
    setsid()?;
    if split()? == Side::Launcher {
        return Ok(Side::Launcher);
    }
    if let Err(error) = chdir(directory) {
        crate::warning!("could not go to the directory \"{}\": {error}", directory.display());
    }
    Ok(Side::Daemon)
}

fn split() -> Result<Side, Errno> {
    // SAFETY: the caller promises that no other thread exists, so no lock can
    // be held by a thread that the child does not have.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(Side::Launcher),
        ForkResult::Child => Ok(Side::Daemon),
    }
}
