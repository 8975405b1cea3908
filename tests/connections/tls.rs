use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;

use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslStream, select_next_proto};
use repmgr::conninfo::Environment;
use repmgr::postgres::{ConnectFailure, Connection, ReplicationConnection};

use super::certificates::{self, Identity};
use super::impostor;
use super::stand::{PASSWORD, ask, connect, conninfo, deadlines, nobody, refused, run, stand};
use crate::support::{stage::stage, user};

/// The TLS version of a session as its server sees it, `none` without TLS.
async fn version(connection: &Connection) -> String {
    ask(
        connection,
        "SELECT coalesce(version, 'none') FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    )
    .await
}

#[test]
fn sslmode_decides_about_encryption() {
    let stand = stand();
    run(async {
        for (role, mode, encrypted) in [
            ("postgres", "disable", false),
            ("postgres", "allow", false),
            ("postgres", "prefer", true),
            ("postgres", "require", true),
            ("only_encrypted", "allow", true),
            ("never_encrypted", "prefer", false),
        ] {
            let connection = connect(&stand.at("127.0.0.1", role, &format!("sslmode={mode}"))).await;
            assert_eq!(version(&connection).await != "none", encrypted, "{role} {mode}");
        }
        for (role, mode) in [("only_encrypted", "disable"), ("never_encrypted", "require")] {
            let error = refused(&stand.at("127.0.0.1", role, &format!("sslmode={mode}"))).await;
            assert_eq!(error.failure, ConnectFailure::Authentication, "{error}");
        }
        let more = "sslmode=require ssl_max_protocol_version=TLSv1.2";
        let connection = connect(&stand.at("127.0.0.1", "postgres", more)).await;
        assert_eq!(version(&connection).await, "TLSv1.2");
        let more = "sslmode=require ssl_min_protocol_version=TLSv1.3";
        let connection = connect(&stand.at("127.0.0.1", "postgres", more)).await;
        assert_eq!(version(&connection).await, "TLSv1.3");
    });
}

#[test]
fn a_server_without_tls_serves_only_those_who_do_not_insist() {
    let port = impostor::listen(|mut stream| {
        impostor::start_plain(&mut stream);
        impostor::serve(&mut stream);
    });
    run(async {
        let text = |mode| format!("host=127.0.0.1 port={port} user=me sslmode={mode}");
        for mode in ["disable", "allow", "prefer"] {
            connect(&text(mode)).await;
        }
        let error = refused(&text("require")).await;
        assert_eq!(error.failure, ConnectFailure::Transport);
        assert!(error.message.contains("SSL was required"), "{error}");
    });
}

#[test]
fn the_servers_certificate_is_verified() {
    let stand = stand();
    let root = stand.files.join("authority.crt").display().to_string();
    let other = certificates::make("another authority", &[], 1, None);
    let (other, _) = other.write(&stand.files, "other-authority");
    run(async {
        let with_root = |host: &str, mode: &str, more: &str| {
            stand.at(host, "postgres", &format!("sslmode={mode} sslrootcert={root} {more}"))
        };
        connect(&with_root("localhost", "verify-full", "")).await;
        connect(&with_root("n1.test", "verify-full", "hostaddr=127.0.0.1")).await;
        connect(&with_root("127.0.0.1", "verify-ca", "")).await;
        for (host, more) in [("127.0.0.1", ""), ("n2.test", "hostaddr=127.0.0.1")] {
            let error = refused(&with_root(host, "verify-full", more)).await;
            assert_eq!(error.failure, ConnectFailure::Transport);
            assert!(
                error.message.contains(&format!("does not match host name \"{host}\"")),
                "{error}"
            );
        }
        for mode in ["require", "verify-ca", "verify-full"] {
            let text = stand.at(
                "localhost",
                "postgres",
                &format!("sslmode={mode} sslrootcert={}", other.display()),
            );
            let error = refused(&text).await;
            assert_eq!(error.failure, ConnectFailure::Transport);
            assert!(error.message.contains("certificate verify failed"), "{error}");
        }
        let error = refused(&stand.at("localhost", "postgres", "sslrootcert=system")).await;
        assert!(error.message.contains("certificate verify failed"), "{error}");
        for more in ["", "sslrootcert=/nonexistent/root.crt"] {
            let text = stand.at("localhost", "postgres", &format!("sslmode=verify-ca {more}"));
            let error = refused(&text).await;
            assert_eq!(error.failure, ConnectFailure::BadParameters);
            assert!(
                error.message.contains("sslrootcert") || error.message.contains("/nonexistent/root.crt"),
                "{error}"
            );
        }
        let mut string = conninfo(&with_root("localhost", "verify-full", "channel_binding=require"));
        string.set("user", "with_scram");
        string.set("password", PASSWORD);
        ReplicationConnection::connect_in(&nobody(), &string.for_replication(""), deadlines())
            .await
            .unwrap()
            .identify_system()
            .await
            .unwrap();
    });
}

#[test]
fn a_revoked_certificate_is_refused() {
    let stand = stand();
    let root = stand.files.join("authority.crt").display().to_string();
    let empty = certificates::revocation_list(&stand.files, "nobody", &[]);
    let list = certificates::revocation_list(&stand.files, "server-revoked", &[10]);
    let directory = stand.files.join("revoked");
    user::folder(&directory);
    let output = std::process::Command::new("openssl")
        .args(["crl", "-hash", "-noout", "-in"])
        .arg(&list)
        .output()
        .expect("openssl");
    let hash = String::from_utf8(output.stdout).expect("a hash");
    std::fs::copy(&list, directory.join(format!("{}.r0", hash.trim()))).expect("a copy");
    run(async {
        let with = |more: String| {
            stand.at(
                "localhost",
                "postgres",
                &format!("sslmode=verify-full sslrootcert={root} {more}"),
            )
        };
        connect(&with(format!("sslcrl={}", empty.display()))).await;
        for more in [
            format!("sslcrl={}", list.display()),
            format!("sslcrldir={}", directory.display()),
        ] {
            let error = refused(&with(more)).await;
            assert_eq!(error.failure, ConnectFailure::Transport);
            assert!(error.message.contains("revoked"), "{error}");
        }
        let error = refused(&with("sslcrl=/nonexistent/root.crl".to_owned())).await;
        assert!(error.message.contains("sslcrl"), "{error}");
    });
}

#[test]
fn a_client_certificate_is_a_login() {
    let stand = stand();
    let identity = certificates::make("with_certificate", &["client.test"], 20, Some(&stand.authority));
    let (certificate, key) = identity.write(&stand.files, "client");
    let encrypted = identity.write_encrypted_key(&stand.files.join("client-encrypted.key"), "the key's word");
    let der = stand.files.join("client.der");
    std::fs::write(&der, identity.key.private_key_to_der().unwrap()).unwrap();
    set_mode(&der, 0o600);
    let readable = stand.files.join("client-readable.key");
    std::fs::copy(&key, &readable).unwrap();
    set_mode(&readable, 0o644);
    let with = |key: &Path, more: &str| {
        let (certificate, key) = (certificate.display(), key.display());
        let more = format!("sslmode=require sslcert={certificate} sslkey={key} {more}");
        stand.at("127.0.0.1", "with_certificate", &more)
    };
    run(async {
        connect(&with(&key, "")).await;
        connect(&with(&der, "")).await;
        connect(&with(&encrypted, r"sslpassword='the key\'s word'")).await;
        for (text, expected) in [
            (with(&encrypted, "sslpassword=wrong"), "sslpassword"),
            (with(&encrypted, ""), "sslpassword"),
            (with(&readable, ""), "has group or world access"),
            (with(Path::new("/nonexistent"), ""), "but not private key file"),
            (
                with(&stand.files.join("authority.key"), ""),
                "does not match private key file",
            ),
            (with(Path::new("pkcs11:slot"), ""), "engine"),
        ] {
            let error = refused(&text).await;
            assert_eq!(error.failure, ConnectFailure::BadParameters, "{error}");
            assert!(error.message.contains(expected), "{error}");
        }
        for more in ["sslcertmode=disable", "sslcert=/nonexistent"] {
            let error = refused(&with(&key, more)).await;
            assert_eq!(error.failure, ConnectFailure::Authentication, "{error}");
        }
        let mut string = conninfo(&with(&key, ""));
        string.set("user", "only_encrypted");
        Connection::connect_in(&nobody(), &string, deadlines()).await.unwrap();
    });
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_in_the_home_directory_count() {
    let stand = stand();
    let home = stand.files.join("home");
    let folder = home.join(".postgresql");
    user::folder(&home);
    user::folder(&folder);
    let identity = certificates::make("with_certificate", &["client.test"], 21, Some(&stand.authority));
    let (certificate, key) = identity.write(&folder, "postgresql");
    assert!(certificate.ends_with("postgresql.crt") && key.ends_with("postgresql.key"));
    std::fs::copy(stand.files.join("authority.crt"), folder.join("root.crt")).unwrap();
    let environment = Environment::of_variables([]).with_home(&home);
    run(async {
        let text = stand.at("localhost", "with_certificate", "sslmode=verify-full");
        Connection::connect_in(&environment, &conninfo(&text), deadlines())
            .await
            .unwrap();
        let list = certificates::revocation_list(&stand.files, "home-revoked", &[10]);
        std::fs::copy(list, folder.join("root.crl")).unwrap();
        let error = Connection::connect_in(&environment, &conninfo(&text), deadlines())
            .await
            .unwrap_err();
        assert!(error.message.contains("revoked"), "{error}");
    });
}

#[test]
fn the_systems_roots_vouch_for_a_server() {
    let stand = stand();
    // OpenSSL takes the place of the system's roots from the environment of the process: one of its own.
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "tls::child_with_other_system_roots"])
        .env("SSL_CERT_FILE", stand.files.join("authority.crt"))
        .env("REPMGR_TEST_PORT", stand.server.port.to_string())
        .output()
        .expect("this program");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by the_systems_roots_vouch_for_a_server"]
fn child_with_other_system_roots() {
    let port = std::env::var("REPMGR_TEST_PORT").expect("a port");
    run(async {
        let text = |host| format!("host={host} port={port} user=postgres dbname=postgres sslrootcert=system");
        connect(&text("localhost")).await;
        refused(&text("127.0.0.1")).await;
    });
}

/// A server that speaks TLS from the first byte on, or after having been asked.
fn tls_server(identity: &Identity, direct: bool, alpn: bool) -> (u16, mpsc::Receiver<Option<String>>) {
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&identity.certificate).unwrap();
    builder.set_private_key(&identity.key).unwrap();
    if alpn {
        builder.set_alpn_select_callback(|_, offered| {
            select_next_proto(b"\x0apostgresql", offered).ok_or(AlpnError::ALERT_FATAL)
        });
    }
    let acceptor = builder.build();
    let (names, seen) = mpsc::channel();
    let port = impostor::listen(move |mut stream: TcpStream| {
        if !direct {
            impostor::read_startup(&mut stream);
            std::io::Write::write_all(&mut stream, b"S").unwrap();
        }
        let Ok(mut stream): Result<SslStream<TcpStream>, _> = acceptor.accept(stream) else {
            return;
        };
        let name = stream.ssl().servername(openssl::ssl::NameType::HOST_NAME);
        names.send(name.map(str::to_owned)).unwrap();
        if !impostor::read_startup(&mut stream).is_empty() {
            impostor::serve(&mut stream);
        }
    });
    (port, seen)
}

