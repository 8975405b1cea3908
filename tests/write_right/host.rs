//! One host: its clock and disk, its server with the voter in it, its daemon.

use repmgr::write_right::State;
use repmgr_write_right::{Ballot, Identity, LocalEnd, NodeId, Record};

/// What a server's shared memory holds; it outlives the postmaster as long as a backend is attached.
#[derive(Clone)]
pub struct Memory {
    /// The server's start, unlike any other.
    pub start: u64,
    pub end: LocalEnd,
}

pub struct Server {
    pub memory: Memory,
    pub record: Record,
}

pub struct Daemon {
    pub incarnation: u64,
    pub state: State,
    pub answers: Vec<repmgr::write_right::Answered>,
    /// The turn that is planned; others are outdated.
    pub turn: u64,
    pub turn_at: u64,
    /// The right is to be given back, the server being on its way down.
    pub releasing: bool,
    pub last_promotion: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Primary,
    Standby,
    Witness,
}

pub struct Host {
    pub id: NodeId,
    pub on: bool,
    /// Switched off for good: only its person switches it on.
    pub given_up: bool,
    pub boot: u64,
    pub booted_at: u64,
    /// Milliseconds of its clock in a thousand true seconds.
    pub rate: u64,
    pub inode: u64,
    pub device: u64,
    pub role: Role,
    pub candidate: bool,
    pub restless: bool,
    pub enforcing: bool,
    /// The record's files: what a restart of the server finds, what a restart of the host finds.
    pub durable: Option<String>,
    pub durable_on_disk: Option<String>,
    pub volatile: Option<String>,
    /// Its durable record is lost, and not relearnt yet.
    pub lost: bool,
    /// An earlier state, kept by a backup.
    pub backup: Option<String>,
    pub server: Option<Server>,
    /// A crashed server's backends, and when the last one ends.
    pub orphans: Option<(Memory, u64)>,
    pub daemon: Option<Daemon>,
    pub server_frozen: u64,
    pub daemon_frozen: u64,
    /// How long the daemon will be frozen between the next decision and its actions.
    pub stumble: Option<u64>,
    pub local_hangs: u64,
    pub slow_disk: u64,
    /// Until when the right is this node's, in true time.
    pub right_until: u64,
    /// What this voter released, as long as it remembers anything.
    pub released: Vec<Ballot>,
    /// The last epoch and list version that were seen in its record.
    pub observed: (u64, u64),
    /// The newest list version that it ever accepted.
    pub list_accepted: u64,
    /// The last ballot and version of the payload that were seen in its record.
    pub accepted: (Option<Ballot>, u64),
    /// The lease that it granted last, and until when the holder may rely on it, in true time.
    pub granted: Option<(Ballot, u64)>,
    /// An incarnation comes from the wall clock, which jumps.
    pub wall: u64,
    /// A length of lease beyond what voters grant.
    pub mad_length: bool,
}

impl Host {
    /// Its `CLOCK_BOOTTIME` in milliseconds.
    pub fn clock(&self, now: u64) -> u64 {
        (now - self.booted_at) * self.rate / 1_000_000_000
    }

    /// The true time at which its clock shows these milliseconds.
    pub fn true_time(&self, clock: u64) -> u64 {
        self.booted_at
            + (u128::from(clock) * 1_000_000_000)
                .div_ceil(u128::from(self.rate))
                .min(u128::from(u64::MAX / 2)) as u64
    }

    pub fn identity(&self) -> Identity {
        Identity {
            system: 7_000,
            node: self.id,
            boot: format!("boot-{}-{}", self.id, self.boot),
            device: self.device,
            inode: self.inode,
        }
    }

    /// The memory that somebody may still write by.
    pub fn memory(&self) -> Option<&Memory> {
        let server = self.server.as_ref().map(|server| &server.memory);
        server.or(self.orphans.as_ref().map(|(memory, _)| memory))
    }

    pub fn may_write(&self, now: u64) -> bool {
        let clock = self.clock(now);
        self.memory().is_some_and(|memory| memory.end.may_write(clock))
    }

    /// Whether its daemon believes to hold the right.
    pub fn holds(&self, now: u64) -> bool {
        let clock = self.clock(now);
        let held = self.daemon.as_ref().and_then(|daemon| daemon.state.holds_until());
        held.is_some_and(|until| clock < until)
    }
}
