//! The known weaknesses (`docs/failover.md`) that show in decisions: what is mended, and what happens today where
//! a mend would change the policy of the cluster.

use std::time::Duration;

use super::action::{Action, Where};
use super::alarms::Alarm;
use super::driven::{Daemon, REFUSED, UP, announced, node, seen};
use super::election::Outcome;
use super::election_tests::{A, B, C, Case, P, W};
use super::observation::{Answer, CommandEnd, ConnectFailure, Finished, Local, Notification, RecordChange, Seen};
use super::rules::Rule;
use super::state::Cause;
use crate::exit_code::ExitCode;
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

/// Node 2 is the witness of primary 1, node 3 a standby.
fn witness() -> Daemon {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].node_type = NodeType::Witness;
    daemon.local.recovery = RecoveryState::Primary;
    daemon.local.receive_lsn = None;
    daemon.until(Rule::UpstreamFound);
    daemon.finished = vec![Finished::PrimaryAdopted(RecordChange::Done)];
    let end = daemon.now + Duration::from_secs(60);
    while daemon.now < end {
        daemon.turn();
    }
    daemon
}

/// Node 2 is a primary with the standbys 1 and 3.
fn primary() -> Daemon {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[0] = node(1, NodeType::Standby, Some(2));
    daemon.nodes[1] = node(2, NodeType::Primary, None);
    daemon.nodes[2] = node(3, NodeType::Standby, Some(2));
    daemon.local.recovery = RecoveryState::Primary;
    daemon.others = vec![seen(1, RecoveryState::Standby), seen(3, RecoveryState::Standby)];
    daemon.until(Rule::PrimaryServes);
    daemon
}

fn lasts(daemon: &mut Daemon, time: Duration) {
    let end = daemon.now + time;
    while daemon.now < end {
        daemon.turn();
    }
}

#[test]
fn w01_the_only_standby_promotes_without_a_quorum() {
    Case::new(A, &[]).wins();
    // The others do not count once they are inactive.
    Case::new(A, &[B, C])
        .record(B, |node| node.active = false)
        .record(C, |node| node.active = false)
        .cut(&[B, C])
        .wins();
}

#[test]
fn w02_two_standbys_with_a_common_witness_each_win() {
    Case::new(A, &[B, W]).cut(&[B]).wins();
    Case::new(B, &[A, W]).cut(&[A]).wins();
}

#[test]
fn w03_a_primary_that_finds_another_one_goes_on_and_raises_the_alarm() {
    let mut daemon = primary();
    assert!(daemon.state.alarms.is_empty());
    daemon.others[0].recovery = RecoveryState::Primary;
    lasts(&mut daemon, Duration::from_secs(35));
    assert_eq!(
        daemon.state.alarms.first().copied(),
        Some(Alarm::OtherPrimary(NodeId(1)))
    );
    let sentence = Alarm::OtherPrimary(NodeId(1)).sentence(&daemon.state);
    assert_eq!(
        sentence,
        "node \"n1\" (ID: 1) is a primary, and so is node \"n2\" (ID: 2)"
    );
    // It is not over because the other one cannot be asked.
    daemon.others[0] = Seen::unreachable(NodeId(1), ConnectFailure::Silent);
    lasts(&mut daemon, Duration::from_secs(35));
    assert_eq!(daemon.state.alarms.len(), 1);
    daemon.others[0] = seen(1, RecoveryState::Standby);
    lasts(&mut daemon, Duration::from_secs(35));
    assert!(daemon.state.alarms.is_empty());
    assert_eq!(daemon.turn().rule, Rule::PrimaryServes);
}

#[test]
fn w04_a_majority_promotes_although_a_standby_outside_of_it_still_streams() {
    let mut case = Case::new(B, &[A, W]).cut(&[A]);
    case.settings.visibility_consensus = true;
    case.wins();
}

#[test]
fn w05_after_a_partition_both_primaries_raise_the_alarm() {
    // The new one finds the old one, which its records call inactive.
    let mut new = primary();
    new.nodes[0] = Node1::former_primary();
    new.others[0].recovery = RecoveryState::Primary;
    lasts(&mut new, Duration::from_secs(35));
    assert!(new.state.alarms.contains(&Alarm::OtherPrimary(NodeId(1))));
    // The old one finds the new one, which its records call a standby.
    let mut old = primary();
    old.others[1].recovery = RecoveryState::Primary;
    lasts(&mut old, Duration::from_secs(35));
    assert!(old.state.alarms.contains(&Alarm::OtherPrimary(NodeId(3))));
}

