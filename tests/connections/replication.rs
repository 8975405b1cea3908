use repmgr::postgres::{Connection, ReplicationConnection};

use super::stand::{conninfo, deadlines, nobody, run, server};

#[test]
fn a_replication_connection_knows_where_it_is() {
    let server = server();
    let text = format!("host=127.0.0.1 port={} user=postgres", server.port);
    run(async {
        let sql = Connection::connect_in(&nobody(), &conninfo(&text), deadlines())
            .await
            .unwrap();
        let replication =
            ReplicationConnection::connect_in(&nobody(), &conninfo(&text).for_replication(""), deadlines())
                .await
                .unwrap();
        let identity = replication.identify_system().await.unwrap();
        assert_eq!(identity.system_identifier, sql.system_identifier().await.unwrap());
        replication.create_physical_slot("odd_name", true).await.unwrap();
        let slots = sql
            .query(
                "SELECT slot_name::text, restart_lsn IS NOT NULL FROM pg_replication_slots",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(slots[0].get::<_, &str>(0), "odd_name");
        replication.drop_slot("odd_name").await.unwrap();
        assert_eq!(replication.show("server_version_num").await.unwrap().len(), 6);
    });
}
