//! What there is to see. What is not known is said to be so, with the reason.

use crate::config::Rejoin;
use crate::failover::Answer;
use crate::types::{Lsn, NodeId, TimelineId};

/// Everything that counts for one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// This node.
    pub own: NodeId,
    /// Its server.
    pub server: Server,
    /// What the voters say of the right.
    pub voters: Voters,
    /// Who had the right last by their word, if that is another node: what it says of itself.
    pub holder: Holder,
    /// How the own data and the holder's belong together.
    pub histories: Histories,
    /// How far the node may go by itself.
    pub policy: Rejoin,
    /// Returns that failed since the node was overtaken.
    pub failures: u32,
    /// One of them was a rewind, which does not help here.
    pub rewind_failed: bool,
    /// Looks in a row, before this one, that found the standby past the fork.
    pub past_the_fork: u32,
}

/// The own server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// It runs as a primary.
    Primary {
        /// It has the right, as it says itself.
        holds: bool,
        /// Whether its library enforces that commits need the right; no: the right is switched on, and the library is
        /// not loaded.
        enforcing: Answer,
    },
    /// It runs as a standby.
    Standby,
    /// It does not answer, and it is not known to be gone.
    Unknown,
    /// It is gone, having been shut down by somebody else.
    ShutDown,
    /// It is gone without having been shut down.
    Crashed,
    /// It is gone: this daemon has stopped it.
    Stopped,
}

/// What the voters say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voters {
    /// Too few answer for a majority.
    TooFew {
        /// Who has not answered, or does not vote for a while.
        missing: Vec<NodeId>,
    },
    /// A majority answers, and has accepted nobody yet, or not the same one.
    AtOdds,
    /// A majority has accepted the same node last, under one ballot.
    Agree {
        /// Whom.
        holder: NodeId,
        /// In which epoch.
        epoch: u64,
        /// Whether its lease runs at one of them at least.
        runs: bool,
        /// Whether the others are a majority without this node's vote, which is lost while its server is stopped.
        others_suffice: bool,
    },
}

/// The node that had the right last, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// It does not answer, or was not asked.
    Unseen(String),
    /// It is in recovery: it was not promoted, or is a standby again.
    InRecovery,
    /// It is a primary.
    Primary,
}

/// How the own history and the holder's belong together. (PostgreSQL: "Timelines".)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Histories {
    /// Not known, and why.
    Unknown(String),
    /// The holder has all that this node has, and left this node's timeline behind it.
    Joined,
    /// This node has what the holder has not.
    Parted {
        /// Where the holder left which timeline; `None`: further back than can be told.
        fork: Option<(TimelineId, Lsn)>,
        /// How it was seen.
        how: String,
    },
    /// They are on the very same timeline: nothing tells the two apart.
    SameTimeline,
    /// It is no relation of this node's, and why.
    Foreign(String),
}
