//! Asleep and awake, refused addresses and refused Registers as events.

use coap::{Code, Duration, Peer, Type};

use super::rig::{LINKS, Msg, Rig, observe, peer, peer_at, read};
use crate::{Event, Rebind, Rejection, Settings, SleepEvents};

fn watched() -> (Rig, String) {
    let settings = Settings { sleep_events: SleepEvents::On, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let location = rig.register(peer(1), "ep=dev&lt=86400&lwm2m=1.1&b=U&Q");
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.events.clear();
    (rig, location)
}

#[test]
fn falling_asleep_and_waking_are_told() {
    let (mut rig, location) = watched();
    rig.secs(21);
    assert!(rig.take_names().is_empty());
    rig.secs(2);
    assert_eq!(rig.take_names(), ["asleep"]);
    rig.secs(600);
    assert!(rig.take_names().is_empty(), "once");
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.take_names(), ["awake", "updated"], "before what the device said");
    rig.secs(23);
    assert_eq!(rig.take_names(), ["asleep"]);
}

#[test]
fn whatever_the_device_says_puts_its_sleep_off() {
    let (mut rig, _) = watched();
    rig.submit(observe("/3/0/9")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    rig.events.clear();
    for number in 1..10 {
        rig.secs(20);
        let message = Msg::with_token(request.token, Type::NonConfirmable, Code::CONTENT, number);
        rig.send(peer(1), &message.observe(number.into()));
    }
    assert!(rig.take_names().iter().all(|name| *name == "notified"));
    rig.secs(23);
    assert_eq!(rig.take_names(), ["asleep"]);
}

/// Fact 22: a time-out says it at once, and the timer of the window does not say it again.
#[test]
fn a_time_out_puts_the_device_to_sleep() {
    let (mut rig, location) = watched();
    let short = Some(Duration::from_secs(5));
    rig.submit_with(read("/3/0/0"), |command| command.timeout = short).unwrap();
    rig.secs(6);
    assert_eq!(rig.take_names(), ["asleep", "command_finished"]);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.take_names(), ["awake", "updated"]);
    rig.secs(23);
    assert_eq!(rig.take_names(), ["asleep"]);
    rig.secs(100);
    assert!(rig.take_names().is_empty());
    assert!(rig.server.watches.is_empty());
}

#[test]
fn without_a_listener_there_is_no_timer() {
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=dev&lt=86400&lwm2m=1.1&b=U&Q");
    rig.events.clear();
    assert!(rig.server.watches.is_empty());
    rig.secs(60);
    assert!(rig.take_names().is_empty());
}

#[test]
fn a_device_has_one_timer_while_it_is_awake_and_none_asleep() {
    let (mut rig, location) = watched();
    for _ in 0..50 {
        let update = Msg::post(rig.id(), &location);
        rig.ask(peer(1), &update);
        rig.secs(1);
    }
    assert_eq!(rig.server.watches.len(), 1);
    rig.secs(30);
    assert_eq!(rig.server.watches.len(), 0);
    // A registration that is gone takes its timer along when that fires.
    rig.register(peer(1), "ep=dev&lt=86400&lwm2m=1.1&b=U");
    rig.secs(30);
    assert_eq!(rig.server.watches.len(), 0);
}

#[test]
fn a_new_listener_hears_of_the_next_waking() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=dev&lt=86400&lwm2m=1.1&b=U&Q");
    rig.secs(60);
    rig.events.clear();
    let on = Settings { sleep_events: SleepEvents::On, ..Settings::default() };
    rig.server.set_settings(on.into());
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.take_names(), ["awake", "updated"]);
    rig.server.set_settings(Settings::default().into());
    rig.secs(60);
    assert!(rig.take_names().is_empty());
    assert!(rig.server.watches.is_empty());
}

