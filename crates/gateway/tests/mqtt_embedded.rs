//! The embedded broker against real MQTT clients on real sockets.
#![cfg(feature = "embedded-broker")]

#[path = "common/mqtt.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod mqtt;
#[path = "common/wire.rs"]
#[allow(dead_code, reason = "each test binary uses its part")]
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::mqtt::embedded::{Embedded, EmbeddedConfig};
use gateway::mqtt::{Northbound, Publication, Qos};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use mqtt::{Inbox, Pump, V4, V5, filters, message, until};
use wire::{CONNECT, Raw, SUBSCRIBE};

fn config() -> EmbeddedConfig {
    EmbeddedConfig { bind: ([127, 0, 0, 1], 0).into(), ..EmbeddedConfig::default() }
}

async fn start(config: EmbeddedConfig) -> (Arc<Embedded>, Arc<Inbox>, Pump) {
    let inbox = Inbox::open();
    let broker = Arc::new(Embedded::start(&config, Arc::clone(&inbox) as _).await.unwrap());
    broker.set_filters(filters(&["lwm2m/+/dn/#"])).await.unwrap();
    let pump = Pump::start(Arc::clone(&broker) as _);
    (broker, inbox, pump)
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocol_versions_get_thousands_of_events_in_order_over_a_wildcard() {
    let (broker, _inbox, pump) = start(config()).await;
    let new = V5::connect(broker.address(), "new");
    let old = V4::connect(broker.address(), "old");
    new.subscribe("lwm2m/+/up/#", 1).await;
    old.subscribe("lwm2m/a/+/resp", 0).await;
    for n in 0..5_000 {
        pump.push(message("lwm2m/a/up/resp", &n.to_string(), Qos::AtLeastOnce));
    }
    new.wait_for(5_000).await;
    old.wait_for(5_000).await;
    assert_eq!(new.payloads(), numbers(0..5_000));
    assert_eq!(old.payloads(), numbers(0..5_000));
    pump.drained().await;
    until("all subscribers acknowledged", || broker.waiting().0 == 0).await;
    assert_eq!(broker.stats().snapshot().published, 5_000);
    assert_eq!(broker.stats().snapshot().subscriber_drops, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_quality_of_service_arrives_as_the_lower_of_both_sides() {
    let (broker, _inbox, pump) = start(config()).await;
    let client = V5::connect(broker.address(), "c");
    client.subscribe("q/#", 2).await;
    let old = V4::connect(broker.address(), "o");
    old.subscribe("q/#", 1).await;
    for (topic, qos) in
        [("q/0", Qos::AtMostOnce), ("q/1", Qos::AtLeastOnce), ("q/2", Qos::ExactlyOnce)]
    {
        pump.push(message(topic, "x", qos));
    }
    let qos = |received: Vec<mqtt::Received>| -> Vec<(String, u8)> {
        received.into_iter().map(|m| (m.topic, m.qos)).collect()
    };
    let pair = |topic: &str, qos| (topic.to_owned(), qos);
    assert_eq!(qos(client.wait_for(3).await), [pair("q/0", 0), pair("q/1", 1), pair("q/2", 2)]);
    assert_eq!(qos(old.wait_for(3).await), [pair("q/0", 0), pair("q/1", 1), pair("q/2", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_data_reaches_mqtt_5_clients() {
    let (broker, _inbox, pump) = start(config()).await;
    let client = V5::connect(broker.address(), "c");
    client.subscribe("reply/#", 0).await;
    let correlation = Some(b"\x00\xff42".to_vec());
    pump.push(Publication {
        correlation: correlation.clone(),
        ..message("reply/1", "x", Qos::AtMostOnce)
    });
    assert_eq!(client.wait_for(1).await[0].correlation, correlation);
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_wait_for_subscribers_and_can_be_cleared() {
    let (broker, _inbox, pump) = start(config()).await;
    let publisher = V4::connect(broker.address(), "p");
    publisher.publish("state/a", "1", 1, true).await;
    publisher.publish("state/b", "2", 1, true).await;
    publisher.publish("state/b", "", 1, true).await;
    pump.push(Publication { retain: true, ..message("state/c", "3", Qos::AtMostOnce) });
    pump.drained().await;

    let late = V5::connect(broker.address(), "late");
    late.subscribe("state/+", 1).await;
    let mut received = late.wait_for(2).await;
    received.sort_by(|a, b| a.topic.cmp(&b.topic));
    let seen: Vec<_> =
        received.iter().map(|m| (m.topic.as_str(), m.payload.as_str(), m.retain)).collect();
    assert_eq!(seen, [("state/a", "1", true), ("state/c", "3", true)]);

    publisher.publish("state/a", "live", 0, true).await;
    let live = late.wait_for(3).await.pop().unwrap();
    assert_eq!((live.payload.as_str(), live.retain), ("live", false));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_configured_number_of_messages_is_retained() {
    let (broker, _inbox, _pump) = start(EmbeddedConfig { retained_max: 2, ..config() }).await;
    let publisher = V5::connect(broker.address(), "p");
    for topic in ["r/1", "r/2", "r/3"] {
        publisher.publish(topic, "x", 1, true).await;
    }
    publisher.publish("r/1", "again", 1, true).await;
    let late = V4::connect(broker.address(), "late");
    late.subscribe("r/#", 0).await;
    late.wait_for(2).await;
    publisher.publish("r/end", "end", 0, false).await;
    let mut payloads: Vec<_> = late.wait_for(3).await.into_iter().map(|m| m.payload).collect();
    payloads.sort();
    assert_eq!(payloads, ["again", "end", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_divides_the_events_among_its_members() {
    let (broker, _inbox, pump) = start(config()).await;
    let members = [V5::connect(broker.address(), "m1"), V5::connect(broker.address(), "m2")];
    let old = V4::connect(broker.address(), "m3");
    for member in &members {
        member.subscribe("$share/workers/lwm2m/+/up/#", 1).await;
    }
    old.subscribe("$share/workers/lwm2m/+/up/#", 1).await;
    let everything = V5::connect(broker.address(), "all");
    everything.subscribe("lwm2m/+/up/#", 0).await;
    for n in 0..300 {
        pump.push(message("lwm2m/a/up/notify", &n.to_string(), Qos::AtLeastOnce));
    }
    everything.wait_for(300).await;
    let shares = || [members[0].payloads(), members[1].payloads(), old.payloads()];
    until("every message at one member", || shares().iter().map(Vec::len).sum::<usize>() == 300)
        .await;
    let mut union: Vec<String> = shares().concat();
    union.sort_by_key(|n| n.parse::<usize>().unwrap());
    assert_eq!(union, numbers(0..300), "each message reached exactly one member");
    assert!(shares().iter().all(|share| share.len() == 100), "in turns");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_taken_with_their_properties_and_still_reach_other_subscribers() {
    let (broker, inbox, _pump) = start(config()).await;
    let observer = V4::connect(broker.address(), "observer");
    observer.subscribe("lwm2m/#", 0).await;
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

    let [command] = &inbox.taken()[..] else { panic!("one command: {:?}", inbox.taken()) };
    assert_eq!(command.topic, "lwm2m/a/dn/x");
    assert_eq!(command.payload, "read");
    assert_eq!(command.response_topic.as_deref(), Some("answers/7"));
    assert_eq!(command.correlation.as_deref(), Some(&b"id-7"[..]));
    assert_eq!(command.expiry, Some(Duration::from_secs(60)));
    assert_eq!(command.qos, Qos::AtLeastOnce);
    assert_eq!(observer.wait_for(1).await[0].payload, "read");

    app.publish("lwm2m/a/up/resp", "not a command", 1, false).await;
    assert_eq!(inbox.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_acknowledged_after_it_was_taken() {
    let inbox = Inbox::with_permits(0);
    let broker = Embedded::start(&config(), Arc::clone(&inbox) as _).await.unwrap();
    broker.set_filters(filters(&["lwm2m/+/dn/#"])).await.unwrap();
    for qos in [1, 2] {
        let app = V4::connect(broker.address(), "app");
        let publish = app.publish("lwm2m/a/dn", "c", qos, false);
        tokio::pin!(publish);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut publish).await;
        assert!(early.is_err(), "QoS {qos}: no acknowledgement before a shard took it");
        inbox.permit(1);
        publish.await;
    }
    assert_eq!(inbox.taken().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_will_of_a_client_that_vanishes_is_published() {
    let (broker, _inbox, _pump) = start(config()).await;
    let witness = V5::connect(broker.address(), "witness");
    witness.subscribe("will/#", 1).await;
    let mut body = b"\x00\x04MQTT\x04\x06\x00\x3c\x00\x05dying\x00\x06will/x\x00\x04gone".to_vec();
    body.shrink_to_fit();
    let mut dying = TcpStream::connect(broker.address()).await.unwrap();
    dying.write_all(&Raw::new(CONNECT, body).encode()).await.unwrap();
    let mut ack = [0; 4];
    dying.read_exact(&mut ack).await.unwrap();
    assert_eq!(ack, [0x20, 2, 0, 0]);
    drop(dying);
    let will = &witness.wait_for(1).await[0];
    assert_eq!((will.topic.as_str(), will.payload.as_str()), ("will/x", "gone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_falls_silent_is_disconnected_by_its_keep_alive() {
    let (broker, _inbox, _pump) = start(config()).await;
    let mut silent = TcpStream::connect(broker.address()).await.unwrap();
    let body = b"\x00\x04MQTT\x04\x02\x00\x01\x00\x06silent".to_vec();
    silent.write_all(&Raw::new(CONNECT, body).encode()).await.unwrap();
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut bytes)).await;
    ended.expect("the connection is closed").unwrap();
    assert_eq!(bytes, [0x20, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_can_start_again_on_the_same_port_at_once() {
    let (broker, _inbox, pump) = start(config()).await;
    let address = broker.address();
    let client = V5::connect(address, "c");
    client.subscribe("t/#", 0).await;
    pump.push(message("t/1", "before", Qos::AtMostOnce));
    client.wait_for(1).await;
    assert_eq!(broker.close(Duration::from_secs(5)).await, 0);
    drop(broker);

    let (broker, _inbox, pump) = start(EmbeddedConfig { bind: address, ..config() }).await;
    assert_eq!(broker.address(), address);
    let client = V4::connect(address, "c");
    client.subscribe("t/#", 0).await;
    pump.push(message("t/2", "after", Qos::AtMostOnce));
    assert_eq!(client.wait_for(1).await[0].payload, "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_setting() {
    let (broker, inbox, _pump) = start(config()).await;
    let taken = EmbeddedConfig { bind: broker.address(), ..config() };
    let error = Embedded::start(&taken, inbox).await.unwrap_err().to_string();
    assert!(error.contains(&broker.address().to_string()), "{error}");
    assert!(error.contains("mqtt.embedded.bind"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_hands_everything_over_to_the_sockets_first() {
    let (broker, _inbox, pump) = start(config()).await;
    let client = V5::connect(broker.address(), "c");
    client.subscribe("t", 1).await;
    for n in 0..2_000 {
        pump.push(message("t", &n.to_string(), Qos::AtLeastOnce));
    }
    pump.drained().await;
    assert_eq!(broker.close(Duration::from_secs(10)).await, 0);
    client.wait_for(2_000).await;
    assert!(!broker.connected());
}

/// A client that subscribes and never reads.
async fn deaf(address: SocketAddr, topic: &str, qos: u8) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let connect = b"\x00\x04MQTT\x04\x02\x00\x00\x00\x04deaf".to_vec();
    stream.write_all(&Raw::new(CONNECT, connect).encode()).await.unwrap();
    let mut subscribe = vec![0, 1];
    subscribe.extend_from_slice(&u16::try_from(topic.len()).unwrap().to_be_bytes());
    subscribe.extend_from_slice(topic.as_bytes());
    subscribe.push(qos);
    let raw = Raw { first: SUBSCRIBE << 4 | 2, body: subscribe.into() };
    stream.write_all(&raw.encode()).await.unwrap();
    let mut acks = [0; 4 + 5];
    stream.read_exact(&mut acks).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_loses_messages_and_harms_nobody() {
    const MESSAGES: usize = 20_000;
    const QUEUE: usize = 500;
    let (broker, _inbox, pump) = start(EmbeddedConfig { queue_max: QUEUE, ..config() }).await;
    let payload = "x".repeat(1_000);
    for qos in [0, 1] {
        let deaf = deaf(broker.address(), "t", qos).await;
        let healthy = V5::connect(broker.address(), &format!("healthy-{qos}"));
        healthy.subscribe("t", 1).await;
        let dropped = broker.stats().snapshot().subscriber_drops;
        let mut waiting = 0;
        for _ in 0..MESSAGES {
            pump.push(message("t", &payload, Qos::AtLeastOnce));
            waiting = waiting.max(broker.waiting().0);
        }
        pump.drained().await;
        healthy.wait_for(MESSAGES).await;
        assert_eq!(healthy.received().len(), MESSAGES, "the other subscriber has everything");
        let dropped = broker.stats().snapshot().subscriber_drops - dropped;
        assert!(dropped > 10_000, "QoS {qos}: {dropped} were counted as dropped");
        assert!(waiting < 4 * QUEUE, "QoS {qos}: at most {waiting} messages waited");
        drop(deaf);
        until("the deaf client is gone", || broker.waiting().0 == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_waits_for_a_subscriber_that_reads() {
    const MESSAGES: usize = 30_000;
    let (broker, _inbox, pump) = start(EmbeddedConfig { queue_max: 1_000, ..config() }).await;
    let client = V4::connect(broker.address(), "c");
    client.subscribe("t", 1).await;
    for n in 0..MESSAGES {
        pump.push(message("t", &n.to_string(), Qos::AtLeastOnce));
    }
    client.wait_for(MESSAGES).await;
    assert_eq!(client.payloads(), numbers(0..MESSAGES));
    assert_eq!(broker.stats().snapshot().subscriber_drops, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_above_a_limit_are_dropped_and_disconnect_nobody() {
    let (broker, _inbox, pump) = start(EmbeddedConfig { packet_max: 10_000, ..config() }).await;
    let broker_address = rumqttc_v5::Broker::tcp("127.0.0.1", broker.address().port());
    let mut options = rumqttc_v5::MqttOptions::new("small", broker_address);
    options.set_max_packet_size(Some(1_000));
    let (client, events) = rumqttc_v5::AsyncClient::builder(options).build();
    let small = V5::run(client, events);
    small.subscribe("t", 0).await;
    let large = V5::connect(broker.address(), "large");
    large.subscribe("t", 0).await;
    for size in [20_000, 5_000, 10] {
        pump.push(message("t", &"x".repeat(size), Qos::AtMostOnce));
    }
    let sizes = |received: Vec<mqtt::Received>| -> Vec<usize> {
        received.iter().map(|m| m.payload.len()).collect()
    };
    assert_eq!(sizes(large.wait_for(2).await), [5_000, 10]);
    assert_eq!(sizes(small.wait_for(1).await), [10]);
    pump.drained().await;
    let stats = broker.stats().snapshot();
    assert_eq!((stats.too_large, stats.subscriber_drops, stats.disconnects), (1, 1, 0));
    assert_eq!(pump.monitor.levels()[0].failed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_kept_gets_what_it_missed() {
    let (broker, _inbox, pump) = start(config()).await;
    let connect = || {
        let address = rumqttc_v4::Broker::tcp("127.0.0.1", broker.address().port());
        let mut options = rumqttc_v4::MqttOptions::new("keeper", address);
        options.set_clean_session(false);
        let (client, events) = rumqttc_v4::AsyncClient::builder(options).build();
        V4::run(client, events)
    };
    let client = connect();
    client.subscribe("t", 1).await;
    drop(client);
    until("the client is gone", || broker.clients() == 0).await;
    for n in 0..50 {
        pump.push(message("t", &n.to_string(), Qos::AtLeastOnce));
    }
    pump.drained().await;
    assert_eq!(broker.waiting().0, 50);
    let client = connect();
    client.wait_for(50).await;
    assert_eq!(client.payloads(), numbers(0..50));
}
