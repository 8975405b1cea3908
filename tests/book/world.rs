//! Hosts on which the examples are run (`world.sh` says how), and what a page may take for granted on them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::pages::{Example, is_seen, page};
use crate::support::{skip, stage};

/// The longest that one example may take on a busy machine, in seconds.
const LIMIT: &str = "240";

/// The hosts of the nodes.
const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// Makes a node one of the original's.
const OF_THE_ORIGINAL: &str = "apt install repmgr postgresql-15-repmgr\n\
    pg_conftool 15 main set shared_preload_libraries repmgr\n\
    pg_ctlcluster 15 main restart";

/// What the pages' `connect_timeout=2` is here.
const PATIENT: &str = "connect_timeout=20";

/// What is there when a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// Three hosts with the packages.
    Hosts,
    /// What one has after `setup.md`: a primary and two standbys.
    Cluster,
    /// The same with running daemons, as after the first part of `automatic.md`.
    Daemons,
    /// The same with programs, library and daemons of the original.
    Originals,
}

/// Running hosts; they and their files are gone when dropped.
pub struct World {
    folder: PathBuf,
    process: Child,
    input: Option<ChildStdin>,
    inner: String,
}

/// Why no hosts can be made here, if so.
fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("hosts with a system of their own need root".to_owned());
    }
    let missing = ["pg_createcluster", "sshd", "ip", "nsenter", "start-stop-daemon"]
        .into_iter()
        .find(|program| {
            let there = |folder: &str| Path::new(folder).join(program).exists();
            !["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .iter()
                .any(|folder| there(folder))
        });
    if let Some(program) = missing {
        return Some(format!("{program} is not installed"));
    }
    book_stage().err()
}

/// The folder of `scripts/stage-book.sh`.
fn book_stage() -> Result<PathBuf, String> {
    let pointer = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/stage-book-path");
    let text = std::fs::read_to_string(pointer).map_err(|_| "scripts/stage-book.sh was not run".to_owned())?;
    Ok(PathBuf::from(text.trim()))
}

/// Whether the examples of a page can be run here; says so if not.
pub fn is_possible(given: Given) -> bool {
    let without_original = given == Given::Originals && stage::original().is_none();
    let missing = without_original.then(|| "scripts/stage-original.sh was not run".to_owned());
    match obstacle().or(missing) {
        Some(reason) => {
            skip("book", &reason);
            false
        }
        None => true,
    }
}

fn new_folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("repmgr-oxide-book-{}-{number}", std::process::id()))
}

/// The files of the hosts after `setup.md`, made once and copied for every page.
struct Template(PathBuf);

fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    &TEMPLATE
        .get_or_init(|| {
            // Who writes a page need not wait for it each time.
            let kept = std::env::var_os("BOOK_TEMPLATE").map(PathBuf::from);
            if let Some(folder) = kept.as_ref().filter(|folder| folder.exists()) {
                return Template(folder.clone());
            }
            let world = World::start(new_folder(), &["node1", "node2", "node3", "witness", "admin"]);
            for example in page("setup.md").examples() {
                world.play("setup.md", &example);
            }
            for node in ["node3", "node2", "node1"] {
                world.must(node, "root", "pg_ctlcluster 15 main stop");
            }
            let folder = world.end();
            match kept {
                Some(kept) => {
                    std::fs::rename(&folder, &kept).expect("the kept template");
                    Template(kept)
                }
                None => Template(folder),
            }
        })
        .0
}

