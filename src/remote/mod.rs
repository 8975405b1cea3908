//! A command on another host, over the system's `ssh`, or on this very host without it.
//!
//! This room answers for finding out which of the two it is, for the command
//! line of `ssh` and for deadlines. What is run, and what its exit status
//! means, is the caller's.

pub mod answers;
mod host;
pub mod repmgr_command;
mod ssh;

pub use answers::Answers;
pub use host::Host;
pub use repmgr_command::{Call, Rejoin, RemoteRepmgr};
pub use ssh::Ssh;

use std::time::Duration;

use crate::process::ProcessError;

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
