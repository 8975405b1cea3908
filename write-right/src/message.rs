//! What a voter can be asked and what it answers.

use std::fmt;

use crate::ballot::{Ballot, Epoch, NodeId};
use crate::payload::Payload;
use crate::text::{LANGUAGE, Malformed, Words, or_dash};
use crate::voters::VoterList;

/// A question to a voter. Its text is one line ([`fmt::Display`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// What do you know? Changes nothing.
    Status,
    /// Begin: this is the first voter list. For switching the feature on, after all voters said that they have no record
    /// (or this very list and never a promise), and all servers that the right is not required. A record that was lost
    /// later is relearnt, never founded again.
    Found {
        /// The first list.
        list: VoterList,
    },
    /// This is what a majority of the others know, gathered after your silence was over.
    Relearn {
        /// Which loss it is for: [`Answer::loss`].
        loss: String,
        /// The highest of each.
        known: Known,
    },
    /// Promise to accept no lower ballot.
    Prepare {
        /// The attempt.
        ballot: Ballot,
        /// The newest list that the proposer knows.
        list: VoterList,
    },
    /// Grant, or extend, the lease of the ballot's node, and remember what comes with it.
    Accept(Proposal),
    /// The holder gives its right back: the lease of this ballot, or of an earlier one of the same node where this one
    /// did not arrive, ends now; the ballot is refused from now on.
    Release {
        /// The ballot it was held under.
        ballot: Ballot,
    },
}

/// What an acceptance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A new holder, or a holder under a new ballot.
    Acquire,
    /// The same holder, a while longer.
    Renew,
    /// The same holder with a changed voter list.
    Reconfigure,
    /// A voter list without those who were given up, by a person's order.
    Force,
}

/// The content of [`Request::Accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose lease.
    pub ballot: Ballot,
    /// The holder's epoch.
    pub epoch: Epoch,
    /// How long the lease lasts from the moment it is accepted.
    pub length: u64,
    /// The synchronous standbys.
    pub payload: Payload,
    /// The voters.
    pub list: VoterList,
}

/// What a voter knows, whether the lease has ended or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The highest ballot promised.
    pub promise: Option<Ballot>,
    /// The last ballot accepted; its node is the holder.
    pub accepted: Option<Ballot>,
    /// The highest ballot released.
    pub released: Option<Ballot>,
    /// The epoch of the last acceptance.
    pub epoch: Epoch,
    /// The payload of the last acceptance.
    pub payload: Payload,
    /// The voters.
    pub list: VoterList,
}

impl Known {
    /// The last holder.
    pub fn holder(&self) -> Option<NodeId> {
        self.accepted.map(|ballot| ballot.node)
    }

    pub(crate) fn read(words: &Words<'_>) -> Result<Self, Malformed> {
        Ok(Known {
            promise: words.maybe("promise", Ballot::parse)?,
            accepted: words.maybe("accepted", Ballot::parse)?,
            released: words.maybe("released", Ballot::parse)?,
            epoch: Epoch(words.number("epoch")?),
            payload: Payload::parse(words.get("payload")?)?,
            list: VoterList::parse(words.get("list")?)?,
        })
    }
}

impl fmt::Display for Known {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "promise={} accepted={} released={} epoch={} payload={} list={}",
            or_dash(self.promise.as_ref()),
            or_dash(self.accepted.as_ref()),
            or_dash(self.released.as_ref()),
            self.epoch,
            self.payload,
            self.list,
        )
    }
}

macro_rules! words {
    ($type:ident, $what:literal: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$variant),+];
            /// Its stable word.
            pub fn word(self) -> &'static str { match self { $($type::$variant => $word,)+ } }
            fn parse(word: &str) -> Result<Self, Malformed> {
                match word { $($word => Ok($type::$variant),)+ _ => Err(Malformed::value($what, word)) }
            }
        }
    };
}

words!(Purpose, "a purpose": Acquire = "acquire", Renew = "renew", Reconfigure = "reconfigure", Force = "force");

