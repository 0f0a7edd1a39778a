//! The requests that we send: repetition, answers, turns, peers that move. Those of peers are in
//! [`super::requests`].

use super::requests::{answer, ask, get};
use super::script::{Script, peer, write};
use crate::time::Duration;
use crate::{
    Code, EndpointConfig, Event, ExchangeFailure, MessageId, RequestOptions, Token,
    TransmissionParams,
};

#[test]
fn a_request_is_repeated_with_growing_pauses_and_then_given_up() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    let first = script.sent_raw();
    let mut times = Vec::new();
    let start = script.now;
    while script.events().is_empty() {
        script.wait(Duration::from_millis(10));
        for again in script.sent_raw() {
            assert_eq!(again, first[0], "a repetition is the same datagram");
            times.push(script.now - start);
        }
        if script.now - start > Duration::from_secs(94) {
            panic!("not given up");
        }
        if times.len() == 4 && script.endpoint.usage().exchanges == 0 {
            break;
        }
    }
    let unit = times[0];
    assert!((2.0..=3.02).contains(&unit.as_secs_f64()), "{unit:?}");
    for (number, factor) in [(1, 3), (2, 7), (3, 15)] {
        let off = times[number].as_secs_f64() - unit.as_secs_f64() * f64::from(factor);
        assert!(off.abs() < 0.2, "{times:?}");
    }
    assert_eq!(script.endpoint.stats().timeouts, 1);
    assert_eq!(script.endpoint.stats().retransmissions, 4);
    assert_eq!(answer_after_the_end(&mut script), ["RST 0.00"]);
    assert_ne!(exchange, ask(&mut script, "/3/0/0"));
}

/// A confirmable response after the end is rejected, so that its sender stops (RFC 7252 4.2).
fn answer_after_the_end(script: &mut Script) -> Vec<String> {
    assert!(matches!(script.answers("CON 2.05 \"late\""), Some(Event::Noted(_))));
    script.sent()
}

#[test]
fn a_request_ends_in_exactly_one_event() {
    type Case = (&'static [&'static str], fn(&Event<'_>) -> bool);
    let cases: [Case; 5] = [
        (&["ACK 2.05 \"a\"", "ACK 2.05 \"a\"", "CON 2.05 \"a\""], |event| {
            matches!(event, Event::Response { .. })
        }),
        (&["RST 0.00", "ACK 2.05 \"a\""], |event| matches!(event, Event::Reset { .. })),
        (&["CON 4.04", "ACK 0.00", "CON 4.04"], |event| matches!(event, Event::Response { .. })),
        (&["NON 2.05 \"a\"", "RST 0.00"], |event| matches!(event, Event::Response { .. })),
        (&[], |event| matches!(event, Event::TimedOut { acked: false, .. })),
    ];
    for (answers, expected) in cases {
        let mut script = Script::new();
        ask(&mut script, "/3/0/0");
        script.sent();
        let mut events: Vec<_> = answers.iter().filter_map(|text| script.answers(text)).collect();
        script.wait_secs(200);
        events.extend(script.events());
        events.retain(|event| !matches!(event, Event::Noted(_)));
        assert_eq!(events.len(), 1, "{answers:?}: {events:?}");
        assert!(expected(&events[0]), "{answers:?}: {events:?}");
        assert_eq!(script.endpoint.usage().exchanges, 0);
        assert_eq!(script.endpoint.usage().tokens, 0);
    }
}

/// Fact 28: an empty acknowledgement ends the repetition; the separate response may come much
/// later, as CON or NON, and a repeated one is acknowledged again.
#[test]
fn a_separate_response_is_acknowledged_and_its_repetition_again() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    script.expect(&["CON GET /3/0/0"]);
    assert_eq!(script.answers("ACK 0.00"), Some(Event::Acked { exchange }));
    assert_eq!(script.answers("ACK 0.00"), None);
    script.wait_secs(100);
    script.expect(&[]);
    assert_eq!(
        answer(script.answers_as("CON 2.05 \"x\"", 77)),
        (exchange, Code::CONTENT, "x".into())
    );
    script.expect(&["ACK 0.00"]);
    script.wait_secs(3);
    assert_eq!(script.answers_as("CON 2.05 \"x\"", 77), None);
    script.expect(&["ACK 0.00"]);
}

