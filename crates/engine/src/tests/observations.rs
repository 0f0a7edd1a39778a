//! Observations and notifications: OMA Core 6.4, RFC 7641, section 5 of the compatibility contract.

use coap::{Code, Freshness, Reliability, Token, Type};
use lwm2m::{Format, Operation};

use super::rig::{Msg, Rig, cancel, observe, path, peer, peer_at};
use crate::{CommandError, Completion, Continuation, Origin, Rebind, Settings};

fn rig() -> Rig {
    Rig::registered(Settings::default()).0
}

fn notify(token: Token, kind: Type, id: u16) -> Msg {
    Msg::with_token(token, kind, Code::CONTENT, id).payload("22").format(0)
}

/// Cases ETS 301, G1: the notification carries all that the contract needs.
#[test]
fn a_notification_is_handed_up_with_all_it_says() {
    let mut rig = rig();
    let token = rig.observed(0);
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 900).observe(7));
    let [notification] = rig.notifications()[..] else { panic!("{:?}", rig.events) };
    assert_eq!(notification.path, path("/3303/0/5700"));
    assert_eq!(notification.origin.as_bytes(), b"observe");
    assert_eq!((notification.observe, notification.sequence), (Some(7), 7));
    assert_eq!((notification.code, notification.format), (Code::CONTENT, Some(Format::TEXT)));
    assert_eq!(notification.body, b"22");
    assert_eq!(notification.reliability, Reliability::NonConfirmable);
    assert_eq!(notification.freshness, Freshness::Fresh);
    assert_eq!(notification.continuation, Continuation::Ongoing);
    assert!(rig.sent.is_empty());
}

/// Fact 30: a confirmable one is acknowledged when responsibility is taken, also if nobody could
/// decode it (case G7).
#[test]
fn a_confirmable_notification_is_acknowledged_by_the_driver() {
    let mut rig = rig();
    let token = rig.observed(0);
    rig.completion = None;
    let message = notify(token, Type::Confirmable, 900).observe(7).format(9999);
    rig.send(peer(1), &message);
    assert!(rig.sent.is_empty());
    let reply_to = rig.refused.pop().unwrap();
    assert!(reply_to.is_confirmable());
    rig.server.complete(rig.now, &reply_to, Completion::Accept);
    rig.settle();
    assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Acknowledgement, message.id));
}

/// A notification that is refused is not remembered: its retransmission counts as new.
#[test]
fn a_refused_notification_comes_again() {
    let mut rig = rig();
    let token = rig.observed(0);
    rig.completion = Some(Completion::Refuse);
    let message = notify(token, Type::Confirmable, 900).observe(7);
    rig.send(peer(1), &message);
    assert!(rig.sent.is_empty());
    rig.completion = Some(Completion::Accept);
    rig.send(peer(1), &message);
    assert_eq!(rig.notifications().len(), 2);
    assert_eq!(rig.sent.len(), 1);
}

/// A repeated notification is acknowledged again and published once.
#[test]
fn a_repeated_notification_comes_up_once() {
    let mut rig = rig();
    let token = rig.observed(0);
    let message = notify(token, Type::Confirmable, 900).observe(7);
    (0..3).for_each(|_| rig.send(peer(1), &message));
    assert_eq!(rig.notifications().len(), 1);
    assert_eq!(rig.sent.len(), 3);
    let non = notify(token, Type::NonConfirmable, 901).observe(8);
    (0..3).for_each(|_| rig.send(peer(1), &non));
    assert_eq!(rig.notifications().len(), 2);
}

/// Fact 29: an older Observe number is marked; whether it is published is the bridge's business.
#[test]
fn a_stale_notification_is_marked() {
    let mut rig = rig();
    let token = rig.observed(5);
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 900).observe(9));
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 901).observe(7));
    let seen: Vec<_> = rig.notifications().iter().map(|n| (n.sequence, n.freshness)).collect();
    assert_eq!(seen, [(9, Freshness::Fresh), (7, Freshness::Stale)]);
}

/// Devices on some vendor kits leave the Observe option out: the number is made up and grows.
#[test]
fn a_missing_observe_number_is_made_up() {
    let mut rig = rig();
    rig.submit(observe("/3303/0/5700")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT).payload("1"));
    let answer = rig.finished()[0].result.clone().unwrap();
    assert_eq!((answer.observe, answer.sequence), (None, Some(1)));
    for id in 900..903 {
        rig.send(peer(1), &notify(request.token, Type::Confirmable, id));
    }
    let seen: Vec<_> = rig.notifications().iter().map(|n| (n.observe, n.sequence)).collect();
    assert_eq!(seen, [(None, 2), (None, 3), (None, 4)]);
}

