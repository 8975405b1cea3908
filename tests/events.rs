//! Events and monitoring history on a real server: what the tables hold afterwards.

mod support;

use std::time::Duration;

use repmgr::config::Config;
use repmgr::conninfo::Conninfo;
use repmgr::events::{self, Event, EventName};
use repmgr::metadata::events::{EventFilter, list};
use repmgr::metadata::monitoring_history::{self, Observation};
use repmgr::postgres::{Connection, Deadlines};
use repmgr::types::{Lsn, NodeId};
use support::cluster::Cluster;
use support::server::Server;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn connect(server: &Server) -> Connection {
    let conninfo = Conninfo::parse(&server.conninfo()).unwrap();
    let deadlines = Deadlines {
        connect: Duration::from_secs(20),
        ..Deadlines::default()
    };
    Connection::connect(&conninfo, deadlines).await.unwrap()
}

/// A running server with the schema, and a file to which `event_notification_command` writes.
fn prepare(name: &str) -> (Cluster, Config) {
    let cluster = Cluster::new(name, 1);
    let node = cluster.node(1);
    node.server.initialise("");
    node.server.start();
    node.create_role();
    node.server.query("CREATE EXTENSION repmgr");
    node.server.query("GRANT ALL ON ALL TABLES IN SCHEMA repmgr TO repmgr");
    node.server.query("GRANT USAGE ON SCHEMA repmgr TO repmgr");
    node.server
        .query("ALTER TABLE repmgr.monitoring_history OWNER TO repmgr");
    let told = cluster.folder.join("told");
    let config = Config {
        event_notification_command: format!("echo '%e %s %t' >> '{}'", told.display()),
        ..Config::default()
    };
    (cluster, config)
}

fn told(cluster: &Cluster) -> String {
    std::fs::read_to_string(cluster.folder.join("told")).unwrap_or_default()
}

#[test]
fn a_row_is_written_and_its_time_is_told() {
    let (cluster, config) = prepare("events-row");
    let server = &cluster.node(1).server;
    run(async {
        let connection = connect(server).await;
        let event = Event::new(EventName::ClusterCreated, NodeId(1));
        events::emit(Some(&connection), &config, event).await;
        let event = Event::new(EventName::StandbyFollow, NodeId(2))
            .successful(false)
            .details("it's \"so\"\nand so");
        events::emit(Some(&connection), &config, event).await;
    });
    let rows = server.query(
        "SELECT node_id, event, successful, coalesce(replace(details, chr(10), '/'), 'NULL') \
         FROM repmgr.events ORDER BY event_timestamp",
    );
    assert_eq!(rows, "1|cluster_created|t|NULL\n2|standby_follow|f|it's \"so\"/and so");
    let times = server.query(
        "SELECT event || ' ' || successful::int || ' ' || event_timestamp FROM repmgr.events ORDER BY event_timestamp",
    );
    assert_eq!(told(&cluster).trim_end(), times);
}

#[test]
fn without_a_table_or_in_recovery_there_is_no_row_and_the_command_runs_all_the_same() {
    let (cluster, config) = prepare("events-none");
    let server = &cluster.node(1).server;
    let emit = || {
        run(async {
            let connection = connect(server).await;
            let event = Event::new(EventName::StandbyPromote, NodeId(1));
            events::emit(Some(&connection), &config, event).await;
        });
    };
    server.query("ALTER TABLE repmgr.events RENAME TO hidden");
    emit();
    server.query("ALTER TABLE repmgr.hidden RENAME TO events");
    assert_eq!(told(&cluster).matches("standby_promote 1 ").count(), 1);

    server.stop("fast");
    support::user::write(&server.data.join("standby.signal"), "");
    server.start();
    emit();
    assert_eq!(told(&cluster).matches("standby_promote 1 ").count(), 2);
    assert_eq!(server.query("SELECT count(*) FROM repmgr.events"), "0");
}

