//! A rejoin that was killed, run again.
