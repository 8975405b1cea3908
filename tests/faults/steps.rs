//! A daemon is killed at each step of a failover, and started again as a service manager does.

use crate::gates::Gate;
use crate::scenario::{Cast, FOUR, Scenario};
use crate::story::Story;

/// An election that is validated, where a story can hold it, and voted on again soon.
const VALIDATED: Cast = Cast {
    settings: "failover_validation_command='sh %F/validate.sh'\nelection_rerun_interval=2\n",
    ..FOUR
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "daemon-killed-during-the-attempts",
        cast: FOUR,
        fault: "the best standby's daemon is killed after the first failed attempt and started again",
        expected: "one standby is promoted, the other one and the witness follow",
        short: false,
        story: during_the_attempts,
    },
    Scenario {
        name: "daemon-killed-during-the-validation",
        cast: VALIDATED,
        fault: "the elected node's daemon is killed while `failover_validation_command` runs, and stays away",
        expected: "the other standby is promoted, the witness follows; the daemon comes back: its node follows, too",
        short: false,
        story: during_the_validation,
    },
    Scenario {
        name: "daemon-killed-before-the-promotion",
        cast: FOUR,
        fault: "the elected node's daemon is killed when `promote_command` has begun, and started again; the command \
                goes on",
        expected: "one standby is promoted, the other one and the witness follow",
        short: true,
        story: before_the_promotion,
    },
    Scenario {
        name: "daemon-and-command-killed-before-the-promotion",
        cast: FOUR,
        fault: "the elected node's daemon and its `promote_command` are killed before it has promoted anybody; \
                the daemon is started again",
        expected: "one standby is promoted, the other one and the witness follow",
        short: false,
        story: with_its_command,
    },
    Scenario {
        name: "daemon-killed-after-the-promotion",
        cast: FOUR,
        fault: "the new primary's daemon is killed before it has told anybody, and started again",
        expected: "the other standby and the witness follow",
        short: false,
        story: after_the_promotion,
    },
    Scenario {
        name: "daemon-gone-after-the-promotion",
        cast: FOUR,
        fault: "the new primary's daemon is killed before it has told anybody, and stays away",
        expected: "the other standby and the witness find the new primary themselves and follow",
        short: false,
        story: gone_after_the_promotion,
    },
    Scenario {
        name: "waiting-daemon-killed",
        cast: FOUR,
        fault: "the other standby's daemon is killed while it waits for the winner's word, and started again",
        expected: "the other standby and the witness follow",
        short: false,
        story: waiting,
    },
    Scenario {
        name: "witness-daemon-killed",
        cast: FOUR,
        fault: "the witness's daemon is killed while the winner promotes, and started again",
        expected: "the other standby and the witness follow",
        short: false,
        story: witness,
    },
    Scenario {
        name: "daemon-killed-before-it-follows",
        cast: FOUR,
        fault: "the other standby's daemon is killed when `follow_command` has begun, and started again; the command \
                goes on",
        expected: "the other standby and the witness follow",
        short: false,
        story: before_following,
    },
    Scenario {
        name: "daemon-killed-after-it-follows",
        cast: FOUR,
        fault: "the other standby's daemon is killed when its server follows already, and started again",
        expected: "the other standby and the witness follow",
        short: false,
        story: after_following,
    },
    Scenario {
        name: "all-daemons-killed-during-the-promotion",
        cast: FOUR,
        fault: "all daemons are killed when `promote_command` has begun, and started again; the command goes on",
        expected: "one standby is promoted, the other one and the witness follow",
        short: false,
        story: all_of_them,
    },
    Scenario {
        name: "elected-host-powered-off-before-the-promotion",
        cast: Cast { standbys: 3, ..FOUR },
        fault: "the primary's server is killed, and the elected node's host loses power before it has promoted itself",
        expected: "another standby is promoted, the last one and the witness follow",
        short: false,
        story: elected_host_lost,
    },
];

fn primary_killed(story: &mut Story) {
    story.hit();
    story.node(1).server.kill();
}

fn restart_daemon(story: &mut Story, id: u32) {
    story.kill_daemon(id);
    story.start_daemon(id);
}

fn during_the_attempts(story: &mut Story) {
    let before = story.logged(2, "rule \"upstream-lost\"");
    primary_killed(story);
    story.wait_logged(2, "rule \"upstream-lost\"", before);
    restart_daemon(story, 2);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn during_the_validation(story: &mut Story) {
    story.close(2, Gate::Validation);
    primary_killed(story);
    story.reached(2, Gate::Validation);
    story.kill_daemon(2);
    story.open(2, Gate::Validation);
    story.fails_over_to(3, &[4]);
    story.start_daemon(2);
    story.all_well(3, &[2, 4]);
}

fn before_the_promotion(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    restart_daemon(story, 2);
    story.open(2, Gate::BeforePromotion);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn with_its_command(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    story.kill_daemon(2);
    story.kill_commands(2);
    story.open(2, Gate::BeforePromotion);
    story.start_daemon(2);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn after_the_promotion(story: &mut Story) {
    story.close(2, Gate::AfterPromotion);
    primary_killed(story);
    story.reached(2, Gate::AfterPromotion);
    restart_daemon(story, 2);
    story.open(2, Gate::AfterPromotion);
    story.fails_over_to(2, &[3, 4]);
}

fn gone_after_the_promotion(story: &mut Story) {
    story.close(2, Gate::AfterPromotion);
    primary_killed(story);
    story.reached(2, Gate::AfterPromotion);
    story.kill_daemon(2);
    story.open(2, Gate::AfterPromotion);
    story.fails_over_to(2, &[3, 4]);
}

fn waiting(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    story.wait_logged(3, "rule \"election-lost\"", 0);
    restart_daemon(story, 3);
    story.open(2, Gate::BeforePromotion);
    story.fails_over_to(2, &[3, 4]);
}

fn witness(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    restart_daemon(story, 4);
    story.open(2, Gate::BeforePromotion);
    story.fails_over_to(2, &[3, 4]);
}

fn before_following(story: &mut Story) {
    story.close(3, Gate::BeforeFollowing);
    primary_killed(story);
    story.reached(3, Gate::BeforeFollowing);
    restart_daemon(story, 3);
    story.open(3, Gate::BeforeFollowing);
    story.fails_over_to(2, &[3, 4]);
}

fn after_following(story: &mut Story) {
    story.close(3, Gate::AfterFollowing);
    primary_killed(story);
    story.reached(3, Gate::AfterFollowing);
    restart_daemon(story, 3);
    story.open(3, Gate::AfterFollowing);
    story.fails_over_to(2, &[3, 4]);
}

fn all_of_them(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    for id in 1..=4 {
        story.kill_daemon(id);
    }
    story.start_daemon(2);
    story.start_daemon(3);
    story.start_daemon(4);
    story.open(2, Gate::BeforePromotion);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn elected_host_lost(story: &mut Story) {
    story.close(2, Gate::BeforePromotion);
    primary_killed(story);
    story.reached(2, Gate::BeforePromotion);
    story.lose_host(2);
    story.fails_over_to_one_of(&[3, 4], &[5]);
}
