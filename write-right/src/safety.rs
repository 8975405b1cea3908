//! The safety rules, by name, so that a test can take each of them away and see what breaks.

macro_rules! rules {
    ($($variant:ident = $name:literal, $sentence:literal;)+) => {
        /// A rule that the guarantee rests on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Safety { $(#[doc = $sentence] $variant,)+ }

        impl Safety {
            /// All of them.
            pub const ALL: &[Safety] = &[$(Safety::$variant,)+];
            /// Its stable name.
            pub fn name(self) -> &'static str { match self { $(Safety::$variant => $name,)+ } }
            /// What it says.
            pub fn sentence(self) -> &'static str { match self { $(Safety::$variant => $sentence,)+ } }
        }
    };
}

rules! {
    HeldIsRefused = "held-is-refused",
        "A voter promises and grants nothing while the lease that it granted to another node runs.";
    PromiseIsKept = "promise-is-kept",
        "A voter promises and accepts no ballot below the highest one that it has promised.";
    DurableBeforeAnswer = "durable-before-answer",
        "What a voter must not forget is on disk before it answers.";
    OlderListRefused = "older-list-refused",
        "A voter refuses a ballot that carries an older voter list than its own, and the proposer that learns of a newer one goes by that.";
    NothingGoesBack = "nothing-goes-back",
        "A voter accepts no epoch below its own, and under the same ballot no older payload.";
    ImplausibleRefused = "implausible-refused",
        "A voter refuses a round that no honest proposer can have reached.";
    LongLeaseRefused = "long-lease-refused",
        "A voter grants no lease longer than its silence after a loss.";
    LeaseNeverShortened = "lease-never-shortened",
        "Only a release ends a lease before its time.";
    ReleaseNamesBallot = "release-names-ballot",
        "A release ends no lease of a later ballot than the one that it names.";
    ReleasedIsRefused = "released-is-refused",
        "A ballot that was released is accepted no more.";
    SilentAfterLoss = "silent-after-loss",
        "A voter that may have forgotten a lease is silent for as long as one can last.";
    LostDoesNotVote = "lost-does-not-vote",
        "A voter without its durable record does not vote.";
    ForeignIsLost = "foreign-is-lost",
        "A record of another node, cluster or data directory, or an earlier state of the own, is as good as none.";

    MajorityNeeded = "majority-needed",
        "The right is held only with the acceptance of more than half of the voters.";
    EndFromBeforeAsking = "end-from-before-asking",
        "The holder's own end counts from before it asked.";
    MarginSubtracted = "margin-subtracted",
        "The holder's own end lies before the voters' by what clocks may differ.";
    LateIsNone = "late-is-none",
        "An answer that comes later than it can count is none.";
    HighestAdopted = "highest-adopted",
        "A new holder takes over payload and list of the highest ballot that a majority knows.";
    EpochRaised = "epoch-raised",
        "Each new holder has an epoch of its own, above all that a majority knows.";
    FreshBallot = "fresh-ballot",
        "Each attempt has a ballot of its own.";
    OvertakenStays = "overtaken-stays",
        "A running primary takes the right again only if nobody else had it since.";
    ZeroBeforeRelease = "zero-before-release",
        "The right is given back only when no process of the server is left that could acknowledge a write.";
    BothMajorities = "both-majorities",
        "A changed voter list counts only with a majority of the voters before and after the change.";
    OneChangeAtATime = "one-change-at-a-time",
        "No change of the voter list begins before the last one is settled at a majority.";
    RelearnFromMajority = "relearn-from-majority",
        "A lost record is relearnt from a majority of the other voters.";
    EndBoundToServer = "end-bound-to-server",
        "An extension of the own end reaches only the start of the server that it was meant for.";
    CheckedAfterCommit = "checked-after-commit",
        "The server looks at its end again after the commit, before it answers the client.";
    PromotionChecksEnd = "promotion-checks-end",
        "The server looks at its end when its promotion begins.";
}

/// The rules in force. Outside of tests: all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules(Option<Safety>);

impl Rules {
    /// All but one. For tests alone: it shows what the rule is good for.
    #[doc(hidden)]
    pub const fn without(rule: Safety) -> Self {
        Rules(Some(rule))
    }

    /// Whether a rule is in force.
    pub fn hold(self, rule: Safety) -> bool {
        self.0 != Some(rule)
    }
}
