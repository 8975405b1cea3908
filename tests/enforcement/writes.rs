//! What may not commit without the right, what may, and what is left behind.

use std::fs;

use crate::support::{eventually, user};
use crate::{Guarded, LONG, REFUSED};

/// One for each way to write, in a session of its own. Nothing of them is there afterwards.
const WRITES: [&str; 30] = [
    "INSERT INTO t VALUES (100)",
    "UPDATE t SET n = n + 100",
    "DELETE FROM t",
    "TRUNCATE t",
    "WITH x AS (INSERT INTO t VALUES (100) RETURNING n) SELECT * FROM x",
    "BEGIN; SAVEPOINT s; INSERT INTO t VALUES (100); RELEASE s; COMMIT",
    "SELECT n FROM t FOR UPDATE",
    "SELECT nextval('fresh')",
    "SELECT lo_create(0)",
    "SELECT pg_current_xact_id()",
    "COPY t FROM PROGRAM 'echo 100'",
    "CREATE TABLE other AS SELECT 1",
    "CREATE TEMP TABLE own (n integer)",
    "ALTER TABLE t SET TABLESPACE spare",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY view",
    "ANALYZE t",
    "VACUUM FULL t",
    "REINDEX TABLE t",
    "GRANT SELECT ON t TO PUBLIC",
    "DO $$ BEGIN INSERT INTO t VALUES (100); COMMIT; END $$",
    "BEGIN; INSERT INTO held VALUES (100); PREPARE TRANSACTION 'another'",
    "COMMIT PREPARED 'to commit'",
    "ROLLBACK PREPARED 'to roll back'",
    "CREATE DATABASE another",
    "DROP DATABASE victim",
    "ALTER DATABASE victim SET TABLESPACE spare",
    "CREATE INDEX CONCURRENTLY another ON t (n)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX INDEX CONCURRENTLY i",
    "DROP TABLESPACE spare",
];

/// What goes on.
const READS: [&str; 11] = [
    "SELECT count(*) FROM t",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH c; COMMIT",
    "BEGIN READ ONLY; SELECT * FROM t; COMMIT",
    "COPY t TO PROGRAM 'cat >/dev/null'",
    "SET work_mem = '1MB'",
    "LISTEN x; NOTIFY x",
    "VACUUM t",
    "CHECKPOINT",
    "ALTER SYSTEM SET log_min_messages = 'info'",
    "SELECT pg_export_snapshot()",
    "EXPLAIN ANALYZE SELECT * FROM t",
];

/// What [`WRITES`] would change.
const THERE: &str = "SELECT (SELECT string_agg(n::text, ',' ORDER BY n) FROM t), (SELECT count(*) FROM held), \
     (SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname NOT LIKE 'template%'), \
     (SELECT string_agg(gid, ',' ORDER BY gid) FROM pg_prepared_xacts), \
     (SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace), \
     (SELECT count(*) FROM pg_index WHERE NOT indisvalid), \
     (SELECT count(*) FROM pg_inherits WHERE inhdetachpending), \
     (SELECT string_agg(spcname, ',' ORDER BY spcname) FROM pg_tablespace), \
     (SELECT count(*) FROM pg_largeobject_metadata), \
     (SELECT dattablespace FROM pg_database WHERE datname = 'victim'), \
     (SELECT reltablespace FROM pg_class WHERE relname = 't')";

#[test]
fn every_way_to_write_is_refused_and_leaves_nothing_behind() {
    let server = Guarded::on("max_prepared_transactions = 10");
    let spare = server.folder.join("spare");
    user::folder(&spare);
    let unused = server.folder.join("unused");
    user::folder(&unused);
    let since_14 = server.stage.major >= 14;
    for sql in [
        "INSERT INTO t VALUES (1), (2)",
        "CREATE INDEX i ON t (n)",
        "CREATE SEQUENCE fresh",
        "CREATE MATERIALIZED VIEW view AS SELECT 1 AS n",
        "CREATE UNIQUE INDEX j ON view (n)",
        "CREATE TABLE parts (n integer) PARTITION BY LIST (n)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES IN (1)",
        &format!("CREATE TABLESPACE spare LOCATION '{}'", spare.display()),
        "CREATE DATABASE victim",
        "CREATE TABLE held (n integer)",
        "BEGIN; INSERT INTO held VALUES (3); PREPARE TRANSACTION 'to commit'",
        "BEGIN; INSERT INTO held VALUES (4); PREPARE TRANSACTION 'to roll back'",
    ] {
        server.hold(LONG);
        server.query(sql);
    }
    let there = if since_14 {
        THERE.to_owned()
    } else {
        THERE.replace("inhdetachpending", "false")
    };
    let before = server.query(&there);

    server.lapse();
    let tablespace = format!("CREATE TABLESPACE another LOCATION '{}'", unused.display());
    let detach = "ALTER TABLE parts DETACH PARTITION part CONCURRENTLY";
    let mut writes = WRITES.to_vec();
    writes.push(&tablespace);
    if since_14 {
        writes.push(detach);
    }
    for sql in &writes {
        assert_eq!(server.session().ask(sql), Err(REFUSED.into()), "{sql}");
    }
    assert_eq!(server.query(&there), before);
    assert_eq!(fs::read_dir(&unused).expect("the folder").count(), 0);
    let session = server.session();
    for sql in READS {
        assert_eq!(session.ask(sql).err(), None, "{sql}");
    }
    let extended = session.execute("INSERT INTO t VALUES (100)");
    assert_eq!(extended, Err(REFUSED.into()));

    // With the right, all of them do what they say.
    server.hold(LONG);
    let order = |sql: &&&str| sql.starts_with("DROP DATABASE") || sql.starts_with("DROP INDEX");
    for sql in writes
        .iter()
        .filter(|sql| !order(sql))
        .chain(writes.iter().filter(order))
    {
        // One that moves everything into it, and the other that drops it.
        if !sql.ends_with("TABLESPACE spare") {
            server.hold(LONG);
            assert_eq!(server.session().ask(sql).err(), None, "{sql}");
        }
    }
    let there_then = server.query("SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'to %'");
    assert_eq!(there_then, "0");
}