#[test]
fn a_self_signed_certificate_is_its_own_root() {
    let stand = stand();
    let identity = certificates::make("n1.test", &["n1.test", "127.0.0.1", "::1"], 30, None);
    let (root, _) = identity.write(&stand.files, "self-signed");
    let (port, seen) = tls_server(&identity, false, false);
    run(async {
        let text = |host: &str, more: &str| {
            format!(
                "host={host} hostaddr=127.0.0.1 port={port} user=me sslmode=verify-full sslrootcert={} {more}",
                root.display()
            )
        };
        for host in ["n1.test", "127.0.0.1", "::1"] {
            connect(&text(host, "")).await;
            // A name is told to the server, an address is not.
            assert_eq!(
                seen.recv().unwrap().as_deref(),
                Some("n1.test").filter(|name| *name == host)
            );
        }
        connect(&text("n1.test", "sslsni=0")).await;
        assert_eq!(seen.recv().unwrap(), None);
        refused(&text("n2.test", "")).await;
        let error = refused(&format!(
            "hostaddr=127.0.0.1 port={port} user=me sslmode=verify-full sslrootcert={}",
            root.display()
        ))
        .await;
        assert!(error.message.contains("host name must be specified"), "{error}");
    });
}

#[test]
fn tls_can_start_at_once() {
    let stand = stand();
    let identity = certificates::make("n1.test", &["n1.test"], 31, None);
    let (root, _) = identity.write(&stand.files, "direct");
    let (port, _seen) = tls_server(&identity, true, true);
    let (without_alpn, _seen_without) = tls_server(&identity, true, false);
    run(async {
        let text = |port: u16| {
            format!(
                "host=n1.test hostaddr=127.0.0.1 port={port} user=me sslnegotiation=direct sslmode=verify-full sslrootcert={}",
                root.display()
            )
        };
        connect(&text(port)).await;
        let error = refused(&text(without_alpn)).await;
        assert!(error.message.contains("ALPN"), "{error}");
        // Before PostgreSQL 17 a server expects to be asked, and closes the connection.
        let real = stand.at("127.0.0.1", "postgres", "sslnegotiation=direct sslmode=require");
        if stage().major < 17 {
            let error = refused(&real).await;
            assert_eq!(error.failure, ConnectFailure::Transport, "{error}");
        } else {
            connect(&real).await;
        }
    });
}

#[test]
fn a_server_that_closes_in_the_middle_of_the_handshake_is_a_broken_transport() {
    let port = impostor::listen(|mut stream| {
        impostor::read_startup(&mut stream);
        std::io::Write::write_all(&mut stream, b"S").unwrap();
    });
    run(async {
        for mode in ["prefer", "require"] {
            let error = refused(&format!("host=127.0.0.1 port={port} user=me sslmode={mode}")).await;
            assert_eq!(error.failure, ConnectFailure::Transport);
            assert!(
                error.message.contains("closed the connection") || error.message.contains("reset"),
                "{error}"
            );
        }
    });
}
