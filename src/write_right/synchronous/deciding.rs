//! One turn of the synchronous mode.

use repmgr_write_right::NodeId;

use super::{Decision, InForce, Mode, Order, Rule, Seen, Setting, Standby, Standing, State};
use crate::types::Lsn;

/// A standby that is further behind does not join.
const CLOSE: u64 = 16 * 1024 * 1024;
/// A standby that is behind for so long without getting further is of no use.
const STUCK: u64 = 1_500;
/// One that has been of no use for so long is dropped.
const GONE: u64 = 700;
/// How long walsenders may take to go by a new setting where that does not show.
const RELOADED: u64 = 1_000;
/// A server that did not take a setting is told again after this.
const TOLD_AGAIN: u64 = 5_000;

/// Decides one turn.
pub fn step(state: &State, seen: &Seen) -> Decision {
    let mut turn = Turn {
        seen,
        next: state.clone(),
    };
    turn.look();
    match seen.payload.clone() {
        None => turn.decide(Rule::PayloadAwaited, "a majority has not answered yet", Order::Nothing),
        Some((count, standbys)) if seen.mode == Mode::Off => turn.off(count, &standbys),
        Some((count, standbys)) => turn.on(count, &standbys),
    }
}

/// What a node that is to be promoted must have for a setting before it is, so that nothing is acknowledged that the
/// payload does not hold for; `None`: what it has is right.
pub fn before_promotion(
    setting: &str,
    own: NodeId,
    payload: &(u32, Vec<NodeId>),
    standbys: &[Standby],
) -> Option<Setting> {
    if keeps(&parsed(setting), own, payload, standbys) {
        return None;
    }
    let (count, members) = payload;
    let names = names_of(members.iter().copied().filter(|node| *node != own), standbys);
    let count = count.saturating_sub(u32::from(members.contains(&own)));
    Some(if names.is_empty() {
        Setting::nobody()
    } else {
        Setting { count, names }
    })
}

/// Whether each commit that is acknowledged under the setting is on `count` of the payload's standbys.
fn keeps(setting: &Setting, own: NodeId, (count, members): &(u32, Vec<NodeId>), standbys: &[Standby]) -> bool {
    let outside = setting.names.iter().filter(|name| {
        let node = standbys.iter().find(|standby| standby.name.eq_ignore_ascii_case(name));
        node.is_none_or(|standby| !members.contains(&standby.node))
    });
    let outside = u32::try_from(outside.count()).unwrap_or(u32::MAX);
    setting.count.saturating_sub(outside) + u32::from(members.contains(&own)) >= *count
}

/// What holds for commits while some walsenders go by one setting and some by the other: each of them takes for standbys
/// whoever another one says is one, and goes by its own count.
fn either(one: &Setting, other: &Setting) -> Setting {
    let mut names = one.names.clone();
    names.extend(other.names.iter().filter(|name| !one.has(name)).cloned());
    Setting {
        count: one.count.min(other.count),
        names,
    }
}

/// The setting that a server says it goes by; one that is not from here is worth nothing.
fn parsed(text: &str) -> Setting {
    Setting::parse(text).unwrap_or_else(Setting::nobody)
}

fn names_of(nodes: impl IntoIterator<Item = NodeId>, standbys: &[Standby]) -> Vec<String> {
    let name = |node: NodeId| standbys.iter().find(|standby| standby.node == node);
    nodes
        .into_iter()
        .filter_map(|node| Some(name(node)?.name.clone()))
        .collect()
}

struct Turn<'a> {
    seen: &'a Seen,
    next: State,
}

