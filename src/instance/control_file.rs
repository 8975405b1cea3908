//! `global/pg_control`, read without the server: works on a stopped one and
//! without PostgreSQL's programs.
//!
//! The layout is PostgreSQL's `ControlFileData` on a 64-bit little-endian
//! machine (`src/include/catalog/pg_control.h` of each major version); it is
//! chosen by `PG_VERSION` and cross-checked with `pg_control_version` and the
//! file's CRC, so that a layout that is not known is refused, never misread.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::data_directory;
use crate::Error;
use crate::types::{Lsn, SystemIdentifier, TimelineId};

/// What state the server left, or is in, according to pg_control (`DBState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterState {
    /// Starting up.
    StartingUp,
    /// Cleanly shut down as a primary.
    ShutDown,
    /// Cleanly shut down as a standby.
    ShutDownInRecovery,
    /// Shutting down.
    ShuttingDown,
    /// Recovering from a crash.
    InCrashRecovery,
    /// A standby, or recovering from an archive.
    InArchiveRecovery,
    /// Accepts writes; or crashed while it did.
    InProduction,
}

impl ClusterState {
    fn from_number(number: u32) -> Option<ClusterState> {
        Some(match number {
            0 => ClusterState::StartingUp,
            1 => ClusterState::ShutDown,
            2 => ClusterState::ShutDownInRecovery,
            3 => ClusterState::ShuttingDown,
            4 => ClusterState::InCrashRecovery,
            5 => ClusterState::InArchiveRecovery,
            6 => ClusterState::InProduction,
            _ => return None,
        })
    }

    /// Whether the server was stopped in an orderly way.
    pub fn is_clean(self) -> bool {
        matches!(self, ClusterState::ShutDown | ClusterState::ShutDownInRecovery)
    }

    /// The words of `pg_controldata`.
    pub fn as_str(self) -> &'static str {
        match self {
            ClusterState::StartingUp => "starting up",
            ClusterState::ShutDown => "shut down",
            ClusterState::ShutDownInRecovery => "shut down in recovery",
            ClusterState::ShuttingDown => "shutting down",
            ClusterState::InCrashRecovery => "in crash recovery",
            ClusterState::InArchiveRecovery => "in archive recovery",
            ClusterState::InProduction => "in production",
        }
    }
}

impl std::fmt::Display for ClusterState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What pg_control says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    /// The cluster's identity.
    pub system_identifier: SystemIdentifier,
    /// The server's state.
    pub state: ClusterState,
    /// The last checkpoint record.
    pub checkpoint: Lsn,
    /// The timeline of that checkpoint.
    pub checkpoint_timeline: TimelineId,
    /// How far recovery must go before the data is consistent, and on which timeline;
    /// `None` on a server that was a primary.
    pub min_recovery_point: Option<(Lsn, TimelineId)>,
    /// 0 if the cluster has no data checksums.
    pub data_checksum_version: u32,
}

/// Why pg_control cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlFileError {
    /// The file, or `PG_VERSION`, cannot be read.
    #[error("could not read \"{path}\": {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The data directory's version is not one of those that are supported.
    #[error("the data directory is of PostgreSQL {0}, which is not supported")]
    UnsupportedVersion(String),
    /// `pg_control_version` is not the one of this PostgreSQL version.
    #[error("pg_control is of version {found}, but PostgreSQL {major} has version {expected}")]
    VersionMismatch {
        /// What the file says.
        found: u32,
        /// What it should say.
        expected: u32,
        /// By `PG_VERSION`.
        major: i32,
    },
    /// The file is shorter than its contents.
    #[error("pg_control is truncated")]
    Truncated,
    /// The checksum of the file is wrong: it is damaged, or of another machine architecture.
    #[error("the checksum of pg_control is wrong")]
    BadCrc,
    /// The state is not one of those that exist.
    #[error("pg_control holds the unknown state {0}")]
    UnknownState(u32),
}

impl From<ControlFileError> for Error {
    fn from(error: ControlFileError) -> Error {
        Error::bad_config(error.to_string())
            .hint("check data_directory in repmgr.conf; if it is right, pg_controldata may say more")
    }
}

struct Layout {
    control_version: u32,
    crc: usize,
}

const SYSTEM_IDENTIFIER: usize = 0;
const CONTROL_VERSION: usize = 8;
const STATE: usize = 16;
const CHECKPOINT: usize = 32;
const CHECKPOINT_TIMELINE: usize = 48;
const MIN_RECOVERY_POINT: usize = 136;
const MIN_RECOVERY_TIMELINE: usize = 144;
const DATA_CHECKSUM_VERSION: usize = 252;

fn layout(major: i32) -> Option<Layout> {
    let (control_version, crc) = match major {
        13..=16 => (1300, 288),
        17 => (1700, 288),
        // A flag behind the checksum version moved the nonce by one byte.
        18 => (1800, 292),
        _ => return None,
    };
    Some(Layout { control_version, crc })
}

