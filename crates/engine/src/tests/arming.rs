//! Observations of commands that are set up again after a Register: table 0.1 of the compatibility
//! contract ("observations after a new Register"), fact 9.

use std::collections::BTreeSet;

use coap::{Code, Duration, Token, Type};
use lwm2m::{Format, Operation};

use super::rig::{LINKS, Msg, Rig, cancel, name, observe, path, peer, peer_at, read};
use crate::{
    Arrival, AutoObserve, CommandError, Event, Intake, NoteKind, ObserveCause, Observed, Origin,
    Profile, Settings,
};

/// What the application of a test wants repeated.
pub(super) const ECHO: &[u8] = b"observe";

pub(super) fn auto(profile: Profile) -> Settings {
    Settings { profile, auto_observe: AutoObserve::Registered, ..Settings::default() }
}

pub(super) fn listed(profile: Profile, paths: &[&str]) -> Settings {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Settings { auto_observe: AutoObserve::Listed(paths), ..auto(profile) }
}

/// A device of profile 5, which observes nothing by itself.
pub(super) fn rig() -> (Rig, String) {
    Rig::registered(Settings { profile: Profile::Emqx5, ..Settings::default() })
}

/// Registers `dev` once more, from another port; its new location.
pub(super) fn again(rig: &mut Rig) -> String {
    let location = rig.register(peer_at(1, 6000), "ep=dev&lt=3600&lwm2m=1.1&b=U");
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer_at(1, 6000), &update).code, Code::CHANGED);
    location
}

pub(super) fn observed(rig: &Rig) -> Vec<&Observed> {
    rig.events
        .iter()
        .filter_map(|event| if let Event::Observed(found) = event { Some(&**found) } else { None })
        .collect()
}

/// Takes the one observe that is on its way.
#[track_caller]
pub(super) fn take_observe(rig: &mut Rig) -> Msg {
    assert_eq!(rig.requests(), 1, "{:?}", rig.sent);
    let request = rig.take_request();
    assert_eq!(request.options.options().observe(), Some(0), "{request:?}");
    request
}

/// Answers an observe with a value, from where the device is by now.
pub(super) fn answer(rig: &mut Rig, request: &Msg) {
    let at = rig.server.lookup(rig.now, "dev").unwrap().device.peer;
    let value = request.answer(Code::CONTENT).observe(0).payload("21.5").format(0);
    rig.send(at, &value);
}

/// Answers each observe that comes, as fast as it comes; their paths in order.
pub(super) fn answer_all(rig: &mut Rig, span: Duration) -> Vec<String> {
    let end = rig.now + span;
    let mut uris = Vec::new();
    while rig.now < end {
        while rig.requests() > 0 {
            let request = take_observe(rig);
            uris.push(request.uri());
            answer(rig, &request);
        }
        rig.advance(Duration::from_millis(10));
    }
    uris
}

pub(super) fn observe_as(rig: &mut Rig, text: &str, echo: &[u8]) -> Token {
    rig.submit_with(observe(text), |command| command.origin = Origin::new(echo)).unwrap();
    let request = take_observe(rig);
    answer(rig, &request);
    request.token
}

/// Fact 9: after every Register the observations are set up again, with new tokens.
#[test]
fn a_new_register_sets_the_observations_of_commands_up_again() {
    let (mut rig, _) = rig();
    let mut token = rig.observed(3);
    for _ in 0..3 {
        again(&mut rig);
        let request = take_observe(&mut rig);
        assert_eq!(request.uri(), "/3303/0/5700");
        assert_ne!(request.token, token);
        rig.events.clear();
        answer(&mut rig, &request);
        let [observed] = observed(&rig)[..] else { panic!("{:?}", rig.events) };
        assert_eq!((observed.cause, observed.path), (ObserveCause::Rearmed, path("/3303/0/5700")));
        assert_eq!(observed.origin.as_bytes(), ECHO);
        let value = observed.result.as_ref().unwrap();
        assert_eq!((value.sequence, &*value.body), (Some(0), &b"21.5"[..]));
        let late = Msg::with_token(token, Type::Confirmable, Code::CONTENT, rig.id()).observe(9);
        rig.send(peer_at(1, 6000), &late);
        assert_eq!(rig.sent.pop_back().unwrap().1, Msg::empty(Type::Reset, late.id));
        let id = rig.id();
        let news = Msg::with_token(request.token, Type::NonConfirmable, Code::CONTENT, id);
        rig.send(peer_at(1, 6000), &news.observe(1));
        assert_eq!(rig.notifications()[0].origin.as_bytes(), ECHO);
        assert_eq!(rig.server.observations(), 1);
        rig.sent.clear();
        token = request.token;
    }
    assert_eq!(rig.server.stats().rearmed, 3);
    assert!(rig.finished().is_empty(), "no command was given");
}

