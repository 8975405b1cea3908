//! A command on another host over SSH, or on this very host without it.
//!
//! `ssh -G` says what ssh's configuration comes to for a host (`effective`);
//! `choice` decides from that whether libssh2 can serve it (`connection`,
//! `authentication`, `known_hosts`; `session` and `channel` run commands) or
//! the system's `ssh` is needed (`system`). This room answers for the way
//! there, for deadlines, and for the command line of a remote repmgr
//! (`repmgr_command`, `answers`). What is run, and what its exit status means,
//! is the caller's.

pub mod answers;
mod authentication;
mod channel;
mod choice;
mod connection;
mod effective;
mod host;
mod known_hosts;
pub mod repmgr_command;
mod session;
mod ssh;
mod system;
mod without_ssh;

pub use answers::Answers;
pub use host::Host;
pub use repmgr_command::{Call, Rejoin, RemoteRepmgr};
pub use ssh::Ssh;

use std::time::Duration;

use crate::process::ProcessError;

/// ssh's own exit code for its own failures (ssh(1)): the command was not run, or how it ended is not known.
const SSH_FAILED: i32 = 255;

/// Why a host cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It would be an option of ssh.
    #[error("\"{0}\" is not the name of a host")]
    NotAHost(String),
    /// The resolver gave no answer, not even that it does not know the name.
    #[error("the name \"{host}\" could not be resolved within {limit:?}")]
    NotResolved {
        /// The name.
        host: String,
        /// The deadline.
        limit: Duration,
    },
    /// ssh, or the command that proves that it works, ended with a failure.
    #[error("ssh ended with {status}: {said}")]
    Refused {
        /// Exit code or signal.
        status: std::process::ExitStatus,
        /// Its standard error.
        said: String,
    },
    /// ssh did not get that far.
    #[error(transparent)]
    Process(#[from] ProcessError),
}
