//! Observation: RFC 7641 3, 4 and what real devices make of it.

use super::script::{Script, peer};
use crate::time::Duration;
use crate::{
    Code, Completion, Event, ExchangeFailure, ExchangeId, Freshness, MessageId, ObservationId,
    OptionNumber, Reliability, ReplyTo, Request, RequestOptions, Response, Token,
};

pub(super) fn get() -> Request {
    let mut request = Request::new(Code::GET);
    request.options.uri_path("3303");
    request.options.accept(112);
    request
}

pub(super) fn observe(script: &mut Script) -> (ExchangeId, ObservationId) {
    let (now, to) = (script.now, script.peer);
    let ids = script.endpoint.observe(now, to, get(), RequestOptions::default());
    script.expect(&["CON GET /3303 obs:0"]);
    ids
}

pub(super) fn observing(first: &str) -> (Script, ObservationId) {
    let mut script = Script::new();
    let (exchange, observation) = observe(&mut script);
    match script.answers(first) {
        Some(Event::Response { exchange: found, .. }) => assert_eq!(found, exchange),
        other => panic!("{other:?}"),
    }
    (script, observation)
}

/// Number, text and freshness of a notification, and how to complete it.
#[track_caller]
pub(super) fn notified(event: Option<Event<'static>>) -> (Option<u32>, String, Freshness, ReplyTo) {
    match event {
        Some(Event::Notification { reply_to, response, freshness, .. }) => {
            let text = String::from_utf8_lossy(&response.payload).into_owned();
            (response.options.observe(), text, freshness, reply_to)
        }
        other => panic!("no notification: {other:?}"),
    }
}

#[track_caller]
fn response(event: Option<Event<'static>>) -> String {
    match event {
        Some(Event::Response { response, .. }) => {
            String::from_utf8_lossy(&response.payload).into_owned()
        }
        other => panic!("no response: {other:?}"),
    }
}

/// RFC 7641 figure 2 and appendix A: one registration, notifications in their order.
#[test]
fn notifications_come_up_with_their_number_and_freshness() {
    let (mut script, _) = observing("ACK 2.05 obs:9 \"18.5_Cel\"");
    for (text, number, freshness) in [
        ("NON 2.05 obs:16 \"19.2_Cel\"", Some(16), Freshness::Fresh),
        ("NON 2.05 obs:44 \"19.7_Cel\"", Some(44), Freshness::Fresh),
        ("NON 2.05 obs:23 \"19.2_Cel\"", Some(23), Freshness::Stale),
        ("NON 2.05 obs:44 \"19.7_Cel\"", Some(44), Freshness::Stale),
        ("NON 2.05 \"19.7_Cel\"", None, Freshness::NoNumber),
    ] {
        let (found, _, judged, _) = notified(script.answers(text));
        assert_eq!((found, judged), (number, freshness), "{text}");
    }
    script.wait_secs(129);
    assert_eq!(notified(script.answers("NON 2.05 obs:3")).2, Freshness::Fresh);
    script.expect(&[]);
}

/// Fact 30: a confirmable notification with a known token is acknowledged, when it was taken.
#[test]
fn a_confirmable_notification_is_acknowledged_when_it_is_completed() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    let (_, _, _, first) = notified(script.answers_as("CON 2.05 obs:2 \"a\"", 70));
    script.wait_secs(2);
    assert_eq!(script.answers_as("CON 2.05 obs:2 \"a\"", 70), None);
    script.expect(&[]);
    script.endpoint.complete(script.now, &first, Completion::Accept);
    assert_eq!(script.sent_raw(), [[0x60, 0, 0, 70]]);
    assert_eq!(script.answers_as("CON 2.05 obs:2 \"a\"", 70), None);
    assert_eq!(script.sent_raw(), [[0x60, 0, 0, 70]]);
    assert_eq!(script.endpoint.usage().remembered_requests, 0);
}

#[test]
fn a_refused_notification_counts_as_new_when_it_is_repeated() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    let (_, _, _, first) = notified(script.answers_as("CON 2.05 obs:2 \"a\"", 70));
    script.endpoint.complete(script.now, &first, Completion::Refuse);
    script.expect(&[]);
    let (number, text, freshness, again) = notified(script.answers_as("CON 2.05 obs:2 \"a\"", 70));
    assert_eq!((number, text.as_str(), freshness), (Some(2), "a", Freshness::Fresh));
    script.endpoint.complete(script.now, &again, Completion::Accept);
    script.expect(&["ACK 0.00"]);
    let (_, _, _, third) = notified(script.answers_as("CON 2.05 obs:3", 71));
    script.endpoint.complete(script.now, &third, Completion::Reject);
    script.expect(&["RST 0.00"]);
}

