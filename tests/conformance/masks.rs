//! What is never the same in two runs, and the same word in its place.

/// Replaces a word wherever it stands by itself, and not where it is a part of another.
pub fn word(text: &str, word: &str, replacement: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        shown.push_str(before);
        let within = is_part(shown.chars().next_back()) || is_part(after.chars().next());
        shown.push_str(if within { word } else { replacement });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Column widths follow the longest value, and those differ by port and path.
pub fn squeeze(line: &str) -> String {
    if line.starts_with("--") && line.contains("-+-") {
        return "---".to_owned();
    }
    let line = without_last_seen(line);
    let words = line.split(' ').filter(|word| !word.is_empty()).map(masked);
    without_age(&words.collect::<Vec<_>>().join(" "))
}

/// How long ago something was seen is a matter of moments.
fn without_age(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(without_lag).collect();
    for at in 1..words.len() {
        let unit = &words[at];
        let is_age = unit.starts_with("second(s)") || unit.starts_with("sec(s)");
        if is_age || unit.starts_with("seconds") {
            let before = words[at - 1].trim_end_matches(|c: char| c.is_ascii_digit());
            if before.len() < words[at - 1].len() {
                words[at - 1] = format!("{before}AGE");
            }
        }
    }
    words.join(" ")
}

/// `lag=N` without its number, thresholds kept.
fn without_lag(word: &str) -> String {
    match word.split_once("lag=") {
        Some((before, after)) => format!(
            "{before}lag=AGE{}",
            after.trim_start_matches(|c: char| c.is_ascii_digit())
        ),
        None => word.to_owned(),
    }
}

/// A word without what is never the same twice: times of day, dates at its end, positions in the WAL.
fn masked(word: &str) -> String {
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if shape.starts_with("99:99:99") {
        return "TIME".to_owned();
    }
    if shape.ends_with("9999-99-99") {
        return word[..word.len() - 10].to_owned();
    }
    let is_hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    match bare
        .rsplit('=')
        .next()
        .and_then(|value| value.rsplit('"').next()?.split_once('/'))
    {
        Some((high, low)) if is_hex(high) && is_hex(low) && low.len() > 4 => {
            word.replace(&format!("{high}/{low}"), "LSN")
        }
        _ => word.to_owned(),
    }
}

/// A line of `service status --csv` without the seconds since the upstream was seen, its next to last column.
fn without_last_seen(line: &str) -> String {
    let mut columns: Vec<&str> = line.split(',').collect();
    let is_status = columns.len() == 10 && ["primary", "standby", "witness"].contains(&columns[2]);
    if is_status && columns[8].parse::<u32>().is_ok() {
        columns[8] = "AGE";
    }
    columns.join(",")
}
