//! One server for the whole file of tests, reached in every way that libpq knows.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use repmgr::conninfo::{Conninfo, Environment};
use repmgr::postgres::{ConnectError, Connection, Deadlines};

use super::certificates::{self, Identity};
use crate::support::flavor::Flavor;
use crate::support::server::Server;
use crate::support::stage::stage;
use crate::support::user;

/// The password of every role that has one.
pub const PASSWORD: &str = r"pass word'\:é";

/// The server with its authority.
pub struct Stand {
    pub server: Server,
    /// Where the clients' files are.
    pub files: PathBuf,
    pub authority: Identity,
}

/// Long enough for a busy machine, and short enough to notice a call that never ends.
pub fn deadlines() -> Deadlines {
    Deadlines {
        connect: Duration::from_secs(20),
        query: Duration::from_secs(20),
        ..Deadlines::default()
    }
}

/// An environment of nothing: no variables, no home, a user of its own.
pub fn nobody() -> Environment {
    Environment::of_variables([]).with_user("nobody")
}

pub fn conninfo(text: &str) -> Conninfo {
    Conninfo::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub async fn try_connect(text: &str) -> Result<Connection, ConnectError> {
    Connection::connect_in(&nobody(), &conninfo(text), deadlines()).await
}

pub async fn connect(text: &str) -> Connection {
    try_connect(text)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The error of a connection string that must not connect.
pub async fn refused(text: &str) -> ConnectError {
    match try_connect(text).await {
        Ok(connection) => panic!("connected with {connection:?}"),
        Err(error) => error,
    }
}

/// One text value.
pub async fn ask(connection: &Connection, sql: &str) -> String {
    let value: Option<String> = connection
        .value(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    value.unwrap_or_default()
}

/// Runs one asynchronous test as the programs run: on one thread.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(test);
    runtime.shutdown_background();
    result
}

/// The server with its authority, made once.
pub fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("repmgr-connections-{}", std::process::id()));
        let server = new_server(&folder.join("one"));
        stop_with_this_process(&server, &folder);
        let files = folder.join("client");
        user::folder(&files);
        let authority = certificates::make("the authority", &[], 1, None);
        authority.write(&files, "authority");
        let identity = certificates::make("ignored", &["localhost", "n1.test"], 10, Some(&authority));
        let (certificate, key) = identity.write(&server.folder, "server");
        let (root, _) = authority.write(&server.folder, "root");
        for file in [&certificate, &key, &root] {
            user::give(file);
        }
        server.initialise(&format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\n",
            certificate.display(),
            key.display(),
            root.display()
        ));
        user::write(&server.data.join("pg_hba.conf"), AUTHENTICATION);
        server.start();
        for (role, encryption) in [
            ("with_scram", "scram-sha-256"),
            ("with_md5", "md5"),
            ("with_cleartext", "scram-sha-256"),
        ] {
            sql(
                &server,
                &format!(
                    "SET password_encryption = '{encryption}'; CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{}'",
                    PASSWORD.replace('\'', "''")
                ),
            );
        }
        for role in ["with_certificate", "only_encrypted", "never_encrypted", "rejected"] {
            sql(&server, &format!("CREATE ROLE {role} LOGIN"));
        }
        sql(&server, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0");
        Stand {
            server,
            files,
            authority,
        }
    })
}

const AUTHENTICATION: &str = "\
local     all,replication  all               trust
host      all,replication  with_scram        samehost  scram-sha-256
host      all,replication  with_md5          samehost  md5
host      all,replication  with_cleartext    samehost  password
hostssl   all              with_certificate  samehost  cert
hostssl   all              only_encrypted    samehost  trust
hostnossl all              never_encrypted   samehost  trust
host      all              postgres,crowded  samehost  trust
host      replication      postgres          samehost  trust
";

fn new_server(folder: &Path) -> Server {
    user::folder(folder.parent().expect("a parent"));
    let mut server = Server::new(folder, stage());
    // These tests bring every way of connecting themselves.
    server.flavor = Flavor::Plain;
    server
}

pub fn sql(server: &Server, sql: &str) -> String {
    let answer = server.try_query_in("postgres", sql);
    answer.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

impl Stand {
    /// A connection string for a host and a role, and whatever else.
    pub fn at(&self, host: &str, role: &str, more: &str) -> String {
        format!(
            "host={host} port={} user={role} dbname=postgres {more}",
            self.server.port
        )
    }

    /// A standby of the server; stopped when dropped.
    pub fn standby(&self, name: &str) -> Server {
        let folder = self.server.folder.with_file_name(name);
        let standby = new_server(&folder);
        let (data, port) = (standby.data.display().to_string(), self.server.port.to_string());
        let socket = self.server.folder.display().to_string();
        stage().run(
            "pg_basebackup",
            &[
                "-h", &socket, "-p", &port, "-U", "postgres", "-c", "fast", "-R", "-D", &data,
            ],
        );
        standby.configure("");
        standby.start();
        standby
    }
}

/// A static is never dropped: a shell waits for the end of this process, however it comes, and stops the server.
fn stop_with_this_process(server: &Server, folder: &Path) {
    let script = "read -r _; \"$0\" -m immediate -D \"$1\" stop; rm -rf \"$2\"";
    let shell = user::command("sh")
        .args(["-c", script])
        .arg(server.stage.bindir.join("pg_ctl"))
        .args([server.data.as_path(), folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    // It outlives this process.
    std::mem::forget(shell);
}
