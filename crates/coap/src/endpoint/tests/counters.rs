//! What is counted, and what an event says besides its payload.

use super::script::{Script, peer};
use crate::{
    Code, EndpointConfig, EndpointStats, Event, ObservationId, Request, RequestOptions, Response,
    Type,
};

fn get(segment: &str) -> Request {
    let mut request = Request::new(Code::GET);
    request.options.uri_path(segment);
    request
}

fn ask(script: &mut Script, segment: &str) {
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, get(segment), RequestOptions::default());
}

fn observe(script: &mut Script) -> ObservationId {
    let (now, to) = (script.now, script.peer);
    script.endpoint.observe(now, to, get("3303"), RequestOptions::default()).1
}

/// Each step of a conversation moves the counters it should, and no other.
#[test]
fn every_step_is_counted_once() {
    let mut script = Script::new();
    let mut due = EndpointStats::default();
    let mut check = |script: &mut Script, step: &str, change: fn(&mut EndpointStats)| {
        script.sent();
        change(&mut due);
        assert_eq!(*script.endpoint.stats(), due, "{step}");
    };
    for step in ["a request", "another request"] {
        script.says("CON GET /a");
        check(&mut script, step, |due| {
            due.datagrams_in += 1;
            due.requests_in += 1;
        });
    }
    script.answers_nobody("NON 2.05");
    check(&mut script, "a response that nobody waits for", |due| {
        due.datagrams_in += 1;
        due.unknown_tokens += 1;
        due.resets_out += 1;
        due.datagrams_out += 1;
    });
    script.answers_nobody("ACK 2.05");
    check(&mut script, "an acknowledgement that nobody waits for", |due| {
        due.datagrams_in += 1;
        due.ignored += 1;
    });
    observe(&mut script);
    check(&mut script, "an observe", |due| {
        due.requests_out += 1;
        due.datagrams_out += 1;
    });
    script.answers("ACK 2.05 obs:1");
    check(&mut script, "its answer", |due| {
        due.datagrams_in += 1;
        due.responses_in += 1;
    });
    script.answers("NON 2.05 obs:2");
    check(&mut script, "a notification", |due| {
        due.datagrams_in += 1;
        due.notifications_in += 1;
    });
    script.answers("ACK 2.05 obs:3");
    check(&mut script, "an acknowledgement with the token of an observation", |due| {
        due.datagrams_in += 1;
        due.ignored += 1;
    });
    ask(&mut script, "large");
    script.sent();
    script.answers("ACK 2.05 2:0/1/64 +64");
    check(&mut script, "the first of two blocks", |due| {
        due.requests_out += 1;
        due.datagrams_in += 1;
        due.blocks_in += 1;
        due.datagrams_out += 2;
    });
    script.answers("ACK 2.05 2:1/0/64 +10");
    check(&mut script, "the last of two blocks", |due| {
        due.datagrams_in += 1;
        due.blocks_in += 1;
        due.responses_in += 1;
    });
}

/// The question for a block of the peer's body is no block of ours.
#[test]
fn blocks_are_counted_by_the_direction_of_their_body() {
    let mut script = Script::with(EndpointConfig { block_size_max: 64, ..Default::default() });
    let mut put = Request::new(Code::PUT);
    put.payload = vec![7; 130];
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, put, RequestOptions::default());
    for answer in ["ACK 2.31 1:0/1/64", "ACK 2.31 1:1/1/64", "ACK 2.04 1:2/0/64"] {
        script.sent();
        script.answers(answer);
    }
    assert_eq!((script.endpoint.stats().blocks_out, script.endpoint.stats().blocks_in), (3, 0));
}

