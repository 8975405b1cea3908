//! Turn by turn: what a daemon does with what it sees. Each test drives one daemon by hand.

use std::time::Duration;

use super::action::{Action, Announcement, Where};
use super::observation::{
    Answer, CommandEnd, ConnectFailure, Finished, Local, Node, Notification, Observation, Probe, RecordChange, Seen,
};
use super::rules::Rule;
use super::settings::Settings;
use super::state::{Cause, Decision, Mode, Phase, State};
use crate::config::{Config, FailoverMode};
use crate::exit_code::ExitCode;
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

const UP: Probe = Ok(RecoveryState::Primary);
const REFUSED: Probe = Err(ConnectFailure::Refused);

/// Node 2, standby of primary 1, with sibling 3.
struct Daemon {
    settings: Settings,
    state: State,
    now: Duration,
    nodes: Vec<Node>,
    local: Local,
    upstream: Probe,
    others: Vec<Seen>,
    finished: Vec<Finished>,
}

fn node(id: i32, node_type: NodeType, upstream: Option<i32>) -> Node {
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

fn seen(id: i32, recovery: RecoveryState) -> Seen {
    Seen {
        node: NodeId(id),
        reached: Ok(()),
        daemon_registered: Answer::Yes,
        daemon_running: Answer::Yes,
        daemon_paused: Answer::No,
        recovery,
        receive_lsn: Some(Lsn(500)),
        timeline: None,
        upstream_last_seen: None,
        upstream: Some(NodeId(1)),
        wal_receiver: Answer::No,
        followable: Answer::Yes,
    }
}

impl Daemon {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
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
                wal_message_age: None,
                notification: None,
                paused: Answer::No,
                voting_term: Some(1),
                registered: Answer::Yes,
            },
            upstream: UP,
            others: vec![seen(3, RecoveryState::Standby)],
            finished: Vec::new(),
        }
    }

    /// One turn, at the time at which it is due.
    fn turn(&mut self) -> Decision {
        let needs = self.state.needs(self.now);
        let answers = self.local.recovery != RecoveryState::Unknown;
        let observation = Observation {
            now: self.now,
            local: self.local.clone(),
            nodes: answers.then(|| self.nodes.clone()),
            own_record_on_primary: None,
            upstream: needs.upstream.map(|_| self.upstream),
            others: self
                .others
                .iter()
                .filter(|seen| needs.ask.contains(&seen.node))
                .cloned()
                .collect(),
            finished: std::mem::take(&mut self.finished),
        };
        let decision = super::step(&self.settings, &self.state, &observation);
        self.state = decision.next.clone();
        if decision.actions.contains(&Action::ResetVotingStatus) {
            self.local.notification = None;
        }
        self.now = decision.wake_at.max(self.now + Duration::from_millis(1));
        decision
    }

    /// Turns until a rule applies.
    #[track_caller]
    fn until(&mut self, rule: Rule) -> Decision {
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
    fn never(&mut self, rule: Rule) {
        let end = self.now + Duration::from_secs(3600);
        while self.now < end {
            let decision = self.turn();
            assert_ne!(decision.rule, rule, "{}", decision.reason);
        }
    }

    /// Watches its upstream for a minute.
    fn watching(change: impl FnOnce(&mut Config)) -> Self {
        let mut daemon = Daemon::new(change);
        daemon.until(Rule::UpstreamSeen);
        let end = daemon.now + Duration::from_secs(60);
        while daemon.now < end {
            daemon.turn();
        }
        daemon
    }

    /// Has just begun to run its promote command.
    fn promoting() -> Self {
        let mut daemon = Daemon::watching(|_| ());
        daemon.upstream = REFUSED;
        let decision = daemon.until(Rule::ElectionWon);
        assert!(decision.actions.contains(&Action::RunPromoteCommand));
        daemon
    }

    fn cause(&self) -> Option<Cause> {
        match self.state.mode {
            Mode::Standby(Phase::Degraded { cause, .. }) => Some(cause),
            _ => None,
        }
    }
}

fn announced<'a>(decision: &'a Decision, event: &str) -> Option<&'a Announcement> {
    decision.actions.iter().find_map(|action| match action {
        Action::Announce(announcement) if announcement.event == event => Some(announcement),
        _ => None,
    })
}

