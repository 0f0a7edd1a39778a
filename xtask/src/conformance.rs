//! `cargo xtask conformance`: spec/conformance.toml says which test proves which requirement, and
//! spec/emqx-defects.toml which proves that a defect of EMQX's gateway is absent, and
//! spec/emqx-contract.toml which prove that it is replaced, rule by rule; this proves that those
//! tests exist, and that they ran.
//!
//! A test is named as in the log of a run: target, `::`, name (`coap::message::tests::x`; for a
//! file below `tests/` the target is the file). Tests that cover a fact of the list of protocol
//! facts say `Fact N:` in their doc comment, and an entry `fact-N` must name such a test.

mod facts;
mod listing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::files;
use listing::Outcome;

/// What the specifications require, what users of EMQX's gateway miss, and what it does.
const FILES: [&str; 3] =
    ["spec/conformance.toml", "spec/emqx-defects.toml", "spec/emqx-contract.toml"];

/// Where the tables are whose rows the lists name.
const TABLES: &str = "crates/gateway/tests/contract";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conformance {
    /// Numbers and ranges of facts that must each have an entry: `"1-8"`, `"85"`.
    #[serde(default)]
    facts: Vec<String>,
    #[serde(default)]
    requirement: Vec<Requirement>,
}

/// One requirement of a specification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    /// Unique; `fact-N` for a protocol fact.
    id: String,
    /// Where it stands: `RFC 7252 4.5`.
    section: String,
    /// What is required, in a few words.
    #[serde(default)]
    text: String,
    status: Status,
    /// Why it is an exception, or still open.
    #[serde(default)]
    reason: String,
    /// The test or tests that prove it.
    #[serde(default)]
    test: Tests,
    /// Tables of the contract tests, which are played in both profiles.
    #[serde(default)]
    both: Vec<String>,
    /// Rows of these tables, or values in them, as texts of the source.
    #[serde(default)]
    rows: Vec<String>,
}

impl Requirement {
    /// Every test that proves it.
    fn tests(&self) -> Vec<String> {
        let played = |table: &String| PROFILES.map(|name| format!("contract::{table}::{name}"));
        self.test.0.iter().cloned().chain(self.both.iter().flat_map(played)).collect()
    }
}

const PROFILES: [&str; 2] = ["emqx4", "emqx5"];

/// What is held against the lists.
struct Found {
    /// Tests, and how they ended.
    tests: BTreeMap<String, Outcome>,
    /// Facts, and the tests that name them.
    facts: BTreeMap<u32, BTreeSet<String>>,
    /// The source of the tables.
    tables: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Status {
    Done,
    Exception,
    Todo,
}

#[derive(Default)]
struct Tests(Vec<String>);

impl<'de> Deserialize<'de> for Tests {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(test) => vec![test],
            OneOrMany::Many(tests) => tests,
        }))
    }
}

/// Checks the file; with the log of a run also that every named test passed in it.
pub(crate) fn command(root: &Path, log: Option<&Path>) -> Result<(), String> {
    let existing = match log {
        // What ran exists.
        Some(log) => listing::from_log(&files::read(log)?),
        None => listing::from_binaries(root)?,
    };
    let found = Found { tests: existing, facts: facts::scan(root)?, tables: tables(root)? };
    let mut count = 0;
    for file in FILES {
        let conformance = parse(file, &files::read(&root.join(file))?)?;
        let problems = check(&conformance, &found);
        for problem in &problems {
            println!("{file}: {problem}");
        }
        println!("{file}: {}", summary(&conformance));
        count += problems.len();
    }
    if count == 0 { Ok(()) } else { Err(format!("conformance: {count} problems")) }
}

/// Prints the facts that tests name, in the form of entries.
pub(crate) fn print_facts(root: &Path) -> Result<(), String> {
    for (fact, tests) in facts::scan(root)? {
        let tests: Vec<_> = tests.iter().map(|test| format!("    {test:?},\n")).collect();
        println!("[[requirement]]\nid = \"fact-{fact}\"\nsection = \"\"\ntext = \"\"");
        println!("status = \"done\"\ntest = [\n{}]\n", tests.concat());
    }
    Ok(())
}

