//! Queue mode: OMA Transport 6.5, facts 20 to 22, cases C1 to C4 and ETS 108, 109.

use coap::{Code, Duration, MessageId, Type};

use super::rig::{LINKS, Msg, Rig, observe, peer, peer_at, read};
use crate::{CommandError, Priority, QueueLimits, Reachability, Settings};

/// A sleepy device that is known to be where it is.
pub(super) fn sleepy() -> (Rig, String) {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&b=U&Q");
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    rig.events.clear();
    (rig, location)
}

fn reachability(rig: &Rig) -> Reachability {
    rig.server.lookup(rig.now, "dev").unwrap().reachability
}

/// Fact 20: the window counts from the device's last message, whatever that was.
#[test]
fn a_device_falls_asleep_when_its_window_has_passed() {
    let (mut rig, _) = sleepy();
    let until = rig.now + Duration::from_secs(22);
    assert_eq!(reachability(&rig), Reachability::Awake { until });
    rig.secs(21);
    assert_eq!(reachability(&rig), Reachability::Awake { until });
    rig.secs(1);
    assert_eq!(reachability(&rig), Reachability::Asleep);
}

/// Cases C1, C4: nothing is sent to a sleeper; its Update lets what waits go, one at a time.
#[test]
fn commands_wait_for_the_device_to_wake() {
    let (mut rig, location) = sleepy();
    rig.secs(30);
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit_with(read("/3/0/1"), |command| command.priority = Priority::Urgent).unwrap();
    rig.secs(600);
    assert_eq!(rig.requests(), 0);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.take_request().uri(), "/3/0/1", "the urgent one is before the others");
}

/// Fact 21: Register, Update, a notification, a Send and any answer wake.
#[test]
fn every_message_of_the_device_wakes_it() {
    type Wake = fn(&mut Rig, &str, coap::Token);
    let wakes: [(&str, Wake); 4] = [
        ("update", |rig, location, _| {
            let update = Msg::post(rig.id(), location);
            rig.send(peer(1), &update);
        }),
        ("register", |rig, _, _| {
            let id = rig.id();
            let again = Msg::post(id, "/rd?ep=dev&lt=60&lwm2m=1.1&Q").payload(LINKS);
            rig.send(peer(1), &again);
        }),
        ("notify", |rig, _, token| {
            let message = Msg::with_token(token, Type::NonConfirmable, Code::CONTENT, 900);
            rig.send(peer(1), &message.observe(4));
        }),
        ("send", |rig, _, _| {
            let message = Msg::post(901, "/dp").format(110).payload(r#"[{"n":"/3/0/9","v":1}]"#);
            rig.send(peer(1), &message);
        }),
    ];
    for (what, wake) in wakes {
        let (mut rig, location) = sleepy();
        let token = rig.observed(0);
        rig.secs(60);
        rig.submit(read("/3/0/0")).unwrap();
        assert_eq!(rig.requests(), 0, "{what}");
        wake(&mut rig, &location, token);
        assert_eq!(rig.requests(), 1, "{what}");
    }
}

/// Fact 22: (case C3) a time-out closes the window, and the next command waits.
#[test]
fn a_time_out_closes_the_window() {
    let (mut rig, location) = sleepy();
    let short = Some(Duration::from_secs(5));
    let first = rig.submit_with(read("/3/0/0"), |command| command.timeout = short).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.secs(6);
    assert_eq!(rig.outcome(first), Err(CommandError::Timeout { acked: false }));
    assert_eq!(reachability(&rig), Reachability::Asleep);
    assert!(rig.sent.iter().all(|(_, sent)| sent.uri() != "/3/0/1"));
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    assert_eq!(rig.sent.back().unwrap().1.uri(), "/3/0/1");
}

/// An answer keeps the device awake for the next command.
#[test]
fn answers_extend_the_window() {
    let (mut rig, _) = sleepy();
    for _ in 0..4 {
        rig.secs(20);
        rig.submit(read("/3/0/0")).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(Code::CONTENT));
    }
    assert_eq!(rig.finished().len(), 4);
}

