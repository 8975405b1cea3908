//! The strict synchronous mode while a primary is cut off, frozen or lost: what was acknowledged, wherever and whenever, is on
//! the next primary.

use crate::rights;
use crate::scenario::{Cast, Scenario, THREE};
use crate::story::Story;
use crate::writers::Writers;

const SETTINGS: &str = "write_right=majority\nwrite_right_duration=5\nsynchronous_mode=strict\n";
const SERVER_SETTINGS: &str = "shared_preload_libraries = 'repmgr'\n";

/// A primary and two standbys that commits wait for.
const STRICT: Cast = Cast {
    settings: SETTINGS,
    server_settings: SERVER_SETTINGS,
    guarded: true,
    ..THREE
};

const EXPECTED: &str = "a standby is promoted, and no acknowledged row is missing there";

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "synchronous-primary-cut-off",
        cast: STRICT,
        fault: "all packets to and from the primary's host are lost; writers beside every server; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::cut_off),
    },
    Scenario {
        name: "synchronous-server-killed",
        cast: STRICT,
        fault: "the primary's server is killed; its daemon lives; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::server_killed),
    },
    Scenario {
        name: "synchronous-host-frozen",
        cast: STRICT,
        fault: "server and daemon of the primary get SIGSTOP, and SIGCONT after the failover; `synchronous_mode=strict`",
        expected: EXPECTED,
        short: false,
        story: |story| keeps_all(story, rights::host_frozen),
    },
];

/// Plays a story of the right to write with writers, and looks for each of their rows on the new primary.
fn keeps_all(story: &mut Story, play: fn(&mut Story)) {
    let writers = Writers::at_work(story);
    play(story);
    let standbys = 2..2 + story.cast().standbys;
    let is_primary = |id: &u32| story.answers(*id, "SELECT pg_is_in_recovery()", "f");
    let winner = standbys.into_iter().find(is_primary).expect("a standby was promoted");
    writers.write_at(story, winner);
    writers.lost_nothing(story, winner);
}
