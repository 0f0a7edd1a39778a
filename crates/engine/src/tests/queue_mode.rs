//! Queue mode: OMA Transport 6.5, facts 20 to 22, cases C1 to C4 and ETS 108, 109.

use coap::{Code, Duration, Type};

use super::rig::{LINKS, Msg, Rig, observe, peer, read};
use crate::{CommandError, Priority, Reachability, Settings};

/// A sleepy device that is known to be where it is.
fn sleepy() -> (Rig, String) {
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

#[test]
fn a_device_without_queue_mode_is_always_reachable() {
    let (mut rig, _) = Rig::registered(Settings::default());
    rig.secs(3000);
    rig.submit(read("/3/0/0")).unwrap();
    assert_eq!(rig.requests(), 1);
}
