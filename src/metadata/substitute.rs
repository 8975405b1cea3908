//! What PostgreSQL offers itself in place of the server library. All of it works
//! on a standby, where nothing can be written.
//!
//! | what | is |
//! |---|---|
//! | a daemon is there | an advisory lock that its session holds ([`super::means`]) |
//! | its process, its upstream, when it was last seen | that session's `application_name` ([`Mark`]) |
//! | paused | the setting `repmgr.paused` in `postgresql.auto.conf`, with the node's id: a base backup copies that file |
//! | told to follow, or to vote again | an advisory lock that the session of the one who tells holds meanwhile |
//! | the WAL receiver's process | `pg_stat_wal_receiver` |
//!
//! PostgreSQL documentation: "Advisory Locks", "The Statistics Collector",
//! "ALTER SYSTEM", "Customized Options".

use std::fmt;
use std::time::Duration;

use super::functions::Notification;
use super::means::{self, PRESENCE, locks};
use crate::postgres::{Connection, QueryError};
use crate::types::NodeId;

/// The first key of the lock of one who tells; the second is the number told.
const TELLING: i32 = i32::from_be_bytes(*b"repn");
/// How long one who tells holds on, unless it is heard before that.
const TELLING_LASTS: Duration = Duration::from_secs(120);
/// How long a changed setting may take to be seen.
const SETTING_SEEN: Duration = Duration::from_secs(3);

/// What a daemon writes into the `application_name` of its session on its own server: at most 63 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// Its process; `None` if it does not want to be elected.
    pub pid: Option<i32>,
    /// The node that it watches.
    pub upstream: Option<NodeId>,
    /// When that was last seen, in seconds since 1970 by the clock of this server.
    pub seen: Option<i64>,
}

const MARK: &str = "repmgrd";

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MARK)?;
        if let Some(pid) = self.pid {
            write!(formatter, " pid={pid}")?;
        }
        if let Some(upstream) = self.upstream {
            write!(formatter, " up={upstream}")?;
        }
        if let Some(seen) = self.seen {
            write!(formatter, " seen={seen}")?;
        }
        Ok(())
    }
}

impl Mark {
    /// Reads an `application_name`; `None` if it is no mark.
    pub fn parse(text: &str) -> Option<Mark> {
        let mut words = text.split(' ');
        if words.next() != Some(MARK) {
            return None;
        }
        let mut mark = Mark::default();
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "pid" => mark.pid = value.parse().ok(),
                "up" => mark.upstream = value.parse().ok().map(NodeId),
                "seen" => mark.seen = value.parse().ok(),
                _ => {}
            }
        }
        Some(mark)
    }

    /// How long ago the upstream was seen, at `now` by the server's clock.
    pub fn age(&self, now: i64) -> Option<Duration> {
        let age = now.saturating_sub(self.seen?);
        Some(Duration::from_secs(u64::try_from(age).unwrap_or_default()))
    }
}

/// The columns by which a session is asked for its own mark: the mark, and the server's clock.
pub const OWN_MARK: &str = "pg_catalog.current_setting('application_name')";
/// Seconds since 1970 by the server's clock.
pub const CLOCK: &str = "pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()))::bigint";

/// The mark of the daemon that is present on this server, as a subquery.
pub fn present_mark() -> String {
    format!(
        "(SELECT a.application_name FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE {} ORDER BY a.application_name LIKE '{MARK} pid=%' DESC LIMIT 1)",
        locks(PRESENCE)
    )
}

/// The number that was told last, as a subquery; keys are shown unsigned.
pub fn told() -> String {
    format!(
        "(SELECT l.objid::bigint FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE {} ORDER BY a.backend_start DESC NULLS LAST LIMIT 1)",
        locks(TELLING)
    )
}

/// What [`told`] found.
pub fn notification(key: Option<i64>) -> Option<Notification> {
    let key = u32::try_from(key?).ok()?;
    Notification::from_number(key.cast_signed())
}

/// The node whose daemon is present, as a subquery.
fn present_node() -> String {
    format!(
        "(SELECT pg_catalog.max(l.objid::bigint)::integer FROM pg_catalog.pg_locks l WHERE {})",
        locks(PRESENCE)
    )
}

/// Whether the setting pauses this server's daemon, as a subquery; NULL if it was never set.
pub fn paused() -> String {
    let setting = "pg_catalog.current_setting('repmgr.paused', true)";
    format!(
        "(SELECT pg_catalog.split_part({setting}, ':', 2) = '1' \
                 AND pg_catalog.split_part({setting}, ':', 1) IN ('-1', COALESCE({}, -1)::text) \
          WHERE COALESCE({setting}, '') <> '')",
        present_node()
    )
}

/// The process of the WAL receiver, 0 if none runs, as a subquery.
pub const WAL_RECEIVER: &str = "COALESCE((SELECT pid FROM pg_catalog.pg_stat_wal_receiver), 0)";

