//! Bad input through the public entry point: every truncation and every flipped bit of the vectors.

use super::script::{Script, peer};
use super::vectors::{VECTORS, bytes};
use crate::{Code, Event, Message, NoteKind, ParseError, Request, RequestOptions, Response, Type};

/// What may be said to a bad datagram: nothing, or one Reset with its message id.
#[test]
fn format_errors_are_rejected_if_confirmable_and_ignored_otherwise() {
    for (hex, answer) in [
        ("49 01 7d34 000102030405060708", Some("70 00 7d34")),
        ("59 01 7d34 000102030405060708", None),
        ("69 45 7d34 000102030405060708", None),
        ("41 00 7d34 01", Some("70 00 7d34")),
        ("50 00 7d34 ff 00", None),
        ("40 01 7d34 ff", Some("70 00 7d34")),
        ("40 01 7d34 f0", Some("70 00 7d34")),
        ("70 01 7d34 f0", None),
        ("00 01 7d34", None),
        ("80 01 7d34", None),
        ("c0 01 7d34", None),
        ("40 01 7d", None),
        ("", None),
        ("40 21 7d34", Some("70 00 7d34")),
        ("40 c1 7d34", Some("70 00 7d34")),
        ("50 21 7d34", None),
        ("60 01 7d34", None),
        ("70 45 7d34", None),
    ] {
        let mut script = Script::new();
        let event = script.hears(&bytes(hex));
        assert!(matches!(event, Some(Event::Noted(_))), "{hex}: {event:?}");
        let sent: Vec<_> = answer.into_iter().map(bytes).collect();
        assert_eq!(script.sent_raw(), sent, "{hex}");
        assert_eq!(script.endpoint.usage(), Script::new().endpoint.usage(), "{hex}");
    }
}

#[test]
fn a_note_carries_who_what_and_the_beginning() {
    let mut script = Script::new();
    let datagram = [&bytes("40 01 7d34 f0")[..], &[7; 100]].concat();
    match script.hears(&datagram) {
        Some(Event::Noted(note)) => {
            assert_eq!(note.peer, peer(1));
            assert_eq!(note.kind, NoteKind::FormatError(ParseError::OptionReserved));
            assert_eq!(note.evidence.as_bytes(), &datagram[..23]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(script.endpoint.stats().format_errors, 1);
}

/// An endpoint in the middle of everything: a request, an observation, bodies in both directions.
fn busy() -> Script {
    let mut script = Script::new();
    let (now, to) = (script.now, script.peer);
    let mut request = Request { payload: vec![1; 3_000], ..Request::new(Code::PUT) };
    request.options.uri_path("5");
    let options = RequestOptions { urgent: true, ..RequestOptions::default() };
    script.endpoint.observe(now, to, Request::new(Code::GET), options.clone());
    script.sent();
    script.answers("ACK 2.05 obs:1");
    script.endpoint.observe(now, to, Request::new(Code::GET), options.clone());
    script.endpoint.request(now, to, request, options.clone());
    script.says("CON POST /rd 1:0/1/64 +64");
    script.endpoint.request(now, to, Request::new(Code::GET), options);
    script
}

/// Whatever comes, nothing breaks, and nothing is said that a peer could not have asked for.
fn survives(script: &mut Script, datagram: &[u8]) {
    if let Some(Event::Request { reply_to, .. }) = script.hears(datagram) {
        script.endpoint.respond(script.now, &reply_to, Response::new(Code::CONTENT));
    }
    for answer in script.sent_raw() {
        let message = Message::parse(&answer).unwrap();
        if message.kind == Type::Reset && datagram.len() >= 4 {
            assert_eq!(message.id.value().to_be_bytes(), datagram[2..4]);
        }
    }
    script.events();
}

#[test]
fn every_truncation_and_every_flipped_bit_is_survived() {
    let mut script = busy();
    // The endpoint's own messages and their answers are the best seeds: their tokens are known.
    let mut seeds: Vec<Vec<u8>> = VECTORS.iter().map(|(_, hex)| bytes(hex)).collect();
    for own in script.sent_raw() {
        seeds.push(own.clone());
        for (kind, code) in [(0x60, 0x45), (0x40, 0x45), (0x50, 0x84), (0x60, 0x5f)] {
            let mut answer = own.clone();
            answer[0] = kind | answer[0] & 0x0f;
            answer[1] = code;
            answer.truncate(200);
            seeds.push(answer);
        }
    }
    for seed in &seeds {
        for len in 0..seed.len().min(200) {
            survives(&mut script, &seed[..len]);
        }
        for bit in 0..seed.len().min(200) * 8 {
            let mut flipped = seed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            survives(&mut script, &flipped);
        }
        script.wait_secs(1);
        script.sent();
        script.events();
    }
    script.wait_secs(1_000);
    script.sent();
    let usage = script.endpoint.usage();
    assert_eq!((usage.exchanges, usage.peers, usage.remembered_requests), (0, 0, 0));
    assert_eq!((usage.transfer_bytes, usage.served_bytes), (0, 0));
    assert!(usage.tokens <= 2, "observations at most: {usage:?}");
}

#[test]
fn a_registered_peer_is_served_through_a_storm_of_nonsense() {
    let mut script = Script::new();
    for round in 0..2_000u32 {
        script.peer = peer(2);
        let noise: Vec<u8> =
            (0..round % 40).map(|n| (round.wrapping_mul(n + 7) >> 3) as u8).collect();
        survives(&mut script, &noise);
        script.peer = peer(1);
        let Some(Event::Request { reply_to, .. }) = script.says("CON POST /rd") else {
            panic!("not served");
        };
        script.endpoint.respond(script.now, &reply_to, Response::new(Code::CHANGED));
        script.expect(&["ACK 2.04"]);
    }
}

#[test]
fn option_bombs_are_read_in_one_pass() {
    let mut bomb = bytes("40 01 7d34");
    bomb.extend(std::iter::repeat_n(0xb0, 1));
    bomb.extend(std::iter::repeat_n(0x00, 60_000));
    let mut script = Script::new();
    assert!(matches!(script.hears(&bomb), Some(Event::Request { .. })));
    let unknown = [&bytes("40 01 7d35 e0 0800")[..], &[0x10; 60_000]].concat();
    assert!(matches!(script.hears(&unknown), Some(Event::Noted(_))));
}
