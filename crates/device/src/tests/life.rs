//! Register, Update, Deregister, reboot, firmware, Send, separate answers, bad datagrams.

use coap::{Code, Duration, OptionList, OptionNumber, Type};
use lwm2m::{Format, Value, Version};

use super::{Ask, Lab, Seen, changed, created, get, path, post, profile, put};
use crate::{Answers, Event, Profile, QueueMode, Reboot, Reliability, RootLink, SendError};

const URI_PATH: OptionNumber = OptionNumber::URI_PATH;

fn registration(profile: Profile) -> Seen {
    Lab::new(profile).one()
}

#[test]
fn register_says_who_how_long_and_what() {
    let register = registration(profile());
    assert_eq!((register.kind, register.code), (Type::Confirmable, Code::POST));
    assert_eq!(register.segments(URI_PATH), "/rd");
    assert_eq!(register.queries(), ["ep=lab-1", "lt=300", "lwm2m=1.1", "b=U"]);
    assert_eq!((register.format(), register.token.len()), (Some(40), 8));
    assert_eq!(
        register.text(),
        "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542 11543\",</1>;ver=1.1,</1/0>,</3>;ver=1.1,\
         </3/0>,</4>;ver=1.1,</4/0>,</5/0>,</6/0>,</3303>;ver=1.1,</3303/0>,</3442/0>"
    );
}

#[test]
fn an_old_device_registers_as_old_devices_do() {
    let mut profile = Profile::new(Version::V1_0, super::models());
    profile.queue_mode = QueueMode::On;
    let register = registration(profile);
    assert_eq!(register.queries(), ["ep=lab-1", "lt=300", "lwm2m=1.0", "b=UQ"]);
    assert_eq!(
        register.text(),
        "</>;rt=\"oma.lwm2m\";ct=\"11542 11543\",</1/0>,</3/0>,</4/0>,</5/0>,</6/0>,</3303/0>,\
         </3442/0>"
    );
}

/// Fact 2: `Q` is a value-less query from 1.1 on.
#[test]
fn the_parameters_follow_the_profile() {
    let register = registration(Profile {
        queue_mode: QueueMode::On,
        lifetime: None,
        queries: vec!["sms=+49".to_owned()],
        register_format: None,
        root_link: RootLink::LeftOut,
        alternate_path: Some("/dev".to_owned()),
        ..profile()
    });
    assert_eq!(register.queries(), ["ep=lab-1", "lwm2m=1.1", "b=U", "Q", "sms=+49"]);
    assert_eq!(register.format(), None);
    assert!(register.text().starts_with("</dev>;rt=\"oma.lwm2m\""), "{}", register.text());
    assert!(register.text().ends_with("</dev/3442/0>"));
    let anjay = registration(Profile::like_anjay(super::models()));
    assert_eq!(anjay.queries(), ["ep=lab-1", "lt=300", "lwm2m=1.1"]);
    assert!(anjay.text().starts_with("</1>"));
}

#[test]
fn an_unanswered_register_is_repeated_and_begun_anew() {
    let mut lab = Lab::new(profile());
    let first = lab.one();
    lab.pass_secs(50);
    let repeated = lab.transmits();
    assert_eq!(repeated.len(), 4);
    assert!(repeated.iter().all(|message| *message == first));
    lab.pass_secs(60);
    assert_eq!(lab.events(), [Event::Silence]);
    let anew = lab.transmits();
    assert!(!anew.is_empty() && anew[0].token != first.token);
}

#[test]
fn a_refused_device_waits_as_long_as_it_is_told() {
    let mut lab = Lab::new(profile());
    let register = lab.one();
    let mut options = OptionList::new();
    options.max_age(60);
    lab.answer(&register, (Code::SERVICE_UNAVAILABLE, options));
    assert_eq!(lab.events(), [Event::RegistrationRefused { code: Code::SERVICE_UNAVAILABLE }]);
    lab.pass_secs(59);
    lab.nothing();
    lab.pass_secs(31);
    assert_eq!(
        lab.transmits().first().map(|again| again.segments(URI_PATH)).as_deref(),
        Some("/rd")
    );
}

