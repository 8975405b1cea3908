//! Making a standby the primary: how, waiting for it, and recording it.
//! Shared by `standby promote` and `standby switchover`.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::instance::server_control::{self, Action};
use crate::metadata::{NodeRecord, nodes};
use crate::operations::write_right;
use crate::postgres::{Connection, QueryError};
use crate::types::{RecoveryState, SystemIdentifier};
use crate::{detail, notice};

/// The environment variable in which repmgrd tells `promote_command` the id of the primary that it found lost.
pub const LOST_PRIMARY: &str = "REPMGRD_LOST_PRIMARY";

/// How a standby is promoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// `service_promote_command`.
    ServiceCommand(String),
    /// The function `pg_promote()`.
    PgPromote,
    /// `pg_ctl promote`; the command line.
    PgCtl(String),
}

impl Method {
    /// What is done, for a person.
    pub fn describe(&self) -> String {
        match self {
            Method::ServiceCommand(command) => format!("\"service_promote_command\": {command}"),
            Method::PgPromote => "the function pg_promote()".to_owned(),
            Method::PgCtl(command) => command.clone(),
        }
    }
}

/// Chooses how to promote; checks what can be checked beforehand.
pub async fn choose_method(config: &Config, connection: &Connection) -> Result<Method> {
    if let Some(command) = server_control::configured_command(config, Action::Promote) {
        if calls_itself(command) {
            return Err(Error::new(
                ExitCode::PromotionFail,
                "\"service_promote_command\" runs \"repmgr standby promote\", which would run it again without end",
            )
            .hint("\"repmgr standby promote\" belongs into \"promote_command\"; remove \"service_promote_command\""));
        }
        return Ok(Method::ServiceCommand(command.to_owned()));
    }
    let sql = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_promote(bool,int)', 'EXECUTE')";
    let permitted: Option<bool> = connection.value(sql, &[]).await.map_err(|error| {
        Error::new(
            ExitCode::PromotionFail,
            "unable to determine whether pg_promote() may be called",
        )
        .detail(error.to_string())
        .hint("nothing was changed; see the server's log for what ended the query, and run the command again")
    })?;
    if permitted == Some(true) {
        return Ok(Method::PgPromote);
    }
    let directory = server_control::configuration_directory(config);
    crate::info!("the connected role may not call pg_promote(), pg_ctl is used");
    Ok(Method::PgCtl(server_control::command(
        config,
        Action::Promote,
        directory,
    )))
}

fn calls_itself(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    words.windows(2).any(|pair| {
        let verb = pair[1].trim_end_matches([';', '\'', '"']);
        pair[0].eq_ignore_ascii_case("standby") && verb.eq_ignore_ascii_case("promote")
    }) && command.contains("repmgr")
}

/// Promotes the server of `connection`, waits until it is out of recovery, and records it as the
/// primary. `connection` is replaced if it is lost on the way.
///
/// Exit codes of its errors: [`ExitCode::PromotionFail`] if it is still a standby, [`ExitCode::DbConn`] if that
/// cannot be told, [`ExitCode::DbQuery`] if it was promoted but could not be recorded.
pub async fn promote(config: &Config, connection: &mut Connection, own: &NodeRecord, method: &Method) -> Result<()> {
    notice!("promoting standby to primary");
    detail!(
        "promoting server \"{}\" (ID: {}) using {}",
        own.node_name,
        own.node_id,
        method.describe()
    );
    let identity = connection.system_identifier().await.ok();
    write_right::acquire(config, connection).await?;
    start(config, connection, method).await?;
    wait_promoted(config, connection, identity).await?;
    record_promotion(config, connection, own).await
}

/// Records a node that was promoted as the primary, and says so.
///
/// # Errors
/// [`ExitCode::DbQuery`].
pub async fn record_promotion(config: &Config, connection: &mut Connection, own: &NodeRecord) -> Result<()> {
    if let Err(error) = record(connection, own).await {
        let details = format!(
            "server \"{}\" (ID: {}) was promoted to primary, but its node record could not be updated",
            own.node_name, own.node_id
        );
        let event = Event::new(EventName::StandbyPromote, own.node_id)
            .successful(false)
            .details(details.clone());
        events::emit(None, config, event).await;
        return Err(Error::new(ExitCode::DbQuery, details)
            .detail(error.to_string())
            .hint("run \"repmgr primary register --force\" on this node"));
    }
    let details = format!(
        "server \"{}\" (ID: {}) was successfully promoted to primary",
        own.node_name, own.node_id
    );
    notice!("STANDBY PROMOTE successful");
    detail!("{details}");
    let event = Event::new(EventName::StandbyPromote, own.node_id).details(details);
    events::emit(Some(connection), config, event).await;
    Ok(())
}

