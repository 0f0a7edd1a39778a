//! The format that a device is written in, and composite operations that it may not know: facts 53
//! and 64 to 66.

use coap::{Code, ContentFormat, Type};
use lwm2m::codec::{self, Context, UnknownPolicy};
use lwm2m::model::{ModelView, Models};
use lwm2m::{Format, Operation, Path, Reading, Value, WriteMode};

use super::rig::{Msg, Rig, path, peer, read};
use crate::{CommandError, Settings};

const UNKNOWN_CT: &str = "</1/0>,</3/0>";

/// A proven device of this version whose root link has this `ct=`.
fn device(version: &str, ct: Option<&str>) -> Rig {
    let mut rig = Rig::new(Settings::default());
    let links = match ct {
        Some(ct) => format!(r#"</>;rt="oma.lwm2m";ct="{ct}",</1/0>,</3/0>"#),
        None => UNKNOWN_CT.to_owned(),
    };
    let register = Msg::post(1, &format!("/rd?ep=dev&lt=3600&lwm2m={version}"));
    let location = rig.ask(peer(1), &register.payload(links)).location();
    rig.ask(peer(1), &Msg::post(2, &location));
    rig.events.clear();
    rig
}

fn write(text: &str) -> Operation {
    let at = path("/3/0/14");
    let content = vec![Reading::new(at, Value::String(text.to_owned()))];
    Operation::Write { path: at, mode: WriteMode::Replace, format: None, content }
}

fn read_composite() -> Operation {
    Operation::ReadComposite { paths: vec![path("/3/0/0"), path("/3303/0")], accept: None }
}

fn format_of(request: &Msg) -> Option<u16> {
    request.options.options().content_format().map(|format| format.0)
}

fn accept_of(request: &Msg) -> Option<u16> {
    let value = request.options.options().uint(coap::OptionNumber::ACCEPT, 2);
    value.map(|number| number as u16)
}

fn decode(request: &Msg, at: &Path) -> Vec<Reading> {
    let models = Models::builtin();
    let models = ModelView::new(&models, &[]);
    let context = Context { models, wall_ms: 0, unknown: UnknownPolicy::Raw };
    let format = format_of(request).map(Format);
    codec::decode(format, at, &request.payload, &context).unwrap().readings.into_vec()
}

/// Fact 53: TLV unless `ct=` leaves it out.
#[test]
fn the_first_format_is_tlv_unless_the_device_does_not_list_it() {
    let rows = [
        ("1.0", None, 11542),
        ("1.1", None, 11542),
        ("1.1", Some("60 110 112 11542"), 11542),
        ("1.1", Some("110"), 110),
        ("1.1", Some("110 112"), 112),
        ("1.0", Some("11543"), 11543),
        ("1.1", Some("0 40"), 11542),
    ];
    for (version, ct, expected) in rows {
        let mut rig = device(version, ct);
        rig.submit(write("x")).unwrap();
        assert_eq!(format_of(&rig.take_request()), Some(expected), "{version} {ct:?}");
    }
}

/// Fact 53: 4.15 is answered by the next format within the same command, which the registration
/// then keeps to.
#[test]
fn a_refused_format_is_followed_by_the_next() {
    let rows = [
        ("1.0", None, 11543),
        ("1.1", None, 112),
        ("1.1", Some("110 11542"), 110),
        ("1.1", Some("11542 11543"), 11543),
    ];
    for (version, ct, expected) in rows {
        let mut rig = device(version, ct);
        let id = rig.submit(write("+01:00")).unwrap();
        rig.submit(write("+02:00")).unwrap();
        let first = rig.take_request();
        rig.send(peer(1), &first.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
        assert!(rig.finished().is_empty(), "the command goes on");
        let second = rig.take_request();
        assert_eq!((second.code, second.uri().as_str()), (first.code, "/3/0/14"));
        assert_eq!(format_of(&second), Some(expected), "{version} {ct:?}");
        let value = Value::String("+01:00".to_owned());
        assert_eq!(decode(&second, &path("/3/0/14")), [Reading::new(path("/3/0/14"), value)]);
        rig.send(peer(1), &second.answer(Code::CHANGED));
        assert_eq!(rig.outcome(id), Ok(Code::CHANGED));
        // One that was accepted before that tries in vain once more, a new one does not.
        let waiting = rig.take_request();
        rig.send(peer(1), &waiting.answer(Code::CHANGED));
        rig.submit(write("+03:00")).unwrap();
        assert_eq!(format_of(&rig.take_request()), Some(expected), "remembered");
    }
}

#[test]
fn a_format_is_tried_again_once() {
    let mut rig = device("1.1", None);
    let id = rig.submit(write("x")).unwrap();
    for _ in 0..2 {
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
    }
    assert_eq!(rig.outcome(id), Ok(Code::UNSUPPORTED_CONTENT_FORMAT));
    assert_eq!(rig.requests(), 0);
}

#[test]
fn what_the_command_states_is_not_changed() {
    let mut rig = device("1.1", Some("110"));
    let mut stated = write("x");
    if let Operation::Write { format, .. } = &mut stated {
        *format = Some(Format::TLV);
    }
    let id = rig.submit(stated).unwrap();
    let request = rig.take_request();
    assert_eq!(format_of(&request), Some(11542));
    rig.send(peer(1), &request.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
    assert_eq!(rig.outcome(id), Ok(Code::UNSUPPORTED_CONTENT_FORMAT));
}

/// What TLV holds of a resource without a definition nobody can write in another format.
#[test]
fn an_unknown_resource_is_not_guessed_at() {
    let mut rig = device("1.1", None);
    let at = path("/32000/0/1");
    let content = vec![Reading::new(at, Value::Integer(5))];
    let operation = Operation::Write { path: at, mode: WriteMode::Replace, format: None, content };
    let id = rig.submit(operation).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
    assert_eq!(rig.outcome(id), Ok(Code::UNSUPPORTED_CONTENT_FORMAT));
}

#[test]
fn a_create_is_tried_again_with_or_without_content() {
    for content in [vec![], vec![Reading::new(path("/6/0/0"), Value::Float(1.5))]] {
        let mut rig = device("1.1", None);
        let create = Operation::Create { path: path("/6"), format: None, content: content.clone() };
        let id = rig.submit(create).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
        let second = rig.take_request();
        assert_eq!(format_of(&second), Some(112));
        assert_eq!(second.payload.is_empty(), content.is_empty());
        rig.send(peer(1), &second.answer(Code::CREATED));
        assert_eq!(rig.outcome(id), Ok(Code::CREATED));
    }
}

/// A read asks for a format only if its command does; a refusal is followed by one that the device
/// lists, or by its own choice.
#[test]
fn a_refused_accept_is_followed_by_another_or_none() {
    for (ct, expected) in [(Some("112 11542"), Some(112)), (None, None)] {
        let mut rig = device("1.1", ct);
        let accept = Some(Format::SENML_JSON);
        let id = rig.submit(Operation::Read { path: path("/3/0"), accept }).unwrap();
        let request = rig.take_request();
        assert_eq!(accept_of(&request), Some(110));
        rig.send(peer(1), &request.answer(Code::NOT_ACCEPTABLE));
        let second = rig.take_request();
        assert_eq!((second.uri().as_str(), accept_of(&second)), ("/3/0", expected));
        rig.send(peer(1), &second.answer(Code::NOT_ACCEPTABLE));
        assert_eq!(rig.outcome(id), Ok(Code::NOT_ACCEPTABLE));
        rig.submit(read("/3/0")).unwrap();
        assert_eq!(accept_of(&rig.take_request()), None);
    }
}

/// Fact 64: the path list is SenML without values, in the format that the device takes.
#[test]
fn a_path_list_is_senml_in_a_format_of_the_device() {
    for (ct, expected) in [(None, 112), (Some("110"), 110), (Some("110 112"), 112)] {
        let mut rig = device("1.1", ct);
        rig.submit(read_composite()).unwrap();
        let request = rig.take_request();
        assert_eq!((request.code, format_of(&request)), (Code::FETCH, Some(expected)));
        let readings = decode(&request, &Path::ROOT);
        let expected = [path("/3/0/0"), path("/3303/0")].map(Reading::path_only);
        assert_eq!(readings, expected);
    }
}

#[test]
fn a_refused_path_list_is_followed_by_the_other_format() {
    let mut rig = device("1.1", None);
    let id = rig.submit(read_composite()).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::UNSUPPORTED_CONTENT_FORMAT));
    let second = rig.take_request();
    assert_eq!((second.code, format_of(&second)), (Code::FETCH, Some(110)));
    rig.send(peer(1), &second.answer(Code::CONTENT));
    assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
    rig.submit(read_composite()).unwrap();
    assert_eq!(format_of(&rig.take_request()), Some(110), "remembered");
}

/// Fact 65: a value of null deletes a resource instance.
#[test]
fn a_composite_write_carries_all_of_it_in_one_request() {
    let mut rig = device("1.1", None);
    let zone = Reading::new(path("/3/0/14"), Value::String("+02:00".to_owned()));
    let content = vec![zone, Reading::path_only(path("/3442/0/1110/2"))];
    rig.submit(Operation::WriteComposite { format: None, content: content.clone() }).unwrap();
    let request = rig.take_request();
    assert_eq!((request.code, request.uri().as_str()), (Code::IPATCH, ""));
    assert_eq!(decode(&request, &Path::ROOT), content);
}

/// Fact 66: one observation of the set, whose answers are handed up whole.
#[test]
fn a_composite_observation_is_one_observation() {
    let mut rig = device("1.1", None);
    let paths = vec![path("/3/0/9"), path("/3303/0/5700")];
    rig.submit(Operation::ObserveComposite { paths: paths.clone(), accept: None }).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    assert_eq!(rig.server.observations(), 1);
    let body = br#"[{"n":"/3/0/9","v":1},{"n":"/3303/0/5700","v":2}]"#;
    let message = Msg::with_token(request.token, Type::NonConfirmable, Code::CONTENT, 9);
    rig.send(peer(1), &message.observe(1).format(110).payload(body.to_vec()));
    let notified = rig.notifications();
    assert_eq!((notified.len(), notified[0].path), (1, Path::ROOT));
    assert_eq!(notified[0].body, body);
}

/// An observation that began in one format is cancelled in it, whatever was learned since.
#[test]
fn a_composite_observation_is_cancelled_by_its_paths() {
    let mut rig = device("1.1", None);
    let paths = vec![path("/3/0/9"), path("/3303/0/5700")];
    let accept = Some(Format::SENML_JSON);
    rig.submit(Operation::ObserveComposite { paths: paths.clone(), accept }).unwrap();
    let request = rig.take_request();
    assert_eq!(format_of(&request), Some(110));
    rig.send(peer(1), &request.answer(Code::CONTENT).observe(0));
    rig.submit(Operation::CancelObserveComposite { paths }).unwrap();
    let cancel = rig.take_request();
    assert_eq!((cancel.token, format_of(&cancel)), (request.token, Some(110)));
    assert_eq!(cancel.payload, request.payload);
    assert_eq!(cancel.options.options().observe(), Some(1));
    assert_eq!(rig.server.observations(), 0);
}

/// Some devices meet FETCH with silence: the next one is refused at once, until they register
/// again.
#[test]
fn silence_about_a_composite_operation_is_remembered() {
    for acked in [false, true] {
        let mut rig = device("1.1", None);
        let id = rig.submit(read_composite()).unwrap();
        if acked {
            let request = rig.take_request();
            rig.send(peer(1), &Msg::empty(Type::Acknowledgement, request.id));
        }
        rig.secs(130);
        assert_eq!(rig.outcome(id), Err(CommandError::CompositeUnsupported(None)));
        let sent = rig.sent.len();
        let refused = rig.submit(read_composite()).unwrap_err();
        assert_eq!(refused.reason, CommandError::CompositeUnsupported(None));
        assert_eq!(rig.sent.len(), sent);
        rig.submit(read("/3/0/0")).expect("others go on");
        rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
        rig.submit(read_composite()).expect("another registration, another try");
    }
}

#[test]
fn a_device_may_say_that_it_has_no_composite_operations() {
    let rows = [
        ("1.1", Code::METHOD_NOT_ALLOWED, true),
        ("1.1", Code::NOT_IMPLEMENTED, true),
        ("1.0", Code::NOT_FOUND, true),
        ("1.1", Code::NOT_FOUND, false),
        ("1.1", Code::UNAUTHORIZED, false),
    ];
    for (version, code, unsupported) in rows {
        let mut rig = device(version, None);
        let id = rig.submit(read_composite()).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(code));
        let expected = match unsupported {
            true => Err(CommandError::CompositeUnsupported(Some(code))),
            false => Ok(code),
        };
        assert_eq!(rig.outcome(id), expected, "{version} {code}");
        assert_eq!(rig.submit(read_composite()).is_err(), unsupported, "{version} {code}");
    }
}

