//! How the text of a parameter becomes its value, and back: words, paths, lists. Numbers and times have a file of
//! their own, `numbers.rs`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::numbers::check_delay;
use super::parameters::{
    ConnectionCheckType, FailoverMode, Kind, Parameter, Rejoin, ReplicationType, SynchronousMode, TablespaceMapping,
    WriteRight,
};

/// A type that a parameter can have.
pub(super) trait Value {
    /// The word for it in the manual.
    const KIND: Kind;
    /// Takes the text in; a repeated list grows. The `Ok` text is a warning.
    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String>;
    /// The form of `--dump-config`.
    fn show(&self) -> String;
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String> {
        *self = utf8(limited(text, parameter)?)?.to_owned();
        Ok(None)
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Path;

    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String> {
        *self = tidy_path(limited(text, parameter)?);
        Ok(None)
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Boolean;

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        *self = match text.to_ascii_lowercase().as_slice() {
            b"true" | b"on" | b"yes" | b"1" => true,
            b"false" | b"off" | b"no" | b"0" => false,
            _ => {
                return Err(format!(
                    "{} is not one of true, false, on, off, yes, no, 1, 0",
                    shown(text)
                ));
            }
        };
        Ok(None)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// The one of `words` that is the text.
fn one_of<T: Copy>(text: &[u8], any_case: bool, words: &[(&str, T)]) -> Result<T, String> {
    let is = |word: &str| {
        if any_case {
            text.eq_ignore_ascii_case(word.as_bytes())
        } else {
            text == word.as_bytes()
        }
    };
    words
        .iter()
        .find(|(word, _)| is(word))
        .map(|(_, value)| *value)
        .ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("{} is not one of: {}", shown(text), words.join(", "))
        })
}

impl Value for FailoverMode {
    const KIND: Kind = Kind::OneOf(&["manual", "automatic"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let words = [("manual", FailoverMode::Manual), ("automatic", FailoverMode::Automatic)];
        *self = one_of(text, false, &words)?;
        Ok(None)
    }

    fn show(&self) -> String {
        match self {
            FailoverMode::Manual => "manual".to_owned(),
            FailoverMode::Automatic => "automatic".to_owned(),
        }
    }
}

impl Value for WriteRight {
    const KIND: Kind = Kind::OneOf(&["off", "majority", "etcd"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let words = [
            ("off", WriteRight::Off),
            ("majority", WriteRight::Majority),
            ("etcd", WriteRight::Etcd),
        ];
        *self = one_of(text, false, &words)?;
        Ok(None)
    }

    fn show(&self) -> String {
        match self {
            WriteRight::Off => "off".to_owned(),
            WriteRight::Majority => "majority".to_owned(),
            WriteRight::Etcd => "etcd".to_owned(),
        }
    }
}

impl Value for Rejoin {
    const KIND: Kind = Kind::OneOf(&["manual", "follow", "rewind", "clone"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let words = [
            ("manual", Rejoin::Manual),
            ("follow", Rejoin::Follow),
            ("rewind", Rejoin::Rewind),
            ("clone", Rejoin::Clone),
        ];
        *self = one_of(text, false, &words)?;
        Ok(None)
    }

    fn show(&self) -> String {
        let word = match self {
            Rejoin::Manual => "manual",
            Rejoin::Follow => "follow",
            Rejoin::Rewind => "rewind",
            Rejoin::Clone => "clone",
        };
        word.to_owned()
    }
}

impl Value for SynchronousMode {
    const KIND: Kind = Kind::OneOf(&["off", "on", "strict"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let words = [
            ("off", SynchronousMode::Off),
            ("on", SynchronousMode::On),
            ("strict", SynchronousMode::Strict),
        ];
        *self = one_of(text, false, &words)?;
        Ok(None)
    }

    fn show(&self) -> String {
        let word = match self {
            SynchronousMode::Off => "off",
            SynchronousMode::On => "on",
            SynchronousMode::Strict => "strict",
        };
        word.to_owned()
    }
}

impl Value for ConnectionCheckType {
    const KIND: Kind = Kind::OneOf(&["ping", "connection", "query"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let words = [
            ("ping", ConnectionCheckType::Ping),
            ("connection", ConnectionCheckType::Connection),
            ("query", ConnectionCheckType::Query),
        ];
        *self = one_of(text, true, &words)?;
        Ok(None)
    }

    fn show(&self) -> String {
        match self {
            ConnectionCheckType::Ping => "ping".to_owned(),
            ConnectionCheckType::Connection => "connection".to_owned(),
            ConnectionCheckType::Query => "query".to_owned(),
        }
    }
}

impl Value for ReplicationType {
    const KIND: Kind = Kind::OneOf(&["physical"]);

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        *self = one_of(text, true, &[("physical", ReplicationType::Physical)])?;
        Ok(None)
    }

