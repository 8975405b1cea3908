//! Every step of an election, and the layouts of clusters and partitions that the manual lists.

use std::collections::BTreeSet;
use std::time::Duration;

use super::election::{Ballot, Outcome, Tally, elect};
use super::observation::{Answer, ConnectFailure, Local, Node, Seen};
use super::settings::Settings;
use super::state::Resume;
use crate::config::{Config, FailoverMode};
use crate::types::{Lsn, NodeId, NodeType, RecoveryState};

pub(super) const P: i32 = 1;
pub(super) const A: i32 = 2;
pub(super) const B: i32 = 3;
pub(super) const C: i32 = 4;
pub(super) const W: i32 = 9;

/// A cluster whose primary P is lost, as node A sees it.
pub(super) struct Case {
    pub(super) own: i32,
    pub(super) settings: Settings,
    pub(super) nodes: Vec<Node>,
    pub(super) local: Local,
    pub(super) survey: Vec<Seen>,
    pub(super) passed_over: BTreeSet<NodeId>,
    pub(super) resume: Resume,
    pub(super) lost_for: Option<Duration>,
}

fn node(id: i32, node_type: NodeType) -> Node {
    Node {
        id: NodeId(id),
        name: format!("n{id}"),
        node_type,
        upstream: (node_type != NodeType::Primary).then_some(NodeId(P)),
        active: true,
        location: "default".into(),
        priority: 100,
    }
}

fn standby(id: i32) -> Seen {
    Seen {
        node: NodeId(id),
        reached: Ok(()),
        daemon_registered: Answer::Yes,
        daemon_running: Answer::Yes,
        daemon_paused: Answer::No,
        daemon_is_original: Answer::No,
        library: Answer::Yes,
        recovery: RecoveryState::Standby,
        receive_lsn: Some(Lsn(1000)),
        replay_paused: Answer::No,
        apply_delay: Duration::ZERO,
        timeline: None,
        upstream_last_seen: Some(Duration::from_secs(60)),
        upstream: Some(NodeId(P)),
        wal_receiver: Answer::No,
        followable: Answer::Unknown,
    }
}

fn gone(id: i32) -> Seen {
    Seen::unreachable(NodeId(id), ConnectFailure::Silent)
}

impl Case {
    /// P with the standbys and witness named, all of them in order.
    pub(super) fn new(own: i32, others: &[i32]) -> Self {
        let mut nodes = vec![node(P, NodeType::Primary), node(own, NodeType::Standby)];
        let mut survey = Vec::new();
        for id in others {
            let witness = *id == W;
            nodes.push(node(*id, if witness { NodeType::Witness } else { NodeType::Standby }));
            let mut seen = standby(*id);
            if witness {
                seen.recovery = RecoveryState::Primary;
                seen.receive_lsn = None;
            }
            survey.push(seen);
        }
        nodes.sort_by_key(|node| node.id);
        let config = Config {
            node_id: own,
            failover: FailoverMode::Automatic,
            ..Config::default()
        };
        Case {
            own,
            settings: Settings::from_config(&config),
            nodes,
            local: Local {
                recovery: RecoveryState::Standby,
                receive_lsn: Some(Lsn(1000)),
                replay_paused: Answer::No,
                apply_delay: Duration::ZERO,
                wal_message_age: None,
                notification: None,
                paused: Answer::No,
                voting_term: Some(1),
                registered: Answer::Yes,
                library: Answer::Yes,
            },
            survey,
            passed_over: BTreeSet::new(),
            resume: Resume::NotAsked,
            lost_for: Some(Duration::from_secs(50)),
        }
    }

    pub(super) fn cut(mut self, ids: &[i32]) -> Self {
        for seen in &mut self.survey {
            if ids.contains(&seen.node.0) {
                *seen = gone(seen.node.0);
            }
        }
        self
    }

    pub(super) fn with(mut self, id: i32, change: impl Fn(&mut Seen)) -> Self {
        self.survey.iter_mut().filter(|seen| seen.node.0 == id).for_each(change);
        self
    }

    pub(super) fn record(mut self, id: i32, change: impl Fn(&mut Node)) -> Self {
        self.nodes.iter_mut().filter(|node| node.id.0 == id).for_each(change);
        self
    }

    pub(super) fn place(self, id: i32, location: &str) -> Self {
        self.record(id, |node| node.location = location.into())
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.verdict().0
    }

