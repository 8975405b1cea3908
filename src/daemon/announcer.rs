//! Raises events beside the loop, in their order: an event command that hangs
//! cannot hold up detection, and holds up the next event only for a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::peers;
use crate::config::Config;
use crate::events::{self, Event, EventName};
use crate::metadata::NodeRecord;
use crate::postgres::Connection;
use crate::types::NodeId;

/// How long an event waits for the one before it.
const TURN: Duration = Duration::from_secs(5);

/// Where the row of an event goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// No row is written.
    Nowhere,
    /// To this node, over the kept connection or a new one.
    Node(Box<NodeRecord>, Option<Arc<Connection>>),
}

/// The events on their way.
#[derive(Debug, Default)]
pub struct Announcer {
    turn: Arc<Mutex<()>>,
    on_their_way: JoinSet<()>,
}

impl Announcer {
    /// Raises an event; returns at once.
    pub fn raise(&mut self, config: &Arc<Config>, target: Target, event: Event) {
        while self.on_their_way.try_join_next().is_some() {}
        let (turn, config) = (Arc::clone(&self.turn), Arc::clone(config));
        self.on_their_way.spawn(async move {
            // After the limit it no longer waits for its turn.
            let _turn = tokio::time::timeout(TURN, turn.lock()).await;
            let connection = match target {
                Target::Nowhere => None,
                Target::Node(node, kept) => peers::connected(&node, kept).await.ok(),
            };
            events::emit(connection.as_deref(), &config, event).await;
        });
    }

    /// Waits for what is on its way, at most so long.
    pub async fn finish(&mut self, limit: Duration) {
        let all = async { while self.on_their_way.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            crate::warning!("an event command was still running after {limit:?} and is ended");
        }
    }
}

/// An event by its name in the table.
pub fn event(name: &str, node: NodeId) -> Option<Event> {
    EventName::ALL
        .iter()
        .find(|known| known.as_str() == name)
        .map(|known| Event::new(*known, node))
}