/// Removes what the pages were copied from; nothing in a static is dropped.
pub fn forget_leftovers() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix("repmgr-oxide-book-")
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl World {
    /// The hosts of a page.
    pub fn new(given: Given) -> World {
        forget_leftovers();
        let hosts = ["node1", "node2", "node3", "witness", "admin"];
        if given == Given::Hosts {
            return World::start(new_folder(), &hosts);
        }
        let folder = new_folder();
        let status = Command::new("cp").arg("-a").arg(template()).arg(&folder).status();
        assert!(status.expect("cp").success(), "the files of the hosts were not copied");
        let world = World::start(folder, &hosts);
        for node in NODES {
            world.must(node, "root", "pg_ctlcluster 15 main start");
        }
        world.wait_streaming();
        if given == Given::Originals {
            for node in NODES {
                world.must(node, "root", OF_THE_ORIGINAL);
            }
            world.wait_streaming();
        }
        if given != Given::Cluster {
            let setting_up = page("automatic.md").examples();
            let heading = setting_up[0].heading.clone();
            for example in setting_up.iter().filter(|example| example.heading == heading) {
                world.play("automatic.md", example);
            }
        }
        world
    }

    fn wait_streaming(&self) {
        for node in ["node2", "node3"] {
            let streams = format!(
                "until [ \"$(psql -XAtc \"SELECT 1 FROM pg_stat_replication WHERE application_name = '{node}' \
                 AND state = 'streaming'\")\" = 1 ]; do sleep 0.1; done"
            );
            self.must("node1", "postgres", &streams);
        }
    }

    fn start(folder: PathBuf, hosts: &[&str]) -> World {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        stage::programs();
        let services = folder.join("services");
        std::fs::create_dir_all(&services).expect("a folder");
        for file in [
            "tests/book/systemctl",
            "tests/book/journalctl",
            "tests/book/apt",
            "tests/book/mail",
            "packaging/debian/repmgrd-service",
        ] {
            let name = Path::new(file).file_name().expect("a name");
            std::fs::copy(own.join(file), services.join(name)).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        let original = stage::original().map(|original| ("original", original));
        for (name, stage) in original.into_iter().chain([("ours", stage::stage())]) {
            let link = services.join(name);
            // An earlier world's, if these are its files.
            if link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink(&stage.root, link).expect("a link to what apt installs");
            }
        }
        let layers = format!(
            "{}:{}",
            stage::stage().root.display(),
            book_stage().expect("the packages").display()
        );
        let mut process = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--net", "bash"])
            .arg(own.join("tests/book/world.sh"))
            .arg(&folder)
            .arg(layers)
            .arg(&services)
            .args(hosts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut said = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut said).expect("what the hosts say");
        let children = format!("/proc/{0}/task/{0}/children", process.id());
        let inner = std::fs::read_to_string(children).unwrap_or_default().trim().to_owned();
        let input = process.stdin.take();
        let world = World {
            folder,
            process,
            input,
            inner,
        };
        assert_eq!(said, "ready\n", "the hosts could not be made");
        world
    }

    /// Runs lines of shell on a host; 15 stands for the version of PostgreSQL that is there, and a busy machine gets more
    /// than two seconds for a connection.
    pub fn run(&self, host: &str, user: &str, script: &str) -> Output {
        let major = stage::stage().major.to_string();
        let script = script
            .replace("connect_timeout=2", PATIENT)
            .replace(
                "user=repmgr dbname=repmgr'",
                &format!("user=repmgr dbname=repmgr {PATIENT}'"),
            )
            .replace(
                "-h node1 -U repmgr -d repmgr",
                &format!("-d 'host=node1 user=repmgr dbname=repmgr {PATIENT}'"),
            )
            .replace(
                "-h node2 -U repmgr -d repmgr",
                &format!("-d 'host=node2 user=repmgr dbname=repmgr {PATIENT}'"),
            )
            .replace("/15/", &format!("/{major}/"))
            .replace(" 15 main", &format!(" {major} main"))
            .replace("15-main", &format!("{major}-main"))
            .replace("-15", &format!("-{major}"));
        Command::new("nsenter")
            .args(["-t", &self.inner, "--mount", "--pid", "--net", "--"])
            .arg(self.folder.join("enter"))
            .args([host, user, "timeout", LIMIT, "bash", "-c"])
            .arg(format!("exec 2>&1; set -euo pipefail\n{script}"))
            .stdin(Stdio::null())
            .output()
            .expect("nsenter")
    }

    /// The same for what has to succeed; gives what it said.
    pub fn must(&self, host: &str, user: &str, script: &str) -> String {
        let output = self.run(host, user, script);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{host}, {user}: {}\n{script}\n--\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }

    /// Does what an example says, and compares what is seen.
    pub fn play(&self, page: &str, example: &Example) {
        let mut said = String::new();
        let started = std::time::Instant::now();
        for host in &example.hosts {
            let output = self.run(host, &example.user, &example.script);
            said.push_str(&String::from_utf8_lossy(&output.stdout));
            assert!(
                output.status.success(),
                "docs/{page}:{} on {host}: {}\n{}--\n{said}{}",
                example.line,
                output.status,
                example.script,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        if std::env::var_os("BOOK_SHOW").is_some() {
            eprintln!(
                "== docs/{page}:{} ({:.1} s)\n{}--\n{said}",
                example.line,
                started.elapsed().as_secs_f32(),
                example.script
            );
        }
        if let Some(expected) = &example.seen
            && let Err(line) = is_seen(&expected.replace("connect_timeout=2", PATIENT), &said)
        {
            panic!(
                "docs/{page}:{}: not seen: {line}\n{}--\n{said}",
                example.line, example.script
            );
        }
    }

    fn shut_down(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }

    /// Ends all hosts and keeps their files.
    fn end(mut self) -> PathBuf {
        self.shut_down();
        std::mem::take(&mut self.folder)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shut_down();
        if !self.folder.as_os_str().is_empty() && std::env::var_os("KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
