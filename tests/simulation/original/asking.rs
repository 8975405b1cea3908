//! What it asks and writes: its own server, others, and the time that takes.

use repmgr::failover::{ConnectFailure, Node, Notification, Settings};
use repmgr::types::{NodeId, NodeType};

use super::{BLOCKED, Original};
use crate::network::CONNECT_TIMEOUT;
use crate::server::Metadata;
use crate::world::{Event, World};

impl Original {
    pub(super) async fn settings(&self) -> Settings {
        self.port.look(|world, host| world.hosts[host].settings.clone()).await
    }

    pub(super) async fn pause_of(&self, time: std::time::Duration) {
        self.port.sleep((time.as_millis() as u64).max(1)).await;
    }

    /// Reaches for a node: what came of it, after the time that it took.
    pub(super) async fn reach(&self, id: NodeId) -> Option<Result<(), ConnectFailure>> {
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
    pub(super) async fn login(&self, id: NodeId) -> bool {
        self.reach(id).await == Some(Ok(()))
    }

    /// Something listens there.
    pub(super) async fn ping(&self, id: NodeId) -> bool {
        matches!(
            self.reach(id).await,
            Some(Ok(()) | Err(ConnectFailure::Authentication | ConnectFailure::TooManyConnections))
        )
    }

    /// A query on a connection that is kept; it is waited for as long as TCP does.
    pub(super) async fn query<T: 'static>(
        &self,
        id: NodeId,
        ask: impl FnOnce(&mut World, usize) -> T + 'static,
    ) -> Option<T> {
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

    pub(super) async fn is_primary(&self, id: NodeId) -> Option<bool> {
        let out = |world: &mut World, to: usize| world.hosts[to].server.primary || world.hosts[to].server.witness;
        self.query(id, out).await
    }

    /// Something on the own server, if it answers.
    pub(super) async fn local<T: 'static>(&self, look: impl FnOnce(&mut World, usize) -> T + 'static) -> Option<T> {
        let answer = move |world: &mut World, host: usize| {
            let serves = world.hosts[host].server.serves(world.now);
            serves.then(|| look(world, host))
        };
        self.port.look(answer).await
    }

    pub(super) async fn paused(&self) -> bool {
        self.local(|world, host| world.hosts[host].server.paused).await == Some(true)
    }

    pub(super) async fn poll(&self) -> Option<Notification> {
        self.local(|world, host| world.hosts[host].server.memory.notification)
            .await
            .flatten()
    }

    pub(super) async fn reset_votes(&self) {
        self.local(|world, host| world.hosts[host].server.memory.notification = None)
            .await;
    }

    /// Tells the library again who it serves, if it forgot.
    pub(super) async fn initialise(&self) {
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

    pub(super) async fn see_upstream(&self, id: NodeId) {
        let see = move |world: &mut World, host: usize| {
            let now = world.now;
            let memory = &mut world.hosts[host].server.memory;
            memory.upstream = Some(id);
            memory.upstream_seen_at = Some(now);
        };
        self.local(see).await;
    }

    pub(super) async fn nodes(&self) -> Vec<Node> {
        let nodes = |world: &mut World, host: usize| world.hosts[host].server.metadata.nodes.clone();
        self.local(nodes).await.unwrap_or_default()
    }

    pub(super) async fn refresh(&mut self) {
        let own = self.own;
        if let Some(record) = self.nodes().await.into_iter().find(|node| node.id == own) {
            self.record = record;
        }
    }

    /// Changes the records on a node, if it is a primary.
    pub(super) async fn write(&self, on: NodeId, change: impl FnOnce(&mut Metadata) + 'static) -> bool {
        let write = move |world: &mut World, to: usize| world.write(to, change);
        self.query(on, write).await == Some(true)
    }

    pub(super) async fn set_active(&self, active: bool) {
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

    pub(super) async fn primary_id(&self) -> Option<NodeId> {
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
    pub(super) async fn find_primary(&self) -> Option<NodeId> {
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

    pub(super) fn siblings_of(&self, nodes: &[Node], upstream: NodeId) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = nodes
            .iter()
            .filter(|node| node.active && node.id != self.own && node.upstream == Some(upstream))
            .map(|node| node.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// One after the other; who is not reached is not told.
    pub(super) async fn notify(&self, value: Notification) {
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
}
