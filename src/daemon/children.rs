//! The nodes attached to this primary (child nodes): who came, who left, and
//! `child_nodes_disconnect_command` when too few are left.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::events::{self, Event, EventName};
use crate::failover::Answer;
use crate::metadata::functions;
use crate::postgres::{Connection, QueryError};
use crate::process;
use crate::types::{NodeId, NodeType};

/// The command is ended, with all it started, after so long.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// A registered child and whether it is attached now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Child {
    id: NodeId,
    name: String,
    node_type: NodeType,
    conninfo: String,
    attached: bool,
}

/// What is remembered of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remembered {
    /// It was attached when last looked at.
    Attached,
    /// It was attached once, and is not since then.
    Detached(Duration),
    /// It has not been attached while it was watched.
    Unknown,
}

/// The children of a primary, since its daemon entered primary mode.
#[derive(Debug, Default)]
pub struct Children {
    since: Option<Instant>,
    last: Option<Instant>,
    list: Vec<(Child, Remembered)>,
    command_was_run: bool,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// To be raised.
    pub events: Vec<Event>,
    /// Whether `child_nodes_disconnect_command` is due.
    pub run_command: bool,
}

impl Children {
    /// Begins anew, as at each entry into primary mode; whether the command was run is kept.
    pub fn forget(&mut self) {
        *self = Children {
            command_was_run: self.command_was_run,
            ..Children::default()
        };
    }

    /// Looks at the children, if that is due.
    pub async fn check(&mut self, local: &Connection, own: NodeId, config: &Config, paused: Answer) -> Option<Report> {
        let first = self.since.is_none();
        let since = *self.since.get_or_insert_with(Instant::now);
        if self
            .last
            .is_some_and(|last| last.elapsed() < config.child_nodes_check_interval)
        {
            return None;
        }
        self.last = Some(Instant::now());
        let mut now = match registered(local, own).await {
            Ok(children) => children,
            Err(error) => {
                crate::error!("could not look at the nodes attached to this one: {error}");
                return None;
            }
        };
        if first {
            self.list = now
                .into_iter()
                .map(|child| {
                    let attached = child.attached && child.node_type != NodeType::Witness;
                    let state = if attached {
                        Remembered::Attached
                    } else {
                        Remembered::Unknown
                    };
                    (child, state)
                })
                .collect();
            return None;
        }
        for child in now.iter_mut().filter(|child| child.node_type == NodeType::Witness) {
            child.attached = witness_follows(child, own).await;
        }
        if now.is_empty() {
            self.list.clear();
            return None;
        }
        let mut report = Report {
            events: self.compare(&now, since.elapsed(), own),
            run_command: false,
        };
        if !config.child_nodes_disconnect_command.is_empty() && paused != Answer::Yes {
            report.run_command = self.command_is_due(config, since.elapsed());
        }
        Some(report)
    }