struct Node1;

impl Node1 {
    fn former_primary() -> super::observation::Node {
        super::observation::Node {
            active: false,
            ..node(1, NodeType::Primary, None)
        }
    }
}

#[test]
fn w08_nodes_with_different_records_name_different_winners() {
    Case::new(A, &[B]).record(A, |node| node.priority = 200).wins();
    Case::new(B, &[A]).record(B, |node| node.priority = 200).wins();
}

#[test]
fn w09_one_location_for_all_protects_from_nothing() {
    // P | A W, at sites that nobody has named.
    Case::new(A, &[W]).wins();
    // A node elsewhere may be elected as soon as anything at the primary's site is visible.
    Case::new(A, &[W]).place(A, "elsewhere").wins();
}

#[test]
fn w10_each_inactive_sibling_shrinks_the_quorum() {
    let case = || Case::new(A, &[B, C]).cut(&[B, C]);
    case().is_cancelled();
    case().record(B, |node| node.active = false).is_cancelled();
    case()
        .record(B, |node| node.active = false)
        .record(C, |node| node.active = false)
        .wins();
}

#[test]
fn w15_commands_that_hang_are_given_up() {
    let mut promoting = Daemon::promoting();
    promoting.until(Rule::PromotionFailed);

    let mut validating = Daemon::watching(|config| config.failover_validation_command = "sleep 1000".into());
    validating.upstream = REFUSED;
    validating.until(Rule::ValidationRejected);

    let mut following = Daemon::watching(|_| ());
    following.upstream = REFUSED;
    following.others = vec![seen(3, RecoveryState::Primary)];
    following.until(Rule::PrimaryFound);
    following.until(Rule::FollowFailed);
}

#[test]
fn w25_a_promotion_whose_server_is_gone_ends_degraded_and_the_upstream_is_seen_again() {
    let mut daemon = Daemon::promoting();
    let local = std::mem::replace(&mut daemon.local, Local::silent());
    daemon.finished = vec![Finished::PromoteCommand(CommandEnd::Exited(0))];
    daemon.until(Rule::PromotionFailed);
    assert_eq!(daemon.cause(), Some(Cause::PromotionFailed));
    daemon.local = local;
    daemon.upstream = UP;
    daemon.until(Rule::UpstreamBack);
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
}

/// Also after the return of the own server, which forgets whom it serves.
#[test]
fn w31_the_id_is_only_ever_told_to_the_own_server() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.registered = Answer::No;
    let told = daemon.turn();
    assert!(told.actions.contains(&Action::RegisterDaemon));
    // The upstream comes back with an empty memory: nothing is registered there.
    daemon.local.registered = Answer::Yes;
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.upstream = UP;
    let back = daemon.until(Rule::UpstreamBack);
    assert!(!back.actions.contains(&Action::RegisterDaemon));
}

#[test]
fn w35_a_receiver_that_stops_in_time_is_not_waited_for_any_longer() {
    let mut daemon = Daemon::watching(|config| config.standby_disconnect_on_failover = true);
    daemon.upstream = REFUSED;
    daemon.until(Rule::ReceiversStopping);
    daemon.finished = vec![Finished::WalReceiverStopped(true)];
    daemon.others[0].wal_receiver = Answer::Yes;
    let from = daemon.now;
    daemon.turn();
    daemon.turn();
    daemon.others[0].wal_receiver = Answer::No;
    daemon.until(Rule::ElectionBegins);
    assert!(daemon.now - from < Duration::from_secs(10));
}

/// A winner that looked later found it running again, and waited for it for the whole of its time.
#[test]
fn w35_a_loser_keeps_its_receiver_stopped_while_the_winner_may_be_looking() {
    let mut daemon = Daemon::watching(|config| config.standby_disconnect_on_failover = true);
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(0x9000_0000));
    daemon.until(Rule::ReceiversStopping);
    daemon.finished = vec![Finished::WalReceiverStopped(true)];
    daemon.others[0].wal_receiver = Answer::No;
    let lost = daemon.until(Rule::ElectionLost);
    assert!(!lost.actions.contains(&Action::RestoreWalReceiver));
    let from = daemon.now;
    while !daemon.turn().actions.contains(&Action::RestoreWalReceiver) {
        assert!(daemon.now - from < Duration::from_secs(10));
    }
    assert!(daemon.now - from >= Duration::from_secs(4));
}

