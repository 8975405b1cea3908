//! How much room is left on the file system of a folder.

use std::path::Path;

/// Bytes that an ordinary user may still write there; `None` if the system does not say.
pub fn free(folder: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    Some(found.blocks_available() * found.fragment_size())
}
