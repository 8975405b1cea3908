//! The rules: one table, from which the names in the log and the state table of the manual come.

macro_rules! rules {
    ($($variant:ident = $name:literal, $from:literal => $to:literal, $sentence:literal;)+) => {
        /// A rule of the failover core. The name is stable: logs and events carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $sentence] $variant,)+ }

        impl Rule {
            /// All of them, in the order of the manual.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)+];
            /// Its stable name.
            pub fn name(self) -> &'static str { match self { $(Rule::$variant => $name,)+ } }
            /// What it says.
            pub fn sentence(self) -> &'static str { match self { $(Rule::$variant => $sentence,)+ } }
            /// The states in which it applies, comma between them.
            pub fn from(self) -> &'static str { match self { $(Rule::$variant => $from,)+ } }
            /// The states it may lead to, comma between them; `same` is the one it applied in.
            pub fn to(self) -> &'static str { match self { $(Rule::$variant => $to,)+ } }
        }
    };
}

rules! {
    RecordsUnknown = "records-unknown", "starting" => "same",
        "The node records cannot be read, or this node has none among them; wait for them.";
    UnknownType = "unknown-type", "starting" => "same",
        "The own record has a type that this program does not know; wait until it is corrected.";
    BeginPrimary = "begin-primary", "starting, entering" => "primary: normal",
        "The own record says primary: watch the own server.";
    BeginStandby = "begin-standby", "starting" => "entering",
        "The own record says standby: look for its upstream.";
    BeginWitness = "begin-witness", "starting" => "entering",
        "The own record says witness: look for the primary.";

    PrimaryServes = "primary-serves", "primary: normal" => "same",
        "The own server answers and is a primary.";
    PrimaryLost = "primary-lost", "primary: normal, primary: searching, primary: joining" => "primary: reconnecting",
        "The own server does not answer any more.";
    PrimaryAwaited = "primary-awaited", "primary: reconnecting, primary: degraded" => "same",
        "The own server still does not answer.";
    PrimaryGivenUp = "primary-given-up", "primary: reconnecting" => "primary: degraded",
        "All attempts to reach the own server failed; it is watched further.";
    PrimaryBack = "primary-back", "primary: reconnecting, primary: degraded, primary: searching, primary: joining" => "primary: normal",
        "The own server is there again and is a primary.";
    PrimaryDemoted = "primary-demoted", "primary: normal, primary: reconnecting, primary: degraded" => "primary: searching",
        "The own server is a standby now: find its new primary.";
    NewPrimarySought = "new-primary-sought", "primary: searching, primary: joining" => "primary: searching",
        "The own server is a standby now, and no primary can be found yet.";
    NewPrimaryFound = "new-primary-found", "primary: searching" => "primary: joining",
        "The new primary is found: have the own record say standby there.";
    JoinPending = "join-pending", "primary: joining" => "same",
        "The change of the own record on the new primary is under way.";
    Rejoined = "rejoined", "primary: joining" => "entering",
        "The own record says standby on the new primary: watch the upstream that it names.";
    NotRegistered = "not-registered", "primary: joining, normal" => "same",
        "The primary has no record of this node: end, as nothing can be watched without one.";
    DegradedTooLong = "degraded-too-long", "primary: degraded, degraded" => "same",
        "Monitoring was degraded for longer than degraded_monitoring_timeout: end.";

    UpstreamSought = "upstream-sought", "entering" => "same",
        "The upstream is being looked up and connected to.";
    UpstreamFound = "upstream-found", "entering" => "normal",
        "The upstream is there: watch it.";
    NoUpstream = "no-upstream", "entering" => "degraded",
        "No upstream is recorded, or it is no primary any more, and no live primary can be found.";
    UpstreamNotThere = "upstream-not-there", "entering" => "degraded",
        "The upstream was not there when monitoring began: wait for it, as it may be slower to boot.";
    UpstreamSeen = "upstream-seen", "normal" => "same",
        "The upstream is there.";
    UpstreamAwaited = "upstream-awaited", "normal" => "same",
        "The upstream has not answered yet; the next attempt begins on the clock.";
    LocalServerLost = "local-server-lost", "normal" => "same",
        "The own server does not answer; a restart takes less than the time of grace.";
    LocalServerInactive = "local-server-inactive", "normal" => "same",
        "The own server was away for longer than the time of grace: record this node as inactive.";
    LocalServerBack = "local-server-back", "normal" => "same",
        "The own server answers again.";
    OutOfRecovery = "out-of-recovery", "entering, normal, reconnecting, stopping receivers, electing, validating, promoting, waiting, following, voting again, degraded" => "same, degraded",
        "The own server is a primary, which no record says: take no part in failover, a person has to look.";
    NotificationKept = "notification-kept", "normal" => "same",
        "A notification came while the upstream is there: keep it for the time of one notification wait.";
    NotificationDiscarded = "notification-discarded", "normal, reconnecting, electing, voting again, degraded, waiting" => "same",
        "The notification is of no use here: it is too old, or names this node, or the upstream, or may not be followed.";
    RecordMoved = "record-moved", "normal, degraded" => "entering",
        "The own record names another upstream now.";
    UpstreamDemoted = "upstream-demoted", "normal, reconnecting, stopping receivers, electing, validating, promoting, waiting, voting again, following, degraded" => "entering",
        "The upstream was the primary and is a standby now: find the new primary.";
    UpstreamLost = "upstream-lost", "normal" => "reconnecting",
        "A probe of the upstream failed: that was the first attempt.";
    UpstreamTried = "upstream-tried", "reconnecting" => "same",
        "The upstream is still not there; attempts are left.";
    UpstreamBack = "upstream-back", "reconnecting, stopping receivers, electing, validating, waiting, voting again, following, degraded" => "normal",
        "The upstream is there again.";
    UpstreamRefuses = "upstream-refuses", "reconnecting, electing, validating, promoting" => "degraded",
        "A server is there and does not let this node in, which is no reason for a failover.";
    UpstreamUnknown = "upstream-unknown", "reconnecting, electing" => "degraded",
        "Nothing can be said about the upstream, which is no reason for a failover.";
    FailoverPaused = "failover-paused", "reconnecting, electing, validating, promoting, waiting" => "degraded",
        "The upstream is lost, and failover is paused on this node.";
    FailoverManual = "failover-manual", "reconnecting, waiting, voting again, electing, validating, promoting, degraded" => "degraded",
        "The upstream is lost, and failover is set to manual on this node.";
    LocalServerAway = "local-server-away", "reconnecting, electing, validating, promoting" => "degraded",
        "The upstream is lost, and so is the own server: this node can neither be promoted nor follow.";
    WitnessWaits = "witness-waits", "reconnecting" => "waiting",
        "The primary is lost: a witness waits for the word of the new one.";
    CascadedFollow = "cascaded-follow", "reconnecting" => "following",
        "The upstream is lost and was a standby: follow the primary.";
    NoRecordedPrimary = "no-recorded-primary", "reconnecting" => "degraded",
        "The upstream is lost and was a standby, and no primary is recorded.";

    ReceiversStopping = "receivers-stopping", "reconnecting, stopping receivers" => "stopping receivers",
        "The primary is lost: the WAL receivers are stopped before the election.";
    ElectionBegins = "election-begins", "reconnecting, stopping receivers, voting again, validating, promoting" => "electing",
        "The primary is lost, or this daemon stood still before it acted: ask the siblings.";
    ElectionDelayed = "election-delayed", "electing" => "same",
        "failover_delay has not passed, or what was seen is too old to go by.";
    ReplayResuming = "replay-resuming", "electing" => "same",
        "WAL replay is paused on this node: resume it before the election.";
    NoCandidate = "no-candidate", "electing" => "waiting",
        "This node takes no part in the election: wait for the word of a new primary.";
    ElectionLost = "election-lost", "electing" => "waiting",
        "This node is not the one to be promoted: wait for the word of the one that is.";
    ElectionCancelled = "election-cancelled", "electing" => "degraded",
        "What this node sees does not allow a promotion.";
    SuccessorKnown = "successor-known", "electing" => "degraded",
        "Another node became the primary since the upstream was lost, and this one does not follow it: it must not be promoted in its place.";
    PrimaryFound = "primary-found", "electing, validating, promoting" => "following",
        "Another node is a primary already: follow it.";
    ElectionWon = "election-won", "electing" => "validating, promoting",
        "This node is the one to be promoted.";
    NewlyElectable = "newly-electable", "electing" => "voting again",
        "This node won, but others may not have counted with it: its server or daemon is just back, and not all saw the primary after that. Hold back once.";
    OvertakingAnnounced = "overtaking-announced", "electing" => "voting again",
        "This node won in place of better ones that seem unable to act: tell each of them to hold back, then vote again.";
    UpstreamUnrecorded = "upstream-unrecorded", "electing" => "degraded",
        "This node won, but its record names no upstream and always_promote is off.";
    ValidationPending = "validation-pending", "validating" => "same",
        "failover_validation_command is running.";
    ValidationPassed = "validation-passed", "validating" => "promoting",
        "failover_validation_command agreed.";
    ValidationRejected = "validation-rejected", "validating" => "voting again",
        "failover_validation_command did not agree: everybody votes again.";
    PromotionDelayed = "promotion-delayed", "promoting" => "same",
        "promote_delay has not passed.";
    PromotionBegins = "promotion-begins", "promoting" => "same",
        "promote_delay has passed: run promote_command.";
    RightSought = "right-sought", "promoting" => "same",
        "A promotion needs the right to write, which is being acquired from a majority of the nodes.";
    RightMissing = "right-missing", "promoting" => "degraded",
        "The right to write could not be acquired: nobody is promoted without it.";
    RightBarred = "right-barred", "promoting" => "same, degraded",
        "The nodes that answer may not have every acknowledged commit, or one of them has more: this one is not promoted before they do.";
    PromotionPending = "promotion-pending", "promoting" => "same",
        "promote_command is running, or the server has not left recovery yet.";
    Promoted = "promoted", "promoting" => "primary: normal",
        "The own server has left recovery: tell the siblings to follow.";
    PromotionAborted = "promotion-aborted", "promoting" => "entering",
        "The old primary is there again and this node is not promoted: tell the siblings to stay with it.";
    PromotionFailed = "promotion-failed", "promoting" => "degraded",
        "The own server did not leave recovery: stand aside and have the others vote again.";
    PromotionCompleted = "promotion-completed", "degraded, voting again, waiting, electing, following, validating, promoting, entering, reconnecting, stopping receivers" => "primary: normal",
        "A promotion that had been given up came through: record it and tell the siblings.";
    PromotedByHand = "promoted-by-hand", "normal, entering, reconnecting, stopping receivers, electing, validating, promoting, waiting, following, voting again, degraded" => "primary: normal",
        "The own server is a primary and its record says so.";

    WordAwaited = "word-awaited", "waiting" => "same",
        "The elected node has not given its word yet.";
    WaitedInVain = "waited-in-vain", "waiting" => "degraded",
        "The elected node gave no word within primary_notification_timeout.";
    ToldToFollow = "told-to-follow", "entering, reconnecting, electing, waiting, voting again, degraded" => "following",
        "This node was told to follow another one: check that it is a primary.";
    ToldToStay = "told-to-stay", "waiting" => "entering",
        "This node was told to stay with the old primary.";
    ToldToPromote = "told-to-promote", "waiting" => "promoting",
        "This node was told its own id: promote it.";
    ToldToVoteAgain = "told-to-vote-again", "reconnecting, electing, waiting, voting again, degraded" => "voting again, electing, degraded",
        "This node was told to vote again.";
    VoteAgainPending = "vote-again-pending", "voting again" => "same",
        "election_rerun_interval has not passed.";

    FollowChecking = "follow-checking", "following" => "same",
        "The node to follow has not shown yet that it is a primary.";
    FollowBegins = "follow-begins", "following, degraded" => "following",
        "The node to follow is a primary: follow it.";
    FollowPending = "follow-pending", "following" => "same",
        "The follow is under way.";
    Followed = "followed", "following" => "entering",
        "This node follows the new primary: watch it.";
    FollowFailed = "follow-failed", "following" => "degraded",
        "The follow failed; it is tried again.";
    FollowOvertaken = "follow-overtaken", "following" => "entering",
        "The follow failed and the old primary is there again as a primary: watch it.";
    NotificationStale = "notification-stale", "following" => "reconnecting, degraded",
        "The node that this one was told to follow is no primary: the notification is worth nothing.";

    StillDegraded = "still-degraded", "degraded" => "same",
        "There is still no way out.";
    VoteAgain = "vote-again", "degraded" => "electing",
        "The primary is still lost: vote again.";
    CandidateAgain = "candidate-again", "degraded" => "same",
        "The own promotion failed a while ago: this node may be elected again.";
    PrimaryDiscovered = "primary-discovered", "degraded" => "entering",
        "A live primary is found: watch it.";
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_plain() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(
                rule.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{rule:?}"
            );
            assert!(rule.sentence().ends_with('.'), "{rule:?}");
        }
    }
}
