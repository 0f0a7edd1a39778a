//! Block-wise transfer in both roles: the exchanges of RFC 7959 3 as tables, and what real devices
//! make of it.

use super::script::{Script, body, peer};
use crate::{Code, EndpointConfig, Event, ExchangeFailure, Request, RequestOptions, Response};

pub(super) fn blocks_of(size: u16) -> EndpointConfig {
    EndpointConfig { block_size_max: size, ..EndpointConfig::default() }
}

/// The server's role: each request of the peer and what it is answered. Whatever comes up is
/// answered with `code` and a body of `len` bytes; what came up is given back.
#[track_caller]
fn server(
    config: EndpointConfig,
    (code, len): (Code, usize),
    steps: &[(&str, &str)],
) -> Vec<usize> {
    let mut script = Script::with(config);
    let mut bodies = Vec::new();
    for (number, (request, answer)) in steps.iter().enumerate() {
        if let Some(Event::Request { reply_to, request, .. }) = script.says(request) {
            assert_eq!(request.payload, expected_body(request.payload.len()), "step {number}");
            bodies.push(request.payload.len());
            let response = Response { payload: body(len), ..Response::new(code) };
            script.endpoint.respond(script.now, &reply_to, response);
        }
        assert_eq!(script.sent(), [*answer], "step {number}: {request}");
    }
    bodies
}

/// Blocks of `+n` each begin anew, so a body of several is not one `body`.
fn expected_body(len: usize) -> Vec<u8> {
    let size = [128, 64, 32].into_iter().find(|size| len > *size).unwrap_or(len.max(1));
    (0..len).map(|place| body(128)[place % size]).collect()
}

/// The client's role: each message that is sent and what the peer answers; gives the last event.
#[track_caller]
fn client(script: &mut Script, request: Request, steps: &[(&str, &str)]) -> Event<'static> {
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, request, RequestOptions::default());
    let mut last = None;
    for (number, (sent, answer)) in steps.iter().enumerate() {
        assert_eq!(last, None, "step {number}");
        assert_eq!(script.sent(), [*sent], "step {number}");
        last = script.answers(answer);
    }
    assert_eq!(script.sent(), [""; 0]);
    let usage = script.endpoint.usage();
    assert_eq!((usage.exchanges, usage.tokens, usage.transfer_bytes), (0, 0, 0));
    last.expect("the exchange has ended")
}

fn put(len: usize) -> Request {
    let mut request = Request { payload: body(len), ..Request::new(Code::PUT) };
    request.options.uri_path("options");
    request
}

fn get() -> Request {
    let mut request = Request::new(Code::GET);
    request.options.uri_path("status");
    request
}

#[track_caller]
fn response(event: Event<'static>) -> (Code, Vec<u8>) {
    match event {
        Event::Response { response, .. } => (response.code, response.payload.into_owned()),
        other => panic!("no response: {other:?}"),
    }
}

#[test]
fn figure_2_a_large_answer_is_fetched() {
    let steps = [
        ("CON GET /status", "ACK 2.05 2:0/1/128 +128"),
        ("CON GET /status 2:1/0/128", "ACK 2.05 2:1/1/128 +128"),
        ("CON GET /status 2:2/0/128", "ACK 2.05 2:2/0/128 +44"),
    ];
    assert_eq!(server(blocks_of(128), (Code::CONTENT, 300), &steps), [0]);
    let mut script = Script::new();
    let steps = [
        ("CON GET /status", "ACK 2.05 2:0/1/128 +128"),
        ("CON GET /status 2:1/0/128", "ACK 2.05 2:1/1/128 +128"),
        ("CON GET /status 2:2/0/128", "ACK 2.05 2:2/0/128 +44"),
    ];
    let whole = [body(128), body(128), body(44)].concat();
    assert_eq!(response(client(&mut script, get(), &steps)), (Code::CONTENT, whole));
}

#[test]
fn figure_3_early_negotiation() {
    let steps = [
        ("CON GET /status 2:0/0/64", "ACK 2.05 2:0/1/64 +64"),
        ("CON GET /status 2:1/0/64", "ACK 2.05 2:1/1/64 +64"),
        ("CON GET /status 2:2/0/64", "ACK 2.05 2:2/0/64 +2"),
    ];
    server(blocks_of(1024), (Code::CONTENT, 130), &steps);
    let mut script = Script::with(blocks_of(64));
    let whole = response(client(&mut script, get(), &steps)).1;
    assert_eq!(whole, [body(64), body(64), body(2)].concat());
}

