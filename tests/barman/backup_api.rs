//! `standby clone` through pg-backup-api, as its documentation describes it, in front of a real Barman.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{eventually, user};
use crate::{Barman, attach, clone_fails, installed, mapping, with_backup};

/// What pg-backup-api's documentation says of it, in front of this Barman: it is no Debian package.
struct Api {
    port: u16,
    /// What was asked for, one request a line.
    asked: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Api {
    fn new(barman: &Barman) -> Api {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (seen, config) = (asked.clone(), barman.config.clone());
        let folder = barman.folder.clone();
        std::thread::spawn(move || {
            let mut operation: Option<std::process::Child> = None;
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let (line, body) = read_request(&stream);
                seen.lock().expect("no panic").push_str(&format!("{line} {body}\n"));
                let (status, answer) = Api::answer(&config, &folder, &line, &body, &mut operation);
                use std::io::Write;
                let text = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                // The program may have gone away.
                let _ = stream.write_all(text.as_bytes());
            }
        });
        Api { port, asked }
    }

    fn answer(
        config: &Path,
        folder: &Path,
        line: &str,
        body: &str,
        operation: &mut Option<std::process::Child>,
    ) -> (&'static str, String) {
        let not_found = |what: &str| ("404 NOT FOUND", format!("{{\"error\":\"404 Not Found: {what}\"}}"));
        if !line.contains(" /servers/main/operations") {
            return not_found("Server does not exist");
        }
        if line.starts_with("POST") {
            let value: serde_json::Value = serde_json::from_str(body).expect("JSON");
            let text = |name: &str| value[name].as_str().expect(name).to_owned();
            assert_eq!(text("operation_type"), "recovery");
            assert_eq!(text("remote_ssh_command"), "ssh postgres@node2");
            let id = text("backup_id");
            if id != "latest" && !folder.join("main/base").join(&id).exists() {
                return not_found("Backup does not exist");
            }
            let destination = text("destination_directory");
            let child = user::command("sh")
                .args([
                    "-c",
                    "test -e \"$0/slow\" && sleep 1000; exec barman -c \"$1\" recover main \"$2\" \"$3\"",
                ])
                .arg(folder)
                .arg(config)
                .args([&id, &destination])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            *operation = Some(child.expect("barman"));
            return ("202 ACCEPTED", "{\"operation_id\":\"20260101T120000\"}".to_owned());
        }
        if !line.contains("/operations/20260101T120000") {
            return ("200 OK", "{\"operations\":[]}".to_owned());
        }
        let child = operation.as_mut().expect("an operation");
        let state = match child.try_wait().expect("its status") {
            None => "IN_PROGRESS",
            Some(status) if status.success() => "DONE",
            Some(_) => "FAILED",
        };
        let answer = format!("{{\"recovery_id\":\"20260101T120000\",\"status\":\"{state}\"}}");
        ("200 OK", answer)
    }

    fn settings(&self, server: &str, backup: &str) -> String {
        format!(
            "pg_backupapi_host='127.0.0.1:{}'\npg_backupapi_node_name={server}\npg_backupapi_backup_id={backup}\n\
             pg_backupapi_remote_ssh_command='ssh postgres@node2'\nuse_replication_slots=true\n",
            self.port
        )
    }
}

/// The request line, and the body.
fn read_request(stream: &std::net::TcpStream) -> (String, String) {
    use std::io::{BufRead, BufReader, Read};
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    let _ = reader.read_line(&mut first);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body);
    (first.trim().to_owned(), String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn pg_backup_api_has_barman_recover_the_backup() {
    if !installed() {
        return;
    }
    let (cluster, barman) = with_backup("barman-api");
    let (primary, standby) = (cluster.node(1), cluster.node(2));
    let api = Api::new(&barman);
    let conninfo = primary.server.conninfo();
    let options = ["-d", &conninfo];
    let slots = || primary.server.query("SELECT count(*) FROM pg_replication_slots");

    // Barman would recover the tablespace where it is: over the primary's own.
    standby.write_config(&api.settings("main", "latest"));
    let error = clone_fails(1, standby, &options);
    assert!(error.contains("ts on primary"), "{error}");
    standby.write_config(&(api.settings("main", "latest") + &mapping(&cluster).1));
    clone_fails(1, standby, &options);
    primary.server.query("DROP TABLE before, after");
    primary.server.query("DROP TABLESPACE ts");
    primary
        .server
        .query("CREATE TABLE before AS SELECT generate_series(1, 1000) AS n");
    barman.back_up(primary);
    primary
        .server
        .query("CREATE TABLE after AS SELECT generate_series(1, 500) AS n");

    standby.write_config(&api.settings("other", "latest"));
    let error = clone_fails(28, standby, &options);
    assert!(error.contains("other"), "{error}");
    standby.write_config("pg_backupapi_host='127.0.0.1:1'\npg_backupapi_node_name=main\npg_backupapi_backup_id=latest\npg_backupapi_remote_ssh_command=ssh\n");
    clone_fails(28, standby, &options);
    standby.write_config(&api.settings("main", "no_such_backup"));
    let error = clone_fails(28, standby, &options);
    assert!(error.contains("Backup does not exist"), "{error}");
    assert!(!standby.server.data.exists());
    assert_eq!(slots(), "0");

    standby.write_config(&api.settings("main", "latest"));
    let asked = api.asked.lock().expect("no panic").clone();
    clone_fails(0, standby, &[&options[..], &["--dry-run"]].concat());
    let then = api.asked.lock().expect("no panic").clone();
    assert!(!then[asked.len()..].contains("POST"), "{then}");
    assert!(!standby.server.data.exists());

    // Barman cannot be stopped from here: what it may be writing to stays.
    user::write(&barman.folder.join("slow"), "");
    let mut child = standby
        .program("repmgr")
        .args(["-d", &conninfo, "standby", "clone"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("repmgr");
    eventually("it waits for the operation", || {
        let asked = api.asked.lock().expect("no panic").clone();
        asked[then.len()..]
            .contains("/operations/20260101T120000")
            .then_some(())
    });
    kill(
        Pid::from_raw(i32::try_from(child.id()).expect("a process id")),
        Signal::SIGINT,
    )
    .expect("a signal");
    let status = eventually("the clone has ended", || child.try_wait().expect("its status"));
    assert_eq!(status.code(), Some(14));
    assert!(standby.server.data.exists());
    assert_eq!(slots(), "0");
    std::fs::remove_file(barman.folder.join("slow")).expect("removed");

    let log = clone_fails(0, standby, &options);
    assert!(log.contains("standby clone (using pg-backup-api) complete"), "{log}");
    assert!(standby.server.data.join("standby.signal").exists());
    assert_eq!(slots(), "1");
    let details = "SELECT details FROM repmgr.events WHERE event = 'standby_clone' AND successful";
    assert!(
        primary
            .server
            .query(details)
            .ends_with("; backup method: pg_backupapi; --force: N")
    );
    attach(&cluster, 2);
}
