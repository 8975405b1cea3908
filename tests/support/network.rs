//! Hosts without machines: network namespaces on a switch of their own, and
//! the faults that packets meet between them.
//!
//! Nothing is added to the machine's own network: the switch has a namespace,
//! too. Names and addresses are taken by a locked file for as long as the test
//! process lives; who takes a number removes what a killed test left under it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::{eventually, user};

/// Programs that this needs, each with its Debian package.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("setpriv", "util-linux"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
];

/// The namespace of one host.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name for `ip netns`.
    pub name: String,
    /// The host's address.
    pub address: String,
    /// The ordinary user's home on this host.
    pub home: PathBuf,
    /// Variables that everything gets that is started on this host.
    pub environment: Vec<(String, String)>,
}

/// Hosts on a switch. Removed, with all of their processes, when dropped.
pub struct Network {
    number: u8,
    /// The hosts, in order.
    pub hosts: Vec<Namespace>,
    keep: bool,
    _lock: File,
}

impl Network {
    /// `count` hosts called `node1` and so on, which reach one another. Each has the home of the ordinary user under
    /// `folder`. Tells why not, if it cannot be done here.
    pub fn new(count: u32, folder: &std::path::Path) -> Result<Network, String> {
        if !geteuid().is_root() {
            return Err("hosts with addresses of their own need root".to_owned());
        }
        for (program, package) in PROGRAMS {
            let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .iter()
                .any(|folder| std::path::Path::new(folder).join(program).exists());
            if !found {
                return Err(format!("{program} is missing (package {package})"));
            }
        }
        let (number, lock) = take_number();
        remove(number);
        let mut network = Network {
            number,
            hosts: Vec::new(),
            keep: false,
            _lock: lock,
        };
        ip(&["netns", "add", &network.switch()])?;
        let switch = network.switch();
        ip(&["-n", &switch, "link", "add", "switch", "up", "type", "bridge"])?;
        for id in 1..=count {
            let host = Namespace {
                name: format!("{}node{id}", prefix(number)),
                address: format!("198.18.{number}.{id}"),
                home: folder.join(format!("node{id}")),
                environment: Vec::new(),
            };
            network.plug(&host, id)?;
            network.hosts.push(host);
        }
        network.write_names();
        Ok(network)
    }