/// Fact 28: an empty acknowledgement first, the answer later in a message of its own.
#[test]
fn a_separate_answer_to_register_is_taken_and_acknowledged() {
    let mut lab = Lab::new(profile());
    let register = lab.one();
    lab.empty(Type::Acknowledgement, &register);
    lab.pass_secs(10);
    lab.nothing();
    let mut datagram = Vec::new();
    coap::Message {
        kind: Type::Confirmable,
        code: Code::CREATED,
        id: coap::MessageId::new(9),
        token: register.token,
        options: created().1.options(),
        payload: &[],
    }
    .encode(&mut datagram);
    lab.device.handle_datagram(lab.now, &datagram);
    assert!(lab.device.is_registered());
    let acknowledgement = lab.one();
    assert_eq!((acknowledgement.kind, acknowledgement.id.value()), (Type::Acknowledgement, 9));
    lab.device.handle_datagram(lab.now, &datagram);
    assert_eq!(lab.one().kind, Type::Reset, "a stranger's answer by now");
}

#[test]
fn updates_come_in_time_and_carry_only_what_changed() {
    let mut lab = Lab::registered(profile());
    lab.pass_secs(149);
    lab.nothing();
    lab.pass_secs(1);
    let update = lab.one();
    assert_eq!(update.segments(URI_PATH), "/rd/x1");
    assert_eq!((update.queries(), update.payload.len()), (Vec::new(), 0));
    lab.answer(&update, changed());
    assert_eq!(lab.events(), [Event::Updated]);
    assert_eq!(lab.ask(put("/1/0/1").with(0, "600")).code, Code::CHANGED);
    let update = lab.one();
    assert_eq!(update.queries(), ["lt=600"]);
    lab.answer(&update, changed());
    assert_eq!(lab.ask(post("/3303").with(11542, b"")).code, Code::CREATED);
    let update = lab.one();
    assert!(update.text().contains("</3303/1>"), "{}", update.text());
    lab.answer(&update, changed());
    assert_eq!(lab.ask(post("/1/0/8")).code, Code::CHANGED);
    assert_eq!(lab.one().segments(URI_PATH), "/rd/x1");
}

/// Fact 13: a 4.04 makes the device register again.
#[test]
fn an_unknown_registration_is_made_again() {
    let mut lab = Lab::registered(profile());
    lab.device.update(lab.now);
    let update = lab.one();
    lab.answer(&update, (Code::NOT_FOUND, OptionList::new()));
    assert_eq!(lab.events(), [Event::UpdateRefused { code: Code::NOT_FOUND }]);
    assert_eq!(lab.one().segments(URI_PATH), "/rd");
}

#[test]
fn deregister_leaves_and_answers_nothing_more() {
    let mut lab = Lab::registered(profile());
    lab.device.deregister(lab.now);
    let leaving = lab.one();
    assert_eq!((leaving.code, leaving.segments(URI_PATH)), (Code::DELETE, "/rd/x1".to_owned()));
    lab.answer(&leaving, (Code::DELETED, OptionList::new()));
    assert_eq!(lab.events(), [Event::Deregistered]);
    assert_eq!(lab.device.poll_timeout(), None);
    lab.submit(&get("/3/0/0"));
    assert_eq!(lab.one().kind, Type::Reset);
}

#[test]
fn a_reboot_answers_goes_and_registers_anew() {
    for (reboot, leaves) in [(Reboot::Vanishes, false), (Reboot::Deregisters, true)] {
        let mut lab = Lab::registered(Profile { reboot, ..profile() });
        let datagram = lab.submit(&post("/3/0/4"));
        let sent = lab.transmits();
        assert_eq!(sent[0].code, Code::CHANGED);
        assert_eq!(sent.len() == 2, leaves);
        if leaves {
            lab.answer(&sent[1], (Code::DELETED, OptionList::new()));
        }
        lab.pass_secs(3);
        lab.device.handle_datagram(lab.now, &datagram);
        assert_eq!(lab.one(), sent[0], "a server that missed the answer asks again");
        lab.submit(&get("/3/0/0"));
        lab.nothing();
        lab.pass_secs(3);
        assert!(lab.events().contains(&Event::Rebooted));
        assert_eq!(lab.one().segments(URI_PATH), "/rd");
        assert_eq!(lab.device.executions(&path("/3/0/4")), 1);
    }
}

#[test]
fn a_factory_reset_forgets_what_was_written() {
    let mut lab = Lab::registered(profile());
    lab.ask(put("/3/0/14").with(0, "+05:00"));
    lab.ask(post("/3/0/5"));
    assert_eq!(lab.device.value(&path("/3/0/14")), Some(&Value::String("+00:00".to_owned())));
}

