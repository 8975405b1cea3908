//! What the holder has a majority remember for the next one: on whom acknowledged commits are.

use std::fmt;

use crate::ballot::NodeId;
use crate::text::{Malformed, nodes, parse_nodes};

/// The synchronous standbys. Promise of the holder as long as this payload is the chosen one: each commit that it has
/// acknowledged is on at least [`Payload::count`] of [`Payload::standbys`], so that any `len − count + 1` of them have
/// one that has it.
///
/// What follows from that for `synchronous_standby_names = ANY k (names)`: with k = `count`, `names` must be a subset
/// of `standbys`. So a standby is *added* to the payload first and to the setting afterwards. One is *dropped* from the
/// setting first, and from the payload only when `count` of those who remain have all WAL that was written before
/// the setting changed. (Where all names must confirm, k = the number of names, the other order is right too: the
/// payload may then be smaller than the setting.)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// One higher with each change.
    pub version: u64,
    /// How many of them must have a commit before it is acknowledged; zero: nothing is promised.
    pub count: u32,
    /// Their ids, ascending. The holder may be one: a commit is always on itself, so where it is the only one nobody
    /// else is known to have any.
    pub standbys: Vec<NodeId>,
}

impl Payload {
    /// How many of the standbys must be asked so that one of them has every acknowledged commit; `None`: no number is
    /// enough.
    pub fn needed(&self) -> Option<usize> {
        let count = self.count as usize;
        (count > 0 && count <= self.standbys.len()).then(|| self.standbys.len() - count + 1)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split(':');
        let payload = (|| {
            Some(Payload {
                version: parts.next()?.parse().ok()?,
                count: parts.next()?.parse().ok()?,
                standbys: parse_nodes(parts.next()?)?,
            })
        })();
        match (payload, parts.next()) {
            (Some(payload), None) => Ok(payload),
            _ => Err(Malformed::value("a payload", text)),
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.version, self.count, nodes(&self.standbys))
    }
}
