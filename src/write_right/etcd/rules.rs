//! The rules: one table, from which the names in the log and in the manual come.

use crate::rules::rules;

rules! {
    "A rule. The name is stable: logs and events carry it.";
    NotWanted = "etcd-not-wanted", "The right is not wanted here.";
    NotEnforcing = "etcd-not-enforcing", "It is not proven that the own server enforces the right: do not acquire it.";
    Looking = "etcd-looking", "Ask etcd who has the right.";
    Awaited = "etcd-awaited", "etcd has not answered yet.";
    Silent = "etcd-silent", "etcd gave no answer in time: back off for a random while.";
    HeldByOther = "etcd-held", "Another node has the right: look again shortly.";
    Overtaken = "etcd-overtaken", "Another node had the right since this one: the own server must not go on as a primary.";
    OtherHolder = "etcd-other-holder", "Another node had the right last than the one in whose place this one would be promoted: its data may be newer.";
    Taking = "etcd-taking", "Nobody has the right: ask etcd for it, if that is still so.";
    BackingOff = "etcd-backing-off", "The while has not passed.";
    Acquired = "etcd-acquired", "etcd granted the right.";
    AcquiredAnew = "etcd-acquired-anew", "etcd granted the holder its right again, whose key had gone.";
    Held = "etcd-held-here", "The right is held, and the next renewal is not due.";
    Renewing = "etcd-renewing", "The next renewal is due.";
    Renewed = "etcd-renewed", "etcd took the renewal in.";
    RenewalSilent = "etcd-renewal-silent", "etcd gave no answer to a renewal: ask again.";
    Lost = "etcd-lost", "etcd has given the right to another: set the own end to zero.";
    Lapsed = "etcd-lapsed", "The own end has passed without a renewal.";
    GivenUp = "etcd-given-up", "The right is not wanted any more: set the own end to zero and let it end.";
    Stopping = "etcd-stopping", "The right is to be given back: set the own end to zero and wait until the server is gone.";
    Releasing = "etcd-releasing", "The server is gone: remove the key.";
    Released = "etcd-released", "The key is gone.";
    EndedBeforeRelease = "etcd-ended-before-release", "The right ended before it could be given back.";
}

impl Rule {
    /// Whether it is of no interest to people as long as all is well.
    pub fn is_daily(self) -> bool {
        matches!(
            self,
            Rule::NotWanted
                | Rule::Looking
                | Rule::Awaited
                | Rule::Taking
                | Rule::BackingOff
                | Rule::Held
                | Rule::Renewing
                | Rule::Renewed
        )
    }
}
