//! What a scenario is: a cluster, a fault, what must hold.

use std::time::Duration;

use crate::story::Story;

/// One story of the suite.
pub struct Scenario {
    /// Its name in the table, in the notes of a run and in `FAULTS`.
    pub name: &'static str,
    /// The cluster that it happens to.
    pub cast: Cast,
    /// What happens.
    pub fault: &'static str,
    /// What must hold; the story asks the servers whether it does.
    pub expected: &'static str,
    /// Whether the short run of `make test` has it.
    pub short: bool,
    /// What happens, in code.
    pub story: fn(&mut Story),
}

/// A cluster. Node 1 is the primary, the standbys follow, the witness is the last one.
#[derive(Clone, Copy)]
pub struct Cast {
    /// How many standbys.
    pub standbys: u32,
    /// Whether there is a witness.
    pub witness: bool,
    /// More lines of every repmgr.conf; `%F` is the folder of the node.
    pub settings: &'static str,
    /// More lines of the postgresql.conf that all have.
    pub server_settings: &'static str,
    /// Whether nodes know each other by name, not by address.
    pub names: bool,
    /// The room, in megabytes, of a file system that the data directory of node 1 has for itself.
    pub disk: Option<u32>,
    /// Whether the clocks of nodes can be set.
    pub clocks: bool,
    /// Whether the right to write is switched on.
    pub guarded: bool,
}

/// A primary and a standby with a witness.
pub const WITH_WITNESS: Cast = Cast {
    standbys: 1,
    witness: true,
    ..THREE
};

/// A primary and two standbys.
pub const THREE: Cast = Cast {
    standbys: 2,
    witness: false,
    settings: "",
    server_settings: "",
    names: false,
    disk: None,
    clocks: false,
    guarded: false,
};

/// A primary and two standbys with a witness.
pub const FOUR: Cast = Cast { witness: true, ..THREE };

/// What a story came to.
pub enum Outcome {
    /// All held. The longest time without a confirmed write.
    Held(Duration),
    /// It cannot be played here.
    NotHere(String),
}
