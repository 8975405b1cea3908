//! The node's state: one block in the server's main shared memory, guarded by one lightweight lock.
//!
//! The first backend that needs the block allocates it, every other one finds it by name. That works without
//! `shared_preload_libraries`, because PostgreSQL sizes its shared memory with 100 kB to spare for small users that did
//! not announce themselves (`CalculateShmemSize` in its `ipci.c`; `contrib/pg_prewarm` of PostgreSQL 11 to 16 lives
//! from it in the same way). The block is therefore gone whenever the server forgets its shared memory: at a restart and when
//! the server reinitialises itself after a backend crashed. It never travels with a base backup, and no lock can be
//! left behind by a process that died.
//!
//! A server that preloads the library announces the block and allocates it before any backend runs.

use std::ffi::CStr;
use std::mem::size_of;
use std::sync::atomic::{AtomicPtr, Ordering};

use pgrx::pg_sys::{self, LWLockMode};

use crate::write_right::shared::WriteRight;

/// Name of the block in `pg_shmem_allocations`.
const BLOCK_NAME: &CStr = c"repmgr node state";

/// Name of the lock as `pg_stat_activity.wait_event` shows it.
const LOCK_NAME: &CStr = c"repmgr";

/// Size of the block in bytes; never changes, because the server refuses to hand out a block under another size.
///
/// What `NodeState` does not use is zero, for later versions of the library.
pub const BLOCK_SIZE: usize = 4096;

/// Version of the layout of [`NodeState`].
const LAYOUT: u32 = 2;

/// Longest path of a pid file that is kept, in bytes.
pub const PIDFILE_LIMIT: usize = 1023;

/// Stands for a node id, process id or term that is not known.
pub const UNKNOWN: i32 = -1;

/// What the server knows about its node.
///
/// A package upgrade can leave backends with an older and with a newer library in one server, both using the same
/// block. So fields are only ever appended, a field that an older library left zero means "never set", and `LAYOUT`
/// grows with each addition.
#[repr(C)]
pub struct NodeState {
    lock: pg_sys::LWLock,
    /// Layout that the creator of the block used.
    layout: u32,
    /// The node that this server is; −1 until a daemon or client said so, then fixed.
    pub local_node_id: i32,
    /// Process id of the node's daemon, −1 if none.
    pub daemon_pid: i32,
    /// Whether the daemon must not act by itself.
    pub daemon_paused: bool,
    /// Whether `candidate_node_id` is to be followed.
    pub follow_new_primary: bool,
    /// The node to follow (or −2: hold the election again), valid while `follow_new_primary` is set.
    pub candidate_node_id: i32,
    /// The node that this one replicates from, −1 if none or unknown.
    pub upstream_node_id: i32,
    /// When the daemon last reached the upstream, 0 if never. Microseconds since 2000-01-01 UTC, like the next.
    pub upstream_last_seen: pg_sys::TimestampTz,
    /// When the standby last wrote monitoring data, 0 if never.
    pub last_updated: pg_sys::TimestampTz,
    daemon_pidfile: [u8; PIDFILE_LIMIT + 1],
    /// Since layout 2.
    pub write_right: WriteRight,
}

const _: () = assert!(size_of::<NodeState>() <= BLOCK_SIZE);

impl NodeState {
    /// The daemon's pid file, empty if none is known.
    pub fn daemon_pidfile(&self) -> &[u8] {
        let end = self.daemon_pidfile.iter().position(|byte| *byte == 0);
        &self.daemon_pidfile[..end.unwrap_or(PIDFILE_LIMIT)]
    }

    /// Keeps `path`, of which at most [`PIDFILE_LIMIT`] bytes fit; the caller has cut it at a character's end.
    pub fn set_daemon_pidfile(&mut self, path: &[u8]) {
        let length = path.len().min(PIDFILE_LIMIT);
        self.daemon_pidfile.fill(0);
        self.daemon_pidfile[..length].copy_from_slice(&path[..length]);
    }
}

