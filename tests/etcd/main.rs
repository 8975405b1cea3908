//! Clusters of two nodes to which an etcd cluster grants the right to write. On real servers, real daemons, Debian's etcd.

mod members;
#[path = "../support/mod.rs"]
mod support;

use members::Etcd;
use nix::sys::signal::Signal;
use support::cluster::Cluster;
use support::{eventually, user};

const STANDING: &str = "SELECT enforcement_on AND coalesce(remaining_ms, 0) > 0 FROM repmgr_write_right.status()";

/// Two nodes with daemons and automatic failover, and the right switched on.
fn guarded(cluster: &mut Cluster, settings: &str) {
    for node in &cluster.nodes {
        node.write_config(&(node.automatic_failover() + settings));
    }
    cluster.primary_up("shared_preload_libraries = 'repmgr'");
    cluster.standby_up(2);
    cluster.node(1).server.query("CREATE TABLE written (what text)");
    for id in 1..=2 {
        cluster.node_mut(id).start_daemon();
    }
    cluster.node(1).repmgr_ok(&["write-right", "enable", "--dry-run"]);
    cluster.node(2).repmgr_ok(&["write-right", "enable"]);
    for id in 1..=2 {
        let on = cluster.node(id).server.query("SHOW repmgr.require_write_right");
        assert_eq!(on, "on", "node{id}");
    }
}

fn writes(cluster: &Cluster, id: u32) -> Result<String, String> {
    cluster.node(id).server.try_query("INSERT INTO written VALUES ('it')")
}

fn may_write(cluster: &Cluster, id: u32) {
    eventually(&format!("node{id} may write"), || {
        writes(cluster, id).is_ok().then_some(())
    });
}

fn is_refused(cluster: &Cluster, id: u32) {
    eventually(&format!("node{id} may not write any more"), || {
        let refused = writes(cluster, id).err()?;
        refused.contains("does not hold the right to write").then_some(())
    });
}

fn holds(cluster: &Cluster, id: u32) -> bool {
    cluster.node(id).server.try_query(STANDING).as_deref() == Ok("t")
}

