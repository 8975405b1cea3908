//! The files of `pg_wal`: which of them hold a part of the write-ahead log.
//! (PostgreSQL: "WAL Internals"; the names are made of timeline and position.)

use std::io;
use std::path::{Path, PathBuf};

use crate::types::{Lsn, TimelineId};

/// A part of a server's history that another server does not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// The timeline on which the two have parted.
    pub timeline: TimelineId,
    /// Where.
    pub fork: Lsn,
    /// Where the server's own WAL ends.
    pub end: Lsn,
}

/// Files with their size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Their paths, in the order of their names.
    pub files: Vec<PathBuf>,
    /// All of them together.
    pub bytes: u64,
}

/// The segments that hold a part of the branch, and the histories of timelines; without a branch all of them. A segment
/// that the server had made ready for later belongs to nothing.
///
/// # Errors
/// The folder cannot be read.
pub fn of_branch(folder: &Path, branch: Option<Branch>) -> io::Result<Found> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name();
        let wanted = name.to_str().is_some_and(|name| match segment(name, metadata.len()) {
            Some((timeline, begin)) => branch.is_none_or(|branch| branch.has(timeline, begin, metadata.len())),
            None => name.ends_with(".history"),
        });
        if wanted && metadata.is_file() {
            found.push((entry.path(), metadata.len()));
        }
    }
    found.sort();
    Ok(Found {
        bytes: found.iter().map(|(_, bytes)| bytes).sum(),
        files: found.into_iter().map(|(path, _)| path).collect(),
    })
}

impl Branch {
    fn has(&self, timeline: TimelineId, begin: Lsn, size: u64) -> bool {
        timeline >= self.timeline && begin.0.saturating_add(size) > self.fork.0 && begin <= self.end
    }
}

/// Timeline and first position of a segment, complete or partial, by its name and size.
fn segment(name: &str, size: u64) -> Option<(TimelineId, Lsn)> {
    let digits = name.strip_suffix(".partial").unwrap_or(name);
    if digits.len() != 24 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || size == 0 {
        return None;
    }
    let part = |from: usize| u32::from_str_radix(&digits[from..from + 8], 16).ok();
    let begin = (u64::from(part(8)?) << 32).checked_add(u64::from(part(16)?).checked_mul(size)?)?;
    Some((TimelineId(part(0)?), Lsn(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 20;

    fn found(names: &[&str], branch: Option<Branch>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archive_status")).unwrap();
        for name in names {
            std::fs::File::create(folder.path().join(name))
                .unwrap()
                .set_len(SIZE)
                .unwrap();
        }
        let found = of_branch(folder.path(), branch).unwrap();
        assert_eq!(found.bytes, SIZE * found.files.len() as u64);
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        found.files.iter().map(name).collect()
    }

    #[test]
    fn a_branch_begins_in_the_segment_of_its_fork_and_ends_where_the_wal_does() {
        let names = [
            "000000010000000000000003",
            "000000010000000000000004",
            "000000010000000000000005",
            "000000020000000000000006.partial",
            "000000020000000000000007",
            "000000020000000000000008",
            "00000002.history",
            "postmaster.pid",
        ];
        let branch = |fork: u64, end: u64| {
            Some(Branch {
                timeline: TimelineId(1),
                fork: Lsn(fork * SIZE + 5),
                end: Lsn(end * SIZE + 5),
            })
        };
        assert_eq!(
            found(&names, branch(4, 7)),
            [
                "000000010000000000000004",
                "000000010000000000000005",
                "00000002.history",
                "000000020000000000000006.partial",
                "000000020000000000000007",
            ]
        );
        let later = Branch {
            timeline: TimelineId(2),
            ..branch(4, 6).unwrap()
        };
        assert_eq!(
            found(&names, Some(later)),
            ["00000002.history", "000000020000000000000006.partial"]
        );
        assert_eq!(found(&names, None).len(), 7);
    }

    #[test]
    fn a_position_behind_four_gigabytes_is_in_the_middle_of_the_name() {
        assert_eq!(
            segment("00000003000000020000000F", SIZE),
            Some((TimelineId(3), Lsn((2 << 32) + 15 * SIZE)))
        );
        assert_eq!(segment("00000003000000020000000G", SIZE), None);
    }
}
