//! One libssh2 session to a host, with a thread of its own, which serves
//! several commands at a time.
//!
//! libssh2 is not made for several threads on one session, and a call that
//! waits holds up all others; so one thread makes calls that do not wait, and
//! sleeps until the host or a caller has something for it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, Session};
use tokio::sync::oneshot;

use super::channel::{Job, JobError, Output, Progress, Running, is_closed};
use super::choice::Settings;
use super::connection::{self, ConnectError, Opened};
use crate::process::Finished;

/// After so many intervals without a sign of life a host is gone.
const SILENT_INTERVALS: u32 = 3;
/// How often a host that has no channel in use may refuse one, and the pause before it is asked again.
const REFUSALS: u32 = 20;
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

/// The callers' end. Dropped, it ends the session.
#[derive(Debug)]
pub(super) struct Link {
    jobs: Sender<Job>,
    wake: UnixStream,
    /// The key that opened it, for people.
    pub(super) key: String,
}

impl Link {
    /// Connects and authenticates, on a thread of its own, which then serves the session.
    pub(super) async fn open(settings: Settings, deadline: Instant) -> Result<Link, ConnectError> {
        let unable = |error: std::io::Error| ConnectError::Unable(error.to_string());
        let (report, opened) = oneshot::channel();
        let (wake, woken) = UnixStream::pair().map_err(unable)?;
        wake.set_nonblocking(true).map_err(unable)?;
        woken.set_nonblocking(true).map_err(unable)?;
        let (jobs, queue) = channel();
        let serve = move || match connection::open(&settings, deadline) {
            Ok(Opened { session, stream, key }) => {
                if report.send(Ok(key)).is_ok() {
                    Service::new(session, stream, queue, woken, settings.alive_interval).run();
                }
            }
            // Nobody may be waiting any more.
            Err(error) => drop(report.send(Err(error))),
        };
        std::thread::Builder::new()
            .name("ssh".to_owned())
            .spawn(serve)
            .map_err(unable)?;
        let key = opened
            .await
            .unwrap_or_else(|_| Err(ConnectError::Unable("libssh2 failed".to_owned())))?;
        Ok(Link { jobs, wake, key })
    }

    /// Runs a command in the login shell there.
    pub(super) async fn run(&self, command: &str, output: Output, deadline: Instant) -> Result<Finished, JobError> {
        let (reply, result) = oneshot::channel();
        let job = Job {
            command: command.to_owned(),
            output,
            deadline,
            reply,
        };
        let ended = || JobError::NotStarted("the connection has ended".to_owned());
        self.jobs.send(job).map_err(|_| ended())?;
        self.wake();
        // Should this be dropped before the end, the command is to be given up at once.
        let _guard = WakeAtEnd(self);
        result.await.unwrap_or_else(|_| Err(ended()))
    }

    fn wake(&self) {
        // A full pipe wakes as well as one more byte; a closed one shows when the reply is waited for.
        let _ = (&self.wake).write(&[0]);
    }
}

struct WakeAtEnd<'a>(&'a Link);

impl Drop for WakeAtEnd<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// The thread's end.
struct Service {
    session: Session,
    stream: TcpStream,
    queue: Receiver<Job>,
    woken: UnixStream,
    /// Not more than one of them is opening its channel: libssh2 can only open one at a time.
    running: Vec<Running>,
    waiting: VecDeque<Running>,
    /// Channels of commands that were ended.
    closing: Vec<Channel>,
    /// libssh2 has half of a message in hand; the first of those that run has to go on before any other sends.
    sending: bool,
    /// The host refused a channel, and none has become free since.
    full: bool,
    /// How often it did although none was in use.
    refused_alone: u32,
    alive_interval: Duration,
    heard: Instant,
    probed: Instant,
}

impl Service {
    fn new(
        session: Session,
        stream: TcpStream,
        queue: Receiver<Job>,
        woken: UnixStream,
        alive_interval: Duration,
    ) -> Service {
        Service {
            session,
            stream,
            queue,
            woken,
            running: Vec::new(),
            waiting: VecDeque::new(),
            closing: Vec::new(),
            sending: false,
            full: false,
            refused_alone: 0,
            alive_interval,
            heard: Instant::now(),
            probed: Instant::now(),
        }
    }

    fn run(mut self) {
        loop {
            if !self.accept() {
                break;
            }
            if let Err(reason) = self.advance() {
                self.fail(&reason);
                return;
            }
            self.end_overdue();
            if let Err(reason) = self.probe() {
                self.fail(&reason);
                return;
            }
            self.sleep();
        }
        // Polite, but not more than that: the host notices anyway.
        let _ = self.session.disconnect(None, "", None);
    }

