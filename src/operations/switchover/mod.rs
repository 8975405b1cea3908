//! `standby switchover`: this standby becomes the primary, and the primary a
//! standby of it.
//!
//! The order of the checks is the original's; it decides which of several
//! problems is reported, and with which exit code. What needs another host is
//! asked of all of them at the same time, and judged afterwards in that order.
//!
//! The promotion is the point of no return. Before it, whatever fails puts
//! things back: the old primary serves again, the daemons are unpaused. Behind
//! it nothing ends the procedure early; what could not be done is collected and
//! told at the end. A [`journal`] lets the same command finish what a killed
//! one left.

mod asking;
mod checks;
mod daemons;
mod dry_run;
mod followers;
pub mod guard;
mod handover;
pub mod journal;
mod judging;
mod peer;
mod promotion;
mod resume;
mod stopping;

use std::time::{Duration, Instant};

use daemons::Daemons;
use followers::Followers;
use guard::Guard;
use journal::Journal;
use peer::Peer;

use super::plan::{self, Interruption, Step};
use super::promote::Method;
use super::siblings::Route;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::NodeRecord;
use crate::postgres::Connection;
use crate::remote::Ssh;
use crate::types::Lsn;
use crate::{detail, warning};

/// How long to wait for another switchover of this node, or for the process that puts right what a killed one left.
const LOCK_LIMIT: Duration = Duration::from_secs(180);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// This node's repmgr.conf.
    pub config: Config,
    /// Go on in spite of what `--force` overrides.
    pub force: bool,
    /// A superuser, for what the connected role may not do.
    pub superuser: Option<String>,
    /// The system user on the other hosts; without it ssh decides.
    pub remote_user: Option<String>,
    /// `--log-level`, handed on.
    pub log_level: Option<String>,
    /// The siblings are to follow the new primary.
    pub siblings_follow: bool,
    /// Promote even if not all WAL was received.
    pub always_promote: bool,
    /// pg_rewind may be used, and its path on the other host if one was given.
    pub force_rewind: Option<Option<String>>,
    /// Leave the daemons alone.
    pub no_pause: bool,
    /// Unpause also the daemons that were paused before.
    pub force_unpause: bool,
}

/// What the old primary left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    /// It is not known to be down.
    NotYet,
    /// It is down; its last checkpoint begins here.
    At(Lsn),
    /// It crashed.
    Unclean,
}

/// Where the promotion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promotion {
    /// It is a standby and stays one.
    NotAsked,
    /// It was asked for; what came of it is not known.
    Asked,
    /// It is the primary.
    Done,
}

/// How the old primary may be rewound.
#[derive(Debug, Clone)]
struct Rewind {
    /// The path of pg_rewind there.
    path: Option<String>,
    /// Its configuration files in the data directory, by name, separated by commas.
    config_files: String,
}

/// What is known and done.
struct Switchover<'r> {
    request: &'r Request,
    ssh: &'r Ssh<'r>,
    local: Connection,
    superuser: Option<Connection>,
    own: NodeRecord,
    /// The demotion candidate.
    former: NodeRecord,
    /// A connection to it as long as it is primary.
    primary: Option<Connection>,
    peer: Peer<'r>,
    rewind: Option<Rewind>,
    method: Option<Method>,
    followers: Followers,
    daemons: Daemons,
    journal: Journal,
    /// This finishes what a killed switchover left.
    resumed: bool,
    /// Walsenders or slots are short (told in a dry run).
    short: bool,
    stop_sent: bool,
    shutdown: Shutdown,
    /// The old primary wrote more than this node has.
    behind: bool,
    promotion: Promotion,
    /// When the old primary was last seen to accept connections, and when the new one was first seen to accept writes.
    writable_until: Option<Instant>,
    writable_again: Option<Instant>,
    /// The old primary serves again.
    put_back: bool,
    rejoined: Option<std::result::Result<(), String>>,
    attached: bool,
    unpaused: bool,
    /// Commands that are left to do.
    left: Vec<String>,
}

