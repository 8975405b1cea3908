//! Whether this process stood still: was stopped, got no processor, or its host
//! slept. What it has asked before may have changed since.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::boottime;

/// How often it beats.
const BEAT: Duration = Duration::from_secs(1);
/// A gap as long as this makes what was seen before it too old to act on.
const TOO_LONG: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Beats {
    last: Duration,
    longest_gap: Duration,
}

impl Beats {
    fn beat(&mut self, now: Duration) {
        self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last));
        self.last = now;
    }

    fn take(&mut self, now: Duration) -> bool {
        self.beat(now);
        std::mem::take(&mut self.longest_gap) >= TOO_LONG
    }
}

/// Beats beside the loop for as long as it exists.
#[derive(Debug)]
pub struct Pulse {
    beats: Arc<Mutex<Beats>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pulse {
    /// Begins to beat, in the runtime that this is called in.
    pub fn start() -> Pulse {
        let beats = Arc::new(Mutex::new(Beats {
            last: boottime(),
            longest_gap: Duration::ZERO,
        }));
        let shared = Arc::clone(&beats);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                shared.lock().unwrap_or_else(PoisonError::into_inner).beat(boottime());
            }
        });
        Pulse { beats, task }
    }

    /// Whether it stood still for two seconds or longer since this was asked last.
    pub fn stood_still(&self) -> bool {
        self.beats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(boottime())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_once_and_also_before_the_next_beat() {
        let at = Duration::from_millis;
        let mut beats = Beats::default();
        beats.beat(at(250));
        assert!(!beats.take(at(500)));
        beats.beat(at(2600));
        assert!(beats.take(at(2700)));
        assert!(!beats.take(at(2800)));
        assert!(beats.take(at(4800)), "the beat is still to come");
    }
}
