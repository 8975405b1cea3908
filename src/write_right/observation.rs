//! What the proposer is told each turn.

use repmgr_write_right::{Answer, Ballot, NodeId};

/// Everything there is to know in one turn. All times are milliseconds of this host's `CLOCK_BOOTTIME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Now.
    pub now: u64,
    /// A number that is another one each turn, on each node: for back-offs.
    pub random: u64,
    /// What the daemon wants of the right.
    pub want: Want,
    /// The registered nodes, this one included: whom to ask who votes, as long as no voter list is known.
    pub nodes: Vec<NodeId>,
    /// A node to be added to or removed from the voters, as long as it is wanted. Only the holder acts on it.
    pub change: Option<Change>,
    /// The synchronous standbys that the next holder is to know of, and how many of them must have a commit; as long
    /// as it is wanted. `None`: those known already stay.
    pub payload: Option<(u32, Vec<NodeId>)>,
    /// Nodes that a person gives up, the majority being lost for good; until [`super::Action::Forced`] comes. Needs
    /// [`Want::Take`] or [`Want::Keep`]; also by force the latter holds only if nobody who is left knows that another node had
    /// the right since.
    pub force: Option<Vec<NodeId>>,
    /// With [`Want::Take`]: only in place of this node, if another one had it last. `None`: whoever had it.
    pub in_place_of: Option<NodeId>,
    /// A ballot of another node that has overtaken nobody: its lease had ended when that node was seen to be still in
    /// recovery. As long as it is the last that was accepted, [`Want::Keep`] may go on after it.
    pub dismissed: Option<Ballot>,
    /// The own server.
    pub server: Server,
    /// The answers that came since the last turn.
    pub answers: Vec<Answered>,
}

/// What the daemon wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Nothing: not to hold the right. One that is held is left to end, and the own end is set to zero.
    Nothing,
    /// To hold it for the server that runs as a primary: only if nobody else has had it since this node.
    Keep,
    /// To hold it in order to be promoted, whoever had it before. Once promoted the daemon wants [`Want::Keep`].
    Take,
    /// To give it back, the server being shut down.
    Release,
}

/// A change of the voters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One more. It must have a record already, which its own daemon has it relearn.
    Add(NodeId),
    /// One less; not this node.
    Remove(NodeId),
}

/// The own server, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Server {
    /// When the running server was started (`pg_postmaster_start_time()`, in any unit); `None`: it does not answer.
    pub start: Option<u64>,
    /// The end of the right as the server knows it; `None`: it does not answer.
    pub end: Option<u64>,
    /// Whether it was proven that the server's library is loaded and enforces.
    pub enforcing: bool,
    /// Whether it is known that no process is attached to the server's shared memory: it was shut down, or it crashed
    /// and nothing of it is left.
    pub nobody_attached: bool,
}

/// The end of one question to one voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Which question: [`super::Action::Ask`].
    pub attempt: u64,
    /// Who was asked.
    pub voter: NodeId,
    /// `None`: there was no answer within the deadline, or the connection failed.
    pub answer: Option<Answer>,
}