/// The code and the token of a body are those of its first block, whatever a device puts into the
/// last one.
#[test]
fn an_assembled_answer_has_the_code_and_token_of_its_first_block() {
    let mut script = Script::new();
    ask(&mut script, "large");
    script.expect(&["CON GET /large"]);
    let (_, token) = script.last();
    assert_eq!(script.answers("ACK 2.05 2:0/1/64 +64"), None);
    script.expect(&["CON GET /large 2:1/0/64"]);
    let Some(Event::Response { response, .. }) = script.answers("ACK 2.04 2:1/0/64 +10") else {
        panic!("no response");
    };
    assert_eq!((response.code, response.token), (Code::CONTENT, token));
    assert_eq!(response.payload.len(), 74);
}

/// An error is one message, also when its Block2 claims that more follows.
#[test]
fn an_error_is_never_fetched_in_blocks() {
    let mut script = Script::new();
    ask(&mut script, "large");
    script.sent();
    let Some(Event::Response { response, .. }) = script.answers("ACK 4.04 2:0/1/64 +64") else {
        panic!("no response");
    };
    assert_eq!((response.code, response.payload.len()), (Code::NOT_FOUND, 64));
    script.expect(&[]);
}

/// A notification whose rest is fetched is still the confirmable message that it began as, and its
/// rest does not wait for a command that is on its way (OMA issue 303: the device may sleep).
#[test]
fn the_rest_of_a_notification_is_fetched_at_once() {
    let mut script = Script::new();
    let observation = observe(&mut script);
    script.sent();
    script.answers("ACK 2.05 obs:1");
    let (_, token) = script.last();
    ask(&mut script, "slow");
    script.expect(&["CON GET /slow"]);
    let bytes =
        super::script::write("CON 2.05 obs:2 2:0/1/64 +64", crate::MessageId::new(70), token);
    assert_eq!(script.hears(&bytes), None);
    script.expect(&["CON GET /3303 2:1/0/64"]);
    let Some(Event::Notification { observation: found, response, .. }) =
        script.answers("ACK 2.05 2:1/0/64 +10")
    else {
        panic!("no notification");
    };
    assert_eq!((found, response.kind), (observation, Type::Confirmable));
    assert_eq!(response.payload.len(), 74);
}

/// Fact 27: a place that is used again does not answer to its former id.
#[test]
fn a_former_observation_is_not_the_one_in_its_place() {
    let mut script = Script::new();
    let former = observe(&mut script);
    script.sent();
    script.answers("ACK 2.05 obs:1");
    script.endpoint.forget_observation(former);
    let next = observe(&mut script);
    assert_eq!(former.slot(), next.slot());
    script.sent();
    script.answers("ACK 2.05 obs:1");
    script.endpoint.forget_observation(former);
    assert!(matches!(script.answers("NON 2.05 obs:2"), Some(Event::Notification { .. })));
}

/// A body of exactly one block is whole: no ETag, no Block2.
#[test]
fn a_body_of_one_block_is_not_cut() {
    for (len, expected) in [(64, "ACK 2.05 +64"), (65, "ACK 2.05 2:0/1/64 +64")] {
        let mut script = Script::new();
        let Some(Event::Request { reply_to, .. }) = script.says("CON GET /a 2:0/0/64") else {
            panic!("no request");
        };
        let response = Response { payload: vec![7; len], ..Response::new(Code::CONTENT) };
        script.endpoint.respond(script.now, &reply_to, response);
        let sent = script.sent_raw();
        let message = crate::Message::parse(&sent[0]).unwrap();
        assert_eq!(message.options.etag().is_some(), len > 64);
        let shown = super::script::show(&sent[0]).replace(" 2:0/0/64", "");
        assert!(shown.starts_with(expected.split(" size2").next().unwrap()), "{shown}");
    }
}

/// What a peer has on its way keeps its state alive; a quiet one is forgotten.
#[test]
fn a_peer_is_forgotten_when_nothing_is_on_its_way() {
    let mut script = Script::new();
    ask(&mut script, "a");
    script.sent();
    script.answers("ACK 0.00");
    script.wait_secs(60);
    assert_eq!(script.endpoint.usage().peers, 1);
    script.peer = peer(1);
    script.wait_secs(600);
    assert_eq!(script.endpoint.usage().peers, 0);
}
