//! What the simulator does not show as plainly: texts, files, and each verdict once.

use crate::*;

fn identity(node: NodeId) -> Identity {
    Identity {
        system: 7_000_000_000_000_000_001,
        node,
        boot: "0b2d5c4e-0000-4000-8000-000000000001".to_owned(),
        device: 2049,
        inode: 131_073,
    }
}

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot {
        round,
        node,
        incarnation: 77,
    }
}

fn proposal(ballot: Ballot, epoch: u64) -> Proposal {
    Proposal {
        purpose: Purpose::Acquire,
        ballot,
        epoch: Epoch(epoch),
        length: 5_000,
        payload: Payload::default(),
        list: VoterList::first([1, 2, 3]),
    }
}

/// A voter that has begun.
fn voter(node: NodeId) -> Record {
    let (empty, _) = Record::load(identity(node), None, None, 1_000);
    let list = VoterList::first([1, 2, 3]);
    let (record, answer, durable) = answer(&empty, 1_000, &Request::Found { list });
    assert_eq!((answer.verdict, durable), (Verdict::Founded, true));
    record
}

fn ask(record: &mut Record, now: u64, request: Request) -> (Verdict, bool) {
    // Everything goes through the text, as it does between hosts.
    let request = Request::parse(&request.to_string()).expect("a question that can be read");
    let (after, said, durable) = answer(record, now, &request);
    assert_eq!(Answer::parse(&said.to_string()), Ok(said.clone()));
    assert!(durable || after.durable == record.durable);
    *record = after;
    (said.verdict, durable)
}

fn prepare(ballot: Ballot) -> Request {
    let list = VoterList::first([1, 2, 3]);
    Request::Prepare { ballot, list }
}

#[test]
fn a_lease_is_granted_renewed_and_ends() {
    let mut record = voter(2);
    let (mine, other) = (ballot(1, 1), ballot(2, 3));
    assert_eq!(ask(&mut record, 2_000, prepare(mine)), (Verdict::Promised, true));
    assert_eq!(ask(&mut record, 2_000, prepare(mine)), (Verdict::Promised, false));
    assert_eq!(
        ask(&mut record, 2_010, Request::Accept(proposal(mine, 1))),
        (Verdict::Accepted, true)
    );
    let renewal = Request::Accept(Proposal {
        purpose: Purpose::Renew,
        ..proposal(mine, 1)
    });
    assert_eq!(ask(&mut record, 4_000, renewal.clone()), (Verdict::Accepted, false));
    assert_eq!(ask(&mut record, 8_999, prepare(other)), (Verdict::Held, false));
    assert_eq!(
        ask(&mut record, 8_999, Request::Accept(proposal(other, 2))),
        (Verdict::Held, false)
    );
    assert_eq!(ask(&mut record, 9_000, prepare(other)), (Verdict::Promised, true));
    assert_eq!(ask(&mut record, 9_000, renewal), (Verdict::LowerBallot, false));
    let known = record.durable.expect("a durable part").known;
    assert_eq!((known.accepted, known.epoch), (Some(mine), Epoch(1)));
}

#[test]
fn a_release_ends_no_later_lease() {
    let mut record = voter(2);
    let (first, second) = (ballot(1, 1), ballot(2, 1));
    ask(&mut record, 2_000, Request::Accept(proposal(first, 1)));
    ask(&mut record, 2_000, Request::Accept(proposal(second, 1)));
    assert_eq!(
        ask(&mut record, 2_100, Request::Release { ballot: first }).0,
        Verdict::Released
    );
    assert_eq!(ask(&mut record, 2_100, prepare(ballot(3, 3))).0, Verdict::Held);
    assert_eq!(
        ask(&mut record, 2_100, Request::Release { ballot: ballot(9, 3) }),
        (Verdict::Held, false)
    );
    assert_eq!(
        ask(&mut record, 2_200, Request::Release { ballot: second }).0,
        Verdict::Released
    );
    assert_eq!(
        ask(&mut record, 2_300, Request::Accept(proposal(second, 1))).0,
        Verdict::AlreadyReleased
    );
    assert_eq!(ask(&mut record, 2_300, prepare(ballot(3, 3))).0, Verdict::Promised);
}