    pub(super) fn verdict(&self) -> (Outcome, String) {
        let find = |id: i32| self.nodes.iter().find(|node| node.id.0 == id).expect("is in the case");
        let verdict = elect(&Ballot {
            settings: &self.settings,
            own: find(self.own),
            upstream: find(P),
            nodes: &self.nodes,
            local: &self.local,
            survey: &self.survey,
            passed_over: &self.passed_over,
            resume: self.resume,
            lost_for: self.lost_for,
        });
        assert!(!verdict.reason.is_empty());
        (verdict.outcome, verdict.reason)
    }

    #[track_caller]
    pub(super) fn wins(&self) {
        assert!(matches!(self.outcome(), Outcome::Won(_)), "{:?}", self.verdict());
    }

    #[track_caller]
    pub(super) fn loses_to(&self, winner: i32) {
        assert_eq!(
            self.outcome(),
            Outcome::Lost(Some(NodeId(winner))),
            "{:?}",
            self.verdict()
        );
    }

    #[track_caller]
    pub(super) fn is_cancelled(&self) {
        assert_eq!(self.outcome(), Outcome::Cancelled, "{:?}", self.verdict());
    }
}

#[test]
fn without_a_voting_term_there_is_no_candidate() {
    let mut case = Case::new(A, &[]);
    case.local.voting_term = None;
    assert_eq!(case.outcome(), Outcome::NotCandidate);
}

#[test]
fn a_manual_node_is_no_candidate() {
    let mut case = Case::new(A, &[B]);
    case.settings.automatic = false;
    assert_eq!(case.outcome(), Outcome::NotCandidate);
}

#[test]
fn priority_zero_loses_without_asking_anybody() {
    let case = Case::new(A, &[B]).record(A, |node| node.priority = 0);
    assert_eq!(case.outcome(), Outcome::Lost(None));
}

#[test]
fn the_only_standby_wins_in_the_primarys_location_alone() {
    let case = Case::new(A, &[]);
    let alone = Tally {
        visible: 1,
        shared: 1,
        total: 2,
    };
    assert_eq!(case.outcome(), Outcome::Won(alone));
    assert_eq!(case.place(A, "far").outcome(), Outcome::NotCandidate);
}

#[test]
fn own_status_and_replay_come_before_the_others() {
    let mut case = Case::new(A, &[B]);
    case.local.replay_paused = Answer::Yes;
    assert_eq!(case.outcome(), Outcome::ResumeReplay);
    case.resume = Resume::Failed;
    assert_eq!(case.outcome(), Outcome::Lost(None));
    case.resume = Resume::Done;
    case.wins();
    case.local.recovery = RecoveryState::Unknown;
    assert_eq!(case.outcome(), Outcome::Lost(None));
}

#[test]
fn a_sibling_that_is_a_primary_ends_the_election_at_once() {
    let promoted = |case: Case, followable| {
        case.with(B, move |seen| {
            seen.recovery = RecoveryState::Primary;
            seen.followable = followable;
        })
    };
    let case = promoted(Case::new(A, &[B, C]), Answer::Yes);
    assert_eq!(case.outcome(), Outcome::PrimaryFound(NodeId(B)));
    // Another history: as with the original it is ignored as a rogue, but still counts as visible.
    promoted(Case::new(A, &[B, C]), Answer::No).wins();
    // Not knowing is no reason to promote beside it.
    promoted(Case::new(A, &[B, C]), Answer::Unknown).is_cancelled();
    // A sibling without a daemon is not even looked at, as with the original.
    promoted(Case::new(A, &[B]), Answer::Yes)
        .with(B, |seen| seen.daemon_registered = Answer::No)
        .wins();
}

#[test]
fn ranking_is_by_wal_then_priority_then_lower_id() {
    Case::new(A, &[B, C]).wins();
    Case::new(B, &[A, C]).loses_to(A);
    Case::new(A, &[B]).record(B, |node| node.priority = 101).loses_to(B);
    Case::new(A, &[B])
        .record(A, |node| node.priority = 200)
        .with(B, |seen| seen.receive_lsn = Some(Lsn(1001)))
        .loses_to(B);
    // NULL counts as 0/0.
    Case::new(B, &[A]).with(A, |seen| seen.receive_lsn = None).wins();
}

#[test]
fn nodes_that_cannot_act_are_seen_but_not_elected() {
    let better = |change: fn(&mut Seen)| {
        Case::new(B, &[A, C])
            .with(A, |seen| seen.receive_lsn = Some(Lsn(9000)))
            .with(A, change)
    };
    better(|_| ()).loses_to(A);
    better(|seen| seen.daemon_registered = Answer::No).wins();
    better(|seen| seen.daemon_registered = Answer::Unknown).wins();
    better(|seen| seen.daemon_running = Answer::No).wins();
    better(|seen| seen.daemon_paused = Answer::Yes).wins();
    better(|seen| seen.recovery = RecoveryState::Unknown).wins();
    // What is not known is not held against it: originals would elect it.
    better(|seen| seen.daemon_running = Answer::Unknown).loses_to(A);
    better(|seen| seen.daemon_paused = Answer::Unknown).loses_to(A);
    let mut case = better(|_| ());
    case.passed_over.insert(NodeId(A));
    case.wins();
    Case::new(B, &[A]).record(A, |node| node.priority = 0).wins();
}