/// Fact 12: the answer to the Register leaves first, and others hear of it before anything is
/// asked.
#[test]
fn the_register_is_answered_and_announced_first() {
    let (mut rig, _) = rig();
    rig.observed(0);
    let id = rig.id();
    let register = Msg::post(id, "/rd?ep=dev&lt=60&lwm2m=1.1").payload(LINKS);
    rig.send(peer(1), &register);
    let codes: Vec<Code> = rig.sent.iter().map(|(_, sent)| sent.code).collect();
    assert_eq!(codes, [Code::CREATED, Code::GET]);
    assert_eq!(rig.take_names(), ["replaced", "registered"]);
}

/// Fact 9: not by an Update, and not by the end of the registration.
#[test]
fn nothing_but_a_register_sets_anything_up() {
    let (mut rig, location) = Rig::registered(listed(Profile::Emqx5, &["/3/0", "/3303/0"]));
    assert_eq!(answer_all(&mut rig, Duration::from_secs(1)), ["/3/0", "/3303/0"]);
    let update = Msg::post(rig.id(), &location).payload("</3/0>,</3303/0>,</3303/1>");
    rig.ask(peer(1), &update);
    assert!(answer_all(&mut rig, Duration::from_secs(5)).is_empty());
    let delete = Msg::request(Code::DELETE, rig.id(), &location);
    rig.ask(peer(1), &delete);
    rig.secs(5);
    assert_eq!((rig.requests(), rig.server.observations()), (0, 0));
}

#[test]
fn an_observation_is_set_up_as_it_was_asked_for() {
    let (mut rig, _) = rig();
    let operation = Operation::Observe { path: path("/3303/0"), accept: Some(Format::SENML_JSON) };
    rig.submit_with(operation, |command| command.query = vec!["a=1".to_owned()]).unwrap();
    let single = take_observe(&mut rig);
    answer(&mut rig, &single);
    let paths = vec![path("/3/0/9"), path("/3303/0/5700")];
    rig.submit(Operation::ObserveComposite { paths, accept: Some(Format::SENML_CBOR) }).unwrap();
    let composite = take_observe(&mut rig);
    answer(&mut rig, &composite);
    again(&mut rig);
    for former in [single, composite] {
        let request = take_observe(&mut rig);
        assert_eq!((request.code, &request.options), (former.code, &former.options));
        assert_eq!(request.payload, former.payload);
        answer(&mut rig, &request);
    }
    assert_eq!(rig.server.observations(), 2);
}

/// An observation that a command asked for is not lost because its device was not there.
#[test]
fn an_unanswered_observation_of_a_command_is_tried_five_times() {
    let (mut rig, _) = rig();
    rig.observed(0);
    let location = again(&mut rig);
    for round in 1..=5 {
        assert_eq!(rig.requests(), 1, "round {round}");
        assert!(observed(&rig).is_empty());
        rig.secs(130);
        rig.sent.clear();
        rig.secs(500);
        assert_eq!(rig.requests(), 0, "nothing before the device says something");
        let update = Msg::post(rig.id(), &location);
        rig.ask(peer_at(1, 6000), &update);
    }
    assert_eq!(rig.requests(), 0);
    let [lost] = observed(&rig)[..] else { panic!("{:?}", rig.events) };
    assert_eq!(lost.result, Err(CommandError::Timeout { acked: false }));
    assert!(rig.notes().contains(&NoteKind::ObservationLost));
    assert_eq!(rig.server.stats().rearm_failed, 1);
}

#[test]
fn a_refused_observation_of_a_command_ends() {
    let (mut rig, _) = rig();
    rig.observed(0);
    again(&mut rig);
    let request = take_observe(&mut rig);
    rig.send(peer_at(1, 6000), &request.answer(Code::NOT_FOUND));
    let [ended] = observed(&rig)[..] else { panic!("{:?}", rig.events) };
    assert_eq!(ended.result.as_ref().unwrap().code, Code::NOT_FOUND);
    assert!(rig.notes().contains(&NoteKind::ObservationLost));
    again(&mut rig);
    assert_eq!((rig.requests(), rig.server.observations()), (0, 0));
}

/// Commands go first, but not for ever.
#[test]
fn an_observe_lets_eight_commands_pass() {
    let (mut rig, _) = rig();
    rig.observed(0);
    for resource in 0..20 {
        rig.submit(read(&format!("/3/0/{resource}"))).unwrap();
    }
    rig.sent.clear();
    again(&mut rig);
    let mut uris = Vec::new();
    while rig.requests() > 0 {
        let request = rig.take_request();
        uris.push(request.uri());
        rig.send(peer_at(1, 6000), &request.answer(Code::CONTENT));
    }
    let place = uris.iter().position(|uri| uri == "/3303/0/5700");
    assert_eq!(place, Some(8), "{uris:?}");
    assert_eq!(uris.len(), 20, "one read was in flight and ended as replaced");
}