#[test]
fn a_lost_primary_is_given_up_on_the_clock() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    let lost = daemon.until(Rule::UpstreamLost);
    let lost_at = lost.next.lost_at.expect("it is lost");
    assert_eq!(
        announced(&lost, "repmgrd_upstream_disconnect").map(|event| event.to),
        Some(Where::Nowhere)
    );
    let begins = daemon.until(Rule::ElectionBegins);
    // Three attempts, five seconds apart, the first of which is the probe that failed.
    assert_eq!(begins.wake_at - lost_at, Duration::from_secs(10));
}

#[test]
fn attempts_of_zero_or_one_begin_the_election_with_the_first_failure() {
    for attempts in [0, 1] {
        let mut daemon = Daemon::watching(|config| config.reconnect_attempts = attempts);
        daemon.upstream = REFUSED;
        let lost = daemon.until(Rule::UpstreamLost);
        let begins = daemon.turn();
        assert_eq!(begins.rule, Rule::ElectionBegins);
        assert!(begins.wake_at - lost.wake_at < Duration::from_millis(10));
    }
}

#[test]
fn a_refused_login_never_starts_a_failover() {
    for failure in [
        ConnectFailure::Authentication,
        ConnectFailure::TooManyConnections,
        ConnectFailure::NameNotResolved,
        ConnectFailure::Other,
    ] {
        let mut daemon = Daemon::watching(|_| ());
        daemon.upstream = Err(failure);
        daemon.never(Rule::ElectionBegins);
        assert!(daemon.state.is_degraded());
        // From then on it is down: that has to last as long as all attempts.
        daemon.upstream = REFUSED;
        let from = daemon.now;
        let vote = daemon.until(Rule::VoteAgain);
        assert!(vote.wake_at - from >= daemon.settings.reconnect_time());
    }
}

#[test]
fn a_failed_follow_during_the_attempts_leaves_the_daemon_degraded_and_it_follows_later() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(1))];
    let failed = daemon.until(Rule::FollowFailed);
    assert_eq!(daemon.cause(), Some(Cause::FollowFailed));
    assert!(!failed.actions.iter().any(|action| matches!(action, Action::Exit(_))));
    // The successor dies: this node was not attached to it, so it must not take its place.
    daemon.others = vec![Seen::unreachable(NodeId(3), ConnectFailure::Silent)];
    daemon.never(Rule::VoteAgain);
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(0))];
    let followed = daemon.until(Rule::Followed);
    let event = announced(&followed, "repmgrd_failover_follow").expect("an event");
    assert_eq!((event.successful, event.to), (true, Where::On(NodeId(3))));
}

#[test]
fn manual_and_paused_nodes_do_not_follow_when_notified() {
    let mut manual = Daemon::watching(|config| config.failover = FailoverMode::Manual);
    manual.upstream = REFUSED;
    manual.others = vec![seen(3, RecoveryState::Primary)];
    let lost = manual.until(Rule::UpstreamLost);
    assert!(lost.actions.contains(&Action::StandAside(true)));
    manual.local.notification = Some(Notification::Follow(NodeId(3)));
    let told = manual.until(Rule::FailoverManual);
    assert_eq!(
        announced(&told, "standby_disconnect_manual").map(|event| event.to),
        Some(Where::On(NodeId(3)))
    );
    manual.never(Rule::FollowBegins);

    let mut paused = Daemon::watching(|_| ());
    paused.local.paused = Answer::Yes;
    paused.upstream = REFUSED;
    paused.others = vec![seen(3, RecoveryState::Primary)];
    paused.until(Rule::UpstreamLost);
    paused.local.notification = Some(Notification::Follow(NodeId(3)));
    paused.until(Rule::NotificationDiscarded);
    paused.until(Rule::FailoverPaused);
    paused.never(Rule::FollowBegins);
    // Unpausing is no order to fail over, but a primary that is there is followed.
    paused.others = vec![seen(3, RecoveryState::Standby)];
    paused.local.paused = Answer::No;
    paused.never(Rule::VoteAgain);
    paused.others = vec![seen(3, RecoveryState::Primary)];
    paused.until(Rule::FollowBegins);
}

#[test]
fn voting_again_announces_no_return_of_the_upstream() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::RerunElection);
    daemon.until(Rule::ToldToVoteAgain);
    let mut rule = Rule::ToldToVoteAgain;
    while rule != Rule::ElectionWon {
        let decision = daemon.turn();
        assert!(announced(&decision, "repmgrd_upstream_reconnect").is_none());
        rule = decision.rule;
    }
}

