//! Commands as requests and their outcomes: OMA Core 6.3, sections 3 and 4 of the compatibility
//! contract.

use coap::{Code, Duration, Type};
use lwm2m::{Attributes, Format, Operation, Reading, Value, WriteMode};

use super::rig::{LINKS, Msg, Rig, cancel, execute, name, observe, path, peer, peer_at, read};
use crate::{
    Command, CommandError, Event, Origin, Priority, QueueLimits, QueueOverflow, Rebind, Settings,
};

fn rig() -> Rig {
    Rig::registered(Settings::default()).0
}

fn write(to: &str, mode: WriteMode, content: Vec<Reading>) -> Operation {
    Operation::Write { path: path(to), mode, format: None, content }
}

fn integer(at: &str, value: i64) -> Reading {
    Reading::new(path(at), Value::Integer(value))
}

fn string(at: &str, value: &str) -> Reading {
    Reading::new(path(at), Value::String(value.into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What each operation looks like on the wire: method, path and query, Content-Format, Accept,
/// Observe, payload. Section 3.2 to 3.5.
#[test]
fn operations_become_the_requests_of_the_contract() {
    let attributes = Attributes::from_queries(["pmin=1", "pmax=60", "gt"]).unwrap();
    let float = Reading::new(path("/6/0/0"), Value::Float(1.5));
    let opaque = Reading::new(path("/6/0/4"), Value::Opaque(vec![1, 2, 3]));
    let cases: Vec<(Operation, &str, &str)> = vec![
        (read("/3/0/0"), "0.01 /3/0/0", ""),
        (read("/"), "0.01 ", ""),
        (read("/3/0/6/1"), "0.01 /3/0/6/1", ""),
        (
            Operation::Read { path: path("/3/0"), accept: Some(Format::SENML_JSON) },
            "0.01 /3/0 accept=110",
            "",
        ),
        (Operation::Discover { path: path("/3") }, "0.01 /3 accept=40", ""),
        (
            write("/3/0/13", WriteMode::Replace, vec![integer("/3/0/13", 12345)]),
            "0.03 /3/0/13 format=11542",
            "c20d3039",
        ),
        (
            write(
                "/3/0",
                WriteMode::Update,
                vec![integer("/3/0/13", 12345), string("/3/0/14", "87x")],
            ),
            "0.02 /3/0 format=11542",
            "c20d3039c30e383778",
        ),
        (write("/3/0", WriteMode::Update, vec![]), "0.02 /3/0 format=11542", ""),
        (
            Operation::WriteAttributes { path: path("/3/0/9"), attributes },
            "0.03 /3/0/9?pmin=1&pmax=60&gt",
            "",
        ),
        (execute("/3/0/4"), "0.02 /3/0/4 format=0", ""),
        (
            Operation::Execute { path: path("/3/0/4"), arguments: "0='x',1".into() },
            "0.02 /3/0/4 format=0",
            "303d2778272c31",
        ),
        (
            Operation::Create { path: path("/6"), format: None, content: vec![float, opaque] },
            "0.02 /6 format=11542",
            "080010c800083ff8000000000000c304010203",
        ),
        (
            Operation::Create { path: path("/6"), format: None, content: vec![] },
            "0.02 /6 format=11542",
            "",
        ),
        (Operation::Delete { path: path("/6/0") }, "0.04 /6/0", ""),
        (observe("/3/0/9"), "0.01 /3/0/9 observe=0", ""),
        (cancel("/3/0/9"), "0.01 /3/0/9 observe=1", ""),
    ];
    for (operation, line, payload) in cases {
        let mut rig = rig();
        rig.submit(operation.clone()).unwrap();
        let request = rig.take_request();
        let options = request.options.options();
        let mut seen = format!("{} {}", request.code, request.uri());
        for (label, value) in [
            ("format", options.content_format().map(|format| u32::from(format.0))),
            ("accept", options.accept().map(|format| u32::from(format.0))),
            ("observe", options.observe()),
        ] {
            value.iter().for_each(|value| seen += &format!(" {label}={value}"));
        }
        assert_eq!((seen.as_str(), hex(&request.payload).as_str()), (line, payload));
        assert_eq!(request.kind, Type::Confirmable);
        assert!(!request.token.is_empty());
    }
}

/// Fact 16: the device's root goes in front of each path, one segment each.
#[test]
fn the_alternate_path_is_split_into_segments() {
    let mut rig = Rig::new(Settings::default());
    let links = r#"</a/b>;rt="oma.lwm2m",</a/b/3/0>"#;
    let message = Msg::post(1, "/rd?ep=dev&lt=60&lwm2m=1.1").payload(links);
    rig.ask(peer(1), &message);
    rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    let segments: Vec<_> = request.options.options().uri_path().map(<[u8]>::to_vec).collect();
    assert_eq!(segments, [b"a".as_slice(), b"b", b"3", b"0", b"0"]);
}

#[test]
fn a_command_may_bring_queries_of_its_own() {
    let mut rig = rig();
    rig.submit_with(read("/3/0"), |command| command.query = vec!["a=1".into(), "b".into()])
        .unwrap();
    assert_eq!(rig.take_request().uri(), "/3/0?a=1&b");
    let long = rig.submit_with(read("/3/0"), |command| command.query = vec!["x".repeat(256)]);
    assert!(matches!(long.unwrap_err().reason, CommandError::Unsupported(_)));
}

/// An answer comes up as it came: code, format, undecoded payload, Location-Path.
#[test]
fn an_answer_is_handed_up_undecoded() {
    let mut rig = rig();
    let id = rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    let answer = request.answer(Code::CONTENT).format(11542).payload(vec![0xff, 0xfe]);
    rig.send(peer(1), &answer);
    let finished = rig.finished()[0].clone();
    assert_eq!((finished.command, finished.path), (id, path("/3/0/0")));
    assert_eq!(finished.origin.as_bytes(), b"read");
    assert_eq!(finished.operation.name(), "read");
    let answer = finished.result.unwrap();
    assert_eq!((answer.code, answer.format), (Code::CONTENT, Some(Format::TLV)));
    assert_eq!((answer.body, answer.observe), (vec![0xff, 0xfe], None));
}

/// Fact 69: the id of an instance that the device chose is in the Location-Path.
#[test]
fn the_location_of_a_new_instance_is_handed_up() {
    let mut rig = rig();
    rig.submit(Operation::Create { path: path("/6"), format: None, content: vec![] }).unwrap();
    let mut answer = rig.take_request().answer(Code::CREATED);
    answer.options.location_path("6");
    answer.options.location_path("7");
    rig.send(peer(1), &answer);
    assert_eq!(rig.finished()[0].result.as_ref().unwrap().location, "/6/7");
}

/// Case D1: errors of the device are answers.
#[test]
fn error_codes_are_answers() {
    for code in [
        Code::NOT_FOUND,
        Code::METHOD_NOT_ALLOWED,
        Code::BAD_REQUEST,
        Code::CONFLICT,
        Code::UNAUTHORIZED,
        Code::new(5, 31),
        Code::CREATED,
    ] {
        let mut rig = rig();
        let id = rig.submit(read("/3/0/0")).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(code));
        assert_eq!(rig.outcome(id), Ok(code));
    }
}

/// Fact 28: a separate response comes after an empty ACK, which is told once.
#[test]
fn a_separate_response_is_acknowledged_first_and_told_once() {
    let mut rig = rig();
    let id = rig.submit(execute("/3/0/4")).unwrap();
    let request = rig.take_request();
    let ack = Msg::empty(Type::Acknowledgement, request.id);
    rig.send(peer(1), &ack);
    rig.send(peer(1), &ack);
    let response = Msg::with_token(request.token, Type::Confirmable, Code::CHANGED, 7000);
    rig.send(peer(1), &response);
    assert_eq!(rig.take_names(), ["command_acked", "command_finished"]);
    assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Acknowledgement, response.id));
    // The ACK of it was lost: acknowledged again, told once.
    rig.send(peer(1), &response);
    assert_eq!(rig.sent.pop_front().unwrap().1, Msg::empty(Type::Acknowledgement, response.id));
    assert!(rig.take_names().is_empty());
    let _ = id;
}

