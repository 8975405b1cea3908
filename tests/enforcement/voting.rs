//! A node as a voter: what it has answered it remembers, in a file that belongs to this data directory alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use repmgr_write_right::{
    Answer, Ballot, Epoch, Identity, NodeId, Payload, Proposal, Purpose, Record, Request, Verdict, VoterList,
};

use crate::support::server::Server;
use crate::support::stage;
use crate::{Folder, Guarded, REFUSED};

fn ballot(round: u64, node: NodeId) -> Ballot {
    Ballot {
        round,
        node,
        incarnation: 1,
    }
}

fn list() -> VoterList {
    VoterList::first([1, 2, 3])
}

fn prepare(round: u64, node: NodeId) -> Request {
    Request::Prepare {
        ballot: ballot(round, node),
        list: list(),
    }
}

fn accept(purpose: Purpose, round: u64, node: NodeId, epoch: u64) -> Request {
    Request::Accept(Proposal {
        purpose,
        ballot: ballot(round, node),
        epoch: Epoch(epoch),
        length: 30_000,
        payload: Payload::default(),
        list: list(),
    })
}

fn sql(request: &Request) -> String {
    format!("SELECT repmgr_write_right.ask('{request}')")
}

fn ask(server: &Server, request: &Request) -> Answer {
    Answer::parse(&server.query(&sql(request))).expect("an answer")
}

fn file(server: &Server, end: &str) -> PathBuf {
    server.data.join(format!("pg_replslot/repmgr_write_right{end}"))
}

/// A server that is node 1, and its record has begun.
fn voter(settings: &str) -> Guarded {
    let server = Guarded::up(settings);
    server.query("CREATE EXTENSION repmgr");
    server.query("SELECT repmgr.set_local_node_id(1)");
    let founded = ask(&server, &Request::Found { list: list() });
    assert_eq!((founded.verdict, founded.node), (Verdict::Founded, 1));
    server
}

const VOTER: &str = "SELECT voter, node_id, holder, epoch, ballot, lease_remaining_ms BETWEEN 1 AND 30000, list_version, list, \
     silent_ms, loss FROM repmgr_write_right.status()";

