//! `repmgr.so`: the server side of repmgr, for PostgreSQL 13 to 18.
//!
//! Backends call it through the SQL functions of the `repmgr` schema. It keeps what the daemons of a cluster tell each
//! other about one node (its id, the daemon's process, whether it is paused, when it last saw its upstream, which
//! primary to follow), and nothing else: no table is read or written, so everything works on a read-only standby.
//!
//! The exported symbols are those of the original library, so that functions which the original's scripts created go on
//! working with this one, and the other way round. An entry in `shared_preload_libraries` is not needed and does no harm.
//!
//! - `functions`: the C functions behind the SQL functions, argument and NULL handling, notices
//! - `state`: the node's state in the server's shared memory, and its lock
//! - `pause_file`: the file that carries the pause flag over a restart

mod functions;
mod pause_file;
mod state;

pgrx::pg_module_magic!(name = c"repmgr", version = c"5.5");

/// Called by the server when it loads the library; there is nothing to prepare, preloaded or not.
///
/// The symbol is kept because the original has it.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn _PG_init() {}
