//! Single turns, with voters that answer by the real rules.

use repmgr_write_right::{Answer, Identity, NodeId, Record, Request, Verdict, VoterList, answer};

use super::{Action, Answered, Change, Decision, Observation, Phase, Rule, Server, Settings, State, Want, step};

/// Three voters with the same clock as node 1, whose turns these are.
struct Cluster {
    now: u64,
    records: Vec<Record>,
    state: State,
    seen: Observation,
    settings: Settings,
}

fn record(node: NodeId) -> Record {
    let identity = Identity {
        system: 1,
        node,
        boot: "boot".to_owned(),
        device: 1,
        inode: 1,
    };
    Record::load(identity, None, None, 0).0
}

impl Cluster {
    fn new() -> Self {
        let list = VoterList::first([1, 2, 3]);
        let found = |node| answer(&record(node), 0, &Request::Found { list: list.clone() }).0;
        Cluster {
            now: 1_000,
            records: (1..=3).map(found).collect(),
            state: State::new(1, 77),
            seen: Observation {
                now: 1_000,
                random: 5,
                want: Want::Take,
                nodes: vec![1, 2, 3],
                change: None,
                payload: None,
                force: None,
                in_place_of: None,
                dismissed: None,
                server: Server {
                    start: Some(42),
                    end: Some(0),
                    enforcing: true,
                    nobody_attached: false,
                },
                answers: Vec::new(),
            },
            settings: Settings::new(5_000),
        }
    }

    fn say(&mut self, voter: NodeId, request: &Request) -> Option<Answer> {
        let record = self.records.iter_mut().find(|record| record.node() == voter)?;
        let (after, said, _) = answer(record, self.now, request);
        *record = after;
        Some(said)
    }

    /// One turn; its questions are answered for the next one by those who are reached.
    fn turn(&mut self, reached: &[NodeId]) -> Decision {
        self.seen.now = self.now;
        let decision = step(&self.settings, &self.state, &self.seen);
        self.state = decision.next.clone();
        self.seen.answers.clear();
        for action in &decision.actions {
            let Action::Ask {
                attempt,
                voters,
                request,
                ..
            } = action
            else {
                continue;
            };
            for voter in voters.clone() {
                let said = reached.contains(&voter).then(|| self.say(voter, request)).flatten();
                self.seen.answers.push(Answered {
                    attempt: *attempt,
                    voter,
                    answer: said,
                });
            }
        }
        decision
    }

    fn acquire(&mut self) -> Decision {
        for _ in 0..10 {
            let decision = self.turn(&[1, 2, 3]);
            if decision.rule == Rule::Acquired {
                return decision;
            }
        }
        panic!("not acquired: {:?}", self.state);
    }
}

#[test]
fn the_right_is_acquired_from_a_majority_and_counts_from_before_the_question() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.turn(&[1, 2]).rule, Rule::VotersUnknown);
    cluster.now += cluster.settings.length;
    assert_eq!(cluster.turn(&[1, 2]).rule, Rule::Preparing);
    let asked = cluster.now;
    assert_eq!(cluster.turn(&[1, 2]).rule, Rule::Promised);
    cluster.now += 300;
    let decision = cluster.turn(&[1, 2]);
    assert_eq!(decision.rule, Rule::Acquired);
    let until = asked + 4_000;
    assert_eq!(cluster.state.holds_until(), Some(until));
    let extended = decision
        .actions
        .iter()
        .any(|action| matches!(action, Action::ExtendLocalEnd { until: told, server: 42, .. } if *told == until));
    assert!(extended, "{:?}", decision.actions);
}

