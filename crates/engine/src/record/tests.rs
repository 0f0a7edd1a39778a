//! Tests of records: dump, restore, go on as if nothing had happened.

use std::collections::BTreeMap;

use coap::{Code, Duration, Instant, Type};

use super::{Change, Record, RecordError};
use crate::command::Priority;
use crate::event::{Event, ObserveCause};
use crate::identity::{Identity, RegistrationId};
use crate::server::Datagram;
use crate::settings::{AutoObserve, Settings};
use crate::tests::rig::{Msg, Rig, WALL, cancel, observe, peer, peer_at, read};

/// A store: the last record of each registration.
type Store = BTreeMap<RegistrationId, Record>;

fn drain(rig: &mut Rig, store: &mut Store) {
    while let Some(record) = rig.server.poll_record(rig.now) {
        match record.change {
            Change::Put(_) => drop(store.insert(record.registration, record)),
            Change::Delete => drop(store.remove(&record.registration)),
        }
    }
}

/// A new server that takes the records back `down` after the old one stopped. Its clock begins
/// anew.
fn restart(old: &Rig, store: &Store, down: Duration, shard: u8) -> Rig {
    let mut new = Rig::on_shard(Settings::default(), shard);
    new.now = Instant::from_micros(5_000_000_000);
    let wall = WALL + ((old.now + down).as_micros() / 1000) as i64;
    for record in store.values() {
        new.server.restore(new.now, wall, record).unwrap();
    }
    new.settle();
    new
}

#[test]
fn a_restored_device_goes_on_as_if_nothing_had_happened() {
    let mut store = Store::new();
    let (mut old, location) = Rig::registered(Settings::default());
    let token = old.observed(3);
    old.submit(read("/3/0/0")).unwrap();
    let second = old.submit(read("/3/0/1")).unwrap();
    let asked = old.take_request();
    drain(&mut old, &mut store);
    assert_eq!(store.len(), 1);

    let mut new = restart(&old, &store, Duration::from_secs(10), 0);
    assert!(new.take_names().is_empty(), "nobody registers by a restart");
    let row = new.server.lookup(new.now, "dev").unwrap();
    assert_eq!(format!("/rd/{}", row.device.registration), location);
    assert_eq!(row.lifetime_left.as_secs(), 3600 - 10);
    let links = row.device.info.links.as_ref().unwrap();
    assert_eq!(links.object_list().count(), 3);

    // The command in flight is sent again, then the next one.
    let again = new.take_request();
    assert_eq!(again.uri(), asked.uri());
    new.send(peer(1), &again.answer(Code::CONTENT));
    let next = new.take_request();
    assert_eq!(next.uri(), "/3/0/1");
    new.send(peer(1), &next.answer(Code::CONTENT));
    assert_eq!(new.outcome(second), Ok(Code::CONTENT));

    // The token is the same, and so is what is echoed.
    new.events.clear();
    let message = Msg::with_token(token, Type::Confirmable, Code::CONTENT, 900).observe(4);
    new.send(peer(1), &message);
    let [notification] = new.notifications()[..] else { panic!("{:?}", new.events) };
    assert_eq!(notification.origin.as_bytes(), b"observe");

    let update = Msg::post(new.id(), &location);
    assert_eq!(new.ask(peer(1), &update).code, Code::CHANGED);
    new.submit(cancel("/3303/0/5700")).unwrap();
    assert_eq!(new.take_request().token, token);
}

/// A command id that was given out is not given out again.
#[test]
fn command_ids_stay_unique_over_a_restart() {
    let mut store = Store::new();
    let (mut old, _) = Rig::registered(Settings::default());
    let known: Vec<_> = (0..3).map(|_| old.submit(read("/3/0/0")).unwrap()).collect();
    drain(&mut old, &mut store);
    let mut new = restart(&old, &store, Duration::ZERO, 0);
    assert!(!known.contains(&new.submit(read("/3/0/0")).unwrap()));
}

/// Lifetimes go by the wall clock: what passed while the server was down has passed.
#[test]
fn a_lifetime_that_passed_meanwhile_is_over() {
    let mut store = Store::new();
    let (mut old, _) = Rig::registered(Settings::default());
    drain(&mut old, &mut store);
    let mut new = restart(&old, &store, Duration::from_secs(3610), 0);
    new.secs(0);
    assert_eq!(new.take_names(), ["late"]);
    new.secs(21);
    assert_eq!(new.take_names(), ["expired"]);
}

/// A device that was late before the restart is not late once more after it.
#[test]
fn what_was_late_stays_late() {
    let mut store = Store::new();
    let (mut old, _) = Rig::registered(Settings::default());
    old.secs(3605);
    assert_eq!(old.take_names(), ["late"]);
    drain(&mut old, &mut store);
    let mut new = restart(&old, &store, Duration::ZERO, 0);
    new.secs(30);
    assert_eq!(new.take_names(), ["expired"]);
}

