//! `backup.info`, Barman's own description of a backup: lines `name=value`,
//! of which some values are literals of Python.

use std::path::PathBuf;

use super::unpacking::Compression;
use crate::postgres::ServerVersion;
use crate::types::{Lsn, SystemIdentifier, TimelineId};

/// A tablespace as it was when the backup was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    /// Names its folder in the backup.
    pub oid: u32,
    /// Where it was.
    pub location: PathBuf,
}

/// What the file says of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupInfo {
    /// The PostgreSQL that it is of.
    pub version: ServerVersion,
    /// The cluster that it is of; older versions of Barman do not say it.
    pub system_identifier: Option<SystemIdentifier>,
    /// The timeline that it began on.
    pub timeline: Option<TimelineId>,
    /// The first WAL file that a server needs to start from it.
    pub begin_wal: Option<String>,
    /// Where the data become consistent.
    pub end: Option<Lsn>,
    /// In bytes, with its tablespaces.
    pub size: u64,
    /// The tablespaces outside the data directory.
    pub tablespaces: Vec<Tablespace>,
    /// The contents of `backup_label`, if they were not left in the data directory.
    pub backup_label: Option<String>,
    /// Its files are in archives, compressed in this way.
    pub compression: Option<Compression>,
    /// Why its files cannot be taken as they are.
    pub obstacle: Option<String>,
}

impl BackupInfo {
    /// Reads the file. What is not a line of it, such as a banner of the remote shell, is skipped.
    ///
    /// # Errors
    /// What is missing or cannot be read.
    pub fn parse(text: &str) -> Result<BackupInfo, String> {
        let get = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim())
                .filter(|value| !value.is_empty() && *value != "None")
        };
        let version = get("version").ok_or("it has no line \"version\"")?;
        let version = version
            .parse()
            .map_err(|_| format!("its version is \"{version}\", which is no number"))?;
        let tablespaces = match get("tablespaces") {
            Some(list) => parse_tablespaces(list).ok_or_else(|| format!("its tablespaces are \"{list}\""))?,
            None => Vec::new(),
        };
        Ok(BackupInfo {
            version: ServerVersion(version),
            system_identifier: get("systemid").and_then(|text| text.parse().ok()).map(SystemIdentifier),
            timeline: get("timeline").and_then(|text| text.parse().ok()).map(TimelineId),
            begin_wal: get("begin_wal").map(str::to_owned),
            end: get("end_xlog").and_then(|text| text.parse().ok()),
            size: get("size").and_then(|text| text.parse().ok()).unwrap_or(0),
            tablespaces,
            backup_label: get("backup_label").and_then(|text| string(text).map(|(label, _)| label)),
            compression: get("compression").and_then(Compression::named),
            obstacle: obstacle(get),
        })
    }
}

/// Backups whose files are not simply a data directory and tablespaces.
fn obstacle<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    if let Some(status) = get("status").filter(|status| !matches!(*status, "DONE" | "WAITING_FOR_WALS")) {
        return Some(format!("its status is {status}"));
    }
    if let Some(compression) = get("compression").filter(|name| Compression::named(name).is_none()) {
        return Some(format!(
            "it is compressed in a way that is not known here ({compression})"
        ));
    }
    if let Some(encryption) = get("encryption") {
        return Some(format!("it is encrypted ({encryption})"));
    }
    if let Some(parent) = get("parent_backup_id") {
        return Some(format!("it is incremental, on top of backup {parent}"));
    }
    if get("snapshots_info").is_some() || get("mode").is_some_and(|mode| mode.starts_with("snapshot")) {
        return Some("it is a snapshot of a cloud's disks".to_owned());
    }
    None
}

