//! Configuration files of a data directory, kept elsewhere while pg_rewind
//! replaces them with those of the server that it takes over.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::unistd::Uid;

use super::files;
use crate::error::{Error, Result};
use crate::{detail, info, notice, warning};

/// How many folders of one name are looked at.
const MOST_FOLDERS: u32 = 100;
/// The ends of the names of files that are a node's own.
const OWN_KINDS: [&str; 5] = ["conf", "crt", "key", "pem", "crl"];

/// Which files, and where they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The folder, of this node alone.
    pub folder: PathBuf,
    /// The files by their paths below the data directory.
    pub files: Vec<PathBuf>,
}

/// Takes the list apart; what is not there, or not below the data directory, is warned about and left out.
pub fn select(list: &str, data_directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let path = Path::new(entry);
        let path = path.strip_prefix(data_directory).unwrap_or(path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            warning!("configuration file \"{entry}\" is not in the data directory");
            detail!("pg_rewind does not touch it, it need not be kept");
        } else if !data_directory.join(path).is_file() {
            warning!(
                "there is no configuration file \"{entry}\" in \"{}\"",
                data_directory.display()
            );
        } else if !files.iter().any(|known| known == path) {
            files.push(path.to_owned());
        }
    }
    files
}

/// What is a node's own in its data directory: configuration files, and the certificates and keys that they name.
/// Relative to the data directory.
pub fn own_files(data_directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "conf.d"] {
        let entries = std::fs::read_dir(data_directory.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        found.extend(entries.map(|entry| Path::new(folder).join(entry.file_name())));
    }
    let own = |file: &PathBuf| {
        let kind = file
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default();
        let named = file.to_str().is_some_and(|name| !name.contains(','));
        named && OWN_KINDS.contains(&kind) && data_directory.join(file).is_file()
    };
    found.retain(own);
    found.sort();
    found
}

/// The folder for a node's files, by the original's name.
pub fn folder(parent: &Path, node_name: &str) -> PathBuf {
    // A name is not a path.
    parent.join(format!("repmgr-config-archive-{}", node_name.replace('/', "_")))
}

/// All folders that may hold files of a node of this name.
pub fn folders(parent: &Path, node_name: &str) -> Vec<PathBuf> {
    let first = folder(parent, node_name);
    let later = (1..MOST_FOLDERS).map(|number| numbered(&first, number));
    std::iter::once(first.clone())
        .chain(later)
        .filter(|folder| folder.is_dir())
        .collect()
}

fn numbered(folder: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", folder.display()))
}

