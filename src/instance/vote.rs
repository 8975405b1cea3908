//! What a node has promised as a voter of the write right, kept across a rewind.
//!
//! The server library keeps it in `pg_replslot/`, so that it is not copied to other nodes; pg_rewind removes what lies
//! there. A node that has lost it does not vote until it has relearnt it from a majority of the others.

use std::io;
use std::path::{Path, PathBuf};

use super::files;

/// Relative to the data directory, as the server library names them.
const FILES: [&str; 2] = [
    "pg_replslot/repmgr_write_right",
    "pg_replslot/repmgr_write_right.volatile",
];

/// The files of a stopped server's vote, in memory. Empty if the node has never voted.
#[derive(Debug)]
pub struct Vote {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Vote {
    /// Reads what is there.
    pub fn read(data_directory: &Path) -> io::Result<Vote> {
        let mut files = Vec::new();
        for file in FILES {
            let path = data_directory.join(file);
            match std::fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                contents => files.push((path, contents?)),
            }
        }
        Ok(Vote { files })
    }

    /// Writes back what is not there any more, and nothing over what is: that is newer.
    pub fn put_back(&self) -> io::Result<()> {
        for (path, contents) in &self.files {
            if !path.exists() {
                files::replace(path, contents, 0o600)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_comes_back_and_what_is_newer_stays() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("pg_replslot")).unwrap();
        let [durable, volatile] = FILES.map(|file| data.path().join(file));
        Vote::read(data.path()).unwrap().put_back().unwrap();
        assert!(!durable.exists());

        std::fs::write(&durable, "promised").unwrap();
        std::fs::write(&volatile, "granted").unwrap();
        let vote = Vote::read(data.path()).unwrap();
        std::fs::remove_file(&durable).unwrap();
        std::fs::write(&volatile, "newer").unwrap();
        vote.put_back().unwrap();
        assert_eq!(std::fs::read(&durable).unwrap(), b"promised");
        assert_eq!(std::fs::read(&volatile).unwrap(), b"newer");
    }
}
