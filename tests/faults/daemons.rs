//! Daemons that die or stop where they are.

use nix::sys::signal::Signal;

use crate::scenario::{Cast, FOUR, Scenario, THREE};
use crate::story::Story;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "all-daemons-killed",
        cast: THREE,
        fault: "all daemons are killed and started again",
        expected: "nobody is promoted, writes go on, all watch again",
        short: false,
        story: all_killed,
    },
    Scenario {
        name: "best-daemon-killed-and-then-the-primary",
        cast: FOUR,
        fault: "the best standby's daemon is killed, and then the primary's server",
        expected: "the other standby is promoted; that one follows when its daemon is back",
        short: false,
        story: best_daemon_killed,
    },
    Scenario {
        name: "best-daemon-stopped-for-a-while",
        cast: FOUR,
        fault: "the best standby's daemon gets SIGSTOP, and then the primary's server is killed; SIGCONT when the \
                others wait for it",
        expected: "that standby is promoted when its daemon goes on, the others follow",
        short: false,
        story: best_daemon_stopped_for_a_while,
    },
    Scenario {
        name: "best-daemon-stopped-for-good",
        cast: Cast {
            settings: "promote_check_timeout=1\n",
            ..FOUR
        },
        fault: "the best standby's daemon gets SIGSTOP, and then the primary's server is killed; \
                promote_check_timeout=1",
        expected: "after the minute that a promotion may take the other standby is promoted in its place; SIGCONT \
                   afterwards: it follows",
        short: false,
        story: best_daemon_stopped_for_good,
    },
    Scenario {
        name: "primarys-daemon-stopped",
        cast: THREE,
        fault: "the primary's daemon gets SIGSTOP, SIGCONT later",
        expected: "nobody is promoted, writes go on",
        short: false,
        story: primarys_daemon_stopped,
    },
];

fn all_killed(story: &mut Story) {
    story.hit();
    for id in 1..=3 {
        story.kill_daemon(id);
    }
    story.nobody_is_promoted();
    for id in 1..=3 {
        story.start_daemon(id);
    }
    story.all_well(1, &[2, 3]);
}

fn best_daemon_killed(story: &mut Story) {
    story.kill_daemon(2);
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to(3, &[4]);
    story.start_daemon(2);
    story.all_well(3, &[2, 4]);
}

fn best_daemon_stopped_for_a_while(story: &mut Story) {
    story.node(2).signal_daemon(Signal::SIGSTOP);
    story.hit();
    story.node(1).server.kill();
    story.wait_logged(3, "rule \"election-lost\"", 0);
    story.node(2).signal_daemon(Signal::SIGCONT);
    story.fails_over_to(2, &[3, 4]);
}

fn best_daemon_stopped_for_good(story: &mut Story) {
    story.node(2).signal_daemon(Signal::SIGSTOP);
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to(3, &[4]);
    story.node(2).signal_daemon(Signal::SIGCONT);
    story.all_well(3, &[2, 4]);
}

fn primarys_daemon_stopped(story: &mut Story) {
    story.hit();
    story.node(1).signal_daemon(Signal::SIGSTOP);
    story.nobody_is_promoted();
    story.node(1).signal_daemon(Signal::SIGCONT);
    story.all_well(1, &[2, 3]);
}
