//! What was measured: rows, as an aligned table and as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::affinity::Placement;
use crate::agent::Spans;
use crate::machine::Machine;
use crate::problem::{Outcome, Problem};

/// A run: the machine, the settings, the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) rows: Vec<Row>,
    /// Scenarios that could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

impl Report {
    /// One of several, in their order. Of rows that are in more than one, the last counts; what
    /// applies to all rows is that of the first.
    ///
    /// # Errors
    /// None at all, and one that cannot be read.
    pub(crate) fn merged(reports: impl Iterator<Item = Outcome<Self>>) -> Outcome<Self> {
        let mut whole: Option<Self> = None;
        for report in reports {
            let report = report?;
            let Some(whole) = &mut whole else {
                whole = Some(report);
                continue;
            };
            let anew = |row: &Row| report.rows.iter().any(|new| new.is_of(row));
            whole.rows.retain(|row| !anew(row));
            whole.rows.extend(report.rows);
            whole.failures.extend(report.failures);
            whole.settings.add(&report.settings);
        }
        whole.ok_or_else(|| Problem::new("no run to take rows from"))
    }
}

/// What applies to all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// `smoke`, `quick` or `full`.
    pub(crate) scale: String,
    /// Processor of the measured server.
    pub(crate) server_cpu: usize,
    /// Processor of simulator, subscriber, external broker and this program.
    pub(crate) others_cpu: usize,
    pub(crate) seconds: u64,
}

impl Settings {
    fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        if !self.scale.contains(&other.scale) {
            self.scale = format!("{}, {}", self.scale, other.scale);
        }
    }

    pub(crate) fn new(scale: &str, placement: &Placement) -> Self {
        Self {
            scale: scale.to_owned(),
            server_cpu: placement.server,
            others_cpu: placement.others,
            seconds: 0,
        }
    }
}

/// One measured window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    /// `gateway`, `leshan`, `floor`, or the address of a peer.
    pub(crate) server: String,
    /// `embedded` or `mosquitto`.
    pub(crate) broker: String,
    /// Devices registered in the window, or at its end.
    pub(crate) devices: u64,
    /// Operations that were counted where they are of use: at the subscriber.
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    /// CPU time of the server's process per operation, less what it uses when idle.
    pub(crate) cpu_us: Option<f64>,
    /// CPU time of the server's process, as a share of one processor.
    pub(crate) server_load: Option<f64>,
    /// CPU time of everybody else on the other processor.
    pub(crate) others_load: f64,
    /// CPU time of everything on the machine that does not belong to the run, as a share of one
    /// processor: what made the other figures worse.
    #[serde(default)]
    pub(crate) strangers_load: f64,
    /// Time from the device to the subscriber, or from command to answer.
    pub(crate) latency: Option<Spans>,
    /// Growth of resident memory per device.
    pub(crate) bytes_per_device: Option<f64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) losses: Losses,
    pub(crate) notes: Vec<String>,
}

impl Row {
    /// Whether both measure the same thing.
    fn is_of(&self, other: &Self) -> bool {
        let key = |row: &Self| (row.scenario.clone(), row.server.clone(), row.broker.clone());
        key(self) == key(other) && self.devices == other.devices
    }

    pub(crate) fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.operations as f64 / self.seconds } else { 0.0 }
    }
}

/// What was sent and did not arrive, and where it was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Losses {
    /// Sent by devices or made by the server, where that is counted.
    pub(crate) sent: Option<u64>,
    /// Of these, what never arrived.
    #[serde(default)]
    pub(crate) missing: Option<u64>,
    /// Datagrams that the kernel did not take from the simulator.
    pub(crate) simulator: u64,
    /// Dropped by the kernel because the server's receive buffer was full.
    pub(crate) kernel: u64,
    /// Dropped by the gateway: no room in the outbox or in a queue between shards.
    pub(crate) gateway: u64,
    /// Dropped by the broker for a subscriber that did not keep up.
    pub(crate) broker: u64,
    /// Sent, not arrived, and counted nowhere.
    pub(crate) unknown: u64,
}

impl Losses {
    fn total(&self) -> u64 {
        self.simulator + self.kernel + self.gateway + self.broker + self.unknown
    }

    /// What is missing, and every place that dropped something. The places count repetitions and
    /// what came again as well, so they may add up to more.
    pub(crate) fn text(&self) -> String {
        let places = [
            ("simulator", self.simulator),
            ("kernel", self.kernel),
            ("gateway", self.gateway),
            ("broker", self.broker),
            ("unknown", self.unknown),
        ];
        let some = places.iter().filter(|(_, count)| *count > 0);
        let places: Vec<_> = some.map(|(place, count)| format!("{place} {count}")).collect();
        match (self.missing, self.total()) {
            (None | Some(0), 0) => "0".to_owned(),
            (Some(missing), _) => format!("{missing} ({})", places.join(", ")),
            (None, _) => places.join(", "),
        }
    }
}

/// The columns of the table.
const HEADINGS: [&str; 13] = [
    "scenario", "server", "broker", "devices", "counted", "per s", "CPU µs", "load %", "else %",
    "p50 µs", "p99 µs", "B/device", "lost",
];

/// The rows for a terminal, with their notes below.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut text = String::new();
    for (index, cells) in aligned(&lines).into_iter().enumerate() {
        text.push_str(cells.trim_end());
        text.push('\n');
        let notes = index.checked_sub(1).and_then(|index| rows.get(index));
        for note in notes.map(|row| &row.notes).into_iter().flatten() {
            text.push_str("    ");
            text.push_str(note);
            text.push('\n');
        }
    }
    text
}

