//! The synchronous mode, beside the keeper: as long as the right is held, what the server waits for is kept in step with what
//! a majority remembers; before a promotion, the others are asked whether the own server has every acknowledged commit.
//! Answers for carrying out what `write_right::synchronous` decides, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::SynchronousMode;
use crate::daemon::clock::boottime;
use crate::daemon::peers::{self, Peers};
use crate::metadata::{NodeRecord, synchronous};
use crate::operations::write_right::members::{self, Asked};
use crate::postgres::{Connection, QueryError};
use crate::types::{NodeId, NodeType};
use crate::write_right::synchronous::{
    Decision, Mode, Order, Rule, Seen, Sender, Setting, Standby, State, before_promotion, may_be_promoted, step,
};

/// How often the own server is looked at.
const PACE: Duration = Duration::from_millis(300);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How often it is looked at a server that is no holder.
const RARELY: Duration = Duration::from_secs(5);
/// Whoever waits in vain is told again why after this.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What the keeper tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Situation {
    /// All nodes.
    pub records: Vec<NodeRecord>,
    /// `synchronous_mode`.
    pub mode: SynchronousMode,
    /// `synchronous_node_count`.
    pub count: u32,
    /// The own server answers, has the library preloaded and requires the right.
    pub enforcing: bool,
    /// What this node is at the moment.
    pub stage: Stage,
}

/// What a node is as far as the mode is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Neither of the others.
    Other,
    /// It is to be promoted and does not hold the right.
    Candidate,
    /// It is to be promoted and holds the right in this epoch: nobody else can acknowledge anything any more.
    Elected {
        /// The epoch.
        epoch: u64,
        /// What the last holder had remembered.
        payload: (u32, Vec<i32>),
    },
    /// The own server is the primary and holds the right in this epoch.
    Holder {
        /// The epoch.
        epoch: u64,
        /// What a majority remembers; `None`: a change is on its way.
        payload: Option<(u32, Vec<i32>)>,
    },
}

/// What the keeper is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What a majority is to remember, and in which epoch that was decided.
    pub payload: Option<(u64, (u32, Vec<i32>))>,
    /// Whether this node may be promoted.
    pub gate: Gate,
}

/// Whether a node may be promoted, as far as acknowledged commits go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gate {
    /// It has not been found out yet.
    #[default]
    Unknown,
    /// It must not; why, and the way out.
    Barred(String),
    /// By what is known it may: the right may be acquired.
    MayTry,
    /// It has everything, asked in this epoch.
    Open(u64),
}

