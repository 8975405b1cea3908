//! Ends a subscription's worker when the right to write has ended, also one that has nothing to commit: it would go on
//! telling the publisher that what it applied is safe here.
//!
//! The daemon ends such workers, too; this is for a daemon that is frozen or dead. The server's timeouts go by the wall
//! clock, so one that is set back delays this, though not the refusal of a commit.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, Ordering};

use pgrx::pg_sys;

use super::hang_up::shut_connections;
use super::shared;
use crate::state;

/// How often to look whether the right was given up before its end, in milliseconds.
const INTERVAL: u64 = 500;

/// Any number that is not the server's own: the server gives a free one for it.
const SOME_TIMEOUT: c_int = 1000;

/// The timeout of this process, −1 if there is none yet.
static TIMEOUT: AtomicI32 = AtomicI32::new(-1);

// Of the server's `timeout.h`, alike in PostgreSQL 13 to 18.
unsafe extern "C-unwind" {
    fn RegisterTimeout(id: c_int, handler: unsafe extern "C" fn()) -> c_int;
    fn enable_timeout_after(id: c_int, milliseconds: c_int);
}

/// Has this process look after its right from now on; once is enough.
pub fn set() {
    if TIMEOUT.load(Ordering::Relaxed) >= 0 {
        return;
    }
    // SAFETY: a worker has its timeouts prepared before its first transaction. There are ten for libraries, and running out
    // of them raises an error that ends the process; nothing here would have to be dropped.
    let timeout = unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| RegisterTimeout(SOME_TIMEOUT, look)) };
    TIMEOUT.store(timeout, Ordering::Relaxed);
    again();
}

fn again() {
    let left = state::write_right().end().saturating_sub(shared::now());
    let milliseconds = left.clamp(1, INTERVAL) as c_int;
    // SAFETY: the number comes from the server.
    unsafe { enable_timeout_after(TIMEOUT.load(Ordering::Relaxed), milliseconds) };
}

/// Runs in a signal's handler: only system calls, numbers in memory, and what the server's own handlers do.
unsafe extern "C" fn look() {
    let right = state::write_right();
    if right.is_held() || !right.is_required() {
        again();
        return;
    }
    shut_connections();
    // SAFETY: as the server's handler of SIGTERM does.
    unsafe {
        pg_sys::ProcDiePending = 1;
        pg_sys::InterruptPending = 1;
        SetLatch(pg_sys::MyLatch);
    }
}

// Declared again, because pgrx would wrap it into what a handler must not do.
unsafe extern "C-unwind" {
    fn SetLatch(latch: *mut pg_sys::Latch);
}
