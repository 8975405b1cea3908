//! The write-ahead log of a stopped server, read with `pg_waldump`: where it
//! ends, and which transactions lie behind a position.
//!
//! pg_control says only how far a server came at its last checkpoint or
//! restartpoint; a server that crashed, and a standby that had not replayed
//! all it received, hold more than that.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::program;
use crate::config::Config;
use crate::types::{Lsn, TimelineId};

/// At 100 MB a second this is far more WAL than a server keeps.
const LIMIT: Duration = Duration::from_secs(300);

/// Where the WAL ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last whole record behind the position that was asked for; `None` if there is none.
    pub last_record: Option<Lsn>,
    /// Where that record ends, if pg_waldump said so.
    pub end: Option<Lsn>,
}

impl End {
    /// The end, or a position that is certainly behind the beginning of the last record.
    pub fn position(self) -> Option<Lsn> {
        let record = self.last_record?;
        Some(self.end.filter(|end| *end > record).unwrap_or(Lsn(record.0 + 1)))
    }
}

/// The transactions behind a position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commits {
    /// How many were committed.
    pub count: u64,
    /// When the first of them was, as the server writes it.
    pub first: String,
    /// When the last of them was.
    pub last: String,
}

/// The end of a timeline's WAL in `pg_wal`, looked for from a position on. `None`: it cannot be told.
pub async fn end(config: &Config, data_directory: &Path, timeline: TimelineId, from: Lsn) -> Option<End> {
    let mut child = command(config, data_directory, timeline, from)
        .arg("--quiet")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = String::new();
    let mut stderr = child.stderr.take()?;
    let read = async {
        stderr.read_to_string(&mut said).await.ok()?;
        child.wait().await.ok()
    };
    tokio::time::timeout(LIMIT, read).await.ok()??;
    parse_end(&said)
}

/// The transactions committed on a timeline from a position on. `None`: they cannot be counted.
pub async fn commits(config: &Config, data_directory: &Path, timeline: TimelineId, from: Lsn) -> Option<Commits> {
    let mut child = command(config, data_directory, timeline, from)
        .arg("--rmgr=Transaction")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    let read = async {
        let mut commits = Commits::default();
        while let Some(line) = lines.next_line().await.ok()? {
            if let Some(time) = commit_time(&line) {
                commits.count += 1;
                if commits.first.is_empty() {
                    time.clone_into(&mut commits.first);
                }
                time.clone_into(&mut commits.last);
            }
        }
        Some(commits)
    };
    tokio::time::timeout(LIMIT, read).await.ok()?
}

fn command(config: &Config, data_directory: &Path, timeline: TimelineId, from: Lsn) -> Command {
    let mut command = Command::new(program(config, "pg_waldump"));
    command
        .arg("--path")
        .arg(data_directory.join("pg_wal"))
        .arg(format!("--timeline={timeline}"))
        .arg(format!("--start={from}"))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// pg_waldump ends with an error where no valid record follows.
fn parse_end(said: &str) -> Option<End> {
    let position = |text: &str| text.split([':', ' ', '\n']).next()?.parse::<Lsn>().ok();
    if let Some((_, rest)) = said.split_once("error in WAL record at ") {
        let reason = rest.split_once(": ").map_or("", |(_, reason)| reason);
        return Some(End {
            last_record: Some(position(rest)?),
            end: reason.split_once(" at ").and_then(|(_, rest)| position(rest)),
        });
    }
    said.contains("could not find a valid record after").then_some(End {
        last_record: None,
        end: None,
    })
}

/// The time in a line such as `…, desc: COMMIT 2026-11-21 14:31:08.123456 UTC; inval msgs: …`.
fn commit_time(line: &str) -> Option<&str> {
    let (_, text) = line.split_once("desc: COMMIT")?;
    let text = text.strip_prefix("_PREPARED").unwrap_or(text);
    let text = text.split(';').next()?.trim();
    // A prepared transaction is named before the time.
    Some(text.split_once(": ").map_or(text, |(_, time)| time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_is_in_the_error_that_ends_the_reading() {
        let said = "pg_waldump: first record is after 0/3000010, at 0/3000028, skipping over 24 bytes\n\
                    pg_waldump: error: error in WAL record at 0/3000148: invalid record length at 0/30001C0: wanted 24, got 0\n";
        let end = parse_end(said).unwrap();
        assert_eq!(end.last_record, Some(Lsn(0x300_0148)));
        assert_eq!(end.position(), Some(Lsn(0x300_01C0)));
        let page = "pg_waldump: error: error in WAL record at 0/3000148: invalid magic number 0000 in WAL segment x, LSN 0/3002000, offset 8192";
        assert_eq!(parse_end(page).unwrap().position(), Some(Lsn(0x300_0149)));
        let none = "pg_waldump: error: could not find a valid record after 0/3000148\n";
        assert_eq!(parse_end(none).unwrap().position(), None);
        assert_eq!(parse_end("pg_waldump: error: could not find file \"x\"\n"), None);
    }

    #[test]
    fn commits_are_told_from_other_records() {
        let line = "rmgr: Transaction len (rec/tot): 34/ 34, tx: 734, lsn: 0/01500180, prev 0/01500148, desc: ";
        assert_eq!(
            commit_time(&format!(
                "{line}COMMIT 2026-11-21 14:31:08.123456 UTC; inval msgs: catcache 1"
            )),
            Some("2026-11-21 14:31:08.123456 UTC")
        );
        assert_eq!(
            commit_time(&format!("{line}COMMIT_PREPARED 735: 2026-11-21 14:31:08.1 UTC")),
            Some("2026-11-21 14:31:08.1 UTC")
        );
        assert_eq!(commit_time(&format!("{line}ABORT 2026-11-21 14:31:08.1 UTC")), None);
    }
}
