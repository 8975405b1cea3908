//! The right to write, as each node of a cluster knows it: what a voter remembers, what it can be asked, and what it
//! answers. Answers for the rules of voting and for the text in which requests, answers and records travel and rest.
//! Does not answer for who asks (the daemon's proposer), for files, locks and clocks (the server library), or for
//! what a server does without the right.
//!
//! Pure: no clock, no file, no socket, no dependency. All lengths are milliseconds. All points in time are
//! milliseconds of `CLOCK_BOOTTIME` on the host of the one who reads them, and are never compared with another host's.
//!
//! The algorithm is PaxosLease (Trencseni, Gazso, Reinhardt: "PaxosLease: Diskless Paxos for Leases", 2012) for the
//! lease, and single-decree Paxos under the same ballots for what must outlive it: epoch, payload and voter list.
//! Those are why the promise is part of the durable record here, where PaxosLease can forget it: a voter that forgot
//! one could let a payload be chosen beside a higher ballot that carries an older one.
//!
//! # How the server library uses it
//!
//! ```text
//! at the start of the server, and whenever the record is not in memory:
//!   let (record, loss) = Record::load(identity, durable_file_text, volatile_file_text, now);
//!   write record.volatile_text() to the volatile file        // not fsynced: a server's restart keeps it, a host's does not
//!
//! ask(text), under one lock for all sessions:
//!   let request = Request::parse(text)?;
//!   // also when nothing is known: a durable text that is not believed is replaced by one that says so
//!   let (record, answer, durable_first) = acceptor::answer(&record, now, &request);
//!   if durable_first { write record.durable_text() whole, fsync file and folder; on failure: keep the old record, error }
//!   write record.volatile_text() if it changed
//!   keep record; return answer.to_string()
//! ```

pub mod acceptor;
mod ballot;
mod identity;
mod local_end;
mod message;
mod payload;
mod record;
mod safety;
#[cfg(test)]
mod tests;
mod text;
mod voters;

pub use acceptor::answer;
pub use ballot::{Ballot, Epoch, NodeId};
pub use identity::Identity;
pub use local_end::{LocalEnd, NotExtended};
pub use message::{Answer, Known, Proposal, Purpose, Request, Verdict};
pub use payload::Payload;
pub use record::{Durable, Loss, Record, Volatile};
pub use safety::{Rules, Safety};
pub use text::Malformed;
pub use voters::{ListRank, VoterList};

/// The longest lease that a voter grants.
pub const LONGEST_LEASE: u64 = 30_000;

/// How long a voter is silent that may have forgotten something: the longest lease there is.
pub const SILENCE: u64 = LONGEST_LEASE;

/// How far a ballot's round may lie above the highest one that the voter knows. Honest rounds grow by one with each
/// attempt; one beyond this comes from damage, and to accept it would use up the rounds that all others need.
pub const PLAUSIBLE_JUMP: u64 = 1 << 32;

/// How much a forced reconfiguration raises the epoch and the version of the voter list: more than those who were
/// given up can reach by themselves meanwhile.
pub const FORCED_STEP: u64 = 1_000_000;