/// How a voter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// To [`Request::Status`].
    Status,
    /// The ballot is promised.
    Promised,
    /// The lease is granted or extended.
    Accepted,
    /// No lease of this ballot runs here, and none will.
    Released,
    /// The record has begun, or had begun with the same list.
    Founded,
    /// The record is relearnt; the voter votes again.
    Relearnt,
    /// Refused: another node's lease runs here.
    Held,
    /// Refused: a higher ballot was promised.
    LowerBallot,
    /// Refused: no honest proposer can have reached this round.
    Implausible,
    /// Refused: the voter knows a newer list.
    OlderList,
    /// Refused: the proposer is not a voter, or this voter is not.
    NotAVoter,
    /// Refused: the voter knows a higher epoch.
    OlderEpoch,
    /// Refused: overtaken by a later question of the same holder.
    Stale,
    /// Refused: this ballot was released.
    AlreadyReleased,
    /// Refused: longer than the longest lease.
    TooLong,
    /// No vote: the voter may have forgotten something, and waits.
    Silent,
    /// No vote: the voter has no durable record.
    Lost,
    /// Refused: there is a record already.
    NotLost,
}

words!(Verdict, "a verdict":
    Status = "status", Promised = "promised", Accepted = "accepted", Released = "released", Founded = "founded",
    Relearnt = "relearnt", Held = "held", LowerBallot = "lower-ballot", Implausible = "implausible",
    OlderList = "older-list", NotAVoter = "not-a-voter", OlderEpoch = "older-epoch", Stale = "stale",
    AlreadyReleased = "already-released", TooLong = "too-long", Silent = "silent", Lost = "lost", NotLost = "not-lost",
);

/// A voter's answer. Its text is one line ([`fmt::Display`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it says to the question.
    pub verdict: Verdict,
    /// Who answers.
    pub node: NodeId,
    /// What it knows after it; `None`: the durable record is lost.
    pub known: Option<Known>,
    /// What is left of the lease that it granted last, by its own clock, in milliseconds; zero: nothing.
    pub left: u64,
    /// How much longer it is silent, in milliseconds; zero: it is not.
    pub silent: u64,
    /// Names the loss that is to be relearnt; only without a durable record.
    pub loss: Option<String>,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer {
            verdict,
            node,
            known,
            left,
            silent,
            loss,
        } = self;
        let loss = or_dash(loss.as_ref());
        let verdict = verdict.word();
        write!(
            formatter,
            "{LANGUAGE} {verdict} node={node} left={left} silent={silent} loss={loss}"
        )?;
        match known {
            Some(known) => write!(formatter, " {known}"),
            None => Ok(()),
        }
    }
}

impl Answer {
    /// Reads the text of an answer.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let words = Words::parse(text)?;
        let loss = words.maybe("loss", |text| Ok(text.to_owned()))?;
        Ok(Answer {
            verdict: Verdict::parse(words.kind)?,
            node: words.number("node")?,
            known: if loss.is_none() {
                Some(Known::read(&words)?)
            } else {
                None
            },
            left: words.number("left")?,
            silent: words.number("silent")?,
            loss,
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{LANGUAGE} ")?;
        match self {
            Request::Status => write!(formatter, "status"),
            Request::Found { list } => write!(formatter, "found list={list}"),
            Request::Relearn { loss, known } => write!(formatter, "relearn loss={loss} {known}"),
            Request::Prepare { ballot, list } => write!(formatter, "prepare ballot={ballot} list={list}"),
            Request::Accept(proposal) => write!(
                formatter,
                "accept purpose={} ballot={} epoch={} length={} payload={} list={}",
                proposal.purpose.word(),
                proposal.ballot,
                proposal.epoch,
                proposal.length,
                proposal.payload,
                proposal.list,
            ),
            Request::Release { ballot } => write!(formatter, "release ballot={ballot}"),
        }
    }
}

impl Request {
    /// Reads the text of a question.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let words = Words::parse(text)?;
        let ballot = || Ballot::parse(words.get("ballot")?);
        let list = || VoterList::parse(words.get("list")?);
        Ok(match words.kind {
            "status" => Request::Status,
            "found" => Request::Found { list: list()? },
            "relearn" => Request::Relearn {
                loss: words.get("loss")?.to_owned(),
                known: Known::read(&words)?,
            },
            "prepare" => Request::Prepare {
                ballot: ballot()?,
                list: list()?,
            },
            "accept" => Request::Accept(Proposal {
                purpose: Purpose::parse(words.get("purpose")?)?,
                ballot: ballot()?,
                epoch: Epoch(words.number("epoch")?),
                length: words.number("length")?,
                payload: Payload::parse(words.get("payload")?)?,
                list: list()?,
            }),
            "release" => Request::Release { ballot: ballot()? },
            other => return Err(Malformed::value("a question", other)),
        })
    }
}
