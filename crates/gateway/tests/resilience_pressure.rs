//! A broker that takes everything and acknowledges nothing: the outbox fills, devices are told to
//! wait, memory stays where it is, and all of it recovers.

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/fake_broker.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod fake_broker;
#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/raw.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod raw;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::collections::{HashMap, HashSet};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use device::{Event, Reliability};
use serde_json::json;
use tokio::sync::mpsc;

use app::{Mailbox, Uplink, until};
use fake_broker::{Client, FakeBroker, Greeting};
use node::{Node, profile};
use process::{GatewayProcess, Metrics};

const DEVICES: usize = 5;
const OUTBOX: usize = 50;

/// Few places in the outbox, and little patience.
const SETTINGS: &str = r#"
shards = 1
mqtt.mode = "external"
mqtt.external.inflight_max = 10
outbox.entries = 50
outbox.hold_max = "2s"
outbox.drain_max = "1s"
"#;

/// A broker that passes messages on to the judge, and acknowledges them only while it is told to.
struct Stubborn {
    acknowledges: Arc<AtomicBool>,
    commands: mpsc::UnboundedSender<(String, String)>,
    mailbox: Mailbox,
    task: tokio::task::JoinHandle<()>,
}

impl Stubborn {
    fn run(broker: FakeBroker) -> Self {
        let acknowledges = Arc::new(AtomicBool::new(true));
        let (commands, orders) = mpsc::unbounded_channel();
        let mailbox = Mailbox::default();
        let serve = serve(broker, Arc::clone(&acknowledges), orders, mailbox.clone());
        Self { acknowledges, commands, mailbox, task: tokio::spawn(serve) }
    }

    fn command(&self, endpoint: &str, command: &serde_json::Value) {
        let topic = format!("lwm2m/{endpoint}/dn/test");
        self.commands.send((topic, command.to_string())).unwrap();
    }

    fn acknowledge(&self, yes: bool) {
        self.acknowledges.store(yes, Ordering::Relaxed);
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    broker: FakeBroker,
    acknowledges: Arc<AtomicBool>,
    mut orders: mpsc::UnboundedReceiver<(String, String)>,
    mailbox: Mailbox,
) {
    const STEP: Duration = Duration::from_millis(10);
    let mut client: Client = broker.accept_subscriber(Greeting::default()).await;
    let mut owed = Vec::new();
    let mut packet = 0;
    loop {
        while let Ok((topic, payload)) = orders.try_recv() {
            packet += 1;
            client.deliver(&topic, &payload, packet, false).await;
        }
        if let Some(message) = client.read_publish_within(STEP).await {
            owed.push(message.packet);
            mailbox.push(&message);
        }
        if acknowledges.load(Ordering::Relaxed) {
            for packet in owed.drain(..) {
                client.acknowledge(packet, 0).await;
            }
        }
        // Nothing is to be read any more once the gateway has gone.
        tokio::task::yield_now().await;
    }
}

struct Rig {
    gateway: GatewayProcess,
    broker: Stubborn,
    fleet: Vec<Node>,
}

impl Rig {
    /// Devices with confirmable notifications, registered and observed; the broker works.
    async fn start() -> Self {
        let broker = FakeBroker::start().await;
        let url = format!("mqtt.external.url = \"mqtt://{}\"\n", broker.address);
        let broker = Stubborn::run(broker);
        let gateway = GatewayProcess::start(&format!("{url}{SETTINGS}"));
        let like = profile(|profile| {
            profile.notifications = Reliability::Confirmable;
            profile.transmission.ack_timeout = Duration::from_millis(200);
            profile.transmission.max_retransmit = 6;
        });
        let fleet = Node::fleet("dev", DEVICES, gateway.coap, &like).await;
        until("registrations", || fleet.iter().all(Node::is_registered)).await;
        for (request, node) in fleet.iter().enumerate() {
            let data = json!({"path": "/3442/0/120"});
            let observe = json!({"reqID": request, "msgType": "observe", "data": data});
            broker.command(&node.name, &observe);
        }
        broker.mailbox.wait(DEVICES, "observe", |uplink| uplink.kind() == "observe").await;
        until("an empty outbox", || gateway.metrics().value("outbox_entries") == 0.0).await;
        Self { gateway, broker, fleet }
    }

    fn full(&self, outcome: &str) -> u64 {
        self.gateway.metrics().total("notifications_full", "outcome", outcome)
    }

