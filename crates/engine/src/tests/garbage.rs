//! Datagrams that are none: a registered device is not harmed, nothing panics, nothing grows.

use coap::{Code, Token, Type};
use proptest::prelude::*;

use super::rig::{LINKS, Msg, Rig, peer, peer_at, read};
use crate::{Routed, Settings};

fn still_serves(rig: &mut Rig, location: &str) {
    rig.sent.clear();
    let update = Msg::post(rig.id(), location);
    assert_eq!(rig.ask(peer(1), &update).code, Code::CHANGED);
    rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT));
    assert_eq!(rig.server.registrations(), 1);
}

/// Every truncation and every bit flip of the messages a device sends.
#[test]
fn damaged_messages_do_no_harm() {
    let (mut rig, location) = Rig::registered(Settings::default());
    let token = rig.observed(0);
    let notification = Msg::with_token(token, Type::Confirmable, Code::CONTENT, 900).observe(3);
    let messages = [
        Msg::post(7, "/rd?ep=x&lt=60&lwm2m=1.1&b=U").payload(LINKS).format(40),
        Msg::post(8, &format!("{location}?lt=99")),
        notification.format(0).payload("1"),
        Msg::post(9, "/dp").format(110).payload(r#"[{"n":"/3/0/9","v":1}]"#),
    ];
    for message in &messages {
        let whole = message.bytes();
        for len in 0..whole.len() {
            drop_routed(rig.deliver(peer_at(9, 9), &whole[..len]));
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            drop_routed(rig.deliver(peer_at(9, 9), &flipped));
        }
    }
    // Some of them were a Register under another name, or moved the device: bring it back.
    rig.secs(200);
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1");
    assert!(rig.server.lookup(rig.now, "dev").is_some());
    for row in rig.server.list(rig.now, None, 256).rows {
        if row.device.endpoint.as_str() != "dev" {
            rig.server.kick(rig.now, &row.device.endpoint);
        }
    }
    rig.settle();
    still_serves(&mut rig, &location);
}

fn drop_routed(_: Routed) {}

proptest! {
    #[test]
    fn random_datagrams_do_no_harm(
        datagrams in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..64), 1..50),
        from_device in any::<bool>(),
    ) {
        let (mut rig, location) = Rig::registered(Settings::default());
        let from = if from_device { peer(1) } else { peer_at(9, 9) };
        for datagram in &datagrams {
            drop_routed(rig.deliver(from, datagram));
        }
        still_serves(&mut rig, &location);
    }

    /// Nobody guesses a token: an answer with another one is no answer.
    #[test]
    fn answers_with_foreign_tokens_are_ignored(
        bytes in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let (mut rig, location) = Rig::registered(Settings::default());
        rig.submit(read("/3/0/1")).unwrap();
        let request = rig.take_request();
        prop_assume!(request.token.as_bytes() != bytes);
        let token = Token::new(&bytes).unwrap();
        let answer = Msg { token, ..request.answer(Code::CONTENT) };
        drop_routed(rig.deliver(peer(1), &answer.bytes()));
        prop_assert!(rig.finished().is_empty());
        rig.send(peer(1), &request.answer(Code::CONTENT));
        prop_assert_eq!(rig.finished().len(), 1);
        rig.events.clear();
        still_serves(&mut rig, &location);
    }
}
