//! The list of deliberate differences, `differences.txt`, and the page that is made of it.
//!
//! A line is `reason | name | original | here`. Scenarios refer to a line by its name; the name is empty where no
//! scenario can see the difference, such as what happens to a server that hangs or a command that is killed.
#![allow(dead_code)]

use std::fmt::Write as _;

const LIST: &str = include_str!("differences.txt");

/// What a difference is good for: the word in the list, and what it stands for.
const REASONS: &[(&str, &str)] = &[
    (
        "safe",
        "no data is lost, no second primary appears, nothing is left half done",
    ),
    ("bounded", "nothing waits for ever, or for longer than it needs"),
    ("early", "an error is found before anything is touched"),
    ("told", "what would go unnoticed is told"),
    ("dry", "a dry run changes nothing, and checks what the command checks"),
    ("right", "the original's result is wrong"),
    (
        "documented",
        "the original's manual says so, and its program does otherwise",
    ),
    ("secret", "passwords stay out of logs and outputs"),
    ("able", "it works where the original cannot"),
    ("quick", "the same, sooner"),
    (
        "built",
        "a consequence of how this program is built; nobody should notice",
    ),
];

/// A deliberate difference.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// A word of [`REASONS`].
    pub reason: &'static str,
    /// What scenarios call it; empty if none can see it.
    pub name: &'static str,
    /// What the original does.
    pub original: &'static str,
    /// What this program does.
    pub here: &'static str,
}

fn parse(line: &'static str) -> Option<Difference> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    match cells[..] {
        [reason, name, original, here] if !line.starts_with("//") => Some(Difference {
            reason,
            name,
            original,
            here,
        }),
        _ => None,
    }
}

/// All of them.
pub fn all() -> impl Iterator<Item = Difference> {
    LIST.lines().filter_map(parse)
}

/// The one with this name; panics if there is none.
pub fn named(name: &str) -> Difference {
    all()
        .find(|difference| !name.is_empty() && difference.name == name)
        .unwrap_or_else(|| panic!("no line of differences.txt has the name {name}"))
}

/// The page `docs/differences.md`.
pub fn manual() -> String {
    let mut page = String::from(
        "# Differences from the original\n\n\
         <!-- Generated from tests/conformance/differences.txt; UPDATE_GENERATED=1 cargo test --test generated -->\n\n\
         What this program does otherwise than repmgr 5.x, and why. Whatever is not listed here is meant to be the \
         same;\nwords of log lines are our own. The conformance test (`make conformance`) runs both programs through \
         the same\nscenarios and lets nothing differ that has no line here.\n\n\
         | Why | What the word stands for |\n|---|---|\n",
    );
    for (word, meaning) in REASONS {
        let _ = writeln!(page, "| {word} | {meaning} |");
    }
    let mut in_table = false;
    for line in LIST.lines().filter(|line| !line.starts_with("//")) {
        let row = parse(line);
        if row.is_some() != in_table {
            in_table = row.is_some();
            if in_table {
                page.push_str("| Original | Here | Why |\n|---|---|---|\n");
            }
        }
        match row {
            Some(Difference {
                reason, original, here, ..
            }) => {
                let _ = writeln!(page, "| {original} | {here} | {reason} |");
            }
            None => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    page
}

#[test]
fn every_line_has_a_reason_and_a_name_of_its_own() {
    for line in LIST.lines().filter(|line| line.contains('|')) {
        let difference = parse(line).unwrap_or_else(|| panic!("not four cells: {line}"));
        let is_known = REASONS.iter().any(|(word, _)| *word == difference.reason);
        assert!(is_known, "{line}");
        assert!(!difference.original.is_empty() && !difference.here.is_empty(), "{line}");
        let same_name = all().filter(|other| !other.name.is_empty() && other.name == difference.name);
        assert!(same_name.count() <= 1, "{line}");
    }
    for (word, _) in REASONS {
        assert!(all().any(|difference| difference.reason == *word), "{word}");
    }
}
