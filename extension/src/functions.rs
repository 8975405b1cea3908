//! The C functions behind the SQL functions of the `repmgr` schema.
//!
//! Symbol names, results and NULL handling are the original's. Most functions are declared STRICT in SQL; called with NULL
//! nevertheless (a declaration by hand), they return NULL. Sentinels: −1 for an unknown id, process or duration.

use pgrx::fcinfo::{pg_getarg, pg_return_void};
use pgrx::pg_sys::{self, Datum, FunctionCallInfo, TimestampTz};
use pgrx::{IntoDatum, PgSqlErrorCode};

use crate::call::{inform, raise, sql_function, text, text_argument, warn};
use crate::pause_file::{self, Found};
use crate::state::{self, PIDFILE_LIMIT, UNKNOWN};

/// Sent instead of a node's id when the candidate asks for another election.
const ELECTION_RERUN: i32 = -2;

sql_function! {
    /// Says which node this server is. The first caller since the server's start decides; it also brings back the pause flag
    /// from the state file if that file speaks of the same node.
    repmgr_set_local_node_id, |call| {
        let node_id = integer(call, 0)?;
        let found = state::write(|state| {
            let found = pause_file::read();
            if state.local_node_id == UNKNOWN {
                state.local_node_id = node_id;
            }
            if let Found::Record(record) = &found
                && let Some(paused) = record.paused(state.local_node_id)
            {
                state.daemon_paused = paused;
            }
            found
        });
        match found {
            Found::Nothing | Found::Record(_) => {}
            Found::Unintelligible => warn(format!("ignoring file \"{}\": it does not hold a node id and a pause flag", pause_file::PATH)),
            Found::Unreadable(error) => warn(format!("could not read file \"{}\": {error}", pause_file::PATH)),
        }
        Some(pg_return_void())
    }
}

sql_function! {
    /// The id given by `set_local_node_id`, −1 if none was given since the server's start.
    repmgr_get_local_node_id, |_| Some(Datum::from(state::read(|state| state.local_node_id)))
}

sql_function! {
    /// Notes the current time as that of the last monitoring update, and returns it.
    repmgr_standby_set_last_updated, |_| {
        state::write(|state| {
            state.last_updated = now();
            state.last_updated
        })
        .into_datum()
    }
}

sql_function! {
    /// The time noted by `standby_set_last_updated`, 2000-01-01 00:00 UTC if never.
    repmgr_standby_get_last_updated, |_| state::read(|state| state.last_updated).into_datum()
}

sql_function! {
    /// Notes that the given upstream was reached just now.
    repmgr_set_upstream_last_seen, |call| {
        let upstream_node_id = integer(call, 0)?;
        state::write(|state| {
            state.upstream_last_seen = now();
            state.upstream_node_id = upstream_node_id;
        });
        Some(pg_return_void())
    }
}

sql_function! {
    /// Whole seconds since the upstream was last reached, −1 if it never was.
    repmgr_get_upstream_last_seen, |_| {
        let seconds = match state::read(|state| state.upstream_last_seen) {
            0 => UNKNOWN,
            seen => i32::try_from(((now() - seen) / 1_000_000).max(0)).unwrap_or(i32::MAX),
        };
        Some(Datum::from(seconds))
    }
}

sql_function! {
    /// The node's upstream, −1 if none is known.
    repmgr_get_upstream_node_id, |_| Some(Datum::from(state::read(|state| state.upstream_node_id)))
}

sql_function! {
    /// Sets the node's upstream, which cannot be the node itself.
    repmgr_set_upstream_node_id, |call| {
        let upstream_node_id = integer(call, 0)?;
        let accepted = state::write(|state| {
            let accepted = upstream_node_id != state.local_node_id;
            if accepted {
                state.upstream_node_id = upstream_node_id;
            }
            accepted
        });
        if !accepted {
            raise(
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("node {upstream_node_id} cannot be its own upstream"),
                "The given upstream node id is this server's local node id.",
                "",
            );
        }
        Some(pg_return_void())
    }
}

sql_function! {
    /// Tells this node's daemon which primary to follow (its own id: promote yourself; −2: hold the election again).
    /// Ignored while the server does not know which node it is.
    repmgr_notify_follow_primary, |call| {
        let candidate_node_id = integer(call, 0)?;
        let local_node_id = state::write(|state| {
            if state.local_node_id != UNKNOWN {
                state.candidate_node_id = candidate_node_id;
                state.follow_new_primary = true;
            }
            state.local_node_id
        });
        match (local_node_id, candidate_node_id) {
            (UNKNOWN, _) => {}
            (node, ELECTION_RERUN) => inform(format!("node {node} is asked to hold the election again")),
            (node, primary) => inform(format!("node {node} is asked to follow node {primary}")),
        }
        Some(pg_return_void())
    }
}

