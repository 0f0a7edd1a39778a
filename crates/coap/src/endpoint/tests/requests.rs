//! Requests and responses in both roles: RFC 7252 4, 5 and its figures.

use super::script::{Script, peer};
use crate::time::Duration;
use crate::{
    Code, Completion, Event, ExchangeId, NoteKind, ReplyTo, Request, RequestOptions, Response,
};

pub(super) fn get(path: &str) -> Request {
    let mut request = Request::new(Code::GET);
    path.split('/').filter(|segment| !segment.is_empty()).for_each(|segment| {
        request.options.uri_path(segment);
    });
    request
}

fn content(text: &str) -> Response {
    Response { payload: text.as_bytes().to_vec(), ..Response::new(Code::CONTENT) }
}

pub(super) fn ask(script: &mut Script, path: &str) -> ExchangeId {
    let (now, peer) = (script.now, script.peer);
    script.endpoint.request(now, peer, get(path), RequestOptions::default())
}

#[track_caller]
fn reply_to(event: Option<Event<'static>>) -> ReplyTo {
    match event {
        Some(Event::Request { reply_to, .. }) => reply_to,
        other => panic!("no request: {other:?}"),
    }
}

#[track_caller]
pub(super) fn answer(event: Option<Event<'static>>) -> (ExchangeId, Code, String) {
    match event {
        Some(Event::Response { exchange, response, .. }) => {
            (exchange, response.code, String::from_utf8_lossy(&response.payload).into_owned())
        }
        other => panic!("no response: {other:?}"),
    }
}

#[test]
fn a_request_is_answered_in_its_acknowledgement() {
    let mut script = Script::new();
    let reply_to = reply_to(script.says("CON GET /temperature"));
    assert!(reply_to.is_confirmable());
    script.endpoint.respond(script.now, &reply_to, content("22.3 C"));
    script.expect(&["ACK 2.05 \"22.3_C\""]);
    script.wait_secs(400);
    script.expect(&[]);
}

/// Fact 26: a duplicate within EXCHANGE_LIFETIME gets the stored answer and never comes up.
#[test]
fn a_repeated_request_gets_the_stored_answer_for_its_lifetime() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("CON POST /rd", 9));
    script.endpoint.respond(script.now, &first, Response::new(Code::CREATED));
    let original = script.sent_raw();
    for wait in [1, 100, 145] {
        script.wait_secs(wait);
        assert_eq!(script.says_as("CON POST /rd", 9), None);
        assert_eq!(script.sent_raw(), original);
    }
    assert_eq!(script.endpoint.stats().duplicates, 3);
    assert_eq!(script.endpoint.usage().remembered_requests, 1);
    script.wait_secs(2);
    reply_to(script.says_as("CON POST /rd", 9));
}

/// Fact 26: a non-confirmable duplicate is ignored for NON_LIFETIME.
#[test]
fn a_repeated_non_confirmable_request_is_ignored_for_its_lifetime() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("NON GET /t", 9));
    script.endpoint.respond(script.now, &first, content("1"));
    script.expect(&["NON 2.05 \"1\""]);
    script.wait_secs(144);
    assert_eq!(script.says_as("NON GET /t", 9), None);
    script.expect(&[]);
    script.wait_secs(2);
    reply_to(script.says_as("NON GET /t", 9));
}

#[test]
fn a_repetition_that_overtakes_the_answer_is_swallowed() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("CON GET /slow", 9));
    assert_eq!(script.says_as("CON GET /slow", 9), None);
    script.expect(&[]);
    script.endpoint.respond(script.now, &first, content("x"));
    script.expect(&["ACK 2.05 \"x\""]);
}

#[test]
fn another_peer_with_the_same_message_id_is_another_request() {
    let mut script = Script::new();
    reply_to(script.says_as("CON GET /t", 9));
    script.peer = peer(2);
    reply_to(script.says_as("CON GET /t", 9));
}

/// Fact 28: a late answer is a message of its own, after an empty acknowledgement.
#[test]
fn a_late_answer_is_a_separate_response_that_is_repeated_until_acknowledged() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("CON GET /slow", 9));
    script.wait(Duration::from_millis(900));
    script.expect(&[]);
    script.wait(Duration::from_millis(200));
    script.expect(&["ACK 0.00"]);
    assert_eq!(script.says_as("CON GET /slow", 9), None);
    script.expect(&["ACK 0.00"]);
    script.endpoint.respond(script.now, &first, content("x"));
    script.expect(&["CON 2.05 \"x\""]);
    assert_eq!(script.last().1, script.token);
    script.wait_secs(3);
    script.expect(&["CON 2.05 \"x\""]);
    assert_eq!(script.answers("ACK 0.00"), None);
    script.wait_secs(100);
    script.expect(&[]);
    assert_eq!(script.endpoint.usage().exchanges, 0);
}

