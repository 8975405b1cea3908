//! Attempts that overlap: when they are started, and what a decision waits for.

use std::time::Duration;

use super::driven::{Daemon, REFUSED, UP, announced};
use super::observation::{CommandEnd, ConnectFailure, Finished, Probe};
use super::rules::Rule;
use crate::config::Config;

const SILENT: Probe = Err(ConnectFailure::Silent);

fn quick(config: &mut Config) {
    config.monitor_interval_secs = Duration::from_secs(1);
    config.reconnect_attempts = 3;
    config.reconnect_interval = Duration::from_secs(1);
}

/// When the probe began that the upstream will not answer well.
fn loses(daemon: &mut Daemon, answer: Probe, takes: u64) -> Duration {
    daemon.upstream = answer;
    daemon.takes = Duration::from_millis(takes);
    daemon.now
}

#[test]
fn a_silent_primary_costs_the_attempts_on_the_clock_and_one_limit() {
    for (answer, takes, longest) in [(SILENT, 1500, 3500), (SILENT, 2000, 4000), (REFUSED, 0, 2000)] {
        let mut daemon = Daemon::watching(quick);
        let first = loses(&mut daemon, answer, takes);
        let won = daemon.until(Rule::ElectionWon);
        let decided = won.wake_at - daemon.settings.polling() - first;
        let room = Duration::from_millis(5);
        let longest = Duration::from_millis(longest);
        assert!(decided >= longest && decided < longest + room, "{decided:?}");
        let announced = daemon.settings.longest_to_decision(Duration::from_millis(takes));
        assert_eq!(announced, daemon.settings.monitor_interval + longest);
    }
}

#[test]
fn attempts_that_last_for_many_intervals_count_once_each() {
    let mut daemon = Daemon::watching(|config| {
        quick(config);
        config.reconnect_interval = Duration::from_millis(300);
    });
    let first = loses(&mut daemon, SILENT, 2000);
    let begins = daemon.until(Rule::ElectionBegins);
    let decided = begins.wake_at - first;
    assert!(
        decided >= Duration::from_millis(2600) && decided < Duration::from_millis(2610),
        "{decided:?}"
    );
}

#[test]
fn an_answer_that_takes_its_time_holds_nothing_up_and_is_no_loss() {
    let mut daemon = Daemon::watching(quick);
    loses(&mut daemon, UP, 1800);
    let end = daemon.now + Duration::from_secs(30);
    let mut seen = 0;
    while daemon.now < end {
        let before = daemon.now;
        match daemon.turn().rule {
            Rule::UpstreamAwaited => {}
            Rule::UpstreamSeen => seen += 1,
            other => panic!("{}", other.name()),
        }
        assert!(
            daemon.now - before <= Duration::from_millis(1100),
            "the loop is held up"
        );
    }
    assert!(seen > 10, "{seen} answers");
}

#[test]
fn one_attempt_that_succeeds_is_enough_however_late() {
    let mut daemon = Daemon::watching(quick);
    let first = loses(&mut daemon, SILENT, 2000);
    let lost = daemon.until(Rule::UpstreamLost);
    assert!(announced(&lost, "repmgrd_upstream_disconnect").is_some());
    // The third one is answered at the very end of its time.
    loses(&mut daemon, UP, 1900);
    let back = daemon.until(Rule::UpstreamBack);
    assert!(announced(&back, "repmgrd_upstream_reconnect").is_some());
    let after = back.wake_at - daemon.settings.monitor_interval - first;
    assert!(after < Duration::from_millis(4000), "{after:?}");
}

/// As after a pause of the whole machine: time alone makes no attempts.
#[test]
fn a_daemon_that_was_stopped_makes_the_attempts_that_are_left() {
    let mut daemon = Daemon::watching(quick);
    loses(&mut daemon, REFUSED, 0);
    daemon.until(Rule::UpstreamLost);
    daemon.now += Duration::from_secs(60);
    let resumed = daemon.now;
    let begins = daemon.until(Rule::ElectionBegins);
    assert!(begins.wake_at - resumed >= Duration::from_secs(1) - Duration::from_millis(10));
}

#[test]
fn an_election_does_not_wait_for_a_silent_primary_whose_last_answer_is_fresh() {
    let mut daemon = Daemon::watching(|config| {
        quick(config);
        config.failover_delay = Duration::from_secs(20);
    });
    loses(&mut daemon, SILENT, 2000);
    daemon.until(Rule::ElectionDelayed);
    let delayed = daemon.now;
    let won = daemon.until(Rule::ElectionWon);
    let lasted = won.wake_at - daemon.settings.polling() - delayed;
    assert!(lasted < Duration::from_millis(21_100), "{lasted:?}");
}

#[test]
fn nothing_is_decided_by_what_was_seen_before_the_daemon_stood_still() {
    let mut daemon = Daemon::watching(quick);
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionBegins);
    daemon.stood_still = true;
    assert_eq!(daemon.turn().rule, Rule::ElectionDelayed);
    assert_eq!(daemon.turn().rule, Rule::ElectionWon);

    let mut daemon = Daemon::watching(|config| {
        quick(config);
        config.failover_validation_command = "true".to_owned();
    });
    daemon.upstream = REFUSED;
    daemon.until(Rule::ElectionWon);
    daemon.finished.push(Finished::Validation(CommandEnd::Exited(0)));
    daemon.stood_still = true;
    assert_eq!(daemon.turn().rule, Rule::ElectionBegins);
}