/// Fact 32: (case G5) an error code ends the observation; its repetition is still acknowledged
/// once.
#[test]
fn an_error_notification_ends_the_observation() {
    for kind in [Type::Confirmable, Type::NonConfirmable] {
        let mut rig = rig();
        let token = rig.observed(0);
        let message = Msg::with_token(token, kind, Code::NOT_FOUND, 900);
        rig.send(peer(1), &message);
        let [notification] = rig.notifications()[..] else { panic!("{:?}", rig.events) };
        assert_eq!(notification.code, Code::NOT_FOUND);
        assert_eq!(notification.continuation, Continuation::Ended);
        assert_eq!(rig.server.observations(), 0);
        let acknowledged = usize::from(kind == Type::Confirmable);
        assert_eq!(rig.sent.len(), acknowledged);
        rig.sent.clear();
        let later = notify(token, Type::Confirmable, 901).observe(1);
        rig.send(peer(1), &later);
        assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Reset, later.id));
        assert_eq!(rig.notifications().len(), 1);
    }
}

/// The end of an observation is not lost when there is no room for it.
#[test]
fn a_refused_last_notification_leaves_the_observation() {
    let mut rig = rig();
    let token = rig.observed(0);
    rig.completion = Some(Completion::Refuse);
    let message = Msg::with_token(token, Type::Confirmable, Code::NOT_FOUND, 900);
    rig.send(peer(1), &message);
    assert_eq!(rig.server.observations(), 1);
    rig.completion = Some(Completion::Accept);
    rig.send(peer(1), &message);
    assert_eq!((rig.server.observations(), rig.sent.len()), (0, 1));
}

/// Fact 85: a notification may come before the answer to its observe.
#[test]
fn a_notification_may_come_before_the_answer() {
    let mut rig = rig();
    let id = rig.submit(observe("/3303/0/5700")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &Msg::empty(Type::Acknowledgement, request.id));
    rig.events.clear();
    let response = Msg::with_token(request.token, Type::Confirmable, Code::CONTENT, 900);
    rig.send(peer(1), &response.clone().observe(3));
    rig.send(peer(1), &notify(request.token, Type::Confirmable, 901).observe(4));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
    assert_eq!(rig.notifications().len(), 1);
    assert_eq!(rig.server.observations(), 1);
}

/// Design 2: a second observe of the same keeps the token and replaces what is echoed.
#[test]
fn a_second_observe_keeps_the_token_and_replaces_the_origin() {
    let mut rig = rig();
    let token = rig.observed(0);
    rig.submit_with(observe("/3303/0/5700"), |command| command.origin = Origin::new(b"second"))
        .unwrap();
    let request = rig.take_request();
    assert_eq!(request.token, token);
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(1));
    assert_eq!(rig.server.observations(), 1);
    rig.events.clear();
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 900).observe(2));
    assert_eq!(rig.notifications()[0].origin.as_bytes(), b"second");
}

#[test]
fn other_paths_and_formats_are_observations_of_their_own() {
    let mut rig = rig();
    let token = rig.observed(0);
    let other = |accept| Operation::Observe { path: path("/3303/0/5700"), accept };
    for operation in [other(Some(Format::SENML_JSON)), observe("/3303/0"), observe("/3")] {
        rig.submit(operation).unwrap();
        let request = rig.take_request();
        assert_ne!(request.token, token);
        rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    }
    assert_eq!(rig.server.observations(), 4);
}

#[test]
fn an_observe_that_is_refused_or_unanswered_leaves_nothing() {
    for answered in [true, false] {
        let mut rig = rig();
        rig.submit(observe("/3303/0/5700")).unwrap();
        let request = rig.take_request();
        if answered {
            rig.send(peer(1), &request.answer(Code::NOT_FOUND));
        } else {
            rig.secs(120);
        }
        assert_eq!(rig.server.observations(), 0);
        rig.sent.clear();
        let late = notify(request.token, Type::Confirmable, 900).observe(1);
        rig.send(peer(1), &late);
        assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Reset, late.id));
    }
}

/// An error to the second observe says that the device does not observe any more.
#[test]
fn an_error_to_a_second_observe_ends_the_observation() {
    let mut rig = rig();
    rig.observed(0);
    rig.submit(observe("/3303/0/5700")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::NOT_FOUND));
    assert_eq!(rig.server.observations(), 0);
}

/// Silence to the second observe says nothing: the first goes on.
#[test]
fn an_unanswered_second_observe_leaves_the_first() {
    let mut rig = rig();
    let token = rig.observed(0);
    let id = rig.submit(observe("/3303/0/5700")).unwrap();
    rig.secs(120);
    assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: false }));
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 900).observe(2));
    assert_eq!(rig.notifications().len(), 1);
}

