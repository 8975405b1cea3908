//! What a rewind was doing, by which a later attempt tells a directory that
//! pg_rewind left half-way from others, and finds the configuration files that
//! were kept.
//!
//! The note lies in the data directory, where pg_rewind removes it last but one
//! (it removes what the source does not have before it changes pg_control), and
//! beside the files that are kept. A directory that pg_rewind has gone through
//! shows that itself, in `backup_label`.

use std::io;
use std::path::{Path, PathBuf};

use crate::instance::control_file::{ClusterState, ControlFile};
use crate::instance::files;
use crate::types::Lsn;
use crate::warning;

/// Not copied by pg_basebackup.
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

    /// The note about this data directory, if there is one that still holds: in it, or in one of the
    /// folders where files may be kept.
    pub fn find(control: &ControlFile, data_directory: &Path, archives: &[PathBuf]) -> Option<Journal> {
        let in_data = std::fs::read_to_string(path(data_directory)).ok();
        let in_archives = archives.iter().filter_map(|folder| {
            let text = std::fs::read_to_string(folder.join(NAME)).ok()?;
            let owner = text.lines().next()?.strip_prefix("data_directory=")?;
            (Path::new(owner) == data_directory).then_some(text)
        });
        let holds = |journal: &Journal| {
            let holds = journal.holds(control, data_directory);
            if !holds && let Some(archive) = journal.archive.as_deref().filter(|folder| folder.exists()) {
                warning!(
                    "an earlier rejoin left configuration files in \"{}\"",
                    archive.display()
                );
            }
            holds
        };
        let found = in_data
            .into_iter()
            .chain(in_archives)
            .filter_map(|text| parse(&text))
            .find(holds);
        found.or_else(|| is_rewound(control, data_directory).then(|| Journal::new(control, None)))
    }

    /// Writes it down, durably.
    pub fn write(&self, data_directory: &Path) -> io::Result<()> {
        let text = self.text(data_directory);
        if let Some(archive) = self.archive.as_deref().filter(|folder| folder.exists()) {
            files::replace(&archive.join(NAME), text.as_bytes(), 0o600)?;
        }
        std::fs::create_dir_all(data_directory.join(FOLDER))?;
        files::replace(&path(data_directory), text.as_bytes(), 0o600)
    }

    fn text(&self, data_directory: &Path) -> String {
        let archive = self.archive.as_deref().unwrap_or(Path::new("")).display().to_string();
        format!(
            "data_directory={}\ncheckpoint={}\narchive={archive}\nboot={}\nfinished={}\n",
            data_directory.display(),
            self.checkpoint,
            self.boot,
            self.finished
        )
    }

    /// Whether it still speaks of this data directory: pg_control is as it was, or as pg_rewind leaves it.
    fn holds(&self, control: &ControlFile, data_directory: &Path) -> bool {
        is_rewound(control, data_directory) || (!self.finished && control.checkpoint == self.checkpoint)
    }

    /// Whether pg_rewind ended in another run of the operating system, before all was known to be on disk.
    pub fn is_of_lost_boot(&self) -> bool {
        !self.finished && self.boot != this_boot()
    }
}

/// Whether pg_rewind has gone through the data directory, and no server has run in it since.
fn is_rewound(control: &ControlFile, data_directory: &Path) -> bool {
    let label = std::fs::read_to_string(data_directory.join("backup_label")).unwrap_or_default();
    control.state == ClusterState::InArchiveRecovery && label.contains("BACKUP METHOD: pg_rewind")
}

/// The name of the note among the files that are kept.
pub fn is_note(file: &Path) -> bool {
    file == Path::new(NAME)
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

    fn find(control: &ControlFile, data: &Path, archives: &[PathBuf]) -> Option<Journal> {
        Journal::find(control, data, archives)
    }

    #[test]
    fn it_is_found_as_it_was_written() {
        let data = tempfile::tempdir().unwrap();
        let before = control(ClusterState::ShutDown, 0x300_0028);
        let journal = Journal::new(&before, Some(Path::new("/nowhere/a b")));
        assert_eq!(find(&before, data.path(), &[]), None);
        journal.write(data.path()).unwrap();
        assert_eq!(find(&before, data.path(), &[]), Some(journal));
        remove(data.path()).unwrap();
        remove(data.path()).unwrap();
        assert_eq!(find(&before, data.path(), &[]), None);
    }

    #[test]
    fn pg_rewind_removes_it_and_it_is_found_beside_the_files() {
        let (data, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let journal = Journal::new(&control(ClusterState::ShutDown, 100), Some(archive.path()));
        journal.write(data.path()).unwrap();
        remove(data.path()).unwrap();
        std::fs::write(data.path().join("backup_label"), "BACKUP METHOD: pg_rewind\n").unwrap();
        let rewound = control(ClusterState::InArchiveRecovery, 200);
        let archives = [PathBuf::from("/nowhere"), archive.path().to_owned()];
        assert_eq!(find(&rewound, data.path(), &archives), Some(journal));
        assert_eq!(find(&rewound, Path::new("/another"), &archives), None);
        // Without files there is still what pg_rewind itself has left.
        assert_eq!(find(&rewound, data.path(), &[]), Some(Journal::new(&rewound, None)));
    }

    #[test]
    fn it_is_forgotten_once_the_server_has_run() {
        let data = tempfile::tempdir().unwrap();
        let journal = Journal::new(&control(ClusterState::ShutDown, 100), None);
        journal.write(data.path()).unwrap();
        assert_eq!(find(&control(ClusterState::ShutDown, 200), data.path(), &[]), None);
        let standby = control(ClusterState::InArchiveRecovery, 200);
        assert_eq!(find(&standby, data.path(), &[]), None);
        std::fs::write(data.path().join("backup_label"), "BACKUP METHOD: streamed\n").unwrap();
        assert_eq!(find(&standby, data.path(), &[]), None);
        assert!(!journal.is_of_lost_boot());
        let other = Journal {
            boot: "another".to_owned(),
            ..journal
        };
        assert!(other.is_of_lost_boot());
    }
}
