//! Primary and standby mode: what it watches, and when it takes an upstream for lost.

use repmgr::failover::{Node, Notification};
use repmgr::types::{NodeId, NodeType};

use super::{BAD_CONFIG, DB_CONN, Done, Exit, MONITORING_TIMEOUT, Original, Status};
use crate::server::Metadata;

impl Original {
    pub(super) async fn primary(&mut self) -> Result<(), Exit> {
        self.reset_votes().await;
        self.local(|world, host| world.hosts[host].server.memory.upstream = None)
            .await;
        self.degraded_since = None;
        let own = self.own;
        loop {
            let settings = self.settings().await;
            let role = self.local(|world, host| world.hosts[host].server.primary).await;
            match role {
                Some(true) => self.initialise().await,
                Some(false) => {
                    self.initialise().await;
                    if let Some(primary) = self.find_primary().await {
                        let row = self.query(primary, move |world, to| world.record_on(to, own)).await;
                        let Some(row) = row.flatten() else {
                            return Err(BAD_CONFIG);
                        };
                        if row.node_type == NodeType::Primary {
                            let change = move |records: &mut Metadata| {
                                if let Some(node) = records.node_mut(own) {
                                    node.node_type = NodeType::Standby;
                                    node.active = true;
                                }
                            };
                            self.write(primary, change).await;
                        }
                        let row = self.query(primary, move |world, to| world.record_on(to, own)).await;
                        if let Some(row) = row.flatten().filter(|row| row.node_type != NodeType::Primary) {
                            self.record = row;
                            return Ok(());
                        }
                    }
                }
                None => {}
            }
            self.pause_of(settings.monitor_interval).await;
        }
    }

    pub(super) async fn standby(&mut self) -> Result<(), Exit> {
        self.reset_votes().await;
        let own = self.own;
        let nodes = self.nodes().await;
        let upstream = match self.record.upstream {
            Some(id) => nodes.iter().find(|node| node.id == id).map(|node| node.id),
            None => Some(self.find_primary().await.ok_or(BAD_CONFIG)?),
        };
        let upstream = upstream.ok_or(DB_CONN)?;
        if upstream == own {
            self.refresh().await;
            return Ok(());
        }
        if !self.login(upstream).await {
            return Err(DB_CONN);
        }
        let rows = self
            .query(upstream, move |world, to| {
                (world.record_on(to, own), world.record_on(to, upstream))
            })
            .await;
        let (row, watched) = rows.ok_or(DB_CONN)?;
        if let Some(row) = row {
            self.record = row;
        }
        self.last_known = self.record.upstream;
        self.upstream = Some(watched.ok_or(DB_CONN)?);
        if self.upstream_is_standby() {
            let primary = self.primary_id().await.ok_or(DB_CONN)?;
            if !self.login(primary).await {
                return Err(DB_CONN);
            }
        }
        if !self.record.active {
            self.set_active(true).await;
        }
        self.status = Status::Up;
        self.degraded_since = None;
        self.local_up = true;
        loop {
            if self.watch(upstream).await? == Done::Yes {
                return Ok(());
            }
            let settings = self.settings().await;
            self.pause_of(settings.monitor_interval).await;
        }
    }

    pub(super) fn upstream_is_standby(&self) -> bool {
        self.upstream
            .as_ref()
            .is_some_and(|node| node.node_type == NodeType::Standby)
    }

    pub(super) async fn degrade(&mut self) {
        let now = self.port.look(|world, _| world.now).await;
        self.degraded_since.get_or_insert(now);
    }

    /// One round of the loop; whether monitoring begins anew.
    pub(super) async fn watch(&mut self, upstream: NodeId) -> Result<Done, Exit> {
        if self.ping(upstream).await {
            self.see_upstream(upstream).await;
        } else if self.status == Status::Up && self.upstream_lost(upstream).await? == Done::Yes {
            return Ok(Done::Yes);
        }
        if self.degraded_since.is_some() && self.degraded(upstream).await? == Done::Yes {
            return Ok(Done::Yes);
        }
        if self.local_node(upstream).await == Done::Yes {
            return Ok(Done::Yes);
        }
        let before = self.record.clone();
        self.refresh().await;
        if self.local_up && self.record.upstream != self.last_known {
            let own = self.own;
            let stale = if self.degraded_since.is_none()
                && let Some(primary) = self.primary_id().await
            {
                let row = self.query(primary, move |world, to| world.record_on(to, own)).await;
                row.flatten().is_some_and(|row| row.upstream == self.last_known)
            } else {
                false
            };
            if !stale {
                return Ok(Done::Yes);
            }
            self.record = before;
        }
        Ok(Done::No)
    }

