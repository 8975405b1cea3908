//! What the daemon saw in one turn. Plain values; nothing in here was decided.

use std::time::Duration;

use crate::metadata::NodeRecord;
pub use crate::metadata::functions::Notification;
pub use crate::types::ConnectFailure;
use crate::types::{Lsn, NodeId, NodeType, RecoveryState, TimelineId};

/// An answer that may be missing. Unknown is never taken for no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It was not asked, or there was no answer.
    #[default]
    Unknown,
}

impl From<Option<bool>> for Answer {
    fn from(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Answer::Yes,
            Some(false) => Answer::No,
            None => Answer::Unknown,
        }
    }
}

/// The part of a node's record that decisions need. Holds no connection string, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// What it is registered as.
    pub node_type: NodeType,
    /// The node it is registered to follow.
    pub upstream: Option<NodeId>,
    /// Whether it takes part.
    pub active: bool,
    /// Where it is.
    pub location: String,
    /// Higher is preferred among equally advanced nodes; 0 and below is never promoted.
    pub priority: i32,
}

impl Node {
    /// `node "NAME" (ID: N)`.
    pub fn title(&self) -> String {
        format!("node \"{}\" (ID: {})", self.name, self.id)
    }
}

impl From<&NodeRecord> for Node {
    fn from(record: &NodeRecord) -> Self {
        Node {
            id: record.node_id,
            name: record.node_name.clone(),
            node_type: record.node_type,
            upstream: record.upstream_node_id,
            active: record.active,
            location: record.location.clone(),
            priority: record.priority,
        }
    }
}

/// The answer to one probe of the upstream: up (with what it says of itself, if that was asked), or the
/// kind of "no". A query on a kept connection that met its deadline is [`ConnectFailure::Silent`].
pub type Probe = Result<RecoveryState, ConnectFailure>;

/// The end of a probe, given once, in the first turn after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeEnd {
    /// Whom it asked.
    pub node: NodeId,
    /// When it was started.
    pub started: Duration,
    /// What it found.
    pub answer: Probe,
}

/// What a probe is evidence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It serves.
    Up,
    /// A server is there and does not let this node in: no login, no free connection. Its replication may
    /// be in perfect health, so this never counts towards a failover.
    RefusesUs,
    /// Nothing serves there: refused, silent, unreachable, or starting up or shutting down.
    Down,
    /// This says nothing about the server: its name has no address, or the connection string is not usable.
    Unknown,
}

/// The verdict on a probe.
pub fn verdict(probe: &Probe) -> Verdict {
    match probe {
        Ok(_) => Verdict::Up,
        Err(ConnectFailure::Authentication | ConnectFailure::TooManyConnections | ConnectFailure::Other) => {
            Verdict::RefusesUs
        }
        Err(
            ConnectFailure::Refused | ConnectFailure::Silent | ConnectFailure::Transport | ConnectFailure::NotAccepting,
        ) => Verdict::Down,
        Err(ConnectFailure::NameNotResolved | ConnectFailure::BadParameters) => Verdict::Unknown,
    }
}

/// The verdict in a person's words, for reasons.
pub fn describe(probe: &Probe) -> &'static str {
    match probe {
        Ok(RecoveryState::Standby) => "is up and in recovery",
        Ok(_) => "is up",
        Err(ConnectFailure::Refused) => "refuses connections",
        Err(ConnectFailure::Silent) => "is silent",
        Err(ConnectFailure::NameNotResolved) => "has a host name without an address",
        Err(ConnectFailure::Authentication) => "is there but refuses the login",
        Err(ConnectFailure::TooManyConnections) => "is there but has no free connection",
        Err(ConnectFailure::NotAccepting) => "is starting up or shutting down",
        Err(ConnectFailure::Transport) => "cannot be reached",
        Err(ConnectFailure::BadParameters) => "has a connection string that cannot be used",
        Err(ConnectFailure::Other) => "is there but answers with an error",
    }
}

/// The own server, asked this turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// [`RecoveryState::Unknown`] if it did not answer in time.
    pub recovery: RecoveryState,
    /// `pg_last_wal_receive_lsn()`; `None` if it is NULL or unread (counts as 0/0).
    pub receive_lsn: Option<Lsn>,
    /// Whether WAL replay is paused.
    pub replay_paused: Answer,
    /// How much later it applies WAL on purpose (`recovery_min_apply_delay`); zero if it does not, or if it is unread.
    pub apply_delay: Duration,
    /// Age of the last message that its WAL receiver got (`pg_stat_wal_receiver.last_msg_receipt_time`);
    /// `None` without one that streams or without the right to see it.
    pub wal_message_age: Option<Duration>,
    /// `repmgr.get_new_primary()`.
    pub notification: Option<Notification>,
    /// `repmgr.repmgrd_is_paused()`.
    pub paused: Answer,
    /// The term in `repmgr.voting_term`; `None` if the row is missing or could not be read.
    pub voting_term: Option<i32>,
    /// Whether its library knows this node and this daemon's process; it forgets at each restart of the server.
    pub registered: Answer,
    /// Whether it has the library, without which daemons of the original can neither ask nor tell it.
    pub library: Answer,
}

impl Local {
    /// What is known of a server that does not answer: nothing.
    pub fn silent() -> Self {
        Local {
            recovery: RecoveryState::Unknown,
            receive_lsn: None,
            replay_paused: Answer::Unknown,
            apply_delay: Duration::ZERO,
            wal_message_age: None,
            notification: None,
            paused: Answer::Unknown,
            voting_term: None,
            registered: Answer::Unknown,
            library: Answer::Unknown,
        }
    }
}

