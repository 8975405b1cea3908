//! The nodes that follow the same upstream as this one, told to follow it
//! after it was promoted. All are asked, and told, at the same time.

use std::time::Duration;

use futures_util::future::join_all;

use crate::config::Config;
use crate::conninfo::{self, Conninfo};
use crate::metadata::functions::{self, Notification};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::remote::{Answers, Call, Host, RemoteRepmgr, Ssh};
use crate::types::NodeType;
use crate::{detail, info, survey, warning};

/// How long a host may take to say that it can be reached.
const REACH_LIMIT: Duration = Duration::from_secs(15);
/// How long a look-up on a sibling's host may take.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(60);
/// How long a sibling may take beyond what it waits itself.
const FOLLOW_MARGIN: Duration = Duration::from_secs(90);

/// How commands get to other hosts, and what they need there.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// For `repmgr_bindir`, `pg_bindir`, `standby_follow_timeout`.
    pub config: &'a Config,
    /// The command's one way to other hosts.
    pub ssh: &'a Ssh<'a>,
    /// `--log-level`, handed on.
    pub log_level: Option<&'a str>,
}

/// A sibling and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// Its record.
    pub node: NodeRecord,
    host: Host,
}

/// The siblings of a node: those that can be reached, and the others with the reason.
#[derive(Debug, Default)]
pub struct Siblings {
    /// They can be told to follow.
    pub reachable: Vec<Sibling>,
    /// They cannot.
    pub unreachable: Vec<(NodeRecord, String)>,
}

impl Siblings {
    /// Walsenders that the new primary needs for those that can be reached.
    pub fn required_walsenders(&self) -> usize {
        self.reachable.len()
    }

    /// Slots that the new primary needs for those that can be reached.
    pub fn required_slots(&self) -> usize {
        let uses_slot = |sibling: &&Sibling| sibling.node.slot_name.is_some();
        self.reachable.iter().filter(uses_slot).count()
    }
}

/// The active nodes with the same upstream as `own`, witnesses included.
pub async fn find(connection: &Connection, own: &NodeRecord) -> Result<Vec<NodeRecord>, QueryError> {
    match own.upstream_node_id {
        Some(upstream) => nodes::active_siblings(connection, upstream, own.node_id).await,
        None => Ok(Vec::new()),
    }
}

/// Finds out which of them commands can be sent to.
pub async fn probe(route: Route<'_>, siblings: Vec<NodeRecord>) -> Siblings {
    let probed = join_all(siblings.into_iter().map(|node| async move {
        match reach(route, &node).await {
            Ok(host) => Ok(Sibling { node, host }),
            Err(reason) => Err((node, reason)),
        }
    }));
    let mut result = Siblings::default();
    for sibling in probed.await {
        match sibling {
            Ok(sibling) => result.reachable.push(sibling),
            Err(unreachable) => result.unreachable.push(unreachable),
        }
    }
    result
}

async fn reach(route: Route<'_>, node: &NodeRecord) -> Result<Host, String> {
    let conninfo = Conninfo::parse(&node.conninfo).map_err(|error| format!("its conninfo is not valid: {error}"))?;
    let name = conninfo.get("host").or_else(|| conninfo.get("hostaddr")).unwrap_or("");
    let host = Host::find(name, REACH_LIMIT).await.map_err(|error| error.to_string())?;
    let reached = route.ssh.reach(&host, REACH_LIMIT).await;
    reached.map(|()| host).map_err(|error| error.to_string())
}

/// Those that say that they cannot make a replication connection to `own`, each with its title and what it said.
/// One that does not know the question, or has no answer, counts as able to.
pub async fn shut_out(route: Route<'_>, siblings: &[Sibling], own: &NodeRecord) -> Vec<String> {
    let call = Call::ReplicationConnection {
        remote_node: own.node_id,
    };
    let asked = join_all(siblings.iter().map(|sibling| {
        let repmgr = RemoteRepmgr::new(route.config, route.log_level).on(&sibling.host);
        let line = repmgr.call(&sibling.node.config_file, &call);
        async move { route.ssh.run(&sibling.host, &line, LOOK_UP_LIMIT).await }
    }));
    let mut result = Vec::new();
    for (sibling, answer) in siblings.iter().zip(asked.await) {
        let Ok(finished) = answer else { continue };
        if Answers::parse(&finished.stdout).get("connection") == Some("BAD") {
            result.push(sibling.node.title());
        }
    }
    result
}

