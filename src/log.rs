//! Log lines: levels, forms and destinations of the original.
//!
//! `NOTICE`, and `DETAIL`/`HINT` lines that belong to the line before, have no
//! counterpart in the logging crates; this room is therefore our own. It does
//! not print results: those go to stdout, through `output`.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;

/// Syslog's order: a line is shown if its level is at or above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Silences everything this program prints.
    Emerg,
    /// Silences everything this program prints.
    Alert,
    /// Silences everything this program prints.
    Crit,
    /// A person must act.
    Error,
    /// Something is not as it should be.
    Warning,
    /// Something noteworthy was done.
    Notice,
    /// Progress.
    Info,
    /// For finding faults in the program.
    Debug,
}

impl Level {
    /// The label in a log line.
    pub fn label(self) -> &'static str {
        match self {
            Level::Emerg => "EMERG",
            Level::Alert => "ALERT",
            Level::Crit => "CRIT",
            Level::Error => "ERROR",
            Level::Warning => "WARNING",
            Level::Notice => "NOTICE",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
        }
    }

    /// A level by its name in any case; `None` for anything else.
    pub fn by_name(name: &str) -> Option<Level> {
        [
            Level::Emerg,
            Level::Alert,
            Level::Crit,
            Level::Error,
            Level::Warning,
            Level::Notice,
            Level::Info,
            Level::Debug,
        ]
        .into_iter()
        .find(|level| level.label().eq_ignore_ascii_case(name))
    }
}

struct State {
    threshold: Level,
    last: Level,
    terse: bool,
    verbose: bool,
    timestamps: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    threshold: Level::Info,
    last: Level::Info,
    terse: false,
    verbose: false,
    timestamps: false,
});

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Sets the threshold.
pub fn set_level(level: Level) {
    state().threshold = level;
}

/// The threshold in force.
pub fn level() -> Level {
    state().threshold
}

/// Drops all DETAIL and HINT lines.
pub fn set_terse(terse: bool) {
    state().terse = terse;
}

/// Shows the extra lines of `--verbose`.
pub fn set_verbose(verbose: bool) {
    state().verbose = verbose;
}

/// Whether `--verbose` was given.
pub fn is_verbose() -> bool {
    state().verbose
}

/// Uses the daemon's line form, `[time] [LEVEL] text`.
pub fn set_timestamps(timestamps: bool) {
    state().timestamps = timestamps;
}

/// Writes one line at a level. Use the macros `error!`, `warning!`, `notice!`, `info!`, `debug!`.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    let mut state = state();
    state.last = level;
    if level <= state.threshold {
        emit(&state, level.label(), text);
    }
}

/// Writes a DETAIL or HINT line, which belongs to the line before it.
pub fn companion(label: &'static str, text: fmt::Arguments<'_>) {
    let state = state();
    if !state.terse && state.last <= state.threshold {
        emit(&state, label, text);
    }
}

/// Writes a line to standard error as it is, without level: the entries below an ERROR or WARNING line.
pub fn plain(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn emit(state: &State, label: &str, text: fmt::Arguments<'_>) {
    let mut stderr = std::io::stderr().lock();
    // A log that cannot be written must not stop the work.
    let _ = if state.timestamps {
        writeln!(stderr, "[{}] [{label}] {text}", local_time())
    } else {
        writeln!(stderr, "{label}: {text}")
    };
}

fn local_time() -> impl fmt::Display {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S")
}

/// Logs an ERROR line: a person must act.
#[macro_export]
macro_rules! error { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($arg)*)) }; }
/// Logs a WARNING line.
#[macro_export]
macro_rules! warning { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($arg)*)) }; }
/// Logs a NOTICE line.
#[macro_export]
macro_rules! notice { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Notice, format_args!($($arg)*)) }; }
/// Logs an INFO line.
#[macro_export]
macro_rules! info { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($arg)*)) }; }
/// Logs a DEBUG line.
#[macro_export]
macro_rules! debug { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($arg)*)) }; }
/// Logs a DETAIL line, which belongs to the line before it.
#[macro_export]
macro_rules! detail { ($($arg:tt)*) => { $crate::log::companion("DETAIL", format_args!($($arg)*)) }; }
/// Logs a HINT line, which belongs to the line before it.
#[macro_export]
macro_rules! hint { ($($arg:tt)*) => { $crate::log::companion("HINT", format_args!($($arg)*)) }; }
/// Logs a line that only `--verbose` shows: `verbose!(Info, "...")`. The level still counts.
#[macro_export]
macro_rules! verbose {
    ($level:ident, $($arg:tt)*) => {
        if $crate::log::is_verbose() {
            $crate::log::write($crate::log::Level::$level, format_args!($($arg)*));
        }
    };
}
