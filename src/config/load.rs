//! Finding repmgr.conf, reading it, and saying all that is wrong with it at once.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::include::{self, Source};
use super::parameters::{Config, PARAMETERS, parameter};
use super::validate::{self, Provided};
use super::values::tidy_path;
use crate::error::Error;
use crate::exit_code::ExitCode;
use crate::nearest::suggestion;

/// PostgreSQL's directory for site-wide configuration (`pg_config --sysconfdir`); a packager may set another
/// with `REPMGR_SYSCONFDIR` when building.
pub const SYSCONFDIR: &str = match option_env!("REPMGR_SYSCONFDIR") {
    Some(directory) => directory,
    None => "/etc/postgresql-common",
};

/// Where a packager puts repmgr.conf (`REPMGR_DEFAULT_CONFIG` when building); Debian's packages name no such place.
pub const PACKAGED_FILE: Option<&str> = option_env!("REPMGR_DEFAULT_CONFIG");

/// A configuration, where it came from and what is strange about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values; defaults if there is no file.
    pub config: Config,
    /// The absolute path of the file; `None` if there is none.
    pub file: Option<PathBuf>,
    /// Unknown and retired names, and numbers that are probably not understood as they were meant.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Writes the warnings to standard error; the caller leaves it out for `--terse`.
    pub fn report_warnings(&self) {
        report_warnings(self.file.as_deref(), &self.warnings);
    }
}

/// Why there is no configuration: all reasons at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// The ERROR line.
    pub message: String,
    /// What is wrong in the file, each with its place; or why it cannot be read.
    pub problems: Vec<String>,
    /// As in [`Loaded`].
    pub warnings: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// Whether the file was named on the command line.
    pub explicit: bool,
    /// Whether the file could not be read at all.
    pub unreadable: bool,
}

impl LoadError {
    /// Writes it to standard error in the original's form: an ERROR line, and below it one indented line each.
    pub fn report(&self, terse: bool) {
        crate::error!("{}", self.message);
        if self.unreadable {
            for problem in &self.problems {
                crate::detail!("{problem}");
            }
            return;
        }
        list(&self.problems);
        if !terse {
            report_warnings(Some(&self.file), &self.warnings);
        }
        if !self.explicit {
            crate::detail!("configuration file is: \"{}\"", self.file.display());
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        let mut result = Error::new(ExitCode::BadConfig, error.message);
        result.details = error.problems;
        result
    }
}

fn list(lines: &[String]) {
    for line in lines {
        crate::log::plain(format_args!("  {line}"));
    }
}

fn report_warnings(file: Option<&Path>, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    match file {
        Some(file) => crate::warning!("configuration file \"{}\":", file.display()),
        None => crate::warning!("configuration:"),
    }
    list(warnings);
}

/// Loads the file named with `-f`, or else the first of the usual places that exists.
/// No file anywhere gives the defaults: whether that is enough is the caller's to say.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn load(explicit: Option<&str>) -> Result<Loaded, LoadError> {
    load_from(explicit, &usual_places())
}

/// Loads a file again, as a daemon does at SIGHUP: into new values, the old ones are not touched.
///
/// # Errors
/// The file cannot be read, or something in it is wrong. Keep the old configuration then.
pub fn load_again(file: &Path) -> Result<Loaded, LoadError> {
    read(file, &file.display().to_string(), true)
}

fn load_from(explicit: Option<&str>, usual_places: &[PathBuf]) -> Result<Loaded, LoadError> {
    if let Some(typed) = explicit.filter(|path| !path.is_empty()) {
        crate::verbose!(Notice, "using configuration file \"{typed}\"");
        return read(&absolute(Path::new(typed)), typed, true);
    }
    for place in usual_places {
        crate::verbose!(Info, "looking for configuration file \"{}\"", place.display());
        // A place that cannot be looked at is not skipped: the file may be there.
        match fs::metadata(place) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) | Err(_) => {
                crate::verbose!(Info, "configuration file found: \"{}\"", place.display());
                return read(place, &place.display().to_string(), false);
            }
        }
    }
    crate::verbose!(Info, "no configuration file found");
    Ok(Loaded {
        config: Config::default(),
        file: None,
        warnings: Vec::new(),
    })
}

