//! `cargo xtask mutants`: how many wrong programs the unit tests tell from the right one.
//!
//! cargo-mutants changes one operator or one function's result at a time; the tests of the changed
//! crate must then fail. All mutants of the protocol crates would take hours, so a seeded sample is
//! drawn: the same seed draws the same mutants from the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde::Deserialize;

use crate::files;
use crate::run;

/// Which mutants are drawn.
#[derive(Args)]
pub(crate) struct Sample {
    /// How many mutants
    #[arg(long, default_value_t = 300)]
    count: usize,
    /// Another seed draws another sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The code that is mutated: state machines and codecs, where a wrong branch is a wrong answer to a
/// device.
const MUTATED: [(&str, &str); 3] = [
    ("coap", "crates/coap/src/**"),
    ("lwm2m", "crates/lwm2m/src/codec/**"),
    ("engine", "crates/engine/src/**"),
];

/// Another version lists other mutants, so the sample would be another one.
const TOOL_VERSION: &str = "27.1.0";

/// Seconds the tests of one crate may run. They take few; a mutant that loops forever takes all.
const TIMEOUT: &str = "30";

/// Cases of each property test. A mutant is told by a few; the default only costs time.
const PROPERTY_CASES: &str = "32";

/// Tests of seconds, mostly about memory and panics; without them a mutant costs a third of the
/// time. What only they would notice counts as missed, so the rate errs downwards.
const SKIPPED_TESTS: [&str; 4] = [
    "endpoint::tests::growth",
    "the_peer_never_sees_a_message_id_twice",
    "every_truncation_and_bit_flip",
    "flipped_bits_do_not_panic",
];

/// Percent of the mutants that the tests must notice.
const DUE: f64 = 80.0;

/// Draws the sample, tests it and prints the result; fails if too many mutants survive.
pub(crate) fn command(root: &Path, sample: &Sample) -> Result<(), String> {
    let directory = files::target_dir(root).join("mutants");
    let tool = Tool::installed(root, &directory)?;
    let all = tool.list()?;
    let total = all.len();
    let drawn = draw(all, sample);
    println!("{} of {total} mutants, seed {}", drawn.len(), sample.seed);
    let outcomes = tool.test(&drawn)?;
    let missed = outcomes.iter().filter(|o| o.summary == Summary::MissedMutant);
    for mutant in missed.filter_map(|outcome| outcome.scenario.mutant()) {
        println!("missed: {}", mutant.name);
    }
    report(&outcomes)
}

#[derive(Clone, Debug, Deserialize)]
struct Mutant {
    /// Place and change, in one line.
    name: String,
    package: String,
}

/// The first of the mutants in an order that the seed decides.
fn draw(mut mutants: Vec<Mutant>, sample: &Sample) -> Vec<Mutant> {
    mutants.sort_by_cached_key(|mutant| (hash(sample.seed, &mutant.name), mutant.name.clone()));
    mutants.truncate(sample.count);
    mutants
}

/// FNV-1a over seed and name, then the finaliser of MurmurHash3: names that differ in their last
/// letter only must not stay neighbours.
fn hash(seed: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// cargo-mutants, in the version whose sample the documentation states.
struct Tool<'a> {
    root: &'a Path,
    /// Holds the program, its configuration, what it builds and what it writes.
    directory: &'a Path,
}

impl<'a> Tool<'a> {
    /// Installs it below the target directory unless it is there.
    fn installed(root: &'a Path, directory: &'a Path) -> Result<Self, String> {
        let tool = Self { root, directory };
        let version = Command::new(tool.program()).args(["mutants", "--version"]).output();
        let found =
            version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).contains(TOOL_VERSION));
        if !found {
            let version = format!("={TOOL_VERSION}");
            let arguments = ["install", "--locked", "cargo-mutants", "--version", &version];
            let mut install = run::cargo(root, &arguments);
            install.arg("--root").arg(directory.join("tool"));
            run::run(install)?;
        }
        Ok(tool)
    }

    fn program(&self) -> PathBuf {
        self.directory.join("tool/bin/cargo-mutants")
    }

    fn list(&self) -> Result<Vec<Mutant>, String> {
        let list = run::output(self.command(&["--list", "--json", "--no-config"]))?;
        serde_json::from_str(&list).map_err(|error| format!("cargo mutants --list: {error}"))
    }

    /// Tests in a copy of the tree, so that it may be edited meanwhile.
    fn test(&self, mutants: &[Mutant]) -> Result<Vec<Outcome>, String> {
        let config = self.directory.join("sample.toml");
        std::fs::write(&config, selection(mutants)?)
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let mut command = self.command(&["--baseline=skip", "--no-shuffle", "--timeout", TIMEOUT]);
        command.arg("--config").arg(&config).arg("--output").arg(self.directory);
        // Arguments of the tool's own `--` do not reach the build, which would build all targets.
        command.args(["--cargo-arg=--lib", "--cargo-arg=--locked", "--", "--"]);
        command.args(SKIPPED_TESTS.iter().flat_map(|test| ["--skip", test]));
        let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
        // 2: some were missed; 3: some ran out of time. Both are results.
        if !matches!(status.code(), Some(0 | 2 | 3)) {
            return Err(format!("{command:?} ended with {status}"));
        }
        let outcomes = files::read(&self.directory.join("mutants.out/outcomes.json"))?;
        let outcomes: Outcomes =
            serde_json::from_str(&outcomes).map_err(|error| format!("outcomes.json: {error}"))?;
        // The tool's selection never leaves out the deletion of a field in a struct expression.
        let drawn: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        let is_drawn =
            |o: &Outcome| o.scenario.mutant().is_some_and(|m| drawn.contains(m.name.as_str()));
        Ok(outcomes.outcomes.into_iter().filter(is_drawn).collect())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.current_dir(self.root).arg("mutants").args(arguments);
        for (package, files) in MUTATED {
            command.args(["--package", package, "--file", files]);
        }
        // Compiling outweighs running: no optimisation, no debug information.
        command
            .env("CARGO_TARGET_DIR", self.directory.join("build"))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("PROPTEST_CASES", PROPERTY_CASES);
        command
    }
}

