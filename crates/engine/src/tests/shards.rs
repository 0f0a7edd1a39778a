//! Several shards: whose a datagram is, and names that move from one to the other.

use coap::{Code, Duration, Type};

use super::rig::{LINKS, Msg, Rig, id_of, name, peer, peer_at, read};
use crate::{
    ClaimAnswer, CommandError, Datagram, Event, Handover, Identity, NoteKind, Routed, Server,
    Settings,
};

fn pair() -> (Rig, Rig) {
    (Rig::on_shard(Settings::default(), 0), Rig::on_shard(Settings::default(), 1))
}

#[test]
fn locations_and_tokens_lead_to_their_shard() {
    let (mut zero, mut one) = pair();
    let location = one.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    one.submit(read("/3/0")).unwrap();
    let request = one.take_request();
    let update = Msg::post(7, &location);
    let ack = request.answer(Code::CONTENT);
    let separate = Msg::with_token(request.token, Type::Confirmable, Code::CONTENT, 8);
    for message in [&update, &ack, &separate] {
        assert_eq!(Server::route(&message.bytes()), Some(1));
        assert_eq!(zero.deliver(peer_at(1, 6000), &message.bytes()), Routed::Forward(1));
    }
    assert!(zero.sent.is_empty() && zero.events.is_empty());
    assert_eq!(zero.server.stats().forwarded, 3);
    for message in [
        Msg::post(9, "/rd?ep=x&lt=60&lwm2m=1"),
        Msg::empty(Type::Reset, request.id),
        Msg::post(3, "/dp"),
    ] {
        assert_eq!(Server::route(&message.bytes()), None);
    }
}

/// Moves `dev` from `old` to `new`, as the driver does.
fn move_over(old: &mut Rig, new: &mut Rig, location: &str) -> Handover {
    new.now = old.now;
    new.claims = ClaimAnswer::Granted { evict: true };
    let id = new.id();
    let register = Msg::post(id, "/rd?ep=dev&lt=60&lwm2m=1.1").payload(LINKS);
    let answer = new.ask(peer_at(1, 6000), &register);
    assert_eq!(answer.code, Code::CREATED, "the device is answered at once");
    assert!(new.events.is_empty(), "nobody hears of it before the former shard is done");
    let handover = old.server.handle_evict(old.now, &name("dev"), id_of(location));
    old.settle();
    handover
}

#[test]
fn a_name_moves_with_its_waiting_commands_in_order() {
    let (mut old, mut new) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let flying = old.submit(read("/3/0/0")).unwrap();
    let first = old.submit(read("/3/0/1")).unwrap();
    let second = old.submit(read("/3/0/2")).unwrap();
    old.events.clear();
    let handover = move_over(&mut old, &mut new, &location);
    assert_eq!(handover.len(), 2);
    assert_eq!(old.outcome(flying), Err(CommandError::Replaced));
    assert_eq!(old.take_names(), ["command_finished", "replaced"]);
    assert_eq!((old.server.registrations(), new.server.registrations()), (0, 1));

    // A command that came in between waits behind those that were handed over.
    let third = new.submit(read("/3/0/3")).unwrap();
    assert_eq!(new.requests(), 0);
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    for uri in ["/3/0/1", "/3/0/2", "/3/0/3"] {
        let request = new.take_request();
        assert_eq!(request.uri(), uri);
        new.send(peer_at(1, 6000), &request.answer(Code::CONTENT));
    }
    for command in [first, second, third] {
        assert_eq!(new.outcome(command), Ok(Code::CONTENT));
    }
    let names = new.take_names();
    assert_eq!(names.first(), Some(&"registered"));
    assert_eq!(names.len(), 4);
}

#[test]
fn a_silent_former_shard_is_waited_for_50_ms() {
    let (mut old, mut new) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let waiting = (old.submit(read("/3/0/0")).unwrap(), old.submit(read("/3/0/1")).unwrap()).1;
    let handover = move_over(&mut old, &mut new, &location);
    new.advance(Duration::from_millis(40));
    assert!(new.events.is_empty());
    new.advance(Duration::from_millis(20));
    assert_eq!(new.notes(), [NoteKind::HandoverLate]);
    assert_eq!(new.take_names(), ["registered"]);
    // What comes late is sent all the same.
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    let request = new.take_request();
    new.send(peer_at(1, 6000), &request.answer(Code::CONTENT));
    assert_eq!(new.outcome(waiting), Ok(Code::CONTENT));
}

#[test]
fn events_of_a_held_registration_keep_their_order() {
    let (mut old, mut new) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let handover = move_over(&mut old, &mut new, &location);
    let row = new.server.lookup(new.now, "dev").unwrap();
    let here = format!("/rd/{}", row.device.registration);
    let update = Msg::post(new.id(), &here);
    assert_eq!(new.ask(peer_at(1, 6000), &update).code, Code::CHANGED);
    assert!(new.take_names().is_empty());
    let delete = Msg::request(Code::DELETE, new.id(), &here);
    assert_eq!(new.ask(peer_at(1, 6000), &delete).code, Code::DELETED);
    assert_eq!(new.take_names(), ["registered", "updated", "deregistered"]);
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    assert!(new.take_names().is_empty());
}

