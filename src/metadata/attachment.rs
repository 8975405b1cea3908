//! Whether a node is attached to its upstream, as the upstream sees it.

use crate::postgres::Connection;

/// What `pg_stat_replication` of the upstream says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attachment {
    /// It streams (or the role may not see the state, and there is a walsender for it).
    Attached,
    /// There is a walsender, in this state.
    NotAttached {
        /// Such as `startup` or `catchup`.
        state: String,
    },
    /// There is no walsender for it.
    Detached,
    /// It could not be found out; says why.
    Unknown {
        /// The reason.
        reason: String,
    },
}

/// Asks `upstream` for a walsender whose application_name is `node_name`.
pub async fn attachment(upstream: &Connection, node_name: &str) -> Attachment {
    let sql = "SELECT state FROM pg_catalog.pg_stat_replication WHERE application_name = $1";
    let rows = match upstream.query(sql, &[&node_name]).await {
        Ok(rows) => rows,
        Err(error) => {
            return Attachment::Unknown {
                reason: error.to_string(),
            };
        }
    };
    match rows.as_slice() {
        [] => Attachment::Detached,
        [row] => match row.get::<_, Option<String>>(0) {
            Some(state) if state != "streaming" => Attachment::NotAttached { state },
            _ => Attachment::Attached,
        },
        several => Attachment::Unknown {
            reason: format!("{} walsenders have the application_name \"{node_name}\"", several.len()),
        },
    }
}
