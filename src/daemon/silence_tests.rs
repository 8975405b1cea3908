//! What accepts connections and never answers costs a turn one deadline, however many of it there are.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gather::{self, Beginning, Identity};
use super::peers::{DEADLINES, Peers};
use super::probe;
use super::probes::Probes;
use crate::config::{Config, ConnectionCheckType};
use crate::failover::{ConnectFailure, Needs, State};
use crate::metadata::NodeRecord;
use crate::types::{NodeId, NodeType, RecoveryState};

/// A server that accepts (the kernel does) and says nothing.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        Silent(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    /// Its record, without a timeout of its own in the conninfo.
    fn record(&self, id: i32) -> NodeRecord {
        NodeRecord {
            node_id: NodeId(id),
            upstream_node_id: Some(NodeId(1)),
            active: true,
            node_name: format!("n{id}"),
            node_type: NodeType::Standby,
            location: "default".into(),
            priority: 100,
            conninfo: format!(
                "host=127.0.0.1 port={} user=u dbname=d",
                self.0.local_addr().expect("an address").port()
            ),
            repluser: "u".into(),
            slot_name: None,
            config_file: String::new(),
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Ample on a busy machine, and far from what one attempt after the other or the kernel's own patience would take.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn w11_a_silent_upstream_without_a_timeout_of_its_own_costs_the_daemons() {
    let silent = Silent::new();
    for check in [
        ConnectionCheckType::Ping,
        ConnectionCheckType::Connection,
        ConnectionCheckType::Query,
    ] {
        let config = Config {
            connection_check_type: check,
            ..Config::default()
        };
        let start = Instant::now();
        let probed = run(probe::upstream(&config, &silent.record(1), None));
        assert_eq!(probed.probe, Err(ConnectFailure::Silent), "{check:?}");
        let took = start.elapsed();
        assert!(took >= DEADLINES.connect && took < LIMIT, "{check:?}: {took:?}");
    }
}

#[test]
fn w16_w17_any_number_of_silent_nodes_and_a_silent_own_server_cost_one_deadline() {
    let silent: Vec<Silent> = (1..=9).map(|_| Silent::new()).collect();
    let records: Vec<NodeRecord> = silent.iter().zip(1..).map(|(silent, id)| silent.record(id)).collect();
    let identity = Identity {
        node: NodeId(1),
        pid: 1,
        pid_file: String::new(),
    };
    let needs = Needs {
        upstream: Some(NodeId(2)),
        patience: None,
        ask: (3..=9).map(NodeId).collect(),
    };
    let start = Instant::now();
    let beginning = Beginning {
        now: Duration::ZERO,
        config: &Arc::new(Config::default()),
        identity: &identity,
        state: &State::new(NodeId(1)),
        records: &records,
        needs: &needs,
    };
    let gathered = run(gather::gather(
        &beginning,
        &mut Peers::default(),
        &mut Probes::default(),
    ));
    let took = start.elapsed();
    assert!(took < LIMIT, "{took:?}");
    assert_eq!(gathered.local.recovery, RecoveryState::Unknown);
    let answers: Vec<_> = gathered.probes.iter().map(|(end, _)| end.answer).collect();
    assert_eq!(answers, [Err(ConnectFailure::Silent)]);
    assert_eq!(gathered.others.len(), 7);
    for seen in &gathered.others {
        assert_eq!(seen.reached, Err(ConnectFailure::Silent), "{:?}", seen.node);
    }
}