/// A command whose device left while it was handed over ends all the same.
#[test]
fn commands_handed_to_nobody_end() {
    let (mut old, mut new) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let waiting = (old.submit(read("/3/0/0")).unwrap(), old.submit(read("/3/0/1")).unwrap()).1;
    let handover = move_over(&mut old, &mut new, &location);
    assert!(new.server.kick(new.now, &name("dev")));
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    assert_eq!(new.outcome(waiting), Err(CommandError::Deregistered));
}

#[test]
fn evicting_what_is_not_there_hands_nothing_over() {
    let (mut old, _) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let other = id_of("/rd/AAAAAAAAAAAA");
    assert!(old.server.handle_evict(old.now, &name("dev"), other).is_empty());
    assert!(old.server.handle_evict(old.now, &name("gone"), id_of(&location)).is_empty());
    assert_eq!(old.server.registrations(), 1);
}

/// A device that moves between shards is `replacing` there too.
#[test]
fn an_evicting_register_says_that_it_replaces() {
    let (mut old, mut new) = pair();
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    let handover = move_over(&mut old, &mut new, &location);
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    let Event::Registered { arrival, .. } = &new.events[0] else { panic!("{:?}", new.events) };
    assert_eq!(*arrival, crate::Arrival::Replacing);
}

#[test]
fn an_answer_to_no_claim_is_noted() {
    let (mut rig, _) = pair();
    let claim = crate::ClaimId(77);
    rig.server.handle_claim(rig.now, claim, ClaimAnswer::Granted { evict: false });
    rig.settle();
    assert_eq!(rig.notes(), [NoteKind::ClaimUnknown]);
}

/// A retransmitted Register asks nothing again while the directory has not answered the first.
#[test]
fn a_name_is_claimed_once_at_a_time() {
    let (mut rig, _) = pair();
    let mut claims = Vec::new();
    for (host, endpoint) in [(1, "dev"), (1, "dev"), (2, "other")] {
        let query = format!("/rd?ep={endpoint}&lt=60&lwm2m=1.1");
        let bytes = Msg::post(rig.id(), &query).payload(LINKS).bytes();
        let input = Datagram { peer: peer(host), identity: &Identity::None, bytes: &bytes };
        assert_eq!(rig.server.handle_datagram(rig.now, 0, input), Routed::Handled);
        claims.extend(core::iter::from_fn(|| rig.server.poll_claim()));
    }
    let names: Vec<&str> = claims.iter().map(|claim| claim.endpoint.as_str()).collect();
    assert_eq!(names, ["dev", "other"]);
    for claim in claims {
        rig.server.handle_claim(rig.now, claim.id, ClaimAnswer::Granted { evict: false });
    }
    rig.settle();
    assert_eq!(rig.take_names(), ["registered", "registered"]);
}

/// A driver reads many datagrams before it asks the directory: each Register has bought the bytes
/// of its own answer.
#[test]
fn registers_of_one_batch_are_all_answered() {
    const HOSTS: core::ops::RangeInclusive<u8> = 1..=5;
    let (mut rig, _) = pair();
    for host in HOSTS {
        let bytes = Msg::post(rig.id(), &format!("/rd?ep=dev-{host}&lt=60&lwm2m=1.1")).bytes();
        let input = Datagram { peer: peer(host), identity: &Identity::None, bytes: &bytes };
        assert_eq!(rig.server.handle_datagram(rig.now, 0, input), Routed::Handled);
    }
    rig.settle();
    let answered: Vec<_> = rig.sent.iter().map(|(to, answer)| (*to, answer.code)).collect();
    let expected: Vec<_> = HOSTS.map(|host| (peer(host), Code::CREATED)).collect();
    assert_eq!(answered, expected);
}

/// The same of names that share an address: what each has said counts.
#[test]
fn registers_of_many_names_at_one_address_are_all_answered() {
    const NAMES: usize = 64;
    let (mut rig, _) = pair();
    for number in 0..NAMES {
        let bytes = Msg::post(rig.id(), &format!("/rd?ep=dev-{number}&lt=60&lwm2m=1.1")).bytes();
        let input = Datagram { peer: peer(1), identity: &Identity::None, bytes: &bytes };
        assert_eq!(rig.server.handle_datagram(rig.now, 0, input), Routed::Handled);
    }
    rig.settle();
    assert_eq!(rig.sent.len(), NAMES);
    assert!(rig.sent.iter().all(|(_, answer)| answer.code == Code::CREATED));
}