#[test]
fn what_was_answered_outlives_every_end_of_the_server() {
    // Not preloaded: a voter needs none of it.
    let server = Guarded::up("");
    assert_eq!(server.query(VOTER), "none|||||||||");
    assert_eq!(server.session().ask(&sql(&Request::Status)), Err("55000".into()));
    server.query("CREATE EXTENSION repmgr");
    server.query("SELECT repmgr.set_local_node_id(1)");
    assert_eq!(
        server.session().ask("SELECT repmgr_write_right.ask('x')"),
        Err("22023".into())
    );
    // Asked for the first time, it may have forgotten anything.
    let first = ask(&server, &prepare(1, 1));
    assert_eq!(first.verdict, Verdict::Silent);
    assert!(server.query(VOTER).starts_with("silent|1|"), "{}", server.query(VOTER));
    assert_eq!(ask(&server, &Request::Found { list: list() }).verdict, Verdict::Founded);

    assert_eq!(ask(&server, &prepare(1, 2)).verdict, Verdict::Promised);
    let granted = ask(&server, &accept(Purpose::Acquire, 1, 2, 7));
    assert_eq!(granted.verdict, Verdict::Accepted);
    let standing = "voting|1|2|7|1.2.1|t|1|1:1,2,3::|0|";
    assert_eq!(server.query(VOTER), standing);
    for end in ["", ".volatile", ".lock"] {
        let mode = fs::metadata(file(&server, end)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{end}");
    }

    // The lease runs on, and the record says which node this is.
    for end in ["fast", "immediate", "kill -9"] {
        match end {
            "kill -9" => server.kill(),
            mode => server.stop(mode),
        }
        server.start();
        assert_eq!(ask(&server, &prepare(2, 3)).verdict, Verdict::Held, "{end}");
        assert_eq!(server.query(VOTER), standing, "{end}");
    }
    let again = ask(&server, &Request::Status);
    assert!(again.left > 0 && again.left <= granted.left, "{again:?}");

    // To renew is cheap: the durable part stays as it is.
    let inode = |end: &str| fs::metadata(file(&server, end)).expect("a file").ino();
    let before = (inode(""), inode(".volatile"));
    assert_eq!(
        ask(&server, &accept(Purpose::Renew, 1, 2, 7)).verdict,
        Verdict::Accepted
    );
    assert_eq!(inode(""), before.0);
    assert_ne!(inode(".volatile"), before.1);

    let released = Request::Release { ballot: ballot(1, 2) };
    assert_eq!(ask(&server, &released).verdict, Verdict::Released);
    assert_eq!(ask(&server, &prepare(2, 3)).verdict, Verdict::Promised);
}

#[test]
fn a_copy_of_the_data_directory_has_no_vote() {
    let server = voter("");
    assert_eq!(ask(&server, &prepare(1, 1)).verdict, Verdict::Promised);
    let folder = Folder::new();

    // A base backup has nothing of it; a standby answers as any other node.
    let standby = Server::new(&folder.0.join("standby"), stage::stage());
    let (data, conninfo) = (
        standby.data.display().to_string(),
        server.conninfo_as("postgres", "postgres"),
    );
    standby.run("pg_basebackup", &["-D", &data, "-R", "-c", "fast", "-d", &conninfo]);
    standby.configure("");
    assert!(!file(&standby, "").exists() && !file(&standby, ".volatile").exists());
    standby.start();
    assert_eq!(standby.query("SELECT pg_is_in_recovery()"), "t");
    standby.query("SELECT repmgr.set_local_node_id(2)");
    assert_eq!(
        ask(&standby, &Request::Found { list: list() }).verdict,
        Verdict::Founded
    );
    assert_eq!(ask(&standby, &prepare(1, 1)).verdict, Verdict::Promised);
    assert_eq!(
        ask(&standby, &accept(Purpose::Acquire, 1, 1, 1)).verdict,
        Verdict::Accepted
    );
    standby.stop("immediate");

    // A copy of all files has all of it, and says that it was written elsewhere.
    server.stop("fast");
    let copy = Server::new(&folder.0.join("copy"), stage::stage());
    let (from, to) = (server.data.display().to_string(), copy.data.display().to_string());
    stage::run("cp", copy.command("cp").args(["-a", &from, &to]));
    copy.configure("");
    copy.start();
    let answer = ask(&copy, &prepare(2, 1));
    assert_eq!((answer.verdict, answer.known), (Verdict::Silent, None));
    let loss = copy.query("SELECT loss FROM repmgr_write_right.status()");
    assert!(loss.contains("inode of the data directory"), "{loss}");
    // Where it was made, it counts.
    server.start();
    assert_eq!(ask(&server, &prepare(2, 1)).verdict, Verdict::Promised);

    // After a restart of the host the durable part counts, and the voter is silent for as long as a lease may have run.
    let text = |end: &str| fs::read_to_string(file(&server, end)).expect("a part of the record");
    let durable = text("");
    let word = |key: &str| durable.split_whitespace().find_map(|word| word.strip_prefix(key));
    let number = |key: &str| word(key).expect("a word").parse::<u64>().expect("a number");
    let here = Identity {
        system: number("system="),
        node: 1,
        boot: word("boot=").expect("a word").to_owned(),
        device: number("device="),
        inode: number("inode="),
    };
    let (mut earlier, loss) = Record::load(here, Some(&durable), Some(&text(".volatile")), 1_000_000_000_000);
    assert_eq!((loss.durable, loss.volatile), (None, None));
    earlier.identity.boot = "of an earlier start".replace(' ', "-");
    fs::write(file(&server, ""), earlier.durable_text()).expect("the durable part");
    fs::write(file(&server, ".volatile"), earlier.volatile_text()).expect("the volatile part");
    let answer = ask(&server, &prepare(3, 1));
    assert_eq!(answer.verdict, Verdict::Silent);
    assert!((1..=30_000).contains(&answer.silent), "{answer:?}");
    assert_eq!(answer.known.and_then(|known| known.promise), Some(ballot(2, 1)));
}

#[test]
fn questions_of_several_sessions_are_answered_one_after_the_other() {
    let server = voter("");
    let rounds = 1..=24;
    let asked: Vec<_> = rounds
        .clone()
        .map(|round| server.session().start(&sql(&prepare(round, 1))))
        .collect();
    let answers = asked
        .into_iter()
        .map(|asked| asked.join().expect("a session").expect("an answer"));
    let verdicts: Vec<Verdict> = answers
        .map(|text| Answer::parse(&text).expect("an answer").verdict)
        .collect();
    let promised = verdicts.iter().filter(|verdict| **verdict == Verdict::Promised).count();
    let refused = verdicts
        .iter()
        .filter(|verdict| **verdict == Verdict::LowerBallot)
        .count();
    assert_eq!(promised + refused, verdicts.len(), "{verdicts:?}");
    let last = ask(&server, &Request::Status).known.and_then(|known| known.promise);
    assert_eq!(last, Some(ballot(*rounds.end(), 1)));
    // Each promise is a change on disk, besides that of the beginning: none was written over an unseen one.
    let text = fs::read_to_string(file(&server, "")).expect("the durable part");
    assert!(
        text.contains(&format!("changes={}\n", promised + 1)),
        "{promised}: {text}"
    );

    // One that waits for another can be cancelled, and a lock ends with whoever holds it.
    let lock = fs::File::options()
        .write(true)
        .open(file(&server, ".lock"))
        .expect("the lock");
    lock.lock().expect("the lock");
    let session = server.session();
    session.run("SET statement_timeout = 200");
    assert_eq!(session.ask(&sql(&Request::Status)), Err("57014".into()));
    drop(lock);
    session.run(&sql(&Request::Status));
}

#[test]
fn without_a_place_for_it_on_disk_nothing_is_answered() {
    let server = voter("");
    let slots = server.data.join("pg_replslot");
    let text = || fs::read_to_string(file(&server, "")).expect("the durable part");
    let before = text();
    fs::set_permissions(&slots, fs::Permissions::from_mode(0o500)).expect("the permissions");
    let session = server.session();
    assert_eq!(session.ask(&sql(&prepare(1, 1))), Err("58030".into()));
    fs::set_permissions(&slots, fs::Permissions::from_mode(0o700)).expect("the permissions");
    assert_eq!(text(), before);
    let standing = Answer::parse(&session.run(&sql(&Request::Status))).expect("an answer");
    assert_eq!(standing.known.and_then(|known| known.promise), None);

    // What is no record is a lost one; what it was is said.
    fs::write(file(&server, ""), "repmgr-write-right/1 durable").expect("the durable part");
    let answer = Answer::parse(&session.run(&sql(&prepare(1, 1)))).expect("an answer");
    assert_eq!((answer.verdict, answer.known), (Verdict::Silent, None));
    let loss = session.run("SELECT loss FROM repmgr_write_right.status()");
    assert!(loss.contains("checksum"), "{loss}");
}

#[test]
fn a_refusal_names_the_holder_that_this_node_has_voted_for() {
    let server = voter("shared_preload_libraries = 'repmgr'");
    server.require(true);
    ask(&server, &prepare(1, 2));
    ask(&server, &accept(Purpose::Acquire, 1, 2, 4));
    server.lapse();
    assert_eq!(server.session().ask("INSERT INTO t VALUES (1)"), Err(REFUSED.into()));
    let error = server.try_query("INSERT INTO t VALUES (1)").expect_err("a refusal");
    assert!(error.contains("node 2, in epoch 4"), "{error}");
}
