use repmgr::postgres::{Connection, ReplicationConnection};
use repmgr::types::{Lsn, TimelineId};

use super::stand::{connect, conninfo, deadlines, nobody, run, sql, stand};
use crate::support::eventually;

async fn replication(text: &str) -> ReplicationConnection {
    let string = conninfo(text).for_replication("");
    ReplicationConnection::connect_in(&nobody(), &string, deadlines())
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn slots_come_and_go_over_the_replication_protocol() {
    let stand = stand();
    run(async {
        let text = stand.at("127.0.0.1", "postgres", "");
        let connection = connect(&text).await;
        let slot = async |connection: &Connection| -> Vec<(String, bool)> {
            let question = "SELECT slot_type, restart_lsn IS NOT NULL FROM pg_replication_slots \
                            WHERE slot_name = 'made_by_protocol'";
            let rows = connection.query(question, &[]).await.unwrap();
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        let replication = replication(&text).await;
        for reserve in [false, true] {
            replication
                .create_physical_slot("made_by_protocol", reserve)
                .await
                .unwrap();
            assert_eq!(slot(&connection).await, [("physical".to_owned(), reserve)]);
            let error = replication
                .create_physical_slot("made_by_protocol", reserve)
                .await
                .unwrap_err();
            assert_eq!(error.sqlstate(), Some("42710"), "{error}");
            replication.drop_slot("made_by_protocol").await.unwrap();
            assert_eq!(slot(&connection).await, []);
        }
        let error = replication.drop_slot("made_by_protocol").await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("42704"), "{error}");
        let error = replication.create_physical_slot("Bad-Name", true).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("42602"), "{error}");
        let version = connection.server_version().await.unwrap();
        assert_eq!(
            replication.show("server_version_num").await.unwrap(),
            version.0.to_string()
        );
    });
}

#[test]
fn a_promoted_standby_tells_its_history_at_once() {
    let stand = stand();
    let standby = stand.standby("standby-with-history");
    let at_standby = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", standby.port);
    run(async {
        let primary = replication(&stand.at("127.0.0.1", "postgres", "")).await;
        let before = primary.identify_system().await.unwrap();
        let connection = connect(&stand.at("127.0.0.1", "postgres", "")).await;
        assert_eq!(before.system_identifier, connection.system_identifier().await.unwrap());
        assert_eq!(before.timeline, TimelineId(1));
        assert!(before.position > Lsn(0) && before.position <= connection.current_lsn().await.unwrap());
        let error = primary.timeline_history(TimelineId(2)).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("58P01"), "{error}");

        let replica = replication(&at_standby).await;
        assert_eq!(replica.identify_system().await.unwrap().timeline, TimelineId(1));
        sql(&standby, "SELECT pg_promote(true, 60)");
        eventually("the standby accepts writes", || standby.is_primary().then_some(()));
        let replica = replication(&at_standby).await;
        let after = replica.identify_system().await.unwrap();
        assert_eq!(after.system_identifier, before.system_identifier);
        assert_eq!(after.timeline, TimelineId(2));
        let history = replica.timeline_history(TimelineId(2)).await.unwrap();
        assert_eq!(history.len(), 1);
        assert_eq!(history[0].timeline, TimelineId(1));
        let text = std::fs::read_to_string(standby.data.join("pg_wal/00000002.history")).unwrap();
        assert!(
            text.contains(&history[0].switch_point.to_string()),
            "{text} {history:?}"
        );
    });
}
