//! Observations that nobody asked for: section 7 of the compatibility contract, table 0.1 ("auto
//! observe pace").

use std::sync::Arc;

use coap::{Code, Duration};

use super::arming::{
    ECHO, again, answer, answer_all, auto, listed, observe_as, observed, rig, take_observe,
};
use super::rig::{LINKS, Msg, Rig, peer, read};
use crate::{CommandError, NoteKind, ObserveCause, Origin, Profile, Rearm, Settings};

#[test]
fn everything_registered_is_observed_in_order_without_being_asked() {
    for (profile, expected) in [
        (Profile::Emqx4, vec!["/1/0", "/3/0", "/3303/0"]),
        (Profile::Emqx5, vec!["/3/0", "/3303/0"]),
    ] {
        let (mut rig, _) = Rig::registered(auto(profile));
        assert_eq!(answer_all(&mut rig, Duration::from_secs(5)), expected);
        let causes: Vec<_> = observed(&rig).iter().map(|observed| observed.cause).collect();
        assert_eq!(causes, vec![ObserveCause::Automatic; expected.len()]);
        assert_eq!(observed(&rig)[0].origin, Origin::default());
        assert_eq!(rig.server.stats().auto_observed, expected.len() as u64);
        again(&mut rig);
        assert_eq!(answer_all(&mut rig, Duration::from_secs(5)), expected, "{profile:?}");
        assert_eq!(rig.server.observations(), expected.len());
    }
}

/// Table 0.1: one at a time; in profile 4 at least 100 ms apart, two seconds after the first
/// Register and at once after another.
#[test]
fn the_pace_is_that_of_the_profile() {
    let (mut rig, _) = Rig::registered(auto(Profile::Emqx4));
    rig.advance(Duration::from_millis(1_990));
    assert_eq!(rig.requests(), 0);
    rig.advance(Duration::from_millis(30));
    for round in 0..2 {
        for left in [2, 1, 0] {
            let request = take_observe(&mut rig);
            answer(&mut rig, &request);
            rig.advance(Duration::from_millis(80));
            assert_eq!(rig.requests(), 0, "round {round}, {left} left");
            rig.advance(Duration::from_millis(30));
            assert_eq!(rig.requests(), usize::from(left > 0));
        }
        rig.secs(1);
        if round == 0 {
            again(&mut rig);
        }
    }
    let (mut rig, _) = Rig::registered(auto(Profile::Emqx5));
    for left in [1, 0] {
        let request = take_observe(&mut rig);
        answer(&mut rig, &request);
        assert_eq!(rig.requests(), left);
    }
}

/// A sleepy device listens for a moment only, and that must not pass unused.
#[test]
fn a_sleepy_device_is_asked_at_once() {
    let mut rig = Rig::new(auto(Profile::Emqx4));
    rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&b=U&Q");
    assert_eq!(take_observe(&mut rig).uri(), "/1/0");
}

/// What is refused or not answered is said once, and asked again at the next Register only.
#[test]
fn an_automatic_observe_that_fails_is_over() {
    let (mut rig, location) = Rig::registered(listed(Profile::Emqx5, &["/3/0", "/3303/0"]));
    let request = take_observe(&mut rig);
    rig.send(peer(1), &request.answer(Code::METHOD_NOT_ALLOWED));
    let silent = take_observe(&mut rig);
    assert_eq!(silent.uri(), "/3303/0");
    rig.secs(130);
    let ends: Vec<_> = observed(&rig).into_iter().map(|found| found.result.clone()).collect();
    assert_eq!(ends[0].as_ref().unwrap().code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(ends[1], Err(CommandError::Timeout { acked: false }));
    assert_eq!((ends.len(), rig.server.observations()), (2, 0));
    assert_eq!(rig.server.stats().auto_observe_failed, 2);
    rig.sent.clear();
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.requests(), 0);
    again(&mut rig);
    assert_eq!(answer_all(&mut rig, Duration::from_secs(1)), ["/3/0", "/3303/0"]);
}

/// A device that does not answer one observe is not asked for the next before it says something.
#[test]
fn a_silent_device_is_left_alone() {
    let (mut rig, location) = Rig::registered(listed(Profile::Emqx5, &["/3/0", "/3303/0"]));
    let sent = take_observe(&mut rig);
    rig.secs(1_000);
    assert!(rig.sent.iter().all(|(_, message)| message.token == sent.token), "repeated at most");
    rig.sent.clear();
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(take_observe(&mut rig).uri(), "/3303/0");
}

