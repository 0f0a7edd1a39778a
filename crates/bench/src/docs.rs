//! The page of figures: tables between two marks, made from a run and never by hand.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::budget;
use crate::problem::{Context, Outcome, Problem};
use crate::report::{self, Report};

/// Between these two the page belongs to this program.
const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

/// Puts the figures of a run into the page.
pub(crate) fn write(report: &Report, page: &Path) -> Outcome<()> {
    let name = || page.display().to_string();
    let text = fs::read_to_string(page).context(name)?;
    let text = replaced(&text, &figures(report))
        .ok_or_else(|| Problem::new(format!("{}: no `{BEGIN}` before `{END}`", name())))?;
    fs::write(page, text).context(name)
}

fn replaced(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

fn figures(report: &Report) -> String {
    let mut text = run(report);
    text.push_str("\n### Budgets\n\n");
    text.push_str(&budget::markdown(&report.rows));
    let mut families: Vec<_> = report.rows.iter().map(family).collect();
    let mut seen = HashSet::new();
    families.retain(|family| seen.insert(*family));
    for one in families {
        text.push_str(&format!("\n### {one}\n\n"));
        text.push_str(&report::markdown(report.rows.iter().filter(|row| family(row) == one)));
    }
    for failure in &report.failures {
        text.push_str(&format!("\nNot measured: {failure}\n"));
    }
    text
}

/// Rows whose names begin with the same word share a table, whichever server they are of.
fn family(row: &report::Row) -> &str {
    row.scenario.split('-').next().unwrap_or_default()
}

fn run(report: &Report) -> String {
    let machine = &report.machine;
    let settings = &report.settings;
    let versions = [machine.mosquitto.as_deref(), machine.java.as_deref()];
    let versions: String = versions.iter().flatten().map(|text| format!(", {text}")).collect();
    format!(
        "Run `{}` of {}, {} s, commit {}. {} x {}, {:.1} GB, Linux {}; {}{versions}. Load average \
         before the run: {}. Server on processor {}, the rest on processor {}.\n",
        settings.scale,
        date(machine.started),
        settings.seconds,
        machine.commit,
        machine.processors,
        machine.cpu,
        machine.memory_bytes as f64 / (1_u64 << 30) as f64,
        machine.kernel,
        machine.rust,
        machine.load_before,
        settings.server_cpu,
        settings.others_cpu,
    )
}

/// A date (UTC) of seconds since 1970, by the civil calendar.
fn date(seconds: u64) -> String {
    // Days are counted from 1 March of year 0, so that the leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity::Placement;
    use crate::machine::Machine;
    use crate::report::{Row, Settings};

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(replaced("no marks", "new"), None);
    }

    #[test]
    fn each_family_of_scenarios_has_its_table() {
        let row = |name: &str| Row { scenario: name.to_owned(), ..Row::default() };
        let report = Report {
            machine: Machine::default(),
            settings: Settings::new("quick", &Placement { server: 0, others: 1 }),
            rows: vec![row("notify-non"), row("idle"), row("notify-con")],
            failures: vec!["storm: no".to_owned()],
        };
        let text = figures(&report);
        let headings: Vec<_> = text.lines().filter(|line| line.starts_with("###")).collect();
        assert_eq!(headings, ["### Budgets", "### notify", "### idle"]);
        assert!(text.contains("Not measured: storm: no"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in
            [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_764_028_800, "2025-11-25")]
        {
            assert_eq!(date(seconds), expected);
        }
    }
}
