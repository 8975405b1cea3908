//! This node as a voter: its record is read from the files, a question is answered by the rules of `repmgr-write-right`,
//! and what must not be forgotten is written before the answer is given.
//!
//! Needs nothing of the server but its identity, so it works on a standby, without preloading, and after every restart.

use std::io;
use std::os::unix::fs::MetadataExt;

use pgrx::pg_sys;
use repmgr_write_right::{Identity, Loss, Malformed, Record, Request, answer};

use super::record_file::{self, Found, Locked};
use super::shared;
use crate::state::{self, UNKNOWN};

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The question cannot be read.
    Malformed(Malformed),
    /// Neither the node's daemon nor a record has said which node this is.
    WhichNode,
    /// Another session has been answering for too long.
    Busy,
    /// A file cannot be read or written.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Failure::Busy,
            _ => Failure::Io(error),
        }
    }
}

/// Answers a question, one after the other for all sessions; `pause` is called while another one is answered.
pub fn ask(question: &str, pause: impl Fn()) -> Result<String, Failure> {
    let request: Request = Request::parse(question).map_err(Failure::Malformed)?;
    let _locked = Locked::wait(pause)?;
    let found = record_file::read()?;
    let identity = identity(&found)?;
    let now = shared::now();
    let (before, _) = Record::load(identity, found.durable.as_deref(), found.volatile.as_deref(), now);
    let (after, answer, durable_first) = answer(&before, now, &request);
    if durable_first {
        record_file::write_durable(&after.durable_text())?;
    }
    let volatile = after.volatile_text();
    if found.volatile.as_deref() != Some(&volatile) {
        record_file::write_volatile(&volatile)?;
    }
    if let Some(durable) = &after.durable
        && let Some(holder) = durable.known.holder()
    {
        state::write_right().note_holder(holder, durable.known.epoch.0);
    }
    Ok(answer.to_string())
}

/// The record as it is now, without changing anything; `None` if there is no file of it, or none that says whose it is.
pub fn look() -> Result<Option<(Record, Loss)>, Failure> {
    let found = record_file::read()?;
    if found.durable.is_none() && found.volatile.is_none() {
        return Ok(None);
    }
    let identity = match identity(&found) {
        // Whatever is there, it is not of a node that anybody knows.
        Err(Failure::WhichNode) => return Ok(None),
        identity => identity?,
    };
    let (durable, volatile) = (found.durable.as_deref(), found.volatile.as_deref());
    Ok(Some(Record::load(identity, durable, volatile, shared::now())))
}

/// What this server is. Which node, its daemon says; until it has, the record does.
fn identity(found: &Found) -> Result<Identity, Failure> {
    let told = Some(state::read(|state| state.local_node_id)).filter(|node| *node != UNKNOWN);
    let recorded = || {
        let texts = [&found.durable, &found.volatile];
        let words = texts
            .into_iter()
            .flatten()
            .flat_map(|text| text.split_ascii_whitespace());
        words.filter_map(|word| word.strip_prefix("node=")?.parse().ok()).next()
    };
    let node = told.or_else(recorded).ok_or(Failure::WhichNode)?;
    let folder = std::fs::metadata(".")?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(Identity {
        // SAFETY: reads what the server keeps in its shared memory from its start on.
        system: unsafe { pg_sys::GetSystemIdentifier() },
        node,
        boot: boot.trim().to_owned(),
        device: folder.dev(),
        inode: folder.ino(),
    })
}
