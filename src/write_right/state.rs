//! What the proposer remembers from one turn to the next. Nothing of it outlives the process: a restarted daemon never
//! assumes that it still holds.

use std::collections::{BTreeMap, BTreeSet};

use repmgr_write_right::{Ballot, Epoch, Known, NodeId, Payload, Proposal, VoterList};

use super::action::Action;
use super::rules::Rule;

/// Everything a proposer remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// This node.
    pub own: NodeId,
    /// This process: a number that no other process of this node has or had.
    pub incarnation: u64,
    /// What it is doing.
    pub phase: Phase,
    /// The right, while it is held; also while a new ballot is prepared for it.
    pub held: Option<Held>,
    /// The newest voter list that any answer carried; version zero: none did.
    pub list: VoterList,
    /// The ballot that it was accepted under.
    pub list_from: Option<Ballot>,
    /// The highest epoch that any answer carried.
    pub epoch: Epoch,
    /// The highest round seen or used.
    pub round: u64,
    /// The highest version of a payload seen or used.
    pub payload_version: u64,
    /// The number of the last question.
    pub attempt: u64,
    /// What the own server was told last: its start, and the end.
    pub extended: Option<(u64, u64)>,
    /// The own voter's loss, while it is being relearnt.
    pub relearning: Option<Relearning>,
    /// The node that was asked whether it can vote, the question's number, and when.
    pub joining: Option<(NodeId, u64, u64)>,
    /// When the own voter, or everybody while no list is known, was last asked.
    pub asked: Option<u64>,
}

/// The right as this process holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Under which ballot it was last accepted.
    pub ballot: Ballot,
    /// In which epoch.
    pub epoch: Epoch,
    /// Until when, on this host's clock.
    pub until: u64,
    /// The payload that goes with the next renewal.
    pub payload: Payload,
    /// Whether a majority has it.
    pub payload_chosen: bool,
    /// The newest list that a majority accepted under this ballot.
    pub list_chosen: Option<VoterList>,
}

/// What the proposer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nothing: the right is not wanted, or cannot be had for a reason that the rule names.
    Idle,
    /// Waiting before the next attempt.
    BackingOff {
        /// Until when.
        until: u64,
        /// Why the last one failed.
        rule: Rule,
    },
    /// All voters have been asked for a promise.
    Preparing(Preparing),
    /// All voters have been asked to accept.
    Accepting(Accepting),
    /// The right is held.
    Holding {
        /// The renewals that may still be answered.
        renewals: Vec<Renewal>,
        /// When the next one is due.
        next: u64,
    },
    /// The right is to be given back as soon as nobody is attached to the server's memory.
    Stopping(Ending),
    /// The voters are being told that the lease has ended.
    Releasing {
        /// What ends.
        ending: Ending,
        /// The question's number.
        attempt: u64,
        /// Since when it is asked.
        since: u64,
        /// Who knows.
        released: BTreeSet<NodeId>,
    },
}

/// An attempt, first half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparing {
    /// The attempt's ballot.
    pub ballot: Ballot,
    /// The question's number.
    pub attempt: u64,
    /// When it was asked.
    pub since: u64,
    /// The list that it was asked with.
    pub list: VoterList,
    /// Who promised, and what they know.
    pub promised: BTreeMap<NodeId, Known>,
    /// Who will not answer it, or refused it; with what is left of another node's lease or of its silence.
    pub refused: BTreeMap<NodeId, Option<u64>>,
}

/// An attempt, second half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepting {
    /// What is to be accepted.
    pub proposal: Proposal,
    /// The question's number.
    pub attempt: u64,
    /// The own clock before it was asked.
    pub since: u64,
    /// Until when an acceptance makes the right held: by the length that was asked for, whatever is set meanwhile.
    pub until: u64,
    /// Who accepted.
    pub accepted: BTreeSet<NodeId>,
    /// Who refused or gave no answer.
    pub refused: BTreeSet<NodeId>,
    /// Who had the right before.
    pub previous: Option<NodeId>,
}

/// One renewal under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The question's number.
    pub attempt: u64,
    /// The own clock before it was asked.
    pub since: u64,
    /// Until when an acceptance makes the right held: by the length that was asked for, whatever is set meanwhile.
    pub until: u64,
    /// What is to be accepted.
    pub proposal: Proposal,
    /// Who accepted.
    pub accepted: BTreeSet<NodeId>,
}

/// A right that is being given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Under which ballot it was held.
    pub ballot: Ballot,
    /// In which epoch.
    pub epoch: Epoch,
    /// When it ends by itself.
    pub until: u64,
}

/// What the others know, for the own voter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relearning {
    /// Which loss.
    pub loss: String,
    /// The question's number.
    pub attempt: u64,
    /// When it was asked.
    pub since: u64,
    /// What they said.
    pub known: BTreeMap<NodeId, Known>,
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
    /// When the next turn is due at the latest; an answer, a changed wish or a change of the server makes it due at once.
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
            list: VoterList::default(),
            list_from: None,
            epoch: Epoch::default(),
            round: 0,
            payload_version: 0,
            attempt: 0,
            extended: None,
            relearning: None,
            joining: None,
            asked: None,
        }
    }

    /// Until when the right is held; `None`: it is not.
    pub fn holds_until(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.until)
    }
}
