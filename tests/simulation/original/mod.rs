//! A daemon as the original makes them: one thing after the other, each waited for. A model of what it does where
//! that matters to others, with its weaknesses: no exclusive vote, no announcement, ends where it is lost.

mod asking;
mod failover;
mod watching;
mod witness;

use repmgr::failover::Node;
use repmgr::types::{NodeId, NodeType};

use crate::coroutine::Port;

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
