//! Devices whose datagrams reach a shard that does not own them, and names that move from shard to
//! shard: the real program, real sockets, the embedded broker.
#![cfg(feature = "embedded-broker")]

#[path = "common/app.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod app;
#[path = "common/node.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod node;
#[path = "common/process.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod process;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::collections::HashMap;

use device::Event;
use serde_json::json;

use app::{App, Mailbox, until};
use node::{Node, profile};
use process::GatewayProcess;

/// The devices of the acceptance criterion.
const DEVICES: usize = 200;

const SETTINGS: &str = r#"
lwm2m.update_msg_publish_condition = "always"
lwm2m.topics.lifecycle = "up/life"
"#;

/// A fleet behind a NAT that forgets: everything that works before it forgot works afterwards.
struct Rebound {
    gateway: GatewayProcess,
    app: App,
    mailbox: Mailbox,
    fleet: Vec<Node>,
    /// Of the commands; the `reqID` of the next one.
    next_request: u64,
}

impl Rebound {
    async fn start(shards: usize) -> Self {
        let gateway = GatewayProcess::start(&format!("shards = {shards}\n{SETTINGS}"));
        let (app, mailbox) = Mailbox::open(gateway.broker).await;
        let fleet = Node::fleet("dev", DEVICES, gateway.coap, &profile(|_| {})).await;
        let rig = Self { gateway, app, mailbox, fleet, next_request: 1 };
        rig.expect("register", DEVICES).await;
        rig
    }

    async fn expect(&self, kind: &str, count: usize) {
        self.mailbox.wait(count, kind, |uplink| uplink.kind() == kind).await;
    }

    /// Every device gets a new port, and does something from there.
    fn move_and(&self, act: impl Fn(&Node)) {
        for node in &self.fleet {
            node.change_port();
            act(node);
        }
    }

    /// A command to every device; each has to succeed.
    async fn command(&mut self, kind: &str) {
        let first = self.next_request;
        for (request, node) in (first..).zip(&self.fleet) {
            let data = json!({"path": "/3442/0/120"});
            let command = json!({"reqID": request, "msgType": kind, "data": data});
            self.app.command(&node.name, &command).await;
        }
        self.next_request += DEVICES as u64;
        let asked = first..self.next_request;
        let is_answer = |uplink: &app::Uplink| {
            uplink.request().is_some_and(|request| asked.contains(&request)) && uplink.is_final()
        };
        self.mailbox.wait(DEVICES, kind, is_answer).await;
        let mut outcomes = HashMap::new();
        for uplink in self.mailbox.all().iter().filter(|uplink| is_answer(uplink)) {
            *outcomes.entry(uplink.outcome()).or_insert(0) += 1;
        }
        assert_eq!(outcomes, HashMap::from([("2.05".to_owned(), DEVICES)]), "{kind}");
    }

    /// Every device notifies this value.
    async fn notified(&self, value: i64) {
        let is_it =
            |uplink: &app::Uplink| uplink.kind() == "notify" && uplink.integer() == Some(value);
        self.mailbox.wait(DEVICES, "notifications", is_it).await;
    }
}

