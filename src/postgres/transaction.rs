//! Several changes as one: all of them or none.

use super::{Connection, QueryError};

impl Connection {
    /// Runs `work` between BEGIN and COMMIT; if it fails, nothing of it remains.
    ///
    /// An error of the COMMIT itself leaves the outcome to the server: the
    /// connection was lost or gave no answer in time.
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&Connection) -> Result<T, QueryError>,
    ) -> Result<T, QueryError> {
        self.batch("BEGIN").await?;
        match work(self).await {
            Ok(value) => self.batch("COMMIT").await.map(|()| value),
            Err(error) => {
                // A lost connection has rolled back by itself.
                let _ = self.batch("ROLLBACK").await;
                Err(error)
            }
        }
    }
}
