//! What is discarded of a data directory, put aside in a folder beside it, after a look whether there is room for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{disk_space, files};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::types::TimelineId;
use crate::{detail, warning};

/// What must be left on the file system afterwards: the server is to run there.
const LEFT: u64 = 64 << 20;

/// The folder in which things of a data directory are put aside.
///
/// # Errors
/// The directory lies nowhere, as the root does.
pub fn parent(data_directory: &Path) -> Result<PathBuf> {
    let real = std::fs::canonicalize(data_directory).unwrap_or_else(|_| data_directory.to_owned());
    real.parent().map(Path::to_owned).ok_or_else(|| {
        Error::bad_config(format!("there is nothing beside \"{}\"", data_directory.display()))
            .hint("correct data_directory in repmgr.conf")
    })
}

/// A name beside the data directory that says when, and on which timeline the server was.
pub fn beside(parent: &Path, data_directory: &Path, timeline: TimelineId) -> PathBuf {
    let real = std::fs::canonicalize(data_directory).unwrap_or_else(|_| data_directory.to_owned());
    let name = real.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let now = chrono::Local::now().format("%Y%m%dT%H%M%S");
    parent.join(format!("{name}-discarded-{now}-timeline-{timeline}"))
}

/// Whether so many bytes, and what a server needs beside them, fit into what is free. `None`: nobody knows.
pub fn fits(free: Option<u64>, bytes: u64) -> bool {
    free.is_some_and(|free| free >= bytes.saturating_add(LEFT))
}

/// There is room for so many bytes in the folder.
///
/// # Errors
/// There is not, or the folder cannot be written to.
pub fn require_room(parent: &Path, bytes: u64) -> Result<()> {
    let free = disk_space::free(parent);
    if !fits(free, bytes) {
        let free = free.map_or("an unknown number of".to_owned(), |free| (free >> 20).to_string());
        return Err(Error::new(
            ExitCode::RejoinFail,
            format!(
                "there is no room in \"{}\" for what is to be put aside",
                parent.display()
            ),
        )
        .detail(format!(
            "{} MB are needed and {} MB beside them, {free} MB are free",
            bytes.div_ceil(1 << 20),
            LEFT >> 20
        ))
        .hint("make room there, but remove no WAL files by hand; nothing was changed")
        .hint("or set \"rejoin_keep=no\" in repmgr.conf, if nothing of it is wanted"));
    }
    nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK).map_err(|error| {
        Error::new(
            ExitCode::RejoinFail,
            format!("nothing can be put aside in \"{}\"", parent.display()),
        )
        .detail(error.to_string())
        .hint("let the server's system user write there, or set \"rejoin_keep=no\" in repmgr.conf; nothing was changed")
    })
}

/// A folder that things are put aside in.
#[derive(Debug)]
pub struct Aside {
    folder: PathBuf,
}

impl Aside {
    /// Makes the folder, of this user alone.
    ///
    /// # Errors
    /// The system's reason; also that it is there already.
    pub fn create(folder: &Path) -> Result<Aside> {
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(folder)
            .map_err(|error| refused(folder, &error))?;
        Ok(Aside {
            folder: folder.to_owned(),
        })
    }

    /// Copies files into it; they are on disk when this returns.
    ///
    /// # Errors
    /// The system's reason, and which file.
    pub fn copy(&self, from: &[PathBuf]) -> Result<()> {
        for path in from {
            let Some(name) = path.file_name() else { continue };
            let copied = copy(path, &self.folder.join(name));
            copied.map_err(|error| refused(&self.folder, &error).detail(format!("it was \"{}\"", path.display())))?;
        }
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| refused(&self.folder, &error))
    }

    /// Says in a file what all this is.
    ///
    /// # Errors
    /// The system's reason.
    pub fn note(&self, text: &str) -> Result<()> {
        let written = files::replace(&self.folder.join("README"), text.as_bytes(), 0o600);
        written.map_err(|error| refused(&self.folder, &error))
    }

    /// Removes it: what is in it was not discarded.
    pub fn remove(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            warning!("\"{}\" could not be removed", self.folder.display());
            detail!("{error}");
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn refused(folder: &Path, error: &io::Error) -> Error {
    Error::new(
        ExitCode::RejoinFail,
        format!("nothing could be put aside in \"{}\"", folder.display()),
    )
    .detail(error.to_string())
    .hint("nothing was changed; mend it, or set \"rejoin_keep=no\" in repmgr.conf")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_aside_leaves_room_for_a_server() {
        assert!(fits(Some(LEFT + 5), 5));
        assert!(!fits(Some(LEFT + 4), 5));
        assert!(!fits(None, 0));
    }

    #[test]
    fn without_room_nothing_is_there_afterwards() {
        let parent = tempfile::tempdir().unwrap();
        let error = require_room(parent.path(), u64::MAX / 2).unwrap_err();
        assert_eq!(error.exit_code, ExitCode::RejoinFail);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        require_room(parent.path(), 1).unwrap();
    }

    #[test]
    fn files_are_copied_and_removed_again() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let segment = data.join("segment");
        std::fs::write(&segment, "wal").unwrap();
        let folder = beside(parent.path(), &data, TimelineId(3));
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with("data-discarded-2") && name.ends_with("-timeline-3"),
            "{name}"
        );
        let aside = Aside::create(&folder).unwrap();
        assert!(
            Aside::create(&folder).is_err(),
            "what is there already is not mixed with it"
        );
        aside.copy(std::slice::from_ref(&segment)).unwrap();
        aside.note("what it is").unwrap();
        assert_eq!(std::fs::read_to_string(folder.join("segment")).unwrap(), "wal");
        aside.remove();
        assert!(!folder.exists() && segment.exists());
    }
}
