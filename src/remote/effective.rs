//! What ssh's configuration comes to for one destination.
//!
//! `ssh -G` says it: that is `ssh_options`, `~/.ssh/config` and `/etc/ssh/ssh_config`
//! with all their patterns, conditions and inclusions, read by the one program
//! that reads them right.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::process::{self, shell_quote};

/// Reading some files; longer if a condition of the configuration runs a program.
const LIMIT: Duration = Duration::from_secs(20);

/// The exit code of a shell that does not find the program.
const NOT_FOUND: i32 = 127;

/// Why ssh does not say what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// There is no such program here.
    NotInstalled,
    /// Its own words.
    Failed(String),
}

/// Keywords, in small letters, each with its values in the order in which they count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Effective(BTreeMap<String, Vec<String>>);

impl Effective {
    /// Reads the output of `ssh -G`. A value of `none` is none, except of the agent: there it is not the default.
    pub(super) fn parse(text: &str) -> Effective {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let (keyword, value) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            let value = value.trim();
            let keyword = keyword.to_ascii_lowercase();
            if !keyword.is_empty() && (value != "none" || keyword == "identityagent") {
                values.entry(keyword).or_default().push(value.to_owned());
            }
        }
        Effective(values)
    }

    /// The value that counts, where there can be one.
    pub(super) fn first(&self, keyword: &str) -> Option<&str> {
        self.all(keyword).first().map(String::as_str)
    }

    /// All values.
    pub(super) fn all(&self, keyword: &str) -> &[String] {
        self.0.get(keyword).map_or(&[], Vec::as_slice)
    }

    /// The keywords that have other values than in `plain`.
    pub(super) fn differing<'a>(&'a self, plain: &'a Effective) -> Vec<&'a str> {
        let changed = self
            .0
            .iter()
            .filter(|(keyword, values)| plain.all(keyword) != values.as_slice());
        let gone = plain.0.keys().filter(|keyword| !self.0.contains_key(*keyword));
        changed
            .map(|(keyword, _)| keyword.as_str())
            .chain(gone.map(String::as_str))
            .collect()
    }

    /// Asks ssh. `options` is a piece of a shell's command line.
    ///
    /// # Errors
    /// Why there is no answer; ssh itself would fail in the same way.
    pub(super) async fn ask(options: &str, destination: &str) -> Result<Effective, NoAnswer> {
        let line = format!("ssh -o Batchmode=yes {options} -G {}", shell_quote(destination));
        let finished = process::shell(&line, "ssh -G", LIMIT)
            .await
            .map_err(|error| NoAnswer::Failed(error.to_string()))?;
        if finished.status.code() == Some(NOT_FOUND) {
            return Err(NoAnswer::NotInstalled);
        }
        if !finished.status.success() {
            return Err(NoAnswer::Failed(format!("ssh -G: {}", finished.stderr.trim())));
        }
        Ok(Effective::parse(&finished.stdout))
    }

    /// What ssh does if nobody asks for anything.
    pub(super) async fn ask_plain() -> Result<Effective, NoAnswer> {
        Effective::ask("-F none", "localhost").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_keep_all_their_values() {
        let effective = Effective::parse("User a\nidentityfile ~/.ssh/one\nidentityfile /my key\nproxyjump none\n\n");
        assert_eq!(effective.first("user"), Some("a"));
        assert_eq!(effective.all("identityfile"), ["~/.ssh/one", "/my key"]);
        assert_eq!(effective.first("proxyjump"), None);
    }

    #[test]
    fn differences_are_changes_additions_and_losses() {
        let plain = Effective::parse("a 1\nb 2\nc 3\nc 4\nd 5");
        let asked = Effective::parse("a 1\nb 3\nc 4\nc 3\ne 6");
        assert_eq!(asked.differing(&plain), ["b", "c", "e", "d"]);
        assert!(plain.differing(&plain).is_empty());
    }

    #[tokio::test]
    async fn options_of_the_configuration_count() {
        let plain = Effective::ask_plain().await.unwrap();
        assert!(plain.all("identityfile").len() > 1, "{plain:?}");
        let asked = Effective::ask("-F none -p 2222 -o 'ConnectTimeout 3' -l \"some one\"", "host")
            .await
            .unwrap();
        assert_eq!(
            asked.differing(&plain),
            ["connecttimeout", "host", "hostname", "port", "user"]
        );
        assert_eq!(asked.first("user"), Some("some one"));
        let error = Effective::ask("-o NoSuchOption=1", "host").await.unwrap_err();
        assert!(matches!(&error, NoAnswer::Failed(said) if said.to_lowercase().contains("nosuchoption")));
    }
}
