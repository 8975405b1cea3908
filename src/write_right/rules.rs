//! The rules: one table, from which the names in the log and in the manual come.

use crate::rules::rules;

rules! {
    "A rule of the proposer. The name is stable: logs and events carry it.";
    NotWanted = "right-not-wanted", "The right is not wanted here.";
    VotersUnknown = "voters-unknown", "No voter has said yet who votes: ask all registered nodes.";
    NotAVoter = "not-a-voter", "The newest voter list does not name this node: it may not hold the right.";
    NotEnforcing = "not-enforcing", "It is not proven that the own server enforces the right: do not acquire it.";
    Preparing = "right-preparing", "Ask all voters to promise a new ballot.";
    PromisesAwaited = "promises-awaited", "Too few promises have come yet.";
    ListLearnt = "list-learnt", "A voter knows a newer voter list: begin again with it.";
    HeldByOther = "right-held", "Another node's lease runs, or silence lasts, at too many voters: try again when it has ended.";
    TooFewPromises = "too-few-promises", "No majority promised: back off for a random while.";
    Overtaken = "right-overtaken", "Another node had the right since this one: the own server must not go on as a primary.";
    OtherHolder = "other-holder", "Another node had the right last than the one in whose place this one would be promoted: its data may be newer.";
    Promised = "right-promised", "A majority promised: ask all to accept.";
    AcceptancesAwaited = "acceptances-awaited", "Too few acceptances have come yet.";
    TooFewAcceptances = "too-few-acceptances", "No majority accepted in time: back off for a random while.";
    Acquired = "right-acquired", "A majority accepted: the right is held.";
    AcquiredAnew = "right-acquired-anew", "A majority accepted the holder's new ballot: the right is held on.";
    BackingOff = "right-backing-off", "The random while has not passed.";
    Held = "right-held-here", "The right is held, and the next renewal is not due.";
    Renewing = "right-renewing", "The next renewal is due.";
    Renewed = "right-renewed", "A majority accepted the renewal.";
    RenewalRefused = "renewal-refused", "A voter refused the renewal for what it knows: prepare a new ballot at once.";
    JoinerAwaited = "joiner-awaited", "A node is to be added to the voters: not before its own voter has a record.";
    VotersChanging = "voters-changing", "A node is to be added or removed: ask a majority of both lists.";
    VotersChanged = "voters-changed", "A majority of both lists accepted the change.";
    PayloadChanging = "payload-changing", "The synchronous standbys change: ask a majority to remember them.";
    Forced = "right-forced", "All voters that remain have accepted that the others are given up.";
    ServerAway = "server-away", "The right is held, and the own server does not answer.";
    ServerRestarted = "server-restarted", "The own server was started anew: tell it its end.";
    Lapsed = "right-lapsed", "The own end has passed without a renewal.";
    GivenUp = "right-given-up", "The right is not wanted any more: set the own end to zero and let it end.";
    Stopping = "right-stopping", "The right is to be given back: set the own end to zero and wait until the server is gone.";
    Releasing = "right-releasing", "The server is gone: tell all voters that the lease has ended.";
    Released = "right-released", "The voters know that the lease has ended.";
    EndedBeforeRelease = "ended-before-release", "The lease ended before it could be given back.";
    Relearning = "record-relearning", "The own voter has lost its record: ask the others what they know.";
    Relearnt = "record-relearnt", "A majority of the others has said what the own voter is to relearn.";
}

impl Rule {
    /// Whether it is of no interest to people as long as all is well.
    pub fn is_daily(self) -> bool {
        matches!(
            self,
            Rule::Held
                | Rule::Renewing
                | Rule::Renewed
                | Rule::NotWanted
                | Rule::BackingOff
                | Rule::Preparing
                | Rule::PromisesAwaited
                | Rule::Promised
                | Rule::AcceptancesAwaited
        )
    }
}
