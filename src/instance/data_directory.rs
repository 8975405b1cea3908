//! The data directory: what is there, whether a server runs in it, preparing
//! it for a base backup and taking that back.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::{AccessFlags, Pid, Uid, access, getpid, getppid};

use crate::error::{Error, Result};
use crate::warning;

/// What is where the data directory is, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// An empty directory.
    Empty,
    /// A directory with something else than a PostgreSQL data directory in it.
    NotEmpty,
    /// A PostgreSQL data directory: it has a `PG_VERSION`.
    PostgreSql,
}

/// Looks what is there.
///
/// # Errors
/// It is not a directory or cannot be read.
pub fn state(path: &Path) -> Result<State> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && std::fs::symlink_metadata(path).is_err() => {
            return Ok(State::Absent);
        }
        Err(error) => return Err(unusable("read", path, &error)),
    };
    match entries.next() {
        None => Ok(State::Empty),
        Some(Err(error)) => Err(unusable("read", path, &error)),
        Some(Ok(_)) if path.join("PG_VERSION").exists() => Ok(State::PostgreSql),
        Some(Ok(_)) => Ok(State::NotEmpty),
    }
}

fn unusable(verb: &str, path: &Path, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => "run repmgr as the system user that owns the data directory",
        io::ErrorKind::StorageFull => "make room on that file system",
        _ => "check data_directory in repmgr.conf",
    };
    Error::bad_config(format!("unable to {verb} directory \"{}\"", path.display()))
        .detail(error.to_string())
        .hint(hint)
}

/// The contents of `PG_VERSION`, such as `15`.
pub fn version_text(path: &Path) -> io::Result<String> {
    Ok(std::fs::read_to_string(path.join("PG_VERSION"))?.trim().to_owned())
}

/// The process id of the server that runs in a data directory, by its `postmaster.pid`.
///
/// # Errors
/// The file is there and cannot be read.
pub fn running_server(path: &Path) -> Result<Option<i32>> {
    let file = path.join("postmaster.pid");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Error::bad_config(format!("unable to read \"{}\"", file.display()))
                .detail(error.to_string())
                .hint("without it there is no telling whether a server runs in this directory"));
        }
    };
    // A server in single-user mode writes its id with a minus sign.
    let pid = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok());
    let Some(pid) = pid.map(i32::saturating_abs).filter(|pid| *pid > 0) else {
        warning!("\"{}\" holds no process id", file.display());
        return Ok(None);
    };
    // After a reboot the id may belong to this very process or its shell; a process of
    // another user is no server of this directory, since the server insists on owning it.
    let other = Pid::from_raw(pid) != getpid() && Pid::from_raw(pid) != getppid();
    Ok((other && kill(Pid::from_raw(pid), None).is_ok()).then_some(pid))
}

/// An existing directory must belong to the user that runs this program, as the server insists on it.
pub fn check_owner(path: &Path) -> Result<()> {
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    if metadata.uid() == Uid::effective().as_raw() {
        return Ok(());
    }
    let name = |uid: u32| {
        nix::unistd::User::from_uid(Uid::from_raw(uid))
            .ok()
            .flatten()
            .map_or_else(|| uid.to_string(), |user| user.name)
    };
    Err(
        Error::bad_config(format!("data directory \"{}\" belongs to another user", path.display()))
            .detail(format!(
                "it is owned by \"{}\", and repmgr runs as \"{}\"",
                name(metadata.uid()),
                name(Uid::effective().as_raw())
            ))
            .hint("run repmgr as the system user that runs the server"),
    )
}

/// The directory, or the one that it is to be created in, must be writable.
pub fn check_writable(path: &Path) -> Result<()> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(path);
    access(existing, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| unusable("write to", existing, &io::Error::from(error)))
}

/// A directory made ready for a base backup, and what it takes to undo that.
#[derive(Debug)]
pub struct Prepared {
    path: PathBuf,
    /// Directories that were created, outermost first.
    created: Vec<PathBuf>,
    old_mode: Option<u32>,
}