    fn show(&self) -> String {
        "physical".to_owned()
    }
}

/// A delay as PostgreSQL reads it, kept as it is written; empty is not set.
impl Value for Option<String> {
    const KIND: Kind = Kind::Delay;

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        *self = match utf8(text)? {
            "" => None,
            text => {
                check_delay(text)?;
                Some(text.to_owned())
            }
        };
        Ok(None)
    }

    fn show(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Value for Vec<String> {
    const KIND: Kind = Kind::List;

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        let text: String = utf8(text)?.chars().filter(|c| !matches!(c, ' ' | '\t')).collect();
        self.extend(text.split(',').filter(|item| !item.is_empty()).map(str::to_owned));
        Ok(None)
    }

    fn show(&self) -> String {
        self.join(",")
    }
}

impl Value for Vec<TablespaceMapping> {
    const KIND: Kind = Kind::Mapping;

    fn assign(&mut self, text: &[u8], _: &Parameter) -> Result<Option<String>, String> {
        self.push(mapping(text)?);
        Ok(None)
    }

    fn show(&self) -> String {
        let show = |mapping: &TablespaceMapping| format!("{}={}", mapping.old.display(), mapping.new.display());
        self.iter().map(show).collect::<Vec<_>>().join(",")
    }
}

/// A path without doubled or trailing slashes and without `.` parts. `..` stays:
/// what it means depends on symbolic links.
pub(super) fn tidy_path(text: &[u8]) -> PathBuf {
    Path::new(&OsString::from_vec(text.to_owned())).components().collect()
}

pub(super) fn shown(text: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(text))
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text).map_err(|_| format!("{} is not UTF-8", shown(text)))
}

fn limited<'a>(text: &'a [u8], parameter: &Parameter) -> Result<&'a [u8], String> {
    if text.len() >= parameter.max_bytes {
        return Err(format!(
            "the value has {} bytes; it must have fewer than {}",
            text.len(),
            parameter.max_bytes
        ));
    }
    if text.contains(&0) {
        return Err("the value contains a zero byte".to_owned());
    }
    Ok(text)
}

/// `OLDDIR=NEWDIR`; a `=` that belongs to a name is written `\=`.
fn mapping(text: &[u8]) -> Result<TablespaceMapping, String> {
    let mut parts = vec![Vec::new()];
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.peek() == Some(&b'=') => {
                bytes.next();
                parts.last_mut().expect("starts with one").push(b'=');
            }
            b'=' => parts.push(Vec::new()),
            byte => parts.last_mut().expect("starts with one").push(byte),
        }
    }
    match parts.as_slice() {
        [old, new] if !old.is_empty() && !new.is_empty() => Ok(TablespaceMapping {
            old: tidy_path(old),
            new: tidy_path(new),
        }),
        _ => Err(format!(
            "{} is not of the form OLDDIR=NEWDIR (a \"=\" in a name is written \"\\=\")",
            shown(text)
        )),
    }
}

