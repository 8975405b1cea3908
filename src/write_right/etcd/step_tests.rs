//! Single turns.

use super::*;
use crate::write_right::{Server, Settings, Want};

const OWN: i32 = 1;

fn seen(now: u64, want: Want) -> Observation {
    Observation {
        now,
        random: 0,
        want,
        server: Server {
            start: Some(9),
            end: Some(0),
            enforcing: true,
            nobody_attached: false,
        },
        over_round: 0,
        in_place_of: None,
        dismissed: None,
        answers: Vec::new(),
    }
}

fn kept(node: i32, incarnation: u64, epoch: u64) -> Kept {
    Kept {
        node,
        incarnation,
        epoch,
    }
}

fn keys(holder: Option<(Kept, u64)>, last: Option<(Kept, u64)>) -> Reply {
    let entry = |(kept, revision)| Entry { kept, revision };
    Reply::Keys(Seen {
        holder: holder.map(entry),
        last: last.map(entry),
    })
}

/// A turn in which the question that is under way is answered.
fn answered(state: &State, now: u64, want: Want, reply: Result<Reply, String>) -> Decision {
    let mut seen = seen(now, want);
    seen.answers = vec![Answered {
        attempt: state.attempt,
        reply,
    }];
    step(&Settings::new(5000), state, &seen)
}

fn turn(state: &State, now: u64, want: Want) -> Decision {
    step(&Settings::new(5000), state, &seen(now, want))
}

/// One that holds since 1000, with the first key at revision 20.
fn holder() -> State {
    let looking = turn(&State::new(OWN, 7), 1000, Want::Keep).next;
    let taking = answered(&looking, 1010, Want::Keep, Ok(keys(None, None))).next;
    let decision = answered(&taking, 1030, Want::Keep, Ok(Reply::Done { revision: 20 }));
    assert_eq!(decision.rule, Rule::Acquired);
    assert_eq!(decision.next.held.map(|held| held.until), Some(1010 + 4000));
    decision.next
}

fn asks(decision: &Decision) -> Vec<&Request> {
    let actions = decision.actions.iter();
    let asked = actions.filter_map(|action| match action {
        Action::Ask { request, .. } => Some(request),
        _ => None,
    });
    asked.collect()
}

#[test]
fn the_end_counts_from_before_the_question() {
    let state = holder();
    let renewing = turn(&state, 2700, Want::Keep);
    assert_eq!(renewing.rule, Rule::Renewing);
    assert!(matches!(
        asks(&renewing)[..],
        [Request::Take {
            holder: 20,
            last: None,
            seconds: 5,
            ..
        }]
    ));
    let renewed = answered(&renewing.next, 4000, Want::Keep, Ok(Reply::Done { revision: 21 }));
    assert_eq!(renewed.rule, Rule::Renewed);
    assert_eq!(
        renewed.next.held.map(|held| (held.until, held.revision)),
        Some((6700, 21))
    );
    assert!(matches!(
        renewed.actions[..],
        [Action::ExtendLocalEnd { until: 6700, .. }]
    ));
}

#[test]
fn a_renewal_whose_answer_was_lost_is_found_again() {
    let silent = turn(&turn(&holder(), 2700, Want::Keep).next, 2700 + 2500, Want::Keep);
    assert_eq!(silent.rule, Rule::Lapsed, "the end has passed meanwhile");
    let renewing = turn(&holder(), 2700, Want::Keep).next;
    let failed = answered(&renewing, 2800, Want::Keep, Err("lost".to_owned()));
    assert_eq!(failed.rule, Rule::RenewalSilent);
    let again = turn(&failed.next, failed.wake_at, Want::Keep).next;
    let own = kept(OWN, 7, 1);
    let found = answered(&again, 3100, Want::Keep, Ok(keys(Some((own, 25)), Some((own, 20)))));
    assert!(matches!(asks(&found)[..], [Request::Take { holder: 25, .. }]));
    assert!(found.next.held.is_some());
}

