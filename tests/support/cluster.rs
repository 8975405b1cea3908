//! A cluster of nodes, each with a server, a repmgr.conf and perhaps a daemon.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::flavor::Flavor;
use super::network::Namespace;
use super::server::{PASSWORD, Server};
use super::stage::{self, Stage};
use super::{eventually, user};

/// Nodes that belong together, in a folder that is removed afterwards
/// (kept if the test failed or `KEEP` is set).
pub struct Cluster {
    /// Where everything is.
    pub folder: PathBuf,
    /// The nodes, by id from 1.
    pub nodes: Vec<Node>,
    keep: bool,
}

/// A node: server, configuration, daemon.
pub struct Node {
    /// Its id in the cluster.
    pub id: u32,
    /// Its server.
    pub server: Server,
    /// Its repmgr.conf.
    pub config_file: PathBuf,
    /// The programs that it runs; the original's in a conformance test.
    pub programs: PathBuf,
    daemon: Option<Child>,
}

impl Cluster {
    /// A folder and `count` nodes with a configuration each, without servers.
    pub fn new(name: &str, count: u32) -> Cluster {
        Cluster::with_stage(name, count, stage::stage(), stage::programs())
    }

    /// The same with another PostgreSQL and other programs.
    pub fn with_stage(name: &str, count: u32, stage: &'static Stage, programs: &Path) -> Cluster {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("repmgr-oxide-{name}-{}-{number}", std::process::id()));
        user::folder(&folder);
        let mut cluster = Cluster {
            folder,
            nodes: Vec::new(),
            keep: std::env::var_os("KEEP").is_some(),
        };
        cluster.write_passfile();
        for id in 1..=count {
            cluster.add_node(id, stage, programs, None);
        }
        cluster
    }

    /// One more node, with a configuration and without a server, perhaps on a host of its own.
    pub fn add_node(&mut self, id: u32, stage: &'static Stage, programs: &Path, host: Option<Namespace>) {
        let folder = self.folder.join(format!("node{id}"));
        let server = match host {
            Some(host) => Server::on_host(&folder, stage, host),
            None => Server::new(&folder, stage),
        };
        let node = Node {
            id,
            config_file: server.folder.join("repmgr.conf"),
            server,
            programs: programs.to_owned(),
            daemon: None,
        };
        node.write_config("");
        self.nodes.push(node);
    }

    fn write_passfile(&self) {
        let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
        let path = self.folder.join("passfile");
        user::write(&path, &format!("*:*:*:*:{escaped}\n"));
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("the passfile's mode");
    }

    /// A node by its id.
    pub fn node(&self, id: u32) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.id == id)
            .expect("a node of the cluster")
    }

    /// A node by its id, to start or stop its daemon.
    pub fn node_mut(&mut self, id: u32) -> &mut Node {
        self.nodes
            .iter_mut()
            .find(|node| node.id == id)
            .expect("a node of the cluster")
    }

    /// Whether folder and servers are kept.
    pub fn keeps(&self) -> bool {
        self.keep
    }

    /// Keeps folder and servers when the cluster is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Node 1 running and registered as primary; the others cloned, running, registered, streaming.
    pub fn up(name: &str, count: u32) -> Cluster {
        Cluster::up_with(name, count, "", "")
    }

    /// The same with additional lines of postgresql.conf and repmgr.conf.
    pub fn up_with(name: &str, count: u32, server_settings: &str, settings: &str) -> Cluster {
        let cluster = Cluster::new(name, count);
        for node in &cluster.nodes {
            node.write_config(settings);
        }
        cluster.primary_up(server_settings);
        for id in 2..=count {
            cluster.standby_up(id);
        }
        cluster
    }

    /// Node 1 as primary and the others as standbys that know their own records, with quick automatic failover and
    /// `more` lines of repmgr.conf; no daemon yet.
    pub fn automatic_up(&self, more: &str) {
        for node in &self.nodes {
            node.write_config(&format!("{}{more}", node.automatic_failover()));
        }
        self.primary_up("");
        for node in &self.nodes[1..] {
            self.standby_up(node.id);
            self.wait_record(node.id, node.id);
        }
    }

    /// Node 1 initialised, started, registered.
    pub fn primary_up(&self, server_settings: &str) {
        let first = self.node(1);
        first.server.initialise(server_settings);
        first.server.start();
        first.create_role();
        first.repmgr_ok(&[&["primary", "register"], Flavor::current().superuser_option()].concat());
    }

    /// A standby of node 1: cloned, started, registered, streaming.
    pub fn standby_up(&self, id: u32) {
        let (first, node) = (self.node(1), self.node(id));
        node.clone_from(first, &[]);
        node.server.start();
        if node.programs != stage::programs() {
            // The original does not wait for it.
            self.wait_streaming(1, id);
        }
        node.repmgr_ok(&["standby", "register"]);
        self.wait_streaming(1, id);
    }

    /// Waits until a standby streams from its upstream.
    pub fn wait_streaming(&self, upstream: u32, standby: u32) {
        let sql = format!("SELECT state FROM pg_stat_replication WHERE application_name = 'node{standby}'");
        eventually(&format!("node{standby} streams from node{upstream}"), || {
            (self.node(upstream).server.try_query(&sql).as_deref() == Ok("streaming")).then_some(())
        });
    }

    /// Waits until one node's copy of the metadata has the record of another.
    pub fn wait_record(&self, holder: u32, id: u32) {
        let sql = format!("SELECT count(*) FROM repmgr.nodes WHERE node_id = {id}");
        eventually(&format!("node{holder} has the record of node{id}"), || {
            (self.node(holder).server.try_query(&sql).as_deref() == Ok("1")).then_some(())
        });
    }

    /// Waits until a node's server accepts writes.
    pub fn wait_primary(&self, id: u32) {
        eventually(&format!("node{id} is primary"), || {
            self.node(id).server.is_primary().then_some(())
        });
    }

    /// The ids of the nodes whose servers accept writes.
    pub fn primaries(&self) -> Vec<u32> {
        self.nodes
            .iter()
            .filter(|node| node.server.is_primary())
            .map(|node| node.id)
            .collect()
    }
}

