//! A primary that another node has overtaken, or a standby that has received more from the old primary than the new one
//! has, beside the loop: found, taken out of the clients' way, and by policy made a standby. Answers for what `returning` observes and for carrying out what it decides. Does not answer for who holds
//! the right (`right`), nor for what the loop makes of a server that has become a standby (`failover`).
//!
//! It has connections of its own, and what takes long runs in a thread of its own: the loop and the keeper of the right
//! go on meanwhile.
//!
//! - `attendant`: look, decide, carry out, wait
//! - `look`: what is observed
//! - `votes`: what the answers of the voters amount to
//! - `carry`: stopping the server and making it a standby

mod attendant;
mod carry;
mod look;
mod votes;

use std::sync::Arc;

use repmgr_write_right::Ballot;
use tokio::sync::{mpsc, watch};

use super::right::Right;
use crate::config::{Config, WriteRight};
use crate::events::Event;
use crate::failover;
use crate::metadata::NodeRecord;
use crate::types::NodeId;

/// What the loop tells.
#[derive(Debug, Clone)]
pub struct Told {
    /// The parameters.
    pub config: Arc<Config>,
    /// All nodes, as the own server last showed them.
    pub records: Vec<NodeRecord>,
    /// The own server is a primary, or was one when it last answered.
    pub primary: bool,
    /// The own server is a standby that receives nothing.
    pub stuck: bool,
    /// A person has paused this daemon.
    pub paused: bool,
}

/// Something to be announced.
#[derive(Debug)]
pub struct News {
    /// What.
    pub event: Event,
    /// Where its row goes: to a primary, if one was seen.
    pub on: Option<NodeId>,
}

/// The other end of the attendant.
#[derive(Debug)]
pub struct Returning {
    told: watch::Sender<Told>,
    news: mpsc::UnboundedReceiver<News>,
    busy: watch::Receiver<bool>,
    end: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the attendant goes by.
#[derive(Debug)]
struct Ends {
    own: NodeId,
    told: watch::Receiver<Told>,
    right: watch::Receiver<failover::Right>,
    dismissed: watch::Sender<Option<Ballot>>,
    news: mpsc::UnboundedSender<News>,
    busy: watch::Sender<bool>,
    end: watch::Receiver<bool>,
}

impl Returning {
    /// Begins to attend, in the runtime that this is called in, where there is a right to write.
    pub fn start(config: &Arc<Config>, own: NodeId, records: Vec<NodeRecord>, right: &Right) -> Option<Returning> {
        if config.write_right == WriteRight::Off {
            return None;
        }
        let (told, to_attendant) = watch::channel(Told {
            config: Arc::clone(config),
            records,
            primary: false,
            stuck: false,
            paused: false,
        });
        let (announce, news) = mpsc::unbounded_channel();
        let (now_busy, busy) = watch::channel(false);
        let (end, of_end) = watch::channel(false);
        let task = tokio::spawn(attendant::attend(Ends {
            own,
            told: to_attendant,
            right: right.watch(),
            dismissed: right.dismissing(),
            news: announce,
            busy: now_busy,
            end: of_end,
        }));
        Some(Returning {
            told,
            news,
            busy,
            end,
            task,
        })
    }

    /// Tells what the loop knows. `None`: whether it is paused is not known, and what was known before counts.
    pub fn tell(&self, config: &Arc<Config>, records: &[NodeRecord], primary: bool, stuck: bool, paused: Option<bool>) {
        self.told.send_modify(|told| {
            told.config = Arc::clone(config);
            if told.records != records {
                told.records = records.to_vec();
            }
            told.primary = primary;
            told.stuck = stuck;
            told.paused = paused.unwrap_or(told.paused);
        });
    }

    /// What is to be announced and was not taken yet.
    pub fn take_news(&mut self) -> Vec<News> {
        std::iter::from_fn(|| self.news.try_recv().ok()).collect()
    }

    /// Whether the server is being stopped or made a standby at the moment.
    pub fn is_busy(&self) -> bool {
        *self.busy.borrow()
    }

    /// The daemon ends: what has not passed a point of no return is taken back.
    pub fn interrupt(&self) {
        self.end.send_replace(true);
    }
}
