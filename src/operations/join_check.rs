//! Waiting until a node is attached to its upstream, as the upstream sees it.

use std::time::{Duration, Instant};

use crate::conninfo::Conninfo;
use crate::metadata::{Attachment, NodeRecord, attachment};
use crate::postgres::{Connection, Deadlines, Ping, ping};
use crate::{info, survey};

const INTERVAL: Duration = Duration::from_millis(250);

/// How waiting for a node to join its upstream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// It is attached.
    Yes,
    /// Its server does not accept connections.
    NoPing,
    /// Its server runs, but it is not attached; this is what was last seen.
    NoReplication(Attachment),
}

/// Waits up to `ping_limit` for the server of `conninfo` to accept connections, then, in what is left
/// of `attach_limit` counted from the start, for `node_name` to be attached to `upstream`.
pub async fn join_check(
    conninfo: &Conninfo,
    upstream: &NodeRecord,
    node_name: &str,
    ping_limit: Duration,
    attach_limit: Duration,
) -> Joined {
    let begin = Instant::now();
    info!(
        "waiting up to {} seconds for node \"{node_name}\" to accept connections",
        ping_limit.as_secs()
    );
    while ping(conninfo, Duration::from_secs(2)).await != Ping::Accepting {
        if begin.elapsed() >= ping_limit {
            return Joined::NoPing;
        }
        tokio::time::sleep(INTERVAL).await;
    }
    match wait_until_attached(upstream, node_name, attach_limit.saturating_sub(begin.elapsed())).await {
        Attachment::Attached => Joined::Yes,
        last => Joined::NoReplication(last),
    }
}

/// Waits up to `limit` for `node_name` to be attached to `upstream`; what was last seen.
/// Looks at least once.
pub async fn wait_until_attached(upstream: &NodeRecord, node_name: &str, limit: Duration) -> Attachment {
    let begin = Instant::now();
    let mut connection: Option<Connection> = None;
    let mut told = false;
    loop {
        if connection.as_ref().is_none_or(Connection::is_closed) {
            connection = survey::connect(upstream, Deadlines::default()).await.ok();
        }
        let seen = match &connection {
            Some(connection) => attachment(connection, node_name).await,
            None => Attachment::Unknown {
                reason: format!("{} does not answer", upstream.title()),
            },
        };
        if seen == Attachment::Attached || begin.elapsed() >= limit {
            return seen;
        }
        if !told {
            // One line, not one a look: the outcome is logged by the caller.
            info!(
                "node \"{node_name}\" is not attached to {} yet, waiting up to {} seconds",
                upstream.title(),
                limit.as_secs()
            );
            crate::detail!("{}", describe(&seen));
            told = true;
        }
        tokio::time::sleep(INTERVAL.min(limit.saturating_sub(begin.elapsed()))).await;
    }
}

/// What was seen, for a person.
pub fn describe(attachment: &Attachment) -> String {
    match attachment {
        Attachment::Attached => "it is attached".to_owned(),
        Attachment::NotAttached { state } => format!("its walsender is in state \"{state}\""),
        Attachment::Detached => "no walsender with its application_name runs there (pg_stat_replication)".to_owned(),
        Attachment::Unknown { reason } => format!("unable to tell: {reason}"),
    }
}
