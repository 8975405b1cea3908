//! Until when the own server may write: the one number that enforcement reads.

use crate::ballot::Ballot;

/// The end of the right as the own server knows it; small, and plain enough for shared memory. It begins with the
/// server, at zero, and is not kept across a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LocalEnd {
    /// Until when writing transactions are acknowledged, on the host's own clock; zero: not at all.
    pub until: u64,
    /// The highest ballot whose end was set to zero: nothing is extended under it, or a lower one, any more.
    pub over: Option<Ballot>,
}

/// Why an extension was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotExtended {
    /// It was meant for the server before its restart.
    OtherServer,
    /// The end was set to zero under this ballot, or a higher one: the extension came late.
    Over,
    /// It lies further ahead than the longest lease.
    TooFar,
}

impl LocalEnd {
    /// Whether a writing transaction may be acknowledged.
    pub fn may_write(&self, now: u64) -> bool {
        now < self.until
    }

    /// Extends the end; never shortens it. `meant_for` is the start of the server that the proposer had in mind, and
    /// `server` the start of this one (`pg_postmaster_start_time()`): an extension on its way while the server
    /// restarts must not reach the new one, as the right may have been given back meanwhile.
    pub fn extend(
        &mut self,
        now: u64,
        ballot: Ballot,
        until: u64,
        meant_for: u64,
        server: u64,
    ) -> Result<(), NotExtended> {
        if meant_for != server {
            return Err(NotExtended::OtherServer);
        }
        if self.over.is_some_and(|over| ballot <= over) {
            return Err(NotExtended::Over);
        }
        if until > now.saturating_add(crate::LONGEST_LEASE) {
            return Err(NotExtended::TooFar);
        }
        self.until = self.until.max(until);
        Ok(())
    }

    /// Sets the end to zero: from now on nothing is acknowledged, and nothing is extended under this ballot again.
    pub fn set_to_zero(&mut self, ballot: Ballot) {
        self.until = 0;
        self.over = self.over.max(Some(ballot));
    }
}
