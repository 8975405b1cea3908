//! Look, decide, carry out, wait.

use std::time::Duration;

use tokio::time::Instant;

use super::look::{self, Remembered, Seen};
use super::{Ends, News, Told, carry};
use crate::daemon::peers::Peers;
use crate::error::{Error, Result};
use crate::etcd::Client;
use crate::events::{Event, EventName};
use crate::failover::Right;
use crate::metadata::NodeRecord;
use crate::returning::{self, Action, Course, Decision, Rule, Server, Voters};
use crate::types::NodeId;

/// From one look to the next.
const PACE: Duration = Duration::from_secs(1);
/// The same for a standby that receives nothing, and how long it may do so before it is looked at.
const STANDBY_PACE: Duration = Duration::from_secs(5);
/// How long is waited after a failure, the longer the more there were.
const PAUSE: Duration = Duration::from_secs(5);

/// Attends for as long as the loop lives.
pub async fn attend(ends: Ends) {
    let mut attendant = Attendant {
        ends,
        remembered: Remembered::default(),
        stops: 0,
        told_rule: None,
        called_for: None,
        last_error: None,
        not_before: Instant::now(),
        stuck_since: None,
        kept: Peers::default(),
        etcd: None,
    };
    loop {
        tokio::time::sleep_until(attendant.not_before.max(Instant::now() + PACE)).await;
        if *attendant.ends.end.borrow() || attendant.ends.told.has_changed().is_err() {
            return;
        }
        let told = attendant.ends.told.borrow_and_update().clone();
        attendant.turn(&told).await;
    }
}

struct Attendant {
    ends: Ends,
    remembered: Remembered,
    /// How often the server was stopped since all was well.
    stops: u32,
    told_rule: Option<Rule>,
    /// A person was called because of this.
    called_for: Option<Rule>,
    /// Why the last return failed.
    last_error: Option<String>,
    not_before: Instant,
    /// Since when the server is a standby that receives nothing.
    stuck_since: Option<Instant>,
    kept: Peers,
    etcd: Option<Client>,
}

impl Attendant {
    async fn turn(&mut self, told: &Told) {
        let right = self.ends.right.borrow().clone();
        let is_standby = !told.primary && !self.remembered.stopped;
        let well = right == Right::Held || (is_standby && !told.stuck);
        if well {
            self.forget();
        }
        let early = is_standby && !self.is_stuck_for_long(told.stuck);
        if well || early || told.paused || (right == Right::NotNeeded && !self.remembered.stopped) {
            self.kept = Peers::default();
            return;
        }
        let seen = look::look(self.ends.own, told, self.remembered, &mut self.kept, &mut self.etcd).await;
        if !matches!(seen.observation.server, Server::Stopped | Server::Unknown) {
            // Whoever has started it again wants to see it run.
            self.remembered.stopped = false;
        }
        let decision = returning::decide(&seen.observation);
        self.remembered.past_the_fork = match decision.rule {
            Rule::PastTheFork => self.remembered.past_the_fork + 1,
            _ => 0,
        };
        let waits = matches!(decision.action, Action::Nothing | Action::Wait);
        // A standby mostly waits for what the loop tells of already.
        if !is_standby || !waits || matches!(decision.rule, Rule::VoteNeeded | Rule::PastTheFork) {
            self.say_why(&decision);
        }
        match decision.action {
            Action::Nothing | Action::Wait => {}
            Action::TakeAgain => {
                self.ends.dismissed.send_replace(seen.ballot);
            }
            Action::Stop => self.stop(told, &seen, &decision).await,
            Action::Return(course) => self.make_standby(told, &seen, course).await,
            Action::CallPerson => self.call(&seen, &decision),
        }
    }

    /// Most standbys that receive nothing wait for a primary: they are looked at later, and less often.
    fn is_stuck_for_long(&mut self, stuck: bool) -> bool {
        if !stuck {
            self.stuck_since = None;
            return false;
        }
        let now = Instant::now();
        let since = *self.stuck_since.get_or_insert(now);
        self.not_before = now + STANDBY_PACE;
        now - since >= STANDBY_PACE
    }

    fn forget(&mut self) {
        self.remembered = Remembered::default();
        self.stuck_since = None;
        self.stops = 0;
        self.told_rule = None;
        self.called_for = None;
        self.ends
            .dismissed
            .send_if_modified(|dismissed| dismissed.take().is_some());
    }

    fn say_why(&mut self, decision: &Decision) {
        if self.told_rule.replace(decision.rule) == Some(decision.rule) {
            crate::debug!("{}", decision.reason);
            return;
        }
        crate::notice!("{}", decision.reason);
        crate::detail!("rule \"{}\": {}", decision.rule.name(), decision.rule.sentence());
    }

