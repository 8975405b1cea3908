//! What a switchover has begun, written down on the host of the promotion
//! candidate, so that the same command finishes what a killed one left.
//!
//! The file lies in `pg_stat_tmp` of the data directory, which neither
//! pg_basebackup nor pg_rewind copies and the server leaves alone (PostgreSQL:
//! "Base Backup API"): it can never be taken for another node's.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::info;
use crate::instance::files;
use crate::types::NodeId;

const FILE: &str = "pg_stat_tmp/repmgr_switchover.json";
const LOCK: &str = "pg_stat_tmp/repmgr_switchover.lock";

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The node that is to become primary: this one.
    node_id: i32,
    /// The primary that is to become its standby.
    former_primary: i32,
    /// The nodes whose daemons this switchover paused, and has to unpause.
    paused: Vec<i32>,
    /// The stop of the former primary was, or may have been, asked for.
    pub stopping: bool,
    /// The rejoin of the former primary was asked for, and may be under way.
    #[serde(default)]
    pub rejoining: bool,
}

impl Journal {
    /// Nothing is begun yet.
    pub fn new(node: NodeId, former_primary: NodeId) -> Journal {
        Journal {
            node_id: node.0,
            former_primary: former_primary.0,
            paused: Vec::new(),
            stopping: false,
            rejoining: false,
        }
    }

    /// The journal that a switchover to `node` left, if there is one. One that cannot be read is none.
    pub fn read(data_directory: &Path, node: NodeId) -> Option<Journal> {
        let text = std::fs::read(path(data_directory)).ok()?;
        let journal: Journal = serde_json::from_slice(&text).ok()?;
        (journal.node_id == node.0).then_some(journal)
    }

    /// Writes it, so that it survives a crash of the host.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, data_directory: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        files::replace(&path(data_directory), &text, 0o600)
    }

    /// The switchover is over.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(data_directory: &Path) -> io::Result<()> {
        match std::fs::remove_file(path(data_directory)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The primary that is to become a standby.
    pub fn former_primary(&self) -> NodeId {
        NodeId(self.former_primary)
    }

    /// Whether the daemon of this node was paused by the switchover.
    pub fn has_paused(&self, node: NodeId) -> bool {
        self.paused.contains(&node.0)
    }

    /// These, too.
    pub fn add_paused(&mut self, nodes: impl IntoIterator<Item = NodeId>) {
        for node in nodes {
            if !self.has_paused(node) {
                self.paused.push(node.0);
            }
        }
    }
}

/// Makes this the only switchover to this node, for as long as the value lives. Waits up to `limit` for another.
///
/// # Errors
/// The other one is still there, or the file cannot be used.
pub async fn lock(data_directory: &Path, limit: Duration) -> Result<Flock<File>> {
    let path = data_directory.join(LOCK);
    let failed = |reason: String| {
        Error::bad_config("unable to make sure that this is the only switchover to this node")
            .detail(format!("\"{}\": {reason}", path.display()))
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(|error| failed(error.to_string()))?;
    let begin = Instant::now();
    let mut told = false;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, error)) => return Err(failed(error.to_string())),
        };
        if begin.elapsed() >= limit {
            return Err(
                Error::new(ExitCode::SwitchoverFail, "another switchover to this node is under way")
                    .detail(format!("waited {} seconds for it", limit.as_secs())),
            );
        }
        if !told {
            info!(
                "waiting up to {} seconds for another switchover to this node",
                limit.as_secs()
            );
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Where it is.
pub fn path(data_directory: &Path) -> PathBuf {
    data_directory.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_by_the_same_node_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::create_dir(data.join("pg_stat_tmp")).unwrap();
        assert_eq!(Journal::read(data, NodeId(2)), None);
        let mut journal = Journal::new(NodeId(2), NodeId(1));
        journal.add_paused([NodeId(1), NodeId(3), NodeId(1)]);
        journal.write(data).unwrap();
        let read = Journal::read(data, NodeId(2)).unwrap();
        assert_eq!(read, journal);
        assert_eq!(read.former_primary(), NodeId(1));
        assert!(read.has_paused(NodeId(3)) && !read.has_paused(NodeId(2)));
        assert_eq!(Journal::read(data, NodeId(3)), None);
        std::fs::write(path(data), "{").unwrap();
        assert_eq!(Journal::read(data, NodeId(2)), None);
        Journal::remove(data).unwrap();
        Journal::remove(data).unwrap();
    }
}
