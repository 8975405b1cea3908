//! The right to write where etcd grants it: one key with a lease that only its holder can change, and one without that
//! remembers who had it last. Pure, like the rest of the room; `crate::etcd` talks to etcd.
//!
//! The key `holder` is there while the right is held. It is made by a transaction that needs it to be absent (or to be
//! this node's own) and the key `last` to be as it was read, and it is made anew, with a new lease, by each renewal:
//! a transaction that needs the very revision that the renewal before had made. So a renewal counts only if etcd's
//! majority has taken it in, whatever a member that was frozen or deposed says of the leases that it knew.
//!
//! The lease lasts at least as long as the right (`write_right_duration`, rounded up to a second) and begins after the
//! renewal was asked for; the holder's own end is counted from before that, less the margin. etcd ends a lease late,
//! never early, as long as its clock runs at about the same rate.

mod observation;
mod rules;
mod state;
mod step;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod story_tests;

pub use observation::{Answered, Entry, Kept, Observation, Reply, Request, Seen};
pub use rules::Rule;
pub use state::{Decision, Held, Phase, State};
pub use step::step;

/// What is to be carried out, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Put this to etcd; its end comes back in [`Observation::answers`] with this number, within the deadline.
    Ask {
        /// The question's number.
        attempt: u64,
        /// What.
        request: Request,
        /// Until when an answer is of use.
        deadline: u64,
    },
    /// As [`super::Action::ExtendLocalEnd`].
    ExtendLocalEnd {
        /// Under which ballot.
        ballot: repmgr_write_right::Ballot,
        /// Until when.
        until: u64,
        /// Which start of the server it is for.
        server: u64,
    },
    /// As [`super::Action::SetLocalEndToZero`].
    SetLocalEndToZero {
        /// Under which ballot.
        ballot: repmgr_write_right::Ballot,
    },
    /// The right is held, in a new epoch.
    Acquired {
        /// Which.
        epoch: u64,
        /// Who had it before, if anybody.
        previous: Option<repmgr_write_right::NodeId>,
    },
    /// It has ended without having been given back.
    Lapsed {
        /// The epoch that it was held in.
        epoch: u64,
    },
    /// It was given back.
    Released {
        /// The epoch that it was held in.
        epoch: u64,
    },
}
