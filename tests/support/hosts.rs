//! A cluster whose nodes have a host each: an address, a PostgreSQL on the same
//! port as everywhere, an sshd, a home of the ordinary user with keys and known hosts.
//!
//! ```text
//! let Some(hosts) = Hosts::up("name", 3) else { return };   // no root: counted as skipped
//! hosts.isolate(2);                                          // and cut, drop_port, heal…
//! hosts.node(1).repmgr(&["cluster", "crosscheck"]);          // runs on the host of node 1
//! ```

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};

use super::cluster::Cluster;
use super::network::{Namespace, Network};
use super::server::Server;
use super::stage::{self, Stage};
use super::{eventually, user};

/// The port of PostgreSQL on every host.
pub const POSTGRES: u16 = 5432;
/// The port of sshd on every host.
pub const SSH: u16 = 22;

/// A cluster of hosts; the nodes and what is done with them are those of [`Cluster`].
pub struct Hosts {
    cluster: Cluster,
    network: Network,
}

impl Deref for Hosts {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for Hosts {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if self.cluster.keeps() {
            self.network.keep();
        }
    }
}

impl Hosts {
    /// `count` hosts with an sshd and a configuration each, without servers. Where it cannot be done, the layer
    /// `faults` is skipped.
    pub fn new(name: &str, count: u32) -> Option<Hosts> {
        Hosts::with_stage(name, count, stage::stage(), stage::programs())
    }

    /// The same with another PostgreSQL and other programs.
    pub fn with_stage(name: &str, count: u32, stage: &'static Stage, programs: &Path) -> Option<Hosts> {
        Hosts::with_guests(name, count, 0, stage, programs)
    }

    /// The same with hosts behind the last node that have none: those of clients.
    pub fn with_guests(name: &str, count: u32, guests: u32, stage: &'static Stage, programs: &Path) -> Option<Hosts> {
        let mut cluster = Cluster::with_stage(name, 0, stage, programs);
        let network = match Network::new(count + guests, &cluster.folder.join("home")) {
            Ok(network) => network,
            Err(reason) => {
                super::skip("faults", &reason);
                return None;
            }
        };
        for (id, namespace) in (1..=count).zip(&network.hosts) {
            cluster.add_node(id, stage, programs, Some(namespace.clone()));
        }
        let hosts = Hosts { cluster, network };
        hosts.make_homes();
        for id in 1..=count {
            hosts.start_sshd(id);
        }
        Some(hosts)
    }

    /// Node 1 running and registered as primary; the others cloned, running, registered, streaming.
    pub fn up(name: &str, count: u32) -> Option<Hosts> {
        Hosts::up_with(name, count, "", "")
    }

    /// The same with additional lines of postgresql.conf and repmgr.conf.
    pub fn up_with(name: &str, count: u32, server_settings: &str, settings: &str) -> Option<Hosts> {
        let hosts = Hosts::new(name, count)?;
        hosts.bring_up(server_settings, settings);
        Some(hosts)
    }

    /// `count` hosts, some of which run the original and its PostgreSQL, the others ours. All find `repmgr` in the
    /// same place, as the original expects it. Where the original is not staged, the layer `conformance` is skipped.
    pub fn mixed(name: &str, count: u32, of_the_original: &[u32]) -> Option<Hosts> {
        let Some(original) = stage::original() else {
            super::skip(
                "conformance",
                "the original is not staged; run: scripts/stage-original.sh",
            );
            return None;
        };
        let mut hosts = Hosts::new(name, count)?;
        let place = hosts.folder.join("bin");
        user::folder(&place);
        for program in ["repmgr", "repmgrd"] {
            let path = place.join(program);
            user::write_program(&path, &format!("#!/bin/sh\nexec \"$HOME/bin/{program}\" \"$@\"\n"));
        }
        for id in 1..=count {
            let host = hosts.host(id).clone();
            let of_the_original = of_the_original.contains(&id);
            let node = hosts.node_mut(id);
            if of_the_original {
                node.server = Server::on_host(&node.server.folder.clone(), original, host.clone());
            }
            let programs: &Path = if of_the_original {
                &original.bindir
            } else {
                stage::programs()
            };
            std::os::unix::fs::symlink(programs, host.home.join("bin")).expect("the programs of a host");
            node.programs.clone_from(&place);
            node.write_config("");
        }
        Some(hosts)
    }

    /// Writes the configurations, starts and registers all nodes of hosts that have none yet.
    pub fn bring_up(&self, server_settings: &str, settings: &str) {
        for node in &self.nodes {
            node.write_config(settings);
        }
        self.primary_up(server_settings);
        for node in &self.nodes[1..] {
            self.standby_up(node.id);
        }
    }

    /// The host of a node.
    pub fn host(&self, id: u32) -> &Namespace {
        self.network.host(id)
    }

    /// A program as the ordinary user on a host.
    pub fn command(&self, id: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
        user::command_on(self.host(id), program)
    }

    /// Runs a command from one host on another over ssh, with nobody to ask for a password.
    pub fn ssh(&self, from: u32, to: u32, command: &str) -> Output {
        self.command(from, "ssh")
            .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=2"])
            .args([&self.host(to).address, command])
            .stdin(Stdio::null())
            .output()
            .expect("ssh")
    }

