//! Who votes, and what a majority is.

use std::fmt;

use crate::ballot::NodeId;
use crate::text::{Malformed, nodes, parse_nodes};

/// The voters. Two consecutive lists differ by one node, so their majorities overlap. While a change is under way those
/// before it decide ([`VoterList::is_quorum`]); it is over when a majority of both has accepted the new list
/// ([`VoterList::is_accepted_by`]), and then it is settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VoterList {
    /// One higher with each change; much higher with a forced one.
    pub version: u64,
    /// Their ids, ascending.
    pub voters: Vec<NodeId>,
    /// The voters of the version before, while this one has not been accepted by a majority of both; empty afterwards.
    pub before: Vec<NodeId>,
    /// Nodes that a forced reconfiguration gave up. They are told so when they come back.
    pub given_up: Vec<NodeId>,
}

/// What orders lists: the version, and a settled list above the same one that is not.
pub type ListRank = (u64, bool);

impl VoterList {
    /// The first list of a cluster.
    pub fn first(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut list = VoterList {
            version: 1,
            voters: voters.into_iter().collect(),
            ..VoterList::default()
        };
        list.voters.sort_unstable();
        list.voters.dedup();
        list
    }

    /// Whether no change is under way.
    pub fn is_settled(&self) -> bool {
        self.before.is_empty()
    }

    /// What decides which of two lists is newer.
    pub fn rank(&self) -> ListRank {
        (self.version, self.is_settled())
    }

    /// Whether the node votes, by this list or the one before it.
    pub fn votes(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.before.contains(&node)
    }

    /// Everybody who votes, by this list or the one before it, ascending.
    pub fn everybody(&self) -> Vec<NodeId> {
        let mut all: Vec<NodeId> = self.voters.iter().chain(&self.before).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether those for whom `answered` holds can grant the right: more than half of the voters, while a change is
    /// under way more than half of those before it.
    pub fn is_quorum(&self, answered: impl Fn(NodeId) -> bool) -> bool {
        more_than_half(if self.is_settled() { &self.voters } else { &self.before }, &answered)
    }

    /// Whether those for whom `answered` holds are enough for the change to be over: more than half of the voters, and
    /// while it is under way more than half of those before, too.
    pub fn is_accepted_by(&self, answered: impl Fn(NodeId) -> bool) -> bool {
        more_than_half(&self.voters, &answered) && (self.is_settled() || more_than_half(&self.before, &answered))
    }

    /// Whether those for whom `answered` holds are a majority of the voters other than `node`: so many that every
    /// majority that `node` was part of has one of them. Never, if there is no other voter.
    pub fn is_majority_of_others(&self, node: NodeId, answered: impl Fn(NodeId) -> bool) -> bool {
        let others = |list: &[NodeId]| list.iter().copied().filter(|voter| *voter != node).collect::<Vec<_>>();
        let enough = |list: &[NodeId]| more_than_half(&others(list), &answered);
        enough(&self.voters) && (self.is_settled() || enough(&self.before))
    }

    /// The list with one node more, not yet settled. `None` if it votes already or a change is under way.
    pub fn with(&self, node: NodeId) -> Option<VoterList> {
        (self.is_settled() && !self.voters.contains(&node)).then(|| {
            let mut voters = self.voters.clone();
            voters.push(node);
            self.changed(voters)
        })
    }

    /// The list with one node less, not yet settled. `None` if it does not vote, is the last one, or a change is under way.
    pub fn without(&self, node: NodeId) -> Option<VoterList> {
        (self.is_settled() && self.voters.contains(&node) && self.voters.len() > 1).then(|| {
            let voters = self.voters.iter().copied().filter(|voter| *voter != node);
            self.changed(voters.collect())
        })
    }

    fn changed(&self, mut voters: Vec<NodeId>) -> VoterList {
        voters.sort_unstable();
        VoterList {
            version: self.version + 1,
            given_up: self
                .given_up
                .iter()
                .copied()
                .filter(|node| !voters.contains(node))
                .collect(),
            voters,
            before: self.voters.clone(),
        }
    }

    /// The same list after a majority of both has accepted it.
    pub fn settled(&self) -> VoterList {
        VoterList {
            before: Vec::new(),
            ..self.clone()
        }
    }

    /// The list after these nodes were given up by force: everybody else who votes now. Empty, if that is nobody.
    pub fn forced(&self, given_up: &[NodeId]) -> VoterList {
        let mut all_given_up = self.given_up.clone();
        all_given_up.extend(self.everybody().into_iter().filter(|node| given_up.contains(node)));
        all_given_up.sort_unstable();
        all_given_up.dedup();
        VoterList {
            version: self.version + crate::FORCED_STEP,
            voters: self
                .everybody()
                .into_iter()
                .filter(|node| !given_up.contains(node))
                .collect(),
            before: Vec::new(),
            given_up: all_given_up,
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split(':');
        let list = (|| {
            Some(VoterList {
                version: parts.next()?.parse().ok()?,
                voters: parse_nodes(parts.next()?)?,
                before: parse_nodes(parts.next()?)?,
                given_up: parse_nodes(parts.next()?)?,
            })
        })();
        match (list, parts.next()) {
            (Some(list), None) => Ok(list),
            _ => Err(Malformed::value("a voter list", text)),
        }
    }
}

fn more_than_half(list: &[NodeId], answered: &impl Fn(NodeId) -> bool) -> bool {
    list.iter().filter(|voter| answered(**voter)).count() * 2 > list.len()
}

impl fmt::Display for VoterList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (voters, before, given_up) = (nodes(&self.voters), nodes(&self.before), nodes(&self.given_up));
        write!(formatter, "{}:{voters}:{before}:{given_up}", self.version)
    }
}
