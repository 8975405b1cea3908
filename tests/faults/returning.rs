//! The old primary's server is killed and comes back in each phase of the failover.

use crate::gates::Gate;
use crate::scenario::{Cast, FOUR, Scenario};
use crate::story::Story;

/// An election that is validated, where a story can hold it.
const VALIDATED: Cast = Cast {
    settings: "failover_validation_command='sh %F/validate.sh'\nelection_rerun_interval=2\n",
    ..FOUR
};

/// A server that starts on a busy machine is still back in time.
const PATIENT: Cast = Cast {
    settings: "reconnect_attempts=10\n",
    ..FOUR
};

/// Standbys take no WAL from anybody while they elect.
const DISCONNECTED: Cast = Cast {
    settings: "standby_disconnect_on_failover=true\n",
    ..FOUR
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "returns-during-the-attempts",
        cast: PATIENT,
        fault: "the primary's server is killed and comes back after the first failed attempt of ten",
        expected: "nobody is promoted, all stream",
        short: false,
        story: during_the_attempts,
    },
    Scenario {
        name: "returns-during-the-validation",
        cast: VALIDATED,
        fault: "it comes back while `failover_validation_command` runs on the elected node",
        expected: "nobody is promoted, all stream",
        short: false,
        story: during_the_validation,
    },
    Scenario {
        name: "returns-before-the-promotion",
        cast: FOUR,
        fault: "it comes back when `promote_command` has begun and promoted nobody yet",
        expected: "nobody is promoted, all stream",
        short: false,
        story: before_the_promotion,
    },
    Scenario {
        name: "returns-after-the-promotion",
        cast: DISCONNECTED,
        fault: "it comes back when the new primary has been promoted and has told nobody; \
                `standby_disconnect_on_failover`",
        expected: "all others follow the new primary and nobody turns back; the alarm is raised; the node rejoins",
        short: false,
        story: after_the_promotion,
    },
    Scenario {
        name: "returns-before-a-standby-follows",
        cast: DISCONNECTED,
        fault: "it comes back when the other standby has been told to follow and has not begun; \
                `standby_disconnect_on_failover`",
        expected: "all others follow the new primary and nobody turns back; the alarm is raised; the node rejoins",
        short: false,
        story: before_a_standby_follows,
    },
    Scenario {
        name: "returns-and-feeds-a-standby",
        cast: FOUR,
        fault: "the same without that setting, and the standby takes WAL of the old primary before it follows",
        expected: "that standby cannot follow any more and stays (W-43), its daemon raises the alarm; nobody else is \
                   promoted, the witness follows; both nodes rejoin",
        short: false,
        story: feeds_a_standby,
    },
    Scenario {
        name: "returns-after-a-standby-follows",
        cast: FOUR,
        fault: "it comes back when the other standby follows and its daemon does not know it yet",
        expected: "all others follow the new primary and nobody turns back; the alarm is raised; the node rejoins",
        short: false,
        story: after_a_standby_follows,
    },
    Scenario {
        name: "returns-when-all-is-over",
        cast: FOUR,
        fault: "it comes back when all follow the new primary",
        expected: "nobody turns back; the alarm is raised; the node rejoins",
        short: false,
        story: when_all_is_over,
    },
    Scenario {
        name: "stopped-server-goes-on",
        cast: FOUR,
        fault: "the primary's processes get SIGSTOP, and SIGCONT when all follow the new primary",
        expected: "nobody turns back; the alarm is raised; the node rejoins",
        short: false,
        story: stopped_server_goes_on,
    },
];

fn killed(story: &mut Story) {
    story.hit();
    story.node(1).server.kill();
}

/// Killed, and the witness has given it up: what comes back while the witness still counts its attempts was never lost to it.
fn killed_for_all(story: &mut Story) {
    let given_up = |story: &Story| {
        let rules = ["rule \"witness-waits\"", "rule \"told-to-follow\""];
        rules.map(|rule| story.logged(4, rule)).iter().sum::<usize>()
    };
    let before = given_up(story);
    killed(story);
    story.wait("the witness gives the primary up", |story| {
        (given_up(story) > before).then_some(())
    });
}

