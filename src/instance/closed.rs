//! A data directory that is closed: PostgreSQL refuses to start in it, whoever asks. A service manager that starts
//! servers does not know that a program works on its files.
//!
//! PostgreSQL does not start in a directory that others than owner and group have any right to (PostgreSQL: "Creating
//! a Database Cluster"). The right to write without the right to search is none (POSIX: "Directory Protection"), so
//! this closes it to servers and opens it to nobody. It lasts when the program that has closed it does not.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Others may write, and not search.
const CLOSED: u32 = 0o002;

/// Closes it.
///
/// # Errors
/// The operating system refuses the new mode.
pub fn close(data_directory: &Path) -> io::Result<()> {
    change(data_directory, |mode| mode | CLOSED)
}

/// Opens it again, if it is closed.
///
/// # Errors
/// The operating system refuses the new mode.
pub fn open(data_directory: &Path) -> io::Result<()> {
    change(data_directory, |mode| mode & !CLOSED)
}

fn change(data_directory: &Path, wanted: impl FnOnce(u32) -> u32) -> io::Result<()> {
    let mode = std::fs::metadata(data_directory)?.permissions().mode() & 0o7777;
    let wanted = wanted(mode);
    if wanted == mode {
        return Ok(());
    }
    std::fs::set_permissions(data_directory, Permissions::from_mode(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_closed_to_servers_and_to_nobody_opened() {
        let data = tempfile::tempdir().unwrap();
        let mode = || std::fs::metadata(data.path()).unwrap().permissions().mode() & 0o7777;
        for usual in [0o700, 0o750] {
            std::fs::set_permissions(data.path(), Permissions::from_mode(usual)).unwrap();
            open(data.path()).unwrap();
            assert_eq!(mode(), usual);
            close(data.path()).unwrap();
            close(data.path()).unwrap();
            assert_eq!(mode(), usual | 0o002);
            open(data.path()).unwrap();
            assert_eq!(mode(), usual);
        }
    }
}
