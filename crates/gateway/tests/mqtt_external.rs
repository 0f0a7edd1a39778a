//! The client of an external broker: against the embedded broker as that broker, behind a
//! recording proxy, and against a broker that follows a script.
#![cfg(feature = "embedded-broker")]

#[path = "common/fake_broker.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod fake_broker;
#[path = "common/mqtt.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod mqtt;
#[path = "common/recording_proxy.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod recording_proxy;
#[path = "common/tls_proxy.rs"]
mod tls_proxy;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::mqtt::embedded::{Embedded, EmbeddedConfig};
use gateway::mqtt::external::{BrokerAddress, External, ExternalConfig, Protocol, Security};
use gateway::mqtt::{Northbound, Publication, Qos};

use fake_broker::{Client, FakeBroker, Greeting};
use mqtt::{Inbox, PATIENCE, Pump, V5, filters, message, until};
use recording_proxy::{RecordingProxy, Sender};
use wire::SUBSCRIBE;

const BOTH: [Protocol; 2] = [Protocol::V5, Protocol::V311];

/// Long enough for anything that would come on loopback.
const SHORT: Duration = Duration::from_millis(200);

fn config(broker: SocketAddr, protocol: Protocol) -> ExternalConfig {
    let host = broker.ip().to_string();
    let address = BrokerAddress { host, port: broker.port(), security: Security::Plain };
    ExternalConfig {
        protocol,
        reconnect_min: Duration::from_millis(10),
        reconnect_max: Duration::from_millis(100),
        ..ExternalConfig::new(address, "gateway")
    }
}

struct Gateway {
    north: Arc<External>,
    inbox: Arc<Inbox>,
    pump: Pump,
}

impl Gateway {
    async fn start(config: ExternalConfig, inbox: Arc<Inbox>) -> Self {
        let north = Arc::new(External::start(config, Arc::clone(&inbox) as _).unwrap());
        north.set_filters(filters(&["lwm2m/+/dn/#"])).await.unwrap();
        let pump = Pump::start(Arc::clone(&north) as _);
        Self { north, inbox, pump }
    }

    async fn to(broker: SocketAddr, protocol: Protocol) -> Self {
        Self::start(config(broker, protocol), Inbox::open()).await
    }

    fn publish(&self, range: std::ops::Range<usize>) {
        for n in range {
            self.pump.push(message("lwm2m/a/up/resp", &n.to_string(), Qos::AtLeastOnce));
        }
    }
}