fn tables(root: &Path) -> Result<String, String> {
    let sources = files::read_all(&root.join(TABLES), &["rs"])?;
    Ok(sources.into_iter().map(|source| source.text).collect())
}

fn parse(file: &str, text: &str) -> Result<Conformance, String> {
    toml::from_str(text).map_err(|error| format!("{file}: {error}"))
}

fn check(conformance: &Conformance, all: &Found) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for requirement in &conformance.requirement {
        let id = &requirement.id;
        if !ids.insert(id.as_str()) {
            problems.push(format!("{id}: there is another entry of this id"));
        }
        let found = check_entry(requirement, all);
        problems.extend(found.into_iter().map(|problem| format!("{id}: {problem}")));
    }
    match required_facts(&conformance.facts) {
        Ok(required) => problems.extend(
            required
                .into_iter()
                .filter(|fact| !ids.contains(format!("fact-{fact}").as_str()))
                .map(|fact| format!("fact-{fact}: has no entry")),
        ),
        Err(problem) => problems.push(problem),
    }
    problems
}

fn check_entry(requirement: &Requirement, all: &Found) -> Vec<String> {
    let mut problems = Vec::new();
    let tests = requirement.tests();
    if requirement.section.is_empty() {
        problems.push("has no section".to_owned());
    }
    if requirement.status == Status::Done && tests.is_empty() {
        problems.push("is done but names no test".to_owned());
    }
    if requirement.status != Status::Done && requirement.reason.is_empty() {
        problems.push("is not done and has no reason".to_owned());
    }
    for test in tests {
        match all.tests.get(&test) {
            Some(Outcome::Passed) => {}
            Some(outcome) => problems.push(format!("{test} {outcome}")),
            None => problems.push(format!("{test} does not exist or did not run")),
        }
    }
    let is_there = |row: &&String| all.tables.contains(&format!("\"{row}\""));
    let gone = requirement.rows.iter().filter(|row| !is_there(row));
    problems.extend(gone.map(|row| format!("no table has a row \"{row}\"")));
    problems.extend(check_fact(requirement, &all.facts));
    problems
}

/// An entry `fact-N` that is done names only tests that say so themselves.
fn check_fact(
    requirement: &Requirement,
    facts: &BTreeMap<u32, BTreeSet<String>>,
) -> Option<String> {
    let fact = requirement.id.strip_prefix("fact-")?;
    let Ok(number) = fact.parse::<u32>() else { return Some("is no number of a fact".to_owned()) };
    let naming = facts.get(&number);
    let silent = requirement.test.0.iter().find(|test| !naming.is_some_and(|n| n.contains(*test)));
    silent.map(|test| format!("{test} does not say `Fact {number}:` in its doc comment"))
}

fn required_facts(ranges: &[String]) -> Result<BTreeSet<u32>, String> {
    let mut required = BTreeSet::new();
    for range in ranges {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.trim().parse::<u32>(), to.trim().parse::<u32>()) {
            (Ok(from), Ok(to)) if from <= to => required.extend(from..=to),
            _ => return Err(format!("facts: {range:?} is no range such as \"1-8\"")),
        }
    }
    Ok(required)
}