#[test]
fn a_promotion_counts_by_the_servers_state_and_not_by_the_command() {
    // Killed, and nothing happened: a failure.
    let mut daemon = Daemon::promoting();
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::Signalled(9))];
    let failed = daemon.until(Rule::PromotionFailed);
    assert!(announced(&failed, "repmgrd_promote_error").is_some());
    assert!(announced(&failed, "repmgrd_failover_promote").is_none());
    assert!(failed.actions.contains(&Action::StandAside(true)));
    assert!(failed.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::RerunElection
    }));

    // Exit code 0, and nothing happened: a failure.
    let mut daemon = Daemon::promoting();
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::Exited(0))];
    daemon.until(Rule::PromotionFailed);

    // Exit code 1, and the server left recovery: promoted.
    let mut daemon = Daemon::promoting();
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::Exited(1))];
    daemon.local.recovery = RecoveryState::Primary;
    let promoted = daemon.until(Rule::Promoted);
    let event = announced(&promoted, "repmgrd_failover_promote").expect("an event");
    assert_eq!((event.to, event.other), (Where::Local, Some(NodeId(1))));
    assert!(promoted.actions.contains(&Action::IncrementVotingTerm));
    assert!(promoted.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::Follow(NodeId(2))
    }));
}

#[test]
fn a_promotion_that_comes_through_late_is_recorded() {
    let mut daemon = Daemon::promoting();
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::TimedOut)];
    daemon.until(Rule::PromotionFailed);
    daemon.local.recovery = RecoveryState::Primary;
    let completed = daemon.until(Rule::PromotionCompleted);
    assert!(announced(&completed, "repmgrd_failover_promote").is_some());
    assert!(!completed.actions.contains(&Action::IncrementVotingTerm));
}

#[test]
fn the_old_primary_back_during_the_promotion_aborts_it() {
    let mut daemon = Daemon::promoting();
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::Exited(8))];
    daemon.upstream = UP;
    let aborted = daemon.until(Rule::PromotionAborted);
    assert!(announced(&aborted, "repmgrd_failover_abort").is_some());
    assert!(aborted.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::Follow(NodeId(1))
    }));
    daemon.until(Rule::UpstreamFound);
}

#[test]
fn a_winner_that_does_not_act_is_passed_over() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.until(Rule::ElectionLost);
    let lost_at = daemon.now;
    let announced = daemon.until(Rule::OvertakingAnnounced);
    assert!(announced.wake_at - lost_at >= daemon.settings.promote_timeout - Duration::from_secs(5));
    assert!(announced.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::RerunElection
    }));
    daemon.until(Rule::ElectionWon);
}

/// Two better nodes did not act. The second of them may have given up the first one just as this node did the second.
#[test]
fn every_better_node_is_told_before_it_is_overtaken() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.nodes.push(node(4, NodeType::Standby, Some(1)));
    daemon.nodes.push(node(5, NodeType::Standby, Some(1)));
    let others = [(3, 3000), (4, 2000), (5, 500)];
    daemon.others = others
        .map(|(id, position)| Seen {
            receive_lsn: Some(Lsn(position)),
            ..seen(id, RecoveryState::Standby)
        })
        .to_vec();
    daemon.upstream = REFUSED;
    let announced = daemon.until(Rule::OvertakingAnnounced);
    assert!(announced.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3), NodeId(4)],
        value: Notification::RerunElection
    }));
    let from = daemon.now;
    // What was told holds for fewer of them, too.
    daemon.others[0] = Seen::unreachable(NodeId(3), ConnectFailure::Silent);
    daemon.until(Rule::ElectionWon);
    assert!(daemon.now - from >= daemon.settings.settle - Duration::from_secs(2));
}

/// The first better node was told to hold back, and then another one turns out to be better as well.
#[test]
fn a_better_node_that_was_not_told_yet_is_told_before_it_is_overtaken() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(3000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.nodes.push(node(4, NodeType::Standby, Some(1)));
    let late = Seen {
        receive_lsn: Some(Lsn(2000)),
        daemon_running: Answer::No,
        ..seen(4, RecoveryState::Standby)
    };
    daemon.others.push(late);
    let announced = daemon.until(Rule::OvertakingAnnounced);
    assert!(announced.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3), NodeId(4)],
        value: Notification::RerunElection
    }));
    daemon.until(Rule::ElectionWon);
}

