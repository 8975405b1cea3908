//! Who a node is.

use std::fmt;

/// The id of a registered node, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a node is registered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeType {
    /// Accepts writes.
    Primary,
    /// Replays what its upstream sends.
    Standby,
    /// A server of its own that only takes part in majorities.
    Witness,
    /// A type that this program does not know (`bdr` of old releases).
    Unknown,
}

impl NodeType {
    /// The word in `repmgr.nodes.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeType::Primary => "primary",
            NodeType::Standby => "standby",
            NodeType::Witness => "witness",
            NodeType::Unknown => "unknown",
        }
    }

    /// The type by its word; anything else is [`NodeType::Unknown`].
    pub fn from_word(word: &str) -> NodeType {
        match word {
            "primary" => NodeType::Primary,
            "standby" => NodeType::Standby,
            "witness" => NodeType::Witness,
            _ => NodeType::Unknown,
        }
    }
}

impl fmt::Display for NodeType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What a server says of itself (`pg_is_in_recovery()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecoveryState {
    /// Not in recovery: accepts writes.
    Primary,
    /// In recovery.
    Standby,
    /// It was asked and gave no answer.
    Unknown,
}