fn summary(conformance: &Conformance) -> String {
    let count = |status| {
        conformance.requirement.iter().filter(|requirement| requirement.status == status).count()
    };
    let described = conformance.requirement.iter().filter(|r| !r.text.is_empty()).count();
    format!(
        "{} requirements ({described} described): {} done, {} exceptions, {} open",
        conformance.requirement.len(),
        count(Status::Done),
        count(Status::Exception),
        count(Status::Todo)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "coap::dedup::tests::a_duplicate_is_answered_with_the_stored_answer";

    fn problems(text: &str) -> Vec<String> {
        let existing = BTreeMap::from([
            (TEST.to_owned(), Outcome::Passed),
            ("contract::table::emqx4".to_owned(), Outcome::Passed),
            ("coap::tests::broken".to_owned(), Outcome::Failed),
            ("coap::tests::left_out".to_owned(), Outcome::Ignored),
        ]);
        let facts = BTreeMap::from([(26, BTreeSet::from([TEST.to_owned()]))]);
        let tables = r#"("a row", one)"#.to_owned();
        check(&parse("test", text).unwrap(), &Found { tests: existing, facts, tables })
    }

    fn entry(id: &str, rest: &str) -> String {
        format!("[[requirement]]\nid = \"{id}\"\nsection = \"RFC 7252 4.5\"\n{rest}\n")
    }

    #[test]
    fn an_entry_needs_a_test_that_passed() {
        let done = |test: &str| entry("dedup", &format!("status = \"done\"\ntest = {test:?}"));
        assert_eq!(problems(&done(TEST)), Vec::<String>::new());
        for (test, problem) in [
            ("coap::tests::broken", "dedup: coap::tests::broken failed"),
            ("coap::tests::left_out", "dedup: coap::tests::left_out was ignored"),
            ("coap::tests::gone", "dedup: coap::tests::gone does not exist or did not run"),
        ] {
            assert_eq!(problems(&done(test)), [problem]);
        }
        assert_eq!(
            problems(&entry("dedup", "status = \"done\"")),
            ["dedup: is done but names no test"]
        );
    }

    #[test]
    fn a_table_is_played_in_both_profiles_and_has_its_rows() {
        let rest = "status = \"done\"\nboth = [\"table\"]\nrows = [\"a row\", \"row\"]";
        assert_eq!(
            problems(&entry("rule", rest)),
            [
                "rule: contract::table::emqx5 does not exist or did not run",
                "rule: no table has a row \"row\""
            ]
        );
    }

    #[test]
    fn what_is_not_done_needs_a_reason() {
        let open = entry("a", "status = \"todo\"");
        assert_eq!(problems(&open), ["a: is not done and has no reason"]);
        assert!(problems(&entry("a", "status = \"exception\"\nreason = \"no TCP\"")).is_empty());
    }

    #[test]
    fn an_id_has_one_entry() {
        let one = entry("a", "status = \"todo\"\nreason = \"later\"");
        assert_eq!(problems(&format!("{one}{one}")), ["a: there is another entry of this id"]);
    }

    #[test]
    fn a_fact_needs_an_entry_and_a_test_that_names_it() {
        let good = entry("fact-26", &format!("status = \"done\"\ntest = [{TEST:?}]"));
        assert!(problems(&format!("facts = [\"26\"]\n{good}")).is_empty());
        assert_eq!(problems(&format!("facts = [\"26-27\"]\n{good}")), ["fact-27: has no entry"]);
        let foreign = entry("fact-27", &format!("status = \"done\"\ntest = [{TEST:?}]"));
        let problem = format!("fact-27: {TEST} does not say `Fact 27:` in its doc comment");
        assert_eq!(problems(&foreign), [problem]);
        assert_eq!(problems("facts = [\"8-1\"]"), ["facts: \"8-1\" is no range such as \"1-8\""]);
    }

    /// Without running anything: the tests of each fact are those that name it.
    #[test]
    fn the_lists_of_this_repository_agree_with_its_sources() {
        let root = files::workspace_root();
        for file in FILES {
            let conformance = parse(file, &files::read(&root.join(file)).unwrap()).unwrap();
            let named = conformance.requirement.iter().flat_map(Requirement::tests);
            let tests = named.map(|test| (test, Outcome::Passed)).collect();
            let (facts, tables) = (facts::scan(&root).unwrap(), tables(&root).unwrap());
            let problems = check(&conformance, &Found { tests, facts, tables });
            assert!(problems.is_empty(), "{file}\n{}\n", problems.join("\n"));
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(parse("test", &entry("a", "status = \"done\"\ntests = []")).is_err());
        assert!(parse("test", &entry("a", "status = \"finished\"")).is_err());
    }
}
