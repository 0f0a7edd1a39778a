//! Register and requests that belong nowhere: table 0.1 of the compatibility contract in both
//! profiles, OMA Core 6.2. Updates are in [`super::updates`].

use coap::{Code, Token, Type};
use lwm2m::registration::Lifetime;

use super::rig::{LINKS, Msg, Rig, id_of, peer, peer_at};
use crate::{
    AcceptedVersion, Arrival, ClaimAnswer, Event, Identity, Intake, NoteKind, Presence, Profile,
    RegistrationFault, Settings,
};

const BAD: Code = Code::BAD_REQUEST;
const MADE: Code = Code::CREATED;
const FAIL: Code = Code::PRECONDITION_FAILED;

/// Registers once with each query in a server of each profile: the codes of profile 4 and 5.
fn registers(cases: &[(&str, Code, Code)]) {
    for &(query, in_4, in_5) in cases {
        for (profile, expected) in [(Profile::Emqx4, in_4), (Profile::Emqx5, in_5)] {
            let mut rig = Rig::with_profile(profile);
            let message = Msg::post(1, &format!("/rd?{query}")).payload(LINKS);
            let answer = rig.ask(peer(1), &message);
            assert_eq!(answer.code, expected, "{profile:?} {query}");
            let made = rig.take_names().contains(&"registered");
            assert_eq!(made, expected == MADE, "{profile:?} {query}");
        }
    }
}

/// Fact 1: a foreign version is 4.12, so that 1.2 devices fall back. EMQX 5 says 4.00.
#[test]
fn versions_are_judged_by_profile() {
    registers(&[
        ("ep=a&lt=60&lwm2m=1", MADE, MADE),
        ("ep=a&lt=60&lwm2m=1.0", MADE, MADE),
        ("ep=a&lt=60&lwm2m=1.1", MADE, MADE),
        ("ep=a&lt=60&lwm2m=1.2", MADE, MADE),
        ("ep=a&lt=60&lwm2m=2.0", FAIL, BAD),
        ("ep=a&lt=60&lwm2m=10", FAIL, BAD),
        ("ep=a&lt=60&lwm2m=", FAIL, BAD),
        ("ep=a&lt=60", FAIL, BAD),
    ]);
}

#[test]
fn the_versions_that_are_served_are_a_setting() {
    let settings = Settings {
        accept_versions: vec![AcceptedVersion::parse("1.1").unwrap()],
        ..Settings::default()
    };
    let mut rig = Rig::new(settings);
    let refused = rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1.2"));
    assert_eq!(refused.code, FAIL);
    let made = rig.ask(peer(1), &Msg::post(2, "/rd?ep=a&lt=60&lwm2m=1.1"));
    assert_eq!(made.code, MADE);
}

/// Facts 6, 8: `lt` may be missing; limits refuse in profile 4 and are not looked at in profile 5.
#[test]
fn lifetimes_are_judged_by_profile() {
    registers(&[
        ("ep=a&lwm2m=1", MADE, MADE),
        ("ep=a&lt=1&lwm2m=1", MADE, MADE),
        ("ep=a&lt=864000&lwm2m=1", MADE, MADE),
        ("ep=a&lt=864001&lwm2m=1", BAD, MADE),
        ("ep=a&lt=0&lwm2m=1", BAD, MADE),
        ("ep=a&lt=4294967296&lwm2m=1", BAD, MADE),
        ("ep=a&lt=18446744073709551615&lwm2m=1", BAD, MADE),
        ("ep=a&lt=18446744073709551616&lwm2m=1", BAD, BAD),
        ("ep=a&lt=-1&lwm2m=1", BAD, BAD),
        ("ep=a&lt=ten&lwm2m=1", BAD, BAD),
        ("ep=a&lt=&lwm2m=1", BAD, BAD),
    ]);
}