/// The embedded broker in the role of the external one; what it got is in its inbox.
async fn broker(bind: SocketAddr, inbox: Arc<Inbox>) -> Embedded {
    let config = EmbeddedConfig { bind, ..EmbeddedConfig::default() };
    let broker = Embedded::start(&config, inbox).await.unwrap();
    broker.set_filters(filters(&["lwm2m/+/up/#"])).await.unwrap();
    broker
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Fails with the first difference only: lists of thousands are no message.
#[track_caller]
fn assert_order(payloads: &[String], range: std::ops::Range<usize>, what: impl std::fmt::Debug) {
    let expected = numbers(range);
    let differs =
        (0..payloads.len().max(expected.len())).find(|&at| payloads.get(at) != expected.get(at));
    if let Some(at) = differs {
        let around =
            &payloads[at.saturating_sub(3).min(payloads.len())..(at + 5).min(payloads.len())];
        panic!(
            "{what:?}: {} of {} came, wrong from {at}: {around:?}",
            payloads.len(),
            expected.len()
        );
    }
}

/// The first occurrences, in the order in which they came.
fn firsts(payloads: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    payloads.iter().filter(|payload| seen.insert(*payload)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_out_in_order_and_commands_come_in_with_their_properties() {
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let broker = broker(any_port(), Arc::clone(&uplinks)).await;
        let gateway = Gateway::to(broker.address(), protocol).await;
        gateway.publish(0..3_000);
        gateway.pump.drained().await;
        assert_order(&uplinks.payloads(), 0..3_000, protocol);
        assert!(uplinks.taken().iter().all(|incoming| incoming.qos == Qos::AtLeastOnce));
        assert_eq!(gateway.north.stats().snapshot().published, 3_000);

        let app = V5::connect(broker.address(), "app");
        let properties = rumqttc_v5::PublishProperties {
            response_topic: Some("answers/7".into()),
            correlation_data: Some(b"id-7".to_vec().into()),
            message_expiry_interval: Some(60),
            ..Default::default()
        };
        let options = rumqttc_v5::PublishOptions::at_least_once().properties(properties);
        let notice = app.client.publish_tracked("lwm2m/a/dn/x", "read", options).await.unwrap();
        notice.wait_completion_async().await.unwrap();
        app.publish("lwm2m/a/dn/y", "write", 0, false).await;
        let commands = gateway.inbox.wait_for(2).await;
        assert_eq!(
            (commands[0].topic.as_str(), &commands[0].payload[..]),
            ("lwm2m/a/dn/x", &b"read"[..])
        );
        assert_eq!(commands[1].payload, "write");
        assert_eq!((commands[0].qos, commands[1].qos), (Qos::AtLeastOnce, Qos::AtMostOnce));
        if protocol == Protocol::V5 {
            assert_eq!(commands[0].response_topic.as_deref(), Some("answers/7"));
            assert_eq!(commands[0].correlation.as_deref(), Some(&b"id-7"[..]));
            assert!(commands[0].expiry.is_some_and(|left| left.as_secs() >= 58));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_data_and_every_quality_of_service_reach_the_broker() {
    let uplinks = Inbox::open();
    let broker = broker(any_port(), Arc::clone(&uplinks)).await;
    let gateway = Gateway::to(broker.address(), Protocol::V5).await;
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
        let correlation = Some(b"\x00\xff".to_vec());
        gateway.pump.push(Publication { correlation, ..message("lwm2m/a/up/resp", "x", qos) });
    }
    gateway.pump.drained().await;
    let taken = uplinks.wait_for(3).await;
    let qos: Vec<_> = taken.iter().map(|incoming| incoming.qos).collect();
    assert_eq!(qos, [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]);
    assert!(taken.iter().all(|i| i.correlation.as_deref() == Some(&b"\x00\xff"[..])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_comes_back_without_sessions_gets_every_event_in_order() {
    const EVENTS: usize = 20_000;
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let first = broker(any_port(), Arc::clone(&uplinks)).await;
        let proxy = RecordingProxy::start(first.address()).await;
        let gateway = Gateway::to(proxy.address(), protocol).await;
        gateway.publish(0..EVENTS / 2);
        uplinks.wait_for(1_000).await;
        proxy.let_through(false);
        proxy.cut();
        first.close(Duration::ZERO).await;
        gateway.publish(EVENTS / 2..EVENTS);
        tokio::time::sleep(SHORT).await;
        assert!(!gateway.north.connected());

        let second = broker(any_port(), Arc::clone(&uplinks)).await;
        proxy.set_upstream(second.address());
        proxy.let_through(true);
        gateway.pump.drained().await;
        assert_order(&firsts(&uplinks.payloads()), 0..EVENTS, protocol);
        let sent = proxy.published(Sender::Client);
        assert!(proxy.acknowledged(Sender::Broker) <= sent.len());

        let app = V5::connect(second.address(), "app");
        app.publish("lwm2m/a/dn/x", "after", 1, false).await;
        assert_eq!(gateway.inbox.wait_for(1).await[0].payload, "after", "subscribed again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_lose_and_reorder_nothing() {
    const EVENTS: usize = 10_000;
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let broker = broker(any_port(), Arc::clone(&uplinks)).await;
        let proxy = RecordingProxy::start(broker.address()).await;
        let gateway = Gateway::to(proxy.address(), protocol).await;
        for part in 0..10 {
            gateway.publish(part * EVENTS / 10..(part + 1) * EVENTS / 10);
            until("some events", || uplinks.payloads().len() > part * EVENTS / 20).await;
            proxy.cut();
        }
        gateway.pump.drained().await;
        assert_order(&firsts(&uplinks.payloads()), 0..EVENTS, protocol);
        let mut seen = std::collections::HashSet::new();
        for message in proxy.published(Sender::Client) {
            // The other way round is fine: a first attempt may have been lost on its way here.
            let first = seen.insert(message.payload);
            assert!(first || message.dup, "{protocol:?}: a repetition says so");
        }
        let connects = gateway.north.stats().snapshot().connects;
        assert!(connects > 5, "{protocol:?}: {connects} connections");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_gateway_goes_on_with_its_session() {
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let broker = broker(any_port(), Arc::clone(&uplinks)).await;
        let gateway = Gateway::to(broker.address(), protocol).await;
        gateway.publish(0..10);
        gateway.pump.drained().await;
        assert_eq!(gateway.north.close(Duration::from_secs(5)).await, 0);
        drop(gateway);
        until("the gateway is gone", || broker.clients() == 0).await;

        let app = V5::connect(broker.address(), "app");
        app.publish("lwm2m/a/dn/x", "meanwhile", 1, false).await;
        let gateway = Gateway::to(broker.address(), protocol).await;
        gateway.publish(10..20);
        gateway.pump.drained().await;
        assert_eq!(uplinks.payloads(), numbers(0..20), "{protocol:?}");
        assert_eq!(gateway.inbox.wait_for(1).await[0].payload, "meanwhile", "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscription_is_in_place_before_the_first_event_on_each_connection() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let gateway = Gateway::to(fake.address, protocol).await;
        gateway.publish(0..3);
        for _ in 0..2 {
            let mut client = fake.accept(Greeting::default()).await;
            let first = client.read().await.unwrap();
            assert_eq!(first.kind(), SUBSCRIBE, "{protocol:?}");
            assert!(client.read_within(SHORT).await.is_none(), "nothing before the SUBACK");
            assert!(!gateway.north.connected());
            drop(client);
        }
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        for n in 0..3 {
            assert_eq!(client.read_publish().await.unwrap().payload, n.to_string());
        }
        assert!(gateway.north.connected());
    }
}

/// Reads `count` messages without acknowledging any.
async fn read(client: &mut Client, count: usize) -> Vec<wire::Published> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.push(client.read_publish().await.expect("a message"));
    }
    messages
}

fn payloads(messages: &[wire::Published]) -> Vec<String> {
    messages.iter().map(|message| message.payload.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_is_repeated_as_dup_when_the_session_lives() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let gateway = Gateway::to(fake.address, protocol).await;
        gateway.publish(0..10);
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        let messages = read(&mut client, 10).await;
        for message in &messages[..4] {
            client.acknowledge(message.packet, 0).await;
        }
        until("four are acknowledged", || gateway.pump.monitor.left() == 6).await;
        drop(client);
        gateway.publish(10..12);

        let mut client =
            fake.accept(Greeting { session_present: true, ..Greeting::default() }).await;
        let again = read(&mut client, 8).await;
        assert_eq!(payloads(&again), numbers(4..12), "{protocol:?}");
        let repeated: Vec<_> = again.iter().map(|m| (m.dup, m.packet)).take(6).collect();
        let expected: Vec<_> = messages[4..].iter().map(|m| (true, m.packet)).collect();
        assert_eq!(repeated, expected, "{protocol:?}");
        for message in &again {
            client.acknowledge(message.packet, 0).await;
        }
        gateway.pump.drained().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_is_sent_again_before_anything_new_when_the_session_is_lost() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let gateway = Gateway::to(fake.address, protocol).await;
        gateway.publish(0..10);
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        let messages = read(&mut client, 10).await;
        for message in &messages[..4] {
            client.acknowledge(message.packet, 0).await;
        }
        until("four are acknowledged", || gateway.pump.monitor.left() == 6).await;
        drop(client);
        gateway.publish(10..20);

        let mut client = fake.accept_subscriber(Greeting::default()).await;
        let again = read(&mut client, 16).await;
        assert_eq!(payloads(&again), numbers(4..20), "{protocol:?}");
        assert!(again.iter().all(|message| !message.dup), "a new session has no repetitions");
        for message in &again {
            client.acknowledge(message.packet, 0).await;
        }
        gateway.pump.drained().await;
        assert!(gateway.north.stats().snapshot().resent >= 6, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_of_the_outbox_is_held_until_the_acknowledgement() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    gateway.publish(0..3);
    let mut client = fake.accept_subscriber(Greeting::default()).await;
    let messages = read(&mut client, 3).await;
    tokio::time::sleep(SHORT).await;
    assert_eq!(gateway.pump.monitor.left(), 3);
    client.acknowledge(messages[0].packet, 0).await;
    until("one slot is free", || gateway.pump.monitor.left() == 2).await;
    assert_eq!(gateway.north.close(SHORT).await, 2, "what is left behind is named");
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_the_receive_maximum_of_the_broker_is_under_way() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    gateway.publish(0..50);
    let greeting = Greeting { receive_maximum: Some(3), ..Greeting::default() };
    let mut client = fake.accept_subscriber(greeting).await;
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let room = 3.min(50 - seen.len());
        let batch = read(&mut client, room).await;
        assert!(client.read_publish_within(Duration::from_millis(20)).await.is_none());
        for message in &batch {
            client.acknowledge(message.packet, 0).await;
        }
        seen.extend(payloads(&batch));
    }
    assert_eq!(seen, numbers(0..50));
    gateway.pump.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_our_own_window_is_under_way() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let narrow = ExternalConfig { inflight_max: 5, ..config(fake.address, protocol) };
        let gateway = Gateway::start(narrow, Inbox::open()).await;
        gateway.publish(0..20);
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        let batch = read(&mut client, 5).await;
        assert!(client.read_publish_within(SHORT).await.is_none(), "{protocol:?}");
        client.acknowledge(batch[0].packet, 0).await;
        assert_eq!(client.read_publish().await.unwrap().payload, "5");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_above_the_limit_of_the_broker_is_given_up_and_the_rest_goes_on() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    let large = || message("lwm2m/a/up/resp", &"x".repeat(500), Qos::AtLeastOnce);
    gateway.publish(0..1);
    gateway.pump.push(large());
    gateway.publish(1..2);
    let greeting = Greeting { packet_max: Some(200), ..Greeting::default() };
    let mut client = fake.accept_subscriber(greeting).await;
    for message in read(&mut client, 2).await {
        client.acknowledge(message.packet, 0).await;
    }
    gateway.pump.drained().await;
    assert_eq!(gateway.north.stats().snapshot().too_large, 1);
    assert_eq!(gateway.pump.monitor.levels()[0].failed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_shrinks_while_a_message_is_under_way_wedges_nothing() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    gateway.publish(0..1);
    gateway.pump.push(message("lwm2m/a/up/resp", &"x".repeat(500), Qos::AtLeastOnce));
    gateway.publish(1..2);
    let mut client = fake.accept_subscriber(Greeting::default()).await;
    read(&mut client, 3).await;
    drop(client);

    let narrow = Greeting { session_present: true, packet_max: Some(200), ..Greeting::default() };
    let handed_over = async {
        let mut seen = Vec::new();
        while !seen.contains(&"1".to_owned()) {
            let mut client = fake.accept(narrow).await;
            while let Some(message) = client.read_publish_within(Duration::from_secs(1)).await {
                client.acknowledge(message.packet, 0).await;
                seen.push(message.payload);
            }
        }
        seen
    };
    let seen = tokio::time::timeout(PATIENCE, handed_over).await.expect("the queue moves on");
    assert!(firsts(&seen).starts_with(&numbers(0..2)), "{seen:?}");
    gateway.pump.drained().await;
    assert_eq!(gateway.north.stats().snapshot().too_large, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_broker_refuses_is_given_up_and_the_rest_goes_on() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    gateway.publish(0..3);
    let mut client = fake.accept_subscriber(Greeting::default()).await;
    let messages = read(&mut client, 3).await;
    const NOT_AUTHORIZED: u8 = 0x87;
    const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;
    client.acknowledge(messages[0].packet, NO_MATCHING_SUBSCRIBERS).await;
    client.acknowledge(messages[1].packet, NOT_AUTHORIZED).await;
    client.acknowledge(messages[2].packet, 0).await;
    gateway.pump.drained().await;
    let level = gateway.pump.monitor.levels()[0];
    assert_eq!((level.taken, level.failed), (2, 1));
    assert_eq!(gateway.north.stats().snapshot().refused, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_tried_again() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let gateway = Gateway::to(fake.address, protocol).await;
        gateway.publish(0..1);
        let code = if protocol == Protocol::V5 { 0x87 } else { 5 };
        let refusal = Greeting { refusal: Some(code), ..Greeting::default() };
        for _ in 0..2 {
            drop(fake.accept(refusal).await);
        }
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        assert_eq!(client.read_publish().await.unwrap().payload, "0");
        assert!(gateway.north.stats().snapshot().connect_errors >= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_acknowledged_after_a_shard_took_it_and_a_repetition_is_not_taken_again() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let inbox = Inbox::with_permits(0);
        let gateway = Gateway::start(config(fake.address, protocol), Arc::clone(&inbox)).await;
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        client.deliver("lwm2m/a/dn/x", "one", 7, false).await;
        assert_eq!(client.read_ack(SHORT).await, None, "not before a shard took it");
        inbox.permit(1);
        assert_eq!(client.read_ack(PATIENCE).await, Some(7));
        drop(client);

        // The acknowledgement may have been lost: the broker repeats.
        let present = Greeting { session_present: true, ..Greeting::default() };
        inbox.permit(10);
        let mut client = fake.accept_subscriber(present).await;
        client.deliver("lwm2m/a/dn/x", "one", 7, true).await;
        assert_eq!(client.read_ack(PATIENCE).await, Some(7));
        // Its packet id may be used again for another message ..
        client.deliver("lwm2m/a/dn/x", "two", 7, false).await;
        assert_eq!(client.read_ack(PATIENCE).await, Some(7));
        // .. even for one whose first transmission never came.
        client.deliver("lwm2m/a/dn/x", "three", 7, true).await;
        assert_eq!(client.read_ack(PATIENCE).await, Some(7));
        assert_eq!(inbox.payloads(), ["one", "two", "three"], "{protocol:?}");
        assert_eq!(gateway.north.stats().snapshot().duplicates, 1);
        drop(client);

        // In a new session the same command is a new one.
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        client.deliver("lwm2m/a/dn/x", "three", 7, true).await;
        assert_eq!(client.read_ack(PATIENCE).await, Some(7));
        assert_eq!(inbox.payloads().len(), 4, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_repeated_while_a_shard_has_it_is_acknowledged_on_the_new_connection() {
    for protocol in BOTH {
        let fake = FakeBroker::start().await;
        let inbox = Inbox::with_permits(0);
        let gateway = Gateway::start(config(fake.address, protocol), Arc::clone(&inbox)).await;
        let mut client = fake.accept_subscriber(Greeting::default()).await;
        client.deliver("lwm2m/a/dn/x", "slow", 9, false).await;
        until("it is received", || gateway.north.stats().snapshot().received == 1).await;
        drop(client);
        let present = Greeting { session_present: true, ..Greeting::default() };
        let mut client = fake.accept_subscriber(present).await;
        client.deliver("lwm2m/a/dn/x", "slow", 9, true).await;
        assert_eq!(client.read_ack(SHORT).await, None);
        inbox.permit(10);
        assert_eq!(client.read_ack(PATIENCE).await, Some(9));
        assert_eq!(inbox.payloads(), ["slow"], "{protocol:?}");
        gateway.publish(0..1);
        assert_eq!(client.read_publish().await.unwrap().payload, "0", "the connection lives");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_outside_of_our_filters_are_acknowledged_and_dropped() {
    let fake = FakeBroker::start().await;
    let gateway = Gateway::to(fake.address, Protocol::V5).await;
    let mut client = fake.accept_subscriber(Greeting::default()).await;
    client.deliver("other/topic", "x", 3, false).await;
    assert_eq!(client.read_ack(PATIENCE).await, Some(3));
    client.deliver("lwm2m/a/dn/x", "y", 4, false).await;
    assert_eq!(client.read_ack(PATIENCE).await, Some(4));
    assert_eq!(gateway.inbox.payloads(), ["y"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_can_change_while_connected() {
    let uplinks = Inbox::open();
    let broker = broker(any_port(), uplinks).await;
    for protocol in BOTH {
        let gateway = Gateway::to(broker.address(), protocol).await;
        let mut many = filters(&["new/+/dn"]);
        let exact: Vec<String> = (0..200).map(|n| format!("lwm2m/odd/name{n}/dn/x")).collect();
        many.extend(filters(&exact.iter().map(String::as_str).collect::<Vec<_>>()));
        until("connected", || gateway.north.connected()).await;
        gateway.north.set_filters(many).await.unwrap();
        let app = V5::connect(broker.address(), "app");
        app.publish("lwm2m/a/dn/x", "old", 1, false).await;
        app.publish("lwm2m/odd/name199/dn/x", "exact", 1, false).await;
        app.publish("new/a/dn", "new", 1, false).await;
        gateway.inbox.wait_for(2).await;
        assert_eq!(gateway.inbox.payloads(), ["exact", "new"], "{protocol:?}");
        gateway.north.close(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_what_is_under_way_then_says_goodbye() {
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let broker = broker(any_port(), Arc::clone(&uplinks)).await;
        let proxy = RecordingProxy::start(broker.address()).await;
        let gateway = Gateway::to(proxy.address(), protocol).await;
        gateway.publish(0..2_000);
        gateway.pump.drained().await;
        assert_eq!(gateway.north.close(Duration::from_secs(5)).await, 0);
        let last = || {
            let mut records = proxy.records().into_iter().rev();
            records.find(|r| r.sender == Sender::Client).map(|r| r.raw.kind())
        };
        until("DISCONNECT", || last() == Some(wire::DISCONNECT)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_without_a_broker_ends_in_time() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for protocol in BOTH {
        let gateway = Gateway::to(nobody, protocol).await;
        let start = tokio::time::Instant::now();
        assert_eq!(gateway.north.close(Duration::from_secs(5)).await, 0);
        assert!(start.elapsed() < Duration::from_secs(2), "nothing to wait for");
        assert!(gateway.north.set_filters(Vec::new()).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_a_broker_whose_certificate_is_trusted() {
    for protocol in BOTH {
        let uplinks = Inbox::open();
        let broker = broker(any_port(), Arc::clone(&uplinks)).await;
        let secure = tls_proxy::tls_in_front_of(broker.address()).await;
        for host in ["localhost", "127.0.0.1"] {
            let mut config = config(secure, protocol);
            config.address.host = host.to_owned();
            config.address.security = Security::Tls;
            config.ca_file = Some(tls_proxy::certificate("ca.pem"));
            let gateway = Gateway::start(config, Inbox::open()).await;
            gateway.publish(0..5_000);
            gateway.pump.drained().await;
            let app = V5::connect(broker.address(), "app");
            app.publish("lwm2m/a/dn/x", "read", 1, false).await;
            assert_eq!(gateway.inbox.wait_for(1).await[0].payload, "read");
            assert_eq!(gateway.north.close(Duration::from_secs(5)).await, 0);
        }
        let twice = [numbers(0..5_000), numbers(0..5_000)].concat();
        assert!(uplinks.payloads() == twice, "{protocol:?}: all events, in order, per gateway");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_certificate_is_not_trusted_gets_nothing() {
    let uplinks = Inbox::open();
    let broker = broker(any_port(), Arc::clone(&uplinks)).await;
    let secure = tls_proxy::tls_in_front_of(broker.address()).await;
    for (host, ca_file) in [("localhost", "other-ca.pem"), ("127.0.0.2", "ca.pem")] {
        let mut config = config(secure, Protocol::V5);
        config.address.host = host.to_owned();
        config.address.security = Security::Tls;
        config.ca_file = Some(tls_proxy::certificate(ca_file));
        let gateway = Gateway::start(config, Inbox::open()).await;
        gateway.publish(0..1);
        until("attempts", || gateway.north.stats().snapshot().connect_errors > 2).await;
        assert!(!gateway.north.connected());
        assert_eq!(gateway.north.close(SHORT).await, 1);
    }
    assert_eq!(broker.clients(), 0);
}
