//! What a voter remembers.

use std::fmt::Write as _;

use crate::ballot::{Ballot, NodeId};
use crate::identity::Identity;
use crate::message::Known;
use crate::safety::{Rules, Safety};
use crate::text::{LANGUAGE, Malformed, Words, checksum};
use crate::{LONGEST_LEASE, SILENCE};

/// A voter's record, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub identity: Identity,
    /// On disk before it is answered; `None`: lost, or never there.
    pub durable: Option<Durable>,
    /// Kept across the server's restart and lost with the host's.
    pub volatile: Volatile,
    /// Why a durable text that was found is not believed: the next answer has it replaced, whatever is asked. Otherwise a
    /// restart of the host, after which there is nothing left to compare it with, would make it believed.
    pub disbelieved: Option<String>,
}

/// The durable part: changes rarely, and never without being on disk before the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durable {
    /// Names its beginning, when it was founded or relearnt: a copy from before a loss has another one. Not zero.
    pub begun: u32,
    /// One higher with each change.
    pub changes: u64,
    /// What it says.
    pub known: Known,
}

/// The volatile part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volatile {
    /// [`Durable::begun`] of the durable part that it belongs to; zero: that is lost.
    pub begun: u32,
    /// How often the durable part was changed: one with fewer changes is an earlier state.
    pub changes: u64,
    /// The end of the accepted lease on the voter's own clock; zero: it was released, or there was none.
    pub lease_end: u64,
    /// Until when the voter is silent, as it may have forgotten something.
    pub silent_until: u64,
}

/// What was lost, in a sentence each; `None`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loss {
    /// Why there is no durable part.
    pub durable: Option<String>,
    /// Why there is no volatile part.
    pub volatile: Option<String>,
}

impl Record {
    /// The record from the texts that were found, `None` where there is no file. Whatever is missing, damaged, foreign
    /// or older than the other part is lost: the record then begins with silence, and without a durable part it does
    /// not vote until it is relearnt. Write [`Record::volatile_text`] afterwards, so that the silence is not begun anew
    /// by the next restart of the server.
    pub fn load(identity: Identity, durable: Option<&str>, volatile: Option<&str>, now: u64) -> (Record, Loss) {
        Self::load_under(Rules::default(), identity, durable, volatile, now)
    }

    /// [`Record::load`] under other rules, for tests alone.
    #[doc(hidden)]
    pub fn load_under(
        rules: Rules,
        identity: Identity,
        durable: Option<&str>,
        volatile: Option<&str>,
        now: u64,
    ) -> (Record, Loss) {
        let mut loss = Loss::default();
        let known = volatile.map_or(Err("there is none".to_owned()), |text| {
            read_volatile(rules, &identity, text, now)
        });
        let known = known.map_err(|why| loss.volatile = Some(why)).ok();
        let unmarked = durable.is_some_and(|text| read(text, "lost").is_err());
        let durable = durable.map_or(Err("there is none".to_owned()), |text| {
            read_durable(rules, &identity, text, known.as_ref())
        });
        let durable = durable.map_err(|why| loss.durable = Some(why)).ok();
        // The silence for the same loss was begun before.
        let newly_lost = durable.is_none() && known.is_none_or(|known| known.begun != 0);
        let mut now_known = known.unwrap_or_default();
        now_known.begun = durable.as_ref().map_or(0, |durable| durable.begun);
        if loss.volatile.is_some() || newly_lost {
            now_known.silent_until = now.saturating_add(SILENCE);
        }
        if let Some(durable) = &durable {
            now_known.changes = now_known.changes.max(durable.changes);
        }
        let record = Record {
            disbelieved: loss.durable.clone().filter(|_| unmarked),
            identity,
            durable,
            volatile: now_known,
        };
        (record, loss)
    }

    /// The text for the durable file. Without a durable part it says that it is lost, and why.
    pub fn durable_text(&self) -> String {
        let Some(durable) = &self.durable else {
            let why = self.disbelieved.as_deref().unwrap_or("there was none");
            return with_checksum(format!("{}why={}\n", self.head("lost"), why.replace(' ', "_")));
        };
        let mut text = self.head("durable");
        let Durable { begun, changes, known } = durable;
        let _ = write!(text, "begun={begun}\nchanges={changes}\n{known}\n");
        with_checksum(text)
    }

    /// The text for the volatile file.
    pub fn volatile_text(&self) -> String {
        let mut text = self.head("volatile");
        let _ = writeln!(
            text,
            "begun={}\nchanges={}\nlease_end={}\nsilent_until={}",
            self.volatile.begun, self.volatile.changes, self.volatile.lease_end, self.volatile.silent_until,
        );
        with_checksum(text)
    }