/// Facts 20 to 22: a sleeper is asked when it wakes, and not before.
#[test]
fn a_sleeper_is_asked_in_its_window() {
    let settings = Settings { profile: Profile::Emqx5, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let query = "ep=dev&lt=3600&lwm2m=1.1&b=U&Q";
    let location = rig.register(peer(1), query);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    for resource in ["/3303/0/5700", "/3303/0/5701"] {
        observe_as(&mut rig, resource, ECHO);
    }
    let location = rig.register(peer(1), query);
    let first = take_observe(&mut rig);
    rig.secs(130);
    rig.sent.clear();
    rig.secs(600);
    assert_eq!(rig.requests(), 0, "it sleeps");
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer(1), &update);
    let retried = take_observe(&mut rig);
    assert_eq!(retried.uri(), first.uri());
    answer(&mut rig, &retried);
    let second = take_observe(&mut rig);
    assert_eq!(second.uri(), "/3303/0/5701");
    answer(&mut rig, &second);
    assert_eq!(rig.server.observations(), 2);
}

/// A cancel ends what is still to be set up, too.
#[test]
fn a_cancelled_path_is_not_observed_again() {
    let (mut rig, _) = rig();
    for resource in ["/3303/0/5700", "/3303/0/5701"] {
        observe_as(&mut rig, resource, ECHO);
    }
    again(&mut rig);
    let first = take_observe(&mut rig);
    rig.submit(cancel("/3303/0/5701")).unwrap();
    answer(&mut rig, &first);
    let request = rig.take_request();
    assert_eq!(request.options.options().observe(), Some(1));
    rig.send(peer_at(1, 6000), &request.answer(Code::CONTENT));
    assert_eq!((rig.requests(), rig.server.observations()), (0, 1));
}

/// An observe in flight ends as `replaced`: whoever gave it gives it again, or not.
#[test]
fn an_observe_in_flight_at_a_register_is_not_set_up() {
    let (mut rig, _) = rig();
    let id = rig.submit(observe("/3303/0/5700")).unwrap();
    again(&mut rig);
    assert_eq!(rig.outcome(id), Err(CommandError::Replaced));
    rig.sent.clear();
    rig.secs(10);
    assert_eq!((rig.requests(), rig.server.observations()), (0, 0));
}

/// A Register in the middle of it starts over and loses nothing.
#[test]
fn a_register_while_observations_are_set_up_loses_none() {
    let (mut rig, _) = rig();
    for resource in ["/3303/0/5700", "/3303/0/5701", "/3303/0/5702"] {
        observe_as(&mut rig, resource, ECHO);
    }
    again(&mut rig);
    let first = take_observe(&mut rig);
    answer(&mut rig, &first);
    take_observe(&mut rig);
    again(&mut rig);
    let mut uris = answer_all(&mut rig, Duration::from_secs(1));
    uris.sort();
    assert_eq!(uris, ["/3303/0/5700", "/3303/0/5701", "/3303/0/5702"]);
    assert_eq!(rig.server.observations(), 3);
}

/// The first values have no reserved place on the way up, so none are asked for while it is full.
#[test]
fn nothing_is_observed_while_the_way_up_is_full() {
    let (mut rig, _) = rig();
    rig.observed(0);
    let location = again(&mut rig);
    rig.sent.clear();
    rig.secs(130); // Not answered: tried again after the next sign of life.
    rig.sent.clear();
    rig.server.set_intake(Intake::Full);
    let update = Msg::post(rig.id(), &location);
    rig.ask(peer_at(1, 6000), &update);
    rig.secs(10);
    assert_eq!(rig.requests(), 0);
    rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    rig.send(peer_at(1, 6000), &request.answer(Code::CONTENT));
    rig.server.set_intake(Intake::Open);
    rig.secs(2);
    assert_eq!(take_observe(&mut rig).uri(), "/3303/0/5700");
}

fn arrive(rig: &mut Rig, evict: bool) {
    rig.claims = crate::ClaimAnswer::Granted { evict };
    let id = rig.id();
    let register = Msg::post(id, "/rd?ep=dev&lt=3600&lwm2m=1.1").payload(LINKS);
    assert_eq!(rig.ask(peer_at(1, 6000), &register).code, Code::CREATED);
}