/// Where the file is looked for without `-f`, in this order, all absolute.
fn usual_places() -> Vec<PathBuf> {
    PACKAGED_FILE
        .map(PathBuf::from)
        .into_iter()
        .chain([
            absolute(Path::new("repmgr.conf")),
            PathBuf::from("/etc/repmgr.conf"),
            Path::new(SYSCONFDIR).join("repmgr.conf"),
        ])
        .collect()
}

/// Makes a path absolute with the directory under the name by which the user knows it (`PWD`), symbolic links
/// kept, as long as that name is right.
pub fn absolute(path: &Path) -> PathBuf {
    let same = |one: &Path| match (fs::metadata(one), fs::metadata(".")) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    };
    let here = std::env::var_os("PWD")
        .map(PathBuf::from)
        .filter(|here| here.is_absolute() && same(here))
        .or_else(|| std::env::current_dir().ok())
        .unwrap_or_default();
    tidy_path(super::values::bytes(&here.join(path)))
}

fn read(file: &Path, typed: &str, explicit: bool) -> Result<Loaded, LoadError> {
    match include::read(file) {
        Ok(source) => interpret(source, file, explicit),
        Err(error) => Err(LoadError {
            message: match (error.kind(), explicit) {
                (ErrorKind::NotFound, true) => format!("configuration file \"{typed}\" not found"),
                (_, true) => format!("provided configuration file \"{typed}\" cannot be read"),
                (_, false) => format!("default configuration file \"{typed}\" cannot be read"),
            },
            problems: vec![error.to_string()],
            warnings: Vec::new(),
            file: file.to_owned(),
            explicit,
            unreadable: true,
        }),
    }
}

fn interpret(source: Source, file: &Path, explicit: bool) -> Result<Loaded, LoadError> {
    let sound = source.problems.is_empty();
    let mut problems = source.problems;
    let mut warnings = Vec::new();
    let mut config = Config::default();
    let mut provided = Provided::new();

    for setting in source.settings {
        let (name, place) = (&setting.name, &setting.place);
        let Some(parameter) = parameter(name) else {
            warnings.push(format!("{} ({place})", about_unknown(name)));
            continue;
        };
        match config.assign(parameter, &setting.value) {
            Ok(None) => {}
            Ok(Some(warning)) => warnings.push(format!("\"{name}\": {warning} ({place})")),
            Err(problem) => problems.push(format!("\"{name}\": {problem} ({place})")),
        }
        provided.insert(parameter.name, setting.place);
    }

    if !provided.contains_key("repmgrd_standby_startup_timeout") {
        config.repmgrd_standby_startup_timeout = config.standby_reconnect_timeout;
    }
    if config.location.is_empty() {
        config.location = Config::default().location;
    }
    if sound {
        problems.extend(validate::problems(&config, &provided));
    }
    if problems.is_empty() {
        Ok(Loaded {
            config,
            file: Some(file.to_owned()),
            warnings,
        })
    } else {
        let errors = match problems.len() {
            1 => "an error".to_owned(),
            number => format!("{number} errors"),
        };
        Err(LoadError {
            message: format!("{errors} in the configuration, nothing was done:"),
            problems,
            warnings,
            file: file.to_owned(),
            explicit,
            unreadable: false,
        })
    }
}

/// Names of earlier releases, and what to do about them. Their values are not taken over.
pub const RETIRED: [(&str, &str); 8] = [
    ("cluster", "is no longer used"),
    ("node", "was renamed to \"node_id\""),
    (
        "upstream_node",
        "was removed; use --upstream-node-id with \"standby clone\"",
    ),
    ("loglevel", "was renamed to \"log_level\""),
    ("logfacility", "was renamed to \"log_facility\""),
    ("logfile", "was renamed to \"log_file\""),
    ("master_reponse_timeout", "was removed; use \"async_query_timeout\""),
    (
        "retry_promote_interval_secs",
        "was removed; use \"primary_notification_timeout\"",
    ),
];