sql_function! {
    /// What `notify_follow_primary` was told since the last reset, −1 if nothing. Reading does not clear it.
    repmgr_get_new_primary, |_| {
        Some(Datum::from(state::read(|state| {
            if state.follow_new_primary { state.candidate_node_id } else { UNKNOWN }
        })))
    }
}

sql_function! {
    /// Forgets what `notify_follow_primary` was told. Ignored while the server does not know which node it is.
    repmgr_reset_voting_status, |_| {
        state::write(|state| {
            if state.local_node_id != UNKNOWN {
                state.candidate_node_id = UNKNOWN;
                state.follow_new_primary = false;
            }
        });
        Some(pg_return_void())
    }
}

sql_function! {
    /// Process id of the WAL receiver, 0 if none runs.
    repmgr_get_wal_receiver_pid, |_| Some(Datum::from(wal_receiver_pid()))
}

sql_function! {
    /// Process id of the node's daemon as it told the server, −1 if none.
    get_repmgrd_pid, |_| Some(Datum::from(state::read(|state| state.daemon_pid)))
}

sql_function! {
    /// The daemon's pid file as it told the server, NULL if none.
    get_repmgrd_pidfile, |_| {
        let path = state::read(|state| state.daemon_pidfile().to_vec());
        (!path.is_empty()).then(|| text(&path))
    }
}

sql_function! {
    /// Notes the daemon's process id (NULL or −1: none runs any more) and pid file (NULL or empty: none).
    set_repmgrd_pid, |call| {
        let pid = integer(call, 0).unwrap_or(UNKNOWN);
        let path = if pid == UNKNOWN { None } else { path_argument(call, 1) };
        state::write(|state| {
            state.daemon_pid = pid;
            state.set_daemon_pidfile(path.unwrap_or_default());
        });
        if let Some(path) = path {
            inform(format!("the daemon's pid file is \"{}\"", String::from_utf8_lossy(path)));
        }
        Some(pg_return_void())
    }
}

sql_function! {
    /// Whether the process that `set_repmgrd_pid` named exists and can be signalled by the server's user.
    repmgrd_is_running, |_| {
        let pid = state::read(|state| state.daemon_pid);
        // SAFETY: signal 0 only asks whether the process could be signalled.
        Some(Datum::from(pid != UNKNOWN && unsafe { libc::kill(pid, 0) } == 0))
    }
}

sql_function! {
    /// Pauses the daemon (true) or lets it act again (false), also for the time after the next restart.
    repmgrd_pause, |call| {
        // SAFETY: the argument is declared as boolean.
        let paused: bool = unsafe { pg_getarg(call, 0) }?;
        let written = state::write(|state| {
            state.daemon_paused = paused;
            pause_file::write(state.local_node_id, paused)
        });
        if let Err(error) = written {
            warn(format!("could not write file \"{}\": {error}; a restart will forget the pause flag", pause_file::PATH));
        }
        Some(pg_return_void())
    }
}

sql_function! {
    /// Whether the daemon is paused.
    repmgrd_is_paused, |_| Some(Datum::from(state::read(|state| state.daemon_paused)))
}

/// The integer argument at `position`, `None` if NULL.
fn integer(call: FunctionCallInfo, position: usize) -> Option<i32> {
    // SAFETY: only called by functions that are declared with an integer at this position.
    unsafe { pg_getarg(call, position) }
}

/// The text argument at `position`, without what does not fit into the state; `None` if NULL or empty.
fn path_argument<'call>(call: FunctionCallInfo, position: usize) -> Option<&'call [u8]> {
    let path = text_argument(call, position)?;
    let limit = PIDFILE_LIMIT as i32;
    // SAFETY: pointer and length belong together. The length of a text fits into an int.
    let fitting = unsafe { pg_sys::pg_mbcliplen(path.as_ptr().cast(), path.len() as i32, limit) };
    (!path.is_empty()).then(|| &path[..fitting as usize])
}

fn now() -> TimestampTz {
    // SAFETY: reads the clock, never raises an error.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// Reads the shared structure of the server's WAL receiver, as the original does: there also where
/// `pg_stat_wal_receiver` shows no row yet or no row any more.
fn wal_receiver_pid() -> i32 {
    #[cfg(not(feature = "pg13"))]
    use pg_sys::WalRcv;
    #[cfg(feature = "pg13")]
    use pg13::WalRcv;

    // SAFETY: the structure is part of the server's shared memory from its start on. One aligned integer is read, which
    // another process may be changing.
    unsafe { (&raw const (*WalRcv).pid).read_volatile() }
}

/// The bindings for PostgreSQL 13 leave out `replication/walreceiver.h`.
#[cfg(feature = "pg13")]
mod pg13 {
    /// The beginning of that header's `WalRcvData`.
    #[repr(C)]
    pub struct WalReceiverStart {
        pub pid: libc::pid_t,
    }

    unsafe extern "C" {
        pub static mut WalRcv: *mut WalReceiverStart;
    }
}
