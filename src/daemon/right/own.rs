//! The own server and the loop, as whoever keeps the right has to do with them, whoever grants it: what is wanted of the
//! right, what the server is told, what people are told. Does not answer for when the right is held.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::local::{self, Order};
use super::{News, Role, Told};
use crate::daemon::clock::boottime;
use crate::failover::Right;
use crate::metadata::NodeRecord;
use crate::types::NodeId;
use crate::write_right::{Server, Want};

/// How long a server may take to require the right after it was told to.
const REQUIRE: Duration = Duration::from_secs(10);
/// No turn begins sooner than this after the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between two turns.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The own server and the loop.
pub struct Own {
    /// Of this node.
    pub id: NodeId,
    /// What the loop told last.
    pub told: Told,
    /// What was seen of the server last.
    pub local: local::Seen,
    record: watch::Sender<Option<NodeRecord>>,
    order: mpsc::UnboundedSender<Order>,
    seen: watch::Sender<Right>,
    news: mpsc::UnboundedSender<News>,
    silent_since: Option<Instant>,
    required: Option<Instant>,
    /// The last rule that people were told of.
    told_rule: Option<&'static str>,
}

/// The rule that a turn went by, for people.
pub struct Said<'a> {
    /// Its stable name.
    pub name: &'static str,
    /// What was decided, and from what.
    pub reason: &'a str,
    /// It is of no interest as long as all is well.
    pub daily: bool,
    /// All is well again: what is told once is told again when it comes back.
    pub well: bool,
}

impl Own {
    /// Begins to look at the server, for as long as the receiver lives.
    pub fn attend(
        id: NodeId,
        data_directory: PathBuf,
        told: Told,
        seen: watch::Sender<Right>,
        news: mpsc::UnboundedSender<News>,
    ) -> (Own, watch::Receiver<local::Seen>) {
        let (order, orders) = mpsc::unbounded_channel();
        let (record, of_record) = watch::channel(None);
        let (to_keeper, local) = watch::channel(local::Seen::default());
        tokio::spawn(local::attend(of_record, data_directory, orders, to_keeper));
        let own = Own {
            id,
            told,
            local: local::Seen::default(),
            record,
            order,
            seen,
            news,
            silent_since: None,
            required: None,
            told_rule: None,
        };
        (own, local)
    }

    /// Has the server looked for where its record says that it is.
    pub fn find(&self) {
        let own = self.record(self.id.0);
        change(&self.record, own);
    }

    /// Tells the loop how it stands.
    pub fn show(&self, right: Right) {
        change(&self.seen, right);
    }

    /// The record of a node.
    pub fn record(&self, node: i32) -> Option<NodeRecord> {
        let found = self.told.records.iter().find(|record| record.node_id.0 == node);
        found.cloned()
    }

    /// Whether it is a primary.
    pub fn is_primary(&self) -> bool {
        self.told.role == Role::Primary
    }