/// The value is not shown: of a name nobody knows, nobody knows whether its value is secret.
fn about_unknown(name: &str) -> String {
    if let Some((_, advice)) = RETIRED.iter().find(|(retired, _)| *retired == name) {
        return format!("parameter \"{name}\" {advice}; ignored");
    }
    let known = PARAMETERS.iter().map(|parameter| parameter.name);
    format!("unknown parameter \"{name}\", ignored{}", suggestion(name, known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINIMAL: &str = "node_id=1\nnode_name=n1\ndata_directory='/d'\nconninfo='host=n1'\n";

    fn load_text(text: &str) -> Result<Loaded, LoadError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("repmgr.conf");
        fs::write(&file, text).unwrap();
        load(Some(file.to_str().unwrap())).map_err(|mut error| {
            let prefix = format!("{}/", folder.path().display());
            for problem in &mut error.problems {
                *problem = problem.replace(&prefix, "");
            }
            error
        })
    }

    #[test]
    fn values_come_from_the_file_and_defaults_from_the_table() {
        let loaded = load_text(&format!(
            "{MINIMAL}priority 7\npriority=8\nstandby_reconnect_timeout=70"
        ))
        .unwrap();
        assert_eq!(loaded.config.node_name, "n1");
        assert_eq!(loaded.config.priority, 8);
        assert_eq!(loaded.config.location, "default");
        assert_eq!(loaded.config.repmgrd_standby_startup_timeout, Duration::from_secs(70));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let loaded = load_text(&format!("{MINIMAL}repmgrd_standby_startup_timeout=5\nlocation=''")).unwrap();
        assert_eq!(loaded.config.repmgrd_standby_startup_timeout, Duration::from_secs(5));
        assert_eq!(loaded.config.location, "default");
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_place() {
        let error = load_text(
            "node_id=0\nnode_name=''\nconninfo='host'\npriority=high\n\nfailover=Automatic\n\
             archive_ready_warning=128\nbarman_host=b\nnode_rejoin_timeout=61",
        )
        .unwrap_err();
        insta::assert_snapshot!(error.problems.join("\n"), @r#"
        "node_id": "0" is less than 1, the lowest value allowed (file "repmgr.conf", line 1)
        "priority": "high" is not a whole number (file "repmgr.conf", line 4)
        "failover": "Automatic" is not one of: manual, automatic (file "repmgr.conf", line 6)
        "node_name": required parameter is empty (file "repmgr.conf", line 2)
        "data_directory": required parameter was not found
        "conninfo": missing "=" after "host" in connection info string (file "repmgr.conf", line 3)
        "barman_server": must be set if "barman_host" is set (file "repmgr.conf", line 8)
        "archive_ready_critical" (128) must be greater than "archive_ready_warning" (128) (file "repmgr.conf", line 7)
        "standby_reconnect_timeout" (60) must be equal to or greater than "node_rejoin_timeout" (61) (file "repmgr.conf", line 9)
        "#);
        assert_eq!(error.message, "9 errors in the configuration, nothing was done:");
    }

    #[test]
    fn with_a_syntax_error_the_parameters_are_not_checked_against_each_other() {
        let error = load_text("node_id=x\nconninfo=host=n1 user=r\nbarman_host=b\n").unwrap_err();
        assert_eq!(
            error.problems,
            [
                "syntax error near \"=\" (file \"repmgr.conf\", line 2)",
                "\"node_id\": \"x\" is not a whole number (file \"repmgr.conf\", line 1)",
            ]
        );
    }

    #[test]
    fn what_is_strange_is_a_warning_and_not_an_error() {
        let text = format!(
            "{MINIMAL}unheard_of='geheim'\nPriority=3\nnode=5\nmaster_reponse_timeout=1\npromote_check_timeout=10min"
        );
        let loaded = load_text(&text).unwrap();
        let expected = [
            ("unknown parameter \"unheard_of\", ignored (", "line 5)"),
            ("did you mean \"priority\"? (", "line 6)"),
            ("parameter \"node\" was renamed to \"node_id\"; ignored (", "line 7)"),
            ("use \"async_query_timeout\"", "line 8)"),
            ("\"10min\" is read as 10 seconds: there are no units (", "line 9)"),
        ];
        assert_eq!(loaded.warnings.len(), expected.len(), "{:?}", loaded.warnings);
        for (warning, (text, place)) in loaded.warnings.iter().zip(expected) {
            assert!(warning.contains(text) && warning.ends_with(place), "{warning}");
            assert!(!warning.contains("geheim"));
        }
        assert_eq!(loaded.config.priority, 100);
    }

    #[test]
    fn every_retired_name_gets_its_advice() {
        for (name, advice) in RETIRED {
            let loaded = load_text(&format!("{MINIMAL}{name}=1")).unwrap();
            assert_eq!(loaded.warnings.len(), 1);
            assert!(loaded.warnings[0].contains(advice), "{:?}", loaded.warnings);
        }
    }

    #[test]
    fn a_wrong_conninfo_does_not_show_its_password() {
        let error =
            load_text("node_id=1\nnode_name=n\ndata_directory='/d'\nconninfo='password=geheim oops'").unwrap_err();
        assert_eq!(error.problems.len(), 1, "{:?}", error.problems);
        assert!(error.problems[0].starts_with("\"conninfo\": "));
        assert!(!error.problems[0].contains("geheim"), "{:?}", error.problems);
    }

    #[test]
    fn a_named_file_is_the_only_one_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let usual = folder.path().join("usual.conf");
        fs::write(&usual, MINIMAL).unwrap();
        let missing = folder.path().join("missing.conf");
        let error = load_from(missing.to_str(), std::slice::from_ref(&usual)).unwrap_err();
        assert!(error.message.contains("not found") && error.unreadable && error.explicit);
        let error = load_from(folder.path().to_str(), std::slice::from_ref(&usual)).unwrap_err();
        assert!(error.unreadable, "a directory: {error:?}");
        let loaded = load_from(Some(""), std::slice::from_ref(&usual)).unwrap();
        assert_eq!(loaded.file.as_deref(), Some(usual.as_path()));
    }

    #[test]
    fn the_first_usual_place_counts_and_none_gives_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let places = ["a.conf", "b.conf", "c.conf"].map(|name| folder.path().join(name));
        let none = load_from(None, &places).unwrap();
        assert_eq!((none.file, none.config), (None, Config::default()));
        fs::write(&places[2], MINIMAL).unwrap();
        fs::write(&places[1], "node_id=x").unwrap();
        let error = load_from(None, &places).unwrap_err();
        assert_eq!((error.file.as_path(), error.explicit), (places[1].as_path(), false));
    }

    #[test]
    fn places_are_absolute() {
        assert!(usual_places().iter().all(|place| place.is_absolute()));
        assert_eq!(absolute(Path::new("/a//b/./c/")), Path::new("/a/b/c"));
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            fs::canonicalize(absolute(Path::new("./src"))).unwrap(),
            fs::canonicalize(here.join("src")).unwrap()
        );
    }

    #[test]
    fn automatic_failover_needs_its_commands() {
        use crate::config::{FailoverMode, missing_for_automatic_failover};
        use crate::types::NodeType;
        let mut config = Config::default();
        assert!(missing_for_automatic_failover(&config, None).is_empty());
        config.failover = FailoverMode::Automatic;
        let both = ["promote_command", "follow_command"];
        assert_eq!(missing_for_automatic_failover(&config, None), both);
        assert_eq!(missing_for_automatic_failover(&config, Some(NodeType::Primary)), both);
        assert!(missing_for_automatic_failover(&config, Some(NodeType::Witness)).is_empty());
        config.promote_command = "p".to_owned();
        assert_eq!(missing_for_automatic_failover(&config, None), ["follow_command"]);
        config.follow_command = "f".to_owned();
        assert!(missing_for_automatic_failover(&config, None).is_empty());
    }
}
