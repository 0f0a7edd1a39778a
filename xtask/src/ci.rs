//! `cargo xtask ci`: every step with its time, all of them even when one fails, totals at the end.
//!
//! Steps share one profile, one set of features and the same RUSTFLAGS, so that nothing is built
//! twice: `test` makes what `interop` and `bench` use, `clippy` what `doc` uses.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench;
use crate::conformance;
use crate::files;
use crate::instructions;
use crate::run::{cargo, run, run_logged};
use crate::supply;
use crate::tidy;

struct Step {
    name: &'static str,
    work: fn(&Path) -> Result<(), String>,
}

const STEPS: [Step; 10] = [
    Step { name: "fmt", work: |root| run(cargo(root, &["fmt", "--all", "--check"])) },
    Step { name: "tidy", work: tidy::command },
    Step { name: "supply", work: supply::command },
    Step { name: "clippy", work: clippy },
    Step { name: "doc", work: doc },
    Step { name: "test", work: test },
    Step { name: "conformance", work: |root| conformance::command(root, Some(&test_log(root))) },
    Step { name: "instructions", work: |root| instructions::command(root, false) },
    Step { name: "interop", work: interop },
    Step { name: "bench", work: |root| bench::bench(root, &["--smoke".to_owned()]) },
];

/// Runs all steps but those named in `skip`.
pub(crate) fn ci(root: &Path, skip: &[String]) -> Result<(), String> {
    if let Some(unknown) = skip.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names = STEPS.map(|step| step.name).join(", ");
        return Err(format!("no step {unknown}; there are: {names}"));
    }
    let begun = Instant::now();
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for step in STEPS.iter().filter(|step| skip.iter().all(|name| name != step.name)) {
        println!("\n==> {}", step.name);
        let (outcome, time) = timed(|| (step.work)(root));
        if let Err(problem) = &outcome {
            println!("{problem}");
            failed.push(step.name);
        }
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("==> {}: {word} in {:.1} s", step.name, time.as_secs_f64());
        lines.push(format!("{:<12} {word:<7} {:>7.1} s", step.name, time.as_secs_f64()));
    }
    println!("\n{}", lines.join("\n"));
    println!("{:<12} {:<7} {:>7.1} s", "all", "", begun.elapsed().as_secs_f64());
    if !skip.iter().any(|name| name == "test") {
        println!("{}", totals(&files::read(&test_log(root)).unwrap_or_default()));
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let outcome = work();
    (outcome, begun.elapsed())
}

fn clippy(root: &Path) -> Result<(), String> {
    run(cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn doc(root: &Path) -> Result<(), String> {
    let mut command = cargo(root, &["doc", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    run(command)
}

fn test(root: &Path) -> Result<(), String> {
    run_logged(cargo(root, &["test", "--workspace", "--no-fail-fast"]), &test_log(root))
}

fn test_log(root: &Path) -> PathBuf {
    files::target_dir(root).join("ci/test.log")
}

/// Runs interop/run.sh, which builds the programs in the same profile.
pub(crate) fn interop(root: &Path) -> Result<(), String> {
    let script = root.join("interop/run.sh");
    let mut command = Command::new(script);
    command.current_dir(root);
    run(command)
}

/// Sums the `test result:` lines up.
fn totals(log: &str) -> String {
    let mut passed = 0;
    let mut failed = 0;
    for line in log.lines().filter(|line| line.starts_with("test result: ")) {
        let words: Vec<_> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            match pair[1] {
                "passed;" => passed += pair[0].parse().unwrap_or(0),
                "failed;" => failed += pair[0].parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    format!("{passed} passed, {failed} failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_summed_over_all_binaries() {
        let log = "test a ... ok\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n\
                   noise\ntest result: FAILED. 40 passed; 2 failed; 1 ignored; 0 measured\n";
        assert_eq!(totals(log), "43 passed, 2 failed");
        assert_eq!(totals(""), "0 passed, 0 failed");
    }

    #[test]
    fn a_step_that_does_not_exist_is_refused() {
        let error = ci(Path::new("."), &["tests".to_owned()]).unwrap_err();
        assert!(error.starts_with("no step tests; there are: fmt, tidy, "), "{error}");
    }
}
