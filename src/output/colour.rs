//! Colours on a terminal.

use std::io::IsTerminal;

/// What a thing looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// As it should be.
    Green,
    /// Worth a look.
    Yellow,
    /// Wrong.
    Red,
}

impl Colour {
    /// The text between the terminal's control sequences (ECMA-48, "select graphic rendition").
    pub fn paint(self, text: &str) -> String {
        let code = match self {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Whether standard output is a terminal that shows colours, to somebody who wants them (no-color.org).
pub fn coloured() -> bool {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    std::io::stdout().is_terminal() && wanted(&variable("NO_COLOR"), &variable("TERM"))
}

fn wanted(no_color: &str, term: &str) -> bool {
    no_color.is_empty() && !term.is_empty() && term != "dumb"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_coloured_against_their_will() {
        assert!(wanted("", "xterm-256color"));
        assert!(!wanted("1", "xterm-256color"));
        assert!(!wanted("", "dumb"));
        assert!(!wanted("", ""));
    }
}