    /// Takes new commands; whether there can be more.
    fn accept(&mut self) -> bool {
        let mut bytes = [0; 64];
        while matches!(self.woken.read(&mut bytes), Ok(1..)) {}
        loop {
            match self.queue.try_recv() {
                Ok(job) => {
                    if self.running.is_empty() && self.waiting.is_empty() {
                        // Silence counts while somebody waits for an answer.
                        self.heard = Instant::now();
                        self.probed = self.heard;
                    }
                    self.waiting.push_back(Running::new(job));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// All commands go on as far as they can.
    ///
    /// # Errors
    /// The session is of no use any more.
    fn advance(&mut self) -> Result<(), String> {
        self.full &= !self.is_idle();
        let mut at = 0;
        while at < self.running.len() || self.start_next() {
            let progress = self.running[at].advance(&self.session);
            self.sending = self.is_sending();
            match progress {
                Progress::Waiting if self.sending => {
                    // libssh2 has half of a message in hand, which must be sent before any other.
                    self.running.swap(0, at);
                    return Ok(());
                }
                Progress::Waiting => at += 1,
                Progress::Refused(reason) => self.put_off(at, reason),
                Progress::Done(result) => {
                    let lost = match &result {
                        Err(JobError::Lost(reason) | JobError::NotStarted(reason)) => Some(reason.clone()),
                        _ => None,
                    };
                    let running = self.running.remove(at);
                    self.closing.extend(running.finish(result));
                    self.full = false;
                    self.refused_alone = 0;
                    if let Some(reason) = lost {
                        return Err(reason);
                    }
                }
            }
        }
        let closing = self.closing.len();
        self.closing.retain_mut(|channel| !is_closed(channel));
        self.full &= self.closing.len() == closing;
        if self.is_sending() {
            return Err("the host takes no more data".to_owned());
        }
        Ok(())
    }

    /// Lets the next command open its channel, if none is doing that; whether there is a new one.
    fn start_next(&mut self) -> bool {
        if self.full || self.running.iter().any(Running::is_opening) {
            return false;
        }
        let next = self.waiting.pop_front();
        let is_new = next.is_some();
        self.running.extend(next);
        is_new
    }

    /// The others' channels may be all that the host gives; one of them will become free.
    fn put_off(&mut self, at: usize, reason: String) {
        let refused = self.running.remove(at);
        self.full = true;
        if self.is_idle() {
            // The host may not be done yet with those that have just ended.
            self.refused_alone += 1;
            if self.refused_alone > REFUSALS {
                refused.finish(Err(JobError::NotStarted(reason)));
                return;
            }
        }
        self.waiting.push_front(refused);
    }

    /// No channel is in use.
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.closing.is_empty()
    }

    fn is_sending(&self) -> bool {
        matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        )
    }

    fn end_overdue(&mut self) {
        let now = Instant::now();
        let is_over = |running: &Running| running.deadline() <= now || running.is_given_up();
        let waiting = std::mem::take(&mut self.waiting);
        let running = std::mem::take(&mut self.running);
        let (over, rest): (VecDeque<_>, _) = waiting.into_iter().partition(is_over);
        self.waiting = rest;
        let (over_running, rest): (Vec<_>, _) = running.into_iter().partition(is_over);
        self.running = rest;
        for running in over.into_iter().chain(over_running) {
            self.closing.extend(running.finish(Err(JobError::TimedOut)));
            self.full = false;
        }
    }

    /// # Errors
    /// The host is gone.
    fn probe(&mut self) -> Result<(), String> {
        if self.running.is_empty() {
            return Ok(());
        }
        let silent = self.heard.elapsed();
        if silent >= self.alive_interval * SILENT_INTERVALS {
            return Err(format!("the host has not answered for {} s", silent.as_secs()));
        }
        if silent >= self.alive_interval && self.probed.elapsed() >= self.alive_interval && !self.sending {
            self.probed = Instant::now();
            self.session.set_keepalive(true, 1);
            // A connection that is broken shows when it is read.
            let _ = self.session.keepalive_send();
        }
        Ok(())
    }

    /// Until the host or a caller has something, or a deadline comes.
    fn sleep(&mut self) {
        let busy = !self.is_idle();
        let deadline = self.running.iter().chain(&self.waiting).map(Running::deadline).min();
        let mut wanted = PollFlags::empty();
        if busy {
            wanted |= PollFlags::POLLIN;
        }
        if self.sending {
            wanted |= PollFlags::POLLOUT;
        }
        let timeout = match deadline {
            Some(deadline) => {
                let longest = if self.is_idle() {
                    REFUSAL_PAUSE
                } else {
                    self.alive_interval
                };
                let left = deadline.saturating_duration_since(Instant::now()).min(longest);
                // Rounded up: it must not wake too early again and again.
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        };
        let mut sources = vec![PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        if busy {
            // Of an idle session nothing is read: a host that hangs up would be heard all the time.
            sources.push(PollFd::new(self.stream.as_fd(), wanted));
        }
        // Interrupted or not, the next turn looks at everything.
        let _ = poll(&mut sources, timeout);
        let answered = sources.get(1).and_then(PollFd::revents);
        if answered.is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            self.heard = Instant::now();
        }
    }

    /// Everybody is told that the session is lost.
    fn fail(mut self, reason: &str) {
        for running in self.running.drain(..) {
            running.finish(Err(JobError::Lost(reason.to_owned())));
        }
        self.waiting.extend(self.queue.try_iter().map(Running::new));
        for running in self.waiting.drain(..) {
            running.finish(Err(JobError::NotStarted(reason.to_owned())));
        }
    }
}