/// A path's bytes, for comparing and joining with what stands in the file.
pub(super) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::parameters::{Config, parameter};
    use super::*;

    fn read(name: &str, text: &str) -> Result<(String, bool), String> {
        let mut config = Config::default();
        let parameter = parameter(name).unwrap();
        let warning = config.assign(parameter, text.as_bytes())?;
        Ok((config.show(parameter), warning.is_some()))
    }

    #[test]
    fn values_and_warnings() {
        for (name, text, shown, warned) in [
            ("priority", "7", "7", false),
            ("priority", " +7", "7", false),
            ("priority", "0", "0", false),
            ("priority", "7s", "7", true),
            ("priority", "1.9", "1", true),
            ("priority", "0x10", "0", true),
            ("priority", "2147483647", "2147483647", false),
            ("reconnect_interval", "10", "10", false),
            ("reconnect_interval", "10s", "10", false),
            ("reconnect_interval", "5 s", "5", false),
            ("reconnect_interval", "10min", "600", true),
            ("reconnect_interval", "10ms", "0.01", true),
            ("reconnect_interval", "0ms", "0", true),
            ("reconnect_interval", "10x", "10", true),
            ("monitor_interval_secs", "500ms", "0.5", true),
            ("monitor_interval_secs", "1.5", "1.5", true),
            ("monitor_interval_secs", "0.25s", "0.25", true),
            ("monitor_interval_secs", "1500 ms", "1.5", true),
            ("monitor_interval_secs", "1.", "1", true),
            ("promote_check_timeout", "10min", "10", true),
            ("promote_check_timeout", "1.5", "1", true),
            ("degraded_monitoring_timeout", "-1", "-1", false),
            ("degraded_monitoring_timeout", "0", "-1", false),
            ("degraded_monitoring_timeout", "30", "30", false),
            ("child_nodes_disconnect_min_count", "-1", "-1", false),
            ("use_replication_slots", "YES", "true", false),
            ("use_replication_slots", "oFf", "false", false),
            ("use_replication_slots", "1", "true", false),
            ("failover", "automatic", "automatic", false),
            ("connection_check_type", "QUERY", "query", false),
            ("replication_type", "Physical", "physical", false),
            ("data_directory", "//var/./lib//pg/", "/var/lib/pg", false),
            ("data_directory", "/a/../b", "/a/../b", false),
            ("recovery_min_apply_delay", "5min", "5min", false),
            ("recovery_min_apply_delay", "0", "0", false),
            ("recovery_min_apply_delay", "10ms", "10ms", false),
            ("recovery_min_apply_delay", "", "", false),
            ("event_notifications", "a, b,,c\td ,", "a,b,cd", false),
            ("tablespace_mapping", "/a//=/b/", "/a=/b", false),
            ("tablespace_mapping", r"/a\=x=/b\=y", "/a=x=/b=y", false),
        ] {
            assert_eq!(read(name, text), Ok((shown.to_owned(), warned)), "{name}={text}");
        }
    }

    #[test]
    fn texts_that_are_no_values() {
        for (name, text, reason) in [
            ("monitor_interval_secs", "99ms", "less than 100 ms"),
            ("monitor_interval_secs", "0.0", "less than 100 ms"),
            ("monitor_interval_secs", "0", "lowest value allowed"),
            ("monitor_interval_secs", ".5", "not a whole number"),
            ("monitor_interval_secs", "999999999h", "longer than"),
            ("priority", "", "not a whole number"),
            ("priority", "high", "not a whole number"),
            ("priority", "- 1", "not a whole number"),
            ("priority", "-1", "lowest value allowed"),
            ("priority", "2147483648", "greater than 2147483647"),
            ("node_id", "0", "lowest value allowed"),
            ("node_id", "0x10", "lowest value allowed"),
            ("node_id", "", "not a whole number"),
            ("reconnect_interval", "-1", "lowest value allowed"),
            ("degraded_monitoring_timeout", "-2", "lowest value allowed"),
            ("use_replication_slots", "t", "is not one of"),
            ("use_replication_slots", "", "is not one of"),
            ("failover", "Automatic", "is not one of"),
            ("connection_check_type", "pong", "is not one of"),
            ("replication_type", "bdr", "is not one of"),
            ("recovery_min_apply_delay", "5 min", "not a delay"),
            ("recovery_min_apply_delay", "5us", "not a delay"),
            ("recovery_min_apply_delay", "-5s", "not a delay"),
            ("recovery_min_apply_delay", "min", "not a delay"),
            ("tablespace_mapping", "/a", "OLDDIR=NEWDIR"),
            ("tablespace_mapping", "/a=", "OLDDIR=NEWDIR"),
            ("tablespace_mapping", "=/b", "OLDDIR=NEWDIR"),
            ("tablespace_mapping", "/a=/b=/c", "OLDDIR=NEWDIR"),
            ("node_name", "a\0b", "zero byte"),
        ] {
            let error = read(name, text).unwrap_err();
            assert!(error.contains(reason), "{name}={text}: {error}");
        }
    }

    #[test]
    fn texts_have_their_limits() {
        for (name, limit) in [
            ("node_name", 64),
            ("pg_backupapi_host", 64),
            ("conninfo", 1024),
            ("log_file", 1024),
        ] {
            assert!(read(name, &"x".repeat(limit - 1)).is_ok(), "{name}");
            let error = read(name, &"x".repeat(limit)).unwrap_err();
            assert!(error.contains(&format!("fewer than {limit}")), "{error}");
        }
    }

    #[test]
    fn a_path_may_be_any_bytes_but_a_text_may_not() {
        let mut config = Config::default();
        assert!(config.assign(parameter("data_directory").unwrap(), b"/a/\xff").is_ok());
        assert_eq!(bytes(&config.data_directory), b"/a/\xff");
        let error = config.assign(parameter("location").unwrap(), b"\xff").unwrap_err();
        assert!(error.contains("not UTF-8"), "{error}");
    }

    #[test]
    fn lists_grow_and_others_are_replaced() {
        let mut config = Config::default();
        for (name, text) in [
            ("event_notifications", "a"),
            ("event_notifications", "b"),
            ("tablespace_mapping", "/a=/b"),
            ("tablespace_mapping", "/c=/d"),
            ("priority", "1"),
            ("priority", "2"),
        ] {
            config.assign(parameter(name).unwrap(), text.as_bytes()).unwrap();
        }
        assert_eq!(config.event_notifications, ["a", "b"]);
        assert_eq!(config.tablespace_mapping.len(), 2);
        assert_eq!(config.priority, 2);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_parameter_panic_and_what_is_shown_is_read_again(
            index in 0..crate::config::PARAMETERS.len(),
            text in "[-+0-9a-z=,/. ']{0,12}",
        ) {
            let parameter = &crate::config::PARAMETERS[index];
            let mut config = Config::default();
            if config.assign(parameter, text.as_bytes()).is_ok() {
                let shown = config.show(parameter);
                let escaped = match parameter.kind {
                    // A `=` within a name would need a backslash; this text has none.
                    Kind::Mapping if shown.matches('=').count() != 1 => return Ok(()),
                    _ => shown,
                };
                let mut again = Config::default();
                proptest::prop_assert!(again.assign(parameter, escaped.as_bytes()).is_ok(), "{}", parameter.name);
                proptest::prop_assert_eq!(again.show(parameter), config.show(parameter));
            }
        }

        #[test]
        fn no_bytes_make_a_parameter_panic(
            index in 0..crate::config::PARAMETERS.len(),
            text in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        ) {
            let _ = Config::default().assign(&crate::config::PARAMETERS[index], &text);
        }
    }
}
