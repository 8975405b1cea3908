//! The chapter with the rules of the right to write, made from their tables.

use std::fmt::Write;

use super::{Rule, etcd};

const OPENING: &str = "# Rules of the right to write

The daemon's log names the rule with each sentence about the [right to write](write-right.md) that is not daily
business; with `log_level=DEBUG` also with the others. `repmgr write-right show` says how it stands.

## Where a majority of the nodes grants it

| Rule | Meaning |
|---|---|
";

const ETCD: &str = "
## Where etcd grants it

| Rule | Meaning |
|---|---|
";

/// `docs/write-right-rules.md`.
pub fn manual() -> String {
    let mut text = String::from(OPENING);
    for rule in Rule::ALL {
        let _ = writeln!(text, "| `{}` | {} |", rule.name(), rule.sentence());
    }
    text.push_str(ETCD);
    for rule in etcd::Rule::ALL {
        let _ = writeln!(text, "| `{}` | {} |", rule.name(), rule.sentence());
    }
    text
}
