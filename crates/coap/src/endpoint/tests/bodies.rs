//! Bodies that peers send and fetch in blocks: which blocks belong together, and what is kept for
//! how long. The figures of RFC 7959 are in [`super::blocks`].

use super::blocks::blocks_of;
use super::script::{Script, body, peer};
use crate::{Code, EndpointConfig, Event, NoteKind, OptionNumber, Response, Token};

/// Fact 36, Wakaama: a Register in three POSTs with the same token and the query in each.
#[test]
fn a_register_in_blocks_with_one_token() {
    let steps = [
        ("CON POST /rd ?ep=w&lt=60 ct:40 1:0/1/64 +64", "ACK 2.31 1:0/1/64"),
        ("CON POST /rd ?ep=w&lt=60 ct:40 1:1/1/64 +64", "ACK 2.31 1:1/1/64"),
        ("CON POST /rd ?ep=w&lt=60 ct:40 1:2/0/64 +10", "ACK 2.01 1:2/0/64"),
    ];
    let mut script = Script::new();
    for (request, answer) in steps {
        if let Some(Event::Request { reply_to, request, .. }) = script.says(request) {
            assert_eq!(request.payload.len(), 138);
            let query: Vec<_> = request.options.uri_query().collect();
            assert_eq!(query, [b"ep=w", b"lt=60".as_slice()]);
            script.endpoint.respond(script.now, &reply_to, Response::new(Code::CREATED));
        }
        script.expect(&[answer]);
    }
}

/// Fact 36: identity and query must be the same for all blocks; the token may change.
#[test]
fn blocks_belong_together_by_peer_path_query_and_request_tag() {
    for (second, answer) in [
        ("CON POST /rd ?ep=a 1:1/0/64 +1 tag:t", "ACK 2.01 1:1/0/64"),
        ("CON POST /rd ?ep=b 1:1/0/64 +1 tag:t", "ACK 4.08"),
        ("CON POST /rd ?ep=a 1:1/0/64 +1 tag:u", "ACK 4.08"),
        ("CON POST /dp ?ep=a 1:1/0/64 +1 tag:t", "ACK 4.08"),
        ("CON PUT /rd ?ep=a 1:1/0/64 +1 tag:t", "ACK 4.08"),
        ("CON POST /rd ?ep=a 1:2/0/64 +1 tag:t", "ACK 4.08"),
    ] {
        let mut script = Script::new();
        script.says("CON POST /rd ?ep=a 1:0/1/64 +64 tag:t");
        script.expect(&["ACK 2.31 1:0/1/64"]);
        script.token = Token::new(b"other").unwrap();
        if let Some(Event::Request { reply_to, .. }) = script.says(second) {
            script.endpoint.respond(script.now, &reply_to, Response::new(Code::CREATED));
        }
        assert_eq!(script.sent(), [answer], "{second}");
        script.peer = peer(2);
        script.says("CON POST /rd ?ep=a 1:1/0/64 +1 tag:t");
        script.expect(&["ACK 4.08"]);
    }
}

/// Fact 36: bodies have a size cap, said in Size1, and a timer.
#[test]
fn bodies_are_bounded_in_size_and_time() {
    let config = EndpointConfig { body_max: 100, ..EndpointConfig::default() };
    for (request, kind) in [
        ("CON POST /rd 1:0/1/64 size1:101 +64", NoteKind::BodyTooLarge),
        ("CON POST /rd 1:1/1/64 +64", NoteKind::BodyTooLarge),
        ("CON POST /rd 1:1048575/1/1024 +1024", NoteKind::BodyTooLarge),
    ] {
        let mut script = Script::with(config.clone());
        script.says("CON POST /rd 1:0/1/64 +64");
        script.sent();
        match script.says(request) {
            Some(Event::Noted(note)) => assert_eq!(note.kind, kind, "{request}"),
            other => panic!("{request}: {other:?}"),
        }
        script.expect(&["ACK 4.13 size1:100"]);
        assert_eq!(script.endpoint.usage().transfer_bytes, 0);
    }
    let mut script = Script::new();
    script.says("CON POST /rd 1:0/1/64 +64");
    script.sent();
    assert!(script.endpoint.usage().transfer_bytes > 0);
    script.wait_secs(130);
    assert_eq!(script.endpoint.usage().transfer_bytes, 0);
    assert_eq!(script.endpoint.stats().transfers_given_up, 1);
    script.says("CON POST /rd 1:1/0/64 +1");
    script.expect(&["ACK 4.08"]);
}

#[test]
fn odd_block_options_are_bad_requests() {
    let reserved = |number: OptionNumber, value: u64| {
        let options = crate::OptionList::new().with_uint(number, value);
        let mut out = Vec::new();
        let (kind, id) = (crate::Type::Confirmable, crate::MessageId::new(value as u16 + 1));
        let (token, payload) = (Token::EMPTY, b"x".as_slice());
        let options = options.options();
        crate::Message { kind, code: Code::POST, id, token, options, payload }.encode(&mut out);
        out
    };
    let mut script = Script::new();
    for number in [OptionNumber::BLOCK1, OptionNumber::BLOCK2] {
        for value in [0x07, 0x0f, 0x17] {
            script.hears(&reserved(number, value + u64::from(number.0) * 256));
        }
    }
    let sent = script.sent();
    assert!(sent.iter().all(|text| text == "ACK 4.00"), "{sent:?}");
    assert_eq!(sent.len(), 6);
    script.says("CON POST /rd 1:0/1/64 +63");
    script.expect(&["ACK 4.00"]);
}

#[test]
fn a_block_of_what_is_no_longer_kept() {
    let mut script = Script::with(blocks_of(64));
    let payload = body(100);
    let response = || Response { payload: payload.clone(), ..Response::new(Code::CONTENT) };
    // A question that only reads is asked of the owner again.
    let Some(Event::Request { reply_to, .. }) = script.says("CON GET /status 2:1/0/64") else {
        panic!("not handed up");
    };
    script.endpoint.respond(script.now, &reply_to, response());
    script.expect(&["ACK 2.05 2:1/0/64 +36"]);
    // Another would be run again.
    assert_eq!(script.says("CON POST /soap 2:1/0/64"), None);
    script.expect(&["ACK 4.08"]);
    let Some(Event::Request { reply_to, .. }) = script.says("CON GET /status 2:9/0/64") else {
        panic!("not handed up");
    };
    script.endpoint.respond(script.now, &reply_to, response());
    script.expect(&["ACK 4.00"]);
    assert_eq!(script.endpoint.usage().served_bytes, 0);
}

#[test]
fn kept_answers_are_dropped_after_a_while() {
    let mut script = Script::with(blocks_of(64));
    let Some(Event::Request { reply_to, .. }) = script.says("CON POST /soap") else {
        panic!("not handed up");
    };
    let response = Response { payload: body(100), ..Response::new(Code::CHANGED) };
    script.endpoint.respond(script.now, &reply_to, response);
    let first = script.sent_raw().pop().unwrap();
    let etag = crate::Message::parse(&first).unwrap().options.etag().map(<[u8]>::to_vec);
    assert_eq!(etag.map(|tag| tag.len()), Some(8));
    script.wait_secs(50);
    script.says("CON POST /soap 2:1/0/64");
    script.expect(&["ACK 2.04 2:1/0/64 +36"]);
    script.wait_secs(100);
    assert_eq!(script.endpoint.usage().served_bytes, 0);
    script.says("CON POST /soap 2:1/0/64");
    script.expect(&["ACK 4.08"]);
}
