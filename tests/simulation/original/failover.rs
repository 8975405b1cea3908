//! From a lost upstream to a new one: election, promotion, following.

use repmgr::failover::{CommandEnd, Finished, Notification};
use repmgr::types::{NodeId, NodeType};

use super::{DB_CONN, Done, Elected, Exit, Original, Status};
use crate::daemon::Decided;
use crate::world::{Event, World};

impl Original {
    pub(super) async fn upstream_lost(&mut self, upstream: NodeId) -> Result<Done, Exit> {
        self.status = Status::Unknown;
        self.port
            .look(move |world, host| {
                world.log(|| format!("original daemon of node {} loses node {upstream}", host + 1))
            })
            .await;
        let cascaded = self.upstream_is_standby();
        let lost = self.port.look(|world, _| world.now).await;
        match self.reconnect(upstream, !cascaded).await {
            Some(Notification::RerunElection) => return self.failover(upstream, lost).await,
            Some(Notification::Follow(id)) => {
                self.follow(id, upstream).await;
                return Ok(Done::Yes);
            }
            None => {}
        }
        if self.status == Status::Up {
            if !cascaded && self.is_primary(upstream).await == Some(false) {
                self.record.upstream = None;
                return Ok(Done::Yes);
            }
            return Ok(Done::No);
        }
        if self.paused().await {
            self.degrade().await;
            return Ok(Done::No);
        }
        if cascaded {
            return self.cascaded().await;
        }
        self.failover(upstream, lost).await
    }

    pub(super) async fn failover(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
        let settings = self.settings().await;
        if settings.disconnect_receivers {
            self.local(|world, host| world.hosts[host].server.receiver_held = true)
                .await;
            self.port.sleep(6_000).await;
        }
        let result = self.elect(upstream).await;
        if settings.disconnect_receivers {
            self.port
                .look(|world, host| world.hosts[host].server.receiver_held = false)
                .await;
        }
        match result {
            Elected::Cancelled => {
                self.degrade().await;
                Ok(Done::No)
            }
            Elected::Found(id) => self.follow_and_tell(id, upstream).await,
            Elected::Rerun => {
                self.notify(Notification::RerunElection).await;
                self.rerun().await
            }
            Elected::Won => self.promote(upstream, lost).await,
            Elected::Wait => self.wait(upstream, lost).await,
        }
    }

    pub(super) async fn rerun(&mut self) -> Result<Done, Exit> {
        let settings = self.settings().await;
        self.pause_of(settings.rerun_interval).await;
        self.status = Status::Up;
        Ok(Done::No)
    }

    pub(super) async fn elect(&mut self, upstream: NodeId) -> Elected {
        let settings = self.settings().await;
        self.siblings.clear();
        if !settings.failover_delay.is_zero() {
            self.pause_of(settings.failover_delay).await;
        }
        if self.local(|_, _| ()).await.is_none() || !settings.automatic {
            return Elected::Wait;
        }
        self.refresh().await;
        if self.record.priority <= 0 {
            return Elected::Wait;
        }
        let nodes = self.nodes().await;
        let of = |id: NodeId| nodes.iter().find(|node| node.id == id);
        let location = of(upstream).map(|node| node.location.clone()).unwrap_or_default();
        self.siblings = self.siblings_of(&nodes, upstream);
        let shared = self.siblings.len() + 1;
        if self.siblings.is_empty() {
            if self.record.location != location {
                self.degrade().await;
                return Elected::Wait;
            }
            return self.validate().await;
        }
        let status = |world: &mut World, host: usize| {
            let server = &mut world.hosts[host].server;
            server.replay_paused = false;
            server.lsn
        };
        let Some(position) = self.local(status).await else {
            return Elected::Wait;
        };
        let rank = |lsn: u64, priority: i32, id: NodeId| (lsn, priority, std::cmp::Reverse(id));
        let mut best = rank(position, self.record.priority, self.own);
        let mut visible = 1;
        let mut located = self.record.location == location;
        let mut seen_by = 0;
        for id in self.siblings.clone() {
            if !self.login(id).await {
                continue;
            }
            visible += 1;
            let Some(node) = of(id) else { continue };
            located |= node.location == location;
            let asked = self
                .query(id, move |world, to| {
                    let own = world.now;
                    let server = &world.hosts[to].server;
                    let memory = &server.memory;
                    let seen = memory.upstream == Some(upstream);
                    let age = memory.upstream_seen_at.map(|at| own - at);
                    (memory.pid.is_some(), server.primary, server.lsn, age.filter(|_| seen))
                })
                .await;
            let Some((daemon, primary, lsn, age)) = asked else {
                continue;
            };
            if !daemon {
                continue;
            }
            if primary && node.node_type != NodeType::Witness {
                let follows = move |world: &mut World, host: usize| {
                    let to = world.host_of(id).expect("it was asked");
                    world.hosts[host].server.can_follow(&world.hosts[to].server)
                };
                if self.local(follows).await == Some(true) {
                    return Elected::Found(id);
                }
                continue;
            }
            let window = settings.visibility_window().as_millis() as u64;
            seen_by += usize::from(age.is_some_and(|age| age < window));
            if node.node_type != NodeType::Witness && node.priority > 0 {
                best = best.max(rank(lsn, node.priority, id));
            }
        }
        let refused = !located || (settings.visibility_consensus && seen_by > 0) || visible * 2 <= shared;
        if refused {
            self.reset_votes().await;
            return Elected::Cancelled;
        }
        if best.2.0 != self.own {
            let winner = best.2.0;
            self.port
                .look(move |world, host| world.log(|| format!("original daemon of node {} elects {winner}", host + 1)))
                .await;
            return Elected::Wait;
        }
        self.validate().await
    }