#[test]
fn figure_4_late_negotiation() {
    let steps = [
        ("CON GET /status", "ACK 2.05 2:0/1/128 +128"),
        ("CON GET /status 2:2/0/64", "ACK 2.05 2:2/1/64 +64"),
        ("CON GET /status 2:3/0/64", "ACK 2.05 2:3/1/64 +64"),
        ("CON GET /status 2:4/0/64", "ACK 2.05 2:4/0/64 +44"),
    ];
    server(blocks_of(128), (Code::CONTENT, 300), &steps);
}

/// RFC 7959 2.4: a server may answer with smaller blocks than it was asked for.
#[test]
fn smaller_blocks_of_a_server_are_followed() {
    let mut script = Script::new();
    let steps = [
        ("CON GET /status", "ACK 2.05 2:0/1/128 +128"),
        ("CON GET /status 2:1/0/128", "ACK 2.05 2:4/1/32 +32"),
        ("CON GET /status 2:5/0/32", "ACK 2.05 2:5/0/32 +1"),
    ];
    assert_eq!(response(client(&mut script, get(), &steps)).1.len(), 161);
}

#[test]
fn figures_5_and_6_lost_messages_are_repeated() {
    let mut script = Script::with(blocks_of(64));
    for (text, id) in [("CON GET /status", 1), ("CON GET /status 2:1/0/64", 2)] {
        if let Some(Event::Request { reply_to, .. }) = script.says_as(text, id) {
            let response = Response { payload: body(100), ..Response::new(Code::CONTENT) };
            script.endpoint.respond(script.now, &reply_to, response);
        }
        let answer = script.sent_raw();
        assert_eq!(script.says_as(text, id), None);
        assert_eq!(script.sent_raw(), answer, "{text}");
    }
    let now = script.now;
    script.endpoint.request(now, peer(1), get(), RequestOptions::default());
    script.sent();
    script.answers("ACK 2.05 2:0/1/64 +64");
    let asked = script.sent_raw();
    script.wait_secs(3);
    assert_eq!(script.sent_raw(), asked);
}

/// Fact 35: 2.31 in between, the final code at the last block.
#[test]
fn figure_7_a_body_in_blocks() {
    let steps = [
        ("CON PUT /options 1:0/1/128 +128", "ACK 2.31 1:0/1/128"),
        ("CON PUT /options 1:1/1/128 +128", "ACK 2.31 1:1/1/128"),
        ("CON PUT /options 1:2/0/128 +44", "ACK 2.04 1:2/0/128"),
    ];
    assert_eq!(server(blocks_of(1024), (Code::CHANGED, 0), &steps), [300]);
    let mut script = Script::with(blocks_of(128));
    let steps = [
        ("CON PUT /options 1:0/1/128 size1:300 +128", "ACK 2.31 1:0/1/128"),
        ("CON PUT /options 1:1/1/128 +128", "ACK 2.31 1:1/1/128"),
        ("CON PUT /options 1:2/0/128 +44", "ACK 2.04 1:2/0/128"),
    ];
    assert_eq!(response(client(&mut script, put(300), &steps)).0, Code::CHANGED);
}

#[test]
fn figure_8_a_server_that_takes_each_block_for_itself() {
    let mut script = Script::with(blocks_of(128));
    let steps = [
        ("CON PUT /options 1:0/1/128 size1:300 +128", "ACK 2.04 1:0/0/128"),
        ("CON PUT /options 1:1/1/128 +128", "ACK 2.04 1:1/0/128"),
        ("CON PUT /options 1:2/0/128 +44", "ACK 2.04 1:2/0/128"),
    ];
    assert_eq!(response(client(&mut script, put(300), &steps)).0, Code::CHANGED);
}

/// Fact 35: a smaller size in the answer must be followed.
#[test]
fn figure_9_the_server_wants_smaller_blocks() {
    let steps = [
        ("CON PUT /options 1:0/1/128 +128", "ACK 2.31 1:0/1/32"),
        ("CON PUT /options 1:4/1/32 +32", "ACK 2.31 1:4/1/32"),
        ("CON PUT /options 1:5/0/32 +12", "ACK 2.04 1:5/0/32"),
    ];
    let mut script = Script::with(blocks_of(32));
    for (number, (request, answer)) in steps.iter().enumerate() {
        if let Some(Event::Request { reply_to, request, .. }) = script.says(request) {
            assert_eq!(request.payload, [body(128), body(32), body(12)].concat());
            script.endpoint.respond(script.now, &reply_to, Response::new(Code::CHANGED));
        }
        assert_eq!(script.sent(), [*answer], "step {number}");
    }
    let mut script = Script::with(blocks_of(128));
    let steps = [
        ("CON PUT /options 1:0/1/128 size1:172 +128", "ACK 2.31 1:0/1/32"),
        ("CON PUT /options 1:4/1/32 +32", "ACK 2.31 1:4/1/32"),
        ("CON PUT /options 1:5/0/32 +12", "ACK 2.04 1:5/0/32"),
    ];
    assert_eq!(response(client(&mut script, put(172), &steps)).0, Code::CHANGED);
}

