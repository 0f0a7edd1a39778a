//! Banned words: promises instead of work, left-over debugging, tests that prove nothing.

use super::{Finding, rust};
use crate::files::File;
use crate::source::Code;

/// Words that may stand nowhere, not even in a comment. Written in pieces, or this file would be
/// the first finding.
const PROMISES: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Code that may stand nowhere, with what to do instead.
const CODE: [(&str, &str); 5] = [
    (concat!("todo", "!("), "write it"),
    (concat!("unimplemented", "!("), "write it"),
    (concat!("dbg", "!("), "use `tracing`, or drop it"),
    (
        concat!("#[should", "_panic"),
        "assert on the error instead: a panic elsewhere would pass too",
    ),
    (concat!("#[ign", "ore]"), "say the reason: #[ignore = \"...\"]"),
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        promises(file, &mut findings);
    }
    for file in rust(files) {
        let code = Code::new(&file.text);
        for (word, advice) in CODE {
            for (position, _) in code.masked.match_indices(word) {
                let line = code.line_of(position);
                findings.push(Finding::new(&file.path, line, format!("`{word}`: {advice}")));
            }
        }
    }
    findings
}

fn promises(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        for word in words.filter(|word| PROMISES.contains(word)) {
            let problem = format!("`{word}`: do it now, or say in words what is left out and why");
            findings.push(Finding::new(&file.path, number, problem));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture;

    #[test]
    fn promises_are_found_in_every_kind_of_file() {
        let promise = PROMISES[0];
        for path in ["a.rs", "README.md", "run.sh"] {
            let found = check(&[fixture(path, &format!("one\n# {promise}: later\n"))]);
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(found[0].line, 2);
        }
        assert!(check(&[fixture("a.rs", &format!("{promise}_LIST = {promise}S\n"))]).is_empty());
    }

    #[test]
    fn left_overs_are_found_in_code_but_not_in_its_comments() {
        for (word, _) in CODE {
            let found = check(&[fixture("a.rs", &format!("// {word}\n{word}\n"))]);
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].line, 2, "{word}");
        }
        assert!(check(&[fixture("a.rs", "#[ignore = \"needs a broker\"]\n")]).is_empty());
    }
}
