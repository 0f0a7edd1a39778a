//! Send: OMA Core 6.4.6, fact 67, cases H1 to H3 and ETS 306.

use coap::{Code, Token};

use super::rig::{Msg, Rig, peer, peer_at};
use crate::{Completion, Datagram, Event, Identity, NoteKind, Routed, Settings};

const SENML: &str = r#"[{"bn":"/3303/0/","n":"5700","v":21.5}]"#;

fn rig() -> Rig {
    Rig::registered(Settings::default()).0
}

fn dp(id: u16, format: u16, payload: &[u8]) -> Msg {
    Msg::post(id, "/dp").format(format).payload(payload)
}

/// Case H1: answered with 2.04 when responsibility is taken.
#[test]
fn a_send_is_answered_by_the_driver() {
    let mut rig = rig();
    rig.completion = None;
    let message = dp(1, 110, SENML.as_bytes());
    rig.send(peer(1), &message);
    let [Event::Sent { device, format, body, reply_to }] = &rig.events[..] else {
        panic!("{:?}", rig.events)
    };
    assert_eq!(
        (device.endpoint.as_str(), format.0, body.as_slice()),
        ("dev", 110, SENML.as_bytes())
    );
    assert!(rig.sent.is_empty());
    rig.server.complete(rig.now, &reply_to.clone(), Completion::Accept);
    rig.settle();
    assert_eq!(rig.take_answer(peer(1), &message).code, Code::CHANGED);
}

/// Wakaama sends without a token.
#[test]
fn a_send_without_a_token_is_served() {
    let mut rig = rig();
    let mut message = dp(1, 110, SENML.as_bytes());
    message.token = Token::EMPTY;
    assert_eq!(rig.ask(peer(1), &message).code, Code::CHANGED);
}

/// Without room the device hears nothing, and its retransmission is a new Send.
#[test]
fn a_refused_send_comes_again() {
    let mut rig = rig();
    rig.completion = Some(Completion::Refuse);
    let message = dp(1, 110, SENML.as_bytes());
    rig.send(peer(1), &message);
    rig.advance(coap::Duration::from_millis(1900));
    assert!(rig.sent.is_empty());
    rig.completion = Some(Completion::Accept);
    assert_eq!(rig.ask(peer(1), &message).code, Code::CHANGED);
    assert_eq!(rig.take_names(), ["sent", "sent"]);
}

/// Fact 67: (case H2) other formats are 4.15, what does not decode is 4.00.
#[test]
fn only_senml_and_lwm2m_cbor_that_decode_are_taken() {
    let cases: [(u16, &[u8], Code); 7] = [
        (110, SENML.as_bytes(), Code::CHANGED),
        (112, b"\x81\xa2\x00\x68/3/0/9/0\x02\x01", Code::CHANGED),
        (110, b"[{\"n\":\"/3", Code::BAD_REQUEST),
        (112, b"\xff\xff", Code::BAD_REQUEST),
        (11544, b"\xff", Code::BAD_REQUEST),
        (11542, b"\xc1\x00\x01", Code::UNSUPPORTED_CONTENT_FORMAT),
        (0, b"1", Code::UNSUPPORTED_CONTENT_FORMAT),
    ];
    for (format, payload, code) in cases {
        let mut rig = rig();
        assert_eq!(rig.ask(peer(1), &dp(1, format, payload)).code, code, "{format}");
        assert_eq!(rig.take_names().len(), usize::from(code == Code::CHANGED), "{format}");
    }
    let mut rig = rig();
    let bare = Msg::post(1, "/dp").payload(SENML);
    assert_eq!(rig.ask(peer(1), &bare).code, Code::UNSUPPORTED_CONTENT_FORMAT);
}

/// Case H3: a stranger gets 4.04, after the other shards were asked once.
#[test]
fn a_stranger_is_asked_about_once() {
    let mut rig = rig();
    let message = dp(1, 110, SENML.as_bytes());
    assert_eq!(rig.deliver(peer_at(1, 9), &message.bytes()), Routed::AskOthers);
    assert!(rig.sent.is_empty());
    let datagram =
        Datagram { peer: peer_at(1, 9), identity: &Identity::None, bytes: &message.bytes() };
    rig.server.handle_forwarded(rig.now, 0, datagram);
    rig.settle();
    assert_eq!(rig.take_answer(peer_at(1, 9), &message).code, Code::NOT_FOUND);
    assert_eq!(rig.notes(), [NoteKind::SendFromStranger]);
}

#[test]
fn the_address_leads_to_who_was_heard_from_there_last() {
    let mut rig = rig();
    rig.register(peer(1), "ep=other&lt=60&lwm2m=1.1");
    rig.events.clear();
    rig.ask(peer(1), &dp(1, 110, SENML.as_bytes()));
    let Event::Sent { device, .. } = &rig.events[0] else { panic!("{:?}", rig.events) };
    assert_eq!(device.endpoint.as_str(), "other");
    assert!(rig.server.owns_address(&peer(1)));
    assert!(!rig.server.owns_address(&peer(9)));
}

#[test]
fn a_send_of_another_identity_is_a_strangers() {
    let mut rig = Rig::new(Settings::default());
    rig.identity = Identity::Psk("owner".into());
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.identity = Identity::None;
    assert_eq!(rig.ask(peer(1), &dp(1, 110, SENML.as_bytes())).code, Code::NOT_FOUND);
}
