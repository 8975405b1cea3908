//! Examples from PostgreSQL's documentation ("Connection Strings"), and what libpq makes of odd ones.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Vec<(String, String)> {
    let conninfo = Conninfo::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let conninfo = conninfo.in_libpq_order();
    conninfo.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The parameters of a string in one line, each value in angle brackets.
fn shown(text: &str) -> String {
    let parameters = parsed(text);
    let parts: Vec<String> = parameters.iter().map(|(k, v)| format!("{k}=<{v}>")).collect();
    parts.join(" ")
}

fn refused(text: &str) -> String {
    match Conninfo::parse(text) {
        Ok(conninfo) => panic!("{text} was taken for {conninfo:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_keyword_form_is_read_as_libpq_reads_it() {
    for (text, expected) in [
        ("", ""),
        ("  \t\n ", ""),
        ("host=localhost port=5432", "host=<localhost> port=<5432>"),
        (
            "host = localhost\n\tport\u{b}=\u{c}5432",
            "host=<localhost> port=<5432>",
        ),
        ("password='a b' user=me", "user=<me> password=<a b>"),
        (r"password='it\'s \\ fine'", r"password=<it's \ fine>"),
        (r"password=it\'s\ \\", r"password=<it's \>"),
        (r"password='a'user=me", "user=<me> password=<a>"),
        ("user=o'brien", "user=<o'brien>"),
        ("user=first user=second", "user=<second>"),
        ("user= host=h", "user=<host=h>"),
        ("host='' user=me", "user=<me>"),
        ("password=a=b", "password=<a=b>"),
        (r"user=end\", "user=<end>"),
        ("requiressl=1", "sslmode=<require>"),
        ("sslmode=disable requiressl=0", "sslmode=<prefer>"),
        ("user=\u{a0}é", "user=<\u{a0}é>"),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
}

#[test]
fn a_string_that_is_wrong_is_refused_with_the_place() {
    assert_eq!(
        refused("host"),
        "missing \"=\" after \"host\" in connection info string"
    );
    assert_eq!(
        refused("host=a bogus port=1"),
        "missing \"=\" after \"bogus\" in connection info string"
    );
    assert_eq!(refused("hots=a"), "invalid connection option \"hots\"");
    assert_eq!(refused("=a"), "invalid connection option \"\"");
    assert!(refused("host='a").contains("unterminated quoted string"));
    assert_eq!(refused("HOST=a"), "invalid connection option \"HOST\"");
}

#[test]
fn no_error_shows_a_part_of_a_password() {
    for text in [
        "password=correct horse",
        "host=a password='horse",
        "postgresql://me:ho%rse@h/",
        "postgresql://me:horse%zz@h/",
        "postgresql://h?password=x&horse",
        "postgresql://me:horse/x@h/?y",
        "postgresql://me:hor/se@h/",
    ] {
        let error = refused(text);
        assert!(!error.contains("horse") && !error.contains("rse"), "{error}");
    }
}

#[test]
fn the_uri_form_is_read_as_libpq_reads_it() {
    for (text, expected) in [
        ("postgresql://", ""),
        ("postgres://localhost", "host=<localhost>"),
        ("postgresql://localhost:5433", "host=<localhost> port=<5433>"),
        ("postgresql://localhost/mydb", "dbname=<mydb> host=<localhost>"),
        ("postgresql://user@localhost", "user=<user> host=<localhost>"),
        (
            "postgresql://user:secret@localhost",
            "user=<user> password=<secret> host=<localhost>",
        ),
        (
            "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
            "user=<other> connect_timeout=<10> dbname=<otherdb> host=<localhost> application_name=<myapp>",
        ),
        (
            "postgresql://host1:123,host2:456/somedb?target_session_attrs=any&application_name=myapp",
            "dbname=<somedb> host=<host1,host2> port=<123,456> application_name=<myapp> target_session_attrs=<any>",
        ),
        (
            "postgresql:///mydb?host=localhost&port=5433",
            "dbname=<mydb> host=<localhost> port=<5433>",
        ),
        (
            "postgresql://[2001:db8::1234]/database",
            "dbname=<database> host=<2001:db8::1234>",
        ),
        ("postgresql://[::1]:5432,[::2]", "host=<::1,::2> port=<5432,>"),
        (
            "postgresql:///dbname?host=/var/lib/postgresql",
            "dbname=<dbname> host=</var/lib/postgresql>",
        ),
        (
            "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
            "dbname=<dbname> host=</var/lib/postgresql>",
        ),
        (
            "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff",
            "user=<user> dbname=<mydb> host=<localhost> port=<5433> options=<-c synchronous_commit=off>",
        ),
        ("postgresql://h?ssl=true", "host=<h> sslmode=<require>"),
        ("postgresql://h/?sslmode=disable&", "host=<h> sslmode=<disable>"),
        ("postgresql://u:p%40%3A%2F@h", "user=<u> password=<p@:/> host=<h>"),
        ("postgresql://u:p:w@h", "user=<u> password=<p:w> host=<h>"),
        ("postgresql://h1,h2", "host=<h1,h2> port=<,>"),
        ("postgresql://u@/db", "user=<u> dbname=<db>"),
        ("postgresql://h?requiressl=1", "host=<h> sslmode=<require>"),
    ] {
        assert_eq!(shown(text), expected, "{text:?}");
    }
    for text in [
        "postgresql://h?nonsense=1",
        "postgresql://h?ssl=false",
        "postgresql://h?user",
        "postgresql://h?user=a=b",
        "postgresql://h?&user=a",
        "postgresql://h?user=a&&port=1",
        "postgresql://h:port",
        "postgresql://me:sec/ret@n1/db",
        "postgresql://[::1",
        "postgresql://[]",
        "postgresql://[::1]x",
        "postgresql://%zz",
        "postgresql://h%0",
        "postgresql://h%00",
        "postgresql://%ff",
        "Postgresql://h",
    ] {
        refused(text);
    }
}

/// Each of these is a password with something in it that was not quoted.
#[test]
fn the_rest_of_a_password_is_not_shown_when_it_is_misread() {
    for text in [
        "password=se cret",
        "password=se cret=x",
        "host=a password=se cret='x",
        "password=a host=b password=se cret",
        "sslpassword='se'cret",
        "postgresql://me:cret/x@n1/db",
        "postgresql://me:1/cret@n1/db",
        "postgresql://h?password=se&cret",
        "postgresql://h?password=se&cret=x",
        "postgresql://h?password=cret%zz",
    ] {
        let shown = match Conninfo::parse(text) {
            Ok(conninfo) => conninfo.redacted() + &redact(text),
            Err(error) => error.to_string(),
        };
        assert!(!shown.contains("cret"), "{text}: {shown}");
    }
}

#[test]
fn a_database_name_is_no_connection_string() {
    assert!(Conninfo::is_connection_string("postgres://"));
    assert!(Conninfo::is_connection_string("dbname=x"));
    assert!(!Conninfo::is_connection_string("mydb"));
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z '\\\\=\t\n]{1,12}",
        any::<String>().prop_map(|text| text.replace('\0', ""))
    ]
    .prop_filter("not empty", |text| !text.is_empty())
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(values in prop::collection::vec((0..KEYWORDS.len(), any_value()), 0..8)) {
        let mut conninfo = Conninfo::new();
        for (keyword, value) in &values {
            conninfo.set(KEYWORDS[*keyword].name, value);
        }
        prop_assert_eq!(&Conninfo::parse(&conninfo.to_keyword_string()).unwrap(), &conninfo);
        let strictly = conninfo.render(|_, value| quote_strictly(value));
        prop_assert_eq!(&Conninfo::parse(&strictly).unwrap(), &conninfo);
    }

    #[test]
    fn no_text_breaks_the_parser(text: String) {
        let _ = Conninfo::parse(&text);
        let _ = Conninfo::parse(&format!("postgresql://{text}"));
    }

    #[test]
    fn a_password_never_shows(password in "[a-zA-Z0-9]{6,20}") {
        let environment = Environment::of_variables([("PGPASSWORD", password.as_str())]).with_user("me");
        prop_assume!(!"Conninfo(host=h1,h2 user=me sslpassword=********)".contains(&password));
        for text in [
            format!("host=h1,h2 user=me password={password} sslpassword={password}"),
            format!("postgresql://me:{password}@h1,h2/"),
            format!("postgresql://h1?password={password}"),
        ] {
            let conninfo = Conninfo::parse(&text).unwrap();
            let resolved = conninfo.resolve(&environment).unwrap();
            prop_assert_eq!(resolved.hosts[0].password.as_deref(), Some(password.as_str()));
            for shown in [format!("{conninfo:?}"), conninfo.redacted(), redact(&text), format!("{resolved:?} {environment:?}")] {
                prop_assert!(!shown.contains(&password), "{}", shown);
            }
        }
    }
}

#[test]
fn w58_values_are_quoted_only_where_needed() {
    let conninfo: Conninfo = [("host", "n1"), ("password", r"a 'b\"), ("application_name", "node-1")]
        .into_iter()
        .collect();
    assert_eq!(
        conninfo.to_keyword_string(),
        r"host=n1 password='a \'b\\' application_name=node-1"
    );
    assert_eq!(conninfo.redacted(), "host=n1 password=******** application_name=node-1");
    assert_eq!(quote_strictly("node_1.x"), "node_1.x");
    assert_eq!(quote_strictly("node-1"), "'node-1'");
    assert_eq!(quote_strictly(""), "''");
}

#[test]
fn a_string_without_password_is_shown_as_it_was_written() {
    for text in ["host='n1'  user=me", "postgresql://me@n1/db", ""] {
        assert_eq!(redact(text), text);
    }
    assert_eq!(
        redact("postgresql://me:secret@n1/db"),
        "user=me password=******** host=n1 dbname=db"
    );
    for text in ["host=n1 pasword=secret", "postgresql://me:sec/ret@n1/?"] {
        assert_eq!(redact(text), "(not a valid connection string)");
    }
}

#[test]
fn setting_replaces_in_place_and_merging_skips_empty_values() {
    let mut conninfo = Conninfo::parse("host=a user=b port=1").unwrap();
    conninfo.set("user", "c");
    conninfo.merge(&Conninfo::parse("dbname=d host=e port=''").unwrap());
    assert_eq!(conninfo.to_keyword_string(), "host=e user=c port=1 dbname=d");
    assert_eq!(
        conninfo.in_libpq_order().to_keyword_string(),
        "user=c dbname=d host=e port=1"
    );
}

#[test]
fn a_derived_connection_keeps_what_belongs_to_it() {
    let conninfo = Conninfo::parse("host=a user=b password=p dbname=d").unwrap();
    assert_eq!(conninfo.for_user("c").to_keyword_string(), "host=a user=c dbname=d");
    assert_eq!(
        conninfo.for_replication("r").to_keyword_string(),
        "host=a user=r password=p dbname=replication replication=true"
    );
    assert_eq!(
        conninfo.for_replication("").to_keyword_string(),
        "host=a user=b password=p dbname=replication replication=true"
    );
}

fn resolve(text: &str, variables: &[(&str, &str)]) -> Resolved {
    let environment = Environment::of_variables(variables.iter().copied()).with_user("me");
    Conninfo::parse(text).unwrap().resolve(&environment).unwrap()
}

fn unresolved(text: &str, variables: &[(&str, &str)]) -> String {
    let environment = Environment::of_variables(variables.iter().copied()).with_user("me");
    Conninfo::parse(text)
        .unwrap()
        .resolve(&environment)
        .unwrap_err()
        .to_string()
}

#[test]
fn the_environment_fills_only_what_is_not_given() {
    let variables = [("PGHOST", "env"), ("PGUSER", "eve"), ("PGSSLMODE", "require")];
    let resolved = resolve("host=given", &variables);
    assert_eq!(resolved.hosts[0].endpoint, Endpoint::Name("given".to_owned()));
    assert_eq!(resolved.get("user"), Some("eve"));
    assert_eq!(resolved.get("dbname"), Some("eve"), "the user's name is the default");
    assert_eq!(resolved.get("sslmode"), Some("require"));
    let resolved = resolve("host=''", &variables);
    assert_eq!(
        resolved.hosts[0].endpoint,
        Endpoint::SocketDirectory("/var/run/postgresql".to_owned()),
        "an empty value is given, too"
    );
    assert_eq!(resolve("", &[]).get("user"), Some("me"));
    assert_eq!(resolve("", &[("PGREQUIRESSL", "1")]).get("sslmode"), Some("require"));
    let both = [("PGREQUIRESSL", "1"), ("PGSSLMODE", "disable")];
    assert_eq!(resolve("", &both).get("sslmode"), Some("disable"));
    assert_eq!(resolve("sslrootcert=system", &[]).get("sslmode"), Some("verify-full"));
}

#[test]
fn hosts_addresses_and_ports_belong_together() {
    let resolved = resolve("host=a,,/tmp,@abstract port=1,2,3,", &[]);
    let found: Vec<(Endpoint, u16)> = resolved
        .hosts
        .into_iter()
        .map(|host| (host.endpoint, host.port))
        .collect();
    assert_eq!(
        found,
        [
            (Endpoint::Name("a".into()), 1),
            (Endpoint::SocketDirectory("/var/run/postgresql".into()), 2),
            (Endpoint::SocketDirectory("/tmp".into()), 3),
            (Endpoint::SocketDirectory("@abstract".into()), 5432),
        ]
    );
    let resolved = resolve("host=a,b hostaddr=10.0.0.1,fe80::1%eth0 port=7", &[]);
    assert_eq!(resolved.hosts[0].title(), "server at \"a\" (10.0.0.1), port 7");
    assert_eq!(resolved.hosts[1].endpoint, Endpoint::Address("fe80::1%eth0".into()));
    assert_eq!(resolved.hosts[1].port, 7);
    for (text, expected) in [
        (
            "host=a,b hostaddr=10.0.0.1",
            "could not match 2 host names to 1 hostaddr values",
        ),
        ("host=a,b port=1,2,3", "could not match 3 port numbers to 2 hosts"),
        ("hostaddr=n1", "could not parse network address \"n1\""),
        ("port=0", "invalid port number: \"0\" (1 to 65535)"),
        ("port=65536", "invalid port number: \"65536\" (1 to 65535)"),
        ("port=-1", "invalid port number: \"-1\" (1 to 65535)"),
        ("port=x", "invalid port number: it is not a number (1 to 65535)"),
    ] {
        assert_eq!(unresolved(text, &[]), expected);
    }
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_password_file_serves_each_host_and_must_be_private() {
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::of_variables([]).with_home(home.path()).with_user("me");
    let file = home.path().join(".pgpass");
    write(
        &file,
        "a:1:*:me:one\nb:*:app:me:two\n10.0.0.1:*:replication:*:three\n",
        0o600,
    );
    let passwords = |text: &str, environment: &Environment| -> Vec<Option<String>> {
        let resolved = Conninfo::parse(text).unwrap().resolve(environment).unwrap();
        resolved.hosts.into_iter().map(|host| host.password).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        passwords("host=a,b,c port=1 dbname=app", &environment),
        [some("one"), some("two"), None]
    );
    assert_eq!(passwords("host=a port=1 password=given", &environment), [some("given")]);
    assert_eq!(
        passwords("host=a,b hostaddr=10.0.0.1,10.0.0.1 port=1 dbname=app", &environment),
        [some("one"), some("two")],
        "the name comes before the address"
    );
    let replication = Conninfo::parse("hostaddr=10.0.0.1 dbname=app")
        .unwrap()
        .for_replication("r");
    assert_eq!(
        replication.resolve(&environment).unwrap().hosts[0].password,
        some("three")
    );

    write(&file, "*:*:*:*:open\n", 0o640);
    let resolved = Conninfo::parse("host=a").unwrap().resolve(&environment).unwrap();
    assert_eq!(resolved.hosts[0].password, None);
    assert!(resolved.warnings[0].contains("0600"), "{:?}", resolved.warnings);

    let other = home.path().join("other");
    write(&other, "*:*:*:*:other\n", 0o600);
    let named = format!("host=a passfile={}", other.display());
    assert_eq!(passwords(&named, &environment), [some("other")]);
    let environment = Environment::of_variables([("PGPASSFILE", other.to_str().unwrap())]).with_user("me");
    assert_eq!(passwords("host=a", &environment), [some("other")]);
    assert_eq!(passwords("host=a passfile=/nonexistent", &environment), [None]);
}

#[test]
fn a_service_stands_between_the_string_and_the_environment() {
    let home = tempfile::tempdir().unwrap();
    let system = tempfile::tempdir().unwrap();
    write(
        &home.path().join(".pg_service.conf"),
        "# comment\n[one]\n  # another\n  host=service  \nport = 7\npassword=a#b'c\\d;\\\noptions=-c a=b\nport=8\n\n[two]\nservice=one\n\n[three]\nhots=x\n",
        0o644,
    );
    write(&system.path().join("pg_service.conf"), "[four]\nhost=system\n", 0o644);
    let variables = [
        ("PGSYSCONFDIR", system.path().to_str().unwrap()),
        ("PGPORT", "9"),
        ("PGHOST", "env"),
        ("PGUSER", "eve"),
    ];
    let environment = Environment::of_variables(variables).with_home(home.path());
    let resolved = |text: &str| Conninfo::parse(text).unwrap().resolve(&environment);
    let one = resolved("service=one dbname=db").unwrap();
    assert_eq!(one.hosts[0].title(), "server at \"service\", port 7");
    assert_eq!(one.hosts[0].password.as_deref(), Some(r"a#b'c\d;\"));
    assert_eq!((one.get("user"), one.get("options")), (Some("eve"), Some("-c a=b")));
    assert_eq!(
        resolved("service=one port=8").unwrap().hosts[0].title(),
        "server at \"service\", port 8"
    );
    assert_eq!(
        resolved("service=four").unwrap().hosts[0].title(),
        "server at \"system\", port 9"
    );
    for (text, expected) in [
        ("service=two", "nested service"),
        ("service=three", "\"hots\""),
        ("service=five", "definition of service \"five\" not found"),
    ] {
        let error = resolved(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(
        unresolved("service=one", &[("PGSERVICEFILE", "/nonexistent")]),
        "service file \"/nonexistent\" not found"
    );
    let file = home.path().join(".pg_service.conf");
    let by_variable = [("PGSERVICE", "one"), ("PGSERVICEFILE", file.to_str().unwrap())];
    assert_eq!(resolve("", &by_variable).get("host"), Some("service"));
}
