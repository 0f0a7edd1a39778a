//! Notifications at a steady rate, by size of the fleet.
//!
//! The rate is that of a million devices of which each notifies once a minute, whatever the size of
//! the fleet, so that rows differ in nothing else.

use crate::problem::Outcome;
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::scenario::Take;
use crate::sim::Plan;

/// Notifications per second: 1 000 000 devices, once per 60 s.
pub(super) const PER_SECOND: u64 = 16_667;

/// Devices that begin in a second while the fleet gathers.
const RAMP: u64 = 10_000;

/// How notifications are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reliability {
    Confirmable,
    NonConfirmable,
}

impl Reliability {
    /// Of the devices, those whose notifications are confirmable.
    pub(super) const fn share(self) -> f64 {
        match self {
            Self::Confirmable => 1.0,
            Self::NonConfirmable => 0.0,
        }
    }
}

pub(super) fn non_confirmable(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    all(bench, Reliability::NonConfirmable, take)
}

pub(super) fn confirmable(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    all(bench, Reliability::Confirmable, take)
}

/// Few enough that neither processor is busy for a third of its time, so that the times on the way
/// are those of messages that do not wait for each other.
pub(super) fn latencies(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let all =
        [("latency-non", Reliability::NonConfirmable), ("latency-con", Reliability::Confirmable)];
    for broker in bench.brokers() {
        for (scenario, reliability) in all {
            let (devices, rate) = bench.scale.of((200, 500), (1_000, 3_000), (1_000, 3_000));
            take(one(bench, &Case { scenario, broker, reliability, devices, rate })?);
        }
    }
    Ok(())
}

/// What is notified.
struct Case {
    scenario: &'static str,
    broker: BrokerKind,
    reliability: Reliability,
    devices: u64,
    rate: u64,
}

fn all(bench: &Bench, reliability: Reliability, take: &mut dyn FnMut(Row)) -> Outcome<()> {
    let scenario = match reliability {
        Reliability::NonConfirmable => "notify-non",
        Reliability::Confirmable => "notify-con",
    };
    let rate = bench.scale.of(1_000, PER_SECOND, PER_SECOND);
    for broker in bench.brokers() {
        // A short run shows the growth with one broker; the other costs the same on top.
        let short: &[u64] =
            if broker == bench.main_broker() { &[1_000, 20_000] } else { &[20_000] };
        let sizes = bench.scale.of(&[200][..], short, &[1_000, 20_000, 100_000, 1_000_000]);
        for devices in sizes {
            let case = Case { scenario, broker, reliability, devices: *devices, rate };
            take(one(bench, &case)?);
        }
    }
    Ok(())
}

fn one(bench: &Bench, case: &Case) -> Outcome<Row> {
    let Case { scenario, broker, devices, .. } = *case;
    let name = format!("{scenario}-{}-{devices}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker).observing())?;
    rig.fleet(&Plan {
        confirmable: case.reliability.share(),
        notify_rate: case.rate,
        ..Plan::quiet(devices, RAMP)
    })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    let bytes_per_device = rig.bytes_per_device(devices)?;
    let mut row = rig.steady(scenario, |look| look.counts.notify)?;
    row.devices = devices;
    row.bytes_per_device = Some(bytes_per_device);
    row.resident_bytes = Some(rig.resident()?);
    row.losses = rig.losses(|sim| sim.notifications, |look| look.counts.notify)?;
    Ok(row)
}
