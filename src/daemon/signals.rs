//! The signals of the daemon, as events for its loop. Nothing is done in a handler.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A request to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
}

impl Shutdown {
    /// The signal's short name, which event handlers read.
    pub fn name(self) -> &'static str {
        match self {
            Shutdown::Term => "TERM",
            Shutdown::Int => "INT",
        }
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To end.
    End(Shutdown),
    /// SIGHUP: to read the configuration and open the log again.
    Reload,
}

/// The streams of signals. From their creation on, the signals no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen; needs a running async runtime.
    pub fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn shutdown(&mut self) -> Shutdown {
        tokio::select! {
            _ = self.terminate.recv() => Shutdown::Term,
            _ = self.interrupt.recv() => Shutdown::Int,
        }
    }

    /// Waits for any of them.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Request::End(Shutdown::Term),
            _ = self.interrupt.recv() => Request::End(Shutdown::Int),
            _ = self.hangup.recv() => Request::Reload,
        }
    }
}
