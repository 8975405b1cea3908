//! An open session of either kind: queries with a deadline, and an end in any case.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

use super::parameters::{Keepalive, TlsParameters};
use super::socket::{self, Address};
use super::tls;
use super::wire::{Driver, Wire};
use super::{Deadlines, QueryError};
use crate::conninfo::Conninfo;

/// How long a session that is closed may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the request to stop a query may take.
const CANCELLING: Duration = Duration::from_secs(2);

/// A session as it comes from the attempt that opened it.
pub(super) struct Opened {
    pub client: Client,
    pub driver: Driver,
    pub route: Route,
}

/// The way to the server of a session, for whoever must get there a second time.
#[derive(Clone)]
pub(super) struct Route {
    pub address: Address,
    pub host: String,
    pub keepalive: Keepalive,
    /// If the session is encrypted.
    pub tls: Option<TlsParameters>,
}

impl Route {
    /// Asks the server to stop what the session is doing (PostgreSQL: "Canceling Requests in Progress").
    async fn cancel(self, token: CancelToken) {
        // Nobody can be told if it fails.
        let _ = tokio::time::timeout(CANCELLING, self.request_cancel(token)).await;
    }

    async fn request_cancel(self, token: CancelToken) {
        let wire: Wire = match &self.address {
            Address::Unix(path) => match socket::connect_unix(path, None).await {
                Ok(stream) => Box::new(stream),
                Err(_) => return,
            },
            Address::Tcp(address) => {
                let Ok(stream) = socket::connect_tcp(*address, &self.keepalive).await else {
                    return;
                };
                match &self.tls {
                    None => Box::new(stream),
                    Some(parameters) => match tls::negotiate(stream, &self.host, parameters).await {
                        Ok(Ok(encrypted)) => Box::new(encrypted.stream),
                        _ => return,
                    },
                }
            }
        };
        // The server does not answer this in any case.
        let _ = token.cancel_query_raw(wire, NoTls).await;
    }
}

pub(super) struct OpenSession {
    route: Route,
    client: Client,
    driver: AbortHandle,
    /// Its other end is dropped when the driver's task is over.
    over: watch::Receiver<()>,
    given_up: AtomicBool,
    /// Its drop tells the driver's task that nobody waits any more.
    _open: oneshot::Sender<()>,
    conninfo: Conninfo,
    deadlines: Deadlines,
}

impl OpenSession {
    pub fn new(opened: Opened, conninfo: Conninfo, deadlines: Deadlines) -> OpenSession {
        let Opened { client, driver, route } = opened;
        let (open, closed) = oneshot::channel::<()>();
        let (way_back, token) = (route.clone(), client.cancel_token());
        let (alive, over) = watch::channel(());
        let task = tokio::spawn(async move {
            let _alive = alive;
            tokio::select! {
                // Ends when the server closes, or after Terminate when the client is dropped.
                _ = driver => {}
                // The client was dropped while a query was running, or the server takes nothing any more.
                () = async {
                    let _ = closed.await;
                    tokio::time::sleep(FAREWELL).await;
                } => way_back.cancel(token).await,
            }
        });
        OpenSession {
            route,
            client,
            driver: task.abort_handle(),
            over,
            given_up: AtomicBool::new(false),
            _open: open,
            conninfo,
            deadlines,
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut over = self.over.clone();
        async move { while over.changed().await.is_ok() {} }
    }

    pub fn conninfo(&self) -> &Conninfo {
        &self.conninfo
    }

    pub fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub fn set_query_deadline(&mut self, limit: Duration) {
        self.deadlines.query = limit;
    }

    /// Waits for an answer. After a timeout the session is closed: a late answer must not
    /// be taken for that to the next question, and nobody must wait behind it. The server is
    /// asked to stop as well, or each try would leave a busy backend behind.
    pub async fn limited_by<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        if self.given_up.load(Ordering::Relaxed) {
            return Err(QueryError::ConnectionLost(
                "it was given up after a query without answer".to_owned(),
            ));
        }
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result.map_err(QueryError::from),
            Err(_) => {
                self.given_up.store(true, Ordering::Relaxed);
                self.driver.abort();
                tokio::spawn(self.route.clone().cancel(self.client.cancel_token()));
                Err(QueryError::TimedOut(limit))
            }
        }
    }

    pub async fn limited<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        self.limited_by(self.deadlines.query, work).await
    }

    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, QueryError> {
        self.limited(self.client.simple_query(sql)).await
    }

    /// Whether the session is known to be over.
    pub fn is_closed(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || self.client.is_closed()
    }
}

impl std::fmt::Debug for OpenSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OpenSession")
            .field("conninfo", &self.conninfo)
            .field("closed", &self.is_closed())
            .finish()
    }
}
