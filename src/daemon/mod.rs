//! repmgrd: process, clock and loop, probes in, actions out.

use crate::exit_code::ExitCode;

/// The program `repmgrd`.
pub fn main(_arguments: &[String]) -> ExitCode {
    ExitCode::BadConfig
}
