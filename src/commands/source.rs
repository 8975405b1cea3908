//! The connection that `-d -h -p -U` describe.

use super::options::Options;
use crate::conninfo::{Conninfo, ConninfoError};

/// The connection parameters given on the command line; `None` if there are none.
///
/// What `-d` says as a connection string wins over `-h`, `-p` and `-U`, whatever
/// their order. Without `-d`, `default_database` (PGDATABASE) takes its place.
///
/// # Errors
/// `-d` looks like a connection string and is not a valid one.
pub fn connection_parameters(
    options: &Options,
    default_database: Option<&str>,
) -> Result<Option<Conninfo>, ConninfoError> {
    let mut conninfo = Conninfo::new();
    for (keyword, value) in [
        ("host", &options.host),
        ("port", &options.port),
        ("user", &options.username),
    ] {
        if let Some(value) = value {
            conninfo.set(keyword, value);
        }
    }
    let database = options.dbname.as_deref().or(default_database).unwrap_or_default();
    if Conninfo::is_connection_string(database) {
        for (keyword, value) in Conninfo::parse(database)?.in_libpq_order().iter() {
            conninfo.set(keyword, value);
        }
    } else if !database.is_empty() {
        conninfo.set("dbname", database);
    }
    let given = options.connection_parameters_given() || options.host.is_some();
    Ok(given.then_some(conninfo))
}

/// Whether a host is among the parameters.
pub fn names_a_host(source: Option<&Conninfo>) -> bool {
    source.is_some_and(|source| source.get("host").is_some() || source.get("hostaddr").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(options: Options, default_database: Option<&str>) -> Option<String> {
        connection_parameters(&options, default_database)
            .unwrap()
            .map(|conninfo| conninfo.to_keyword_string())
    }

    fn given(long: &'static str) -> Options {
        Options {
            given: vec![long],
            ..Options::default()
        }
    }

    #[test]
    fn a_connection_string_wins_over_single_options() {
        let options = Options {
            dbname: Some("host=n2 dbname=r".to_owned()),
            host: Some("n1".to_owned()),
            port: Some("5433".to_owned()),
            ..given("dbname")
        };
        assert_eq!(source(options, None).as_deref(), Some("host=n2 port=5433 dbname=r"));
    }

    #[test]
    fn a_connection_string_is_taken_in_the_order_of_libpq() {
        let options = Options {
            dbname: Some("host=n2 port=5433 user=u dbname=r connect_timeout=2".to_owned()),
            ..given("dbname")
        };
        let expected = "user=u connect_timeout=2 dbname=r host=n2 port=5433";
        assert_eq!(source(options, None).as_deref(), Some(expected));
    }

    #[test]
    fn the_environment_gives_a_database_but_no_connection() {
        assert_eq!(source(Options::default(), Some("r")), None);
        let options = Options {
            host: Some("n1".to_owned()),
            ..given("host")
        };
        assert_eq!(source(options, Some("r")).as_deref(), Some("host=n1 dbname=r"));
    }

    #[test]
    fn a_broken_connection_string_is_an_error() {
        let options = Options {
            dbname: Some("host='n1".to_owned()),
            ..given("dbname")
        };
        assert!(connection_parameters(&options, None).is_err());
    }
}
