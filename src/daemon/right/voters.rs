//! Questions to the voters: each over a connection of its own that is kept, all at the same time, each with its deadline.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use repmgr_write_right::{Answer, Request};
use tokio::sync::mpsc;

use crate::daemon::peers::{self, Peers};
use crate::metadata::NodeRecord;
use crate::metadata::write_right::{self, GrantedBy};
use crate::types::NodeId;
use crate::write_right::Answered;

/// The voters' connections.
#[derive(Debug)]
pub struct Voters {
    kept: Arc<Mutex<Peers>>,
    troubles: Arc<Mutex<HashMap<NodeId, String>>>,
    answers: mpsc::UnboundedSender<Answered>,
}

impl Voters {
    /// Answers go to `answers`.
    pub fn new(answers: mpsc::UnboundedSender<Answered>) -> Self {
        Voters {
            kept: Arc::default(),
            troubles: Arc::default(),
            answers,
        }
    }

    /// Asks one voter; its answer, or that there was none within `limit`, is sent.
    pub fn ask(&self, attempt: u64, record: Option<NodeRecord>, voter: i32, request: &Request, limit: Duration) {
        let (kept, troubles, answers) = (Arc::clone(&self.kept), Arc::clone(&self.troubles), self.answers.clone());
        let text = request.to_string();
        tokio::spawn(async move {
            let result = match record {
                Some(record) => tokio::time::timeout(limit, put(&kept, &record, &text))
                    .await
                    .unwrap_or_else(|_| {
                        lock(&kept).forget(record.node_id);
                        Err(format!("no answer within {limit:?}"))
                    }),
                None => Err("there is no record of it".to_owned()),
            };
            tell_trouble(&troubles, NodeId(voter), result.as_ref().err());
            // The keeper may have ended meanwhile.
            let _ = answers.send(Answered {
                attempt,
                voter,
                answer: result.ok(),
            });
        });
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn put(kept: &Mutex<Peers>, record: &NodeRecord, text: &str) -> Result<Answer, String> {
    let known = lock(kept).kept(record);
    let is_new = known.is_none();
    let connection = peers::connected(record, known)
        .await
        .map_err(|error| error.to_string())?;
    if is_new {
        let granted_by = write_right::granted_by(&connection).await;
        match granted_by.map_err(|error| error.to_string())? {
            Some(GrantedBy::Majority) => {}
            Some(GrantedBy::Etcd) => return Err("there etcd grants the right to write, not the nodes".to_owned()),
            None => return Err("the right to write is not switched on there".to_owned()),
        }
    }
    lock(kept).keep(record, Some(Arc::clone(&connection)));
    let answer = write_right::ask(&connection, text).await.map_err(|error| {
        // Whatever the reason, the next question begins anew.
        lock(kept).forget(record.node_id);
        error.to_string()
    })?;
    Answer::parse(&answer).map_err(|malformed| malformed.to_string())
}

/// Says once why a voter does not vote, and when it does again.
fn tell_trouble(troubles: &Mutex<HashMap<NodeId, String>>, voter: NodeId, trouble: Option<&String>) {
    let mut troubles = lock(troubles);
    match trouble {
        Some(trouble) => {
            if troubles.insert(voter, trouble.clone()).is_none() {
                crate::warning!("node {voter} gives no vote about the right to write");
                crate::detail!("{trouble}");
            }
        }
        None => {
            if troubles.remove(&voter).is_some() {
                crate::notice!("node {voter} votes about the right to write again");
            }
        }
    }
}
