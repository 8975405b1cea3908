use repmgr::conninfo::Environment;
use repmgr::postgres::{ConnectFailure, Connection, Ping, ReplicationConnection, ping_in};

use super::stand::{PASSWORD, ask, connect, conninfo, deadlines, nobody, refused, run, stand};
use crate::support::user;

const METHODS: [&str; 3] = ["with_scram", "with_md5", "with_cleartext"];

#[test]
fn every_password_method_lets_the_right_password_in() {
    let stand = stand();
    run(async {
        for role in METHODS {
            for mode in ["disable", "require"] {
                let mut string = conninfo(&stand.at("127.0.0.1", role, &format!("sslmode={mode}")));
                string.set("password", PASSWORD);
                let connection = Connection::connect_in(&nobody(), &string, deadlines()).await.unwrap();
                assert_eq!(ask(&connection, "SELECT current_user::text").await, role);
                let replication = string.for_replication("");
                let replication = ReplicationConnection::connect_in(&nobody(), &replication, deadlines()).await;
                replication.unwrap().identify_system().await.unwrap();
            }
        }
    });
}

#[test]
fn a_wrong_or_missing_password_is_an_authentication_failure_and_a_sign_of_life() {
    let stand = stand();
    run(async {
        for role in METHODS {
            let text = stand.at("127.0.0.1", role, "password=wrongsecret");
            let error = refused(&text).await;
            assert_eq!(error.failure, ConnectFailure::Authentication, "{error}");
            assert!(error.message.contains("password authentication failed"), "{error}");
            assert!(!error.message.contains("wrongsecret"), "{error}");
            let address = format!("server at \"127.0.0.1\", port {}", stand.server.port);
            assert!(error.message.contains(&address), "{error}");

            let text = stand.at("127.0.0.1", role, "");
            let error = refused(&text).await;
            assert_eq!(error.failure, ConnectFailure::Authentication);
            assert!(error.message.contains("no password supplied"), "{error}");
            assert_eq!(
                ping_in(&nobody(), &conninfo(&text), deadlines().connect).await,
                Ping::Accepting
            );
        }
    });
}

#[test]
fn the_password_file_is_asked_for_the_right_database() {
    let stand = stand();
    let home = stand.files.join("home-with-passfile");
    user::folder(&home);
    let password = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let port = stand.server.port;
    let lines =
        format!("127.0.0.1:{port}:replication:with_scram:{password}\n127.0.0.1:{port}:postgres:with_md5:{password}\n");
    let file = home.join(".pgpass");
    std::fs::write(&file, lines).unwrap();
    set_mode(&file, 0o600);
    let environment = Environment::of_variables([]).with_home(&home);
    run(async {
        let text = stand.at("127.0.0.1", "with_md5", "");
        Connection::connect_in(&environment, &conninfo(&text), deadlines())
            .await
            .unwrap();
        let string = conninfo(&stand.at("127.0.0.1", "with_scram", ""));
        let error = Connection::connect_in(&environment, &string, deadlines())
            .await
            .unwrap_err();
        assert_eq!(error.failure, ConnectFailure::Authentication);
        ReplicationConnection::connect_in(&environment, &string.for_replication(""), deadlines())
            .await
            .unwrap();
        set_mode(&file, 0o644);
        let error = Connection::connect_in(&environment, &conninfo(&text), deadlines())
            .await
            .unwrap_err();
        assert!(error.message.contains("no password supplied"), "{error}");
    });
}

fn set_mode(file: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn other_refusals_keep_their_names() {
    let stand = stand();
    run(async {
        let text = format!("host=127.0.0.1 port={} user=postgres dbname=missing", stand.server.port);
        assert_eq!(refused(&text).await.failure, ConnectFailure::Authentication);
        let error = refused(&stand.at("127.0.0.1", "rejected", "")).await;
        assert_eq!(error.failure, ConnectFailure::Authentication);
        assert!(error.message.contains("pg_hba.conf"), "{error}");
        let text = stand.at("127.0.0.1", "crowded", "");
        assert_eq!(refused(&text).await.failure, ConnectFailure::TooManyConnections);
        assert_eq!(
            ping_in(&nobody(), &conninfo(&text), deadlines().connect).await,
            Ping::Accepting
        );
    });
}

#[test]
fn require_auth_binds_the_client() {
    let stand = stand();
    run(async {
        for (role, allowed, others) in [
            ("with_scram", "scram-sha-256", "md5,password"),
            ("with_md5", "md5,scram-sha-256", "scram-sha-256"),
            ("with_cleartext", "password", "!password"),
            ("postgres", "none", "!none"),
        ] {
            for (methods, accepted) in [(allowed, true), (others, false)] {
                let mut string = conninfo(&stand.at("127.0.0.1", role, &format!("require_auth={methods}")));
                string.set("password", PASSWORD);
                match Connection::connect_in(&nobody(), &string, deadlines()).await {
                    Ok(_) => assert!(accepted, "{role} {methods}"),
                    Err(error) => {
                        assert!(!accepted, "{role} {methods}: {error}");
                        assert!(error.message.contains(&format!("require_auth={methods}")), "{error}");
                    }
                }
            }
        }
    });
}

#[test]
fn the_channel_is_bound_if_that_is_required() {
    let stand = stand();
    run(async {
        let with = |role: &str, more: &str| {
            let mut string = conninfo(&stand.at("127.0.0.1", role, more));
            string.set("password", PASSWORD);
            string
        };
        let string = with("with_scram", "sslmode=require channel_binding=require");
        Connection::connect_in(&nobody(), &string, deadlines()).await.unwrap();
        ReplicationConnection::connect_in(&nobody(), &string.for_replication(""), deadlines())
            .await
            .unwrap();
        let string = with("with_scram", "sslmode=require channel_binding=disable");
        Connection::connect_in(&nobody(), &string, deadlines()).await.unwrap();
        for role in ["with_md5", "with_cleartext", "postgres"] {
            let string = with(role, "sslmode=require channel_binding=require");
            let error = Connection::connect_in(&nobody(), &string, deadlines())
                .await
                .unwrap_err();
            assert_eq!(error.failure, ConnectFailure::Authentication);
            assert!(error.message.contains("channel_binding=require"), "{error}");
        }
        let string = with("with_scram", "sslmode=disable channel_binding=require");
        let error = Connection::connect_in(&nobody(), &string, deadlines())
            .await
            .unwrap_err();
        assert_eq!(error.failure, ConnectFailure::BadParameters);
    });
}

#[test]
fn what_needs_gssapi_says_so() {
    let stand = stand();
    run(async {
        for (more, keyword) in [
            ("gssencmode=require", "gssencmode"),
            ("require_auth=gss", "require_auth"),
        ] {
            let error = refused(&stand.at("127.0.0.1", "postgres", more)).await;
            assert_eq!(error.failure, ConnectFailure::BadParameters);
            assert!(
                error.message.contains(keyword) && error.message.contains("GSSAPI"),
                "{error}"
            );
        }
        connect(&stand.at(
            "127.0.0.1",
            "postgres",
            "gssencmode=prefer krbsrvname=postgres gsslib=gssapi gssdelegation=0",
        ))
        .await;
    });
}
