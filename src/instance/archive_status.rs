//! The WAL files that wait to be archived.

use std::io;
use std::path::Path;

/// How many WAL files wait to be archived: the regular files whose names end in `.ready` below `pg_wal/archive_status`
/// (PostgreSQL: "Continuous Archiving and Point-in-Time Recovery").
pub fn ready_files(data_directory: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(data_directory.join("pg_wal/archive_status"))? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().ends_with(b".ready") && entry.file_type()?.is_file() {
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_that_are_ready_count() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ready_files(folder.path()).is_err());
        let status = folder.path().join("pg_wal/archive_status");
        std::fs::create_dir_all(status.join("folder.ready")).unwrap();
        for name in ["1.ready", "2.ready", "3.done", "ready"] {
            std::fs::write(status.join(name), "").unwrap();
        }
        assert_eq!(ready_files(folder.path()).unwrap(), 2);
    }
}
