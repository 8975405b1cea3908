//! What the answers of the voters amount to.

use std::collections::BTreeMap;

use repmgr_write_right::{Answer, Ballot, Known, VoterList};

use crate::etcd::Standing;
use crate::returning::Voters;
use crate::types::NodeId;

/// What the voters say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Votes {
    /// For the decision.
    pub voters: Voters,
    /// The ballot that a majority has accepted.
    pub ballot: Option<Ballot>,
    /// Whether any of them says that the right to write is switched on, with this node among the voters.
    pub switched_on: bool,
}

/// Counts the answers to the question for the status, by who gave them.
pub fn count(own: NodeId, registered: &[NodeId], answers: &BTreeMap<i32, Answer>) -> Votes {
    let newest = known(answers.values()).max_by_key(|known| (known.list.rank(), known.accepted));
    let Some(list) = newest.map(|known| &known.list).filter(|list| list.version > 0) else {
        let missing = registered.iter().copied().filter(|node| *node != own).collect();
        return Votes {
            voters: Voters::TooFew { missing },
            ballot: None,
            switched_on: false,
        };
    };
    let votes = |node: i32| {
        answers
            .get(&node)
            .filter(|answer| answer.silent == 0)
            .and_then(|answer| answer.known.as_ref())
    };
    let (voters, ballot) = agreement(own, list, answers, votes);
    Votes {
        voters,
        ballot,
        switched_on: list.voters.contains(&own.0),
    }
}

/// What etcd says, as votes; `None`: it did not answer.
pub fn of_etcd(standing: Option<Standing>) -> Votes {
    let Some(standing) = standing else {
        return Votes {
            voters: Voters::TooFew { missing: Vec::new() },
            ballot: None,
            switched_on: false,
        };
    };
    let last = standing.seen.last;
    let agree = last.map(|last| Voters::Agree {
        holder: NodeId(last.kept.node),
        epoch: last.kept.epoch,
        runs: standing.seen.holder.is_some(),
        // No node's vote is needed.
        others_suffice: true,
    });
    Votes {
        voters: agree.unwrap_or(Voters::AtOdds),
        ballot: last.map(|last| last.ballot()),
        switched_on: last.is_some(),
    }
}

fn known<'a>(answers: impl Iterator<Item = &'a Answer>) -> impl Iterator<Item = &'a Known> {
    answers.filter_map(|answer| answer.known.as_ref())
}

fn agreement<'a>(
    own: NodeId,
    list: &VoterList,
    answers: &BTreeMap<i32, Answer>,
    votes: impl Fn(i32) -> Option<&'a Known>,
) -> (Voters, Option<Ballot>) {
    if !list.is_quorum(|node| votes(node).is_some()) {
        let missing = list.voters.iter().filter(|node| votes(**node).is_none());
        let missing = missing.map(|node| NodeId(*node)).collect();
        return (Voters::TooFew { missing }, None);
    }
    let accepted = |node: i32| votes(node).and_then(|known| known.accepted);
    let Some(ballot) = list.voters.iter().filter_map(|node| accepted(*node)).max() else {
        return (Voters::AtOdds, None);
    };
    if !list.is_quorum(|node| accepted(node) == Some(ballot)) {
        return (Voters::AtOdds, None);
    }
    let of_ballot = || list.voters.iter().filter(|node| accepted(**node) == Some(ballot));
    let epoch = of_ballot()
        .filter_map(|node| votes(*node))
        .map(|known| known.epoch.0)
        .max();
    let runs = of_ballot().any(|node| answers.get(node).is_some_and(|answer| answer.left > 0));
    let agree = Voters::Agree {
        holder: NodeId(ballot.node),
        epoch: epoch.unwrap_or_default(),
        runs,
        others_suffice: list.is_quorum(|node| node != own.0 && votes(node).is_some()),
    };
    (agree, Some(ballot))
}

#[cfg(test)]
mod tests {
    use repmgr_write_right::{Epoch, Verdict};

    use super::*;

    const REGISTERED: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn answer(node: i32, round: u64, holder: i32, left: u64) -> (i32, Answer) {
        let known = Known {
            accepted: (round > 0).then_some(Ballot {
                round,
                node: holder,
                incarnation: 1,
            }),
            epoch: Epoch(round),
            list: VoterList::first([1, 2, 3]),
            ..Known::default()
        };
        let answer = Answer {
            verdict: Verdict::Status,
            node,
            known: Some(known),
            left,
            silent: 0,
            loss: None,
        };
        (node, answer)
    }

    fn counted(answers: &[(i32, Answer)]) -> Votes {
        count(NodeId(1), &REGISTERED, &answers.iter().cloned().collect())
    }

    #[test]
    fn nobody_knows_anything_alone() {
        let nothing = counted(&[]);
        let missing = vec![NodeId(2), NodeId(3)];
        assert_eq!(
            nothing.voters,
            Voters::TooFew {
                missing: missing.clone()
            }
        );
        assert!(!nothing.switched_on);
        let alone = counted(&[answer(1, 5, 1, 0)]);
        assert_eq!(alone.voters, Voters::TooFew { missing });
        assert!(alone.switched_on);
    }

    #[test]
    fn a_majority_under_one_ballot_agrees() {
        let votes = counted(&[answer(1, 5, 1, 0), answer(2, 7, 2, 0), answer(3, 7, 2, 800)]);
        let agree = |runs| Voters::Agree {
            holder: NodeId(2),
            epoch: 7,
            runs,
            others_suffice: true,
        };
        assert_eq!(votes.voters, agree(true));
        assert_eq!(votes.ballot.map(|ballot| ballot.node), Some(2));
        let votes = counted(&[answer(2, 7, 2, 0), answer(3, 7, 2, 0)]);
        assert_eq!(votes.voters, agree(false));
        let votes = counted(&[answer(1, 7, 2, 0), answer(3, 7, 2, 800)]);
        assert!(matches!(
            votes.voters,
            Voters::Agree {
                others_suffice: false,
                ..
            }
        ));
    }

    #[test]
    fn an_attempt_that_found_no_majority_is_no_holder() {
        let votes = counted(&[answer(1, 5, 1, 0), answer(2, 7, 2, 900), answer(3, 5, 1, 0)]);
        assert_eq!((votes.voters, votes.ballot), (Voters::AtOdds, None));
        let nobody = counted(&[answer(1, 0, 0, 0), answer(2, 0, 0, 0)]);
        assert_eq!(nobody.voters, Voters::AtOdds);
    }

    #[test]
    fn who_is_silent_or_has_lost_its_record_does_not_count() {
        let mut silent = answer(2, 7, 2, 0);
        silent.1.silent = 20_000;
        let mut lost = answer(3, 7, 2, 0);
        lost.1.known = None;
        for missing in [silent, lost] {
            let votes = counted(&[answer(1, 7, 2, 0), missing]);
            let missing = vec![NodeId(2), NodeId(3)];
            assert_eq!(votes.voters, Voters::TooFew { missing });
        }
    }
}
