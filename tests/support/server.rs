//! One real server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::flavor::Flavor;
use super::hosts;
use super::network::Namespace;
use super::stage::{self, Stage};
use super::{eventually, ports, user};

/// The password of every role where passwords count.
pub const PASSWORD: &str = "pass word'\\";

/// A server in a folder of its own, on a port of its own. Stopped when dropped.
pub struct Server {
    /// Where its data directory, socket, log and keys are.
    pub folder: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
    /// Its port.
    pub port: u16,
    /// How it is reached.
    pub flavor: Flavor,
    /// Its PostgreSQL.
    pub stage: &'static Stage,
    /// The host that it runs on, if it is not this one.
    pub host: Option<Namespace>,
}

impl Server {
    /// A server that is not there yet: no data directory.
    pub fn new(folder: &Path, stage: &'static Stage) -> Server {
        user::folder(folder);
        Server {
            folder: folder.to_owned(),
            data: folder.join("data"),
            port: ports::free(),
            flavor: Flavor::current(),
            stage,
            host: None,
        }
    }

    /// The same on a host of its own. Addresses and authentication there are the same in every flavor.
    pub fn on_host(folder: &Path, stage: &'static Stage, host: Namespace) -> Server {
        user::folder(folder);
        Server {
            folder: folder.to_owned(),
            data: folder.join("data"),
            port: hosts::POSTGRES,
            flavor: match Flavor::current() {
                Flavor::Unprivileged => Flavor::Unprivileged,
                _ => Flavor::Plain,
            },
            stage,
            host: Some(host),
        }
    }