/// Fact 6: a missing `lt` is 86 400 s, and that is what is published.
#[test]
fn a_missing_lifetime_is_a_day() {
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=a&lwm2m=1.1");
    let Event::Registered { device, arrival } = &rig.events[0] else { panic!("not registered") };
    assert_eq!(device.info.lifetime, Lifetime::from_secs(86_400));
    assert_eq!(*arrival, Arrival::New);
    let row = rig.server.lookup(rig.now, "a").unwrap();
    assert_eq!(row.lifetime_left.as_secs(), 86_400);
}

#[test]
fn names_that_cannot_be_in_a_topic_are_refused() {
    registers(&[
        ("ep=a/b&lt=60&lwm2m=1", MADE, MADE),
        ("ep=urn:imei:1&lt=60&lwm2m=1", MADE, MADE),
        ("ep=ä&lt=60&lwm2m=1", MADE, MADE),
        ("ep=&lt=60&lwm2m=1", BAD, BAD),
        ("ep=a+b&lt=60&lwm2m=1", BAD, BAD),
        ("ep=a#&lt=60&lwm2m=1", BAD, BAD),
        ("ep=/a&lt=60&lwm2m=1", BAD, BAD),
        ("ep=a/&lt=60&lwm2m=1", BAD, BAD),
        ("ep=a\0b&lt=60&lwm2m=1", BAD, BAD),
        ("ep=a\nb&lt=60&lwm2m=1", BAD, BAD),
    ]);
}

#[test]
fn the_longest_name_fits_its_option() {
    let longest = format!("ep={}&lt=60&lwm2m=1", "e".repeat(252));
    registers(&[(&longest, MADE, MADE)]);
    // One byte more makes a critical option too long (RFC 7252 5.4.3): 4.02.
    let too_long = format!("/rd?ep={}&lt=60&lwm2m=1", "e".repeat(253));
    let mut rig = Rig::new(Settings::default());
    assert_eq!(rig.ask(peer(1), &Msg::post(1, &too_long)).code, Code::BAD_OPTION);
}

/// Fact 2: `Q` without `=` is LwM2M 1.1's queue mode; other keys without `=` are by profile.
#[test]
fn keys_without_a_value_are_judged_by_profile() {
    registers(&[
        ("ep=a&lt=60&lwm2m=1.1&b=U&Q", MADE, MADE),
        ("ep=a&lt=60&lwm2m=1.1&Q=", MADE, MADE),
        ("ep=a&lt=60&lwm2m=1.1&foo", BAD, MADE),
        ("ep=a&lt=60&lwm2m=1.1&=bar", BAD, MADE),
        ("ep&lt=60&lwm2m=1.1", BAD, BAD),
    ]);
}

/// Fact 2: bindings are kept and meant as they read, whatever the version.
#[test]
fn a_binding_that_does_not_fit_is_kept_and_noted() {
    let cases = [
        ("lwm2m=1.0&b=UQ", Presence::QueueMode, false),
        ("lwm2m=1.1&b=UQ", Presence::QueueMode, true),
        ("lwm2m=1.0&b=UT", Presence::Always, true),
        ("lwm2m=1.1&b=UT", Presence::Always, false),
        ("lwm2m=1.1&b=U&Q", Presence::QueueMode, false),
        ("lwm2m=1.1", Presence::Always, false),
    ];
    for (query, presence, noted) in cases {
        let mut rig = Rig::new(Settings::default());
        rig.register(peer(1), &format!("ep=a&lt=60&{query}"));
        let row = rig.server.lookup(rig.now, "a").unwrap();
        assert_eq!(row.device.info.presence, presence, "{query}");
        assert_eq!(rig.notes().contains(&NoteKind::BindingCorrected), noted, "{query}");
    }
}

/// The names of access points are a sign of queue mode for EMQX 5 only.
#[test]
fn an_access_point_name_means_queue_mode_in_profile_5() {
    for (profile, presence) in
        [(Profile::Emqx4, Presence::Always), (Profile::Emqx5, Presence::QueueMode)]
    {
        let mut rig = Rig::with_profile(profile);
        rig.register(peer(1), "ep=a&lt=60&lwm2m=1&b=U&apn=psmA.eDRX0.ctnb");
        let row = rig.server.lookup(rig.now, "a").unwrap();
        assert_eq!(row.device.info.presence, presence, "{profile:?}");
    }
}