#[test]
fn a_reset_ends_a_command() {
    let mut rig = rig();
    let id = rig.submit(read("/3/0/0")).unwrap();
    let request = rig.take_request();
    rig.send(peer(1), &Msg::empty(Type::Reset, request.id));
    assert_eq!(rig.outcome(id), Err(CommandError::Reset));
}

/// Case B3: without an ACK the command ends by the caller's time-out or MAX_TRANSMIT_WAIT.
#[test]
fn silence_ends_a_command_after_five_transmissions() {
    let mut rig = rig();
    let id = rig.submit(read("/3/0/0")).unwrap();
    rig.secs(94);
    assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: false }));
    assert_eq!(rig.requests(), 5);
}

/// Case B4: an ACK without a response ends by the caller's time-out, 120 s by default.
#[test]
fn an_acknowledged_command_ends_by_its_timeout() {
    for (timeout, wait) in [(None, 120), (Some(Duration::from_secs(7)), 7)] {
        let mut rig = rig();
        let id = rig.submit_with(execute("/3/0/4"), |command| command.timeout = timeout).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &Msg::empty(Type::Acknowledgement, request.id));
        rig.secs(wait - 1);
        assert!(rig.finished().is_empty());
        rig.secs(2);
        assert_eq!(rig.outcome(id), Err(CommandError::Timeout { acked: true }));
    }
}

