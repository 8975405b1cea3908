//! Servers and hosts that die or stop where they are.

use nix::sys::signal::Signal;

use crate::scenario::{Cast, FOUR, Scenario, THREE, WITH_WITNESS};
use crate::story::Story;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "server-killed",
        cast: THREE,
        fault: "the primary's server is killed",
        expected: "a standby is promoted, the other one follows",
        short: true,
        story: server_killed,
    },
    Scenario {
        name: "server-killed-beside-a-witness",
        cast: WITH_WITNESS,
        fault: "the primary's server is killed; one standby and a witness",
        expected: "the standby is promoted, the witness follows",
        short: false,
        story: server_killed_beside_a_witness,
    },
    Scenario {
        name: "host-powered-off",
        cast: FOUR,
        fault: "the primary's host loses power: its packets are lost, nothing runs there",
        expected: "a standby is promoted, the other one and the witness follow",
        short: true,
        story: host_powered_off,
    },
    Scenario {
        name: "host-powered-off-for-good",
        cast: WITH_WITNESS,
        fault: "the primary's host loses power; one standby and a witness",
        expected: "the standby is promoted, the witness follows; the host comes back and its node rejoins",
        short: false,
        story: host_comes_back,
    },
    Scenario {
        name: "server-stopped-where-it-is",
        cast: THREE,
        fault: "the primary's processes get SIGSTOP: connections stay, nothing answers",
        expected: "a standby is promoted, the other one follows",
        short: false,
        story: server_frozen,
    },
    Scenario {
        name: "server-stopped-for-a-moment",
        cast: THREE,
        fault: "the primary's processes get SIGSTOP, and SIGCONT after the first failed attempt",
        expected: "nobody is promoted, all stream",
        short: false,
        story: server_frozen_for_a_moment,
    },
    Scenario {
        name: "server-and-its-daemon-killed",
        cast: FOUR,
        fault: "server and daemon of the primary are killed",
        expected: "a standby is promoted, the other one and the witness follow",
        short: false,
        story: server_and_daemon_killed,
    },
    Scenario {
        name: "server-shut-down",
        cast: THREE,
        fault: "the primary's server is shut down (fast) and nobody says why",
        expected: "a standby is promoted, the other one follows, no WAL is lost",
        short: false,
        story: server_shut_down,
    },
    Scenario {
        name: "server-restarted",
        cast: THREE,
        fault: "the primary's server is restarted at once",
        expected: "nobody is promoted, all stream",
        short: false,
        story: server_restarted,
    },
    Scenario {
        name: "server-crashes",
        cast: THREE,
        fault: "the primary's checkpointer is killed: the server throws all out and recovers",
        expected: "nobody is promoted, all stream",
        short: false,
        story: server_crashes,
    },
    Scenario {
        name: "standby-killed",
        cast: FOUR,
        fault: "a standby's server is killed, and started again later",
        expected: "nobody is promoted; its record says inactive, and active again",
        short: false,
        story: standby_killed,
    },
    Scenario {
        name: "standby-and-primary-killed",
        cast: FOUR,
        fault: "the servers of the primary and of the best standby are killed in the same moment",
        expected: "the other standby is promoted with the witness, which follows",
        short: false,
        story: standby_and_primary_killed,
    },
    Scenario {
        name: "witness-killed-and-then-the-primary",
        cast: FOUR,
        fault: "the witness's server is killed, and a moment later the primary's",
        expected: "two of three: a standby is promoted, the other one follows",
        short: false,
        story: witness_and_then_primary,
    },
    Scenario {
        name: "primary-killed-and-then-its-successor",
        cast: Cast { standbys: 3, ..THREE },
        fault: "the primary's server is killed; when all is well, its successor's, too",
        expected: "two promotions, one after the other; whoever is not promoted follows",
        short: false,
        story: two_in_a_row,
    },
    Scenario {
        name: "witness-with-two-failures-in-a-row",
        cast: FOUR,
        fault: "the primary's host loses power; when all is well, its successor's server is killed",
        expected: "two promotions, one after the other; the witness follows both times",
        short: false,
        story: two_in_a_row_with_a_witness,
    },
];

fn server_killed(story: &mut Story) {
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to_one_of(&[2, 3], &[]);
}

fn server_killed_beside_a_witness(story: &mut Story) {
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to(2, &[3]);
}

fn host_powered_off(story: &mut Story) {
    story.hit();
    story.lose_host(1);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn host_comes_back(story: &mut Story) {
    story.hit();
    story.lose_host(1);
    story.fails_over_to(2, &[3]);
    story.power_on(1);
    story.rejoins(1, 2);
    story.start_daemon(1);
    story.all_well(2, &[1, 3]);
}

fn server_frozen(story: &mut Story) {
    story.hit();
    story.node(1).server.freeze();
    story.fails_over_to_one_of(&[2, 3], &[]);
}

fn server_frozen_for_a_moment(story: &mut Story) {
    let before = story.logged(2, "rule \"upstream-lost\"");
    story.hit();
    story.node(1).server.freeze();
    story.wait_logged(2, "rule \"upstream-lost\"", before);
    story.node(1).server.go_on();
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3]);
}

fn server_and_daemon_killed(story: &mut Story) {
    story.hit();
    story.node(1).server.strike();
    story.kill_daemon(1);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn server_shut_down(story: &mut Story) {
    story.hit();
    story.node(1).server.stop("fast");
    story.fails_over_to(2, &[3]);
    let control = story.control_data(1, "Latest checkpoint location");
    let sql = format!("SELECT '{control}'::pg_lsn < pg_current_wal_lsn()");
    assert!(
        story.answers(2, &sql, "t"),
        "the checkpoint at the shutdown has arrived"
    );
}

fn server_restarted(story: &mut Story) {
    story.hit();
    story.node(1).server.stop("fast");
    story.node(1).server.start();
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3]);
}

fn server_crashes(story: &mut Story) {
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let pid = story.ask(1, sql).expect("a process").parse().expect("a number");
    story.hit();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).expect("a signal");
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3]);
}

fn standby_killed(story: &mut Story) {
    story.hit();
    story.node(2).server.kill();
    let record = "SELECT active FROM repmgr.nodes WHERE node_id = 2";
    story.wait("the record of node2 says inactive", |story| {
        story.answers(1, record, "f").then_some(())
    });
    story.nobody_is_promoted();
    story.node(2).server.start();
    story.all_well(1, &[2, 3, 4]);
}

fn standby_and_primary_killed(story: &mut Story) {
    story.hit();
    story.node(1).server.strike();
    story.node(2).server.strike();
    story.fails_over_to(3, &[4]);
}

fn witness_and_then_primary(story: &mut Story) {
    story.hit();
    story.node(4).server.strike();
    story.node(1).server.strike();
    story.fails_over_to(2, &[3]);
}

fn two_in_a_row(story: &mut Story) {
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to(2, &[3, 4]);
    story.hit();
    story.node(2).server.kill();
    // Daemons write events for a while after a failover, and the last of them may have reached one standby alone.
    story.fails_over_to_one_of(&[3, 4], &[]);
}

fn two_in_a_row_with_a_witness(story: &mut Story) {
    story.hit();
    story.lose_host(1);
    story.fails_over_to(2, &[3, 4]);
    story.hit();
    story.node(2).server.kill();
    story.fails_over_to(3, &[4]);
}
