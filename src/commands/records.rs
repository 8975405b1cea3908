//! The node records that verbs start with.

use crate::commands::Context;
use crate::commands::connecting::unanswered;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::Connection;
use crate::types::NodeId;

/// The record of a node, which must exist.
pub async fn required_record(connection: &Connection, id: NodeId, exit_code: ExitCode) -> Result<NodeRecord> {
    nodes::by_id(connection, id)
        .await
        .map_err(|error| unanswered(exit_code, &format!("read the record of node {id}"), &error))?
        .ok_or_else(|| {
            Error::new(exit_code, format!("no record found for node {id}"))
                .detail("this server's copy of the metadata (repmgr.nodes) has none")
        })
}

/// The node that `--node-id` or, failing that, `--node-name` names, looked up in this node's metadata.
pub async fn node_named_by_options(context: &Context, local: &Connection) -> Result<Option<NodeRecord>> {
    if let Some(id) = context.options.node_id {
        return required_record(local, id, ExitCode::BadConfig)
            .await
            .map(Some)
            .map_err(|error| error.hint("use \"repmgr cluster show\" to see the registered nodes"));
    }
    let Some(name) = context.options.node_name.as_deref() else {
        return Ok(None);
    };
    let record = nodes::by_name(local, name).await.map_err(|error| {
        unanswered(
            ExitCode::BadConfig,
            &format!("read the record of node \"{name}\""),
            &error,
        )
    })?;
    match record {
        Some(record) => Ok(Some(record)),
        None => Err(
            Error::bad_config(format!("no record found for a node with the name \"{name}\""))
                .hint("use \"repmgr cluster show\" to see the registered nodes"),
        ),
    }
}

/// Refuses to remove a record that others, active or not, name as their upstream.
pub async fn refuse_with_dependants(primary: &Connection, target: &NodeRecord) -> Result<()> {
    let dependants = nodes::downstream_of(primary, target.node_id)
        .await
        .map_err(|error| unanswered(ExitCode::BadConfig, "read the records of its standbys", &error))?;
    if dependants.is_empty() {
        return Ok(());
    }
    let refused = Error::bad_config(format!(
        "{} other node records name {} as their upstream",
        dependants.len(),
        target.title()
    ));
    Err(dependants
        .iter()
        .fold(refused, |error, node| error.detail(node.title()))
        .hint("let them follow another node, or unregister them, first"))
}