#[test]
fn a_node_whose_own_promotion_failed_names_the_next_one() {
    let mut case = Case::new(A, &[B, C]);
    case.passed_over.insert(NodeId(A));
    case.loses_to(B);
    let mut alone = Case::new(A, &[]);
    alone.passed_over.insert(NodeId(A));
    assert_eq!(alone.outcome(), Outcome::Lost(None));
}

#[test]
fn visibility_counts_within_twice_the_own_interval_and_of_the_lost_primary_only() {
    let seen_by_b = |age_ms: u64, upstream: i32| {
        let mut case = Case::new(A, &[B, C]).with(B, |seen| {
            seen.upstream_last_seen = Some(Duration::from_millis(age_ms));
            seen.upstream = Some(NodeId(upstream));
        });
        case.settings.visibility_consensus = true;
        case
    };
    seen_by_b(0, P).is_cancelled();
    seen_by_b(3000, P).is_cancelled();
    seen_by_b(4000, P).wins();
    seen_by_b(0, C).wins();
    let mut off = seen_by_b(0, P);
    off.settings.visibility_consensus = false;
    off.wins();
    // The witness sees, too.
    let mut witness = Case::new(A, &[W]).with(W, |seen| seen.upstream_last_seen = Some(Duration::ZERO));
    witness.settings.visibility_consensus = true;
    witness.is_cancelled();
}

#[test]
fn the_majority_is_of_active_siblings_and_this_node() {
    // 1 standby + witness: both.
    Case::new(A, &[W]).wins();
    Case::new(A, &[W]).cut(&[W]).is_cancelled();
    // 2 standbys: both.
    Case::new(A, &[B]).wins();
    Case::new(A, &[B]).cut(&[B]).is_cancelled();
    // 2 standbys + witness: 2 of 3.
    Case::new(A, &[B, W]).cut(&[B]).wins();
    Case::new(A, &[B, W]).cut(&[B, W]).is_cancelled();
    // 3 standbys: 2 of 3.
    Case::new(A, &[B, C]).cut(&[C]).wins();
    Case::new(A, &[B, C]).cut(&[B, C]).is_cancelled();
    // 3 standbys + witness: 3 of 4.
    Case::new(A, &[B, C, W]).cut(&[B]).wins();
    Case::new(A, &[B, C, W]).cut(&[B, C]).is_cancelled();
    // An inactive sibling is in no quorum, nor one with another upstream.
    Case::new(A, &[B])
        .cut(&[B])
        .record(B, |node| node.active = false)
        .wins();
    Case::new(A, &[B])
        .cut(&[B])
        .record(B, |node| node.upstream = Some(NodeId(C)))
        .wins();
    // Visible is counted before anything else is asked.
    Case::new(A, &[B])
        .with(B, |seen| seen.daemon_registered = Answer::No)
        .wins();
}

#[test]
fn partitions_of_the_manual() {
    // P | A W
    Case::new(A, &[W]).wins();
    // P W | A
    Case::new(A, &[W]).cut(&[W]).is_cancelled();
    // P | A B
    Case::new(A, &[B]).wins();
    Case::new(B, &[A]).loses_to(A);
    // P A | B, and P | A | B
    Case::new(B, &[A]).cut(&[A]).is_cancelled();
    // P A | B W
    Case::new(B, &[A, W]).cut(&[A]).wins();
    // P W | A B
    Case::new(A, &[B, W]).cut(&[W]).wins();
    Case::new(B, &[A, W]).cut(&[W]).loses_to(A);
    // P A W | B
    Case::new(B, &[A, W]).cut(&[A, W]).is_cancelled();
    // P | A B W
    Case::new(A, &[B, W]).wins();
    // P dead, A and B do not see each other, both see W: the known weakness of a vote that is not exclusive.
    Case::new(A, &[B, W]).cut(&[B]).wins();
    Case::new(B, &[A, W]).cut(&[A]).wins();
    // P dead, B dead but active, without W
    Case::new(A, &[B]).cut(&[B]).is_cancelled();
    // Only A is cut from P; B and W still see it.
    let one_cut = || {
        Case::new(A, &[B, W])
            .with(B, |seen| seen.upstream_last_seen = Some(Duration::ZERO))
            .with(W, |seen| seen.upstream_last_seen = Some(Duration::ZERO))
    };
    one_cut().wins();
    let mut consensus = one_cut();
    consensus.settings.visibility_consensus = true;
    consensus.is_cancelled();
}

