//! What every node says of its connections to all others, asked at the same
//! time: over SQL from here, and over SSH from there.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};

use super::connect;
use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::metadata::NodeRecord;
use crate::postgres::{ConnectFailure, Deadlines};
use crate::process::Finished;
use crate::remote::{Call, Host, RemoteRepmgr, Ssh};
use crate::types::NodeId;

use super::links::{Link, Links, Problem};

/// How long a login may take. The time for the connection itself is ssh's own (`ssh_options`).
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// How much longer than its server a host may be silent. After that it is taken for unreachable.
const SILENCE: Duration = Duration::from_millis(250);
/// How long the repmgr of another host may take to find out what it can connect to.
const SHOW_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take if it asks others in its turn.
const MATRIX_LIMIT: Duration = Duration::from_secs(120);

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// All nodes.
    pub records: &'a [NodeRecord],
    /// The node that this host is, if it is known.
    pub own: Option<NodeId>,
    /// For `repmgr_bindir` and `pg_bindir`.
    pub config: &'a Config,
    /// The command's one way to other hosts.
    pub ssh: &'a Ssh<'a>,
    /// `--log-level`, handed on.
    pub log_level: Option<&'a str>,
}

/// Of one node: whether this one can connect to it, and what it says if it was asked.
type Seen = (Result<(), ConnectFailure>, Option<Result<String, String>>);

/// What came back: the links, and which nodes did not do their part.
#[derive(Debug)]
pub struct Views {
    /// All that is known.
    pub links: Links,
    /// By node id.
    pub problems: Vec<(NodeId, Problem)>,
}

/// How long a connection to any of these nodes may take: what their connection strings say (`connect_timeout`), else
/// what an attempt without it may take. `None` if one of them has no limit.
pub fn connect_limit(records: &[NodeRecord]) -> Option<Duration> {
    let of = |node: &NodeRecord| {
        let conninfo = Conninfo::parse(&node.conninfo).ok();
        match conninfo.as_ref().and_then(|conninfo| conninfo.get("connect_timeout")) {
            None => Some(Deadlines::default().connect),
            // libpq: zero and less mean no limit, and one second is raised to two.
            Some(seconds) => match seconds.trim().parse::<i64>() {
                Ok(seconds) if seconds > 0 => u64::try_from(seconds.max(2)).ok().map(Duration::from_secs),
                Ok(_) => None,
                Err(_) => Some(Deadlines::default().connect),
            },
        }
    };
    let limits: Option<Vec<Duration>> = records.iter().map(of).collect();
    limits?.into_iter().max()
}

