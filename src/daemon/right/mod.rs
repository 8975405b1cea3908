//! The right to write, beside the loop: acquired before a promotion, renewed while the own server is the primary, given
//! back when that is gone. Answers for carrying out what `write_right` decides. Does not answer for when a promotion
//! is due (`failover`), nor for what the server does without the right (its library).
//!
//! It has connections of its own: whatever the loop waits for, renewals go on.
//!
//! - `keeper`: the turns of the proposer, where a majority of the nodes grants it
//! - `etcd`: the same where etcd does
//! - `own`: the own server and the loop, as both have to do with them
//! - `local`: the own server, asked all the time
//! - `synchronous`: the standbys that must have a commit, and whether this node has them all
//! - `voters`: questions to the voters

pub mod etcd;
mod keeper;
mod local;
mod own;
mod synchronous;
mod voters;

use repmgr_write_right::Ballot;
use tokio::sync::{mpsc, watch};

use crate::config::{Config, SynchronousMode, WriteRight};
use crate::failover;
use crate::metadata::NodeRecord;
use crate::types::NodeId;

/// What the loop tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// All nodes, as the own server last showed them.
    pub records: Vec<NodeRecord>,
    /// What the own server is.
    pub role: Role,
    /// In whose place a candidate is to be promoted, if that must be the last that had the right.
    pub in_place_of: Option<NodeId>,
    /// `write_right_duration`, in milliseconds.
    pub duration: u64,
    /// `synchronous_mode` and `synchronous_node_count`.
    pub synchronous: (SynchronousMode, u32),
}

/// What the own server is, as far as the right is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A primary, or one that does not answer at the moment.
    Primary,
    /// A standby that is to be promoted.
    Candidate,
    /// A witness, which votes and needs no right of its own.
    Witness,
    /// Anything else.
    Other,
}

/// What has become of the right, to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is held, in a new epoch.
    Acquired {
        /// Which.
        epoch: u64,
        /// Who had it before.
        previous: Option<NodeId>,
    },
    /// A renewal found no majority.
    RenewalFailed(String),
    /// It has ended without having been given back.
    Lapsed {
        /// The epoch that it was held in.
        epoch: u64,
    },
    /// It was given back.
    Released {
        /// The epoch that it was held in.
        epoch: u64,
    },
}

/// The other end of the keeper.
#[derive(Debug)]
pub struct Right {
    told: watch::Sender<Told>,
    seen: watch::Receiver<failover::Right>,
    news: mpsc::UnboundedReceiver<News>,
    dismissed: watch::Sender<Option<Ballot>>,
    pending: Vec<News>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Right {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Right {
    /// Begins to keep the right, in the runtime that this is called in, unless it is off.
    pub fn start(config: &Config, own: NodeId, records: Vec<NodeRecord>) -> Option<Right> {
        if config.write_right == WriteRight::Off {
            return None;
        }
        let (told, to_keeper) = watch::channel(Told {
            records,
            role: Role::Other,
            in_place_of: None,
            duration: milliseconds(config),
            synchronous: mode(config),
        });
        let (to_loop, seen) = watch::channel(failover::Right::Missing("nothing is known yet".to_owned()));
        let (announce, news) = mpsc::unbounded_channel();
        let (dismissed, of_dismissed) = watch::channel(None);
        let task = match config.write_right {
            WriteRight::Etcd => tokio::spawn(etcd::keep(
                own,
                config.clone(),
                to_keeper,
                of_dismissed,
                to_loop,
                announce,
            )),
            _ => {
                let data_directory = config.data_directory.clone();
                tokio::spawn(keeper::keep(
                    own,
                    data_directory,
                    to_keeper,
                    of_dismissed,
                    to_loop,
                    announce,
                ))
            }
        };
        Some(Right {
            told,
            seen,
            news,
            dismissed,
            pending: Vec::new(),
            task,
        })
    }

    /// Tells the keeper what the loop knows.
    pub fn tell(&self, config: &Config, records: &[NodeRecord], role: Role, in_place_of: Option<NodeId>) {
        let duration = milliseconds(config);
        let synchronous = mode(config);
        self.told.send_if_modified(|told| {
            let same = (told.role, told.duration, told.synchronous) == (role, duration, synchronous);
            let changed = !same || told.in_place_of != in_place_of || told.records != records;
            if changed {
                *told = Told {
                    records: records.to_vec(),
                    role,
                    in_place_of,
                    duration,
                    synchronous,
                };
            }
            changed
        });
    }

    /// How it stands, for somebody else who wants to know.
    pub fn watch(&self) -> watch::Receiver<failover::Right> {
        self.seen.clone()
    }

    /// Where it is told which ballot of another node was worth nothing, as nobody was promoted under it.
    pub fn dismissing(&self) -> watch::Sender<Option<Ballot>> {
        self.dismissed.clone()
    }

    /// How it stands.
    pub fn seen(&self) -> failover::Right {
        self.seen.borrow().clone()
    }

    /// Ends when that has changed.
    pub async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What is to be announced and was not taken yet. That the right was acquired for a promotion is told when the
    /// server is a primary, so that its row can be written.
    pub fn take_news(&mut self, role: Role) -> Vec<News> {
        self.pending.extend(std::iter::from_fn(|| self.news.try_recv().ok()));
        let early = |news: &News| matches!(news, News::Acquired { .. });
        if role != Role::Primary && self.pending.iter().all(early) {
            return Vec::new();
        }
        std::mem::take(&mut self.pending)
    }
}

fn mode(config: &Config) -> (SynchronousMode, u32) {
    let count = u32::try_from(config.synchronous_node_count).unwrap_or(1);
    (config.synchronous_mode, count)
}

fn milliseconds(config: &Config) -> u64 {
    u64::try_from(config.write_right_duration.as_millis()).unwrap_or(u64::MAX)
}
