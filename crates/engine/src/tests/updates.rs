//! Updates, and who may speak for a registration. Registers are in [`super::registration`].

use coap::Code;
use lwm2m::registration::Lifetime;

use super::rig::{Msg, Rig, peer, peer_at};
use crate::{Event, Identity, Profile, Rebind, Settings, UpdateContent};

/// Fact 14: (case A3) an Update lays over what was registered; without links it changes nothing
/// else.
#[test]
fn an_update_is_laid_over_the_registration() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1&foo=bar");
    rig.events.clear();
    let update = Msg::post(rig.id(), &format!("{location}?lt=90&b=U"));
    let answer = rig.ask(peer(1), &update);
    assert_eq!((answer.code, answer.payload.len()), (Code::CHANGED, 0));
    let Event::Updated { device, content } = &rig.events[0] else { panic!("{:?}", rig.events) };
    assert_eq!(*content, UpdateContent::WithoutLinks);
    assert_eq!(device.info.lifetime, Lifetime::from_secs(90));
    let options: Vec<&str> = device.info.parameters.options().collect();
    assert_eq!(options, ["lwm2m=1.1", "foo=bar", "b=U"]);
    let links: Vec<&str> = device.info.links.as_ref().unwrap().object_list().collect();
    assert_eq!(links, ["/1/0", "/3/0", "/3303/0"]);

    rig.events.clear();
    let update = Msg::post(rig.id(), &location).payload("</7/0>");
    rig.ask(peer(1), &update);
    let Event::Updated { device, content } = &rig.events[0] else { panic!("{:?}", rig.events) };
    assert_eq!(*content, UpdateContent::WithLinks);
    let links: Vec<&str> = device.info.links.as_ref().unwrap().object_list().collect();
    assert_eq!(links, ["/7/0"]);
    assert_eq!(rig.server.stats().updated, 2);
}

#[test]
fn an_update_outside_of_the_limits_leaves_the_registration_as_it_was() {
    for (profile, code, lifetime) in
        [(Profile::Emqx4, Code::BAD_REQUEST, 60), (Profile::Emqx5, Code::CHANGED, 900_000)]
    {
        let mut rig = Rig::with_profile(profile);
        let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
        let update = Msg::post(rig.id(), &format!("{location}?lt=900000"));
        assert_eq!(rig.ask(peer(1), &update).code, code);
        let row = rig.server.lookup(rig.now, "a").unwrap();
        assert_eq!(row.device.info.lifetime, Lifetime::from_secs(lifetime));
    }
}

/// Several clients register again on 4.04 only. Cases ETS 103, 105.
#[test]
fn an_unknown_location_is_4_04_in_both_profiles() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut rig = Rig::with_profile(profile);
        let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
        let delete = Msg::request(Code::DELETE, rig.id(), &location);
        assert_eq!(rig.ask(peer(1), &delete).code, Code::DELETED);
        for code in [Code::POST, Code::DELETE] {
            for uri in [location.as_str(), "/rd/AAAAAAAAAAAA", "/rd/a", "/rd/a/b"] {
                let id = rig.id();
                let answer = rig.ask(peer(1), &Msg::request(code, id, uri));
                assert_eq!(answer.code, Code::NOT_FOUND, "{code} {uri}");
            }
        }
    }
}

/// A device behind a NAT that got a new mapping goes on with its location.
#[test]
fn an_update_from_a_new_address_moves_the_device_if_allowed() {
    for (rebind, code, events) in [
        (Rebind::Accept, Code::CHANGED, vec!["address_changed", "updated"]),
        (Rebind::Refuse, Code::NOT_FOUND, vec!["address_refused"]),
    ] {
        let mut rig = Rig::new(Settings { nosec_rebind: rebind, ..Settings::default() });
        let location = rig.register(peer_at(1, 5000), "ep=a&lt=60&lwm2m=1.1");
        rig.events.clear();
        let update = Msg::post(rig.id(), &location);
        assert_eq!(rig.ask(peer_at(1, 5001), &update).code, code);
        assert_eq!(rig.take_names(), events);
    }
}

/// Fact 51: who is not the proven owner does not speak for the registration, even with its id.
#[test]
fn a_location_is_worth_nothing_to_another_identity() {
    let mut rig = Rig::new(Settings::default());
    rig.identity = Identity::Psk("owner".into());
    let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
    rig.identity = Identity::None;
    let delete = Msg::request(Code::DELETE, rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &delete).code, Code::NOT_FOUND);
    assert_eq!(rig.server.registrations(), 1);
}
