//! A disk of its own for a data directory: a file system in a file, which can be full or hang.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::user;

/// A mounted file system. It is there until this is dropped, which nothing that runs on it may outlive.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// An empty one, if the system allows it.
    pub fn new(megabytes: u32) -> Result<Disk, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("repmgr-oxide-disk-{}-{number}", std::process::id()));
        let disk = Disk { folder };
        let image = disk.folder.join("image");
        user::folder(&disk.path());
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(u64::from(megabytes) << 20)
            .map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,nodiscard"])
            .arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &disk.path()]))?;
        user::give(&disk.path());
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.join("mounted")
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }

    /// Leaves no room on it.
    pub fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k", "status=none"])
            .arg(format!("of={}", self.filling().display()))
            .output();
        // What is smaller than a block of dd.
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=512", "status=none", "oflag=append", "conv=notrunc"])
            .arg(format!("of={}", self.filling().display()))
            .output();
    }

    /// Makes room again.
    pub fn empty(&self) {
        std::fs::remove_file(self.filling()).expect("a full disk");
    }

    /// Whoever writes to it waits, and can be neither interrupted nor killed, until it is thawed.
    pub fn hang(&self) {
        run(Command::new("fsfreeze").arg("-f").arg(self.path())).expect("a frozen file system");
    }

    /// Ends that; fails if it does not hang.
    pub fn go_on(&self) -> Result<(), String> {
        run(Command::new("fsfreeze").arg("-u").arg(self.path()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Mostly it does not hang.
        let _ = self.go_on();
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
