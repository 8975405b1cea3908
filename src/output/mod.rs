//! Results on standard output: text table, CSV, JSON, Nagios, optformat.
//!
//! Pure but for [`print`]. Log lines go elsewhere, through `log`.

use std::io::Write;

/// Writes a result to standard output. A reader that went away is not an error.
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed the other end does not want the rest.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