/// What a device has done once it can do: a later refusal is an answer, silence a time-out.
#[test]
fn a_device_that_has_answered_one_supports_them() {
    let mut rig = device("1.1", None);
    rig.submit(read_composite()).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT));
    let refused = rig.submit(read_composite()).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::METHOD_NOT_ALLOWED));
    assert_eq!(rig.outcome(refused), Ok(Code::METHOD_NOT_ALLOWED));
    let silent = rig.submit(read_composite()).unwrap();
    rig.secs(130);
    assert_eq!(rig.outcome(silent), Err(CommandError::Timeout { acked: false }));
}

/// The silence of a device that may sleep says nothing.
#[test]
fn a_sleeper_is_not_taken_to_lack_composite_operations() {
    let (mut rig, _) = super::queue_mode::sleepy();
    let id = rig.submit(read_composite()).unwrap();
    rig.secs(130);
    assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: false }));
    rig.submit(read_composite()).expect("it is tried again");
}

/// Fact 38: nothing is cached, so Max-Age needs no attention: each read asks the device.
#[test]
fn each_read_asks_the_device_whatever_max_age_says() {
    let mut rig = device("1.1", None);
    for value in ["1", "2"] {
        rig.submit(read("/3/0/9")).unwrap();
        let mut answer = rig.take_request().answer(Code::CONTENT);
        answer.options.content_format(ContentFormat(0));
        answer.options.max_age(3600);
        rig.send(peer(1), &answer.payload(value));
    }
    let bodies: Vec<_> =
        rig.finished().iter().map(|end| end.result.clone().unwrap().body).collect();
    assert_eq!(bodies, [b"1", b"2"]);
}