/// What one other node answered this turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub node: NodeId,
    /// Whether there is a connection to it, and else what kind of "no" there was.
    pub reached: Result<(), ConnectFailure>,
    /// Whether its library knows a daemon: `get_repmgrd_pid()` is neither NULL nor -1. All that the original looks at.
    pub daemon_registered: Answer,
    /// Whether that process lives (`repmgrd_is_running()`).
    pub daemon_running: Answer,
    /// Whether that daemon is paused (`repmgrd_is_paused()`).
    pub daemon_paused: Answer,
    /// Whether that daemon is the original's: registered without what ours leaves on its server.
    pub daemon_is_original: Answer,
    /// Whether its server has the library.
    pub library: Answer,
    /// `pg_is_in_recovery()`; unknown if its status could not be read.
    pub recovery: RecoveryState,
    /// `pg_last_wal_receive_lsn()`; `None` if NULL.
    pub receive_lsn: Option<Lsn>,
    /// Whether its WAL replay is paused.
    pub replay_paused: Answer,
    /// How much later it applies WAL on purpose; zero if it does not, or if it is unread.
    pub apply_delay: Duration,
    /// Its timeline, if asked.
    pub timeline: Option<TimelineId>,
    /// `get_upstream_last_seen()`, seconds; `None` if never.
    pub upstream_last_seen: Option<Duration>,
    /// `get_upstream_node_id()`.
    pub upstream: Option<NodeId>,
    /// Whether its WAL receiver runs (`get_wal_receiver_pid()` > 0).
    pub wal_receiver: Answer,
    /// Only for a node out of recovery while the own server is a standby: whether the own server can follow
    /// it (same system identifier, own WAL not past the point where the timelines part).
    pub followable: Answer,
}

impl Seen {
    /// A node that could not be reached.
    pub fn unreachable(node: NodeId, failure: ConnectFailure) -> Self {
        Seen {
            node,
            reached: Err(failure),
            daemon_registered: Answer::Unknown,
            daemon_running: Answer::Unknown,
            daemon_paused: Answer::Unknown,
            daemon_is_original: Answer::Unknown,
            library: Answer::Unknown,
            recovery: RecoveryState::Unknown,
            receive_lsn: None,
            replay_paused: Answer::Unknown,
            apply_delay: Duration::ZERO,
            timeline: None,
            upstream_last_seen: None,
            upstream: None,
            wal_receiver: Answer::Unknown,
            followable: Answer::Unknown,
        }
    }
}

/// How a command of the user's ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this exit code.
    Exited(i32),
    /// By this signal. Never success.
    Signalled(i32),
    /// It was ended at its deadline.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

impl CommandEnd {
    /// Whether it exited with 0.
    pub fn succeeded(&self) -> bool {
        *self == CommandEnd::Exited(0)
    }
}

impl std::fmt::Display for CommandEnd {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CommandEnd::Exited(code) => write!(formatter, "ended with exit code {code}"),
            CommandEnd::Signalled(signal) => write!(formatter, "was killed by signal {signal}"),
            CommandEnd::TimedOut => write!(formatter, "was ended at its deadline"),
            CommandEnd::NotStarted => write!(formatter, "could not be started"),
        }
    }
}

/// The result of an action that takes time, given once, in the first turn after it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// Of [`super::Action::RunPromoteCommand`].
    PromoteCommand(CommandEnd),
    /// Of [`super::Action::RunFollowCommand`].
    FollowCommand(CommandEnd),
    /// Of [`super::Action::RunValidation`].
    Validation(CommandEnd),
    /// Of [`super::Action::StopWalReceiver`]: whether it is stopped now.
    WalReceiverStopped(bool),
    /// Of [`super::Action::ResumeReplay`]: whether that worked.
    ReplayResumed(bool),
    /// Of [`super::Action::BecomeStandby`].
    BecameStandby(RecordChange),
    /// Of [`super::Action::AdoptPrimary`].
    PrimaryAdopted(RecordChange),
    /// Of [`super::Action::Notify`]: nodes whose servers have taken it in.
    Told(Vec<NodeId>),
}

/// How a change of the own record on the primary ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordChange {
    /// It is written.
    Done,
    /// The primary has no record of this node.
    RecordMissing,
    /// There was no answer, or an error.
    Failed,
}

/// Everything that one turn gathered. What was not asked is absent, not negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Monotonic time since the daemon's start, at the moment when the gathering was complete.
    pub now: Duration,
    /// The own server.
    pub local: Local,
    /// All of `repmgr.nodes` as the own server shows it; `None` if it could not be read (the last copy is used).
    pub nodes: Option<Vec<Node>>,
    /// The own record as the primary shows it, if there is a connection to it and it was read.
    pub own_record_on_primary: Option<Node>,
    /// When this turn started a probe of [`super::Needs::upstream`], if that asked for one.
    pub started: Option<Duration>,
    /// The probes that ended since the last turn, in the order of their ends.
    pub probes: Vec<ProbeEnd>,
    /// The answers of [`super::Needs::ask`], in any order.
    pub others: Vec<Seen>,
    /// Results of actions that ended since the last turn.
    pub finished: Vec<Finished>,
    /// Whether the daemon itself stood still since the last turn, for so long that its answers may be out of date.
    pub stood_still: bool,
    /// Whether this node may be promoted as far as the right to write goes.
    pub right: Right,
}

/// How the right to write stands at this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Right {
    /// The cluster does without.
    #[default]
    NotNeeded,
    /// It is held, and the own server knows until when.
    Held,
    /// It is not held; why.
    Missing(String),
    /// It must not be held here, as acknowledged commits may be elsewhere; why.
    Barred(String),
}

impl Observation {
    /// What a node answered this turn.
    pub fn of(&self, node: NodeId) -> Option<&Seen> {
        self.others.iter().find(|seen| seen.node == node)
    }
}