    /// Whether monitoring begins anew because the own server or the primary turned out to be something else.
    pub(super) async fn local_node(&mut self, upstream: NodeId) -> Done {
        if self.local(|_, _| ()).await.is_none() {
            if self.local_up {
                self.local_up = false;
                self.set_active(false).await;
            }
            return Done::No;
        }
        if !self.local_up {
            self.local_up = true;
            self.refresh().await;
            if self.record.node_type != NodeType::Standby || self.record.upstream != self.last_known {
                return Done::Yes;
            }
            self.set_active(true).await;
        }
        self.initialise().await;
        let primary = self.primary_id().await;
        if self.status == Status::Up
            && self.degraded_since.is_none()
            && let Some(primary) = primary
            && self.is_primary(primary).await == Some(false)
        {
            self.record.upstream = None;
            return Done::Yes;
        }
        if !self.record.active && primary == Some(upstream) {
            self.set_active(true).await;
        }
        Done::No
    }

    /// Tries again until it answers, all attempts are used up or, where somebody listens for that, somebody says something.
    pub(super) async fn reconnect(&mut self, id: NodeId, listens: bool) -> Option<Notification> {
        let settings = self.settings().await;
        for attempt in 1..=settings.reconnect_attempts {
            if self.ping(id).await && self.login(id).await {
                self.status = Status::Up;
                return None;
            }
            if attempt == settings.reconnect_attempts {
                break;
            }
            for _ in 0..settings.reconnect_interval.as_secs() {
                if listens && let Some(told) = self.poll().await {
                    return Some(told);
                }
                self.port.sleep(1_000).await;
            }
        }
        self.status = Status::Down;
        None
    }

    pub(super) async fn cascaded(&mut self) -> Result<Done, Exit> {
        let settings = self.settings().await;
        let nodes = self.nodes().await;
        let active = |node: &&Node| node.active && node.node_type == NodeType::Primary;
        let primary = nodes.iter().find(active).map(|node| node.id);
        let Some(primary) = primary.filter(|_| settings.automatic) else {
            self.degrade().await;
            return Ok(Done::No);
        };
        if !self.login(primary).await || self.is_primary(primary).await != Some(true) {
            self.degrade().await;
            return Ok(Done::No);
        }
        let followed = self.run_follow_command(primary).await;
        let back = self.await_own_server().await;
        self.initialise().await;
        if !followed || !back {
            // Taken for done: monitoring begins anew, with the upstream that is dead.
            return Ok(Done::Yes);
        }
        let own = self.own;
        if !self.write(primary, move |records| records.follow(own, primary)).await {
            return Err(BAD_CONFIG);
        }
        self.record.upstream = Some(primary);
        Ok(Done::Yes)
    }

    pub(super) async fn degraded(&mut self, upstream: NodeId) -> Result<Done, Exit> {
        let settings = self.settings().await;
        let now = self.port.look(|world, _| world.now).await;
        let lasted = now - self.degraded_since.unwrap_or(now);
        if let Some(limit) = settings.degraded_timeout
            && lasted > limit.as_millis() as u64
        {
            return Err(MONITORING_TIMEOUT);
        }
        if self.ping(upstream).await && self.login(upstream).await {
            self.status = Status::Up;
            self.degraded_since = None;
            return Ok(Done::No);
        }
        let own = self.own;
        if self.local(|world, host| world.hosts[host].server.primary).await == Some(true) {
            if self.promotion_failed {
                self.local(move |world, host| world.write(host, |records| records.promote(own)))
                    .await;
                let nodes = self.nodes().await;
                self.siblings = self.siblings_of(&nodes, upstream);
                self.refresh().await;
                self.notify(Notification::Follow(own)).await;
                return Ok(Done::Yes);
            }
            self.refresh().await;
            if self.record.node_type == NodeType::Primary {
                return Ok(Done::Yes);
            }
        }
        if settings.automatic && !self.paused().await {
            let nodes = self.nodes().await;
            for id in self.siblings_of(&nodes, upstream) {
                let witness = nodes
                    .iter()
                    .any(|node| node.id == id && node.node_type == NodeType::Witness);
                if !witness && self.login(id).await && self.is_primary(id).await == Some(true) {
                    self.follow(id, upstream).await;
                    break;
                }
            }
        }
        Ok(Done::No)
    }
}
