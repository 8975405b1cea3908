//! The right to write where etcd grants it: the turns of `write_right::etcd`, and what they decide carried out. One
//! question to etcd at a time.

use std::sync::Arc;
use std::time::Duration;

use repmgr_write_right::Ballot;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::keeper::{now, random, want};
use super::local::{self, Order};
use super::{News, Role, Told};
use crate::config::Config;
use crate::etcd::Client;
use crate::failover::Right;
use crate::instance::control_file;
use crate::metadata::NodeRecord;
use crate::metadata::write_right::GrantedBy;
use crate::types::{NodeId, NodeType};
use crate::write_right::etcd::{self, Action, Answered, Observation, Reply, Request, Rule, State};
use crate::write_right::{Server, Settings, Want};

/// The longest pause between two turns.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// No turn begins sooner than this after the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
/// How long a server may take to require the right after it was told to.
const REQUIRE: Duration = Duration::from_secs(10);

/// Keeps the right for as long as the loop lives.
pub async fn keep(
    own: NodeId,
    config: Config,
    mut told: watch::Receiver<Told>,
    dismissed: watch::Receiver<Option<Ballot>>,
    seen: watch::Sender<Right>,
    news: mpsc::UnboundedSender<News>,
) {
    let (answer, mut answers) = mpsc::unbounded_channel();
    let (order, orders) = mpsc::unbounded_channel();
    let (record, of_record) = watch::channel(None);
    let (to_keeper, mut local) = watch::channel(local::Seen::default());
    let data_directory = config.data_directory.clone();
    tokio::spawn(local::attend(of_record, data_directory, orders, to_keeper));
    let mut keeper = Keeper {
        state: State::new(own.0, random()),
        told: told.borrow_and_update().clone(),
        local: local::Seen::default(),
        dismissed,
        config,
        client: None,
        trouble: None,
        silent_since: None,
        required: None,
        order,
        answer,
        news,
        last_rule: None,
        told_rule: None,
    };
    let mut came: Vec<Answered> = Vec::new();
    loop {
        record.send_if_modified(|record: &mut Option<NodeRecord>| {
            let found = keeper.told.records.iter().find(|record| record.node_id == own).cloned();
            let changed = *record != found;
            *record = found;
            changed
        });
        let wake_at = keeper.turn(std::mem::take(&mut came));
        seen.send_if_modified(|seen| {
            let now = keeper.seen();
            let changed = *seen != now;
            *seen = now;
            changed
        });
        let pause = Duration::from_millis(wake_at.saturating_sub(now())).max(SHORTEST_PAUSE);
        let until = Instant::now() + pause.min(LONGEST_PAUSE);
        tokio::select! {
            Some(answered) = answers.recv() => came.push(answered),
            changed = told.changed() => match changed {
                Ok(()) => keeper.told = told.borrow_and_update().clone(),
                Err(_) => return,
            },
            Ok(()) = local.changed() => keeper.local = local.borrow_and_update().clone(),
            () = tokio::time::sleep_until(until) => {}
        }
        while let Ok(answered) = answers.try_recv() {
            came.push(answered);
        }
    }
}

/// The etcd of this node's cluster, whose identity is read from the data directory.
///
/// # Errors
/// Why it cannot be asked.
pub fn client(config: &Config) -> Result<Client, String> {
    let control = control_file::read(&config.data_directory).map_err(|error| error.to_string())?;
    Client::new(config, control.system_identifier.0).map_err(|problem| problem.to_string())
}

struct Keeper {
    state: State,
    told: Told,
    dismissed: watch::Receiver<Option<Ballot>>,
    local: local::Seen,
    config: Config,
    /// Made as soon as the cluster's identity is known.
    client: Option<Arc<Client>>,
    /// What only a person can mend; told once.
    trouble: Option<String>,
    silent_since: Option<Instant>,
    required: Option<Instant>,
    order: mpsc::UnboundedSender<Order>,
    answer: mpsc::UnboundedSender<Answered>,
    news: mpsc::UnboundedSender<News>,
    last_rule: Option<Rule>,
    told_rule: Option<Rule>,
}

impl Keeper {
    fn turn(&mut self, answers: Vec<Answered>) -> u64 {
        self.look_for_trouble();
        let silent = self.is_silent();
        let standing = self.local.standing;
        let primary = self.told.role == Role::Primary;
        let observation = Observation {
            now: now(),
            random: random(),
            want: match self.is_switched_on() {
                true => want(self.told.role, &self.local, self.state.held.is_some(), silent),
                false => Want::Nothing,
            },
            server: Server {
                start: standing.map(|standing| standing.server),
                end: standing.map(|standing| standing.end),
                // A primary is made to require the right once it holds it: its clients must not notice the beginning.
                enforcing: standing.is_some_and(|standing| standing.loaded && (standing.required || primary)),
                nobody_attached: self.local.nobody_attached,
            },
            over_round: self.local.over_round,
            in_place_of: self.told.in_place_of.map(|node| node.0),
            dismissed: *self.dismissed.borrow(),
            answers,
        };
        let decision = etcd::step(&Settings::new(self.told.duration), &self.state, &observation);
        self.say_why(decision.rule, &decision.reason);
        self.state = decision.next;
        for action in decision.actions {
            self.carry_out(action);
        }
        self.require();
        decision.wake_at
    }

