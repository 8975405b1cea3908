//! One command on a libssh2 session: opened, started, read to its end, closed.
//!
//! Nothing here waits. libssh2 says that a call would have to wait, and the
//! same call is made again later.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::str::FromStr;
use std::time::Instant;

use nix::sys::signal::Signal;
use ssh2::{Channel, ErrorCode, Session};
use tokio::sync::oneshot;

use crate::process::Finished;

/// `LIBSSH2_ERROR_EAGAIN` and `LIBSSH2_ERROR_CHANNEL_FAILURE` of libssh2.h.
const WOULD_WAIT: ErrorCode = ErrorCode::Session(-37);
const CHANNEL_REFUSED: ErrorCode = ErrorCode::Session(-21);

/// What is read at once, so that one command with much output does not keep the others waiting.
const TURN: usize = 1 << 20;

/// Where standard output goes.
#[derive(Debug)]
pub(super) enum Output {
    /// To the caller.
    Memory(Vec<u8>),
    /// Into a file of this host.
    File(File),
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Output::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
            Output::File(file) => file.write_all(bytes),
        }
    }

    fn into_text(self) -> String {
        match self {
            Output::Memory(all) => String::from_utf8_lossy(&all).into_owned(),
            Output::File(_) => String::new(),
        }
    }
}

/// Why a command has no result.
#[derive(Debug)]
pub(super) enum JobError {
    /// It was not started: it may be tried again elsewhere.
    NotStarted(String),
    /// The connection was lost while it ran, or may have run.
    Lost(String),
    /// It was still running at its deadline.
    TimedOut,
    /// Its output could not be written to the file.
    Io(std::io::Error),
}

/// A command that is to be run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) command: String,
    pub(super) output: Output,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Finished, JobError>>,
}

/// How far a command got in one turn.
#[derive(Debug)]
pub(super) enum Progress {
    /// It has to wait for the host.
    Waiting,
    /// The host has no channel for it at present.
    Refused(String),
    /// It is over; the reply can be sent.
    Done(Result<(), JobError>),
}

enum Stage {
    Opening,
    Starting(Channel),
    /// It has nothing to read from us.
    EndingInput(Channel),
    Reading(Channel),
    Closing(Channel),
    Over,
}

/// A command under way.
pub(super) struct Running {
    job: Job,
    stage: Stage,
    errors: Vec<u8>,
    status: Option<ExitStatus>,
}

impl Running {
    pub(super) fn new(job: Job) -> Running {
        Running {
            job,
            stage: Stage::Opening,
            errors: Vec::new(),
            status: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.job.deadline
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening)
    }

    /// Nobody waits for the result any more.
    pub(super) fn is_given_up(&self) -> bool {
        self.job.reply.is_closed()
    }

