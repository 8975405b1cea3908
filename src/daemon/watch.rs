//! The loop: gather, decide, carry out, wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::announcer::Announcer;
use super::gather::{self, Beginning, Gathered, Identity};
use super::peers::Peers;
use super::probes::Probes;
use super::pulse::Pulse;
use super::returning::Returning;
use super::right::{Right, Role};
use super::service_manager::ServiceManager;
use super::signals::{Request, Shutdown, Signals};
use super::status::StatusLine;
use super::{children, history, pid_file, reload};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::events::{Event, EventName};
use crate::exit_code::ExitCode;
use crate::failover::{self, Finished, Mode, Node, Observation, Phase, ProbeEnd, Promotion, Rule, Settings, State};
use crate::metadata::{NodeRecord, functions};
use crate::operations::wal_receiver;
use crate::postgres::Connection;
use crate::types::{NodeId, NodeType, RecoveryState};

/// No turn begins sooner than this after the one before, whatever was decided.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// How long the end of the daemon waits for its event commands.
const LAST_EVENTS: Duration = Duration::from_secs(10);
/// How long the end of the daemon waits for a promotion or a follow that is under way.
const LAST_COMMAND: Duration = Duration::from_secs(60);

/// A daemon at work.
#[derive(Debug)]
pub struct Watch {
    pub(super) config: Arc<Config>,
    pub(super) settings: Settings,
    pub(super) own: NodeId,
    pub(super) identity: Identity,
    pub(super) peers: Peers,
    probes: Probes,
    pub(super) announcer: Announcer,
    pub(super) state: State,
    config_file: PathBuf,
    records: Vec<NodeRecord>,
    started: Instant,
    pulse: Pulse,
    finished: mpsc::UnboundedReceiver<Finished>,
    finish: mpsc::UnboundedSender<Finished>,
    pub(super) finished_early: Vec<Finished>,
    running: usize,
    told_bound: bool,
    last_rule: Option<(Rule, &'static str)>,
    last_local_error: Option<String>,
    last_upstream_error: Option<String>,
    status: StatusLine,
    manager: Arc<ServiceManager>,
    children: children::Children,
    history: history::History,
    copied: Option<Instant>,
    right: Option<Right>,
    returning: Option<Returning>,
}

impl Watch {
    /// A daemon for the node with this record.
    pub fn new(config: Config, config_file: PathBuf, record: NodeRecord, pid_file: String) -> Watch {
        let (finish, finished) = mpsc::unbounded_channel();
        let own = record.node_id;
        let right = Right::start(&config, own, vec![record.clone()]);
        let settings = Settings::from_config(&config);
        let config = Arc::new(config);
        let returning = right
            .as_ref()
            .and_then(|right| Returning::start(&config, own, vec![record.clone()], right));
        Watch {
            right,
            returning,
            settings,
            config,
            own,
            identity: Identity {
                node: own,
                pid: std::process::id().cast_signed(),
                pid_file,
            },
            peers: Peers::default(),
            probes: Probes::default(),
            announcer: Announcer::default(),
            state: State::new(own),
            config_file,
            records: vec![record],
            started: Instant::now(),
            pulse: Pulse::start(),
            finished,
            finish,
            finished_early: Vec::new(),
            running: 0,
            told_bound: false,
            last_rule: None,
            last_local_error: None,
            last_upstream_error: None,
            status: StatusLine::default(),
            manager: Arc::new(ServiceManager::of_process()),
            children: children::Children::default(),
            history: history::History::default(),
            copied: None,
        }
    }

