//! What is said about one option in the table of options.

use super::catalogue::Command;
use super::options::Options;

/// What follows an option, and where it goes.
#[derive(Clone, Copy)]
pub enum Argument {
    /// Nothing follows.
    Flag(fn(&mut Options)),
    /// A word that is called this in the help.
    Text(&'static str, fn(&mut Options, &str) -> Result<(), String>),
    /// A number of at least this much.
    Integer(&'static str, i32, fn(&mut Options, i32)),
    /// A word that may be left out, given only with `=`.
    OptionalText(&'static str, fn(&mut Options, Option<&str>) -> Result<(), String>),
    /// A number of at least 0 that may be left out, given only with `=`.
    OptionalInteger(&'static str, fn(&mut Options, Option<u32>)),
}

/// Where the option stands in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Help and version.
    Help,
    /// Of use for all commands.
    General,
    /// Where the node is.
    Connection,
    /// What is said, and how.
    Output,
    /// Of use for the commands of [`OptionEntry::used_by`].
    Command,
    /// Not shown.
    Hidden,
}

/// What happens if the option is given to a command that does not take it.
#[derive(Debug, Clone, Copy)]
pub enum Elsewhere {
    /// Nothing.
    Accepted,
    /// A warning.
    Warned,
    /// A warning, and the value is dropped.
    Cleared(fn(&mut Options)),
}

/// What the table says of one option.
#[derive(Clone, Copy)]
pub struct OptionEntry {
    /// The long name.
    pub long: &'static str,
    /// Another long name for the same.
    pub alias: Option<&'static str>,
    /// The one-letter name.
    pub short: Option<char>,
    /// What follows it.
    pub argument: Argument,
    /// Where it stands in the help.
    pub group: Group,
    /// The commands for which it means something.
    pub used_by: &'static [Command],
    /// Commands that take it without a warning although it has no effect there.
    pub also_taken_by: &'static [Command],
    /// What happens elsewhere.
    pub elsewhere: Elsewhere,
    /// For help and manual.
    pub help: &'static str,
}

impl OptionEntry {
    pub(super) const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }

    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    pub(super) const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Given elsewhere, it is accepted without a word.
    pub(super) const fn of(mut self, used_by: &'static [Command]) -> Self {
        self.used_by = used_by;
        self
    }

    /// Given elsewhere, it is warned about.
    pub(super) const fn only(mut self, used_by: &'static [Command]) -> Self {
        self.used_by = used_by;
        self.elsewhere = Elsewhere::Warned;
        self
    }

    pub(super) const fn tolerated_by(mut self, commands: &'static [Command]) -> Self {
        self.also_taken_by = commands;
        self
    }

    pub(super) const fn cleared(mut self, clear: fn(&mut Options)) -> Self {
        self.elsewhere = Elsewhere::Cleared(clear);
        self
    }

    /// Whether the option may be given to this command without a warning.
    pub fn is_taken_by(&self, command: Command) -> bool {
        matches!(self.elsewhere, Elsewhere::Accepted)
            || self.used_by.contains(&command)
            || self.also_taken_by.contains(&command)
    }

    /// The name of what follows, for the help: `=NAME`, `[=NAME]` or nothing.
    pub fn value_form(&self) -> String {
        match self.argument {
            Argument::Flag(_) => String::new(),
            Argument::Text(name, _) | Argument::Integer(name, ..) => format!("={name}"),
            Argument::OptionalText(name, _) | Argument::OptionalInteger(name, _) => format!("[={name}]"),
        }
    }
}

/// An option that every command takes; the table says more of it.
pub(super) const fn option(long: &'static str, argument: Argument, help: &'static str) -> OptionEntry {
    OptionEntry {
        long,
        alias: None,
        short: None,
        argument,
        group: Group::Command,
        used_by: &[],
        also_taken_by: &[],
        elsewhere: Elsewhere::Accepted,
        help,
    }
}