/// Fact 28: the acknowledgement is lost and the response arrives: that is success.
#[test]
fn a_response_makes_up_for_a_lost_acknowledgement() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    script.sent();
    assert_eq!(answer(script.answers("NON 2.05 \"x\"")).0, exchange);
    script.wait_secs(100);
    script.expect(&[]);
    assert_eq!(script.events(), []);
}

#[test]
fn an_acknowledged_request_waits_until_its_deadline_from_the_first_transmission() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    script.sent();
    script.wait_secs(1);
    script.answers("ACK 0.00");
    script.wait_secs(118);
    assert_eq!(script.events(), []);
    script.wait_secs(2);
    assert_eq!(script.events(), [Event::TimedOut { exchange, acked: true }]);
}

#[test]
fn the_answer_may_come_from_another_address_but_its_token_must_be_right() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    script.sent();
    let (id, token) = script.last();
    script.peer = peer(2);
    let mut wrong = token.as_bytes().to_vec();
    wrong[7] ^= 1;
    let forged = write("CON 2.05 \"no\"", MessageId::new(3), Token::new(&wrong).unwrap());
    assert!(matches!(script.hears(&forged), Some(Event::Noted(_))));
    script.expect(&["RST 0.00"]);
    match script.hears(&write("ACK 2.05 \"yes\"", id, token)) {
        Some(Event::Response { exchange: found, peer: from, .. }) => {
            assert_eq!((found, from), (exchange, peer(2)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_acknowledgement_with_another_message_id_answers_nothing() {
    let mut script = Script::new();
    ask(&mut script, "/3/0/0");
    script.sent();
    let (id, token) = script.last();
    let other = MessageId::new(id.value().wrapping_add(1));
    assert_eq!(script.hears(&write("ACK 2.05 \"x\"", other, token)), None);
    assert_eq!(script.endpoint.usage().exchanges, 1);
    script.expect(&[]);
}

#[test]
fn a_cancelled_request_ends_without_an_event_and_a_late_answer_is_rejected() {
    let mut script = Script::new();
    let exchange = ask(&mut script, "/3/0/0");
    script.sent();
    script.endpoint.cancel(exchange);
    script.endpoint.cancel(exchange);
    assert_eq!(script.answers("ACK 2.05 \"x\""), None);
    script.expect(&[]);
    assert!(matches!(script.answers("CON 2.05 \"x\""), Some(Event::Noted(_))));
    script.expect(&["RST 0.00"]);
    script.wait_secs(200);
    assert_eq!(script.events(), []);
    script.expect(&[]);
}

#[test]
fn requests_to_one_peer_wait_for_their_turn() {
    let mut script = Script::new();
    let first = ask(&mut script, "/1");
    let second = ask(&mut script, "/2");
    let third = ask(&mut script, "/3");
    script.expect(&["CON GET /1"]);
    let urgent = RequestOptions { urgent: true, ..RequestOptions::default() };
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, get("/urgent"), urgent);
    script.expect(&["CON GET /urgent"]);
    script.answers("ACK 2.05");
    script.expect(&[]);
    script.peer = peer(2);
    let elsewhere = ask(&mut script, "/elsewhere");
    script.expect(&["CON GET /elsewhere"]);
    script.peer = to;
    script.endpoint.cancel(first);
    script.expect(&["CON GET /2"]);
    assert_eq!(answer(script.answers("ACK 2.05")).0, second);
    script.expect(&["CON GET /3"]);
    // An empty acknowledgement ends the interaction too (RFC 7252 4.7).
    ask(&mut script, "/4");
    assert_eq!(script.answers("ACK 0.00"), Some(Event::Acked { exchange: third }));
    script.expect(&["CON GET /4"]);
    script.endpoint.cancel(elsewhere);
}

#[test]
fn nstart_is_a_number() {
    let params = TransmissionParams { nstart: 2, ..TransmissionParams::default() };
    let mut script = Script::with(EndpointConfig { params, ..EndpointConfig::default() });
    for path in ["/1", "/2", "/3"] {
        ask(&mut script, path);
    }
    script.expect(&["CON GET /1", "CON GET /2"]);
}

#[test]
fn a_peer_that_moved_gets_its_exchanges_at_its_new_address() {
    let mut script = Script::new();
    let first = ask(&mut script, "/1");
    ask(&mut script, "/2");
    script.expect(&["CON GET /1"]);
    let old = script.peer;
    script.endpoint.peer_moved(old, peer(2));
    script.wait_secs(3);
    let mut out = Vec::new();
    assert_eq!(script.endpoint.poll_transmit(&mut out), Some(peer(2)));
    script.peer = peer(2);
    assert_eq!(answer(script.answers("ACK 2.05")).0, first);
    out.clear();
    assert_eq!(script.endpoint.poll_transmit(&mut out), Some(peer(2)));
    assert!(out.ends_with(b"2"));
}

/// To the peer we are one endpoint, wherever it is: RFC 7252 4.4.
#[test]
fn a_peer_that_moved_gets_no_message_id_again() {
    let mut script = Script::new();
    let mut ids = Vec::new();
    for number in 2..50 {
        ask(&mut script, "/1");
        let sent = script.sent_raw();
        ids.push(u16::from_be_bytes([sent[0][2], sent[0][3]]));
        script.answers("ACK 2.05");
        let old = core::mem::replace(&mut script.peer, peer(number));
        script.endpoint.peer_moved(old, script.peer);
    }
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "{ids:?}");
}

/// Found by the fuzz target: those who wait at the old address of an answered request go on.
#[test]
fn an_answer_from_elsewhere_frees_the_turn_at_the_old_address() {
    let mut script = Script::new();
    ask(&mut script, "/1");
    ask(&mut script, "/2");
    script.expect(&["CON GET /1"]);
    script.peer = peer(2);
    assert!(matches!(script.answers("NON 2.05"), Some(Event::Response { .. })));
    script.expect(&["CON GET /2"]);
}

#[test]
fn an_answer_with_an_unknown_critical_option_is_rejected() {
    for (text, sent) in [("ACK 2.05 65001:x", &[][..]), ("CON 2.05 65001:x", &["RST 0.00"])] {
        let mut script = Script::new();
        let exchange = ask(&mut script, "/1");
        script.sent();
        let reason = ExchangeFailure::UnknownCriticalOption;
        assert_eq!(script.answers(text), Some(Event::Failed { exchange, reason }));
        script.expect(sent);
    }
    let mut script = Script::new();
    ask(&mut script, "/1");
    script.sent();
    assert_eq!(script.answers("NON 2.05 65001:x"), None);
    assert!(matches!(script.answers("ACK 2.05"), Some(Event::Response { .. })));
}

#[test]
fn a_non_confirmable_request_is_sent_once_and_answered_by_token() {
    let mut script = Script::new();
    let options = RequestOptions {
        reliability: crate::Reliability::NonConfirmable,
        ..RequestOptions::default()
    };
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, get("/1"), options);
    script.expect(&["NON GET /1"]);
    script.wait_secs(100);
    script.expect(&[]);
    assert!(matches!(script.answers("NON 2.05"), Some(Event::Response { .. })));
}

#[test]
fn a_request_that_fits_no_datagram_fails() {
    let mut script = Script::new();
    let mut request = get("/1");
    request.options.push(crate::OptionNumber(2048), &[0; 61_000]);
    let (now, to) = (script.now, script.peer);
    let exchange = script.endpoint.request(now, to, request, RequestOptions::default());
    let reason = ExchangeFailure::TooLong;
    assert_eq!(script.events(), [Event::Failed { exchange, reason }]);
}

#[test]
fn the_peer_never_sees_a_message_id_twice_within_its_lifetime() {
    let mut script = Script::new();
    let mut last_use = std::collections::HashMap::new();
    let mut requests = 0;
    while requests < 100_000 {
        ask(&mut script, "/1");
        let sent = script.sent_raw();
        if sent.is_empty() {
            script.wait_secs(1);
            continue;
        }
        requests += 1;
        let (id, token) = script.last();
        let previous = last_use.insert(id, script.now);
        assert!(previous.is_none_or(|at| script.now - at >= Duration::from_secs(247)));
        // Those that had to wait are answered one after the other.
        script.hears(&write("ACK 2.05", id, token));
    }
}