    /// Whether it has not answered for so long that the right is of no use to it: a frozen one would otherwise keep the
    /// others from having it.
    fn is_silent(&mut self) -> bool {
        if self.local.standing.is_some() || self.local.nobody_attached {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_millis(self.told.duration / 2)
    }

    /// What is wanted of the right, and whether the server is silent: then nothing is to be forced either.
    pub fn want(&mut self, held: bool) -> (Want, bool) {
        let silent = self.is_silent();
        (want(self.told.role, &self.local, held, silent), silent)
    }

    /// How the server stands, for a decision.
    pub fn server(&self) -> Server {
        let standing = self.local.standing;
        Server {
            start: standing.map(|standing| standing.server),
            end: standing.map(|standing| standing.end),
            // A primary is made to require the right once it holds it: its clients must not notice the beginning.
            enforcing: standing.is_some_and(|standing| standing.loaded && (standing.required || self.is_primary())),
            nobody_attached: self.local.nobody_attached,
        }
    }

    /// How the right stands there; `held`: by what was granted, `rule`: the sentence that says why not.
    pub fn right(&self, held: bool, rule: &str) -> Right {
        match self.local.standing {
            Some(standing) if held && standing.end > now() => Right::Held,
            Some(_) => Right::Missing(rule.trim_end_matches('.').to_owned()),
            None => Right::Missing("the local server does not answer".to_owned()),
        }
    }

    /// Has the server require the right: a primary once it holds it, a standby before it may be promoted.
    pub fn require(&mut self, right: &Right) {
        let ready = !self.is_primary() || *right == Right::Held;
        if ready && self.required.is_none_or(|told| told.elapsed() > REQUIRE) {
            self.required = Some(Instant::now());
            crate::notice!("the local server is made to require the right to write");
            self.tell(Order::Require);
        }
    }

    /// Tells the server.
    pub fn tell(&self, order: Order) {
        // It lives as long as this.
        let _ = self.order.send(order);
    }

    /// Tells the loop what is to be announced.
    pub fn announce(&self, news: News) {
        // The loop may have ended.
        let _ = self.news.send(news);
    }

    /// Whether people were told of this rule last.
    pub fn was_told(&self, rule: &str) -> bool {
        self.told_rule == Some(rule)
    }

    /// Says why. What is tried again and again is told once.
    pub fn say(&mut self, said: &Said<'_>) {
        let reason = said.reason;
        if said.daily || self.was_told(said.name) {
            crate::debug!("the right to write: {reason}");
            if said.well {
                self.told_rule = None;
            }
        } else {
            self.told_rule = Some(said.name);
            crate::info!("the right to write: {reason}");
            crate::detail!("rule \"{}\"", said.name);
        }
    }
}

/// Sends what has changed.
pub fn change<T: PartialEq>(to: &watch::Sender<T>, value: T) {
    to.send_if_modified(|last| {
        let changed = *last != value;
        *last = value;
        changed
    });
}

/// When the next turn is due, by the clock of [`now`].
pub fn next_turn(wake_at: u64) -> Instant {
    let pause = Duration::from_millis(wake_at.saturating_sub(now())).max(SHORTEST_PAUSE);
    Instant::now() + pause.min(LONGEST_PAUSE)
}

/// What is wanted of the right.
fn want(role: Role, local: &local::Seen, held: bool, silent: bool) -> Want {
    let wished = local.standing.is_some_and(|standing| standing.wished);
    match role {
        _ if held && local.nobody_attached => Want::Release,
        _ if silent => Want::Nothing,
        // It is being switched on: what was on record before does not count.
        Role::Primary if wished && !local.standing.is_some_and(|standing| standing.required) => Want::Take,
        Role::Primary => Want::Keep,
        Role::Candidate => Want::Take,
        Role::Other if wished => Want::Take,
        Role::Other | Role::Witness => Want::Nothing,
    }
}

/// Milliseconds since the host was booted.
pub fn now() -> u64 {
    u64::try_from(boottime().as_millis()).unwrap_or(u64::MAX)
}

/// A number that no other call gives: the keys of a hasher come from the operating system.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metadata::write_right::Standing;

    fn seen(wished: bool, nobody_attached: bool) -> local::Seen {
        let standing = Standing {
            loaded: true,
            required: true,
            server: 7,
            end: 0,
            left: 0,
            wished,
        };
        local::Seen {
            standing: (!nobody_attached).then_some(standing),
            nobody_attached,
            ..local::Seen::default()
        }
    }

    #[test]
    fn a_server_that_is_gone_gives_the_right_back_whatever_it_was() {
        for role in [Role::Primary, Role::Candidate, Role::Other] {
            assert_eq!(want(role, &seen(false, true), true, false), Want::Release);
        }
        assert_eq!(want(Role::Primary, &seen(false, true), false, false), Want::Keep);
    }

    #[test]
    fn a_standby_wants_it_only_for_a_promotion() {
        assert_eq!(want(Role::Other, &seen(false, false), false, false), Want::Nothing);
        assert_eq!(want(Role::Other, &seen(true, false), false, false), Want::Take);
        assert_eq!(want(Role::Candidate, &seen(false, false), false, false), Want::Take);
    }

    #[test]
    fn the_primary_may_take_it_while_it_is_switched_on() {
        let mut wished = seen(true, false);
        assert_eq!(want(Role::Primary, &wished, false, false), Want::Keep);
        wished.standing.as_mut().unwrap().required = false;
        assert_eq!(want(Role::Primary, &wished, false, false), Want::Take);
    }

    #[test]
    fn a_server_that_is_frozen_does_not_keep_the_right_from_the_others() {
        assert_eq!(want(Role::Primary, &seen(false, false), true, true), Want::Nothing);
        assert_eq!(want(Role::Primary, &seen(false, true), true, true), Want::Release);
    }

    #[test]
    fn no_two_numbers_are_alike() {
        let numbers: BTreeSet<u64> = (0..100).map(|_| random()).collect();
        assert_eq!(numbers.len(), 100);
    }
}
