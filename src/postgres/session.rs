//! An open session of either kind: queries with a deadline, and an end in any case.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::wire::Driver;
use super::{Deadlines, QueryError};
use crate::conninfo::Conninfo;

/// How long a session that is closed may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) struct OpenSession {
    client: Client,
    driver: AbortHandle,
    /// Its drop tells the driver's task that nobody waits any more.
    _open: oneshot::Sender<()>,
    conninfo: Conninfo,
    deadlines: Deadlines,
}

impl OpenSession {
    pub fn new(client: Client, driver: Driver, conninfo: Conninfo, deadlines: Deadlines) -> OpenSession {
        let (open, closed) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Ends when the server closes, or after Terminate when the client is dropped.
                _ = driver => {}
                () = async {
                    let _ = closed.await;
                    tokio::time::sleep(FAREWELL).await;
                } => {}
            }
        });
        OpenSession {
            client,
            driver: task.abort_handle(),
            _open: open,
            conninfo,
            deadlines,
        }
    }

    pub fn client(&self) -> &Client {
        &self.client
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
    /// be taken for that to the next question, and nobody must wait behind it.
    pub async fn limited_by<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, QueryError> {
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result.map_err(QueryError::from),
            Err(_) => {
                self.driver.abort();
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
        self.client.is_closed() || self.driver.is_finished()
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
