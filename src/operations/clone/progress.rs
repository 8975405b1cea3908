//! What a program that copies says while it works: progress, shown as a person or a log wants it, and everything else.
//!
//! It is given up when it has said nothing for longer than its [`Patience`]:
//! whatever still moves says so at least once a second.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::log::{self, Level};

/// After so long without a word it is said that it is waited for.
const SILENCE: Duration = Duration::from_secs(60);

/// How long it may say nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Before the first word about progress.
    pub begin: Duration,
    /// While it copies.
    pub copying: Duration,
    /// When everything is copied, and the disk has to take it.
    pub end: Duration,
}

/// How following it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It says no more.
    ByItself,
    /// It has said nothing for too long.
    Stalled,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Bytes done and in all.
    Progress(u64, u64),
    /// What is to be shown of another line.
    Other(&'a str),
}

/// Tells the lines of a program apart.
pub(super) type Reader = fn(&str) -> Line<'_>;

/// What a program writes while it works: progress, and everything else.
pub(super) struct Output {
    program: &'static str,
    read: Reader,
    /// Bytes that are not in the program's own count: done before, and in all if that is known better.
    base: u64,
    total: Option<u64>,
    patience: Patience,
    seen: Option<(u64, u64)>,
    bar: Option<ProgressBar>,
    quiet: bool,
    last: (u64, Instant),
    /// The lines that are not progress.
    pub errors: Vec<String>,
}

impl Output {
    pub fn new(program: &'static str, read: Reader, patience: Patience) -> Output {
        let quiet = log::level() < Level::Info;
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {percent}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Output {
            program,
            read,
            base: 0,
            total: None,
            patience,
            seen: None,
            bar,
            quiet,
            last: (0, Instant::now()),
            errors: Vec::new(),
        }
    }

    /// Makes it one of several that together copy `total` bytes, after `base` of them.
    pub fn part_of(mut self, base: u64, total: u64) -> Output {
        (self.base, self.total) = (base, (total > 0).then_some(total));
        if let Some(percent) = (base * 100).checked_div(total) {
            self.last.0 = percent;
        }
        self
    }

    /// Bytes that it said to have copied.
    pub fn done(&self) -> u64 {
        self.seen.map_or(0, |(done, _)| done)
    }

    /// Reads to the end; lines end with a line feed or, on a terminal, a carriage return.
    pub async fn follow(&mut self, pipe: Option<impl AsyncRead + Unpin>) -> Ended {
        let Some(mut pipe) = pipe else { return Ended::ByItself };
        let mut pending = Vec::new();
        let mut buffer = [0; 4096];
        let mut heard = Instant::now();
        let mut ended = Ended::ByItself;
        loop {
            let limit = self.limit();
            let wait = SILENCE.min(limit.saturating_sub(heard.elapsed()));
            match tokio::time::timeout(wait, pipe.read(&mut buffer)).await {
                Err(_) if heard.elapsed() >= limit => {
                    ended = Ended::Stalled;
                    break;
                }
                Err(_) => self.still_waiting(heard.elapsed(), limit),
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) => {
                    heard = Instant::now();
                    pending.extend_from_slice(&buffer[..count]);
                }
            }
            while let Some(end) = pending.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                let line: Vec<u8> = pending.drain(..=end).collect();
                self.line(String::from_utf8_lossy(&line[..end]).trim_end());
            }
        }
        self.line(String::from_utf8_lossy(&pending).trim_end());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        ended
    }

    fn limit(&self) -> Duration {
        match self.seen {
            None => self.patience.begin,
            Some((done, total)) if done >= total => self.patience.end,
            Some(_) => self.patience.copying,
        }
    }

    /// A wait says whom it waits for, and until when.
    fn still_waiting(&self, silent: Duration, limit: Duration) {
        let (program, minutes) = (self.program, |time: Duration| time.as_secs().div_ceil(60));
        let say = || {
            crate::info!(
                "still waiting: {program} has received nothing for {} minutes, it is given up after {}",
                silent.as_secs() / 60,
                minutes(limit)
            );
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn line(&mut self, line: &str) {
        match (self.read)(line) {
            Line::Progress(done, total) => {
                self.seen = Some((done, total));
                self.show(self.base + done, self.total.unwrap_or(total));
            }
            Line::Other(line) if line.trim().is_empty() => {}
            Line::Other(line) => {
                self.errors.push(line.to_owned());
                let say = || log::plain(format_args!("{line}"));
                match &self.bar {
                    Some(bar) => bar.suspend(say),
                    None => say(),
                }
            }
        }
    }

    /// On a terminal the bar; else a line each ten per cent, and at least one in half a minute.
    fn show(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(done));
            bar.set_position(done);
            return;
        }
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        let (last, at) = self.last;
        if !self.quiet && (percent >= last + 10 || at.elapsed() > Duration::from_secs(30)) {
            crate::info!("{}/{} kB ({percent}%) copied", done >> 10, total >> 10);
            self.last = (percent, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const PATIENCE: Patience = Patience {
        begin: Duration::from_secs(7200),
        copying: Duration::from_secs(900),
        end: Duration::from_secs(3600),
    };

    fn percents(line: &str) -> Line<'_> {
        match line.strip_suffix('%').map(str::parse) {
            Some(Ok(percent)) => Line::Progress(percent, 100),
            _ => Line::Other(line),
        }
    }

    #[tokio::test]
    async fn whoever_says_nothing_for_too_long_is_given_up() {
        let (mut writer, reader) = tokio::io::duplex(100);
        writer.write_all(b"1%\rtrouble\n2%\r").await.unwrap();
        let impatient = Patience {
            copying: Duration::from_millis(20),
            ..PATIENCE
        };
        let mut output = Output::new("test", percents, impatient);
        assert_eq!(output.follow(Some(reader)).await, Ended::Stalled);
        assert_eq!(output.errors, ["trouble"]);
        assert_eq!(output.seen, Some((2, 100)));
    }

    #[tokio::test]
    async fn what_ends_by_itself_is_followed_to_its_end() {
        let mut output = Output::new("test", percents, PATIENCE).part_of(50, 200);
        assert_eq!(output.follow(Some(&b"100%\rlast words"[..])).await, Ended::ByItself);
        assert_eq!(output.errors, ["last words"]);
    }

    #[test]
    fn patience_depends_on_how_far_it_is() {
        let mut output = Output::new("test", percents, PATIENCE);
        assert_eq!(output.limit(), PATIENCE.begin);
        output.line("5%");
        assert_eq!(output.limit(), PATIENCE.copying);
        output.line("100%");
        assert_eq!(output.limit(), PATIENCE.end);
    }
}
