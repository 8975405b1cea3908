//! The right to write, in the server: a primary commits only while it holds a lease that a majority of the cluster's
//! nodes granted. Opt-in: nothing of this does anything until `repmgr.require_write_right` is on.
//!
//! - `shared`: the end of the local right, in the server's shared memory, and the clock that it is measured with
//! - `enforcement`: the setting, and the checks before and after a commit
//! - `statements`: the statements that take effect ahead of their commit
//! - `synchronous`: the strict synchronous mode: commits that do not wait for standbys are refused
//! - `hang_up`: ends the connections of a process whose commit came too late
//! - `record_file`: the files of this node's record as a voter, and their lock
//! - `voter`: answers the questions of the daemons
//! - `alarm`: ends a subscription's worker when the right has ended
//! - `functions`: the SQL functions of the extension `repmgr_write_right`
//!
//! Who holds the right is decided by the daemons with the votes of the nodes, by the rules of `repmgr-write-right`.

mod alarm;
pub mod enforcement;
mod functions;
mod hang_up;
mod record_file;
pub mod shared;
mod statements;
mod synchronous;
mod voter;
