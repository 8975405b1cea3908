//! Reading a file with all that it includes, each line with its own place.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::grammar;
use super::values::tidy_path;

/// How long a chain of included files may be, the first file not counted.
pub const MAX_NESTING: usize = 5;

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "file \"{}\", line {}", self.file.display(), self.line)
    }
}

/// A setting with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it stands.
    pub place: Place,
    /// As it is written.
    pub name: String,
    /// Without quotes and escapes.
    pub value: Vec<u8>,
}

/// What a file and all that it includes hold, in the order in which it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The settings; `include` lines are already replaced by what they include.
    pub settings: Vec<Setting>,
    /// What is wrong with the text, each with its place.
    pub problems: Vec<String>,
}

/// Reads `file` and all that it includes.
///
/// # Errors
/// Only if `file` itself cannot be read; what cannot be included is among the problems.
pub fn read(file: &Path) -> io::Result<Source> {
    let text = fs::read(file)?;
    let mut reader = Reader::default();
    reader.take(file, &text);
    Ok(reader.source)
}

#[derive(Debug, Clone, Copy)]
enum Directive {
    File,
    FileIfExists,
    Directory,
}

fn directive(name: &str) -> Option<Directive> {
    [
        ("include", Directive::File),
        ("include_if_exists", Directive::FileIfExists),
        ("include_dir", Directive::Directory),
    ]
    .into_iter()
    .find(|(word, _)| word.eq_ignore_ascii_case(name))
    .map(|(_, directive)| directive)
}

#[derive(Default)]
struct Reader {
    source: Source,
    /// The files that are being read, from the first to the current one.
    chain: Vec<PathBuf>,
}

impl Reader {
    fn take(&mut self, file: &Path, text: &[u8]) {
        self.chain.push(identity(file));
        let parsed = grammar::parse(text);
        for error in parsed.errors {
            let place = Place {
                file: file.to_owned(),
                line: error.line,
            };
            self.problem(error, &place);
        }
        for entry in parsed.entries {
            let place = Place {
                file: file.to_owned(),
                line: entry.line,
            };
            match directive(&entry.name) {
                Some(directive) => self.include(directive, &entry.value, &place),
                None => self.source.settings.push(Setting {
                    place,
                    name: entry.name,
                    value: entry.value,
                }),
            }
        }
        self.chain.pop();
    }

    fn problem(&mut self, what: impl std::fmt::Display, place: &Place) {
        self.source.problems.push(format!("{what} ({place})"));
    }

    fn include(&mut self, directive: Directive, argument: &[u8], place: &Place) {
        if argument.trim_ascii().is_empty() {
            let wanted = match directive {
                Directive::Directory => "directory",
                Directive::File | Directive::FileIfExists => "file",
            };
            self.problem(format!("the name of the {wanted} to include is empty"), place);
            return;
        }
        let here = place.file.parent().unwrap_or(Path::new("."));
        let target = tidy_path(here.join(OsStr::from_bytes(argument)).as_os_str().as_bytes());
        match directive {
            Directive::File => self.include_file(&target, false, place),
            Directive::FileIfExists => self.include_file(&target, true, place),
            Directive::Directory => match files_of(&target) {
                Ok(files) => {
                    for file in files {
                        self.include_file(&file, false, place);
                    }
                }
                Err(error) => self.problem(
                    format!("cannot read directory \"{}\" to include: {error}", target.display()),
                    place,
                ),
            },
        }
    }

    fn include_file(&mut self, file: &Path, may_be_missing: bool, place: &Place) {
        if self.chain.contains(&identity(file)) {
            self.problem(format!("\"{}\" includes itself", file.display()), place);
            return;
        }
        if self.chain.len() > MAX_NESTING {
            self.problem(
                format!(
                    "cannot include \"{}\": maximum nesting depth of {MAX_NESTING} included files exceeded",
                    file.display()
                ),
                place,
            );
            return;
        }
        match fs::read(file) {
            Ok(text) => self.take(file, &text),
            Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.problem(format!("cannot include \"{}\": {error}", file.display()), place),
        }
    }
}