    /// Whether the cluster goes by etcd. While its server does not answer, that is what it was.
    fn is_switched_on(&self) -> bool {
        let by_etcd = self.local.standing.is_none() || self.local.granted_by == GrantedBy::Etcd;
        by_etcd && !self.local.without_extension && self.client.is_some()
    }

    /// Settings that cannot be used, or that are not those of the cluster.
    fn look_for_trouble(&mut self) {
        let trouble = if self.client.is_none() {
            self.make_client().err()
        } else if self.local.standing.is_some() && self.local.granted_by != GrantedBy::Etcd {
            let cluster = self.local.granted_by.word();
            Some(format!(
                "this cluster was switched to \"write_right={cluster}\", and repmgr.conf of this node says etcd"
            ))
        } else {
            None
        };
        if trouble != self.trouble {
            if let Some(trouble) = &trouble {
                crate::error!("this node cannot hold the right to write");
                crate::detail!("{trouble}");
                crate::hint!("\"write_right\" and the etcd settings must be the same on all nodes");
            }
            self.trouble = trouble;
        }
    }

    fn make_client(&mut self) -> Result<(), String> {
        self.client = Some(Arc::new(client(&self.config)?));
        Ok(())
    }

    /// As in the other keeper: a frozen server must not keep the right from the others.
    fn is_silent(&mut self) -> bool {
        if self.local.standing.is_some() || self.local.nobody_attached {
            self.silent_since = None;
            return false;
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        since.elapsed() >= Duration::from_millis(self.told.duration / 2)
    }

    /// How it stands, for the loop.
    fn seen(&self) -> Right {
        if self.local.without_extension {
            return Right::NotNeeded;
        }
        if let Some(trouble) = &self.trouble {
            return Right::Missing(trouble.clone());
        }
        match self.local.standing {
            Some(standing) if self.state.held.is_some() && standing.end > now() => Right::Held,
            Some(_) => {
                let rule = self.last_rule.map_or("", Rule::sentence);
                Right::Missing(rule.trim_end_matches('.').to_owned())
            }
            None => Right::Missing("the local server does not answer".to_owned()),
        }
    }

    /// Has a server that takes part require the right: a primary once it holds it, a standby before it may be promoted.
    fn require(&mut self) {
        let standing = self
            .local
            .standing
            .filter(|standing| !standing.required && standing.loaded);
        // A witness writes what is its own.
        let own = NodeId(self.state.own);
        let is_witness = |record: &NodeRecord| record.node_id == own && record.node_type == NodeType::Witness;
        if standing.is_none() || !self.is_switched_on() || self.told.records.iter().any(is_witness) {
            return;
        }
        let ready = self.told.role != Role::Primary || self.seen() == Right::Held;
        if ready && self.required.is_none_or(|told| told.elapsed() > REQUIRE) {
            self.required = Some(Instant::now());
            crate::notice!("the local server is made to require the right to write");
            self.tell_server(Order::Require);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Ask {
                attempt,
                request,
                deadline,
            } => self.ask(attempt, request, Duration::from_millis(deadline.saturating_sub(now()))),
            Action::ExtendLocalEnd { ballot, until, server } => self.tell_server(Order::HoldUntil {
                until,
                server,
                ballot: ballot.to_string(),
            }),
            Action::SetLocalEndToZero { ballot } => self.tell_server(Order::Lapse {
                ballot: ballot.to_string(),
            }),
            Action::Acquired { epoch, previous } => self.announce(News::Acquired {
                epoch,
                previous: previous.map(NodeId),
            }),
            Action::Lapsed { epoch } => self.announce(News::Lapsed { epoch }),
            Action::Released { epoch } => self.announce(News::Released { epoch }),
        }
    }

    fn ask(&self, attempt: u64, request: Request, limit: Duration) {
        let (client, answer) = (self.client.clone(), self.answer.clone());
        tokio::spawn(async move {
            let reply: Result<Reply, String> = match client {
                Some(client) => match tokio::time::timeout(limit, client.put(&request, limit)).await {
                    Ok(reply) => reply.map_err(|problem| problem.to_string()),
                    Err(_) => Err(format!("no member answered within {limit:?}")),
                },
                None => Err("the cluster's identity is not known yet".to_owned()),
            };
            // The keeper may have ended meanwhile.
            let _ = answer.send(Answered { attempt, reply });
        });
    }

    fn tell_server(&self, order: Order) {
        // It lives as long as this.
        let _ = self.order.send(order);
    }

    fn announce(&self, news: News) {
        // The loop may have ended.
        let _ = self.news.send(news);
    }

    fn say_why(&mut self, rule: Rule, reason: &str) {
        if self.last_rule.replace(rule) == Some(rule) {
            return;
        }
        if rule == Rule::RenewalSilent && self.told_rule != Some(rule) {
            self.announce(News::RenewalFailed(reason.to_owned()));
        }
        // What is tried again and again is told once.
        if rule.is_daily() || self.told_rule == Some(rule) {
            crate::debug!("the right to write: {reason}");
            if matches!(rule, Rule::Renewed | Rule::NotWanted) {
                self.told_rule = None;
            }
        } else {
            self.told_rule = Some(rule);
            crate::info!("the right to write: {reason}");
            crate::detail!("rule \"{}\"", rule.name());
        }
    }
}
