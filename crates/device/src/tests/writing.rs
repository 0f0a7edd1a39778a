//! Write, Create, Delete, Execute, Write-Composite.

use coap::{Code, OptionNumber, Type};
use lwm2m::Value;

use super::{Ask, Lab, ask, get, path, post, profile, put};
use crate::{Event, Profile};

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn a_resource_is_written_in_every_format() {
    let cbor_text = [0x66, b'+', b'0', b'2', b':', b'0', b'0'];
    let rows: [(u16, &[u8]); 6] = [
        (0, b"+02:00"),
        (11542, b"\xc6\x0e+02:00"),
        (11543, br#"{"bn":"/3/0/14","e":[{"sv":"+02:00"}]}"#),
        (110, br#"[{"n":"/3/0/14","vs":"+02:00"}]"#),
        (112, b"\x81\xa2\x00\x67/3/0/14\x03\x66+02:00"),
        (60, &cbor_text),
    ];
    for (format, payload) in rows {
        let mut lab = Lab::registered(profile());
        let answer = lab.ask(put("/3/0/14").with(format, payload));
        assert_eq!(answer.code, Code::CHANGED, "format {format}");
        assert_eq!(lab.device.value(&path("/3/0/14")), Some(&string("+02:00")), "format {format}");
        let event = Event::Written { path: path("/3/0/14"), value: Some(string("+02:00")) };
        assert_eq!(lab.events(), [event]);
    }
}

#[test]
fn every_data_type_can_be_written_and_read_back_as_text() {
    let rows = [
        ("/3442/0/110", "text", string("text")),
        ("/3442/0/120", "-5", Value::Integer(-5)),
        ("/3442/0/125", "18446744073709551615", Value::Unsigned(u64::MAX)),
        ("/3442/0/130", "2.5", Value::Float(2.5)),
        ("/3442/0/140", "0", Value::Boolean(false)),
        ("/3442/0/150", "AQID", Value::Opaque(vec![1, 2, 3])),
        ("/3442/0/160", "1700000000", Value::Time(1_700_000_000)),
        ("/3442/0/170", "3303:0", Value::Objlnk(3303, 0)),
        ("/3442/0/180", "</3>", Value::Corelnk("</3>".to_owned())),
    ];
    let mut lab = Lab::registered(profile());
    for (target, text, value) in rows {
        assert_eq!(lab.ask(put(target).with(0, text)).code, Code::CHANGED, "{target}");
        assert_eq!(lab.device.value(&path(target)), Some(&value), "{target}");
        assert_eq!(lab.ask(get(target).accept(0)).text(), text, "{target}");
    }
}

#[test]
fn unusable_writes_are_refused_and_change_nothing() {
    let tlv = |payload: &[u8]| put("/3442/0").with(11542, payload);
    let rows: [(Ask, Code); 11] = [
        (put("/3442/0/120").with(0, "twelve"), Code::BAD_REQUEST),
        (put("/3442/0/120").with(11542, b"\xc1"), Code::BAD_REQUEST),
        (put("/3442/0/120").with(9999, "1"), Code::UNSUPPORTED_CONTENT_FORMAT),
        (put("/3442/0/120").with(1542, b"\xc1\x78\x01"), Code::UNSUPPORTED_CONTENT_FORMAT),
        (put("/3442/0/999").with(0, "1"), Code::NOT_FOUND),
        (put("/3442/1/120").with(0, "1"), Code::NOT_FOUND),
        (put("/3442/0/1120").with(0, "1"), Code::BAD_REQUEST),
        (put("/3442").with(11542, b"\xc1\x78\x01"), Code::METHOD_NOT_ALLOWED),
        (put("/0/0/1").with(0, "1"), Code::UNAUTHORIZED),
        // The second record is an unknown resource, so the first must not be set either.
        (tlv(b"\xc1\x78\x01\xc1\xfa\x01"), Code::NOT_FOUND),
        (put("/3442/0/120").with(110, r#"[{"n":"/3/0/14","vs":"x"}]"#), Code::BAD_REQUEST),
    ];
    for (ask, expected) in rows {
        let mut lab = Lab::registered(profile());
        let shown = format!("{ask:?}");
        assert_eq!(lab.ask(ask).code, expected, "{shown}");
        assert_eq!(lab.device.value(&path("/3442/0/120")), Some(&Value::Integer(1024)));
        assert_eq!(lab.events(), []);
    }
}

#[test]
fn a_write_without_format_is_text_or_refused() {
    let rows = [
        (Profile::like_anjay(super::models()), Code::CHANGED),
        (Profile::like_wakaama(super::models()), Code::NOT_ACCEPTABLE),
        (Profile::like_leshan(super::models()), Code::BAD_REQUEST),
    ];
    for (profile, expected) in rows {
        let mut write = put("/3/0/14");
        write.payload = b"+01:00".to_vec();
        assert_eq!(Lab::registered(profile).ask(write).code, expected);
    }
}

#[test]
fn update_merges_and_replace_replaces() {
    let payload = b"\xc6\x0e+02:00";
    let mut lab = Lab::registered(profile());
    assert_eq!(lab.ask(post("/3/0").with(11542, payload)).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3/0/14")), Some(&string("+02:00")));
    assert_eq!(lab.device.value(&path("/3/0/15")), Some(&string("Etc/UTC")));
    assert_eq!(lab.ask(put("/3/0").with(11542, payload)).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3/0/15")), None);
    assert_eq!(lab.device.value(&path("/3/0/0")), Some(&string("lwm2m-sim")));
}

#[test]
fn a_multiple_resource_is_replaced_updated_and_written_by_instance() {
    let mut lab = Lab::registered(profile());
    // Two integers, 5 at 1 and 6 at 2.
    let two = b"\xa6\x04\x60\x41\x01\x05\x41\x02\x06";
    assert_eq!(lab.ask(put("/3442/0/1120").with(11542, two)).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3442/0/1120/0")), None);
    assert_eq!(lab.device.value(&path("/3442/0/1120/2")), Some(&Value::Integer(6)));
    let one = b"\xa3\x04\x60\x41\x07\x09";
    assert_eq!(lab.ask(post("/3442/0/1120").with(11542, one)).code, Code::CHANGED);
    assert_eq!(lab.ask(put("/3442/0/1120/1").with(0, "8")).code, Code::CHANGED);
    let values: Vec<_> = [1, 2, 7]
        .iter()
        .map(|id| lab.device.value(&path(&format!("/3442/0/1120/{id}"))).cloned())
        .collect();
    let expected = [8, 6, 9].map(|number| Some(Value::Integer(number)));
    assert_eq!(values, expected);
}

/// Fact 69: TLV with the instance around it chooses the id, without it the device does and says so.
#[test]
fn create_chooses_or_is_told_the_instance() {
    let mut lab = Lab::registered(profile());
    let told = lab.ask(
        post("/3303").with(11542, b"\x08\x05\x0c\xe8\x16\x44\x08\x40\x0c\x00\x00\x00\x00\x00\x00"),
    );
    assert_eq!(told.code, Code::CREATED);
    // The Update with the longer object list.
    assert_eq!(lab.one().segments(OptionNumber::URI_PATH), "/rd/x1");
    assert_eq!(told.segments(OptionNumber::LOCATION_PATH), "/3303/5");
    assert_eq!(lab.device.value(&path("/3303/5/5700")), Some(&Value::Float(3.5)));
    // The rest is as in instance 0.
    assert_eq!(lab.device.value(&path("/3303/5/5701")), Some(&string("Cel")));
    let chosen =
        lab.ask(post("/3303").with(11542, b"\xe8\x16\x44\x08\x40\x0c\x00\x00\x00\x00\x00\x00"));
    assert_eq!(chosen.segments(OptionNumber::LOCATION_PATH), "/3303/1");
    let empty = lab.ask(post("/3303").with(11542, b""));
    assert_eq!(empty.segments(OptionNumber::LOCATION_PATH), "/3303/2");
    let created: Vec<_> =
        lab.events().into_iter().filter(|event| matches!(event, Event::Created { .. })).collect();
    assert_eq!(created.len(), 3);
}

#[test]
fn create_and_delete_know_their_limits() {
    let wrapped = b"\x08\x00\x00";
    let rows = [
        (post("/3303").with(11542, wrapped), Code::BAD_REQUEST),
        (post("/3").with(11542, b""), Code::METHOD_NOT_ALLOWED),
        (post("/1").with(11542, b""), Code::METHOD_NOT_ALLOWED),
        (post("/77").with(11542, b""), Code::NOT_FOUND),
        (post("/0").with(11542, b""), Code::UNAUTHORIZED),
        (ask(Code::DELETE, "/1/0"), Code::METHOD_NOT_ALLOWED),
        (ask(Code::DELETE, "/3303"), Code::METHOD_NOT_ALLOWED),
        (ask(Code::DELETE, "/3303/9"), Code::NOT_FOUND),
        (ask(Code::DELETE, "/3303/0"), Code::DELETED),
    ];
    for (ask, expected) in rows {
        let shown = format!("{ask:?}");
        assert_eq!(Lab::registered(profile()).ask(ask).code, expected, "{shown}");
    }
}

#[test]
fn execute_counts_and_keeps_its_arguments() {
    let mut lab = Lab::registered(profile());
    let execute = post("/3442/0/3").with(0, "0,1='with, comma'");
    assert_eq!(lab.ask(execute).code, Code::CHANGED);
    assert_eq!(lab.device.executions(&path("/3442/0/3")), 1);
    assert_eq!(lab.device.value(&path("/3442/0/4/0")), Some(&string("0")));
    assert_eq!(lab.device.value(&path("/3442/0/4/1")), Some(&string("1='with, comma'")));
    let event =
        Event::Executed { path: path("/3442/0/3"), arguments: "0,1='with, comma'".to_owned() };
    assert_eq!(lab.events().first(), Some(&event));
}

/// Fact 26: a duplicate is answered with the stored answer.
#[test]
fn a_repeated_request_runs_once_and_gets_the_same_answer() {
    let mut lab = Lab::registered(profile());
    let datagram = lab.submit(&post("/3442/0/3").with(0, "0"));
    let first = lab.one();
    lab.pass_secs(40);
    lab.transmits();
    lab.device.handle_datagram(lab.now, &datagram);
    assert_eq!(lab.one(), first);
    assert_eq!(lab.device.executions(&path("/3442/0/3")), 1);
    lab.pass_secs(300);
    lab.transmits();
    lab.device.handle_datagram(lab.now, &datagram);
    assert_eq!(lab.device.executions(&path("/3442/0/3")), 2, "after EXCHANGE_LIFETIME it is new");
}

#[test]
fn a_non_confirmable_request_is_answered_by_a_non_confirmable_message() {
    let mut lab = Lab::registered(profile());
    let mut request = get("/3/0/0");
    request.kind = Type::NonConfirmable;
    let answer = lab.ask(request);
    assert_eq!((answer.kind, answer.code), (Type::NonConfirmable, Code::CONTENT));
}

/// Fact 65: a composite write is all or nothing.
#[test]
fn a_composite_write_is_all_or_nothing() {
    let write = |payload: &str| ask(Code::IPATCH, "/").with(110, payload);
    let mut lab = Lab::registered(profile());
    let both = r#"[{"n":"/3/0/14","vs":"+03:00"},{"n":"/3442/0/120","v":7}]"#;
    assert_eq!(lab.ask(write(both)).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3/0/14")), Some(&string("+03:00")));
    assert_eq!(lab.device.value(&path("/3442/0/120")), Some(&Value::Integer(7)));
    let mixed = r#"[{"n":"/3442/0/120","v":8},{"n":"/3/0/0","vs":"read-only"}]"#;
    assert_eq!(lab.ask(write(mixed)).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(lab.device.value(&path("/3442/0/120")), Some(&Value::Integer(7)));
}

#[test]
fn the_test_object_can_be_cleared_and_reset() {
    let mut lab = Lab::registered(profile());
    assert_eq!(lab.ask(post("/3442/0/2")).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3442/0/110")), Some(&string("")));
    assert_eq!(lab.device.value(&path("/3442/0/1110/0")), None);
    assert_eq!(lab.ask(post("/3442/0/1")).code, Code::CHANGED);
    assert_ne!(lab.device.value(&path("/3442/0/110")), Some(&string("")));
    assert_eq!(lab.ask(post("/3442/0/0")).code, Code::CHANGED);
    assert_eq!(lab.device.value(&path("/3442/0/110")), Some(&string("initial value")));
}
