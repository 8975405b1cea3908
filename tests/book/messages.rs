//! The messages that the page of troubleshooting explains are this program's.

use std::path::Path;

use crate::pages::page;

/// Text in quotes in the program, as it is written; what is put in at run time is `…`.
fn literals(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            literals(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // What only tests say is no message.
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            if !name.contains("test") {
                found.extend(strings(program));
            }
        }
    }
}

fn strings(program: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in program.replace("\\\n", "\u{1}").lines() {
        let code = line.trim_start();
        if code.starts_with("//") {
            continue;
        }
        let mut letters = code.chars().peekable();
        let mut open: Option<String> = None;
        while let Some(letter) = letters.next() {
            match (&mut open, letter) {
                (Some(text), '\\') => text.extend(letters.next()),
                (Some(_), '"') => found.extend(open.take()),
                (Some(text), '\u{1}') => {
                    while letters.next_if(|next| *next == ' ').is_some() {}
                    let _ = text;
                }
                (Some(text), letter) => text.push(letter),
                (None, '"') => open = Some(String::new()),
                (None, '\'') => {
                    // A letter in quotes may be a quote.
                    let _ = letters.next_if(|next| *next == '"');
                }
                (None, _) => {}
            }
        }
    }
    found.iter().map(|text| without_values(text)).collect()
}

/// `{…}` becomes `…`.
fn without_values(text: &str) -> String {
    let mut result = String::new();
    let mut depth = 0;
    for letter in text.chars() {
        match letter {
            '{' => {
                if depth == 0 {
                    result.push('…');
                }
                depth += 1;
            }
            '}' => depth -= 1,
            letter if depth == 0 => result.push(letter),
            _ => {}
        }
    }
    result
}

/// Whether the parts of a message stand in a text in their order.
fn occurs(message: &str, text: &str) -> bool {
    let mut rest = text;
    message
        .split('…')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some())
}

#[test]
fn every_message_that_is_explained_is_one_of_this_program() {
    let mut said = Vec::new();
    literals(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut said);
    let page = page("troubleshooting.md");
    let own = page.text.split("\n## Messages of PostgreSQL itself").next().unwrap();
    let mut heading = "";
    let mut checked = 0;
    let mut missing = Vec::new();
    for line in own.lines() {
        heading = line.strip_prefix("## ").unwrap_or(heading);
        let Some(message) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'))
            .map(|(message, _)| message)
        else {
            continue;
        };
        if line.contains("` (by ") {
            continue;
        }
        checked += 1;
        if !said.iter().any(|text| occurs(message, text)) {
            missing.push(message);
        }
    }
    assert!(missing.is_empty(), "the program does not say: {missing:#?}");
    assert!(checked > 50, "{checked}, the last of them under {heading}");
}

#[test]
fn messages_are_found_as_they_are_written() {
    let program =
        "error!(\"no record of {} with \\\"id\\\" {id}\");\n// \"a comment\"\nlet long = \"one \\\n     two\";";
    let found = strings(program);
    assert_eq!(found, ["no record of … with \"id\" …", "one two"]);
    assert!(occurs("no record of node \"x\"…", "no record of node \"x\" here"));
    assert!(occurs("no record of … with", &found[0]));
    assert!(!occurs("with … no record", &found[0]));
}
