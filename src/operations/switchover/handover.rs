//! Behind the point of no return: the old primary becomes a standby, the
//! others follow, and a last look proves what came of it. Nothing here ends
//! the procedure early.

use std::time::{Duration, Instant};

use super::peer::{describe, ended_as};
use super::{Promotion, Shutdown, Switchover};
use crate::conninfo::{self, Conninfo};
use crate::error::{Error, Result};
use crate::events::{self, Event, EventName};
use crate::exit_code::ExitCode;
use crate::metadata::{Attachment, attachment, nodes};
use crate::operations::slots::{Dropped, Helpers, SlotManager};
use crate::operations::{join_check, promote};
use crate::postgres::{Connection, Deadlines, Ping, ping};
use crate::remote::{Call, Rejoin};
use crate::types::{NodeType, RecoveryState};
use crate::{detail, hint, info, notice, survey, warning};

const INTERVAL: Duration = Duration::from_millis(100);
/// A rejoin starts the server, which may recover first.
const REJOIN_LIMIT: Duration = Duration::from_secs(900);
/// pg_rewind copies what it must.
const REWIND_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// How long a rejoin that may be under way gets to start the server.
const UNDER_WAY_LIMIT: Duration = Duration::from_secs(15);
const UNDER_WAY_REWIND_LIMIT: Duration = Duration::from_secs(120);
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(3600);