#[test]
fn what_is_old_or_impossible_is_refused() {
    let mut record = voter(2);
    let newer = VoterList::first([1, 2, 3]).with(4).expect("one more");
    let joining = Proposal {
        list: newer.clone(),
        ..proposal(ballot(1, 1), 5)
    };
    assert_eq!(ask(&mut record, 2_000, Request::Accept(joining)).0, Verdict::Accepted);
    assert_eq!(ask(&mut record, 9_000, prepare(ballot(2, 3))).0, Verdict::OlderList);
    let with_list = |list: &VoterList, ballot| Request::Prepare {
        ballot,
        list: list.clone(),
    };
    assert_eq!(
        ask(&mut record, 9_000, with_list(&newer, ballot(2, 5))).0,
        Verdict::NotAVoter
    );
    let far = ballot(2 + PLAUSIBLE_JUMP, 3);
    assert_eq!(ask(&mut record, 9_000, with_list(&newer, far)).0, Verdict::Implausible);
    assert_eq!(
        ask(&mut record, 9_000, with_list(&newer, ballot(2, 3))).0,
        Verdict::Promised
    );
    let accept = |epoch, length, version| {
        Request::Accept(Proposal {
            length,
            list: newer.clone(),
            payload: Payload {
                version,
                ..Payload::default()
            },
            ..proposal(ballot(2, 3), epoch)
        })
    };
    assert_eq!(ask(&mut record, 9_000, accept(4, 5_000, 1)).0, Verdict::OlderEpoch);
    assert_eq!(
        ask(&mut record, 9_000, accept(6, LONGEST_LEASE + 1, 1)).0,
        Verdict::TooLong
    );
    assert_eq!(ask(&mut record, 9_000, accept(6, 5_000, 2)).0, Verdict::Accepted);
    assert_eq!(ask(&mut record, 9_000, accept(6, 5_000, 1)).0, Verdict::Stale);
}

#[test]
fn a_restart_of_the_server_forgets_nothing() {
    let mut record = voter(2);
    ask(&mut record, 2_000, Request::Accept(proposal(ballot(1, 1), 1)));
    let (durable, volatile) = (record.durable_text(), record.volatile_text());
    let (again, loss) = Record::load(identity(2), Some(&durable), Some(&volatile), 3_000);
    assert_eq!((again, loss), (record, Loss::default()));
}

#[test]
fn a_restart_of_the_host_is_followed_by_silence() {
    let mut record = voter(2);
    ask(&mut record, 2_000, Request::Accept(proposal(ballot(1, 1), 1)));
    let mut restarted = identity(2);
    restarted.boot = "0b2d5c4e-0000-4000-8000-000000000002".to_owned();
    // Devices may be numbered anew.
    restarted.device = 2065;
    let (mut again, loss) = Record::load(
        restarted,
        Some(&record.durable_text()),
        Some(&record.volatile_text()),
        100,
    );
    assert_eq!(loss.durable, None);
    assert!(loss.volatile.is_some_and(|why| why.contains("boot id")));
    assert_eq!(again.durable, record.durable);
    assert_eq!(
        ask(&mut again, 100 + SILENCE - 1, prepare(ballot(2, 1))).0,
        Verdict::Silent
    );
    assert_eq!(
        ask(&mut again, 100 + SILENCE, prepare(ballot(2, 1))).0,
        Verdict::Promised
    );
}

