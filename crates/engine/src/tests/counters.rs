//! What is counted, whom a note is about, and bounds that are reached only under load.

use coap::{Code, Duration, Type};

use lwm2m::{Operation, Reading, Value, WriteMode};

use super::rig::{LINKS, Msg, Rig, name, path, peer, peer_at};
use crate::{ClaimAnswer, Completion, Datagram, Event, Identity, Routed, Settings};

/// More than three times what a Register buys.
fn large_write() -> Operation {
    let content = vec![Reading::new(path("/3/0/14"), Value::String("x".repeat(3000)))];
    Operation::Write { path: path("/3/0"), mode: WriteMode::Update, format: None, content }
}

/// Registers of different names that wait for the directory at the same time.
fn claim(rig: &mut Rig, number: u16) {
    let message = Msg::post(number, &format!("/rd?ep=dev-{number}&lt=60&lwm2m=1.1")).payload(LINKS);
    let bytes = message.bytes();
    let from = peer_at(1, 10_000 + number);
    let input = Datagram { peer: from, identity: &Identity::None, bytes: &bytes };
    assert_eq!(rig.server.handle_datagram(rig.now, 0, input), Routed::Handled);
}

/// A directory that does not answer does not make the shard hoard Registers.
#[test]
fn a_register_beyond_those_that_wait_for_the_directory_is_refused() {
    let mut rig = Rig::new(Settings::default());
    (0..1024).for_each(|number| claim(&mut rig, number));
    assert_eq!(rig.server.stats().register_refused, 0);
    claim(&mut rig, 1024);
    assert_eq!(rig.server.stats().register_refused, 1);
    let mut out = Vec::new();
    assert_eq!(rig.server.poll_transmit(&mut out), Some(peer_at(1, 10_000 + 1024)));
    let answer = Msg::parse(&out);
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
    assert!(answer.options.options().max_age() > Some(0));
}

/// A device that talks on while its name moves from a shard that does not answer: its events are
/// released in time, and those beyond the bound do not overtake them.
#[test]
fn the_release_of_held_events_is_a_deadline() {
    let mut rig = Rig::new(Settings::default());
    rig.claims = ClaimAnswer::Granted { evict: true };
    let location = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let due = rig.server.poll_timeout().expect("a deadline");
    assert!(due <= rig.now + Duration::from_millis(50), "{due:?}");
    for _ in 0..40 {
        let update = Msg::post(rig.id(), &location);
        rig.send(peer(1), &update);
    }
    let names = rig.take_names();
    assert_eq!(names.first(), Some(&"registered"));
    assert_eq!(names.len(), 41);
}

#[test]
fn kicks_moves_and_refused_completions_are_counted() {
    let (mut rig, location) = Rig::registered(Settings::default());
    let moved = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer_at(1, 6000), &moved).code, Code::CHANGED);
    assert_eq!(rig.server.stats().rebound, 1);
    // The old address is free: a Send from there is a stranger's.
    assert!(!rig.server.owns_address(&peer(1)));
    assert!(rig.server.owns_address(&peer_at(1, 6000)));
    assert!(rig.server.kick(rig.now, &name("dev")));
    assert_eq!(rig.server.stats().kicked, 1);

    let (mut rig, _) = Rig::registered(Settings::default());
    let token = rig.observed(1);
    rig.completion = Some(Completion::Refuse);
    let text = Msg::with_token(token, Type::Confirmable, Code::CONTENT, 900).observe(2);
    rig.send(peer(1), &text.payload("1").format(0));
    assert_eq!(rig.server.stats().refused_completions, 1);
}

/// Who waits for an acknowledgement is known to whoever decides about it.
#[test]
fn a_notification_says_whether_its_device_waits() {
    let (mut rig, _) = Rig::registered(Settings::default());
    let token = rig.observed(1);
    for (kind, number, waits) in [(Type::Confirmable, 2, true), (Type::NonConfirmable, 3, false)] {
        let message = Msg::with_token(token, kind, Code::CONTENT, 900 + number as u16);
        rig.send(peer(1), &message.observe(number).payload("1").format(0));
        let reply_to = rig.events.pop().and_then(|event| event.reply_to().cloned());
        assert_eq!(reply_to.map(|reply_to| reply_to.is_confirmable()), Some(waits));
    }
}

#[test]
fn a_note_about_a_datagram_names_its_address() {
    let mut rig = Rig::new(Settings::default());
    rig.send(
        peer(9),
        &Msg::with_token(Msg::post(1, "/x").token, Type::NonConfirmable, Code::CONTENT, 5),
    );
    let Some(Event::Noted(note)) = rig.events.first() else { panic!("{:?}", rig.events) };
    assert_eq!(note.who.peer, Some(peer(9)));
}

/// An identity that is proven needs no further proof of its address: a command that is larger than
/// what the device has sent leaves without a question before it.
#[test]
fn a_proven_identity_proves_the_address() {
    for (identity, first) in [(Identity::Psk("dev".into()), "/3/0"), (Identity::None, "/1/0/1")] {
        let mut rig = Rig::new(Settings::default());
        rig.identity = identity;
        rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
        rig.submit(large_write()).unwrap();
        assert_eq!(rig.take_request().uri(), first);
    }
}

/// What is on its way to the old address is answered from there; a Register from the same address
/// leaves the exchanges of that address alone.
#[test]
fn a_second_register_from_the_same_address_stays_proven() {
    let (mut rig, _) = Rig::registered(Settings::default());
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    rig.submit(large_write()).unwrap();
    assert_eq!(rig.take_request().uri(), "/3/0");
}
