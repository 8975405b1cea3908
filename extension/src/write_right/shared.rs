//! The end of the local right to write, in the server's shared memory.
//!
//! It is zero whenever the server has forgotten its memory: after a start, and after it started over because a backend
//! crashed. Nothing here outlives the postmaster, and nothing should: a server that comes up has to be told anew.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use repmgr_write_right::{Ballot, LocalEnd, NotExtended};

use crate::state;

/// The part of the node's state that is about the right to write. All zero means: not required, never held, holder unknown.
///
/// Every commit reads it, so it is atomic. Whoever changes it holds the lock of the state, except for `required`.
#[repr(C)]
pub struct WriteRight {
    /// Whether a commit needs the right. Written by the postmaster alone, so that a reload reaches all sessions at once,
    /// also those in the middle of a long statement.
    required: AtomicBool,
    /// The node that held the right when this node last heard, 0 if unknown.
    known_holder: AtomicI32,
    /// The epoch of `known_holder`.
    known_epoch: AtomicU64,
    /// When the local right ends, in milliseconds of [`now`], 0 if it is not held.
    end: AtomicU64,
    /// When this memory was made, in microseconds of the same clock.
    server: AtomicU64,
    /// The highest ballot whose end was set to zero; round 0 if there was none.
    over_round: AtomicU64,
    over_incarnation: AtomicU64,
    over_node: AtomicI32,
    /// Whether a commit needs synchronous standbys. Written by the postmaster alone, too.
    strict: AtomicBool,
    /// Until when somebody waits for the daemon to acquire the right for a promotion.
    wished_until: AtomicU64,
    /// Until when a person's order stands, which one, and of which nodes; written and read under the lock.
    ordered_until: AtomicU64,
    ordered: AtomicI32,
    ordered_nodes: [AtomicI32; MOST_NODES],
}

/// Of how many nodes an order can be.
pub const MOST_NODES: usize = 64;

/// What a person can tell the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// These nodes are gone for good.
    GiveUp = 1,
    /// These nodes, given up before, may vote again.
    TakeBack = 2,
}

impl Order {
    /// Its word in SQL.
    pub fn word(self) -> &'static str {
        match self {
            Order::GiveUp => "give-up",
            Order::TakeBack => "take-back",
        }
    }
}

impl WriteRight {
    /// Whether a commit needs the right.
    pub fn is_required(&self) -> bool {
        self.required.load(Ordering::SeqCst)
    }

    /// Only for the postmaster.
    pub fn require(&self, required: bool) {
        self.required.store(required, Ordering::SeqCst);
    }

    /// Whether a commit needs synchronous standbys as well.
    pub fn is_strict(&self) -> bool {
        self.strict.load(Ordering::SeqCst)
    }

    /// Only for the postmaster.
    pub fn be_strict(&self, strict: bool) {
        self.strict.store(strict, Ordering::SeqCst);
    }

