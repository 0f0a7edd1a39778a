//! An external broker that is killed under load and comes back with nothing.
//!
//! What the gateway sent and what the broker acknowledged is recorded by a proxy between the two,
//! so that what the broker loses is not blamed on the gateway. `RESILIENCE_BROKER_SECONDS` says how
//! long the broker is away (3 without it).
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/broker.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod broker;
#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/recording_proxy.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod recording_proxy;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use serde_json::json;

use app::{App, Mailbox, Uplink, until};
use broker::Broker;
use node::{Node, profile};
use process::GatewayProcess;
use recording_proxy::{Record, RecordingProxy, Sender};
use wire::{PUBACK, SUBACK};

const DEVICES: usize = 20;

/// Each device notifies at this pace: 1 000 events a second in all.
const PACE: Duration = Duration::from_millis(20);

/// A device and one of its values.
type Event = (String, i64);

/// Devices that count up until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    last: Arc<AtomicI64>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(fleet: &Arc<Vec<Node>>) -> Self {
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (stopped, reached, fleet) = (Arc::clone(&stop), Arc::clone(&last), Arc::clone(fleet));
        let task = tokio::spawn(async move {
            let mut step = tokio::time::interval(PACE);
            for number in 1.. {
                step.tick().await;
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                fleet.iter().for_each(|node| node.count_to(number));
                reached.store(number, Ordering::Relaxed);
            }
        });
        Self { stop, last, task }
    }

    /// The last value that every device has had.
    async fn end(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.last.load(Ordering::Relaxed)
    }
}

fn seconds_away() -> u64 {
    let given = std::env::var("RESILIENCE_BROKER_SECONDS").ok();
    given.map_or(3, |text| text.parse().expect("RESILIENCE_BROKER_SECONDS is a number"))
}

async fn observed_fleet(gateway: &GatewayProcess, app: &App, mailbox: &Mailbox) -> Vec<Node> {
    let fleet = Node::fleet("dev", DEVICES, gateway.coap, &profile(|_| {})).await;
    mailbox.wait(DEVICES, "register", |uplink| uplink.kind() == "register").await;
    for (request, node) in fleet.iter().enumerate() {
        let data = json!({"path": "/3442/0/120"});
        let observe = json!({"reqID": request, "msgType": "observe", "data": data});
        app.command(&node.name, &observe).await;
    }
    mailbox.wait(DEVICES, "observe", |uplink| uplink.kind() == "observe").await;
    fleet
}

async fn a_killed_broker_costs_no_event(protocol: &str) {
    let mut broker = Broker::start();
    let proxy = RecordingProxy::start(broker.address).await;
    let gateway = GatewayProcess::start(&format!(
        "shards = 2\nmqtt.mode = \"external\"\nmqtt.protocol = \"{protocol}\"\n\
         mqtt.external.url = \"mqtt://{}\"\nmqtt.external.reconnect_max = \"500ms\"\n",
        proxy.address()
    ));
    let (app, before) = Mailbox::open(broker.address).await;
    let fleet = Arc::new(observed_fleet(&gateway, &app, &before).await);
    let load = Load::start(&fleet);
    before.wait(DEVICES * 50, "notify", |uplink| uplink.kind() == "notify").await;

    proxy.let_through(false);
    broker.kill();
    until("the loss is noticed", || gateway.metrics().value("mqtt_connected") == 0.0).await;
    let acknowledged = acknowledged(&proxy.records());
    tokio::time::sleep(Duration::from_secs(seconds_away())).await;
    broker.start_again();
    // The judge first: whatever the gateway sends from here on it has to see.
    let (app, after) = Mailbox::open(broker.address).await;
    proxy.let_through(true);
    until("the gateway is back", || gateway.metrics().value("mqtt_connected") == 1.0).await;
    until("the subscription is back", || subscriptions(&proxy.records()) >= 2).await;
    for (request, node) in (500..).zip(fleet.iter()) {
        let read = json!({"reqID": request, "msgType": "read", "data": {"path": "/3/0/0"}});
        app.command(&node.name, &read).await;
    }
    let is_answer = |uplink: &Uplink| uplink.kind() == "read" && uplink.outcome() == "2.05";
    after.wait(DEVICES, "answers to commands", is_answer).await;

    let last = load.end().await;
    let metrics = gateway.metrics();
    assert_eq!(metrics.total("datagrams_dropped", "reason", "kernel"), 0, "no loss before MQTT");
    after
        .wait(DEVICES, "the last value", |uplink| {
            uplink.kind() == "notify" && uplink.integer() == Some(last)
        })
        .await;
    until("every acknowledgement", || gateway.metrics().value("outbox_entries") == 0.0).await;
    judge(&proxy.records(), &acknowledged, &after.all(), last);
}