    /// Watches until a signal or a decision ends it; the exit code.
    pub async fn run(mut self, mut signals: Signals) -> ExitCode {
        if let Err(error) = self.make_known().await {
            error.report();
            return error.exit_code;
        }
        let manager = Arc::clone(&self.manager);
        manager.ready();
        let mut shutdown: Option<(Shutdown, Instant)> = None;
        let code = loop {
            manager.feed();
            // Looking can be left at any moment: nothing has been decided yet.
            let gathered = tokio::select! {
                biased;
                signal = signals.shutdown() => {
                    if self.may_end(&mut shutdown, signal) { break ExitCode::Success }
                    continue;
                }
                gathered = fed(&manager, self.longest_look(), self.look()) => gathered,
            };
            let wake_at = match self.decide(gathered).await {
                Ok(wake_at) => wake_at,
                Err(code) => break code,
            };
            if let Some((_, since)) = shutdown
                && (!self.is_moving() || since.elapsed() > LAST_COMMAND)
            {
                break ExitCode::Success;
            }
            let pause = wake_at.saturating_sub(self.started.elapsed()).max(SHORTEST_PAUSE);
            let pause = manager.pace().map_or(pause, |pace| pause.min(pace));
            let dropped = self.dropped();
            tokio::select! {
                biased;
                request = signals.next() => match request {
                    Request::End(signal) => if self.may_end(&mut shutdown, signal) { break ExitCode::Success },
                    Request::Reload => self.reload().await,
                },
                Some(finished) = self.finished.recv() => {
                    self.running -= 1;
                    self.finished_early.push(finished);
                }
                () = self.probes.next() => {}
                () = changed(&mut self.right) => {}
                () = dropped => tokio::time::sleep(SHORTEST_PAUSE).await,
                () = tokio::time::sleep(pause) => {}
            }
        };
        self.end(shutdown.map(|(signal, _)| signal)).await;
        code
    }

    /// Ends when the connection to the own server or to the upstream drops, which is a reason to look at once.
    fn dropped(&self) -> impl Future<Output = ()> + use<> {
        let kept = [Some(self.own), self.state.upstream];
        let connections: Vec<_> = kept
            .into_iter()
            .flatten()
            .filter_map(|node| self.peers.by_id(node))
            .map(|connection| Box::pin(connection.closed()))
            .collect();
        async move {
            if connections.is_empty() {
                std::future::pending::<()>().await;
            }
            futures_util::future::select_all(connections).await;
        }
    }

    /// Whether the daemon can end now that it was asked to. A second request ends it in any case.
    fn may_end(&self, shutdown: &mut Option<(Shutdown, Instant)>, signal: Shutdown) -> bool {
        if let Some(returning) = &self.returning {
            returning.interrupt();
        }
        let again = shutdown.is_some();
        shutdown.get_or_insert((signal, Instant::now()));
        if again || !self.is_moving() {
            return true;
        }
        crate::notice!(
            "{} signal received; a promotion, follow or rejoin is under way and is completed first",
            signal.name()
        );
        false
    }

    /// Publishes this daemon on the own server, unless another one serves the node already.
    async fn make_known(&mut self) -> Result<()> {
        let Some(record) = self.record(self.own).cloned() else {
            return Ok(());
        };
        // A server that is gone since the checks is the loop's business.
        let Ok(connection) = super::peers::connected(&record, None).await else {
            return Ok(());
        };
        if let Ok(Some(other)) = functions::repmgrd_pid(&connection).await
            && other != self.identity.pid
            && pid_file::is_repmgrd(other)
        {
            return Err(Error::new(
                ExitCode::BadPidFile,
                format!("another repmgrd (PID {other}) serves this node already"),
            )
            .hint("stop it before starting a new one"));
        }
        gather::introduce(&connection, &self.identity).await;
        // A daemon that was killed in an election may have left the WAL receiver disabled.
        if let Err(error) = wal_receiver::restore(&connection).await {
            crate::debug!("could not look whether the WAL receiver is disabled: {error}");
        }
        self.peers.keep(&record, Some(connection));
        Ok(())
    }

    /// How long a turn may look at most, by the deadlines of what it asks.
    fn longest_look(&self) -> Duration {
        self.config.async_query_timeout * 2 + Duration::from_secs(30)
    }

    async fn look(&mut self) -> Gathered {
        let now = self.started.elapsed();
        let beginning = Beginning {
            now,
            config: &self.config,
            identity: &self.identity,
            state: &self.state,
            records: &self.records,
            needs: &self.state.needs(&self.settings, now),
        };
        gather::gather(&beginning, &mut self.peers, &mut self.probes).await
    }