fn printed(cluster: &Cluster, id: u32, line: &[&str]) -> String {
    let output = cluster.node(id).repmgr(line);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn shown(cluster: &Cluster, id: u32) -> String {
    printed(cluster, id, &["write-right", "show", "--format=json"])
}

#[test]
fn the_holder_lapses_without_etcd_and_is_replaced_when_it_is_dead() {
    let mut cluster = Cluster::new("etcd-plain", 2);
    let mut etcd = Etcd::up(&cluster.folder);
    guarded(&mut cluster, &etcd.settings());
    may_write(&cluster, 1);
    assert!(shown(&cluster, 1).contains("\"holder\": 1"), "{}", shown(&cluster, 1));
    for verb in [["cluster", "show"], ["service", "status"]] {
        let text = printed(&cluster, 2, &verb);
        assert!(text.contains("| Holder | Epoch | Lease left"), "{text}");
        assert_eq!(text.matches("| node1  | 1     | ").count(), 2, "{text}");
    }

    // A member less is nothing; all silent is no right, until they are back.
    etcd.kill(0);
    for _ in 0..3 {
        may_write(&cluster, 1);
    }
    etcd.go_on(0);
    etcd.signal(Signal::SIGSTOP);
    is_refused(&cluster, 1);
    etcd.signal(Signal::SIGCONT);
    may_write(&cluster, 1);
    assert!(!cluster.node(2).server.is_primary());

    cluster.node(1).server.kill();
    cluster.wait_primary(2);
    assert!(holds(&cluster, 2), "it was promoted with the right");
    may_write(&cluster, 2);
    // Started by hand it is a primary still, and etcd knows that another had the right since.
    cluster.node(1).server.start();
    assert!(writes(&cluster, 1).is_err());
    eventually("its daemon has found that it was overtaken", || {
        let log = cluster.node(1).daemon_log();
        log.contains("rule \"overtaken\"").then_some(())
    });
    eventually("its server is stopped, out of the clients' way", || {
        (!cluster.node(1).server.is_running()).then_some(())
    });
    assert!(shown(&cluster, 2).contains("\"holder\": 2"), "{}", shown(&cluster, 2));
    // Told that it may, it comes back by itself.
    let first = cluster.node(1);
    first.write_config(&(first.automatic_failover() + &etcd.settings() + "rejoin=rewind\n"));
    first.signal_daemon(Signal::SIGHUP);
    cluster.wait_streaming(2, 1);
    may_write(&cluster, 2);
}

#[test]
fn a_user_over_tls_is_let_in_and_a_node_with_another_setting_is_not() {
    let mut cluster = Cluster::new("etcd-tls", 2);
    let etcd = Etcd::up_with_tls(&cluster.folder);
    let prefix = ["L215L2NsdXN0ZXIv", "L215L2NsdXN0ZXIw"];
    for (path, json) in [
        ("/v3/auth/user/add", r#"{"name":"root","password":"r"}"#.to_owned()),
        ("/v3/auth/role/add", r#"{"name":"root"}"#.to_owned()),
        ("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#.to_owned()),
        (
            "/v3/auth/user/add",
            r#"{"name":"repmgr","password":"geheim"}"#.to_owned(),
        ),
        ("/v3/auth/role/add", r#"{"name":"repmgr"}"#.to_owned()),
        (
            "/v3/auth/role/grant",
            format!(
                r#"{{"name":"repmgr","perm":{{"permType":"READWRITE","key":"{}","range_end":"{}"}}}}"#,
                prefix[0], prefix[1]
            ),
        ),
        ("/v3/auth/user/grant", r#"{"user":"repmgr","role":"repmgr"}"#.to_owned()),
        ("/v3/auth/enable", "{}".to_owned()),
    ] {
        etcd.ask(path, &json).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let password = cluster.folder.join("etcd-password");
    user::write(&password, "geheim\n");
    let settings = format!(
        "{}etcd_prefix='/my/cluster'\netcd_user=repmgr\netcd_password_file='{}'\n",
        etcd.settings(),
        password.display()
    );
    guarded(&mut cluster, &settings);
    may_write(&cluster, 1);

    // A wrong password is named, and the secret is not.
    user::write(&password, "falsch\n");
    let text = printed(&cluster, 1, &["write-right", "show"]);
    assert!(text.contains("user \"repmgr\" is not let in"), "{text}");
    assert!(!text.contains("falsch"), "{text}");
    let text = printed(&cluster, 1, &["cluster", "show"]);
    assert!(text.contains("etcd: unknown") && !text.contains("falsch"), "{text}");
    user::write(&password, "geheim\n");

    for id in 1..=2 {
        cluster.node(id).repmgr_ok(&["service", "pause"]);
    }
    cluster.node(1).server.stop("fast");
    cluster.node(2).repmgr_ok(&["standby", "promote"]);
    assert!(holds(&cluster, 2));
    may_write(&cluster, 2);

    // With another setting on the node that holds, nobody grants it anything.
    let node = cluster.node(2);
    node.write_config(&(node.automatic_failover() + "write_right=majority\nwrite_right_duration=3\n"));
    let refused = node.repmgr_fails(1, &["write-right", "force", "--give-up=1"]);
    assert!(refused.contains("etcd grants the right"), "{refused}");
    cluster.node_mut(2).stop_daemon();
    is_refused(&cluster, 2);
    cluster.node_mut(2).start_daemon();
    eventually("its daemon says why", || {
        let log = cluster.node(2).daemon_log();
        log.contains("was switched to \"write_right=etcd\"").then_some(())
    });
    assert!(writes(&cluster, 2).is_err());
    cluster.node_mut(2).stop_daemon();
    let node = cluster.node(2);
    node.write_config(&(node.automatic_failover() + &settings));
    cluster.node_mut(2).start_daemon();
    may_write(&cluster, 2);
}