/// With `rearm = false` everything is as in EMQX.
#[test]
fn without_rearming_only_profile_4_observes_again_and_only_by_itself() {
    for (profile, first, second) in [
        (Profile::Emqx4, vec!["/1/0", "/3/0", "/3303/0"], vec!["/1/0", "/3/0", "/3303/0"]),
        (Profile::Emqx5, vec!["/3/0", "/3303/0"], vec![]),
    ] {
        let settings = Settings { rearm: Rearm::Off, ..auto(profile) };
        let (mut rig, _) = Rig::registered(settings);
        assert_eq!(answer_all(&mut rig, Duration::from_secs(5)), first);
        observe_as(&mut rig, "/3303/0/5700", ECHO);
        again(&mut rig);
        assert_eq!(answer_all(&mut rig, Duration::from_secs(5)), second, "{profile:?}");
    }
}

/// What is both listed and asked for is observed once, for the command.
#[test]
fn what_is_listed_and_asked_for_is_observed_once() {
    let (mut rig, _) = Rig::registered(listed(Profile::Emqx5, &["/3/0", "/3303/0"]));
    answer_all(&mut rig, Duration::from_secs(1));
    observe_as(&mut rig, "/3303/0", ECHO);
    assert_eq!(rig.server.observations(), 2);
    for _ in 0..2 {
        again(&mut rig);
        rig.events.clear();
        assert_eq!(answer_all(&mut rig, Duration::from_secs(1)), ["/3303/0", "/3/0"]);
        let found: Vec<_> = observed(&rig).iter().map(|o| o.origin.as_bytes().to_vec()).collect();
        assert_eq!(found, [ECHO, b""]);
        assert_eq!(rig.server.observations(), 2);
    }
}

#[test]
fn an_observe_takes_its_place_in_flight() {
    let settings = Settings { max_in_flight: 2, ..listed(Profile::Emqx5, &["/3/0", "/3303/0"]) };
    let (mut rig, _) = Rig::registered(settings);
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    // The observe and one command are two.
    assert_eq!(rig.server.lookup(rig.now, "dev").unwrap().commands_waiting, 1);
    assert_eq!(take_observe(&mut rig).uri(), "/3/0");
}

/// Section 6 of the design: until an address has answered once, one request is on its way to it.
#[test]
fn an_unproven_address_gets_one_request_at_a_time() {
    let mut rig = Rig::new(auto(Profile::Emqx5));
    rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&b=U");
    rig.submit(read("/3/0/0")).unwrap();
    let request = take_observe(&mut rig);
    assert_eq!(request.uri(), "/3/0");
    rig.advance(Duration::from_millis(900));
    assert_eq!(rig.requests(), 0);
    answer(&mut rig, &request);
    assert_eq!(rig.take_request().uri(), "/3/0/0");
}

/// New settings count from the next Register on.
#[test]
fn settings_at_run_time_count_from_the_next_register_on() {
    let (mut rig, location) = rig();
    rig.server.set_settings(Arc::new(listed(Profile::Emqx5, &["/3/0"])));
    let update = Msg::post(rig.id(), &location).payload(LINKS);
    rig.ask(peer(1), &update);
    assert_eq!(rig.requests(), 0);
    again(&mut rig);
    assert_eq!(answer_all(&mut rig, Duration::from_secs(1)), ["/3/0"]);
    rig.server.set_settings(Arc::new(Settings { profile: Profile::Emqx5, ..Settings::default() }));
    again(&mut rig);
    assert_eq!((rig.requests(), rig.server.observations()), (0, 0));
}

/// An idle device keeps nothing of it: a million of them would keep a million.
#[test]
fn a_plan_that_is_done_is_gone() {
    let (mut rig, _) = Rig::registered(auto(Profile::Emqx4));
    answer_all(&mut rig, Duration::from_secs(5));
    let key = rig.server.registry.find("dev").unwrap();
    assert!(rig.server.registry.get(key).unwrap().queue.is_none());
    assert!(rig.server.exchanges.is_empty());
}

/// Devices of 4 096 links are listened to, but not observed without bound.
#[test]
fn a_device_of_too_many_paths_is_noted() {
    let mut rig = Rig::new(auto(Profile::Emqx5));
    let links: String = (0..300).map(|instance| format!("</3303/{instance}>,")).collect();
    let register = Msg::post(rig.id(), "/rd?ep=dev&lt=60&lwm2m=1.1").payload(links);
    rig.ask(peer(1), &register);
    assert_eq!(rig.notes(), [NoteKind::AutoObserveLimited]);
}

/// A device that slept over an observe is asked again in its window, automatic or not: its silence
/// says nothing.
#[test]
fn an_observe_that_the_device_slept_over_is_sent_again() {
    let mut rig = Rig::new(listed(Profile::Emqx5, &["/3/0"]));
    let query = "ep=dev&lt=3600&lwm2m=1.1&b=U&Q";
    let location = rig.register(peer(1), query);
    let lost = take_observe(&mut rig);
    rig.secs(60);
    rig.sent.clear();
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.secs(3);
    let again = take_observe(&mut rig);
    assert_eq!(again.uri(), lost.uri());
    answer(&mut rig, &again);
    assert_eq!(observed(&rig).len(), 1);
    assert_eq!(rig.server.observations(), 1);
}