/// The node whose daemon is present.
pub async fn local_node_id(connection: &Connection) -> Result<Option<NodeId>, QueryError> {
    let sql = format!("SELECT {}", present_node());
    Ok(connection.value(&sql, &[]).await?.map(NodeId))
}

/// The mark of the daemon that is present, and the server's clock.
pub async fn present(connection: &Connection) -> Result<(Option<Mark>, i64), QueryError> {
    let row = connection
        .query_one(&format!("SELECT {}, {CLOCK}", present_mark()), &[])
        .await?;
    let mark: Option<String> = row.get(0);
    Ok((mark.as_deref().and_then(Mark::parse), row.get(1)))
}

/// Changes the mark of this session, which is the daemon's.
pub async fn mark(connection: &Connection, change: impl FnOnce(&mut Mark, i64)) -> Result<(), QueryError> {
    let row = connection
        .query_one(&format!("SELECT {OWN_MARK}, {CLOCK}"), &[])
        .await?;
    let mut mark = Mark::parse(row.get(0)).unwrap_or_default();
    change(&mut mark, row.get(1));
    let sql = "SELECT pg_catalog.set_config('application_name', $1, false)";
    connection.query(sql, &[&mark.to_string()]).await.map(|_| ())
}

/// Whether the daemon is paused.
pub async fn is_paused(connection: &Connection) -> Result<Option<bool>, QueryError> {
    let paused: Option<bool> = connection.value(&format!("SELECT {}", paused()), &[]).await?;
    Ok(Some(paused.unwrap_or(false)))
}

/// Pauses or unpauses the daemon. Takes the right to ALTER SYSTEM.
pub async fn pause(connection: &Connection, pause: bool) -> Result<(), QueryError> {
    let node = local_node_id(connection).await?.map_or(-1, |node| node.0);
    let value = format!("'{node}:{}'", u8::from(pause));
    // A setting that nobody knows can only be written once a session has it (up to PostgreSQL 16).
    connection.batch(&format!("SET repmgr.paused = {value}")).await?;
    connection
        .batch(&format!("ALTER SYSTEM SET repmgr.paused = {value}"))
        .await?;
    connection.batch("SELECT pg_catalog.pg_reload_conf()").await?;
    let begin = std::time::Instant::now();
    loop {
        connection.batch("RESET repmgr.paused").await?;
        if is_paused(connection).await? == Some(pause) {
            return Ok(());
        }
        if begin.elapsed() >= SETTING_SEEN {
            return Err(QueryError::Unexpected(format!(
                "repmgr.paused = {value} is written, but has not taken effect within {SETTING_SEEN:?}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Tells the daemon of a server, over a session that is held until it was heard, for a while at most. It ends with
/// this process.
pub async fn notify(connection: &Connection, number: i32) -> Result<(), QueryError> {
    let own = Connection::connect(connection.conninfo(), connection.deadlines())
        .await
        .map_err(|error| QueryError::ConnectionLost(error.to_string()))?;
    own.query(
        "SELECT pg_catalog.pg_try_advisory_lock_shared($1, $2)",
        &[&TELLING, &number],
    )
    .await?;
    tokio::spawn(async move {
        let _ = tokio::time::timeout(TELLING_LASTS, own.closed()).await;
    });
    Ok(())
}

/// Forgets what was told: ends the sessions of those who told it.
pub async fn forget_told(connection: &Connection) -> Result<(), QueryError> {
    let sql = format!(
        "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l WHERE {}",
        locks(TELLING)
    );
    connection.query(&sql, &[]).await.map(|_| ())
}

/// Makes this session the presence of a node's daemon.
pub async fn be_present(connection: &Connection, node: NodeId) -> Result<(), QueryError> {
    connection
        .query(&format!("SELECT {}", means::be_present(node)), &[])
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_fits() {
        let longest = Mark {
            pid: Some(4_194_304),
            upstream: Some(NodeId(i32::MAX)),
            seen: Some(9_999_999_999),
        };
        let text = longest.to_string();
        assert!(text.len() <= 63, "{text}");
        assert_eq!(Mark::parse(&text), Some(longest));
        assert_eq!(Mark::parse("repmgrd"), Some(Mark::default()));
        assert_eq!(Mark::parse("repmgr"), None);
        assert_eq!(
            Mark::parse("repmgrd pid=x up=2 new=1"),
            Some(Mark {
                upstream: Some(NodeId(2)),
                ..Mark::default()
            })
        );
    }

    #[test]
    fn the_age_of_what_was_seen_is_never_negative() {
        let mark = Mark::parse("repmgrd seen=100").unwrap();
        assert_eq!(mark.age(107), Some(Duration::from_secs(7)));
        assert_eq!(mark.age(99), Some(Duration::ZERO));
        assert_eq!(Mark::default().age(99), None);
    }

    #[test]
    fn numbers_are_told_unsigned() {
        assert_eq!(notification(Some(7)), Some(Notification::Follow(NodeId(7))));
        assert_eq!(notification(Some(4_294_967_294)), Some(Notification::RerunElection));
        assert_eq!(notification(None), None);
    }
}
