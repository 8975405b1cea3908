//! What the Debian packages bring along, as far as it can be looked at without installing them: `make package-test` does
//! that.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::skip;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian")
}

fn is_installed(program: &str) -> bool {
    Command::new("which")
        .arg(program)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    if !is_installed("systemd-analyze") {
        return skip("systemd", "systemd-analyze is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let units = [
        ("repmgr-oxide.repmgrd.service", "repmgrd.service"),
        ("repmgr-oxide.repmgrd@.service", "repmgrd@.service"),
    ];
    let verify = |name: &str| {
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(folder.path().join(name))
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output()
            .unwrap()
    };
    for (file, name) in units {
        let unit = std::fs::read_to_string(packaging().join(file)).unwrap();
        // Only a program that exists is accepted.
        let unit = unit
            .replace("/usr/lib/repmgr-oxide/repmgrd-service", "/bin/true")
            .replace("/usr/bin/repmgrd", "/bin/true");
        std::fs::write(folder.path().join(name), unit).unwrap();
    }
    for (_, name) in units {
        let about: Vec<String> = said(&verify(name))
            .lines()
            .filter(|line| line.contains("repmgrd"))
            .map(str::to_owned)
            .collect();
        assert!(about.is_empty(), "{name}: {about:?}");
    }
    // It does look.
    std::fs::write(
        folder.path().join("repmgrd.service"),
        "[Service]\nExecStart=/bin/true\nKillMood=process\n",
    )
    .unwrap();
    assert!(said(&verify("repmgrd.service")).contains("KillMood"));
}

#[test]
fn both_units_restrict_the_daemon_in_the_same_way() {
    let settings = |file: &str| -> Vec<String> {
        let unit = std::fs::read_to_string(packaging().join(file)).unwrap();
        unit.lines()
            .filter(|line| line.contains('=') && !line.starts_with('#'))
            .filter(|line| {
                !["Description", "User", "Exec", "Condition", "EnvironmentFile"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .map(str::to_owned)
            .collect()
    };
    let one = settings("repmgr-oxide.repmgrd.service");
    assert_eq!(one, settings("repmgr-oxide.repmgrd@.service"));
    // A server that pg_ctl restarted on the daemon's behalf must outlive it; sudo must work.
    assert!(one.contains(&"KillMode=process".to_owned()));
    assert!(!one.iter().any(|line| line.starts_with("NoNewPrivileges")));
}

/// `repmgrd-service` with these settings.
fn service(settings: &str, argument: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let defaults = folder.path().join("defaults");
    let program = folder.path().join("daemon");
    std::fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("repmgr.conf"), "").unwrap();
    let settings = settings.replace("FOLDER", &folder.path().display().to_string());
    std::fs::write(
        &defaults,
        format!("REPMGRD_USER=$(id -un)\nREPMGRD_BIN={}\n{settings}", program.display()),
    )
    .unwrap();
    Command::new("sh")
        .arg(packaging().join("repmgrd-service"))
        .args(Some(argument).filter(|argument| !argument.is_empty()))
        .env("REPMGRD_DEFAULTS", &defaults)
        .output()
        .unwrap()
}

#[test]
fn the_service_starts_only_what_is_enabled_and_configured() {
    let good = "REPMGRD_ENABLED=Yes\nREPMGRD_CONF=\"FOLDER/repmgr.conf\"\n";
    assert!(service(good, "check").status.success());
    for (more, reason) in [
        ("REPMGRD_ENABLED=no", "REPMGRD_ENABLED"),
        ("REPMGRD_CONF=", "REPMGRD_CONF is not set"),
        ("REPMGRD_CONF=FOLDER/missing", "there is no"),
        ("REPMGRD_BIN=FOLDER/missing", "there is no program"),
    ] {
        for argument in ["check", ""] {
            let output = service(&format!("{good}{more}\n"), argument);
            assert_eq!(output.status.code(), Some(1), "{more}");
            assert!(said(&output).contains(reason), "{}", said(&output));
        }
    }
}

#[test]
fn the_daemon_stays_where_its_service_started_it() {
    let output = service(
        "REPMGRD_ENABLED=yes\nREPMGRD_CONF=FOLDER/repmgr.conf\nREPMGRD_OPTS=\"-d -v --daemonize=true -L DEBUG\"\n",
        "",
    );
    let words = said(&output);
    assert!(
        words.starts_with("--config-file /") && words.ends_with("/repmgr.conf -v -L DEBUG --daemonize=false\n"),
        "{words}"
    );
}

#[test]
fn the_scripts_are_shell() {
    let mut scripts: Vec<PathBuf> = ["repmgrd-service"].map(|name| packaging().join(name)).to_vec();
    for name in [
        "preinst",
        "postinst",
        "prerm",
        "postrm",
        "repmgrd.init",
        "repmgrd.default",
    ] {
        scripts.push(packaging().join(format!("repmgr-oxide.{name}")));
    }
    for script in scripts {
        let output = Command::new("sh").arg("-n").arg(&script).output().unwrap();
        assert!(output.status.success(), "{}: {}", script.display(), said(&output));
    }
}

#[test]
fn only_licences_that_are_allowed_are_in_the_bill_of_materials() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bill = Command::new(root.join("scripts/sbom.pl")).output().unwrap();
    assert!(bill.status.success(), "{}", said(&bill));
    let check = |deny: &Path| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bill");
        std::fs::write(&file, &bill.stdout).unwrap();
        Command::new(root.join("scripts/licences.pl"))
            .arg(deny)
            .stdin(std::fs::File::open(file).unwrap())
            .output()
            .unwrap()
    };
    let checked = check(&root.join("deny.toml"));
    assert!(checked.status.success(), "{}", said(&checked));
    // It does look: without one of them, a crate is named.
    let folder = tempfile::tempdir().unwrap();
    let stricter = folder.path().join("deny.toml");
    let list = std::fs::read_to_string(root.join("deny.toml")).unwrap();
    std::fs::write(&stricter, list.replace("\"Unicode-3.0\",", "")).unwrap();
    let checked = check(&stricter);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains("unicode-ident"), "{}", said(&checked));
}

/// Bold as a typewriter does it: the letter, a step back, the letter.
fn without_overstrike(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match letter {
            '\u{8}' => drop(shown.pop()),
            letter => shown.push(letter),
        }
    }
    shown
}

#[test]
fn man_shows_every_page_without_a_warning() {
    if !is_installed("man") || !is_installed("groff") {
        return skip("man", "man and groff are not installed");
    }
    let mut pages = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("man")).unwrap() {
        let page = entry.unwrap().path();
        let output = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-Tutf8", "-l"])
            .arg(&page)
            .env("LC_ALL", "C.UTF-8")
            .env("MANWIDTH", "100")
            .output()
            .unwrap();
        let shown = without_overstrike(&String::from_utf8_lossy(&output.stdout));
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}: {}",
            page.display(),
            said(&output)
        );
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "SEE ALSO"] {
            let needless = section == "SYNOPSIS" && page.to_string_lossy().ends_with(".5");
            assert!(needless || shown.contains(section), "{}: no {section}", page.display());
        }
        pages += 1;
    }
    assert!(pages > 20, "{pages}");
}
