//! What a daemon remembers from one turn to the next.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::types::{NodeId, NodeType};

use super::action::Action;
use super::alarms::Alarm;
use super::attempts::Attempts;
use super::election::Tally;
use super::observation::{CommandEnd, Node, Notification};
use super::rules::Rule;

/// Everything a daemon remembers. Nothing of it outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// This node.
    pub own: NodeId,
    /// What it does.
    pub mode: Mode,
    /// The last copy of `repmgr.nodes` that was read.
    pub nodes: Vec<Node>,
    /// The node that is watched; `None` in primary mode and while none is known.
    pub upstream: Option<NodeId>,
    /// The upstream in the own record when the upstream was chosen; only a *change* of the record moves the daemon.
    pub recorded_upstream: Option<NodeId>,
    /// The probes of the upstream.
    pub attempts: Attempts,
    /// When the upstream was last seen up.
    pub last_up: Option<Duration>,
    /// When the upstream was lost, that is, when its loss was announced.
    pub lost_at: Option<Duration>,
    /// Since when monitoring is degraded; kept through elections until the upstream is there again.
    pub degraded_since: Option<Duration>,
    /// The own server, in standby and witness mode.
    pub local: LocalServer,
    /// When the own record was last asked to be made active.
    pub activation_asked: Option<Duration>,
    /// Whether `repmgrd_start` was announced.
    pub start_announced: bool,
    /// A notification that came while the upstream was there, and when it was first seen.
    pub early_notification: Option<(Notification, Duration)>,
    /// Elected nodes that did not act, not to be elected again before the upstream is back.
    pub passed_over: BTreeSet<NodeId>,
    /// A node that became the primary since the upstream was lost, by its own answer or by its word. The cluster has
    /// moved on then: a standby that did not follow must not be promoted in its place.
    pub successor: Option<NodeId>,
    /// The node that was last elected here, and when it was first named.
    pub waited_for: Option<(NodeId, Duration)>,
    /// Since when other daemons can see that this node may be elected.
    pub electable_since: Option<Duration>,
    /// The better nodes whose place this one is about to take.
    pub overtaking: Option<Overtaking>,
    /// How often the own promotion failed since the upstream was lost, and when it failed last.
    pub failed_promotions: Option<(u32, Duration)>,
    /// When a node may be followed again after a follow that failed.
    pub follow_again: Option<Duration>,
    /// Whether process id -1 is published in place of the own one.
    pub standing_aside: bool,
    /// Whether the own WAL receiver is being held stopped.
    pub receiver_stopped: bool,
    /// Whether the cluster has the right to write: then no two primaries acknowledge commits.
    pub guarded: bool,
    /// Whether the WAL replay was asked to resume in this election, and has not or did not.
    pub resume: Resume,
    /// What only a person can put right.
    pub alarms: BTreeSet<Alarm>,
    /// When it was last looked whether another node is a primary, too, while all is well here.
    pub looked_around: Option<Duration>,
}

/// Better nodes that seem unable to act, and whose place this one is about to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overtaking {
    /// Which ones.
    pub nodes: BTreeSet<NodeId>,
    /// Those of them that hold back when they are told to vote again, as originals do not.
    pub holding: Vec<NodeId>,
    /// Those of them whose servers have not taken the word in yet.
    pub untold: Vec<NodeId>,
    /// When that was announced to them; once all have heard it, since when.
    pub since: Duration,
    /// When they were last told to hold back, which they do only for a while.
    pub told: Duration,
}

/// How resuming a paused replay goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Not asked.
    NotAsked,
    /// Asked, no answer yet.
    Asked,
    /// It was asked and said to be done.
    Done,
    /// It did not work.
    Failed,
}

/// The own server of a standby or witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalServer {
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// Since when.
        since: Duration,
        /// Whether the own record was made inactive.
        announced: bool,
    },
}

/// What a daemon does: chosen by the type in the own record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Nothing yet.
    Starting,
    /// Watches the own server, a primary.
    Primary(PrimaryPhase),
    /// Watches the upstream of the own server.
    Standby(Phase),
    /// Watches the primary, and takes part in majorities.
    Witness(Phase),
}

/// Phases of a primary's daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrimaryPhase {
    /// The own server answers and is a primary.
    Normal,
    /// The own server does not answer; it is tried each turn.
    Reconnecting {
        /// When to give it up.
        until: Duration,
    },
    /// The own server did not answer in time; it is watched further.
    Degraded,
    /// The own server is a standby now; its primary is searched.
    Searching,
    /// The own server is a standby of this node now; the record is being changed there.
    Joining {
        /// The new primary.
        primary: NodeId,
        /// When to search again.
        until: Duration,
    },
}

