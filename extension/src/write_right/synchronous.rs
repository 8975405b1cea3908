//! The strict synchronous mode, `repmgr.require_synchronous_commit`: no commit is acknowledged that the synchronous standbys
//! have not flushed. PostgreSQL alone lets each session choose not to wait (`synchronous_commit`), and acknowledges a commit
//! whose wait was cancelled, with a warning.
//!
//! Counts only while the right to write is required. Autovacuum is left alone: it does not wait for standbys, and nobody
//! hears of its commits. So are superusers' sessions that call themselves repmgr: a new primary has to write down that it is
//! one before any standby can follow it.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, SyncCommitLevel};

use crate::call::raise;

/// `SYNC_REP_WAIT_FLUSH` of the server's `syncrep.h`.
const WAIT_FLUSH: usize = 1;

/// Whether the transaction that commits is one of repmgr's own.
static OWN: AtomicBool = AtomicBool::new(false);

/// Raises an error if the transaction, which has written, would not wait for standbys.
pub fn refuse_who_does_not_wait() {
    // SAFETY: reads variables of this process; the setting's value is a string, or null before it has one.
    let (level, nobody) = unsafe {
        let own = is_of_repmgr();
        OWN.store(own, Ordering::Relaxed);
        if own || is_exempt() {
            return;
        }
        let names = pg_sys::SyncRepStandbyNames;
        (pg_sys::synchronous_commit, names.is_null() || *names == 0)
    };
    let hint = if level < SyncCommitLevel::SYNCHRONOUS_COMMIT_REMOTE_FLUSH as i32 {
        "Set synchronous_commit to \"on\" or \"remote_apply\"."
    } else if nobody {
        "The setting synchronous_standby_names is empty; the repmgr daemon keeps it."
    } else {
        return;
    };
    raise(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the transaction cannot be committed: it would not wait for a synchronous standby".into(),
        "This cluster acknowledges no commit that its synchronous standbys do not have.",
        hint,
    )
}

/// Whether the synchronous standbys have flushed what this process has just committed, or prepared. If not, the wait was
/// cancelled.
pub fn is_on_standbys() -> bool {
    // SAFETY: the structure is part of the server's shared memory from its start on. One aligned number is read, which only
    // ever grows.
    unsafe {
        let flushed = (&raw const (*pg_sys::WalSndCtl).lsn[WAIT_FLUSH]).read_volatile();
        is_exempt() || OWN.load(Ordering::Relaxed) || flushed >= pg_sys::XactLastCommitEnd
    }
}

/// The same for a transaction that was prepared, of which the server remembers only where its record begins.
pub fn is_prepared_on_standbys() -> bool {
    // SAFETY: as above.
    unsafe {
        let flushed = (&raw const (*pg_sys::WalSndCtl).lsn[WAIT_FLUSH]).read_volatile();
        OWN.load(Ordering::Relaxed) || flushed > pg_sys::ProcLastRecPtr
    }
}

unsafe fn is_of_repmgr() -> bool {
    // SAFETY: reads a variable of this process, a string once it has a value, and asks the catalogue in a transaction.
    unsafe {
        let name = pg_sys::application_name;
        !name.is_null() && std::ffi::CStr::from_ptr(name).to_bytes().starts_with(b"repmgr") && pg_sys::superuser()
    }
}

unsafe fn is_exempt() -> bool {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::MyBackendType == pg_sys::BackendType::B_AUTOVAC_WORKER }
}