async fn start(config: &Config, connection: &Connection, method: &Method) -> Result<()> {
    let failed = |reason: String| {
        Error::new(ExitCode::PromotionFail, "unable to promote this server")
            .detail(reason)
            .hint("see the server's log; if it is a standby still, run the command again once the reason is mended")
            .hint("\"service_promote_command\" in repmgr.conf is another way to promote it")
    };
    match method {
        Method::PgPromote => {
            let accepted: Option<bool> = connection
                .value("SELECT pg_catalog.pg_promote(wait := FALSE)", &[])
                .await
                .map_err(|error| failed(error.to_string()))?;
            match accepted {
                Some(true) => Ok(()),
                _ => Err(failed("pg_promote() was refused by the server".to_owned())),
            }
        }
        Method::ServiceCommand(_) | Method::PgCtl(_) => {
            let directory = server_control::configuration_directory(config);
            server_control::run(config, Action::Promote, directory, Action::Promote.default_limit())
                .await
                .map_err(|error| {
                    error
                        .with_exit_code(ExitCode::PromotionFail)
                        .hint("mend the command, or see the server's log for what keeps it from being promoted")
                })
        }
    }
}

/// Polls until the server is out of recovery, at most `promote_check_timeout`. Where the connection is lost,
/// only a server of the same `identity` takes its place: the address may have become another server's.
async fn wait_promoted(config: &Config, connection: &mut Connection, identity: Option<SystemIdentifier>) -> Result<()> {
    let limit = config.promote_check_timeout;
    notice!(
        "waiting up to {} seconds (parameter \"promote_check_timeout\") for promotion to complete",
        limit.as_secs()
    );
    let begin = Instant::now();
    loop {
        let state = connection.recovery_state().await;
        if matches!(state, Ok(RecoveryState::Primary)) {
            return Ok(());
        }
        if begin.elapsed() >= limit {
            return Err(still_no_primary(state, limit));
        }
        tokio::time::sleep(pause(begin.elapsed(), config.promote_check_interval)).await;
        if connection.is_closed() {
            reconnect(connection, identity).await;
        }
    }
}

/// Most promotions take a fraction of a second, in which nobody can write: looked at often in the first one.
fn pause(elapsed: Duration, interval: Duration) -> Duration {
    if elapsed < Duration::from_secs(1) {
        interval.min(Duration::from_millis(100))
    } else {
        interval
    }
}

fn still_no_primary(state: Result<RecoveryState, QueryError>, limit: Duration) -> Error {
    let seconds = limit.as_secs();
    match state {
        Ok(RecoveryState::Standby) => Error::new(
            ExitCode::PromotionFail,
            format!("STANDBY PROMOTE failed, the server is still a standby after {seconds} seconds"),
        )
        .hint("it may still be replaying; see its log, and \"promote_check_timeout\"")
        .hint("if it becomes primary later, run \"repmgr primary register --force\" on it"),
        Ok(_) => Error::new(
            ExitCode::DbConn,
            format!("unable to tell after {seconds} seconds whether the server was promoted"),
        )
        .hint("see the server's log; if it is primary, run \"repmgr primary register --force\" on it"),
        Err(error) => Error::new(
            ExitCode::DbConn,
            format!("the connection to the server was lost, and after {seconds} seconds it is not known whether it was promoted"),
        )
        .detail(error.to_string())
        .hint("see the server's log; if it is primary, run \"repmgr primary register --force\" on it"),
    }
}

/// One more try on a new connection: the promotion itself is done and must not go unrecorded.
async fn record(connection: &mut Connection, own: &NodeRecord) -> Result<(), QueryError> {
    if let Err(error) = nodes::set_primary(connection, own.node_id).await {
        if !connection.is_closed() {
            return Err(error);
        }
        reconnect(connection, None).await;
        return nodes::set_primary(connection, own.node_id).await;
    }
    Ok(())
}

async fn reconnect(connection: &mut Connection, identity: Option<SystemIdentifier>) {
    // If this fails too, the next query on the old connection says why.
    let Ok(new) = Connection::connect(connection.conninfo(), crate::postgres::Deadlines::default()).await else {
        return;
    };
    if let (Some(expected), Ok(found)) = (identity, new.system_identifier().await)
        && found != expected
    {
        crate::warning!("another server answers at the address of the server that is promoted");
        detail!("its system identifier is {found}, expected {expected}");
        return;
    }
    *connection = new;
}

/// The walsenders and slots that are free on a server, for the siblings that are to follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// `max_wal_senders` less those in use.
    pub walsenders: i64,
    /// `max_replication_slots` less the active physical ones.
    pub slots: i64,
}

/// Asks a server for its [`Capacity`].
pub async fn capacity(connection: &Connection) -> Result<Capacity, QueryError> {
    let sql = "SELECT pg_catalog.current_setting('max_wal_senders')::bigint \
               - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication), \
               pg_catalog.current_setting('max_replication_slots')::bigint \
               - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots \
                  WHERE active AND slot_type = 'physical')";
    let row = connection.query_one(sql, &[]).await?;
    Ok(Capacity {
        walsenders: row.get(0),
        slots: row.get(1),
    })
}

#[cfg(test)]
mod tests {
    use super::calls_itself;

    #[test]
    fn a_promote_command_that_calls_repmgr_again_is_recognised() {
        assert!(calls_itself("/usr/bin/repmgr -f /etc/repmgr.conf standby promote"));
        assert!(calls_itself("sh -c 'repmgr -f /etc/repmgr.conf standby promote'"));
        assert!(!calls_itself("sudo /usr/bin/pg_ctlcluster 15 main promote"));
        assert!(!calls_itself("pg_ctl -D /srv/repmgr/standby promote"));
    }
}