impl Switchover<'_> {
    /// The old primary rejoins while the siblings follow; then the witnesses are told.
    pub(super) async fn hand_over(&mut self) -> Result<()> {
        self.refresh_local().await;
        self.record_if_missing().await;
        let may_be_under_way = self.resumed && self.journal.rejoining;
        self.journal.rejoining = true;
        if let Err(error) = self.write_journal() {
            warning!("{}", error.message);
        }
        let route = self.route();
        let rewinds = self.needs_rewind();
        if rewinds {
            self.checkpoint_local().await;
        }
        let this = &*self;
        let (rejoined, failed) = tokio::join!(
            this.rejoin(rewinds, may_be_under_way),
            this.followers.follow(route, &this.own),
        );
        // Their copies of the records are to hold what the others have become.
        let witnesses = this.followers.move_witnesses(&this.local, &this.own).await;
        if failed > 0 {
            self.left.push("on these siblings: repmgr standby follow".to_owned());
        }
        self.left.extend(witnesses);
        if let Err(error) = &rejoined {
            warning!("{} could not be made a standby of this node", self.former.title());
            detail!("{error}");
        }
        self.rejoined = Some(rejoined);
        Ok(())
    }

    /// A switchover may have been killed between the promotion and its record, without which nobody can rejoin.
    async fn record_if_missing(&mut self) {
        let recorded = nodes::by_id(&self.local, self.own.node_id).await;
        if let Ok(Some(record)) = &recorded
            && record.node_type == NodeType::Primary
            && record.active
        {
            return;
        }
        let config = &self.request.config;
        if let Err(error) = promote::record_promotion(config, &mut self.local, &self.own).await {
            error.report();
            let line = format!("on {}: repmgr primary register --force", self.own.title());
            if !self.left.contains(&line) {
                self.left.push(line);
            }
        }
    }

    async fn refresh_local(&mut self) {
        if self.local.is_closed()
            && let Ok(new) = Connection::connect(self.local.conninfo(), Deadlines::default()).await
        {
            self.local = new;
        }
    }

    fn needs_rewind(&self) -> bool {
        self.rewind.is_some() && (self.behind || self.shutdown == Shutdown::Unclean)
    }

    /// Before PostgreSQL 16, pg_rewind looks for this node's timeline in its last checkpoint.
    async fn checkpoint_local(&self) {
        let connection = self.superuser.as_ref().unwrap_or(&self.local);
        if !matches!(connection.has_role("pg_checkpoint").await, Ok(true)) {
            warning!("the connected role may not issue CHECKPOINT, pg_rewind may find nothing to do");
            return;
        }
        notice!("issuing CHECKPOINT on {}", self.own.title());
        if let Err(error) = connection.batch_within("CHECKPOINT", CHECKPOINT_LIMIT).await {
            warning!("CHECKPOINT on {} failed", self.own.title());
            detail!("{error}");
        }
    }

    async fn rejoin(&self, rewinds: bool, may_be_under_way: bool) -> std::result::Result<(), String> {
        let conninfo = Conninfo::parse(&self.former.conninfo).unwrap_or_default();
        if may_be_under_way {
            self.await_other_rejoin(&conninfo).await;
        }
        match ping(&conninfo, Duration::from_secs(2)).await {
            Ping::NoResponse(_) | Ping::NoAttempt => {}
            Ping::Accepting | Ping::Rejecting => return self.adopt_running().await,
        }
        if (self.behind || self.shutdown == Shutdown::Unclean) && !rewinds {
            return Err("its WAL goes beyond the point where this node was promoted: it must be rewound".to_owned());
        }
        let mut outcome = self.run_rejoin(rewinds).await;
        if outcome.is_err() && !rewinds && self.rewind.is_some() {
            notice!("trying again with --force-rewind");
            self.checkpoint_local().await;
            outcome = self.run_rejoin(true).await;
        }
        outcome?;
        self.await_attachment().await
    }

    /// A killed switchover's rejoin goes on without it: two at a time would damage the data directory.
    async fn await_other_rejoin(&self, conninfo: &Conninfo) {
        let limit = if self.rewind.is_some() {
            UNDER_WAY_REWIND_LIMIT
        } else {
            UNDER_WAY_LIMIT
        };
        info!(
            "waiting up to {} seconds for the rejoin that was begun before",
            limit.as_secs()
        );
        let begin = Instant::now();
        while matches!(
            ping(conninfo, Duration::from_secs(2)).await,
            Ping::NoResponse(_) | Ping::NoAttempt
        ) && begin.elapsed() < limit
        {
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// A server that runs already is no case for `node rejoin`.
    async fn adopt_running(&self) -> std::result::Result<(), String> {
        if let Ok(connection) = survey::connect(&self.former, Deadlines::default()).await
            && matches!(connection.recovery_state().await, Ok(RecoveryState::Primary))
        {
            return Err(format!(
                "{} runs as a primary: there are two now; stop one of them at once",
                self.former.title()
            ));
        }
        self.await_attachment().await
    }

    async fn await_attachment(&self) -> std::result::Result<(), String> {
        let limit = self.request.config.node_rejoin_timeout;
        match join_check::wait_until_attached(&self.own, &self.former.node_name, limit).await {
            Attachment::Attached => {
                info!("{} is attached to {}", self.former.title(), self.own.title());
                Ok(())
            }
            last => Err(format!(
                "it was started, but is not attached after {} seconds (parameter \"node_rejoin_timeout\"): {}",
                limit.as_secs(),
                join_check::describe(&last)
            )),
        }
    }

    fn rejoin_line(&self, rewinds: bool, conninfo: &str, no_wait: bool) -> String {
        let rewind = self.rewind.as_ref().filter(|_| rewinds);
        self.peer.line(&Call::Rejoin(Rejoin {
            conninfo,
            no_wait,
            force_rewind: rewind.map(|rewind| rewind.path.as_deref()),
            config_files: rewind
                .map(|rewind| rewind.config_files.as_str())
                .filter(|files| !files.is_empty()),
            superuser: self.request.superuser.as_deref(),
        }))
    }

    async fn run_rejoin(&self, rewinds: bool) -> std::result::Result<(), String> {
        notice!("executing NODE REJOIN on {}", self.former.title());
        let conninfo = Conninfo::parse(&self.own.conninfo).map_err(|error| error.to_string())?;
        let line = self.rejoin_line(rewinds, &conninfo.in_libpq_order().to_keyword_string(), true);
        let shown = self.rejoin_line(rewinds, &conninfo::redact(&self.own.conninfo), true);
        detail!("executing \"{}\"", self.peer.for_person(&shown));
        let limit = if rewinds { REWIND_LIMIT } else { REJOIN_LIMIT };
        let asked = self.peer.run(&line, limit).await;
        if ended_as(&asked, ExitCode::Success) {
            return Ok(());
        }
        Err(format!("\"node rejoin\" there failed: {}", describe(&asked)))
    }

    /// The command of a person who finishes the rejoin on the host itself.
    fn rejoin_by_hand(&self) -> String {
        let mut line = self.rejoin_line(false, &conninfo::redact(&self.own.conninfo), false);
        if self.behind || self.shutdown == Shutdown::Unclean {
            line.push_str(" --force-rewind");
        }
        line
    }

    /// Looks at the whole cluster and puts right what is small.
    pub(super) async fn look(&mut self) -> Result<()> {
        self.refresh_local().await;
        let limit = match self.rejoined {
            Some(Ok(())) => self.request.config.standby_reconnect_timeout,
            // What failed has had its time.
            _ => Duration::from_secs(2),
        };
        if let Some(former) = self.reconnect_former(limit).await {
            self.drop_left_over_slots(&former).await;
            let seen = attachment(&self.local, &self.former.node_name).await;
            let state = former.recovery_state().await;
            self.attached = seen == Attachment::Attached && !matches!(state, Ok(RecoveryState::Primary));
            if !self.attached {
                warning!(
                    "{} runs, but is not attached to {}",
                    self.former.title(),
                    self.own.title()
                );
                detail!("{}", join_check::describe(&seen));
                if let Ok(RecoveryState::Primary) = state {
                    detail!("it runs as a primary");
                }
            }
        } else {
            warning!("{} does not answer", self.former.title());
        }
        if !self.attached {
            let by_hand = self.rejoin_by_hand();
            self.left
                .push(format!("on the host of {}: {by_hand}", self.former.title()));
        }
        self.look_at_followers().await;
        self.look_for_primaries().await;
        Ok(())
    }

    async fn reconnect_former(&self, limit: Duration) -> Option<Connection> {
        let begin = Instant::now();
        loop {
            match survey::connect(&self.former, Deadlines::default()).await {
                Ok(connection) => return Some(connection),
                Err(error) if begin.elapsed() >= limit => {
                    info!("unable to connect to {}: {error}", self.former.title());
                    return None;
                }
                Err(_) => tokio::time::sleep(INTERVAL).await,
            }
        }
    }

    /// Slots of this node, and of the siblings that left, on the old primary: nobody uses them any more.
    async fn drop_left_over_slots(&self, former: &Connection) {
        let moved = self.followers.standbys.reachable.iter().map(|sibling| &sibling.node);
        for node in moved.chain([&self.own]) {
            let Some(slot) = &node.slot_name else { continue };
            if node.node_id != self.own.node_id
                && attachment(&self.local, &node.node_name).await != Attachment::Attached
            {
                continue;
            }
            let helpers = Helpers {
                superuser: self.request.superuser.as_deref(),
                replication_user: None,
                upstream_repluser: Some(&self.former.repluser),
            };
            let dropped = match SlotManager::new(former, helpers, Deadlines::default()).await {
                Ok(manager) => manager.drop_if_inactive(slot).await,
                Err(error) => Err(error),
            };
            match dropped {
                Ok(Dropped::Dropped | Dropped::Absent) => {}
                Ok(Dropped::Active) => hint!("if nobody needs it any more: SELECT pg_drop_replication_slot('{slot}')"),
                Err(error) => {
                    warning!("replication slot \"{slot}\" remains on {}", self.former.title());
                    detail!("{}", error.message);
                }
            }
        }
    }

    /// Those that were told to follow must be attached, and their records must say so.
    async fn look_at_followers(&mut self) {
        for sibling in &self.followers.standbys.reachable {
            let title = sibling.node.title();
            let limit = self.request.config.standby_follow_timeout;
            let seen = join_check::wait_until_attached(&self.own, &sibling.node.node_name, limit).await;
            if seen != Attachment::Attached {
                warning!("{title} is not attached to {}", self.own.title());
                detail!("{}", join_check::describe(&seen));
                continue;
            }
            match nodes::by_id(&self.local, sibling.node.node_id).await {
                Ok(Some(record)) if record.upstream_node_id == Some(self.own.node_id) => {}
                Ok(_) => {
                    warning!(
                        "{title} is attached to {}, but its record says otherwise",
                        self.own.title()
                    );
                    self.left.push(format!("on {title}: repmgr standby register --force"));
                }
                Err(error) => {
                    warning!("the record of {title} could not be read");
                    detail!("{error}");
                }
            }
        }
    }

    async fn look_for_primaries(&self) {
        match survey::search_primary(&self.local, Deadlines::default()).await {
            Ok(found) if found.primaries.len() > 1 => {
                warning!("{} nodes accept writes", found.primaries.len());
                for (node, _) in &found.primaries {
                    detail!("{}", node.title());
                }
                hint!("stop all of them but {} at once", self.own.title());
            }
            Ok(_) => {}
            Err(error) => info!("the nodes could not be looked at once more: {error}"),
        }
    }

    /// The event, the result, and what is left to do.
    pub(super) async fn finish(mut self) -> Result<ExitCode> {
        debug_assert_eq!(self.promotion, Promotion::Done);
        if self.attached {
            self.end_journal();
        }
        self.event().await;
        let title = (self.own.node_name.clone(), self.former.node_name.clone());
        let outage = match (self.writable_until, self.writable_again) {
            (Some(until), Some(again)) => {
                format!(
                    " ({:.1} seconds without a writable primary)",
                    again.duration_since(until).as_secs_f64()
                )
            }
            _ => String::new(),
        };
        let left = |left: &[String]| {
            for line in left {
                hint!("left to do: {line}");
            }
        };
        if self.attached {
            notice!("switchover was successful");
            detail!(
                "node \"{}\" is now primary and node \"{}\" is attached as standby",
                title.0,
                title.1
            );
            notice!("STANDBY SWITCHOVER has completed successfully{outage}");
            left(&self.left);
            return Ok(ExitCode::Success);
        }
        let mut code = ExitCode::SwitchoverIncomplete;
        if self.behind && self.rewind.is_none() {
            code = ExitCode::SwitchoverFail;
        }
        let mut error = Error::new(
            code,
            format!(
                "STANDBY SWITCHOVER has completed with issues: node \"{}\" is primary{outage}, but node \"{}\" is not attached to it",
                title.0, title.1
            ),
        );
        if let Some(Err(reason)) = &self.rejoined {
            error = error.detail(reason.clone());
        }
        error = self
            .left
            .iter()
            .fold(error, |error, line| error.hint(format!("left to do: {line}")));
        Err(error.hint("or run this command again on this node: it does what is left"))
    }

    async fn event(&self) {
        let details = match &self.rejoined {
            _ if self.attached => format!(
                "node \"{}\" (ID: {}) promoted to primary, node \"{}\" (ID: {}) demoted to standby",
                self.own.node_name, self.own.node_id, self.former.node_name, self.former.node_id
            ),
            Some(Err(reason)) => format!(
                "{} is primary, {} is not attached: {reason}",
                self.own.title(),
                self.former.title()
            ),
            _ => format!(
                "{} is primary, {} is not attached",
                self.own.title(),
                self.former.title()
            ),
        };
        let event = Event::new(EventName::StandbySwitchover, self.own.node_id)
            .successful(self.attached)
            .details(details)
            .other_id(self.former.node_id);
        events::emit(Some(&self.local), &self.request.config, event).await;
    }
}
