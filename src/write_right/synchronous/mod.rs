//! The synchronous mode, decided: which standbys must have a commit before it is acknowledged, and what the next holder is
//! told of them. Pure, as all of this room.
//!
//! The holder writes the server's setting, [`Setting`], and has a majority remember a [`Payload`]: each commit that it
//! acknowledged is on at least `count` of `standbys`. A setting *keeps* a payload if that follows from it for the commits
//! that are acknowledged under it. So the order is:
//!
//! * a weaker payload (more standbys, a lower count) is chosen *before* the setting changes to one that the old one does
//!   not follow from: before a name is added, and before the last one is dropped;
//! * a stronger payload is chosen *after* the setting has changed, when so many standbys have all that was written until
//!   every walsender went by it: after a name was dropped.
//!
//! Each commit is on the holder itself. So where nobody else has them for certain, the payload is the holder alone: its
//! loss then waits for it.
//!
//! * [`setting`](Setting): the text in the server
//! * `deciding`: one turn
//! * `candidacy`: whether a node may be promoted

mod candidacy;
mod deciding;
#[cfg(test)]
mod random_tests;
mod rules;
mod setting;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use repmgr_write_right::NodeId;

pub use candidacy::{Barred, Position, may_be_promoted, may_take_over, without};
pub use deciding::{before_promotion, step};
pub use rules::Rule;
pub use setting::Setting;

use crate::types::Lsn;

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The server goes by its own configuration.
    Off,
    /// So many standbys as are there, up to the count.
    On,
    /// The count of standbys, or nobody commits.
    Strict,
}

/// A registered standby that may be promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// Its id.
    pub node: NodeId,
    /// Its name, by which its WAL receiver calls itself.
    pub name: String,
}

/// A walsender of the holder's server (`pg_stat_replication`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// What the standby calls itself.
    pub name: String,
    /// Whether it has caught up and streams.
    pub streaming: bool,
    /// What the standby says that it has on disk.
    pub flushed: Option<Lsn>,
    /// Whether it takes its standby for one that commits wait for (`sync_priority` above zero).
    pub counts: bool,
}

/// What the holder's server showed, and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Now, in milliseconds.
    pub now: u64,
    /// This node.
    pub own: NodeId,
    /// `synchronous_mode`.
    pub mode: Mode,
    /// `synchronous_node_count`.
    pub count: u32,
    /// The standbys that may be promoted, by the records.
    pub standbys: Vec<Standby>,
    /// The walsenders.
    pub senders: Vec<Sender>,
    /// `synchronous_standby_names`, as the server goes by it.
    pub setting: String,
    /// Up to where the server's own WAL is on disk; asked after all that is above.
    pub written: Lsn,
    /// Whether the server's checkpointer, which says whether anybody waits at all, waits itself, so that it has taken in
    /// what it was told a moment ago.
    pub checkpointer_idle: bool,
    /// Count and standbys of the payload that a majority has; `None`: one is on its way.
    pub payload: Option<(u32, Vec<NodeId>)>,
}

/// What is remembered from turn to turn. A process that knows nothing may begin at any moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    standings: BTreeMap<NodeId, Standing>,
    /// The setting, since when every walsender goes by it, and what had been written when it certainly was in force.
    in_force: Option<InForce>,
    /// What the server was told, and when.
    told: Option<(Order, u64)>,
}

/// How a standby stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    flushed: Option<Lsn>,
    /// Since when it is behind without having got further.
    stuck_since: Option<u64>,
    /// Since when it is of no use.
    gone_since: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct InForce {
    setting: String,
    since: u64,
    barrier: Option<Lsn>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing at the moment.
    Nothing,
    /// Set the server's setting to this.
    Set(String),
    /// Leave the server to its own configuration.
    Reset,
    /// Have a majority remember this count and these standbys.
    Choose(u32, Vec<NodeId>),
}

/// What one turn decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The rule that decided.
    pub rule: Rule,
    /// One sentence: why.
    pub reason: String,
    /// What to do.
    pub order: Order,
    /// What to remember.
    pub next: State,
}
