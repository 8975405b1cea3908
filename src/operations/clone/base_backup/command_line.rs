//! The command line of pg_basebackup, and what the configured options ask for.

use std::path::PathBuf;

use crate::config::TablespaceMapping;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};

/// What `pg_basebackup_options` asks for, as far as the clone must know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// All its words.
    pub words: Vec<String>,
    /// `-S`, `--slot`.
    pub slot: Option<String>,
    /// `--no-slot`.
    pub no_slot: bool,
    /// `-X`, `--wal-method`.
    pub wal_method: Option<String>,
    /// `--waldir`.
    pub waldir: Option<PathBuf>,
    progress: bool,
    password: bool,
}

impl BackupOptions {
    /// Reads the words as a shell would split them, and those of them that matter.
    ///
    /// # Errors
    /// They contradict each other or cannot be split.
    pub fn parse(text: &str) -> Result<BackupOptions> {
        let wrong = |reason: String| {
            Error::bad_config("\"pg_basebackup_options\" cannot be used")
                .detail(reason)
                .hint("correct it in repmgr.conf")
        };
        let words = shell_words::split(text).map_err(|error| wrong(error.to_string()))?;
        let mut options = BackupOptions::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let (name, value) = split_option(word);
            let mut argument = || {
                value
                    .clone()
                    .or_else(|| rest.next().cloned())
                    .ok_or_else(|| wrong(format!("{name} has no value")))
            };
            match name {
                "-S" | "--slot" => options.slot = Some(argument()?),
                "-X" | "--wal-method" => options.wal_method = Some(argument()?),
                "--waldir" => options.waldir = Some(argument()?.into()),
                "--no-slot" if value.is_some() => return Err(wrong("--no-slot takes no value".to_owned())),
                "--no-slot" => options.no_slot = true,
                "-P" | "--progress" => options.progress = true,
                "-W" | "--password" | "-w" | "--no-password" => options.password = true,
                _ => {}
            }
        }
        if options.no_slot && options.slot.is_some() {
            return Err(wrong("--no-slot and -S/--slot contradict each other".to_owned()));
        }
        if let Some(waldir) = options.waldir.as_ref().filter(|path| !path.is_absolute()) {
            return Err(wrong(format!(
                "--waldir \"{}\" is not an absolute path",
                waldir.display()
            )));
        }
        options.words = words;
        Ok(options)
    }

    /// Whether WAL is streamed beside the backup.
    pub fn streams_wal(&self) -> bool {
        matches!(self.wal_method.as_deref(), None | Some("stream" | "s"))
    }
}

/// `--name=value` and `-Nvalue` into name and value.
fn split_option(word: &str) -> (&str, Option<String>) {
    if word.starts_with("--") {
        return match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, None),
        };
    }
    match word.char_indices().nth(2) {
        Some((at, _)) if word.starts_with("-S") || word.starts_with("-X") => (&word[..at], Some(word[at..].to_owned())),
        _ => (word, None),
    }
}

/// What the command line depends on.
pub(super) struct CommandLine<'a> {
    pub data_directory: &'a str,
    pub source: &'a Conninfo,
    pub user: Option<&'a str>,
    pub fast_checkpoint: bool,
    pub mappings: &'a [TablespaceMapping],
    pub slot: Option<&'a str>,
    pub options: &'a BackupOptions,
}

/// The arguments of pg_basebackup. The password is not among them; see [`super::Running`].
pub(super) fn arguments(line: &CommandLine<'_>) -> Vec<String> {
    arguments_with(line, Conninfo::to_keyword_string)
}

/// The same for a person: a password of a client key, which pg_basebackup takes nowhere else, is hidden.
pub(super) fn arguments_shown(line: &CommandLine<'_>) -> Vec<String> {
    arguments_with(line, Conninfo::redacted)
}

