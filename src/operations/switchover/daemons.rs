//! Pausing the daemons of all nodes for the time of the switchover, so that
//! none of them takes the stopped primary for a failed one.

use std::time::Duration;

use futures_util::future::join_all;

use super::journal::Journal;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::metadata::{NodeRecord, functions};
use crate::postgres::Deadlines;
use crate::survey::{self, Observation, Reachability, Subject};
use crate::types::NodeId;
use crate::{detail, hint, info, notice, warning};

const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    login: Duration::ZERO,
    query: Duration::from_secs(10),
};

/// What the nodes say of their daemons.
#[derive(Debug, Default)]
pub struct Daemons {
    /// All registered nodes.
    nodes: Vec<NodeRecord>,
    /// Those whose daemons run and are not paused.
    to_pause: Vec<NodeRecord>,
    /// Those that an earlier, killed switchover paused. The flag outlives daemon and server.
    left_paused: Vec<NodeRecord>,
    /// Those that somebody else paused.
    paused_before: Vec<NodeId>,
    any_runs: bool,
}

/// Asks all nodes; nothing is judged yet.
pub async fn ask(nodes: Vec<NodeRecord>) -> Vec<Observation> {
    let subject = Subject {
        daemons: true,
        ..Subject::default()
    };
    survey::probe(nodes, None, subject, DEADLINES).await
}

/// Judges what the nodes said. What an earlier, killed switchover paused counts as not paused.
///
/// # Errors
/// An active node does not answer, so nobody can tell what its daemon will do. With `force` a WARNING.
pub fn judge(observations: Vec<Observation>, journal: Option<&Journal>, force: bool) -> Result<Daemons> {
    let mut daemons = Daemons::default();
    let mut unreachable = Vec::new();
    for seen in observations {
        let (id, title) = (seen.record.node_id, seen.record.title());
        let is_ours = journal.is_some_and(|journal| journal.has_paused(id));
        if is_ours {
            daemons.any_runs = true;
            daemons.left_paused.push(seen.record.clone());
        }
        if let Reachability::Rejected { reason } | Reachability::Down { reason } = &seen.reachability {
            if seen.record.active {
                unreachable.push(format!("{title}: {reason}"));
            }
        } else if seen.daemon.running == Some(true) {
            daemons.any_runs = true;
            match seen.daemon.paused {
                Some(true) if is_ours => {}
                Some(true) => daemons.paused_before.push(id),
                _ => daemons.to_pause.push(seen.record.clone()),
            }
        }
        daemons.nodes.push(seen.record);
    }
    if unreachable.is_empty() {
        return Ok(daemons);
    }
    let count = unreachable.len();
    if force {
        warning!("{count} nodes do not answer, their daemons cannot be paused");
        unreachable.iter().for_each(|line| detail!("{line}"));
        return Ok(daemons);
    }
    let error = Error::new(
        ExitCode::SwitchoverFail,
        format!("{count} nodes do not answer, so their daemons cannot be paused"),
    );
    Err(unreachable
        .into_iter()
        .fold(error, Error::detail)
        .hint("use -F/--force to go on nevertheless, or --repmgrd-no-pause if no daemon runs there"))
}

impl Daemons {
    /// The nodes whose daemons are to be paused now.
    pub fn to_pause(&self) -> impl Iterator<Item = NodeId> {
        self.to_pause.iter().map(|node| node.node_id)
    }

    /// What would be done.
    pub fn announce(&self) {
        for node in &self.to_pause {
            info!("the daemon of {} would be paused", node.title());
        }
    }

    /// Pauses those that run.
    ///
    /// # Errors
    /// A daemon that runs was not paused; with `force` a WARNING.
    pub async fn pause(&self, force: bool) -> Result<()> {
        if self.to_pause.is_empty() {
            return Ok(());
        }
        notice!(
            "pausing repmgrd on {} of {} nodes",
            self.to_pause.len(),
            self.nodes.len()
        );
        let failures = set(&self.to_pause, true).await;
        if failures.is_empty() {
            return Ok(());
        }
        if force {
            warning!("repmgrd could not be paused everywhere");
            failures.iter().for_each(|line| detail!("{line}"));
            return Ok(());
        }
        let error = Error::new(ExitCode::SwitchoverFail, "repmgrd could not be paused everywhere");
        Err(failures.into_iter().fold(error, Error::detail))
    }