    /// The longer the more often it was in vain.
    fn pause(&mut self, times: u32) {
        self.not_before = Instant::now() + PAUSE * times.min(30);
    }

    async fn stop(&mut self, told: &Told, seen: &Seen, decision: &Decision) {
        match decision.rule {
            Rule::PastTheFork => {
                crate::warning!("stopping the local server, which cannot follow the new primary as it is")
            }
            _ => crate::warning!("stopping the local server, so that no client stays with it"),
        }
        self.ends.busy.send_replace(true);
        let stopped = carry::stop(told.config.clone()).await;
        self.ends.busy.send_replace(false);
        self.stops += 1;
        self.remembered.stopped = stopped.is_ok();
        let mut details = decision.reason.clone();
        match &stopped {
            Ok(()) => crate::notice!("the local server is stopped"),
            Err(error) => {
                details = format!("{details}; {}", one_line(error));
                report(stopped);
            }
        }
        if self.stops > 1 || !self.remembered.stopped {
            self.pause(self.stops);
        }
        let successful = self.remembered.stopped;
        self.announce(seen, EventName::WriteRightServerStopped, successful, details);
        if decision.rule == Rule::EnforcesNothing {
            crate::error!("the local server was stopped because it enforces nothing");
            crate::hint!("add \"repmgr\" to \"shared_preload_libraries\" and start it again");
            crate::hint!("or switch the right to write off first: \"repmgr write-right disable\" on another node");
        }
    }

    async fn make_standby(&mut self, told: &Told, seen: &Seen, course: Course) {
        let Some(primary) = holder(seen).and_then(|id| record(told, id)) else {
            return;
        };
        // A crashed server is taken over, too.
        self.remembered.stopped = true;
        crate::notice!("making this node a standby of {}", primary.title());
        self.ends.busy.send_replace(true);
        let result = carry::make_standby(told.config.clone(), primary, course, self.ends.end.clone()).await;
        self.ends.busy.send_replace(false);
        match &result {
            Ok(()) => {
                self.forget();
                return;
            }
            Err(_) => {
                let attempt = self.remembered.failures + 1;
                crate::warning!(
                    "attempt {attempt} of {} to make this node a standby failed",
                    returning::ATTEMPTS
                );
            }
        }
        self.last_error = result.as_ref().err().map(one_line);
        report(result);
        self.remembered.failures += 1;
        self.remembered.rewind_failed |= course == Course::Rewind;
        self.pause(self.remembered.failures);
    }

    /// Calls a person, once for each reason.
    fn call(&mut self, seen: &Seen, decision: &Decision) {
        if self.called_for.replace(decision.rule) == Some(decision.rule) {
            return;
        }
        crate::error!("this node does not come back by itself");
        crate::detail!("{}", decision.reason);
        let primary = holder(seen).map_or_else(|| "the new primary".to_owned(), |id| format!("node {id}"));
        match decision.rule {
            Rule::NoRelation => crate::hint!("compare both servers' timelines and data before anything is done"),
            _ => {
                crate::hint!("\"repmgr node rejoin --force-rewind -d CONNINFO\" makes it a standby of {primary}");
                crate::hint!("\"rejoin=rewind\" in repmgr.conf and a reload of the daemon let it do that itself");
            }
        }
        let mut details = format!("{}; rule \"{}\"", decision.reason, decision.rule.name());
        if let Some(error) = &self.last_error {
            details.push_str(&format!("; the last attempt: {error}"));
        }
        self.announce(seen, EventName::NodeRejoin, false, details);
    }

    fn announce(&self, seen: &Seen, name: EventName, successful: bool, details: String) {
        let mut event = Event::new(name, self.ends.own).successful(successful).details(details);
        let on = holder(seen);
        if let Some(other) = on {
            event = event.other_id(other);
        }
        // The loop may have ended.
        let _ = self.ends.news.send(News { event, on });
    }
}

/// The node that had the right last, if it is another one.
fn holder(seen: &Seen) -> Option<NodeId> {
    match seen.observation.voters {
        Voters::Agree { holder, .. } => Some(holder).filter(|holder| *holder != seen.observation.own),
        _ => None,
    }
}

fn record(told: &Told, id: NodeId) -> Option<NodeRecord> {
    told.records.iter().find(|record| record.node_id == id).cloned()
}

fn report(result: Result<()>) {
    if let Err(error) = result {
        error.report();
    }
}

fn one_line(error: &Error) -> String {
    let all = std::iter::once(&error.message).chain(&error.details);
    all.cloned().collect::<Vec<_>>().join("; ")
}