/// Fact 3: only the first `=` splits, and values are taken as they are.
#[test]
fn other_parameters_are_kept_in_their_order() {
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=a&x=1=2%20&lt=60&lwm2m=1&b=U&x=last&y=ü");
    let row = rig.server.lookup(rig.now, "a").unwrap();
    let options: Vec<&str> = row.device.info.parameters.options().collect();
    assert_eq!(options, ["lwm2m=1", "b=U", "x=last", "y=ü"]);
}

/// ETS B1 is decided otherwise by table 0.1: an empty Register payload is accepted.
#[test]
fn a_register_without_links_is_accepted() {
    let mut rig = Rig::new(Settings::default());
    let answer = rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1"));
    assert_eq!(answer.code, MADE);
    let row = rig.server.lookup(rig.now, "a").unwrap();
    assert!(row.device.info.links.is_none());
}

/// Fact 13: the location is nothing that can be guessed from the name.
#[test]
fn the_location_is_rd_and_twelve_random_characters() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1");
    let id = id_of(&location);
    assert_eq!(location.len(), "/rd/".len() + 12);
    let row = rig.server.lookup(rig.now, "a").unwrap();
    assert_eq!(row.device.registration, id);
    let other = rig.register(peer(2), "ep=b&lt=60&lwm2m=1");
    assert_ne!(location, other);
}

#[test]
fn a_register_is_answered_in_its_own_kind() {
    let mut rig = Rig::new(Settings::default());
    let con = rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1"));
    assert_eq!((con.kind, con.id.value(), con.payload.len()), (Type::Acknowledgement, 1, 0));
    let non = rig.ask(peer(2), &Msg::post(1, "/rd?ep=b&lt=60&lwm2m=1").non());
    assert_eq!((non.kind, non.code), (Type::NonConfirmable, MADE));
}

#[test]
fn error_texts_are_those_of_profile_5() {
    for (query, text) in [
        ("ep=a&lt=60&lwm2m=9", "Login Failed: invalid lwm2m version"),
        ("lt=60&lwm2m=1", "Login Failed: invalid queries"),
    ] {
        let message = Msg::post(1, &format!("/rd?{query}"));
        let answer = Rig::with_profile(Profile::Emqx5).ask(peer(1), &message);
        assert_eq!(answer.payload, text.as_bytes());
        let answer = Rig::with_profile(Profile::Emqx4).ask(peer(1), &message);
        assert!(answer.payload.is_empty());
    }
}

/// Fact 4: (case A4) without `ep` the proven identity is the name; NoSec has none.
#[test]
fn a_missing_name_is_taken_from_the_identity() {
    registers(&[("lt=60&lwm2m=1.1", BAD, BAD)]);
    for identity in [Identity::Psk("psk-1".into()), Identity::Certificate("psk-1".into())] {
        let mut rig = Rig::new(Settings::default());
        rig.identity = identity;
        rig.register(peer(1), "lt=60&lwm2m=1.1");
        assert!(rig.server.lookup(rig.now, "psk-1").is_some());
    }
}

/// Fact 10: another identity cannot take the name; the registration stays as it was.
#[test]
fn another_identity_does_not_replace_a_registration() {
    for (profile, code) in [(Profile::Emqx4, Code::FORBIDDEN), (Profile::Emqx5, BAD)] {
        let mut rig = Rig::with_profile(profile);
        rig.identity = Identity::Psk("owner".into());
        let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
        for identity in [Identity::None, Identity::Psk("thief".into())] {
            rig.identity = identity;
            let id = rig.id();
            let answer = rig.ask(peer(2), &Msg::post(id, "/rd?ep=a&lt=60&lwm2m=1.1"));
            assert_eq!(answer.code, code);
        }
        rig.identity = Identity::Psk("owner".into());
        let update = Msg::post(rig.id(), &location);
        assert_eq!(rig.ask(peer(1), &update).code, Code::CHANGED);
        // The owner itself may come from anywhere.
        rig.register(peer(3), "ep=a&lt=60&lwm2m=1.1");
    }
}

