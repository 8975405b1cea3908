//! A daemon whose server has no library that answers: it works with what
//! PostgreSQL offers itself, among daemons of its own kind. Daemons of the
//! original cannot ask or tell such a node, so beside one it does not start.

use std::time::Duration;

use futures_util::future::join_all;

use super::peers::{self, DEADLINES};
use super::questions;
use crate::error::{Error, Result};
use crate::failover::Answer;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::Connection;
use crate::types::NodeId;

/// A daemon of ours whose session has just broken looks like an original until it has the next one.
const ANOTHER_LOOK: Duration = Duration::from_secs(5);

/// Refuses to start beside daemons of the original, as far as they can be reached.
pub async fn check(local: &Connection, own: NodeId) -> Result<()> {
    let missing = "the server of this node has no repmgr library that answers";
    let install = "install the repmgr library of this package on this host; the original's must be in \
                   shared_preload_libraries";
    let records = match nodes::all(local).await {
        Ok(records) => records,
        Err(error) => return Err(Error::bad_config(missing).detail(error.to_string()).hint(install)),
    };
    let others: Vec<&NodeRecord> = records.iter().filter(|node| node.node_id != own).collect();
    let mut originals = with_originals(&others).await;
    if !originals.is_empty() {
        tokio::time::sleep(ANOTHER_LOOK).await;
        originals = with_originals(&originals).await;
    }
    if originals.is_empty() {
        crate::warning!("{missing}");
        crate::detail!("this daemon works with what PostgreSQL offers itself, among daemons of its own kind");
        crate::hint!("{install}");
        return Ok(());
    }
    let titles: Vec<String> = originals.iter().map(|node| node.title()).collect();
    Err(
        Error::bad_config(format!("{missing}, and a daemon of the original runs in this cluster"))
            .detail(format!("it runs on {}", titles.join(", ")))
            .detail(
                "it needs the library to ask and to tell this node; without it both may come to different decisions",
            )
            .hint(install)
            .hint("or replace the original's daemon there first"),
    )
}

async fn with_originals<'a>(nodes: &[&'a NodeRecord]) -> Vec<&'a NodeRecord> {
    let asked = nodes.iter().map(|node| async move {
        let connection = peers::connected(node, None).await.ok()?;
        let status = tokio::time::timeout(DEADLINES.query, questions::status(&connection, node)).await;
        let seen = status.ok()?.ok()?;
        (seen.daemon_is_original == Answer::Yes).then_some(*node)
    });
    join_all(asked).await.into_iter().flatten().collect()
}
