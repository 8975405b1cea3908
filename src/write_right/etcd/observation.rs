//! What the holder or candidate is told each turn, and what it asks etcd.

use repmgr_write_right::{Ballot, NodeId};

use crate::write_right::{Server, Want};

/// Everything there is to know in one turn. All times are milliseconds of this host's `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Now.
    pub now: u64,
    /// Another number each turn, on each node: for back-offs.
    pub random: u64,
    /// What the daemon wants.
    pub want: Want,
    /// The own server.
    pub server: Server,
    /// Only ballots of a higher round extend the server's end.
    pub over_round: u64,
    /// With [`Want::Take`]: only in place of this node, if another one had it last. `None`: whoever had it.
    pub in_place_of: Option<NodeId>,
    /// Who had the right last, as [`Entry::ballot`], where it is known that nobody was promoted with it.
    pub dismissed: Option<Ballot>,
    /// The answers that came since the last turn.
    pub answers: Vec<Answered>,
}

/// Who has the right, or had it last: the value of both keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Which node.
    pub node: NodeId,
    /// Which process of it.
    pub incarnation: u64,
    /// In which epoch.
    pub epoch: u64,
}

/// A key as etcd has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its value.
    pub kept: Kept,
    /// The revision at which it was last changed (`mod_revision`).
    pub revision: u64,
}

impl Entry {
    /// What names this very holding: another one for each.
    pub fn ballot(&self) -> Ballot {
        Ballot {
            round: self.revision,
            node: self.kept.node,
            incarnation: self.kept.incarnation,
        }
    }
}

/// Both keys, read at once; `None`: not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Who has the right.
    pub holder: Option<Entry>,
    /// Who had it last.
    pub last: Option<Entry>,
}

/// A question to etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What are the keys?
    Look,
    /// Make `holder` anew, with a new lease, if both keys are at these revisions; zero: not there.
    Take {
        /// The value.
        kept: Kept,
        /// The revision of `holder`.
        holder: u64,
        /// The revision of `last`; `None`: a renewal, which leaves that alone.
        last: Option<u64>,
        /// How long the lease lasts, in seconds.
        seconds: u64,
    },
    /// Remove `holder`, if it is at this revision.
    Drop {
        /// Which.
        holder: u64,
    },
}

/// What etcd says to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The change is made, at this revision.
    Done {
        /// Which.
        revision: u64,
    },
    /// The keys as they are: asked for, or because a change was not made.
    Keys(Seen),
}

/// The end of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Which.
    pub attempt: u64,
    /// What etcd said; or why there is no answer: then the change may have been made.
    pub reply: Result<Reply, String>,
}