/// Fact 22: one exchange at a time, in order.
#[test]
fn commands_of_a_device_go_one_at_a_time_in_order() {
    let mut rig = rig();
    let uris = ["/3/0/0", "/3/0/1", "/3/0/2"];
    uris.iter().for_each(|uri| assert!(rig.submit(read(uri)).is_ok()));
    for uri in uris {
        assert_eq!(rig.requests(), 1);
        let request = rig.take_request();
        assert_eq!(request.uri(), uri);
        rig.send(peer(1), &request.answer(Code::CONTENT));
    }
    assert_eq!(rig.finished().len(), 3);
    assert!(rig.server.lookup(rig.now, "dev").is_some_and(|row| row.commands_waiting == 0));
}

/// A device without commands pays for no queue.
#[test]
fn a_queue_goes_with_its_last_command() {
    let mut rig = rig();
    let key = rig.server.registry.find("dev").unwrap();
    let has_queue = |rig: &Rig| rig.server.registry.get(key).unwrap().queue.is_some();
    assert!(!has_queue(&rig));
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    for waits in [true, false] {
        let request = rig.take_request();
        rig.send(peer(1), &request.answer(Code::CONTENT));
        assert_eq!(has_queue(&rig), waits);
    }
}

#[test]
fn more_in_flight_is_a_setting() {
    let settings = Settings { max_in_flight: 2, ..Settings::default() };
    let (mut rig, _) = Rig::registered(settings);
    (0..3).for_each(|_| assert!(rig.submit(read("/3/0/0")).is_ok()));
    let row = rig.server.lookup(rig.now, "dev").unwrap();
    assert_eq!((row.commands_in_flight, row.commands_waiting), (2, 1));
}

#[test]
fn an_urgent_command_does_not_wait_for_its_turn() {
    let mut rig = rig();
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.submit_with(read("/3/0/2"), |command| command.priority = Priority::Urgent).unwrap();
    let (first, second) = (rig.take_request(), rig.take_request());
    assert_eq!((first.uri().as_str(), second.uri().as_str()), ("/3/0/0", "/3/0/2"));
    assert_eq!(rig.requests(), 0);
    // It counts as in flight: those that wait go on when it has ended, too.
    rig.send(peer(1), &first.answer(Code::CONTENT));
    assert_eq!(rig.requests(), 0);
    rig.send(peer(1), &second.answer(Code::CONTENT));
    assert_eq!(rig.take_request().uri(), "/3/0/1");
}

