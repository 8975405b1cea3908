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

/// What the manual says before the table.
const OPENING: &str = "
## What faults cost

`make faults` plays each of these on hosts of its own (network namespaces) with real servers and daemons. What holds is
asked of the servers; in all of them only the nodes named are promoted, each once, and the daemons end watching. *No
writes for* is the longest time in which a client on another host, which tries every node every 50 ms and gives each
try a second, had no write confirmed. Where nobody is promoted it lasts as long as the story lets the fault last.

Settings: `monitor_interval_secs=1`, `reconnect_attempts=3`, `reconnect_interval=1`, `connect_timeout=2` in each
`conninfo`, `primary_notification_timeout=15`; else the defaults, but for what a row says. Nodes 2 and 3 are standbys.
";

/// Writes the section of the manual.
pub fn record(scenarios: &[&Scenario], pauses: &[Vec<Duration>], rounds: u32) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/failover/faults.md");
    let rounds = if rounds == 1 {
        "one run".to_owned()
    } else {
        format!("{rounds} runs in a row (median and longest)")
    };
    let at_once = crate::number("FAULTS_AT_ONCE", crate::AT_ONCE);
    let table = text(scenarios, pauses);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // What else the machine did shows in the times.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    let text = format!(
        "{OPENING}\nMeasured in {rounds} on {processors} processors with {at_once} clusters at the same time and a load \
         average of {load}.\n\n{table}"
    );
    std::fs::write(&path, text).expect("the table");
    eprintln!("{} is written; now run: make generate", path.display());
}
