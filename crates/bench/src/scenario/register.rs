//! Registration bursts, and Updates at a steady rate.

use std::time::Duration;

use crate::problem::Outcome;
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::scenario::Take;
use crate::sim::Plan;

/// Registers per second: what the processor that simulator and broker share can do as well.
pub(super) const RAMP: u64 = 10_000;

/// Updates per second.
const UPDATES_PER_SECOND: u64 = 10_000;

pub(super) fn bursts(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let sizes: &[u64] = bench.scale.of(&[500], &[20_000], &[20_000, 200_000, 1_000_000]);
    for broker in bench.brokers() {
        for devices in sizes {
            take(burst(bench, broker, *devices)?);
        }
    }
    Ok(())
}

fn burst(bench: &Bench, broker: BrokerKind, devices: u64) -> Outcome<Row> {
    let name = format!("register-{}-{devices}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker))?;
    let from = rig.moment()?;
    rig.fleet(&Plan::quiet(devices, RAMP))?;
    rig.wait_until(|look| look.counts.register >= devices)?;
    let to = rig.moment()?;
    let mut row = rig.row("register", (&from, &to), |look| look.counts.register);
    row.devices = devices;
    row.bytes_per_device = Some(rig.bytes_per_device(devices)?);
    row.resident_bytes = Some(rig.resident()?);
    row.losses = rig.losses(|sim| sim.registrations, |look| look.counts.register)?;
    Ok(row)
}

pub(super) fn updates(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let devices = bench.scale.of(500, 20_000, 200_000);
    for broker in bench.brokers_if_full() {
        take(update(bench, broker, devices)?);
    }
    Ok(())
}

fn update(bench: &Bench, broker: BrokerKind, devices: u64) -> Outcome<Row> {
    let name = format!("update-{}-{devices}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker))?;
    let rate = bench.scale.of(1_000, UPDATES_PER_SECOND, UPDATES_PER_SECOND);
    let every = Duration::from_secs_f64(devices as f64 / rate as f64);
    // As fast as they update: each first Update is due one period after its Register, so they come
    // as evenly as the Registers did.
    rig.fleet(&Plan { update_every: Some(every), ..Plan::quiet(devices, rate) })?;
    rig.wait_until(|look| look.counts.register >= devices)?;
    let mut row = rig.steady("update", |look| look.counts.update)?;
    row.devices = devices;
    row.losses = rig.losses(|sim| sim.updates, |look| look.counts.update)?;
    Ok(row)
}
