//! `pg_stat/repmgrd_state.txt`: carries the pause flag over a server restart, in the original's format.
//!
//! The file holds the node's id and the flag as text, `3:1` followed by one NUL byte. The flag counts only for the node
//! it names: a base backup or `pg_rewind` copies the file to other nodes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Relative to the data directory, which is every backend's working directory.
pub const PATH: &str = "pg_stat/repmgrd_state.txt";

const DIRECTORY: &str = "pg_stat";
const TEMPORARY_PATH: &str = "pg_stat/repmgrd_state.txt.tmp";

/// Only so much of the first line is read.
const LINE_LIMIT: u64 = 127;

/// What a state file says.
#[derive(Debug, PartialEq, Eq)]
pub struct PauseRecord {
    /// The node that wrote it, −1 if it did not know its id.
    pub node_id: i32,
    /// 0 or 1; anything else says nothing.
    pub flag: i32,
}

impl PauseRecord {
    /// Whether `node_id` was paused, if the record says so at all.
    pub fn paused(&self, node_id: i32) -> Option<bool> {
        match self.flag {
            0 | 1 if self.node_id == node_id => Some(self.flag == 1),
            _ => None,
        }
    }
}

/// What reading the file gave.
#[derive(Debug)]
pub enum Found {
    /// There is no file, or it is empty.
    Nothing,
    /// The file's record.
    Record(PauseRecord),
    /// The file does not begin with two numbers.
    Unintelligible,
    /// The file cannot be read.
    Unreadable(io::Error),
}

/// Reads the file of the server in whose data directory this process runs.
pub fn read() -> Found {
    let mut content = Vec::new();
    match File::open(PATH).and_then(|file| file.take(LINE_LIMIT).read_to_end(&mut content)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Unreadable(error),
        Ok(0) => Found::Nothing,
        Ok(_) => parse(&content).map_or(Found::Unintelligible, Found::Record),
    }
}

/// Replaces the file: written beside, made durable, renamed. Its mode is 0600.
pub fn write(node_id: i32, paused: bool) -> io::Result<()> {
    let written = write_beside(&render(node_id, paused)).and_then(|()| fs::rename(TEMPORARY_PATH, PATH));
    if written.is_err() {
        let _ = fs::remove_file(TEMPORARY_PATH);
        return written;
    }
    File::open(DIRECTORY)?.sync_all()
}

fn write_beside(content: &[u8]) -> io::Result<()> {
    // One that a crash left behind may have any mode.
    match fs::remove_file(TEMPORARY_PATH) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(TEMPORARY_PATH)?;
    file.write_all(content)?;
    file.sync_all()
}

fn render(node_id: i32, paused: bool) -> Vec<u8> {
    format!("{node_id}:{}\0", u8::from(paused)).into_bytes()
}

/// Reads two integers with a colon between them from the first line, as C's `%i:%i` does: decimal, `0x` hexadecimal or `0`
/// octal, blanks before each number, anything after the second.
fn parse(content: &[u8]) -> Option<PauseRecord> {
    let end = content
        .iter()
        .position(|byte| matches!(byte, b'\n' | 0))
        .unwrap_or(content.len());
    let (node_id, rest) = c_integer(&content[..end])?;
    let (flag, _) = c_integer(rest.strip_prefix(b":")?)?;
    Some(PauseRecord { node_id, flag })
}

/// The integer at the start of `text` and what follows it.
fn c_integer(text: &[u8]) -> Option<(i32, &[u8])> {
    let text = text.trim_ascii_start();
    let (negative, text) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, &text[2..]),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let count = digits
        .iter()
        .take_while(|byte| char::from(**byte).is_digit(radix))
        .count();
    let value = i64::from_str_radix(std::str::from_utf8(&digits[..count]).ok()?, radix).ok()?;
    let value = if negative { -value } else { value };
    Some((i32::try_from(value).ok()?, &digits[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(node_id: i32, flag: i32) -> Option<PauseRecord> {
        Some(PauseRecord { node_id, flag })
    }

    #[test]
    fn what_is_rendered_is_the_originals_format_and_reads_back() {
        assert_eq!(render(3, true), b"3:1\0");
        assert_eq!(render(-1, false), b"-1:0\0");
        assert_eq!(parse(&render(3, true)), record(3, 1));
        assert_eq!(parse(&render(-1, false)), record(-1, 0));
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        assert_eq!(parse(b"0x1F:1"), record(31, 1));
        assert_eq!(parse(b"010:0"), record(8, 0));
        assert_eq!(parse(b" +7: 1 and more\n9:0"), record(7, 1));
        assert_eq!(parse(b"0:0"), record(0, 0));
        assert_eq!(parse(b"3:7\0"), record(3, 7));
    }

    #[test]
    fn anything_else_is_no_record() {
        for content in [
            "",
            "\n",
            "\0",
            "3",
            "3:",
            "3 :1",
            ":1",
            "x:1",
            "3:x",
            "-:1",
            "99999999999:1",
            "\n3:1",
        ] {
            assert_eq!(parse(content.as_bytes()), None, "{content:?}");
        }
    }

    #[test]
    fn a_record_speaks_for_its_own_node_only() {
        assert_eq!(PauseRecord { node_id: 3, flag: 1 }.paused(3), Some(true));
        assert_eq!(PauseRecord { node_id: 3, flag: 0 }.paused(3), Some(false));
        assert_eq!(PauseRecord { node_id: 3, flag: 1 }.paused(2), None);
        assert_eq!(PauseRecord { node_id: 3, flag: 2 }.paused(3), None);
    }
}
