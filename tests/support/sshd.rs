//! An sshd on loopback that runs as the ordinary user, with keys and the
//! configuration of a client for it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use repmgr::config::Config;

use super::{eventually, ports, user};

/// A server, its keys, and a client's configuration for it.
pub struct Sshd {
    folder: tempfile::TempDir,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// The listener.
    pub process: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for process in descendants(&self.process.id().to_string()) {
            signal("-KILL", &process);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sshd {
    /// With additional lines of its configuration.
    pub fn start(settings: &str) -> Sshd {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
        user::give(folder.path());
        let path = |name: &str| folder.path().join(name);
        for (name, key_type) in [
            ("host_ed25519", "ed25519"),
            ("host_ecdsa", "ecdsa"),
            ("other", "ed25519"),
        ] {
            make_key(&path(name), key_type, "");
        }
        make_key(&path("id"), "ed25519", "");
        user::write(
            &path("authorized_keys"),
            &std::fs::read_to_string(path("id.pub")).expect("a key"),
        );
        let port = ports::free();
        let shown = |name: &str| path(name).display().to_string();
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nLogLevel DEBUG1\n{settings}\n",
            shown("host_ed25519"),
            shown("host_ecdsa"),
            shown("authorized_keys")
        );
        user::write(&path("sshd_config"), &text);
        user::write(&path("log"), "");
        let process = user::command("/usr/sbin/sshd")
            .args(["-D", "-f", &shown("sshd_config"), "-E", &shown("log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd");
        let sshd = Sshd { folder, port, process };
        sshd.know("host_ed25519");
        sshd.configure(&format!("IdentityFile {}", sshd.path("id").display()));
        eventually("sshd listens", || sshd.log().contains("Server listening").then_some(()));
        sshd
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Makes one of the keys the known one.
    pub fn know(&self, key: &str) {
        let key = std::fs::read_to_string(self.path(&format!("{key}.pub"))).expect("a key");
        std::fs::write(self.path("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).expect("known hosts");
    }

    /// Writes the client's configuration.
    pub fn configure(&self, lines: &str) {
        let (_, _, user) = user::ordinary();
        let known = self.path("known_hosts").display().to_string();
        let text = format!(
            "Host 127.0.0.1\n  Port {}\n  User {user}\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n  \
             IdentitiesOnly yes\n  {}\n",
            self.port,
            lines.replace('\n', "\n  ")
        );
        std::fs::write(self.path("ssh_config"), text).expect("a configuration");
    }

    /// The configuration of repmgr for that, with additional options.
    pub fn config(&self, options: &str) -> Config {
        Config {
            ssh_options: format!("-F {} {options}", self.path("ssh_config").display()),
            ..Config::default()
        }
    }

    /// The programs of all clients that have come so far.
    pub fn clients(&self) -> Vec<String> {
        let log = self.log();
        let client = |line: &str| {
            let (_, version) = line.split_once("remote software version ")?;
            Some(version.split(['_', ' ']).next()?.to_owned())
        };
        log.lines().filter_map(client).collect()
    }

    /// The processes that serve clients, one each.
    pub fn sessions(&self) -> Vec<String> {
        children(&self.process.id().to_string())
    }
}

fn children(parent: &str) -> Vec<String> {
    let found = Command::new("pgrep").args(["-P", parent]).output().expect("pgrep");
    String::from_utf8_lossy(&found.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// All processes below one.
pub fn descendants(parent: &str) -> Vec<String> {
    let mut found = children(parent);
    found.extend(children(parent).iter().flat_map(|child| descendants(child)));
    found
}

/// Sends a signal, as kill(1) has it.
pub fn signal(signal: &str, process: &str) {
    // It may have ended.
    let _ = Command::new("kill")
        .args([signal, process])
        .stderr(Stdio::null())
        .status();
}

/// Makes a key that the ordinary user owns.
pub fn make_key(path: &Path, key_type: &str, passphrase: &str) {
    let status = user::command("ssh-keygen")
        .args(["-q", "-t", key_type, "-N", passphrase, "-C", "test", "-f"])
        .arg(path)
        .status();
    assert!(status.expect("ssh-keygen").success());
}