#[test]
fn a_holder_that_is_cut_off_lapses_by_its_own_clock() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    let until = cluster.state.holds_until().expect("held");
    while cluster.now < until - 100 {
        cluster.now += 100;
        let decision = cluster.turn(&[1]);
        assert!(cluster.state.held.is_some(), "{}", decision.reason);
    }
    cluster.now = until;
    let decision = cluster.turn(&[1]);
    assert_eq!(decision.rule, Rule::Lapsed);
    assert!(
        matches!(decision.actions[0], Action::SetLocalEndToZero { .. }),
        "{:?}",
        decision.actions
    );
}

#[test]
fn answers_that_come_when_they_are_worth_nothing_do_not_acquire() {
    let mut cluster = Cluster::new();
    while cluster.turn(&[1, 2, 3]).rule != Rule::Promised {
        cluster.now += 1_000;
    }
    cluster.now += 4_000;
    assert_eq!(cluster.turn(&[]).rule, Rule::TooFewAcceptances);
    assert_eq!(cluster.state.held, None);
}

#[test]
fn a_primary_that_was_overtaken_does_not_take_the_right_again() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    for record in &mut cluster.records {
        record.volatile.lease_end = 0;
        let known = &mut record.durable.as_mut().expect("a durable part").known;
        known.accepted = known.accepted.map(|ballot| repmgr_write_right::Ballot {
            round: ballot.round + 1,
            node: 2,
            incarnation: 1,
        });
        known.promise = known.accepted;
    }
    cluster.state = State::new(1, 78);
    cluster.seen.want = Want::Keep;
    let rules: Vec<Rule> = (0..6)
        .map(|_| {
            cluster.now += 1_000;
            cluster.turn(&[1, 2, 3]).rule
        })
        .collect();
    assert!(rules.contains(&Rule::Overtaken), "{rules:?}");
    assert_eq!(cluster.state.held, None);

    // Nobody was promoted under that very ballot; another one of the same node is another matter.
    let last = cluster.records[0]
        .durable
        .as_ref()
        .and_then(|durable| durable.known.accepted);
    let other = last.map(|ballot| repmgr_write_right::Ballot {
        incarnation: 2,
        ..ballot
    });
    for (dismissed, goes_on) in [(other, false), (last, true)] {
        cluster.seen.dismissed = dismissed;
        for _ in 0..6 {
            cluster.now += 1_000;
            cluster.turn(&[1, 2, 3]);
        }
        assert_eq!(cluster.state.held.is_some(), goes_on);
    }
}

#[test]
fn it_is_taken_only_in_place_of_the_node_that_had_it_last() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    for record in &mut cluster.records {
        record.volatile.lease_end = 0;
    }
    cluster.state = State::new(2, 5);
    for (in_place_of, taken) in [(Some(3), false), (Some(1), true)] {
        cluster.seen.in_place_of = in_place_of;
        for _ in 0..8 {
            cluster.now += 1_000;
            cluster.turn(&[1, 2, 3]);
        }
        assert_eq!(cluster.state.held.is_some(), taken);
    }
}

#[test]
fn a_candidate_has_it_soon_after_another_node_gave_it_back() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    let ballot = cluster.state.held.as_ref().expect("the right").ballot;
    let random = [5, 77, 1_234_567];
    for random in random {
        cluster.state = State::new(2, random);
        cluster.seen.random = random;
        let turns = (0..10_000).map(|_| {
            cluster.now += 1;
            cluster.turn(&[1, 2, 3])
        });
        let refused = turns.into_iter().find(|decision| decision.rule == Rule::HeldByOther);
        let refused = refused.expect("another node has it");
        let pause = refused.wake_at - cluster.now;
        assert!((1..=2 * cluster.settings.poll()).contains(&pause), "{pause} ms");
    }
    for voter in 1..=3 {
        cluster.say(voter, &Request::Release { ballot });
    }
    cluster.now += 2 * cluster.settings.poll();
    cluster.acquire();
}

