//! The same work done by others, in the same run: Leshan, and a server that the user names.
//!
//! One server process sees several fleets one after the other, with names and message ids of their
//! own, so that nothing is taken for a repetition. The rows of the gateway that they are compared
//! with come from the scenarios `register`, `notify-non` and `notify-con`; the broker is external.

use std::thread;
use std::time::Duration;

use super::notify::Reliability;
use super::{Scale, Take};
use crate::leshan;
use crate::problem::{Outcome, Problem};
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup, Target};
use crate::sim::{Leave, Plan};

/// Devices that begin in a second.
const RAMP: u64 = 5_000;

/// Notifications per second: half of what the gateway is given. On a busy processor a Java program
/// falls behind above that and does not catch up, since its queues have no bounds.
const PER_SECOND: u64 = 8_000;

/// A fleet and its row.
struct Stage {
    scenario: &'static str,
    prefix: &'static str,
    reliability: Reliability,
}

/// Names that begin with `obs-` are observed by the peer.
const STAGES: [Stage; 3] = [
    Stage { scenario: "register", prefix: "sim-", reliability: Reliability::NonConfirmable },
    Stage { scenario: "notify-non", prefix: "obs-n-", reliability: Reliability::NonConfirmable },
    Stage { scenario: "notify-con", prefix: "obs-c-", reliability: Reliability::Confirmable },
];

pub(super) fn leshan(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    // It would be the longest part of a smoke test, and warm it would not be.
    if !bench.leshan || bench.scale == Scale::Smoke {
        return Ok(());
    }
    if !leshan::is_available() {
        return Err(Problem::new("java and mvn are needed: scripts/install-ci-deps.sh"));
    }
    let setup =
        Setup { target: Target::Leshan, ..Setup::new("leshan", BrokerKind::Mosquitto).observing() };
    let mut rig = Rig::start(bench, setup)?;
    warm(bench, &mut rig)?;
    rig.pin_server()?;
    // Once more without the second processor: what it still compiles is none of the measured work.
    run(bench, &mut rig, &Stage { prefix: "pinned-", ..STAGES[0] }, 99)?;
    rig.end_fleet()?;
    for (stage, seed) in STAGES.iter().zip(100..) {
        take(measure(bench, &mut rig, stage, seed)?);
    }
    Ok(())
}

pub(super) fn peer(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let Some(peer) = bench.peer.clone() else { return Ok(()) };
    let setup = Setup {
        target: Target::Peer(peer),
        ..Setup::new("peer", BrokerKind::Mosquitto).observing()
    };
    let mut rig = Rig::start(bench, setup)?;
    for (stage, seed) in STAGES.iter().zip(200..) {
        take(measure(bench, &mut rig, stage, seed)?);
    }
    Ok(())
}

/// How many devices the fleets have.
const fn fleet(scale: Scale) -> u64 {
    scale.of(200, 10_000, 20_000)
}

/// Lets the virtual machine compile what is measured later: all stages, on both processors.
fn warm(bench: &Bench, rig: &mut Rig<'_>) -> Outcome<()> {
    let notify = Duration::from_secs(bench.scale.of(1, 8, 60));
    for (number, (stage, prefix)) in STAGES.iter().zip(["warm-", "obs-v-", "obs-w-"]).enumerate() {
        let stage = Stage { prefix, ..*stage };
        run(bench, rig, &stage, number as u64 + 1)?;
        if stage.scenario != "register" {
            thread::sleep(notify);
        }
        rig.end_fleet()?;
    }
    Ok(())
}

/// Starts the fleet of a stage; when it has registered (and is observed) there are so many events.
fn run(bench: &Bench, rig: &mut Rig<'_>, stage: &Stage, seed: u64) -> Outcome<()> {
    let devices = fleet(bench.scale);
    let observed = stage.scenario != "register";
    let rate = bench.scale.of(500, PER_SECOND, PER_SECOND);
    let before = rig.agent.look()?.counts;
    rig.fleet(&Plan {
        confirmable: stage.reliability.share(),
        notify_rate: if observed { rate } else { 0 },
        prefix: stage.prefix,
        seed,
        leave: Leave::Deregister,
        ..Plan::quiet(devices, RAMP)
    })?;
    let events = if observed { 2 * devices } else { devices };
    rig.wait_until(|look| look.counts.all() - before.all() >= events)?;
    Ok(())
}

fn measure(bench: &Bench, rig: &mut Rig<'_>, stage: &Stage, seed: u64) -> Outcome<Row> {
    let begin = rig.moment()?;
    run(bench, rig, stage, seed)?;
    let mut row = if stage.scenario == "register" {
        let end = rig.moment()?;
        rig.row(stage.scenario, (&begin, &end), |look| look.counts.all())
    } else {
        best_of(rig, bench.scale.of(1, 2, 4), stage.scenario)?
    };
    row.devices = fleet(bench.scale);
    row.resident_bytes = Some(rig.resident()?);
    rig.end_fleet()?;
    Ok(row)
}

/// The cheapest of several windows in a row: a virtual machine goes on improving for a minute, and
/// collects garbage when it wants to.
fn best_of(rig: &mut Rig<'_>, windows: usize, scenario: &str) -> Outcome<Row> {
    let mut best = rig.steady(scenario, |look| look.counts.all())?;
    for _ in 1..windows {
        let row = rig.steady(scenario, |look| look.counts.all())?;
        let cheaper = row.cpu_us.zip(best.cpu_us).is_some_and(|(new, old)| new < old);
        if cheaper || row.cpu_us.is_none() {
            best = row;
        }
    }
    best.notes.push(format!("the cheapest of {windows} windows"));
    Ok(best)
}
