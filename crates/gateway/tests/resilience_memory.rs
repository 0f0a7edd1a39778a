//! Memory per device, and a fleet's notifications at a steady rate without one lost.
//!
//! The devices live in this process and the gateway in another, so only the gateway's memory
//! counts. `RESILIENCE_DEVICES` and `RESILIENCE_NOTIFICATIONS` ask for more; docs/testing.md names
//! the sizes of an acceptance run.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/observer.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod observer;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lwm2m::Models;
use simulator::{FleetConfig, Group, Leave, Notify, Ramp, Start};

use fleet::Fleet;
use observer::{Counts, observer};
use process::GatewayProcess;

/// Bytes of the gateway's resident memory for each device that is registered and observed.
const PER_DEVICE_MAX: f64 = 2048.0;

/// How long a fleet may take per thousand devices until all of them are observed.
const PATIENCE_PER_THOUSAND: Duration = Duration::from_secs(2);

fn number(name: &str, without: u64) -> u64 {
    std::env::var(name).map_or(without, |text| text.parse().expect("a number"))
}

fn fleet_config(gateway: &GatewayProcess, devices: usize) -> FleetConfig {
    let group = Group {
        lifetime: Duration::from_secs(86_400).into(),
        notify: Notify { every: None, ..Notify::default() },
        ..Group::new(devices)
    };
    FleetConfig {
        ramp: Ramp::Constant { rate: 3_000 },
        leave: Leave::Vanish,
        ..FleetConfig::of(gateway.coap, group, Arc::new(Models::builtin()))
    }
}

async fn all_observed(devices: usize, counts: &Counts, fleet: &Fleet) {
    let patience = Duration::from_secs(20) + PATIENCE_PER_THOUSAND * (devices / 1000) as u32;
    let deadline = Instant::now() + patience;
    while counts.observed.load(Ordering::Relaxed) < devices as u64 {
        let observed = counts.observed.load(Ordering::Relaxed);
        assert!(Instant::now() < deadline, "{observed} observed; {:?}", fleet.snapshot());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_and_observed_device_costs_at_most_two_kibibytes() {
    let devices = number("RESILIENCE_DEVICES", 20_000) as usize;
    let gateway = GatewayProcess::start("shards = 2\n");
    let (_judge, counts) = observer(&gateway).await;
    let idle = gateway.resident();
    assert!(idle < 30 << 20, "{idle} bytes when idle");
    let fleet = Fleet::start(fleet_config(&gateway, devices));
    all_observed(devices, &counts, &fleet).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = gateway.resident() - idle;
    let each = grown as f64 / devices as f64;
    println!("{devices} devices: idle {idle} bytes, grown by {grown}, {each:.0} bytes each");
    let metrics = gateway.metrics();
    assert_eq!(metrics.value("devices"), devices as f64);
    assert_eq!(metrics.value("observations"), devices as f64);
    assert!(each <= PER_DEVICE_MAX, "{each:.0} bytes per device");
    drop(fleet.end());
}

/// Each device notifies every 5 s, those of a large fleet less often: 10 000 in a second at most.
async fn steady_notifications_arrive(shards: usize) {
    let wanted = number("RESILIENCE_NOTIFICATIONS", 8_000);
    let devices = number("RESILIENCE_DEVICES", 5_000);
    let every = Duration::from_secs((devices / 10_000).max(5));
    let gateway = GatewayProcess::start(&format!("shards = {shards}\n"));
    let (_judge, counts) = observer(&gateway).await;
    let mut config = fleet_config(&gateway, devices as usize);
    config.groups[0].notify =
        Notify { every: Some(every.into()), start: Start::WhenObserved, ..Notify::default() };
    let fleet = Fleet::start(config);
    all_observed(devices as usize, &counts, &fleet).await;
    let rate = devices / every.as_secs();
    let deadline = Instant::now() + Duration::from_secs(30 + 2 * wanted / rate.max(1));
    while fleet.snapshot().notifications < wanted {
        assert!(Instant::now() < deadline, "{:?}", fleet.snapshot());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = fleet.end().totals.notifications;
    let deadline = Instant::now() + Duration::from_secs(20);
    while counts.notified.load(Ordering::Relaxed) < sent && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let arrived = counts.notified.load(Ordering::Relaxed);
    let metrics = gateway.metrics();
    let dropped = metrics.total("datagrams_dropped", "reason", "kernel");
    println!("{shards} shards: {sent} sent, {arrived} arrived, {dropped} dropped by the kernel");
    assert_eq!(arrived, sent, "{dropped} of them were dropped by the kernel");
    assert_eq!(metrics.total("mqtt", "what", "subscriber_drops"), 0);
    assert_eq!(metrics.total("notifications_full", "outcome", "dropped"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_loses_no_steady_notification() {
    steady_notifications_arrive(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_lose_no_steady_notification() {
    steady_notifications_arrive(2).await;
}