#[test]
fn the_right_is_given_back_only_when_the_server_is_gone() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    cluster.seen.want = Want::Release;
    let decision = cluster.turn(&[1, 2, 3]);
    assert_eq!(decision.rule, Rule::Stopping);
    assert!(
        matches!(decision.actions[..], [Action::SetLocalEndToZero { .. }]),
        "{:?}",
        decision.actions
    );
    cluster.now += 500;
    assert_eq!(cluster.turn(&[1, 2, 3]).rule, Rule::Stopping);
    cluster.seen.server = Server {
        nobody_attached: true,
        ..Server::default()
    };
    assert_eq!(cluster.turn(&[1, 2, 3]).rule, Rule::Releasing);
    assert_eq!(cluster.turn(&[1, 2, 3]).rule, Rule::Released);
    assert!(matches!(cluster.state.phase, Phase::Idle));
    assert!(
        cluster
            .records
            .iter()
            .all(|record| record.running(cluster.now).is_none())
    );
}

#[test]
fn a_node_joins_the_voters_with_a_majority_of_both_lists() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    cluster.records.push(record(4));
    cluster.seen.change = Some(Change::Add(4));
    // Not before its voter has a record.
    let rules: Vec<Rule> = (0..4).map(|_| cluster.turn(&[1, 2, 3, 4]).rule).collect();
    assert!(rules.contains(&Rule::JoinerAwaited), "{rules:?}");
    assert_eq!(cluster.state.list.version, 1);
    cluster.records[3].durable = cluster.records[2].durable.clone();
    cluster.records[3].volatile = cluster.records[2].volatile;
    cluster.now += cluster.settings.patience();
    let rules: Vec<Rule> = (0..5).map(|_| cluster.turn(&[1, 2, 3, 4]).rule).collect();
    assert!(
        rules.contains(&Rule::VotersChanging) && rules.contains(&Rule::VotersChanged),
        "{rules:?}"
    );
    assert_eq!(
        cluster.state.list,
        VoterList {
            version: 2,
            ..VoterList::first([1, 2, 3, 4])
        }
    );
}

#[test]
fn a_lost_record_is_relearnt_after_its_silence() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    cluster.seen.want = Want::Nothing;
    cluster.turn(&[1, 2, 3]);
    cluster.records[0] = record(1);
    cluster.now = 20_000;
    let mut rules = Vec::new();
    while cluster.now < 45_000 {
        rules.push(cluster.turn(&[1, 2, 3]).rule);
        cluster.now += 1_000;
        let learnt = cluster.records[0].durable.is_some();
        assert!(!learnt || cluster.now > 30_000, "not before its silence is over");
    }
    assert!(
        rules.contains(&Rule::Relearning) && rules.contains(&Rule::Relearnt),
        "{rules:?}"
    );
    let known = |index: usize| cluster.records[index].durable.clone().map(|durable| durable.known);
    assert_eq!(known(0), known(1));
}

#[test]
fn a_voter_that_promised_another_ballot_is_asked_anew_at_once_and_the_epoch_stays() {
    let mut cluster = Cluster::new();
    cluster.acquire();
    let epoch = cluster.state.epoch;
    let known = &mut cluster.records[1].durable.as_mut().expect("a durable part").known;
    known.promise = known.promise.map(|ballot| repmgr_write_right::Ballot {
        round: ballot.round + 5,
        node: 3,
        incarnation: 1,
    });
    cluster.now += cluster.settings.renewal();
    let rules: Vec<Rule> = (0..5).map(|_| cluster.turn(&[1, 2, 3]).rule).collect();
    let expected = [Rule::RenewalRefused, Rule::Promised, Rule::AcquiredAnew];
    assert!(rules.windows(3).any(|three| three == expected), "{rules:?}");
    assert_eq!(cluster.state.epoch, epoch);
    let verdict = cluster.seen.answers.iter().find(|answered| answered.voter == 2);
    assert!(verdict.is_none_or(|answered| {
        answered
            .answer
            .as_ref()
            .is_none_or(|answer| answer.verdict != Verdict::LowerBallot)
    }));
}
