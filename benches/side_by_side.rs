//! Side by side with the original: the same commands on two clusters of three
//! hosts, one with each, in turn. Prints a table of ratios; ends with 1 if a
//! goal is missed.
//!
//! `make bench`, as root. `BENCH_ROUNDS` is the number of rounds (5); `BENCH_PROGRAM` is another build of ours.

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use support::hosts::Hosts;
use support::{eventually, stage, user};

/// The connect timeout of every node.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What is wanted of ours.
enum Goal {
    /// At most this part of the original's time.
    Part(f64),
    /// At most this time.
    Limit(Duration),
}

/// The times of one command.
struct Comparison {
    title: &'static str,
    goal: Goal,
    ours: Vec<Duration>,
    original: Vec<Duration>,
}

impl Comparison {
    fn is_met(&self) -> bool {
        match self.goal {
            Goal::Part(part) => median(&self.ours) <= median(&self.original).mul_f64(part),
            Goal::Limit(limit) => median(&self.ours) <= limit,
        }
    }

    fn line(&self) -> String {
        let times = |times: &[Duration]| {
            let min = times.iter().min().expect("a round");
            format!("{:>8.3} {:>8.3}", min.as_secs_f64(), median(times).as_secs_f64())
        };
        let goal = match self.goal {
            Goal::Part(part) => format!("ratio {part:.2}"),
            Goal::Limit(limit) => format!("{:.1} s", limit.as_secs_f64()),
        };
        format!(
            "{:<36} {}   {}   {:>5.2}   {:<10} {}",
            self.title,
            times(&self.ours),
            times(&self.original),
            median(&self.ours).as_secs_f64() / median(&self.original).as_secs_f64(),
            goal,
            if self.is_met() { "met" } else { "MISSED" }
        )
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// Runs a command on a host with nothing but its own start in the measured time.
fn measure(hosts: &Hosts, id: u32, arguments: &[&str], codes: &[i32]) -> Duration {
    let node = hosts.node(id);
    let script = "from=$EPOCHREALTIME; \"$@\" >\"$0\" 2>&1; code=$?; to=$EPOCHREALTIME; echo $from $to $code";
    let output_file = hosts.host(id).home.join("output");
    let output = hosts
        .command(id, "bash")
        .args(["-c", script])
        .arg(&output_file)
        .arg(node.programs.join("repmgr"))
        .arg("-f")
        .arg(&node.config_file)
        .args(arguments)
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [from, to, code] = words[..] else {
        panic!("{output:?}");
    };
    let code: i32 = code.parse().expect("an exit code");
    let said = std::fs::read_to_string(&output_file).unwrap_or_default();
    assert!(codes.contains(&code), "{arguments:?} ended with {code}:\n{said}");
    Duration::from_micros(micros(to) - micros(from))
}

/// What bash calls `EPOCHREALTIME`, as one number.
fn micros(time: &str) -> u64 {
    time.replace(['.', ','], "").parse().expect("a time")
}

struct Bench {
    ours: Hosts,
    original: Hosts,
    comparisons: Vec<Comparison>,
}

impl Bench {
    fn compare_switchovers(&mut self, rounds: usize) {
        for hosts in [&self.ours, &self.original] {
            hosts
                .node(1)
                .server
                .query("CREATE TABLE public.written (at timestamptz)");
        }
        let comparison = |title, goal| Comparison {
            title,
            goal,
            ours: Vec::new(),
            original: Vec::new(),
        };
        let mut time = comparison("switchover --siblings-follow", Goal::Part(0.5));
        let mut outage = comparison("  its write outage", Goal::Part(1.0));
        for to in [2, 1].into_iter().cycle().take(rounds) {
            let (took, nobody_wrote) = switch_over(&self.ours, to);
            time.ours.push(took);
            outage.ours.push(nobody_wrote);
            let (took, nobody_wrote) = switch_over(&self.original, to);
            time.original.push(took);
            outage.original.push(nobody_wrote);
        }
        for comparison in [time, outage] {
            eprintln!("{}", comparison.line());
            self.comparisons.push(comparison);
        }
    }

    fn compare(&mut self, title: &'static str, goal: Goal, rounds: usize, arguments: &[&str], codes: &[i32]) {
        eprintln!("{title}");
        let mut comparison = Comparison {
            title,
            goal,
            ours: Vec::new(),
            original: Vec::new(),
        };
        for _ in 0..rounds {
            comparison.ours.push(measure(&self.ours, 1, arguments, codes));
            comparison.original.push(measure(&self.original, 1, arguments, codes));
        }
        eprintln!("{}", comparison.line());
        self.comparisons.push(comparison);
    }
}

/// A client on host 3 that writes a row as often as it can, wherever the primary is, and notes when it succeeded.
struct Writer {
    process: Child,
    times: PathBuf,
}

impl Writer {
    fn start(hosts: &Hosts) -> Writer {
        let times = hosts.host(3).home.join("times");
        // The writer of the round before had the same file.
        let _ = std::fs::remove_file(&times);
        let names: Vec<&str> = (1..=3).map(|id| hosts.host(id).address.as_str()).collect();
        let server = &hosts.node(3).server;
        let conninfo = format!(
            "host={} port={} user=repmgr dbname=repmgr connect_timeout=1 target_session_attrs=read-write",
            names.join(","),
            server.port
        );
        let script = "while :; do \"$@\" >/dev/null 2>&1 && echo $EPOCHREALTIME >>\"$0\"; done";
        let process = hosts
            .command(3, "bash")
            .args(["-c", script])
            .arg(&times)
            .arg(server.stage.bindir.join("psql"))
            .args(["-X", "-d", &conninfo, "-c", "INSERT INTO public.written VALUES (now())"])
            .spawn()
            .expect("bash");
        let writer = Writer { process, times };
        writer.wait_for_more();
        writer
    }

    fn successes(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.times).unwrap_or_default();
        text.lines().filter(|line| line.len() > 10).map(micros).collect()
    }

    fn wait_for_more(&self) {
        let before = self.successes().len();
        eventually("rows are written", || {
            (self.successes().len() > before + 2).then_some(())
        });
    }

    /// The longest time between two rows.
    fn outage(mut self) -> Duration {
        self.wait_for_more();
        self.process.kill().expect("the writer");
        self.process.wait().expect("the writer");
        let successes = self.successes();
        let gaps = successes.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
        Duration::from_micros(gaps.max().expect("two rows"))
    }
}

/// Makes a standby the primary; how long that took, and how long nobody could write.
fn switch_over(hosts: &Hosts, to: u32) -> (Duration, Duration) {
    let writer = Writer::start(hosts);
    let time = measure(hosts, to, &["standby", "switchover", "--siblings-follow"], &[0]);
    let outage = writer.outage();
    for standby in (1..=3).filter(|id| *id != to) {
        hosts.wait_streaming(to, standby);
    }
    (time, outage)
}

/// The program as it is shipped, not the one of the tests.
fn ours() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("repmgr-oxide-bench-{}", std::process::id()));
    user::folder(&folder);
    let program = std::env::var("BENCH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_repmgr").to_owned());
    for name in ["repmgr", "repmgrd"] {
        user::copy_program(Path::new(&program), &folder.join(name));
    }
    folder
}