    async fn decide(&mut self, gathered: Gathered) -> Result<Duration, ExitCode> {
        self.explain(&gathered);
        let observation = self.observation(gathered);
        let decision = failover::step(&self.settings, &self.state, &observation);
        self.say_why(decision.rule, &decision.reason, decision.next.name());
        let begins = decision.rule == Rule::UpstreamFound && !self.told_bound;
        let before = std::mem::replace(&mut self.state, decision.next);
        if begins {
            self.told_bound = true;
            self.tell_bound();
        }
        self.raise_alarms(&before);
        for action in decision.actions {
            if let Some(code) = self.carry_out(action).await {
                return Err(code);
            }
        }
        self.keep_right(&observation.local);
        self.beside_the_core(&observation).await;
        Ok(decision.wake_at)
    }

    /// Says what the settings promise for the loss of the primary.
    fn tell_bound(&self) {
        let upstream = self.state.upstream.and_then(|id| self.record(id));
        let Some(upstream) = upstream.filter(|_| self.settings.automatic && !self.state.upstream_is_standby()) else {
            return;
        };
        let limits = super::probe::Limits::of(&self.config, upstream);
        let within = |attempt| self.settings.longest_to_decision(attempt).as_secs_f64();
        let (refused, silent, hung) = (within(Duration::ZERO), within(limits.silent), within(limits.hung));
        crate::notice!("the loss of the primary leads to a decision within {hung:.1} s");
        crate::detail!(
            "{refused:.1} s if its host refuses connections, {silent:.1} s if it is silent, {hung:.1} s if the server \
             hangs"
        );
    }

    /// Writes down which rule applied and why, when that is news.
    fn say_why(&mut self, rule: Rule, reason: &str, name: &'static str) {
        let before = self.last_rule.replace((rule, name));
        if before == Some((rule, name)) {
            return;
        }
        if before.is_none_or(|(_, before)| before != name) {
            self.manager.status(&format!("{name}: {reason}"));
            crate::notice!("{reason}");
        } else if matches!(rule, Rule::UpstreamSeen | Rule::PrimaryServes) {
            crate::debug!("{reason}");
        } else {
            crate::info!("{reason}");
        }
        crate::detail!("rule \"{}\", state \"{name}\"", rule.name());
        if rule == Rule::BeginPrimary {
            crate::notice!(
                "monitoring cluster primary {}",
                self.title(self.own).trim_start_matches("node ")
            );
        }
    }

    /// Says once what only a person can put right, and when it is over.
    fn raise_alarms(&self, before: &State) {
        for alarm in self.state.alarms.difference(&before.alarms) {
            crate::error!("{}", alarm.sentence(&self.state));
            crate::detail!("{}", alarm.consequence(&self.state));
            crate::hint!("{}", alarm.way_out());
        }
        for alarm in before.alarms.difference(&self.state.alarms) {
            crate::notice!("no longer so: {}", alarm.sentence(before));
        }
    }

    fn observation(&mut self, gathered: Gathered) -> Observation {
        while let Ok(finished) = self.finished.try_recv() {
            self.running -= 1;
            self.finished_early.push(finished);
        }
        let nodes = gathered.records.map(|records| {
            let nodes = records.iter().map(Node::from).collect();
            self.records = records;
            nodes
        });
        Observation {
            now: self.started.elapsed(),
            local: gathered.local,
            nodes,
            own_record_on_primary: gathered.own_on_primary,
            started: gathered.started,
            probes: gathered.probes.into_iter().map(|(end, _)| end).collect(),
            others: gathered.others,
            finished: std::mem::take(&mut self.finished_early),
            stood_still: self.pulse.stood_still(),
            right: self.right.as_ref().map(Right::seen).unwrap_or_default(),
        }
    }

