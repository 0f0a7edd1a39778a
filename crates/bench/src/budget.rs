//! The budgets, and how far each flow is from them, from the floor and from Leshan.

use crate::report::{Row, grouped};

/// What a flow may cost, in microseconds of CPU time of the gateway's process.
struct Budget {
    scenario: &'static str,
    broker: &'static str,
    cpu_us: f64,
}

/// With the embedded broker the process does the broker's work, too.
const BUDGETS: [Budget; 6] = [
    Budget { scenario: "register", broker: "mosquitto", cpu_us: 15.0 },
    Budget { scenario: "notify-non", broker: "mosquitto", cpu_us: 6.0 },
    Budget { scenario: "notify-con", broker: "mosquitto", cpu_us: 9.0 },
    Budget { scenario: "register", broker: "embedded", cpu_us: 25.0 },
    Budget { scenario: "notify-non", broker: "embedded", cpu_us: 14.0 },
    Budget { scenario: "notify-con", broker: "embedded", cpu_us: 18.0 },
];

/// Memory of a registered and observed device, in bytes.
const DEVICE_BYTES: f64 = 1024.0;

/// CPU time of an idle gateway, as a share of a processor.
const IDLE_LOAD: f64 = 0.01;

/// Round trip of a command to one device with the embedded broker, in microseconds.
const COMMAND_US: (u64, u64) = (100, 300);

/// What the largest fleet may cost, per message, over what the smallest costs.
const GROWTH: f64 = 1.3;

/// Scenarios in which the fleet says nothing: at once, and when its Registers are forgotten.
const IDLE: [&str; 2] = ["idle", "idle-later"];

/// A line of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) budget: String,
    pub(crate) verdict: String,
    pub(crate) floor: String,
    pub(crate) leshan: String,
}

/// Everything that has a budget and was measured.
pub(crate) fn compare(rows: &[Row]) -> Vec<Line> {
    let mut lines: Vec<_> = BUDGETS.iter().flat_map(|budget| costs(rows, budget)).collect();
    lines.extend(growth(rows));
    lines.extend(memory(rows));
    lines.extend(idle(rows));
    lines.extend(commands(rows));
    lines
}

/// For a terminal.
pub(crate) fn text(rows: &[Row]) -> String {
    let line = |line: Line| {
        let Line { what, measured, budget, verdict, floor, leshan } = line;
        format!(
            "{what:<42} {measured:>9}  budget {budget:<9} {verdict:<14} floor {floor:<6} Leshan \
             {leshan}\n"
        )
    };
    compare(rows).into_iter().map(line).collect()
}

/// For a page.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| | measured | budget | | floor | Leshan, and how many times as much |\n\
         |---|---:|---:|---|---:|---:|\n",
    );
    for Line { what, measured, budget, verdict, floor, leshan } in compare(rows) {
        text.push_str(&format!(
            "| {what} | {measured} | {budget} | {verdict} | {floor} | {leshan} |\n"
        ));
    }
    text
}

fn of<'a>(
    rows: &'a [Row],
    server: &'a str,
    scenario: &'a str,
) -> impl Iterator<Item = &'a Row> + 'a {
    rows.iter().filter(move |row| row.server == server && row.scenario == scenario)
}

fn costs(rows: &[Row], budget: &Budget) -> Vec<Line> {
    let external = budget.broker == "mosquitto";
    let cost = |server: &str| {
        let row = of(rows, server, budget.scenario).next().filter(|_| external);
        row.and_then(|row| row.cpu_us)
    };
    let (floor, leshan) = (cost("floor"), cost("leshan"));
    let ours = of(rows, "gateway", budget.scenario).filter(|row| row.broker == budget.broker);
    ours.filter_map(|row| {
        let measured = row.cpu_us?;
        let (scenario, broker, devices) = (&row.scenario, &row.broker, grouped(row.devices));
        Some(Line {
            what: format!("{scenario}, {broker}, {devices} devices, µs"),
            measured: format!("{measured:.1}"),
            budget: format!("{:.0}", budget.cpu_us),
            verdict: verdict(measured, budget.cpu_us),
            floor: floor.map_or_else(dash, |floor| format!("{floor:.1}")),
            leshan: leshan
                .map_or_else(dash, |cost| format!("{cost:.1}, {:.1} times", cost / measured)),
        })
    })
    .collect()
}

