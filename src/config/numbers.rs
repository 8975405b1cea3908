//! Parameters that are numbers and times.
//!
//! They are read as the original reads them: the digits at the start count,
//! what follows does not. Only the daemon's intervals may have fractions and
//! units. Where the original understands a text otherwise than it says, there is a warning.

use std::time::Duration;

use super::parameters::{Kind, Parameter};
use super::values::{Value, shown};

impl Value for i32 {
    const KIND: Kind = Kind::Integer;

    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String> {
        let (number, rest) = leading_integer(text, parameter)?;
        *self = number;
        Ok((!rest.is_empty()).then(|| ignored_rest(text, number, "")))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    const KIND: Kind = Kind::Seconds;

    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String> {
        if let Some(exact) = fine(text, parameter) {
            let (time, warning) = exact?;
            *self = time;
            return Ok(Some(warning));
        }
        let (seconds, warning) = seconds(text, parameter)?;
        // A number below zero is below every limit in the table but that of `Option<Duration>`.
        *self = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Ok(warning)
    }

    fn show(&self) -> String {
        if self.subsec_nanos() == 0 {
            self.as_secs().to_string()
        } else {
            self.as_secs_f64().to_string()
        }
    }
}

/// Seconds of which -1 and 0 mean "for ever".
impl Value for Option<Duration> {
    const KIND: Kind = Kind::Seconds;

    fn assign(&mut self, text: &[u8], parameter: &Parameter) -> Result<Option<String>, String> {
        let (seconds, warning) = seconds(text, parameter)?;
        *self = u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        Ok(warning)
    }

    fn show(&self) -> String {
        self.map_or_else(|| "-1".to_owned(), |limit| limit.as_secs().to_string())
    }
}

/// Whether a text is a delay: digits, and directly after them nothing or ms, s, min, h or d.
///
/// # Errors
/// Says what is wrong, for a person.
pub fn check_delay(text: &str) -> Result<(), String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - unit.len()];
    if digits.parse::<i32>().is_ok() && matches!(unit, "" | "ms" | "s" | "min" | "h" | "d") {
        Ok(())
    } else {
        Err(format!(
            "{} is not a delay: a whole number and directly after it, without a blank, ms, s, min, h or d",
            shown(text.as_bytes())
        ))
    }
}

fn ignored_rest(text: &[u8], number: i32, unit: &str) -> String {
    format!("{} is read as {number}{unit}: there are no units", shown(text))
}

/// A time with a fraction or with another unit than seconds, where the table allows it, and the warning for those
/// whose cluster has originals. `None` if the text is not of that form: it is read as the original reads it.
fn fine(text: &[u8], parameter: &Parameter) -> Option<Result<(Duration, String), String>> {
    let finest = Duration::from_millis(parameter.finest?);
    let written = std::str::from_utf8(text).ok()?.trim_ascii();
    let number = written.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = &written[number.len()..];
    let number = number.trim_ascii_end();
    let plain = !number.contains('.') && matches!(unit, "" | "s");
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    };
    let in_seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    if plain || !is_number {
        return None;
    }
    let seconds = number.parse::<f64>().ok()? * in_seconds;
    if seconds > f64::from(i32::MAX) {
        return Some(Err(format!("{} is longer than {} seconds", shown(text), i32::MAX)));
    }
    // Whole milliseconds, so that it shows as it was written.
    let time = Duration::from_millis((seconds * 1000.0).round() as u64);
    let may_be_zero = parameter.min == Some(0);
    if time < finest && !(time.is_zero() && may_be_zero) {
        return Some(Err(format!(
            "{} is less than {} ms, the lowest value allowed",
            shown(text),
            finest.as_millis()
        )));
    }
    let original = leading_integer(text, parameter).map_or_else(
        |_| "refuses it".to_owned(),
        |(seconds, _)| format!("reads it as {seconds} seconds"),
    );
    Some(Ok((
        time,
        format!(
            "{} is understood as {} seconds; repmgr 5.x {original}",
            shown(text),
            time.show()
        ),
    )))
}

fn seconds(text: &[u8], parameter: &Parameter) -> Result<(i32, Option<String>), String> {
    let (seconds, rest) = leading_integer(text, parameter)?;
    let as_written = rest.is_empty() || rest.trim_ascii() == b"s";
    Ok((seconds, (!as_written).then(|| ignored_rest(text, seconds, " seconds"))))
}

/// The number at the start (C's `strtol`, base 10), within its limits, and what follows it.
fn leading_integer<'a>(text: &'a [u8], parameter: &Parameter) -> Result<(i32, &'a [u8]), String> {
    let start = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | 0x09..=0x0d))
        .count();
    let sign = usize::from(matches!(text.get(start), Some(b'+' | b'-')));
    let digits = text[start + sign..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = start + sign + digits;
    if digits == 0 {
        return Err(format!("{} is not a whole number", shown(text)));
    }
    let number: i32 = std::str::from_utf8(&text[start..end])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("{} is greater than {} or less than {}", shown(text), i32::MAX, i32::MIN))?;
    match parameter.min {
        Some(min) if number < min => Err(format!("{} is less than {min}, the lowest value allowed", shown(text))),
        _ => Ok((number, &text[end..])),
    }
}
