//! Elections turn by turn: who waits for whom, who holds back, who takes whose place.

use std::time::Duration;

use super::action::{Action, Where};
use super::driven::{Daemon, REFUSED, UP, announced, node, seen};
use super::observation::{Answer, CommandEnd, ConnectFailure, Finished, Notification, Right, Seen};
use super::rules::Rule;
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

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
fn w24_voting_again_announces_no_return_of_the_upstream() {
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
fn w13_w26_a_winner_that_does_not_act_is_passed_over() {
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

/// Seed 85084 of the simulation: a node without a majority went past another one for ever, and kept it from voting.
#[test]
fn who_is_not_granted_the_right_lets_those_act_again_whom_it_went_past() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.right = Right::Missing("two of four nodes answer".to_owned());
    daemon.until(Rule::OvertakingAnnounced);
    daemon.until(Rule::RightMissing);
    let decided = [Rule::ElectionLost, Rule::OvertakingAnnounced, Rule::ElectionWon];
    let next = (0..500)
        .map(|_| daemon.turn())
        .find(|turn| decided.contains(&turn.rule));
    let next = next.expect("another election");
    assert_eq!(next.rule, Rule::ElectionLost, "{}", next.reason);
}

/// An original that is told to vote again may win at that very moment, as it does not hold back.
#[test]
fn an_original_that_does_not_act_is_passed_over_without_a_word() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.others[0].daemon_is_original = Answer::Yes;
    let mut rule = Rule::UpstreamSeen;
    while rule != Rule::ElectionWon {
        let decision = daemon.turn();
        let told = |action: &Action| matches!(action, Action::Notify { .. });
        assert!(!decision.actions.iter().any(told), "{:?}", decision.actions);
        rule = decision.rule;
    }
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

/// An election of a sibling that began before this node was there does not count with it.
#[test]
fn a_node_that_is_just_back_holds_back_unless_its_siblings_saw_the_primary_after_that() {
    for (saw, rule) in [
        (None, Rule::NewlyElectable),
        (Some(5), Rule::NewlyElectable),
        (Some(0), Rule::ElectionWon),
    ] {
        let mut daemon = Daemon::new(|config| config.reconnect_attempts = 1);
        daemon.until(Rule::UpstreamSeen);
        daemon.others[0].upstream_last_seen = saw.map(Duration::from_secs);
        daemon.upstream = REFUSED;
        daemon.until(Rule::ElectionBegins);
        assert_eq!(daemon.turn().rule, rule, "{saw:?}");
    }
}

/// Seed 529640: the word was six seconds on its way, and the node that was to hold back won meanwhile.
#[test]
fn nobody_is_overtaken_who_has_not_heard_of_it() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.unheard = true;
    daemon.until(Rule::OvertakingAnnounced);
    let announced = daemon.now;
    while daemon.now < announced + Duration::from_secs(30) {
        assert_ne!(daemon.turn().rule, Rule::ElectionWon);
    }
    daemon.unheard = false;
    daemon.until(Rule::OvertakingAnnounced);
    let heard = daemon.now;
    daemon.until(Rule::ElectionWon);
    assert!(daemon.now - heard < daemon.settings.settle * 2);

    // A server that takes no word in at all does not keep the cluster without a primary.
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.unheard = true;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.until(Rule::ElectionWon);
}

/// Seed 520293: it told the better node to hold back again and again, so that nobody was promoted.
#[test]
fn a_node_that_may_not_be_promoted_holds_nobody_back() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(2000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::ElectionBegins);
    daemon.nodes[1].upstream = None;
    daemon.until(Rule::UpstreamUnrecorded);
    daemon.never(Rule::OvertakingAnnounced);
}

