//! A daemon as the original makes them: one thing after the other, each waited for. A model of what it does where
//! that matters to others, with its weaknesses: no exclusive vote, no announcement, ends where it is lost.

use repmgr::failover::{CommandEnd, ConnectFailure, Finished, Node, Notification, Settings};
use repmgr::types::{NodeId, NodeType};

use crate::coroutine::Port;
use crate::daemon::Decided;
use crate::network::CONNECT_TIMEOUT;
use crate::server::Metadata;
use crate::world::{Event, World};

/// Why a daemon ends: the exit code of the original.
pub type Exit = i32;
const BAD_CONFIG: Exit = 1;
const DB_CONN: Exit = 6;
const MONITORING_TIMEOUT: Exit = 9;

/// How long a query waits for a server whose packets are lost.
const BLOCKED: u64 = 900;

#[derive(Clone, Copy, PartialEq)]
enum Status {
    Up,
    Unknown,
    Down,
}

enum Elected {
    Won,
    /// Lost, or no candidate.
    Wait,
    Cancelled,
    Found(NodeId),
    Rerun,
}

/// Whether monitoring begins anew.
#[derive(PartialEq)]
enum Done {
    Yes,
    No,
}

pub struct Original {
    port: Port,
    own: NodeId,
    record: Node,
    upstream: Option<Node>,
    last_known: Option<NodeId>,
    status: Status,
    degraded_since: Option<u64>,
    promotion_failed: bool,
    local_up: bool,
    siblings: Vec<NodeId>,
}

/// Runs from the start of the process to its end.
pub async fn run(port: Port, own: NodeId) -> Exit {
    let Some(record) = port.look(move |world, host| world.record_on(host, own)).await else {
        return BAD_CONFIG;
    };
    let mut daemon = Original {
        port,
        own,
        record,
        upstream: None,
        last_known: None,
        status: Status::Up,
        degraded_since: None,
        promotion_failed: false,
        local_up: true,
        siblings: Vec::new(),
    };
    loop {
        let end = match daemon.record.node_type {
            NodeType::Primary => daemon.primary().await,
            NodeType::Standby => daemon.standby().await,
            NodeType::Witness => daemon.witness().await,
            NodeType::Unknown => {
                daemon.port.sleep(1_000).await;
                daemon.refresh().await;
                Ok(())
            }
        };
        if let Err(code) = end {
            return code;
        }
        // The original does not pause here; the simulation would never get on.
        daemon.port.sleep(10).await;
    }
}

impl Original {
    async fn settings(&self) -> Settings {
        self.port.look(|world, host| world.hosts[host].settings.clone()).await
    }

    async fn pause_of(&self, time: std::time::Duration) {
        self.port.sleep((time.as_millis() as u64).max(1)).await;
    }

    /// Reaches for a node: what came of it, after the time that it took.
    async fn reach(&self, id: NodeId) -> Option<Result<(), ConnectFailure>> {
        let (took, reached) = self
            .port
            .look(move |world, host| {
                let Some(to) = world.host_of(id) else { return (0, None) };
                let reached = world.connect(host, to);
                let took = match reached {
                    Err(ConnectFailure::Silent) => CONNECT_TIMEOUT,
                    _ => (world.latency(host, to) * 2).min(CONNECT_TIMEOUT),
                };
                (took, Some(reached))
            })
            .await;
        self.port.sleep(took.max(1)).await;
        reached
    }

    /// Logs in, by the connection string in the local records.
    async fn login(&self, id: NodeId) -> bool {
        self.reach(id).await == Some(Ok(()))
    }

    /// Something listens there.
    async fn ping(&self, id: NodeId) -> bool {
        matches!(
            self.reach(id).await,
            Some(Ok(()) | Err(ConnectFailure::Authentication | ConnectFailure::TooManyConnections))
        )
    }

