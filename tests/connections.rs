//! Connecting to real servers: what a session says of itself, and what each failure is called.

#[path = "connections/authentication.rs"]
mod authentication;
#[path = "connections/certificates.rs"]
mod certificates;
#[path = "connections/failures.rs"]
mod failures;
#[path = "connections/impostor.rs"]
mod impostor;
#[path = "connections/replication.rs"]
mod replication;
#[path = "connections/sessions.rs"]
mod sessions;
#[path = "connections/stand.rs"]
mod stand;
mod support;
#[path = "connections/tls.rs"]
mod tls;
