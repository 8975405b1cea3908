//! The right to write where etcd grants it: the turns of `write_right::etcd`, and what they decide carried out. One
//! question to etcd at a time.

use std::sync::Arc;
use std::time::Duration;

use repmgr_write_right::Ballot;
use tokio::sync::{mpsc, watch};

use super::local::Order;
use super::own::{self, Own, Said, now, random};
use super::{News, Role, Told};
use crate::config::Config;
use crate::etcd::Client;
use crate::failover::Right;
use crate::instance::control_file;
use crate::metadata::write_right::GrantedBy;
use crate::types::NodeId;
use crate::write_right::etcd::{self, Action, Answered, Observation, Reply, Request, Rule, State};
use crate::write_right::{Settings, Want};

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
    let first = told.borrow_and_update().clone();
    let (own, mut local) = Own::attend(own, config.data_directory.clone(), first, seen, news);
    let mut keeper = Keeper {
        state: State::new(own.id.0, random()),
        own,
        dismissed,
        config,
        client: None,
        trouble: None,
        answer,
        last_rule: None,
    };
    let mut came: Vec<Answered> = Vec::new();
    loop {
        keeper.own.find();
        let wake_at = keeper.turn(std::mem::take(&mut came));
        keeper.own.show(keeper.seen());
        tokio::select! {
            Some(answered) = answers.recv() => came.push(answered),
            changed = told.changed() => match changed {
                Ok(()) => keeper.own.told = told.borrow_and_update().clone(),
                Err(_) => return,
            },
            Ok(()) = local.changed() => keeper.own.local = local.borrow_and_update().clone(),
            () = tokio::time::sleep_until(own::next_turn(wake_at)) => {}
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
    own: Own,
    state: State,
    dismissed: watch::Receiver<Option<Ballot>>,
    config: Config,
    /// Made as soon as the cluster's identity is known.
    client: Option<Arc<Client>>,
    /// What only a person can mend; told once.
    trouble: Option<String>,
    answer: mpsc::UnboundedSender<Answered>,
    last_rule: Option<Rule>,
}

impl Keeper {
    fn turn(&mut self, answers: Vec<Answered>) -> u64 {
        self.look_for_trouble();
        let (wanted, _) = self.own.want(self.state.held.is_some());
        let observation = Observation {
            now: now(),
            random: random(),
            want: if self.is_switched_on() { wanted } else { Want::Nothing },
            server: self.own.server(),
            over_round: self.own.local.over_round,
            in_place_of: self.own.told.in_place_of.map(|node| node.0),
            dismissed: *self.dismissed.borrow(),
            answers,
        };
        let decision = etcd::step(&Settings::new(self.own.told.duration), &self.state, &observation);
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
        let by_etcd = self.own.local.standing.is_none() || self.own.local.granted_by == GrantedBy::Etcd;
        by_etcd && !self.own.local.without_extension && self.client.is_some()
    }

    /// Settings that cannot be used, or that are not those of the cluster.
    fn look_for_trouble(&mut self) {
        let trouble = if self.client.is_none() {
            self.make_client().err()
        } else if self.own.local.standing.is_some() && self.own.local.granted_by != GrantedBy::Etcd {
            let cluster = self.own.local.granted_by.word();
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

    /// How it stands, for the loop.
    fn seen(&self) -> Right {
        if self.own.local.without_extension {
            return Right::NotNeeded;
        }
        if let Some(trouble) = &self.trouble {
            return Right::Missing(trouble.clone());
        }
        let rule = self.last_rule.map_or("", Rule::sentence);
        self.own.right(self.state.held.is_some(), rule)
    }

    /// Has a server that takes part require the right: a primary once it holds it, a standby before it may be promoted.
    fn require(&mut self) {
        let standing = self.own.local.standing;
        let may = standing.is_some_and(|standing| standing.loaded && !standing.required);
        // A witness writes what is its own.
        if may && self.is_switched_on() && self.own.told.role != Role::Witness {
            self.own.require(&self.seen());
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Ask {
                attempt,
                request,
                deadline,
            } => self.ask(attempt, request, Duration::from_millis(deadline.saturating_sub(now()))),
            Action::ExtendLocalEnd { ballot, until, server } => self.own.tell(Order::HoldUntil {
                until,
                server,
                ballot: ballot.to_string(),
            }),
            Action::SetLocalEndToZero { ballot } => self.own.tell(Order::Lapse {
                ballot: ballot.to_string(),
            }),
            Action::Acquired { epoch, previous } => self.own.announce(News::Acquired {
                epoch,
                previous: previous.map(NodeId),
            }),
            Action::Lapsed { epoch } => self.own.announce(News::Lapsed { epoch }),
            Action::Released { epoch } => self.own.announce(News::Released { epoch }),
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

    fn say_why(&mut self, rule: Rule, reason: &str) {
        if self.last_rule.replace(rule) == Some(rule) {
            return;
        }
        if rule == Rule::RenewalSilent && !self.own.was_told(rule.name()) {
            self.own.announce(News::RenewalFailed(reason.to_owned()));
        }
        self.own.say(&Said {
            name: rule.name(),
            reason,
            daily: rule.is_daily(),
            well: matches!(rule, Rule::Renewed | Rule::NotWanted),
        });
    }
}
