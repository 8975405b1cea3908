//! What a server needs beside the files of a backup, and whether these are the right ones.
//! (PostgreSQL: "Continuous Archiving and Point-in-Time Recovery"; "Database File Layout".)

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Cloning, destination};
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{control_file, data_directory};
use crate::types::SystemIdentifier;

/// Directories that a server does not create by itself; Barman does not keep what is in them.
const DIRECTORIES: &[&str] = &[
    "pg_wal",
    "pg_wal/archive_status",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
];

pub(super) fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |error| {
        let hint = match error.kind() {
            ErrorKind::StorageFull => "make room on that file system, and clone again",
            _ => "what was copied is removed, so the clone can be run again",
        };
        Error::new(
            ExitCode::BadBasebackup,
            format!("unable to write \"{}\"", path.display()),
        )
        .detail(error.to_string())
        .hint(hint)
    }
}

fn write(data: &Path, name: &str, text: &str) -> Result<()> {
    data_directory::write_file(data, name, text).map_err(failed(&data.join(name)))
}

impl Cloning<'_> {
    /// The WAL of the clone goes to `--waldir` if that is asked for.
    pub(in crate::operations::clone) fn link_wal_directory(&self) -> Result<()> {
        let Some(waldir) = &self.options.waldir else {
            return Ok(());
        };
        let link = self.request.data_directory.join("pg_wal");
        std::os::unix::fs::symlink(waldir, &link).map_err(failed(&link))
    }

    /// Adds what a server needs, and checks that it is a cluster's data directory, of the right cluster.
    pub(in crate::operations::clone) async fn complete_backup(&mut self) -> Result<()> {
        let info = &self.barman_source()?.backup.info;
        let data = &self.request.data_directory;
        for directory in DIRECTORIES {
            let path = data.join(directory);
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&path)(error)),
                _ => {}
            }
        }
        let mappings = &self.request.config.tablespace_mapping;
        let places: Vec<(u32, PathBuf)> = info
            .tablespaces
            .iter()
            .map(|tablespace| {
                (
                    tablespace.oid,
                    destination(&tablespace.location.to_string_lossy(), mappings),
                )
            })
            .collect();
        write_tablespace_map(data, &places)?;
        let label = data.join("backup_label");
        if !label.exists() {
            let Some(text) = &info.backup_label else {
                return Err(
                    Error::new(ExitCode::BadBasebackup, "the backup has no \"backup_label\"")
                        .detail("a server that started without it would not replay all that it must")
                        .hint("have Barman take a new backup"),
                );
            };
            write(data, "backup_label", text)?;
        }
        check_identity(data, info.system_identifier)?;
        let directories: Vec<PathBuf> = std::iter::once(data.clone())
            .chain(places.into_iter().map(|(_, place)| place))
            .chain(self.options.waldir.clone())
            .collect();
        crate::info!("waiting until the disk has what was copied");
        tokio::task::spawn_blocking(move || directories.iter().try_for_each(|directory| sync_file_system(directory)))
            .await
            .map_err(|error| Error::new(ExitCode::Internal, "unable to sync").detail(error.to_string()))?
    }
}

/// All of the file system: there are too many files to sync one by one.
fn sync_file_system(directory: &Path) -> Result<()> {
    let folder = std::fs::File::open(directory).map_err(failed(directory))?;
    nix::unistd::syncfs(&folder).map_err(|error| failed(directory)(error.into()))
}

/// The server makes the links of `pg_tblspc` from this file when it starts from the backup.
fn write_tablespace_map(data: &Path, places: &[(u32, PathBuf)]) -> Result<()> {
    let path = data.join("tablespace_map");
    if places.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        };
    }
    write(data, "tablespace_map", &tablespace_map(places))
}

/// Line feeds and backslashes in paths are escaped (`read_tablespace_map`, PostgreSQL 13 and newer).
fn tablespace_map(places: &[(u32, PathBuf)]) -> String {
    let escape = |path: &Path| {
        path.to_string_lossy()
            .replace('\\', "\\\\")
            .replace('\n', "\\\n")
            .replace('\r', "\\\r")
    };
    places
        .iter()
        .map(|(oid, path)| format!("{oid} {}\n", escape(path)))
        .collect()
}

/// That it is a data directory, and of which cluster.
pub(in crate::operations::clone) fn check_identity(data: &Path, expected: Option<SystemIdentifier>) -> Result<()> {
    let broken = |message: String| {
        Error::new(ExitCode::BadBasebackup, message).hint("check the backup on Barman's host: \"barman check-backup\"")
    };
    let control = control_file::read(data).map_err(|error| {
        broken("what was copied is not a whole PostgreSQL data directory".to_owned()).detail(error.to_string())
    })?;
    match expected {
        Some(expected) if control.system_identifier != expected => Err(broken(
            "what was copied is of another database cluster than the backup".to_owned(),
        )
        .detail(format!(
            "its system identifier is {}, the backup's is {expected}",
            control.system_identifier
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_the_tablespace_map_are_escaped() {
        let places = [(16384, "/srv/new ts".into()), (16390, "/srv/a\\b\nc".into())];
        assert_eq!(tablespace_map(&places), "16384 /srv/new ts\n16390 /srv/a\\\\b\\\nc\n");
    }

    #[test]
    fn something_else_than_a_data_directory_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_identity(folder.path(), None).unwrap_err();
        assert_eq!(error.exit_code, ExitCode::BadBasebackup);
    }
}