#[test]
fn a_refused_address_is_told() {
    let settings = Settings { nosec_rebind: Rebind::Refuse, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1");
    rig.events.clear();
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer_at(1, 6000), &update).code, Code::NOT_FOUND);
    let refused = rig.events.iter().find_map(|event| match event {
        Event::AddressRefused { device, refused } => Some((device.peer, *refused)),
        _ => None,
    });
    assert_eq!(refused, Some((peer(1), peer_at(1, 6000))));
}

/// The rule of a listener goes before the common one, and the new address decides whose it is.
#[test]
fn a_listener_has_a_rule_of_its_own_for_new_addresses() {
    let by = |listener: u16| {
        Peer::new(listener, [127, 0, 0, 1].into(), ([192, 0, 2, 1], 7000 + listener).into())
    };
    for (common, own, at_own, elsewhere) in [
        (Rebind::Accept, Rebind::Refuse, Code::NOT_FOUND, Code::CHANGED),
        (Rebind::Refuse, Rebind::Accept, Code::CHANGED, Code::NOT_FOUND),
    ] {
        let settings = Settings {
            nosec_rebind: common,
            listener_nosec_rebind: [(3, own)].into(),
            ..Settings::default()
        };
        let mut rig = Rig::new(settings);
        let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1");
        for (listener, code) in [(3, at_own), (4, elsewhere)] {
            rig.events.clear();
            let update = Msg::post(rig.id(), &location);
            assert_eq!(rig.ask(by(listener), &update).code, code, "{common:?} {listener}");
            let told = match code {
                Code::CHANGED => "address_changed",
                _ => "address_refused",
            };
            assert_eq!(rig.take_names()[0], told);
        }
    }
}

fn rejections(rig: &Rig) -> Vec<&Rejection> {
    fn rejected(event: &Event) -> Option<&Rejection> {
        match event {
            Event::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }
    rig.events.iter().filter_map(rejected).collect()
}

#[test]
fn a_refused_register_is_told_with_its_code_and_reason() {
    let rows = [
        ("ep=dev&lt=60&lwm2m=2.0", Some("dev"), Code::PRECONDITION_FAILED, "version_foreign"),
        ("ep=dev&lt=60", Some("dev"), Code::PRECONDITION_FAILED, "version_missing"),
        ("ep=a%23&ep=a#&lt=60&lwm2m=1.1", Some("a#"), Code::BAD_REQUEST, "endpoint_unusable"),
        ("lt=60&lwm2m=1.1", None, Code::BAD_REQUEST, "endpoint_missing"),
        ("ep=dev&lt=x&lwm2m=1.1", Some("dev"), Code::BAD_REQUEST, "lifetime_unusable"),
        ("ep=dev&lt=0&lwm2m=1.1", Some("dev"), Code::BAD_REQUEST, "lifetime_outside"),
    ];
    for (query, name, code, reason) in rows {
        let mut rig = Rig::new(Settings::default());
        let register = Msg::post(7, &format!("/rd?{query}")).payload(LINKS);
        assert_eq!(rig.ask(peer(1), &register).code, code, "{query}");
        let told = rejections(&rig);
        assert_eq!(told.len(), 1, "{query}");
        assert_eq!((told[0].name.as_deref(), told[0].code), (name, code), "{query}");
        assert_eq!(told[0].reason, reason);
        assert_eq!(told[0].endpoint.is_some(), name == Some("dev"), "{query}");
    }
}

/// A scanner must not become a flood upwards.
#[test]
fn rejections_are_told_of_at_a_bounded_rate() {
    let mut rig = Rig::new(Settings::default());
    for id in 0..1000 {
        rig.send(peer(1), &Msg::post(id, "/rd?ep=dev&lt=60&lwm2m=2.0"));
        rig.advance(Duration::from_millis(10));
    }
    let told = rejections(&rig).len();
    assert!((95..=105).contains(&told), "50 at once, then 5 a second for 10 s: {told}");
    assert_eq!(rig.server.stats().register_refused, 1000);
}
