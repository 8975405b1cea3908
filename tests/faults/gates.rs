//! Commands of the daemon that stop where the story wants them to: at a gate that the story closed before and opens
//! when it has done what it had in mind.

use crate::story::Story;
use crate::support::cluster::Node;
use crate::support::user;

/// A place in the commands of a daemon.
#[derive(Clone, Copy, Debug)]
pub enum Gate {
    /// The node is elected, and nothing has been promoted.
    BeforePromotion,
    /// The server is promoted, and nobody has been told.
    AfterPromotion,
    /// The follower was told, and has done nothing.
    BeforeFollowing,
    /// The follower follows, and its daemon does not know it yet.
    AfterFollowing,
    /// The validation of an election is under way.
    Validation,
}

impl Gate {
    fn name(self) -> &'static str {
        match self {
            Gate::BeforePromotion => "before-promotion",
            Gate::AfterPromotion => "after-promotion",
            Gate::BeforeFollowing => "before-following",
            Gate::AfterFollowing => "after-following",
            Gate::Validation => "validation",
        }
    }
}

/// A line of a script that waits at a gate if it is closed.
fn line(node: &Node, gate: Gate) -> String {
    let gate = node.server.folder.join(gate.name());
    let gate = gate.display();
    format!("[ ! -e {gate} ] || echo here >{gate}.reached\nwhile [ -e {gate} ]; do sleep 0.05; done\n")
}

/// Lines of repmgr.conf with the settings of the suite and commands that have the gates.
pub fn settings(node: &Node) -> String {
    let repmgr = format!(
        "{} -f {} --log-to-file",
        node.programs.join("repmgr").display(),
        node.config_file.display()
    );
    let script = |name: &str, before: Gate, command: &str, after: Gate| {
        let path = node.server.folder.join(name);
        let text = format!(
            "{}{repmgr} {command}\nresult=$?\n{}exit $result\n",
            line(node, before),
            line(node, after)
        );
        user::write(&path, &text);
        format!("sh {}", path.display())
    };
    let promote = script(
        "promote.sh",
        Gate::BeforePromotion,
        "standby promote",
        Gate::AfterPromotion,
    );
    let follow = script(
        "follow.sh",
        Gate::BeforeFollowing,
        "standby follow --upstream-node-id=$1",
        Gate::AfterFollowing,
    );
    user::write(&node.server.folder.join("validate.sh"), &line(node, Gate::Validation));
    format!(
        "failover=automatic\nmonitor_interval_secs=1\nreconnect_attempts=3\nreconnect_interval=1\n\
         primary_notification_timeout=15\nlog_status_interval=1\nwitness_sync_interval=1\n\
         promote_command='{promote}'\nfollow_command='{follow} %n'\n"
    )
}

impl Story {
    fn gate(&self, id: u32, gate: Gate) -> std::path::PathBuf {
        self.node(id).server.folder.join(gate.name())
    }

    /// The commands of a node will wait at this gate.
    pub fn close(&self, id: u32, gate: Gate) {
        user::write(&self.gate(id, gate), "");
    }

    /// Waits until a command of the node is at the gate.
    pub fn reached(&self, id: u32, gate: Gate) {
        let mark = self.gate(id, gate).with_extension("reached");
        self.wait(&format!("a command of node{id} is at the gate {gate:?}"), |_| {
            mark.exists().then_some(())
        });
    }

    /// Lets the command go on.
    pub fn open(&self, id: u32, gate: Gate) {
        std::fs::remove_file(self.gate(id, gate)).expect("a closed gate");
    }
}
