//! The probes of the upstream that are under way beside the loop. What they find goes to the core; when
//! they are started is the core's to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::probe::{self, Probed};
use crate::config::Config;
use crate::failover::ProbeEnd;
use crate::metadata::NodeRecord;
use crate::postgres::Connection;
use crate::types::RecoveryState;

/// A probe that has ended.
#[derive(Debug)]
pub struct Ended {
    /// For the core.
    pub end: ProbeEnd,
    /// The connection that may be kept; `None` if there is none.
    pub connection: Option<Arc<Connection>>,
    /// What a person reads if it is not up.
    pub error: Option<String>,
}

/// Those that are under way, and those that have ended and were not taken yet.
#[derive(Debug)]
pub struct Probes {
    sender: mpsc::UnboundedSender<Ended>,
    receiver: mpsc::UnboundedReceiver<Ended>,
    ended: Vec<Ended>,
    under_way: usize,
}

impl Default for Probes {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Probes {
            sender,
            receiver,
            ended: Vec::new(),
            under_way: 0,
        }
    }
}

impl Probes {
    /// Starts one. A kept connection serves one probe at a time; the others make one of their own.
    pub fn start(&mut self, config: &Arc<Config>, node: &NodeRecord, kept: Option<Arc<Connection>>, started: Duration) {
        let (config, node, sender) = (Arc::clone(config), node.clone(), self.sender.clone());
        let kept = kept.filter(|_| self.under_way == 0);
        self.under_way += 1;
        tokio::spawn(async move {
            let id = node.node_id;
            let probing = tokio::spawn(async move { probe::upstream(&config, &node, kept).await });
            // Whatever becomes of it, it ends: the loop waits for that.
            let Probed {
                connection,
                probe,
                error,
            } = probing.await.unwrap_or_else(|error| Probed {
                connection: None,
                probe: Ok(RecoveryState::Unknown),
                error: Some(error.to_string()),
            });
            let end = ProbeEnd {
                node: id,
                started,
                answer: probe,
            };
            // The loop may have ended meanwhile.
            let _ = sender.send(Ended { end, connection, error });
        });
    }

    /// Ends when another one has ended; never while none is under way. It may be left at any moment.
    pub async fn next(&mut self) {
        if let Some(ended) = self.receiver.recv().await {
            self.under_way -= 1;
            self.ended.push(ended);
        }
    }

    /// Waits until there is an answer to take, for so long at most.
    pub async fn first(&mut self, patience: Option<Duration>) {
        self.collect();
        if self.under_way == 0 || !self.ended.is_empty() {
            return;
        }
        match patience {
            // A probe has a deadline of its own.
            None => self.next().await,
            Some(patience) => {
                // What has not ended in time is for a later turn.
                let _ = tokio::time::timeout(patience, self.next()).await;
            }
        }
    }

    /// The newest connection to a node among those that were not taken yet.
    pub fn connection(&self, node: crate::types::NodeId) -> Option<&Arc<Connection>> {
        let of_node = self.ended.iter().rev().find(|ended| ended.end.node == node)?;
        of_node.connection.as_ref()
    }

    /// Those that have ended.
    pub fn take(&mut self) -> Vec<Ended> {
        self.collect();
        std::mem::take(&mut self.ended)
    }

    fn collect(&mut self) {
        while let Ok(ended) = self.receiver.try_recv() {
            self.under_way -= 1;
            self.ended.push(ended);
        }
    }
}
