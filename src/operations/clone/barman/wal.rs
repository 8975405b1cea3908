//! The WAL from the beginning of the backup on. With `restore_command` the standby fetches it by itself;
//! without it, what the source has removed already is copied from Barman, as far as the source has the rest.

use std::path::Path;

use super::complete::failed;
use super::{Cloning, barman_error};
use crate::error::Result;

const HINT: &str = "set restore_command in repmgr.conf, for example to barman-wal-restore: \
                    the standby can then fetch WAL from Barman";

/// The segment in the name of a WAL file such as `000000010000000A000000FF`: what follows the timeline.
fn segment(name: &str) -> Option<&str> {
    let hexadecimal = name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal.then(|| &name[8..])
}

/// The paths below the archive of the segments from `first` on and before `oldest`.
fn missing(listed: &str, archive: &str, first: &str, oldest: &str) -> Vec<String> {
    let path = |line: &str| {
        let path = line
            .trim_end()
            .strip_prefix(archive)?
            .trim_start_matches('/')
            .to_owned();
        let segment = segment(Path::new(&path).file_name()?.to_str()?)?;
        (segment >= first && segment < oldest).then_some(path)
    };
    listed.lines().filter_map(path).collect()
}

/// How many segments of `size` bytes there are from `first` up to `oldest`.
fn distance(first: &str, oldest: &str, size: u64) -> Option<u64> {
    let number = |segment: &str| {
        let (high, low) = segment.split_at_checked(8)?;
        let high = u64::from_str_radix(high, 16).ok()?;
        let low = u64::from_str_radix(low, 16).ok()?;
        Some(high * (1_u64 << 32).checked_div(size)? + low)
    };
    Some(number(oldest)?.saturating_sub(number(first)?))
}

impl Cloning<'_> {
    /// Finds out whether the standby will get at all the WAL that it needs.
    pub(in crate::operations::clone) async fn check_wal(&mut self) -> Result<()> {
        if !self.request.config.restore_command.is_empty() {
            return Ok(());
        }
        let from = self.barman_source()?;
        let first = from.backup.info.begin_wal.as_deref().and_then(segment);
        let (Some(source), Some(first)) = (&self.source, first) else {
            crate::warning!("restore_command is not set: the standby needs all WAL since the backup from its upstream");
            crate::hint!("{HINT}");
            return Ok(());
        };
        let sql = "SELECT min(substr(name, 9)), \
                   pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')) \
                   FROM pg_catalog.pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'";
        let (oldest, size) = match source.query_one(sql, &[]).await {
            Ok(row) => (
                row.get::<_, Option<String>>(0).unwrap_or_default(),
                row.get::<_, i64>(1),
            ),
            Err(error) => {
                crate::warning!("it cannot be checked whether the source still has the WAL since the backup");
                crate::detail!("{error}");
                crate::hint!("{HINT}");
                return Ok(());
            }
        };
        let needed = distance(first, &oldest, size.unsigned_abs()).unwrap_or(0);
        if needed == 0 {
            crate::info!("the source still has the WAL since the backup, from segment {first} on");
            crate::hint!("{HINT}");
            return Ok(());
        }
        let gone = format!("the backup begins in segment {first}, the oldest one of the source is {oldest}");
        let server = &self.request.config.barman_server;
        let listed = from
            .barman
            .command(&["list-files", "--target=wal", server, &from.backup.id])
            .await?;
        let archive = from.backup.wals.as_deref().unwrap_or_default();
        let wal = missing(&listed, archive, first, &oldest);
        if (wal.len() as u64) < needed {
            return Err(
                barman_error("neither the source nor Barman has all the WAL that the standby needs")
                    .detail(gone)
                    .detail(format!(
                        "{needed} files are needed from Barman, it has {} of them",
                        wal.len()
                    ))
                    .hint("wait until Barman has archived them, or have it take a new backup"),
            );
        }
        crate::notice!("{needed} WAL files that the source has removed will be copied from Barman");
        crate::detail!("{gone}");
        if let Some(from) = &mut self.barman {
            from.get_wal = from.backup.compressed_wal;
            from.wal = wal;
        }
        Ok(())
    }

    /// Copies what [`Self::check_wal`] found.
    pub(in crate::operations::clone) async fn copy_wal(&mut self) -> Result<()> {
        let from = self.barman_source()?;
        let (Some(archive), false) = (&from.backup.wals, from.wal.is_empty()) else {
            return Ok(());
        };
        let archive = archive.clone();
        let data = &self.request.data_directory;
        if from.get_wal {
            return self.get_wal(&data.join("pg_wal")).await;
        }
        let (to, list) = (data.join("pg_wal"), data.join("repmgr_wal_files"));
        let names: String = from.wal.iter().map(|path| format!("{path}\n")).collect();
        std::fs::write(&list, names).map_err(failed(&list))?;
        let options = ["--no-relative".to_owned(), format!("--files-from={}", list.display())];
        self.copy_part(&archive, &to, &options, 0, 0).await?;
        std::fs::remove_file(&list).map_err(failed(&list))
    }
}

impl Cloning<'_> {
    /// Has Barman decompress one file after the other.
    async fn get_wal(&self, to: &Path) -> Result<()> {
        let from = self.barman_source()?;
        let server = &self.request.config.barman_server;
        for path in &from.wal {
            let Some(name) = Path::new(path).file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            from.barman
                .command_into(&["get-wal", server, name], &to.join(name))
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_backup_and_the_source_is_copied() {
        let listed = "banner\n\
            /b/wals/0000000100000000/000000010000000000000002\n\
            /b/wals/0000000100000000/000000010000000000000003\n\
            /b/wals/0000000100000000/000000010000000000000003.00000028.backup\n\
            /b/wals/0000000100000000/0000000100000000000000FF\n\
            /b/wals/0000000100000001/000000010000000100000000\n\
            /b/wals/0000000100000001/000000010000000100000001\n";
        assert_eq!(
            missing(listed, "/b/wals", "0000000000000003", "0000000100000001"),
            [
                "0000000100000000/000000010000000000000003",
                "0000000100000000/0000000100000000000000FF",
                "0000000100000001/000000010000000100000000"
            ]
        );
        assert!(missing(listed, "/b/wals", "0000000000000003", "0000000000000003").is_empty());
    }

    #[test]
    fn the_distance_in_files_depends_on_their_size() {
        assert_eq!(distance("0000000000000003", "0000000100000001", 16 << 20), Some(254));
        assert_eq!(distance("0000000000000003", "0000000100000001", 1 << 30), Some(2));
        assert_eq!(distance("0000000100000001", "0000000000000003", 16 << 20), Some(0));
        assert_eq!(distance("x", "0000000000000003", 16 << 20), None);
        assert_eq!(segment("00000002.history"), None);
    }
}