/// Cost per message at the largest fleet over that at the smallest.
fn growth(rows: &[Row]) -> Vec<Line> {
    let scenarios = ["notify-non", "notify-con"];
    let pairs = scenarios
        .iter()
        .flat_map(|scenario| ["mosquitto", "embedded"].map(|broker| (*scenario, broker)));
    let line = |(scenario, broker): (&str, &str)| {
        let rows = of(rows, "gateway", scenario).filter(|row| row.broker == broker);
        let mut rows: Vec<&Row> = rows.filter(|row| row.cpu_us.is_some()).collect();
        rows.sort_by_key(|row| row.devices);
        let (few, many) = (rows.first()?, rows.last()?);
        if few.devices == many.devices {
            return None;
        }
        let ratio = many.cpu_us? / few.cpu_us?;
        let (few, many) = (grouped(few.devices), grouped(many.devices));
        let what = format!("{scenario}, {broker}, {many} over {few} devices");
        Some(plain(what, format!("{ratio:.2}"), format!("{GROWTH}"), verdict(ratio, GROWTH)))
    };
    pairs.filter_map(line).collect()
}

fn memory(rows: &[Row]) -> Option<Line> {
    let rows = rows.iter().filter(|row| IDLE.contains(&&*row.scenario));
    let row = rows.max_by_key(|row| (row.devices, row.scenario.len()))?;
    let bytes = row.bytes_per_device?;
    let what = format!("memory per device, {} devices, bytes", grouped(row.devices));
    let budget = format!("{DEVICE_BYTES}");
    Some(plain(what, format!("{bytes:.0}"), budget, verdict(bytes, DEVICE_BYTES)))
}

fn idle(rows: &[Row]) -> Option<Line> {
    let row = rows
        .iter()
        .filter(|row| row.scenario.starts_with("idle"))
        .max_by_key(|row| (row.devices, row.scenario.len()))?;
    let load = row.server_load?;
    let what = format!("idle CPU, {} devices, % of a processor", grouped(row.devices));
    let measured = format!("{:.2}", load * 100.0);
    Some(plain(what, measured, format!("{:.0}", IDLE_LOAD * 100.0), verdict(load, IDLE_LOAD)))
}

fn commands(rows: &[Row]) -> Vec<Line> {
    let row =
        of(rows, "gateway", "command").find(|row| row.broker == "embedded" && row.devices == 1);
    let Some(spans) = row.and_then(|row| row.latency) else { return Vec::new() };
    [("p50", spans.p50_us, COMMAND_US.0), ("p99", spans.p99_us, COMMAND_US.1)]
        .map(|(name, measured, budget)| {
            plain(
                format!("command round trip, embedded, {name}, µs"),
                grouped(measured),
                grouped(budget),
                verdict(measured as f64, budget as f64),
            )
        })
        .to_vec()
}

fn plain(what: String, measured: String, budget: String, verdict: String) -> Line {
    Line { what, measured, budget, verdict, floor: dash(), leshan: dash() }
}

fn dash() -> String {
    "-".to_owned()
}

fn verdict(measured: f64, budget: f64) -> String {
    if measured <= budget {
        "met".to_owned()
    } else {
        format!("missed by {:.0} %", (measured / budget - 1.0) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(server: &str, scenario: &str, devices: u64, cpu_us: f64) -> Row {
        Row {
            server: server.to_owned(),
            scenario: scenario.to_owned(),
            broker: "mosquitto".to_owned(),
            devices,
            cpu_us: Some(cpu_us),
            ..Row::default()
        }
    }

    #[test]
    fn each_cost_stands_beside_its_budget_the_floor_and_leshan() {
        let rows = [
            row("gateway", "notify-non", 1_000, 5.0),
            row("gateway", "notify-non", 1_000_000, 7.5),
            row("floor", "notify-non", 0, 2.0),
            row("leshan", "notify-non", 20_000, 30.0),
        ];
        let lines = compare(&rows);
        assert_eq!(lines.len(), 3);
        let [first, second, third] = &lines[..] else { unreachable!() };
        assert_eq!((&*first.verdict, &*first.floor), ("met", "2.0"));
        assert_eq!(first.leshan, "30.0, 6.0 times");
        assert_eq!(second.verdict, "missed by 25 %");
        assert_eq!((&*third.measured, &*third.verdict), ("1.50", "missed by 15 %"));
    }

    #[test]
    fn what_was_not_measured_has_no_line() {
        assert_eq!(compare(&[]), []);
        assert!(text(&[]).is_empty());
    }
}
