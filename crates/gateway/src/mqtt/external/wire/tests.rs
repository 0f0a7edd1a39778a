//! Packets of a broker as bytes, whole, torn and broken.

use super::*;
use crate::mqtt::external::{BrokerAddress, Security};

fn wire(protocol: Protocol) -> Wire {
    let address = BrokerAddress { host: "h".into(), port: 1, security: Security::Plain };
    Wire::new(&ExternalConfig { protocol, ..ExternalConfig::new(address, "c") })
}

fn bytes(hex: &str) -> BytesMut {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<u8>>().as_slice().into()
}

fn id(packet: u16) -> PacketId {
    PacketId::new(packet).unwrap()
}

/// Packets of an MQTT 5 broker: MQTT 5.0 chapter 3.
const V5: [&str; 12] = [
    "20 03 00 00 00",
    "20 0f 01 00 0c 21 0003 27 00000064 25 00 24 01",
    "20 03 00 87 00",
    "30 06 0001 74 00 6869",
    "3a 19 0001 74 0007 11 08 0004 61627364 09 0002 0102 02 0000003c 6869",
    "40 02 0007",
    "40 03 0007 10",
    "40 04 0007 87 00",
    "50 02 0007",
    "90 05 0001 00 01 87",
    "d0 00",
    "e0 02 8b 00",
];

/// Packets of a 3.1.1 broker.
const V311: [&str; 8] = [
    "20 02 01 00",
    "20 02 00 05",
    "32 07 0001 74 0007 6869",
    "40 02 0007",
    "50 02 0007",
    "62 02 0007",
    "90 04 0001 01 80",
    "d0 00",
];

#[test]
fn packets_of_both_versions_mean_the_same() {
    for (protocol, hex, expected) in [
        (Protocol::V5, V5[5], FromBroker::Taken(id(7), Ok(()))),
        (Protocol::V5, V5[6], FromBroker::Taken(id(7), Ok(()))),
        (Protocol::V5, V5[7], FromBroker::Taken(id(7), Err("NotAuthorized".into()))),
        (Protocol::V5, V5[8], FromBroker::Received(id(7), Ok(()))),
        (Protocol::V5, V5[2], FromBroker::Refused("NotAuthorized".into())),
        (Protocol::V5, V5[11], FromBroker::Disconnected("ServerShuttingDown".into())),
        (Protocol::V5, V5[9], FromBroker::Subscribed(id(1), vec![(1, "NotAuthorized".into())])),
        (Protocol::V311, V311[3], FromBroker::Taken(id(7), Ok(()))),
        (Protocol::V311, V311[5], FromBroker::Release(id(7))),
        (Protocol::V311, V311[6], FromBroker::Subscribed(id(1), vec![(1, "Failure".into())])),
        (Protocol::V311, V311[7], FromBroker::Pong),
    ] {
        let mut input = bytes(hex);
        assert_eq!(wire(protocol).decode(&mut input).unwrap(), Some(expected), "{hex}");
        assert!(input.is_empty(), "{hex}");
    }
}

#[test]
fn limits_of_the_broker_are_read_from_its_welcome() {
    let Some(FromBroker::Welcome(welcome)) = wire(Protocol::V5).decode(&mut bytes(V5[1])).unwrap()
    else {
        panic!("a welcome")
    };
    let expected = Welcome {
        session_present: true,
        receive_max: 3,
        packet_max: 100,
        retain_available: false,
        qos_max: Qos::AtLeastOnce,
        keep_alive: None,
    };
    assert_eq!(welcome, expected);
}

#[test]
fn a_message_comes_with_its_properties() {
    let Some(FromBroker::Message(arrived)) = wire(Protocol::V5).decode(&mut bytes(V5[4])).unwrap()
    else {
        panic!("a message")
    };
    assert_eq!(arrived.ack, Some(Ack::Taken(id(7))));
    let incoming = arrived.incoming;
    assert_eq!((incoming.topic.as_str(), &incoming.payload[..]), ("t", &b"hi"[..]));
    assert_eq!((incoming.dup, incoming.qos, incoming.retained), (true, Qos::AtLeastOnce, false));
    assert_eq!(incoming.response_topic.as_deref(), Some("absd"));
    assert_eq!(incoming.correlation.as_deref(), Some(&[1, 2][..]));
    assert_eq!(incoming.expiry, Some(Duration::from_secs(60)));
}

#[test]
fn what_only_a_client_may_send_is_refused() {
    for (protocol, hex) in [
        (Protocol::V5, "c0 00"),
        (Protocol::V5, "f0 02 18 00"),
        (Protocol::V311, "c0 00"),
        (Protocol::V311, "e0 00"),
    ] {
        assert!(wire(protocol).decode(&mut bytes(hex)).is_err(), "{hex}");
    }
}

#[test]
fn torn_and_broken_packets_are_waited_for_or_refused() {
    for (protocol, vectors) in [(Protocol::V5, &V5[..]), (Protocol::V311, &V311[..])] {
        for hex in vectors {
            let whole = bytes(hex);
            for length in 0..whole.len() {
                let mut torn = BytesMut::from(&whole[..length]);
                assert_eq!(wire(protocol).decode(&mut torn).unwrap(), None, "{hex} to {length}");
            }
            for bit in 0..whole.len() * 8 {
                let mut broken = whole.clone();
                broken[bit / 8] ^= 1 << (bit % 8);
                // Any answer will do, except a panic: it would end the session's task for good.
                let mut wire = wire(protocol);
                while let Ok(Some(_)) = wire.decode(&mut broken) {}
            }
        }
    }
}

#[test]
fn a_packet_above_our_limit_is_refused_by_its_header() {
    let mut wire = wire(Protocol::V5);
    let mut header = bytes("30 ff ff ff 7f 0001");
    assert!(wire.decode(&mut header).is_err());
    assert!(header.capacity() < 1 << 20, "no room is made for it");
}
