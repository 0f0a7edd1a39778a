//! What a peer may be sent whose address nobody has proven.

use super::script::{Script, body, peer};
use crate::{Code, Event, Request, RequestOptions, Response};

fn register(script: &mut Script, text: &str) -> usize {
    let Some(Event::Request { reply_to, .. }) = script.says(text) else {
        panic!("not handed up");
    };
    script.endpoint.peer_unproven(script.peer);
    script.endpoint.respond(script.now, &reply_to, Response::new(Code::CREATED));
    script.sent_raw().iter().map(Vec::len).sum()
}

fn ask(script: &mut Script, len: usize) {
    let mut request = Request { payload: body(len), ..Request::new(Code::PUT) };
    request.options.uri_path("3");
    let (now, to) = (script.now, script.peer);
    let options = RequestOptions { urgent: true, ..RequestOptions::default() };
    script.endpoint.request(now, to, request, options);
}

/// Everything that goes to it, repetitions included, is at most three times what it sent.
#[test]
fn an_unproven_peer_gets_at_most_three_times_what_it_sent() {
    let mut script = Script::new();
    let text = "CON POST /rd ?ep=spoofed&lt=60 +100";
    let received = super::script::write(text, crate::MessageId::new(1), script.token).len();
    let mut sent = register(&mut script, text);
    for _ in 0..10 {
        ask(&mut script, 60);
    }
    script.wait_secs(1_500);
    sent += script.sent_raw().iter().map(Vec::len).sum::<usize>();
    assert!(sent <= 3 * received, "{sent} for {received}");
    assert!(sent > 2 * received, "{sent} for {received}");
    assert!(script.endpoint.stats().amplification_stops > 0);
    let ends = script.events();
    assert_eq!(ends.len(), 10);
    assert!(ends.iter().all(|end| matches!(end, Event::TimedOut { acked: false, .. })));
}

#[test]
fn one_request_at_a_time_until_it_has_answered() {
    let mut script = Script::new();
    register(&mut script, "CON POST /rd +200");
    ask(&mut script, 1);
    ask(&mut script, 2);
    assert_eq!(script.sent_raw().len(), 1);
    assert!(matches!(script.answers("ACK 0.00"), Some(Event::Acked { .. })));
    // The acknowledgement carries our message id: it was there.
    assert_eq!(script.sent_raw().len(), 1);
    assert_eq!(script.endpoint.peer_credit(script.peer), None);
}

#[test]
fn a_request_without_credit_waits_for_it() {
    let mut script = Script::new();
    script.endpoint.peer_unproven(script.peer);
    ask(&mut script, 50);
    script.expect(&[]);
    script.wait_secs(10);
    let credit = script.endpoint.peer_credit(script.peer);
    assert_eq!(credit, Some(0));
    let Some(Event::Request { .. }) = script.says("NON POST /dp +50") else {
        panic!("not handed up");
    };
    script.expect(&["CON PUT /3 +50"]);
    assert!(script.endpoint.peer_credit(script.peer) < Some(150));
    script.endpoint.peer_proven(script.peer);
    assert_eq!(script.endpoint.peer_credit(script.peer), None);
}

#[test]
fn one_datagram_buys_credit_once() {
    let mut script = Script::new();
    register(&mut script, "CON POST /rd +20");
    script.endpoint.peer_proven(script.peer);
    script.endpoint.peer_unproven(script.peer);
    assert_eq!(script.endpoint.peer_credit(script.peer), Some(0));
}

#[test]
fn the_wait_for_credit_ends_too() {
    let mut script = Script::new();
    script.endpoint.peer_unproven(script.peer);
    ask(&mut script, 50);
    script.wait_secs(121);
    assert!(matches!(script.events().as_slice(), [Event::TimedOut { acked: false, .. }]));
}

/// Found by the fuzz target: a separate response that is never sent does not wait for ever.
#[test]
fn a_separate_response_without_credit_is_given_up() {
    let mut script = Script::new();
    let Some(Event::Request { reply_to, .. }) = script.says("CON GET /t") else {
        panic!("not handed up");
    };
    script.wait_secs(2);
    script.endpoint.peer_unproven_with(script.peer, 0);
    let response = Response { payload: body(100), ..Response::new(Code::CONTENT) };
    script.endpoint.respond(script.now, &reply_to, response);
    script.wait_secs(1_000);
    script.expect(&["ACK 0.00"]);
    let usage = script.endpoint.usage();
    assert_eq!((usage.peers, usage.exchanges, usage.timers), (0, 0, 0));
}

#[test]
fn credit_can_be_handed_in_and_others_are_not_limited() {
    let mut script = Script::new();
    let unproven = script.peer;
    script.endpoint.peer_unproven_with(unproven, 70);
    script.endpoint.peer_unproven_with(unproven, 7_000);
    ask(&mut script, 40);
    script.expect(&["CON PUT /3 +40"]);
    script.wait_secs(3);
    script.expect(&[]);
    script.peer = peer(2);
    for _ in 0..3 {
        ask(&mut script, 1_000);
    }
    assert_eq!(script.sent_raw().len(), 3);
}

/// Several names register from one address before the first of them is granted.
#[test]
fn each_of_several_first_datagrams_buys_its_credit_once() {
    let mut script = Script::new();
    let (peer, mut credits) = (script.peer, Vec::new());
    for _ in 0..2 {
        assert!(script.says("CON POST /rd +20").is_some());
        credits.push(script.endpoint.take_credit(peer));
        assert_eq!(script.endpoint.take_credit(peer), crate::Credit::default());
    }
    script.endpoint.peer_heard(peer, credits[0]);
    let one = script.endpoint.peer_credit(peer).expect("unproven");
    assert!(one > 60, "{one}");
    script.endpoint.peer_heard(peer, credits[1]);
    assert_eq!(script.endpoint.peer_credit(peer), Some(2 * one));
    // From now on it is counted when it comes, and again only if it was forgotten meanwhile.
    assert!(script.says("CON POST /rd +20").is_some());
    assert_eq!(script.endpoint.peer_credit(peer), Some(3 * one));
    let credit = script.endpoint.take_credit(peer);
    script.endpoint.peer_heard(peer, credit);
    assert_eq!(script.endpoint.peer_credit(peer), Some(3 * one));
    script.endpoint.peer_proven(peer);
    script.endpoint.peer_heard(peer, credit);
    assert_eq!(script.endpoint.peer_credit(peer), Some(one));
}

#[test]
fn what_is_known_of_an_unproven_peer_is_forgotten_in_time() {
    let mut script = Script::new();
    register(&mut script, "CON POST /rd +20");
    ask(&mut script, 5);
    script.wait_secs(1_000);
    let usage = script.endpoint.usage();
    assert_eq!((usage.peers, usage.timers), (0, 0));
    script.endpoint.peer_unproven(peer(2));
    script.wait_secs(1_000);
    assert_eq!(script.endpoint.usage().peers, 0);
}

#[test]
fn a_notification_with_the_right_token_is_proof() {
    let mut script = Script::new();
    register(&mut script, "CON POST /rd +200");
    let (now, to) = (script.now, script.peer);
    let request = Request::new(Code::GET);
    script.endpoint.observe(now, to, request, RequestOptions::default());
    script.sent();
    assert!(script.endpoint.peer_credit(to).is_some());
    script.answers("ACK 2.05 obs:1");
    assert_eq!(script.endpoint.peer_credit(to), None);
    let other = peer(2);
    script.endpoint.peer_unproven(other);
    script.peer = other;
    script.answers("NON 2.05 obs:2");
    assert_eq!(script.endpoint.peer_credit(other), None);
}
