//! Clients that write wherever they can, and how long none of them could.

use std::path::PathBuf;
use std::process::Child;

use crate::support::eventually;
use crate::support::hosts::Hosts;

/// The host of the clients, behind the three of the cluster.
const CLIENT: u32 = 4;

/// For each server a client, on a host of their own, that writes a row as often as it can and notes when it succeeded.
pub struct Writers {
    processes: Vec<Child>,
    times: PathBuf,
}

impl Drop for Writers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Writers {
    /// Writers to all servers, of which one is a primary.
    pub fn start(hosts: &Hosts) -> Writers {
        let times = hosts.host(CLIENT).home.join("times");
        // The writers of the round before had the same file.
        let _ = std::fs::remove_file(&times);
        let script = "while :; do \"$@\" >/dev/null 2>&1 && echo $EPOCHREALTIME >>\"$0\"; sleep 0.01; done";
        let write = |id: u32| {
            let conninfo = format!(
                "host={} port={} user=repmgr dbname=repmgr connect_timeout=2",
                hosts.host(id).address,
                hosts.node(id).server.port
            );
            hosts
                .command(CLIENT, "bash")
                .args(["-c", script])
                .arg(&times)
                .arg(hosts.node(id).server.stage.bindir.join("psql"))
                .args(["-X", "-d", &conninfo, "-c", "INSERT INTO public.written VALUES (now())"])
                .spawn()
                .expect("bash")
        };
        let processes = hosts.nodes.iter().map(|node| write(node.id)).collect();
        let writers = Writers { processes, times };
        writers.wait_for_more();
        writers
    }

    fn successes(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(&self.times).unwrap_or_default();
        let mut times: Vec<u64> = text.lines().filter(|line| line.len() > 10).map(micros).collect();
        times.sort_unstable();
        times
    }

    /// Waits until rows are written.
    pub fn wait_for_more(&self) {
        let before = self.successes().len();
        eventually("rows are written", || {
            (self.successes().len() > before + 2).then_some(())
        });
    }

    /// The longest time between two rows, in seconds.
    pub fn outage(self) -> f64 {
        self.wait_for_more();
        let successes = self.successes();
        let gaps = successes.windows(2).map(|pair| pair[1] - pair[0]);
        seconds(gaps.max().expect("two rows"))
    }
}

/// What bash calls `EPOCHREALTIME`, as one number.
pub fn micros(time: &str) -> u64 {
    time.replace(['.', ','], "").parse().expect("a time")
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "a time of a bench")]
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