    /// Takes [`Daemons::pause`] back, also that of an earlier, killed switchover. Whether it went well everywhere.
    pub async fn take_back(&self) -> bool {
        let ours = self.to_pause.iter().chain(&self.left_paused);
        unpause(&ours.cloned().collect::<Vec<_>>()).await
    }

    /// Unpauses the daemons of all nodes but those that were paused before; with `all` also those.
    /// Whether it went well everywhere.
    pub async fn unpause(&self, all: bool) -> bool {
        if !self.any_runs && !all {
            return true;
        }
        let paused_before = |node: &&NodeRecord| all || !self.paused_before.contains(&node.node_id);
        let nodes: Vec<NodeRecord> = self.nodes.iter().filter(paused_before).cloned().collect();
        unpause(&nodes).await
    }
}

async fn unpause(nodes: &[NodeRecord]) -> bool {
    if nodes.is_empty() {
        return true;
    }
    notice!("unpausing repmgrd on {} nodes", nodes.len());
    let failures = set(nodes, false).await;
    if failures.is_empty() {
        return true;
    }
    warning!("repmgrd could not be unpaused everywhere");
    failures.iter().for_each(|line| detail!("{line}"));
    hint!("once these nodes answer, run \"repmgr service unpause\"");
    false
}

/// Sets the flag of all of them at the same time; those that failed, with the reason.
async fn set(nodes: &[NodeRecord], pause: bool) -> Vec<String> {
    let asked = join_all(nodes.iter().map(|node| async move {
        let connection = survey::connect(node, DEADLINES)
            .await
            .map_err(|error| format!("{}: {error}", node.title()))?;
        functions::repmgrd_pause(&connection, pause)
            .await
            .map_err(|error| format!("{}: {error}", node.title()))
    }));
    asked.await.into_iter().filter_map(std::result::Result::err).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Attached, DaemonState};
    use crate::types::{NodeType, RecoveryState};

    fn seen(id: i32, running: bool, paused: bool) -> Observation {
        Observation {
            right: None,
            record: NodeRecord {
                node_id: NodeId(id),
                upstream_node_id: None,
                active: true,
                node_name: format!("n{id}"),
                node_type: NodeType::Standby,
                location: String::new(),
                priority: 1,
                conninfo: String::new(),
                repluser: String::new(),
                slot_name: None,
                config_file: String::new(),
            },
            reachability: Reachability::Up,
            recovery: RecoveryState::Standby,
            own: None,
            timeline: None,
            replay_paused: false,
            attached: Attached::NotAsked,
            daemon: DaemonState {
                running: Some(running),
                paused: Some(paused),
                ..DaemonState::default()
            },
        }
    }

    #[test]
    fn only_what_runs_and_is_not_paused_is_paused() {
        let all = vec![
            seen(1, true, false),
            seen(2, true, true),
            seen(3, false, false),
            seen(4, true, true),
        ];
        let mut journal = Journal::new(NodeId(9), NodeId(1));
        journal.add_paused([NodeId(4)]);
        let daemons = judge(all, Some(&journal), false).unwrap();
        assert_eq!(daemons.to_pause().collect::<Vec<_>>(), [NodeId(1)]);
        assert_eq!(daemons.left_paused[0].node_id, NodeId(4));
        assert_eq!(daemons.paused_before, [NodeId(2)]);
        assert_eq!(daemons.nodes.len(), 4);
    }

    #[test]
    fn an_active_node_that_does_not_answer_is_an_error_unless_forced() {
        let down = |active| {
            let mut node = seen(2, false, false);
            node.reachability = Reachability::Down {
                reason: "refused".to_owned(),
            };
            node.record.active = active;
            vec![seen(1, true, false), node]
        };
        assert_eq!(
            judge(down(true), None, false).unwrap_err().exit_code,
            ExitCode::SwitchoverFail
        );
        assert!(judge(down(true), None, true).is_ok());
        assert!(judge(down(false), None, false).is_ok());
    }
}