#[test]
fn transactions_that_were_open_before_the_end_are_caught() {
    let server = Guarded::on("");
    server.query("CREATE FUNCTION writes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (100); RETURN NULL; END $$");
    let sessions: Vec<_> = (0..4).map(|_| server.session()).collect();
    let [written, reading, late, prepared] = &sessions[..] else {
        unreachable!()
    };
    written.run("BEGIN; INSERT INTO t VALUES (101)");
    reading.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t");
    late.run("BEGIN; SELECT count(*) FROM t");
    prepared.run("PREPARE p AS INSERT INTO t VALUES (102)");
    // One that commits in the middle: the first commit is in time.
    server.query(
        "CREATE PROCEDURE twice() LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO t VALUES (1); COMMIT; PERFORM pg_advisory_lock(1); INSERT INTO t VALUES (103); COMMIT; END $$",
    );
    let keeper = server.session();
    keeper.run("SELECT pg_advisory_lock(1)");
    let procedure = server.session().start("CALL twice()");
    server.waiting("advisory", 1);

    server.lapse();
    assert_eq!(written.ask("COMMIT"), Err(REFUSED.into()));
    reading.run("SELECT count(*) FROM t; COMMIT");
    late.run("INSERT INTO t VALUES (104)");
    assert_eq!(late.ask("COMMIT AND CHAIN"), Err(REFUSED.into()));
    assert_eq!(prepared.ask("EXECUTE p"), Err(REFUSED.into()));
    keeper.run("SELECT pg_advisory_unlock(1)");
    assert_eq!(procedure.join().expect("the session"), Err(REFUSED.into()));
    // The sessions go on: they may read, and write again when the right is back.
    for session in &sessions {
        session.run("SELECT 1");
    }
    server.hold(LONG);
    written.run("INSERT INTO t VALUES (2)");
    assert_eq!(server.rows(), "1,2");
}

#[test]
fn the_refusal_says_what_is_wrong_and_who_may_write() {
    let server = Guarded::on("");
    server.lapse();
    let error = server.try_query("INSERT INTO t VALUES (1)").expect_err("a refusal");
    assert!(error.contains("does not hold the right to write"), "{error}");
    assert!(error.contains("DETAIL:") && error.contains("HINT:"), "{error}");
    // The server's own errors come through as they are.
    let error = server
        .try_query("CREATE INDEX CONCURRENTLY i ON absent (n)")
        .expect_err("an error");
    assert!(error.contains("cannot execute CREATE INDEX CONCURRENTLY"), "{error}");
    server.hold(LONG);
    let error = server.try_query("CREATE TABLE x (n nothing)").expect_err("an error");
    assert!(error.contains("LINE 1: CREATE TABLE x (n nothing)"), "{error}");
}

#[test]
fn autovacuum_goes_on_and_what_it_may_not_commit_is_done_later() {
    let settings = "autovacuum_naptime = 1s\nautovacuum_analyze_threshold = 1\nautovacuum_analyze_scale_factor = 0";
    let server = Guarded::on(settings);
    // Before PostgreSQL 15 a session that is idle keeps to itself what it has just changed, until it ends.
    server.query("INSERT INTO t SELECT generate_series(1, 1000)");
    server.lapse();
    server.query("ALTER SYSTEM SET autovacuum = on");
    server.query("SELECT pg_reload_conf()");
    eventually("a worker is refused", || {
        server
            .log()
            .contains("automatic analyze of table \"repmgr.public.t\"")
            .then_some(())
    });
    let analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 't'";
    assert_eq!(server.query(analyzed), "0");
    eventually("the table is analyzed", || {
        // It counts changes anew even after an analysis that failed.
        server.hold(LONG);
        server.query("INSERT INTO t SELECT generate_series(1, 10)");
        (server.query(analyzed) == "1").then_some(())
    });
}
