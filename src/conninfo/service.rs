//! The connection service file (PostgreSQL: "The Connection Service File").

use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption};

use super::{Conninfo, ConninfoError, Environment, keywords};

/// `pg_config --sysconfdir` of Debian's packages.
const SYSTEM_DIRECTORY: &str = "/etc/postgresql-common";

/// The parameters of a service: from the user's file, else from the system's.
pub(super) fn look_up(service: &str, environment: &Environment) -> Result<Conninfo, ConninfoError> {
    let user_file = match environment.variable("PGSERVICEFILE") {
        Some(file) if !Path::new(file).exists() => {
            return Err(ConninfoError(format!("service file \"{file}\" not found")));
        }
        Some(file) => Some(PathBuf::from(file)),
        None => environment.home.as_ref().map(|home| home.join(".pg_service.conf")),
    };
    let system_directory = environment.variable("PGSYSCONFDIR").unwrap_or(SYSTEM_DIRECTORY);
    let system_file = Path::new(system_directory).join("pg_service.conf");
    for file in user_file.into_iter().chain([system_file]).filter(|file| file.exists()) {
        if let Some(parameters) = read(&file, service)? {
            return Ok(parameters);
        }
    }
    Err(ConninfoError(format!("definition of service \"{service}\" not found")))
}

/// The section of a service in one file. Its first value of a keyword counts.
fn read(file: &Path, service: &str) -> Result<Option<Conninfo>, ConninfoError> {
    let wrong = |what: String| ConninfoError(format!("service file \"{}\": {what}", file.display()));
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ParseOption::default()
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    // What libpq takes and the library does not: blanks before anything, comments too, and a
    // backslash at the end of a value, which before a carriage return continues no line.
    let lines: Vec<&str> = text.lines().map(str::trim).map(without_comment).collect();
    let ini = Ini::load_from_str_opt(&lines.join("\r\n"), options)
        .map_err(|error| wrong(format!("syntax error in line {}, column {}", error.line, error.col)))?;
    let Some(section) = ini.section(Some(service)) else {
        return Ok(None);
    };
    let mut parameters = Conninfo::new();
    for (keyword, value) in section.iter() {
        if keyword == "service" {
            return Err(wrong(format!(
                "nested service specifications are not supported, in service \"{service}\""
            )));
        }
        if !keywords::is_keyword(keyword) {
            return Err(wrong(format!(
                "invalid connection option \"{keyword}\" in service \"{service}\""
            )));
        }
        if parameters.get_given(keyword).is_none() {
            parameters.set(keyword, value.trim_end());
        }
    }
    Ok(Some(parameters))
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line }
}
