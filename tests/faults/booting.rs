//! With the right to write: an old primary that comes back by itself, and a whole cluster whose hosts were all off.

use crate::rights::{self, GUARDED, GUARDED_PAIR};
use crate::scenario::{Cast, Scenario};
use crate::story::Story;

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=5\nrejoin=rewind\nelection_rerun_interval=3\n";

/// A primary and two standbys, with the right to write, and an old primary that is rewound.
const REWOUND: Cast = Cast {
    settings: SETTINGS,
    ..GUARDED
};

/// The same with one standby and a witness.
const REWOUND_PAIR: Cast = Cast {
    settings: SETTINGS,
    ..GUARDED_PAIR
};

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "right-cut-off-primary-returns",
        cast: REWOUND,
        fault: "all packets to and from the primary's host are lost, and it is healed after the failover; `rejoin=rewind`",
        expected: "the old primary is a standby of the new one, with nothing for a person to do",
        short: false,
        story: cut_off_returns,
    },
    Scenario {
        name: "right-cut-off-primary-returns-beside-a-witness",
        cast: REWOUND_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: cut_off_returns,
    },
    Scenario {
        name: "right-powered-off-primary-returns",
        cast: REWOUND,
        fault: "the primary's host loses power, and boots after the failover, its server as a primary; `rejoin=rewind`",
        expected: "the same",
        short: false,
        story: powered_off_returns,
    },
    Scenario {
        name: "right-powered-off-primary-returns-beside-a-witness",
        cast: REWOUND_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: powered_off_returns,
    },
    Scenario {
        name: "right-all-hosts-off-and-on",
        cast: REWOUND,
        fault: "all hosts lose power and boot, the primary's last; again, the primary's first",
        expected: "the same node is the primary, and all others stream from it",
        short: false,
        story: all_off_and_on,
    },
    Scenario {
        name: "right-all-hosts-off-and-on-beside-a-witness",
        cast: REWOUND_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: all_off_and_on,
    },
    Scenario {
        name: "right-all-hosts-off-one-standby-missing",
        cast: REWOUND,
        fault: "all hosts lose power, and one of the standbys' does not boot",
        expected: "the same node is the primary; the one that was missing streams when it is there",
        short: false,
        story: all_off_standby_missing,
    },
    Scenario {
        name: "right-all-hosts-off-primary-missing",
        cast: REWOUND,
        fault: "all hosts lose power; the primary's does not boot before another node has been promoted",
        expected: "a lone node promotes nobody; two do; the old primary comes back as a standby",
        short: false,
        story: all_off_primary_missing,
    },
    Scenario {
        name: "right-all-hosts-off-primary-missing-beside-a-witness",
        cast: REWOUND_PAIR,
        fault: "the same with one standby and a witness",
        expected: "the same",
        short: false,
        story: all_off_primary_missing,
    },
    Scenario {
        name: "right-all-hosts-off-after-a-failover",
        cast: REWOUND,
        fault: "the primary's host loses power; after the failover all others do, and the old primary's boots first",
        expected: "the overtaken primary commits nothing; the newer one is the primary, and the old one its standby",
        short: false,
        story: all_off_after_a_failover,
    },
];

fn boot(story: &mut Story, id: u32) {
    story.power_on(id);
    story.node(id).server.start();
    story.start_daemon(id);
}

fn all_off(story: &mut Story) {
    story.hit();
    for id in 1..=3 {
        story.lose_host(id);
    }
}

/// A standby is promoted, as the only primary is away. The new primary, and who follows it beside the old one.
fn fails_over(story: &mut Story) -> (u32, Vec<u32>) {
    let (standbys, witness) = rights::candidates(story);
    let winner = story.fails_over_to_one_of(&standbys, &witness);
    let followers = standbys.into_iter().chain(witness).filter(|id| *id != winner);
    (winner, followers.collect())
}

fn returns(story: &Story, winner: u32, followers: &[u32]) {
    story.all_well(winner, &[&[1], followers].concat());
}

fn cut_off_returns(story: &mut Story) {
    story.hit();
    story.isolate(1);
    let (winner, followers) = fails_over(story);
    story.heal();
    returns(story, winner, &followers);
}

fn powered_off_returns(story: &mut Story) {
    story.hit();
    story.lose_host(1);
    let (winner, followers) = fails_over(story);
    boot(story, 1);
    returns(story, winner, &followers);
}

fn all_off_and_on(story: &mut Story) {
    for order in [[3, 2, 1], [1, 2, 3]] {
        all_off(story);
        for id in order {
            boot(story, id);
        }
        story.all_well(1, &[2, 3]);
        story.nobody_is_promoted();
    }
}

fn all_off_standby_missing(story: &mut Story) {
    all_off(story);
    boot(story, 2);
    boot(story, 1);
    story.all_well(1, &[2]);
    boot(story, 3);
    story.all_well(1, &[2, 3]);
    story.nobody_is_promoted();
}

fn all_off_primary_missing(story: &mut Story) {
    all_off(story);
    boot(story, 2);
    story.wait_logged(2, "rule \"upstream-not-there\"", 0);
    story.nobody_is_promoted();
    boot(story, 3);
    let (winner, followers) = fails_over(story);
    boot(story, 1);
    returns(story, winner, &followers);
}

fn all_off_after_a_failover(story: &mut Story) {
    story.hit();
    story.lose_host(1);
    let (winner, followers) = fails_over(story);
    story.lose_host(2);
    story.lose_host(3);
    boot(story, 1);
    story.wait_logged(1, "rule \"too-few-voters\"", 0);
    story.nobody_is_promoted();
    assert!(story.node(1).server.is_running(), "alone it goes on reading");
    boot(story, winner);
    // The newer primary has its right by the old one's vote, so that one goes on until the third is there.
    story.wait_logged(1, "rule \"vote-needed\"", 0);
    for id in &followers {
        boot(story, *id);
    }
    returns(story, winner, &followers);
}