#[test]
fn a_repeated_non_confirmable_notification_comes_up_once() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    notified(script.answers_as("NON 2.05 obs:2", 70));
    assert_eq!(script.answers_as("NON 2.05 obs:2", 70), None);
    assert_eq!(script.endpoint.stats().duplicates, 1);
    // A device whose Observe number never changes does not go mute.
    assert_eq!(notified(script.answers_as("NON 2.05 obs:2", 71)).2, Freshness::Stale);
}

/// Fact 27: no token of the past is served. Fact 30: a notification with an unknown or former token
/// gets Reset, CON or NON.
#[test]
fn a_notification_that_nobody_waits_for_gets_reset() {
    for kind in ["CON", "NON"] {
        let (mut script, observation) = observing("ACK 2.05 obs:1");
        script.endpoint.forget_observation(observation);
        let event = script.answers_as(&format!("{kind} 2.05 obs:2"), 70);
        assert!(matches!(event, Some(Event::Noted(_))));
        assert_eq!(script.sent_raw(), [[0x70, 0, 0, 70]]);
        assert_eq!(script.endpoint.usage().tokens, 0);
    }
}

/// Fact 27: a slot is used again, but a late notification never reaches its new user.
#[test]
fn a_slot_that_is_used_again_has_another_token() {
    let (mut script, former) = observing("ACK 2.05 obs:1");
    let (_, token) = script.last();
    script.endpoint.forget_observation(former);
    let (_, observation) = observe(&mut script);
    assert_eq!((observation.slot(), former.slot()), (0, 0));
    assert_ne!(observation, former);
    let late = super::script::write("NON 2.05 obs:2", MessageId::new(70), token);
    assert!(matches!(script.hears(&late), Some(Event::Noted(_))));
    script.expect(&["RST 0.00"]);
}

#[test]
fn the_slot_lives_on_without_an_observe_option_in_the_answer() {
    let (mut script, _) = observing("ACK 2.05 \"1\"");
    assert_eq!(notified(script.answers("NON 2.05 \"2\"")).2, Freshness::NoNumber);
}

/// Fact 32: an error code in a notification is handed up; its owner forgets the observation.
#[test]
fn an_error_notification_comes_up_and_an_error_answer_ends_the_observation() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    match script.answers("CON 4.04") {
        Some(Event::Notification { response, .. }) => assert_eq!(response.code, Code::NOT_FOUND),
        other => panic!("{other:?}"),
    }
    let (mut script, _) = observing("ACK 4.05");
    assert_eq!(script.endpoint.usage().tokens, 0);
    assert!(matches!(script.answers("NON 2.05 obs:2"), Some(Event::Noted(_))));
}

/// Fact 85: a notification behind the answer is neither a separate response nor unknown.
#[test]
fn a_notification_right_behind_the_answer() {
    let (mut script, _) = observing("ACK 2.05 obs:1 \"1\"");
    assert_eq!(notified(script.answers("CON 2.05 obs:2 \"2\"")).1, "2");
}

/// Fact 85: a notification before the answer comes up behind it.
#[test]
fn a_notification_that_overtakes_the_answer() {
    for kind in ["CON", "NON"] {
        let mut script = Script::new();
        observe(&mut script);
        assert_eq!(script.answers_as(&format!("{kind} 2.05 obs:2 \"2\""), 70), None);
        assert_eq!(script.answers_as(&format!("{kind} 2.05 obs:2 \"2\""), 70), None);
        assert_eq!(response(script.answers("ACK 2.05 obs:1 \"1\"")), "1");
        script.expect(&[]);
        let mut events = script.events();
        let (number, text, freshness, reply_to) = notified(events.pop());
        assert_eq!((number, text.as_str(), freshness), (Some(2), "2", Freshness::Fresh));
        assert_eq!(events, []);
        script.endpoint.complete(script.now, &reply_to, Completion::Accept);
        assert_eq!(script.sent().len(), usize::from(kind == "CON"));
    }
}

/// Fact 85, fact 28: before an empty acknowledgement it was the separate response.
#[test]
fn a_separate_response_that_overtakes_its_acknowledgement() {
    let mut script = Script::new();
    let (exchange, _) = observe(&mut script);
    assert_eq!(script.answers_as("CON 2.05 obs:1 \"1\"", 70), None);
    match script.answers("ACK 0.00") {
        Some(Event::Response { exchange: found, .. }) => assert_eq!(found, exchange),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.sent_raw(), [[0x60, 0, 0, 70]]);
    assert_eq!(script.answers_as("CON 2.05 obs:1 \"1\"", 70), None);
    script.expect(&["ACK 0.00"]);
    notified(script.answers("NON 2.05 obs:2"));
}