    /// When the local right ends, 0 if it is not held.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::SeqCst)
    }

    /// Whether the clock, read now, is before the end.
    pub fn is_held(&self) -> bool {
        now() < self.end()
    }

    /// A number that is another one whenever the server has forgotten its memory.
    pub fn server(&self) -> u64 {
        self.server.load(Ordering::SeqCst)
    }

    /// Notes that the memory is new.
    pub fn begin(&self) {
        self.server.store(clock().1, Ordering::SeqCst);
    }

    /// The last holder that this node has heard of, with its epoch.
    pub fn known_holder(&self) -> Option<(i32, u64)> {
        match self.known_holder.load(Ordering::SeqCst) {
            0 => None,
            node => Some((node, self.known_epoch.load(Ordering::SeqCst))),
        }
    }

    /// Notes who holds the right, for the hint of a refusal.
    pub fn note_holder(&self, node: i32, epoch: u64) {
        self.known_epoch.store(epoch, Ordering::SeqCst);
        self.known_holder.store(node, Ordering::SeqCst);
    }

    /// Whether somebody waits for the daemon to acquire the right for a promotion.
    pub fn is_wished(&self) -> bool {
        now() < self.wished_until.load(Ordering::SeqCst)
    }

    /// Notes that somebody does, for so long; zero: not any more.
    pub fn wish(&self, milliseconds: u64) {
        let until = if milliseconds == 0 {
            0
        } else {
            now().saturating_add(milliseconds)
        };
        self.wished_until.store(until, Ordering::SeqCst);
    }

    /// The round of the highest ballot whose end was set to zero.
    pub fn over_round(&self) -> u64 {
        self.over_round.load(Ordering::SeqCst)
    }

    /// The order that stands, of which nodes, and until when.
    fn order(&self) -> Option<(Order, Vec<i32>, u64)> {
        let until = self.ordered_until.load(Ordering::SeqCst);
        let order = match self.ordered.load(Ordering::SeqCst) {
            1 => Order::GiveUp,
            2 => Order::TakeBack,
            _ => return None,
        };
        let nodes = self.ordered_nodes.iter().map(|node| node.load(Ordering::SeqCst));
        let nodes = nodes.take_while(|node| *node != 0).collect();
        (now() < until).then_some((order, nodes, until))
    }

    fn local_end(&self) -> LocalEnd {
        let ballot = Ballot {
            round: self.over_round.load(Ordering::SeqCst),
            node: self.over_node.load(Ordering::SeqCst),
            incarnation: self.over_incarnation.load(Ordering::SeqCst),
        };
        LocalEnd {
            until: self.end(),
            over: (ballot.round != 0).then_some(ballot),
        }
    }
}

/// Moves the local end forward to `until`, under `ballot`, if this is the server that the caller means; gives the end that
/// counts then.
pub fn extend(until: u64, ballot: Ballot, server: u64) -> Result<u64, NotExtended> {
    state::write(|state| {
        let right = &state.write_right;
        let mut local = right.local_end();
        local.extend(now(), ballot, until, server, right.server())?;
        right.end.store(local.until, Ordering::SeqCst);
        Ok(local.until)
    })
}

/// Ends the local right at once; nothing is extended under `ballot`, or a lower one, again.
pub fn lapse(ballot: Ballot) {
    // Before anybody is waited for.
    state::write_right().end.store(0, Ordering::SeqCst);
    state::write(|state| {
        let right = &state.write_right;
        let mut local = right.local_end();
        local.set_to_zero(ballot);
        right.end.store(local.until, Ordering::SeqCst);
        if let Some(over) = local.over {
            right.over_round.store(over.round, Ordering::SeqCst);
            right.over_node.store(over.node, Ordering::SeqCst);
            right.over_incarnation.store(over.incarnation, Ordering::SeqCst);
        }
    });
}

/// Notes what a person orders, of at most [`MOST_NODES`] nodes, for so many milliseconds; zero: nothing any more.
pub fn order(order: Order, nodes: &[i32], milliseconds: u64) {
    let until = match milliseconds {
        0 => 0,
        _ => now().saturating_add(milliseconds),
    };
    state::write(|state| {
        let right = &state.write_right;
        right.ordered.store(order as i32, Ordering::SeqCst);
        for (at, place) in right.ordered_nodes.iter().enumerate() {
            place.store(nodes.get(at).copied().unwrap_or(0), Ordering::SeqCst);
        }
        right.ordered_until.store(until, Ordering::SeqCst);
    });
}

/// The order that stands, of which nodes, and until when.
pub fn ordered() -> Option<(Order, Vec<i32>, u64)> {
    state::read(|state| state.write_right.order())
}

/// CLOCK_BOOTTIME in milliseconds: never set, and it goes on while the host sleeps.
pub fn now() -> u64 {
    clock().0
}

/// CLOCK_BOOTTIME in milliseconds and in microseconds.
fn clock() -> (u64, u64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists in every Linux that PostgreSQL 13 to 18 run on, and `time` is a place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    (
        seconds * 1000 + nanoseconds / 1_000_000,
        seconds * 1_000_000 + nanoseconds / 1000,
    )
}
