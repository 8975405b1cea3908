//! The files of this node's record as a voter, and the lock under which questions are answered one after the other.
//!
//! They lie in `pg_replslot/`, whose content neither a base backup nor `pg_rewind` copies; the server passes over what is no
//! folder in there. `pg_rewind` also removes such files from the data directory that it rewinds: whoever calls it puts them
//! back afterwards, or the voter relearns what it knew from the others.
//!
//! The durable part is on disk before anybody is answered. The volatile part is only handed to the operating system: it
//! outlives the server, and is not believed after a restart of the host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

const FOLDER: &str = "pg_replslot";

/// The durable part. Relative to the data directory, which is every backend's working directory.
const DURABLE: &str = "pg_replslot/repmgr_write_right";

/// The volatile part.
const VOLATILE: &str = "pg_replslot/repmgr_write_right.volatile";

/// Empty; locked while a question is answered.
const LOCK: &str = "pg_replslot/repmgr_write_right.lock";

/// How long to wait for the session that is answering another question.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found of the record.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The text of the durable part, `None` if there is no file.
    pub durable: Option<String>,
    /// The text of the volatile part, `None` if there is no file.
    pub volatile: Option<String>,
}

/// Reads both parts. Without the lock, the durable part may be newer than the volatile one, never older.
pub fn read() -> io::Result<Found> {
    let volatile = read_text(VOLATILE)?;
    let durable = read_text(DURABLE)?;
    Ok(Found { durable, volatile })
}

fn read_text(path: &str) -> io::Result<Option<String>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        // What is no text is found damaged by whoever reads it.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// Replaces the durable part: when this returns, it is on disk, or it is what it was.
pub fn write_durable(text: &str) -> io::Result<()> {
    replace(DURABLE, text, true)?;
    File::open(FOLDER)?.sync_all()
}

/// Replaces the volatile part.
pub fn write_volatile(text: &str) -> io::Result<()> {
    replace(VOLATILE, text, false)
}

/// Replaces a file whole; its mode is 0600. Only under the lock.
fn replace(path: &str, text: &str, durable: bool) -> io::Result<()> {
    let beside = format!("{path}.new");
    // One that a crash left behind may have any mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = create(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        if durable { file.sync_all() } else { Ok(()) }
    });
    let replaced = written.and_then(|()| fs::rename(&beside, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced
}

fn create(path: &str) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The lock, held until it is dropped. The operating system takes it from a process that ends, however that happens; and it
/// holds between the backends of a server and those that a killed postmaster left behind.
pub struct Locked {
    _file: File,
}

impl Locked {
    /// Waits for the lock, calling `pause` again and again; gives up with [`ErrorKind::TimedOut`].
    pub fn wait(pause: impl Fn()) -> io::Result<Locked> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(LOCK)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Locked { _file: file }),
                Err(fs::TryLockError::Error(error)) => return Err(error),
                Err(fs::TryLockError::WouldBlock) => {}
            }
            if start.elapsed() > PATIENCE {
                return Err(ErrorKind::TimedOut.into());
            }
            pause();
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
