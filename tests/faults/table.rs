//! The table of a run: what happened, what held, how long nobody could write.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::scenario::Scenario;

/// The table in Markdown, which is readable as it is.
pub fn text(scenarios: &[&Scenario], pauses: &[Vec<Duration>]) -> String {
    let mut text = String::from("| Scenario | What happens | What holds | No writes for |\n|---|---|---|---|\n");
    for (scenario, pauses) in scenarios.iter().zip(pauses) {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            scenario.name,
            scenario.fault,
            scenario.expected,
            times(pauses)
        );
    }
    text
}

/// The median, and the longest if there was more than one round.
fn times(pauses: &[Duration]) -> String {
    let mut sorted = pauses.to_vec();
    sorted.sort();
    let shown = |pause: &Duration| format!("{:.1} s", pause.as_secs_f32());
    match sorted.as_slice() {
        [] => "not played".to_owned(),
        [only] => shown(only),
        [.., longest] => format!("{} (longest {})", shown(&sorted[sorted.len() / 2]), shown(longest)),
    }
}

/// Writes the table to where the manual takes it from.
pub fn record(scenarios: &[&Scenario], pauses: &[Vec<Duration>], rounds: u32) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/failover/faults.md");
    let rounds = if rounds == 1 {
        "one run".to_owned()
    } else {
        format!("{rounds} runs in a row")
    };
    let table = text(scenarios, pauses);
    std::fs::write(&path, format!("Measured in {rounds} on two processors.\n\n{table}")).expect("the table");
    eprintln!("{} is written; now run: make generate", path.display());
}
