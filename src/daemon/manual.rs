//! The manual page repmgrd(1), made from the definition of the command line.

/// The page in the language of man(7).
pub fn manual() -> String {
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _ = clap_mangen::Man::new(super::arguments::command())
        .date("")
        .render(&mut page);
    // The words that are accepted and ignored are hidden, but clap_mangen's synopsis shows them.
    String::from_utf8_lossy(&page).replace(" [\\fIignored\\fR]", "")
}
