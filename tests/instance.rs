//! What is read from a data directory, compared with what PostgreSQL's own
//! program and server say of it.

mod support;

use repmgr::instance::control_file::{self, ClusterState};
use repmgr::instance::data_directory::{self, State};
use repmgr::types::SystemIdentifier;

use support::cluster::Cluster;

/// A value that `pg_controldata` shows.
fn shown(text: &str, label: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no \"{label}\" in\n{text}"));
    line.rsplit("  ").next().expect("a value").trim().to_owned()
}

fn compare(cluster: &Cluster, state: ClusterState) {
    let server = &cluster.node(1).server;
    let data = server.data.to_str().expect("a path");
    let output = server.stage.run("pg_controldata", &["-D", data]);
    let text = String::from_utf8(output.stdout).expect("text");
    let read = control_file::read(&server.data).expect("pg_control");
    assert_eq!(read.state, state);
    assert_eq!(read.state.as_str(), shown(&text, "Database cluster state"));
    assert_eq!(
        read.system_identifier,
        SystemIdentifier(shown(&text, "Database system identifier").parse().expect("a number"))
    );
    assert_eq!(read.checkpoint.to_string(), shown(&text, "Latest checkpoint location"));
    assert_eq!(
        read.checkpoint_timeline.to_string(),
        shown(&text, "Latest checkpoint's TimeLineID")
    );
    let minimum = read
        .min_recovery_point
        .map_or_else(|| "0/0".to_owned(), |(lsn, _)| lsn.to_string());
    assert_eq!(minimum, shown(&text, "Minimum recovery ending location"));
    assert_eq!(
        read.data_checksum_version.to_string(),
        shown(&text, "Data page checksum version")
    );
}

#[test]
fn pg_control_is_read_as_postgresql_does() {
    let cluster = Cluster::new("control", 1);
    let server = &cluster.node(1).server;
    assert_eq!(data_directory::state(&server.data), Ok(State::Absent));
    server.initialise("");
    assert_eq!(data_directory::state(&server.data), Ok(State::PostgreSql));
    compare(&cluster, ClusterState::ShutDown);
    assert_eq!(data_directory::running_server(&server.data), Ok(None));

    server.start();
    let pid = server.pid().expect("a running server");
    assert_eq!(data_directory::running_server(&server.data), Ok(Some(pid.as_raw())));
    compare(&cluster, ClusterState::InProduction);
    server.stop("fast");
    compare(&cluster, ClusterState::ShutDown);

    std::fs::write(server.data.join("standby.signal"), "").expect("standby.signal");
    server.start();
    compare(&cluster, ClusterState::InArchiveRecovery);
    server.stop("fast");
    compare(&cluster, ClusterState::ShutDownInRecovery);
    assert!(control_file::read(&server.data).expect("pg_control").state.is_clean());
}