async fn devices_that_change_ports_are_served(shards: usize) {
    let mut rig = Rebound::start(shards).await;
    rig.command("observe").await;

    rig.move_and(|node| node.count_to(1));
    rig.notified(1).await;
    rig.command("read").await;

    rig.move_and(|node| node.act(|device, now| device.update(now)));
    rig.expect("update", DEVICES).await;
    rig.command("read").await;
    for node in &rig.fleet {
        node.count_to(2);
    }
    rig.notified(2).await;

    // A Send carries neither token nor registration id of the gateway's: it needs the address that
    // the Update from it has made known.
    let counter = node::COUNTER;
    for node in &rig.fleet {
        node.act(move |device, now| device.send(now, &[counter]).unwrap());
    }
    until("Sends", || {
        rig.fleet.iter().all(|node| {
            node.happened(
                |event| matches!(event, Event::SendFinished { code } if code.is_success()),
            ) == 1
        })
    })
    .await;

    rig.move_and(|node| node.act(|device, now| device.register(now)));
    rig.expect("register", 2 * DEVICES).await;
    rig.command("read").await;
    rig.move_and(|node| node.act(|device, now| device.deregister(now)));
    rig.expect("deregistered", DEVICES).await;

    let metrics = rig.gateway.metrics();
    let out = metrics.total("datagrams_forwarded", "direction", "out");
    let taken = metrics.total("datagrams_forwarded", "direction", "in");
    assert_eq!(out, taken, "what a shard forwards another one takes");
    if shards == 1 {
        assert_eq!(out, 0);
    } else {
        // Three moves of 200 devices; a shard count of N leaves 1 in N where it was.
        assert!(out as usize > DEVICES, "{out} datagrams were forwarded");
    }
    assert_eq!(metrics.total("datagrams_dropped", "reason", "forward_full"), 0);
    // Loopback loses nothing: whoever repeats has waited for an answer in vain.
    assert_eq!(metrics.total("coap_messages", "kind", "duplicate"), 0);
    assert_eq!(metrics.total("coap_messages", "kind", "retransmission"), 0);
    assert_eq!(metrics.value("devices"), 0.0);
    assert_eq!(metrics.value("observations"), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_shard_serves_devices_that_change_ports() {
    devices_that_change_ports_are_served(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_shards_serve_devices_that_change_ports() {
    devices_that_change_ports_are_served(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_shards_serve_devices_that_change_ports() {
    devices_that_change_ports_are_served(4).await;
}

/// Each name registers, falls silent with a command under way and others waiting, and registers
/// again from another port: on the other shard, or on the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_moves_to_another_shard_keeps_its_events_and_commands_in_order() {
    const NAMES: usize = 40;
    const WAITING: u64 = 4;
    const LATER: u64 = 4;
    let gateway = GatewayProcess::start(&format!("shards = 2\n{SETTINGS}"));
    let (app, mailbox) = Mailbox::open(gateway.broker).await;
    let like = profile(|_| {});
    let former = Node::fleet("name", NAMES, gateway.coap, &like).await;
    mailbox.wait(NAMES, "register", |uplink| uplink.kind() == "register").await;
    until("2.01", || former.iter().all(Node::is_registered)).await;
    for node in &former {
        node.fall_silent().await;
    }
    let heard: Vec<usize> = former.iter().map(|node| node.view().received).collect();
    let command =
        |request: u64| json!({"reqID": request, "msgType": "read", "data": {"path": "/3/0/0"}});
    for request in 0..=WAITING {
        for node in &former {
            app.command(&node.name, &command(request)).await;
        }
    }
    until("a command under way", || {
        former.iter().zip(&heard).all(|(node, before)| node.view().received > *before)
    })
    .await;

    let successors = Node::fleet("name", NAMES, gateway.coap, &like).await;
    for request in WAITING + 1..=WAITING + LATER {
        for node in &successors {
            app.command(&node.name, &command(request)).await;
        }
    }
    let all = NAMES * (1 + WAITING + LATER) as usize;
    mailbox.wait(all, "ends of commands", app::Uplink::is_final).await;

    for node in &successors {
        let story: Vec<String> = mailbox.of(&node.name).iter().map(describe).collect();
        let ended = ["register", "0: 5.03 replaced", "replaced", "register"];
        let mut expected = ended.map(str::to_owned).to_vec();
        let served = 1..=WAITING + LATER;
        expected.extend(served.map(|request| format!("{request}: 2.05")));
        assert_eq!(story, expected, "{}", node.name);
    }
    let metrics = gateway.metrics();
    let evicted = metrics.total("registrations_ended", "reason", "evicted");
    assert!(evicted > 0, "of {NAMES} names some move to the other shard");
    assert_eq!(metrics.value("devices"), NAMES as f64);
}

fn describe(uplink: &app::Uplink) -> String {
    match uplink.request() {
        Some(request) => format!("{request}: {}", uplink.outcome()),
        None => uplink.kind().to_owned(),
    }
}
