//! Notifications at a steady rate, by size of the fleet.
//!
//! The rate is that of a million devices of which each notifies once a minute, whatever the size of
//! the fleet, so that rows differ in nothing else.

use std::thread;
use std::time::Duration;

use crate::problem::Outcome;
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::scenario::{Scale, Take};
use crate::sim::{Plan, Reliability};

/// Notifications per second: 1 000 000 devices, once per 60 s.
pub(super) const PER_SECOND: u64 = 16_667;

/// Devices that begin in a second while the fleet gathers.
const RAMP: u64 = 10_000;

pub(super) fn non_confirmable(bench: &Bench, scale: Scale, take: Take<'_>) -> Outcome<()> {
    all(bench, scale, Reliability::NonConfirmable, take)
}

pub(super) fn confirmable(bench: &Bench, scale: Scale, take: Take<'_>) -> Outcome<()> {
    all(bench, scale, Reliability::Confirmable, take)
}

fn all(bench: &Bench, scale: Scale, reliability: Reliability, take: Take<'_>) -> Outcome<()> {
    let sizes: &[u64] = scale.of(&[200], &[1_000, 20_000], &[1_000, 20_000, 100_000, 1_000_000]);
    for broker in bench.brokers() {
        for devices in sizes {
            take(one(bench, scale, (broker, reliability), *devices)?);
        }
    }
    Ok(())
}

fn one(
    bench: &Bench,
    scale: Scale,
    (broker, reliability): (BrokerKind, Reliability),
    devices: u64,
) -> Outcome<Row> {
    let scenario = match reliability {
        Reliability::NonConfirmable => "notify-non",
        Reliability::Confirmable => "notify-con",
    };
    let name = format!("{scenario}-{}-{devices}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker).observing())?;
    let rate = scale.of(1_000, PER_SECOND, PER_SECOND);
    rig.fleet(&Plan {
        notifications: reliability,
        notify_every: Some(Duration::from_secs_f64(devices as f64 / rate as f64)),
        ..Plan::quiet(devices, RAMP)
    })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    let bytes_per_device = rig.bytes_per_device(devices)?;
    thread::sleep(scale.warm_up());
    rig.agent.begin_timing()?;
    let from = rig.moment()?;
    thread::sleep(scale.window());
    let to = rig.moment()?;
    let mut row = rig.row(scenario, (&from, &to), |look| look.counts.notify);
    row.devices = devices;
    row.latency = Some(to.look.on_the_way);
    row.bytes_per_device = Some(bytes_per_device);
    row.resident_bytes = Some(rig.resident()?);
    row.losses = rig.losses(|sim| sim.notifications, |look| look.counts.notify)?;
    Ok(row)
}