    fn head(&self, kind: &str) -> String {
        let Identity {
            system,
            node,
            boot,
            device,
            inode,
        } = &self.identity;
        format!("{LANGUAGE} {kind}\nsystem={system}\nnode={node}\nboot={boot}\ndevice={device}\ninode={inode}\n")
    }

    /// Names the loss that is to be relearnt, so that what was gathered for an earlier one is not taken.
    pub fn loss_stamp(&self) -> String {
        format!("{}/{}", self.identity.boot, self.volatile.silent_until)
    }

    /// Whether a lease that this voter granted runs, and whose it is.
    pub fn running(&self, now: u64) -> Option<Ballot> {
        let accepted = self.durable.as_ref()?.known.accepted?;
        (now < self.volatile.lease_end).then_some(accepted)
    }

    /// The node whose record this is.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }
}

fn with_checksum(mut text: String) -> String {
    let sum = checksum(&text);
    let _ = writeln!(text, "sum={sum:08x}");
    text
}

/// The words of a text whose checksum is right, and the identity in it.
fn read<'a>(text: &'a str, kind: &str) -> Result<(Words<'a>, Identity), Malformed> {
    let (body, sum) = text
        .trim_end()
        .rsplit_once("sum=")
        .ok_or_else(|| Malformed::new("the checksum is missing"))?;
    if u32::from_str_radix(sum, 16).ok() != Some(checksum(body)) {
        return Err(Malformed::new("the checksum is wrong"));
    }
    let words = Words::parse(body)?;
    if words.kind != kind {
        return Err(Malformed::value(&format!("the {kind} part"), words.kind));
    }
    let identity = Identity {
        system: words.number("system")?,
        node: words.number("node")?,
        boot: words.get("boot")?.to_owned(),
        device: words.number("device")?,
        inode: words.number("inode")?,
    };
    Ok((words, identity))
}

fn read_durable(rules: Rules, identity: &Identity, text: &str, other: Option<&Volatile>) -> Result<Durable, String> {
    if let Ok((words, _)) = read(text, "lost") {
        let why = words.get("why").unwrap_or_default().replace('_', " ");
        return Err(format!("it is not relearnt yet; it was lost before: {why}"));
    }
    let (words, found) = read(text, "durable").map_err(|malformed| malformed.to_string())?;
    let foreign = rules.hold(Safety::ForeignIsLost);
    if foreign && !found.is_of(identity) {
        return Err(differs(&found, identity));
    }
    let durable = (|| {
        Ok::<_, Malformed>(Durable {
            begun: words.number("begun")?,
            changes: words.number("changes")?,
            known: Known::read(&words)?,
        })
    })();
    let durable = durable.map_err(|malformed| malformed.to_string())?;
    match other.filter(|_| foreign) {
        Some(other) if other.begun != durable.begun => {
            Err("it is a copy from before it was lost, or was just begun when the server ended".to_owned())
        }
        Some(other) if other.changes > durable.changes => Err(format!(
            "it is an earlier state: change {}, where {} were made",
            durable.changes, other.changes
        )),
        _ => Ok(durable),
    }
}

fn read_volatile(rules: Rules, identity: &Identity, text: &str, now: u64) -> Result<Volatile, String> {
    let (words, found) = read(text, "volatile").map_err(|malformed| malformed.to_string())?;
    if rules.hold(Safety::SilentAfterLoss) && found != *identity {
        return Err(differs(&found, identity));
    }
    let volatile = (|| {
        Ok::<_, Malformed>(Volatile {
            begun: words.number("begun")?,
            changes: words.number("changes")?,
            lease_end: words.number("lease_end")?,
            silent_until: words.number("silent_until")?,
        })
    })();
    let volatile = volatile.map_err(|malformed| malformed.to_string())?;
    let latest = now.saturating_add(LONGEST_LEASE.max(SILENCE));
    if volatile.lease_end > latest || volatile.silent_until > latest {
        return Err("it lies further ahead than this host's clock can have come".to_owned());
    }
    Ok(volatile)
}

fn differs(found: &Identity, now: &Identity) -> String {
    let pairs = [
        ("system identifier", found.system.to_string(), now.system.to_string()),
        ("node id", found.node.to_string(), now.node.to_string()),
        ("boot id", found.boot.clone(), now.boot.clone()),
        (
            "device of the data directory",
            found.device.to_string(),
            now.device.to_string(),
        ),
        (
            "inode of the data directory",
            found.inode.to_string(),
            now.inode.to_string(),
        ),
    ];
    let different = pairs.iter().filter(|(_, then, now)| then != now);
    let different: Vec<String> = different
        .map(|(what, then, now)| format!("{what} {then}, here {now}"))
        .collect();
    format!("it was written elsewhere: {}", different.join("; "))
}