#[test]
fn who_was_overtaken_does_not_keep_and_may_take() {
    let looking = turn(&State::new(OWN, 7), 0, Want::Keep).next;
    let other = keys(None, Some((kept(2, 1, 4), 9)));
    assert_eq!(answered(&looking, 10, Want::Keep, Ok(other)).rule, Rule::Overtaken);
    let taking = answered(&looking, 10, Want::Take, Ok(other));
    assert!(matches!(
        asks(&taking)[..],
        [Request::Take {
            kept: Kept { epoch: 5, .. },
            holder: 0,
            last: Some(9),
            ..
        }]
    ));
    let mut elsewhere = seen(10, Want::Take);
    elsewhere.in_place_of = Some(3);
    elsewhere.answers = vec![Answered {
        attempt: looking.attempt,
        reply: Ok(other),
    }];
    assert_eq!(step(&Settings::new(5000), &looking, &elsewhere).rule, Rule::OtherHolder);
    // Nobody was promoted with it, as the returning primary has found out.
    let mut dismissing = seen(10, Want::Keep);
    let entry = Entry {
        kept: kept(2, 1, 4),
        revision: 9,
    };
    dismissing.dismissed = Some(entry.ballot());
    dismissing.answers = vec![Answered {
        attempt: looking.attempt,
        reply: Ok(other),
    }];
    assert_eq!(step(&Settings::new(5000), &looking, &dismissing).rule, Rule::Taking);
    let held = keys(Some((kept(2, 1, 4), 9)), Some((kept(2, 1, 4), 9)));
    assert_eq!(answered(&looking, 10, Want::Take, Ok(held)).rule, Rule::HeldByOther);
}

#[test]
fn a_restarted_daemon_takes_its_nodes_right_over_in_a_new_epoch() {
    let looking = turn(&State::new(OWN, 8), 0, Want::Keep).next;
    let earlier = (kept(OWN, 7, 3), 5);
    let taking = answered(&looking, 10, Want::Keep, Ok(keys(Some(earlier), Some(earlier))));
    assert!(matches!(
        asks(&taking)[..],
        [Request::Take {
            kept: Kept {
                incarnation: 8,
                epoch: 4,
                ..
            },
            holder: 5,
            last: Some(5),
            ..
        }]
    ));
}

#[test]
fn the_key_is_removed_when_the_server_is_gone_and_not_before() {
    let state = holder();
    let mut gone = seen(2000, Want::Release);
    gone.server.end = None;
    gone.server.start = None;
    let stopping = step(&Settings::new(5000), &state, &gone);
    assert_eq!(stopping.rule, Rule::Stopping);
    assert!(asks(&stopping).is_empty());
    gone.now = 2100;
    gone.server.nobody_attached = true;
    let releasing = step(&Settings::new(5000), &stopping.next, &gone);
    assert_eq!(asks(&releasing), [&Request::Drop { holder: 20 }]);
    // A renewal that was still on its way came first.
    let own = kept(OWN, 7, 1);
    let again = answered(
        &releasing.next,
        2200,
        Want::Release,
        Ok(keys(Some((own, 22)), Some((own, 20)))),
    );
    assert_eq!(asks(&again), [&Request::Drop { holder: 22 }]);
    let done = answered(&again.next, 2300, Want::Release, Ok(Reply::Done { revision: 23 }));
    assert_eq!(done.rule, Rule::Released);
}

#[test]
fn without_enforcement_nothing_is_asked_for() {
    let mut seen = seen(0, Want::Keep);
    seen.server.enforcing = false;
    let decision = step(&Settings::new(5000), &State::new(OWN, 7), &seen);
    assert_eq!((decision.rule, asks(&decision).len()), (Rule::NotEnforcing, 0));
}

#[test]
fn a_right_that_another_has_ends_at_once() {
    let renewing = turn(&holder(), 2700, Want::Keep).next;
    let other = (kept(2, 1, 2), 30);
    let lost = answered(&renewing, 2800, Want::Keep, Ok(keys(Some(other), Some(other))));
    assert_eq!(lost.rule, Rule::Lost);
    assert!(matches!(
        lost.actions[..],
        [Action::SetLocalEndToZero { .. }, Action::Lapsed { epoch: 1 }]
    ));
}