    /// Tells the keeper of the right to write what this turn showed, and announces what it did.
    fn keep_right(&mut self, local: &failover::Local) {
        let Some(right) = &mut self.right else { return };
        let promoting = matches!(
            self.state.mode,
            Mode::Standby(Phase::Promoting(
                Promotion::Acquiring { .. } | Promotion::Running { .. } | Promotion::Verifying { .. }
            ))
        );
        let witness = self
            .records
            .iter()
            .any(|record| record.node_id == self.own && record.node_type == NodeType::Witness);
        let role = match local.recovery {
            _ if witness => Role::Witness,
            RecoveryState::Primary => Role::Primary,
            RecoveryState::Unknown if matches!(self.state.mode, Mode::Primary(_)) => Role::Primary,
            _ if promoting => Role::Candidate,
            _ => Role::Other,
        };
        let in_place_of = self.state.in_place_of().filter(|_| role == Role::Candidate);
        right.tell(&self.config, &self.records, role, in_place_of);
        for news in right.take_news(role) {
            self.announce_right(news);
        }
        let Some(returning) = &mut self.returning else { return };
        let paused = match local.paused {
            failover::Answer::Unknown => None,
            paused => Some(paused == failover::Answer::Yes),
        };
        let stuck = local.recovery == RecoveryState::Standby && local.wal_message_age.is_none();
        returning.tell(&self.config, &self.records, role == Role::Primary, stuck, paused);
        for news in returning.take_news() {
            let target = news
                .on
                .map_or(super::announcer::Target::Nowhere, |node| self.target(node));
            self.announcer.raise(&self.config, target, news.event);
        }
    }

    /// Says once why a server does not answer, and again when the reason changes.
    fn explain(&mut self, gathered: &Gathered) {
        if gathered.local_error != self.last_local_error {
            if let Some(error) = &gathered.local_error {
                crate::warning!("the local server does not answer");
                crate::detail!("{error}");
            }
            self.last_local_error.clone_from(&gathered.local_error);
        }
        let of_upstream = |(end, _): &&(ProbeEnd, _)| Some(end.node) == self.state.upstream;
        for (end, error) in gathered.probes.iter().filter(of_upstream) {
            if *error != self.last_upstream_error {
                if let Some(error) = error {
                    crate::warning!("{} does not answer", self.title(end.node));
                    crate::detail!("{error}");
                }
                self.last_upstream_error.clone_from(error);
            }
        }
    }

    /// What needs no decision: status line, child nodes, monitoring history, the witness's copy.
    async fn beside_the_core(&mut self, observation: &Observation) {
        let interval = self.config.log_status_interval;
        self.status
            .write_if_due(interval, &self.config, &self.state, &observation.local);
        if let Mode::Primary(failover::PrimaryPhase::Normal) = self.state.mode {
            self.watch_children(observation.local.paused).await;
        } else {
            self.children.forget();
        }
        if matches!(self.state.mode, Mode::Standby(Phase::Normal)) && self.config.monitoring_history {
            let (own, primary) = (self.own_connection(), self.primary_connection());
            if let (Some(own), Some((primary, id))) = (own, primary) {
                self.history.record(own, primary, self.own, id);
            }
        }
        if matches!(self.state.mode, Mode::Witness(Phase::Normal)) {
            self.copy_if_due().await;
        }
    }

    async fn watch_children(&mut self, paused: failover::Answer) {
        let Some(local) = self.own_connection() else { return };
        let Some(report) = self.children.check(&local, self.own, &self.config, paused).await else {
            return;
        };
        for event in report.events {
            let target = self.target(self.own);
            self.announcer.raise(&self.config, target, event);
        }
        if report.run_command {
            let command = crate::placeholders::child_nodes_disconnect_command(
                &self.config.child_nodes_disconnect_command,
                self.own,
            );
            let (config, own, local) = (Arc::clone(&self.config), self.own, self.own_connection());
            tokio::spawn(async move { children::run_command(&config, own, &command, local.as_deref()).await });
        }
    }

