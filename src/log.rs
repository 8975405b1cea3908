//! Log lines: levels, forms and destinations of the original.
//!
//! `NOTICE`, and `DETAIL`/`HINT` lines that belong to the line before, have no
//! counterpart in the logging crates; this room is therefore our own. It does
//! not print results: those go to stdout, through `output`.

mod destination;
mod syslog;

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use destination::{Asked, Destinations};

use crate::error::{Error, Result};

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
    destinations: Destinations,
}

static STATE: Mutex<State> = Mutex::new(State {
    threshold: Level::Info,
    last: Level::Info,
    terse: false,
    verbose: false,
    timestamps: false,
    destinations: Destinations::STDERR,
});

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The threshold in force.
pub fn level() -> Level {
    state().threshold
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

/// Writes a line as it is, without level: the entries below an ERROR or WARNING line.
pub fn plain(text: fmt::Arguments<'_>) {
    emit(&state(), "", text);
}

/// Writes a line with its label; syslog has the level of a message for itself.
fn emit(state: &State, label: &str, text: fmt::Arguments<'_>) {
    let sent = state.destinations.syslog.as_ref().is_some_and(|syslog| {
        let text = if matches!(label, "DETAIL" | "HINT") {
            format!("{label}: {text}")
        } else {
            text.to_string()
        };
        syslog.send(state.last, &text).is_ok()
    });
    if sent && !state.destinations.stderr() {
        return;
    }
    let mut stderr = std::io::stderr().lock();
    // A log that cannot be written must not stop the work.
    let _ = match (label, state.timestamps) {
        ("", _) => writeln!(stderr, "{text}"),
        (_, true) => writeln!(stderr, "[{}] [{label}] {text}", local_time()),
        (_, false) => writeln!(stderr, "{label}: {text}"),
    };
}

/// What the command line and the configuration say about the log.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The program's name, for syslog.
    pub program: &'a str,
    /// `-L`.
    pub level_option: Option<&'a str>,
    /// `log_level`; empty is INFO.
    pub level: &'a str,
    /// `--verbose`.
    pub verbose: bool,
    /// `--terse`.
    pub terse: bool,
    /// `--dry-run`: INFO lines are shown, as they are what a dry run is for.
    pub dry_run: bool,
    /// `--quiet`: only errors, whatever else was asked for.
    pub quiet: bool,
    /// Whether the line form and the destinations are the daemon's: `repmgrd`, or `repmgr --log-to-file`.
    pub daemon: bool,
    /// `log_facility`; counts only with `daemon`.
    pub facility: &'a str,
    /// `log_file`; counts only with `daemon`.
    pub file: &'a Path,
}

/// Puts the settings into force, at start and again after a reload (which also opens the log file again).
///
/// A wrong `log_level` or `log_facility` is a WARNING, and so is a syslog daemon that is not there.
///
/// # Errors
/// `-L` is no level, or the log file cannot be opened; then everything is as it was before.
pub fn configure(settings: &Settings<'_>) -> Result<()> {
    let (threshold, level_is_valid) = threshold(settings)?;
    let file = Some(settings.file).filter(|file| settings.daemon && !file.as_os_str().is_empty());
    let open = file.map(destination::open).transpose()?;

    let had_syslog = {
        let mut state = state();
        state.threshold = threshold;
        state.verbose = settings.verbose;
        state.terse = settings.terse;
        state.timestamps = settings.daemon;
        if file.is_none() && state.destinations.file().is_some() {
            state.destinations.restore();
        }
        state.destinations.syslog.take().is_some()
    };
    if !level_is_valid {
        crate::warning!("invalid log level \"{}\" in \"log_level\", using INFO", settings.level);
        crate::hint!("valid levels are: {}", LEVEL_NAMES);
    }
    if settings.daemon {
        use_facility(settings, had_syslog);
    }
    if let (Some(file), Some(open)) = (file, open) {
        if state().destinations.file() != Some(file) {
            crate::notice!("log lines go to file \"{}\" from now on", file.display());
        }
        state().destinations.redirect(open, file)?;
    }
    Ok(())
}

const LEVEL_NAMES: &str = "DEBUG, INFO, NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG";

/// The threshold, and whether `log_level` is valid or not asked for.
fn threshold(settings: &Settings<'_>) -> Result<(Level, bool)> {
    let (level, valid) = match (settings.level_option, settings.level) {
        (Some(option), _) => {
            let level = Level::by_name(option).ok_or_else(|| {
                Error::bad_config(format!("invalid log level \"{option}\" provided with -L/--log-level"))
                    .hint(format!("valid levels are: {LEVEL_NAMES}"))
            })?;
            (level, true)
        }
        (None, "") => (Level::Info, true),
        (None, name) => Level::by_name(name).map_or((Level::Info, false), |level| (level, true)),
    };
    let level = match (settings.quiet, settings.dry_run) {
        (true, _) => Level::Error,
        (false, true) => level.max(Level::Info),
        (false, false) => level,
    };
    Ok((level, valid))
}