impl Asking<'_> {
    /// What this node can connect to, and what each node that it can connect to says of itself.
    pub async fn matrix(self) -> Views {
        let seen = join_all(self.records.iter().map(|node| async move {
            let connected = connects(node).await;
            let said = match connected {
                Ok(()) if self.own != Some(node.node_id) => Some(self.show(node, &Cell::new(false)).await),
                _ => None,
            };
            (connected, said)
        }));
        self.collect(seen.await)
    }

    /// What each node says of itself, also those that this one cannot connect to. A node that cannot be asked from
    /// here is asked by those that can.
    pub async fn crosscheck(self) -> Views {
        let seen = join_all(self.records.iter().map(|node| self.connect_and_ask(node)));
        let mut views = self.collect(seen.await);
        let silent: Vec<NodeId> = views.problems.iter().map(|(id, _)| *id).collect();
        let answered: Vec<NodeId> = views.links.ids().filter(|id| !silent.contains(id)).collect();
        let able = views.links.able_to_tell(&silent, &answered);
        let others = able.into_iter().filter(|id| self.own != Some(*id));
        let nodes = others.filter_map(|id| self.records.iter().find(|node| node.node_id == id));
        let told = join_all(nodes.map(|node| async move { (node.node_id, self.ask_matrix(node).await) }));
        for (id, said) in told.await {
            let problem = match said {
                Ok(stdout) => views.links.learn_all(&stdout),
                Err(reason) => Some(Problem::NoAnswer { reason }),
            };
            views.problems.extend(problem.map(|problem| (id, problem)));
        }
        views.problems.sort_by_key(|(id, _)| *id);
        views
    }

    fn collect(self, seen: Vec<Seen>) -> Views {
        let mut links = Links::new(self.records);
        let mut problems = Vec::new();
        for (node, (connected, said)) in self.records.iter().zip(seen) {
            let link = if connected.is_ok() { Link::Works } else { Link::Failed };
            if let Some(own) = self.own {
                links.learn(own, node.node_id, link);
            }
            let problem = match said {
                None => continue,
                Some(Ok(stdout)) => links.learn_row(node.node_id, &stdout),
                Some(Err(reason)) => Some(Problem::NoAnswer { reason }),
            };
            problems.extend(problem.map(|problem| (node.node_id, problem)));
        }
        Views { links, problems }
    }

    /// Both at the same time. A host whose server is silent and that has not let us in until then is given up
    /// soon afterwards: what drops the one drops the other, and ssh's own patience is much longer.
    async fn connect_and_ask(self, node: &NodeRecord) -> (Result<(), ConnectFailure>, Option<Result<String, String>>) {
        if self.own == Some(node.node_id) {
            return (connects(node).await, None);
        }
        let logged_in = Cell::new(false);
        let show = pin!(self.show(node, &logged_in));
        let (connected, show) = match select(pin!(connects(node)), show).await {
            Either::Left(first) => first,
            Either::Right((said, connects)) => return (connects.await, Some(said)),
        };
        let mut show = show;
        if connected == Err(ConnectFailure::Silent) && !logged_in.get() {
            match tokio::time::timeout(SILENCE, &mut show).await {
                Ok(said) => return (connected, Some(said)),
                Err(_) if !logged_in.get() => {
                    let reason = "neither its server nor its sshd answers".to_owned();
                    return (connected, Some(Err(reason)));
                }
                Err(_) => {}
            }
        }
        (connected, Some(show.await))
    }

    async fn show(self, node: &NodeRecord, logged_in: &Cell<bool>) -> Result<String, String> {
        let host = find(node).await?;
        self.ssh
            .reach(&host, LOGIN_LIMIT)
            .await
            .map_err(|error| error.to_string())?;
        logged_in.set(true);
        self.run(node, &host, &Call::ClusterShow, SHOW_LIMIT).await
    }

    async fn ask_matrix(self, node: &NodeRecord) -> Result<String, String> {
        let host = find(node).await?;
        self.run(node, &host, &Call::ClusterMatrix, MATRIX_LIMIT).await
    }

    async fn run(self, node: &NodeRecord, host: &Host, call: &Call<'_>, limit: Duration) -> Result<String, String> {
        let repmgr = RemoteRepmgr::new(self.config, self.log_level).on(host);
        let command = repmgr.call(&node.config_file, call);
        let finished = self.ssh.run(host, &command, limit).await;
        let finished = finished.map_err(|error| error.to_string())?;
        if finished.stdout.trim().is_empty() {
            return Err(format!("\"{command}\" {}", how_it_ended(&finished)));
        }
        Ok(finished.stdout)
    }
}

async fn connects(node: &NodeRecord) -> Result<(), ConnectFailure> {
    let connected = connect(node, Deadlines::default()).await;
    connected.map(drop).map_err(|error| error.failure)
}

async fn find(node: &NodeRecord) -> Result<Host, String> {
    let conninfo = Conninfo::parse(&node.conninfo).map_err(|error| format!("its conninfo is not valid: {error}"))?;
    let name = conninfo
        .get("host")
        .or_else(|| conninfo.get("hostaddr"))
        .unwrap_or_default();
    Host::find(name, LOGIN_LIMIT).await.map_err(|error| error.to_string())
}

fn how_it_ended(finished: &Finished) -> String {
    let said: Vec<&str> = finished.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let said = match said[..] {
        [] => String::new(),
        [.., one, two] => format!(": {one}; {two}"),
        [one] => format!(": {one}"),
    };
    format!("printed nothing and ended with {}{said}", finished.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::NodeType;

    #[test]
    fn the_longest_of_the_limits_that_the_connection_strings_set() {
        let limit = |conninfos: &[&str]| {
            let records: Vec<NodeRecord> = conninfos.iter().map(|conninfo| record(conninfo)).collect();
            connect_limit(&records).map(|limit| limit.as_secs())
        };
        assert_eq!(limit(&["host=a", "host=b connect_timeout=5"]), Some(5));
        assert_eq!(limit(&["host=a connect_timeout=1"]), Some(2));
        assert_eq!(limit(&["host=a"]), Some(Deadlines::default().connect.as_secs()));
        assert_eq!(limit(&["host=a connect_timeout=0", "host=b connect_timeout=5"]), None);
        assert_eq!(limit(&["host=a connect_timeout=x"]), limit(&["host=a"]));
    }

    fn record(conninfo: &str) -> NodeRecord {
        NodeRecord {
            node_id: NodeId(1),
            upstream_node_id: None,
            active: true,
            node_name: "node1".to_owned(),
            node_type: NodeType::Standby,
            location: "default".to_owned(),
            priority: 100,
            conninfo: conninfo.to_owned(),
            repluser: "repmgr".to_owned(),
            slot_name: None,
            config_file: "/etc/repmgr.conf".to_owned(),
        }
    }
}
