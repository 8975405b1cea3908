//! What pg_basebackup says while it works: progress, shown as a person or a log wants it, and everything else.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::log::{self, Level};

/// After so long without a word from pg_basebackup it is said that it is waited for.
const SILENCE: Duration = Duration::from_secs(60);

/// What pg_basebackup writes while it works: progress, and everything else.
pub(super) struct Output {
    bar: Option<ProgressBar>,
    quiet: bool,
    last: (u64, Instant),
    /// The lines that are not progress.
    pub errors: Vec<String>,
}

impl Output {
    pub fn new() -> Output {
        let quiet = log::level() < Level::Info;
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {percent}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Output {
            bar,
            quiet,
            last: (0, Instant::now()),
            errors: Vec::new(),
        }
    }

    /// Reads to the end; lines end with a line feed or, on a terminal, a carriage return.
    pub async fn follow(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut pending = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match tokio::time::timeout(SILENCE, pipe.read(&mut buffer)).await {
                Err(_) => self.still_waiting(),
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) => pending.extend_from_slice(&buffer[..count]),
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
    }

    /// A wait says whom it waits for. It has no limit: a checkpoint may take as long as it is configured to.
    fn still_waiting(&self) {
        let say = || crate::info!("still waiting for the source: pg_basebackup has received nothing for a minute");
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn line(&mut self, line: &str) {
        match progress(line) {
            Some((done, total)) => self.show(done, total),
            None if line.trim().is_empty() => {}
            None => {
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
            bar.set_length(total * 1024);
            bar.set_position(done * 1024);
            return;
        }
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        let (last, at) = self.last;
        if !self.quiet && (percent >= last + 10 || at.elapsed() > Duration::from_secs(30)) {
            crate::info!("{done}/{total} kB ({percent}%) copied");
            self.last = (percent, Instant::now());
        }
    }
}

/// Kilobytes done and in all, from a line of `pg_basebackup --progress`.
fn progress(line: &str) -> Option<(u64, u64)> {
    let (numbers, rest) = line.trim_start().split_once(" kB (")?;
    rest.split_once("%)")?.0.trim().parse::<u32>().ok()?;
    let (done, total) = numbers.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_everything_else() {
        assert_eq!(
            progress("  12345/678901 kB (2%), 0/1 tablespace"),
            Some((12345, 678_901))
        );
        assert_eq!(
            progress("123/678 kB (18%), 0/2 tablespaces (/srv/data/base/16384/1259)"),
            Some((123, 678))
        );
        for line in [
            "pg_basebackup: error: 5/6 kB",
            "",
            "waiting for checkpoint",
            "a/b kB (1%)",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }
}