#[test]
fn events_are_listed_newest_first_and_filtered() {
    let (cluster, _) = prepare("events-list");
    let server = &cluster.node(1).server;
    server.query(
        "INSERT INTO repmgr.nodes (node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (1, 'n1', 'primary', '', '', ''); \
         INSERT INTO repmgr.events (node_id, event, successful, event_timestamp, details) VALUES \
         (1, 'a', true, '2026-01-01 01:02:03.9', NULL), (9, 'a', false, '2026-01-02', 'x'), \
         (1, 'b', true, '2026-01-03', '')",
    );
    let read = |filter: EventFilter| {
        run(async {
            let connection = connect(server).await;
            let rows = list(&connection, &filter).await.unwrap();
            rows.into_iter()
                .map(|row| format!("{}{}", row.event, row.node_id))
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    let all = EventFilter::default();
    assert_eq!(read(all.clone()), "b1 a9 a1");
    for (filter, expected) in [
        (
            EventFilter {
                limit: Some(2),
                ..all.clone()
            },
            "b1 a9",
        ),
        (
            EventFilter {
                node_id: Some(NodeId(1)),
                ..all.clone()
            },
            "b1 a1",
        ),
        (
            EventFilter {
                node_id: Some(NodeId(9)),
                ..all.clone()
            },
            "",
        ),
        (
            EventFilter {
                node_name: Some("n1".to_owned()),
                event: Some("a".to_owned()),
                ..all.clone()
            },
            "a1",
        ),
        (
            EventFilter {
                event: Some("a".to_owned()),
                limit: Some(1),
                ..all.clone()
            },
            "a9",
        ),
    ] {
        assert_eq!(read(filter.clone()), expected, "{filter:?}");
    }
    let rows = run(async { list(&connect(server).await, &all).await.unwrap() });
    assert_eq!(rows[2].timestamp, "2026-01-01 01:02:03");
    assert_eq!(
        (rows[2].node_name.as_deref(), rows[2].details.as_deref()),
        (Some("n1"), None)
    );
    assert_eq!(
        (rows[1].node_name.as_deref(), rows[1].details.as_deref()),
        (None, Some("x"))
    );
}

#[test]
fn monitoring_history_is_written_counted_and_deleted() {
    let (cluster, _) = prepare("history");
    let server = &cluster.node(1).server;
    let observation = |standby: i32, time: &str| Observation {
        primary: NodeId(1),
        standby: NodeId(standby),
        monitor_time: time.to_owned(),
        apply_time: None,
        primary_lsn: Lsn(0x3_0000_0100),
        received_lsn: Lsn(0x3_0000_0000),
        replayed_lsn: Lsn(0x2_FFFF_FFF0),
    };
    run(async {
        let connection = connect(server).await;
        let old = server.query("SELECT now() - interval '10 days'");
        let new = server.query("SELECT now()");
        for (standby, time) in [(2, &old), (3, &old), (3, &new)] {
            monitoring_history::insert(&connection, &observation(standby, time))
                .await
                .unwrap();
        }
        let row = server.query(
            "SELECT primary_node_id, last_apply_time IS NULL, last_wal_primary_location, last_wal_standby_location, \
             replication_lag, apply_lag FROM repmgr.monitoring_history WHERE standby_node_id = 2",
        );
        assert_eq!(row, "1|t|3/100|3/0|256|16");

        for (days, standby, expected) in [
            (0, None, 3),
            (5, None, 2),
            (5, Some(NodeId(3)), 1),
            (0, Some(NodeId(3)), 2),
            (30, None, 0),
        ] {
            let count = monitoring_history::count_older(&connection, days, standby)
                .await
                .unwrap();
            assert_eq!(count, expected, "{days} days, {standby:?}");
        }
        let left = || server.query("SELECT count(*) FROM repmgr.monitoring_history");
        monitoring_history::delete_older(&connection, 5, Some(NodeId(2)))
            .await
            .unwrap();
        assert_eq!(left(), "2");
        monitoring_history::delete_older(&connection, 5, None).await.unwrap();
        assert_eq!(left(), "1");
        monitoring_history::delete_older(&connection, 0, None).await.unwrap();
        assert_eq!(left(), "0");
        monitoring_history::vacuum(&connection).await.unwrap();
    });
}
