//! The line that says from time to time that the daemon is alive (`log_status_interval`).

use std::time::{Duration, Instant};

use crate::config::{Config, FailoverMode};
use crate::failover::{Answer, Local, Mode, State};

/// When the last line was written.
#[derive(Debug, Default)]
pub struct StatusLine {
    last: Option<(Instant, std::mem::Discriminant<Mode>)>,
}

impl StatusLine {
    /// Writes the line if the interval has passed since the last one, or since the mode was entered; 0 is never.
    pub fn write_if_due(&mut self, interval: Duration, config: &Config, state: &State, local: &Local) {
        let mode = std::mem::discriminant(&state.mode);
        let since = match self.last {
            Some((since, before)) if before == mode => since,
            _ => {
                self.last = Some((Instant::now(), mode));
                return;
            }
        };
        if interval.is_zero() || since.elapsed() < interval {
            return;
        }
        self.last = Some((Instant::now(), mode));
        write(config, state, local);
    }
}

fn write(config: &Config, state: &State, local: &Local) {
    let own = state.title(state.own);
    let word = if state.is_degraded() { "degraded" } else { "normal" };
    let upstream = state
        .upstream
        .map_or_else(|| "no upstream".to_owned(), |id| state.title(id));
    let automatic = config.failover == FailoverMode::Automatic;
    match state.mode {
        Mode::Starting => {}
        Mode::Primary(_) => {
            crate::info!("monitoring primary {own} in {word} state");
            if state.is_degraded() {
                crate::detail!("waiting for the node to become available");
            }
        }
        Mode::Standby(_) => {
            let disabled = if automatic {
                ""
            } else {
                " (automatic failover disabled)"
            };
            crate::info!("{own} monitoring upstream {upstream} in {word} state{disabled}");
            if state.is_degraded() && automatic {
                if local.paused == Answer::Yes {
                    crate::detail!("repmgrd paused by administrator");
                    crate::hint!("execute \"repmgr service unpause\" to resume normal failover mode");
                } else {
                    crate::detail!("waiting for upstream or another primary to reappear");
                }
            }
        }
        Mode::Witness(_) => {
            crate::info!("witness {own} monitoring primary {upstream} in {word} state");
            if state.is_degraded() && automatic {
                crate::detail!("waiting for a primary to reappear");
            }
        }
    }
    if local.replay_paused == Answer::Yes {
        crate::detail!("WAL replay is paused on this node");
    }
    if !local.apply_delay.is_zero() {
        crate::detail!(
            "this node applies WAL with a delay of {} s",
            local.apply_delay.as_secs_f64()
        );
    }
    for alarm in &state.alarms {
        crate::detail!("{}: {}", alarm.sentence(state), alarm.consequence(state));
    }
}
