//! Whether a node has every commit that was acknowledged, so that it may be promoted.

use std::collections::BTreeMap;

use repmgr_write_right::{NodeId, Payload};

use crate::types::Lsn;

/// How far a server has the WAL on its disk: by timeline first, as what lies past a fork on an older one was acknowledged
/// by nobody who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The newest timeline that it has WAL of.
    pub timeline: u32,
    /// Up to where.
    pub flushed: Lsn,
}

/// Why a node must not be promoted: for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Barred {
    /// One sentence.
    pub reason: String,
    /// What to do about it.
    pub way_out: String,
}

/// Whether `own` has all that was acknowledged while the payload was the chosen one, by the positions of the servers that
/// answered, asked after nobody else could acknowledge anything any more. So many of the payload's standbys must be among
/// them that one has all, and none of them may have more.
pub fn may_be_promoted(
    own: NodeId,
    payload: &Payload,
    positions: &BTreeMap<NodeId, Position>,
    title: impl Fn(NodeId) -> String,
) -> Result<(), Barred> {
    if payload.count == 0 {
        return Ok(());
    }
    // A count that there are not enough standbys for is never chosen.
    let needed = payload.needed().unwrap_or(usize::MAX);
    let titles = |nodes: &[NodeId]| nodes.iter().map(|node| title(*node)).collect::<Vec<_>>().join(", ");
    let (answered, silent): (Vec<NodeId>, Vec<NodeId>) =
        payload.standbys.iter().partition(|node| positions.contains_key(node));
    if answered.len() < needed {
        let missing = needed.min(payload.standbys.len()) - answered.len().min(needed);
        let reason = match payload.standbys[..] {
            [alone] => format!(
                "only {} is known to have every acknowledged commit, and it does not answer",
                title(alone)
            ),
            _ => format!(
                "every acknowledged commit is on {} of {}: {missing} more of {} must say how far they are",
                payload.count,
                titles(&payload.standbys),
                titles(&silent),
            ),
        };
        let way_out = format!("start {}", titles(&silent));
        return Err(Barred { reason, way_out });
    }
    let Some(here) = positions.get(&own) else {
        let reason = "it is not known how far the own server has the WAL".to_owned();
        let way_out = "see the server's log; it may still be reading its WAL".to_owned();
        return Err(Barred { reason, way_out });
    };
    let ahead = answered.into_iter().find(|node| positions[node] > *here);
    match ahead {
        None => Ok(()),
        Some(node) => Err(Barred {
            reason: format!(
                "{} may have acknowledged commits that this one lacks: it is at {} on timeline {}, this one at {} on timeline {}",
                title(node),
                positions[&node].flushed,
                positions[&node].timeline,
                here.flushed,
                here.timeline
            ),
            way_out: format!("promote {}", title(node)),
        }),
    }
}

/// What is left to go by of a payload when a person has given these nodes up, and with them what was on them alone.
pub fn without(payload: &Payload, given_up: &[NodeId]) -> Payload {
    let standbys: Vec<NodeId> = payload
        .standbys
        .iter()
        .copied()
        .filter(|node| !given_up.contains(node))
        .collect();
    let gone = u32::try_from(payload.standbys.len() - standbys.len()).unwrap_or(u32::MAX);
    Payload {
        count: payload.count.saturating_sub(gone),
        standbys,
        ..*payload
    }
}

