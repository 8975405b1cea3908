//! The connections that verbs start with: the local node, the nodes that the
//! options name, the primary.

use crate::commands::Context;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::postgres::{ConnectError, Connection, Deadlines, QueryError};
use crate::survey;
use crate::types::RecoveryState;
use crate::{detail, hint, warning};

/// The oldest PostgreSQL that this program works with.
const OLDEST_SUPPORTED_MAJOR: i32 = 13;

/// The conninfo of this node, as configured.
pub fn local_conninfo(context: &Context) -> Result<Conninfo> {
    Conninfo::parse(&context.config.conninfo)
        .map_err(|error| Error::bad_config("\"conninfo\" in repmgr.conf is not valid").detail(error.to_string()))
}

/// Connects to this node; a failure ends the command with [`ExitCode::DbConn`].
pub async fn local(context: &Context) -> Result<Connection> {
    let conninfo = local_conninfo(context)?;
    Connection::connect(&conninfo, Deadlines::default())
        .await
        .map_err(|error| unreachable(&local_title(context), &conninfo, &error))
}

/// Connects to this node or, if no configuration says where it is, to the server that the options name.
pub async fn local_or_source(context: &Context) -> Result<Connection> {
    match &context.source {
        Some(source) if context.config.conninfo.is_empty() => Connection::connect(source, Deadlines::default())
            .await
            .map_err(|error| unreachable("the given server", source, &error)),
        _ => local(context).await,
    }
}

/// `node "NAME" (ID: N)` of this node.
pub fn local_title(context: &Context) -> String {
    format!("node \"{}\" (ID: {})", context.config.node_name, context.config.node_id)
}

/// The error for a node that cannot be connected to.
pub fn unreachable(title: &str, conninfo: &Conninfo, error: &ConnectError) -> Error {
    Error::new(ExitCode::DbConn, format!("unable to connect to {title}"))
        .detail(error.message.clone())
        .detail(format!("connection string is \"{}\"", conninfo.redacted()))
}

/// The error for a question without an answer.
pub fn unanswered(exit_code: ExitCode, what: &str, error: &QueryError) -> Error {
    let unanswered = Error::new(exit_code, format!("unable to {what}")).detail(error.to_string());
    match error.way_out() {
        Some(hint) => unanswered.hint(hint),
        None => unanswered,
    }
}

/// Refuses a server that is too old.
pub async fn require_supported_version(connection: &Connection) -> Result<()> {
    let version = connection
        .server_version()
        .await
        .map_err(|error| unanswered(ExitCode::DbConn, "determine the server's version", &error))?;
    if version.major() < OLDEST_SUPPORTED_MAJOR {
        return Err(Error::bad_config(format!(
            "the server runs PostgreSQL {}; {OLDEST_SUPPORTED_MAJOR} is the oldest supported release",
            version.major()
        ))
        .hint("upgrade PostgreSQL first"));
    }
    Ok(())
}

/// Whether the server is in recovery; no answer ends the command with [`ExitCode::DbConn`].
pub async fn recovery_state(connection: &Connection, title: &str) -> Result<RecoveryState> {
    match connection.recovery_state().await {
        Ok(RecoveryState::Unknown) => Err(Error::new(
            ExitCode::DbConn,
            format!("unable to determine whether {title} is in recovery"),
        )
        .hint("see the server's log, and run the command again")),
        Ok(state) => Ok(state),
        Err(error) => Err(unanswered(
            ExitCode::DbConn,
            &format!("determine whether {title} is in recovery"),
            &error,
        )),
    }
}

/// The live primary, searched from `connection`'s records; none ends the command with [`ExitCode::BadConfig`].
pub async fn live_primary(connection: &Connection) -> Result<(NodeRecord, Connection)> {
    let search = survey::search_primary(connection, Deadlines::default())
        .await
        .map_err(|error| unanswered(ExitCode::BadConfig, "read the node records", &error))?;
    if search.primaries.len() > 1 {
        warning!("{} nodes of this cluster accept writes", search.primaries.len());
        search
            .primaries
            .iter()
            .for_each(|(node, _)| detail!("{}", node.title()));
        hint!("only one of them may stay primary; the first one is taken here");
    }
    let others = search.others.iter();
    let missing = others
        .fold(
            Error::bad_config("unable to find a primary of this cluster that answers"),
            |error, (node, reason)| error.detail(format!("{}: {reason}", node.title())),
        )
        .hint("use \"repmgr cluster show\" to see the state of the registered nodes");
    search.primaries.into_iter().next().ok_or(missing)
}