#[test]
fn figures_11_and_12_a_large_answer_to_a_body_in_blocks() {
    let steps = [
        ("CON POST /soap 1:0/1/128 +128", "ACK 2.31 1:0/1/128"),
        ("CON POST /soap 1:1/0/128 +5 2:0/0/64", "ACK 2.04 1:1/0/128 2:0/1/64 +64"),
        ("CON POST /soap 2:1/0/64", "ACK 2.04 2:1/1/64 +64"),
        ("CON POST /soap 2:2/0/64", "ACK 2.04 2:2/0/64 +2"),
    ];
    assert_eq!(server(blocks_of(128), (Code::CHANGED, 130), &steps), [133]);
    let mut script = Script::with(blocks_of(128));
    let mut request = Request { payload: body(133), ..Request::new(Code::POST) };
    request.options.uri_path("soap");
    let steps = [
        ("CON POST /soap 1:0/1/128 size1:133 +128", "ACK 2.31 1:0/1/128"),
        ("CON POST /soap 1:1/0/128 +5", "ACK 2.04 1:1/0/128 2:0/1/64 +64"),
        ("CON POST /soap 2:1/0/64", "ACK 2.04 2:1/0/64 +2"),
    ];
    assert_eq!(response(client(&mut script, request, &steps)), (Code::CHANGED, body_of_66()));
}

fn body_of_66() -> Vec<u8> {
    [body(64), body(2)].concat()
}

/// Fact 35: 4.08 begins at block 0 again, once.
#[test]
fn a_server_that_lost_the_beginning() {
    let mut script = Script::with(blocks_of(64));
    let steps = [
        ("CON PUT /options 1:0/1/64 size1:100 +64", "ACK 2.31 1:0/1/64"),
        ("CON PUT /options 1:1/0/64 +36", "ACK 4.08 1:1/0/64"),
        ("CON PUT /options 1:0/1/64 size1:100 +64", "ACK 2.31 1:0/1/64"),
        ("CON PUT /options 1:1/0/64 +36", "ACK 4.08"),
    ];
    let event = client(&mut script, put(100), &steps);
    assert_eq!(response(event).0, Code::REQUEST_ENTITY_INCOMPLETE);
}

/// Fact 35, Wakaama `-S 64`: 4.13 with a smaller size on block 0 means from the beginning with it.
#[test]
fn a_device_that_takes_smaller_blocks_only() {
    let mut script = Script::new();
    let steps = [
        ("CON PUT /options 1:0/1/1024 size1:1100 +1024", "ACK 4.13 1:0/0/64"),
        ("CON PUT /options 1:0/1/64 size1:1100 +64", "ACK 2.31 1:0/1/64"),
        ("CON PUT /options 1:1/1/64 +64", "ACK 4.13 1:1/0/64"),
    ];
    let event = client(&mut script, put(1_100), &steps);
    assert_eq!(response(event).0, Code::REQUEST_ENTITY_TOO_LARGE);
    let mut script = Script::new();
    let steps = [
        ("CON PUT /options +100", "ACK 4.13 1:0/0/64"),
        ("CON PUT /options 1:0/1/64 size1:100 +64", "ACK 2.31 1:0/1/64"),
        ("CON PUT /options 1:1/0/64 +36", "ACK 2.04 1:1/0/64"),
    ];
    assert_eq!(response(client(&mut script, put(100), &steps)).0, Code::CHANGED);
}

#[test]
fn a_write_of_fifty_kilobytes_in_blocks_of_64() {
    let mut script = Script::new();
    let (now, to) = (script.now, script.peer);
    script.endpoint.request(now, to, put(51_200), RequestOptions::default());
    script.sent();
    script.answers("ACK 4.13 1:0/0/64");
    let mut sent = Vec::new();
    for number in 0..800 {
        let datagram = script.sent_raw().pop().unwrap();
        let message = crate::Message::parse(&datagram).unwrap();
        sent.extend_from_slice(message.payload);
        let more = u8::from(number < 799);
        let code = if more == 1 { "2.31" } else { "2.04" };
        let event = script.answers(&format!("ACK {code} 1:{number}/{more}/64"));
        assert_eq!(event.is_some(), more == 0, "{number}");
    }
    assert_eq!(sent, body(51_200));
}

