//! PostgreSQL and the programs under test refuse root: when the tests run as
//! root, everything else is started as the user `postgres`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::network::Namespace;
use nix::unistd::{Gid, Uid, User, chown, geteuid};

/// The ordinary user that servers and programs run as.
pub fn ordinary() -> (Uid, Gid, String) {
    let user = if geteuid().is_root() {
        User::from_name("postgres")
            .expect("the user database")
            .expect("the user postgres")
    } else {
        User::from_uid(geteuid())
            .expect("the user database")
            .expect("the current user")
    };
    (user.uid, user.gid, user.name)
}

/// A command that runs as the ordinary user, with an environment that holds nothing of the caller's libpq settings.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let (uid, gid, _) = ordinary();
    if geteuid().is_root() {
        command.uid(uid.as_raw()).gid(gid.as_raw());
    }
    clean(&mut command);
    command.env("HOME", "/nonexistent");
    command
}

/// The same on a host of its own, where the user has a home.
pub fn command_on(host: &Namespace, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let (uid, gid, _) = ordinary();
    let mut command = host.root_command("setpriv");
    command
        .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()])
        .args(["--clear-groups", "--"]);
    if !host.environment.is_empty() {
        // Not for the programs before: they are root's.
        let settings = host.environment.iter().map(|(name, value)| format!("{name}={value}"));
        command.arg("env").args(settings);
    }
    command.arg(program);
    clean(&mut command);
    command.env("HOME", &host.home);
    command
}

/// Takes the caller's settings of libpq and its place away.
fn clean(command: &mut Command) {
    let (_, _, name) = ordinary();
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("PG") {
            command.env_remove(variable);
        }
    }
    command
        .env("USER", &name)
        .env("LOGNAME", &name)
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/");
}

/// Makes a folder that the ordinary user owns.
pub fn folder(path: &Path) {
    std::fs::create_dir_all(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    give(path);
}

/// Gives a file or folder to the ordinary user.
pub fn give(path: &Path) {
    let (uid, gid, _) = ordinary();
    if geteuid().is_root() {
        chown(path, Some(uid), Some(gid)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Writes a file that the ordinary user owns.
///
/// Another process writes it: a file that this one holds open for writing may be inherited by a child that another
/// test starts at that moment, and until that child is under way a program in the file cannot be executed.
pub fn write(path: &Path, text: &str) {
    let mut cat = Command::new("sh")
        .args(["-c", "exec cat >\"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut input = cat.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("a file's text");
    drop(input);
    assert!(cat.wait().expect("sh").success(), "{} was not written", path.display());
    give(path);
}

/// Writes a program, as [`write()`] writes a file.
pub fn write_program(path: &Path, text: &str) {
    write(path, text);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("the mode of a program");
}

/// Copies a program, as [`write()`] writes a file.
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(
        status.success(),
        "{} was not copied to {}",
        from.display(),
        to.display()
    );
}
