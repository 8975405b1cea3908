//! What a stopped node needs to come back: nothing but a start, or a rewind,
//! or it cannot. Decided from pg_control, the end of its WAL and the verdict
//! of `attach`; no file and no server is asked here.

use crate::instance::control_file::{ClusterState, ControlFile};
use crate::instance::wal;
use crate::operations::attach::{LocalPosition, Verdict};
use crate::types::{Lsn, TimelineId};

/// What is to be done with the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Nothing: configured as a standby and started it can follow the primary.
    Attach,
    /// Its history is to be made the primary's.
    Rewind {
        /// It must recover from its crash first, or take the WAL into account that it has not replayed:
        /// pg_rewind only understands servers that were shut down cleanly.
        recover: bool,
    },
}

/// Why it cannot come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// It was not shut down cleanly, and no rewind was asked for.
    Unclean,
    /// Its history has parted from the primary's, and no rewind was asked for.
    NeedsRewind,
    /// Neither as it is nor rewound can it follow the primary.
    CannotAttach,
    /// It crashed while it was a primary itself, on the timeline that the target is on now.
    CrashedOnSameTimeline,
    /// A rewind was interrupted, and the directory is neither what it was nor what it should become.
    HalfRewound,
}

/// Where the node is: how far it must have come (a standby's minimum recovery point, a primary's last
/// checkpoint), and how far its WAL goes.
pub fn position(control: &ControlFile, end: Option<wal::End>) -> LocalPosition {
    let (by_control, timeline) = match control.min_recovery_point {
        Some((lsn, timeline)) if timeline != TimelineId(0) => (lsn, timeline),
        Some((lsn, _)) => (lsn, control.checkpoint_timeline),
        // The record begins there, so it ends behind it.
        None => (behind(control.checkpoint), control.checkpoint_timeline),
    };
    let lsn = end
        .and_then(|end| end.position())
        .map_or(by_control, |end| end.max(by_control));
    LocalPosition {
        system_identifier: Some(control.system_identifier),
        timeline,
        lsn: Some(lsn).filter(|_| control.checkpoint != Lsn::INVALID),
    }
}

fn behind(record: Lsn) -> Lsn {
    Lsn(record.0 + 1)
}

/// Whether this is a standby that was not shut down cleanly. Crash recovery would end its life as a standby,
/// for it writes a checkpoint; it only needs to be started.
fn is_crashed_standby(control: &ControlFile) -> bool {
    control.state == ClusterState::InArchiveRecovery && control.min_recovery_point.is_some()
}