impl Node {
    /// What the cluster calls it.
    pub fn name(&self) -> String {
        format!("node{}", self.id)
    }

    /// Writes repmgr.conf with what every node needs, and `more` lines.
    pub fn write_config(&self, more: &str) {
        let mut text = format!(
            "node_id={}\nnode_name='{}'\nconninfo='{}'\ndata_directory='{}'\npg_bindir='{}'\n\
             service_start_command='{} -w -D {} -l {} start'\nlog_file='{}'\nrepmgrd_pid_file='{}'\n",
            self.id,
            self.name(),
            self.server.conninfo(),
            self.server.data.display(),
            self.server.stage.bindir.display(),
            self.server.stage.bindir.join("pg_ctl").display(),
            self.server.data.display(),
            self.server.log_file().display(),
            self.daemon_log_file().display(),
            self.pid_file().display(),
        );
        if self.server.host.is_some() {
            // Where a host looks for the programs of another.
            text.push_str(&format!("repmgr_bindir='{}'\n", self.programs.display()));
        }
        if self.server.flavor == Flavor::Tls {
            let passfile = self.server.folder.parent().expect("a folder").join("passfile");
            text.push_str(&format!("passfile='{}'\n", passfile.display()));
        }
        text.push_str(more);
        text.push('\n');
        user::write(&self.config_file, &text);
    }

    /// Lines of repmgr.conf for automatic failover, quick enough for a test.
    pub fn automatic_failover(&self) -> String {
        let repmgr = self.programs.join("repmgr");
        let (repmgr, config) = (repmgr.display(), self.config_file.display());
        format!(
            "failover=automatic\nmonitor_interval_secs=1\nreconnect_attempts=3\nreconnect_interval=1\n\
             primary_notification_timeout=15\n\
             promote_command='{repmgr} standby promote -f {config} --log-to-file'\n\
             follow_command='{repmgr} standby follow -f {config} --log-to-file --upstream-node-id=%n'\n"
        )
    }

    /// The role and the database `repmgr`, with the rights of the flavor.
    pub fn create_role(&self) {
        let rights = match self.server.flavor {
            Flavor::Unprivileged => "REPLICATION LOGIN",
            _ => "SUPERUSER REPLICATION LOGIN",
        };
        let password = PASSWORD.replace('\'', "''").replace('\\', "\\\\");
        let sql = format!("CREATE ROLE repmgr {rights} PASSWORD E'{password}'");
        let server = &self.server;
        server.try_query_in("postgres", &sql).expect("the role");
        server
            .try_query_in("postgres", "CREATE DATABASE repmgr OWNER repmgr")
            .expect("the database");
        if server.flavor == Flavor::Unprivileged {
            server.query("GRANT pg_monitor TO repmgr");
            server.query("GRANT EXECUTE ON FUNCTION pg_catalog.pg_promote(boolean, integer) TO repmgr");
            server.query("GRANT EXECUTE ON FUNCTION pg_catalog.pg_wal_replay_resume() TO repmgr");
        }
    }

    /// A program of this node with its configuration.
    pub fn program(&self, name: &str) -> Command {
        let mut command = self.server.command(self.programs.join(name));
        command
            .arg("-f")
            .arg(&self.config_file)
            .env("TMPDIR", &self.server.folder);
        command
    }

    /// Runs `repmgr -f CONFIG …`.
    pub fn repmgr(&self, arguments: &[&str]) -> Output {
        self.program("repmgr")
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("repmgr")
    }

