//! docs/operations.md against the code: every log event, note, outcome and metric of the program
//! has its row there, and no row is about something that is gone.
//!
//! Names are found by how the code writes them: `event = "..."` in a log line, `Variant = "..."`
//! in the table of the shards' numbers, the first argument of what a `Source` reports, and the
//! arms of the functions that give notes, events and errors their names.

use std::collections::BTreeMap;

use super::{Finding, is_test_file};
use crate::files::File;

const PAGE: &str = "docs/operations.md";

/// Headings of the page, and what their tables list.
const TABLES: [(&str, Kind); 4] = [
    ("## Log", Kind::Event),
    ("### Notes", Kind::Note),
    ("### Outcomes of commands", Kind::Outcome),
    ("## Metrics", Kind::Metric),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Event,
    Note,
    Outcome,
    Metric,
}

impl Kind {
    const fn noun(self) -> &'static str {
        match self {
            Self::Event => "log event",
            Self::Note => "note",
            Self::Outcome => "outcome",
            Self::Metric => "metric",
        }
    }
}

/// A name and where it stands.
type Named<'f> = BTreeMap<(Kind, String), (&'f str, usize)>;

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let code = in_code(files);
    let Some(page) = files.iter().find(|file| file.path == PAGE) else {
        return if code.is_empty() {
            Vec::new()
        } else {
            vec![Finding::new(PAGE, 1, "is missing")]
        };
    };
    let listed = in_page(page);
    let unlisted = code.iter().filter(|(key, _)| !listed.contains_key(*key));
    let gone = listed.iter().filter(|(key, _)| !code.contains_key(*key));
    let unlisted = unlisted.map(|((kind, name), &(path, line))| {
        Finding::new(path, line, format!("{} `{name}` has no row in {PAGE}", kind.noun()))
    });
    let gone = gone.map(|((kind, name), &(path, line))| {
        Finding::new(path, line, format!("no {} is called `{name}`", kind.noun()))
    });
    unlisted.chain(gone).collect()
}

fn in_page(page: &File) -> Named<'_> {
    let mut listed = Named::new();
    let mut kind = None;
    for (number, line) in (1..).zip(page.text.lines()) {
        if line.starts_with('#') {
            kind = TABLES.iter().find(|(heading, _)| line == *heading).map(|(_, kind)| *kind);
        }
        let (Some(kind), Some(row)) = (kind, line.strip_prefix("| `")) else { continue };
        // A row of several names: | `one`, `two` | ...
        let cell = row.split(" | ").next().unwrap_or_default();
        for name in cell.split(", ").map(|name| name.trim_matches('`')) {
            listed.insert((kind, name.to_owned()), (&page.path, number));
        }
    }
    listed
}

fn in_code(files: &[File]) -> Named<'_> {
    let mut named = Named::new();
    for file in files.iter().filter(|file| !is_test_file(file)) {
        let text = without_tests(&file.text);
        match file.path.as_str() {
            "crates/engine/src/event.rs" => arms(file, text, Kind::Event, &mut named),
            "crates/engine/src/note.rs" | "crates/coap/src/event.rs" => {
                arms(file, text, Kind::Note, &mut named);
            }
            "crates/engine/src/command.rs" => arms(file, text, Kind::Outcome, &mut named),
            "crates/gateway/src/telemetry/shard_metrics.rs" => shard_metrics(file, &mut named),
            path if path.starts_with("crates/gateway/src/") => {
                log_events(file, text, &mut named);
                reported(file, text, &mut named);
            }
            _ => {}
        }
    }
    // The log says `note` for every event `Noted`.
    named.remove(&(Kind::Event, "noted".to_owned()));
    named
}

fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// `Self::Variant => "name"`.
fn arms<'f>(file: &'f File, text: &str, kind: Kind, named: &mut Named<'f>) {
    for (number, line) in (1..).zip(text.lines()) {
        let Some(arm) = line.trim_start().strip_prefix("Self::") else { continue };
        let name = arm.split_once(" => \"").and_then(|(_, rest)| literal(rest));
        if let Some(name) = name {
            named.insert((kind, name.to_owned()), (&file.path, number));
        }
    }
}