fn use_facility(settings: &Settings<'_>, had_syslog: bool) {
    let facility = match destination::asked(settings.facility) {
        Asked::Stderr => return,
        Asked::Invalid => {
            crate::warning!(
                "invalid log facility \"{}\" in \"log_facility\", using STDERR",
                settings.facility
            );
            crate::hint!("valid facilities are: STDERR, USER, LOCAL0 to LOCAL7");
            return;
        }
        Asked::Syslog(facility) => facility,
    };
    match destination::syslog(facility, settings.program) {
        Ok(syslog) => {
            if !had_syslog {
                crate::notice!("log lines go to syslog facility {} from now on", settings.facility);
            }
            state().destinations.syslog = Some(syslog);
        }
        Err(error) => {
            crate::warning!("cannot reach syslog, using STDERR");
            crate::detail!("{}: {error}", syslog::SOCKET);
        }
    }
}

/// Opens the log file again under its name, for log rotation. Nothing happens if there is none.
///
/// # Errors
/// It cannot be opened; then the old one stays in use.
pub fn reopen() -> Result<()> {
    state().destinations.reopen()
}

/// Gives up the terminal if lines go elsewhere: for a program that has gone into the background. What child processes
/// say is lost with syslog alone.
///
/// # Errors
/// `/dev/null` cannot be opened.
pub fn detach() -> std::io::Result<()> {
    state().destinations.detach()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings<'a>(level_option: Option<&'a str>, level: &'a str, dry_run: bool, quiet: bool) -> Settings<'a> {
        Settings {
            program: "repmgr",
            level_option,
            level,
            verbose: false,
            terse: false,
            dry_run,
            quiet,
            daemon: false,
            facility: "",
            file: Path::new(""),
        }
    }

    #[test]
    fn what_counts_for_the_level() {
        for (option, level, dry_run, quiet, expected) in [
            (None, "", false, false, (Level::Info, true)),
            (None, "debug", false, false, (Level::Debug, true)),
            (None, "ERR", false, false, (Level::Info, false)),
            (Some("notice"), "debug", false, false, (Level::Notice, true)),
            (Some("notice"), "ERR", false, false, (Level::Notice, true)),
            (Some("error"), "", true, false, (Level::Info, true)),
            (Some("debug"), "", true, false, (Level::Debug, true)),
            (Some("debug"), "", true, true, (Level::Error, true)),
            (None, "emerg", false, true, (Level::Error, true)),
        ] {
            let settings = settings(option, level, dry_run, quiet);
            assert_eq!(threshold(&settings).unwrap(), expected, "{settings:?}");
        }
        let error = threshold(&settings(Some("ERR"), "", false, true)).unwrap_err();
        assert_eq!(error.exit_code, crate::exit_code::ExitCode::BadConfig);
        assert!(error.message.contains("\"ERR\""));
    }

    #[test]
    fn syslog_gets_detail_and_hint_with_the_level_of_their_message() {
        use std::os::unix::net::UnixDatagram;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        daemon
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let local0 = syslog::Facility::by_name("LOCAL0").unwrap();
        let state = State {
            threshold: Level::Info,
            last: Level::Warning,
            terse: false,
            verbose: false,
            timestamps: true,
            destinations: Destinations {
                syslog: Some(syslog::Syslog::open(&path, local0, "repmgrd").unwrap()),
                ..Destinations::STDERR
            },
        };
        for (label, expected) in [
            ("WARNING", "]: text"),
            ("DETAIL", "]: DETAIL: text"),
            ("HINT", "]: HINT: text"),
        ] {
            emit(&state, label, format_args!("text"));
            let mut buffer = [0; 200];
            let length = daemon.recv(&mut buffer).unwrap();
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(message.starts_with("<132>") && message.ends_with(expected), "{message}");
        }
    }

    #[test]
    fn levels_by_name_in_any_case_and_no_others() {
        for name in LEVEL_NAMES.split(", ") {
            assert_eq!(Level::by_name(name).unwrap().label(), name);
            assert!(Level::by_name(&name.to_lowercase()).is_some());
        }
        for name in ["", "ERR", "WARN", "INFO "] {
            assert_eq!(Level::by_name(name), None);
        }
    }
}