    /// Leaves everything there when dropped, until another test needs the number.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    fn switch(&self) -> String {
        format!("{}switch", prefix(self.number))
    }

    fn plug(&self, host: &Namespace, id: u32) -> Result<(), String> {
        let (switch, name, port) = (self.switch(), &host.name, format!("port{id}"));
        ip(&["netns", "add", name])?;
        let cable = ["-n", &switch, "link", "add", &port, "up", "type", "veth", "peer"];
        ip(&[&cable[..], &["name", "eth0", "netns", name]].concat())?;
        ip(&["-n", &switch, "link", "set", &port, "master", "switch"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        let address = format!("{}/24", host.address);
        ip(&["-n", name, "address", "add", &address, "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        filter(
            host,
            "add chain inet faults input { type filter hook input priority 0; }\n",
        )
    }

    /// `ip netns exec` puts the files of this folder in the place of those in /etc: names of the hosts, and a home
    /// of its own for the ordinary user (ssh asks the user database for it, not the environment), who may log in.
    fn write_names(&self) {
        let mut names = "127.0.0.1 localhost\n".to_owned();
        for (index, host) in self.hosts.iter().enumerate() {
            names.push_str(&format!("{} node{}\n", host.address, index + 1));
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("the user database");
        let (_, _, user) = user::ordinary();
        for host in &self.hosts {
            let folder = settings_folder(&host.name);
            std::fs::create_dir_all(&folder).expect("a folder under /etc/netns");
            std::fs::write(folder.join("hosts"), &names).expect("the names of the hosts");
            let users: String = users.lines().map(|line| with_home(line, &user, host)).collect();
            std::fs::write(folder.join("passwd"), users).expect("the users of the host");
            // No password, but not locked either: sshd would refuse that.
            std::fs::write(folder.join("shadow"), format!("root:*:::::::\n{user}:*:::::::\n")).expect("the passwords");
        }
    }

    /// Gives the ordinary user of a host another login shell.
    pub fn set_shell(&self, id: u32, shell: &std::path::Path) {
        let host = self.host(id);
        let path = settings_folder(&host.name).join("passwd");
        let users = std::fs::read_to_string(&path).expect("the users of the host");
        let (_, _, user) = user::ordinary();
        let with_shell = |line: &str| match line.rsplit_once(':') {
            Some((rest, _)) if line.starts_with(&format!("{user}:")) => format!("{rest}:{}\n", shell.display()),
            _ => format!("{line}\n"),
        };
        // In place: programs of the host see this very file.
        std::fs::write(path, users.lines().map(with_shell).collect::<String>()).expect("the users of the host");
    }

    /// A host by its number from 1.
    pub fn host(&self, id: u32) -> &Namespace {
        &self.hosts[usize::try_from(id - 1).expect("small")]
    }

    /// Packets from one host to another are lost.
    pub fn cut_one_way(&self, from: u32, to: u32) {
        self.drop_at(to, &format!("ip saddr {}", self.host(from).address));
    }

    /// Packets between two hosts are lost.
    pub fn cut(&self, one: u32, other: u32) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Packets from and to a host are lost; what runs there goes on.
    pub fn isolate(&self, id: u32) {
        self.drop_at(id, "iifname eth0");
        for other in (1..=u32::try_from(self.hosts.len()).expect("few hosts")).filter(|other| *other != id) {
            self.cut_one_way(id, other);
        }
    }

    /// Packets to one port of a host are lost, from wherever they come.
    pub fn drop_port(&self, id: u32, port: u16) {
        self.drop_at(id, &format!("iifname eth0 tcp dport {port}"));
    }

    /// Packets from one host to one port of another are lost.
    pub fn drop_port_from(&self, from: u32, to: u32, port: u16) {
        self.drop_at(to, &format!("ip saddr {} tcp dport {port}", self.host(from).address));
    }

    /// So many packets of a hundred to a host are lost.
    pub fn lose(&self, id: u32, percent: u32) {
        assert!((1..=100).contains(&percent), "{percent} of a hundred");
        let highest = percent - 1;
        self.drop_at(id, &format!("iifname eth0 numgen random mod 100 <= {highest}"));
    }

    /// The same for packets from one host to another.
    pub fn lose_from(&self, from: u32, to: u32, percent: u32) {
        assert!((1..=100).contains(&percent), "{percent} of a hundred");
        let (address, highest) = (&self.host(from).address, percent - 1);
        self.drop_at(to, &format!("ip saddr {address} numgen random mod 100 <= {highest}"));
    }

    /// A port of a host refuses others: all that they send, or new connections only.
    pub fn refuse_port(&self, id: u32, port: u16, new_only: bool) {
        let new = if new_only { "tcp flags & (syn | ack) == syn" } else { "" };
        let rule = format!("add rule inet faults input iifname eth0 tcp dport {port} {new} reject with tcp reset\n");
        filter(self.host(id), &rule).expect("the packet filter");
    }

    /// Packets from a host are late. Says whether this kernel can do that.
    pub fn delay(&self, id: u32, milliseconds: u32) -> bool {
        let delay = format!("{milliseconds}ms");
        let name = &self.host(id).name;
        let arguments = ["-n", name, "qdisc", "replace", "dev", "eth0", "root", "netem", "delay"];
        let mut tc = Command::new("tc");
        tc.args(arguments).arg(delay).stderr(Stdio::null());
        tc.status().is_ok_and(|status| status.success())
    }

    /// A host's packets leave it over a slow line: those that wait are late, by up to `milliseconds`; those that would
    /// have to wait longer are lost.
    pub fn slow_line(&self, id: u32, kilobits_a_second: u32, milliseconds: u32) {
        let (rate, latency) = (format!("{kilobits_a_second}kbit"), format!("{milliseconds}ms"));
        let name = &self.host(id).name;
        let device = ["-n", name, "qdisc", "replace", "dev", "eth0", "root"];
        let shape = ["tbf", "rate", &rate, "burst", "1600", "latency", &latency];
        let output = Command::new("tc").args(device).args(shape).output();
        succeeded("tc", output).expect("a slow line");
    }

    /// Nothing is lost or late any more.
    pub fn heal(&self) {
        for host in &self.hosts {
            filter(host, "flush chain inet faults input\n").expect("the packet filter");
            let mut tc = Command::new("tc");
            tc.args(["-n", &host.name, "qdisc", "delete", "dev", "eth0", "root"]);
            // There may be no delay to take away.
            let _ = tc.stderr(Stdio::null()).status();
        }
    }

    fn drop_at(&self, id: u32, packets: &str) {
        let rule = format!("add rule inet faults input {packets} drop\n");
        filter(self.host(id), &rule).expect("the packet filter");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if !self.keep {
            remove(self.number);
        }
    }
}

impl Namespace {
    /// A program on this host as root.
    pub fn root_command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// The processes of this host.
    pub fn processes(&self) -> Vec<Pid> {
        let output = Command::new("ip").args(["netns", "pids", &self.name]).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.trim().parse().ok().map(Pid::from_raw))
            .collect()
    }

    /// The processes of this host whose name (of at most 15 letters) is `name`.
    pub fn processes_called(&self, name: &str) -> Vec<Pid> {
        let called = |pid: &Pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|is| is.trim() == name);
        self.processes().into_iter().filter(called).collect()
    }

    /// `kill -9` of everything on this host.
    pub fn kill_all(&self) {
        eventually(&format!("nothing runs on {}", self.name), || {
            let processes = self.processes();
            for pid in &processes {
                // It may be gone already.
                let _ = kill(*pid, Signal::SIGKILL);
            }
            processes.is_empty().then_some(())
        });
    }
}

fn prefix(number: u8) -> String {
    format!("repmgr-{number}-")
}

fn settings_folder(namespace: &str) -> PathBuf {
    PathBuf::from("/etc/netns").join(namespace)
}

fn with_home(line: &str, user: &str, host: &Namespace) -> String {
    let mut fields: Vec<&str> = line.split(':').collect();
    let home = host.home.display().to_string();
    if fields.len() == 7 && fields[0] == user {
        fields[5] = &home;
        fields[6] = "/bin/sh";
    }
    fields.join(":") + "\n"
}

/// A number that no other process has.
fn take_number() -> (u8, File) {
    let folder = std::env::temp_dir().join("repmgr-oxide-test-networks");
    std::fs::create_dir_all(&folder).expect("the folder of network locks");
    // Only the folder's owner can say so.
    let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777));
    for number in 0..=255 {
        let Ok(file) = File::create(folder.join(number.to_string())) else {
            continue;
        };
        if file.try_lock().is_ok() {
            return (number, file);
        }
    }
    panic!("256 test networks at the same time");
}

/// Removes the namespaces of a number and all that runs in them.
fn remove(number: u8) {
    let prefix = prefix(number);
    for folder in ["/run/netns", "/etc/netns"] {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with(&prefix) {
                continue;
            }
            if folder == "/run/netns" {
                let host = Namespace {
                    name: name.clone(),
                    address: String::new(),
                    home: PathBuf::new(),
                    environment: Vec::new(),
                };
                host.kill_all();
                let _ = ip(&["netns", "delete", &name]);
            } else {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    succeeded("ip", Command::new("ip").args(arguments).output())
}

/// Changes the packet filter of a host. What is sent is dropped where it arrives: a sender is not told.
fn filter(host: &Namespace, rules: &str) -> Result<(), String> {
    let mut nft = host.root_command("nft");
    let mut nft = nft
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nft: {error}"))?;
    let mut input = nft.stdin.take().expect("a pipe");
    let text = format!("add table inet faults\n{rules}");
    input.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    drop(input);
    succeeded("nft", nft.wait_with_output())
}

fn succeeded(program: &str, output: std::io::Result<Output>) -> Result<(), String> {
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} ended with {}: {}", output.status, said.trim()))
}
