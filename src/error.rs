//! The error that ends a command: what went wrong, where, and the way out.
//!
//! Rooms below have error types of their own where a caller must tell cases
//! apart (`postgres::ConnectError`); this one is what a person reads.

use crate::exit_code::ExitCode;

/// ERROR, DETAIL and HINT lines with the exit code that goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The exit code of a program that ends because of this.
    pub exit_code: ExitCode,
    /// The ERROR line: names the thing and the place.
    pub message: String,
    /// DETAIL lines, in order.
    pub details: Vec<String>,
    /// HINT lines, in order: the way out.
    pub hints: Vec<String>,
}

/// What fallible functions return when only a person can act on the failure.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with its exit code; DETAIL and HINT lines are added to it.
    pub fn new(exit_code: ExitCode, message: impl Into<String>) -> Self {
        Error {
            exit_code,
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// An error that ends with [`ExitCode::BadConfig`], the general failure code.
    pub fn bad_config(message: impl Into<String>) -> Self {
        Error::new(ExitCode::BadConfig, message)
    }

    /// Adds a DETAIL line.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Adds a HINT line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error with another exit code.
    #[must_use]
    pub fn with_exit_code(mut self, exit_code: ExitCode) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Writes the ERROR, DETAIL and HINT lines to the log.
    pub fn report(&self) {
        crate::error!("{}", self.message);
        for detail in &self.details {
            crate::detail!("{detail}");
        }
        for hint in &self.hints {
            crate::hint!("{hint}");
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)?;
        for detail in &self.details {
            write!(formatter, "\nDETAIL: {detail}")?;
        }
        for hint in &self.hints {
            write!(formatter, "\nHINT: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
