//! The same work done by others, in the same run: Leshan, and a server that the user names.
//!
//! One server process sees several fleets one after the other, with names and message ids of their
//! own, so that nothing is taken for a repetition. The rows of the gateway that they are compared
//! with come from the scenarios `register`, `notify-non` and `notify-con`; the broker is external.

use std::thread;
use std::time::Duration;

use super::notify::PER_SECOND;
use super::{Scale, Take};
use crate::leshan;
use crate::problem::{Outcome, Problem};
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup, Target};
use crate::sim::{Leave, Plan, Reliability};

/// Devices that begin in a second.
const RAMP: u64 = 5_000;

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

pub(super) fn leshan(bench: &Bench, scale: Scale, take: Take<'_>) -> Outcome<()> {
    if !bench.leshan {
        return Ok(());
    }
    if !leshan::is_available() {
        return Err(Problem::new("java and mvn are needed: scripts/install-ci-deps.sh"));
    }
    let setup =
        Setup { target: Target::Leshan, ..Setup::new("leshan", BrokerKind::Mosquitto).observing() };
    let mut rig = Rig::start(bench, setup)?;
    warm(&mut rig, scale)?;
    rig.pin_server()?;
    // Once more without the second processor: what it still compiles is none of the measured work.
    run(&mut rig, scale, &Stage { prefix: "pinned-", ..STAGES[0] }, 99)?;
    rig.end_fleet()?;
    for (stage, seed) in STAGES.iter().zip(100..) {
        take(measure(&mut rig, scale, stage, seed)?);
    }
    Ok(())
}

pub(super) fn peer(bench: &Bench, scale: Scale, take: Take<'_>) -> Outcome<()> {
    let Some(peer) = bench.peer.clone() else { return Ok(()) };
    let setup = Setup {
        target: Target::Peer(peer),
        ..Setup::new("peer", BrokerKind::Mosquitto).observing()
    };
    let mut rig = Rig::start(bench, setup)?;
    for (stage, seed) in STAGES.iter().zip(200..) {
        take(measure(&mut rig, scale, stage, seed)?);
    }
    Ok(())
}

/// How many devices the fleets have.
const fn fleet(scale: Scale) -> u64 {
    scale.of(200, 20_000, 20_000)
}

/// Lets the virtual machine compile what is measured later: all stages, on both processors.
fn warm(rig: &mut Rig<'_>, scale: Scale) -> Outcome<()> {
    let notify = Duration::from_secs(scale.of(1, 20, 60));
    for (number, (stage, prefix)) in STAGES.iter().zip(["warm-", "obs-v-", "obs-w-"]).enumerate() {
        let stage = Stage { prefix, ..*stage };
        run(rig, scale, &stage, number as u64 + 1)?;
        if stage.reliability == Reliability::Confirmable || stage.scenario != "register" {
            thread::sleep(notify);
        }
        rig.end_fleet()?;
    }
    Ok(())
}

/// Starts the fleet of a stage; when it has registered (and is observed) there are so many events.
fn run(rig: &mut Rig<'_>, scale: Scale, stage: &Stage, seed: u64) -> Outcome<()> {
    let devices = fleet(scale);
    let observed = stage.scenario != "register";
    let rate = scale.of(500, PER_SECOND, PER_SECOND);
    let every = Duration::from_secs_f64(devices as f64 / rate as f64);
    let before = rig.agent.look()?.counts;
    rig.fleet(&Plan {
        notifications: stage.reliability,
        notify_every: observed.then_some(every),
        prefix: stage.prefix,
        seed,
        leave: Leave::Deregister,
        ..Plan::quiet(devices, RAMP)
    })?;
    let events = if observed { 2 * devices } else { devices };
    rig.wait_until(|look| look.counts.all() - before.all() >= events)?;
    Ok(())
}

fn measure(rig: &mut Rig<'_>, scale: Scale, stage: &Stage, seed: u64) -> Outcome<Row> {
    let begin = rig.moment()?;
    run(rig, scale, stage, seed)?;
    let (from, to) = if stage.scenario == "register" {
        (begin, rig.moment()?)
    } else {
        thread::sleep(3 * scale.warm_up());
        rig.agent.begin_timing()?;
        let from = rig.moment()?;
        thread::sleep(scale.window());
        (from, rig.moment()?)
    };
    let mut row = rig.row(stage.scenario, (&from, &to), |look| look.counts.all());
    row.devices = fleet(scale);
    row.latency = Some(to.look.on_the_way);
    row.resident_bytes = Some(rig.resident()?);
    rig.end_fleet()?;
    Ok(row)
}
