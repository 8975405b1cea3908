//! Events: what happened to which node, in the table `repmgr.events` and told
//! to `event_notification_command`.
//!
//! Neither a row that cannot be written nor a command that fails ever changes
//! what the program does or how it ends.

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::Config;
use crate::metadata::{self, NodeRecord};
use crate::placeholders::{self, EventValues};
use crate::postgres::Connection;
use crate::process;
use crate::types::{NodeId, RecoveryState};

/// `event_notification_command` is ended, with all it started, after so long.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);

macro_rules! events {
    ($($program:literal { $($variant:ident = $name:literal, $by:literal, $meaning:literal;)+ })+) => {
        /// The events there are. Names are the original's; scripts rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventName { $($(#[doc = $meaning] $variant,)+)+ }

        impl EventName {
            /// All of them, in the manual's order.
            pub const ALL: &[EventName] = &[$($(EventName::$variant,)+)+];

            /// The name in the table and in `event_notifications`.
            pub fn as_str(self) -> &'static str { match self { $($(EventName::$variant => $name,)+)+ } }

            /// The program that emits it.
            pub fn program(self) -> &'static str { match self { $($(EventName::$variant => $program,)+)+ } }

            /// The commands or the node types that emit it.
            pub fn emitted_by(self) -> &'static str { match self { $($(EventName::$variant => $by,)+)+ } }

            /// One sentence for the manual.
            pub fn meaning(self) -> &'static str { match self { $($(EventName::$variant => $meaning,)+)+ } }
        }
    };
}

