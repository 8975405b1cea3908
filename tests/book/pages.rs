//! The pages as a Markdown parser sees them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Where the pages are.
pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// A file of the book.
pub struct Page {
    pub name: String,
    pub text: String,
}

/// A block of code that names its language.
pub struct Block {
    pub language: String,
    pub text: String,
    pub line: usize,
}

/// Commands that an administrator types, and what is seen then.
pub struct Example {
    pub hosts: Vec<String>,
    pub user: String,
    pub script: String,
    pub seen: Option<String>,
    pub heading: String,
    pub line: usize,
}

/// All pages, the table of contents among them.
pub fn pages() -> Vec<Page> {
    let entries = std::fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

/// One page.
pub fn page(name: &str) -> Page {
    let text = std::fs::read_to_string(docs().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Page {
        name: name.to_owned(),
        text,
    }
}

impl Page {
    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// Where its links lead, with the line of each.
    pub fn links(&self) -> Vec<(String, usize)> {
        self.events()
            .filter_map(|(event, range)| match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some((dest_url.to_string(), self.line(range.start)))
                }
                _ => None,
            })
            .collect()
    }

    /// The names under which its headings can be reached.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for heading in self.headings() {
            let name = anchor(&heading);
            let mut number = 0;
            let mut candidate = name.clone();
            while !anchors.insert(candidate.clone()) {
                number += 1;
                candidate = format!("{name}-{number}");
            }
        }
        anchors
    }

    /// The texts of its headings.
    pub fn headings(&self) -> Vec<String> {
        let mut headings = Vec::new();
        let mut open: Option<String> = None;
        for (event, _) in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::Heading { .. }), _) => open = Some(String::new()),
                (Event::End(TagEnd::Heading(_)), _) => headings.extend(open.take()),
                (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
                _ => {}
            }
        }
        headings
    }

    /// What stands in `code` spans, with the line of each.
    pub fn code_spans(&self) -> Vec<(String, usize)> {
        self.events()
            .filter_map(|(event, range)| match event {
                Event::Code(text) => Some((text.to_string(), self.line(range.start))),
                _ => None,
            })
            .collect()
    }

    /// Its fenced blocks of code.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    inside = true;
                    blocks.push(Block {
                        language: language.to_string(),
                        text: String::new(),
                        line: self.line(range.start),
                    });
                }
                Event::End(TagEnd::CodeBlock) => inside = false,
                Event::Text(text) if inside => blocks.last_mut().expect("a block").text.push_str(&text),
                _ => {}
            }
        }
        blocks
    }

    /// The commands of the page in their order. The first line of each says where it is typed, and as whom; a block
    /// of text after it is what is seen then.
    pub fn examples(&self) -> Vec<Example> {
        let mut examples: Vec<Example> = Vec::new();
        for block in self.blocks() {
            let place = format!("{}:{}", self.name, block.line);
            match block.language.as_str() {
                "sh" => {
                    let (hosts, user) = whereabouts(block.text.lines().next().unwrap_or_default())
                        .unwrap_or_else(|| panic!("{place}: the first line does not say on which host, as whom"));
                    examples.push(Example {
                        hosts,
                        user,
                        script: block.text,
                        seen: None,
                        heading: self.heading_of(block.line),
                        line: block.line,
                    });
                }
                "text" => {
                    if let Some(example) = examples.last_mut().filter(|example| example.seen.is_none()) {
                        example.seen = Some(block.text);
                    }
                }
                _ => {}
            }
        }
        examples
    }

    /// The heading of the second level above a line.
    fn heading_of(&self, line: usize) -> String {
        let above = self.text.lines().take(line).filter_map(|line| line.strip_prefix("## "));
        above.last().unwrap_or_default().to_owned()
    }
}

/// `# on node1 and node2, as postgres`; `every node` is all three.
fn whereabouts(line: &str) -> Option<(Vec<String>, String)> {
    let (hosts, user) = line.strip_prefix("# on ")?.split_once(", as ")?;
    let user = user.split([':', ',']).next()?.trim();
    let hosts = hosts
        .replace("every node", "node1, node2 and node3")
        .replace(" and ", ", ");
    Some((hosts.split(", ").map(str::to_owned).collect(), user.to_owned()))
}

/// The name under which mdBook and GitHub make a heading reachable.
pub fn anchor(heading: &str) -> String {
    let lower = heading.trim().to_lowercase();
    let kept = lower
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Whether all expected lines are among those of an output, in their order. `…` stands for anything.
pub fn is_seen(expected: &str, output: &str) -> Result<(), String> {
    let mut lines = output.lines().map(squeezed);
    for line in expected
        .lines()
        .map(squeezed)
        .filter(|line| !line.is_empty() && line != "…")
    {
        if !lines.any(|seen| matches(&line, &seen)) {
            return Err(line);
        }
    }
    Ok(())
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or_default().trim_end();
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.map(str::trim).collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn expected_lines_are_found_in_their_order() {
    let output = "one  two\nthree 17 four\nfive\n";
    assert_eq!(is_seen("one two\nfive\n", output), Ok(()));
    assert_eq!(is_seen("three … four\n…\n", output), Ok(()));
    assert_eq!(is_seen("three …\n", output), Ok(()));
    assert_eq!(is_seen("five\none two\n", output), Err("one two".to_owned()));
    assert_eq!(is_seen("three … fou\n", output), Err("three … fou".to_owned()));
    assert_eq!(is_seen("three\n", output), Err("three".to_owned()));
}
