//! One shard and two, and two of which each owns devices whose datagrams the other receives.
//!
//! On two processors the simulator and the broker are the limit before the gateway is, so what the
//! shards could do is told by the CPU time of their threads for what they did.

use std::thread;
use std::time::Duration;

use super::Take;
use super::notify::PER_SECOND;
use crate::problem::Outcome;
use crate::proc;
use crate::report::Row;
use crate::rig::{Bench, Rig, Setup};
use crate::sim::{Plan, Start};

/// Whose datagrams a shard receives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// Those of its own devices.
    Kept,
    /// Those of anybody: every device has had a new address since it registered, which the kernel
    /// gives to either shard.
    Changed,
}

pub(super) fn shards(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let broker = bench.main_broker();
    let all = [
        ("shards-1", 1, Addresses::Kept),
        ("shards-2", 2, Addresses::Kept),
        ("shards-2-forwarded", 2, Addresses::Changed),
    ];
    for (name, shards, addresses) in all {
        let setup = Setup { shards, both: true, ..Setup::new(name, broker).observing() };
        take(one(bench, setup, addresses)?);
    }
    Ok(())
}

fn one(bench: &Bench, setup: Setup, addresses: Addresses) -> Outcome<Row> {
    let (name, shards) = (setup.name.clone(), setup.shards);
    let devices = bench.scale.of(200, 20_000, 100_000);
    let every = Duration::from_secs(bench.scale.of(1, 4, 60));
    let mut rig = Rig::start(bench, setup)?;
    rig.fleet(&Plan {
        notify_rate: bench.scale.of(1_000, PER_SECOND, PER_SECOND),
        // A device that moves while it is being observed is observed later; nobody waits for it.
        start: Start::Observed,
        rebind_every: (addresses == Addresses::Changed).then_some(every),
        ..Plan::quiet(devices, 10_000)
    })?;
    rig.wait_until(|look| look.counts.register >= devices && look.counts.notify > 0)?;
    if addresses == Addresses::Changed {
        thread::sleep(every);
    }
    let (before, worked) = (rig.server.metrics()?, shards_time(&rig)?);
    let mut row = rig.steady(&name, |look| look.counts.notify)?;
    let (after, worked) = (rig.server.metrics()?, shards_time(&rig)?.saturating_sub(worked));
    row.devices = devices;
    let grown = |name: &str| after.value(name) - before.value(name);
    let done = grown("notifications_total{kind=\"non_confirmable\"}");
    let forwarded = grown("datagrams_forwarded_total{direction=\"in\"}");
    let received = grown("datagrams_total{direction=\"in\"}");
    let each = worked.as_secs_f64() / done;
    row.notes.push(format!(
        "threads of shards worked {:.1} µs for each notification, so {shards} can do {:.0} a \
         second if each has a processor; {:.0} % of the datagrams were forwarded",
        each * 1e6,
        shards as f64 / each,
        100.0 * forwarded / received,
    ));
    row.losses = rig.losses(|sim| sim.notifications, |look| look.counts.notify)?;
    Ok(row)
}

fn shards_time(rig: &Rig<'_>) -> Outcome<Duration> {
    rig.server.pid().map_or(Ok(Duration::ZERO), |pid| proc::threads_time(pid, "shard-"))
}
