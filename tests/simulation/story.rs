//! What happened, in words: for a person who has to find out why.

use repmgr::failover::{Action, Answer, Decision, Notification, Observation, Seen, State, describe};
use repmgr::types::RecoveryState;

use crate::faults::Fault;
use crate::world::World;

/// Before this nothing happens but the start, of which the first line tells.
const BEGINNING: u64 = 14_000;

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

fn told(value: Notification) -> String {
    match value {
        Notification::Follow(id) => format!("follow {id}"),
        Notification::RerunElection => "vote again".to_owned(),
    }
}

/// What a node showed of itself.
fn sight(seen: &Seen) -> String {
    let mut words = vec![match (seen.reached, seen.recovery) {
        (Err(failure), _) => describe(&Err(failure)).to_owned(),
        (_, RecoveryState::Primary) => "out of recovery".to_owned(),
        (_, RecoveryState::Standby) => format!("at {}", seen.receive_lsn.unwrap_or_default()),
        (_, RecoveryState::Unknown) => "unreadable".to_owned(),
    }];
    if seen.reached.is_ok() {
        if seen.daemon_registered != Answer::Yes {
            words.push("no repmgrd".to_owned());
        } else if seen.daemon_running == Answer::No {
            words.push("repmgrd dead".to_owned());
        }
        if seen.daemon_paused == Answer::Yes {
            words.push("paused".to_owned());
        }
    }
    format!("{}: {}", seen.node, words.join(", "))
}

fn sights(seen: &Observation) -> String {
    let mut words = Vec::new();
    if seen.local.recovery == RecoveryState::Unknown {
        words.push("own server does not answer".to_owned());
    }
    if seen.local.paused == Answer::Yes {
        words.push("paused".to_owned());
    }
    words.extend(seen.local.notification.map(|value| format!("told to {}", told(value))));
    words.extend(
        seen.probes
            .iter()
            .map(|end| format!("{} {}", end.node, describe(&end.answer))),
    );
    words.extend(seen.others.iter().map(sight));
    words.join("; ")
}

fn deed(action: &Action) -> Option<String> {
    Some(match action {
        Action::RunPromoteCommand => "promote_command".to_owned(),
        Action::RunFollowCommand(target) => format!("follow_command {target}"),
        Action::RunValidation { .. } => "failover_validation_command".to_owned(),
        Action::Notify { nodes, value } => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            format!("tells {} to {}", nodes.join(", "), told(*value))
        }
        Action::StandAside(true) => "stands aside".to_owned(),
        Action::StopWalReceiver => "stops its WAL receiver".to_owned(),
        Action::AdoptPrimary(primary) | Action::BecomeStandby(primary) => {
            format!("has its record changed on {primary}")
        }
        Action::Exit(code) => format!("ends: {}", code.name()),
        _ => return None,
    })
}

impl World {
    /// Whether the story has begun.
    pub fn tells(&self) -> bool {
        self.trace && self.now >= BEGINNING
    }

    /// Who is who.
    pub fn introduce(&self) {
        if !self.trace {
            return;
        }
        for host in &self.hosts {
            let Some(node) = self.initial.iter().find(|node| node.id == host.id) else {
                continue;
            };
            let settings = &host.settings;
            let at = node
                .upstream
                .map_or(String::new(), |upstream| format!(" of {upstream}"));
            let original = if host.runs_original { ", the original" } else { "" };
            let mode = if settings.automatic { "" } else { ", manual" };
            println!(
                "node {}: {}{at}{original}{mode}, priority {}, {} attempts every {} s",
                node.id,
                node.node_type,
                node.priority,
                settings.reconnect_attempts,
                settings.reconnect_interval.as_secs(),
            );
        }
    }

    /// One decision, if it leads somewhere.
    pub fn tell_decision(&self, host: usize, before: &State, seen: &Observation, decision: &Decision) {
        let deeds: Vec<String> = decision.actions.iter().filter_map(deed).collect();
        if before.name() == decision.next.name() && deeds.is_empty() {
            return;
        }
        self.log(|| {
            let mut text = format!(
                "node {} {} -> {}, {}: {}",
                host + 1,
                before.name(),
                decision.next.name(),
                decision.rule.name(),
                decision.reason
            );
            let sights = sights(seen);
            if !sights.is_empty() {
                text.push_str(&format!("\n              sees {sights}"));
            }
            if !deeds.is_empty() {
                text.push_str(&format!("\n              does {}", deeds.join("; ")));
            }
            text
        });
    }
}

