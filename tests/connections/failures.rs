use std::io::Write;
use std::time::{Duration, Instant};

use repmgr::postgres::{ConnectFailure, Connection, Deadlines, Ping, QueryError, ReplicationConnection, ping_in};

use super::impostor::{self, error, listen, read_startup, start_plain};
use super::stand::{ask, connect, conninfo, deadlines, nobody, refused, run, stand};
use crate::support::ports;

fn to(port: u16) -> String {
    format!("host=127.0.0.1 port={port} user=me dbname=db password=secretword")
}

/// A server that listens, accepts and says nothing.
fn silent() -> u16 {
    listen(|mut stream| {
        read_startup(&mut stream);
        std::thread::park();
    })
}

#[test]
fn each_failure_has_its_name_and_its_place() {
    let closing = listen(|mut stream| {
        read_startup(&mut stream);
    });
    let starting = listen(|mut stream| {
        start_plain(&mut stream);
        let answer = error("57P03", "the database system is starting up");
        stream.write_all(&answer).unwrap();
    });
    let full = listen(|mut stream| {
        start_plain(&mut stream);
        stream
            .write_all(&error("53300", "sorry, too many clients already"))
            .unwrap();
    });
    let web = listen(|mut stream| {
        read_startup(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let unforked = listen(|mut stream| {
        start_plain(&mut stream);
        let answer = b"Ecould not fork new process for connection: out of memory\n\0";
        stream.write_all(answer).unwrap();
    });
    let limit = Duration::from_millis(700);
    let quick = Deadlines {
        connect: limit,
        ..deadlines()
    };
    for (port, failure, text, knock) in [
        (
            ports::free(),
            ConnectFailure::Refused,
            "refused",
            Ping::NoResponse(ConnectFailure::Refused),
        ),
        (
            silent(),
            ConnectFailure::Silent,
            "timeout",
            Ping::NoResponse(ConnectFailure::Silent),
        ),
        (
            closing,
            ConnectFailure::Transport,
            "closed",
            Ping::NoResponse(ConnectFailure::Transport),
        ),
        (starting, ConnectFailure::NotAccepting, "starting up", Ping::Rejecting),
        (
            full,
            ConnectFailure::TooManyConnections,
            "too many clients",
            Ping::Accepting,
        ),
        (
            web,
            ConnectFailure::Transport,
            "no PostgreSQL server",
            Ping::NoResponse(ConnectFailure::Transport),
        ),
        (unforked, ConnectFailure::Other, "could not fork", Ping::Accepting),
    ] {
        let string = conninfo(&to(port));
        run(async {
            let start = Instant::now();
            let refusal = Connection::connect_in(&nobody(), &string, quick).await.unwrap_err();
            assert_eq!(refusal.failure, failure, "{refusal}");
            assert!(refusal.message.contains(text), "{refusal}");
            assert!(
                refusal.message.contains(&format!("\"127.0.0.1\", port {port}")),
                "{refusal}"
            );
            assert!(!refusal.message.contains("secretword"), "{refusal}");
            let refusal = ReplicationConnection::connect_in(&nobody(), &string, quick)
                .await
                .unwrap_err();
            assert_eq!(refusal.failure, failure, "{refusal}");
            assert_eq!(ping_in(&nobody(), &string, limit).await, knock);
            assert!(start.elapsed() < limit * 10, "{:?}", start.elapsed());
        });
    }
}

#[test]
fn a_name_without_address_is_not_resolved() {
    run(async {
        let text = "host=name.invalid port=1 user=me";
        let error = refused(text).await;
        assert_eq!(error.failure, ConnectFailure::NameNotResolved, "{error}");
        assert!(error.message.contains("name.invalid"), "{error}");
        assert_eq!(
            ping_in(&nobody(), &conninfo(text), deadlines().connect).await,
            Ping::NoResponse(ConnectFailure::NameNotResolved)
        );
    });
}

#[test]
fn a_missing_socket_is_refused() {
    run(async {
        let error = refused("host=/nonexistent port=7 user=me").await;
        assert_eq!(error.failure, ConnectFailure::Refused);
        assert!(error.message.contains("/nonexistent/.s.PGSQL.7"), "{error}");
        let long = refused(&format!("host=/{} user=me", "x".repeat(100))).await;
        assert_eq!(long.failure, ConnectFailure::BadParameters);
        assert!(long.message.contains("too long"), "{long}");
    });
}

#[test]
fn bad_parameters_are_found_before_anybody_is_asked() {
    run(async {
        for (more, expected) in [
            ("sslmode=sometimes", "invalid sslmode value: \"sometimes\""),
            ("port=1,2,3", "could not match 3 port numbers to 1 hosts"),
            ("connect_timeout=soon", "\"connect_timeout\""),
            ("sslmode=prefer sslnegotiation=direct", "sslnegotiation=direct"),
            ("sslmode=require sslrootcert=system", "sslrootcert=system"),
            ("service=missing", "definition of service \"missing\" not found"),
            ("require_auth=md5,!password", "require_auth"),
            ("ssl_min_protocol_version=SSLv3", "ssl_min_protocol_version"),
            (
                "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
                "ssl_max_protocol_version",
            ),
            ("load_balance_hosts=yes", "load_balance_hosts"),
            ("sslcertmode=require", "sslcertmode=require"),
        ] {
            let string = conninfo(&format!("host=127.0.0.1 user=me {more}"));
            let error = Connection::connect_in(&nobody(), &string, deadlines())
                .await
                .unwrap_err();
            assert_eq!(error.failure, ConnectFailure::BadParameters, "{error}");
            assert!(error.message.contains(expected), "{error}");
            assert_eq!(ping_in(&nobody(), &string, deadlines().connect).await, Ping::NoAttempt);
        }
    });
}

#[test]
fn the_timeout_holds_for_each_address_and_the_string_comes_first() {
    let dead = silent();
    let stand = stand();
    run(async {
        let hosts = format!(
            "host=127.0.0.1,127.0.0.1,127.0.0.1 port={dead},1,{} user=postgres dbname=postgres connect_timeout=1",
            stand.server.port
        );
        let start = Instant::now();
        let connection = connect(&hosts).await;
        assert_eq!(
            ask(&connection, "SELECT inet_server_port()::text").await,
            stand.server.port.to_string()
        );
        // One second counts as two, as in libpq.
        assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
        let string = conninfo(&format!("{} connect_timeout=2", to(dead)));
        let start = Instant::now();
        let error = Connection::connect_in(&nobody(), &string, deadlines())
            .await
            .unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Silent);
        assert!(start.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn a_refused_login_ends_the_search() {
    let stand = stand();
    run(async {
        let port = stand.server.port;
        let text = format!("host=127.0.0.1,127.0.0.1 port={port} user=rejected dbname=postgres sslmode=disable");
        let error = refused(&text).await;
        assert_eq!(error.failure, ConnectFailure::Authentication);
        assert_eq!(error.message.matches("pg_hba.conf").count(), 1, "{error}");
    });
}

#[test]
fn a_login_is_tried_again_only_where_encryption_could_matter() {
    let (count, logins) = std::sync::mpsc::channel();
    let port = listen(move |mut stream| {
        start_plain(&mut stream);
        count.send(()).unwrap();
        stream.write_all(&error("28000", "no pg_hba.conf entry")).unwrap();
    });
    run(async {
        for mode in ["prefer", "disable"] {
            let refusal = refused(&format!("{} sslmode={mode}", to(port))).await;
            assert_eq!(refusal.failure, ConnectFailure::Authentication);
            assert_eq!(logins.try_iter().count(), 1, "{mode}");
        }
    });
    let stand = stand();
    run(async {
        let error = refused(&stand.at("127.0.0.1", "rejected", "sslmode=prefer")).await;
        // Before PostgreSQL 14: "SSL on" and "SSL off".
        let then = |with: &str, without: &str| {
            error.message.contains(&format!("{with}; then: ")) && error.message.contains(without)
        };
        assert!(
            then("SSL encryption", "no encryption") || then("SSL on", "SSL off"),
            "{error}"
        );
    });
}

#[test]
fn a_server_that_breaks_off_in_the_middle_of_a_query_is_lost() {
    let port = listen(|mut stream| {
        start_plain(&mut stream);
        stream.write_all(&impostor::welcome()).unwrap();
        // SET synchronous_commit
        impostor_query(&mut stream);
        stream.write_all(&impostor::done("SET")).unwrap();
        impostor_query(&mut stream);
        stream.write_all(&[b'T', 0, 0]).unwrap();
    });
    run(async {
        let connection = connect(&to(port)).await;
        let error = connection.batch("SELECT 1").await.unwrap_err();
        assert!(matches!(error, QueryError::ConnectionLost(_)), "{error:?}");
        assert!(connection.is_closed());
    });
}

fn impostor_query(stream: &mut std::net::TcpStream) {
    use std::io::Read;
    let mut tag = [0];
    stream.read_exact(&mut tag).unwrap();
    read_startup(stream);
}

#[test]
fn a_server_that_falls_silent_after_the_login_is_silent() {
    let port = listen(|mut stream| {
        start_plain(&mut stream);
        stream.write_all(&impostor::welcome()).unwrap();
        std::thread::park();
    });
    run(async {
        let quick = Deadlines {
            connect: Duration::from_millis(500),
            ..deadlines()
        };
        let error = Connection::connect_in(&nobody(), &conninfo(&to(port)), quick)
            .await
            .unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Silent, "{error}");
        // A replication connection sends nothing of its own.
        let mut connection = ReplicationConnection::connect_in(&nobody(), &conninfo(&to(port)), quick)
            .await
            .unwrap();
        connection.set_query_deadline(Duration::from_millis(300));
        assert!(matches!(
            connection.identify_system().await,
            Err(QueryError::TimedOut(_))
        ));
    });
}

#[test]
fn gssapi_demanded_by_the_server_is_named() {
    let port = listen(|mut stream| {
        start_plain(&mut stream);
        stream.write_all(&impostor::message(b'R', &[0, 0, 0, 7])).unwrap();
    });
    run(async {
        let error = refused(&to(port)).await;
        assert_eq!(error.failure, ConnectFailure::Authentication);
        assert!(error.message.contains("GSSAPI"), "{error}");
        assert_eq!(
            ping_in(&nobody(), &conninfo(&to(port)), deadlines().connect).await,
            Ping::Accepting
        );
    });
}