/// The old primary came back while a new one was followed, and fed this node what that did not have.
#[test]
fn a_receiver_that_was_stopped_starts_again_only_behind_the_follow() {
    for end in [CommandEnd::Exited(0), CommandEnd::Exited(23)] {
        let mut daemon = Daemon::watching(|config| config.standby_disconnect_on_failover = true);
        daemon.upstream = REFUSED;
        daemon.others[0].receive_lsn = Some(Lsn(0x9000_0000));
        daemon.until(Rule::ReceiversStopping);
        daemon.finished = vec![Finished::WalReceiverStopped(true)];
        daemon.others[0].wal_receiver = Answer::No;
        daemon.until(Rule::ElectionLost);
        daemon.local.notification = Some(Notification::Follow(NodeId(3)));
        daemon.others = vec![seen(3, RecoveryState::Primary)];
        let follows = daemon.until(Rule::FollowBegins);
        assert!(follows.actions.contains(&Action::RunFollowCommand(NodeId(3))));
        assert!(!follows.actions.contains(&Action::RestoreWalReceiver));
        daemon.finished = vec![Finished::FollowCommand(end)];
        let from = daemon.now;
        while !daemon.turn().actions.contains(&Action::RestoreWalReceiver) {
            assert!(daemon.now - from < Duration::from_secs(5));
        }
    }
}

#[test]
fn w36_a_witness_that_is_told_to_vote_again_goes_on_waiting() {
    let mut daemon = witness();
    daemon.upstream = REFUSED;
    daemon.until(Rule::WitnessWaits);
    daemon.local.notification = Some(Notification::RerunElection);
    let told = daemon.turn();
    assert_eq!(told.rule, Rule::WordAwaited);
    assert!(told.actions.contains(&Action::ResetVotingStatus));
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    let follow = daemon.until(Rule::FollowBegins);
    assert!(follow.actions.contains(&Action::AdoptPrimary(NodeId(3))));
}

#[test]
fn w37_a_witness_forgets_the_word_of_an_earlier_failover() {
    let mut daemon = witness();
    daemon.local.notification = Some(Notification::Follow(NodeId(1)));
    let told = daemon.turn();
    assert_eq!(told.rule, Rule::NotificationDiscarded);
    assert!(told.actions.contains(&Action::ResetVotingStatus));
    daemon.upstream = REFUSED;
    daemon.until(Rule::WitnessWaits);
    assert_eq!(daemon.turn().rule, Rule::WordAwaited);
}

#[test]
fn w38_a_witness_that_is_degraded_for_too_long_ends() {
    let mut daemon = witness();
    daemon.settings.degraded_timeout = Some(Duration::from_secs(100));
    daemon.upstream = REFUSED;
    let end = daemon.until(Rule::DegradedTooLong);
    assert!(end.actions.contains(&Action::Exit(ExitCode::MonitoringTimeout)));
}

#[test]
fn w43_an_old_primary_that_comes_back_is_watched_again_with_an_alarm() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.paused = Answer::Yes;
    daemon.upstream = REFUSED;
    daemon.until(Rule::FailoverPaused);
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.upstream = UP;
    daemon.until(Rule::UpstreamBack);
    assert!(daemon.state.alarms.contains(&Alarm::OtherPrimary(NodeId(3))));
    lasts(&mut daemon, Duration::from_secs(65));
    assert!(daemon.state.alarms.contains(&Alarm::OtherPrimary(NodeId(3))));
    daemon.others = vec![Seen::unreachable(NodeId(3), ConnectFailure::Refused)];
    lasts(&mut daemon, Duration::from_secs(35));
    assert!(daemon.state.alarms.is_empty());
}