/// Phases of a standby's or witness's daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// An upstream is looked up and connected to.
    Entering {
        /// Whether to search a live primary, whatever the own record says.
        search: bool,
        /// When to give up and be degraded.
        until: Duration,
    },
    /// The upstream is there.
    Normal,
    /// The upstream is lost; it is tried.
    Reconnecting,
    /// The WAL receivers are being stopped before an election.
    StoppingReceivers {
        /// Whether the own one has been dealt with.
        own_done: bool,
        /// When to go on in any case.
        until: Duration,
    },
    /// The siblings are asked; the next turn decides.
    Electing {
        /// Not before this.
        not_before: Duration,
    },
    /// This node won; the validation command runs.
    Validating {
        /// The votes.
        tally: Tally,
        /// When to give it up.
        until: Duration,
    },
    /// This node won and is being promoted.
    Promoting(Promotion),
    /// Another node is to be promoted; its word is awaited.
    Waiting {
        /// Which one, if it is known.
        winner: Option<NodeId>,
        /// Until when.
        until: Duration,
    },
    /// Another node is being followed.
    Following(Follow),
    /// The election is to be run again.
    VotingAgain {
        /// When.
        at: Duration,
    },
    /// The upstream is not there and there is nothing to be done now; looks for a way out each turn.
    Degraded {
        /// Why.
        cause: Cause,
        /// When to vote, or to follow the primary, again.
        again: Duration,
    },
}

/// Steps of an own promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// `promote_delay`.
    Delayed {
        /// Until when.
        until: Duration,
    },
    /// The right to write is being acquired, where a cluster has it.
    Acquiring {
        /// How long it is tried.
        until: Duration,
    },
    /// The command runs.
    Running {
        /// Since when.
        since: Duration,
    },
    /// The command ended; the server's recovery state is awaited.
    Verifying {
        /// How the command ended.
        end: CommandEnd,
        /// How long the server may still be in recovery.
        until: Duration,
    },
}

/// A follow on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follow {
    /// Whom.
    pub target: NodeId,
    /// Whether the lost upstream was a standby: the target then has to be told.
    pub cascaded: bool,
    /// How far it is.
    pub step: FollowStep,
}

/// Steps of a follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowStep {
    /// The target is asked whether it is a primary.
    Checking {
        /// Until when.
        until: Duration,
    },
    /// The command (of a witness: the change of its record) runs.
    Running {
        /// When to give up waiting for its end.
        until: Duration,
    },
    /// The own server is awaited.
    AwaitingServer {
        /// Until when.
        until: Duration,
    },
}

/// Why monitoring is degraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No upstream is known or can be found.
    NoUpstream,
    /// The upstream was not there when monitoring began.
    UpstreamNotThere,
    /// The upstream is there and does not let this node in.
    RefusesUs,
    /// Nothing can be said about the upstream.
    Unknown,
    /// Failover is paused here.
    Paused,
    /// `failover=manual`.
    Manual,
    /// The own server does not answer.
    LocalServer,
    /// The election was cancelled: no majority, no node of the primary's location, or the primary is still seen.
    Cancelled,
    /// This node is no candidate, and nobody else was elected or acted.
    NoWinner,
    /// The elected node gave no word in time.
    NoWord,
    /// The own promotion failed.
    PromotionFailed,
    /// A primary is known and could not be followed.
    FollowFailed,
    /// The own server is out of recovery, which no record says.
    OutOfRecovery,
}

impl Cause {
    /// All of them, in the order of the manual.
    pub const ALL: &[Cause] = &[
        Cause::NoUpstream,
        Cause::UpstreamNotThere,
        Cause::RefusesUs,
        Cause::Unknown,
        Cause::Paused,
        Cause::Manual,
        Cause::LocalServer,
        Cause::Cancelled,
        Cause::NoWinner,
        Cause::NoWord,
        Cause::PromotionFailed,
        Cause::FollowFailed,
        Cause::OutOfRecovery,
    ];

    /// The reason for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Cause::NoUpstream => "no upstream is known and no primary can be found",
            Cause::UpstreamNotThere => "the upstream is not there",
            Cause::RefusesUs => "the upstream is there but does not let this node in",
            Cause::Unknown => "nothing can be said about the upstream",
            Cause::Paused => "failover is paused on this node",
            Cause::Manual => "failover is set to manual on this node",
            Cause::LocalServer => "the local server does not answer",
            Cause::Cancelled => "the election was cancelled",
            Cause::NoWinner => "no node can be elected",
            Cause::NoWord => "the elected node gave no word",
            Cause::PromotionFailed => "the promotion of this node failed",
            Cause::FollowFailed => "the primary could not be followed",
            Cause::OutOfRecovery => "the local server is out of recovery, and its record does not say so",
        }
    }
}

/// What one turn decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// By which rule.
    pub rule: Rule,
    /// Why, in one sentence with the numbers.
    pub reason: String,
    /// What to do, in this order.
    pub actions: Vec<Action>,
    /// What to remember.
    pub next: State,
    /// When the next turn is due at the latest. A result or a signal makes it due at once.
    pub wake_at: Duration,
}