/// Fact 5: what the directory refuses is 4.03, in profile 5 4.00.
#[test]
fn a_refused_claim_refuses_the_register() {
    for (profile, code) in [(Profile::Emqx4, Code::FORBIDDEN), (Profile::Emqx5, BAD)] {
        let mut rig = Rig::with_profile(profile);
        rig.claims = ClaimAnswer::Refused;
        let answer = rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1"));
        assert_eq!(answer.code, code);
        assert_eq!(rig.notes(), [NoteKind::IdentityRefused]);
        assert_eq!(rig.server.registrations(), 0);
    }
}

/// Fact 9: (case A2) a new Register has a new id, its data replace the old, the old id is 4.04.
#[test]
fn a_second_register_replaces_the_first() {
    for profile in [Profile::Emqx4, Profile::Emqx5] {
        let mut rig = Rig::with_profile(profile);
        let first = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1&foo=bar");
        rig.take_names();
        let second = rig.register(peer(1), "ep=a&lt=90&lwm2m=1.1&x=y");
        assert_ne!(first, second);
        let Event::Registered { device, arrival } = &rig.events[1] else {
            panic!("{:?}", rig.events)
        };
        assert_eq!(*arrival, Arrival::Replacing);
        let options: Vec<&str> = device.info.parameters.options().collect();
        assert_eq!(options, ["lwm2m=1.1", "x=y"]);
        assert_eq!(rig.take_names(), ["replaced", "registered"]);
        let (old, new) = (Msg::post(rig.id(), &first), Msg::post(rig.id(), &second));
        assert_eq!(rig.ask(peer(1), &old).code, Code::NOT_FOUND);
        assert_eq!(rig.ask(peer(1), &new).code, Code::CHANGED);
        assert_eq!(rig.server.registrations(), 1);
    }
}

/// Fact 11: a retransmission from a new port gets the same location and makes no second event.
#[test]
fn a_register_repeated_from_a_new_port_is_the_same_registration() {
    let mut rig = Rig::new(Settings::default());
    let message = Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1.1").payload(LINKS);
    let first = rig.ask(peer_at(1, 5000), &message);
    rig.events.clear();
    rig.secs(40);
    let again = rig.ask(peer_at(1, 5001), &message);
    assert_eq!((again.code, again.location()), (MADE, first.location()));
    assert_eq!(rig.take_names(), ["address_changed"]);
    let row = rig.server.lookup(rig.now, "a").unwrap();
    assert_eq!(row.device.peer, peer_at(1, 5001));
}

/// Fact 11: later than 45 s, or after something else came, it is a new Register.
#[test]
fn a_register_that_comes_later_is_a_new_one() {
    let message = Msg::post(1, "/rd?ep=a&lt=600&lwm2m=1.1").payload(LINKS);
    let mut late = Rig::new(Settings::default());
    let first = late.ask(peer_at(1, 5000), &message);
    late.secs(46);
    assert_ne!(late.ask(peer_at(1, 5001), &message).location(), first.location());

    let mut after = Rig::new(Settings::default());
    let first = after.ask(peer_at(1, 5000), &message);
    after.ask(peer_at(1, 5000), &Msg::post(2, &first.location()));
    assert_ne!(after.ask(peer_at(1, 5001), &message).location(), first.location());

    let mut other = Rig::new(Settings::default());
    let first = other.ask(peer_at(1, 5000), &message);
    let mut changed = message.clone();
    changed.token = Token::new(b"other").unwrap();
    assert_ne!(other.ask(peer_at(1, 5001), &changed).location(), first.location());
}

/// Fact 26: a duplicate is answered with the stored answer and makes no second event.
#[test]
fn a_duplicate_register_is_answered_from_memory() {
    let mut rig = Rig::new(Settings::default());
    let message = Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1.1");
    let first = rig.ask(peer(1), &message);
    rig.events.clear();
    assert_eq!(rig.ask(peer(1), &message), first);
    assert!(rig.events.is_empty());
}