/// An urgent command does not wait for its turn after a restart either.
#[test]
fn what_was_urgent_stays_urgent() {
    for (priority, at_once) in [(Priority::Urgent, 2), (Priority::Normal, 1)] {
        let mut store = Store::new();
        let (mut old, _) = Rig::registered(Settings::default());
        old.submit(read("/3/0/0")).unwrap();
        old.submit_with(read("/3/0/1"), |command| command.priority = priority).unwrap();
        drain(&mut old, &mut store);
        let new = restart(&old, &store, Duration::ZERO, 0);
        assert_eq!(new.requests(), at_once);
    }
}

#[test]
fn the_end_of_a_registration_is_a_deletion() {
    let mut store = Store::new();
    let (mut rig, location) = Rig::registered(Settings::default());
    drain(&mut rig, &mut store);
    assert_eq!(store.len(), 1);
    let again = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    drain(&mut rig, &mut store);
    let keys: Vec<String> = store.keys().map(|id| format!("/rd/{id}")).collect();
    assert_eq!(keys, [again.as_str()]);
    assert_ne!(location, again);
    let delete = Msg::request(Code::DELETE, rig.id(), &again);
    rig.ask(peer(1), &delete);
    drain(&mut rig, &mut store);
    assert!(store.is_empty());
}

/// A registration that came and went between two looks leaves nothing.
#[test]
fn many_changes_are_one_record() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    for _ in 0..5 {
        let update = Msg::post(rig.id(), &location);
        rig.ask(peer(1), &update);
    }
    assert!(rig.server.poll_record(rig.now).is_some());
    assert_eq!(rig.server.poll_record(rig.now), None);
    let token = rig.observed(0);
    assert!(rig.server.poll_record(rig.now).is_some());
    let message = Msg::with_token(token, Type::NonConfirmable, Code::CONTENT, 900).observe(1);
    rig.send(peer(1), &message);
    assert_eq!(rig.server.poll_record(rig.now), None, "the steady path writes nothing");
}

#[test]
fn a_dump_has_every_registration_as_it_is_now() {
    let (mut old, _) = Rig::registered(Settings::default());
    let token = old.observed(0);
    old.register(peer(2), "ep=other&lt=60&lwm2m=1.1");
    let message = Msg::with_token(token, Type::Confirmable, Code::CONTENT, 900).observe(70);
    old.send(peer(1), &message);
    let (records, next) = old.server.dump(old.now, None, 256);
    assert!(next.is_none());
    let store: Store = records.into_iter().map(|record| (record.registration, record)).collect();
    let mut new = restart(&old, &store, Duration::ZERO, 0);
    assert_eq!(new.server.registrations(), 2);
    // The message id is remembered too: a repetition is acknowledged and not published.
    new.send(peer(1), &message);
    assert_eq!(new.sent.pop_front().unwrap().1, Msg::empty(Type::Acknowledgement, message.id));
    assert!(new.notifications().is_empty());
}

/// Registrations of a shard that is no more live on another one.
#[test]
fn a_registration_of_a_former_shard_is_adopted() {
    let mut store = Store::new();
    let mut old = Rig::on_shard(Settings::default(), 3);
    let location = old.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    drain(&mut old, &mut store);
    let mut new = restart(&old, &store, Duration::ZERO, 1);
    assert!(new.server.stands_for(3));
    let update = Msg::post(new.id(), &location);
    assert_eq!(new.ask(peer(1), &update).code, Code::CHANGED);
}

#[test]
fn identities_and_addresses_come_back() {
    let mut store = Store::new();
    let mut old = Rig::new(Settings::default());
    old.identity = Identity::Psk("key".into());
    let v6 = coap::Peer::new(2, "::1".parse().unwrap(), "[fe80::7%3]:77".parse().unwrap());
    let location = old.register(v6, "ep=dev&lt=60&lwm2m=1.1");
    drain(&mut old, &mut store);
    let mut new = restart(&old, &store, Duration::ZERO, 0);
    assert_eq!(new.server.lookup(new.now, "dev").unwrap().device.peer, v6);
    let update = Msg::post(new.id(), &location);
    assert_eq!(new.ask(v6, &update).code, Code::NOT_FOUND, "nobody has proven the key");
    new.identity = Identity::Psk("key".into());
    let update = Msg::post(new.id(), &location);
    assert_eq!(new.ask(v6, &update).code, Code::CHANGED);
}

#[test]
fn a_record_is_taken_back_once() {
    let (old, _) = Rig::registered(Settings::default());
    let (records, _) = old.server.dump(old.now, None, 1);
    let mut new = Rig::new(Settings::default());
    assert!(new.server.restore(new.now, WALL, &records[0]).is_ok());
    let again = new.server.restore(new.now, WALL, &records[0]);
    assert_eq!(again.unwrap_err(), RecordError::Taken);
}

