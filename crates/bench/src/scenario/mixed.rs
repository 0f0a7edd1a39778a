//! Everything at once: notifications of both kinds, Updates and commands.

use std::time::Duration;

use super::Take;
use crate::problem::Outcome;
use crate::report::{Row, grouped};
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::sim::Plan;

pub(super) fn mixed(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    for broker in bench.brokers_if_full() {
        take(one(bench, broker)?);
    }
    Ok(())
}

fn one(bench: &Bench, broker: BrokerKind) -> Outcome<Row> {
    let name = format!("mixed-{}", broker.name());
    let devices: u64 = bench.scale.of(200, 20_000, 200_000);
    let (notify_rate, updates, commands) =
        bench.scale.of((500, 100, 50), (6_000, 1_000, 200), (6_000, 1_000, 200));
    let mut rig = Rig::start(bench, Setup::new(&name, broker).observing())?;
    rig.fleet(&Plan {
        notify_rate,
        confirmable: 0.5,
        update_every: Some(Duration::from_secs_f64(devices as f64 / updates as f64)),
        ..Plan::quiet(devices, 10_000)
    })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    rig.agent.command(devices, commands)?;
    let mut row = rig.steady("mixed", |look| look.counts.all())?;
    let commanded = rig.agent.halt()?.commanded;
    row.devices = devices;
    row.bytes_per_device = Some(rig.bytes_per_device(devices)?);
    row.losses = rig.losses(|sim| sim.notifications, |look| look.counts.notify)?;
    row.losses.unknown += commanded.lost;
    row.notes.push(format!(
        "half of the notifications confirmable; {} commands answered, {} µs (median), {} µs (99 %)",
        grouped(commanded.answered),
        grouped(commanded.round_trip.p50_us),
        grouped(commanded.round_trip.p99_us),
    ));
    Ok(row)
}
