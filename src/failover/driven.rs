//! One daemon driven by hand, turn by turn, for the tests of this room.

use std::time::Duration;

use super::action::{Action, Announcement};
use super::observation::{Answer, ConnectFailure, Finished, Local, Node, Observation, Probe, ProbeEnd, Right, Seen};
use super::rules::Rule;
use super::settings::Settings;
use super::state::{Cause, Decision, Mode, Phase, State};
use crate::config::{Config, FailoverMode};
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

pub(super) const UP: Probe = Ok(RecoveryState::Primary);
pub(super) const REFUSED: Probe = Err(ConnectFailure::Refused);

/// Node 2, standby of primary 1, with sibling 3.
pub(super) struct Daemon {
    pub(super) settings: Settings,
    pub(super) state: State,
    pub(super) now: Duration,
    pub(super) nodes: Vec<Node>,
    pub(super) local: Local,
    pub(super) upstream: Probe,
    /// How long the upstream takes to answer.
    pub(super) takes: Duration,
    /// The probes under way, and when they end.
    pub(super) under_way: Vec<(Duration, ProbeEnd)>,
    pub(super) others: Vec<Seen>,
    pub(super) finished: Vec<Finished>,
    pub(super) stood_still: bool,
    pub(super) right: Right,
    /// Whether nobody hears what it tells.
    pub(super) unheard: bool,
}

pub(super) fn node(id: i32, node_type: NodeType, upstream: Option<i32>) -> Node {
    Node {
        id: NodeId(id),
        name: format!("n{id}"),
        node_type,
        upstream: upstream.map(NodeId),
        active: true,
        location: "default".into(),
        priority: 100,
    }
}

pub(super) fn seen(id: i32, recovery: RecoveryState) -> Seen {
    Seen {
        node: NodeId(id),
        reached: Ok(()),
        daemon_registered: Answer::Yes,
        daemon_running: Answer::Yes,
        daemon_paused: Answer::No,
        daemon_is_original: Answer::No,
        library: Answer::Yes,
        recovery,
        receive_lsn: Some(Lsn(500)),
        replay_paused: Answer::No,
        apply_delay: Duration::ZERO,
        timeline: None,
        upstream_last_seen: None,
        upstream: Some(NodeId(1)),
        wal_receiver: Answer::No,
        followable: Answer::Yes,
    }
}

impl Daemon {
    pub(super) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            node_id: 2,
            failover: FailoverMode::Automatic,
            reconnect_attempts: 3,
            reconnect_interval: Duration::from_secs(5),
            ..Config::default()
        };
        change(&mut config);
        Daemon {
            settings: Settings::from_config(&config),
            state: State::new(NodeId(2)),
            now: Duration::ZERO,
            nodes: vec![
                node(1, NodeType::Primary, None),
                node(2, NodeType::Standby, Some(1)),
                node(3, NodeType::Standby, Some(1)),
            ],
            local: Local {
                recovery: RecoveryState::Standby,
                receive_lsn: Some(Lsn(1000)),
                replay_paused: Answer::No,
                apply_delay: Duration::ZERO,
                wal_message_age: None,
                notification: None,
                paused: Answer::No,
                voting_term: Some(1),
                registered: Answer::Yes,
                library: Answer::Yes,
            },
            upstream: UP,
            takes: Duration::ZERO,
            under_way: Vec::new(),
            others: vec![seen(3, RecoveryState::Standby)],
            finished: Vec::new(),
            stood_still: false,
            right: Right::NotNeeded,
            unheard: false,
        }
    }

    /// One turn, at the time at which it is due.
    pub(super) fn turn(&mut self) -> Decision {
        let needs = self.state.needs(&self.settings, self.now);
        let started = needs.upstream.map(|_| self.now);
        if let Some(node) = needs.upstream {
            let end = ProbeEnd {
                node,
                started: self.now,
                answer: self.upstream,
            };
            self.under_way.push((self.now + self.takes, end));
            let first = self.under_way.iter().map(|(ends, _)| *ends).min();
            let waits = needs
                .patience
                .map_or(first, |patience| first.min(Some(self.now + patience)));
            self.now = self.now.max(waits.unwrap_or_default());
        }
        let (ended, under_way) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition::<Vec<_>, _>(|(ends, _)| *ends <= self.now);
        self.under_way = under_way;
        let answers = self.local.recovery != RecoveryState::Unknown;
        let observation = Observation {
            now: self.now,
            local: self.local.clone(),
            nodes: answers.then(|| self.nodes.clone()),
            own_record_on_primary: None,
            started,
            probes: ended.into_iter().map(|(_, end)| end).collect(),
            others: self
                .others
                .iter()
                .filter(|seen| needs.ask.contains(&seen.node))
                .cloned()
                .collect(),
            finished: std::mem::take(&mut self.finished),
            stood_still: std::mem::take(&mut self.stood_still),
            right: self.right.clone(),
        };
        let decision = super::step(&self.settings, &self.state, &observation);
        self.state = decision.next.clone();
        for action in &decision.actions {
            match action {
                Action::ResetVotingStatus => self.local.notification = None,
                Action::Notify { nodes, .. } if !self.unheard => self.finished.push(Finished::Told(nodes.clone())),
                _ => {}
            }
        }
        let ends = self.under_way.iter().map(|(ends, _)| *ends).min();
        let next = ends.map_or(decision.wake_at, |ends| ends.min(decision.wake_at));
        self.now = next.max(self.now + Duration::from_millis(1));
        decision
    }

    /// Turns until a rule applies.
    #[track_caller]
    pub(super) fn until(&mut self, rule: Rule) -> Decision {
        let mut passed = Vec::new();
        for _ in 0..500 {
            let decision = self.turn();
            if decision.rule == rule {
                return decision;
            }
            passed.push(decision.rule.name());
        }
        panic!(
            "{} never applied; last: {:?}",
            rule.name(),
            &passed[passed.len() - 20..]
        );
    }

    /// Lets an hour pass in which a rule must not apply.
    #[track_caller]
    pub(super) fn never(&mut self, rule: Rule) {
        let end = self.now + Duration::from_secs(3600);
        while self.now < end {
            let decision = self.turn();
            assert_ne!(decision.rule, rule, "{}", decision.reason);
        }
    }

    /// Watches its upstream for a minute.
    pub(super) fn watching(change: impl FnOnce(&mut Config)) -> Self {
        let mut daemon = Daemon::new(change);
        daemon.until(Rule::UpstreamSeen);
        let end = daemon.now + Duration::from_secs(60);
        while daemon.now < end {
            daemon.turn();
        }
        daemon
    }

    /// Has just begun to run its promote command.
    pub(super) fn promoting() -> Self {
        let mut daemon = Daemon::watching(|_| ());
        daemon.upstream = REFUSED;
        let decision = daemon.until(Rule::ElectionWon);
        assert!(decision.actions.contains(&Action::RunPromoteCommand));
        daemon
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        match self.state.mode {
            Mode::Standby(Phase::Degraded { cause, .. }) => Some(cause),
            _ => None,
        }
    }
}

pub(super) fn announced<'a>(decision: &'a Decision, event: &str) -> Option<&'a Announcement> {
    decision.actions.iter().find_map(|action| match action {
        Action::Announce(announcement) if announcement.event == event => Some(announcement),
        _ => None,
    })
}
