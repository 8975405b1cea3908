//! Results on standard output: text table, CSV, JSON, Nagios, optformat.
//!
//! Pure but for [`print`]. Log lines go elsewhere, through `log`.

mod colour;
mod table;

use std::io::Write;

use serde::Serialize;

pub use colour::{Colour, coloured};
pub use table::Table;

/// Writes a result to standard output. A reader that went away is not an error.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed the other end does not want the rest.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// One JSON document, indented, with a line end. The shapes are described in `docs/json.md`.
pub fn json(result: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(result).expect("results have only keys that are strings");
    format!("{text}\n")
}

/// One CSV line without quoting, as the original writes it.
pub fn csv_line<T: ToString>(fields: impl IntoIterator<Item = T>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|field| field.to_string()).collect();
    format!("{}\n", fields.join(","))
}

/// What a check found (monitoring-plugins.org: "Plugin Return Codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// All is well.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// Somebody must look at it.
    Critical,
    /// It could not be found out.
    Unknown,
}

impl CheckStatus {
    /// The word in all forms of output.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckStatus::Ok => "OK",
            CheckStatus::Warning => "WARNING",
            CheckStatus::Critical => "CRITICAL",
            CheckStatus::Unknown => "UNKNOWN",
        }
    }
}

/// One line for Nagios and its kin: `SERVICE STATUS: text[ | performance data]`.
pub fn nagios_line(service: &str, status: CheckStatus, text: &str, performance: &str) -> String {
    let separator = if performance.is_empty() { "" } else { " | " };
    format!("{service} {}: {text}{separator}{performance}\n", status.as_str())
}

/// One line of `--name=value` words, which other nodes' `repmgr` reads; a value with a blank is put in double quotes.
pub fn optformat_line(values: &[(&str, String)]) -> String {
    let words: Vec<String> = values
        .iter()
        .map(|(name, value)| {
            if value.contains(char::is_whitespace) {
                format!("--{name}=\"{value}\"")
            } else {
                format!("--{name}={value}")
            }
        })
        .collect();
    format!("{}\n", words.join(" "))
}

/// Text in lines of at most `width` bytes, broken at blanks; a longer word has a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_machines() {
        assert_eq!(csv_line([1, 0, -1]), "1,0,-1\n");
        let line = nagios_line("REPMGR_LAG", CheckStatus::Warning, "5 seconds", "lag=5");
        assert_eq!(line, "REPMGR_LAG WARNING: 5 seconds | lag=5\n");
        assert_eq!(nagios_line("X", CheckStatus::Ok, "y", ""), "X OK: y\n");
        let words = [("status", "OK".to_owned()), ("issues", "a b".to_owned())];
        assert_eq!(optformat_line(&words), "--status=OK --issues=\"a b\"\n");
    }

    #[test]
    fn json_keeps_the_order_of_the_fields() {
        #[derive(Serialize)]
        struct Result {
            zebra: i32,
            ape: Option<i32>,
        }
        let text = json(&Result { zebra: 1, ape: None });
        assert_eq!(text, "{\n  \"zebra\": 1,\n  \"ape\": null\n}\n");
    }
}