/// A damaged record is refused as a whole and leaves nothing behind.
#[test]
fn damaged_records_are_refused() {
    let (mut old, _) = Rig::registered(Settings::default());
    old.observed(0);
    old.submit(observe("/3/0/9")).unwrap();
    let (records, _) = old.server.dump(old.now, None, 1);
    let Record { registration, change: Change::Put(whole) } = records[0].clone() else {
        panic!("a dump has records to put")
    };
    let mut new = Rig::new(Settings::default());
    let mut refused = |bytes: Vec<u8>| {
        let record = Record { registration, change: Change::Put(bytes) };
        new.server.restore(new.now, WALL, &record).unwrap_err()
    };
    for len in 0..whole.len() {
        assert_eq!(refused(whole[..len].to_vec()), RecordError::Damaged, "{len}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert_eq!(refused(longer), RecordError::Damaged);
    let mut newer = whole.clone();
    newer[0] = 9;
    assert_eq!(refused(newer), RecordError::Version(9));
    let deletion = Record { registration, change: Change::Delete };
    let error = new.server.restore(new.now, WALL, &deletion).unwrap_err();
    assert_eq!(error, RecordError::Deleted);
    assert_eq!(new.server.registrations(), 0);
}

/// Flipped bits may give another valid record, never a panic.
#[test]
fn flipped_bits_do_not_panic() {
    let (mut old, _) = Rig::registered(Settings::default());
    old.observed(0);
    old.submit(observe("/3/0/9")).unwrap();
    let (records, _) = old.server.dump(old.now, None, 1);
    let Record { registration, change: Change::Put(whole) } = records[0].clone() else {
        panic!("a dump has records to put")
    };
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut new = Rig::new(Settings::default());
        let record = Record { registration, change: Change::Put(flipped) };
        drop(new.server.restore(new.now, WALL, &record));
        new.settle();
        let update = Msg::post(1, &format!("/rd/{registration}")).bytes();
        let identity = Identity::None;
        let datagram = Datagram { peer: peer_at(1, 5), identity: &identity, bytes: &update };
        new.server.handle_forwarded(new.now, WALL, datagram);
        new.settle();
    }
}

/// What was still to be observed is observed after a restart, also what was in flight.
#[test]
fn a_restart_while_observations_are_set_up_loses_none() {
    let settings = Settings {
        auto_observe: AutoObserve::Listed(vec!["/3/0".to_owned(), "/1/0".to_owned()]),
        ..Settings::default()
    };
    let mut store = Store::new();
    let (mut old, _) = Rig::registered(settings);
    for resource in ["/3303/0/5700", "/3303/0/5701"] {
        old.submit(observe(resource)).unwrap();
        let request = old.take_request();
        old.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    }
    let location = old.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1");
    let update = Msg::post(old.id(), &location);
    old.ask(peer(1), &update);
    assert_eq!(old.take_request().uri(), "/3303/0/5700", "in flight when it stops");
    drain(&mut old, &mut store);

    let mut new = restart(&old, &store, Duration::from_secs(1), 0);
    for uri in ["/3303/0/5700", "/3303/0/5701", "/1/0", "/3/0"] {
        let request = new.take_request();
        assert_eq!(request.uri(), uri);
        new.send(peer(1), &request.answer(Code::CONTENT).observe(0).payload("1").format(0));
        new.secs(1);
    }
    assert_eq!((new.requests(), new.server.observations()), (0, 4));
    let causes: Vec<_> = new.events.iter().filter_map(cause).collect();
    use ObserveCause::{Automatic, Rearmed};
    assert_eq!(causes, [Rearmed, Rearmed, Automatic, Automatic]);
}

fn cause(event: &Event) -> Option<ObserveCause> {
    match event {
        Event::Observed(observed) => Some(observed.cause),
        _ => None,
    }
}

/// A record of the first version ends with the commands.
#[test]
fn a_record_of_the_first_version_is_read() {
    let mut store = Store::new();
    let (mut old, location) = Rig::registered(Settings::default());
    old.observed(3);
    drain(&mut old, &mut store);
    for record in store.values_mut() {
        let Change::Put(bytes) = &mut record.change else { panic!("{record:?}") };
        bytes[0] = 1;
        let end = bytes.split_off(bytes.len() - 8);
        assert_eq!(end, [0; 8], "two lists of nothing");
    }
    let new = restart(&old, &store, Duration::ZERO, 0);
    let row = new.server.lookup(new.now, "dev").unwrap();
    assert_eq!(format!("/rd/{}", row.device.registration), location);
    assert_eq!(row.observations, 1);
}