#[test]
fn a_separate_response_that_nobody_acknowledges_is_given_up_and_noted() {
    let mut script = Script::new();
    let first = reply_to(script.says("CON GET /slow"));
    script.wait_secs(2);
    script.endpoint.respond(script.now, &first, content("x"));
    script.wait_secs(100);
    assert_eq!(script.sent().len(), 6);
    assert!(matches!(
        script.events().as_slice(),
        [Event::Noted(note)] if note.kind == NoteKind::ResponseGivenUp
    ));
}

#[test]
fn only_the_first_answer_counts() {
    let mut script = Script::new();
    let first = reply_to(script.says("CON GET /t"));
    script.endpoint.respond(script.now, &first, content("1"));
    script.endpoint.respond(script.now, &first, content("2"));
    script.expect(&["ACK 2.05 \"1\""]);
}

#[test]
fn a_refused_request_leaves_no_trace() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("CON POST /dp", 9));
    script.endpoint.complete(script.now, &first, Completion::Refuse);
    script.wait_secs(5);
    script.expect(&[]);
    let again = reply_to(script.says_as("CON POST /dp", 9));
    script.endpoint.respond(script.now, &again, Response::new(Code::CHANGED));
    script.expect(&["ACK 2.04"]);
}

#[test]
fn a_request_may_be_acknowledged_or_rejected_without_an_answer() {
    let mut script = Script::new();
    let first = reply_to(script.says("CON POST /dp"));
    script.endpoint.complete(script.now, &first, Completion::Accept);
    script.expect(&["ACK 0.00"]);
    script.endpoint.respond(script.now, &first, Response::new(Code::CHANGED));
    script.expect(&["CON 2.04"]);
    let second = reply_to(script.says_as("CON POST /dp", 9));
    script.endpoint.complete(script.now, &second, Completion::Reject);
    script.expect(&["RST 0.00"]);
    assert_eq!(script.says_as("CON POST /dp", 9), None);
    script.expect(&["RST 0.00"]);
}

/// Fact 37: an unknown critical option is refused with 4.02, in a NON with silence; elective ones
/// are skipped.
#[test]
fn options_that_are_not_understood() {
    for (text, answer) in [
        ("CON GET /t 65001:x", &["ACK 4.02"][..]),
        ("NON GET /t 65001:x", &[]),
        ("CON GET /t 1:0/0/16 1:0/0/16", &["ACK 4.02"]),
        ("CON GET /t 35:coap://x/", &["ACK 5.05"]),
        ("CON GET /t 39:coap", &["ACK 5.05"]),
        ("CON GET /t 9:oscore", &["ACK 4.02"]),
    ] {
        let mut script = Script::new();
        assert!(matches!(script.says(text), Some(Event::Noted(_))), "{text}");
        assert_eq!(script.sent(), answer, "{text}");
        script.wait_secs(3);
        script.expect(&[]);
    }
    let mut script = Script::new();
    reply_to(script.says("CON GET /t 65000:x 252:echo 258:2 6:12345"));
}

#[test]
fn an_over_long_query_is_a_bad_option() {
    let mut script = Script::new();
    let name = "e".repeat(300);
    let event = script.says(&format!("CON POST /rd ?ep={name}"));
    assert!(matches!(
        event,
        Some(Event::Noted(note)) if note.kind == NoteKind::BadOption(crate::OptionNumber::URI_QUERY)
    ));
    script.expect(&["ACK 4.02"]);
}

#[test]
fn no_response_is_honoured() {
    let mut script = Script::new();
    let first = reply_to(script.says_as("CON POST /dp noresponse:2", 9));
    script.endpoint.respond(script.now, &first, Response::new(Code::CHANGED));
    script.expect(&["ACK 0.00"]);
    assert_eq!(script.says_as("CON POST /dp noresponse:2", 9), None);
    script.expect(&["ACK 0.00"]);
    let second = reply_to(script.says("NON POST /dp noresponse:2"));
    script.endpoint.respond(script.now, &second, Response::new(Code::CHANGED));
    script.expect(&[]);
    let third = reply_to(script.says("NON POST /dp noresponse:2"));
    script.endpoint.respond(script.now, &third, Response::new(Code::NOT_FOUND));
    script.expect(&["NON 4.04"]);
}

#[test]
fn a_ping_gets_its_pong() {
    let mut script = Script::new();
    assert_eq!(script.hears(&[0x40, 0, 0x12, 0x34]), None);
    assert_eq!(script.sent_raw(), [[0x70, 0, 0x12, 0x34]]);
    for quiet in [[0x50, 0, 0, 1], [0x60, 0, 0, 1], [0x70, 0, 0, 1]] {
        assert!(matches!(script.hears(&quiet), None | Some(Event::Noted(_))));
        script.expect(&[]);
    }
}