    /// A query on a connection that is kept; it is waited for as long as TCP does.
    async fn query<T: 'static>(&self, id: NodeId, ask: impl FnOnce(&mut World, usize) -> T + 'static) -> Option<T> {
        for _ in 0..BLOCKED {
            let reached = self
                .port
                .look(move |world, host| world.host_of(id).map(|to| (to, world.connect(host, to))))
                .await;
            match reached {
                Some((_, Err(ConnectFailure::Silent))) => self.port.sleep(1_000).await,
                Some((_, Err(ConnectFailure::Refused | ConnectFailure::NotAccepting))) | None => return None,
                Some((to, _)) => {
                    self.port.sleep(3).await;
                    return Some(self.port.look(move |world, _| ask(world, to)).await);
                }
            }
        }
        None
    }

    async fn is_primary(&self, id: NodeId) -> Option<bool> {
        let out = |world: &mut World, to: usize| world.hosts[to].server.primary || world.hosts[to].server.witness;
        self.query(id, out).await
    }

    /// Something on the own server, if it answers.
    async fn local<T: 'static>(&self, look: impl FnOnce(&mut World, usize) -> T + 'static) -> Option<T> {
        let answer = move |world: &mut World, host: usize| {
            let serves = world.hosts[host].server.serves(world.now);
            serves.then(|| look(world, host))
        };
        self.port.look(answer).await
    }

    async fn paused(&self) -> bool {
        self.local(|world, host| world.hosts[host].server.paused).await == Some(true)
    }

    async fn poll(&self) -> Option<Notification> {
        self.local(|world, host| world.hosts[host].server.memory.notification)
            .await
            .flatten()
    }

    async fn reset_votes(&self) {
        self.local(|world, host| world.hosts[host].server.memory.notification = None)
            .await;
    }

    /// Tells the library again who it serves, if it forgot.
    async fn initialise(&self) {
        let register = |world: &mut World, host: usize| {
            let generation = world.generation(host);
            let memory = &mut world.hosts[host].server.memory;
            if !memory.node_id_set {
                memory.node_id_set = true;
                memory.pid = generation;
            }
        };
        self.local(register).await;
    }

    async fn see_upstream(&self, id: NodeId) {
        let see = move |world: &mut World, host: usize| {
            let now = world.now;
            let memory = &mut world.hosts[host].server.memory;
            memory.upstream = Some(id);
            memory.upstream_seen_at = Some(now);
        };
        self.local(see).await;
    }

    async fn nodes(&self) -> Vec<Node> {
        let nodes = |world: &mut World, host: usize| world.hosts[host].server.metadata.nodes.clone();
        self.local(nodes).await.unwrap_or_default()
    }

    async fn refresh(&mut self) {
        let own = self.own;
        if let Some(record) = self.nodes().await.into_iter().find(|node| node.id == own) {
            self.record = record;
        }
    }

    /// Changes the records on a node, if it is a primary.
    async fn write(&self, on: NodeId, change: impl FnOnce(&mut Metadata) + 'static) -> bool {
        let write = move |world: &mut World, to: usize| world.write(to, change);
        self.query(on, write).await == Some(true)
    }

    async fn set_active(&self, active: bool) {
        let own = self.own;
        if let Some(primary) = self.primary_id().await {
            let change = move |records: &mut Metadata| {
                if let Some(node) = records.node_mut(own) {
                    node.active = active;
                }
            };
            self.write(primary, change).await;
        }
    }

    async fn primary_id(&self) -> Option<NodeId> {
        match &self.upstream {
            Some(upstream) if upstream.node_type == NodeType::Primary => Some(upstream.id),
            _ => {
                let nodes = self.nodes().await;
                let active = |node: &&Node| node.active && node.node_type == NodeType::Primary;
                nodes.iter().find(active).map(|node| node.id)
            }
        }
    }

    /// The first node out of recovery: primaries first, then by priority, then by id.
    async fn find_primary(&self) -> Option<NodeId> {
        let mut nodes = self.nodes().await;
        nodes.retain(|node| node.active && node.node_type != NodeType::Witness);
        nodes.sort_by_key(|node| (node.node_type != NodeType::Primary, node.priority, node.id));
        for node in nodes {
            if node.id != self.own && self.login(node.id).await && self.is_primary(node.id).await == Some(true) {
                return Some(node.id);
            }
        }
        None
    }

    fn siblings_of(&self, nodes: &[Node], upstream: NodeId) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = nodes
            .iter()
            .filter(|node| node.active && node.id != self.own && node.upstream == Some(upstream))
            .map(|node| node.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// One after the other; who is not reached is not told.
    async fn notify(&self, value: Notification) {
        for id in self.siblings.clone() {
            if self.login(id).await {
                self.port
                    .look(move |world, host| {
                        if let Some(to) = world.host_of(id) {
                            world.at(0, Event::Deliver { from: host, to, value });
                        }
                    })
                    .await;
            }
        }
    }

    async fn primary(&mut self) -> Result<(), Exit> {
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

    async fn standby(&mut self) -> Result<(), Exit> {
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

    fn upstream_is_standby(&self) -> bool {
        self.upstream
            .as_ref()
            .is_some_and(|node| node.node_type == NodeType::Standby)
    }

    async fn degrade(&mut self) {
        let now = self.port.look(|world, _| world.now).await;
        self.degraded_since.get_or_insert(now);
    }

    /// One round of the loop; whether monitoring begins anew.
    async fn watch(&mut self, upstream: NodeId) -> Result<Done, Exit> {
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
    async fn local_node(&mut self, upstream: NodeId) -> Done {
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
    async fn reconnect(&mut self, id: NodeId, listens: bool) -> Option<Notification> {
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

    async fn upstream_lost(&mut self, upstream: NodeId) -> Result<Done, Exit> {
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

    async fn failover(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
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

    async fn rerun(&mut self) -> Result<Done, Exit> {
        let settings = self.settings().await;
        self.pause_of(settings.rerun_interval).await;
        self.status = Status::Up;
        Ok(Done::No)
    }

    async fn elect(&mut self, upstream: NodeId) -> Elected {
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

    async fn validate(&self) -> Elected {
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

    async fn promote(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
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

    async fn promotion_failed(&mut self) -> Result<Done, Exit> {
        self.promotion_failed = true;
        self.degrade().await;
        Ok(Done::No)
    }

    async fn wait(&mut self, upstream: NodeId, lost: u64) -> Result<Done, Exit> {
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

    async fn follow_and_tell(&mut self, id: NodeId, upstream: NodeId) -> Result<Done, Exit> {
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

    async fn run_follow_command(&self, id: NodeId) -> bool {
        let begin = move |world: &mut World, host: usize| {
            let generation = world.generation(host).unwrap_or(0);
            world.run_follow(host, generation, id);
        };
        self.port.look(begin).await;
        self.port.command().await == Finished::FollowCommand(CommandEnd::Exited(0))
    }

    async fn await_own_server(&self) -> bool {
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
    async fn follow(&mut self, id: NodeId, upstream: NodeId) -> Option<bool> {
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

    async fn cascaded(&mut self) -> Result<Done, Exit> {
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

    async fn degraded(&mut self, upstream: NodeId) -> Result<Done, Exit> {
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

    /// Has the witness's record name this primary, and copies all records from it.
    async fn adopt(&mut self, primary: NodeId) -> bool {
        let own = self.own;
        if !self.login(primary).await || self.is_primary(primary).await != Some(true) {
            return false;
        }
        self.write(primary, move |records| records.adopt(own, primary)).await;
        self.copy(primary).await
    }

    async fn copy(&mut self, primary: NodeId) -> bool {
        let copy = |world: &mut World, to: usize| world.hosts[to].server.metadata.clone();
        let Some(records) = self.query(primary, copy).await else {
            return false;
        };
        self.local(move |world, host| world.hosts[host].server.metadata = records)
            .await;
        self.refresh().await;
        true
    }

    async fn witness(&mut self) -> Result<(), Exit> {
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
    async fn witness_waits(&mut self, primary: NodeId, settings: &Settings) -> bool {
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