/// The rows for a page, in Markdown.
pub(crate) fn markdown<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&HEADINGS.map(str::to_owned));
    text.push_str("|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n");
    let mut notes = String::new();
    for row in rows {
        text.push_str(&line(&cells(row)));
        for note in &row.notes {
            notes.push_str(&format!(
                "* {}, {} devices: {note}\n",
                row.scenario,
                grouped(row.devices)
            ));
        }
    }
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

fn cells(row: &Row) -> [String; 13] {
    let dash = || "-".to_owned();
    let tenth = |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.1}"));
    let spans = row.latency.filter(|spans| spans.count > 0);
    let micros = |of: fn(&Spans) -> u64| spans.as_ref().map(of).map_or_else(dash, grouped);
    let others = format!("{:.0}", 100.0 * row.others_load);
    [
        row.scenario.clone(),
        row.server.clone(),
        row.broker.clone(),
        grouped(row.devices),
        grouped(row.operations),
        grouped(row.per_second().round() as u64),
        tenth(row.cpu_us),
        row.server_load.map_or_else(dash, |load| format!("{:.0}+{others}", 100.0 * load)),
        format!("{:.0}", 100.0 * row.strangers_load),
        micros(|spans| spans.p50_us),
        micros(|spans| spans.p99_us),
        row.bytes_per_device.map_or_else(dash, |bytes| grouped(bytes.round().max(0.0) as u64)),
        row.losses.text(),
    ]
}

/// Names to the left, numbers to the right, two spaces between.
fn aligned(lines: &[[String; 13]]) -> Vec<String> {
    let mut widths = [0; 13];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let column = |index: usize, cell: &str, width: usize| match index {
        0..=2 | 12 => format!("{cell:<width$}"),
        _ => format!("{cell:>width$}"),
    };
    let line = |cells: &[String; 13]| {
        let cells = cells.iter().zip(widths).enumerate();
        cells.map(|(i, (cell, width))| column(i, cell, width)).collect::<Vec<_>>().join("  ")
    };
    lines.iter().map(line).collect()
}

/// Digits in groups of three, with a narrow space that every terminal has: a plain one.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Microseconds of CPU time per operation; `None` without operations.
pub(crate) fn micros_each(cpu: Duration, operations: u64) -> Option<f64> {
    (operations > 0).then(|| cpu.as_secs_f64() * 1e6 / operations as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            scenario: "notify-non".to_owned(),
            server: "gateway".to_owned(),
            broker: "embedded".to_owned(),
            devices: 1_000,
            operations: 1_234_567,
            seconds: 10.0,
            cpu_us: Some(5.25),
            server_load: Some(0.1),
            others_load: 0.25,
            latency: Some(Spans { count: 9, p50_us: 90, p99_us: 1_200, max_us: 3_000 }),
            notes: vec!["a note".to_owned()],
            ..Row::default()
        }
    }

    #[test]
    fn columns_stand_below_each_other_and_notes_below_their_row() {
        let text = table(&[row(), Row { scenario: "x".to_owned(), ..row() }]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0].find("server"), lines[1].find("gateway"));
        assert_eq!(lines[1].find("1 234 567"), lines[3].find("1 234 567"));
        assert_eq!(lines[2].trim(), "a note");
        assert!(lines[1].contains("10+25") && lines[1].ends_with('0'), "{}", lines[1]);
    }

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let text = markdown([Row::default()].iter());
        assert!(text.lines().nth(2).unwrap().contains("| - | - | 0 | - | - | - | 0 |"), "{text}");
    }

    #[test]
    fn every_loss_is_named_with_its_place() {
        let losses = Losses { kernel: 3, broker: 4, ..Losses::default() };
        assert_eq!(losses.text(), "kernel 3, broker 4");
        assert_eq!(Losses { missing: Some(5), ..losses }.text(), "5 (kernel 3, broker 4)");
        assert_eq!(Losses { missing: Some(0), ..Losses::default() }.text(), "0");
        assert_eq!(Losses::default().text(), "0");
    }

    #[test]
    fn numbers_are_grouped_and_costs_divided() {
        assert_eq!(grouped(1_000_000), "1 000 000");
        assert_eq!(grouped(999), "999");
        assert_eq!(micros_each(Duration::from_millis(5), 1000), Some(5.0));
        assert_eq!(micros_each(Duration::from_millis(5), 0), None);
    }

    #[test]
    fn of_several_runs_the_last_row_counts() {
        let report = |rows| Report {
            machine: Machine::default(),
            settings: Settings { seconds: 5, ..Settings::default() },
            rows,
            failures: Vec::new(),
        };
        let dear = Row { cpu_us: Some(9.0), ..row() };
        let other = Row { devices: 7, ..row() };
        let runs = [report(vec![dear, other.clone()]), report(vec![row()])];
        let whole = Report::merged(runs.into_iter().map(Ok)).unwrap();
        assert_eq!((whole.rows, whole.settings.seconds), (vec![other, row()], 10));
        assert!(Report::merged(std::iter::empty()).is_err());
    }

    #[test]
    fn a_row_comes_back_from_json_as_it_was() {
        let text = serde_json::to_string(&row()).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row());
    }
}