/// Switches over, or with `dry_run` only checks.
///
/// # Errors
/// With the original's exit codes; a problem before the promotion was put right again as far as the log says.
pub async fn switchover(request: &Request, dry_run: bool) -> Result<ExitCode> {
    let ssh = Ssh::new(&request.config, request.remote_user.as_deref());
    if dry_run {
        return checks::examine(request, &ssh, dry_run).await?.finish_dry_run().await;
    }
    let _lock = journal::lock(&request.config.data_directory, LOCK_LIMIT).await?;
    if guard::is_guard() {
        return guard::take_over(request).await;
    }
    let mut state = checks::examine(request, &ssh, dry_run).await?;
    // Dropped before the lock, and told goodbye, whatever comes.
    let _guard = Guard::start();
    let interruption = Interruption::listen()
        .map_err(|error| Error::new(ExitCode::Internal, "unable to listen for signals").detail(error.to_string()))?;
    plan::carry_out(&steps(), &mut state, interruption.wait(), ExitCode::SwitchoverFail).await?;
    state.finish().await
}

/// Fixes the type of the state that the steps' closures get.
fn step<'r>(name: &'static str) -> Step<Switchover<'r>> {
    Step::new(name)
}

fn steps<'r>() -> Vec<Step<Switchover<'r>>> {
    vec![
        step("write down what is begun")
            .act(|switchover| Box::pin(async { switchover.begin() }))
            .undo(|switchover| Box::pin(async { switchover.end_journal() })),
        step("pause the daemons")
            .act(|switchover| Box::pin(switchover.pause_daemons()))
            .undo(|switchover| Box::pin(switchover.take_back_pause())),
        step("checkpoint on the primary").act(|switchover| Box::pin(switchover.checkpoint_primary())),
        step("stop the primary")
            .act(|switchover| Box::pin(switchover.stop_primary()))
            .undo(|switchover| Box::pin(switchover.start_primary_again())),
        step("receive the last WAL").act(|switchover| Box::pin(switchover.receive_last_wal())),
        step("promote")
            .act(|switchover| Box::pin(switchover.promote()))
            .undo(|switchover| Box::pin(switchover.take_back_promotion()))
            .point_of_no_return(),
        step("rejoin the old primary, and let the siblings follow").act(|switchover| Box::pin(switchover.hand_over())),
        step("final look").act(|switchover| Box::pin(switchover.look())),
        step("unpause the daemons").act(|switchover| Box::pin(switchover.unpause_daemons())),
    ]
}

impl<'r> Switchover<'r> {
    fn route(&self) -> Route<'r> {
        Route {
            config: &self.request.config,
            ssh: self.ssh,
            log_level: self.request.log_level.as_deref(),
        }
    }

    fn write_journal(&self) -> Result<()> {
        let directory = &self.request.config.data_directory;
        self.journal.write(directory).map_err(|error| {
            Error::new(ExitCode::SwitchoverFail, "unable to write down what is begun")
                .detail(format!("\"{}\": {error}", journal::path(directory).display()))
        })
    }

    fn begin(&mut self) -> Result<()> {
        self.journal.add_paused(self.daemons.to_pause());
        self.write_journal()
    }

    /// Kept if something is left to do: the same command then goes on.
    fn end_journal(&mut self) {
        let directory = &self.request.config.data_directory;
        if (self.stop_sent || self.resumed) && self.promotion != Promotion::Done && !self.put_back {
            return;
        }
        if let Err(error) = Journal::remove(directory) {
            warning!("\"{}\" could not be removed", journal::path(directory).display());
            detail!("{error}");
        }
    }

    async fn pause_daemons(&mut self) -> Result<()> {
        self.daemons.pause(self.request.force).await
    }

    async fn take_back_pause(&mut self) {
        if self.promotion == Promotion::NotAsked {
            self.daemons.take_back().await;
        }
    }

    async fn unpause_daemons(&mut self) -> Result<()> {
        self.unpaused = self.request.no_pause || self.daemons.unpause(self.request.force_unpause).await;
        if !self.unpaused {
            self.left.push("repmgr service unpause".to_owned());
        }
        Ok(())
    }
}