/// `[('name', 16384, '/location'), …]`; relative locations lie in the data directory.
fn parse_tablespaces(list: &str) -> Option<Vec<Tablespace>> {
    let mut rest = list.strip_prefix('[')?.trim_start();
    let mut tablespaces = Vec::new();
    while !rest.starts_with(']') {
        let (_, after) = string(rest.strip_prefix(['(', '['])?)?;
        let (oid, after) = after.trim_start().strip_prefix(',')?.split_once(',')?;
        let oid = oid.trim().trim_end_matches('L').parse().ok()?;
        let (location, after) = string(after.trim_start())?;
        if location.starts_with('/') {
            tablespaces.push(Tablespace {
                oid,
                location: location.into(),
            });
        }
        rest = after.trim_start().strip_prefix([')', ']'])?.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(tablespaces)
}

/// A string literal at the beginning of `text`, and what follows it (Python: "String and Bytes literals").
fn string(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('u').unwrap_or(text);
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            c if c == quote => return Some((value, &text[at + 1..])),
            '\\' => {
                let digits = match characters.next()?.1 {
                    'n' => {
                        value.push('\n');
                        continue;
                    }
                    't' => {
                        value.push('\t');
                        continue;
                    }
                    'r' => {
                        value.push('\r');
                        continue;
                    }
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    other => {
                        value.push(other);
                        continue;
                    }
                };
                let code: String = characters.by_ref().take(digits).map(|(_, digit)| digit).collect();
                value.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
            }
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\\nSTART TIMELINE: 1\\n'
begin_wal=000000010000000000000003
begin_xlog=0/3000028
compression=None
copy_stats={'copy_time': 0.239347, 'total_time': 0.239347}
end_xlog=0/4000000
mode=postgres
size=23400889
status=DONE
systemid=7710633239952531181
tablespaces=[('ts1', 16384, '/srv/ts1'), ('it\\'s', 16390, \"/srv/it's\"), ('in place', 16400, 'pg_tblspc/16400')]
timeline=1
version=150020
";

    #[test]
    fn what_barman_writes_is_read() {
        let info = BackupInfo::parse(TEXT).unwrap();
        assert_eq!(info.version, ServerVersion(150_020));
        assert_eq!(
            info.system_identifier,
            Some(SystemIdentifier(7_710_633_239_952_531_181))
        );
        assert_eq!(info.timeline, Some(TimelineId(1)));
        assert_eq!(info.end, Some(Lsn(0x400_0000)));
        assert_eq!((info.size, info.obstacle), (23_400_889, None));
        let locations: Vec<_> = info
            .tablespaces
            .iter()
            .map(|it| (it.oid, it.location.to_str().unwrap()))
            .collect();
        assert_eq!(locations, [(16384, "/srv/ts1"), (16390, "/srv/it's")]);
        assert!(info.backup_label.unwrap().ends_with("\nSTART TIMELINE: 1\n"));
    }

    #[test]
    fn an_older_barman_says_less() {
        let info = BackupInfo::parse("version=130004\ntablespaces=None\nstatus=DONE\n").unwrap();
        assert_eq!((info.system_identifier, info.tablespaces.len()), (None, 0));
        let info = BackupInfo::parse("version=90624\ntablespaces=[[u'ts', 16384L, u'/srv/ts']]\n").unwrap();
        assert_eq!(info.tablespaces[0].oid, 16384);
    }

    #[test]
    fn backups_that_are_no_plain_files_are_told_apart() {
        for (line, word) in [
            ("compression=snappy", "snappy"),
            ("parent_backup_id=20260101T000000", "incremental"),
            ("encryption=gpg", "encrypted"),
            ("mode=snapshot-gcp", "snapshot"),
            ("status=FAILED", "FAILED"),
        ] {
            let obstacle = BackupInfo::parse(&format!("version=150000\n{line}\n"))
                .unwrap()
                .obstacle;
            assert!(obstacle.is_some_and(|text| text.contains(word)), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said_and_not_guessed() {
        for text in [
            "",
            "version=fifteen\n",
            "version=150000\ntablespaces=[('a', 1\n",
            "version=150000\ntablespaces=[('a', x, '/b')]\n",
        ] {
            assert!(BackupInfo::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(string("'a\\x41\\u00e4\\\\' rest"), Some(("aAä\\".to_owned(), " rest")));
        assert_eq!(string("'open"), None);
    }
}
