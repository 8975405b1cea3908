//! The log's destinations, seen from outside: each case runs in a process of its own, because standard error is
//! redirected.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use repmgr::log::{self, Settings};

/// Runs a case of [`child`] and gives what it wrote.
fn run(case: &str, folder: &Path) -> Output {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env("LOG_CASE", case)
        .env("LOG_FOLDER", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{case}: {output:?}");
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn settings<'a>(daemon: bool, file: &'a Path) -> Settings<'a> {
    Settings {
        program: "repmgrd",
        level_option: None,
        level: "",
        verbose: false,
        terse: false,
        dry_run: false,
        quiet: false,
        daemon,
        facility: "",
        file,
    }
}

fn say(text: &str) {
    repmgr::error!("{text} error");
    repmgr::detail!("{text} error detail");
    repmgr::info!("{text} info");
    repmgr::verbose!(Info, "{text} verbose");
    repmgr::hint!("{text} info hint");
    repmgr::debug!("{text} debug");
    repmgr::detail!("{text} debug detail");
}

#[test]
#[ignore = "a process that the other tests start"]
fn child() {
    let Some(folder) = std::env::var_os("LOG_FOLDER").map(PathBuf::from) else {
        return;
    };
    let (file, rotated) = (folder.join("log"), folder.join("log.1"));
    let nowhere = Path::new("");
    match std::env::var("LOG_CASE").unwrap().as_str() {
        "plain" => {
            log::configure(&settings(false, &file)).unwrap();
            say("one");
            let terse_and_quiet = Settings {
                terse: true,
                quiet: true,
                verbose: true,
                ..settings(false, nowhere)
            };
            log::configure(&terse_and_quiet).unwrap();
            say("two");
            let verbose = Settings {
                verbose: true,
                level: "loud",
                facility: "LOCALX",
                ..settings(false, nowhere)
            };
            log::configure(&verbose).unwrap();
            say("three");
        }
        "file" => {
            log::configure(&settings(true, &file)).unwrap();
            say("before");
            Command::new("/bin/sh")
                .args(["-c", "echo from a child >&2"])
                .status()
                .unwrap();
            std::fs::rename(&file, &rotated).unwrap();
            repmgr::info!("still in the old file");
            log::reopen().unwrap();
            repmgr::info!("after rotation");
            log::configure(&settings(true, &file)).unwrap();
            repmgr::info!("after reload");
            let error = log::configure(&settings(true, &folder.join("no/log"))).unwrap_err();
            assert_eq!(error.exit_code.code(), 1);
            repmgr::info!("after a failed reload");
            log::configure(&settings(true, nowhere)).unwrap();
            repmgr::info!("back on the terminal");
        }
        "detached" => {
            log::configure(&settings(true, &file)).unwrap();
            log::detach().unwrap();
            log::configure(&settings(true, nowhere)).unwrap();
            repmgr::info!("into nothing");
        }
        "no facility" => {
            let invalid = Settings {
                facility: "local0",
                ..settings(true, nowhere)
            };
            log::configure(&invalid).unwrap();
            log::detach().unwrap();
            repmgr::info!("on the terminal");
        }
        other => panic!("no case {other}"),
    }
}

#[test]
fn lines_of_a_command_and_what_terse_quiet_and_verbose_do() {
    let folder = tempfile::tempdir().unwrap();
    let text = stderr(&run("plain", folder.path()));
    let expected = "ERROR: one error\nDETAIL: one error detail\nINFO: one info\nHINT: one info hint\n\
                    ERROR: two error\n\
                    WARNING: invalid log level \"loud\" in \"log_level\", using INFO\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.ends_with("INFO: three info\nINFO: three verbose\nHINT: three info hint\n"),
        "{text}"
    );
    assert!(!text.contains("LOCALX"), "a command has no facility: {text}");
    assert!(!folder.path().join("log").exists());
}

#[test]
fn a_log_file_takes_all_of_standard_error_and_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let terminal = stderr(&run("file", folder.path()));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (old, new) = (read("log.1"), read("log"));

    let texts = |log: &str| -> Vec<String> {
        log.lines()
            .map(|line| line.split_once("] ").map_or(line, |(_, rest)| rest).to_owned())
            .collect()
    };
    assert_eq!(
        texts(&old),
        [
            "[ERROR] before error",
            "[DETAIL] before error detail",
            "[INFO] before info",
            "[HINT] before info hint",
            "from a child",
            "[INFO] still in the old file",
        ]
    );
    assert_eq!(
        texts(&new),
        [
            "[INFO] after rotation",
            "[INFO] after reload",
            "[INFO] after a failed reload"
        ]
    );
    let shape: String = old
        .chars()
        .take(28)
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "[0000-00-00 00:00:00] [ERROR");

    assert!(terminal.contains("[NOTICE] log lines go to file"), "{terminal}");
    assert!(terminal.contains("[INFO] back on the terminal"), "{terminal}");
    assert!(!terminal.contains("before error"), "{terminal}");
}

#[test]
fn a_detached_program_has_no_terminal_to_go_back_to() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!stderr(&run("detached", folder.path())).contains("into nothing"));
}

#[test]
fn an_invalid_facility_is_a_warning_and_standard_error_stays() {
    let folder = tempfile::tempdir().unwrap();
    let text = stderr(&run("no facility", folder.path()));
    assert!(text.contains("[WARNING] invalid log facility \"local0\""), "{text}");
    assert!(text.contains("[INFO] on the terminal"), "{text}");
}
