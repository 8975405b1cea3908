//! The right to write, for a person: had before a promotion, switched on and off for the whole cluster. Answers for the
//! order of the steps. Does not vote and does not renew: the daemons do.

mod forcing;
pub mod members;
mod switching;

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, write_right};
use crate::postgres::Connection;
use crate::write_right::synchronous::may_be_promoted;
use crate::{detail, notice};

pub use forcing::{Forcing, force};
pub use switching::{Voter, disable, enable, look, voters};

/// How often it is looked whether the daemon has acquired it.
const PACE: Duration = Duration::from_millis(25);
/// How long the wish outlasts the wait for it: the promotion, and the daemon's next look at its server.
const BEYOND: Duration = Duration::from_secs(90);

/// Has the daemon of this standby acquire the right to write, where its server requires it, before it is promoted.
///
/// # Errors
/// [`ExitCode::PromotionFail`]: the right was not acquired in time, and nothing was done.
pub async fn acquire(config: &Config, connection: &Connection) -> Result<()> {
    let standing = write_right::standing(connection).await.map_err(|error| {
        failed("whether this server requires the right to write cannot be told").detail(error.to_string())
    })?;
    let Some(standing) = standing.filter(|standing| standing.required) else {
        return Ok(());
    };
    if standing.left > 0 {
        return Ok(());
    }
    has_every_commit(config, connection).await?;
    let limit = limit(config);
    notice!(
        "waiting up to {} seconds until the daemon of this node has acquired the right to write",
        limit.as_secs()
    );
    detail!("the right of the last holder may have to end first");
    write_right::wish(connection, wish(config))
        .await
        .map_err(|error| failed("the daemon could not be asked for the right to write").detail(error.to_string()))?;
    let begin = Instant::now();
    while begin.elapsed() < limit {
        tokio::time::sleep(PACE).await;
        let standing = write_right::standing(connection).await;
        if matches!(standing, Ok(Some(standing)) if standing.left > 0) {
            return Ok(());
        }
    }
    // Nobody is to have it who does not use it.
    let _ = write_right::wish(connection, 0).await;
    Err(
        failed("this server was not granted the right to write, so it is not promoted")
            .detail(format!(
                "its daemon did not acquire it within {} seconds",
                limit.as_secs()
            ))
            .hint("see the daemon's log for which nodes voted; \"repmgr write-right show\" asks all of them")
            .hint("the daemon of this node must run, with \"write_right\" in repmgr.conf"),
    )
}

/// Has the daemon of this standby try to acquire the right at once, which is needed in a moment: [`acquire`] waits for it.
pub async fn announce(config: &Config, connection: &Connection) {
    if matches!(write_right::standing(connection).await, Ok(Some(standing)) if standing.required) {
        // What keeps it from this is told when the right is needed.
        let _ = write_right::wish(connection, wish(config)).await;
    }
}

/// Takes back what [`announce`] did, if it was anything.
pub async fn withdraw(connection: &Connection) {
    if matches!(write_right::standing(connection).await, Ok(Some(standing)) if standing.wished) {
        let _ = write_right::wish(connection, 0).await;
    }
}

/// How long the right is waited for.
fn limit(config: &Config) -> Duration {
    config.write_right_duration * 3
}

/// For how many milliseconds it is wished for.
fn wish(config: &Config) -> u64 {
    u64::try_from((limit(config) + BEYOND).as_millis()).unwrap_or(u64::MAX)
}

/// An error if by what the nodes say acknowledged commits may be elsewhere. The daemon asks again when it holds the right.
async fn has_every_commit(config: &Config, connection: &Connection) -> Result<()> {
    let Ok((records, asked)) = members::ask_all(connection).await else {
        return Ok(());
    };
    let Some(payload) = members::remembered(&asked) else {
        return Ok(());
    };
    let title = |node: i32| {
        let found = records.iter().find(|record| record.node_id.0 == node);
        found.map_or_else(|| format!("node {node}"), NodeRecord::title)
    };
    let own = config.node_id;
    may_be_promoted(own, &payload, &members::positions(&asked), title).map_err(|barred| {
        failed("this server may lack acknowledged commits, so it is not promoted")
            .detail(barred.reason)
            .hint(barred.way_out)
            .hint("if a node is lost for good, with what it alone has: \"repmgr write-right force --give-up=ID\"")
    })
}

fn failed(message: &str) -> Error {
    Error::new(ExitCode::PromotionFail, message)
}