impl Archive {
    /// Whether the folder can be used; changes nothing.
    pub fn check(&self) -> Result<()> {
        let refused = |reason: String| {
            Error::bad_config(format!(
                "configuration files cannot be kept in \"{}\"",
                self.folder.display()
            ))
            .detail(reason)
            .hint("name another place with --config-archive-dir")
        };
        match std::fs::symlink_metadata(&self.folder) {
            Ok(found) if !found.is_dir() => Err(refused("it is not a directory".to_owned())),
            Ok(found) if found.uid() != Uid::effective().as_raw() => {
                Err(refused("it belongs to another user".to_owned()))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = self.folder.parent().unwrap_or(Path::new("/"));
                nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK)
                    .map_err(|error| refused(format!("\"{}\": {error}", parent.display())))
            }
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Makes the folder, under another name if there is one already: that may hold the only copies of
    /// something, or belong to another cluster's node of this name.
    pub fn keep(&mut self) -> Result<()> {
        self.check()?;
        let wanted = self.folder.clone();
        for number in 0..MOST_FOLDERS {
            if number > 0 {
                self.folder = numbered(&wanted, number);
            }
            match std::fs::DirBuilder::new().mode(0o700).create(&self.folder) {
                Ok(()) if number == 0 => return Ok(()),
                Ok(()) => {
                    notice!("\"{}\" is there already", wanted.display());
                    detail!("configuration files are kept in \"{}\"", self.folder.display());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.not_kept(&error)),
            }
        }
        Err(self.not_kept(&io::ErrorKind::AlreadyExists.into()))
    }

    fn not_kept(&self, error: &io::Error) -> Error {
        Error::bad_config(format!(
            "configuration files could not be kept in \"{}\"",
            self.folder.display()
        ))
        .detail(error.to_string())
        .hint("nothing was changed; name another place with --config-archive-dir")
    }

    /// Copies the files into the folder that [`Archive::keep`] made.
    pub fn copy_from(&self, data_directory: &Path) -> Result<()> {
        for file in &self.files {
            let copied = copy(&data_directory.join(file), &self.folder.join(file));
            copied.map_err(|error| self.not_kept(&error).detail(format!("it was \"{}\"", file.display())))?;
            info!(
                "configuration file \"{}\" is kept in \"{}\"",
                file.display(),
                self.folder.display()
            );
        }
        Ok(())
    }

    /// Removes what [`Archive::keep`] made; the originals were not touched.
    pub fn discard(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.folder)
            && error.kind() != io::ErrorKind::NotFound
        {
            warning!("\"{}\" could not be removed", self.folder.display());
            detail!("{error}");
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mode = std::fs::metadata(from)?.permissions().mode() & 0o777;
    files::replace(to, &std::fs::read(from)?, mode)
}

/// Puts all files of a folder back into the data directory but those that are `excepted`, and removes the
/// folder. Can be run again; a folder that is gone has been restored.
///
/// # Errors
/// A file could not be put back; it, and all later ones, are still in the folder.
pub fn restore(folder: &Path, data_directory: &Path, excepted: fn(&Path) -> bool) -> Result<()> {
    let failed = |error: io::Error| {
        Error::bad_config(format!(
            "the configuration files in \"{}\" could not be put back",
            folder.display()
        ))
        .detail(error.to_string())
        .hint(format!(
            "copy them to \"{}\" by hand, or mend it and run the same command again",
            data_directory.display()
        ))
    };
    let mut kept = Vec::new();
    match list(folder, Path::new(""), &mut kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.map_err(failed)?,
    }
    for file in kept.into_iter().filter(|file| !excepted(file)) {
        copy(&folder.join(&file), &data_directory.join(&file)).map_err(failed)?;
        info!("configuration file \"{}\" was put back", file.display());
    }
    std::fs::remove_dir_all(folder).map_err(failed)
}

fn list(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(folder, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("conf.d")).unwrap();
        for (name, text) in [
            ("postgresql.conf", "own"),
            ("pg_hba.conf", "hba"),
            ("conf.d/a.conf", "a"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn entries_are_taken_relative_to_the_data_directory() {
        let data = data();
        let absolute = data.path().join("pg_hba.conf");
        let list = format!(
            "postgresql.conf, {},conf.d/a.conf,missing.conf,../x,/etc/passwd,,postgresql.conf,conf.d",
            absolute.display()
        );
        let expected = ["postgresql.conf", "pg_hba.conf", "conf.d/a.conf"].map(PathBuf::from);
        assert_eq!(select(&list, data.path()), expected);
    }

    #[test]
    fn a_node_s_own_files_are_found_by_their_kind() {
        let data = data();
        for name in ["server.key", "PG_VERSION", "a,b.conf", "postmaster.opts"] {
            std::fs::write(data.path().join(name), "").unwrap();
        }
        std::fs::create_dir(data.path().join("folder.conf")).unwrap();
        let expected = ["conf.d/a.conf", "pg_hba.conf", "postgresql.conf", "server.key"].map(PathBuf::from);
        assert_eq!(own_files(data.path()), expected);
    }

    #[test]
    fn files_come_back_as_they_were_also_from_below_folders() {
        let (data, elsewhere) = (data(), tempfile::tempdir().unwrap());
        let mode = |name: &str| std::fs::metadata(data.path().join(name)).unwrap().permissions().mode() & 0o777;
        std::fs::set_permissions(data.path().join("pg_hba.conf"), std::fs::Permissions::from_mode(0o640)).unwrap();
        let mut archive = Archive {
            folder: folder(elsewhere.path(), "node1"),
            files: select("postgresql.conf,pg_hba.conf,conf.d/a.conf", data.path()),
        };
        archive.keep().unwrap();
        archive.copy_from(data.path()).unwrap();
        assert_eq!(
            std::fs::metadata(&archive.folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        std::fs::write(data.path().join("pg_hba.conf"), "of the source").unwrap();
        std::fs::remove_dir_all(data.path().join("conf.d")).unwrap();
        std::fs::write(archive.folder.join("note"), "").unwrap();
        restore(&archive.folder, data.path(), |file| file == Path::new("note")).unwrap();
        let text = |name: &str| std::fs::read_to_string(data.path().join(name)).unwrap();
        assert_eq!(
            (text("pg_hba.conf").as_str(), text("conf.d/a.conf").as_str()),
            ("hba", "a")
        );
        assert_eq!(mode("pg_hba.conf"), 0o640);
        assert!(!archive.folder.exists() && !data.path().join("note").exists());
        restore(&archive.folder, data.path(), |file| file == Path::new("note")).unwrap();
    }

    #[test]
    fn what_an_earlier_attempt_kept_stays_where_it_is() {
        let (data, elsewhere) = (data(), tempfile::tempdir().unwrap());
        let mut archive = Archive {
            folder: folder(elsewhere.path(), "node1"),
            files: select("postgresql.conf", data.path()),
        };
        std::fs::create_dir(&archive.folder).unwrap();
        std::fs::write(archive.folder.join("postgresql.conf"), "the only copy").unwrap();
        archive.keep().unwrap();
        archive.copy_from(data.path()).unwrap();
        assert_eq!(archive.folder, elsewhere.path().join("repmgr-config-archive-node1.1"));
        let earlier = elsewhere.path().join("repmgr-config-archive-node1/postgresql.conf");
        assert_eq!(std::fs::read_to_string(earlier).unwrap(), "the only copy");
        archive.discard();
        assert!(!archive.folder.exists());
    }

    #[test]
    fn a_folder_that_is_none_is_refused() {
        let elsewhere = tempfile::tempdir().unwrap();
        let archive = Archive {
            folder: folder(elsewhere.path(), "a/b"),
            files: Vec::new(),
        };
        assert_eq!(archive.folder, elsewhere.path().join("repmgr-config-archive-a_b"));
        std::fs::write(&archive.folder, "").unwrap();
        assert!(archive.check().unwrap_err().details[0].contains("not a directory"));
    }
}
