//! What ssh's configuration comes to where the program `ssh` is not
//! installed, so that it cannot be asked: its defaults, and plain options.
//!
//! A configuration file is not read here: it may hold anything.

use std::path::Path;

/// The defaults that matter (ssh_config(5)), in the form of `ssh -G`.
const DEFAULTS: &str = "port 22\naddressfamily any\nstricthostkeychecking ask\nhashknownhosts no\nidentitiesonly no\n\
    globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n\
    userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n\
    identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ecdsa\nidentityfile ~/.ssh/id_ed25519\n";

/// The plain options with a value, and their keywords.
const OPTIONS: &[(char, &str)] = &[('i', "identityfile"), ('l', "user"), ('p', "port")];

/// As [`super::effective::Effective::parse`] takes it: what is asked for, in addition to the defaults.
pub(super) struct Texts {
    pub(super) asked: String,
    pub(super) plain: String,
}

/// # Errors
/// What only ssh understands.
pub(super) fn texts(options: &str, destination: &str, home: &Path, local_user: &str) -> Result<Texts, String> {
    for file in [home.join(".ssh/config"), "/etc/ssh/ssh_config".into()] {
        if file.exists() {
            return Err(format!(
                "ssh is not installed, and nothing else can read {}",
                file.display()
            ));
        }
    }
    let (user, host) = destination.rsplit_once('@').unwrap_or((local_user, destination));
    let mut asked = assignments(options)?;
    if host.len() < destination.len() {
        asked.insert(0, ("user".to_owned(), user.to_owned()));
    }
    let defaults = format!("host {host}\nhostname {host}\nuser {user}\n{DEFAULTS}");
    let replaced = |line: &&str| {
        let keyword = line.split(' ').next().unwrap_or_default();
        !asked.iter().any(|(asked, _)| asked == keyword)
    };
    let mut lines: Vec<String> = defaults.lines().filter(replaced).map(str::to_owned).collect();
    for (keyword, value) in &asked {
        // The first value counts, except of keys, of which all do.
        let again = lines.iter().any(|line| line.split(' ').next() == Some(keyword));
        if !again || keyword == "identityfile" {
            lines.push(format!("{keyword} {value}"));
        }
    }
    Ok(Texts {
        asked: lines.join("\n"),
        plain: defaults,
    })
}

/// The options as keywords with values.
fn assignments(options: &str) -> Result<Vec<(String, String)>, String> {
    let beyond =
        |word: &str| format!("ssh is not installed, and nothing else understands \"{word}\" in \"ssh_options\"");
    let words = shell_words::split(options).map_err(|_| beyond(options))?;
    let mut words = words.into_iter();
    let mut result = Vec::new();
    while let Some(word) = words.next() {
        let mut letters = word.strip_prefix('-').ok_or_else(|| beyond(&word))?.chars();
        let letter = letters.next().ok_or_else(|| beyond(&word))?;
        let attached = letters.as_str();
        let plain = OPTIONS.iter().find(|(option, _)| *option == letter);
        if letter == 'o' || plain.is_some() {
            let value = match attached {
                "" => words.next().ok_or_else(|| beyond(&word))?,
                value => value.to_owned(),
            };
            result.push(match plain {
                Some((_, keyword)) => ((*keyword).to_owned(), value),
                None => assignment(&value).ok_or_else(|| beyond(&value))?,
            });
            continue;
        }
        match (letter, attached) {
            ('q' | 'n' | 'x' | 'a' | 'T', "") => {}
            ('4', "") => result.push(("addressfamily".to_owned(), "inet".to_owned())),
            ('6', "") => result.push(("addressfamily".to_owned(), "inet6".to_owned())),
            _ => return Err(beyond(&word)),
        }
    }
    Ok(result)
}

/// `Keyword=value` or `Keyword value`.
fn assignment(text: &str) -> Option<(String, String)> {
    let (keyword, value) = text.split_once(['=', ' '])?;
    let value = value.trim_matches(['=', ' ', '"']);
    Some((keyword.trim().to_ascii_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(options: &str, destination: &str) -> Result<Vec<String>, String> {
        let texts = texts(options, destination, Path::new("/nonexistent"), "me")?;
        let defaults: Vec<&str> = texts.plain.lines().collect();
        let new = texts.asked.lines().filter(|line| !defaults.contains(line));
        Ok(new.map(str::to_owned).collect())
    }

    // On a host with /etc/ssh/ssh_config there is ssh, too, and this is not used.
    fn with_file() -> bool {
        Path::new("/etc/ssh/ssh_config").exists()
    }

    #[test]
    fn plain_options_are_keywords() {
        for (options, expected) in [
            ("-q -o ConnectTimeout=10", vec![("connecttimeout", "10")]),
            (
                "-p2222 -l 'some one' -i /k -o 'User other'",
                vec![
                    ("port", "2222"),
                    ("user", "some one"),
                    ("identityfile", "/k"),
                    ("user", "other"),
                ],
            ),
            ("-6 -T", vec![("addressfamily", "inet6")]),
            ("-oProxyJump=x", vec![("proxyjump", "x")]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(keyword, value)| (keyword.to_owned(), value.to_owned()))
                .collect();
            assert_eq!(assignments(options).unwrap(), expected);
        }
        for options in ["-J x", "-F file", "x", "-", "-o", "-qv", "'", "-o x"] {
            let error = assignments(options).unwrap_err();
            assert!(error.contains("not installed"), "{error}");
        }
    }

    #[test]
    fn they_replace_defaults() {
        if with_file() {
            assert!(asked("-q", "node3").unwrap_err().contains("/etc/ssh/ssh_config"));
            return;
        }
        assert!(asked("-q", "node3").unwrap().is_empty());
        assert_eq!(
            asked("-p 23 -p 24 -i /a -i /b -l other", "postgres@node3").unwrap(),
            ["port 23", "identityfile /a", "identityfile /b"]
        );
    }
}
