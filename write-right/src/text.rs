//! The text in which everything travels and rests: words `key=value`, blanks or line ends between them.

use std::fmt;

use crate::ballot::NodeId;

/// The first word of everything; another number is another language.
pub(crate) const LANGUAGE: &str = "repmgr-write-right/1";

/// A text that cannot be read: what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Malformed(what.into())
    }

    pub(crate) fn value(what: &str, text: &str) -> Self {
        // Not more of a stranger's text than a person can use.
        Malformed(format!(
            "\"{}\" is not {what}",
            text.chars().take(60).collect::<String>()
        ))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// The words of a text. Keys that nobody asks for are passed over, so that a later release may say more.
pub(crate) struct Words<'a> {
    /// The word after the language: what this is.
    pub kind: &'a str,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut words = text.split_ascii_whitespace();
        let language = words.next().unwrap_or_default();
        if language != LANGUAGE {
            return Err(Malformed::value(&format!("the language {LANGUAGE}"), language));
        }
        let kind = words
            .next()
            .ok_or_else(|| Malformed::new("nothing follows the language"))?;
        let pairs = words.map(|word| word.split_once('=').ok_or_else(|| Malformed::value("key=value", word)));
        Ok(Words {
            kind,
            pairs: pairs.collect::<Result<_, _>>()?,
        })
    }

    pub fn get(&self, key: &str) -> Result<&'a str, Malformed> {
        let mut found = self.pairs.iter().filter(|(name, _)| *name == key);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Ok(value),
            (None, _) => Err(Malformed::new(format!("{key} is missing"))),
            _ => Err(Malformed::new(format!("{key} is there twice"))),
        }
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Result<T, Malformed> {
        let value = self.get(key)?;
        value
            .parse()
            .map_err(|_| Malformed::value(&format!("a number for {key}"), value))
    }

    /// A value, or `-` for none.
    pub fn maybe<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, Malformed>) -> Result<Option<T>, Malformed> {
        match self.get(key)? {
            "-" => Ok(None),
            value => read(value).map(Some),
        }
    }
}

/// The value, or `-` for none.
pub(crate) fn or_dash<T: fmt::Display>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), T::to_string)
}

pub(crate) fn nodes(list: &[NodeId]) -> String {
    list.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

/// Ids with commas between them, ascending.
pub(crate) fn parse_nodes(text: &str) -> Option<Vec<NodeId>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let list: Vec<NodeId> = text.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    list.is_sorted_by(|a, b| a < b).then_some(list)
}

/// CRC-32 as of ISO 3309 (the one of gzip): finds what a torn or damaged write leaves.
pub(crate) fn checksum(text: &str) -> u32 {
    let mut sum = !0u32;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xEDB8_8320 & (0u32.wrapping_sub(sum & 1)));
        }
    }
    !sum
}