/// A device that registers at another shard takes its observations along.
#[test]
fn observations_move_between_shards() {
    let settings = || listed(Profile::Emqx5, &["/3/0"]);
    let (mut old, mut new) = (Rig::on_shard(settings(), 0), Rig::on_shard(settings(), 1));
    arrive(&mut old, false);
    answer_all(&mut old, Duration::from_secs(1));
    observe_as(&mut old, "/3303/0/5700", ECHO);
    let former = old.server.lookup(old.now, "dev").unwrap().device.registration;
    new.now = old.now;
    arrive(&mut new, true);
    assert_eq!(new.requests(), 0, "nothing before the former shard is done");
    let handover = old.server.handle_evict(old.now, &name("dev"), former);
    old.settle();
    assert_eq!(old.server.observations(), 0);
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    let Event::Registered { arrival: Arrival::Replacing, .. } = &new.events[0] else {
        panic!("{:?}", new.events)
    };
    assert_eq!(answer_all(&mut new, Duration::from_secs(1)), ["/3303/0/5700", "/3/0"]);
    let token = observe_token(&new);
    let news = Msg::with_token(token, Type::NonConfirmable, Code::CONTENT, 77).observe(1);
    new.send(peer_at(1, 6000), &news.payload("22").format(0));
    assert_eq!(new.notifications().len(), 1);
}

/// The token of one of the observations that there are.
fn observe_token(rig: &Rig) -> Token {
    let key = rig.server.registry.find("dev").unwrap();
    let head = rig.server.registry.get(key).unwrap().observations;
    let first = rig.server.observations.chain(head).next().unwrap().id;
    rig.server.coap.export_observation(first).unwrap().token
}

/// What a slow shard hands over late is set up all the same, for the command that asked.
#[test]
fn observations_that_come_late_are_set_up_too() {
    let settings = || listed(Profile::Emqx5, &["/3303/0"]);
    let (mut old, mut new) = (Rig::on_shard(settings(), 0), Rig::on_shard(settings(), 1));
    arrive(&mut old, false);
    answer_all(&mut old, Duration::from_secs(1));
    observe_as(&mut old, "/3303/0", ECHO);
    observe_as(&mut old, "/3303/0/5700", ECHO);
    let former = old.server.lookup(old.now, "dev").unwrap().device.registration;
    new.now = old.now;
    arrive(&mut new, true);
    assert_eq!(answer_all(&mut new, Duration::from_secs(1)), ["/3303/0"]);
    let handover = old.server.handle_evict(old.now, &name("dev"), former);
    new.server.handle_handover(new.now, &name("dev"), handover);
    new.settle();
    assert_eq!(answer_all(&mut new, Duration::from_secs(1)), ["/3303/0/5700"]);
    let key = new.server.registry.find("dev").unwrap();
    let head = new.server.registry.get(key).unwrap().observations;
    assert!(new.server.observations.chain(head).all(|found| found.origin.as_bytes() == ECHO));
    assert_eq!(new.server.observations(), 2);
}

/// A fleet that comes back after an outage keeps every observation.
#[test]
fn a_thousand_devices_that_register_again_keep_every_observation() {
    const DEVICES: u16 = 1000;
    let settings = Settings { profile: Profile::Emqx5, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let at = |device: u16, port: u16| peer_at((device / 250) as u8, port + device);
    let register = |rig: &mut Rig, device: u16, port: u16| {
        let uri = format!("/rd?ep=dev-{device}&lt=3600&lwm2m=1.1");
        let message = Msg::post(rig.id(), &uri).payload(LINKS);
        rig.send(at(device, port), &message);
    };
    for device in 0..DEVICES {
        register(&mut rig, device, 2000);
        let endpoint = name(&format!("dev-{device}"));
        let origin = Origin::new(&device.to_be_bytes());
        let command = crate::Command::new(endpoint, observe("/3303/0/5700"), origin);
        rig.server.submit(rig.now, command).unwrap();
        rig.settle();
    }
    answer_fleet(&mut rig);
    for device in 0..DEVICES {
        register(&mut rig, device, 20_000);
    }
    rig.events.clear();
    let observes = answer_fleet(&mut rig);
    assert_eq!(observes.len(), usize::from(DEVICES));
    assert_eq!(rig.server.observations(), usize::from(DEVICES));
    assert_eq!(rig.server.stats().rearmed, u64::from(DEVICES));
    for (to, observe) in observes {
        let id = rig.id();
        let news = Msg::with_token(observe.token, Type::NonConfirmable, Code::CONTENT, id);
        rig.send(to, &news.observe(1).payload("22").format(0));
    }
    let devices: BTreeSet<_> =
        rig.notifications().iter().map(|news| news.origin.as_bytes().to_vec()).collect();
    assert_eq!(devices.len(), usize::from(DEVICES));
}

/// Answers every observe that is on its way, and says what and where they were.
fn answer_fleet(rig: &mut Rig) -> Vec<(coap::Peer, Msg)> {
    let sent = core::mem::take(&mut rig.sent);
    let observes: Vec<_> =
        sent.into_iter().filter(|(_, message)| message.code == Code::GET).collect();
    for (to, request) in &observes {
        rig.send(*to, &request.answer(Code::CONTENT).observe(0).payload("21").format(0));
    }
    observes
}