/// The file whatever name it goes by.
fn identity(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

/// The files that `include_dir` takes, in the order of their bytes.
fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let bytes = name.as_bytes();
        if bytes.ends_with(b".conf") && bytes.len() >= 6 && !bytes.starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    let mut files = Vec::new();
    for name in names {
        let file = directory.join(name);
        let metadata = fs::metadata(&file)
            .map_err(|error| io::Error::new(error.kind(), format!("\"{}\": {error}", file.display())))?;
        if !metadata.is_dir() {
            files.push(file);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    /// `name@file:line` of each setting, and the problems without the folder.
    fn read_all(folder: &tempfile::TempDir) -> (Vec<String>, Vec<String>) {
        let source = read(&folder.path().join("top.conf")).unwrap();
        let settings = source
            .settings
            .iter()
            .map(|setting| {
                let file = setting.place.file.strip_prefix(folder.path()).unwrap().display();
                format!("{}@{file}:{}", setting.name, setting.place.line)
            })
            .collect();
        let prefix = format!("{}/", folder.path().display());
        let problems = source.problems.iter().map(|p| p.replace(&prefix, "")).collect();
        (settings, problems)
    }

    #[test]
    fn included_lines_stand_where_the_directive_stands_with_numbers_of_their_own() {
        let folder = folder(&[
            ("top.conf", "a=1\nINCLUDE 'sub/one.conf'\nb=2\n\nc=/\n"),
            ("sub/one.conf", "\nx=1\ninclude = 'two.conf'\ny=="),
            ("sub/two.conf", "z=3"),
        ]);
        let (settings, problems) = read_all(&folder);
        assert_eq!(
            settings,
            ["a@top.conf:1", "x@sub/one.conf:2", "z@sub/two.conf:1", "b@top.conf:3"]
        );
        assert_eq!(
            problems,
            [
                "syntax error near \"/\" (file \"top.conf\", line 5)",
                "syntax error near \"=\" (file \"sub/one.conf\", line 4)",
            ]
        );
    }

    #[test]
    fn a_missing_file_is_a_problem_unless_it_may_be_missing() {
        let folder = folder(&[("top.conf", "include 'no.conf'\ninclude_if_exists 'no.conf'\na=1")]);
        let (settings, problems) = read_all(&folder);
        assert_eq!(settings, ["a@top.conf:3"]);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("cannot include \"no.conf\": No such file"),
            "{problems:?}"
        );
        assert!(problems[0].ends_with("line 1)"), "{problems:?}");
    }

    #[test]
    fn blank_names_are_problems() {
        let folder = folder(&[(
            "top.conf",
            "include ''\ninclude_if_exists '  '\ninclude_dir ''\ninclude_dir 'no'",
        )]);
        let (_, problems) = read_all(&folder);
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].contains("file to include is empty"));
        assert!(problems[1].contains("file to include is empty"));
        assert!(problems[2].contains("directory to include is empty"));
        assert!(problems[3].contains("cannot read directory \"no\""), "{problems:?}");
    }

    #[test]
    fn a_directory_gives_its_conf_files_in_order() {
        let folder = folder(&[
            ("top.conf", "include_dir 'd'"),
            ("d/b.conf", "b=1"),
            ("d/B.conf", "B=1"),
            ("d/a.conf", "a=1"),
            ("d/a.conf~", "no=1"),
            ("d/.hidden.conf", "no=1"),
            ("d/.conf", "no=1"),
            ("d/x.conf/inner", "no=1"),
        ]);
        let (settings, problems) = read_all(&folder);
        assert_eq!(settings, ["B@d/B.conf:1", "a@d/a.conf:1", "b@d/b.conf:1"]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn five_nested_files_are_allowed_and_not_six() {
        let chain = |length: usize| {
            let folder = folder(&[("top.conf", "include '1.conf'")]);
            for number in 1..=length {
                let text = if number < length {
                    format!("include '{}.conf'", number + 1)
                } else {
                    "end=1".to_owned()
                };
                fs::write(folder.path().join(format!("{number}.conf")), text).unwrap();
            }
            read_all(&folder)
        };
        let (settings, problems) = chain(5);
        assert_eq!((settings.len(), problems.len()), (1, 0), "{problems:?}");
        let (settings, problems) = chain(6);
        assert_eq!((settings.len(), problems.len()), (0, 1));
        assert!(problems[0].contains("maximum nesting depth"), "{problems:?}");
    }

    #[test]
    fn loops_end() {
        let folder = folder(&[
            ("top.conf", "include 'top.conf'\ninclude './a.conf'"),
            ("a.conf", "include 'top.conf'\na=1"),
        ]);
        let (settings, problems) = read_all(&folder);
        assert_eq!(settings, ["a@a.conf:2"]);
        assert_eq!(problems.len(), 2);
        assert!(
            problems.iter().all(|p| p.contains("\"top.conf\" includes itself")),
            "{problems:?}"
        );
    }
}