/// Fact 12: nothing is asked of a device before its 2.01.
#[test]
fn a_waiting_command_leaves_behind_the_answer_to_the_register() {
    let mut rig = rig();
    rig.submit(read("/3/0/0")).unwrap();
    rig.submit(read("/3/0/1")).unwrap();
    rig.sent.clear();
    let message = Msg::post(rig.id(), "/rd?ep=dev&lt=60&lwm2m=1.1").payload(LINKS);
    rig.send(peer(1), &message);
    let codes: Vec<Code> = rig.sent.iter().map(|(_, sent)| sent.code).collect();
    assert_eq!(codes, [Code::CREATED, Code::GET]);
}

#[test]
fn a_device_that_is_not_registered_gets_no_command() {
    let mut rig = rig();
    let command = Command::new(name("other"), read("/3/0"), Origin::default());
    let refused = rig.server.submit(rig.now, command).unwrap_err();
    assert_eq!(refused.reason, CommandError::UnknownDevice);
    assert_eq!(refused.command.endpoint, name("other"));
}

#[test]
fn a_full_queue_refuses_the_newest_or_drops_the_oldest() {
    let limits = QueueLimits { commands: 3, ..QueueLimits::default() };
    let (mut rig, _) = Rig::registered(Settings { queue: limits, ..Settings::default() });
    (0..3).for_each(|_| assert!(rig.submit(read("/3/0/0")).is_ok()));
    assert_eq!(rig.submit(read("/3/0/0")).unwrap_err().reason, CommandError::QueueFull);

    let overflow = QueueOverflow::DropOldest;
    let limits = QueueLimits { overflow, ..limits };
    rig.server.set_settings(Settings { queue: limits, ..Settings::default() }.into());
    rig.events.clear();
    rig.submit(read("/3/0/1")).unwrap();
    let ends: Vec<_> = rig.finished().iter().map(|end| end.result.clone()).collect();
    assert_eq!(ends, [Err(CommandError::QueueFull)]);
    let row = rig.server.lookup(rig.now, "dev").unwrap();
    assert_eq!((row.commands_in_flight, row.commands_waiting), (1, 2));
}

#[test]
fn a_queue_is_bounded_in_bytes() {
    let limits = QueueLimits { bytes: 4096, ..QueueLimits::default() };
    let (mut rig, _) = Rig::registered(Settings { queue: limits, ..Settings::default() });
    let large = || write("/3/0", WriteMode::Update, vec![string("/3/0/14", &"x".repeat(1500))]);
    rig.submit(large()).unwrap();
    rig.submit(large()).unwrap();
    assert_eq!(rig.submit(large()).unwrap_err().reason, CommandError::QueueFull);
    // What is in flight still counts; when it lands there is room again.
    let request = rig.take_request();
    rig.send(peer(1), &Msg::empty(Type::Reset, request.id));
    rig.submit(large()).unwrap();
}

#[test]
fn a_command_that_waits_too_long_expires() {
    let mut rig = rig();
    let first = rig.submit(read("/3/0/0")).unwrap();
    let expires = rig.now + Duration::from_secs(5);
    let second =
        rig.submit_with(read("/3/0/1"), |command| command.expires = Some(expires)).unwrap();
    rig.secs(6);
    assert_eq!(rig.outcome(second), Err(CommandError::Expired));
    assert!(!rig.finished().iter().any(|end| end.command == first));
    assert!(rig.sent.iter().all(|(_, sent)| sent.uri() != "/3/0/1"));
}

#[test]
fn content_that_cannot_be_written_is_refused_at_once() {
    let mut rig = rig();
    let operation = Operation::Write {
        path: path("/3/0"),
        mode: WriteMode::Update,
        format: Some(Format::TEXT),
        content: vec![integer("/3/0/13", 1), integer("/3/0/14", 2)],
    };
    let refused = rig.submit(operation).unwrap_err();
    assert!(matches!(refused.reason, CommandError::Unsupported(_)));
    assert_eq!(rig.requests(), 0);
}