#[test]
fn a_foreign_damaged_or_earlier_record_is_none() {
    let mut record = voter(2);
    let earlier = record.durable_text();
    ask(&mut record, 2_000, Request::Accept(proposal(ballot(1, 1), 1)));
    let (durable, volatile) = (record.durable_text(), record.volatile_text());
    let load = |identity, durable: &str| Record::load(identity, Some(durable), Some(&volatile), 3_000);
    let lost = |(again, loss): (Record, Loss), why: &str| {
        assert_eq!(again.durable, None);
        assert_eq!(again.volatile.silent_until, 3_000 + SILENCE);
        let said = loss.durable.expect("why");
        assert!(said.contains(why), "{said}");
    };
    lost(load(identity(3), &durable), "node id 2, here 3");
    let mut restored = identity(2);
    restored.inode += 1;
    lost(load(restored, &durable), "inode");
    lost(load(identity(2), &durable.replace("epoch=1", "epoch=2")), "checksum");
    lost(load(identity(2), &durable[..durable.len() / 2]), "checksum");
    lost(load(identity(2), &earlier), "earlier");
}

#[test]
fn what_was_not_believed_once_is_never_believed() {
    let mut record = voter(2);
    let earlier = record.durable_text();
    ask(&mut record, 2_000, Request::Accept(proposal(ballot(1, 1), 1)));
    let (restored, _) = Record::load(identity(2), Some(&earlier), Some(&record.volatile_text()), 3_000);
    let (after, said, durable) = answer(&restored, 3_000, &Request::Status);
    assert_eq!((said.known, durable), (None, true));
    let (text, volatile) = (after.durable_text(), after.volatile_text());
    let (marked, loss) = Record::load(identity(2), Some(&text), Some(&volatile), 3_001);
    assert!(!answer(&marked, 3_001, &Request::Status).2, "once");
    assert!(loss.durable.is_some_and(|why| why.contains("earlier state: change 1")));
    let mut restarted = identity(2);
    restarted.boot = "0b2d5c4e-0000-4000-8000-000000000002".to_owned();
    let (again, loss) = Record::load(restarted, Some(&text), None, 100);
    assert_eq!((again.durable, again.disbelieved), (None, None));
    assert!(loss.durable.is_some_and(|why| why.contains("not relearnt")));
}

#[test]
fn a_copy_from_before_a_loss_is_none() {
    let mut record = voter(2);
    for round in 1..9 {
        ask(&mut record, 2_000, Request::Accept(proposal(ballot(round, 1), round)));
    }
    let before = record.durable_text();
    let known = record.durable.clone().expect("a durable part").known;
    // Both parts are lost, so that changes are counted anew.
    let (mut record, _) = Record::load(identity(2), None, None, 3_000);
    let (restored, _) = Record::load(identity(2), Some(&before), Some(&record.volatile_text()), 4_000);
    assert_eq!(restored.durable, None, "while it is lost");
    let loss = record.loss_stamp();
    ask(&mut record, 40_000, Request::Relearn { loss, known });
    let (kept, _) = Record::load(
        identity(2),
        Some(&record.durable_text()),
        Some(&record.volatile_text()),
        41_000,
    );
    assert_eq!(kept, record);
    let (restored, loss) = Record::load(identity(2), Some(&before), Some(&record.volatile_text()), 41_000);
    assert_eq!(restored.durable, None);
    assert!(loss.durable.is_some_and(|why| why.contains("copy")));
}

#[test]
fn a_lost_record_is_relearnt_before_it_votes() {
    let mut known = voter(1).durable.expect("a durable part").known;
    known.promise = Some(ballot(8, 1));
    let (mut record, _) = Record::load(identity(2), None, None, 1_000);
    let relearn = |loss: String| Request::Relearn {
        loss,
        known: known.clone(),
    };
    let stamp = record.loss_stamp();
    assert_eq!(ask(&mut record, 5_000, relearn(stamp.clone())).0, Verdict::Silent);
    // The server's restart does not begin the silence anew.
    let (mut record, _) = Record::load(identity(2), None, Some(&record.volatile_text()), 20_000);
    assert_eq!(ask(&mut record, 31_000, prepare(ballot(9, 3))).0, Verdict::Lost);
    assert_eq!(
        ask(&mut record, 31_000, relearn("another/1".to_owned())).0,
        Verdict::Stale
    );
    assert_eq!(
        ask(&mut record, 31_000, relearn(stamp.clone())),
        (Verdict::Relearnt, true)
    );
    assert_eq!(ask(&mut record, 31_000, relearn(stamp)).0, Verdict::NotLost);
    assert_eq!(ask(&mut record, 31_000, prepare(ballot(7, 3))).0, Verdict::LowerBallot);
    assert_eq!(ask(&mut record, 31_000, prepare(ballot(9, 3))).0, Verdict::Promised);
}

