//! Which tests there are: from the log of a run, or by asking the test binaries.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::run;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It passed, or exists when nothing ran.
    Passed,
    Failed,
    Ignored,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Ignored => "was ignored",
        })
    }
}

/// Reads the output of `cargo test`: `Running ... (target/debug/deps/coap-0123abcd)` followed by
/// `test name ... ok`.
pub(super) fn from_log(log: &str) -> BTreeMap<String, Outcome> {
    let mut target = String::new();
    let mut tests = BTreeMap::new();
    for line in log.lines() {
        let line = line.trim();
        if line.starts_with("Running ") {
            target = target_of(line).unwrap_or_default();
        } else if line.starts_with("Doc-tests ") {
            target.clear();
        } else if let Some((name, outcome)) = outcome_of(line).filter(|_| !target.is_empty()) {
            tests.insert(format!("{target}::{name}"), outcome);
        }
    }
    tests
}

fn target_of(line: &str) -> Option<String> {
    let binary = line.rsplit_once('(')?.1.strip_suffix(')')?;
    let name = binary.rsplit(['/', '\\']).next()?;
    Some(name.rsplit_once('-').map_or(name, |(name, _hash)| name).to_owned())
}

fn outcome_of(line: &str) -> Option<(&str, Outcome)> {
    let (name, end) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let outcome = match end.split([' ', ',']).next()? {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        "ignored" => Outcome::Ignored,
        _ => return None,
    };
    Some((name, outcome))
}

/// Builds the test binaries and asks each for its tests.
pub(super) fn from_binaries(root: &Path) -> Result<BTreeMap<String, Outcome>, String> {
    let arguments = ["test", "--workspace", "--no-run", "--message-format=json"];
    let messages = run::output(run::cargo(root, &arguments))?;
    let mut tests = BTreeMap::new();
    for (target, executable) in messages.lines().filter_map(executable_of) {
        let mut command = Command::new(&executable);
        command.current_dir(root).arg("--list");
        for name in run::output(command)?.lines().filter_map(|line| line.strip_suffix(": test")) {
            tests.insert(format!("{target}::{name}"), Outcome::Passed);
        }
    }
    Ok(tests)
}

/// The target and the binary of one of cargo's messages. They are flat enough to be read by key.
fn executable_of(message: &str) -> Option<(String, String)> {
    let executable = message.split("\"executable\":\"").nth(1)?.split('"').next()?;
    // A target that can be tested says so, too; the profile says whether this is its test.
    let profile = message.split("\"profile\":{").nth(1)?.split('}').next()?;
    let test = profile.contains("\"test\":true");
    let name = executable.rsplit('/').next()?.rsplit_once('-')?.0;
    test.then(|| (name.to_owned(), executable.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_tells_target_name_and_outcome() {
        let log = "   Compiling coap v0.1.0\n     Running unittests src/lib.rs \
                   (target/debug/deps/coap-0123abcd)\n\nrunning 3 tests\n\
                   test a::tests::one ... ok\nnoise on standard error\n\
                   test a::tests::two ... FAILED\ntest a::tests::three ... ignored, needs a \
                   broker\n     Running tests/end_to_end.rs \
                   (/x/debug/deps/end_to_end-99)\ntest four ... ok\n   Doc-tests coap\ntest \
                   src/lib.rs - (line 5) ... ok\ntest result: ok. 1 passed; 0 failed\n";
        let expected = BTreeMap::from([
            ("coap::a::tests::one".to_owned(), Outcome::Passed),
            ("coap::a::tests::two".to_owned(), Outcome::Failed),
            ("coap::a::tests::three".to_owned(), Outcome::Ignored),
            ("end_to_end::four".to_owned(), Outcome::Passed),
        ]);
        assert_eq!(from_log(log), expected);
    }

    #[test]
    fn binaries_are_found_in_the_messages_of_cargo() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"test":true},"profile":{"test":true},"executable":"/t/debug/deps/coap-0123","fresh":true}"#;
        let expected = ("coap".to_owned(), "/t/debug/deps/coap-0123".to_owned());
        assert_eq!(executable_of(message), Some(expected));
        let library =
            r#"{"reason":"compiler-artifact","profile":{"test":false},"executable":null}"#;
        assert_eq!(executable_of(library), None);
        let program = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"test":true},"profile":{"test":false},"executable":"/t/debug/lwm2m-gateway","fresh":true}"#;
        assert_eq!(executable_of(program), None);
    }
}
