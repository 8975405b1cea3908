//! What an administrator can set, and what follows from it.

use repmgr_write_right::LONGEST_LEASE;

/// The shortest lease that may be asked for.
const SHORTEST_LEASE: u64 = 2_000;

/// Lengths in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `write_right_duration`: how long a lease lasts at the voters.
    pub length: u64,
    /// What the holder subtracts from its own end, as clocks may run at different rates.
    pub margin: u64,
}

impl Settings {
    /// For leases of this length, brought between two and thirty seconds; the margin is a fifth of it.
    pub fn new(length: u64) -> Self {
        let length = length.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        Settings {
            length,
            margin: length / 5,
        }
    }

    /// From one renewal to the next.
    pub fn renewal(&self) -> u64 {
        self.length / 3
    }

    /// How long the answers to one question are awaited.
    pub fn patience(&self) -> u64 {
        self.length / 2
    }

    /// How long an acceptance is worth anything, from before it was asked for.
    pub fn worth(&self) -> u64 {
        self.length.saturating_sub(self.margin)
    }

    /// How often a candidate asks for what another node has, which may give it back at any moment.
    pub fn poll(&self) -> u64 {
        (self.length / 100).min(50)
    }

    /// A short while before the next attempt, other ones for other numbers, so that two that met do not meet again.
    pub fn back_off(&self, random: u64) -> u64 {
        self.length / 100 + random % (self.length / 5).max(1)
    }
}
