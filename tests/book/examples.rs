//! Every example of the book is run, page by page, on hosts as the page describes them, and shows what the page says.
//!
//! A page is run from its top. The quickest ones are part of `make test`; all of them are `make book`.

use std::collections::BTreeSet;

use crate::pages::{page, pages};
use crate::world::{Given, World, is_possible};

/// Pages whose examples are not run here, and why.
const ELSEWHERE: &[(&str, &str)] = &[(
    "start.md",
    "begins with the installation of the packages: `make package-test` runs it in a clean Debian",
)];

fn play(name: &str, given: Given) {
    if !is_possible(given) {
        return;
    }
    let examples = page(name).examples();
    assert!(!examples.is_empty(), "{name} has no examples");
    let world = World::new(given);
    for example in &examples {
        world.play(name, example);
    }
}

macro_rules! played {
    ($($(#[$attribute:meta])* $test:ident: $page:literal, $given:ident;)+) => {
        const PLAYED: &[&str] = &[$($page),+];
        $($(#[$attribute])* #[test] fn $test() { play($page, Given::$given); })+
    };
}

played! {
    setting_up: "setup.md", Hosts;
    #[ignore = "make book"]
    automatic_failover: "automatic.md", Cluster;
    #[ignore = "make book"]
    switchover: "switchover.md", Cluster;
    #[ignore = "make book"]
    rejoin: "rejoin.md", Cluster;
    #[ignore = "make book"]
    cloning: "cloning.md", Cluster;
    #[ignore = "make book"]
    clients: "clients.md", Cluster;
    #[ignore = "make book"]
    notifications: "notifications.md", Daemons;
    #[ignore = "make book"]
    checks: "checks.md", Daemons;
    #[ignore = "make book"]
    troubleshooting: "troubleshooting.md", Daemons;
    #[ignore = "make book"]
    concepts: "concepts.md", Cluster;
    #[ignore = "make book"]
    extensions: "extensions.md", Cluster;
    #[ignore = "make book"]
    moving: "moving.md", Originals;
    #[ignore = "make book"]
    witness: "witness.md", Daemons;
    #[ignore = "make book"]
    authentication: "authentication.md", Cluster;
}

#[test]
fn every_page_with_examples_is_run() {
    let played: BTreeSet<&str> = PLAYED.iter().copied().collect();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(name, _)| *name).collect();
    assert!(played.is_disjoint(&elsewhere));
    for page in pages() {
        let has = page.blocks().iter().any(|block| block.language == "sh");
        let known = played.contains(page.name.as_str()) || elsewhere.contains(page.name.as_str());
        assert_eq!(has, known, "{}: examples, or their test, are missing", page.name);
    }
}