/// The word of a worse node that is about to take this one's place counts until the decision.
#[test]
fn a_node_told_to_vote_again_in_its_election_holds_back() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionBegins);
    daemon.local.notification = Some(Notification::RerunElection);
    let told = daemon.turn();
    assert_eq!(told.rule, Rule::ToldToVoteAgain);
    assert!(told.actions.contains(&Action::ResetVotingStatus));
    let from = daemon.now;
    daemon.until(Rule::ElectionWon);
    assert!(daemon.now - from >= daemon.settings.settle * 2 - Duration::from_secs(2));
}

/// Whoever was told holds back for a while only, so what was announced before another node was elected is worth nothing.
#[test]
fn an_old_announcement_does_not_count_after_another_node_was_elected() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(3000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.others[0].daemon_running = Answer::Yes;
    daemon.until(Rule::ElectionLost);
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.until(Rule::ElectionWon);
}

#[test]
fn a_dead_daemon_is_not_waited_for() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::UpstreamLost);
    let from = daemon.now;
    daemon.until(Rule::ElectionWon);
    assert!(daemon.now - from < Duration::from_secs(20));
}

#[test]
fn a_notification_in_peace_is_kept_for_a_while_and_then_forgotten() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::NotificationKept);
    let from = daemon.now;
    let discarded = daemon.until(Rule::NotificationDiscarded);
    assert!(discarded.actions.contains(&Action::ResetVotingStatus));
    assert!(daemon.now - from >= daemon.settings.notification_timeout - Duration::from_secs(5));
}

#[test]
fn a_notification_that_names_a_standby_is_worth_nothing() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::NotificationStale);
    daemon.until(Rule::ElectionWon);
}

#[test]
fn a_follower_whose_follow_fails_tells_nobody_to_go_back() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(1))];
    daemon.upstream = UP;
    let overtaken = daemon.until(Rule::FollowOvertaken);
    assert!(announced(&overtaken, "repmgrd_failover_aborted").is_some());
    assert!(
        !overtaken
            .actions
            .iter()
            .any(|action| matches!(action, Action::Notify { .. }))
    );
}

#[test]
fn a_daemon_started_without_its_upstream_waits_and_does_not_vote() {
    let mut daemon = Daemon::new(|_| ());
    daemon.upstream = REFUSED;
    let not_there = daemon.until(Rule::UpstreamNotThere);
    assert!(not_there.actions.contains(&Action::StandAside(true)));
    daemon.never(Rule::VoteAgain);
    daemon.upstream = UP;
    let back = daemon.until(Rule::UpstreamBack);
    assert!(announced(&back, "repmgrd_start").is_some());
    assert!(back.actions.contains(&Action::StandAside(false)));
}

#[test]
fn a_demoted_upstream_without_a_new_primary_is_waited_for() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = Ok(RecoveryState::Standby);
    daemon.until(Rule::UpstreamDemoted);
    daemon.until(Rule::NoUpstream);
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::PrimaryDiscovered);
    daemon.upstream = UP;
    daemon.until(Rule::UpstreamFound);
    assert_eq!(daemon.state.upstream, Some(NodeId(3)));
}

#[test]
fn a_cascaded_standby_goes_on_trying_the_primary() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].upstream = Some(NodeId(3));
    daemon.upstream = Ok(RecoveryState::Standby);
    daemon.until(Rule::UpstreamSeen);
    daemon.upstream = REFUSED;
    daemon.others = vec![Seen::unreachable(NodeId(1), ConnectFailure::Silent)];
    daemon.until(Rule::CascadedFollow);
    let failed = daemon.until(Rule::FollowFailed);
    assert!(announced(&failed, "repmgrd_failover_follow").is_some_and(|event| !event.successful));
    daemon.others = vec![seen(1, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(0))];
    let followed = daemon.until(Rule::Followed);
    assert!(followed.actions.contains(&Action::RecordUpstream(NodeId(1))));
}