/// Lets all of them follow `own`, which is primary now. What fails is a WARNING with its node; the count of failures.
pub async fn follow(route: Route<'_>, siblings: &[Sibling], own: &NodeRecord) -> usize {
    let count = siblings.len();
    crate::notice!("executing STANDBY FOLLOW on {count} of {count} siblings");
    let outcomes = join_all(siblings.iter().map(|sibling| follow_one(route, sibling, own))).await;
    let mut failed = 0;
    for (sibling, outcome) in siblings.iter().zip(outcomes) {
        if let Err(reason) = outcome {
            failed += 1;
            warning!("{} could not be made to follow the new primary", sibling.node.title());
            detail!("{reason}");
        }
    }
    if failed == 0 {
        info!("STANDBY FOLLOW successfully executed on all reachable sibling nodes");
    } else {
        warning!("execution of STANDBY FOLLOW failed on {failed} sibling nodes");
        crate::hint!("run \"repmgr standby follow\" on them (on a witness: \"repmgr witness register --force\")");
    }
    failed
}

async fn follow_one(route: Route<'_>, sibling: &Sibling, own: &NodeRecord) -> Result<(), String> {
    if sibling.node.node_type == NodeType::Witness {
        notify_witness(&sibling.node, own).await;
    }
    let repmgr = RemoteRepmgr::new(route.config, route.log_level).on(&sibling.host);
    let command = |conninfo: &str| repmgr.call(&sibling.node.config_file, &follow_call(&sibling.node, conninfo));
    let shown = command(&conninfo::redact(&own.conninfo));
    let limit = route.config.standby_follow_timeout + FOLLOW_MARGIN;
    let finished = route
        .ssh
        .run(&sibling.host, &command(&own.conninfo), limit)
        .await
        .map_err(|error| format!("\"{shown}\": {error}"))?;
    if finished.status.success() {
        return Ok(());
    }
    let output = finished.stderr.trim();
    let tail: Vec<&str> = output.lines().rev().take(5).collect();
    Err(format!(
        "\"{shown}\" ended with {}: {}",
        finished.status,
        tail.into_iter().rev().collect::<Vec<_>>().join("; ")
    ))
}

async fn notify_witness(witness: &NodeRecord, own: &NodeRecord) {
    let told = async {
        let connection = survey::connect(witness, Deadlines::default())
            .await
            .map_err(|error| error.to_string())?;
        functions::notify(&connection, Notification::Follow(own.node_id))
            .await
            .map_err(|error| error.to_string())
    };
    if let Err(reason) = told.await {
        warning!(
            "the daemon of witness {} could not be told of the new primary",
            witness.title()
        );
        detail!("{reason}");
    }
}

fn follow_call<'a>(sibling: &NodeRecord, conninfo: &'a str) -> Call<'a> {
    if sibling.node_type == NodeType::Witness {
        Call::WitnessRegister { conninfo }
    } else {
        Call::Follow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeId;

    fn node(node_type: NodeType) -> NodeRecord {
        NodeRecord {
            node_id: NodeId(3),
            upstream_node_id: Some(NodeId(1)),
            active: true,
            node_name: "three".to_owned(),
            node_type,
            location: "default".to_owned(),
            priority: 100,
            conninfo: "host=three user=it's".to_owned(),
            repluser: String::new(),
            slot_name: None,
            config_file: "/etc/my repmgr.conf".to_owned(),
        }
    }

    #[test]
    fn standbys_follow_and_witnesses_register_anew() {
        assert_eq!(follow_call(&node(NodeType::Standby), "host=one"), Call::Follow);
        let conninfo = "host=one";
        assert_eq!(
            follow_call(&node(NodeType::Witness), conninfo),
            Call::WitnessRegister { conninfo }
        );
    }
}
