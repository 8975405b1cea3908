//! File systems that can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::user;

/// A file system of its own, unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// An empty one of this size, if the system allows it.
    pub fn new(path: &Path, size: &str) -> Option<Mount> {
        user::folder(path);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
            .arg(path)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        let mount = Mount(path.to_owned());
        user::give(path);
        Some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