/// Fact 28: the separate answer to an observe, in its usual order.
#[test]
fn a_separate_answer_to_an_observe() {
    let mut script = Script::new();
    let (exchange, _) = observe(&mut script);
    assert_eq!(script.answers("ACK 0.00"), Some(Event::Acked { exchange }));
    assert_eq!(response(script.answers_as("CON 2.05 obs:1 \"1\"", 70)), "1");
    script.expect(&["ACK 0.00"]);
    assert_eq!(script.answers_as("CON 2.05 obs:1 \"1\"", 70), None);
    script.expect(&["ACK 0.00"]);
    notified(script.answers("NON 2.05 obs:2"));
}

/// Fact 85: if no acknowledgement ever comes, what came counts as the answer.
#[test]
fn what_came_early_counts_as_the_answer_in_the_end() {
    let mut script = Script::new();
    let (exchange, _) = observe(&mut script);
    script.answers_as("CON 2.05 obs:1 \"1\"", 70);
    script.wait_secs(94);
    match script.events().as_slice() {
        [Event::Response { exchange: found, .. }] => assert_eq!(*found, exchange),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.sent().last().map(String::as_str), Some("ACK 0.00"));
    notified(script.answers("NON 2.05 obs:2"));
}

/// Fact 85: a second early message shows that the peer observes: the first one was as good as the
/// answer.
#[test]
fn two_early_messages_are_the_answer_and_a_notification() {
    let mut script = Script::new();
    observe(&mut script);
    assert_eq!(script.answers("NON 2.05 obs:1 \"1\""), None);
    assert_eq!(response(script.answers("NON 2.05 obs:2 \"2\"")), "1");
    assert_eq!(notified(script.events().pop()).1, "2");
    assert_eq!(script.answers("ACK 2.05 obs:1 \"1\""), None);
    script.wait_secs(100);
    script.expect(&[]);
    assert_eq!(script.events(), []);
}

/// Fact 33: active cancelling uses the observation's token with Observe 1, and passive cancelling
/// remembers nothing but that the token is no longer in use.
#[test]
fn cancelling_actively() {
    let (mut script, observation) = observing("ACK 2.05 obs:1");
    let (_, token) = script.last();
    let (now, to) = (script.now, script.peer);
    let options = RequestOptions::default;
    let exchange = script.endpoint.cancel_observe(now, to, observation, get(), options());
    script.expect(&["CON GET /3303 obs:1"]);
    assert_eq!(script.last().1, token);
    assert_eq!(script.answers_as("CON 2.05 obs:2", 70), None);
    assert_eq!(script.sent_raw(), [[0x70, 0, 0, 70]]);
    match script.answers("ACK 2.05 \"1\"") {
        Some(Event::Response { exchange: found, .. }) => assert_eq!(found, exchange),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.endpoint.usage().tokens, 0);
    let again = script.endpoint.cancel_observe(now, to, observation, get(), options());
    let reason = ExchangeFailure::NoObservation;
    assert_eq!(script.events(), [Event::Failed { exchange: again, reason }]);
}

#[test]
fn cancelling_takes_a_separate_answer_and_ends_at_a_time_out_too() {
    let (mut script, observation) = observing("ACK 2.05 obs:1");
    let (now, to) = (script.now, script.peer);
    let options = RequestOptions::default();
    script.endpoint.cancel_observe(now, to, observation, get(), options.clone());
    script.sent();
    script.answers("ACK 0.00");
    assert_eq!(response(script.answers("CON 2.05 \"1\"")), "1");
    let (mut script, observation) = observing("ACK 2.05 obs:1");
    script.endpoint.cancel_observe(now, to, observation, get(), options);
    script.wait_secs(100);
    assert!(matches!(script.events().as_slice(), [Event::TimedOut { .. }]));
    assert_eq!(script.endpoint.usage().tokens, 0);
}

#[test]
fn observing_again_keeps_the_token_and_survives_silence() {
    let (mut script, observation) = observing("ACK 2.05 obs:1");
    let (_, token) = script.last();
    let (now, to) = (script.now, script.peer);
    let options = RequestOptions::default;
    script.endpoint.reobserve(now, to, observation, get(), options());
    script.expect(&["CON GET /3303 obs:0"]);
    assert_eq!(script.last().1, token);
    script.wait_secs(100);
    assert!(matches!(script.events().as_slice(), [Event::TimedOut { .. }]));
    script.sent();
    notified(script.answers("NON 2.05 obs:2"));
    script.endpoint.reobserve(script.now, to, observation, get(), options());
    script.sent();
    response(script.answers("ACK 4.04"));
    assert_eq!(script.endpoint.usage().tokens, 0);
}