impl Fault {
    /// What happens.
    pub fn tell(&self) -> String {
        let node = |host: &usize| format!("node {}", host + 1);
        let back = |after: &Option<u64>| after.map_or(String::new(), |after| format!(" for {}", seconds(after)));
        match self {
            Fault::ServerCrash { host, back_after } => {
                format!("server of {} is killed{}", node(host), back(back_after))
            }
            Fault::HostLoss { host, back_after } => format!("host of {} loses power{}", node(host), back(back_after)),
            Fault::DaemonCrash { host, back_after } => {
                format!("daemon of {} is killed for {}", node(host), seconds(*back_after))
            }
            Fault::Cut { from, to, until } => {
                format!(
                    "packets from {} to {} are lost for {}",
                    node(from),
                    node(to),
                    seconds(*until)
                )
            }
            Fault::Partition { side, until } => {
                let of = |which: bool| {
                    let hosts = (0..side.len()).filter(|host| side[*host] == which);
                    hosts.map(|host| (host + 1).to_string()).collect::<Vec<_>>().join(" ")
                };
                format!(
                    "nodes {} | {} are cut apart for {}",
                    of(true),
                    of(false),
                    seconds(*until)
                )
            }
            Fault::Loss { percent } => format!("{percent} % of all connections get no answer"),
            Fault::Refuse { host, failure } => match failure {
                Some(failure) => format!("{} {}", node(host), describe(&Err(*failure))),
                None => format!("{} lets everybody in", node(host)),
            },
            Fault::Names { host, fail: true } => format!("{} has no name service", node(host)),
            Fault::Names { host, .. } => format!("{} has its name service", node(host)),
            Fault::Pause { host, paused } => format!("{} paused: {paused}", node(host)),
            Fault::Promote { host, behaviour } => format!("promote_command on {}: {behaviour:?}", node(host)),
            Fault::Follow { host, behaviour } => format!("follow_command on {}: {behaviour:?}", node(host)),
            Fault::Validation { host, rejects } => format!("validation on {} rejects: {rejects}", node(host)),
            Fault::Stall { host, stalled } => format!("{} receives nothing: {stalled}", node(host)),
            Fault::PauseReplay { host } => format!("replay is paused on {}", node(host)),
            Fault::Notify { to, value } => format!("a person tells {} to {}", node(to), told(*value)),
            Fault::Switchover { to } => format!("a person switches over to {}", node(to)),
            Fault::PromoteByHand { host, records } => {
                format!("a person promotes {}, with its record: {records}", node(host))
            }
            Fault::ForgetUpstream { host } => format!("the record of {} loses its upstream", node(host)),
            Fault::Restart { host, daemon, takes } => {
                let both = if *daemon { " and daemon" } else { "" };
                format!("server{both} of {} restart in {}", node(host), seconds(*takes))
            }
            Fault::Hang { host, lasts } => format!("server of {} hangs for {}", node(host), seconds(*lasts)),
            Fault::Freeze { host, lasts } => format!("daemon of {} is frozen for {}", node(host), seconds(*lasts)),
            Fault::Slow { from, to, by, lasts } => format!(
                "{} to {} takes {} longer for {}",
                node(from),
                node(to),
                seconds(*by),
                seconds(*lasts)
            ),
            Fault::CutBoth { one, other, until } => {
                format!(
                    "{} and {} are cut apart for {}",
                    node(one),
                    node(other),
                    seconds(*until)
                )
            }
            Fault::PauseAll { paused } => format!("all nodes paused: {paused}"),
            Fault::FollowByHand { host, to } => format!("a person has {} follow {}", node(host), node(to)),
            Fault::Unregister { host, back_after } => {
                format!("the record of {} is removed for {}", node(host), seconds(*back_after))
            }
            Fault::UnknownType { host, lasts } => {
                format!(
                    "the record of {} has an unknown type for {}",
                    node(host),
                    seconds(*lasts)
                )
            }
            Fault::DisownPrimary { lasts } => format!("the primary's record is inactive for {}", seconds(*lasts)),
            Fault::Reload { host } => format!("{} reads other settings", node(host)),
            Fault::Delay { host, seconds } => format!("{} applies WAL {seconds} s later", node(host)),
        }
    }
}
