//! The rules: one table, from which the names in the log and in the manual come.

macro_rules! rules {
    ($($variant:ident = $name:literal, $daily:literal, $sentence:literal;)+) => {
        /// A rule. The name is stable: logs and events carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $sentence] $variant,)+ }

        impl Rule {
            /// All of them, in the order of the manual.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)+];
            /// Its stable name.
            pub fn name(self) -> &'static str { match self { $(Rule::$variant => $name,)+ } }
            /// What it says.
            pub fn sentence(self) -> &'static str { match self { $(Rule::$variant => $sentence,)+ } }
            /// Whether it is of no interest to people as long as all is well.
            pub fn is_daily(self) -> bool { match self { $(Rule::$variant => $daily,)+ } }
        }
    };
}

rules! {
    NotWanted = "etcd-not-wanted", true, "The right is not wanted here.";
    NotEnforcing = "etcd-not-enforcing", false, "It is not proven that the own server enforces the right: do not acquire it.";
    Looking = "etcd-looking", true, "Ask etcd who has the right.";
    Awaited = "etcd-awaited", true, "etcd has not answered yet.";
    Silent = "etcd-silent", false, "etcd gave no answer in time: back off for a random while.";
    HeldByOther = "etcd-held", false, "Another node has the right: look again shortly.";
    Overtaken = "etcd-overtaken", false, "Another node had the right since this one: the own server must not go on as a primary.";
    OtherHolder = "etcd-other-holder", false, "Another node had the right last than the one in whose place this one would be promoted: its data may be newer.";
    Taking = "etcd-taking", true, "Nobody has the right: ask etcd for it, if that is still so.";
    BackingOff = "etcd-backing-off", true, "The while has not passed.";
    Acquired = "etcd-acquired", false, "etcd granted the right.";
    AcquiredAnew = "etcd-acquired-anew", false, "etcd granted the holder its right again, whose key had gone.";
    Held = "etcd-held-here", true, "The right is held, and the next renewal is not due.";
    Renewing = "etcd-renewing", true, "The next renewal is due.";
    Renewed = "etcd-renewed", true, "etcd took the renewal in.";
    RenewalSilent = "etcd-renewal-silent", false, "etcd gave no answer to a renewal: ask again.";
    Lost = "etcd-lost", false, "etcd has given the right to another: set the own end to zero.";
    Lapsed = "etcd-lapsed", false, "The own end has passed without a renewal.";
    GivenUp = "etcd-given-up", false, "The right is not wanted any more: set the own end to zero and let it end.";
    Stopping = "etcd-stopping", false, "The right is to be given back: set the own end to zero and wait until the server is gone.";
    Releasing = "etcd-releasing", false, "The server is gone: remove the key.";
    Released = "etcd-released", false, "The key is gone.";
    EndedBeforeRelease = "etcd-ended-before-release", false, "The right ended before it could be given back.";
}