#[test]
fn those_who_were_given_up_are_told() {
    let mut record = voter(3);
    let forced = VoterList::first([1, 2, 3]).forced(&[2, 3]);
    let accept = Request::Accept(Proposal {
        purpose: Purpose::Force,
        list: forced,
        ..proposal(ballot(4, 1), FORCED_STEP)
    });
    assert_eq!(ask(&mut record, 2_000, accept), (Verdict::NotAVoter, true));
    assert_eq!(record.running(2_000), None, "it grants nothing");
    assert_eq!(ask(&mut record, 2_000, prepare(ballot(9, 2))).0, Verdict::OlderList);
}

#[test]
fn majorities_of_consecutive_lists_overlap() {
    let two = VoterList::first([1, 2]);
    assert!(!two.is_quorum(|node| node == 1));
    let three = two.with(3).expect("one more");
    assert!(!three.is_accepted_by(|node| node != 1), "not by those before");
    assert!(three.is_accepted_by(|node| node != 3));
    assert!(!three.is_quorum(|node| node != 1), "not yet by the new ones alone");
    assert!(three.settled().is_quorum(|node| node != 1));
    assert_eq!(three.with(4), None, "one change at a time");
    assert!(!three.settled().is_majority_of_others(1, |node| node == 2));
    assert!(three.settled().is_majority_of_others(1, |node| node != 1));
}

#[test]
fn damaged_questions_are_refused() {
    for text in [
        "",
        "hello",
        "repmgr-write-right/2 status",
        "repmgr-write-right/1",
        "repmgr-write-right/1 prepare ballot=1.2 list=1:1,2::",
        "repmgr-write-right/1 prepare ballot=1.2.3 list=1:2,1::",
        "repmgr-write-right/1 prepare ballot=1.2.3 ballot=1.2.3 list=1:1,2::",
        "repmgr-write-right/1 prepare ballot=-1.2.3 list=1:1,2::",
        "repmgr-write-right/1 release",
    ] {
        assert!(Request::parse(text).is_err(), "{text}");
    }
    assert_eq!(
        Request::parse("repmgr-write-right/1 status later=word"),
        Ok(Request::Status)
    );
}

#[test]
fn the_local_end_is_bound_to_the_server_and_its_ballot() {
    let mut end = LocalEnd::default();
    let (first, second) = (ballot(1, 1), ballot(2, 1));
    assert!(!end.may_write(0));
    assert_eq!(end.extend(1_000, first, 5_000, 42, 42), Ok(()));
    assert_eq!(end.extend(1_000, first, 4_000, 42, 42), Ok(()), "never shortened");
    assert!(end.may_write(4_999) && !end.may_write(5_000));
    assert_eq!(end.extend(1_000, first, 6_000, 42, 43), Err(NotExtended::OtherServer));
    assert_eq!(
        end.extend(1_000, first, 1_001 + LONGEST_LEASE, 42, 42),
        Err(NotExtended::TooFar)
    );
    end.set_to_zero(first);
    assert!(!end.may_write(1_000));
    assert_eq!(end.extend(1_000, first, 5_000, 42, 42), Err(NotExtended::Over));
    assert_eq!(end.extend(1_000, second, 5_000, 42, 42), Ok(()));
}

#[test]
fn the_checksum_is_the_known_one() {
    assert_eq!(text::checksum("123456789"), 0xCBF4_3926);
}