#[test]
fn an_unanswered_observe_leaves_nothing() {
    for ends in ["time-out", "reset", "cancel"] {
        let mut script = Script::new();
        let (exchange, _) = observe(&mut script);
        match ends {
            "reset" => drop(script.answers("RST 0.00")),
            "cancel" => script.endpoint.cancel(exchange),
            _ => script.wait_secs(100),
        }
        assert_eq!(script.endpoint.usage().tokens, 0, "{ends}");
        assert_eq!(script.endpoint.usage().exchanges, 0, "{ends}");
    }
}

#[test]
fn forgetting_an_observation_that_is_being_asked_for_still_ends_its_exchange() {
    let mut script = Script::new();
    let (exchange, observation) = observe(&mut script);
    script.endpoint.forget_observation(observation);
    match script.answers("ACK 2.05 obs:1") {
        Some(Event::Response { exchange: found, .. }) => assert_eq!(found, exchange),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.endpoint.usage().tokens, 0);
}

#[test]
fn an_observation_survives_a_restart() {
    let (mut script, observation) = observing("ACK 2.05 obs:5");
    let (_, token) = script.last();
    let (_, _, _, reply_to) = notified(script.answers_as("CON 2.05 obs:6", 70));
    script.endpoint.complete(script.now, &reply_to, Completion::Accept);
    script.sent();
    let state = script.endpoint.export_observation(observation).unwrap();
    let mut after = Script::new();
    after.now = script.now + Duration::from_secs(10);
    assert_eq!(after.endpoint.restore_observation(after.now, state.clone()), Some(observation));
    assert_eq!(after.endpoint.restore_observation(after.now, state.clone()), None);
    assert_eq!(after.endpoint.export_observation(observation), Some(state.clone()));
    let says = |text, id| super::script::write(text, MessageId::new(id), token);
    assert_eq!(after.hears(&says("CON 2.05 obs:6", 70)), None);
    after.expect(&["ACK 0.00"]);
    assert_eq!(notified(after.hears(&says("NON 2.05 obs:4", 71))).2, Freshness::Stale);
    assert_eq!(after.hears(&says("NON 2.05 obs:7 2:0/1/16 +16", 72)), None);
    after.expect(&["CON GET /3303 2:1/0/16"]);
    let foreign = Token::of_slot(6, 9, 1);
    let foreign = crate::ObservationState { token: foreign, ..state };
    assert_eq!(after.endpoint.restore_observation(after.now, foreign), None);
}

/// Fact 31: a device that gets no acknowledgement for a confirmable notification learns it, and may
/// then drop the observer.
#[test]
fn the_servers_role_notifies_and_learns_what_became_of_it() {
    let mut script = Script::new();
    let (now, to, token) = (script.now, script.peer, script.token);
    let mut response = Response::new(Code::CONTENT);
    response.options.observe(2);
    let notify = |script: &mut Script, reliability| {
        script.endpoint.notify(now, to, token, response.clone(), reliability)
    };
    let exchange = notify(&mut script, Reliability::Confirmable);
    script.expect(&["CON 2.05 obs:2"]);
    assert_eq!(script.answers("ACK 0.00"), Some(Event::Acked { exchange }));
    let exchange = notify(&mut script, Reliability::Confirmable);
    script.sent();
    assert_eq!(script.answers("RST 0.00"), Some(Event::Reset { exchange }));
    let exchange = notify(&mut script, Reliability::NonConfirmable);
    script.expect(&["NON 2.05 obs:2"]);
    assert_eq!(script.answers("RST 0.00"), Some(Event::Reset { exchange }));
    assert_eq!(script.answers("RST 0.00"), None);
    let exchange = notify(&mut script, Reliability::Confirmable);
    script.wait_secs(100);
    assert_eq!(script.events(), [Event::TimedOut { exchange, acked: false }]);
}

#[test]
fn a_notification_from_a_new_address_says_so() {
    let (mut script, _) = observing("ACK 2.05 obs:1");
    script.peer = peer(9);
    match script.answers("CON 2.05 obs:2") {
        Some(Event::Notification { peer: from, reply_to, .. }) => {
            assert_eq!((from, reply_to.peer()), (peer(9), peer(9)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn equal_requests_of_many_observations_are_kept_once() {
    let mut script = Script::new();
    let observations: Vec<_> = (0..500)
        .map(|port| {
            let options = RequestOptions::default();
            script.endpoint.observe(script.now, peer(port), get(), options).1
        })
        .collect();
    assert_eq!(script.endpoint.asked.len(), 1);
    script.wait_secs(100);
    script.sent();
    observations.into_iter().for_each(|id| script.endpoint.forget_observation(id));
    for path in 0..500u32 {
        let mut request = get();
        request.options.push_uint(OptionNumber::URI_PATH, u64::from(path));
        let options = RequestOptions::default();
        let (exchange, _) = script.endpoint.observe(script.now, peer(1), request, options);
        script.endpoint.cancel(exchange);
    }
    assert!(script.endpoint.asked.len() <= 65);
}
