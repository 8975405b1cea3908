use std::time::{Duration, Instant};

use repmgr::conninfo::Environment;
use repmgr::postgres::{ConnectFailure, Connection, QueryError};

use super::impostor;
use super::stand::{ask, connect, conninfo, deadlines, nobody, refused, run, sql, stand};

#[test]
fn a_session_has_what_the_original_adds() {
    let stand = stand();
    run(async {
        let connection = connect(&stand.at("127.0.0.1", "postgres", "options='-c search_path=public'")).await;
        let setting = async |name: &str| ask(&connection, &format!("SELECT current_setting('{name}')")).await;
        assert_eq!(setting("application_name").await, "repmgr");
        assert_eq!(setting("search_path").await, "");
        assert_eq!(setting("synchronous_commit").await, "local");
        assert_eq!(setting("client_encoding").await, "UTF8");

        let named = connect(&stand.at("127.0.0.1", "postgres", "application_name=mine client_encoding=LATIN1")).await;
        assert_eq!(ask(&named, "SELECT current_setting('application_name')").await, "mine");
        assert_eq!(ask(&named, "SELECT 'é'").await, "é");

        let environment = Environment::of_variables([("PGAPPNAME", "theirs"), ("PGUSER", "postgres")]);
        let string = conninfo(&format!("host=127.0.0.1 port={} dbname=postgres", stand.server.port));
        let named = Connection::connect_in(&environment, &string, deadlines())
            .await
            .unwrap();
        assert_eq!(
            ask(&named, "SELECT current_setting('application_name')").await,
            "theirs"
        );
    });
}

#[test]
fn a_server_is_reached_by_name_address_and_socket() {
    let stand = stand();
    let address = "SELECT coalesce(host(inet_client_addr()), 'socket')";
    run(async {
        let socket = stand.server.folder.display().to_string();
        for (text, expected) in [
            (stand.at("127.0.0.1", "postgres", ""), "127.0.0.1"),
            (stand.at("::1", "postgres", ""), "::1"),
            (stand.at(&socket, "postgres", ""), "socket"),
            (stand.at("name.invalid", "postgres", "hostaddr=::1"), "::1"),
            (
                format!("postgresql://postgres@[::1]:{}/postgres", stand.server.port),
                "::1",
            ),
            (
                format!(
                    "postgresql://postgres@{}:{}/postgres",
                    socket.replace('/', "%2F"),
                    stand.server.port
                ),
                "socket",
            ),
            // TLS is not for sockets.
            (
                stand.at(&socket, "postgres", "sslmode=verify-full sslrootcert=/nonexistent"),
                "socket",
            ),
        ] {
            assert_eq!(ask(&connect(&text).await, address).await, expected, "{text}");
        }
        let name = ask(&connect(&stand.at("localhost", "postgres", "")).await, address).await;
        assert!(["127.0.0.1", "::1"].contains(&name.as_str()), "{name}");
    });
}

#[test]
fn the_owner_of_a_socket_can_be_required() {
    let stand = stand();
    let socket = stand.server.folder.display().to_string();
    let owner = crate::support::user::ordinary().2;
    run(async {
        connect(&stand.at(&socket, "postgres", &format!("requirepeer={owner}"))).await;
        let error = refused(&stand.at(&socket, "postgres", "requirepeer=somebody")).await;
        assert!(error.message.contains("requirepeer specifies \"somebody\""), "{error}");
    });
}

#[test]
fn keepalive_and_timeouts_reach_the_socket() {
    let stand = stand();
    let more = "keepalives=1 keepalives_idle=1000 keepalives_interval=7 keepalives_count=3 tcp_user_timeout=9000";
    run(async {
        let connection = connect(&stand.at("127.0.0.1", "postgres", more)).await;
        let port = ask(&connection, "SELECT inet_client_port()::text").await;
        let output = std::process::Command::new("ss")
            .args(["-tno", "state", "established", &format!("sport = :{port}")])
            .output();
        // iproute2 is not everywhere; the connection itself shows that the options were accepted.
        if let Ok(output) = output {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("timer:(keepalive,16min"), "{text}");
        }
        connect(&stand.at("127.0.0.1", "postgres", "keepalives=0")).await;
        let error = refused(&stand.at("127.0.0.1", "postgres", "keepalives_idle=1min")).await;
        assert!(error.message.contains("keepalives_idle"), "{error}");
    });
}