/// Seed 112608: the turn had begun before `failover_delay` had passed, and the vote found nobody visible.
#[test]
fn an_election_that_came_due_while_a_probe_was_awaited_asks_the_siblings_first() {
    for delay in 1..40 {
        let mut daemon = Daemon::watching(|config| {
            config.reconnect_attempts = 1;
            config.failover_delay = Duration::from_millis(delay * 100);
        });
        (daemon.upstream, daemon.takes) = (REFUSED, Duration::from_millis(700));
        daemon.until(Rule::ElectionBegins);
        while daemon.turn().rule != Rule::ElectionWon {
            assert!(daemon.cause().is_none(), "{delay}");
        }
    }
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

/// Holding back itself takes longer than the one holds back that this node had told to.
#[test]
fn an_announcement_does_not_count_after_this_node_was_told_to_hold_back() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(3000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.local.notification = Some(Notification::RerunElection);
    daemon.until(Rule::ToldToVoteAgain);
    daemon.until(Rule::OvertakingAnnounced);
    daemon.until(Rule::ElectionWon);
}

/// The election was broken off in between, and whoever was told does not hold back any longer.
#[test]
fn an_announcement_does_not_count_after_a_time_without_elections() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(3000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::OvertakingAnnounced);
    daemon.upstream = Err(ConnectFailure::Authentication);
    daemon.until(Rule::UpstreamRefuses);
    daemon.upstream = REFUSED;
    daemon.until(Rule::VoteAgain);
    daemon.until(Rule::OvertakingAnnounced);
    daemon.until(Rule::ElectionWon);
}

#[test]
fn w26_a_dead_daemon_is_not_waited_for() {
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
    let began = begins.wake_at - daemon.settings.polling();
    daemon.until(Rule::ElectionDelayed);
    let won = daemon.until(Rule::ElectionWon);
    let lasted = won.wake_at - daemon.settings.polling() - began;
    assert!(
        lasted >= Duration::from_secs(7) && lasted < Duration::from_secs(8),
        "{lasted:?}"
    );

    // The primary is looked at meanwhile.
    let mut daemon = Daemon::watching(|config| config.failover_delay = Duration::from_secs(7));
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionDelayed);
    daemon.upstream = UP;
    assert_eq!(daemon.turn().rule, Rule::UpstreamBack);
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

/// They hold back for a while only, and a promotion may take longer.
#[test]
fn better_nodes_are_told_again_until_they_are_overtaken() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.upstream = REFUSED;
    daemon.others[0].receive_lsn = Some(Lsn(3000));
    daemon.others[0].daemon_running = Answer::No;
    daemon.until(Rule::ElectionWon);
    let hold_back = Action::Notify {
        nodes: vec![NodeId(3)],
        value: Notification::RerunElection,
    };
    let (from, mut last) = (daemon.now, daemon.now);
    while daemon.now - from < Duration::from_secs(30) {
        let now = daemon.now;
        let pending = daemon.turn();
        assert_eq!(pending.rule, Rule::PromotionPending);
        if pending.actions.contains(&hold_back) {
            last = now;
        }
        assert!(now - last <= daemon.settings.settle + Duration::from_secs(2));
    }
}

/// The configuration was read again while `promote_delay` passed.
#[test]
fn a_node_set_to_manual_before_its_promotion_begins_is_not_promoted() {
    let mut daemon = Daemon::watching(|config| config.promote_delay = Duration::from_secs(3));
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionWon);
    daemon.settings.automatic = false;
    let manual = daemon.turn();
    assert_eq!(manual.rule, Rule::FailoverManual);
    assert!(!manual.actions.contains(&Action::RunPromoteCommand));
}

/// A witness is out of recovery, too; its record had a type that nobody knows.
#[test]
fn a_node_of_unknown_type_is_not_taken_for_the_primary() {
    let mut daemon = Daemon::watching(|_| ());
    daemon.nodes[1].upstream = None;
    daemon.nodes[2].node_type = NodeType::Unknown;
    daemon.nodes[0].active = false;
    daemon.others[0].recovery = RecoveryState::Primary;
    daemon.upstream = REFUSED;
    daemon.state = super::state::State::new(NodeId(2));
    daemon.until(Rule::NoUpstream);
}

/// The primary was cut off only, and the answer came while the validation command was still running.
#[test]
fn a_primary_that_refuses_this_node_during_the_validation_is_not_replaced() {
    let mut daemon = Daemon::watching(|config| config.failover_validation_command = "true".into());
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionWon);
    daemon.upstream = Err(ConnectFailure::Authentication);
    for _ in 0..2 {
        daemon.until(Rule::ValidationPending);
    }
    daemon.takes = Duration::from_secs(2);
    daemon.finished.push(Finished::Validation(CommandEnd::Exited(0)));
    assert_eq!(daemon.turn().rule, Rule::UpstreamRefuses);
}
