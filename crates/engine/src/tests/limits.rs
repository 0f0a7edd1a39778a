//! Devices that say too much: 500 notifications a second, a loop of registrations.

use coap::{Code, Duration, MessageId, Type};

use super::rig::{LINKS, Msg, Rig, peer, peer_at, read};
use crate::{NoteKind, Settings};

fn limited() -> Settings {
    Settings { notifications_per_second: 10, registrations_per_minute: 6, ..Settings::default() }
}

fn noted(rig: &Rig, kind: NoteKind) -> usize {
    rig.notes().into_iter().filter(|noted| *noted == kind).count()
}

/// Notifies 500 times a second for that long; how many were handed up.
fn flood(rig: &mut Rig, token: coap::Token, kind: Type, seconds: u32) -> usize {
    for number in 0..seconds * 500 {
        let id = number as u16;
        rig.send(peer(1), &Msg::with_token(token, kind, Code::CONTENT, id).observe(number + 1));
        rig.advance(Duration::from_millis(2));
    }
    rig.notifications().len()
}

#[test]
fn notifications_over_the_limit_are_dropped_counted_and_noted_once() {
    let (mut rig, _) = Rig::registered(limited());
    let token = rig.observed(0);
    let handed_up = flood(&mut rig, token, Type::NonConfirmable, 10);
    assert!((105..=112).contains(&handed_up), "ten a second, and ten at once: {handed_up}");
    let dropped = rig.server.stats().notifications_limited;
    assert_eq!(dropped, 5000 - handed_up as u64);
    assert_eq!(noted(&rig, NoteKind::NotificationsLimited), 1);
    assert!(rig.sent.is_empty(), "nothing is sent for it");
}

/// Unacknowledged it would come again: the device must not get worse by it.
#[test]
fn a_confirmable_one_over_the_limit_is_acknowledged_all_the_same() {
    let (mut rig, _) = Rig::registered(limited());
    let token = rig.observed(0);
    flood(&mut rig, token, Type::Confirmable, 1);
    let acks = rig.sent.iter().filter(|(_, sent)| sent.kind == Type::Acknowledgement).count();
    assert_eq!(acks, 500);
    let again = Msg::with_token(token, Type::Confirmable, Code::CONTENT, 499).observe(500);
    rig.sent.clear();
    rig.send(peer(1), &again);
    assert_eq!(
        rig.sent.pop_front().unwrap().1,
        Msg::empty(Type::Acknowledgement, MessageId::new(499))
    );
}

#[test]
fn the_end_of_an_observation_is_never_dropped() {
    let (mut rig, _) = Rig::registered(limited());
    let token = rig.observed(0);
    flood(&mut rig, token, Type::NonConfirmable, 1);
    let last = Msg::with_token(token, Type::NonConfirmable, Code::NOT_FOUND, 9000);
    rig.send(peer(1), &last);
    assert_eq!(rig.notifications().last().unwrap().code, Code::NOT_FOUND);
    assert_eq!(rig.server.observations(), 0);
}

#[test]
fn sends_count_as_well_and_are_told_when_to_come_again() {
    let (mut rig, _) = Rig::registered(limited());
    let mut codes = Vec::new();
    for id in 0..30 {
        let send = Msg::post(id, "/dp").format(110).payload(r#"[{"n":"/3/0/9","v":1}]"#);
        let answer = rig.ask(peer(1), &send);
        codes.push((answer.code, answer.options.options().max_age()));
    }
    assert_eq!(codes.iter().filter(|(code, _)| *code == Code::CHANGED).count(), 10);
    assert!(codes[10..].iter().all(|found| *found == (Code::TOO_MANY_REQUESTS, Some(1))));
}

#[test]
fn a_device_within_its_limit_and_its_commands_are_not_touched() {
    let (mut rig, _) = Rig::registered(limited());
    let token = rig.observed(0);
    for number in 1..100 {
        let message = Msg::with_token(token, Type::NonConfirmable, Code::CONTENT, number);
        rig.send(peer(1), &message.observe(number.into()));
        rig.advance(Duration::from_millis(101));
    }
    assert_eq!(rig.notifications().len(), 99);
    let mut rig = rig;
    flood(&mut rig, token, Type::NonConfirmable, 1);
    rig.submit(read("/3/0/0")).unwrap();
    assert_eq!(rig.requests(), 1);
}

#[test]
fn a_loop_of_registrations_is_told_when_to_come_again() {
    let mut rig = Rig::new(limited());
    let mut taken = 0;
    for id in 0..600 {
        let register = Msg::post(id, "/rd?ep=dev&lt=3600&lwm2m=1.1").payload(LINKS);
        // Each time from another port, as a device that restarts.
        let answer = rig.ask(peer_at(1, 1000 + id), &register);
        if answer.code == Code::CREATED {
            taken += 1;
        } else {
            assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
            let wait = answer.options.options().max_age().unwrap();
            assert!((1..=11).contains(&wait), "{wait}");
        }
        rig.advance(Duration::from_millis(500));
    }
    assert!((35..=37).contains(&taken), "six a minute in five minutes, and six at once: {taken}");
    assert_eq!(rig.server.stats().registrations_limited, 600 - taken);
    assert_eq!(noted(&rig, NoteKind::RegistrationsLimited), 5, "once a minute");
    assert_eq!(rig.server.registrations(), 1, "the last one that was taken stays");
}

#[test]
fn an_address_that_registers_one_name_after_the_other_is_limited_too() {
    let mut rig = Rig::new(limited());
    let mut taken = 0;
    for id in 0..60 {
        let register = Msg::post(id, &format!("/rd?ep=dev-{id}&lt=3600&lwm2m=1.1"));
        taken += usize::from(rig.ask(peer(1), &register).code == Code::CREATED);
    }
    assert_eq!(taken, 6);
    let other = Msg::post(1, "/rd?ep=other&lt=3600&lwm2m=1.1");
    assert_eq!(rig.ask(peer(2), &other).code, Code::CREATED, "others register");
}

/// Devices that are not limited are not watched either.
#[test]
fn there_is_no_limit_unless_it_is_set() {
    let (mut rig, _) = Rig::registered(Settings::default());
    let token = rig.observed(0);
    assert_eq!(flood(&mut rig, token, Type::NonConfirmable, 4), 2000);
    for id in 0..100 {
        let register = Msg::post(id, "/rd?ep=dev&lt=3600&lwm2m=1.1");
        assert_eq!(rig.ask(peer_at(1, 1000 + id), &register).code, Code::CREATED);
    }
}
