//! The rules: one table, from which the names in the log and in the manual come.

use crate::rules::rules;

rules! {
    "A rule of the return. The name is stable: logs and events carry it.";
    NothingToReturn = "nothing-to-return", "The own server is a standby that can follow, or a primary that holds the right.";
    ServerUnknown = "own-server-unknown", "The own server does not answer and is not known to be gone: wait for it.";
    ServerShutDown = "own-server-shut-down", "Somebody has shut the own server down: it is theirs to start it again.";
    TooFewVoters = "too-few-voters", "No majority of the voters answers: nobody knows whether another node had the right since. Wait for them.";
    VotersAtOdds = "voters-at-odds", "No majority has accepted one and the same node: wait until one has.";
    LastHolder = "last-holder", "Nobody has had the right since this node: it goes on as soon as it is granted again.";
    EnforcesNothing = "enforces-nothing", "The right is switched on, and the own server is a primary without the library that enforces it: stop it at once, as it would commit what it may not.";
    HolderUnseen = "holder-unseen", "Another node had the right since, and does not answer: wait for it.";
    HolderNotPromoted = "holder-not-promoted", "Another node has the right and is not promoted yet: wait for its promotion or the end of its right.";
    NotOvertaken = "not-overtaken", "Another node had the right since, and was not promoted before it ended: this server takes it again and goes on.";
    HistoriesUnknown = "histories-unknown", "It cannot be told yet how the own data and the new primary's belong together: wait.";
    NoRelation = "no-relation", "The new primary's data are no continuation of this node's: a person has to look.";
    Overtaken = "overtaken", "Another node was promoted with the right since: stop the own server, so that no client stays with it.";
    VoteNeeded = "vote-needed", "Another node was promoted with the right since, and keeps it by this node's vote: leave the own server running, which commits nothing, until another voter is there.";
    PastTheFork = "past-the-fork", "The own server is a standby and has received what the new primary has not: it can follow nobody until it is rewound.";
    OvertakenWaits = "overtaken-waits", "The overtaken server is stopped, and rejoin=manual: a person makes it a standby.";
    ReturnsByFollowing = "returns-by-following", "The overtaken server has nothing that the new primary has not: start it as its standby.";
    ReturnsByRewind = "returns-by-rewind", "The overtaken server has what the new primary has not: rewind it.";
    ReturnsByClone = "returns-by-clone", "A rewind does not help: clone the overtaken server again.";
    NotAllowed = "return-not-allowed", "The overtaken server cannot come back in a way that rejoin allows: a person has to do it.";
    GivenUp = "return-given-up", "The return has failed too often: a person has to look.";
}
