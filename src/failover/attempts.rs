//! The probes of the upstream: when they are started, and what those that ended say together.
//!
//! A probe is started on the clock, whether the one before has ended or not. Since the upstream last answered, each
//! is an attempt to reach it. What an attempt says is worth what the time of its *start* says: one that ends after a
//! later one has ended adds nothing to it, unless it found the upstream up.

use std::time::Duration;

use super::observation::{Probe, Verdict, verdict};

/// A probe that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// When it was started.
    pub started: Duration,
    /// When its answer was seen.
    pub at: Duration,
    /// The answer.
    pub answer: Probe,
}

/// The probes of one upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    /// When those that are under way were started, the oldest first.
    under_way: Vec<Duration>,
    /// When the newest was started.
    latest: Option<Duration>,
    /// When the first one since the upstream was up was started.
    first: Option<Duration>,
    /// How many have ended since then.
    ended: u32,
    /// When the first one of those was started that found it down, with none between them that found it there.
    down_since: Option<Duration>,
    /// How many those are.
    down: u32,
    /// The one that counts: of those that ended the newest by its start, and any that found the upstream up.
    last: Option<Answered>,
}

impl Attempts {
    /// Takes note of a probe that is under way from now on.
    pub(super) fn start(&mut self, at: Duration) {
        self.under_way.push(at);
        self.latest = Some(at);
        self.first.get_or_insert(at);
    }

    /// Takes note of the end of a probe; whether it says something about the upstream as it is now.
    pub(super) fn end(&mut self, started: Duration, answer: Probe, at: Duration) -> bool {
        let Some(known) = self.under_way.iter().position(|known| *known == started) else {
            return false;
        };
        self.under_way.remove(known);
        let found = verdict(&answer);
        if found == Verdict::Up {
            self.under_way.retain(|other| *other > started);
            *self = Attempts {
                first: self.under_way.first().copied(),
                under_way: std::mem::take(&mut self.under_way),
                latest: self.latest,
                last: Some(Answered { started, at, answer }),
                ..Attempts::default()
            };
            return true;
        }
        self.ended = self.ended.saturating_add(1);
        let newer = self.last.filter(|last| last.started > started);
        let newest_found = newer.map(|last| verdict(&last.answer));
        match found {
            Verdict::Down if newest_found != Some(Verdict::RefusesUs) => {
                self.down_since = Some(self.down_since.map_or(started, |since| since.min(started)));
                self.down = self.down.saturating_add(1);
            }
            Verdict::RefusesUs if newer.is_none() => {
                self.down_since = None;
                self.down = 0;
            }
            _ => {}
        }
        if newer.is_none() {
            self.last = Some(Answered { started, at, answer });
        }
        newer.is_none()
    }

    /// The answer that counts.
    pub fn last(&self) -> Option<&Answered> {
        self.last.as_ref()
    }

    /// Whether one that was started has not ended yet.
    pub fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// When the newest was started.
    pub fn latest(&self) -> Option<Duration> {
        self.latest
    }

    /// When the next one is due if they are started this far apart, counted from the first one.
    pub fn next(&self, interval: Duration) -> Duration {
        let (Some(first), Some(latest)) = (self.first, self.latest) else {
            return Duration::ZERO;
        };
        let interval = interval.max(Duration::from_millis(1));
        let passed = latest.saturating_sub(first).as_nanos() / interval.as_nanos();
        first + interval * u32::try_from(passed).unwrap_or(u32::MAX - 1).saturating_add(1)
    }

    /// How many have ended since the upstream was up.
    pub fn ended(&self) -> u32 {
        self.ended
    }

    /// Whether so many have ended, the newest of them started so long after the first one, and none found it up.
    pub fn used_up(&self, count: u32, time: Duration) -> bool {
        self.spans(self.first, self.ended, count, time)
    }

