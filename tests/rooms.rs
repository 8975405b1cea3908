//! Who may know whom: the arrows between the rooms never point upwards.

use std::path::{Path, PathBuf};

/// Each room with its height; a room may use rooms of its own height or below.
/// Rooms that must not know each other in spite of that stand in [`STRANGERS`].
const HEIGHTS: &[(&str, u32)] = &[
    ("commands", 6),
    ("daemon", 6),
    ("operations", 5),
    ("survey", 5),
    ("failover", 4),
    ("write_right", 4),
    ("returning", 4),
    ("instance", 4),
    ("remote", 4),
    ("events", 4),
    ("etcd", 4),
    ("metadata", 3),
    ("postgres", 2),
    ("conninfo", 1),
    ("config", 1),
    ("output", 1),
    ("types", 0),
    ("error", 0),
    ("exit_code", 0),
    ("log", 0),
    ("nearest", 0),
    ("placeholders", 0),
    ("process", 0),
    ("http", 0),
    ("rules", 0),
];

const STRANGERS: &[(&str, &str)] = &[("commands", "daemon"), ("daemon", "commands")];

/// The rooms that decide.
const PURE_ROOMS: &[&str] = &["failover", "write_right", "returning"];

/// They may know nothing that touches the world.
const PURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant::now",
    "async fn",
    "crate::postgres",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn room(path: &Path, src: &Path) -> String {
    let first = path
        .strip_prefix(src)
        .expect("below src")
        .components()
        .next()
        .expect("a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The rooms that a line names: `crate::room`, or each of `crate::{room, other::thing}`.
fn named_rooms(line: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let pieces = line.split("crate::").skip(1);
    pieces
        .flat_map(|piece| match piece.strip_prefix('{') {
            Some(group) => group.split(',').map(word).collect(),
            None => vec![word(piece)],
        })
        .collect()
}

#[test]
fn the_arrows_point_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let height = |name: &str| {
        HEIGHTS
            .iter()
            .find(|(room, _)| *room == name)
            .map(|(_, height)| *height)
    };
    let mut wrong = Vec::new();
    for path in files {
        let own = room(&path, &src);
        if own == "lib" || own == "main" {
            continue;
        }
        let own_height = height(&own).unwrap_or_else(|| panic!("{own} has no place among the rooms"));
        let text = std::fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            for name in named_rooms(line) {
                let upwards = height(&name).is_some_and(|height| height > own_height);
                let strangers = STRANGERS.contains(&(own.as_str(), name.as_str()));
                if upwards || strangers {
                    wrong.push(format!("{}:{}: {own} uses {name}", path.display(), number + 1));
                }
            }
            if PURE_ROOMS.contains(&own.as_str()) && PURE.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{}:{}: {own} must be pure: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The ways to take a safety rule of the write right away are for the simulator alone.
#[test]
fn no_program_switches_a_safety_rule_off() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "extension/src", "write-right/src"] {
        sources(&top.join(folder), &mut files);
    }
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            let defines = line.contains("pub fn ") || line.contains("pub const fn ");
            let with_all = line.contains("Rules::default()");
            let switches = ["_under(", "Rules::without(", "Rules("]
                .iter()
                .any(|word| line.contains(word));
            let of_the_rules = line.contains("struct Rules(") || line.contains("Rules(Some(rule))");
            assert!(
                !switches || defines || with_all || of_the_rules,
                "{}:{}: {line}",
                path.display(),
                number + 1
            );
        }
    }
}