    fn notified(&self) -> usize {
        self.fleet
            .iter()
            .map(|node| node.happened(|event| matches!(event, Event::Notified { .. })))
            .sum()
    }

    /// Each device counts on, one value at a time, until the gateway holds an acknowledgement back.
    async fn fill(&self) -> i64 {
        let mut value = 0;
        while self.full("held") == 0 {
            assert!(value < 10 * OUTBOX as i64, "the outbox takes all of it");
            value += 1;
            self.fleet.iter().for_each(|node| node.count_to(value));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        value
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_acknowledges_nothing_makes_devices_wait_and_then_recovers() {
    let rig = Rig::start().await;
    rig.broker.acknowledge(false);
    let mut last = rig.fill().await;
    let metrics = rig.gateway.metrics();
    assert_eq!(metrics.value("outbox_entries"), OUTBOX as f64, "as many as there are places");
    assert_eq!(rig.full("dropped"), 0, "nothing is given up yet");
    refused_register(&rig.gateway).await;

    // After `hold_max` the device is told that all is well, and the loss is counted.
    until("notifications given up", || rig.full("dropped") >= DEVICES as u64).await;
    memory_stays(&rig, &mut last).await;

    rig.broker.acknowledge(true);
    until("an empty outbox", || rig.gateway.metrics().value("outbox_entries") == 0.0).await;
    last += 1;
    rig.fleet.iter().for_each(|node| node.count_to(last));
    rig.broker.mailbox.wait(DEVICES, "the last value", |u| u.integer() == Some(last)).await;
    let asked = json!({"reqID": 700, "msgType": "read", "data": {"path": "/3/0/0"}});
    rig.broker.command("dev-0", &asked);
    let answered = |uplink: &Uplink| uplink.request() == Some(700) && uplink.outcome() == "2.05";
    rig.broker.mailbox.wait(1, "an answer", answered).await;
    let late = Node::start("late", rig.gateway.coap, profile(|_| {})).await;
    until("a registration", || late.is_registered()).await;
    judge(&rig);
}

/// 5.03 with Max-Age, so that the device knows when to come back: design section 4, rule 5.
async fn refused_register(gateway: &GatewayProcess) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(gateway.coap).unwrap();
    let register = raw::register(4711, &["ep=refused", "lt=60", "lwm2m=1.1"], "</1/0>,</3/0>");
    let answer = raw::ask(&socket, &register);
    assert_eq!(answer.code, raw::UNAVAILABLE);
    assert!(answer.option(raw::MAX_AGE).is_some_and(|age| !age.is_empty()), "{answer:?}");
    // The answer leaves before the numbers of the same turn are told.
    let refused = || gateway.metrics().total("registrations", "outcome", "refused");
    until("a refusal in the numbers", || refused() >= 1).await;
}

/// What nobody repeats is dropped, however much of it comes.
async fn memory_stays(rig: &Rig, last: &mut i64) {
    let before = rig.gateway.resident();
    for _ in 0..2_000 {
        *last += 1;
        rig.fleet.iter().for_each(|node| node.count_to(*last));
        if *last % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let metrics: Metrics = rig.gateway.metrics();
    assert!(metrics.value("outbox_entries") <= OUTBOX as f64);
    let grown = rig.gateway.resident().saturating_sub(before);
    assert!(grown < 3 << 20, "{grown} bytes more");
}

/// Every notification arrived or was counted as dropped, and each device's came in order.
fn judge(rig: &Rig) {
    let mut seen = HashSet::new();
    let mut values: HashMap<String, Vec<i64>> = HashMap::new();
    for uplink in rig.broker.mailbox.all().iter().filter(|uplink| uplink.kind() == "notify") {
        let value = uplink.integer().unwrap();
        assert!(seen.insert((uplink.endpoint.clone(), value)), "{value} came twice");
        values.entry(uplink.endpoint.clone()).or_default().push(value);
    }
    assert!(values.values().all(|values| values.is_sorted()), "{values:?}");
    let dropped = rig.full("dropped") as usize;
    assert_eq!(seen.len() + dropped, rig.notified(), "arrived or counted ({dropped} dropped)");
    for node in &rig.fleet {
        let ended = node.happened(|event| matches!(event, Event::ObservationEnded { .. }));
        assert_eq!(ended, 0, "{}: nobody gives an observation up", node.name);
    }
}