/// Whether a switchover from `former` to `own` can succeed: `own` must be one of the payload's standbys, and so many of
/// them must answer, `former` being down by then, that it may be promoted. How far they are shows when `former` is down.
pub fn may_take_over(
    own: NodeId,
    former: NodeId,
    payload: &Payload,
    answering: &[NodeId],
    title: impl Fn(NodeId) -> String,
) -> Result<(), Barred> {
    if payload.count == 0 {
        return Ok(());
    }
    let titles = |nodes: &[NodeId]| nodes.iter().map(|node| title(*node)).collect::<Vec<_>>().join(", ");
    let members: Vec<NodeId> = payload
        .standbys
        .iter()
        .copied()
        .filter(|node| *node != former)
        .collect();
    if !members.contains(&own) {
        let (who, way_out) = match members.is_empty() {
            true => (
                "there is none at the moment".to_owned(),
                "wait until this standby has caught up".to_owned(),
            ),
            false => (
                format!("these are: {}", titles(&members)),
                format!("switch over to {}", titles(&members)),
            ),
        };
        return Err(Barred {
            reason: format!("{} is not one of the synchronous standbys; {who}", title(own)),
            way_out,
        });
    }
    let (there, silent): (Vec<NodeId>, Vec<NodeId>) = members.iter().partition(|node| answering.contains(node));
    if there.len() < payload.needed().unwrap_or(usize::MAX) {
        return Err(Barred {
            reason: format!(
                "every acknowledged commit is on {} of {}, and too few of them answer",
                payload.count,
                titles(&payload.standbys)
            ),
            way_out: format!("start {}, or wait until the primary goes on without", titles(&silent)),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(own: NodeId, count: u32, standbys: &[NodeId], positions: &[(NodeId, u32, u64)]) -> Result<(), String> {
        let payload = Payload {
            version: 1,
            count,
            standbys: standbys.to_vec(),
        };
        let positions = positions
            .iter()
            .map(|(node, timeline, at)| {
                let position = Position {
                    timeline: *timeline,
                    flushed: Lsn(*at),
                };
                (*node, position)
            })
            .collect();
        may_be_promoted(own, &payload, &positions, |node| format!("node {node}")).map_err(|barred| barred.reason)
    }

    #[test]
    fn without_the_mode_anybody_may() {
        assert_eq!(verdict(2, 0, &[], &[]), Ok(()));
    }

    #[test]
    fn what_is_given_up_is_not_asked_for() {
        let payload = |count, standbys: &[NodeId]| Payload {
            version: 3,
            count,
            standbys: standbys.to_vec(),
        };
        assert_eq!(without(&payload(1, &[1]), &[1]), payload(0, &[]));
        assert_eq!(without(&payload(2, &[2, 3, 4]), &[4]), payload(1, &[2, 3]));
        assert_eq!(without(&payload(1, &[2, 3]), &[1]), payload(1, &[2, 3]));
    }

    #[test]
    fn only_a_member_is_switched_over_to() {
        let verdict = |own, count, standbys: &[NodeId], answering: &[NodeId]| {
            let payload = Payload {
                version: 1,
                count,
                standbys: standbys.to_vec(),
            };
            may_take_over(own, 1, &payload, answering, |node| format!("node {node}")).map_err(|barred| barred.reason)
        };
        assert_eq!(verdict(2, 0, &[], &[]), Ok(()));
        assert_eq!(verdict(2, 1, &[2, 3], &[1, 2, 3]), Ok(()));
        assert!(verdict(2, 1, &[2, 3], &[1, 2]).is_err_and(|reason| reason.contains("too few")));
        assert!(verdict(2, 1, &[3], &[1, 2, 3]).is_err_and(|reason| reason.contains("these are: node 3")));
        assert!(verdict(2, 1, &[1], &[1, 2, 3]).is_err_and(|reason| reason.contains("none at the moment")));
    }

    #[test]
    fn so_many_must_answer_that_one_has_everything() {
        assert!(verdict(2, 1, &[2, 3], &[(2, 1, 9)]).is_err());
        assert!(verdict(2, 1, &[2, 3], &[(2, 1, 9), (3, 1, 9)]).is_ok());
        assert!(verdict(2, 2, &[2, 3], &[(2, 1, 9)]).is_ok());
        assert!(verdict(2, 2, &[2, 3, 4], &[(2, 1, 9), (5, 1, 9)]).is_err());
        assert!(verdict(2, 2, &[2, 3, 4], &[(2, 1, 9), (4, 1, 9)]).is_ok());
        let alone = verdict(2, 1, &[1], &[(2, 1, 9), (3, 1, 9)]);
        assert!(alone.is_err_and(|reason| reason.contains("only node 1")));
    }

    #[test]
    fn nobody_who_answers_may_have_more() {
        assert!(verdict(2, 1, &[2, 3], &[(2, 1, 8), (3, 1, 9)]).is_err());
        assert!(verdict(2, 1, &[2, 3], &[(2, 2, 8), (3, 1, 9)]).is_ok());
        // One that is no member, and has as much as those who are.
        assert!(verdict(4, 1, &[2, 3], &[(2, 1, 8), (3, 1, 9), (4, 1, 9)]).is_ok());
        assert!(verdict(4, 1, &[2, 3], &[(2, 1, 8), (3, 1, 9)]).is_err());
    }
}