    /// Goes on as far as possible without waiting.
    pub(super) fn advance(&mut self, session: &Session) -> Progress {
        loop {
            let step = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Opening => match session.channel_session() {
                    Ok(channel) => Step::Next(Stage::Starting(channel)),
                    Err(error) if error.code() == WOULD_WAIT => Step::Wait(Stage::Opening),
                    Err(error) if error.code() == CHANNEL_REFUSED => {
                        self.stage = Stage::Opening;
                        return Progress::Refused(error.message().to_owned());
                    }
                    Err(error) => Step::Fail(JobError::NotStarted(error.message().to_owned())),
                },
                Stage::Starting(mut channel) => match channel.exec(&self.job.command) {
                    Ok(()) => Step::Next(Stage::EndingInput(channel)),
                    Err(error) if error.code() == WOULD_WAIT => Step::Wait(Stage::Starting(channel)),
                    Err(error) => Step::Fail(JobError::Lost(error.message().to_owned())),
                },
                Stage::EndingInput(mut channel) => match channel.send_eof() {
                    Ok(()) => Step::Next(Stage::Reading(channel)),
                    Err(error) if error.code() == WOULD_WAIT => Step::Wait(Stage::EndingInput(channel)),
                    Err(error) => Step::Fail(JobError::Lost(error.message().to_owned())),
                },
                Stage::Reading(channel) => self.read(channel),
                Stage::Closing(channel) => self.close(channel),
                Stage::Over => return Progress::Done(Ok(())),
            };
            match step {
                Step::Next(stage) => self.stage = stage,
                Step::Wait(stage) => {
                    self.stage = stage;
                    return Progress::Waiting;
                }
                Step::Fail(error) => return Progress::Done(Err(error)),
            }
        }
    }

    fn read(&mut self, mut channel: Channel) -> Step {
        let output = &mut self.job.output;
        let out = take(&mut channel, &mut |bytes| output.write(bytes));
        let errors = &mut self.errors;
        let err = take(&mut channel.stderr(), &mut |bytes| {
            errors.extend_from_slice(bytes);
            Ok(())
        });
        match (out, err) {
            (Err(error), _) | (_, Err(error)) => Step::Fail(error),
            (Ok(Taken::Some), _) | (_, Ok(Taken::Some)) => Step::Wait(Stage::Reading(channel)),
            _ if channel.eof() => Step::Next(Stage::Closing(channel)),
            _ => Step::Wait(Stage::Reading(channel)),
        }
    }

    fn close(&mut self, mut channel: Channel) -> Step {
        match channel.close() {
            Ok(()) => {
                self.status = Some(status(&channel));
                Step::Next(Stage::Over)
            }
            Err(error) if error.code() == WOULD_WAIT => Step::Wait(Stage::Closing(channel)),
            Err(error) => Step::Fail(JobError::Lost(error.message().to_owned())),
        }
    }

    /// Tells the caller. What is left is a channel that is to be closed, if the command was ended early.
    pub(super) fn finish(self, result: Result<(), JobError>) -> Option<Channel> {
        let result = result.map(|()| Finished {
            status: self.status.unwrap_or_default(),
            stdout: self.job.output.into_text(),
            stderr: String::from_utf8_lossy(&self.errors).into_owned(),
        });
        // The caller may have gone; that is its decision.
        let _ = self.job.reply.send(result);
        match self.stage {
            Stage::Starting(channel)
            | Stage::EndingInput(channel)
            | Stage::Reading(channel)
            | Stage::Closing(channel) => Some(channel),
            Stage::Opening | Stage::Over => None,
        }
    }
}

enum Step {
    Next(Stage),
    Wait(Stage),
    Fail(JobError),
}

enum Taken {
    /// There may be more at once.
    Some,
    /// Everything that has arrived.
    All,
}

fn take(stream: &mut impl Read, write: &mut impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<Taken, JobError> {
    let mut buffer = [0; 32 * 1024];
    let mut total = 0;
    while total < TURN {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(Taken::All),
            Ok(length) => {
                write(&buffer[..length]).map_err(JobError::Io)?;
                total += length;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(Taken::All),
            Err(error) => return Err(JobError::Lost(error.to_string())),
        }
    }
    Ok(Taken::Some)
}

/// Closes a channel that nobody reads any more; whether that is done.
pub(super) fn is_closed(channel: &mut Channel) -> bool {
    !matches!(channel.close(), Err(error) if error.code() == WOULD_WAIT)
}

/// The exit status as a shell of this host would have it.
fn status(channel: &Channel) -> ExitStatus {
    let signal = channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
    match signal {
        // The names have no "SIG" (RFC 4254, 6.10).
        Some(name) => match Signal::from_str(&format!("SIG{name}")) {
            Ok(signal) => ExitStatus::from_raw(signal as i32),
            Err(_) => ExitStatus::from_raw(super::SSH_FAILED << 8),
        },
        None => ExitStatus::from_raw((channel.exit_status().unwrap_or(super::SSH_FAILED) & 0xff) << 8),
    }
}