fn during_the_attempts(story: &mut Story) {
    let before = story.logged(2, "rule \"upstream-lost\"");
    killed(story);
    story.wait_logged(2, "rule \"upstream-lost\"", before);
    story.node(1).server.start();
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3, 4]);
}

fn during_the_validation(story: &mut Story) {
    story.close(2, Gate::Validation);
    killed(story);
    story.reached(2, Gate::Validation);
    story.node(1).server.start();
    story.open(2, Gate::Validation);
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3, 4]);
}

fn before_the_promotion(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    killed(story);
    story.reached(2, Gate::BeforePromotion);
    story.node(1).server.start();
    story.open(2, Gate::BeforePromotion);
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3, 4]);
}

fn after_the_promotion(story: &mut Story) {
    story.close(2, Gate::AfterPromotion);
    killed_for_all(story);
    story.reached(2, Gate::AfterPromotion);
    story.node(1).server.start();
    story.open(2, Gate::AfterPromotion);
    rejoined(story);
}

fn before_a_standby_follows(story: &mut Story) {
    story.close(3, Gate::BeforeFollowing);
    killed_for_all(story);
    story.reached(3, Gate::BeforeFollowing);
    story.node(1).server.start();
    story.open(3, Gate::BeforeFollowing);
    rejoined(story);
}

fn feeds_a_standby(story: &mut Story) {
    story.close(3, Gate::BeforeFollowing);
    killed_for_all(story);
    story.reached(3, Gate::BeforeFollowing);
    let promoted_at = story.ask(2, "SELECT pg_current_wal_lsn()").expect("a position");
    story.node(1).server.start();
    let sql = format!(
        "SELECT (SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = 1) = 1 AND \
         pg_last_wal_receive_lsn() > '{promoted_at}'"
    );
    story.wait("node3 takes WAL of node1", |story| {
        story.answers(3, &sql, "t").then_some(())
    });
    story.open(3, Gate::BeforeFollowing);
    story.fails_over_to(2, &[4]);
    story.raises_the_alarm(3);
    story.receives(3, 1);
    story.rejoins(1, 2);
    story.nobody_is_promoted();
    story.rejoins(3, 2);
    story.all_well(2, &[1, 3, 4]);
}

fn after_a_standby_follows(story: &mut Story) {
    story.close(3, Gate::AfterFollowing);
    killed_for_all(story);
    story.reached(3, Gate::AfterFollowing);
    story.node(1).server.start();
    story.open(3, Gate::AfterFollowing);
    rejoined(story);
}

fn when_all_is_over(story: &mut Story) {
    killed(story);
    story.fails_over_to(2, &[3, 4]);
    story.node(1).server.start();
    story.raises_the_alarm(1);
    story.nobody_is_promoted();
    story.all_well(2, &[3, 4]);
    story.rejoins(1, 2);
    story.all_well(2, &[1, 3, 4]);
}

fn stopped_server_goes_on(story: &mut Story) {
    story.hit();
    story.node(1).server.freeze();
    story.fails_over_to(2, &[3, 4]);
    story.node(1).server.go_on();
    story.raises_the_alarm(1);
    story.nobody_is_promoted();
    story.all_well(2, &[3, 4]);
    story.rejoins(1, 2);
    story.all_well(2, &[1, 3, 4]);
}

/// All follow the new primary although the old one is there; a person does what the alarm says.
fn rejoined(story: &mut Story) {
    story.fails_over_to(2, &[3, 4]);
    story.raises_the_alarm(1);
    story.all_well(2, &[3, 4]);
    story.rejoins(1, 2);
    story.all_well(2, &[1, 3, 4]);
}