#[test]
fn a_node_of_the_primarys_location_must_be_visible() {
    // P, A in dc1; B, W in dc2; dc1 | dc2, or dc1 destroyed: the same view.
    Case::new(B, &[A, W])
        .place(B, "dc2")
        .place(W, "dc2")
        .cut(&[A])
        .is_cancelled();
    // P, W in dc1; A in dc2; P dead.
    Case::new(A, &[W]).place(A, "dc2").wins();
    // The same, dc1 | dc2.
    Case::new(A, &[W]).place(A, "dc2").cut(&[W]).is_cancelled();
    // One that is only visible is enough: no daemon, priority 0.
    Case::new(A, &[B, C])
        .place(A, "dc2")
        .place(B, "dc2")
        .with(C, |seen| seen.daemon_registered = Answer::No)
        .wins();
}

#[test]
fn w07_a_primary_that_still_sends_wal_is_not_dead() {
    let mut case = Case::new(A, &[B]);
    case.local.wal_message_age = Some(Duration::from_secs(1));
    case.is_cancelled();
    // The last word before it was lost says nothing.
    case.lost_for = Some(Duration::from_millis(500));
    case.wins();
    case.lost_for = Some(Duration::from_secs(50));
    case.local.wal_message_age = Some(Duration::from_secs(30));
    case.wins();
}

#[test]
fn delayed_and_paused_standbys_rank_by_what_they_received_and_are_named() {
    let mut case = Case::new(B, &[A, C])
        .with(A, |seen| seen.apply_delay = Duration::from_secs(3600))
        .with(C, |seen| seen.replay_paused = Answer::Yes);
    case.loses_to(A);
    let (_, reason) = case.verdict();
    assert!(
        reason.contains("WAL replay: 2 (delayed by 3600 s), 4 (paused)"),
        "{reason}"
    );
    case.local.receive_lsn = Some(Lsn(1001));
    case.local.apply_delay = Duration::from_millis(1500);
    case.wins();
    assert!(case.verdict().1.contains("3 (delayed by 1.5 s)"));
    // It is named also where there is nobody to compare it with.
    let mut alone = Case::new(A, &[]);
    alone.local.apply_delay = Duration::from_secs(60);
    alone.wins();
    assert!(alone.verdict().1.ends_with("WAL replay: 2 (delayed by 60 s)"));
    Case::new(A, &[W]).wins();
}

#[test]
fn a_sibling_that_watches_a_node_out_of_sight_prevents_a_second_promotion() {
    let watches = |age: u64| {
        Case::new(B, &[A, W]).cut(&[A]).with(W, move |seen| {
            seen.upstream = Some(NodeId(A));
            seen.upstream_last_seen = Some(Duration::from_secs(age));
        })
    };
    watches(1).is_cancelled();
    assert!(
        watches(1).verdict().1.contains("node 9 watches node 2"),
        "{:?}",
        watches(1).verdict()
    );
    // It saw it some time ago: that node may be gone.
    watches(60).wins();
    // A node in sight speaks for itself.
    let cascaded = Case::new(A, &[B, C]).with(C, |seen| {
        seen.upstream = Some(NodeId(B));
        seen.upstream_last_seen = Some(Duration::ZERO);
    });
    cascaded.wins();
}

#[test]
fn a_node_without_the_library_is_no_candidate_beside_an_original() {
    let original = |seen: &mut Seen| seen.daemon_is_original = Answer::Yes;
    let bare = |seen: &mut Seen| seen.library = Answer::No;
    let better = |seen: &mut Seen| seen.receive_lsn = Some(Lsn(2000));
    // The original passes B over, which it cannot ask; so does this node.
    let case = Case::new(A, &[B, C]).with(B, bare).with(B, better);
    assert_eq!(case.outcome(), Outcome::Lost(Some(NodeId(B))));
    let case = case.with(C, original);
    assert!(matches!(case.outcome(), Outcome::Won(Tally { visible: 3, .. })));
    // And itself, if it is the one without.
    let mut case = Case::new(A, &[B, C]);
    case.local.library = Answer::No;
    assert!(matches!(case.outcome(), Outcome::Won(_)));
    let case = case.with(C, original);
    assert_eq!(case.outcome(), Outcome::Lost(Some(NodeId(B))));
    let case = case.with(B, bare);
    assert_eq!(case.outcome(), Outcome::Lost(Some(NodeId(C))));
}
