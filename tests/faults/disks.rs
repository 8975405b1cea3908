//! Disks that are full or hang: the data directory of node 1 has one of its own.

use crate::scenario::{Cast, Scenario, THREE};
use crate::story::Story;

/// Room for a small database and some WAL.
const OWN_DISK: Cast = Cast {
    disk: Some(192),
    ..THREE
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "disk-full",
        cast: OWN_DISK,
        fault: "the primary's disk is full: its table cannot grow, its server answers",
        expected: "nobody is promoted; when there is room again, writes go on",
        short: false,
        story: disk_full,
    },
    Scenario {
        name: "disk-full-of-wal",
        cast: OWN_DISK,
        fault: "the primary's disk is full when it needs a new WAL segment: its server panics and does not come up",
        expected: "a standby is promoted, the other one follows; with room again the node rejoins",
        short: false,
        story: disk_full_of_wal,
    },
    Scenario {
        name: "disk-hangs",
        cast: OWN_DISK,
        fault: "the primary's disk hangs: who writes waits for ever, new connections answer",
        expected: "nobody is promoted, as `connection_check_type=ping` sees no loss (W-18); writes go on with the disk",
        short: false,
        story: disk_hangs,
    },
    Scenario {
        name: "disk-hangs-with-a-query-that-writes",
        cast: Cast {
            // Sessions that hang pile up.
            server_settings: "max_connections = 300",
            settings: "connection_check_type=query\nasync_query_timeout=2\n\
                       connection_check_query='INSERT INTO public.written VALUES (0, clock_timestamp())'\n",
            ..OWN_DISK
        },
        fault: "the same with `connection_check_type=query` and a `connection_check_query` that writes",
        expected: "a standby is promoted, the other one follows; the disk goes on: the alarm is raised, nobody turns back",
        short: false,
        story: disk_hangs_with_a_query,
    },
];

fn disk_full(story: &mut Story) {
    story.disk().fill();
    story.hit();
    // More than the pages that the table has.
    let grow = "INSERT INTO written SELECT 1, clock_timestamp() FROM generate_series(1, 20000)";
    assert!(story.ask(1, &format!("{grow} RETURNING node")).is_none(), "no room");
    story.wait_no_writes();
    story.nobody_is_promoted();
    story.disk().empty();
    story.all_well(1, &[2, 3]);
}

fn disk_full_of_wal(story: &mut Story) {
    story.hit();
    story.disk().fill();
    story.wait("the server of node1 has given up", |story| {
        // Its answer may be that it crashes.
        let _ = story.ask(1, "SELECT pg_switch_wal()");
        (!story.node(1).server.is_running()).then_some(())
    });
    // Dying, it may have sent the end of its last segment to one of them only.
    let winner = story.fails_over_to_one_of(&[2, 3], &[]);
    story.disk().empty();
    story.rejoins(1, winner);
}

fn disk_hangs(story: &mut Story) {
    story.hit();
    story.disk().hang();
    story.wait_no_writes();
    story.nobody_is_promoted();
    story.disk().go_on().expect("a disk that hung");
    story.all_well(1, &[2, 3]);
}

fn disk_hangs_with_a_query(story: &mut Story) {
    story.hit();
    story.disk().hang();
    story.fails_over_to(2, &[3]);
    story.disk().go_on().expect("a disk that hung");
    story.raises_the_alarm(1);
    story.nobody_is_promoted();
    story.streams(3, 2);
    story.watches(3, 2);
}