fn arguments_with(line: &CommandLine<'_>, render: impl Fn(&Conninfo) -> String) -> Vec<String> {
    let mut source = line.source.clone();
    for keyword in ["password", "dbname", "replication"] {
        source.remove(keyword);
    }
    if let Some(user) = line.user {
        source.set("user", user);
    }
    // A source that is silently gone must not be waited for all day.
    for (keyword, value) in [
        ("keepalives_idle", "60"),
        ("keepalives_interval", "10"),
        ("keepalives_count", "6"),
        ("tcp_user_timeout", "120000"),
    ] {
        source.set_default(keyword, value);
    }
    let mut words: Vec<String> = ["-l", "repmgr base backup", "-D", line.data_directory, "-d"]
        .map(str::to_owned)
        .to_vec();
    words.push(render(&source));
    if line.fast_checkpoint {
        words.extend(["-c", "fast"].map(str::to_owned));
    }
    for mapping in line.mappings {
        let escape = |path: &std::path::Path| path.to_string_lossy().replace('=', "\\=");
        words.push("-T".to_owned());
        words.push(format!("{}={}", escape(&mapping.old), escape(&mapping.new)));
    }
    if line.options.wal_method.is_none() {
        words.extend(["-X", "stream"].map(str::to_owned));
    }
    if let Some(slot) = line.slot
        && line.options.streams_wal()
        && line.options.slot.is_none()
        && !line.options.no_slot
    {
        words.extend(["-S", slot].map(str::to_owned));
    }
    if !line.options.progress {
        words.push("--progress".to_owned());
    }
    if !line.options.password {
        // A question for a password would wait for ever where nobody reads it.
        words.push("--no-password".to_owned());
    }
    words.extend(line.options.words.iter().cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> BackupOptions {
        BackupOptions::parse(text).unwrap()
    }

    #[test]
    fn options_are_recognised_in_all_their_forms() {
        for text in ["-X fetch", "-Xfetch", "--wal-method=fetch", "--wal-method fetch"] {
            assert_eq!(parse(text).wal_method.as_deref(), Some("fetch"), "{text}");
            assert!(!parse(text).streams_wal());
        }
        for text in ["-S mine", "-Smine", "--slot=mine", "-v --slot mine -P"] {
            assert_eq!(parse(text).slot.as_deref(), Some("mine"), "{text}");
        }
        assert!(parse("--no-slot").no_slot);
        assert_eq!(parse("--waldir='/a b'").waldir, Some(PathBuf::from("/a b")));
        assert!(parse("-X s").streams_wal() && parse("").streams_wal());
        for wrong in ["--no-slot -S x", "--no-slot=1", "--waldir=relative", "-X", "'"] {
            assert!(BackupOptions::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn line(slot: Option<&str>, options: &str) -> String {
        let mut source = Conninfo::new();
        for (keyword, value) in [
            ("host", "n 1"),
            ("user", "repmgr"),
            ("dbname", "repmgr"),
            ("password", "secret"),
            ("keepalives_idle", "9"),
        ] {
            source.set(keyword, value);
        }
        let mappings = [TablespaceMapping {
            old: "/a=b".into(),
            new: "/new".into(),
        }];
        arguments(&CommandLine {
            data_directory: "/my data",
            source: &source,
            user: Some("repl"),
            fast_checkpoint: true,
            mappings: &mappings,
            slot,
            options: &parse(options),
        })
        .join("|")
    }

    #[test]
    fn the_command_line_is_the_original_s_with_what_keeps_it_from_hanging() {
        assert_eq!(
            line(Some("repmgr_slot_2"), ""),
            "-l|repmgr base backup|-D|/my data|-d|host='n 1' user=repl keepalives_idle=9 keepalives_interval=10 \
             keepalives_count=6 tcp_user_timeout=120000|-c|fast|-T|/a\\=b=/new|-X|stream|-S|repmgr_slot_2|\
             --progress|--no-password"
        );
    }

    #[test]
    fn a_person_does_not_see_the_password_of_a_key() {
        let source: Conninfo = [("host", "n1"), ("sslpassword", "geheim")].into_iter().collect();
        let line = CommandLine {
            data_directory: "/d",
            source: &source,
            user: None,
            fast_checkpoint: false,
            mappings: &[],
            slot: None,
            options: &parse(""),
        };
        assert!(arguments(&line).join(" ").contains("geheim"));
        let shown = arguments_shown(&line).join(" ");
        assert!(shown.contains("host=n1") && !shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn the_slot_is_left_out_where_it_cannot_be_used() {
        assert!(line(Some("repmgr_slot_2"), "-Xstream").contains("|-S|repmgr_slot_2|"));
        for options in ["--no-slot", "-X fetch", "-S other"] {
            assert!(
                !line(Some("repmgr_slot_2"), options).contains("repmgr_slot_2"),
                "{options}"
            );
        }
        assert!(!line(None, "").contains("-S"));
        assert!(!line(None, "-X fetch").contains("stream"));
    }
}
