//! What asks other hosts over SSH and only looks: `cluster matrix`, `cluster crosscheck`, and the rehearsals.

use crate::script::{Script, compare_on_hosts};
use crate::support::hosts::{POSTGRES, SSH};

#[test]
#[ignore = "make conformance"]
fn the_view_of_many_hosts() {
    compare_on_hosts("conformance-hosts", 3, hosts_script);
}

const SHOWS: &[&str] = &[
    "cluster matrix",
    "cluster matrix --csv",
    "cluster crosscheck",
    "cluster crosscheck --csv",
];

fn hosts_script(script: &mut Script) {
    let patience = "ssh_options='-q -o ConnectTimeout=2'\n";
    script.hosts().bring_up("shared_preload_libraries = 'repmgr'", patience);
    for id in [2, 3] {
        script.wait_replayed(1, id);
    }
    look(script, "all alive", &[1, 2]);
    script.shows(
        1,
        &[
            "cluster matrix --compact",
            "cluster crosscheck --terse --log-level=ERROR",
            "cluster matrix --node-id=2",
        ],
    );
    script
        .differs("nagios-where-not-supported", "exit 0\nREPMGR_CLUSTER_CROSSCHECK OK")
        .show(1, &["cluster", "crosscheck", "--nagios"]);
    let address = script.hosts().host(1).address.clone();
    for verb in ["matrix", "crosscheck"] {
        script.show(
            3,
            &["cluster", verb, "--csv", "-h", &address, "-U", "repmgr", "-d", "repmgr"],
        );
    }
    script.sql(1, "UPDATE repmgr.nodes SET active = false WHERE node_id = 3");
    script.wait_replayed(1, 2);
    look(script, "an inactive node", &[1, 2]);
    script.sql(1, "UPDATE repmgr.nodes SET active = true WHERE node_id = 3");
    script.sql(
        1,
        "INSERT INTO repmgr.nodes(node_id, upstream_node_id, node_name, type, conninfo, repluser, config_file) \
         VALUES (9, 1, 'node9', 'standby', 'host=127.0.0.1 port=1', 'repmgr', '/nosuch/repmgr.conf')",
    );
    script.wait_replayed(1, 2);
    look(script, "a record without a node", &[1]);
    script.sql(1, "DELETE FROM repmgr.nodes WHERE node_id = 9");
    script.cluster.node(3).server.stop("fast");
    look(script, "a server that is down", &[1, 2, 3]);
    script.cluster.node(3).server.start();
    script.cluster.wait_streaming(1, 3);
    script.hosts().stop_sshd(2);
    look(script, "a host without sshd", &[1, 2]);
    script.hosts().start_sshd(2);
    script.hosts().drop_port_from(2, 3, POSTGRES);
    look(script, "two hosts without a way between their servers", &[1, 2]);
    script.hosts().heal();
    script.hosts().drop_port(3, SSH);
    script.hosts().drop_port(3, POSTGRES);
    script.fact("a silent host", "");
    // The original waits ten seconds and more for it, each time.
    script.shows(1, &["cluster matrix --csv", "cluster crosscheck --csv"]);
    script.hosts().heal();
}

fn look(script: &mut Script, what: &str, ids: &[u32]) {
    script.fact(what, "");
    for &id in ids {
        script.shows(id, SHOWS);
    }
}
