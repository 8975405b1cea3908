//! Writes what was measured to `docs/performance.md`.

use std::fmt::Write;
use std::path::Path;

use crate::comparison::{self, Comparison};

const OPENING: &str = "\
# Performance

Measured beside the original (Debian's `repmgr` 5.3.3 with PostgreSQL 15) in one run: two clusters of three hosts on
one machine, network namespaces with an address and an sshd each, the same command on both in turn. To measure anew, as
root, and to write this page:

```text
BENCH_RECORD=1 make bench
```

";

const CLOSING: &str = "
What the lines mean:

- **ratio** is our median divided by the original's; a goal without *ratio* is an upper bound in the unit of the line.
- **one host silent**: node 3 drops all packets, as a host does that is switched off. `connect_timeout` is 2 seconds.
- **cluster show of n nodes**: records with the addresses of the nodes that there are. With silent ones only ours is
  measured, as the original waits for one after the other.
- **write outage**: from the last write that was confirmed to the first one after it, by clients that write all the time.
- **switchover with write_right**: ours with daemons on all hosts, with the right to write and without it in turn. What
  the right costs a commit is measured by `cargo bench --bench enforcement`, which fails above a hundredth of a
  transaction of pgbench.
- **daemon**: one minute in which nothing happens, with `monitor_interval_secs=1`. Processor time is what
  the processes' own clocks say; resident memory includes the pages of shared libraries.
- **failover**: `monitor_interval_secs=1`, `reconnect_attempts=3`, `reconnect_interval=1`, `connect_timeout=2`.
";

/// The page, in the repository.
pub fn write(comparisons: &[Comparison]) {
    let mut page = String::from(OPENING);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let _ = writeln!(
        page,
        "The machine had {cores} processor cores, shared by both clusters and the clients.\n"
    );
    let _ = writeln!(page, "```text\n{}", comparison::heading());
    for comparison in comparisons {
        let _ = writeln!(page, "{}", comparison.line().trim_end());
    }
    page.push_str("```\n");
    page.push_str(CLOSING);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    std::fs::write(path, page).expect("docs/performance.md");
}
