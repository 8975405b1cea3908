//! What a check found, in the words of every form of output. Pure.

use serde_json::{Map, Value};

use crate::exit_code::ExitCode;
use crate::output::{self, CheckStatus};

/// What one check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How bad it is.
    pub status: CheckStatus,
    /// For people.
    pub details: String,
    /// What the Nagios line says in place of the details.
    nagios: Option<String>,
    /// The performance data of the Nagios line.
    performance: String,
    /// The same in the strict form, for a line with the numbers of several checks
    /// (monitoring-plugins.org: "Performance data").
    pub metrics: String,
    /// The line that other nodes' `repmgr` reads; none for most checks.
    optformat: Option<String>,
    /// The numbers and names behind it.
    measures: Map<String, Value>,
}

impl Outcome {
    /// A status and what a person reads.
    pub fn new(status: CheckStatus, details: impl Into<String>) -> Outcome {
        Outcome {
            status,
            details: details.into(),
            nagios: None,
            performance: String::new(),
            metrics: String::new(),
            optformat: None,
            measures: Map::new(),
        }
    }

    /// A question that was not answered.
    pub fn unknown(what: &str, reason: impl std::fmt::Display) -> Outcome {
        Outcome::new(CheckStatus::Unknown, format!("unable to {what}: {reason}"))
    }

    /// Other words for Nagios.
    #[must_use]
    pub fn nagios(mut self, text: impl Into<String>) -> Outcome {
        self.nagios = Some(text.into());
        self
    }

    /// What stands behind the `|` of the Nagios line.
    #[must_use]
    pub fn performance(mut self, text: impl Into<String>) -> Outcome {
        self.performance = text.into();
        self
    }

    /// The same for a line with the numbers of several checks.
    #[must_use]
    pub fn metrics(mut self, text: impl Into<String>) -> Outcome {
        self.metrics = text.into();
        self
    }

    /// The `--name=value` words.
    #[must_use]
    pub fn optformat(mut self, line: impl Into<String>) -> Outcome {
        self.optformat = Some(line.into());
        self
    }

    /// A number or name for JSON.
    #[must_use]
    pub fn measure(mut self, name: &str, value: impl Into<Value>) -> Outcome {
        self.measures.insert(name.to_owned(), value.into());
        self
    }

    /// `STATUS (details)`, the original's form.
    pub fn text_line(&self) -> String {
        format!("{} ({})\n", self.status.as_str(), self.details)
    }

    /// The line for Nagios and its kin. Only one `|` may stand in it.
    pub fn nagios_line(&self, service: &str) -> String {
        let text = self.nagios.as_ref().unwrap_or(&self.details);
        output::nagios_line(service, self.status, &text.replace(['\n', '|'], " "), &self.performance)
    }

    /// The words for Nagios without status and performance data.
    pub fn nagios_text(&self) -> &str {
        self.nagios.as_ref().unwrap_or(&self.details)
    }

    /// The line that other nodes' `repmgr` reads; empty where the original prints nothing.
    pub fn optformat_line(&self) -> String {
        self.optformat
            .as_ref()
            .map_or_else(String::new, |line| format!("{line}\n"))
    }

    /// The code that a single check ends with.
    pub fn exit_code(&self) -> ExitCode {
        exit_code(self.status)
    }

    /// The numbers and names behind it.
    pub fn measures(&self) -> &Map<String, Value> {
        &self.measures
    }
}

/// The codes of a Nagios plugin (monitoring-plugins.org: "Plugin Return Codes"), by their numbers.
pub fn exit_code(status: CheckStatus) -> ExitCode {
    match status {
        CheckStatus::Ok => ExitCode::ALL[0],
        CheckStatus::Warning => ExitCode::ALL[1],
        CheckStatus::Critical => ExitCode::ALL[2],
        CheckStatus::Unknown => ExitCode::ALL[3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_nagios_plugin() {
        let codes = [
            CheckStatus::Ok,
            CheckStatus::Warning,
            CheckStatus::Critical,
            CheckStatus::Unknown,
        ]
        .map(|status| exit_code(status).code());
        assert_eq!(codes, [0, 1, 2, 3]);
    }

    #[test]
    fn a_nagios_line_has_one_bar() {
        let outcome = Outcome::new(CheckStatus::Critical, "a | b\nc").performance("n=1");
        assert_eq!(outcome.nagios_line("X"), "X CRITICAL: a   b c | n=1\n");
    }
}
