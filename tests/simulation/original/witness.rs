//! Witness mode.

use repmgr::failover::{Notification, Settings};
use repmgr::types::NodeId;

use super::{BAD_CONFIG, Exit, Original, Status};
use crate::world::World;

impl Original {
    /// Has the witness's record name this primary, and copies all records from it.
    pub(super) async fn adopt(&mut self, primary: NodeId) -> bool {
        let own = self.own;
        if !self.login(primary).await || self.is_primary(primary).await != Some(true) {
            return false;
        }
        self.write(primary, move |records| records.adopt(own, primary)).await;
        self.copy(primary).await
    }

    pub(super) async fn copy(&mut self, primary: NodeId) -> bool {
        let copy = |world: &mut World, to: usize| world.hosts[to].server.metadata.clone();
        let Some(records) = self.query(primary, copy).await else {
            return false;
        };
        self.local(move |world, host| world.hosts[host].server.metadata = records)
            .await;
        self.refresh().await;
        true
    }

    pub(super) async fn witness(&mut self) -> Result<(), Exit> {
        self.reset_votes().await;
        self.status = Status::Up;
        self.degraded_since = None;
        let found = self.find_primary().await;
        let last_known = self.primary_id().await;
        let mut primary = match found {
            Some(primary) if self.adopt(primary).await => primary,
            _ => {
                self.status = Status::Down;
                self.degrade().await;
                last_known.ok_or(BAD_CONFIG)?
            }
        };
        let mut copied = 0;
        loop {
            let settings = self.settings().await;
            let now = self.port.look(|world, _| world.now).await;
            if self.ping(primary).await {
                self.see_upstream(primary).await;
                if self.degraded_since.is_some() && self.login(primary).await {
                    self.degraded_since = None;
                    self.status = Status::Up;
                    if self.is_primary(primary).await != Some(true) {
                        return Ok(());
                    }
                }
            } else if self.status == Status::Up {
                self.status = Status::Unknown;
                self.reconnect(primary, false).await;
                if self.status == Status::Down && self.witness_waits(primary, &settings).await {
                    return Ok(());
                }
            } else {
                let nodes = self.nodes().await;
                for id in self.siblings_of(&nodes, primary) {
                    if self.login(id).await && self.is_primary(id).await == Some(true) && self.adopt(id).await {
                        primary = id;
                        break;
                    }
                }
            }
            if self.local(|_, _| ()).await.is_some() {
                self.initialise().await;
            }
            if self.degraded_since.is_none() && now >= copied + 15_000 {
                copied = now;
                if self.is_primary(primary).await == Some(false) {
                    return Ok(());
                }
                self.copy(primary).await;
            }
            self.pause_of(settings.monitor_interval).await;
        }
    }

    /// Whether the word of a new primary came and could be acted on.
    pub(super) async fn witness_waits(&mut self, primary: NodeId, settings: &Settings) -> bool {
        for _ in 0..settings.notification_timeout.as_secs() {
            match self.poll().await {
                Some(Notification::Follow(id)) if id == primary => return true,
                Some(Notification::Follow(id)) if self.adopt(id).await => return true,
                Some(_) => break,
                None => self.port.sleep(1_000).await,
            }
        }
        self.degrade().await;
        false
    }
}
