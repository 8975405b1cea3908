//! Who is to be promoted.

/// The votes of an election, as seen by one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Nodes that were reached, this one included.
    pub visible: usize,
    /// Active nodes that share the lost upstream, this one included.
    pub shared: usize,
    /// All registered nodes.
    pub total: usize,
}
