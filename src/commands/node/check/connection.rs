//! `--db-connection` and `--replication-connection`: this node's server, or
//! another's replication port, can be connected to.

use super::{Outcome, connect};
use crate::commands::Context;
use crate::conninfo::{Conninfo, Environment};
use crate::metadata::{NodeRecord, nodes};
use crate::output::CheckStatus;
use crate::postgres::{ConnectError, Connection, ReplicationConnection};

/// Whether the node's own server could be connected to with `conninfo`.
pub fn database(conninfo: &Conninfo, connected: &Result<Connection, ConnectError>) -> Outcome {
    let outcome = match connected {
        Ok(_) => Outcome::new(CheckStatus::Ok, ""),
        Err(_) => Outcome::new(
            CheckStatus::Critical,
            format!("connection parameters used: {}", effective(conninfo)),
        ),
    };
    let status = outcome.status.as_str();
    outcome.optformat(format!("--db-connection={status}"))
}

/// What libpq would connect with, passwords left out.
fn effective(conninfo: &Conninfo) -> String {
    let mut conninfo = conninfo.clone();
    conninfo.set_default("connect_timeout", "2");
    conninfo.set_default("fallback_application_name", "repmgr");
    conninfo.set("options", "-csearch_path=");
    let shown = match conninfo.resolve(&Environment::of_process()) {
        Ok(resolved) => resolved.parameters().clone(),
        Err(_) => conninfo,
    };
    let mut shown = shown.in_libpq_order();
    shown.remove("password");
    shown.hidden().render(|_, value| value.to_owned())
}

/// The line about a replication connection to the node that the options name.
pub async fn replication(context: &Context) -> &'static str {
    let Some(id) = context.options.remote_node_id else {
        return "--connection=UNKNOWN\n";
    };
    let local = match connect(context).await.1 {
        Ok(local) => local,
        Err(error) => {
            crate::error!("unable to connect to the local node");
            crate::detail!("{error}");
            return "--connection=CONNECTION_ERROR\n";
        }
    };
    match nodes::by_id(&local, id).await {
        Ok(Some(remote)) => match connect_for_replication(&remote, &local).await {
            Ok(()) => "--connection=OK\n",
            Err(reason) => {
                crate::error!("no replication connection to {} could be made", remote.title());
                crate::detail!("{reason}");
                "--connection=BAD\n"
            }
        },
        Ok(None) => {
            crate::error!("no record found for node {id}");
            "--connection=UNKNOWN\n"
        }
        Err(error) => {
            crate::error!("unable to read the record of node {id}");
            crate::detail!("{error}");
            "--connection=UNKNOWN\n"
        }
    }
}

async fn connect_for_replication(remote: &NodeRecord, local: &Connection) -> Result<(), String> {
    let conninfo = Conninfo::parse(&remote.conninfo).map_err(|error| error.to_string())?;
    ReplicationConnection::connect(&conninfo.for_replication(&remote.repluser), local.deadlines())
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