impl State {
    /// A daemon that has just started.
    pub fn new(own: NodeId) -> Self {
        State {
            own,
            mode: Mode::Starting,
            nodes: Vec::new(),
            upstream: None,
            recorded_upstream: None,
            attempts: Attempts::default(),
            last_up: None,
            lost_at: None,
            degraded_since: None,
            local: LocalServer::Up,
            activation_asked: None,
            start_announced: false,
            early_notification: None,
            passed_over: BTreeSet::new(),
            successor: None,
            waited_for: None,
            electable_since: None,
            overtaking: None,
            failed_promotions: None,
            follow_again: None,
            standing_aside: false,
            receiver_stopped: false,
            guarded: false,
            resume: Resume::NotAsked,
            alarms: BTreeSet::new(),
            looked_around: None,
        }
    }

    /// The record of a node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// `node "NAME" (ID: N)`, also for a node without a record.
    pub fn title(&self, id: NodeId) -> String {
        self.node(id).map_or_else(|| format!("node (ID: {id})"), Node::title)
    }

    /// The active records that name `upstream` as theirs, without the own one, by id; witness included.
    pub fn siblings(&self, upstream: NodeId) -> Vec<NodeId> {
        let mut ids: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|node| node.active && node.id != self.own && node.upstream == Some(upstream))
            .map(|node| node.id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// In whose place alone this node may be promoted, where the right to write is granted: one that never saw its upstream
    /// cannot know whether another node took that one's place. `None`: it saw it.
    pub fn in_place_of(&self) -> Option<NodeId> {
        self.upstream.filter(|_| self.last_up.is_none())
    }

    /// The active record of type primary.
    pub fn recorded_primary(&self) -> Option<NodeId> {
        self.nodes
            .iter()
            .find(|node| node.active && node.node_type == NodeType::Primary)
            .map(|node| node.id)
    }

    /// The primary to write on: the upstream if it is one, else the recorded one.
    pub fn primary(&self) -> Option<NodeId> {
        match self.upstream {
            Some(upstream) if !self.upstream_is_standby() => Some(upstream),
            _ => self.recorded_primary(),
        }
    }

    /// Whether the own record names another upstream than the one that is watched and than it did when that began.
    /// Only then the primary's copy of it matters.
    pub fn is_moved(&self, own: &Node) -> bool {
        own.upstream != self.recorded_upstream && own.upstream != self.upstream
    }

    /// Whether the upstream is registered as a standby, that is, this node is cascaded.
    pub fn upstream_is_standby(&self) -> bool {
        self.upstream
            .and_then(|upstream| self.node(upstream))
            .is_some_and(|node| node.node_type == NodeType::Standby)
    }

    /// Whether monitoring is degraded: the word in the status line of the log.
    pub fn is_degraded(&self) -> bool {
        matches!(
            self.mode,
            Mode::Primary(PrimaryPhase::Degraded)
                | Mode::Standby(Phase::Degraded { .. })
                | Mode::Witness(Phase::Degraded { .. })
        )
    }

    /// Whether a node is worth asking when a primary is sought. The local copy of the records may be old, so a standby
    /// that it calls inactive may have been promoted since; an inactive primary was replaced, and is not to be found.
    pub(super) fn may_be_primary(&self, node: &Node) -> bool {
        match node.node_type {
            // What it is nobody knows; a witness, too, is out of recovery.
            NodeType::Witness | NodeType::Unknown => false,
            NodeType::Standby => true,
            NodeType::Primary => node.active,
        }
    }

    /// Mode and phase in a word each, as in the manual's table.
    pub fn name(&self) -> &'static str {
        match &self.mode {
            Mode::Starting => "starting",
            Mode::Primary(phase) => match phase {
                PrimaryPhase::Normal => "primary: normal",
                PrimaryPhase::Reconnecting { .. } => "primary: reconnecting",
                PrimaryPhase::Degraded => "primary: degraded",
                PrimaryPhase::Searching => "primary: searching",
                PrimaryPhase::Joining { .. } => "primary: joining",
            },
            Mode::Standby(phase) | Mode::Witness(phase) => match phase {
                Phase::Entering { .. } => "entering",
                Phase::Normal => "normal",
                Phase::Reconnecting => "reconnecting",
                Phase::StoppingReceivers { .. } => "stopping receivers",
                Phase::Electing { .. } => "electing",
                Phase::Validating { .. } => "validating",
                Phase::Promoting(_) => "promoting",
                Phase::Waiting { .. } => "waiting",
                Phase::Following(_) => "following",
                Phase::VotingAgain { .. } => "voting again",
                Phase::Degraded { .. } => "degraded",
            },
        }
    }
}
