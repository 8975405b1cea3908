//! One connection of a client that stays open.

use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::server::Server;

/// Stands for the error of a client whose connection was shut.
pub const CLOSED: &str = "closed";

/// A connection. What it is asked blocks until the answer is there.
pub struct Session {
    runtime: Runtime,
    client: Client,
}

impl Session {
    pub fn open(server: &Server, database: &str) -> Session {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut settings = tokio_postgres::Config::new();
        settings
            .host_path(&server.folder)
            .port(server.port)
            .user("postgres")
            .dbname(database);
        let client = runtime.block_on(async {
            let (client, connection) = settings.connect(NoTls).await.expect("a connection");
            tokio::spawn(connection);
            client
        });
        Session { runtime, client }
    }

    /// The first column of the last row, or the SQLSTATE, or [`CLOSED`] if the connection is.
    pub fn ask(&self, sql: &str) -> Result<String, String> {
        let answers = self.runtime.block_on(self.client.simple_query(sql));
        match answers {
            Ok(answers) => {
                let rows = answers.iter().rev().find_map(|answer| match answer {
                    SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                    _ => None,
                });
                Ok(rows.unwrap_or_default())
            }
            Err(error) => Err(error.code().map_or(CLOSED, |code| code.code()).to_owned()),
        }
    }

    /// The same with an answer that is expected.
    pub fn run(&self, sql: &str) -> String {
        self.ask(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same over the extended protocol, as drivers do.
    pub fn execute(&self, sql: &str) -> Result<u64, String> {
        let result = self.runtime.block_on(self.client.execute(sql, &[]));
        result.map_err(|error| error.code().map_or(CLOSED, |code| code.code()).to_owned())
    }

    /// Asks, and does not wait for the answer.
    pub fn start(self, sql: &str) -> JoinHandle<Result<String, String>> {
        let sql = sql.to_owned();
        std::thread::spawn(move || self.ask(&sql))
    }
}
