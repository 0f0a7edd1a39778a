//! More than the gateway was built for: an overload, all devices at once, an application that stops
//! reading. What was accepted arrives, what is lost is counted where it was lost, and memory and
//! log stay within bounds. `cargo xtask bench` plays the same at full size.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/observer.rs"]
mod observer;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lwm2m::Models;
use serde_json::json;
use simulator::{FleetConfig, Group, Leave, Notify, Ramp, Snapshot, Start};

use app::{App, connect_packet, subscribe_packet, until};
use fleet::Fleet;
use observer::observer;
use process::GatewayProcess;
use wire::{CONNACK, SUBACK};

/// By how much a gateway may grow under load beyond its devices: the outbox (64 MiB) and what waits
/// for a subscriber (64 MiB) are the largest of its bounds.
const GROWTH_MAX: u64 = 160 << 20;

/// Devices that begin at once and vanish in the end.
fn config(gateway: &GatewayProcess, devices: usize, notify: Notify) -> FleetConfig {
    let lifetime = Duration::from_secs(86_400).into();
    let group = Group { lifetime, notify, ..Group::new(devices) };
    FleetConfig {
        ramp: Ramp::Constant { rate: 3_000 },
        leave: Leave::Vanish,
        ..FleetConfig::of(gateway.coap, group, Arc::new(Models::builtin()))
    }
}

/// Notifications of so many devices, each that often, once all are observed.
fn notify(every: Duration, con: f64) -> Notify {
    Notify { every: Some(every.into()), start: Start::WhenObserved, con, ..Notify::default() }
}

/// Reads a device until it answers: the gateway works again.
async fn recovers(gateway: &GatewayProcess) {
    let answered = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&answered);
    let app = App::connect(gateway.broker, "recovery", move |message| {
        if message.payload.contains("\"msgType\":\"read\"") && message.payload.contains("\"2.05\"")
        {
            told.store(true, Ordering::Relaxed);
        }
    })
    .await;
    app.subscribe("lwm2m/sim-1/up/resp").await;
    let read = json!({"reqID": 7, "msgType": "read", "data": {"path": "/3/0/0"}});
    app.command("sim-1", &read).await;
    until("an answer after the load", || answered.load(Ordering::Relaxed)).await;
}

/// Offers notifications of 1 500 devices at 150 000 a second for a while.
async fn overload(con: f64) -> (GatewayProcess, Snapshot, u64) {
    const DEVICES: usize = 1_500;
    const OFFERED: u64 = 300_000;
    let gateway = GatewayProcess::start("shards = 1\n");
    let (judge, counts) = observer(&gateway).await;
    let every = Duration::from_micros(7 * DEVICES as u64);
    let fleet = Fleet::start(config(&gateway, DEVICES, notify(every, con)));
    until("all observed", || fleet.snapshot().observed == DEVICES).await;
    let idle = gateway.resident();
    let offered = |now: Snapshot| now.notifications + now.changes_skipped;
    until("enough offered", || offered(fleet.snapshot()) >= OFFERED).await;
    let grown = gateway.resident().saturating_sub(idle);
    recovers(&gateway).await;
    let totals = fleet.end().totals;
    until("an empty outbox", || gateway.metrics().value("outbox_entries") == 0.0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let arrived = counts.notified.load(Ordering::Relaxed);
    let lines = gateway.log().lines().count();
    println!(
        "{} sent, {} skipped, {} acknowledged, {arrived} arrived; grown by {grown} bytes, {lines} \
         lines of log",
        totals.notifications, totals.changes_skipped, totals.notifications_con_acked
    );
    assert!(grown <= GROWTH_MAX, "grown by {grown} bytes");
    assert!(lines < DEVICES + 500, "{lines} lines of log");
    drop(judge);
    (gateway, totals, arrived)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_slows_confirmable_devices_and_loses_nothing_that_was_acknowledged() {
    let (gateway, totals, arrived) = overload(1.0).await;
    let dropped = gateway.metrics().total("mqtt", "what", "subscriber_drops");
    let full = gateway.metrics().total("notifications_full", "outcome", "dropped");
    assert!(totals.notifications_con_acked > 0);
    assert!(
        arrived + dropped + full >= totals.notifications_con_acked,
        "{arrived} arrived, {dropped} and {full} counted as dropped, of {totals:?}"
    );
    assert_eq!((dropped, full), (0, 0), "what was acknowledged arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overload_of_non_confirmable_notifications_is_counted_where_it_is_lost() {
    let (gateway, totals, arrived) = overload(0.0).await;
    let metrics = gateway.metrics();
    let lost = [
        metrics.total("datagrams_dropped", "reason", "kernel"),
        metrics.total("notifications_full", "outcome", "dropped"),
        metrics.total("mqtt", "what", "subscriber_drops"),
    ];
    let counted = arrived + totals.datagrams_dropped + lost.iter().sum::<u64>();
    assert!(
        counted >= totals.notifications,
        "{arrived} arrived and {lost:?} counted as lost, of {totals:?}"
    );
}

/// As after an outage: each repeats its Register until it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_registrations_ends_with_each_device_registered_once() {
    const DEVICES: usize = 8_000;
    let gateway = GatewayProcess::start("shards = 2\n");
    let (_judge, counts) = observer(&gateway).await;
    let quiet = Notify { every: None, ..Notify::default() };
    let storm = FleetConfig {
        ramp: Ramp::Burst { within: Duration::from_millis(500) },
        ..config(&gateway, DEVICES, quiet)
    };
    let fleet = Fleet::start(storm);
    until("all registered", || fleet.snapshot().once_registered == DEVICES).await;
    until("all observed", || fleet.snapshot().observed == DEVICES).await;
    recovers(&gateway).await;
    let totals = fleet.end().totals;
    println!("{} datagrams repeated, {} gave up", totals.retransmissions, totals.unanswered);
    assert_eq!(gateway.metrics().value("devices"), DEVICES as f64);
    let told = counts.registered.load(Ordering::Relaxed);
    assert_eq!(told, DEVICES as u64 + totals.unanswered, "each registration is told once");
}

/// A subscriber of everything that reads no more once it is subscribed.
fn silent_subscriber(broker: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(broker).unwrap();
    stream.write_all(&connect_packet("silent")).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0] >> 4, CONNACK);
    stream.write_all(&subscribe_packet(1, "#", 0)).unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0] >> 4, answer[4]), (SUBACK, 0));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_stops_reading_costs_nobody_else_a_message() {
    const DEVICES: usize = 500;
    const NOTIFICATIONS: u64 = 60_000;
    let gateway = GatewayProcess::start("shards = 1\n");
    let (_judge, counts) = observer(&gateway).await;
    let silent = silent_subscriber(gateway.broker);
    let every = Duration::from_millis(100);
    let fleet = Fleet::start(config(&gateway, DEVICES, notify(every, 1.0)));
    until("all observed", || fleet.snapshot().observed == DEVICES).await;
    let idle = gateway.resident();
    until("enough sent", || fleet.snapshot().notifications >= NOTIFICATIONS).await;
    let totals = fleet.end().totals;
    let acked = totals.notifications_con_acked;
    until("all at the other", || counts.notified.load(Ordering::Relaxed) >= acked).await;
    let grown = gateway.resident().saturating_sub(idle);
    let drops = gateway.metrics().total("mqtt", "what", "subscriber_drops");
    println!("{acked} acknowledged; {drops} dropped for the silent one; grown by {grown} bytes");
    assert!(grown <= GROWTH_MAX, "grown by {grown} bytes");
    drop(silent);
}