/// Decides. `by_control` is the verdict without the WAL that pg_control knows nothing of, `verdict` the one with it.
pub fn decide(
    control: &ControlFile,
    by_control: &Verdict,
    verdict: &Verdict,
    rewind_wanted: bool,
    rewind_interrupted: bool,
) -> Result<Course, Obstacle> {
    let attaches = matches!(verdict, Verdict::SameTimeline { .. } | Verdict::ForkedLater { .. });
    let diverged = matches!(verdict, Verdict::Diverged(_));
    let clean = control.state.is_clean();
    if rewind_interrupted {
        return match () {
            () if attaches && is_crashed_standby(control) => Ok(Course::Attach),
            () if diverged && clean && rewind_wanted => Ok(Course::Rewind { recover: false }),
            () if diverged && clean => Err(Obstacle::NeedsRewind),
            () => Err(Obstacle::HalfRewound),
        };
    }
    if matches!(verdict, Verdict::Refused(_)) {
        return Err(Obstacle::CannotAttach);
    }
    if clean {
        return match () {
            () if attaches => Ok(Course::Attach),
            () if rewind_wanted => Ok(Course::Rewind {
                recover: !matches!(by_control, Verdict::Diverged(_)),
            }),
            () => Err(Obstacle::NeedsRewind),
        };
    }
    if is_crashed_standby(control) && attaches {
        return Ok(Course::Attach);
    }
    if !rewind_wanted {
        return Err(Obstacle::Unclean);
    }
    match verdict {
        Verdict::SameTimeline { .. } => Err(Obstacle::CrashedOnSameTimeline),
        _ => Ok(Course::Rewind { recover: true }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::attach::{self, TargetPosition};
    use crate::postgres::HistoryEntry;
    use crate::types::SystemIdentifier;

    const CLUSTER: SystemIdentifier = SystemIdentifier(7);
    const FORK: u64 = 1000;

    fn control(state: ClusterState, checkpoint: u64, min_recovery: Option<u64>) -> ControlFile {
        ControlFile {
            system_identifier: CLUSTER,
            state,
            checkpoint: Lsn(checkpoint),
            checkpoint_timeline: TimelineId(1),
            min_recovery_point: min_recovery.map(|lsn| (Lsn(lsn), TimelineId(1))),
            data_checksum_version: 0,
        }
    }

    fn end(record: u64, position: u64) -> Option<wal::End> {
        Some(wal::End {
            last_record: Some(Lsn(record)),
            end: Some(Lsn(position)),
        })
    }

    /// Against a primary that left timeline 1 at [`FORK`], or is still on it.
    fn course(control: &ControlFile, end: Option<wal::End>, timeline: u32, rewind: bool) -> Result<Course, Obstacle> {
        interrupted(control, end, timeline, rewind, false)
    }

    fn interrupted(
        control: &ControlFile,
        end: Option<wal::End>,
        timeline: u32,
        rewind: bool,
        interrupted: bool,
    ) -> Result<Course, Obstacle> {
        let target = TargetPosition {
            system_identifier: CLUSTER,
            timeline: TimelineId(timeline),
            lsn: Some(Lsn(5000)),
            history: Some(vec![HistoryEntry {
                timeline: TimelineId(1),
                switch_point: Lsn(FORK),
            }]),
        };
        let by_control = attach::decide(&position(control, None), &target);
        let verdict = attach::decide(&position(control, end), &target);
        decide(control, &by_control, &verdict, rewind, interrupted)
    }

    use ClusterState::{InArchiveRecovery, InProduction, ShutDown, ShutDownInRecovery};

    #[test]
    fn a_former_primary_must_have_sent_its_last_checkpoint() {
        let course = |checkpoint, rewind| course(&control(ShutDown, checkpoint, None), None, 2, rewind);
        assert_eq!(course(FORK - 100, false), Ok(Course::Attach));
        assert_eq!(course(FORK - 100, true), Ok(Course::Attach), "a rewind is not needed");
        // PostgreSQL refuses a checkpoint that begins where the next timeline does.
        assert_eq!(course(FORK, false), Err(Obstacle::NeedsRewind));
        assert_eq!(course(FORK + 100, false), Err(Obstacle::NeedsRewind));
        assert_eq!(course(FORK + 100, true), Ok(Course::Rewind { recover: false }));
    }

    #[test]
    fn a_standby_may_have_received_more_than_it_has_replayed() {
        let standby = control(ShutDownInRecovery, 500, Some(900));
        assert_eq!(course(&standby, None, 2, false), Ok(Course::Attach));
        assert_eq!(course(&standby, end(900, FORK), 2, false), Ok(Course::Attach));
        assert_eq!(course(&standby, end(FORK, 1100), 2, false), Err(Obstacle::NeedsRewind));
        assert_eq!(
            course(&standby, end(FORK, 1100), 2, true),
            Ok(Course::Rewind { recover: true })
        );
        let replayed = control(ShutDownInRecovery, 500, Some(1100));
        assert_eq!(course(&replayed, None, 2, true), Ok(Course::Rewind { recover: false }));
    }

    #[test]
    fn a_crashed_primary_recovers_before_it_is_rewound() {
        let crashed = control(InProduction, 500, None);
        assert_eq!(course(&crashed, end(900, FORK), 2, false), Err(Obstacle::Unclean));
        assert_eq!(
            course(&crashed, end(1100, 1200), 2, true),
            Ok(Course::Rewind { recover: true })
        );
        assert_eq!(
            course(&crashed, end(900, FORK), 2, true),
            Ok(Course::Rewind { recover: true })
        );
        assert_eq!(course(&crashed, None, 1, true), Err(Obstacle::CrashedOnSameTimeline));
    }

    #[test]
    fn a_crashed_standby_that_has_not_parted_is_only_started() {
        let crashed = control(InArchiveRecovery, 500, Some(900));
        for rewind in [false, true] {
            assert_eq!(course(&crashed, end(950, 960), 1, rewind), Ok(Course::Attach));
            assert_eq!(course(&crashed, end(950, 960), 2, rewind), Ok(Course::Attach));
        }
        assert_eq!(course(&crashed, end(FORK, 1100), 2, false), Err(Obstacle::Unclean));
        assert_eq!(
            course(&crashed, end(FORK, 1100), 2, true),
            Ok(Course::Rewind { recover: true })
        );
    }

    #[test]
    fn ahead_on_the_same_timeline_nothing_helps() {
        let ahead = control(ShutDown, 6000, None);
        assert_eq!(course(&ahead, None, 1, true), Err(Obstacle::CannotAttach));
    }

    #[test]
    fn a_half_rewound_directory_never_recovers_from_a_crash() {
        let untouched = control(ShutDown, 1100, None);
        let again = |control: &ControlFile, rewind| interrupted(control, None, 2, rewind, true);
        assert_eq!(again(&untouched, true), Ok(Course::Rewind { recover: false }));
        assert_eq!(again(&untouched, false), Err(Obstacle::NeedsRewind));
        assert_eq!(
            again(&control(InProduction, 1100, None), true),
            Err(Obstacle::HalfRewound)
        );
        let mut rewound = control(InArchiveRecovery, 2000, Some(3000));
        rewound.checkpoint_timeline = TimelineId(2);
        rewound.min_recovery_point = Some((Lsn(3000), TimelineId(2)));
        assert_eq!(again(&rewound, false), Ok(Course::Attach));
    }
}