events! {
    "repmgr" {
        ClusterCreated = "cluster_created", "primary register, witness register", "The extension was created on this node.";
        PrimaryRegister = "primary_register", "primary register", "The primary was registered, or could not be.";
        PrimaryUnregister = "primary_unregister", "primary unregister", "A primary's record was removed; `%n` is the node that ran the command.";
        StandbyClone = "standby_clone", "standby clone", "A standby was cloned; failure: its replication slot could not be created.";
        StandbyRegister = "standby_register", "standby register", "The standby was registered, or could not be.";
        StandbyRegisterSync = "standby_register_sync", "standby register --wait-sync", "The standby's own copy of its record arrived, or did not in time.";
        StandbyUnregister = "standby_unregister", "standby unregister", "A standby's record was removed; `%n` is that standby.";
        StandbyPromote = "standby_promote", "standby promote, standby switchover", "The standby was promoted; failure: it was, and its record could not be updated.";
        StandbyFollow = "standby_follow", "standby follow", "The standby follows another node, or could not; `%p` `%a` `%c` are the node to follow.";
        StandbySwitchover = "standby_switchover", "standby switchover", "Primary and standby changed places; `%p` is the former primary.";
        WitnessRegister = "witness_register", "witness register", "The witness was registered.";
        WitnessUnregister = "witness_unregister", "witness unregister", "A witness's record was removed; `%n` is that witness.";
        NodeRejoin = "node_rejoin", "node rejoin", "A former primary joined the cluster again, or could not.";
        ClusterCleanup = "cluster_cleanup", "cluster cleanup", "Monitoring history was deleted, or could not be.";
    }
    "repmgrd" {
        RepmgrdStart = "repmgrd_start", "primary, standby, witness", "The daemon began to watch; failure: the node's record does not allow it.";
        RepmgrdReload = "repmgrd_reload", "primary", "The daemon began to watch a primary again, as after its promotion.";
        RepmgrdShutdown = "repmgrd_shutdown", "primary, standby, witness", "The daemon ends: by a signal, or because it was degraded for too long.";
        RepmgrdLocalDisconnect = "repmgrd_local_disconnect", "primary", "The own server cannot be reached.";
        RepmgrdLocalReconnect = "repmgrd_local_reconnect", "primary", "The own server can be reached again.";
        RepmgrdStandbyReconnect = "repmgrd_standby_reconnect", "former primary", "The node came back as a standby.";
        RepmgrdUpstreamDisconnect = "repmgrd_upstream_disconnect", "standby, witness", "The upstream cannot be reached.";
        RepmgrdUpstreamReconnect = "repmgrd_upstream_reconnect", "standby, witness", "The upstream can be reached again.";
        StandbyFailure = "standby_failure", "standby, witness", "The own server cannot be reached, and the record was marked inactive; failure: it could not be marked.";
        StandbyRecovery = "standby_recovery", "standby, witness", "The own server can be reached again, and the record was marked active.";
        RepmgrdFailoverPromote = "repmgrd_failover_promote", "standby", "The daemon promoted this node; `%p` is the failed primary.";
        RepmgrdPromoteError = "repmgrd_promote_error", "standby", "promote_command failed and the old primary is not back.";
        RepmgrdFailoverAbort = "repmgrd_failover_abort", "standby", "promote_command failed and the old primary is back.";
        RepmgrdFailoverAborted = "repmgrd_failover_aborted", "standby", "follow_command failed and the old primary is back.";
        RepmgrdFailoverFollow = "repmgrd_failover_follow", "standby, witness", "The daemon made this node follow another one, or could not.";
        StandbyDisconnectManual = "standby_disconnect_manual", "standby with failover=manual", "The node was left without upstream after a failover elsewhere.";
        ChildNodeDisconnect = "child_node_disconnect", "primary", "A node is not attached any more.";
        ChildNodeReconnect = "child_node_reconnect", "primary", "A node is attached again.";
        ChildNodeNewConnect = "child_node_new_connect", "primary", "A node is attached for the first time.";
        ChildNodesDisconnectCommand = "child_nodes_disconnect_command", "primary", "child_nodes_disconnect_command was run; failure: it ended with another code than 0.";
        WriteRightAcquired = "write_right_acquired", "primary", "This node holds the right to write, in a new epoch; `%p` is who had it before.";
        WriteRightRenewalFailed = "write_right_renewal_failed", "primary", "A renewal found no majority; the right ends when its time is over.";
        WriteRightLapsed = "write_right_lapsed", "primary", "The right ended without a renewal: the server commits nothing any more.";
        WriteRightServerStopped = "write_right_server_stopped", "primary", "The daemon stopped the local primary: another node was promoted with the right since (`%p`), or its library is not loaded; failure: it still runs.";
        WriteRightReleased = "write_right_released", "primary", "The right was given back, the server being gone.";
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    name: EventName,
    node_id: NodeId,
    successful: bool,
    details: Option<String>,
    other_id: Option<NodeId>,
    other_name: String,
    other_conninfo: String,
}

impl Event {
    /// A success without details.
    pub fn new(name: EventName, node_id: NodeId) -> Self {
        Event {
            name,
            node_id,
            successful: true,
            details: None,
            other_id: None,
            other_name: String::new(),
            other_conninfo: String::new(),
        }
    }

    /// Whether it went well.
    #[must_use]
    pub fn successful(mut self, successful: bool) -> Self {
        self.successful = successful;
        self
    }

    /// What there is to say about it. Without this the table gets NULL.
    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The other node that it has to do with: `%p`, `%a` and `%c`.
    #[must_use]
    pub fn about(mut self, other: &NodeRecord) -> Self {
        self.other_id = Some(other.node_id);
        self.other_name = other.node_name.clone();
        self.other_conninfo = other.conninfo.clone();
        self
    }

    /// The other node, of which only `%p` is told.
    #[must_use]
    pub fn other_id(mut self, other: NodeId) -> Self {
        self.other_id = Some(other);
        self
    }
}

/// Writes the event's row, if `connection` leads to a server that is not in recovery, and then runs
/// `event_notification_command`, if it is set and wanted for this event. Never fails: what goes wrong is a WARNING.
pub async fn emit(connection: Option<&Connection>, config: &Config, event: Event) {
    let recorded = match connection {
        Some(connection) if !connection.is_closed() => record(connection, &event).await,
        _ => None,
    };
    let timestamp = recorded.unwrap_or_else(local_timestamp);
    notify(config, &event, &timestamp, COMMAND_LIMIT).await;
}

/// The row's timestamp, if a row was written.
async fn record(connection: &Connection, event: &Event) -> Option<String> {
    let written = async {
        if connection.recovery_state().await? != RecoveryState::Primary {
            return Ok(None);
        }
        let name = event.name.as_str();
        metadata::events::insert(
            connection,
            event.node_id,
            name,
            event.successful,
            event.details.as_deref(),
        )
        .await
        .map(Some)
    };
    match written.await {
        Ok(timestamp) => timestamp,
        Err(error) => {
            crate::warning!("could not write event \"{}\" to the events table", event.name.as_str());
            crate::detail!("{error}");
            None
        }
    }
}

/// Local time in the form that stands in for the server's.
fn local_timestamp() -> String {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S%z").to_string()
}

/// The command that is to be run for an event, if any.
fn command(config: &Config, event: &Event, timestamp: &str) -> Option<String> {
    if config.event_notification_command.is_empty() {
        return None;
    }
    let name = event.name.as_str();
    let wanted = &config.event_notifications;
    if !wanted.is_empty() && !wanted.iter().any(|event| event == name) {
        crate::debug!("event \"{name}\" is not in event_notifications, no command is run for it");
        return None;
    }
    let values = EventValues {
        node_id: event.node_id,
        event: name,
        successful: event.successful,
        timestamp,
        details: event.details.as_deref().unwrap_or_default(),
        other_id: event.other_id,
        other_name: &event.other_name,
        other_conninfo: &event.other_conninfo,
    };
    Some(placeholders::event_notification_command(
        &config.event_notification_command,
        &values,
    ))
}

async fn notify(config: &Config, event: &Event, timestamp: &str, limit: Duration) {
    let Some(command) = command(config, event, timestamp) else {
        return;
    };
    let name = event.name.as_str();
    crate::info!("running event_notification_command for event \"{name}\"");
    // Not the expanded command: %c may hold a password.
    crate::detail!("{}", config.event_notification_command);
    let problem = match process::run_shell(&command, limit).await {
        Ok(status) if status.success() => return,
        Ok(status) => status.to_string(),
        // Its text would show the expanded command.
        Err(process::ProcessError::TimedOut { .. }) => format!("still running after {limit:?}, it was ended"),
        Err(process::ProcessError::NotStarted { source, .. } | process::ProcessError::Io { source, .. }) => {
            source.to_string()
        }
    };
    crate::warning!("event_notification_command failed for event \"{name}\"");
    crate::detail!("{problem}");
}

/// The manual's chapter.
pub fn manual() -> String {
    let mut text = String::from(
        "# Events\n\n\
         <!-- Generated from src/events.rs; UPDATE_GENERATED=1 cargo test --test generated -->\n\n\
         What happens to a node is recorded in the table `repmgr.events` and told to\n\
         `event_notification_command`. `repmgr cluster event` shows the table.\n\n\
         The row is written on the primary; if there is no connection to one, there is no\n\
         row, but the command is run all the same. `event_notifications` lists the events\n\
         for which the command is run; if it is empty, that is all of them. The table gets\n\
         every event.\n\n",
    );
    let _ = write!(
        text,
        "The command is run by `/bin/sh`, its output goes to the log, and it is ended with\n\
         everything it started after {} seconds. The program waits for it: a command with\n\
         longer work should start that in the background. A command that fails is a\n\
         WARNING in the log and nothing else.\n",
        COMMAND_LIMIT.as_secs()
    );
    for program in ["repmgr", "repmgrd"] {
        let heading = if program == "repmgr" {
            "Emitted by"
        } else {
            "Emitted on"
        };
        let _ = write!(
            text,
            "\n## {program}\n\n| Event | {heading} | Meaning |\n|---|---|---|\n"
        );
        for event in EventName::ALL.iter().filter(|event| event.program() == program) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} |",
                event.as_str(),
                event.emitted_by(),
                event.meaning()
            );
        }
    }
    text.push_str("\n## Placeholders\n\n");
    text.push_str(&placeholders::manual_table("event_notification_command"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(command: &str, events: &[&str]) -> Config {
        Config {
            event_notification_command: command.to_owned(),
            event_notifications: events.iter().map(|&event| event.to_owned()).collect(),
            ..Config::default()
        }
    }

    fn other() -> NodeRecord {
        NodeRecord {
            node_id: NodeId(1),
            upstream_node_id: None,
            active: true,
            node_name: "n1".to_owned(),
            node_type: crate::types::NodeType::Primary,
            location: "default".to_owned(),
            priority: 100,
            conninfo: "host=n1".to_owned(),
            repluser: String::new(),
            slot_name: None,
            config_file: String::new(),
        }
    }

    #[test]
    fn names_are_there_once() {
        for (index, event) in EventName::ALL.iter().enumerate() {
            assert!(
                EventName::ALL[..index]
                    .iter()
                    .all(|other| other.as_str() != event.as_str())
            );
        }
        assert_eq!(EventName::ALL.len(), 34 + 5);
    }

    #[test]
    fn the_filter_is_exact_and_empty_means_all() {
        let event = Event::new(EventName::RepmgrdFailoverAbort, NodeId(2));
        let wanted = |config: Config| command(&config, &event, "").is_some();
        assert!(wanted(config("x", &[])));
        assert!(wanted(config("x", &["repmgrd_start", "repmgrd_failover_abort"])));
        assert!(!wanted(config("x", &["repmgrd_failover_aborted"])));
        assert!(!wanted(config("x", &["Repmgrd_failover_abort"])));
        assert!(!wanted(config("", &[])));
    }

    #[test]
    fn the_command_gets_what_happened() {
        let event = Event::new(EventName::StandbyFollow, NodeId(2))
            .successful(false)
            .details("x \"y\"");
        let expanded = |event: &Event| command(&config("%n %e %s %t %d %p,%a,%c", &[]), event, "now").unwrap();
        assert_eq!(expanded(&event), "2 standby_follow 0 now x \\\"y\\\" ,,");
        assert_eq!(
            expanded(&event.clone().about(&other())),
            "2 standby_follow 0 now x \\\"y\\\" 1,n1,host=n1"
        );
        assert_eq!(
            expanded(&event.other_id(NodeId(9))),
            "2 standby_follow 0 now x \\\"y\\\" 9,,"
        );
    }

    #[tokio::test]
    async fn without_a_connection_the_command_is_run_with_local_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("event");
        let config = config(&format!("echo '%e %t' > '{}'", file.display()), &[]);
        emit(None, &config, Event::new(EventName::RepmgrdStart, NodeId(1))).await;
        let text = std::fs::read_to_string(file).unwrap();
        let shape: String = text
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect::<String>()
            .replace('-', "+");
        assert_eq!(shape, "repmgrd_start 0000+00+00 00:00:00+0000\n");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_and_one_that_fails_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("late");
        let event = Event::new(EventName::RepmgrdStart, NodeId(1));
        let config = config(&format!("sleep 1000; touch '{}'", file.display()), &[]);
        let start = std::time::Instant::now();
        notify(&config, &event, "", Duration::from_millis(100)).await;
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(!file.exists());
        notify(&self::config("exit 3", &[]), &event, "", Duration::from_secs(20)).await;
    }
}
