//! A million datagrams from strangers leave a bounded endpoint, and an idle one afterwards.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::super::*;
use super::script::{Script, write};
use crate::request::ReplyTo;
use crate::time::Duration;
use crate::{Completion, Request, RequestOptions, Response, Token};

fn stranger(chance: &mut ChaCha8Rng) -> Peer {
    let [a, b, c, d] = chance.next_u32().to_be_bytes();
    Peer::new(0, [127, 0, 0, 1].into(), ([a, b, c, d], chance.next_u32() as u16).into())
}

fn bounded() -> EndpointConfig {
    EndpointConfig {
        dedup_max: 2_000,
        dedup_bytes_max: 100_000,
        transfers_bytes_max: 100_000,
        served_bytes_max: 100_000,
        ..EndpointConfig::default()
    }
}

#[track_caller]
fn assert_bounded(endpoint: &Endpoint) {
    let usage = endpoint.usage();
    assert!(usage.peers <= 2_100 && usage.remembered_requests <= 2_000, "{usage:?}");
    assert!(usage.transfer_bytes <= 100_000 && usage.served_bytes <= 100_000, "{usage:?}");
    assert!(usage.exchanges <= 2_100 && usage.tokens == 0, "{usage:?}");
}

#[track_caller]
fn assert_empty(script: &mut Script) {
    script.wait_secs(1_000);
    script.sent();
    script.events();
    let empty = Script::new().endpoint.usage();
    assert_eq!(script.endpoint.usage(), empty);
}

#[test]
fn a_million_spoofed_datagrams() {
    let mut script = Script::with(bounded());
    let mut chance = ChaCha8Rng::from_seed([3; 32]);
    let shapes = [
        "CON GET /t",
        "NON POST /dp +20",
        "CON POST /rd ?ep=a 1:0/1/16 +16",
        "CON GET /t 65001:x",
        "CON 2.05 obs:3",
        "NON 2.05",
        "ACK 2.05",
        "RST 0.00",
        "CON POST /rd 1:3/0/16 +3",
        "CON GET /t 2:0/0/16",
        "CON POST /t 2:4/0/16",
    ]
    .map(|text| write(text, MessageId::new(0), Token::new(&[9; 8]).unwrap()));
    let mut last: Option<ReplyTo> = None;
    for round in 0..1_000_000u32 {
        let mut datagram = shapes[round as usize % shapes.len()].clone();
        datagram[2..4].copy_from_slice(&(chance.next_u32() as u16).to_be_bytes());
        if round % 5 == 0 {
            let place = chance.next_u32() as usize % datagram.len();
            datagram[place] = chance.next_u32() as u8;
        }
        script.peer = stranger(&mut chance);
        if let Some(Event::Request { reply_to, .. }) = script.hears(&datagram) {
            match round % 3 {
                0 => {
                    let payload = vec![0; 50 + round as usize % 2_000];
                    let response = Response { payload, ..Response::new(Code::CONTENT) };
                    script.endpoint.respond(script.now, &reply_to, response);
                }
                1 => script.endpoint.complete(script.now, &reply_to, Completion::Refuse),
                _ => last = Some(reply_to),
            }
        }
        if round % 50 == 0 {
            script.wait(Duration::from_millis(20));
            script.events();
            let mut out = Vec::new();
            while script.endpoint.poll_transmit(&mut out).is_some() {
                out.clear();
            }
            if let Some(reply_to) = last.take() {
                let response = Response::new(Code::CONTENT);
                script.endpoint.respond(script.now, &reply_to, response);
            }
        }
        if round % 10_000 == 0 {
            assert_bounded(&script.endpoint);
        }
    }
    assert_bounded(&script.endpoint);
    assert!(script.endpoint.stats().dedup_evictions > 10_000);
    assert_empty(&mut script);
}

#[test]
fn one_peer_cannot_take_the_room_of_others() {
    let mut script = Script::with(bounded());
    let victim = script.peer;
    let Some(Event::Request { reply_to, .. }) = script.says_as("CON POST /rd", 1) else {
        panic!("not handed up");
    };
    script.endpoint.respond(script.now, &reply_to, Response::new(Code::CREATED));
    let answer = script.sent_raw();
    script.peer = super::script::peer(2);
    for id in 0..60_000 {
        let event = script.says_as("NON POST /rd", id);
        assert!(matches!(event, Some(Event::Request { .. })));
    }
    assert!(script.endpoint.usage().remembered_requests <= 65);
    script.peer = victim;
    assert_eq!(script.says_as("CON POST /rd", 1), None);
    assert_eq!(script.sent_raw(), answer);
}

#[test]
fn a_hundred_thousand_observations_cost_little_beside_their_slots() {
    let mut script = Script::new();
    let observations: Vec<_> = (0..100_000u32)
        .map(|number| {
            let [_, b, c, d] = number.to_be_bytes();
            script.peer = Peer::new(0, [127, 0, 0, 1].into(), ([127, b, c, d], 5683).into());
            let mut request = Request::new(Code::GET);
            request.options.uri_path("3303");
            let options = RequestOptions::default();
            let ids = script.endpoint.observe(script.now, script.peer, request, options);
            script.sent_raw();
            assert!(matches!(script.answers("ACK 2.05 obs:1"), Some(Event::Response { .. })));
            ids.1
        })
        .collect();
    assert_eq!(script.endpoint.usage().tokens, 100_000);
    assert!(size_of::<Slot>() <= 40, "{}", size_of::<Slot>());
    script.wait_secs(1_000);
    let usage = script.endpoint.usage();
    assert_eq!((usage.peers, usage.exchanges, usage.timers), (0, 0, 0));
    for (slot, id) in (0..).zip(&observations) {
        assert_eq!(id.slot(), slot, "slots are dense");
        script.endpoint.forget_observation(*id);
    }
    assert_empty(&mut script);
}

/// A fast peer's answered requests leave one timer each for a moment, not one per deadline.
#[test]
fn answered_requests_leave_no_pile_of_timers() {
    let mut script = Script::new();
    for round in 0..20_000u32 {
        let (now, to) = (script.now, script.peer);
        script.endpoint.request(now, to, Request::new(Code::GET), RequestOptions::default());
        script.sent_raw();
        script.answers("ACK 2.05");
        script.wait(Duration::from_millis(10));
        assert!(script.endpoint.usage().timers <= 400, "round {round}");
    }
}
