//! Command round trips: MQTT, device, MQTT. One at a time, so the time is that of an idle gateway.

use std::thread;

use crate::problem::Outcome;
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::scenario::Take;
use crate::sim::Plan;

pub(super) fn round_trips(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let many = bench.scale.of(100, 10_000, 100_000);
    for broker in bench.brokers() {
        for devices in [1, many] {
            take(one_after_the_other(bench, broker, devices)?);
        }
    }
    Ok(())
}

fn one_after_the_other(bench: &Bench, broker: BrokerKind, devices: u64) -> Outcome<Row> {
    let name = format!("command-{}-{devices}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker))?;
    rig.fleet(&Plan::quiet(devices, 10_000))?;
    rig.wait_until(|look| look.counts.register >= devices)?;
    in_turn(bench, &mut rig, "command", devices)
}

/// Commands each of the devices 1 to `devices` of a fleet that is there, one after the other.
pub(super) fn in_turn(
    bench: &Bench,
    rig: &mut Rig<'_>,
    scenario: &str,
    devices: u64,
) -> Outcome<Row> {
    rig.agent.command(devices, 0)?;
    thread::sleep(bench.scale.warm_up());
    rig.agent.command(devices, 0)?;
    let from = rig.moment()?;
    thread::sleep(bench.scale.window());
    let to = rig.moment()?;
    let done = rig.agent.halt()?.commanded;
    let mut row = rig.row(scenario, (&from, &to), |look| look.commanded.answered);
    row.devices = devices;
    row.latency = Some(done.round_trip);
    row.losses.sent = Some(done.sent);
    row.losses.unknown = done.lost;
    Ok(row)
}