/// Makes an empty directory of mode 0700 (an existing one keeps 0750): creates it with its
/// parents, or uses an empty one, or with `force` removes what is in it. Symbolic links in it are
/// removed, not followed. The directory itself stays: it may be a mount point or a link.
///
/// # Errors
/// It has contents and `force` is not given, or the system refuses.
pub fn prepare(path: &Path, force: bool) -> Result<Prepared> {
    let mut prepared = Prepared {
        path: path.to_owned(),
        created: Vec::new(),
        old_mode: None,
    };
    match state(path)? {
        State::Absent => {
            prepared.create()?;
            return Ok(prepared);
        }
        State::Empty => {}
        State::NotEmpty | State::PostgreSql if force => {
            refuse_precious(path)?;
            remove_contents(path).map_err(|error| unusable("empty", path, &error))?;
        }
        State::NotEmpty | State::PostgreSql => {
            return Err(
                Error::bad_config(format!("directory \"{}\" exists and is not empty", path.display()))
                    .hint("use -F/--force to have its contents removed"),
            );
        }
    }
    let mode = mode(path).map_err(|error| unusable("read", path, &error))?;
    if mode & 0o027 != 0 || mode & 0o700 != 0o700 {
        set_mode(path, 0o700)?;
        prepared.old_mode = Some(mode);
    }
    Ok(prepared)
}

/// Whether a directory is one whose contents nobody can mean to lose.
fn refuse_precious(path: &Path) -> Result<()> {
    let real = std::fs::canonicalize(path).map_err(|error| unusable("read", path, &error))?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let holds_home = home.is_some_and(|home| home.starts_with(&real)) && !real.join("PG_VERSION").exists();
    if real.parent().is_none() || holds_home {
        return Err(
            Error::bad_config(format!("the contents of \"{}\" will not be removed", path.display()))
                .detail("it is the root directory, or holds the home directory of this user")
                .hint("check data_directory in repmgr.conf"),
        );
    }
    Ok(())
}