/// A configuration of cargo-mutants that selects exactly these.
fn selection(mutants: &[Mutant]) -> Result<String, String> {
    let names: Vec<String> = mutants.iter().map(|mutant| exactly(&mutant.name)).collect();
    let config = toml::Table::from_iter([("examine_re".to_owned(), names.into())]);
    toml::to_string(&config).map_err(|error| error.to_string())
}

/// A regular expression that matches this name and no other.
fn exactly(name: &str) -> String {
    let mut pattern = String::from("^");
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('$');
    pattern
}

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Debug, Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Mutant),
}

impl Scenario {
    fn mutant(&self) -> Option<&Mutant> {
        match self {
            Self::Baseline => None,
            Self::Mutant(mutant) => Some(mutant),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    /// The mutant does not compile.
    Unviable,
    Failure,
    Timeout,
}

/// How many mutants ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    caught: u32,
    timeout: u32,
    missed: u32,
    unviable: u32,
}

impl Tally {
    fn count(&mut self, summary: Summary) {
        match summary {
            Summary::CaughtMutant => self.caught += 1,
            Summary::Timeout => self.timeout += 1,
            Summary::MissedMutant => self.missed += 1,
            Summary::Unviable => self.unviable += 1,
            Summary::Success | Summary::Failure => {}
        }
    }

