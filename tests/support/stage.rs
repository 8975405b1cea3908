//! The staged PostgreSQL that `make stage` prepares.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::user;

/// The staged installation.
pub struct Stage {
    /// The folder that stands for `/`.
    pub root: PathBuf,
    /// Its PostgreSQL programs.
    pub bindir: PathBuf,
    /// The major version of its PostgreSQL.
    pub major: u32,
}

/// The staged installation; tells how to make it if it is not there.
pub fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stage-path");
        let root = std::fs::read_to_string(&pointer).expect("no staged PostgreSQL; run: make stage");
        at(Path::new(root.trim()))
    })
}

/// The staged original (`scripts/stage-original.sh`), if it is there and can work beside this program: before 5.3 it
/// wants an extension of its own version.
pub fn original() -> Option<&'static Stage> {
    static STAGE: OnceLock<Option<&'static Stage>> = OnceLock::new();
    let of_today = |stage: &&Stage| {
        let control = stage
            .root
            .join(format!("usr/share/postgresql/{}/extension/repmgr.control", stage.major));
        let control = std::fs::read_to_string(control).expect("the original's control file");
        ["5.3", "5.4", "5.5"]
            .iter()
            .any(|version| control.contains(&format!("'{version}'")))
    };
    *STAGE.get_or_init(|| original_of_any_age().filter(of_today))
}

/// The staged original, whatever its version.
pub fn original_of_any_age() -> Option<&'static Stage> {
    static STAGE: OnceLock<Option<Stage>> = OnceLock::new();
    let find = || {
        let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stage-original-path");
        Some(at(Path::new(std::fs::read_to_string(&pointer).ok()?.trim())))
    };
    STAGE.get_or_init(find).as_ref()
}

/// The staged installation without any file of repmgr's extension: no control file, no scripts, no library.
pub fn bare() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    let change = "find \"$0\" \\( -path '*/extension/repmgr*' -o -name repmgr.so \\) -delete";
    STAGE.get_or_init(|| variant(stage(), "bare", change, &[]))
}

/// A copy of a staged installation, made once: after `change`, a shell script that gets the copy's folder as `$0`.
pub fn variant(of: &Stage, name: &str, change: &str, arguments: &[&Path]) -> Stage {
    let mut own = of.root.file_name().expect("a folder's name").to_owned();
    own.push(format!("-{name}"));
    let root = of.root.with_file_name(own);
    if !root.exists() {
        let beside = root.with_extension(format!("new-{}", std::process::id()));
        let copy = "mkdir \"$1\" && chmod 755 \"$1\" && cp -al \"$0/.\" \"$1\"";
        run("cp", Command::new("sh").args(["-ec", copy]).arg(&of.root).arg(&beside));
        run(
            name,
            Command::new("sh").args(["-ec", change]).arg(&beside).args(arguments),
        );
        // Another test program may have been quicker.
        if std::fs::rename(&beside, &root).is_err() {
            let _ = std::fs::remove_dir_all(&beside);
        }
    }
    at(&root)
}

/// A staged installation in a given folder.
pub fn at(root: &Path) -> Stage {
    let majors = root.join("usr/lib/postgresql");
    let entries = std::fs::read_dir(&majors).expect("no staged PostgreSQL; run: make stage");
    let major = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("a PostgreSQL version");
    Stage {
        root: root.to_owned(),
        bindir: majors.join(major.to_string()).join("bin"),
        major,
    }
}

/// The programs under test, under both names, where the ordinary user reaches them.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let built = built_program();
        let folder = stage().root.join("usr/bin");
        install(&built, &folder.join("repmgr"));
        install(&built, &folder.join("repmgrd"));
        folder
    })
}

fn built_program() -> PathBuf {
    if let Some(path) = option_env!("CARGO_BIN_EXE_repmgr") {
        return path.into();
    }
    // An example has no such variable; its own folder is beside the program's.
    let own = std::env::current_exe().expect("the path of this program");
    own.parent()
        .and_then(Path::parent)
        .expect("the target folder")
        .join("repmgr")
}

/// Copies beside and renames: a test of another process may be running the old one.
fn install(from: &Path, to: &Path) {
    let newer = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    if to.exists() && newer(to) >= newer(from) {
        return;
    }
    let beside = to.with_extension(format!("new-{}", std::process::id()));
    user::copy_program(from, &beside);
    std::fs::rename(&beside, to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
}

impl Stage {
    /// Runs a program of this PostgreSQL; panics with its output if it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        run(program, user::command(self.bindir.join(program)).args(arguments))
    }
}

/// Runs a command; panics with its output if it fails.
pub fn run(program: &str, command: &mut Command) -> Output {
    let output = command.output().expect(program);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