fn main() {
    let Some(original) = stage::original() else {
        eprintln!("ERROR: the original is not staged");
        eprintln!("HINT: run scripts/stage-original.sh");
        std::process::exit(1);
    };
    let rounds = std::env::var("BENCH_ROUNDS").map_or(5, |text| text.parse().expect("BENCH_ROUNDS: a number"));
    let programs = ours();
    let both = (
        Hosts::with_stage("bench-ours", 3, stage::stage(), &programs),
        Hosts::with_stage("bench-original", 3, original, &original.bindir),
    );
    let (Some(ours), Some(original)) = both else {
        std::process::exit(1);
    };
    for hosts in [&ours, &original] {
        hosts.bring_up("shared_preload_libraries = 'repmgr'", "");
    }
    let mut bench = Bench {
        ours,
        original,
        comparisons: Vec::new(),
    };
    // These are over so soon that what else the machine does counts for more.
    let many = rounds * 5;
    bench.compare("cluster show", Goal::Part(0.5), many, &["cluster", "show"], &[0]);
    bench.compare("node check", Goal::Part(0.5), many, &["node", "check"], &[0]);
    let crosscheck = ["cluster", "crosscheck"];
    bench.compare("cluster crosscheck", Goal::Part(0.25), rounds, &crosscheck, &[0]);
    bench.ours.isolate(3);
    bench.original.isolate(3);
    let limit = CONNECT_TIMEOUT + Duration::from_millis(500);
    let title = "cluster crosscheck, one host silent";
    bench.compare(title, Goal::Limit(limit), rounds.min(3), &crosscheck, &[25]);
    bench.ours.heal();
    bench.original.heal();
    bench.compare_switchovers(rounds.min(3));

    println!("\nseconds                                  ours min/median    original min/median   ratio   goal");
    for comparison in &bench.comparisons {
        println!("{}", comparison.line());
    }
    let missed = bench.comparisons.iter().any(|comparison| !comparison.is_met());
    let _ = std::fs::remove_dir_all(programs);
    drop(bench);
    if missed {
        std::process::exit(1);
    }
}
