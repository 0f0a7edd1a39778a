//! More than the gateway can do: twice its capacity, and a fleet that comes back all at once.

use std::thread;
use std::time::{Duration, Instant};

use super::Take;
use super::notify::Reliability;
use crate::problem::Outcome;
use crate::proc;
use crate::report::Row;
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::sim::{Plan, Ramp};

/// Notifications per second, with the embedded broker. One processor does 40 000 to 60 000.
const OFFERED: u64 = 110_000;

/// How long the gateway may take to hand on what it had accepted.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

pub(super) fn twice(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    for reliability in [Reliability::NonConfirmable, Reliability::Confirmable] {
        take(overload(bench, reliability)?);
    }
    Ok(())
}

fn overload(bench: &Bench, reliability: Reliability) -> Outcome<Row> {
    let name = match reliability {
        Reliability::NonConfirmable => "overload-non",
        Reliability::Confirmable => "overload-con",
    };
    let devices = bench.scale.of(200, 20_000, 100_000);
    let mut rig = Rig::start(bench, Setup::new(name, BrokerKind::Embedded).observing())?;
    rig.fleet(&Plan {
        notify_rate: bench.scale.of(5_000, OFFERED, OFFERED),
        confirmable: reliability.share(),
        ..Plan::quiet(devices, 10_000)
    })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    let resident = rig.resident()?;
    let mut row = rig.steady(name, |look| look.counts.notify)?;
    row.devices = devices;
    let grown = rig.resident()?.saturating_sub(resident);
    // A confirmable notification that was acknowledged was accepted; the others may be lost, and
    // the device knows.
    row.losses = match reliability {
        Reliability::NonConfirmable => {
            rig.losses(|sim| sim.notifications, |look| look.counts.notify)?
        }
        Reliability::Confirmable => {
            rig.losses(|sim| sim.notifications_con_acked, |look| look.counts.notify)?
        }
    };
    row.notes.push(format!(
        "grew by {:.0} MB, wrote {} lines of log, empty again within {:.1} s of the end",
        grown as f64 / f64::from(1 << 20),
        rig.log_lines(),
        recovery(&rig)?.as_secs_f64(),
    ));
    Ok(row)
}

/// How long until nothing waits for the broker any more, beside the time that it took to see that
/// the subscriber gets nothing more.
fn recovery(rig: &Rig<'_>) -> Outcome<Duration> {
    let began = Instant::now();
    while rig.server.metrics()?.value("outbox_entries") > 0.0 && began.elapsed() < RECOVERY_MAX {
        thread::sleep(Duration::from_millis(100));
    }
    Ok(began.elapsed())
}

pub(super) fn storm(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    for broker in bench.brokers_if_full() {
        take(all_at_once(bench, broker)?);
    }
    Ok(())
}

/// 20 000 Registers a second, whether or not they are answered; those that are not come again after
/// 2 to 3 s, as RFC 7252 4.2 has it.
fn all_at_once(bench: &Bench, broker: BrokerKind) -> Outcome<Row> {
    let devices = bench.scale.of(500, 20_000, 200_000);
    let within = Duration::from_millis(bench.scale.of(100, 1_000, 10_000));
    let name = format!("storm-{}", broker.name());
    let mut rig = Rig::start(bench, Setup::new(&name, broker))?;
    let from = rig.moment()?;
    rig.fleet(&Plan { ramp: Ramp::Within(within), ..Plan::quiet(devices, 1) })?;
    rig.wait_until(|look| look.counts.register >= devices)?;
    let to = rig.moment()?;
    let mut row = rig.row("storm", (&from, &to), |look| look.counts.register);
    row.devices = devices;
    let resident = rig.server.pid().map_or(Ok(proc::Memory::default()), proc::memory)?;
    let (losses, summary) =
        rig.losses_and_summary(|sim| sim.registrations, |look| look.counts.register)?;
    row.losses = losses;
    let millis = |micros: Option<u64>| micros.unwrap_or_default() / 1_000;
    row.notes.push(format!(
        "within {:.0} s; registered after {} ms (median), {} ms (99 %), {} ms (last); {} \
         retransmissions, {} gave up; at most {:.0} MB resident",
        within.as_secs_f64(),
        millis(summary.registration_p50_us),
        millis(summary.registration_p99_us),
        millis(summary.registration_max_us),
        summary.retransmissions,
        summary.unanswered,
        resident.resident_high as f64 / f64::from(1 << 20),
    ));
    Ok(row)
}