/// Compares what the devices said with what the broker was told and what arrived behind it.
fn judge(records: &[Record], before: &HashSet<Event>, arrived: &[Uplink], last: i64) {
    let sent = in_order(records.iter().filter(|r| r.sender == Sender::Client).filter_map(event));
    let arrived = in_order(arrived.iter().filter_map(notification));
    let in_the_end = acknowledged(records);
    for number in 0..DEVICES {
        let name = format!("dev-{number}");
        let all: Vec<i64> = (1..=last).collect();
        assert_eq!(first_gap(&sent[&name], &all), None, "{name}: sent in order, none left out");
        let owed: Vec<i64> =
            all.iter().copied().filter(|n| !before.contains(&(name.clone(), *n))).collect();
        assert!(!owed.is_empty(), "{name}: nothing was under way");
        let came: Vec<i64> = arrived[&name].iter().copied().filter(|n| owed.contains(n)).collect();
        assert_eq!(first_gap(&came, &owed), None, "{name}: what was owed arrived in order");
        let open = all.iter().find(|n| !in_the_end.contains(&(name.clone(), **n)));
        assert_eq!(open, None, "{name}: acknowledged in the end");
    }
    println!(
        "{} events, {} of them acknowledged before the broker was killed",
        DEVICES as i64 * last,
        before.len()
    );
}

/// Where two lists begin to differ, with the values there: lists of thousands are no message.
fn first_gap(have: &[i64], want: &[i64]) -> Option<(usize, Option<i64>, Option<i64>)> {
    let at = (0..have.len().max(want.len())).find(|&at| have.get(at) != want.get(at))?;
    Some((at, have.get(at).copied(), want.get(at).copied()))
}

/// The values of each device, each where it came first: a repetition is what QoS 1 allows.
fn in_order(events: impl Iterator<Item = Event>) -> BTreeMap<String, Vec<i64>> {
    let mut seen = HashSet::new();
    let mut order: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (name, value) in events.filter(|event| seen.insert(event.clone())) {
        order.entry(name).or_default().push(value);
    }
    order
}

fn notification(uplink: &Uplink) -> Option<Event> {
    let value = (uplink.kind() == "notify").then(|| uplink.integer())??;
    Some((uplink.endpoint.clone(), value))
}

fn event(record: &Record) -> Option<Event> {
    let message = record.published().filter(|message| message.topic.contains("/up/notify"))?;
    notification(&Uplink::read(&message))
}

/// The events that the broker has acknowledged, by packet id on each connection.
fn acknowledged(records: &[Record]) -> HashSet<Event> {
    let mut under_way: HashMap<(usize, u16), Option<Event>> = HashMap::new();
    let mut acknowledged = HashSet::new();
    for record in records {
        if record.sender == Sender::Client {
            if let Some(message) = record.published() {
                under_way.insert((record.connection, message.packet), event(record));
            }
        } else if record.raw.kind() == PUBACK {
            let packet = u16::from_be_bytes([record.raw.body[0], record.raw.body[1]]);
            acknowledged.extend(under_way.remove(&(record.connection, packet)).flatten());
        }
    }
    acknowledged
}

fn subscriptions(records: &[Record]) -> usize {
    let granted = |record: &&Record| record.sender == Sender::Broker && record.raw.kind() == SUBACK;
    records.iter().filter(granted).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_costs_no_event_over_mqtt_5() {
    a_killed_broker_costs_no_event("5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_costs_no_event_over_mqtt_3() {
    a_killed_broker_costs_no_event("3.1.1").await;
}
