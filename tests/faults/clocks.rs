//! Clocks that jump. The machine's own cannot be set for one host alone: libfaketime answers in its place whenever a
//! program of the node asks for the time of day. The clocks that only ever go forward it leaves alone, as a jump does.

use std::path::{Path, PathBuf};

use crate::scenario::{Cast, FOUR, Scenario};
use crate::story::Story;
use crate::support::cluster::Node;
use crate::support::hosts::Hosts;
use crate::support::user;

const SET: Cast = Cast { clocks: true, ..FOUR };

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "clock-of-the-primary-jumps",
        cast: SET,
        fault: "the clock of the primary's host is set forward by an hour, later back by two",
        expected: "nobody is promoted, all stream",
        short: false,
        story: primary_jumps,
    },
    Scenario {
        name: "clocks-of-standby-and-witness-jump",
        cast: SET,
        fault: "the clocks of the best standby and of the witness are set back by an hour, and the primary's server is \
                killed",
        expected: "that standby is promoted, the others follow",
        short: false,
        story: standby_and_witness_jump,
    },
    Scenario {
        name: "clocks-differ-by-hours",
        cast: SET,
        fault: "each clock is an hour ahead of the next, and the primary's host loses power",
        expected: "a standby is promoted, the others follow",
        short: false,
        story: all_differ,
    },
];

fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let candidates = folders.map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"));
    candidates.into_iter().find(|path| path.exists())
}

fn file(node: &Node) -> PathBuf {
    node.server.folder.join("clock")
}

/// Has servers and daemons of all nodes ask a clock that can be set.
pub fn fit(hosts: &mut Hosts) -> Result<(), String> {
    let library = library().ok_or("libfaketime is missing (package libfaketime)")?;
    for node in &mut hosts.nodes {
        let file = file(node);
        user::write(&file, "+0\n");
        let settings = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let environment = settings.map(|(name, value)| (name.to_owned(), value));
        node.server.host.as_mut().expect("a host").environment = environment.to_vec();
    }
    Ok(())
}

impl Story {
    /// Sets the clock of a node to so many seconds from the time, and waits until its server says so.
    fn set_clock(&self, id: u32, seconds: i64) {
        user::write(&file(self.node(id)), &format!("{seconds:+}\n"));
        self.wait(&format!("the clock of node{id} is {seconds} s off"), |story| {
            let shown = story.ask(id, "SELECT extract(epoch FROM clock_timestamp())::bigint")?;
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .ok()?;
            let off = shown.parse::<i64>().ok()? - i64::try_from(now.as_secs()).ok()?;
            ((off - seconds).abs() < 30).then_some(())
        });
    }
}

fn primary_jumps(story: &mut Story) {
    story.hit();
    story.set_clock(1, 3600);
    story.nobody_is_promoted();
    story.set_clock(1, -3600);
    story.nobody_is_promoted();
    story.all_well(1, &[2, 3, 4]);
}

fn standby_and_witness_jump(story: &mut Story) {
    story.set_clock(2, -3600);
    story.set_clock(4, -3600);
    story.hit();
    story.node(1).server.kill();
    story.fails_over_to_one_of(&[2, 3], &[4]);
}

fn all_differ(story: &mut Story) {
    for id in 1..=4 {
        story.set_clock(id, 3600 * (3 - i64::from(id)));
    }
    story.hit();
    story.lose_host(1);
    story.fails_over_to_one_of(&[2, 3], &[4]);
}