#[test]
fn a_cascaded_standby_without_a_recorded_primary_is_degraded() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].upstream = Some(NodeId(3));
    daemon.nodes[0].active = false;
    daemon.upstream = Ok(RecoveryState::Standby);
    daemon.until(Rule::UpstreamSeen);
    daemon.upstream = REFUSED;
    daemon.until(Rule::NoRecordedPrimary);
    assert_eq!(daemon.cause(), Some(Cause::NoUpstream));
}

#[test]
fn a_restart_of_the_own_server_is_no_failure() {
    let mut daemon = Daemon::watching(|_| ());
    let local = daemon.local.clone();
    daemon.local = Local::silent();
    daemon.until(Rule::LocalServerLost);
    daemon.turn();
    daemon.local = local;
    let back = daemon.until(Rule::LocalServerBack);
    assert!(back.actions.contains(&Action::RegisterDaemon));
    assert!(
        !back
            .actions
            .iter()
            .any(|action| matches!(action, Action::RecordActive { .. }))
    );

    daemon.local = Local::silent();
    let inactive = daemon.until(Rule::LocalServerInactive);
    let recorded = inactive.actions.iter().any(|action| {
        matches!(action, Action::RecordActive { on: NodeId(1), active: false, event: Some(event) }
            if event.event == "standby_failure")
    });
    assert!(recorded, "{:?}", inactive.actions);
}

#[test]
fn an_unknown_type_is_waited_for_at_the_pace_of_monitoring() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Unknown;
    let decision = daemon.turn();
    assert_eq!(
        (decision.rule, decision.wake_at),
        (Rule::UnknownType, daemon.settings.monitor_interval)
    );
    daemon.nodes[1].node_type = NodeType::Standby;
    daemon.until(Rule::UpstreamSeen);
}

#[test]
fn degraded_for_too_long_ends_the_daemon() {
    let mut daemon = Daemon::watching(|config| config.degraded_monitoring_timeout = Some(Duration::from_secs(100)));
    daemon.local.paused = Answer::Yes;
    daemon.upstream = REFUSED;
    daemon.until(Rule::FailoverPaused);
    let from = daemon.now;
    let end = daemon.until(Rule::DegradedTooLong);
    assert!(end.actions.contains(&Action::Exit(ExitCode::MonitoringTimeout)));
    assert!(daemon.now - from >= Duration::from_secs(98));
}

#[test]
fn the_own_id_promotes_who_waits_unless_that_is_ruled_out() {
    let waiting = |change: fn(&mut Daemon)| {
        let mut daemon = Daemon::watching(|_| ());
        daemon.upstream = REFUSED;
        daemon.others[0].receive_lsn = Some(Lsn(2000));
        daemon.until(Rule::ElectionLost);
        change(&mut daemon);
        daemon.local.notification = Some(Notification::Follow(NodeId(2)));
        daemon.turn()
    };
    let told = waiting(|_| ());
    assert_eq!(told.rule, Rule::ToldToPromote);
    assert!(told.actions.contains(&Action::RunPromoteCommand));
    assert_eq!(
        waiting(|daemon| daemon.local.paused = Answer::Yes).rule,
        Rule::NotificationDiscarded
    );
    assert_eq!(
        waiting(|daemon| daemon.nodes[1].priority = 0).rule,
        Rule::NotificationDiscarded
    );
}

#[test]
fn the_old_primarys_id_ends_the_wait() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.until(Rule::ElectionLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(1)));
    daemon.until(Rule::ToldToStay);
    // It is gone again: degraded, and in time another vote.
    daemon.until(Rule::UpstreamNotThere);
    daemon.until(Rule::VoteAgain);
}

#[test]
fn failover_delay_is_kept() {
    let mut daemon = Daemon::watching(|config| config.failover_delay = Duration::from_secs(7));
    daemon.upstream = REFUSED;
    let begins = daemon.until(Rule::ElectionBegins);
    let due = begins.wake_at;
    // A result that has nothing to do with it wakes the daemon early.
    daemon.now -= Duration::from_secs(3);
    assert_eq!(daemon.turn().rule, Rule::ElectionDelayed);
    assert_eq!(daemon.now, due);
    daemon.until(Rule::ElectionWon);
}

#[test]
fn a_successor_bars_the_election() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionBegins);
    daemon.state.successor = Some(NodeId(3));
    daemon.others = vec![Seen::unreachable(NodeId(3), ConnectFailure::Silent)];
    assert_eq!(daemon.turn().rule, Rule::SuccessorKnown);
}

