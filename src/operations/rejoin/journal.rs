//! What a rewind was doing: a file in the data directory by which a later
//! attempt tells a directory that pg_rewind left half-way from others.
//!
//! It lies in `pg_stat_tmp`, whose contents pg_rewind and pg_basebackup neither
//! copy nor remove (PostgreSQL: "pg_rewind", "How It Works").

use std::io;
use std::path::{Path, PathBuf};

use crate::instance::control_file::{ClusterState, ControlFile};
use crate::instance::files;
use crate::types::Lsn;

const FOLDER: &str = "pg_stat_tmp";
const NAME: &str = "repmgr_rejoin";

/// The last thing that is known of a rewind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The last checkpoint before it began; pg_rewind changes pg_control last.
    pub checkpoint: Lsn,
    /// Where configuration files are kept, if any are.
    pub archive: Option<PathBuf>,
    /// Which run of the operating system it was in.
    pub boot: String,
    /// Whether pg_rewind has ended well, and all is on disk.
    pub finished: bool,
}

impl Journal {
    /// For a rewind that begins now.
    pub fn new(control: &ControlFile, archive: Option<&Path>) -> Journal {
        Journal {
            checkpoint: control.checkpoint,
            archive: archive.map(Path::to_owned),
            boot: this_boot(),
            finished: false,
        }
    }

    /// The journal in a data directory, if there is one that can be understood.
    pub fn read(data_directory: &Path) -> Option<Journal> {
        parse(&std::fs::read_to_string(path(data_directory)).ok()?)
    }

    /// Writes it down, durably.
    pub fn write(&self, data_directory: &Path) -> io::Result<()> {
        let path = path(data_directory);
        std::fs::create_dir_all(data_directory.join(FOLDER))?;
        files::replace(&path, self.text().as_bytes(), 0o600)
    }

    fn text(&self) -> String {
        let archive = self.archive.as_deref().unwrap_or(Path::new("")).display().to_string();
        format!(
            "checkpoint={}\narchive={archive}\nboot={}\nfinished={}\n",
            self.checkpoint, self.boot, self.finished
        )
    }

    /// Whether it still speaks of this data directory: pg_control is as it was, or as pg_rewind leaves it.
    pub fn holds(&self, control: &ControlFile, data_directory: &Path) -> bool {
        let rewound = control.state == ClusterState::InArchiveRecovery && data_directory.join("backup_label").exists();
        rewound || (!self.finished && control.checkpoint == self.checkpoint)
    }

    /// Whether pg_rewind ended in another run of the operating system, before all was known to be on disk.
    pub fn is_of_lost_boot(&self) -> bool {
        !self.finished && self.boot != this_boot()
    }
}

/// Removes the journal; one that is not there is none.
pub fn remove(data_directory: &Path) -> io::Result<()> {
    match std::fs::remove_file(path(data_directory)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path(data_directory: &Path) -> PathBuf {
    data_directory.join(FOLDER).join(NAME)
}

fn this_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn parse(text: &str) -> Option<Journal> {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    Some(Journal {
        checkpoint: value("checkpoint")?.parse().ok()?,
        archive: value("archive").filter(|path| !path.is_empty()).map(PathBuf::from),
        boot: value("boot")?.to_owned(),
        finished: value("finished")? == "true",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{SystemIdentifier, TimelineId};

    fn control(state: ClusterState, checkpoint: u64) -> ControlFile {
        ControlFile {
            system_identifier: SystemIdentifier(1),
            state,
            checkpoint: Lsn(checkpoint),
            checkpoint_timeline: TimelineId(1),
            min_recovery_point: None,
            data_checksum_version: 0,
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let data = tempfile::tempdir().unwrap();
        let mut journal = Journal::new(
            &control(ClusterState::ShutDown, 0x300_0028),
            Some(Path::new("/tmp/a b")),
        );
        assert_eq!(Journal::read(data.path()), None);
        for finished in [false, true] {
            journal.finished = finished;
            journal.write(data.path()).unwrap();
            assert_eq!(Journal::read(data.path()), Some(journal.clone()));
        }
        remove(data.path()).unwrap();
        remove(data.path()).unwrap();
        assert_eq!(Journal::read(data.path()), None);
    }

    #[test]
    fn it_is_forgotten_once_the_server_has_run() {
        let data = tempfile::tempdir().unwrap();
        let before = control(ClusterState::ShutDown, 100);
        let journal = Journal::new(&before, None);
        assert!(journal.holds(&before, data.path()));
        assert!(!journal.holds(&control(ClusterState::ShutDown, 200), data.path()));
        let rewound = control(ClusterState::InArchiveRecovery, 200);
        assert!(!journal.holds(&rewound, data.path()));
        std::fs::write(data.path().join("backup_label"), "").unwrap();
        assert!(journal.holds(&rewound, data.path()));
        assert!(!journal.is_of_lost_boot());
        let other = Journal {
            boot: "another".to_owned(),
            ..journal
        };
        assert!(other.is_of_lost_boot());
    }
}
