//! The old primary is back before the winner is promoted: the winner says so, and the loser stays.

use crate::mix::{Make, ORIGINAL, OURS, answers, cluster, daemons_up, event, primary_up, receives, standby_up, term};
use crate::support::{PATIENCE, user, within};

fn the_old_primary_is_back(name: &str, winner: Make, loser: Make) {
    let Some(mut cluster) = cluster(name, &[ORIGINAL, winner, loser], "") else {
        return;
    };
    let (begun, go) = (cluster.folder.join("begun"), cluster.folder.join("go"));
    let promote = format!(
        "promote_command='touch {}; until test -e {}; do sleep 0.1; done; exit 1'\n",
        begun.display(),
        go.display()
    );
    let node = cluster.node(2);
    let settings = node.automatic_failover();
    let others = settings.lines().filter(|line| !line.starts_with("promote_command"));
    let settings: String = others.map(|line| format!("{line}\n")).collect();
    node.write_config(&format!("{settings}{promote}priority=200\n"));
    primary_up(&cluster);
    standby_up(&cluster, 2, 1);
    standby_up(&cluster, 3, 1);
    daemons_up(&mut cluster);
    cluster.node(1).server.kill();
    within(PATIENCE * 2, "the promotion of node2 has begun", || {
        begun.exists().then_some(())
    });
    cluster.node(1).server.start();
    user::write(&go, "");
    event(&cluster, 1, 2, "repmgrd_failover_abort");
    for standby in [2, 3] {
        receives(&cluster, standby, 1);
        let seen = "SELECT repmgr.get_upstream_node_id(), repmgr.get_upstream_last_seen() BETWEEN 0 AND 3";
        answers(&cluster, standby, seen, "1|t");
    }
    assert_eq!(cluster.primaries(), [1]);
    assert_eq!(term(&cluster, 1), "1");
    let active = "SELECT count(*) FROM repmgr.nodes WHERE active AND (type = 'primary') = (node_id = 1)";
    answers(&cluster, 1, active, "3");
}

#[test]
#[ignore = "make mixed"]
fn ours_gives_up_and_the_original_stays() {
    the_old_primary_is_back("ours-gives-up", OURS, ORIGINAL);
}

#[test]
#[ignore = "make mixed"]
fn the_original_gives_up_and_we_stay() {
    the_old_primary_is_back("original-gives-up", ORIGINAL, OURS);
}