#[test]
fn a_vetoed_election_is_run_again() {
    let mut daemon = Daemon::watching(|config| config.failover_validation_command = "false".into());
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionWon);
    daemon.finished = vec![Finished::Validation(CommandEnd::Signalled(15))];
    let rejected = daemon.until(Rule::ValidationRejected);
    assert!(rejected.actions.contains(&Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::RerunElection
    }));
    let from = daemon.now;
    daemon.until(Rule::ElectionWon);
    assert!(daemon.now - from >= daemon.settings.rerun_interval - Duration::from_secs(2));
}

#[test]
fn a_former_primary_becomes_a_standby_of_the_new_one() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Primary;
    daemon.nodes[1].upstream = None;
    daemon.local.recovery = RecoveryState::Primary;
    let begins = daemon.until(Rule::BeginPrimary);
    assert!(announced(&begins, "repmgrd_start").is_some());
    daemon.local.recovery = RecoveryState::Standby;
    daemon.until(Rule::NewPrimarySought);
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    let found = daemon.until(Rule::NewPrimaryFound);
    assert!(found.actions.contains(&Action::BecomeStandby(NodeId(3))));
    daemon.finished = vec![Finished::BecameStandby(RecordChange::Done)];
    let rejoined = daemon.until(Rule::Rejoined);
    assert_eq!(
        announced(&rejoined, "repmgrd_standby_reconnect").map(|event| event.to),
        Some(Where::On(NodeId(3)))
    );
    daemon.until(Rule::UpstreamFound);

    let mut unregistered = Daemon::new(|_| ());
    unregistered.nodes[1].node_type = NodeType::Primary;
    unregistered.others = vec![seen(3, RecoveryState::Primary)];
    unregistered.until(Rule::NewPrimaryFound);
    unregistered.finished = vec![Finished::BecameStandby(RecordChange::RecordMissing)];
    let end = unregistered.until(Rule::NotRegistered);
    assert!(end.actions.contains(&Action::Exit(ExitCode::BadConfig)));
}

/// A former primary was made a standby of node 3, which was lost before this node found it; node 4 took its place.
/// The server still streams from node 3, so its daemon must not be content with node 4.
#[test]
fn a_former_primary_whose_new_primary_is_lost_follows_the_successor() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Primary;
    daemon.nodes[1].upstream = None;
    daemon.nodes.push(node(4, NodeType::Standby, Some(3)));
    daemon.local.recovery = RecoveryState::Primary;
    daemon.until(Rule::BeginPrimary);
    daemon.local.recovery = RecoveryState::Standby;
    daemon.nodes[1] = node(2, NodeType::Standby, Some(3));
    daemon.nodes[2] = node(3, NodeType::Primary, None);
    daemon.others = vec![Seen::unreachable(NodeId(3), ConnectFailure::Refused)];
    daemon.upstream = REFUSED;
    daemon.until(Rule::NewPrimarySought);
    daemon.others.push(seen(4, RecoveryState::Primary));
    let found = daemon.until(Rule::NewPrimaryFound);
    assert!(found.actions.contains(&Action::BecomeStandby(NodeId(4))));
    daemon.finished = vec![Finished::BecameStandby(RecordChange::Done)];
    daemon.until(Rule::Rejoined);
    assert_eq!(daemon.state.upstream, Some(NodeId(3)));
    let follow = daemon.until(Rule::FollowBegins);
    assert!(follow.actions.contains(&Action::RunFollowCommand(NodeId(4))));
}

#[test]
fn a_witness_waits_for_the_word_and_adopts_the_new_primary() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Witness;
    daemon.local.recovery = RecoveryState::Primary;
    daemon.local.receive_lsn = None;
    daemon.until(Rule::UpstreamSeen);
    daemon.upstream = REFUSED;
    daemon.until(Rule::WitnessWaits);
    // A new vote is no node id.
    daemon.local.notification = Some(Notification::RerunElection);
    assert_eq!(daemon.turn().rule, Rule::WordAwaited);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    let follow = daemon.until(Rule::FollowBegins);
    assert!(follow.actions.contains(&Action::AdoptPrimary(NodeId(3))));
    daemon.finished = vec![Finished::PrimaryAdopted(RecordChange::Done)];
    daemon.until(Rule::Followed);
    assert_eq!(daemon.state.upstream, Some(NodeId(3)));
}