impl Turn<'_> {
    fn decide(self, rule: Rule, reason: impl Into<String>, order: Order) -> Decision {
        Decision {
            rule,
            reason: reason.into(),
            order,
            next: self.next,
        }
    }

    /// Notes how the standbys stand, and whether the setting is in force.
    fn look(&mut self) {
        let seen = self.seen;
        let before = std::mem::take(&mut self.next.standings);
        for standby in &seen.standbys {
            let sender = seen
                .senders
                .iter()
                .filter(|sender| sender.name.eq_ignore_ascii_case(&standby.name))
                .max_by_key(|sender| (sender.streaming, sender.flushed));
            let flushed = sender.and_then(|sender| sender.flushed);
            let last = before.get(&standby.node);
            let behind = flushed.is_none_or(|flushed| flushed < seen.written);
            let stands_still = last.is_some_and(|last| last.flushed == flushed);
            let stuck_since = match last.and_then(|last| last.stuck_since) {
                _ if !behind => None,
                Some(since) if stands_still => Some(since),
                _ => Some(seen.now),
            };
            let stuck = stuck_since.is_some_and(|since| seen.now - since >= STUCK);
            let useful = sender.is_some_and(|sender| sender.streaming) && flushed.is_some() && !stuck;
            let gone_since = match last.and_then(|last| last.gone_since) {
                _ if useful => None,
                Some(since) => Some(since),
                None => Some(seen.now),
            };
            let standing = Standing {
                flushed,
                stuck_since,
                gone_since,
            };
            self.next.standings.insert(standby.node, standing);
        }
        // A walsender that went by an older setting would let commits of others go.
        let setting = Setting::parse(&seen.setting);
        let stale = setting.as_ref().is_some_and(|setting| {
            let counts_wrongly = |sender: &&super::Sender| sender.counts && !setting.has(&sender.name);
            seen.senders.iter().any(|sender| counts_wrongly(&sender))
        });
        let same = self
            .next
            .in_force
            .as_ref()
            .is_some_and(|force| force.setting == seen.setting);
        // Only a payload that has the holder itself allows that.
        let may_have_waited_for_nobody = seen
            .payload
            .as_ref()
            .is_none_or(|(_, members)| members.contains(&seen.own));
        if !same || stale {
            self.next.in_force = Some(InForce {
                setting: seen.setting.clone(),
                since: seen.now,
                barrier: None,
            });
        } else if let Some(force) = &mut self.next.in_force
            && force.barrier.is_none()
            // Where nobody was waited for before, nobody is until that process knows of it.
            && (seen.checkpointer_idle || !may_have_waited_for_nobody)
            && seen.now - force.since >= RELOADED
        {
            force.barrier = Some(seen.written);
        }
    }

    fn title(&self, node: NodeId) -> String {
        let name = self.seen.standbys.iter().find(|standby| standby.node == node);
        match name {
            Some(standby) => format!("\"{}\"", standby.name),
            None if node == self.seen.own => "this node".to_owned(),
            None => format!("node {node}"),
        }
    }

    fn listed(&self, nodes: &[NodeId]) -> String {
        let titles: Vec<String> = nodes.iter().map(|node| self.title(*node)).collect();
        titles.join(", ")
    }

    fn off(mut self, count: u32, members: &[NodeId]) -> Decision {
        let own = self.seen.own;
        if count == 0 {
            return self.decide(Rule::Off, "synchronous_mode is off", Order::Nothing);
        }
        if (count, members) != (1, &[own]) {
            let reason = "synchronous_mode is off now: this node alone is remembered to have all commits";
            return self.decide(Rule::SwitchingOff, reason, Order::Choose(1, vec![own]));
        }
        let from_here = Setting::parse(&self.seen.setting).is_some_and(|setting| !setting.names.is_empty());
        let told = match self.next.told {
            Some((Order::Reset, at)) => Some(self.seen.now - at),
            _ => None,
        };
        match told {
            None => {
                self.next.told = Some((Order::Reset, self.seen.now));
                let reason = "synchronous_mode is off now: synchronous_standby_names is given back";
                self.decide(Rule::SwitchingOff, reason, Order::Reset)
            }
            Some(since) if from_here && since < TOLD_AGAIN => {
                self.decide(Rule::SettingAwaited, "the server does not go by it yet", Order::Nothing)
            }
            // What is left after that is the server's own configuration, whatever it looks like.
            Some(_) => {
                let reason = "the server goes by its own synchronous_standby_names again";
                self.decide(Rule::SwitchingOff, reason, Order::Choose(0, Vec::new()))
            }
        }
    }

    /// The standbys that commits are to wait for, and how many of them; with what is missing.
    fn target(&self) -> (Setting, Option<String>) {
        let seen = self.seen;
        let present = parsed(&seen.setting);
        let available: Vec<NodeId> = seen
            .standbys
            .iter()
            .filter(|standby| {
                let Some(standing) = self.next.standings.get(&standby.node) else {
                    return false;
                };
                let close = |flushed: Lsn| seen.written.bytes_since(flushed) <= CLOSE;
                match standing.gone_since {
                    Some(since) => present.has(&standby.name) && seen.now - since < GONE,
                    None => present.has(&standby.name) || standing.flushed.is_some_and(close),
                }
            })
            .map(|standby| standby.node)
            .collect();
        let there = u32::try_from(available.len()).unwrap_or(u32::MAX);
        let setting = |count: u32, nodes: &[NodeId]| match nodes {
            [] => Setting::nobody(),
            _ => Setting {
                count,
                names: names_of(nodes.iter().copied(), &seen.standbys),
            },
        };
        if seen.mode == Mode::On || there >= seen.count {
            return (setting(seen.count.min(there), &available), None);
        }
        // Whoever is missed stays, so that nothing is acknowledged without it.
        let kept: Vec<NodeId> = seen
            .standbys
            .iter()
            .filter(|standby| present.has(&standby.name) || available.contains(&standby.node))
            .map(|standby| standby.node)
            .collect();
        let all: Vec<NodeId> = seen.standbys.iter().map(|standby| standby.node).collect();
        let enough = u32::try_from(kept.len()).unwrap_or(u32::MAX) >= seen.count;
        let names = if enough { kept } else { all };
        let missing: Vec<NodeId> = names.iter().copied().filter(|node| !available.contains(node)).collect();
        let missing = match missing.is_empty() {
            true => "for a standby to be registered".to_owned(),
            false => format!("for {}", self.listed(&missing)),
        };
        let reason = format!(
            "{there} of {} synchronous standbys are there: writes wait {missing}",
            seen.count
        );
        (setting(seen.count, &names), Some(reason))
    }

    fn on(mut self, count: u32, members: &[NodeId]) -> Decision {
        let own = self.seen.own;
        let alone = (count, members) == (1, &[own]);
        if count == 0 {
            let reason = "from now on it is remembered on which nodes all commits are: on this one alone so far";
            return self.decide(Rule::Begins, reason, Order::Choose(1, vec![own]));
        }
        let payload = (count, members.to_vec());
        let present = parsed(&self.seen.setting);
        if !keeps(&present, own, &payload, &self.seen.standbys) {
            let reason = format!(
                "synchronous_standby_names is \"{}\", which is not for {count} of {}",
                self.seen.setting,
                self.listed(members)
            );
            return self.decide(Rule::Foreign, reason, Order::Choose(1, vec![own]));
        }
        let (target, missing) = self.target();
        if target.names.is_empty() && !alone {
            let reason = "no synchronous standby is left: this node alone is remembered to have all commits";
            return self.decide(Rule::Alone, reason, Order::Choose(1, vec![own]));
        }
        let text = target.to_string();
        if Setting::parse(&self.seen.setting).as_ref() != Some(&target) {
            let meanwhile = either(&present, &target);
            if !keeps(&meanwhile, own, &payload, &self.seen.standbys) {
                return self.widen(&meanwhile, count, members);
            }
            if !alone && self.barrier().is_none() {
                let reason = "not every walsender is known to go by the last one yet";
                return self.decide(Rule::SettingAwaited, reason, Order::Nothing);
            }
            let told = matches!(&self.next.told, Some((Order::Set(told), at))
                if *told == text && self.seen.now - at < TOLD_AGAIN);
            if told {
                return self.decide(Rule::SettingAwaited, "the server does not go by it yet", Order::Nothing);
            }
            self.next.told = Some((Order::Set(text.clone()), self.seen.now));
            let reason = format!("synchronous_standby_names becomes \"{text}\"");
            return self.decide(Rule::Setting, reason, Order::Set(text));
        }
        self.next.told = None;
        let names = target.names.iter();
        let mut wanted: Vec<NodeId> = names
            .filter_map(|name| self.seen.standbys.iter().find(|standby| standby.name == *name))
            .map(|standby| standby.node)
            .collect();
        wanted.sort_unstable();
        if target.names.is_empty() || (count, members) == (target.count, &wanted) {
            return match missing {
                Some(missing) => self.decide(Rule::TooFew, missing, Order::Nothing),
                None => {
                    let reason = match alone {
                        true => "no synchronous standby is there; the loss of this node would wait for it".to_owned(),
                        false => format!("each commit is on {count} of {}", self.listed(members)),
                    };
                    self.decide(Rule::Steady, reason, Order::Nothing)
                }
            };
        }
        let Some(barrier) = self.barrier() else {
            return self.decide(
                Rule::SettingAwaited,
                "not every walsender goes by it yet",
                Order::Nothing,
            );
        };
        let has_all = |node: &&NodeId| {
            let standing = self.next.standings.get(node);
            standing
                .and_then(|standing| standing.flushed)
                .is_some_and(|flushed| flushed >= barrier)
        };
        let caught_up = wanted.iter().filter(has_all).count();
        if caught_up < target.count as usize {
            return match missing {
                Some(missing) => self.decide(Rule::TooFew, missing, Order::Nothing),
                None => {
                    let reason = format!("{caught_up} of {} have all up to {barrier}", self.listed(&wanted));
                    self.decide(Rule::CatchingUp, reason, Order::Nothing)
                }
            };
        }
        let reason = format!(
            "each commit is on {} of {} from now on",
            target.count,
            self.listed(&wanted)
        );
        self.decide(Rule::Narrowing, reason, Order::Choose(target.count, wanted))
    }

    /// What had been written when the setting was certainly in force; `None`: it is not.
    fn barrier(&self) -> Option<Lsn> {
        self.next.in_force.as_ref()?.barrier
    }

    /// Both what is remembered and what commits wait for while the setting changes.
    fn widen(self, meanwhile: &Setting, count: u32, members: &[NodeId]) -> Decision {
        let mut all = members.to_vec();
        let joining = self.seen.standbys.iter().filter(|standby| meanwhile.has(&standby.name));
        all.extend(joining.map(|standby| standby.node));
        all.sort_unstable();
        all.dedup();
        let count = count.min(meanwhile.count);
        let reason = format!("each commit is on {count} of {} from now on", self.listed(&all));
        self.decide(Rule::Widening, reason, Order::Choose(count, all))
    }
}
