//! pg_basebackup and pg_verifybackup (PostgreSQL: "pg_basebackup").

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::Cloning;
use crate::config::TablespaceMapping;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{data_directory, program};
use crate::log::{self, Level};
use crate::process::shell_quote;

/// After so long without a word from pg_basebackup it is said that it is waited for.
const SILENCE: Duration = Duration::from_secs(60);

/// What `pg_basebackup_options` asks for, as far as the clone must know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BackupOptions {
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
struct CommandLine<'a> {
    data_directory: &'a str,
    source: &'a Conninfo,
    user: Option<&'a str>,
    fast_checkpoint: bool,
    mappings: &'a [TablespaceMapping],
    slot: Option<&'a str>,
    options: &'a BackupOptions,
}

/// The arguments of pg_basebackup. The password is not among them; see [`Running`].
fn arguments(line: &CommandLine<'_>) -> Vec<String> {
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
    words.push(source.to_keyword_string());
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

/// A pg_basebackup at work. It has a process group of its own: Ctrl-C is for us to act on.
pub(super) struct Running {
    child: Child,
    group: Option<i32>,
}

impl Running {
    fn start(program: PathBuf, arguments: &[String], password: Option<&str>) -> std::io::Result<Running> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Running { child, group })
    }

    /// Ends it with its descendants, and waits until they are gone and write no more.
    async fn end(&mut self) {
        let Some(group) = self.group.map(Pid::from_raw) else {
            return;
        };
        // It may have ended by itself.
        let _ = killpg(group, Signal::SIGKILL);
        // A process that waits for a dead disk cannot be ended; that must not hold us up.
        let _ = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while killpg(group, None).is_ok() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Cloning<'_> {
    /// The user for pg_basebackup and the walsender check.
    pub(super) fn replication_user(&self) -> Option<&str> {
        let upstream = self.upstream.as_ref().map(|node| node.repluser.as_str());
        self.request
            .replication_user
            .as_deref()
            .or(upstream.filter(|user| !user.is_empty()))
    }

    /// Arguments, and the line that a person could type.
    pub(super) fn base_backup_command(&self) -> (Vec<String>, String) {
        let request = self.request;
        let own = request.config.replication_user.as_str();
        let slot = request.config.use_replication_slots.then(|| request.slot_name());
        let arguments = arguments(&CommandLine {
            data_directory: &request.data_directory.to_string_lossy(),
            source: &request.source,
            user: self.replication_user().or(Some(own).filter(|user| !user.is_empty())),
            fast_checkpoint: request.fast_checkpoint,
            mappings: &request.config.tablespace_mapping,
            slot: slot.as_deref(),
            options: &self.options,
        });
        let program = program(&request.config, "pg_basebackup");
        let words = std::iter::once(program.to_string_lossy().into_owned()).chain(arguments.iter().cloned());
        let line = words.map(|word| shell_quote(&word)).collect::<Vec<_>>().join(" ");
        (arguments, line)
    }

    pub(super) async fn back_up(&mut self) -> Result<()> {
        crate::notice!("starting backup (using pg_basebackup)...");
        self.hint_checkpoint();
        let (arguments, line) = self.base_backup_command();
        crate::info!("executing:\n  {line}");
        let program = program(&self.request.config, "pg_basebackup");
        let password = self.request.source.get("password");
        let running = Running::start(program, &arguments, password).map_err(|error| {
            Error::new(ExitCode::BadBasebackup, "unable to start pg_basebackup")
                .detail(error.to_string())
                .hint("set pg_bindir in repmgr.conf")
        })?;
        let running = self.backup.insert(running);
        let mut output = Output::new();
        output.follow(running.child.stderr.take()).await;
        let status = running.child.wait().await;
        self.backup = None;
        let state = data_directory::state(&self.request.data_directory);
        match status {
            Ok(status) if status.success() && state == Ok(data_directory::State::PostgreSql) => Ok(()),
            Ok(status) if status.success() => Err(backup_error(
                "pg_basebackup left no PostgreSQL data directory".to_owned(),
                &output.errors,
            )),
            Ok(status) => Err(backup_error(
                format!("pg_basebackup ended with {status}"),
                &output.errors,
            )),
            Err(error) => Err(backup_error(format!("pg_basebackup: {error}"), &output.errors)),
        }
    }

    pub(super) async fn stop_backup(&mut self) {
        if let Some(mut running) = self.backup.take() {
            running.end().await;
            crate::notice!("pg_basebackup was ended");
        }
    }

    pub(super) async fn verify(&mut self) -> Result<()> {
        if !self.request.verify_backup {
            return Ok(());
        }
        let path = &self.request.data_directory;
        let program = program(&self.request.config, "pg_verifybackup");
        crate::info!("verifying the backup in \"{}\"", path.display());
        let finished = Command::new(&program)
            .arg(path)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| {
                Error::bad_config(format!("unable to run \"{}\"", program.display())).detail(error.to_string())
            })?;
        if finished.status.success() {
            crate::notice!("pg_verifybackup found the backup to be intact");
            return Ok(());
        }
        let text = String::from_utf8_lossy(&finished.stderr).into_owned();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Err(backup_error("the backup is not intact".to_owned(), &lines))
    }
}

