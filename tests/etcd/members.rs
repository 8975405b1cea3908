//! An etcd cluster of Debian's etcd-server (`scripts/stage-etcd.sh`), three members on this host.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use repmgr::http::{Endpoint, Exchange};

use crate::support::{eventually, ports, user};

/// The members; they end with this.
pub struct Etcd {
    folder: PathBuf,
    members: Vec<Member>,
    /// The certificate and key that all use, if they use any.
    tls: Option<(PathBuf, PathBuf)>,
}

struct Member {
    client: u16,
    peer: u16,
    child: Option<Child>,
}

fn program() -> PathBuf {
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stage-etcd-path");
    let stage = std::fs::read_to_string(pointer).expect("no staged etcd; run: scripts/stage-etcd.sh");
    Path::new(stage.trim()).join("usr/bin/etcd")
}

impl Etcd {
    /// Three members below this folder, that answer.
    pub fn up(folder: &Path) -> Etcd {
        Etcd::start(folder, None)
    }

    /// The same over TLS, for clients with a certificate only.
    pub fn up_with_tls(folder: &Path) -> Etcd {
        let folder = folder.join("etcd");
        user::folder(&folder);
        let (certificate, key) = (folder.join("etcd.crt"), folder.join("etcd.key"));
        let made = user::command("openssl")
            .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /O=test".split(' '))
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{made:?}");
        Etcd::start(folder.parent().expect("a folder"), Some((certificate, key)))
    }

    fn start(folder: &Path, tls: Option<(PathBuf, PathBuf)>) -> Etcd {
        let folder = folder.join("etcd");
        user::folder(&folder);
        let members = (0..3).map(|_| Member {
            client: ports::free(),
            peer: ports::free(),
            child: None,
        });
        let mut etcd = Etcd {
            folder,
            members: members.collect(),
            tls,
        };
        (0..3).for_each(|at| etcd.go_on(at));
        eventually("etcd has a majority", || {
            etcd.ask("/v3/kv/range", r#"{"key":"eA=="}"#).ok()
        });
        etcd
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The members, as in repmgr.conf.
    pub fn endpoints(&self) -> String {
        let one = |member: &Member| format!("{}://127.0.0.1:{}", self.scheme(), member.client);
        self.members.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// The lines of repmgr.conf that lead to it.
    pub fn settings(&self) -> String {
        let mut settings = format!(
            "write_right=etcd\nwrite_right_duration=3\netcd_endpoints='{}'\n",
            self.endpoints()
        );
        if let Some((certificate, key)) = &self.tls {
            let (certificate, key) = (certificate.display(), key.display());
            settings +=
                &format!("etcd_ca_file='{certificate}'\netcd_cert_file='{certificate}'\netcd_key_file='{key}'\n");
        }
        settings
    }

    /// Starts a member, as new or with what it had.
    pub fn go_on(&mut self, at: usize) {
        let name = |at: usize| format!("member{at}");
        let peers = self.members.iter().enumerate();
        let peers = peers.map(|(at, member)| format!("{}=http://127.0.0.1:{}", name(at), member.peer));
        let peers = peers.collect::<Vec<_>>().join(",");
        let member = &self.members[at];
        let client = format!("{}://127.0.0.1:{}", self.scheme(), member.client);
        let peer = format!("http://127.0.0.1:{}", member.peer);
        let mut command = user::command(program());
        command
            .args(["--name", &name(at), "--initial-cluster", &peers])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster-state", "new", "--logger", "zap", "--log-outputs"])
            .arg(self.folder.join(format!("{}.log", name(at))))
            .arg("--data-dir")
            .arg(self.folder.join(name(at)));
        if let Some((certificate, key)) = &self.tls {
            command
                .arg("--client-cert-auth")
                .arg("--trusted-ca-file")
                .arg(certificate);
            command.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.members[at].child = Some(command.spawn().expect("etcd"));
    }

    /// Kills a member.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.members[at].child.take() {
            child.kill().expect("a signal");
            child.wait().expect("its status");
        }
    }

    /// Sends all members a signal.
    pub fn signal(&self, signal: Signal) {
        for child in self.members.iter().filter_map(|member| member.child.as_ref()) {
            kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), signal).expect("a signal");
        }
    }

    /// A call of the gateway, of the first member that answers.
    pub fn ask(&self, path: &str, json: &str) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let connector = self.tls.as_ref().map(|(certificate, key)| {
            let mut builder = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap();
            builder.set_ca_file(certificate).unwrap();
            builder.set_certificate_chain_file(certificate).unwrap();
            builder
                .set_private_key_file(key, openssl::ssl::SslFiletype::PEM)
                .unwrap();
            builder.build()
        });
        let mut why = String::new();
        for endpoint in self.endpoints().split(',') {
            let endpoint = Endpoint::parse(endpoint, 2379).expect("an endpoint");
            let exchange = Exchange {
                path,
                json: Some(json.to_owned()),
                connector: connector.as_ref(),
                ..Exchange::default()
            };
            match runtime.block_on(endpoint.request(exchange, Duration::from_secs(5))) {
                Ok(reply) if reply.status == 200 => return Ok(reply.body),
                Ok(reply) => why = reply.body,
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        (0..self.members.len()).for_each(|at| self.kill(at));
    }
}
