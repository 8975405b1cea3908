//! What a repmgr on another host answers, read leniently: around the answer
//! may stand what its shell says at login, and an original writes more or
//! fewer keys than this version.

use std::collections::HashMap;

/// The `--key=value` words of an answer (`--optformat` and the like).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answers {
    values: HashMap<String, String>,
}

impl Answers {
    /// Reads `--key=value`; of several with the same key the last counts, as for options. Everything else is
    /// skipped, also `--key` without a value: no repmgr answers so, and a sentence of a banner may.
    pub fn parse(stdout: &str) -> Answers {
        let words = stdout.split_whitespace();
        let answers = words.filter_map(|word| word.strip_prefix("--")?.split_once('='));
        Answers {
            values: answers.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    /// The value of `--key`, if it was there.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Whether the value of `--key` begins with `OK`; `None` if it was not there.
    pub fn is_ok(&self, key: &str) -> Option<bool> {
        self.get(key).map(|value| value.starts_with("OK"))
    }

    /// Whether there was no answer at all.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// The version that `repmgr --version` prints, as A * 10000 + B * 100 + C.
pub fn version(stdout: &str) -> Option<u32> {
    let number = |line: &str| {
        let version = line.trim().strip_prefix("repmgr ")?.split_whitespace().next()?;
        // "5.6dev" counts as 5.6.
        let version = version.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let parts: Vec<u32> = version
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?;
        match parts[..] {
            [a, b] => Some(a * 10000 + b * 100),
            [a, b, c] => Some(a * 10000 + b * 100 + c),
            _ => None,
        }
    };
    stdout.lines().find_map(number)
}

/// The lines of a CSV answer that begin with `N` whole numbers; what follows those is ignored, and so are other lines.
pub fn numbers<const N: usize>(stdout: &str) -> Vec<[i32; N]> {
    let line = |line: &str| {
        let fields: Vec<i32> = line.split(',').map_while(|field| field.trim().parse().ok()).collect();
        fields.get(..N)?.try_into().ok()
    };
    stdout.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_among_other_words() {
        let answers = Answers::parse(
            "Welcome to node3 -- mind the --error of others\n--status=UNKNOWN --status=OK\n--files=3 --threshold=128\n--empty=\n",
        );
        assert_eq!(answers.get("status"), Some("OK"));
        assert_eq!(answers.get("files"), Some("3"));
        assert_eq!(answers.get("threshold"), Some("128"));
        assert_eq!(answers.get("error"), None);
        assert_eq!(answers.get("empty"), Some(""));
        assert_eq!(answers.get("Welcome"), None);
        assert_eq!(answers.is_ok("status"), Some(true));
        assert_eq!(answers.is_ok("files"), Some(false));
        assert_eq!(answers.is_ok("connection"), None);
        assert!(Answers::parse("bash: repmgr: command not found").is_empty());
        let lsn = Answers::parse("--state=SHUTDOWN --last-checkpoint-lsn=0/3000028");
        assert_eq!(lsn.get("last-checkpoint-lsn"), Some("0/3000028"));
    }

    #[test]
    fn versions_are_numbers() {
        for (stdout, expected) in [
            ("repmgr 5.5.0\n", Some(50500)),
            ("banner\nrepmgr 5.3.12", Some(50312)),
            ("repmgr 5.5", Some(50500)),
            ("repmgr 5.6dev", Some(50600)),
            ("repmgr 5", None),
            ("repmgr five", None),
            ("repmgrd 5.5.0", None),
            ("sh: 1: repmgr: not found", None),
            ("", None),
        ] {
            assert_eq!(version(stdout), expected, "{stdout:?}");
        }
    }

    #[test]
    fn csv_lines_are_found_among_others() {
        let stdout = "Last login, today\n1,0,1\n2,-1,-1\n\n3\n 4,0\nx,1,1\n";
        assert_eq!(numbers::<2>(stdout), [[1, 0], [2, -1], [4, 0]]);
        assert_eq!(numbers::<3>(stdout), [[1, 0, 1], [2, -1, -1]]);
    }
}
