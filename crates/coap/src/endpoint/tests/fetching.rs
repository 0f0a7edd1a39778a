//! Notifications larger than a block, whose rest is fetched. Others are in [`super::observing`].

use super::observing::{get, notified, observe, observing};
use super::script::{Script, body};
use crate::{Completion, EndpointConfig, Event, Freshness, MessageId, RequestOptions, Token};

/// Fact 34: the rest of a large notification is fetched without Observe and with a fresh token.
#[test]
fn the_rest_of_a_large_notification_is_fetched() {
    let (mut script, observation) = observing("ACK 2.05 obs:1");
    let (_, token) = script.last();
    assert_eq!(script.answers_as("CON 2.05 obs:2 ct:112 2:0/1/64 etag:a +64", 70), None);
    script.expect(&["CON GET /3303 2:1/0/64"]);
    assert_ne!(script.last().1, token);
    script.answers("ACK 2.05 2:1/1/64 etag:a +64");
    script.expect(&["CON GET /3303 2:2/0/64"]);
    match script.answers("ACK 2.05 2:2/0/64 etag:a +5") {
        Some(Event::Notification { observation: found, response, reply_to, freshness, .. }) => {
            assert_eq!((found, freshness), (observation, Freshness::Fresh));
            assert_eq!(response.options.observe(), Some(2));
            assert_eq!(response.options.content_format().map(|format| format.0), Some(112));
            assert_eq!(response.payload, [body(64), body(64), body(5)].concat());
            assert_eq!((response.token, response.id), (token, MessageId::new(70)));
            script.endpoint.complete(script.now, &reply_to, Completion::Accept);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(script.sent_raw(), [[0x60, 0, 0, 70]]);
    let usage = script.endpoint.usage();
    assert_eq!((usage.transfer_bytes, usage.tokens, usage.exchanges), (0, 1, 0));
}

/// Fact 34: another ETag begins anew, once.
#[test]
fn a_resource_that_changes_during_the_fetch() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    script.answers("NON 2.05 obs:2 2:0/1/64 etag:a +64");
    script.expect(&["CON GET /3303 2:1/0/64"]);
    script.answers("ACK 2.05 2:1/1/64 etag:b +64");
    script.expect(&["CON GET /3303 2:0/0/64"]);
    script.answers("ACK 2.05 2:0/1/64 etag:b +64");
    script.expect(&["CON GET /3303 2:1/0/64"]);
    match script.answers("ACK 2.05 2:1/0/64 etag:b +1") {
        Some(Event::Notification { response, .. }) => assert_eq!(response.payload.len(), 65),
        other => panic!("{other:?}"),
    }
}

/// Fact 24: the rest may never come: then the notification counts as never seen.
#[test]
fn a_fetch_that_fails_lets_the_notification_come_again() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    script.answers_as("CON 2.05 obs:2 2:0/1/64 +64", 70);
    assert_eq!(script.answers_as("CON 2.05 obs:2 2:0/1/64 +64", 70), None);
    script.sent();
    script.wait_secs(100);
    assert!(matches!(script.events().as_slice(), [Event::Noted(_)]));
    script.sent();
    let (id, _) = (70, ());
    let (_, token) = (id, token_of_observation(&script));
    let again = super::script::write("CON 2.05 obs:2 2:0/1/64 +64", MessageId::new(70), token);
    assert_eq!(script.hears(&again), None);
    script.expect(&["CON GET /3303 2:1/0/64"]);
    match script.answers("ACK 2.05 2:1/0/64 +1") {
        Some(Event::Notification { freshness, .. }) => assert_eq!(freshness, Freshness::Fresh),
        other => panic!("{other:?}"),
    }
}

fn token_of_observation(script: &Script) -> Token {
    let found = (0..1).find_map(|slot| match script.endpoint.slots.get(slot) {
        Some(super::super::Slot::Observation(observation)) => {
            Some(Token::of_slot(5, slot, observation.random))
        }
        _ => None,
    });
    found.expect("the first slot is an observation")
}

#[test]
fn a_newer_notification_takes_the_place_of_one_that_is_being_fetched() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    let token = token_of_observation(&script);
    script.answers_as("CON 2.05 obs:2 2:0/1/64 +64", 70);
    script.expect(&["CON GET /3303 2:1/0/64"]);
    let newer = super::script::write("NON 2.05 obs:3 \"small\"", MessageId::new(71), token);
    assert_eq!(notified(script.hears(&newer)).1, "small");
    assert_eq!(script.sent_raw(), [[0x60, 0, 0, 70]]);
    let usage = script.endpoint.usage();
    assert_eq!((usage.exchanges, usage.transfer_bytes), (0, 0));
}

#[test]
fn a_large_first_answer_is_fetched_and_a_notification_waits_behind_it() {
    let mut script = Script::new();
    observe(&mut script);
    let token = script.last().1;
    assert_eq!(script.answers("ACK 2.05 obs:1 2:0/1/16 +16"), None);
    script.expect(&["CON GET /3303 2:1/0/16"]);
    assert_ne!(script.last().1, token);
    let early = super::script::write("NON 2.05 obs:2 \"2\"", MessageId::new(71), token);
    assert_eq!(script.hears(&early), None);
    match script.answers("ACK 2.05 2:1/0/16 +3") {
        Some(Event::Response { response, .. }) => {
            assert_eq!((response.payload.len(), response.options.observe()), (19, Some(1)));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(notified(script.events().pop()).1, "2");
    assert_eq!(script.endpoint.usage().tokens, 1);
}

#[test]
fn a_device_with_small_blocks_is_asked_for_them_from_the_start() {
    let config = EndpointConfig { block_size_max: 64, ..EndpointConfig::default() };
    let mut script = Script::with(config);
    let (now, to) = (script.now, script.peer);
    script.endpoint.observe(now, to, get(), RequestOptions::default());
    script.expect(&["CON GET /3303 obs:0 2:0/0/64"]);
}
