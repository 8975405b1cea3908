//! What is remembered from one turn to the next. Nothing of it outlives the process: a restarted daemon never assumes that it
//! still holds.

use repmgr_write_right::{Ballot, NodeId};

use super::observation::Kept;
use super::{Action, Rule};

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// This node.
    pub own: NodeId,
    /// This process: a number that no other process of this node has or had.
    pub incarnation: u64,
    /// What it is doing.
    pub phase: Phase,
    /// The right, while it is held.
    pub held: Option<Held>,
    /// The highest epoch seen or used.
    pub epoch: u64,
    /// The round of the last ballot: what is told to the own server is ordered by it.
    pub round: u64,
    /// The number of the last question.
    pub attempt: u64,
    /// What the own server was told last: its start, and the end.
    pub extended: Option<(u64, u64)>,
}

/// The right as this process holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The value of the key.
    pub kept: Kept,
    /// The revision that the last renewal made.
    pub revision: u64,
    /// Under which ballot the own server is told.
    pub ballot: Ballot,
    /// Until when, on this host's clock.
    pub until: u64,
}

/// A question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its number.
    pub attempt: u64,
    /// The own clock before it was asked.
    pub since: u64,
    /// Until when a change makes the right held: by the length that was asked for.
    pub until: u64,
}

/// What it is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// Waiting before the next attempt.
    BackingOff {
        /// Until when.
        until: u64,
        /// Why the last one failed.
        rule: Rule,
    },
    /// etcd has been asked for the keys.
    Looking(Asked),
    /// etcd has been asked for the right.
    Taking {
        /// The question.
        asked: Asked,
        /// The value.
        kept: Kept,
        /// Who had it before.
        previous: Option<NodeId>,
    },
    /// The right is held.
    Holding {
        /// The renewal under way.
        renewal: Option<Asked>,
        /// When the next one is due.
        next: u64,
    },
    /// The right is to be given back as soon as nobody is attached to the server's memory.
    Stopping(Held),
    /// etcd is asked to remove the key.
    Releasing {
        /// What ends.
        ending: Held,
        /// The question.
        asked: Asked,
    },
}

/// What one turn decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rule that decided.
    pub rule: Rule,
    /// One sentence: why, with the numbers of this turn.
    pub reason: String,
    /// What to carry out, in this order.
    pub actions: Vec<Action>,
    /// What to remember.
    pub next: State,
    /// When the next turn is due at the latest.
    pub wake_at: u64,
}

impl State {
    /// A process that knows nothing yet.
    pub fn new(own: NodeId, incarnation: u64) -> Self {
        State {
            own,
            incarnation,
            phase: Phase::Idle,
            held: None,
            epoch: 0,
            round: 0,
            attempt: 0,
            extended: None,
        }
    }
}
