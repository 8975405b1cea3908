//! `standby switchover` on hosts of their own.

#[path = "../support/mod.rs"]
mod support;

mod bad_days;
mod killed;
mod limits;
mod originals;
mod refused;
mod roles;

use support::cluster::Node;
use support::hosts::Hosts;

/// Hosts with a registered primary, node 1, and standbys of it; every node knows every other.
fn hosts(name: &str, count: u32, settings: &str) -> Option<Hosts> {
    let hosts = Hosts::up_with(name, count, "wal_log_hints = on", settings)?;
    for holder in 2..=count {
        hosts.wait_record(holder, count);
    }
    Some(hosts)
}

/// id, type, active, upstream of every record, as a node has them.
fn records(node: &Node) -> String {
    node.server.query(
        "SELECT string_agg(concat_ws(' ', node_id, type, active, coalesce(upstream_node_id, 0)), ', ' ORDER BY node_id) \
         FROM repmgr.nodes",
    )
}

fn last_event(node: &Node, event: &str) -> String {
    node.server.query(&format!(
        "SELECT concat_ws(' ', node_id, event, successful) FROM repmgr.events WHERE event = '{event}' \
         ORDER BY event_timestamp DESC LIMIT 1"
    ))
}

/// The slots of a node's server and whether they are in use.
fn slots(node: &Node) -> String {
    node.server.query(
        "SELECT coalesce(string_agg(slot_name || ' ' || active, ', ' ORDER BY slot_name), '') FROM pg_replication_slots",
    )
}
