//! Whose record it is, and of which start of the host.

/// Where a record was written. A record that is found elsewhere was copied, restored or has outlived its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's, from `pg_control`.
    pub system: u64,
    /// The node's id.
    pub node: i32,
    /// `/proc/sys/kernel/random/boot_id`: another one after each start of the host. Without blanks.
    pub boot: String,
    /// The device that the data directory lies on (`st_dev`). A host's restart may number devices anew.
    pub device: u64,
    /// The inode of the data directory (`st_ino`).
    pub inode: u64,
}

impl Identity {
    /// Whether a durable record with this identity, found by `now`, is that very one: not copied from another node, not
    /// restored from a backup. Another device is believed to be the same only after a restart of the host.
    pub fn is_of(&self, now: &Identity) -> bool {
        self.system == now.system
            && self.node == now.node
            && self.inode == now.inode
            && (self.device == now.device || self.boot != now.boot)
    }
}
