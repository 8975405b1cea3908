//! The own server: asked all the time how the right stands there, and told its end. A server that hangs holds up
//! nothing else; its end passes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::daemon::peers;
use crate::instance::abandoned;
use crate::metadata::{NodeRecord, write_right};
use crate::postgres::{Connection, QueryError};

/// How often it is looked at. A person who promotes this server is noticed as fast.
const PACE: Duration = Duration::from_millis(100);
/// The same for [`HURRY`] from when a promotion was wished for or the server was lost: nobody can write until what may
/// follow now is done.
const HURRIED_PACE: Duration = Duration::from_millis(20);
const HURRY: Duration = Duration::from_secs(30);
/// How long one answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of the own server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// How the right stands there; `None`: no answer, or no extension.
    pub standing: Option<write_right::Standing>,
    /// What a person has ordered; it may be over by now.
    pub order: Option<write_right::Order>,
    /// Who grants the right in this cluster.
    pub granted_by: write_right::GrantedBy,
    /// Only ballots of a higher round can extend the server's right.
    pub over_round: u64,
    /// It answers, and there is no extension.
    pub without_extension: bool,
    /// It does not answer, and no process of it is left.
    pub nobody_attached: bool,
}

impl Seen {
    fn may_be_in_a_hurry(&self) -> bool {
        match &self.standing {
            Some(standing) => standing.wished,
            None => !self.without_extension,
        }
    }
}

/// What it is to be told.
#[derive(Debug, Clone)]
pub enum Order {
    /// Extend the end of its right.
    HoldUntil {
        /// Until when.
        until: u64,
        /// Which start of the server it is for.
        server: u64,
        /// Under which ballot.
        ballot: String,
    },
    /// End its right at once.
    Lapse {
        /// Nothing is extended under this ballot any more.
        ballot: String,
    },
    /// Switch enforcement on.
    Require,
    /// What a person ordered is done.
    Done(write_right::OrderKind),
}

/// Looks and tells for as long as somebody wants to know.
pub async fn attend(
    record: watch::Receiver<Option<NodeRecord>>,
    data_directory: PathBuf,
    mut orders: mpsc::UnboundedReceiver<Order>,
    seen: watch::Sender<Seen>,
) {
    let mut kept: Option<Arc<Connection>> = None;
    let mut begun: Option<Instant> = None;
    loop {
        let hurried = begun.is_some_and(|begun| begun.elapsed() < HURRY);
        let pace = if hurried { HURRIED_PACE } else { PACE };
        let order = tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(order) => Some(order),
                None => return,
            },
            () = tokio::time::sleep(pace) => None,
            () = lost(kept.as_deref()) => {
                kept = None;
                None
            }
        };
        let Some(own) = record.borrow().clone() else { continue };
        let now = match connection(&own, &mut kept).await {
            Some(connection) => {
                let told = match order {
                    Some(order) => carry_out(&connection, order).await,
                    None => Ok(()),
                };
                if told.is_err() {
                    kept = None;
                }
                look(&connection, &mut kept).await
            }
            None => None,
        };
        let now = now.unwrap_or_else(|| Seen {
            nobody_attached: abandoned::check(&data_directory).is_ok(),
            ..Seen::default()
        });
        begun = now.may_be_in_a_hurry().then(|| begun.unwrap_or_else(Instant::now));
        seen.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

/// Ends when a connection does.
async fn lost(kept: Option<&Connection>) {
    match kept {
        Some(connection) => connection.closed().await,
        None => std::future::pending().await,
    }
}

async fn connection(own: &NodeRecord, kept: &mut Option<Arc<Connection>>) -> Option<Arc<Connection>> {
    let connected = tokio::time::timeout(PATIENCE * 2, peers::connected(own, kept.take())).await;
    *kept = connected.ok()?.ok();
    kept.clone()
}

/// Only a lost connection is an error; what the server refuses is told here.
async fn carry_out(connection: &Connection, order: Order) -> Result<(), ()> {
    let done = async {
        match &order {
            Order::HoldUntil { until, server, ballot } => {
                write_right::hold_until(connection, *until, *server, ballot).await
            }
            Order::Lapse { ballot } => write_right::lapse(connection, ballot).await,
            Order::Require => write_right::require(connection, true).await,
            Order::Done(kind) => write_right::order(connection, *kind, &[], 0).await,
        }
    };
    match tokio::time::timeout(PATIENCE, done).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            crate::warning!("the local server could not be told how the right to write stands");
            crate::detail!("{error}");
            if peers::is_lost(&error) { Err(()) } else { Ok(()) }
        }
        Err(_) => {
            crate::warning!("the local server did not take in within {PATIENCE:?} how the right to write stands");
            Err(())
        }
    }
}

async fn look(connection: &Connection, kept: &mut Option<Arc<Connection>>) -> Option<Seen> {
    let answer = tokio::time::timeout(PATIENCE, write_right::look(connection)).await;
    match answer.unwrap_or(Err(QueryError::TimedOut(PATIENCE))) {
        Ok(None) => Some(Seen {
            without_extension: true,
            ..Seen::default()
        }),
        Ok(Some(look)) => Some(Seen {
            standing: Some(look.standing),
            order: look.order,
            granted_by: look.granted_by,
            over_round: look.over_round,
            ..Seen::default()
        }),
        Err(error) => {
            if peers::is_lost(&error) {
                *kept = None;
            }
            None
        }
    }
}
