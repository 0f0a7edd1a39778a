//! `cargo xtask instructions`: what an operation of each data flow costs in instructions, against
//! the stored baseline.
//!
//! Instructions do not depend on what else the machine does, so CI can compare them. They are
//! counted by callgrind (Valgrind), which scripts/install-ci-deps.sh installs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files;
use crate::run::{cargo, output, run};

/// Flows of the program `flows`.
const FLOWS: [&str; 3] = ["notification", "registration", "command"];

/// Operations that are counted, after as many that are not.
const OPERATIONS: u64 = 2_000;

/// A change of this share is none: hash tables differ a little from build to build.
const TOLERANCE: f64 = 0.03;

const BASELINE: &str = "spec/instructions.toml";

const HEAD: &str = "\
# Instructions per operation from datagram to publication and back, without system calls, by flow.
# Checked by `cargo xtask instructions`; written by `cargo xtask instructions --bless`.
";

type Counts = BTreeMap<String, u64>;

/// Counts and compares, or writes the baseline.
pub(crate) fn command(root: &Path, bless: bool) -> Result<(), String> {
    run(cargo(root, &["build", "--release", "--package", "flows"]))?;
    let counts = FLOWS.iter().map(|flow| Ok(((*flow).to_owned(), count(root, flow)?)));
    let counts = counts.collect::<Result<Counts, String>>()?;
    let baseline = root.join(BASELINE);
    if bless {
        let text = toml::to_string(&counts).map_err(|error| error.to_string())?;
        return std::fs::write(&baseline, format!("{HEAD}{text}"))
            .map_err(|error| format!("{BASELINE}: {error}"));
    }
    let text = files::read(&baseline)?;
    let stored = toml::from_str(&text).map_err(|error| format!("{BASELINE}: {error}"))?;
    let (lines, dearer) = compare(&stored, &counts);
    println!("{}", lines.join("\n"));
    if dearer.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{} above {BASELINE}; if that is meant: cargo xtask instructions --bless",
        dearer.join(", ")
    ))
}

/// A line for each flow, and the flows that cost more than they did.
fn compare(stored: &Counts, counts: &Counts) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut dearer) = (Vec::new(), Vec::new());
    for (flow, now) in counts {
        let before = stored.get(flow).copied().unwrap_or(0);
        let share = *now as f64 / before as f64 - 1.0;
        let word = match share {
            share if share > TOLERANCE => "dearer",
            share if share < -TOLERANCE => "cheaper: bless it",
            _ => "as before",
        };
        lines.push(format!("{flow:<14} {now:>8} ({before:>8} stored, {word})"));
        if share > TOLERANCE {
            dearer.push(flow.clone());
        }
    }
    (lines, dearer)
}

/// Instructions of one operation.
fn count(root: &Path, flow: &str) -> Result<u64, String> {
    let target = files::target_dir(root);
    let report: PathBuf = target.join(format!("callgrind.{flow}"));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=flows::measured*"])
        .arg(format!("--callgrind-out-file={}", report.display()))
        .arg(target.join("release/flows"))
        .args([flow, &OPERATIONS.to_string()]);
    output(valgrind)?;
    let report = files::read(&report)?;
    let total = total(&report).ok_or_else(|| format!("{flow}: callgrind counted nothing"))?;
    Ok(total / OPERATIONS)
}

/// The number in the line `summary:` (or `totals:`) of a report.
fn total(report: &str) -> Option<u64> {
    let number = |line: &str| {
        let rest = line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:"))?;
        rest.trim().parse::<u64>().ok()
    };
    report.lines().find_map(number).filter(|total| *total > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_report_is_found() {
        assert_eq!(total("version: 1\nsummary: 4200\nfn=(1)\n"), Some(4_200));
        assert_eq!(total("fn=(1)\ntotals: 77\n"), Some(77));
        assert_eq!(total("summary: 0\n"), None);
        assert_eq!(total(""), None);
    }

    #[test]
    fn only_what_costs_clearly_more_fails() {
        let counts = |notification, command| {
            let pairs = [("notification", notification), ("command", command)];
            pairs.map(|(flow, count)| (flow.to_owned(), count)).into_iter().collect::<Counts>()
        };
        let stored = counts(1_000, 2_000);
        assert!(compare(&stored, &counts(1_020, 1_000)).1.is_empty());
        let (lines, dearer) = compare(&stored, &counts(1_040, 2_000));
        assert_eq!(dearer, ["notification"]);
        assert!(lines.iter().any(|line| line.contains("dearer")), "{lines:?}");
        let unknown = compare(&Counts::new(), &counts(1, 1)).1;
        assert_eq!(unknown.len(), 2, "a flow without a baseline");
    }
}