/// Fact 34: the ETags must agree, or the answer is asked for anew, once.
#[test]
fn an_answer_that_changes_on_the_way() {
    let mut script = Script::new();
    let steps = [
        ("CON GET /status", "ACK 2.05 2:0/1/16 etag:a +16"),
        ("CON GET /status 2:1/0/16", "ACK 2.05 2:1/1/16 etag:b +16"),
        ("CON GET /status 2:0/0/16", "ACK 2.05 2:0/1/16 etag:b +16"),
        ("CON GET /status 2:1/0/16", "ACK 2.05 2:1/1/16 etag:c +16"),
    ];
    match client(&mut script, get(), &steps) {
        Event::Failed { reason, .. } => assert_eq!(reason, ExchangeFailure::BlockMismatch),
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_in_blocks_that_end_otherwise() {
    type Check = fn(Event<'static>);
    let cases: [(&str, Check); 5] = [
        ("ACK 4.04", |event| assert_eq!(response(event).0, Code::NOT_FOUND)),
        ("ACK 2.05 \"whole\"", |event| assert_eq!(response(event).1, b"whole")),
        ("CON 2.05 2:1/0/16 +1", |event| assert_eq!(response(event).1.len(), 17)),
        ("RST 0.00", |event| assert!(matches!(event, Event::Reset { .. }))),
        ("ACK 2.05 2:1/0/16 size2:70000 +1", |event| match event {
            Event::Failed { reason, .. } => assert_eq!(reason, ExchangeFailure::BodyTooLarge),
            other => panic!("{other:?}"),
        }),
    ];
    for (answer, check) in cases {
        let mut script = Script::new();
        let (now, to) = (script.now, script.peer);
        script.endpoint.request(now, to, get(), RequestOptions::default());
        script.sent();
        script.answers("ACK 2.05 2:0/1/16 +16");
        script.sent();
        check(script.answers(answer).unwrap());
        assert_eq!(script.endpoint.usage().transfer_bytes, 0);
    }
}

/// Each block that made progress restarts the deadline.
#[test]
fn the_deadline_counts_from_the_last_block_that_made_progress() {
    let mut script = Script::new();
    let (now, to) = (script.now, script.peer);
    let exchange = script.endpoint.request(now, to, get(), RequestOptions::default());
    script.sent();
    for number in 0..5 {
        script.wait_secs(2);
        script.answers("ACK 0.00");
        script.wait_secs(100);
        assert_eq!(script.answers(&format!("CON 2.05 2:{number}/1/16 +16")), None);
        script.sent();
    }
    assert_eq!(script.events(), []);
    script.wait_secs(1);
    script.answers("ACK 0.00");
    script.wait_secs(120);
    assert_eq!(script.events(), [Event::TimedOut { exchange, acked: true }]);
}

/// Fact 39: bodies can carry a Request-Tag, the same in all blocks.
#[test]
fn a_request_tag_is_added_when_it_is_wanted() {
    let config = EndpointConfig { request_tag: true, ..blocks_of(64) };
    let mut script = Script::with(config);
    let steps = [
        ("CON PUT /options 1:0/1/64 size1:65 tagged +64", "ACK 2.31 1:0/1/64"),
        ("CON PUT /options 1:1/0/64 tagged \"D\"", "ACK 2.04 1:1/0/64"),
    ];
    client(&mut script, put(65), &steps);
}

/// Fact 41: blocks can be made small enough for any way.
#[test]
fn the_block_size_is_a_setting() {
    for (setting, size) in
        [(0, 16), (16, 16), (100, 64), (512, 512), (1_024, 1_024), (9_999, 1_024)]
    {
        let mut script = Script::with(blocks_of(setting));
        let (now, to) = (script.now, script.peer);
        script.endpoint.request(now, to, put(2_000), RequestOptions::default());
        let sent = script.sent_raw().pop().unwrap();
        assert_eq!(crate::Message::parse(&sent).unwrap().payload.len(), size, "{setting}");
    }
}

/// A FETCH says in its body what is asked for, so each block is asked for with it.
#[test]
fn the_body_of_a_fetch_is_part_of_the_question() {
    let mut script = Script::new();
    let mut request = Request { payload: b"[paths]".to_vec(), ..Request::new(Code::FETCH) };
    request.options.uri_path("status");
    let steps = [
        ("CON FETCH /status \"[paths]\"", "ACK 2.05 2:0/1/16 +16"),
        ("CON FETCH /status 2:1/0/16 \"[paths]\"", "ACK 2.05 2:1/0/16 +1"),
    ];
    assert_eq!(response(client(&mut script, request, &steps)).1.len(), 17);
}