    async fn copy_if_due(&mut self) {
        let due = self
            .copied
            .is_none_or(|copied| copied.elapsed() >= self.config.witness_sync_interval);
        if !due {
            return;
        }
        let witness = self.record(self.own).cloned();
        if let (Some(witness), Some((primary, _))) = (witness, self.primary_connection()) {
            if let Err(error) = super::act::copy_records(&primary, &witness).await {
                crate::warning!("could not copy the node records from the primary: {error}");
            }
            self.copied = Some(Instant::now());
        }
    }

    fn primary_connection(&self) -> Option<(Arc<Connection>, NodeId)> {
        let primary = self.state.primary()?;
        Some((self.peers.by_id(primary)?, primary))
    }

    /// A promotion or a follow must not be left half done.
    fn is_moving(&self) -> bool {
        if self.returning.as_ref().is_some_and(Returning::is_busy) {
            return true;
        }
        match &self.state.mode {
            Mode::Standby(Phase::Promoting(promotion)) => {
                !matches!(promotion, Promotion::Delayed { .. } | Promotion::Acquiring { .. })
            }
            Mode::Standby(Phase::Following(_)) => self.running > 0,
            _ => false,
        }
    }

    async fn reload(&mut self) {
        self.manager.reloading();
        crate::notice!("received SIGHUP, reading the configuration again");
        let node_type = self
            .record(self.own)
            .map_or(NodeType::Unknown, |record| record.node_type);
        if let Some(config) = reload::reload(&self.config, &self.config_file, node_type).await {
            self.settings = Settings::from_config(&config);
            self.config = Arc::new(config);
            self.tell_bound();
        }
        self.manager.ready();
    }

    async fn end(&mut self, signal: Option<Shutdown>) {
        self.manager.stopping();
        if let Some(signal) = signal {
            crate::notice!("{} signal received", signal.name());
            let writable = match self.state.mode {
                Mode::Primary(_) => Some(self.own),
                _ => self.state.primary(),
            };
            if let Some(node) = writable.filter(|node| self.peers.by_id(*node).is_some()) {
                let event = Event::new(EventName::RepmgrdShutdown, self.own)
                    .details(format!("{} signal received", signal.name()));
                let target = self.target(node);
                self.announcer.raise(&self.config, target, event);
            }
        }
        let local = match self.own_connection() {
            Some(local) => Some(local),
            None => match self.record(self.own) {
                Some(record) => super::peers::connected(record, None).await.ok(),
                None => None,
            },
        };
        if let Some(local) = local
            && let Err(error) = functions::set_repmgrd_pid(&local, None, "").await
        {
            crate::warning!("could not tell the local server that this daemon ends: {error}");
        }
        self.announcer.finish(LAST_EVENTS).await;
    }

    /// Does something that takes time beside the loop; its result comes back in a later turn.
    pub(super) fn beside(&mut self, work: impl Future<Output = Finished> + Send + 'static) {
        self.running += 1;
        let finish = self.finish.clone();
        tokio::spawn(async move {
            let finished = work.await;
            // The loop may have ended meanwhile.
            let _ = finish.send(finished);
        });
    }

    /// The record of a node, from the last copy that was read.
    pub(super) fn record(&self, node: NodeId) -> Option<&NodeRecord> {
        self.records.iter().find(|record| record.node_id == node)
    }

    /// `node "NAME" (ID: N)`.
    pub(super) fn title(&self, node: NodeId) -> String {
        self.record(node)
            .map_or_else(|| format!("node (ID: {node})"), NodeRecord::title)
    }

    /// The kept connection to the own server.
    pub(super) fn own_connection(&self) -> Option<Arc<Connection>> {
        self.peers.by_id(self.own)
    }
}

/// Ends when the right to write stands otherwise than before.
async fn changed(right: &mut Option<Right>) {
    match right {
        Some(right) => right.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits for the end of a look and feeds the watchdog meanwhile, but for no longer than a look may take.
async fn fed<T>(manager: &ServiceManager, limit: Duration, look: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let mut look = std::pin::pin!(look);
    while let Some(pace) = manager.pace().filter(|_| begin.elapsed() < limit) {
        tokio::select! {
            biased;
            seen = &mut look => return seen,
            () = tokio::time::sleep(pace) => manager.feed(),
        }
    }
    look.await
}