    /// A program as the ordinary user where this server runs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match &self.host {
            Some(host) => user::command_on(host, program),
            None => user::command(program),
        }
    }

    /// Runs a program of its PostgreSQL where it runs; panics with its output if it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.command(self.stage.bindir.join(program));
        stage::run(program, command.args(arguments));
    }

    /// A new database cluster with what replication needs, not started.
    pub fn initialise(&self, settings: &str) {
        let data = self.data.to_str().expect("a path in UTF-8");
        let mut arguments = vec!["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D", data];
        if self.stage.major >= 18 && settings.contains("wal_log_hints = off") {
            // Checksums, which are the default since, write the hints, too.
            arguments.push("--no-data-checksums");
        }
        self.run("initdb", &arguments);
        self.configure(settings);
    }

    /// Writes port, socket and authentication into the data directory; what a clone needs of its own, too.
    pub fn configure(&self, settings: &str) {
        let path = self.data.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&path).expect("postgresql.conf");
        text.push_str(&format!(
            "\nport = {}\nlisten_addresses = '{}'\nunix_socket_directories = '{}'\n\
             fsync = off\nwal_level = replica\nmax_wal_senders = 10\nmax_replication_slots = 10\nhot_standby = on\n\
             wal_keep_size = 64\nshared_buffers = 16MB\nmax_connections = 50\nlog_line_prefix = '%m [%p] %a '\n\
             log_min_messages = info\nwal_log_hints = on\nautovacuum = off\ncheckpoint_timeout = 1h\n\
             password_encryption = 'scram-sha-256'\n{settings}\n",
            self.port,
            match &self.host {
                Some(host) => format!("127.0.0.1, {}", host.address),
                None => "127.0.0.1, ::1".to_owned(),
            },
            self.folder.display()
        ));
        if self.flavor == Flavor::Tls {
            let (certificate, key) = self.make_certificate();
            text.push_str(&format!(
                "ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n"
            ));
        }
        user::write(&path, &text);
        user::write(&self.data.join("pg_hba.conf"), self.authentication());
    }

    fn authentication(&self) -> &'static str {
        if self.host.is_some() {
            return "local all all trust\nlocal replication all trust\n\
                    host all all samenet trust\nhost replication all samenet trust\n";
        }
        match self.flavor {
            Flavor::Tls => {
                "local all all trust\nlocal replication all trust\n\
                 hostssl all all samehost scram-sha-256\nhostssl replication all samehost scram-sha-256\n"
            }
            _ => {
                "local all all trust\nlocal replication all trust\n\
                 host all all samehost trust\nhost replication all samehost trust\n"
            }
        }
    }

    fn make_certificate(&self) -> (String, String) {
        let certificate = self.folder.join("server.crt");
        let key = self.folder.join("server.key");
        let (certificate_text, key_text) = (certificate.display().to_string(), key.display().to_string());
        if !key.exists() {
            let arguments =
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost";
            let status = user::command("openssl")
                .args(arguments.split(' '))
                .args([
                    "-addext",
                    "subjectAltName=DNS:localhost",
                    "-keyout",
                    &key_text,
                    "-out",
                    &certificate_text,
                ])
                .stderr(Stdio::null())
                .status();
            assert!(
                status.expect("openssl").success(),
                "openssl could not make a certificate"
            );
        }
        (certificate_text, key_text)
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) {
        let (data, log) = (self.data.display().to_string(), self.log_file().display().to_string());
        self.run("pg_ctl", &["-w", "-t", "60", "-D", &data, "-l", &log, "start"]);
    }

    /// Stops it: `fast` or `immediate`.
    pub fn stop(&self, mode: &str) {
        let data = self.data.display().to_string();
        self.run("pg_ctl", &["-w", "-t", "60", "-m", mode, "-D", &data, "stop"]);
    }

    /// Whether its postmaster lives.
    pub fn is_running(&self) -> bool {
        self.pid().is_some_and(|pid| kill(pid, None).is_ok())
    }

    /// The postmaster, if there is a pid file.
    pub fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok().map(Pid::from_raw)
    }

    /// Sends a signal to the postmaster.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid().expect("a running server"), signal).expect("a signal to the server");
    }

    /// `kill -9` of the postmaster and all of its children, as when the host dies.
    pub fn kill(&self) {
        self.strike();
        eventually("the killed server is gone", || (!self.is_running()).then_some(()));
    }

    /// The same, and does not wait until they are gone.
    pub fn strike(&self) {
        self.signal_all(Signal::SIGKILL);
    }

    /// Stops the postmaster and all of its children where they are: connections stay, and nothing answers.
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    /// Ends [`Server::freeze`].
    pub fn go_on(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    fn signal_all(&self, signal: Signal) {
        let pid = self.pid().expect("a running server");
        let children = Command::new("pgrep")
            .args(["-P", &pid.to_string()])
            .output()
            .expect("pgrep");
        kill(pid, signal).expect("a signal to the server");
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            // A child may be gone already.
            let _ = kill(Pid::from_raw(child.parse().expect("a process id")), signal);
        }
    }

    /// How other nodes connect to it.
    pub fn conninfo(&self) -> String {
        self.conninfo_as("repmgr", "repmgr")
    }

    /// A connection string for a role and a database.
    pub fn conninfo_as(&self, role: &str, database: &str) -> String {
        let mut text = format!(
            "host={} port={} user={role} dbname={database} connect_timeout=2",
            match &self.host {
                Some(host) => &host.address,
                None => self.flavor.host(),
            },
            self.port
        );
        if self.flavor == Flavor::Tls {
            let root = self.folder.join("server.crt");
            let passfile = self.folder.parent().expect("a cluster's folder").join("passfile");
            text.push_str(&format!(
                " sslmode=verify-full sslrootcert={} passfile={}",
                root.display(),
                passfile.display()
            ));
        }
        text
    }

    /// Asks the server as superuser over its socket; panics if it refuses.
    pub fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Asks the server as superuser over its socket, in the database `repmgr` if there is one.
    pub fn try_query(&self, sql: &str) -> Result<String, String> {
        self.try_query_in("repmgr", sql)
    }

    /// Asks the server as superuser over its socket.
    pub fn try_query_in(&self, database: &str, sql: &str) -> Result<String, String> {
        self.try_queries_in(database, &[sql])
    }

    /// Several questions, one transaction each: psql before 15 shows only the last answer of one question that is many.
    pub fn try_queries_in(&self, database: &str, sql: &[&str]) -> Result<String, String> {
        let output = user::command(self.stage.bindir.join("psql"))
            .env("PGCONNECT_TIMEOUT", "10")
            .arg("-XAtqw")
            .args(["-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-d", database])
            .args(sql.iter().flat_map(|sql| ["-c", sql]))
            .output()
            .expect("psql");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
        }
    }

    /// Whether it accepts writes.
    pub fn is_primary(&self) -> bool {
        self.try_query_in("postgres", "SELECT NOT pg_is_in_recovery()")
            .as_deref()
            == Ok("t")
    }

    /// Its own log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The text of its own log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_running() {
            // A stopped process could not react to anything else.
            let _ = kill(self.pid().unwrap_or(Pid::this()), Signal::SIGCONT);
            let data = self.data.display().to_string();
            let _ = user::command(self.stage.bindir.join("pg_ctl"))
                .args(["-w", "-t", "20", "-m", "immediate", "-D", &data, "stop"])
                .output();
        }
    }
}
