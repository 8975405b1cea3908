//! `repmgr.so`: the server side of repmgr, for PostgreSQL 13 to 18.
//!
//! Backends call it through the SQL functions of the `repmgr` schema. It keeps what the daemons of a cluster tell each
//! other about one node (its id, the daemon's process, whether it is paused, when it last saw its upstream, which
//! primary to follow). No table is read or written, so everything works on a read-only standby.
//!
//! The exported symbols are those of the original library, so that functions which the original's scripts created go on
//! working with this one, and the other way round. An entry in `shared_preload_libraries` is not needed and does no harm.
//!
//! The right to write is a second subject, for clusters that switch it on: functions in the schema `repmgr_write_right`,
//! and, where the library is in `shared_preload_libraries`, the enforcement of `repmgr.require_write_right`. Without that
//! entry nothing is hooked into the server.
//!
//! - `functions`: the C functions behind the SQL functions of the schema `repmgr`
//! - `call`: how a C function is called from SQL; notices
//! - `state`: the node's state in the server's shared memory, and its lock
//! - `pause_file`: the file that carries the pause flag over a restart
//! - `write_right`: the right to write: its end, its enforcement, this node's vote

mod call;
mod functions;
mod pause_file;
mod state;
mod write_right;

pgrx::pg_module_magic!(name = c"repmgr", version = c"5.5");

/// Called by the server when it loads the library. Prepares the enforcement of the write right if the server is loading
/// its `shared_preload_libraries`; otherwise there is nothing to prepare.
///
/// The symbol is one of the original's.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    write_right::enforcement::preload();
}
