//! A PostgreSQL server as far as a failover cares: role, WAL position, timeline, replicated metadata, and
//! the shared memory of its library, which a restart forgets.

use std::rc::Rc;
use std::time::Duration;

use repmgr::failover::{Node, Notification};
use repmgr::types::{NodeId, NodeType};

/// `repmgr.nodes` and `repmgr.voting_term`, as one server has them.
#[derive(Debug, Clone)]
pub struct Metadata {
    pub nodes: Vec<Node>,
    pub term: i32,
}

impl Metadata {
    pub fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    /// What `standby promote` writes.
    pub fn promote(&mut self, id: NodeId) {
        for node in &mut self.nodes {
            if node.id == id {
                node.node_type = NodeType::Primary;
                node.upstream = None;
                node.active = true;
            } else if node.node_type == NodeType::Primary && node.active {
                node.active = false;
            }
        }
    }

    /// What `standby register` writes; a record that is there stays.
    pub fn register(&mut self, record: Node, upstream: NodeId) {
        if self.node_mut(record.id).is_some() {
            return;
        }
        let node_type = match record.node_type {
            NodeType::Primary => NodeType::Standby,
            other => other,
        };
        self.nodes.push(Node {
            upstream: Some(upstream).filter(|upstream| *upstream != record.id),
            active: true,
            node_type,
            ..record
        });
        self.nodes.sort_by_key(|node| node.id);
    }

    /// What a witness writes for itself.
    pub fn adopt(&mut self, id: NodeId, upstream: NodeId) {
        if let Some(node) = self.node_mut(id) {
            node.upstream = Some(upstream);
        }
    }

    /// What `standby follow` writes.
    pub fn follow(&mut self, id: NodeId, upstream: NodeId) {
        if let Some(node) = self.node_mut(id) {
            if node.node_type == NodeType::Primary {
                node.node_type = NodeType::Standby;
            }
            node.upstream = Some(upstream);
            node.active = true;
        }
    }
}

/// The library's shared memory.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub node_id_set: bool,
    /// The process that is published, by its generation.
    pub pid: Option<u64>,
    pub notification: Option<Notification>,
    pub upstream: Option<NodeId>,
    pub upstream_seen_at: Option<u64>,
}

/// One stretch of history: a branch that ended at a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    pub branch: u64,
    pub at: u64,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub up: bool,
    /// The whole host is gone: silent, not refused.
    pub host_down: bool,
    /// Never comes back.
    pub destroyed: bool,
    pub starting_until: u64,
    pub primary: bool,
    pub witness: bool,
    pub lsn: u64,
    pub timeline: u32,
    /// Two promotions from the same timeline make two branches with the same number.
    pub branch: u64,
    pub history: Vec<Ended>,
    /// Whom it streams from.
    pub source: Option<usize>,
    /// It receives nothing although it is connected.
    pub stalled: bool,
    pub receiver_held: bool,
    pub replay_paused: bool,
    /// How much later it applies WAL on purpose.
    pub apply_delay: Duration,
    /// It accepts connections and never answers.
    pub hung: bool,
    pub last_message: Option<u64>,
    pub metadata: Rc<Metadata>,
    pub memory: Memory,
    /// Kept in a file, so a restart does not forget it.
    pub paused: bool,
}

impl Server {
    pub fn serves(&self, now: u64) -> bool {
        self.up && !self.host_down && !self.hung && now >= self.starting_until
    }

    /// Whether a standby can go on with `other`'s history.
    pub fn can_follow(&self, other: &Server) -> bool {
        if self.branch == other.branch {
            return self.lsn <= other.lsn;
        }
        other
            .history
            .iter()
            .any(|ended| ended.branch == self.branch && self.lsn <= ended.at)
    }

    /// Leaves recovery on a branch of its own.
    pub fn promote(&mut self, branch: u64) {
        self.history.push(Ended {
            branch: self.branch,
            at: self.lsn,
        });
        self.primary = true;
        self.timeline += 1;
        self.branch = branch;
        self.source = None;
        self.last_message = None;
        self.replay_paused = false;
    }

    /// Becomes a standby of `other`, rewound to a common history.
    pub fn rejoin(&mut self, other: &Server, source: usize) {
        self.primary = false;
        self.lsn = other.lsn.min(self.lsn);
        self.branch = other.branch;
        self.timeline = other.timeline;
        self.history = other.history.clone();
        self.source = Some(source);
        self.metadata = Rc::clone(&other.metadata);
    }

    /// Takes over what streams in from `other`.
    pub fn receive(&mut self, other: &Server, now: u64) {
        if self.branch != other.branch {
            self.branch = other.branch;
            self.timeline = other.timeline;
            self.history = other.history.clone();
        }
        self.last_message = Some(now);
        if !self.stalled {
            self.lsn = self.lsn.max(other.lsn);
            self.metadata = Rc::clone(&other.metadata);
        }
    }

    /// Everything that a restart forgets.
    pub fn forget(&mut self) {
        self.memory = Memory::default();
        self.last_message = None;
    }
}
