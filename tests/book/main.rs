//! The book in docs/: every page can be reached, every link leads somewhere, every name that it mentions exists, every
//! message that it quotes is one of this program's, and every example is run.

#[path = "../support/mod.rs"]
mod support;

mod examples;
mod messages;
mod names;
mod pages;
mod world;

use std::collections::BTreeSet;
use std::process::Command;

use pages::{docs, page, pages};

#[test]
fn every_page_is_in_the_table_of_contents() {
    let listed: BTreeSet<String> = page("SUMMARY.md").links().into_iter().map(|(link, _)| link).collect();
    let there: BTreeSet<String> = pages()
        .into_iter()
        .map(|page| page.name)
        .filter(|name| name != "SUMMARY.md")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn every_link_leads_somewhere() {
    let mut checked = 0;
    for page in pages() {
        for (link, line) in page.links() {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let place = format!("{}:{line}: {link}", page.name);
            if !file.is_empty() {
                assert!(docs().join(file).exists(), "{place}");
            }
            if !heading.is_empty() {
                let file = if file.is_empty() { &page.name } else { file };
                assert!(pages::page(file).anchors().contains(heading), "{place}");
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}

#[test]
fn every_page_renders() {
    for page in pages() {
        let fences = page
            .text
            .lines()
            .filter(|line| line.trim_start().starts_with("```"))
            .count();
        assert!(fences % 2 == 0, "{}: a block of code does not end", page.name);
        assert_eq!(
            fences / 2,
            page.blocks().len(),
            "{}: a block of code inside another",
            page.name
        );
        let mut html = String::new();
        pulldown_cmark::html::push_html(
            &mut html,
            pulldown_cmark::Parser::new_ext(&page.text, pulldown_cmark::Options::ENABLE_TABLES),
        );
        let titles = page.text.lines().filter(|line| line.starts_with("# ")).count();
        assert!(titles >= 1 && html.contains("<h1>"), "{} has no title", page.name);
        // A table that is not one is a paragraph with bars.
        assert!(!html.contains("<p>|"), "{}: a table without its second line", page.name);
        let broken = html
            .split("<p>")
            .find(|text| text.starts_with('[') && text.contains("]("));
        assert_eq!(broken, None, "{}: a link that is none", page.name);
    }
}

#[test]
fn every_example_is_shell() {
    let mut examples = 0;
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "sh") {
            let output = Command::new("bash").args(["-n", "-c", &block.text]).output().unwrap();
            assert!(
                output.status.success(),
                "{}:{}: {}",
                page.name,
                block.line,
                String::from_utf8_lossy(&output.stderr)
            );
            examples += 1;
        }
    }
    assert!(examples > 10, "{examples}");
}
