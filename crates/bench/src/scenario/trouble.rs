//! A subscriber that does not read, and a broker that goes away.

use std::thread;
use std::time::{Duration, Instant};

use super::Take;
use crate::problem::{Outcome, Problem};
use crate::rig::{Bench, BrokerKind, Rig, Setup};
use crate::sim::Plan;

/// Devices and their notifications per second: the outbox (65 536 events) holds what comes while
/// the broker is away.
const DEVICES: u64 = 1_000;
const PER_SECOND: u64 = 1_500;

/// Beside a client of the embedded broker that reads nothing: more than the broker keeps for one
/// client (100 000 messages) within the time.
const PER_SECOND_SLOW: u64 = 15_000;

/// How long the gateway may take to find its broker again: the longest pause between two tries, and
/// a little.
const RECONNECT_WITHIN: Duration = Duration::from_secs(45);

pub(super) fn slow_subscriber(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    let setup = Setup::new("slow-subscriber", BrokerKind::Embedded).observing();
    let mut rig = Rig::start(bench, setup)?;
    rig.fleet(&Plan {
        notify_rate: bench.scale.of(1_000, PER_SECOND_SLOW, PER_SECOND_SLOW),
        ..Plan::quiet(DEVICES, 10_000)
    })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    let mut slow = rig.another_subscriber("slow")?;
    thread::sleep(bench.scale.warm_up());
    let before = rig.resident()?;
    slow.stall()?;
    let from = rig.moment()?;
    thread::sleep(Duration::from_secs(bench.scale.of(1, 8, 60)));
    let to = rig.moment()?;
    let mut row = rig.row("slow-subscriber", (&from, &to), |look| look.counts.notify);
    let grown = rig.resident()?.saturating_sub(before);
    let behind = slow.look()?.counts.notify;
    slow.resume()?;
    row.devices = DEVICES;
    row.losses = rig.losses(|sim| sim.notifications, |look| look.counts.notify)?;
    // What was dropped for the one that did not read is no loss of the other.
    let dropped = std::mem::take(&mut row.losses.broker);
    row.notes.push(format!(
        "beside it a subscriber that reads nothing for {:.0} s: {dropped} messages dropped for it, \
         {} read later, {:.0} MB of memory; the row is the other's",
        row.seconds,
        slow.look()?.counts.notify - behind,
        grown as f64 / f64::from(1 << 20),
    ));
    take(row);
    Ok(())
}

pub(super) fn broker_away(bench: &Bench, take: Take<'_>) -> Outcome<()> {
    if bench.main_broker() != BrokerKind::Mosquitto {
        return Ok(());
    }
    let setup = Setup {
        qos: 1,
        keep: true,
        ..Setup::new("broker-away", BrokerKind::Mosquitto).observing()
    };
    let mut rig = Rig::start(bench, setup)?;
    let from = rig.moment()?;
    rig.fleet(&Plan { notify_rate: PER_SECOND, confirmable: 1.0, ..Plan::quiet(DEVICES, 10_000) })?;
    rig.wait_until(|look| look.counts.notify > 0)?;
    thread::sleep(bench.scale.warm_up());
    let away = Duration::from_secs(bench.scale.of(1, 5, 30));
    rig.broker_away(away)?;
    let reconnected = reconnected(&rig)?;
    thread::sleep(bench.scale.warm_up());
    let to = rig.moment()?;
    let mut row = rig.row("broker-away", (&from, &to), |look| look.counts.notify);
    row.devices = DEVICES;
    row.losses = rig.losses(|sim| sim.notifications_con_acked, |look| look.counts.notify)?;
    let order = rig.agent.look()?.order;
    row.notes.push(format!(
        "the broker was away for {} s and found again {:.1} s later; missing {}, out of order {}, \
         delivered again {}",
        away.as_secs(),
        reconnected.as_secs_f64(),
        order.missing,
        order.late,
        order.repeated,
    ));
    take(row);
    Ok(())
}

fn reconnected(rig: &Rig<'_>) -> Outcome<Duration> {
    let began = Instant::now();
    while rig.server.metrics()?.value("mqtt_connected") < 1.0 {
        if began.elapsed() > RECONNECT_WITHIN {
            return Err(Problem::new("the gateway does not find its broker again"));
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(began.elapsed())
}
