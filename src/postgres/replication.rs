//! A connection in physical replication mode (PostgreSQL: "Streaming Replication Protocol").

use std::time::Duration;

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::attempt::{self, Purpose};
use super::session::OpenSession;
use super::{ConnectError, Deadlines, QueryError};
use crate::conninfo::{Conninfo, Environment};
use crate::types::{Lsn, SystemIdentifier, TimelineId};

/// An open replication connection. Dropping it closes it.
#[derive(Debug)]
pub struct ReplicationConnection {
    session: OpenSession,
}

/// The answer to `IDENTIFY_SYSTEM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentifySystem {
    /// The cluster the server belongs to.
    pub system_identifier: SystemIdentifier,
    /// The timeline the server is on now, also right after a promotion.
    pub timeline: TimelineId,
    /// What the server has flushed (a standby: has received and flushed, or replayed).
    pub position: Lsn,
}

/// A line of a timeline history file: this timeline was left at that position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The timeline that ended.
    pub timeline: TimelineId,
    /// Where the next one begins.
    pub switch_point: Lsn,
}

impl ReplicationConnection {
    /// Connects in replication mode. The user of `conninfo` needs the REPLICATION attribute and a
    /// `replication` line in the server's pg_hba.conf; see [`Conninfo::for_replication`].
    pub async fn connect(conninfo: &Conninfo, deadlines: Deadlines) -> Result<Self, ConnectError> {
        Self::connect_in(&Environment::of_process(), conninfo, deadlines).await
    }

    /// As [`ReplicationConnection::connect`] with another environment than the process'.
    pub async fn connect_in(
        environment: &Environment,
        conninfo: &Conninfo,
        deadlines: Deadlines,
    ) -> Result<Self, ConnectError> {
        let mut conninfo = conninfo.clone();
        conninfo.set("replication", "true");
        let session = attempt::connect(environment, &conninfo, Purpose::Replication, deadlines).await?;
        Ok(ReplicationConnection { session })
    }

    /// The same connection with another deadline for its commands.
    pub fn set_query_deadline(&mut self, limit: Duration) {
        self.session.set_query_deadline(limit);
    }

    /// Which cluster, which timeline, how far.
    pub async fn identify_system(&self) -> Result<IdentifySystem, QueryError> {
        let row = self.one_row("IDENTIFY_SYSTEM").await?;
        Ok(IdentifySystem {
            system_identifier: SystemIdentifier(field(&row, "systemid")?),
            timeline: TimelineId(field(&row, "timeline")?),
            position: field(&row, "xlogpos")?,
        })
    }

    /// The timelines that led to `timeline`, oldest first. Timeline 1 has no history: a server error (58P01).
    pub async fn timeline_history(&self, timeline: TimelineId) -> Result<Vec<HistoryEntry>, QueryError> {
        let row = self.one_row(&format!("TIMELINE_HISTORY {timeline}")).await?;
        parse_history(column(&row, "content")?)
    }

    /// Creates a physical slot; with `reserve_wal` it keeps WAL from now on, not from the first connection on.
    pub async fn create_physical_slot(&self, name: &str, reserve_wal: bool) -> Result<(), QueryError> {
        let reserve = if reserve_wal { " RESERVE_WAL" } else { "" };
        let sql = format!("CREATE_REPLICATION_SLOT {} PHYSICAL{reserve}", quote_identifier(name));
        self.session.simple_query(&sql).await.map(drop)
    }

    /// Drops a slot that nobody uses; a slot in use is a server error (55006).
    pub async fn drop_slot(&self, name: &str) -> Result<(), QueryError> {
        let sql = format!("DROP_REPLICATION_SLOT {}", quote_identifier(name));
        self.session.simple_query(&sql).await.map(drop)
    }

    /// `SHOW name`.
    pub async fn show(&self, name: &str) -> Result<String, QueryError> {
        let row = self.one_row(&format!("SHOW {}", quote_identifier(name))).await?;
        row.get(0)
            .map(str::to_owned)
            .ok_or_else(|| QueryError::Unexpected(format!("SHOW {name} gave no value")))
    }

    async fn one_row(&self, command: &str) -> Result<SimpleQueryRow, QueryError> {
        self.session
            .simple_query(command)
            .await?
            .into_iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .ok_or_else(|| QueryError::Unexpected(format!("no row from {command}")))
    }
}

fn column<'a>(row: &'a SimpleQueryRow, name: &str) -> Result<&'a str, QueryError> {
    row.try_get(name)
        .map_err(|error| QueryError::Unexpected(error.to_string()))?
        .ok_or_else(|| QueryError::Unexpected(format!("{name} is NULL")))
}

fn field<T: std::str::FromStr>(row: &SimpleQueryRow, name: &str) -> Result<T, QueryError> {
    let text = column(row, name)?;
    text.parse()
        .map_err(|_| QueryError::Unexpected(format!("{name} is \"{text}\"")))
}

/// Names go through the replication grammar's own quoting, which is SQL's.
fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn parse_history(content: &str) -> Result<Vec<HistoryEntry>, QueryError> {
    content
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split_whitespace();
            let timeline = fields.next().and_then(|text| text.parse().ok()).map(TimelineId);
            let switch_point = fields.next().and_then(|text| text.parse().ok());
            timeline
                .zip(switch_point)
                .map(|(timeline, switch_point)| HistoryEntry { timeline, switch_point })
                .ok_or_else(|| QueryError::Unexpected(format!("timeline history line \"{line}\"")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_is_read_line_by_line() {
        let content = "1\t0/3000148\tno recovery target specified\n\n2\t1/A0\tbefore 2026-01-01 00:00:00+00\n";
        let entry = |timeline, switch_point| HistoryEntry {
            timeline: TimelineId(timeline),
            switch_point: Lsn(switch_point),
        };
        assert_eq!(
            parse_history(content).unwrap(),
            [entry(1, 0x300_0148), entry(2, 0x1_0000_00A0)]
        );
        assert!(parse_history("# a comment\n").unwrap().is_empty());
        assert!(parse_history("one\t0/0\n").is_err());
        assert!(parse_history("1\n").is_err());
    }
}
