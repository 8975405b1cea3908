//! The replication slots that the downstream nodes of a node need. Pure.

use crate::metadata::NodeRecord;
use crate::postgres::PhysicalSlot;
use crate::types::NodeType;

/// The slots that standbys among `downstream` use according to their records and that are not there:
/// whose, and the slot's name.
pub fn missing_slots(present: &[PhysicalSlot], downstream: &[NodeRecord]) -> Vec<(String, String)> {
    downstream
        .iter()
        .filter(|node| node.node_type == NodeType::Standby)
        .filter_map(|node| {
            let slot = node.slot_name.clone()?;
            let is_there = present.iter().any(|there| there.name == slot);
            (!is_there).then(|| (node.title(), slot))
        })
        .collect()
}