impl Prepared {
    fn create(&mut self) -> Result<()> {
        let missing = self
            .path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && std::fs::symlink_metadata(folder).is_err())
            .map(Path::to_owned)
            .collect::<Vec<_>>();
        for folder in missing.into_iter().rev() {
            match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => self.created.push(folder),
                Err(error) => {
                    self.remove_created();
                    return Err(unusable("create", &folder, &error));
                }
            }
        }
        Ok(())
    }

    /// Removes what came into the directory since, and the directory itself if it was created.
    ///
    /// # Errors
    /// The system's reason; what could be removed is removed.
    pub fn undo(self) -> io::Result<()> {
        let emptied = remove_contents(&self.path);
        if let Some(mode) = self.old_mode {
            std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(mode))?;
        }
        self.remove_created();
        emptied
    }

    fn remove_created(&self) {
        for folder in self.created.iter().rev() {
            // Not empty any more: somebody else uses it, so it stays.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Removes everything in a directory; symbolic links are removed, not followed.
fn remove_contents(path: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut first_error = None;
    for entry in entries {
        let removed = entry.and_then(|entry| {
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            }
        });
        if let Err(error) = removed {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|error| unusable("set permissions of", path, &error))
}

/// Sets the mode to 0700 if the server would refuse to start in the directory: it accepts 0700
/// and 0750 (PostgreSQL: `initdb --allow-group-access`).
pub fn restrict_mode(path: &Path) -> Result<()> {
    let mode = mode(path).map_err(|error| unusable("read", path, &error))?;
    if mode & 0o027 == 0 {
        return Ok(());
    }
    set_mode(path, 0o700)
}

/// Writes a file of the data directory as a whole.
///
/// # Errors
/// The system's reason; an old file is still there.
pub fn write_file(path: &Path, name: &str, text: &str) -> io::Result<()> {
    super::files::replace(&path.join(name), text.as_bytes(), file_mode(path)?)
}

/// The mode of files that are written into the data directory: 0600, or 0640 if the group may read it.
pub(super) fn file_mode(path: &Path) -> io::Result<u32> {
    Ok(if mode(path)? & 0o040 == 0 { 0o600 } else { 0o640 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b/data");
        (folder, data)
    }

    #[test]
    fn an_absent_directory_is_created_and_its_creation_undone_with_its_parents() {
        let (folder, data) = folder();
        let prepared = prepare(&data, false).unwrap();
        assert_eq!(mode(&data).unwrap(), 0o700);
        std::fs::write(data.join("partial"), "x").unwrap();
        std::fs::create_dir(data.join("base")).unwrap();
        prepared.undo().unwrap();
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn a_parent_that_somebody_uses_meanwhile_stays() {
        let (folder, data) = folder();
        let prepared = prepare(&data, false).unwrap();
        std::fs::write(folder.path().join("a/other"), "x").unwrap();
        prepared.undo().unwrap();
        assert!(folder.path().join("a/other").exists());
        assert!(!folder.path().join("a/b").exists());
    }

    #[test]
    fn an_empty_directory_is_kept_with_its_mode() {
        let (_folder, data) = folder();
        std::fs::create_dir_all(&data).unwrap();
        for before in [0o755, 0o750] {
            set_mode(&data, before).unwrap();
            let prepared = prepare(&data, false).unwrap();
            assert_eq!(mode(&data).unwrap(), if before == 0o755 { 0o700 } else { 0o750 });
            std::fs::write(data.join("partial"), "x").unwrap();
            prepared.undo().unwrap();
            assert_eq!(state(&data).unwrap(), State::Empty);
            assert_eq!(mode(&data).unwrap(), before);
        }
    }

    #[test]
    fn contents_stay_without_force_and_links_are_not_followed_with_it() {
        let (folder, data) = folder();
        std::fs::create_dir_all(&data).unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, data.join("pg_wal")).unwrap();
        assert!(prepare(&data, false).is_err());
        assert!(data.join("pg_wal").exists());
        prepare(&data, true).unwrap();
        assert_eq!(state(&data).unwrap(), State::Empty);
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn the_root_directory_and_what_holds_home_are_not_emptied() {
        assert!(refuse_precious(Path::new("/")).is_err());
        if let Some(home) = std::env::var_os("HOME") {
            assert!(refuse_precious(Path::new(&home)).is_err());
        }
    }

    #[test]
    fn states_are_told_apart() {
        let (folder, data) = folder();
        assert_eq!(state(&data).unwrap(), State::Absent);
        std::fs::create_dir_all(&data).unwrap();
        assert_eq!(state(&data).unwrap(), State::Empty);
        std::fs::write(data.join("x"), "").unwrap();
        assert_eq!(state(&data).unwrap(), State::NotEmpty);
        std::fs::write(data.join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(state(&data).unwrap(), State::PostgreSql);
        assert!(state(&data.join("x")).is_err());
        std::os::unix::fs::symlink("/nonexistent", folder.path().join("dangling")).unwrap();
        assert!(state(&folder.path().join("dangling")).is_err());
    }

    #[test]
    fn a_server_runs_only_if_its_process_lives() {
        let (_folder, data) = folder();
        std::fs::create_dir_all(&data).unwrap();
        assert_eq!(running_server(&data).unwrap(), None);
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        std::fs::write(data.join("postmaster.pid"), format!("{pid}\n{}\n", data.display())).unwrap();
        assert_eq!(running_server(&data).unwrap(), Some(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(running_server(&data).unwrap(), None);
        std::fs::write(data.join("postmaster.pid"), std::process::id().to_string()).unwrap();
        assert_eq!(running_server(&data).unwrap(), None);
        std::fs::write(data.join("postmaster.pid"), "").unwrap();
        assert_eq!(running_server(&data).unwrap(), None);
    }
}