#[test]
fn a_command_for_a_sleeper_expires_in_its_queue() {
    let (mut rig, _) = sleepy();
    rig.secs(30);
    let expires = rig.now + Duration::from_secs(100);
    let id = rig.submit_with(observe("/3/0/9"), |command| command.expires = Some(expires)).unwrap();
    rig.secs(101);
    assert_eq!(rig.outcome(id), Err(CommandError::Expired));
}

/// Table of section 6: an Update may turn queue mode on and off.
#[test]
fn an_update_changes_the_mode() {
    let (mut rig, _) = sleepy();
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.0&b=U");
    assert_eq!(reachability(&rig), Reachability::Always);
    let update = Msg::post(rig.id(), &format!("{location}?b=UQ"));
    rig.ask(peer(1), &update);
    rig.secs(30);
    assert_eq!(reachability(&rig), Reachability::Asleep);
}

/// Section 6 of the contract: the binding of 1.0, the value-less `Q` of 1.1, whatever the version
/// says, and in profile 5 four names of access points.
#[test]
fn the_registration_says_whether_the_device_sleeps() {
    use crate::Profile::{Emqx4, Emqx5};
    let rows = [
        ("lwm2m=1.0&b=UQ", true, true),
        ("lwm2m=1.0&b=SQ", true, true),
        ("lwm2m=1.0&b=UQS", true, true),
        ("lwm2m=1.0&b=U", false, false),
        ("lwm2m=1.0&b=US", false, false),
        ("lwm2m=1.1&b=U&Q", true, true),
        ("lwm2m=1.1&b=U&Q=", true, true),
        ("lwm2m=1.1&b=UQ", true, true),
        ("lwm2m=1.2&b=U&Q", true, true),
        ("lwm2m=1.1&b=U", false, false),
        ("lwm2m=1.1", false, false),
        ("lwm2m=1.1&b=U&apn=Ctnb", false, true),
        ("lwm2m=1.1&b=U&apn=psmA.eDRX0.ctnb", false, true),
        ("lwm2m=1.1&b=U&apn=psmC.eDRX0.ctnb", false, true),
        ("lwm2m=1.1&b=U&apn=psmF.eDRXC.ctnb", false, true),
        ("lwm2m=1.1&b=U&apn=ctnb", false, false),
    ];
    for (query, in_4, in_5) in rows {
        for (profile, sleeps) in [(Emqx4, in_4), (Emqx5, in_5)] {
            let mut rig = Rig::with_profile(profile);
            rig.register(peer(1), &format!("ep=dev&lt=3600&{query}"));
            rig.secs(23);
            let expected = if sleeps { Reachability::Asleep } else { Reachability::Always };
            assert_eq!(reachability(&rig), expected, "{query} in {profile:?}");
        }
    }
}

/// An Update that turns queue mode off lets what waits go, whenever that is.
#[test]
fn an_update_may_end_queue_mode() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.0&b=UQ");
    let update = Msg::post(rig.id(), &format!("{location}?b=U"));
    rig.ask(peer(1), &update);
    rig.secs(1000);
    rig.submit(read("/3/0/0")).unwrap();
    assert_eq!(rig.requests(), 1);
}

/// Fact 20: what the message layer answers by itself and what is refused are messages of the device
/// as well.
#[test]
fn any_message_of_the_device_opens_the_window() {
    type Say = fn(&mut Rig, &str);
    let says: [(&str, Say); 8] = [
        ("ping", |rig, _| rig.send(peer(1), &Msg::empty(Type::Confirmable, MessageId::new(7)))),
        ("update once more", |rig, location| {
            // `sleepy` sent it with this id, a minute ago.
            let update = Msg::post(102, location);
            rig.send(peer(1), &update);
        }),
        ("late acknowledgement", |rig, _| {
            rig.send(peer(1), &Msg::empty(Type::Acknowledgement, MessageId::new(7)));
        }),
        ("discovery", |rig, _| {
            rig.send(peer(1), &Msg::request(Code::GET, 7, "/.well-known/core"));
        }),
        ("unknown path", |rig, _| rig.send(peer(1), &Msg::request(Code::GET, 7, "/x"))),
        ("unknown location", |rig, _| rig.send(peer(1), &Msg::post(7, "/rd/AAAAAAAAAAAA"))),
        ("refused update", |rig, location| {
            rig.send(peer(1), &Msg::post(7, &format!("{location}?lt=x")));
        }),
        ("refused send", |rig, _| rig.send(peer(1), &Msg::post(7, "/dp").format(0).payload("x"))),
    ];
    for (what, say) in says {
        let (mut rig, location) = sleepy();
        rig.secs(60);
        rig.submit(read("/3/0/0")).unwrap();
        assert_eq!(rig.requests(), 0, "{what}");
        say(&mut rig, &location);
        assert_eq!(rig.requests(), 1, "{what}");
    }
}