    fn compare(&mut self, now: &[Child], at: Duration, own: NodeId) -> Vec<Event> {
        let (mut gone, mut back, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let event = |name, child: &Child, more: &str| {
            let details = format!("{} node \"{}\" (ID: {}) {more}", child.node_type, child.name, child.id);
            crate::notice!("{details}");
            Event::new(name, own).details(details)
        };
        let before = std::mem::take(&mut self.list);
        for (child, _) in before
            .iter()
            .filter(|(child, _)| now.iter().all(|other| other.id != child.id))
        {
            crate::notice!(
                "{} node \"{}\" (ID: {}) is no longer registered below this node",
                child.node_type,
                child.name,
                child.id
            );
        }
        for child in now {
            let known = before
                .iter()
                .find(|(other, _)| other.id == child.id)
                .map(|(_, state)| *state);
            let state = match (known, child.attached) {
                (Some(Remembered::Attached), false) => {
                    gone.push(event(EventName::ChildNodeDisconnect, child, "has disconnected"));
                    Remembered::Detached(at)
                }
                (Some(Remembered::Detached(since)), true) => {
                    let seconds = at.saturating_sub(since).as_secs();
                    let more = format!("has reconnected after {seconds} seconds");
                    back.push(event(EventName::ChildNodeReconnect, child, &more));
                    Remembered::Attached
                }
                (Some(Remembered::Unknown) | None, true) => {
                    new.push(event(EventName::ChildNodeNewConnect, child, "has connected"));
                    Remembered::Attached
                }
                (None, false) => {
                    new.push(event(
                        EventName::ChildNodeNewConnect,
                        child,
                        "is registered and not yet connected",
                    ));
                    Remembered::Unknown
                }
                (Some(state), _) => state,
            };
            self.list.push((child.clone(), state));
        }
        gone.into_iter().chain(back).chain(new).collect()
    }

    fn command_is_due(&mut self, config: &Config, at: Duration) -> bool {
        let counts =
            |child: &Child| child.node_type != NodeType::Witness || config.child_nodes_connected_include_witness;
        let total = self.list.iter().filter(|(child, _)| counts(child)).count();
        let connected = self
            .list
            .iter()
            .filter(|(child, state)| counts(child) && *state == Remembered::Attached)
            .count();
        let required = required(config, total);
        if connected as i64 >= required {
            if self.command_was_run {
                crate::notice!("{connected} child nodes are attached again, {required} are required");
                self.command_was_run = false;
            }
            return false;
        }
        if self.command_was_run {
            crate::info!(
                "{connected} child nodes are attached, {required} are required; child_nodes_disconnect_command was run already"
            );
            return false;
        }
        let absent: Vec<Duration> = self
            .list
            .iter()
            .filter(|(child, _)| counts(child))
            .filter_map(|(_, state)| match state {
                Remembered::Detached(since) => Some(at.saturating_sub(*since)),
                _ => None,
            })
            .collect();
        let Some(shortest) = absent.iter().min() else {
            crate::info!("{connected} child nodes are attached, {required} are required, but none has disconnected");
            return false;
        };
        if *shortest < config.child_nodes_disconnect_timeout {
            crate::info!(
                "{connected} child nodes are attached, {required} are required; a node disconnected {} seconds ago, \
                 child_nodes_disconnect_command waits until that is {} seconds",
                shortest.as_secs(),
                config.child_nodes_disconnect_timeout.as_secs()
            );
            return false;
        }
        self.command_was_run = true;
        true
    }
}

fn required(config: &Config, countable: usize) -> i64 {
    if config.child_nodes_connected_min_count > 0 {
        return config.child_nodes_connected_min_count.into();
    }
    if config.child_nodes_disconnect_min_count > 0 {
        return countable as i64 - i64::from(config.child_nodes_disconnect_min_count) + 1;
    }
    1
}

async fn registered(local: &Connection, own: NodeId) -> Result<Vec<Child>, QueryError> {
    let sql = "SELECT n.node_id, n.node_name, n.type, n.conninfo, EXISTS (SELECT 1 FROM pg_catalog.pg_stat_replication r \
               WHERE r.application_name = n.node_name) FROM repmgr.nodes n WHERE n.upstream_node_id = $1 ORDER BY n.node_id";
    let rows = local.query(sql, &[&own.0]).await?;
    Ok(rows
        .iter()
        .map(|row| Child {
            id: NodeId(row.get(0)),
            name: row.get(1),
            node_type: NodeType::from_word(row.get(2)),
            conninfo: row.get(3),
            attached: row.get(4),
        })
        .collect())
}

async fn witness_follows(witness: &Child, own: NodeId) -> bool {
    let Ok(conninfo) = crate::conninfo::Conninfo::parse(&witness.conninfo) else {
        return false;
    };
    match Connection::connect(&conninfo, super::peers::DEADLINES).await {
        Ok(connection) => functions::upstream_node_id(&connection).await.ok().flatten() == Some(own),
        Err(_) => false,
    }
}

/// Runs `child_nodes_disconnect_command` and raises its event.
pub async fn run_command(config: &Config, own: NodeId, command: &str, local: Option<&Connection>) {
    crate::notice!("running child_nodes_disconnect_command");
    crate::detail!("{command}");
    let (successful, details) = match process::run_shell(command, COMMAND_LIMIT).await {
        Ok(status) if status.success() => (true, "child_nodes_disconnect_command was run".to_owned()),
        Ok(status) => (false, format!("child_nodes_disconnect_command ended with {status}")),
        Err(error) => (false, error.to_string()),
    };
    if successful {
        crate::info!("{details}");
    } else {
        crate::error!("{details}");
    }
    let event = Event::new(EventName::ChildNodesDisconnectCommand, own)
        .successful(successful)
        .details(details);
    events::emit(local, config, event).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(id: i32, attached: bool) -> Child {
        Child {
            id: NodeId(id),
            name: format!("n{id}"),
            node_type: NodeType::Standby,
            conninfo: String::new(),
            attached,
        }
    }

    fn watching(states: &[(i32, Remembered)]) -> Children {
        Children {
            list: states.iter().map(|(id, state)| (child(*id, false), *state)).collect(),
            ..Children::default()
        }
    }

    #[test]
    fn each_change_is_told_once_and_in_order() {
        use Remembered::{Attached, Detached, Unknown};
        let mut children = watching(&[
            (2, Unknown),
            (3, Attached),
            (4, Detached(Duration::from_secs(1))),
            (5, Unknown),
            (6, Attached),
        ]);
        let now = [
            child(2, true),
            child(3, false),
            child(4, true),
            child(5, false),
            child(7, false),
        ];
        let own = NodeId(1);
        let told = children.compare(&now, Duration::from_secs(10), own);
        let names = [
            EventName::ChildNodeDisconnect,
            EventName::ChildNodeReconnect,
            EventName::ChildNodeNewConnect,
            EventName::ChildNodeNewConnect,
        ];
        let texts = [
            "standby node \"n3\" (ID: 3) has disconnected",
            "standby node \"n4\" (ID: 4) has reconnected after 9 seconds",
            "standby node \"n2\" (ID: 2) has connected",
            "standby node \"n7\" (ID: 7) is registered and not yet connected",
        ];
        let expected: Vec<Event> = names
            .into_iter()
            .zip(texts)
            .map(|(name, text)| Event::new(name, own).details(text))
            .collect();
        assert_eq!(told, expected);
        assert!(children.compare(&now, Duration::from_secs(11), own).is_empty());
        assert_eq!(children.list.len(), 5, "node 6 is gone");
    }

    #[test]
    fn the_command_is_due_once_a_crossing() {
        use Remembered::{Attached, Detached};
        let config = Config {
            child_nodes_disconnect_min_count: 2,
            child_nodes_disconnect_timeout: Duration::from_secs(5),
            ..Config::default()
        };
        let away = Detached(Duration::from_secs(0));
        let second = Duration::from_secs;
        let mut children = watching(&[(2, away), (3, Attached), (4, Attached)]);
        assert!(!children.command_is_due(&config, second(60)), "one may be missing");
        children.list[1].1 = away;
        assert!(!children.command_is_due(&config, second(4)), "not long enough");
        assert!(children.command_is_due(&config, second(5)));
        assert!(!children.command_is_due(&config, second(6)), "it was run");
        children.list[1].1 = Attached;
        assert!(!children.command_is_due(&config, second(7)));
        children.list[1].1 = Detached(second(8));
        assert!(children.command_is_due(&config, second(20)), "a new crossing");
    }
}
