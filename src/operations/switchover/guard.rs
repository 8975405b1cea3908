//! What a killed switchover leaves is put right by a process of its own.
//!
//! Before anything is touched, the program starts itself once more. That
//! process waits for the end of its standard input: if the switchover says
//! goodbye first, it ends; if the pipe just breaks, the switchover was killed,
//! and what it began is taken back, or completed behind the point of no return.
//! It has a process group of its own, so a signal to the terminal's does not reach it.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::checks;
use super::journal::Journal;
use super::resume::{self, Phase};
use super::{Promotion, Request, Switchover, plan, steps};
use crate::error::Result;
use crate::exit_code::ExitCode;
use crate::remote::Ssh;
use crate::types::RecoveryState;
use crate::{detail, info, notice, warning};

const VARIABLE: &str = "REPMGR_SWITCHOVER_GUARD";
const GOODBYE: u8 = b'.';

/// The process that watches this one. Dropped, it is told goodbye.
pub struct Guard(Option<Child>);

impl Guard {
    /// Starts it. Without it the switchover is as good, unless it is killed.
    pub fn start() -> Guard {
        let started = std::env::current_exe().and_then(|program| {
            Command::new(program)
                .args(std::env::args_os().skip(1))
                .env(VARIABLE, std::process::id().to_string())
                .stdin(Stdio::piped())
                .process_group(0)
                .spawn()
        });
        match started {
            Ok(child) => Guard(Some(child)),
            Err(error) => {
                info!("no process watches over this switchover: {error}");
                Guard(None)
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(child) = &mut self.0 else { return };
        if let Some(mut pipe) = child.stdin.take()
            && !std::thread::panicking()
        {
            // It may have been killed itself.
            let _ = pipe.write_all(&[GOODBYE]);
        }
        if !std::thread::panicking() {
            let _ = child.wait();
        }
    }
}

/// Whether this process watches over a switchover.
pub fn is_guard() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// For the watching process, before anything else: waits; whether there is nothing to do.
pub fn nothing_to_do() -> bool {
    let mut said = Vec::new();
    let read = std::io::stdin().read_to_end(&mut said);
    read.is_ok() && said.contains(&GOODBYE)
}

/// Puts right what the killed switchover left.
pub async fn take_over(request: &Request) -> Result<ExitCode> {
    let ssh = Ssh::new(&request.config, request.remote_user.as_deref());
    let directory = &request.config.data_directory;
    let base = checks::base(request, None).await?;
    let Some(journal) = Journal::read(directory, base.own.node_id) else {
        return Ok(ExitCode::Success);
    };
    warning!("the switchover was killed, this process puts things right");
    let phase = match base.state {
        RecoveryState::Primary if journal.stopping => Phase::Promoted,
        _ => Phase::Stopped,
    };
    let mut state = resume::examine(request, &ssh, base, journal, phase).await?;
    if phase != Phase::Promoted {
        if state.journal.stopping {
            // It may have been killed just when it asked for the promotion.
            state.promotion = Promotion::Asked;
            state.take_back_promotion().await;
            state.await_unrevoked_promotion().await;
        }
        if state.promotion != Promotion::Done {
            return Ok(state.take_back().await);
        }
    }
    plan::carry_out(&steps(), &mut state, std::future::pending(), ExitCode::SwitchoverFail).await?;
    state.finish().await
}

impl Switchover<'_> {
    async fn await_unrevoked_promotion(&mut self) {
        let limit = self.request.config.promote_check_timeout;
        let begin = Instant::now();
        while self.promotion == Promotion::Asked && begin.elapsed() < limit {
            if self.is_primary().await {
                self.promoted();
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn take_back(&mut self) -> ExitCode {
        self.stop_sent = self.journal.stopping;
        self.start_primary_again().await;
        self.take_back_pause().await;
        self.end_journal();
        notice!("STANDBY SWITCHOVER was taken back");
        if self.stop_sent && !self.put_back {
            detail!("{} does not serve as primary yet", self.former.title());
        }
        ExitCode::SwitchoverFail
    }
}
