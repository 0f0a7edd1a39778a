//! `lwm2m-bench`: what the gateway costs, measured from outside.
//!
//! Gateway, simulator, subscriber and broker are processes of their own, as they are in the field;
//! their CPU time and memory are what the operating system says. docs/benchmarks.md holds the
//! method and the figures. Costs of single functions are measured elsewhere, beside the code.

mod affinity;
mod agent;
mod budget;
mod docs;
mod floor;
mod gateway;
mod leshan;
mod machine;
mod measure;
mod metrics;
mod mosquitto;
mod peer;
mod plot;
mod problem;
mod proc;
mod process;
mod report;
mod rig;
mod scenario;
mod server;
mod sim;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Parser, Subcommand};

use crate::affinity::Placement;
use crate::machine::Machine;
use crate::peer::Peer;
use crate::problem::{Context, Outcome, Problem};
use crate::report::Report;
use crate::rig::Bench;
use crate::scenario::Scale;

#[derive(Parser)]
#[command(name = "lwm2m-bench", about = "What the gateway costs, measured from outside")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: Run,
}

/// Processes that a run starts of this program.
#[derive(Subcommand)]
enum Part {
    /// The subscriber and commander
    #[command(hide = true)]
    Agent(agent::Options),
    /// Receives and publishes, and nothing in between
    #[command(hide = true)]
    Floor(floor::receive::Options),
    /// Sends datagrams at a rate
    #[command(hide = true)]
    Flood(floor::flood::Options),
}

#[derive(Args)]
struct Run {
    /// Five minutes instead of all
    #[arg(long)]
    quick: bool,
    /// Only whether it works, in seconds
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Only these scenarios
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Do not measure Leshan
    #[arg(long)]
    no_leshan: bool,
    #[command(flatten)]
    peer: Option<Peer>,
    /// Say what there is
    #[arg(long)]
    list: bool,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure nothing, take the rows of this file, or of several
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "smoke", "only"])]
    from: Vec<PathBuf>,
    /// Put the tables into this page, between its marks
    #[arg(long, value_name = "FILE")]
    write_docs: Option<PathBuf>,
    /// Draw the cost of a notification over the size of the fleet
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.part {
        Some(Part::Agent(options)) => agent::process::run(&options),
        Some(Part::Floor(options)) => floor::receive::run(&options),
        Some(Part::Flood(options)) => floor::flood::run(&options),
        None => run(&cli.run),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("lwm2m-bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Run) -> Outcome<()> {
    if options.list {
        for scenario in scenario::ALL {
            println!("{:<14} {}", scenario.name, scenario.what);
        }
        return Ok(());
    }
    let report = match &options.from[..] {
        [] => measure(options)?,
        files => Report::merged(files.iter().map(|file| read(file)))?,
    };
    println!("{}", report::table(&report.rows));
    if !options.smoke {
        println!("{}", budget::text(&report.rows));
    }
    save(options, &report)?;
    if let Some(page) = &options.write_docs {
        docs::write(&report, page)?;
    }
    if let Some(file) = &options.plot {
        plot::write(&report.rows, file)?;
    }
    match report.failures.len() {
        // Failures of an earlier run were its own.
        _ if !options.from.is_empty() => Ok(()),
        0 => Ok(()),
        count => Err(Problem::new(format!("{count} scenarios failed"))),
    }
}

fn measure(options: &Run) -> Outcome<Report> {
    process::take_children_along()?;
    let scenarios = scenario::chosen(&options.only)?;
    let bench = bench(options)?;
    let mut report = Report {
        machine: Machine::look(Path::new(env!("CARGO_MANIFEST_DIR"))),
        settings: report::Settings::new(options.scale().name(), &bench.placement),
        rows: Vec::new(),
        failures: Vec::new(),
    };
    introduce(&report, &bench);
    let begun = Instant::now();
    for scenario in scenarios {
        eprintln!("==> {}: {}", scenario.name, scenario.what);
        let taken = scenario.run(&bench, &mut |row| {
            eprint!("{}", report::table(std::slice::from_ref(&row)));
            report.rows.push(row);
        });
        if let Err(problem) = taken {
            eprintln!("{}: {problem}", scenario.name);
            report.failures.push(format!("{}: {problem}", scenario.name));
        }
        report.settings.seconds = begun.elapsed().as_secs();
        save(options, &report)?;
    }
    if report.failures.is_empty() {
        fs::remove_dir_all(&bench.work).context(|| path(&bench.work))?;
    } else {
        eprintln!("settings and logs are in {}", bench.work.display());
    }
    Ok(report)
}

/// Writes what there is after each scenario: a run that is stopped leaves what it has measured.
fn save(options: &Run, report: &Report) -> Outcome<()> {
    let Some(file) = &options.json else { return Ok(()) };
    fs::write(file, serde_json::to_string_pretty(report)?).context(|| path(file))
}

fn read(file: &Path) -> Outcome<Report> {
    let bytes = fs::read(file).context(|| path(file))?;
    serde_json::from_slice(&bytes).context(|| path(file))
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

impl Run {
    const fn scale(&self) -> Scale {
        match (self.smoke, self.quick) {
            (true, _) => Scale::Smoke,
            (false, true) => Scale::Quick,
            (false, false) => Scale::Full,
        }
    }
}

fn bench(options: &Run) -> Outcome<Bench> {
    let program = std::env::current_exe()?;
    let programs = program.parent().unwrap_or(Path::new("."));
    let work = std::env::temp_dir().join(format!("lwm2m-bench-{}", std::process::id()));
    fs::create_dir_all(&work).context(|| path(&work))?;
    Ok(Bench {
        placement: Placement::choose()?,
        scale: options.scale(),
        programs: programs.to_owned(),
        work,
        leshan: !options.no_leshan,
        peer: options.peer.clone(),
    })
}

fn introduce(report: &Report, bench: &Bench) {
    let machine = &report.machine;
    eprintln!(
        "{} x {}, {:.1} GB, Linux {}, load {} before the run, commit {}",
        machine.processors,
        machine.cpu,
        machine.memory_bytes as f64 / (1_u64 << 30) as f64,
        machine.kernel,
        machine.load_before,
        machine.commit,
    );
    let Placement { server, others } = bench.placement;
    eprintln!("processor {server}: the server that is measured; processor {others}: the rest");
    if machine.mosquitto.is_none() {
        eprintln!("mosquitto is not installed: the embedded broker alone is measured");
    }
    if !bench.placement.is_apart() {
        eprintln!("there is one processor only: loads and times on the way say little");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_peer_is_there_when_it_is_named_as_a_whole() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split_whitespace());
        assert!(parse("lwm2m-bench --quick --no-leshan").unwrap().run.peer.is_none());
        let whole =
            "lwm2m-bench --peer 127.0.0.1:5683 --peer-broker 127.0.0.1:1883 --peer-topics a/#";
        let peer = parse(whole).unwrap().run.peer.unwrap();
        assert_eq!((peer.topics.as_str(), peer.pid), ("a/#", None));
        assert!(parse("lwm2m-bench --peer 127.0.0.1:5683").is_err());
    }
}