/// Facts 81 and 83: states 0, 1, 2, 3 and a result that arrives after the device is back.
#[test]
fn a_firmware_update_runs_through_its_states() {
    let mut lab = Lab::registered(profile());
    let state = |lab: &Lab| {
        let number = |at: &str| lab.device.value(&path(at)).cloned();
        match (number("/5/0/3"), number("/5/0/5")) {
            (Some(Value::Integer(state)), Some(Value::Integer(result))) => (state, result),
            other => panic!("{other:?}"),
        }
    };
    let uri = |text: &str| put("/5/0/1").with(0, text);
    lab.ask(uri("gopher://x"));
    assert_eq!(state(&lab), (0, 9));
    lab.ask(uri("nonsense"));
    assert_eq!(state(&lab), (0, 7));
    lab.ask(uri("coap://192.0.2.1/fw"));
    assert_eq!(state(&lab), (1, 0));
    assert_eq!(lab.ask(post("/5/0/2")).code, Code::METHOD_NOT_ALLOWED);
    lab.pass_secs(2);
    assert_eq!(state(&lab), (2, 0));
    lab.ask(uri(""));
    assert_eq!(state(&lab), (0, 0));
    lab.ask(put("/5/0/0").with(42, b"image"));
    assert_eq!(state(&lab), (2, 0));
    assert_eq!(lab.ask(post("/5/0/2")).code, Code::CHANGED);
    assert_eq!(state(&lab), (3, 0));
    assert_eq!(lab.ask(put("/5/0/0").with(42, b"")).code, Code::METHOD_NOT_ALLOWED);
    lab.pass_secs(2);
    assert_eq!(state(&lab), (0, 1));
    assert_eq!(lab.device.value(&path("/3/0/3")), Some(&Value::String("2.0.0".to_owned())));
    assert_eq!(lab.one().segments(URI_PATH), "/rd");
}

/// Fact 67: Send is a POST to /dp, without the alternate path.
#[test]
fn send_goes_to_dp() {
    let mut profile = profile();
    profile.alternate_path = Some("/dev".to_owned());
    profile.format_of_send = Some(Format::SENML_JSON);
    let mut lab = Lab::registered(profile);
    lab.device.send(lab.now, &[path("/3303/0/5700"), path("/3/0/9")]).unwrap();
    let send = lab.one();
    assert_eq!((send.code, send.segments(URI_PATH)), (Code::POST, "/dp".to_owned()));
    assert_eq!(send.format(), Some(110));
    assert!(send.text().contains("21.5") && send.text().contains("100"), "{}", send.text());
    lab.answer(&send, changed());
    assert_eq!(lab.events(), [Event::SendFinished { code: Code::CHANGED }]);
    lab.ask(put("/dev/1/0/23").with(0, "1"));
    assert_eq!(lab.device.send(lab.now, &[path("/3/0/9")]), Err(SendError::Muted));
    let mut old = Lab::registered(Profile::new(Version::V1_0, super::models()));
    assert_eq!(old.device.send(old.now, &[path("/3/0/9")]), Err(SendError::Unsupported));
}

#[test]
fn a_send_may_have_no_token_and_its_answer_is_still_known() {
    let mut lab = Lab::new(Profile::like_wakaama(super::models()));
    let register = lab.one();
    assert_eq!(register.token.len(), 4);
    lab.answer(&register, created());
    lab.events();
    lab.device.send(lab.now, &[path("/3/0/9")]).unwrap();
    let send = lab.one();
    assert_eq!((send.token.len(), send.format()), (0, Some(110)));
    lab.answer(&send, changed());
    assert_eq!(lab.events(), [Event::SendFinished { code: Code::CHANGED }]);
}

#[test]
fn the_test_object_sends_on_demand() {
    let mut lab = Lab::registered(profile());
    lab.ask(post("/3442/0/5"));
    assert_eq!(lab.one().segments(URI_PATH), "/dp");
}

#[test]
fn separate_answers_come_later_in_either_type() {
    for reliability in [Reliability::Confirmable, Reliability::NonConfirmable] {
        let after = Duration::from_secs(1);
        let answers = Answers::Separate { after, reliability };
        let mut lab = Lab::registered(Profile { answers, ..profile() });
        let datagram = lab.submit(&post("/3442/0/3"));
        let empty = lab.one();
        assert_eq!((empty.kind, empty.code), (Type::Acknowledgement, Code::EMPTY));
        lab.device.handle_datagram(lab.now, &datagram);
        assert_eq!(lab.one(), empty);
        lab.pass_secs(1);
        let answer = lab.one();
        assert_eq!((answer.code, answer.token.as_bytes()), (Code::CHANGED, &[1, 2, 3, 4][..]));
        assert_eq!(answer.kind == Type::Confirmable, reliability == Reliability::Confirmable);
        if answer.kind == Type::Confirmable {
            lab.pass_secs(3);
            assert_eq!(lab.one(), answer);
            lab.empty(Type::Acknowledgement, &answer);
        }
        lab.pass_secs(100);
        lab.nothing();
        assert_eq!(lab.device.executions(&path("/3442/0/3")), 1);
    }
}

