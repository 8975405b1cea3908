//! repmgrd: process, clock and loop, probes in, actions out.
//!
//! What to do is decided in `failover`; this room asks the servers, keeps the
//! time, carries out what was decided, and writes down why.

mod act;
mod announcer;
pub mod arguments;
mod children;
mod clock;
mod fork;
mod gather;
mod history;
pub mod manual;
mod peers;
mod pid_file;
mod probe;
mod probes;
mod process;
mod pulse;
mod questions;
mod reload;
mod returning;
mod right;
mod service_manager;
mod signals;
#[cfg(test)]
mod silence_tests;
mod startup;
mod status;
mod watch;
mod without_library;

pub use process::main;