    /// From now on the shell that sshd starts on a host begins with these lines, as a profile of its user may.
    pub fn login_shell(&self, id: u32, lines: &str) {
        let shell = self.host(id).home.join("shell");
        user::write(&shell, &format!("#!/bin/sh\n{lines}\nexec /bin/sh \"$@\"\n"));
        std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755)).expect("the mode of a shell");
        self.network.set_shell(id, &shell);
    }

    /// Packets from one host to another are lost.
    pub fn cut_one_way(&self, from: u32, to: u32) {
        self.network.cut_one_way(from, to);
    }

    /// Packets between two hosts are lost.
    pub fn cut(&self, one: u32, other: u32) {
        self.network.cut(one, other);
    }

    /// Packets from and to a host are lost; what runs there goes on.
    pub fn isolate(&self, id: u32) {
        self.network.isolate(id);
    }

    /// Packets to a port of a host ([`POSTGRES`], [`SSH`]) are lost, from wherever they come.
    pub fn drop_port(&self, id: u32, port: u16) {
        self.network.drop_port(id, port);
    }

    /// Packets from one host to a port of another are lost.
    pub fn drop_port_from(&self, from: u32, to: u32, port: u16) {
        self.network.drop_port_from(from, to, port);
    }

    /// So many packets of a hundred to a host are lost.
    pub fn lose(&self, id: u32, percent: u32) {
        self.network.lose(id, percent);
    }

    /// The same for packets from one host to another.
    pub fn lose_from(&self, from: u32, to: u32, percent: u32) {
        self.network.lose_from(from, to, percent);
    }

    /// A port of a host refuses others: all that they send, or new connections only.
    pub fn refuse_port(&self, id: u32, port: u16, new_only: bool) {
        self.network.refuse_port(id, port, new_only);
    }

    /// Packets from a host are late. Says whether this kernel can do that.
    pub fn delay(&self, id: u32, milliseconds: u32) -> bool {
        self.network.delay(id, milliseconds)
    }

    /// A host's packets leave it over a slow line: those that wait are late, by up to `milliseconds`; those that would
    /// have to wait longer are lost.
    pub fn slow_line(&self, id: u32, kilobits_a_second: u32, milliseconds: u32) {
        self.network.slow_line(id, kilobits_a_second, milliseconds);
    }

    /// Nothing is lost or late any more.
    pub fn heal(&self) {
        self.network.heal();
    }

    /// The host dies: nothing runs there any more, and nothing answers.
    pub fn power_off(&self, id: u32) {
        self.isolate(id);
        self.host(id).kill_all();
        let server = &self.node(id).server;
        eventually("the killed server is gone", || (!server.is_running()).then_some(()));
    }

    /// The host is there again, and its sshd; PostgreSQL is not started. Heals every other fault, too.
    pub fn power_on(&self, id: u32) {
        self.heal();
        self.start_sshd(id);
    }

    /// Ends the sshd of a host and its sessions: connections are refused.
    pub fn stop_sshd(&self, id: u32) {
        eventually(&format!("no sshd on the host of node{id}"), || {
            let left = self.host(id).processes_called("sshd");
            for pid in &left {
                // It may be gone already.
                let _ = kill(*pid, Signal::SIGKILL);
            }
            left.is_empty().then_some(())
        });
    }

    /// Starts the sshd of a host and waits until one can log in.
    pub fn start_sshd(&self, id: u32) {
        let host = self.host(id);
        let settings = self.folder.join("ssh").join(format!("node{id}.conf"));
        let log = self.folder.join("ssh").join(format!("node{id}.log"));
        // Its folder for unprivileged processes; the package's service makes it at boot.
        std::fs::create_dir_all("/run/sshd").expect("the folder /run/sshd");
        let output = host
            .root_command("/usr/sbin/sshd")
            .arg("-f")
            .arg(settings)
            .arg("-E")
            .arg(&log)
            .output()
            .expect("sshd");
        assert!(
            output.status.success(),
            "sshd: {}{}",
            String::from_utf8_lossy(&output.stderr),
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        eventually(&format!("the sshd of node{id} lets in; see {}", log.display()), || {
            self.ssh(id, id, "true").status.success().then_some(())
        });
    }

    /// Keys of hosts and user, known hosts, settings of every sshd.
    fn make_homes(&self) {
        let keys = self.folder.join("ssh");
        std::fs::create_dir_all(&keys).expect("the folder of the keys");
        make_key(&keys.join("user"));
        let mut known = String::new();
        for (id, host) in (1..).zip(&self.network.hosts) {
            let key = keys.join(format!("node{id}"));
            make_key(&key);
            let public = std::fs::read_to_string(key.with_extension("pub")).expect("a public key");
            known.push_str(&format!("node{id},{} {public}", host.address));
            let settings = format!(
                "Port {SSH}\nListenAddress {}\nHostKey {}\nPidFile none\nUsePAM no\nUseDNS no\nStrictModes no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPubkeyAuthentication yes\n\
                 AuthorizedKeysFile .ssh/authorized_keys\nPrintMotd no\nPrintLastLog no\nMaxStartups 100\n",
                host.address,
                key.display()
            );
            std::fs::write(keys.join(format!("node{id}.conf")), settings).expect("the settings of sshd");
        }
        for host in &self.network.hosts {
            user::folder(&host.home);
            let folder = host.home.join(".ssh");
            user::folder(&folder);
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).expect("the mode of .ssh");
            copy(&keys.join("user.pub"), &folder.join("authorized_keys"));
            copy(&keys.join("user.pub"), &folder.join("id_ed25519.pub"));
            copy(&keys.join("user"), &folder.join("id_ed25519"));
            user::write(&folder.join("known_hosts"), &known);
            user::write(
                &folder.join("config"),
                "Host *\n    IdentityFile ~/.ssh/id_ed25519\n    StrictHostKeyChecking yes\n",
            );
        }
    }
}

fn make_key(path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path)
        .status();
    assert!(
        status.expect("ssh-keygen").success(),
        "no key could be made at {}",
        path.display()
    );
}

/// A copy that is the ordinary user's alone.
fn copy(from: &Path, to: &Path) {
    user::write(to, &std::fs::read_to_string(from).expect("a key"));
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o600)).expect("the mode of a key");
}
