//! The setting `repmgr.require_write_right` and the three checks that it switches on: before a commit, before a statement that takes
//! effect ahead of its commit, and after the commit but before the answer.
//!
//! A transaction has written if it has a transaction id; one that only read, or only sent notifications, goes on without the
//! right, and so does WAL that belongs to no transaction (hint bits, VACUUM, non-transactional logical messages, replication
//! slots). Temporary tables get an id as any other, so they are refused as they are on a standby.
//!
//! Every process that can commit is held to it, not only clients' sessions:
//! - an autovacuum worker's VACUUM goes on; an ANALYZE fails at its commit, and comes again after more changes
//! - a background worker gets the error as a session does, and may try again
//! - a subscription's worker may commit nothing at all, not even without an id, so it cannot start: what it has applied it
//!   would report to the publisher as safe. One that runs already is ended with the right
//!
//! Left alone are parallel workers (their leader commits), single-user mode, `pg_upgrade`'s servers and a server in
//! recovery, which has no transaction ids.
//!
//! The callbacks of other libraries that write before a commit run before this one's if they were loaded after it; what an
//! earlier one writes is still caught after the commit.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::{self, XactEvent};

use super::alarm;
use super::hang_up::hang_up;
use super::shared::{self, WriteRight};
use super::{statements, synchronous};
use crate::call::raise;
use crate::state;

/// Whether the checks are hooked into this server. Backends inherit it from the postmaster.
static LOADED: AtomicBool = AtomicBool::new(false);

/// The setting's value as the postmaster knows it; the shared copy is what counts.
static mut SETTING: bool = false;

/// The same of `repmgr.require_synchronous_commit`.
static mut STRICT: bool = false;

/// Whether the transaction that commits, or a statement that took effect ahead of it, has written.
static WROTE: AtomicBool = AtomicBool::new(false);

/// WAL records of this process when the transaction was about to commit.
static RECORDS: AtomicI64 = AtomicI64::new(0);

static mut NEXT_SHMEM_STARTUP: pg_sys::shmem_startup_hook_type = None;
static mut NEXT_UTILITY: pg_sys::ProcessUtility_hook_type = None;

/// Whether the checks are hooked into this server: a library that is not preloaded enforces nothing.
pub fn is_loaded() -> bool {
    LOADED.load(Ordering::Relaxed)
}

/// Defines the setting and hooks the checks in, if the server is loading its `shared_preload_libraries`.
pub fn preload() {
    // SAFETY: the postmaster, which has a single thread, reads its own variables and sets hooks, as they are meant to be:
    // each keeps the one that was there before.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress
            || !pg_sys::IsPostmasterEnvironment
            || pg_sys::IsBinaryUpgrade
        {
            return;
        }
        pg_sys::DefineCustomBoolVariable(
            c"repmgr.require_write_right".as_ptr(),
            c"Commits only while this server holds the right to write.".as_ptr(),
            c"The repmgr daemon acquires and renews that right with the votes of the cluster's nodes.".as_ptr(),
            &raw mut SETTING,
            false,
            pg_sys::GucContext::PGC_SIGHUP,
            0,
            None,
            Some(setting_assigned),
            None,
        );
        pg_sys::DefineCustomBoolVariable(
            c"repmgr.require_synchronous_commit".as_ptr(),
            c"Commits only what the synchronous standbys have, while the right to write is required.".as_ptr(),
            c"Refuses writers with synchronous_commit below \"on\", and acknowledges no commit whose wait was cancelled.".as_ptr(),
            &raw mut STRICT,
            false,
            pg_sys::GucContext::PGC_SIGHUP,
            0,
            None,
            Some(strict_assigned),
            None,
        );
        reserve();
        NEXT_SHMEM_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(memory_prepared);
        NEXT_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(utility);
        pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
    }
    LOADED.store(true, Ordering::Relaxed);
}

#[cfg(any(feature = "pg13", feature = "pg14"))]
unsafe fn reserve() {
    // SAFETY: called while the server loads the libraries, which is when it may be.
    unsafe { pg_sys::RequestAddinShmemSpace(state::BLOCK_SIZE) };
}

