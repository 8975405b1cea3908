//! What daemons have done: every action takes its time, and what it changes is changed when it arrives.

use std::rc::Rc;

use repmgr::failover::{Action, CommandEnd, Finished, Notification, RecordChange, Where};
use repmgr::types::{NodeId, NodeType};

use crate::network::CONNECT_TIMEOUT;
use crate::world::{Event, World};

impl World {
    fn result(&mut self, host: usize, delay: u64, result: Finished) {
        if let Some(generation) = self.generation(host) {
            self.at(
                delay,
                Event::Result {
                    host,
                    generation,
                    result,
                },
            );
        }
    }

    /// Changes the records on a primary: after the time that it takes to get there. What becomes of it is known after
    /// the way back, if there still is one.
    fn change_records(
        &mut self,
        host: usize,
        primary: NodeId,
        change: impl FnOnce(&mut World, usize) -> RecordChange + 'static,
        answer: Option<fn(RecordChange) -> Finished>,
    ) {
        let Some(to) = self.host_of(primary) else { return };
        let (there, back) = (self.latency(host, to), self.latency(to, host));
        let Some(generation) = self.generation(host) else {
            return;
        };
        self.after(there, move |world| {
            let reached = world.connect(host, to).is_ok() && world.hosts[to].server.primary;
            let done = if reached {
                change(world, to)
            } else {
                RecordChange::Failed
            };
            let Some(answer) = answer else { return };
            let wait = if reached { back } else { CONNECT_TIMEOUT };
            world.after(wait, move |world| {
                let known = if world.connect(host, to).is_ok() {
                    done
                } else {
                    RecordChange::Failed
                };
                world.deliver_result(host, generation, answer(known));
            });
        });
    }

    fn has_record(&self, on: usize, id: NodeId) -> bool {
        self.hosts[on].server.metadata.nodes.iter().any(|node| node.id == id)
    }

    pub fn carry_out(&mut self, host: usize, action: Action) {
        let own = self.hosts[host].id;
        let now = self.now;
        let serves = self.hosts[host].server.serves(now);
        let generation = self.generation(host).unwrap_or(0);
        let server = &mut self.hosts[host].server;
        match action {
            Action::Announce(announcement) => {
                let unknown = |id: &NodeId| !self.initial.iter().any(|node| node.id == *id);
                if let Where::On(node) = announcement.to
                    && unknown(&node)
                {
                    self.fail(format!(
                        "event {} is to be written on an unknown node",
                        announcement.event
                    ));
                }
            }
            Action::ResetVotingStatus if serves => server.memory.notification = None,
            Action::SetUpstreamLastSeen(upstream) if serves => {
                server.memory.upstream = Some(upstream);
                server.memory.upstream_seen_at = Some(now);
            }
            Action::SetUpstreamNodeId(upstream) if serves => server.memory.upstream = upstream,
            Action::RegisterDaemon if serves => {
                server.memory.node_id_set = true;
                server.memory.pid = Some(generation);
            }
            Action::StandAside(aside) if serves => server.memory.pid = (!aside).then_some(generation),
            Action::ResetVotingStatus
            | Action::SetUpstreamLastSeen(_)
            | Action::SetUpstreamNodeId(_)
            | Action::RegisterDaemon
            | Action::StandAside(_) => {}
            Action::RunPromoteCommand => {
                let behaviour = self.hosts[host].promote;
                self.at(
                    100,
                    Event::PromoteCheck {
                        host,
                        generation,
                        behaviour,
                    },
                );
            }
            Action::RunFollowCommand(target) => self.run_follow(host, generation, target),
            Action::RunValidation { .. } => {
                let code = i32::from(self.hosts[host].validation_rejects);
                let delay = self.random.between(50, 1500);
                self.result(host, delay, Finished::Validation(CommandEnd::Exited(code)));
            }
            Action::Notify { nodes, value } => {
                if value == Notification::RerunElection {
                    for id in &nodes {
                        self.hosts[host].told.entry(*id).or_insert(now);
                    }
                }
                for id in nodes {
                    if let Some(to) = self.host_of(id) {
                        let delay = self.latency(host, to) * 2;
                        self.after(delay, move |world| {
                            if world.deliver(host, to, value) {
                                let back = world.latency(to, host);
                                world.after(back, move |world| {
                                    if world.connect(host, to).is_ok() {
                                        world.deliver_result(host, generation, Finished::Told(vec![id]));
                                    }
                                });
                            }
                        });
                    }
                }
            }
            Action::StopWalReceiver => {
                server.receiver_held = true;
                let delay = self.random.between(200, 3000);
                self.result(host, delay, Finished::WalReceiverStopped(true));
            }
            Action::RestoreWalReceiver => server.receiver_held = false,
            Action::ResumeReplay => {
                let delay = self.random.between(5, 300);
                self.after(delay, move |world| {
                    let serves = world.hosts[host].server.serves(world.now);
                    world.hosts[host].server.replay_paused &= !serves;
                    world.deliver_result(host, generation, Finished::ReplayResumed(serves));
                });
            }
            Action::RecordOwnPromotion => {
                let delay = self.latency(host, host);
                self.after(delay, move |world| {
                    world.write(host, |records| records.promote(own));
                });
            }
            Action::IncrementVotingTerm => {
                let delay = self.latency(host, host);
                self.after(delay, move |world| {
                    world.write(host, |records| records.term += 1);
                });
            }
            Action::RecordActive { on, active, .. } => {
                let change = move |world: &mut World, to: usize| {
                    world.write(to, |records| {
                        if let Some(node) = records.node_mut(own) {
                            node.active = active;
                        }
                    });
                    RecordChange::Done
                };
                self.change_records(host, on, change, None);
            }
            Action::RecordUpstream(primary) => {
                let change = move |world: &mut World, to: usize| {
                    world.write(to, |records| records.follow(own, primary));
                    RecordChange::Done
                };
                self.change_records(host, primary, change, None);
            }
            Action::BecomeStandby(primary) => {
                let change = move |world: &mut World, to: usize| {
                    if !world.has_record(to, own) {
                        return RecordChange::RecordMissing;
                    }
                    world.write(to, |records| {
                        if records
                            .node_mut(own)
                            .is_some_and(|node| node.node_type == NodeType::Primary)
                        {
                            records.follow(own, primary);
                        }
                    });
                    RecordChange::Done
                };
                self.change_records(host, primary, change, Some(Finished::BecameStandby));
            }
            Action::AdoptPrimary(primary) => {
                let change = move |world: &mut World, to: usize| {
                    if !world.has_record(to, own) {
                        return RecordChange::RecordMissing;
                    }
                    world.write(to, |records| records.adopt(own, primary));
                    world.hosts[host].server.metadata = Rc::clone(&world.hosts[to].server.metadata);
                    RecordChange::Done
                };
                self.change_records(host, primary, change, Some(Finished::PrimaryAdopted));
            }
            // Only where the rules allow an end; the service manager starts the daemon again.
            Action::Exit(_) => {
                if serves {
                    self.hosts[host].server.memory.pid = None;
                }
                self.hosts[host].daemon = None;
                self.log(|| format!("daemon of node {} ends", host + 1));
                let delay = self.random.between(2_000, 20_000);
                self.at(delay, Event::DaemonUp { host });
            }
        }
    }

    /// A notification that no daemon sent.
    pub fn notify_by_hand(&mut self, to: usize, value: Notification) {
        if self.hosts[to].server.memory.node_id_set {
            self.hosts[to].server.memory.notification = Some(value);
        }
    }
}