    /// Runs `repmgr -f CONFIG …`, which must succeed; its standard output.
    pub fn repmgr_ok(&self, arguments: &[&str]) -> String {
        let output = self.repmgr(arguments);
        assert!(
            output.status.success(),
            "repmgr {arguments:?} on {} ended with {}",
            self.name(),
            describe(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `repmgr -f CONFIG …`, which must end with `code`; its standard error.
    pub fn repmgr_fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.repmgr(arguments);
        assert_eq!(
            output.status.code(),
            Some(code),
            "repmgr {arguments:?} on {}: {}",
            self.name(),
            describe(&output)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Clones this node from another, and gives it a port of its own.
    pub fn clone_from(&self, source: &Node, more: &[&str]) {
        let conninfo = source.server.conninfo();
        let options = [&["-d", &conninfo, "standby", "clone", "--fast-checkpoint"], more].concat();
        let superuser = Flavor::current().superuser_option();
        self.repmgr_ok(&[&options, superuser].concat());
        self.server.configure("");
    }

    /// Makes this node's server a standby of another with PostgreSQL's own programs, and starts it.
    pub fn base_backup_from(&self, source: &Node) {
        let conninfo = format!("{} application_name={}", source.server.conninfo(), self.name());
        let data = self.server.data.display().to_string();
        let arguments = [
            "-D",
            &data,
            "-d",
            &conninfo,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ];
        self.server.run("pg_basebackup", &arguments);
        self.server.configure("");
        self.server.start();
    }

    /// Where its daemon logs.
    pub fn daemon_log_file(&self) -> PathBuf {
        self.server.folder.join("repmgrd.log")
    }

    /// What its daemon logged.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.daemon_log_file()).unwrap_or_default()
    }

    /// Its daemon's PID file.
    pub fn pid_file(&self) -> PathBuf {
        self.server.folder.join("repmgrd.pid")
    }

    /// Starts its daemon in the foreground of the test and waits until it has published itself.
    pub fn start_daemon(&mut self) {
        let pid = self.spawn_daemon();
        eventually(
            &format!(
                "the daemon of {} is there; its log:\n{}",
                self.name(),
                self.daemon_log()
            ),
            || {
                let mark =
                    format!("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^repmgrd pid={pid}( |$)'");
                let published = self.server.try_query("SELECT repmgr.get_repmgrd_pid()").as_deref() == Ok(&pid)
                    || self.server.try_query(&mark).as_deref() == Ok("1");
                published.then_some(())
            },
        );
    }

    /// Starts its daemon in the foreground of the test; its process id. One that cannot see its upstream publishes
    /// nothing.
    pub fn spawn_daemon(&mut self) -> String {
        let child = self
            .program("repmgrd")
            .arg("--daemonize=false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("repmgrd");
        let pid = child.id().to_string();
        self.daemon = Some(child);
        pid
    }

    /// Its daemon's process, if the test started one.
    pub fn daemon_pid(&self) -> Option<Pid> {
        self.daemon
            .as_ref()
            .map(|child| Pid::from_raw(i32::try_from(child.id()).expect("a process id")))
    }

    /// Sends a signal to its daemon.
    pub fn signal_daemon(&self, signal: Signal) {
        kill(self.daemon_pid().expect("a daemon"), signal).expect("a signal to the daemon");
    }

    /// Waits until its daemon has ended; its exit code.
    pub fn wait_daemon(&mut self) -> Option<i32> {
        let mut child = self.daemon.take().expect("a daemon");
        eventually("the daemon ended", || child.try_wait().expect("the daemon's status")).code()
    }

    /// Whether its daemon has ended by itself; then it is forgotten.
    pub fn daemon_has_ended(&mut self) -> bool {
        let ended = self
            .daemon
            .as_mut()
            .is_some_and(|child| child.try_wait().expect("the daemon's status").is_some());
        if ended {
            self.daemon = None;
        }
        ended
    }

    /// Ends its daemon with SIGTERM; its exit code.
    pub fn stop_daemon(&mut self) -> Option<i32> {
        self.signal_daemon(Signal::SIGTERM);
        self.wait_daemon()
    }

    /// A column of its own record, as a server sees it.
    pub fn record_on(&self, server: &Server, column: &str) -> String {
        server.query(&format!(
            "SELECT {column} FROM repmgr.nodes WHERE node_id = {}",
            self.id
        ))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep || std::thread::panicking() {
            eprintln!("kept: {}", self.folder.display());
            for node in &mut self.nodes {
                if std::thread::panicking() {
                    eprintln!("--- {} daemon log\n{}", node.name(), node.daemon_log());
                }
            }
        }
        let keep = self.keep;
        if !keep {
            self.end_programs();
        }
        for node in self.nodes.drain(..) {
            if keep {
                std::mem::forget(node);
            }
        }
        if !keep && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Cluster {
    /// What a daemon has started outlives it, and would take the next server at its node's port for its own.
    fn end_programs(&self) {
        let folder = format!("{}/", self.folder.display());
        for process in std::fs::read_dir("/proc").expect("the processes").flatten() {
            let Ok(pid) = process.file_name().to_string_lossy().parse() else {
                continue;
            };
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let program = line.split('\0').next().unwrap_or_default();
            if line.contains(&folder) && !program.ends_with("/postgres") {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

fn describe(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
