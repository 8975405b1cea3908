//! A row of the table each.

use super::*;
use crate::config::Rejoin;
use crate::failover::Answer;
use crate::types::{Lsn, NodeId, TimelineId};

const RUNNING: Server = Server::Primary {
    holds: false,
    enforcing: Answer::Yes,
};

fn parted() -> Histories {
    Histories::Parted {
        fork: Some((TimelineId(1), Lsn(100))),
        how: "it left timeline 1 at 0/64".to_owned(),
    }
}

/// Node 1 stopped, overtaken by node 2.
fn overtaken() -> Observation {
    Observation {
        own: NodeId(1),
        server: Server::Stopped,
        voters: Voters::Agree {
            holder: NodeId(2),
            epoch: 7,
            runs: true,
            others_suffice: true,
        },
        holder: Holder::Primary,
        histories: parted(),
        policy: Rejoin::Rewind,
        failures: 0,
        rewind_failed: false,
        past_the_fork: 0,
    }
}

#[track_caller]
fn gives(seen: &Observation, rule: Rule, action: Action) {
    let decision = decide(seen);
    assert_eq!((decision.rule, decision.action), (rule, action), "{}", decision.reason);
    assert!(!decision.reason.is_empty());
}

#[test]
fn a_holder_has_nothing_to_return_to() {
    let seen = Observation {
        server: Server::Primary {
            holds: true,
            enforcing: Answer::Yes,
        },
        ..overtaken()
    };
    gives(&seen, Rule::NothingToReturn, Action::Nothing);
}

#[test]
fn a_standby_that_can_follow_is_left_to_the_failover() {
    for histories in [Histories::Joined, Histories::SameTimeline] {
        let seen = Observation {
            server: Server::Standby,
            histories,
            ..overtaken()
        };
        gives(&seen, Rule::NothingToReturn, Action::Nothing);
    }
    for holder in [Holder::InRecovery, Holder::Unseen("refused".to_owned())] {
        let seen = Observation {
            server: Server::Standby,
            holder,
            ..overtaken()
        };
        assert_eq!(decide(&seen).action, Action::Wait);
    }
}

#[test]
fn a_standby_past_the_fork_is_rewound_if_it_may_be() {
    let standby = Observation {
        server: Server::Standby,
        past_the_fork: 4,
        ..overtaken()
    };
    gives(&standby, Rule::PastTheFork, Action::Stop);
    // Seed 29 of the random sequences: two that stopped at the same moment took the majority away.
    let waits = |own: i32| {
        let at = |past_the_fork| Observation {
            own: NodeId(own),
            past_the_fork,
            ..standby.clone()
        };
        (0..9)
            .take_while(|looks| decide(&at(*looks)).action == Action::Wait)
            .count()
    };
    assert_eq!([waits(3), waits(4), waits(5)], [4, 1, 2]);
    let stopped = Observation {
        server: Server::Stopped,
        ..standby.clone()
    };
    gives(&stopped, Rule::ReturnsByRewind, Action::Return(Course::Rewind));
    // Where it may not, it goes on reading.
    for policy in [Rejoin::Manual, Rejoin::Follow] {
        let seen = Observation {
            policy,
            ..standby.clone()
        };
        gives(&seen, Rule::PastTheFork, Action::CallPerson);
    }
    let tried = Observation {
        failures: ATTEMPTS,
        ..standby.clone()
    };
    gives(&tried, Rule::GivenUp, Action::CallPerson);
    let voters = Voters::Agree {
        holder: NodeId(2),
        epoch: 7,
        runs: true,
        others_suffice: false,
    };
    gives(&Observation { voters, ..standby }, Rule::VoteNeeded, Action::Wait);
}

#[test]
fn what_is_not_known_of_the_own_server_is_no_reason_to_act() {
    let seen = Observation {
        server: Server::Unknown,
        ..overtaken()
    };
    gives(&seen, Rule::ServerUnknown, Action::Wait);
}

#[test]
fn a_server_that_somebody_shut_down_is_left_to_them() {
    let seen = Observation {
        server: Server::ShutDown,
        ..overtaken()
    };
    gives(&seen, Rule::ServerShutDown, Action::Nothing);
}

#[test]
fn a_server_that_merely_has_no_majority_goes_on_reading() {
    for server in [RUNNING, Server::Crashed, Server::Stopped] {
        let missing = vec![NodeId(2), NodeId(3)];
        let seen = Observation {
            server,
            voters: Voters::TooFew { missing },
            ..overtaken()
        };
        gives(&seen, Rule::TooFewVoters, Action::Wait);
        assert!(decide(&seen).reason.contains("2, 3"), "it says for whom it waits");
        let seen = Observation {
            voters: Voters::AtOdds,
            ..seen
        };
        gives(&seen, Rule::VotersAtOdds, Action::Wait);
    }
}

#[test]
fn the_last_holder_goes_on() {
    let voters = Voters::Agree {
        holder: NodeId(1),
        epoch: 7,
        runs: false,
        others_suffice: true,
    };
    let seen = Observation {
        server: RUNNING,
        voters,
        ..overtaken()
    };
    gives(&seen, Rule::LastHolder, Action::Wait);
}

