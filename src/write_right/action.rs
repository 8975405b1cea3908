//! What the daemon is to carry out for the right. Nothing in here is carried out in this room.

use repmgr_write_right::{Ballot, Epoch, NodeId, Payload, Request};

/// One thing to do, in this order. None of them may hold the loop up: questions run beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a few of them a second")]
pub enum Action {
    /// Put this question to all of them at the same time; each end comes back in
    /// [`super::Observation::answers`] with the attempt's number, within the deadline.
    Ask {
        /// The question's number.
        attempt: u64,
        /// Whom; this node too, if it is among them.
        voters: Vec<NodeId>,
        /// What.
        request: Request,
        /// Until when an answer is of use.
        deadline: u64,
    },
    /// Extend the end that the own server knows. The server must refuse it if it was not started at `server`, or if its
    /// end was set to zero under this ballot or a higher one ([`repmgr_write_right::LocalEnd`]).
    ExtendLocalEnd {
        /// Under which ballot.
        ballot: Ballot,
        /// Until when.
        until: u64,
        /// Which start of the server it is for.
        server: u64,
    },
    /// Set the end that the own server knows to zero; nothing is extended under this ballot any more.
    SetLocalEndToZero {
        /// Under which ballot.
        ballot: Ballot,
    },
    /// The right is held, by this process for the first time or again after a lapse: raise `write_right_acquired`.
    Acquired {
        /// The new epoch.
        epoch: Epoch,
        /// Who had it before, if anybody.
        previous: Option<NodeId>,
    },
    /// The right has ended without having been given back: raise `write_right_lapsed`, take the server out of the way.
    Lapsed {
        /// The epoch that it was held in.
        epoch: Epoch,
    },
    /// The right was given back: raise `write_right_released`.
    Released {
        /// The epoch that it was held in.
        epoch: Epoch,
    },
    /// The change of the voters is over: a majority of both has it.
    VotersChanged {
        /// The new voters.
        voters: Vec<NodeId>,
    },
    /// A majority has this payload: the next holder will know it.
    PayloadChosen {
        /// Which.
        payload: Payload,
    },
    /// Those who were given up are no voters any more: every one that remains has accepted.
    Forced {
        /// The voters that remain.
        voters: Vec<NodeId>,
    },
}