/// What pg_basebackup said, with the way out where the reason is known.
fn backup_error(message: String, lines: &[String]) -> Error {
    let mut error = Error::new(ExitCode::BadBasebackup, message);
    for line in lines.iter().rev().take(10).rev() {
        error = error.detail(line);
    }
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    if says("No space left on device") || says("Disk quota exceeded") {
        error = error.hint("make room on the file system of the data directory and its tablespaces, and clone again");
    } else if says("no pg_hba.conf entry") {
        error = error.hint("allow replication connections from this host in the source's pg_hba.conf");
    } else if says("password authentication failed") || says("no password supplied") {
        error = error.hint("put the replication role's password into the password file, database \"replication\"");
    } else {
        error =
            error.hint("the log of the source may say more; what was copied is removed, so the clone can be run again");
    }
    error
}

/// What pg_basebackup writes while it works: progress, and everything else.
struct Output {
    bar: Option<ProgressBar>,
    quiet: bool,
    last: (u64, Instant),
    errors: Vec<String>,
}

impl Output {
    fn new() -> Output {
        let quiet = log::level() < Level::Info;
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {percent}% {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Output {
            bar,
            quiet,
            last: (0, Instant::now()),
            errors: Vec::new(),
        }
    }

    /// Reads to the end; lines end with a line feed or, on a terminal, a carriage return.
    async fn follow(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut pending = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match tokio::time::timeout(SILENCE, pipe.read(&mut buffer)).await {
                Err(_) => self.still_waiting(),
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(count)) => pending.extend_from_slice(&buffer[..count]),
            }
            while let Some(end) = pending.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
                let line: Vec<u8> = pending.drain(..=end).collect();
                self.line(String::from_utf8_lossy(&line[..end]).trim_end());
            }
        }
        self.line(String::from_utf8_lossy(&pending).trim_end());
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// A wait says whom it waits for. It has no limit: a checkpoint may take as long as it is configured to.
    fn still_waiting(&self) {
        let say = || crate::info!("still waiting for the source: pg_basebackup has received nothing for a minute");
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn line(&mut self, line: &str) {
        match progress(line) {
            Some((done, total)) => self.show(done, total),
            None if line.trim().is_empty() => {}
            None => {
                self.errors.push(line.to_owned());
                let say = || log::plain(format_args!("{line}"));
                match &self.bar {
                    Some(bar) => bar.suspend(say),
                    None => say(),
                }
            }
        }
    }

    /// On a terminal the bar; else a line each ten per cent, and at least one in half a minute.
    fn show(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total * 1024);
            bar.set_position(done * 1024);
            return;
        }
        let percent = (done * 100).checked_div(total).unwrap_or(0);
        let (last, at) = self.last;
        if !self.quiet && (percent >= last + 10 || at.elapsed() > Duration::from_secs(30)) {
            crate::info!("{done}/{total} kB ({percent}%) copied");
            self.last = (percent, Instant::now());
        }
    }
}

/// Kilobytes done and in all, from a line of `pg_basebackup --progress`.
fn progress(line: &str) -> Option<(u64, u64)> {
    let (numbers, rest) = line.trim_start().split_once(" kB (")?;
    rest.split_once("%)")?.0.trim().parse::<u32>().ok()?;
    let (done, total) = numbers.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?))
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

    #[test]
    fn progress_is_told_from_everything_else() {
        assert_eq!(
            progress("  12345/678901 kB (2%), 0/1 tablespace"),
            Some((12345, 678_901))
        );
        assert_eq!(
            progress("123/678 kB (18%), 0/2 tablespaces (/srv/data/base/16384/1259)"),
            Some((123, 678))
        );
        for line in [
            "pg_basebackup: error: 5/6 kB",
            "",
            "waiting for checkpoint",
            "a/b kB (1%)",
        ] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn a_full_disk_is_named_with_the_way_out() {
        let lines =
            ["pg_basebackup: error: could not write to file \"/d/base/1/2\": No space left on device".to_owned()];
        let error = backup_error("failed".to_owned(), &lines);
        assert!(error.hints[0].contains("make room"));
        assert_eq!(error.exit_code, ExitCode::BadBasebackup);
    }
}
