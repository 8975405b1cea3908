//! Ballots and epochs: what orders attempts, and what orders holders.

use std::fmt;

use crate::text::Malformed;

/// The id of a registered node.
pub type NodeId = i32;

/// One attempt at the right. Totally ordered, and never used by two processes: the incarnation tells two daemons of
/// the same node apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Higher than any round that the proposer has seen.
    pub round: u64,
    /// Whose attempt it is.
    pub node: NodeId,
    /// Which process of that node: a number that no other process of the node has or had.
    pub incarnation: u64,
}

impl Ballot {
    /// The ballot that [`Display`](fmt::Display) wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split('.');
        let ballot = (|| {
            Some(Ballot {
                round: parts.next()?.parse().ok()?,
                node: parts.next()?.parse().ok()?,
                incarnation: parts.next()?.parse().ok()?,
            })
        })();
        match (ballot, parts.next()) {
            (Some(ballot), None) => Ok(ballot),
            _ => Err(Malformed::value("a ballot", text)),
        }
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.round, self.node, self.incarnation)
    }
}

/// Counts the holders: one higher with each, and with each new process of the same node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