/// Calls `read` with the state locked against writers.
///
/// `read` must not call into the server other than for the time: it runs with interrupts held off.
pub fn read<T>(read: impl FnOnce(&NodeState) -> T) -> T {
    let state = attach();
    let _held = Held::acquire(state, LWLockMode::LW_SHARED);
    // SAFETY: `attach` returned the initialised block, which lives as long as this process; the lock keeps writers out.
    read(unsafe { &*state })
}

/// Calls `write` with the state locked for this backend alone; the same restriction as for [`read`] applies.
pub fn write<T>(write: impl FnOnce(&mut NodeState) -> T) -> T {
    let state = attach();
    let _held = Held::acquire(state, LWLockMode::LW_EXCLUSIVE);
    // SAFETY: as in `read`; the exclusive lock makes this the only reference to the fields. Other backends touch only
    // `lock` meanwhile, through atomic operations of the server, and no method of `NodeState` uses it.
    write(unsafe { &mut *state })
}

/// What the checks of the write right read: without the lock, since every commit does.
pub fn write_right() -> &'static WriteRight {
    let state = attach();
    // SAFETY: `attach` returned the initialised block, which lives as long as this process. All of the part's fields are
    // atomic, so it may change at any time.
    unsafe { &(*state).write_right }
}

/// Allocates the block, while the server prepares its shared memory: at its start and when it starts over after a crash.
pub fn prepare() {
    BLOCK.store(std::ptr::null_mut(), Ordering::Relaxed);
    attach();
}

/// Whether this process knows the block's address already.
pub fn is_attached() -> bool {
    !BLOCK.load(Ordering::Relaxed).is_null()
}

/// The lock of the state, released at the end of the scope.
struct Held(*mut pg_sys::LWLock);

impl Held {
    fn acquire(state: *mut NodeState, mode: LWLockMode::Type) -> Self {
        // SAFETY: `state` comes from `attach`, so its lock has been initialised. The address is computed without
        // making a reference, since other backends write to the lock at any time.
        unsafe {
            let lock = &raw mut (*state).lock;
            pg_sys::LWLockAcquire(lock, mode);
            Self(lock)
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the lock was acquired by `acquire`. If a server error is unwinding this scope, the server has zeroed
        // this counter and releases all locks itself when it aborts the transaction.
        unsafe {
            if pg_sys::InterruptHoldoffCount > 0 {
                pg_sys::LWLockRelease(self.0);
            }
        }
    }
}

/// This process's address of the block, null until it is known. Backends inherit it from a postmaster that knows it.
static BLOCK: AtomicPtr<NodeState> = AtomicPtr::new(std::ptr::null_mut());

/// This backend's address of the block; allocates and initialises the block if this is its first use in the server.
///
/// Raises a server error (out of memory, 53200) if the spare shared memory is used up.
fn attach() -> *mut NodeState {
    let known = BLOCK.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    // SAFETY: a backend runs this in its only thread. AddinShmemInitLock, which is number 21 in every PostgreSQL from 13
    // to 18, keeps a second backend from finding the block before its initialisation is complete. The block is at least
    // BLOCK_SIZE bytes, aligned to a cache line; all-zero is a valid NodeState, and what differs from that is written before
    // anybody else can see it.
    unsafe {
        let creation = &raw mut (*pg_sys::MainLWLockArray.add(21)).lock;
        pg_sys::LWLockAcquire(creation, LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let state: *mut NodeState = pg_sys::ShmemInitStruct(BLOCK_NAME.as_ptr(), BLOCK_SIZE, &mut found).cast();
        if !found {
            state.cast::<u8>().write_bytes(0, BLOCK_SIZE);
            pg_sys::LWLockInitialize(&raw mut (*state).lock, pg_sys::LWLockNewTrancheId());
            (*state).layout = LAYOUT;
            (*state).local_node_id = UNKNOWN;
            (*state).daemon_pid = UNKNOWN;
            (*state).candidate_node_id = UNKNOWN;
            (*state).upstream_node_id = UNKNOWN;
        }
        pg_sys::LWLockRelease(creation);
        pg_sys::LWLockRegisterTranche(i32::from((*state).lock.tranche), LOCK_NAME.as_ptr());
        BLOCK.store(state, Ordering::Relaxed);
        state
    }
}
