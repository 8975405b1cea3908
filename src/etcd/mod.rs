//! etcd, version 3, over its JSON gateway: the keys of the right to write, read and changed by transactions. Answers for
//! endpoints, TLS, users and the form of questions and answers. Does not decide (`write_right::etcd`).

mod client;
mod wire;

pub use client::{Client, Problem};

use crate::write_right::etcd::{Kept, Seen};

/// What the keys say to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The keys.
    pub seen: Seen,
    /// What is left of the holder's lease, in seconds.
    pub left: Option<u64>,
}

impl Standing {
    /// Who has the right now.
    pub fn holder(&self) -> Option<Kept> {
        self.seen.holder.map(|entry| entry.kept)
    }
}
