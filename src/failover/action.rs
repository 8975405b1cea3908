//! What the daemon is to carry out. Nothing in here is carried out in this room.

use crate::exit_code::ExitCode;
use crate::types::NodeId;

use super::observation::Notification;

/// One thing to do. Those marked *(result)* take time: they run beside the loop, one of a kind at a time,
/// and their result comes back in [`super::Observation::finished`]. The others are done at once within
/// their own deadline; if one fails it is logged, and the next turns ask for it again where that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Raise an event.
    Announce(Announcement),
    /// `repmgr.reset_voting_status()` on the own server.
    ResetVotingStatus,
    /// `repmgr.set_upstream_last_seen()` on the own server.
    SetUpstreamLastSeen(NodeId),
    /// `repmgr.set_upstream_node_id()` on the own server.
    SetUpstreamNodeId(Option<NodeId>),
    /// Tell the own library again who it serves: node id and process id (after each return of the server and after a follow).
    RegisterDaemon,
    /// Publish process id -1, so that no other daemon elects this node while it will not act; `false` publishes the real one again.
    StandAside(bool),
    /// Run `promote_command` *(result)*. Its deadline is [`super::Settings::promote_timeout`].
    RunPromoteCommand,
    /// Run `follow_command` with this node for `%n` *(result)*.
    RunFollowCommand(NodeId),
    /// Run `failover_validation_command` *(result)*.
    RunValidation {
        /// `%n` and `%a`: the candidate, this node.
        candidate: NodeId,
        /// `%v`: nodes that were seen, this one included.
        visible: usize,
        /// `%u`: nodes that share the lost upstream, this one included.
        shared: usize,
        /// `%t`: all registered nodes.
        total: usize,
    },
    /// `repmgr.notify_follow_primary()` on these nodes, all at the same time.
    Notify {
        /// Whom.
        nodes: Vec<NodeId>,
        /// What.
        value: Notification,
    },
    /// Stop the own WAL receiver and keep it stopped *(result)*.
    StopWalReceiver,
    /// Undo [`Action::StopWalReceiver`]; harmless if it is not stopped.
    RestoreWalReceiver,
    /// `pg_wal_replay_resume()` on the own server *(result)*.
    ResumeReplay,
    /// On the own server, now the primary, in one transaction where possible: make the own record the one
    /// active primary if it is not already.
    RecordOwnPromotion,
    /// `repmgr.voting_term` one higher on the own server.
    IncrementVotingTerm,
    /// Set the own record's `active` on this node (the primary).
    RecordActive {
        /// The primary to write on.
        on: NodeId,
        /// The new value.
        active: bool,
        /// Raised afterwards, not successful if the change failed.
        event: Option<Announcement>,
    },
    /// On this primary: if the own record still says primary, make it an active standby with this primary as upstream *(result)*.
    BecomeStandby(NodeId),
    /// A cascaded standby has followed the primary: write this as the own upstream, on that node.
    RecordUpstream(NodeId),
    /// A witness adopts this primary: write it as the own upstream on it, copy all records from it *(result)*.
    AdoptPrimary(NodeId),
    /// End the daemon.
    Exit(ExitCode),
}

/// Where an event's row is written. The event command runs in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// No row.
    Nowhere,
    /// On the own server.
    Local,
    /// On this node.
    On(NodeId),
}

/// An event to be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The event's name, as in `repmgr.events`.
    pub event: &'static str,
    /// Whether it tells of a success.
    pub successful: bool,
    /// Where its row goes.
    pub to: Where,
    /// `%d`.
    pub details: String,
    /// `%p`.
    pub other: Option<NodeId>,
}