#[test]
fn other_methods_and_paths_are_refused_and_do_no_harm() {
    let mut rig = Rig::new(Settings::default());
    let location = rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
    let cases = [
        (Code::GET, "/rd", Code::METHOD_NOT_ALLOWED),
        (Code::PUT, "/rd", Code::METHOD_NOT_ALLOWED),
        (Code::DELETE, "/rd", Code::METHOD_NOT_ALLOWED),
        (Code::FETCH, "/rd", Code::METHOD_NOT_ALLOWED),
        (Code::GET, &location, Code::METHOD_NOT_ALLOWED),
        (Code::PUT, &location, Code::METHOD_NOT_ALLOWED),
        (Code::GET, "/dp", Code::METHOD_NOT_ALLOWED),
        (Code::POST, "/bs", Code::NOT_FOUND),
        (Code::POST, "/bs?ep=a", Code::NOT_FOUND),
        (Code::GET, "/bspack", Code::NOT_FOUND),
        (Code::POST, "", Code::NOT_FOUND),
        (Code::GET, "/3/0", Code::NOT_FOUND),
        (Code::POST, "/.well-known/core", Code::METHOD_NOT_ALLOWED),
    ];
    for (method, uri, expected) in cases {
        let id = rig.id();
        let answer = rig.ask(peer(1), &Msg::request(method, id, uri));
        assert_eq!(answer.code, expected, "{method} {uri}");
    }
    let update = Msg::post(rig.id(), &location);
    assert_eq!(rig.ask(peer(1), &update).code, Code::CHANGED);
}

#[test]
fn the_directory_tells_what_there_is() {
    let mut rig = Rig::new(Settings::default());
    let answer = rig.ask(peer(1), &Msg::request(Code::GET, 1, "/.well-known/core"));
    assert_eq!(answer.code, Code::CONTENT);
    assert!(answer.payload.starts_with(b"</rd>;rt=\"core.rd\""));
    assert_eq!(answer.options.options().content_format().map(|format| format.0), Some(40));
}

#[test]
fn a_full_server_turns_new_devices_away_and_keeps_the_old() {
    let mut rig = Rig::new(Settings { registrations_max: 1, ..Settings::default() });
    rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
    let answer = rig.ask(peer(2), &Msg::post(1, "/rd?ep=b&lt=60&lwm2m=1.1"));
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(answer.options.options().max_age(), Some(30));
    rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
    rig.server.set_intake(Intake::Full);
    let answer = rig.ask(peer(1), &Msg::post(2, "/rd?ep=a&lt=60&lwm2m=1.1"));
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
}

#[test]
fn a_register_for_which_the_driver_has_no_room_is_told_when_to_come_again() {
    let mut rig = Rig::new(Settings::default());
    rig.claims = ClaimAnswer::Full;
    let answer = rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=1.1"));
    assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
    assert_eq!(answer.options.options().max_age(), Some(30));
    assert_eq!((rig.server.registrations(), rig.notes()), (0, vec![NoteKind::Overloaded]));
    rig.claims = ClaimAnswer::Granted { evict: false };
    rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
}

#[test]
fn what_is_refused_is_noted_with_its_fault_and_evidence() {
    let mut rig = Rig::new(Settings::default());
    rig.ask(peer(1), &Msg::post(1, "/rd?ep=a&lt=60&lwm2m=3"));
    let Event::Noted(note) = &rig.events[1] else { panic!("{:?}", rig.events) };
    let fault = RegistrationFault::VersionForeign;
    assert_eq!(note.kind, NoteKind::RegistrationRefused(fault));
    assert_eq!(note.evidence.as_bytes(), b"ep=a&lt=60&lwm2m=3");
    assert_eq!(note.who.peer, Some(peer(1)));
}

#[test]
fn settings_change_while_devices_are_registered() {
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=a&lt=60&lwm2m=1.1");
    let profile = Profile::Emqx5;
    rig.server.set_settings(Settings { profile, ..Settings::default() }.into());
    let answer = rig.ask(peer(2), &Msg::post(1, "/rd?ep=b&lt=60&lwm2m=3"));
    assert_eq!(answer.code, BAD);
    assert_eq!(rig.server.registrations(), 1);
}
