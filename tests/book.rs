//! The book in docs/: every page is in its table of contents, every link leads somewhere, every example is shell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn pages() -> Vec<(String, String)> {
    let pages = std::fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path());
    pages
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Where the links of a page lead, code left out.
fn links(page: &str) -> Vec<String> {
    let mut fenced = false;
    let prose = page.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && !line.starts_with("    ")
    });
    let text: String = prose.map(|line| format!("{line}\n")).collect();
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()))
        .collect()
}

/// The name under which a heading can be reached.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = letters
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = links(&summary).into_iter().collect();
    let there: BTreeSet<String> = pages()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for (name, text) in pages() {
        for link in links(&text) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                docs().join(&name)
            } else {
                docs().join(file)
            };
            assert!(target.exists(), "{name}: {link}");
            if !heading.is_empty() {
                let page = std::fs::read_to_string(&target).unwrap();
                let found = page
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{name}: {link}");
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

/// `make package-test` runs them.
#[test]
fn every_example_is_shell() {
    let mut examples = 0;
    for (name, text) in pages() {
        for block in text.split("```sh\n").skip(1) {
            let (block, _) = block
                .split_once("\n```")
                .unwrap_or_else(|| panic!("{name}: no end of an example"));
            let output = Command::new("bash").args(["-n", "-c", block]).output().unwrap();
            assert!(
                output.status.success(),
                "{name}: {block}\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            examples += 1;
        }
    }
    assert!(examples > 10, "{examples}");
}