/// Fact 33: (cases ETS 303, G4) cancelled with the token, path and Accept of the observation; what
/// comes afterwards is reset and not published.
#[test]
fn a_cancel_uses_the_token_and_format_of_the_observation() {
    let mut rig = rig();
    let accept = Some(Format::SENML_JSON);
    rig.submit(Operation::Observe { path: path("/3303/0/5700"), accept }).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    let id = rig.submit(cancel("/3303/0/5700")).unwrap();
    let cancelling = rig.take_request();
    let options = cancelling.options.options();
    assert_eq!(cancelling.token, request.token);
    assert_eq!(options.observe(), Some(1));
    assert_eq!(options.accept().map(|format| format.0), Some(110));
    let late = notify(request.token, Type::Confirmable, 900).observe(1);
    rig.send(peer(1), &late);
    assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Reset, late.id));
    rig.send(peer(1), &cancelling.answer(Code::CONTENT).payload("20"));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
    assert!(rig.notifications().is_empty());
    assert_eq!(rig.server.observations(), 0);
}

/// Without an observation the cancel goes out all the same: the device may know one.
#[test]
fn a_cancel_of_nothing_has_a_new_token() {
    let mut rig = rig();
    let id = rig.submit(cancel("/3303/0/5700")).unwrap();
    let request = rig.take_request();
    assert_eq!(request.options.options().observe(), Some(1));
    rig.send(peer(1), &request.answer(Code::CONTENT));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
}

/// Facts 9, 19, 27: (case ETS 302) after a new Register or a Deregister the old tokens are dead.
#[test]
fn the_end_of_a_registration_ends_its_observations() {
    for again in [true, false] {
        let (mut rig, location) = Rig::registered(Settings::default());
        let token = rig.observed(0);
        if again {
            rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
        } else {
            let delete = Msg::request(Code::DELETE, rig.id(), &location);
            rig.ask(peer(1), &delete);
        }
        rig.events.clear();
        rig.sent.clear();
        let late = notify(token, Type::Confirmable, 900).observe(1);
        rig.send(peer(1), &late);
        assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Reset, late.id));
        assert!(rig.notifications().is_empty());
    }
}

/// Fact 9: an Update leaves observations alone.
#[test]
fn an_update_leaves_observations_alone() {
    let (mut rig, location) = Rig::registered(Settings::default());
    let token = rig.observed(0);
    let update = Msg::post(rig.id(), &location).payload("</3303/0>");
    rig.ask(peer(1), &update);
    rig.send(peer(1), &notify(token, Type::NonConfirmable, 900).observe(1));
    assert_eq!(rig.notifications().len(), 1);
}

/// Case G8: a notification from a new address is known by its token.
#[test]
fn a_notification_from_a_new_address_moves_the_device_if_allowed() {
    for (rebind, names) in [
        (Rebind::Accept, vec!["address_changed", "notified"]),
        (Rebind::Refuse, vec!["address_refused"]),
    ] {
        let settings = Settings { nosec_rebind: rebind, ..Settings::default() };
        let (mut rig, _) = Rig::registered(settings);
        let token = rig.observed(0);
        let message = notify(token, Type::Confirmable, 900).observe(1);
        rig.send(peer_at(1, 6000), &message);
        assert_eq!(rig.take_names(), names);
        let (to, answer) = rig.sent.pop_front().unwrap();
        let kind = match rebind {
            Rebind::Refuse => Type::Reset,
            Rebind::Accept => Type::Acknowledgement,
        };
        assert_eq!((to, answer.kind), (peer_at(1, 6000), kind));
        if rebind == Rebind::Accept {
            rig.submit(super::rig::read("/3/0")).unwrap();
            assert_eq!(rig.sent.pop_front().unwrap().0, peer_at(1, 6000));
        }
    }
}

/// 512 bytes are what an observation keeps of its origin.
#[test]
fn an_origin_too_large_to_be_kept_is_refused() {
    let mut rig = rig();
    for (len, accepted) in [(Origin::OBSERVE_LEN_MAX, true), (Origin::OBSERVE_LEN_MAX + 1, false)] {
        let origin = Origin::from(vec![b'x'; len]);
        let result = rig.submit_with(observe("/3303/0"), |command| command.origin = origin);
        assert_eq!(result.is_ok(), accepted);
    }
}

#[test]
fn composite_observations_are_told_apart_by_their_paths() {
    let mut rig = rig();
    let paths = vec![path("/3/0/9"), path("/3303/0/5700")];
    rig.submit(Operation::ObserveComposite { paths: paths.clone(), accept: None }).unwrap();
    let request = rig.take_request();
    assert_eq!((request.code, request.uri().as_str()), (Code::FETCH, ""));
    assert_eq!(request.options.options().observe(), Some(0));
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    rig.submit(Operation::CancelObserveComposite { paths: paths.clone() }).unwrap();
    let cancelling = rig.take_request();
    assert_eq!((cancelling.token, &cancelling.payload), (request.token, &request.payload));
    assert_eq!(rig.server.observations(), 0);
}
