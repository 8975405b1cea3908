//! The right to write, as far as the failover core sees it: one lease of the whole cluster, granted to whoever reaches a
//! majority of all registered nodes while nobody else's lasts. How that comes about among voters is simulated in
//! `tests/write_right/`.

use repmgr::failover::{Mode, Phase, Promotion, Right};
use repmgr::types::NodeId;

use crate::world::World;

/// How long it lasts.
const LENGTH: u64 = 5_000;

/// The lease of a cluster that has one.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    holder: usize,
    /// Who had it before the holder.
    before: usize,
    until: u64,
}

impl Lease {
    /// The primary has it when the story begins.
    pub fn first() -> Lease {
        Lease {
            holder: 0,
            before: 0,
            until: LENGTH,
        }
    }
}

impl World {
    /// How the right stands for a daemon whose turn ends.
    pub fn right_of(&mut self, host: usize) -> Right {
        let Some(lease) = self.lease else {
            return Right::NotNeeded;
        };
        let mine = lease.holder == host && self.now < lease.until;
        let leads = self.hosts[host].server.primary && self.hosts[host].server.serves(self.now);
        let wanted = leads && lease.holder == host || self.acquires(host);
        let free = mine || self.now >= lease.until && self.may_be_after(host, lease.holder);
        if wanted && free && self.reaches_majority(host) {
            // In the synchronous mode it waits for those who have every commit to say how far they are.
            if !mine && self.acquires(host) && self.random.chance(20) {
                return Right::Barred("one of those who have every acknowledged commit has not answered".to_owned());
            }
            self.lease = Some(Lease {
                holder: host,
                before: if mine { lease.before } else { lease.holder },
                until: self.now + LENGTH,
            });
            return Right::Held;
        }
        if mine {
            Right::Held
        } else {
            Right::Missing(format!("node {} has it", lease.holder + 1))
        }
    }

    /// Whether a node may have the right after another: if it is to be promoted in somebody's place, after that one alone.
    fn may_be_after(&self, host: usize, last: usize) -> bool {
        let state = self.hosts[host].daemon.as_ref().map(|daemon| &daemon.state);
        let place = state
            .filter(|_| self.acquires(host))
            .and_then(|state| state.in_place_of());
        last == host || place.is_none_or(|place| self.host_of(place) == Some(last))
    }

    /// Whether a node that has the right got it after that one, or after itself.
    pub fn came_after(&self, host: usize, place: NodeId) -> bool {
        let lease = self.lease.filter(|lease| lease.holder == host);
        lease.is_some_and(|lease| lease.before == host || self.host_of(place) == Some(lease.before))
    }

    fn acquires(&self, host: usize) -> bool {
        let state = self.hosts[host].daemon.as_ref().map(|daemon| &daemon.state.mode);
        matches!(
            state,
            Some(Mode::Standby(Phase::Promoting(
                Promotion::Acquiring { .. } | Promotion::Running { .. } | Promotion::Verifying { .. }
            )))
        )
    }

    fn reaches_majority(&mut self, host: usize) -> bool {
        let count = self.hosts.len();
        let reached = (0..count).filter(|voter| self.connect(host, *voter).is_ok()).count();
        reached * 2 > count
    }
}