/// Invariant: whoever is not the device, or sends no message at all, wakes nobody.
#[test]
fn garbage_and_strangers_wake_nobody() {
    let (mut rig, _) = sleepy();
    rig.secs(60);
    rig.submit(read("/3/0/0")).unwrap();
    let _ = rig.deliver(peer(1), b"\xff\x00garbage");
    let _ = rig.deliver(peer(1), b"");
    rig.send(peer(2), &Msg::empty(Type::Confirmable, MessageId::new(7)));
    rig.send(peer(2), &Msg::request(Code::GET, 8, "/.well-known/core"));
    assert_eq!(rig.requests(), 0);
    assert_eq!(reachability(&rig), Reachability::Asleep);
}

/// A Register sent again from a new port wakes its device once more.
#[test]
fn a_repeated_register_opens_the_window() {
    let mut rig = Rig::new(Settings::default());
    let register = Msg::post(7, "/rd?ep=dev&lt=3600&lwm2m=1.1&Q").payload(LINKS);
    rig.ask(peer(1), &register);
    rig.secs(30);
    assert_eq!(reachability(&rig), Reachability::Asleep);
    rig.ask(peer_at(1, 6000), &register);
    assert!(reachability(&rig).listens());
}

/// The scenario of the contract: three commands wait, the device wakes, all three are answered in
/// order; a fourth that may wait 2 s expires.
#[test]
fn what_waits_is_answered_in_order_and_what_may_not_wait_expires() {
    let (mut rig, location) = sleepy();
    rig.secs(30);
    let uris = ["/3/0/0", "/3/0/1", "/3/0/2"];
    let ids = uris.map(|uri| rig.submit(read(uri)).unwrap());
    let expires = Some(rig.now + Duration::from_secs(2));
    let fourth = rig.submit_with(read("/3/0/3"), |command| command.expires = expires).unwrap();
    rig.secs(3);
    assert_eq!(rig.outcome(fourth), Err(CommandError::Expired));
    rig.secs(300);
    assert_eq!(rig.requests(), 0);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    for (uri, id) in uris.into_iter().zip(ids) {
        assert_eq!(rig.requests(), 1, "one at a time");
        let request = rig.take_request();
        assert_eq!(request.uri(), uri);
        rig.send(peer(1), &request.answer(Code::CONTENT));
        assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
    }
    assert_eq!(rig.requests(), 0);
}

/// No command outlives the age of the queue, whatever it asks for.
#[test]
fn the_age_of_the_queue_bounds_the_wait() {
    let settings = Settings {
        queue: QueueLimits { age: Duration::from_secs(600), ..QueueLimits::default() },
        ..Settings::default()
    };
    let mut rig = Rig::new(settings);
    rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&Q");
    rig.secs(30);
    let expires = Some(rig.now + Duration::from_secs(3000));
    let id = rig.submit_with(read("/3/0/0"), |command| command.expires = expires).unwrap();
    rig.secs(601);
    assert_eq!(rig.outcome(id), Err(CommandError::Expired));
}

#[test]
fn a_device_without_queue_mode_is_always_reachable() {
    let (mut rig, _) = Rig::registered(Settings::default());
    rig.secs(3000);
    rig.submit(read("/3/0/0")).unwrap();
    assert_eq!(rig.requests(), 1);
}