    /// Whether so many found it down without a break, the newest of them started so long after the first one.
    pub fn found_down(&self, count: u32, time: Duration) -> bool {
        self.last.is_some_and(|last| verdict(&last.answer) == Verdict::Down)
            && self.spans(self.down_since, self.down, count, time)
    }

    fn spans(&self, since: Option<Duration>, ended: u32, count: u32, time: Duration) -> bool {
        let newest = self.last.map(|last| last.started);
        let lasts = newest.zip(since).is_some_and(|(newest, since)| newest >= since + time);
        lasts && ended >= count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ConnectFailure, RecoveryState};

    const DOWN: Probe = Err(ConnectFailure::Silent);
    const UP: Probe = Ok(RecoveryState::Primary);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn started(at: &[u64]) -> Attempts {
        let mut attempts = Attempts::default();
        at.iter().for_each(|at| attempts.start(s(*at)));
        attempts
    }

    #[test]
    fn overlapping_attempts_count_from_the_start_of_the_first() {
        let mut attempts = started(&[10, 11, 12]);
        assert_eq!(attempts.next(s(1)), s(13));
        assert!(attempts.end(s(10), DOWN, s(14)));
        assert!(attempts.end(s(11), DOWN, s(15)));
        assert!(!attempts.found_down(3, s(2)));
        assert!(attempts.end(s(12), DOWN, s(16)));
        assert!(attempts.found_down(3, s(2)) && attempts.used_up(3, s(2)));
        assert!(!attempts.found_down(4, s(2)) && !attempts.found_down(3, s(3)));
    }

    #[test]
    fn an_older_attempt_that_ends_late_counts_but_does_not_change_the_answer() {
        let mut attempts = started(&[10, 11, 12]);
        attempts.end(s(12), Err(ConnectFailure::Refused), s(12));
        assert!(!attempts.found_down(1, s(1)), "one attempt lasts no time");
        assert!(!attempts.end(s(10), DOWN, s(13)));
        assert!(!attempts.end(s(11), DOWN, s(13)));
        assert_eq!(attempts.last().map(|last| last.started), Some(s(12)));
        assert!(attempts.found_down(3, s(2)));
    }

    #[test]
    fn one_that_succeeds_ends_them_all_but_those_started_later() {
        let mut attempts = started(&[10, 11, 12]);
        attempts.end(s(12), DOWN, s(12));
        assert!(attempts.end(s(11), UP, s(13)));
        assert!(!attempts.end(s(10), DOWN, s(14)), "older than the success");
        assert!(!attempts.used_up(1, s(0)));
        assert_eq!(attempts.last().map(|last| last.answer), Some(UP));

        let mut attempts = started(&[10, 11]);
        attempts.end(s(10), UP, s(12));
        assert!(attempts.is_under_way());
        assert!(attempts.end(s(11), DOWN, s(13)));
        assert!(attempts.found_down(1, s(0)));
    }

    #[test]
    fn a_refused_login_breaks_the_run_of_failures() {
        let refuses = Err(ConnectFailure::Authentication);
        let mut attempts = started(&[10, 11, 12, 13]);
        attempts.end(s(10), DOWN, s(10));
        attempts.end(s(12), refuses, s(12));
        attempts.end(s(11), DOWN, s(12));
        assert!(attempts.used_up(3, s(2)) && !attempts.found_down(1, s(0)));
        attempts.end(s(13), DOWN, s(13));
        assert!(attempts.found_down(1, s(0)) && !attempts.found_down(2, s(0)));
    }

    #[test]
    fn attempts_are_due_on_the_clock_however_late_one_was_started() {
        let mut attempts = started(&[10]);
        assert_eq!(attempts.next(s(5)), s(15));
        attempts.start(s(16));
        assert_eq!(attempts.next(s(5)), s(20));
        attempts.start(s(31));
        assert_eq!(attempts.next(s(5)), s(35));
        assert_eq!(Attempts::default().next(s(5)), Duration::ZERO);
    }
}
