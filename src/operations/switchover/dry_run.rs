//! What `--dry-run` says at the end.

use super::peer::{Asked, LOOK_UP_LIMIT, describe};
use super::{Promotion, Switchover};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::remote::Call;
use crate::{info, warning};

impl Switchover<'_> {
    /// What would be done.
    pub(super) async fn finish_dry_run(self) -> Result<ExitCode> {
        if self.resumed {
            info!("a switchover to this node was begun and not completed; it would be completed");
        }
        self.daemons.announce();
        info!(
            "local {} would be promoted to primary; current primary {} would be demoted to standby",
            self.own.title(),
            self.former.title()
        );
        if self.promotion != Promotion::Done {
            let call = Call::ListStopAction;
            let asked = self.peer.ask(&call, LOOK_UP_LIMIT).await;
            info!("following shutdown command would be run on {}:", self.former.title());
            info!("  {}", stop_command(&asked).unwrap_or_else(|| describe(&asked)));
            info!(
                "parameter \"shutdown_check_timeout\" is set to {} seconds",
                self.request.config.shutdown_check_timeout.as_secs()
            );
            if let Some(method) = &self.method {
                info!("node would be promoted using {}", method.describe());
            }
        }
        for sibling in &self.followers.standbys.reachable {
            info!("{} would be told to follow this node", sibling.node.title());
        }
        if self.short {
            warning!("not all prerequisites for executing STANDBY SWITCHOVER are met");
            return Ok(ExitCode::BadConfig);
        }
        info!("prerequisites for executing STANDBY SWITCHOVER are met");
        Ok(ExitCode::Success)
    }
}

/// The command in the answer of `node service --list-actions`.
fn stop_command(asked: &Asked) -> Option<String> {
    let finished = asked.as_ref().ok()?;
    finished
        .stdout
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("stop:"))
        .map_or_else(
            || {
                // Of a single action, an original shows the bare command.
                let line = finished.stdout.lines().map(str::trim).rfind(|line| !line.is_empty())?;
                Some(line.to_owned())
            },
            |line| Some(line.trim_start_matches("stop:").trim().to_owned()),
        )
}
