//! Lengths: lines, functions, files, tests beside code.
//!
//! Long functions that are already there stand in an allow-list that may only shrink: an entry that
//! is no longer needed, or larger than it must be, is a finding too.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{Finding, is_test_file, rust};
use crate::files::File;
use crate::source::Code;

/// Columns of a line: two files side by side on a usual screen.
const LINE_MAX: usize = 100;
/// Lines of a function: one screen.
const FUNCTION_MAX: usize = 70;
/// Lines of a file without its tests: what fits into a head.
const FILE_MAX: usize = 500;
/// Lines of tests beside the code; more move to `<module>/tests.rs`.
const INLINE_TESTS_MAX: usize = 200;

/// The known offenders, relative to the root.
pub(super) const ALLOWED_FILE: &str = "xtask/tidy-allow.toml";

pub(super) fn check(files: &[File], allowed: &str) -> Result<Vec<Finding>, String> {
    let mut allowed = parse_allowed(allowed)?;
    let mut findings = Vec::new();
    for file in rust(files) {
        check_lines(file, &mut findings);
        if is_test_file(file) {
            continue;
        }
        let code = Code::new(&file.text);
        check_functions(file, &code, &mut allowed, &mut findings);
        check_file(file, &code, &mut findings);
    }
    findings.extend(allowed.into_keys().map(|name| {
        Finding::new(ALLOWED_FILE, 1, format!("{name} is short enough or gone: drop its entry"))
    }));
    Ok(findings)
}

fn parse_allowed(text: &str) -> Result<BTreeMap<String, usize>, String> {
    let table: Table = text.parse().map_err(|error| format!("{ALLOWED_FILE}: {error}"))?;
    let functions = table.get("functions").and_then(Value::as_table);
    functions
        .into_iter()
        .flatten()
        .map(|(name, lines)| {
            let lines = lines.as_integer().and_then(|lines| usize::try_from(lines).ok());
            Ok((name.clone(), lines.ok_or(format!("{ALLOWED_FILE}: {name}: expected lines"))?))
        })
        .collect()
}

fn check_lines(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let columns = line.chars().count();
        if columns > LINE_MAX && !cannot_be_broken(line) {
            let problem = format!("{columns} columns, at most {LINE_MAX}");
            findings.push(Finding::new(&file.path, number, problem));
        }
    }
}

/// An address, or a literal that nearly fills the line: a vector reads better whole.
fn cannot_be_broken(line: &str) -> bool {
    let literal = line.find('"').zip(line.rfind('"')).map_or(0, |(first, last)| last - first);
    let comment = line.trim_start().starts_with("//");
    line.contains("://") || (!comment && literal * 2 > line.len())
}

fn check_functions(
    file: &File,
    code: &Code,
    allowed: &mut BTreeMap<String, usize>,
    findings: &mut Vec<Finding>,
) {
    let long = |lines: usize| lines > FUNCTION_MAX;
    for function in code.functions() {
        if function.in_tests || !long(function.lines) {
            continue;
        }
        let name = format!("{}::{}", file.path, function.name);
        let problem = match allowed.remove(&name) {
            Some(lines) if function.lines == lines => continue,
            Some(lines) if function.lines < lines => {
                format!("`{}` shrank: lower its entry to {}", function.name, function.lines)
            }
            Some(lines) => format!(
                "`{}` grew from {lines} to {} lines; known offenders may only shrink",
                function.name, function.lines
            ),
            None => {
                format!("`{}` has {} lines, at most {FUNCTION_MAX}", function.name, function.lines)
            }
        };
        findings.push(Finding::new(&file.path, function.line, problem));
    }
}

fn check_file(file: &File, code: &Code, findings: &mut Vec<Finding>) {
    let (lines, tests) = code.line_counts();
    if lines > FILE_MAX {
        let problem = format!("{lines} lines without tests, at most {FILE_MAX}");
        findings.push(Finding::new(&file.path, 1, problem));
    }
    if tests > INLINE_TESTS_MAX {
        let problem = format!(
            "{tests} lines of tests beside the code, at most {INLINE_TESTS_MAX}: move them to \
             <module>/tests.rs"
        );
        findings.push(Finding::new(&file.path, 1, problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture;

    fn problems(path: &str, text: &str, allowed: &str) -> Vec<String> {
        let findings = check(&[fixture(path, text)], allowed).unwrap();
        findings.into_iter().map(|finding| finding.to_string()).collect()
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines - 2))
    }

    #[test]
    fn long_lines_are_found_but_addresses_and_vectors_are_let() {
        let long = format!("// {}\n", "x".repeat(98));
        assert_eq!(problems("a.rs", &long, ""), ["a.rs:1: 101 columns, at most 100"]);
        assert!(problems("a.rs", &long.replace("xxx", "://"), "").is_empty());
        let vector = format!("    case(\"{}\", 1);\n", "00".repeat(60));
        assert!(problems("a.rs", &vector, "").is_empty());
        let exact = format!("// {}\n", "é".repeat(97));
        assert!(problems("a.rs", &exact, "").is_empty());
    }

    #[test]
    fn long_functions_are_found_outside_of_tests() {
        assert!(problems("a.rs", &function(70), "").is_empty());
        assert_eq!(
            problems("a.rs", &function(71), ""),
            ["a.rs:1: `long` has 71 lines, at most 70"]
        );
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(71));
        assert!(problems("a.rs", &tests, "").is_empty());
        assert!(problems("crates/a/tests/b.rs", &function(71), "").is_empty());
    }

    #[test]
    fn known_offenders_may_only_shrink() {
        let allowed = "[functions]\n\"a.rs::long\" = 80\n";
        assert!(problems("a.rs", &function(80), allowed).is_empty());
        for (lines, problem) in [
            (81, "`long` grew from 80 to 81 lines"),
            (75, "`long` shrank: lower its entry to 75"),
            (70, "a.rs::long is short enough or gone: drop its entry"),
        ] {
            let found = problems("a.rs", &function(lines), allowed);
            assert!(found.len() == 1 && found[0].contains(problem), "{found:?}");
        }
    }

    #[test]
    fn long_files_are_found_tests_apart() {
        let code = "x();\n".repeat(500);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    x();\n".repeat(197));
        assert!(problems("a.rs", &format!("{code}{tests}"), "").is_empty());
        let found = problems("a.rs", &format!("{code}y();\n{tests}"), "");
        assert_eq!(found, ["a.rs:1: 501 lines without tests, at most 500"]);
        let found = problems("a.rs", &tests.replace("mod tests {", "mod tests {\n\n"), "");
        assert!(found[0].contains("202 lines of tests beside the code"), "{found:?}");
    }
}