    /// Percent of the mutants that compile which the tests notice; one that never ends is noticed.
    fn rate(&self) -> f64 {
        let noticed = self.caught + self.timeout;
        f64::from(noticed) * 100.0 / f64::from(noticed + self.missed).max(1.0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { caught, timeout, missed, unviable } = self;
        let rate = self.rate();
        write!(f, "{caught:>6} {timeout:>8} {missed:>7} {unviable:>9} {rate:>6.1} %")
    }
}

fn report(outcomes: &[Outcome]) -> Result<(), String> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut all = Tally::default();
    for outcome in outcomes {
        if let Some(mutant) = outcome.scenario.mutant() {
            tallies.entry(&mutant.package).or_default().count(outcome.summary);
            all.count(outcome.summary);
        }
    }
    println!("{:8} caught  timeout  missed  unviable    rate", "");
    for (package, tally) in tallies {
        println!("{package:8} {tally}");
    }
    println!("{:8} {all}", "all");
    let rate = all.rate();
    if rate >= DUE { Ok(()) } else { Err(format!("{rate:.1} % noticed, due are {DUE} %")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutants(names: &[&str]) -> Vec<Mutant> {
        let mutant = |name: &&str| Mutant { name: (*name).to_owned(), package: "coap".to_owned() };
        names.iter().map(mutant).collect()
    }

    fn names(mutants: &[Mutant]) -> Vec<&str> {
        mutants.iter().map(|mutant| mutant.name.as_str()).collect()
    }

    #[test]
    fn a_sample_depends_on_the_seed_and_not_on_the_order_of_the_list() {
        let listed = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut reversed = listed;
        reversed.reverse();
        let draw = |listed: &[&str], seed| draw(mutants(listed), &Sample { count: 5, seed });
        let first = draw(&listed, 1);
        assert_eq!(first.len(), 5);
        assert_eq!(names(&first), names(&draw(&reversed, 1)));
        assert_ne!(names(&first), names(&draw(&listed, 2)));
    }

    #[test]
    fn a_name_becomes_a_pattern_without_operators() {
        assert_eq!(exactly("a.rs:1:2: replace < with *"), r"^a\.rs:1:2: replace < with \*$");
    }

    #[test]
    fn outcomes_are_read_as_the_tool_writes_them() {
        let written = r#"{"total_mutants": 1, "outcomes": [
            {"scenario": "Baseline", "summary": "Success", "phase_results": []},
            {"scenario": {"Mutant": {"name": "a.rs:1:2: replace f with ()", "package": "coap",
              "file": "a.rs", "genre": "FnValue"}}, "summary": "CaughtMutant"}]}"#;
        let read: Outcomes = serde_json::from_str(written).expect("outcomes");
        let summaries: Vec<Summary> = read.outcomes.iter().map(|o| o.summary).collect();
        assert_eq!(summaries, [Summary::Success, Summary::CaughtMutant]);
        let names: Vec<&str> =
            read.outcomes.iter().filter_map(|o| Some(o.scenario.mutant()?.name.as_str())).collect();
        assert_eq!(names, ["a.rs:1:2: replace f with ()"]);
        assert_eq!(report(&read.outcomes), Ok(()));
    }

    #[test]
    fn a_rate_below_what_is_due_fails() {
        let outcome =
            |summary| Outcome { scenario: Scenario::Mutant(mutants(&["a"]).remove(0)), summary };
        let outcomes = [outcome(Summary::CaughtMutant), outcome(Summary::MissedMutant)];
        assert_eq!(report(&outcomes), Err("50.0 % noticed, due are 80 %".to_owned()));
    }

    #[test]
    fn mutants_that_do_not_compile_are_left_out_of_the_rate() {
        let mut tally = Tally::default();
        for summary in [Summary::CaughtMutant, Summary::Timeout, Summary::MissedMutant] {
            tally.count(summary);
        }
        tally.count(Summary::Unviable);
        assert_eq!(tally, Tally { caught: 1, timeout: 1, missed: 1, unviable: 1 });
        assert!((tally.rate() - 66.67).abs() < 0.01);
        assert!(Tally::default().rate().abs() < f64::EPSILON);
    }
}
