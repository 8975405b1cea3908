//! Where lines go: standard error, the log file, syslog.
//!
//! With a log file, standard error itself leads into it, so that what child
//! processes say is there too.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::dup2_stderr;

use super::syslog::{Facility, SOCKET, Syslog};
use crate::error::{Error, Result};

/// What is in use.
#[derive(Debug)]
pub(super) struct Destinations {
    /// Syslog, in addition to or instead of standard error.
    pub(super) syslog: Option<Syslog>,
    /// The file that standard error leads into.
    pub(super) file: Option<PathBuf>,
    /// What standard error was before; kept so that a reload can go back to it.
    pub(super) original: Option<OwnedFd>,
}

impl Destinations {
    pub(super) const STDERR: Destinations = Destinations {
        syslog: None,
        file: None,
        original: None,
    };

    /// Whether lines go to standard error, wherever that leads.
    pub(super) fn stderr(&self) -> bool {
        self.syslog.is_none() || self.file.is_some()
    }

    /// The log file in use.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Opens the file again under its name: another one, after a log rotation.
    pub(super) fn reopen(&mut self) -> Result<()> {
        match self.file.clone() {
            Some(file) => self.redirect(open(&file)?, &file),
            None => Ok(()),
        }
    }

    /// Leads standard error into a file that is open already.
    pub(super) fn redirect(&mut self, open: File, file: &Path) -> Result<()> {
        let wrong = |error: io::Error| cannot_write(file, &error);
        if self.original.is_none() {
            self.original = Some(io::stderr().as_fd().try_clone_to_owned().map_err(wrong)?);
        }
        dup2_stderr(open).map_err(|error| wrong(error.into()))?;
        self.file = Some(file.to_owned());
        Ok(())
    }

    /// Leads standard error back to where it was.
    pub(super) fn restore(&mut self) {
        self.file = None;
        if let Some(original) = self.original.take() {
            // Nothing can be said about it if this fails, and nothing else can be done.
            let _ = dup2_stderr(original);
        }
    }

    /// Gives up the terminal if something else is in use.
    pub(super) fn detach(&mut self) -> io::Result<()> {
        let nowhere = || OpenOptions::new().write(true).open("/dev/null");
        if self.file.is_some() {
            self.original = Some(nowhere()?.into());
        } else if self.syslog.is_some() {
            dup2_stderr(nowhere()?)?;
        }
        Ok(())
    }
}

/// Opens a log file for appending; it is made if it is not there.
pub(super) fn open(file: &Path) -> Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .map_err(|error| cannot_write(file, &error))
}

fn cannot_write(file: &Path, error: &io::Error) -> Error {
    Error::bad_config(format!("unable to open log file \"{}\" for writing", file.display()))
        .detail(error.to_string())
        .hint("check the directory, its owner and its permissions, or change \"log_file\" in the configuration file")
}

/// What `log_facility` asks for.
#[derive(Debug)]
pub(super) enum Asked {
    Stderr,
    Syslog(Facility),
    /// It is no facility.
    Invalid,
}

pub(super) fn asked(facility: &str) -> Asked {
    match facility {
        "" | "STDERR" => Asked::Stderr,
        name => Facility::by_name(name).map_or(Asked::Invalid, Asked::Syslog),
    }
}

pub(super) fn syslog(facility: Facility, program: &str) -> io::Result<Syslog> {
    Syslog::open(Path::new(SOCKET), facility, program)
}
