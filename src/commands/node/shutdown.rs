//! `repmgr node status --is-shutdown-cleanly`: asked by other nodes in a
//! switchover; needs no connection.

use std::time::Duration;

use crate::commands::Context;
use crate::conninfo::Conninfo;
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::instance::control_file::{self, ClusterState, ControlFile};
use crate::output;
use crate::postgres::{Ping, ping};
use crate::types::Lsn;

const PING_LIMIT: Duration = Duration::from_secs(10);

/// Runs the verb; the answer is in the output, the exit code is always success.
pub async fn run(context: &Context) -> Result<ExitCode> {
    // The server first: one that ends in between has then left its last word in pg_control.
    let answer = match Conninfo::parse(&context.config.conninfo) {
        Ok(conninfo) => ping(&conninfo, PING_LIMIT).await,
        Err(_) => Ping::NoAttempt,
    };
    let control = control_file::read(&context.config.data_directory).ok();
    output::print(&line(control.as_ref(), answer));
    Ok(ExitCode::Success)
}

fn line(control: Option<&ControlFile>, ping: Ping) -> String {
    let Some(control) = control.filter(|control| control.checkpoint != Lsn::INVALID) else {
        return "--state=UNKNOWN\n".to_owned();
    };
    let answers = matches!(ping, Ping::Accepting | Ping::Rejecting);
    match (answers, control.state) {
        (true, ClusterState::ShuttingDown) => "--state=SHUTTING_DOWN\n".to_owned(),
        (true, _) => "--state=UP\n".to_owned(),
        (false, state) if state.is_clean() => {
            format!("--state=SHUTDOWN --last-checkpoint-lsn={}\n", control.checkpoint)
        }
        (false, _) => "--state=UNCLEAN_SHUTDOWN\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::ConnectFailure;
    use crate::types::{SystemIdentifier, TimelineId};

    fn control(state: ClusterState, checkpoint: u64) -> ControlFile {
        ControlFile {
            system_identifier: SystemIdentifier(1),
            state,
            checkpoint: Lsn(checkpoint),
            checkpoint_timeline: TimelineId(1),
            min_recovery_point: None,
            data_checksum_version: 0,
        }
    }

    #[test]
    fn words_as_other_nodes_read_them() {
        let gone = Ping::NoResponse(ConnectFailure::Refused);
        let down = control(ClusterState::ShutDown, 0x500_6B38);
        for (control, ping, expected) in [
            (None, Ping::Accepting, "--state=UNKNOWN"),
            (Some(control(ClusterState::ShutDown, 0)), gone, "--state=UNKNOWN"),
            (
                Some(control(ClusterState::ShuttingDown, 1)),
                Ping::Rejecting,
                "--state=SHUTTING_DOWN",
            ),
            (
                Some(control(ClusterState::InProduction, 1)),
                Ping::Accepting,
                "--state=UP",
            ),
            (Some(down.clone()), Ping::Accepting, "--state=UP"),
            (Some(down), gone, "--state=SHUTDOWN --last-checkpoint-lsn=0/5006B38"),
            (
                Some(control(ClusterState::ShutDownInRecovery, 0x1_0000_0028)),
                Ping::NoAttempt,
                "--state=SHUTDOWN --last-checkpoint-lsn=1/28",
            ),
            (
                Some(control(ClusterState::InProduction, 1)),
                gone,
                "--state=UNCLEAN_SHUTDOWN",
            ),
            (
                Some(control(ClusterState::ShuttingDown, 1)),
                gone,
                "--state=UNCLEAN_SHUTDOWN",
            ),
        ] {
            assert_eq!(
                line(control.as_ref(), ping).trim_end(),
                expected,
                "{control:?} {ping:?}"
            );
        }
    }
}
