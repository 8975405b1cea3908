//! What a run has behind it, in a file, so that one that was interrupted goes on where it was.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::stage;

/// The notes of a run: which scenarios have held in which round, and how long nobody could write.
pub struct Notes {
    path: PathBuf,
    held: BTreeMap<(u32, String), Duration>,
}

impl Notes {
    /// Those of the run that was interrupted, if it was one of the same program and rounds, and none is wanted anew.
    /// A run of several rounds in which something failed does not go on: they are to hold in a row.
    pub fn open(file: &str, rounds: u32) -> Notes {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(file);
        let head = format!("program {:016x}, {rounds} rounds", program());
        let mut notes = Notes {
            path,
            held: BTreeMap::new(),
        };
        let text = std::fs::read_to_string(&notes.path).unwrap_or_default();
        let mut lines = text.lines();
        let failed = text.lines().any(|line| line.starts_with("failed"));
        if lines.next() == Some(&head) && std::env::var_os("FAULTS_FRESH").is_none() && !(failed && rounds > 1) {
            for line in lines {
                if let [round, name, milliseconds] = line.split(' ').collect::<Vec<_>>()[..]
                    && let (Ok(round), Ok(milliseconds)) = (round.parse(), milliseconds.parse())
                {
                    notes
                        .held
                        .insert((round, name.to_owned()), Duration::from_millis(milliseconds));
                }
            }
        } else {
            std::fs::write(&notes.path, head + "\n").expect("the notes of the run");
        }
        notes
    }

    /// How long nobody could write, if the scenario has held in this round.
    pub fn held(&self, round: u32, name: &str) -> Option<Duration> {
        self.held.get(&(round, name.to_owned())).copied()
    }

    /// Notes one that held.
    pub fn note(&mut self, round: u32, name: &str, pause: Duration) {
        self.held.insert((round, name.to_owned()), pause);
        self.append(&format!("{round} {name} {}", pause.as_millis()));
    }

    /// Notes one that did not.
    pub fn note_failure(&self, name: &str) {
        self.append(&format!("failed {name}"));
    }

    /// All is done: the next run is a new one.
    pub fn close(&self) {
        std::fs::rename(&self.path, self.path.with_extension("last")).expect("the notes of the run");
    }

    fn append(&self, line: &str) {
        let file = std::fs::OpenOptions::new().append(true).open(&self.path);
        writeln!(file.expect("the notes of the run"), "{line}").expect("the notes of the run");
    }
}

/// What is under test, as a number: another program's results are not this one's.
fn program() -> u64 {
    let bytes = std::fs::read(stage::programs().join("repmgr")).expect("the program");
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