#[test]
fn a_primary_that_enforces_nothing_is_stopped_whoever_has_the_right() {
    let last = Voters::Agree {
        holder: NodeId(1),
        epoch: 7,
        runs: false,
        others_suffice: true,
    };
    let too_few = Voters::TooFew {
        missing: vec![NodeId(2)],
    };
    for voters in [overtaken().voters, last, too_few, Voters::AtOdds] {
        let server = |enforcing| Server::Primary {
            holds: false,
            enforcing,
        };
        let seen = Observation {
            server: server(Answer::No),
            voters,
            ..overtaken()
        };
        gives(&seen, Rule::EnforcesNothing, Action::Stop);
        for enforcing in [Answer::Yes, Answer::Unknown] {
            let seen = Observation {
                server: server(enforcing),
                holder: Holder::Unseen("refused".to_owned()),
                ..seen.clone()
            };
            assert_eq!(decide(&seen).action, Action::Wait);
        }
    }
}

#[test]
fn a_holder_that_is_not_promoted_yet_has_overtaken_nobody() {
    let voters = |runs| Voters::Agree {
        holder: NodeId(2),
        epoch: 7,
        runs,
        others_suffice: true,
    };
    let seen = Observation {
        server: RUNNING,
        holder: Holder::InRecovery,
        histories: Histories::SameTimeline,
        ..overtaken()
    };
    gives(&seen, Rule::HolderNotPromoted, Action::Wait);
    let ended = Observation {
        voters: voters(false),
        ..seen
    };
    gives(&ended, Rule::NotOvertaken, Action::TakeAgain);
    let gone = Observation {
        server: Server::Crashed,
        ..ended.clone()
    };
    gives(&gone, Rule::NotOvertaken, Action::Wait);
    // It was a primary, and is a standby again.
    for histories in [Histories::Joined, parted()] {
        let seen = Observation {
            histories,
            ..ended.clone()
        };
        gives(&seen, Rule::HolderUnseen, Action::Wait);
    }
    let unknown = Observation {
        histories: Histories::Unknown("no answer".to_owned()),
        ..ended
    };
    gives(&unknown, Rule::HistoriesUnknown, Action::Wait);
}

#[test]
fn without_the_fork_point_nothing_is_done() {
    for server in [RUNNING, Server::Stopped] {
        let seen = Observation {
            server,
            histories: Histories::Unknown("no answer".to_owned()),
            ..overtaken()
        };
        gives(&seen, Rule::HistoriesUnknown, Action::Wait);
        for histories in [
            Histories::Foreign("another cluster".to_owned()),
            Histories::SameTimeline,
        ] {
            let seen = Observation {
                server,
                histories,
                ..overtaken()
            };
            gives(&seen, Rule::NoRelation, Action::CallPerson);
        }
    }
}

#[test]
fn an_overtaken_server_is_stopped_whatever_the_policy() {
    for policy in [Rejoin::Manual, Rejoin::Follow, Rejoin::Rewind, Rejoin::Clone] {
        for histories in [Histories::Joined, parted()] {
            let seen = Observation {
                server: RUNNING,
                policy,
                histories,
                ..overtaken()
            };
            gives(&seen, Rule::Overtaken, Action::Stop);
        }
    }
}

#[test]
fn a_server_whose_vote_is_needed_goes_on_without_commits() {
    let voters = Voters::Agree {
        holder: NodeId(2),
        epoch: 7,
        runs: true,
        others_suffice: false,
    };
    let seen = Observation {
        server: RUNNING,
        voters,
        ..overtaken()
    };
    gives(&seen, Rule::VoteNeeded, Action::Wait);
}

#[test]
fn the_policy_says_how_far_it_goes() {
    use Rejoin::{Clone, Follow, Manual, Rewind};
    let follow = (Rule::ReturnsByFollowing, Action::Return(Course::Follow));
    let rewind = (Rule::ReturnsByRewind, Action::Return(Course::Rewind));
    let clone = (Rule::ReturnsByClone, Action::Return(Course::Clone));
    let manual = (Rule::OvertakenWaits, Action::CallPerson);
    let not_allowed = (Rule::NotAllowed, Action::CallPerson);
    for (policy, histories, rewind_failed, expected) in [
        (Manual, Histories::Joined, false, manual),
        (Manual, parted(), false, manual),
        (Follow, Histories::Joined, false, follow),
        (Follow, parted(), false, not_allowed),
        (Rewind, Histories::Joined, false, follow),
        (Rewind, parted(), false, rewind),
        (Rewind, parted(), true, rewind),
        (Clone, Histories::Joined, false, follow),
        (Clone, parted(), false, rewind),
        (Clone, parted(), true, clone),
    ] {
        for server in [Server::Stopped, Server::Crashed] {
            let seen = Observation {
                server,
                policy,
                histories: histories.clone(),
                failures: u32::from(rewind_failed),
                rewind_failed,
                ..overtaken()
            };
            gives(&seen, expected.0, expected.1);
        }
    }
}

#[test]
fn it_is_tried_a_few_times_only() {
    for policy in [Rejoin::Follow, Rejoin::Rewind, Rejoin::Clone] {
        let seen = Observation {
            policy,
            failures: ATTEMPTS,
            ..overtaken()
        };
        gives(&seen, Rule::GivenUp, Action::CallPerson);
    }
}

/// Seed 4 of the random sequences: the new primary was gone for a moment when the rewind was complete.
#[test]
fn a_rewind_that_was_cut_short_is_tried_again() {
    let seen = Observation {
        histories: Histories::SameTimeline,
        failures: 1,
        rewind_failed: true,
        ..overtaken()
    };
    gives(&seen, Rule::ReturnsByRewind, Action::Return(Course::Rewind));
    let first = Observation {
        failures: 0,
        rewind_failed: false,
        ..seen.clone()
    };
    gives(&first, Rule::NoRelation, Action::CallPerson);
    let policy = Rejoin::Manual;
    gives(
        &Observation { policy, ..seen },
        Rule::OvertakenWaits,
        Action::CallPerson,
    );
}
