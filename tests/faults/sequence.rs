//! Random sequences of faults: which node is hit by what, when, for how long, and in which order all is mended. A seed
//! determines a sequence; nothing here touches a host.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of the server, which stays down.
    ServerKilled,
    /// The server is shut down in order.
    ServerStopped,
    /// `kill -9` of the daemon.
    DaemonKilled,
    /// SIGSTOP of every process of the server.
    ServerFrozen,
    /// SIGSTOP of the daemon.
    DaemonFrozen,
    /// SIGSTOP of both.
    HostFrozen,
    /// The host loses power.
    PoweredOff,
    /// All packets from and to the host are lost.
    CutOff,
    /// Packets to and from the next host are lost.
    CutFromNext,
    /// Packets to the next host are lost.
    CutOneWay,
    /// A third of all packets to the host are lost.
    Lossy,
}

impl Fault {
    pub const ALL: [Fault; 11] = [
        Fault::ServerKilled,
        Fault::ServerStopped,
        Fault::DaemonKilled,
        Fault::ServerFrozen,
        Fault::DaemonFrozen,
        Fault::HostFrozen,
        Fault::PoweredOff,
        Fault::CutOff,
        Fault::CutFromNext,
        Fault::CutOneWay,
        Fault::Lossy,
    ];
}

/// Which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The primary of that moment.
    Primary,
    /// So many nodes after it.
    After(u32),
}

impl Whom {
    /// The node in a cluster of so many.
    pub fn node(self, primary: u32, count: u32) -> u32 {
        match self {
            Whom::Primary => primary,
            Whom::After(steps) => (primary - 1 + steps) % count + 1,
        }
    }
}

/// One blow.
#[derive(Debug, Clone, Copy)]
pub struct Blow {
    /// After the one before.
    pub after: Duration,
    pub whom: Whom,
    pub fault: Fault,
}

/// Some blows, and their end.
#[derive(Debug, Clone)]
pub struct Bout {
    /// At different nodes.
    pub blows: Vec<Blow>,
    /// From the last blow until the first is mended.
    pub lasts: Duration,
    /// In which order they are mended, by index.
    pub mended: Vec<usize>,
    /// From one mend to the next.
    pub between: Duration,
}

/// The bouts of a seed for a cluster of `count` nodes. In some of them every host loses power.
pub fn bouts(seed: u64, count: u32) -> Vec<Bout> {
    let mut random = Random::new(seed);
    (0..3).map(|_| bout(&mut random, count)).collect()
}

fn bout(random: &mut Random, count: u32) -> Bout {
    let all = random.chance(15);
    let many = match random.between(1, 10) {
        _ if all => count,
        1..=6 => 1,
        7..=9 => 2,
        _ => count,
    };
    let mut left: Vec<u32> = (0..count).collect();
    let mut blows = Vec::new();
    for place in 0..many {
        // The first one hits the primary more often than not: it is what is interesting.
        let steps = if place == 0 && random.chance(60) {
            left.remove(0)
        } else {
            left.remove(random.index(left.len()))
        };
        blows.push(Blow {
            after: milliseconds(random, if all { 300 } else { 4_000 }),
            whom: if steps == 0 { Whom::Primary } else { Whom::After(steps) },
            fault: if all {
                Fault::PoweredOff
            } else {
                Fault::ALL[random.index(Fault::ALL.len())]
            },
        });
    }
    let mut left: Vec<usize> = (0..blows.len()).collect();
    let mended = (0..blows.len())
        .map(|_| left.remove(random.index(left.len())))
        .collect();
    Bout {
        blows,
        lasts: milliseconds(random, 15_000),
        mended,
        between: milliseconds(random, 4_000),
    }
}

fn milliseconds(random: &mut Random, most: u64) -> Duration {
    Duration::from_millis(random.between(0, most))
}

impl fmt::Display for Bout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for blow in &self.blows {
            let whom = match blow.whom {
                Whom::Primary => "the primary".to_owned(),
                Whom::After(steps) => format!("the primary+{steps}"),
            };
            write!(f, "{:?} at {whom} after {:?}, ", blow.fault, blow.after)?;
        }
        write!(
            f,
            "mended after {:?} in the order {:?}, {:?} apart",
            self.lasts, self.mended, self.between
        )
    }
}