#[test]
fn a_ping_is_answered_with_reset() {
    let mut lab = Lab::registered(profile());
    lab.device.handle_datagram(lab.now, &[0x40, 0, 0x12, 0x34]);
    let pong = lab.one();
    assert_eq!((pong.kind, pong.id.value()), (Type::Reset, 0x1234));
}

#[test]
fn bad_datagrams_are_reset_or_ignored_and_harm_nothing() {
    let mut lab = Lab::registered(profile());
    let rows: [(&[u8], bool); 8] = [
        (&[], false),
        (&[0x40], false),
        // Another version.
        (&[0x80, 1, 0, 1], false),
        // A token of nine bytes, an empty message with content, a marker without payload.
        (&[0x49, 1, 0, 1], true),
        (&[0x40, 0, 0, 1, 5], true),
        (&[0x40, 1, 0, 1, 0xff], true),
        (&[0x50, 1, 0, 1, 0xff], false),
        // An answer to nothing.
        (&[0x50, 0x45, 0, 1], false),
    ];
    for (datagram, answered) in rows {
        lab.device.handle_datagram(lab.now, datagram);
        let sent = lab.transmits();
        assert_eq!(sent.len(), usize::from(answered), "{datagram:02x?}");
        assert!(sent.iter().all(|message| message.kind == Type::Reset));
    }
    assert_eq!(lab.ask(get("/3/0/0")).code, Code::CONTENT);
}

#[test]
fn truncated_and_flipped_requests_never_panic() {
    let requests: [Ask; 5] = [
        get("/3/0/9").observe(0),
        put("/3442/0").with(11542, b"\xc1\x78\x01\xa3\x04\x60\x41\x07\x09"),
        post("/3303").with(110, r#"[{"bn":"/3303/5/","n":"5700","v":3}]"#),
        put("/5/0/0").with(42, [7; 64]).block(OptionNumber::BLOCK1, (0, true, 64)),
        super::ask(Code::FETCH, "/").with(112, b"\x81\xa1\x00\x66/3/0/9"),
    ];
    let mut lab = Lab::registered(profile());
    for request in requests {
        let whole = lab.submit(&request);
        for len in 0..whole.len() {
            lab.device.handle_datagram(lab.now, &whole[..len]);
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A fresh message id each time, or the answer would come from memory.
            flipped[2..4].copy_from_slice(&(bit as u16 | 0x8000).to_be_bytes());
            lab.device.handle_datagram(lab.now, &flipped);
            lab.now += Duration::from_secs(300);
            lab.device.handle_timeout(lab.now);
            lab.transmits();
            lab.events();
        }
    }
    assert!(lab.device.memory_bytes() < 16 * 1024, "{}", lab.device.memory_bytes());
}

#[test]
fn a_device_that_lost_its_power_says_nothing_and_comes_back() {
    let mut lab = Lab::registered(profile());
    lab.ask(get("/3/0/9").observe(0));
    lab.device.vanish();
    lab.set("/3/0/9", Value::Integer(1));
    lab.pass_secs(10_000);
    lab.nothing();
    lab.device.register(lab.now);
    assert_eq!(lab.one().segments(URI_PATH), "/rd");
}

#[test]
fn the_same_seed_gives_the_same_device_and_another_one_another() {
    let shared = profile().into_shared();
    let register = |seed| {
        let now = coap::Instant::ZERO;
        let mut device = crate::Device::new("x", std::sync::Arc::clone(&shared), seed, now);
        let mut datagram = Vec::new();
        device.poll_transmit(&mut datagram);
        datagram
    };
    assert_eq!(register(1), register(1));
    assert_ne!(register(1), register(2));
}

#[test]
fn an_idle_device_that_does_not_rest_takes_less_than_two_kilobytes() {
    let mut lab = Lab::registered(profile());
    lab.ask(get("/3303/0/5700").observe(0));
    lab.set("/3303/0/5700", Value::Float(22.0));
    lab.transmits();
    lab.events();
    let bytes = lab.device.memory_bytes();
    assert!(bytes <= 2048, "{bytes}");
}