#[cfg(not(any(feature = "pg13", feature = "pg14")))]
unsafe fn reserve() {
    static mut NEXT: pg_sys::shmem_request_hook_type = None;

    #[pgrx::pg_guard]
    unsafe extern "C-unwind" fn memory_requested() {
        // SAFETY: the server calls this when memory may be asked for.
        unsafe {
            if let Some(next) = NEXT {
                pg_sys::ffi::pg_guard_ffi_boundary(|| next());
            }
            pg_sys::RequestAddinShmemSpace(state::BLOCK_SIZE);
        }
    }

    // SAFETY: as in `preload`.
    unsafe {
        NEXT = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(memory_requested);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn memory_prepared() {
    // SAFETY: the postmaster runs this in its only thread.
    unsafe {
        if let Some(next) = NEXT_SHMEM_STARTUP {
            pg_sys::ffi::pg_guard_ffi_boundary(|| next());
        }
        state::prepare();
        let right = state::write_right();
        right.begin();
        right.require(SETTING);
        right.be_strict(STRICT);
    }
}

/// Every process that reads the configuration again comes here; the postmaster is the first, and speaks for all.
unsafe extern "C-unwind" fn setting_assigned(required: bool, _: *mut c_void) {
    // SAFETY: reads this process's own variable.
    if unsafe { !pg_sys::IsUnderPostmaster } && state::is_attached() {
        state::write_right().require(required);
    }
}

/// As [`setting_assigned`].
unsafe extern "C-unwind" fn strict_assigned(strict: bool, _: *mut c_void) {
    // SAFETY: reads this process's own variable.
    if unsafe { !pg_sys::IsUnderPostmaster } && state::is_attached() {
        state::write_right().be_strict(strict);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: XactEvent::Type, _argument: *mut c_void) {
    match event {
        XactEvent::XACT_EVENT_PRE_COMMIT | XactEvent::XACT_EVENT_PRE_PREPARE => before_commit(),
        XactEvent::XACT_EVENT_COMMIT => after_commit(synchronous::is_on_standbys),
        XactEvent::XACT_EVENT_PREPARE => after_commit(synchronous::is_prepared_on_standbys),
        XactEvent::XACT_EVENT_ABORT => WROTE.store(false, Ordering::Relaxed),
        _ => {}
    }
}

/// The first check. Raises an error if the transaction has written and the right has ended.
fn before_commit() {
    let right = state::write_right();
    if !right.is_required() {
        return;
    }
    // SAFETY: reads variables of this process.
    let (has_written, applies) = unsafe {
        RECORDS.store(pg_sys::pgWalUsage.wal_records, Ordering::Relaxed);
        (has_id(), pg_sys::IsLogicalWorker())
    };
    if has_written {
        WROTE.store(true, Ordering::Relaxed);
    }
    if (has_written || applies) && !right.is_held() {
        refuse(right, "the transaction cannot be committed");
    }
    if applies {
        alarm::set();
    }
    if has_written && right.is_strict() {
        synchronous::refuse_who_does_not_wait();
    }
}

/// The third check. Nothing may fail here any more, so if the right has ended the client hears nothing.
fn after_commit(is_on_standbys: fn() -> bool) {
    let wrote = WROTE.swap(false, Ordering::Relaxed);
    let right = state::write_right();
    if !right.is_required() {
        return;
    }
    let held = right.is_held();
    let synchronous = !wrote || !right.is_strict() || is_on_standbys();
    if held && synchronous {
        return;
    }
    // SAFETY: reads variables of this process.
    let (late, applies) = unsafe {
        // An id that came after the first check is a notification's, unless there is more WAL than that of the commit.
        let records = pg_sys::pgWalUsage.wal_records - RECORDS.load(Ordering::Relaxed);
        (has_id() && records > 1, pg_sys::IsLogicalWorker())
    };
    if !held && (wrote || late || applies) {
        hang_up("closing the connection: the right to write ended while a transaction was being committed");
    } else if !synchronous {
        hang_up("closing the connection: a transaction was committed that no synchronous standby is known to have");
    }
}

/// Whether the transaction that this process is in has an id.
unsafe fn has_id() -> bool {
    // SAFETY: reads a variable of this process, and never fails.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// The second check. Raises an error if the right has ended.
#[pgrx::pg_guard]
unsafe extern "C-unwind" fn before_statement(command: *const std::ffi::c_char) {
    let right = state::write_right();
    // SAFETY: reads the server's memory. A server in recovery refuses such statements by itself.
    if !right.is_required() || unsafe { pg_sys::RecoveryInProgress() } {
        return;
    }
    if !right.is_held() {
        // SAFETY: the name comes from `ahead_of_commit`.
        let command = unsafe { std::ffi::CStr::from_ptr(command) }.to_string_lossy();
        refuse(right, &format!("cannot execute {command}"));
    }
    if right.is_strict() {
        synchronous::refuse_who_does_not_wait();
    }
}

fn refuse(right: &WriteRight, what: &str) -> ! {
    let end = right.end();
    let detail = match shared::now().saturating_sub(end) {
        _ if end == 0 => "It was not given that right since its start, or gave it up.".to_owned(),
        since => format!("Its right ended {since} ms ago and was not renewed."),
    };
    let hint = match right.known_holder() {
        Some((node, epoch)) => {
            format!("The last holder that this server has heard of is node {node}, in epoch {epoch}.")
        }
        None => "The repmgr daemon of this server acquires and renews the right; \"SELECT * FROM \
                 repmgr_write_right.status()\" says how it stands."
            .to_owned(),
    };
    raise(
        PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        format!("{what}: this server does not hold the right to write"),
        &detail,
        &hint,
    )
}

/// The hook of utility statements, which PostgreSQL 14 gave one more argument. The server's errors pass through it as they
/// are, by longjmp, so it owns nothing that would have to be dropped; calling through pgrx would rebuild each error, and
/// lose a part of it.
macro_rules! utility_hook {
    ($($read_only:ident: bool)?) => {
        unsafe extern "C-unwind" {
            fn standard_ProcessUtility(
                planned: *mut pg_sys::PlannedStmt,
                query: *const std::ffi::c_char,
                $($read_only: bool,)?
                context: pg_sys::ProcessUtilityContext::Type,
                parameters: pg_sys::ParamListInfo,
                environment: *mut pg_sys::QueryEnvironment,
                destination: *mut pg_sys::DestReceiver,
                completion: *mut pg_sys::QueryCompletion,
            );
        }

        #[allow(clippy::too_many_arguments)]
        unsafe extern "C-unwind" fn utility(
            planned: *mut pg_sys::PlannedStmt,
            query: *const std::ffi::c_char,
            $($read_only: bool,)?
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        ) {
            // SAFETY: the server's own arguments are looked at and handed on.
            unsafe {
                let command = statements::ahead_of_commit((*planned).utilityStmt);
                if let Some(command) = command {
                    before_statement(command.as_ptr());
                }
                let next = NEXT_UTILITY.unwrap_or(standard_ProcessUtility);
                next(planned, query, $($read_only,)? context, parameters, environment, destination, completion);
                if command.is_some() {
                    WROTE.store(true, Ordering::Relaxed);
                }
            }
        }
    };
}

#[cfg(feature = "pg13")]
utility_hook!();
#[cfg(not(feature = "pg13"))]
utility_hook!(read_only: bool);