#[test]
fn the_first_host_of_the_wanted_kind_is_taken() {
    let stand = stand();
    let standby = stand.standby("standby-of-kinds");
    let (primary, standby_port) = (stand.server.port, standby.port);
    let string = |attributes: &str| {
        format!(
            "host=127.0.0.1,127.0.0.1,127.0.0.1 port=1,{standby_port},{primary} user=postgres dbname=postgres \
             target_session_attrs={attributes}"
        )
    };
    run(async {
        for (attributes, expected) in [
            ("any", standby_port),
            ("read-write", primary),
            ("read-only", standby_port),
            ("primary", primary),
            ("standby", standby_port),
            ("prefer-standby", standby_port),
        ] {
            let connection = connect(&string(attributes)).await;
            let port = ask(&connection, "SELECT inet_server_port()::text").await;
            assert_eq!(port, expected.to_string(), "{attributes}");
        }
        let only = format!("host=127.0.0.1 port={primary} user=postgres dbname=postgres target_session_attrs=");
        connect(&format!("{only}prefer-standby")).await;
        for (attributes, reason) in [
            ("standby", "not in hot standby mode"),
            ("read-only", "session is not read-only"),
        ] {
            let error = refused(&format!("{only}{attributes}")).await;
            assert_eq!(error.failure, ConnectFailure::Other);
            assert!(error.message.contains(reason), "{error}");
        }
        let only = format!("host=127.0.0.1 port={standby_port} user=postgres dbname=postgres target_session_attrs=");
        for (attributes, reason) in [
            ("primary", "in hot standby mode"),
            ("read-write", "session is read-only"),
        ] {
            let error = refused(&format!("{only}{attributes}")).await;
            assert!(error.message.contains(reason), "{error}");
        }
        let error = refused(&format!("{only}master")).await;
        assert_eq!(error.failure, ConnectFailure::BadParameters);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let connection = connect(&format!("{} load_balance_hosts=random", string("any"))).await;
            seen.insert(ask(&connection, "SELECT inet_server_port()::text").await);
            if seen.len() == 2 {
                return;
            }
        }
        panic!("always {seen:?}");
    });
}

#[test]
fn a_server_that_does_not_report_its_kind_is_asked() {
    // PostgreSQL 13 and earlier report neither in_hot_standby nor default_transaction_read_only.
    let standby = impostor::listen(|mut stream| {
        impostor::start_plain(&mut stream);
        impostor::serve_with(&mut stream, |query| {
            if query.contains("pg_is_in_recovery()") || query.contains("SHOW transaction_read_only") {
                impostor::row("on")
            } else {
                Vec::new()
            }
        });
    });
    run(async {
        let text = |attributes| format!("host=127.0.0.1 port={standby} user=me target_session_attrs={attributes}");
        for attributes in ["any", "standby", "read-only", "prefer-standby"] {
            connect(&text(attributes)).await;
        }
        for attributes in ["primary", "read-write"] {
            assert_eq!(refused(&text(attributes)).await.failure, ConnectFailure::Other);
        }
    });
}

#[test]
fn a_dropped_connection_is_gone_from_the_server() {
    let stand = stand();
    run(async {
        let connection = connect(&stand.at("127.0.0.1", "postgres", "application_name=dropped")).await;
        assert_eq!(count(stand, "dropped"), "1");
        drop(connection);
        until_gone(stand, "dropped").await;
    });
}

#[test]
fn a_connection_dropped_in_the_middle_of_a_query_stops_it() {
    let stand = stand();
    run(async {
        let connection = connect(&stand.at("127.0.0.1", "postgres", "application_name=abandoned")).await;
        let query = connection.batch("SELECT pg_sleep(600)");
        assert!(tokio::time::timeout(Duration::from_millis(300), query).await.is_err());
        assert_eq!(count(stand, "abandoned"), "1");
        drop(connection);
        until_gone(stand, "abandoned").await;
    });
}

async fn until_gone(stand: &super::stand::Stand, name: &str) {
    let start = Instant::now();
    while count(stand, name) != "0" {
        assert!(start.elapsed() < Duration::from_secs(20), "the backend is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn count(stand: &super::stand::Stand, name: &str) -> String {
    sql(
        &stand.server,
        &format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"),
    )
}

#[test]
fn after_a_query_without_answer_the_connection_is_closed_and_the_backend_freed() {
    let stand = stand();
    for (name, more) in [("slow_plain", "sslmode=disable"), ("slow_tls", "sslmode=require")] {
        run(async {
            let text = stand.at("127.0.0.1", "postgres", &format!("{more} application_name={name}"));
            let mut connection = connect(&text).await;
            connection.set_query_deadline(Duration::from_millis(300));
            let start = Instant::now();
            let error = connection.batch("SELECT pg_sleep(600)").await.unwrap_err();
            assert!(matches!(error, QueryError::TimedOut(_)), "{error}");
            assert!(start.elapsed() < Duration::from_secs(10));
            assert!(connection.is_closed());
            assert!(matches!(
                connection.batch("SELECT 1").await,
                Err(QueryError::ConnectionLost(_))
            ));
            until_gone(stand, name).await;
        });
    }
}

#[test]
fn a_connection_that_the_server_ends_is_lost() {
    let stand = stand();
    run(async {
        let connection = connect(&stand.at("127.0.0.1", "postgres", "application_name=victim")).await;
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim'";
        let (answer, _) = tokio::join!(connection.batch("SELECT pg_sleep(600)"), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            sql(&stand.server, kill);
        });
        let error = answer.unwrap_err();
        assert!(
            matches!(error, QueryError::ConnectionLost(_)) || error.sqlstate() == Some("57P01"),
            "{error:?}"
        );
        assert!(!connection.is_responding(Duration::from_secs(5)).await);
        assert!(connection.is_closed());
        let healthy = Connection::connect_in(&nobody(), &conninfo(&stand.at("::1", "postgres", "")), deadlines())
            .await
            .unwrap();
        assert!(healthy.is_responding(Duration::from_secs(20)).await);
    });
}