    pub(super) async fn validate(&self) -> Elected {
        let settings = self.settings().await;
        if !settings.validate {
            return Elected::Won;
        }
        self.port.sleep(700).await;
        match self.port.look(|world, host| world.hosts[host].validation_rejects).await {
            true => Elected::Rerun,
            false => Elected::Won,
        }
    }

    pub(super) async fn promote(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
        let settings = self.settings().await;
        let own = self.own;
        self.port
            .look(move |world, host| {
                world.log(|| format!("original daemon of node {} won the election", host + 1));
                let decided = Decided {
                    at: world.now,
                    lost,
                    upstream: Some(upstream),
                    records: world.hosts[host].server.metadata.clone(),
                };
                world.hosts[host].decided = Some(decided);
            })
            .await;
        if !settings.promote_delay.is_zero() {
            self.pause_of(settings.promote_delay).await;
        }
        if self.record.upstream.is_none() && !settings.always_promote {
            return self.promotion_failed().await;
        }
        let begin = |world: &mut World, host: usize| {
            let behaviour = world.hosts[host].promote;
            let generation = world.generation(host).unwrap_or(0);
            world.at(
                100,
                Event::PromoteCheck {
                    host,
                    generation,
                    behaviour,
                },
            );
        };
        self.port.look(begin).await;
        let end = self.port.command().await;
        // Death by a signal counts as success.
        let succeeded = !matches!(&end, Finished::PromoteCommand(CommandEnd::Exited(code)) if *code != 0);
        if !succeeded {
            if self.find_primary().await == Some(upstream) {
                self.notify(Notification::Follow(upstream)).await;
                return Ok(Done::Yes);
            }
            return self.promotion_failed().await;
        }
        if self.local(|_, _| ()).await.is_none() {
            return Err(DB_CONN);
        }
        self.local(|world, host| world.write(host, |records| records.term += 1))
            .await;
        self.refresh().await;
        self.notify(Notification::Follow(own)).await;
        Ok(Done::Yes)
    }

    pub(super) async fn promotion_failed(&mut self) -> Result<Done, Exit> {
        self.promotion_failed = true;
        self.degrade().await;
        Ok(Done::No)
    }

    pub(super) async fn wait(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
        let settings = self.settings().await;
        for _ in 0..settings.notification_timeout.as_secs() {
            match self.poll().await {
                Some(Notification::Follow(id)) if id == upstream => return Ok(Done::Yes),
                Some(Notification::Follow(id)) if id == self.own => {
                    let nodes = self.nodes().await;
                    self.siblings = self.siblings_of(&nodes, upstream);
                    return self.promote(upstream, lost).await;
                }
                Some(Notification::RerunElection) => return self.rerun().await,
                Some(Notification::Follow(_)) if !settings.automatic => break,
                Some(Notification::Follow(id)) => return self.follow_and_tell(id, upstream).await,
                None => self.port.sleep(1_000).await,
            }
        }
        self.degrade().await;
        Ok(Done::No)
    }

    pub(super) async fn follow_and_tell(&mut self, id: NodeId, upstream: NodeId) -> Result<Done, Exit> {
        match self.follow(id, upstream).await {
            Some(true) => Ok(Done::Yes),
            // The old primary is there again.
            None => {
                self.notify(Notification::Follow(upstream)).await;
                Ok(Done::Yes)
            }
            Some(false) => {
                self.degrade().await;
                Ok(Done::No)
            }
        }
    }

    pub(super) async fn run_follow_command(&self, id: NodeId) -> bool {
        let begin = move |world: &mut World, host: usize| {
            let generation = world.generation(host).unwrap_or(0);
            world.run_follow(host, generation, id);
        };
        self.port.look(begin).await;
        self.port.command().await == Finished::FollowCommand(CommandEnd::Exited(0))
    }

    pub(super) async fn await_own_server(&self) -> bool {
        let settings = self.settings().await;
        for _ in 0..settings.startup_timeout.as_secs().max(1) {
            if self.local(|_, _| ()).await.is_some() {
                return true;
            }
            self.port.sleep(1_000).await;
        }
        false
    }

    /// Whether it follows `id` now; nothing if the old primary is there again.
    pub(super) async fn follow(&mut self, id: NodeId, upstream: NodeId) -> Option<bool> {
        let known = self.nodes().await.iter().any(|node| node.id == id);
        if !known || !self.login(id).await || self.is_primary(id).await != Some(true) {
            return Some(false);
        }
        if !self.run_follow_command(id).await {
            let back = self.login(upstream).await && self.is_primary(upstream).await == Some(true);
            return if back { None } else { Some(false) };
        }
        let own = self.own;
        let row = self.query(id, move |world, to| world.record_on(to, own)).await;
        let Some(row) = row.flatten() else { return Some(false) };
        self.record = row;
        if !self.await_own_server().await {
            return Some(false);
        }
        self.initialise().await;
        Some(true)
    }
}
