//! What is carried out, each in a thread of its own: it reads, copies and removes files, and waits for programs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use crate::config::Config;
use crate::conninfo::Conninfo;
use crate::error::{Error, Result};
use crate::exit_code::ExitCode;
use crate::instance::{configuration_archive, put_aside, server_control};
use crate::metadata::NodeRecord;
use crate::operations::{reclone, rejoin};
use crate::returning::Course;

/// How long the server may take to shut down in an orderly way, and then at once.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Runs work in a thread and a runtime of its own, and waits for it without holding up this one.
async fn apart<F>(work: impl FnOnce() -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let failed = |error: String| Error::new(ExitCode::Internal, "a thread could not be started").detail(error);
    let (done, end) = oneshot::channel();
    let thread = std::thread::Builder::new().name("returning".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let result = match runtime {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => {
                Err(Error::new(ExitCode::Internal, "a runtime could not be started").detail(error.to_string()))
            }
        };
        // The daemon may have ended meanwhile.
        let _ = done.send(result);
    });
    thread.map_err(|error| failed(error.to_string()))?;
    end.await
        .unwrap_or_else(|_| Err(failed("it ended without a word".to_owned())))
}

/// Stops the own server.
pub async fn stop(config: Arc<Config>) -> Result<()> {
    apart(move || async move { server_control::stop_in_any_case(&config, &config.data_directory, STOP_LIMIT).await })
        .await
}

/// Makes the stopped server a standby of the new primary.
pub async fn make_standby(
    config: Arc<Config>,
    primary: NodeRecord,
    course: Course,
    end: watch::Receiver<bool>,
) -> Result<()> {
    apart(move || async move {
        let interruption = || Ok(ended(end));
        match course {
            Course::Follow | Course::Rewind => {
                let request = rejoin_request(&config, &primary, course == Course::Rewind)?;
                rejoin::rejoin_unless(&request, false, interruption).await
            }
            Course::Clone => reclone::reclone(&config, &primary, interruption).await,
        }
    })
    .await
}

async fn ended(mut end: watch::Receiver<bool>) -> &'static str {
    if end.wait_for(|end| *end).await.is_err() {
        std::future::pending::<()>().await;
    }
    "the end of the daemon"
}

fn rejoin_request(config: &Config, primary: &NodeRecord, rewind: bool) -> Result<rejoin::Request> {
    let any_node = Conninfo::parse(&primary.conninfo).map_err(|error| {
        Error::bad_config(format!("the conninfo of {} is not valid", primary.title())).detail(error.to_string())
    })?;
    let own_files = configuration_archive::own_files(&config.data_directory);
    let own_files: Vec<String> = own_files.iter().map(|file| file.display().to_string()).collect();
    let keep = match config.rejoin_keep {
        true => Some(put_aside::parent(&config.data_directory)?),
        false => None,
    };
    Ok(rejoin::Request {
        config: config.clone(),
        any_node,
        force_rewind: rewind.then_some(None),
        config_files: own_files.join(","),
        config_archive_dir: PathBuf::from(rejoin::CONFIG_ARCHIVE),
        superuser: None,
        replication_user: None,
        no_wait: false,
        keep,
    })
}
