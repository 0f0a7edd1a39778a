//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Each rule is a module with a function from files to findings; the tests feed them fixtures and
//! run all of them over the repository.

mod dead;
mod imports;
mod lengths;
mod operations;
mod words;

use std::fmt;
use std::path::Path;

use crate::files::{self, File};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    problem: String,
}

impl Finding {
    fn new(path: &str, line: usize, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, problem: problem.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.problem)
    }
}

/// Prints every finding; fails if there is one.
pub(crate) fn command(root: &Path) -> Result<(), String> {
    let findings = findings(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(format!("tidy: {} findings", findings.len())) }
}

fn findings(root: &Path) -> Result<Vec<Finding>, String> {
    let files = files::read_all(root, &["rs", "toml", "md", "sh", "py", "yml"])?;
    let allowed = files::read(&root.join(lengths::ALLOWED_FILE))?;
    let mut findings = imports::check(&files);
    findings.extend(lengths::check(&files, &allowed)?);
    findings.extend(dead::check(&files));
    findings.extend(words::check(&files));
    findings.extend(operations::check(&files));
    findings.sort();
    Ok(findings)
}

/// Whether all of a file is test code.
fn is_test_file(file: &File) -> bool {
    let path = &file.path;
    let in_tests = path.split('/').rev().skip(1).any(|directory| directory == "tests");
    in_tests || path.ends_with("/tests.rs") || path.split('/').any(|part| part == "benches")
}

/// Rust sources among the files.
fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.path.ends_with(".rs"))
}

#[cfg(test)]
fn fixture(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let findings = findings(&files::workspace_root()).unwrap();
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }

    #[test]
    fn test_files_are_told_by_their_place() {
        for (path, expected) in [
            ("crates/coap/src/block/tests.rs", true),
            ("crates/coap/src/block/tests/pair.rs", true),
            ("crates/gateway/tests/end_to_end.rs", true),
            ("crates/coap/benches/parse.rs", true),
            ("crates/coap/src/block.rs", false),
            ("crates/coap/src/contests.rs", false),
        ] {
            assert_eq!(is_test_file(&fixture(path, "")), expected, "{path}");
        }
    }
}