fn log_events<'f>(file: &'f File, text: &str, named: &mut Named<'f>) {
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.split_once("event = \"").and_then(|(_, rest)| literal(rest));
        if let Some(name) = name {
            named.insert((Kind::Event, name.to_owned()), (&file.path, number));
        }
    }
}

/// `Variant = "family" ..;` within the tables.
fn shard_metrics<'f>(file: &'f File, named: &mut Named<'f>) {
    for (number, line) in (1..).zip(file.text.lines()) {
        let Some((variant, rest)) = line.trim_start().split_once(" = \"") else { continue };
        let is_variant = variant.starts_with(|c: char| c.is_ascii_uppercase())
            && variant.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && line.ends_with(';');
        if let (true, Some(name)) = (is_variant, literal(rest)) {
            named.insert((Kind::Metric, name.to_owned()), (&file.path, number));
        }
    }
}

/// `page.gauge("name", ..)` and its like; the name may stand on the next line.
fn reported<'f>(file: &'f File, text: &str, named: &mut Named<'f>) {
    for method in ["gauge", "gauges", "counter", "counters", "seconds"] {
        for (position, call) in text.match_indices(&format!("page.{method}(")) {
            let behind = text[position + call.len()..].trim_start();
            let Some(name) = behind.strip_prefix('"').and_then(literal) else { continue };
            let line = 1 + text[..position].matches('\n').count();
            named.insert((Kind::Metric, name.to_owned()), (&file.path, line));
        }
    }
}

/// The rest of a literal whose opening quote is gone, if it is a name.
fn literal(rest: &str) -> Option<&str> {
    let (name, _) = rest.split_once('"')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture;

    fn problems(code: &str, page: &str) -> Vec<String> {
        let files = [fixture("crates/gateway/src/a.rs", code), fixture(PAGE, page)];
        check(&files).into_iter().map(|finding| finding.problem).collect()
    }

    #[test]
    fn every_event_and_metric_needs_a_row_under_its_heading() {
        let code = "tracing::info!(event = \"started\");\npage.gauge(\n    \"uptime\", 1.0)?;\n";
        let page = "## Log\n| `started` | x |\n## Metrics\n| `uptime` | y |\n";
        assert_eq!(problems(code, page), Vec::<String>::new());
        assert_eq!(
            problems(code, "## Log\n| `uptime` | x |\n"),
            [
                "log event `started` has no row in docs/operations.md",
                "metric `uptime` has no row in docs/operations.md",
                "no log event is called `uptime`",
            ]
        );
    }

    #[test]
    fn a_row_may_hold_several_names() {
        let code = "event = \"one\"\nevent = \"two\"\n";
        assert!(problems(code, "## Log\n\n| `one`, `two` | x `three` |\n").is_empty());
    }

    #[test]
    fn tables_of_the_shards_and_names_of_the_core_are_found() {
        let files = [
            fixture(
                "crates/gateway/src/telemetry/shard_metrics.rs",
                "    DatagramsIn = \"datagrams\" {direction = \"in\"};\n    let x = \"y\";\n",
            ),
            fixture("crates/coap/src/event.rs", "    Self::Odd(_) => \"odd\",\n"),
            fixture("crates/engine/src/event.rs", "    Self::Noted(_) => \"noted\",\n"),
            fixture(PAGE, ""),
        ];
        let found: Vec<_> = check(&files).into_iter().map(|finding| finding.problem).collect();
        assert_eq!(
            found,
            [
                "note `odd` has no row in docs/operations.md",
                "metric `datagrams` has no row in docs/operations.md",
            ]
        );
    }

    #[test]
    fn what_only_tests_say_needs_no_row() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    event = \"made_up\"\n}\n";
        assert!(problems(code, "").is_empty());
        let files = [fixture("crates/gateway/src/a/tests.rs", "event = \"made_up\"\n")];
        assert!(check(&files).is_empty());
    }

    #[test]
    fn the_page_itself_is_needed() {
        let files = [fixture("crates/gateway/src/a.rs", "event = \"started\"\n")];
        assert_eq!(check(&files)[0].problem, "is missing");
    }
}
