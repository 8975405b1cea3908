//! The nodes that follow the same upstream as this one, told to follow it
//! after it was promoted. All are asked, and told, at the same time.

use std::net::{ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::metadata::functions::{self, Notification};
use crate::metadata::{NodeRecord, nodes};
use crate::postgres::{Connection, Deadlines, QueryError};
use crate::process::{self, shell_quote};
use crate::types::NodeType;
use crate::{detail, info, survey, warning};

/// How long a host may take to say that it can be reached.
const REACH_LIMIT: Duration = Duration::from_secs(15);
/// How long a sibling may take beyond what it waits itself.
const FOLLOW_MARGIN: Duration = Duration::from_secs(90);

/// How commands get to other hosts, and what they need there.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// For `ssh_options`, `repmgr_bindir`, `pg_bindir`, `standby_follow_timeout`.
    pub config: &'a Config,
    /// `--remote-user`; without it ssh decides.
    pub remote_user: Option<&'a str>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// This very host.
    Local,
    /// A host that ssh can reach.
    Remote(String),
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
    // Of several hosts the first one is the node's own.
    let name = name.split(',').next().unwrap_or_default().trim().to_owned();
    let lookup = name.clone();
    let local = tokio::task::spawn_blocking(move || is_this_host(&lookup));
    match tokio::time::timeout(REACH_LIMIT, local).await {
        Ok(Ok(true)) => return Ok(Host::Local),
        Ok(_) => {}
        Err(_) => return Err(format!("the name \"{name}\" could not be resolved in time")),
    }
    let mut reason = String::new();
    for probe in ["/bin/true", "/usr/bin/true"] {
        match process::shell(&ssh_command(route, &name, probe), REACH_LIMIT).await {
            Ok(finished) if finished.status.success() => return Ok(Host::Remote(name)),
            Ok(finished) => reason = format!("ssh ended with {}: {}", finished.status, finished.stderr.trim()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(reason)
}

/// A name that leads to this host: none, a socket directory, or an address of its own.
fn is_this_host(name: &str) -> bool {
    if name.is_empty() || name.starts_with(['/', '@']) {
        return true;
    }
    let Ok(addresses) = (name, 9).to_socket_addrs() else {
        return false;
    };
    // The system's own address as the source towards it: the address is one of this host's.
    addresses.into_iter().any(|address| {
        if address.ip().is_loopback() {
            return true;
        }
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        UdpSocket::bind(any)
            .and_then(|socket| socket.connect(address).and_then(|()| socket.local_addr()))
            .is_ok_and(|own| own.ip() == address.ip())
    })
}

fn ssh_command(route: Route<'_>, host: &str, command: &str) -> String {
    let destination = match route.remote_user {
        Some(user) => format!("{user}@{host}"),
        None => host.to_owned(),
    };
    // ssh_options is a piece of a command line: the shell takes it apart.
    format!(
        "ssh -o Batchmode=yes {} {} {}",
        route.config.ssh_options,
        shell_quote(&destination),
        shell_quote(command)
    )
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
    let program = match sibling.host {
        Host::Local => local_program(),
        Host::Remote(_) => remote_program(route.config),
    };
    let command = repmgr_command(&program, route.log_level, &sibling.node, own);
    let line = match &sibling.host {
        Host::Local => command,
        Host::Remote(host) => ssh_command(route, host, &command),
    };
    let finished = process::shell(&line, route.config.standby_follow_timeout + FOLLOW_MARGIN)
        .await
        .map_err(|error| error.to_string())?;
    if finished.status.success() {
        return Ok(());
    }
    let output = finished.stderr.trim();
    let tail: Vec<&str> = output.lines().rev().take(5).collect();
    Err(format!(
        "\"{line}\" ended with {}: {}",
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

fn repmgr_command(program: &str, log_level: Option<&str>, sibling: &NodeRecord, own: &NodeRecord) -> String {
    let mut command = format!("{} -f {}", shell_quote(program), shell_quote(&sibling.config_file));
    if let Some(level) = log_level {
        command.push_str(&format!(" -L {}", shell_quote(level)));
    }
    if sibling.node_type == NodeType::Witness {
        command.push_str(&format!(" witness register -d {} --force", shell_quote(&own.conninfo)));
    } else {
        command.push_str(" standby follow");
    }
    command
}

/// This very program: on this host no other should run.
fn local_program() -> String {
    std::env::current_exe().map_or_else(|_| "repmgr".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// All hosts are expected to have the program in the same place.
fn remote_program(config: &Config) -> String {
    let folder = [&config.repmgr_bindir, &config.pg_bindir]
        .into_iter()
        .find(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or_else(|| Path::new("repmgr").to_owned(), |folder| folder.join("repmgr"))
        .to_string_lossy()
        .into_owned()
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
    fn ssh_gets_user_options_and_one_quoted_command() {
        let config = Config::default();
        let route = Route {
            config: &config,
            remote_user: Some("postgres"),
            log_level: None,
        };
        assert_eq!(
            ssh_command(route, "node3", "repmgr -f /etc/repmgr.conf standby follow"),
            "ssh -o Batchmode=yes -q -o ConnectTimeout=10 postgres@node3 'repmgr -f /etc/repmgr.conf standby follow'"
        );
    }

    #[test]
    fn standbys_follow_and_witnesses_register_anew() {
        let standby = node(NodeType::Standby);
        assert_eq!(
            repmgr_command("repmgr", Some("DEBUG"), &standby, &standby),
            "repmgr -f '/etc/my repmgr.conf' -L DEBUG standby follow"
        );
        assert_eq!(
            repmgr_command("repmgr", None, &node(NodeType::Witness), &standby),
            r"repmgr -f '/etc/my repmgr.conf' witness register -d 'host=three user=it'\''s' --force"
        );
    }

    #[test]
    fn this_host_is_known_by_its_loopback_addresses_and_sockets() {
        for name in ["", "/run/postgresql", "127.0.0.1", "127.0.0.2", "localhost"] {
            assert!(is_this_host(name), "{name:?}");
        }
        assert!(!is_this_host("192.0.2.1"));
        assert!(!is_this_host("no-such-host.invalid"));
    }
}
