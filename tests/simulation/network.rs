//! The network: who reaches whom, and how long it takes.

use repmgr::failover::ConnectFailure;

use crate::world::World;

/// How long a connection attempt may take, in milliseconds.
pub const CONNECT_TIMEOUT: u64 = 2000;

impl World {
    /// Whether packets go both ways, without which no connection works.
    pub fn linked(&self, one: usize, other: usize) -> bool {
        self.links[one][other] && self.links[other][one]
    }

    /// How long a message takes this time; a few take very long.
    pub fn latency(&mut self, from: usize, to: usize) -> u64 {
        if from == to {
            return self.random.between(1, 5);
        }
        let usual = self.random.between(1, 30);
        let unlucky = if !self.calm && self.random.chance(2) {
            self.random.between(50, 2_500)
        } else {
            0
        };
        usual + unlucky + self.slow[from][to]
    }

    /// Whether a server answers another host's login, or what it gets instead.
    pub fn connect(&mut self, from: usize, to: usize) -> Result<(), ConnectFailure> {
        if from != to {
            if self.hosts[from].names_fail {
                self.last_cut[from][to] = self.now;
                return Err(ConnectFailure::NameNotResolved);
            }
            if !self.linked(from, to)
                || self.hosts[to].server.host_down
                || (self.loss > 0 && self.random.chance(self.loss))
            {
                self.last_cut[from][to] = self.now;
                self.last_cut[to][from] = self.now;
                return Err(ConnectFailure::Silent);
            }
        }
        let server = &self.hosts[to].server;
        if !server.up || server.host_down {
            return Err(ConnectFailure::Refused);
        }
        if server.hung {
            self.last_cut[from][to] = self.now;
            self.last_cut[to][from] = self.now;
            return Err(ConnectFailure::Silent);
        }
        if self.now < server.starting_until {
            return Err(ConnectFailure::NotAccepting);
        }
        match self.hosts[to].refuses {
            Some(failure) if from != to => {
                self.last_cut[from][to] = self.now;
                Err(failure)
            }
            _ => Ok(()),
        }
    }
}