/// An answer from a new address proves the device by its token.
#[test]
fn an_answer_from_a_new_address_counts_and_moves_the_device() {
    for (rebind, moved) in [(Rebind::Accept, true), (Rebind::Refuse, false)] {
        let settings = Settings { nosec_rebind: rebind, ..Settings::default() };
        let (mut rig, _) = Rig::registered(settings);
        let id = rig.submit(read("/3/0/0")).unwrap();
        let request = rig.take_request();
        rig.send(peer(1), &Msg::empty(Type::Acknowledgement, request.id));
        let response = Msg::with_token(request.token, Type::Confirmable, Code::CONTENT, 7000);
        rig.send(peer_at(1, 6000), &response);
        assert_eq!(rig.outcome(id), Ok(Code::CONTENT));
        let row = rig.server.lookup(rig.now, "dev").unwrap();
        assert_eq!(row.device.peer == peer_at(1, 6000), moved);
        let changed = rig.events.iter().any(|e| matches!(e, Event::AddressChanged { .. }));
        assert_eq!(changed, moved);
    }
}

/// Design 6: what does not fit into three times the Register waits for a small read to be answered.
#[test]
fn a_large_first_write_waits_for_the_proof_of_the_address() {
    let large = || {
        let content = vec![string("/3/0/14", &"x".repeat(3000))];
        write("/3/0", WriteMode::Update, content)
    };
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=dev&lt=600&lwm2m=1.1");
    let id = rig.submit(large()).unwrap();
    let probe = rig.take_request();
    assert_eq!((probe.code, probe.uri().as_str()), (Code::GET, "/1/0/1"));
    assert_eq!(rig.requests(), 0);
    rig.send(peer(1), &probe.answer(Code::NOT_FOUND));
    let first = rig.take_request();
    assert_eq!((first.uri().as_str(), first.payload.len()), ("/3/0", 1024));
    rig.send(peer(1), &first.answer(Code::NOT_FOUND));
    assert_eq!(rig.outcome(id), Ok(Code::NOT_FOUND));
    assert_eq!(rig.finished().len(), 1, "the probe is nobody's command");

    // Nobody answers: the command ends as if it had been sent.
    let mut rig = Rig::new(Settings::default());
    rig.register(peer(1), "ep=dev&lt=600&lwm2m=1.1");
    let (large, small) = (rig.submit(large()).unwrap(), rig.submit(read("/3/0/0")).unwrap());
    rig.secs(125);
    assert_eq!(rig.outcome(large), Err(CommandError::Timeout { acked: false }));
    rig.secs(125);
    assert_eq!(rig.outcome(small), Err(CommandError::Timeout { acked: false }));
    let sent: usize = rig.sent.iter().map(|(_, sent)| sent.bytes().len()).sum();
    let register = Msg::post(1, "/rd?ep=dev&lt=600&lwm2m=1.1").payload(LINKS).format(40);
    assert!(sent <= 3 * register.bytes().len(), "{sent} bytes were sent");
}

/// Design 6: a spoofed Register must not turn commands into a weapon.
#[test]
fn a_new_nosec_address_has_one_request_at_a_time() {
    let settings = Settings { max_in_flight: 8, ..Settings::default() };
    let mut rig = Rig::new(settings);
    rig.register(peer(1), "ep=dev&lt=60&lwm2m=1.1");
    (0..4).for_each(|_| assert!(rig.submit(read("/3/0/0")).is_ok()));
    rig.submit_with(read("/3/0/2"), |command| command.priority = Priority::Urgent).unwrap();
    assert_eq!(rig.server.lookup(rig.now, "dev").unwrap().commands_in_flight, 1);
    let request = rig.take_request();
    rig.send(peer(1), &request.answer(Code::CONTENT));
    assert_eq!(rig.server.lookup(rig.now, "dev").unwrap().commands_in_flight, 4);
}

/// Design 6: what an address has proven outlives the registration, for that address.
#[test]
fn a_register_anew_from_the_same_address_needs_no_new_proof() {
    for (port, in_flight) in [(5683, 2), (6000, 1)] {
        let settings = Settings { max_in_flight: 8, ..Settings::default() };
        let (mut rig, _) = Rig::registered(settings);
        rig.register(peer_at(1, port), "ep=dev&lt=60&lwm2m=1.1");
        (0..2).for_each(|_| assert!(rig.submit(read("/3/0/0")).is_ok()));
        let row = rig.server.lookup(rig.now, "dev").unwrap();
        assert_eq!(row.commands_in_flight, in_flight, "{port}");
    }
}