#[test]
fn a_standby_that_goes_back_to_the_old_primary_raises_the_alarm() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.until(Rule::UpstreamLost);
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(23))];
    daemon.upstream = UP;
    daemon.until(Rule::FollowOvertaken);
    daemon.until(Rule::UpstreamFound);
    assert!(daemon.state.alarms.contains(&Alarm::OtherPrimary(NodeId(3))));
    lasts(&mut daemon, Duration::from_secs(65));
    assert!(daemon.state.alarms.contains(&Alarm::OtherPrimary(NodeId(3))));
}

#[test]
fn w44_a_promotion_that_nobody_recorded_raises_the_alarm() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.recovery = RecoveryState::Primary;
    daemon.until(Rule::OutOfRecovery);
    assert!(daemon.state.alarms.contains(&Alarm::PromotedWithoutRecord));
    daemon.nodes[1].node_type = NodeType::Primary;
    daemon.until(Rule::PromotedByHand);
    assert!(daemon.state.alarms.is_empty());
}

#[test]
fn w45_a_cascaded_node_keeps_its_upstream_when_the_primary_is_demoted() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].upstream = Some(NodeId(3));
    daemon.upstream = Ok(RecoveryState::Standby);
    daemon.until(Rule::UpstreamSeen);
    daemon.nodes[0] = node(1, NodeType::Standby, Some(4));
    daemon.nodes[2] = node(3, NodeType::Standby, Some(4));
    daemon.nodes.push(node(4, NodeType::Primary, None));
    lasts(&mut daemon, Duration::from_secs(60));
    assert_eq!(daemon.state.upstream, Some(NodeId(3)));
    // It is no sibling of those at the new primary, so it does not vote when that is lost.
    daemon.others = vec![Seen::unreachable(NodeId(4), ConnectFailure::Silent)];
    daemon.never(Rule::ElectionBegins);
}

/// The position that a restarted standby shows is the beginning of a segment, and timelines are not compared.
#[test]
fn w47_only_the_received_position_is_compared() {
    let further = Case::new(A, &[B]).with(B, |seen| seen.receive_lsn = Some(Lsn(1001)));
    further.loses_to(B);
    let mut restarted = Case::new(A, &[B]);
    restarted.local.receive_lsn = None;
    restarted.loses_to(B);
}

#[test]
fn w49_a_standby_that_died_with_the_primary_counts_against_the_majority() {
    Case::new(A, &[B]).cut(&[B]).is_cancelled();
}

#[test]
fn w50_a_missing_voting_term_raises_the_alarm_before_it_is_needed() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.voting_term = None;
    assert_eq!(daemon.turn().rule, Rule::UpstreamSeen);
    assert!(daemon.state.alarms.contains(&Alarm::VotingTermMissing));
    daemon.local = Local::silent();
    daemon.turn();
    assert!(
        daemon.state.alarms.contains(&Alarm::VotingTermMissing),
        "unknown is no repair"
    );
    let mut case = Case::new(A, &[B]);
    case.local.voting_term = None;
    assert_eq!(case.outcome(), Outcome::NotCandidate);
}

#[test]
fn w61_a_standby_that_is_its_own_upstream_looks_for_the_primary_without_haste() {
    let mut daemon = Daemon::new(|_| ());
    daemon.nodes[1].upstream = Some(NodeId(2));
    daemon.others = vec![Seen::unreachable(NodeId(P), ConnectFailure::Silent)];
    let mut turns = 0;
    while daemon.now < Duration::from_secs(600) {
        daemon.turn();
        turns += 1;
    }
    assert!(turns < 700, "{turns} turns in ten minutes");
    daemon.others = vec![seen(1, RecoveryState::Primary)];
    daemon.until(Rule::UpstreamFound);
    assert_eq!(daemon.state.upstream, Some(NodeId(1)));
}

/// The standby is moved by the new primary's own word, not by the old one's.
#[test]
fn w32_an_early_word_is_acted_on_if_the_loss_follows_soon() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.local.notification = Some(Notification::Follow(NodeId(3)));
    daemon.until(Rule::NotificationKept);
    daemon.upstream = REFUSED;
    daemon.others = vec![seen(3, RecoveryState::Primary)];
    daemon.until(Rule::FollowBegins);
    daemon.finished = vec![Finished::FollowCommand(CommandEnd::Exited(0))];
    let followed = daemon.until(Rule::Followed);
    assert_eq!(
        announced(&followed, "repmgrd_failover_follow").map(|event| event.to),
        Some(Where::On(NodeId(3)))
    );
}