/// Keeps the mode for as long as somebody wants to know.
pub async fn attend(own: NodeId, mut situation: watch::Receiver<Situation>, outcome: watch::Sender<Outcome>) {
    let mut attendant = Attendant {
        own,
        kept: None,
        peers: Peers::default(),
        state: State::default(),
        epoch: None,
        last: None,
        told_at: None,
        found: false,
        looked: None,
    };
    loop {
        let now = situation.borrow_and_update().clone();
        let before = outcome.borrow().clone();
        let next = attendant.attend(&now, &before).await;
        outcome.send_if_modified(|before| {
            let changed = *before != next;
            *before = next;
            changed
        });
        let until = Instant::now() + PACE;
        // A change of what is remembered is waited for; whatever else changes can wait for the pace.
        tokio::select! {
            changed = situation.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

struct Attendant {
    own: NodeId,
    kept: Option<Arc<Connection>>,
    peers: Peers,
    state: State,
    /// The epoch that the state is of.
    epoch: Option<u64>,
    last: Option<(Rule, String)>,
    told_at: Option<Instant>,
    /// A person's own setting was told of.
    found: bool,
    /// When it was last looked whether the server is as strict as it is to be.
    looked: Option<Instant>,
}

impl Attendant {
    async fn attend(&mut self, situation: &Situation, before: &Outcome) -> Outcome {
        match &situation.stage {
            Stage::Holder { epoch, payload } => {
                if self.epoch != Some(*epoch) {
                    self.epoch = Some(*epoch);
                    self.state = State::default();
                }
                let wish = match self.hold(situation, payload.clone()).await {
                    Ok(Some(chosen)) => Some((*epoch, chosen)),
                    Ok(None) => before.payload.clone().filter(|(of, _)| of == epoch),
                    Err(error) => {
                        self.lost(&error);
                        before.payload.clone().filter(|(of, _)| of == epoch)
                    }
                };
                Outcome {
                    payload: wish,
                    gate: Gate::Open(*epoch),
                }
            }
            Stage::Candidate => Outcome {
                payload: None,
                gate: self.may_try(situation).await,
            },
            Stage::Elected { epoch, payload } => Outcome {
                payload: None,
                gate: match before.gate == Gate::Open(*epoch) {
                    true => Gate::Open(*epoch),
                    false => self.may_be_promoted(situation, *epoch, payload).await,
                },
            },
            Stage::Other => {
                self.epoch = None;
                self.peers.retain(&[]);
                if let Err(error) = self.be_strict(situation).await {
                    self.lost(&error);
                }
                Outcome::default()
            }
        }
    }

    fn lost(&mut self, error: &QueryError) {
        if peers::is_lost(error) {
            self.kept = None;
        }
        crate::debug!("the synchronous mode: {error}");
    }

    async fn connection(&mut self, situation: &Situation) -> Result<Arc<Connection>, QueryError> {
        let record = situation.records.iter().find(|record| record.node_id == self.own);
        let unknown = || QueryError::Unexpected("the own record is not known".to_owned());
        let record = record.ok_or_else(unknown)?;
        let connected = tokio::time::timeout(PATIENCE, peers::connected(record, self.kept.take())).await;
        let connected = connected.map_err(|_| QueryError::TimedOut(PATIENCE))?;
        let connection = connected.map_err(|error| QueryError::Unexpected(error.to_string()))?;
        self.kept = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// One turn of a holder; what a majority is to remember, if that changes.
    async fn hold(
        &mut self,
        situation: &Situation,
        payload: Option<(u32, Vec<i32>)>,
    ) -> Result<Option<(u32, Vec<i32>)>, QueryError> {
        let mode = mode(situation.mode);
        if mode == Mode::Off && payload.as_ref().is_some_and(|(count, _)| *count == 0) {
            self.be_strict(situation).await?;
            return Ok(None);
        }
        let connection = self.connection(situation).await?;
        let standing = within(synchronous::standing(&connection)).await?;
        let Some(written) = standing.written else {
            return Ok(None);
        };
        let seen = Seen {
            now: u64::try_from(boottime().as_millis()).unwrap_or(u64::MAX),
            own: self.own.0,
            mode,
            count: situation.count,
            standbys: standbys(&situation.records, self.own),
            senders: standing
                .walsenders
                .into_iter()
                .map(|walsender| Sender {
                    name: walsender.name,
                    streaming: walsender.streaming,
                    flushed: walsender.flushed,
                    counts: walsender.counts,
                })
                .collect(),
            setting: standing.setting,
            written,
            checkpointer_idle: standing.checkpointer_idle,
            payload,
        };
        // A writer is refused where nobody is waited for, so not before somebody is.
        let strict = mode == Mode::Strict && situation.enforcing && !seen.setting.is_empty();
        let keeps_strict = mode == Mode::Strict && standing.strict;
        if standing.strict != strict && !keeps_strict {
            within(synchronous::be_strict(&connection, strict)).await?;
        }
        let decision = step(&self.state, &seen);
        self.say(&decision, &seen);
        self.state = decision.next;
        match decision.order {
            Order::Nothing => Ok(None),
            Order::Choose(count, standbys) => Ok(Some((count, standbys))),
            Order::Set(names) => within(synchronous::set(&connection, Some(&names))).await.map(|()| None),
            Order::Reset => within(synchronous::set(&connection, None)).await.map(|()| None),
        }
    }

    fn say(&mut self, decision: &Decision, seen: &Seen) {
        let now = (decision.rule, decision.reason.clone());
        let quiet = matches!(
            decision.rule,
            Rule::PayloadAwaited | Rule::SettingAwaited | Rule::CatchingUp
        );
        let too_few = decision.rule == Rule::TooFew;
        let again = too_few && self.told_at.is_none_or(|at| at.elapsed() > TELL_AGAIN);
        if quiet {
            crate::debug!("synchronous mode: {} ({})", decision.reason, decision.rule.name());
            return;
        }
        if self.last.as_ref() == Some(&now) && !again {
            return;
        }
        if matches!(decision.order, Order::Set(_)) && Setting::parse(&seen.setting).is_none() && !self.found {
            self.found = true;
            crate::notice!(
                "synchronous_standby_names was \"{}\" and is kept by this daemon from now on",
                seen.setting
            );
            crate::detail!("\"synchronous_mode\" is on in repmgr.conf");
        }
        if too_few {
            self.told_at = Some(Instant::now());
            crate::warning!("synchronous mode: {}", decision.reason);
            crate::hint!("start them, or set \"synchronous_mode=on\" to write without them, and reload");
        } else if decision.rule == Rule::Off {
            crate::debug!("synchronous mode: {}", decision.reason);
        } else {
            self.told_at = None;
            crate::info!("synchronous mode: {}", decision.reason);
        }
        crate::detail!("rule \"{}\"", decision.rule.name());
        self.last = Some(now);
    }

    /// A server that may become the primary refuses from its first moment on who would not wait.
    async fn be_strict(&mut self, situation: &Situation) -> Result<(), QueryError> {
        let looked = self.looked.is_some_and(|looked| looked.elapsed() < RARELY);
        if !situation.enforcing || looked {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let strict = situation.mode == SynchronousMode::Strict;
        let connection = self.connection(situation).await?;
        let standing = within(synchronous::standing(&connection)).await?;
        // A primary without the right commits nothing; when it has it again, it goes by what it is.
        if standing.strict != strict && (standing.written.is_none() || !strict) {
            within(synchronous::be_strict(&connection, strict)).await?;
        }
        Ok(())
    }

    /// What the voters and the members say, all asked at the same time.
    async fn ask(&mut self, situation: &Situation) -> Vec<Asked> {
        let kept: Vec<_> = situation.records.iter().map(|record| self.peers.kept(record)).collect();
        let asked = situation.records.iter().zip(kept).map(|(record, kept)| async move {
            let connected = tokio::time::timeout(PATIENCE, peers::connected(record, kept)).await;
            let Ok(Ok(connection)) = connected else {
                return (record, None, Asked::silent(record.node_id));
            };
            let asked = tokio::time::timeout(PATIENCE, members::ask(record.node_id, &connection)).await;
            match asked {
                Ok(asked) => (record, Some(connection), asked),
                Err(_) => (record, None, Asked::silent(record.node_id)),
            }
        });
        let mut all = Vec::new();
        for (record, connection, asked) in join_all(asked).await {
            self.peers.keep(record, connection);
            all.push(asked);
        }
        all
    }

    async fn may_try(&mut self, situation: &Situation) -> Gate {
        let asked = self.ask(situation).await;
        let Some(payload) = members::remembered(&asked) else {
            return Gate::Barred(
                "no majority of the nodes says which standbys have every acknowledged commit".to_owned(),
            );
        };
        let title = |node| title(&situation.records, node);
        match may_be_promoted(self.own.0, &payload, &members::positions(&asked), title) {
            Ok(()) => Gate::MayTry,
            Err(barred) => Gate::Barred(barred.reason),
        }
    }

    async fn may_be_promoted(&mut self, situation: &Situation, epoch: u64, payload: &(u32, Vec<i32>)) -> Gate {
        if payload.0 == 0 {
            return Gate::Open(epoch);
        }
        let asked = self.ask(situation).await;
        let remembered = repmgr_write_right::Payload {
            version: 0,
            count: payload.0,
            standbys: payload.1.clone(),
        };
        let title = |node| title(&situation.records, node);
        if let Err(barred) = may_be_promoted(self.own.0, &remembered, &members::positions(&asked), title) {
            return Gate::Barred(barred.reason);
        }
        match self.prepare(situation, payload).await {
            Ok(true) => Gate::Open(epoch),
            Ok(false) => Gate::Unknown,
            Err(error) => {
                self.lost(&error);
                Gate::Unknown
            }
        }
    }

    /// Has the own server wait for what is remembered, before it may acknowledge anything; whether it does.
    async fn prepare(&mut self, situation: &Situation, payload: &(u32, Vec<i32>)) -> Result<bool, QueryError> {
        let connection = self.connection(situation).await?;
        let standing = within(synchronous::standing(&connection)).await?;
        let standbys = standbys(&situation.records, self.own);
        match before_promotion(&standing.setting, self.own.0, payload, &standbys) {
            None => Ok(true),
            Some(setting) => {
                let names = setting.to_string();
                crate::info!("synchronous mode: synchronous_standby_names becomes \"{names}\" before the promotion");
                within(synchronous::set(&connection, Some(&names)))
                    .await
                    .map(|()| false)
            }
        }
    }
}

async fn within<T>(question: impl Future<Output = Result<T, QueryError>>) -> Result<T, QueryError> {
    let answer = tokio::time::timeout(PATIENCE, question).await;
    answer.unwrap_or(Err(QueryError::TimedOut(PATIENCE)))
}

fn mode(mode: SynchronousMode) -> Mode {
    match mode {
        SynchronousMode::Off => Mode::Off,
        SynchronousMode::On => Mode::On,
        SynchronousMode::Strict => Mode::Strict,
    }
}

/// The standbys that may be promoted; one that may not be would only hold what is needed elsewhere.
fn standbys(records: &[NodeRecord], own: NodeId) -> Vec<Standby> {
    let mut standbys: Vec<Standby> = records
        .iter()
        .filter(|record| record.node_id != own && record.node_type != NodeType::Witness && record.priority > 0)
        // The server takes this one for everybody.
        .filter(|record| record.node_name != "*")
        .map(|record| Standby {
            node: record.node_id.0,
            name: record.node_name.clone(),
        })
        .collect();
    standbys.sort_unstable_by_key(|standby| standby.node);
    standbys
}

fn title(records: &[NodeRecord], node: i32) -> String {
    let found = records.iter().find(|record| record.node_id.0 == node);
    found.map_or_else(|| format!("node {node}"), NodeRecord::title)
}