/// Reads `global/pg_control` of a data directory. A running server rewrites the file in place;
/// a reading that fell into that is repeated.
pub fn read(data_directory: &Path) -> Result<ControlFile, ControlFileError> {
    let unreadable = |path: PathBuf| move |source| ControlFileError::Unreadable { path, source };
    let version =
        data_directory::version_text(data_directory).map_err(unreadable(data_directory.join("PG_VERSION")))?;
    let major = version
        .parse()
        .map_err(|_| ControlFileError::UnsupportedVersion(version.clone()))?;
    let layout = layout(major).ok_or(ControlFileError::UnsupportedVersion(version))?;
    let path = data_directory.join("global/pg_control");
    let mut attempts = 0;
    loop {
        let bytes = std::fs::read(&path).map_err(unreadable(path.clone()))?;
        attempts += 1;
        match decode(&bytes, &layout, major) {
            Err(ControlFileError::BadCrc) if attempts < 5 => std::thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}

fn decode(bytes: &[u8], layout: &Layout, major: i32) -> Result<ControlFile, ControlFileError> {
    let found = u32_at(bytes, CONTROL_VERSION)?;
    if found != layout.control_version {
        return Err(ControlFileError::VersionMismatch {
            found,
            expected: layout.control_version,
            major,
        });
    }
    let covered = bytes.get(..layout.crc).ok_or(ControlFileError::Truncated)?;
    if crc32c(covered) != u32_at(bytes, layout.crc)? {
        return Err(ControlFileError::BadCrc);
    }
    let state = u32_at(bytes, STATE)?;
    let min_recovery_point = Lsn(u64_at(bytes, MIN_RECOVERY_POINT)?);
    let min_recovery_timeline = TimelineId(u32_at(bytes, MIN_RECOVERY_TIMELINE)?);
    Ok(ControlFile {
        system_identifier: SystemIdentifier(u64_at(bytes, SYSTEM_IDENTIFIER)?),
        state: ClusterState::from_number(state).ok_or(ControlFileError::UnknownState(state))?,
        checkpoint: Lsn(u64_at(bytes, CHECKPOINT)?),
        checkpoint_timeline: TimelineId(u32_at(bytes, CHECKPOINT_TIMELINE)?),
        min_recovery_point: (min_recovery_point != Lsn::INVALID).then_some((min_recovery_point, min_recovery_timeline)),
        data_checksum_version: u32_at(bytes, DATA_CHECKSUM_VERSION)?,
    })
}

fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], ControlFileError> {
    bytes
        .get(offset..offset + N)
        .and_then(|part| part.try_into().ok())
        .ok_or(ControlFileError::Truncated)
}

fn u32_at(bytes: &[u8], offset: usize) -> Result<u32, ControlFileError> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], offset: usize) -> Result<u64, ControlFileError> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// CRC-32C (Castagnoli), PostgreSQL's `pg_crc32c`; a few hundred bytes need no table.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control_file(version: u32, crc_offset: usize) -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
        put(SYSTEM_IDENTIFIER, &7_654_321_u64.to_le_bytes());
        put(CONTROL_VERSION, &version.to_le_bytes());
        put(STATE, &2_u32.to_le_bytes());
        put(CHECKPOINT, &0x1_0000_0028_u64.to_le_bytes());
        put(CHECKPOINT_TIMELINE, &3_u32.to_le_bytes());
        put(MIN_RECOVERY_POINT, &0x1_0000_0100_u64.to_le_bytes());
        put(MIN_RECOVERY_TIMELINE, &4_u32.to_le_bytes());
        put(DATA_CHECKSUM_VERSION, &1_u32.to_le_bytes());
        let crc = crc32c(&bytes[..crc_offset]);
        bytes[crc_offset..crc_offset + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn data_directory(version: &str, control_file: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("global")).unwrap();
        std::fs::write(folder.path().join("PG_VERSION"), format!("{version}\n")).unwrap();
        std::fs::write(folder.path().join("global/pg_control"), control_file).unwrap();
        folder
    }

    #[test]
    fn crc_of_the_standard_check_value() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn every_supported_layout_is_read() {
        for (major, version, crc) in [
            ("13", 1300, 288),
            ("16", 1300, 288),
            ("17", 1700, 288),
            ("18", 1800, 292),
        ] {
            let folder = data_directory(major, &control_file(version, crc));
            let read = read(folder.path()).unwrap();
            assert_eq!(read.system_identifier, SystemIdentifier(7_654_321), "{major}");
            assert_eq!(read.state, ClusterState::ShutDownInRecovery);
            assert_eq!(read.checkpoint.to_string(), "1/28");
            assert_eq!(read.checkpoint_timeline, TimelineId(3));
            assert_eq!(read.min_recovery_point, Some((Lsn(0x1_0000_0100), TimelineId(4))));
            assert_eq!(read.data_checksum_version, 1);
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let good = control_file(1300, 288);
        let error = |version: &str, bytes: &[u8]| read(data_directory(version, bytes).path()).unwrap_err();
        assert!(matches!(error("12", &good), ControlFileError::UnsupportedVersion(_)));
        assert!(matches!(error("9.6", &good), ControlFileError::UnsupportedVersion(_)));
        assert!(matches!(error("17", &good), ControlFileError::VersionMismatch { .. }));
        assert!(matches!(error("15", &good[..100]), ControlFileError::Truncated));
        let mut damaged = good.clone();
        damaged[20] ^= 1;
        assert!(matches!(error("15", &damaged), ControlFileError::BadCrc));
        assert!(matches!(
            read(Path::new("/nonexistent")),
            Err(ControlFileError::Unreadable { .. })
        ));
    }
}
