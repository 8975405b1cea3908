//! Turn by turn: what a daemon does with what it sees. Each test drives one daemon by hand.

use std::time::Duration;

use super::action::{Action, Where};
use super::driven::{Daemon, REFUSED, UP, announced, node, seen};
use super::observation::{Answer, CommandEnd, ConnectFailure, Finished, Local, Notification, RecordChange, Seen};
use super::rules::Rule;
use super::state::Cause;
use crate::config::FailoverMode;
use crate::exit_code::ExitCode;
use crate::types::{NodeId, NodeType, RecoveryState};

#[test]
fn w06_a_refused_login_never_starts_a_failover() {
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
fn w21_w22_a_failed_follow_during_the_attempts_leaves_the_daemon_degraded_and_it_follows_later() {
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
fn w23_manual_and_paused_nodes_do_not_follow_when_notified() {
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
fn w28_a_promotion_counts_by_the_servers_state_and_not_by_the_command() {
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
fn w32_a_notification_in_peace_is_kept_for_a_while_and_then_forgotten() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::NotificationKept);
    let from = daemon.now;
    let discarded = daemon.until(Rule::NotificationDiscarded);
    assert!(discarded.actions.contains(&Action::ResetVotingStatus));
    assert!(daemon.now - from >= daemon.settings.notification_timeout - Duration::from_secs(5));
}

#[test]
fn w32_a_notification_that_names_a_standby_is_worth_nothing() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::NotificationStale);
    daemon.until(Rule::ElectionWon);
}

#[test]
fn w33_a_follower_whose_follow_fails_tells_nobody_to_go_back() {
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

/// All hosts were off, and the primary's does not come back: the right to write makes sure that nobody is promoted in
/// place of another node than the one that had it last.
#[test]
fn with_the_right_to_write_a_daemon_started_without_its_upstream_votes_after_a_while() {
    let mut daemon = Daemon::new(|_| ());
    daemon.right = super::observation::Right::Missing("nobody was asked".to_owned());
    daemon.upstream = REFUSED;
    let not_there = daemon.until(Rule::UpstreamNotThere);
    assert!(!not_there.actions.contains(&Action::StandAside(true)));
    let from = daemon.now;
    let vote = daemon.until(Rule::VoteAgain);
    assert!(vote.wake_at - from >= daemon.settings.right_timeout);

    // It turns out that it is not switched on.
    let mut daemon = Daemon::new(|_| ());
    daemon.right = super::observation::Right::Missing("nobody was asked".to_owned());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamNotThere);
    daemon.right = super::observation::Right::NotNeeded;
    daemon.never(Rule::VoteAgain);
    assert!(daemon.state.standing_aside);
}

#[test]
fn w29_a_daemon_started_without_its_upstream_waits_and_does_not_vote() {
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
fn w30_a_demoted_upstream_without_a_new_primary_is_waited_for() {
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

/// Its record had lost the upstream, and the new primary told it before it found out by itself.
#[test]
fn a_standby_without_an_upstream_is_attached_to_the_primary_that_calls_it() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = Ok(RecoveryState::Standby);
    daemon.until(Rule::NoUpstream);
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::PrimaryDiscovered);
    daemon.upstream = UP;
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::ToldToFollow);
    let follow = daemon.until(Rule::FollowBegins);
    assert!(follow.actions.contains(&Action::RunFollowCommand(NodeId(3))));
}

#[test]
fn w41_a_cascaded_standby_goes_on_trying_the_primary() {
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
fn w48_a_restart_of_the_own_server_is_no_failure() {
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
fn w61_an_unknown_type_is_waited_for_at_the_pace_of_monitoring() {
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

/// Its siblings would wait for its word in vain if the new primary were lost in this very moment.
#[test]
fn a_former_primary_is_no_candidate_before_it_has_seen_the_new_one() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Primary;
    daemon.nodes[1].upstream = None;
    daemon.local.recovery = RecoveryState::Primary;
    daemon.until(Rule::BeginPrimary);
    daemon.local.recovery = RecoveryState::Standby;
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    let demoted = daemon.until(Rule::PrimaryDemoted);
    assert_eq!(demoted.actions.last(), Some(&Action::StandAside(true)));
    daemon.until(Rule::NewPrimaryFound);
    daemon.finished = vec![Finished::BecameStandby(RecordChange::Done)];
    daemon.until(Rule::Rejoined);
    daemon.nodes[1] = node(2, NodeType::Standby, Some(3));
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamNotThere);
    assert!(daemon.state.standing_aside);
    daemon.upstream = UP;
    let back = daemon.until(Rule::UpstreamBack);
    assert!(back.actions.contains(&Action::StandAside(false)));
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
