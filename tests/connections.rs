//! Connecting to real servers: what a session says of itself, and what each failure is called.

#[path = "connections/replication.rs"]
mod replication;
#[path = "connections/stand.rs"]
mod stand;
mod support;
