//! The connections that the daemon keeps: to its own server, to its upstream,
//! to the primary; to others only while they are asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::conninfo::Conninfo;
use crate::metadata::NodeRecord;
use crate::postgres::{ConnectError, ConnectFailure, Connection, Deadlines, QueryError};
use crate::types::NodeId;

/// How long a turn waits for a connection and for each answer.
pub const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    login: Duration::from_millis(500),
    query: Duration::from_secs(5),
};

/// Kept connections by node. A connection that is found broken, or that let a
/// query run into its deadline, is forgotten and made anew when it is needed.
#[derive(Debug, Default)]
pub struct Peers {
    kept: HashMap<NodeId, (String, Arc<Connection>)>,
    obstacles: HashMap<NodeId, String>,
}

impl Peers {
    /// The kept connection to a node, if it is not known to be broken and the node is still reached the same way.
    pub fn kept(&self, node: &NodeRecord) -> Option<Arc<Connection>> {
        self.kept
            .get(&node.node_id)
            .filter(|(conninfo, connection)| *conninfo == node.conninfo && !connection.is_closed())
            .map(|(_, connection)| Arc::clone(connection))
    }

    /// The kept connection to a node by its id.
    pub fn by_id(&self, node: NodeId) -> Option<Arc<Connection>> {
        self.kept
            .get(&node)
            .filter(|(_, connection)| !connection.is_closed())
            .map(|(_, connection)| Arc::clone(connection))
    }

    /// Keeps a connection, or forgets the one to this node.
    pub fn keep(&mut self, node: &NodeRecord, connection: Option<Arc<Connection>>) {
        match connection {
            Some(connection) => {
                self.kept.insert(node.node_id, (node.conninfo.clone(), connection));
            }
            None => self.forget(node.node_id),
        }
    }

    /// Whether a node's obstacle to being followed is another one than last time.
    pub fn is_news(&mut self, node: NodeId, obstacle: Option<&str>) -> bool {
        let before = match obstacle {
            Some(obstacle) => self.obstacles.insert(node, obstacle.to_owned()),
            None => self.obstacles.remove(&node),
        };
        before.as_deref() != obstacle
    }

    /// Closes the connection to a node.
    pub fn forget(&mut self, node: NodeId) {
        self.kept.remove(&node);
    }

    /// Closes all connections but those to these nodes.
    pub fn retain(&mut self, nodes: &[NodeId]) {
        self.kept.retain(|node, _| nodes.contains(node));
    }
}

/// A node's connection parameters.
pub fn conninfo(node: &NodeRecord) -> Result<Conninfo, ConnectError> {
    Conninfo::parse(&node.conninfo).map_err(|error| ConnectError {
        failure: ConnectFailure::BadParameters,
        message: format!("the conninfo of {} is not valid: {error}", node.title()),
    })
}

/// The kept connection, or a new one.
pub async fn connected(node: &NodeRecord, kept: Option<Arc<Connection>>) -> Result<Arc<Connection>, ConnectError> {
    if let Some(connection) = kept.filter(|connection| !connection.is_closed()) {
        return Ok(connection);
    }
    let conninfo = conninfo(node)?;
    Connection::connect(&conninfo, DEADLINES).await.map(Arc::new)
}

/// Whether a connection is of no more use after this error.
pub fn is_lost(error: &QueryError) -> bool {
    matches!(error, QueryError::ConnectionLost(_) | QueryError::TimedOut(_))
}
