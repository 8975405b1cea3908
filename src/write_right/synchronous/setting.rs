//! `synchronous_standby_names` as the holder writes it: `ANY n ("name", …)`. Any n of the standbys, so that what
//! [`repmgr_write_right::Payload`] promises holds for every one of them alike.

use std::fmt;

/// A value of the setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// How many of the standbys must have a commit.
    pub count: u32,
    /// Their names; none: nobody waits.
    pub names: Vec<String>,
}

impl Setting {
    /// Nobody waits.
    pub fn nobody() -> Self {
        Setting {
            count: 0,
            names: Vec::new(),
        }
    }

    /// Reads what a server says. `None`: it is not of this form, so not from here.
    pub fn parse(text: &str) -> Option<Setting> {
        if text.trim().is_empty() {
            return Some(Setting::nobody());
        }
        let (count, rest) = text.strip_prefix("ANY ")?.split_once(" (")?;
        let mut rest = rest.strip_suffix(')')?;
        let mut names = Vec::new();
        loop {
            let quoted = rest.strip_prefix('"')?;
            let (name, after) = unquote(quoted)?;
            names.push(name);
            match after.strip_prefix(", ") {
                Some(more) => rest = more,
                None if after.is_empty() => break,
                None => return None,
            }
        }
        Some(Setting {
            count: count.parse().ok()?,
            names,
        })
    }

    /// Whether a standby that calls itself so is one of them. The server compares so, too.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The text up to the closing quote, and what comes after it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return Ok(());
        }
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let names: Vec<String> = self.names.iter().map(quoted).collect();
        write!(formatter, "ANY {} ({})", self.count, names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (count, names) in [
            (1, vec!["node2"]),
            (2, vec!["a b", "quo\"te", "\"", "com, ma", "(x)", "ANY 1 (\"y\")"]),
            (0, vec![]),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let setting = Setting { count, names };
            assert_eq!(Setting::parse(&setting.to_string()), Some(setting));
        }
        assert_eq!(Setting::parse("ANY 1 (\"a\", \"b\")").map(|s| s.names.len()), Some(2));
    }

    #[test]
    fn what_a_person_wrote_is_known_for_that() {
        for text in [
            "*",
            "a",
            "\"a\"",
            "FIRST 1 (a)",
            "ANY 1 (a)",
            "ANY x (\"a\")",
            "ANY 1 (\"a\",\"b\")",
            "ANY 1 (\"a)",
        ] {
            assert_eq!(Setting::parse(text), None, "{text}");
        }
    }
}
