//! A fleet that says nothing: memory per device, what the gateway does without being asked, and
//! whether it finds one of so many when a command comes.

use std::thread;
use std::time::Duration;

use super::command;
use crate::problem::Outcome;
use crate::report::Row;
use crate::rig::{Bench, Rig, Setup};
use crate::scenario::{Scale, Take};
use crate::sim::Plan;

/// EXCHANGE_LIFETIME (RFC 7252 4.8.2) and a little: until then each Register is remembered.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(260);

pub(super) fn idle(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let devices = bench.scale.of(500, 20_000, 1_000_000);
    let broker = bench.main_broker();
    let setup = Setup::new(&format!("idle-{devices}"), broker);
    let mut rig = Rig::start(bench, setup.observing())?;
    rig.fleet(&Plan::quiet(devices, 10_000))?;
    rig.wait_until(|look| look.counts.response >= devices)?;
    thread::sleep(bench.scale.warm_up());
    take(look_at(bench, &mut rig, devices, "idle")?);
    take(command::in_turn(bench, &mut rig, "idle-command", devices)?);
    if bench.scale == Scale::Full {
        thread::sleep(FORGOTTEN_AFTER);
        take(look_at(bench, &mut rig, devices, "idle-later")?);
    }
    Ok(())
}

fn look_at(bench: &Bench, rig: &mut Rig<'_>, devices: u64, name: &str) -> Outcome<Row> {
    let from = rig.moment()?;
    thread::sleep(bench.scale.window());
    let to = rig.moment()?;
    let mut row = rig.row(name, (&from, &to), |_| 0);
    row.devices = devices;
    row.bytes_per_device = Some(rig.bytes_per_device(devices)?);
    let resident = rig.resident()?;
    row.resident_bytes = Some(resident);
    let load = row.server_load.unwrap_or_default() * 100.0;
    let megabytes = resident as f64 / f64::from(1 << 20);
    row.notes.push(format!("{load:.2} % of a processor, {megabytes:.0} MB resident"));
    Ok(row)
}
