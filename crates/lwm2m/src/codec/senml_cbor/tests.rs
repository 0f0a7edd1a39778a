use super::*;
use crate::Value;
use crate::codec::testing::{self, Fleet, WALL_MS, hex};

fn read(bytes: &str) -> Result<Vec<Reading>, DecodeError> {
    let fleet = Fleet::new();
    decode(&Path::ROOT, &hex(bytes), &fleet.context()).map(|content| content.readings.into_vec())
}

fn reading(path: &str, value: Value) -> Reading {
    Reading::new(testing::path(path), value)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

/// How Anjay answers a Read of /3/0: names as `/0` behind `/3/0`, a base time in 64 bits.
#[test]
fn the_dialect_of_anjay_is_read() {
    let bytes = "82 a4 21 64 2f332f30 22 fb41d954fc40000000 00 62 2f30 03 65 616e6a6179\
        a2 00 62 2f39 02 18 5f";
    let at = |path, value| Reading { time_ms: Some(1_700_000_000_000), ..reading(path, value) };
    let expected = vec![at("/3/0/0", text("anjay")), at("/3/0/9", Value::Integer(95))];
    assert_eq!(read(bytes), Ok(expected));
}

/// RFC 8428 6.1 (with names of LwM2M): base name, base time, base version, labels as numbers.
#[test]
fn the_example_of_the_rfc_is_read() {
    let bytes = "87 a7 21 67 2f333434322f30 22 fb41d303a15b001062 23 61 41 20 05\
        00 64 2f313330 0161 56 02 fb405e066666666666\
        a3 00 67 2f313133302f30 06 24 02 fb3ff3333333333333\
        a3 00 67 2f313133302f30 06 23 02 fb3ff4cccccccccccd\
        a3 00 67 2f313133302f30 06 22 02 fb3ff6666666666666\
        a3 00 67 2f313133302f30 06 21 02 f93e00\
        a3 00 67 2f313133302f30 06 20 02 fb3ff999999999999a\
        a2 00 67 2f313133302f30 02 fb3ffb333333333333";
    let mut expected = vec![("/3442/0/130", 120.1, 0)];
    let history = [(1.2, -5), (1.3, -4), (1.4, -3), (1.5, -2), (1.6, -1), (1.7, 0)];
    expected.extend(history.map(|(value, time)| ("/3442/0/1130/0", value, time)));
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(path, value, time)| Reading {
            time_ms: Some(1_276_020_076_001 + time * 1000),
            ..reading(path, Value::Float(value))
        })
        .collect();
    assert_eq!(read(bytes), Ok(expected));
}

/// Fact 59: opaque values are byte strings.
/// Fact 62: object links have the label `vlo`.
#[test]
fn values_and_labels_of_every_kind_are_read() {
    let record = |members: &str| format!("81 {members}");
    let cases = [
        ("a2 21 6b 2f333434322f302f313130 03 61 61", "/3442/0/110", text("a")),
        (
            "a2 21 6b 2f333434322f302f313230 02 3b7fffffffffffffff",
            "/3442/0/120",
            Value::Integer(i64::MIN),
        ),
        ("a2 21 6b 2f333434322f302f313230 02 f94500", "/3442/0/120", Value::Integer(5)),
        (
            "a2 21 6b 2f333434322f302f313235 02 1b8000000000000000",
            "/3442/0/125",
            Value::Unsigned(1 << 63),
        ),
        ("a2 21 6b 2f333434322f302f313330 02 fa3fc00000", "/3442/0/130", Value::Float(1.5)),
        ("a2 21 6b 2f333434322f302f313330 02 05", "/3442/0/130", Value::Float(5.0)),
        ("a2 21 6b 2f333434322f302f313430 04 f5", "/3442/0/140", Value::Boolean(true)),
        (
            "a2 21 6b 2f333434322f302f313530 08 42fbff",
            "/3442/0/150",
            Value::Opaque(vec![0xfb, 0xff]),
        ),
        (
            "a2 21 6b 2f333434322f302f313530 08 5f41fb41ffff",
            "/3442/0/150",
            Value::Opaque(vec![0xfb, 0xff]),
        ),
        (
            "a2 21 6b 2f333434322f302f313630 02 c11a386d4380",
            "/3442/0/160",
            Value::Time(946_684_800),
        ),
        ("a2 21 6b 2f333434322f302f313730 63 766c6f 63 333a30", "/3442/0/170", Value::Objlnk(3, 0)),
        ("a2 21 6b 2f333434322f302f313730 03 63 333a30", "/3442/0/170", Value::Objlnk(3, 0)),
        (
            "a2 21 6b 2f333434322f302f313830 03 64 3c2f313e",
            "/3442/0/180",
            Value::Corelnk("</1>".into()),
        ),
        // Labels as text, maps and arrays without a length, unknown members.
        ("bf 62 626e 66 2f332f302f39 61 76 18 5f ff", "/3/0/9", Value::Integer(95)),
        (
            "a4 21 66 2f332f302f39 02 18 5f 18 63 83010203 67 756e6b6e6f776e a0",
            "/3/0/9",
            Value::Integer(95),
        ),
    ];
    for (members, path, value) in cases {
        assert_eq!(read(&record(members)), Ok(vec![reading(path, value)]), "{members}");
    }
    assert_eq!(
        read("9f a2 21 66 2f332f302f39 02 05 ff"),
        Ok(vec![reading("/3/0/9", Value::Integer(5))])
    );
}

#[test]
fn base_values_nulls_and_relative_times_are_resolved() {
    let bytes =
        "84 a3 21 65 2f332f302f 22 29 24 02 a2 00 61 39 02 03 a2 00 62 3130 02 f6 a1 00 61 39";
    let at = |path, value| Reading {
        path: testing::path(path),
        value,
        time_ms: Some(WALL_MS - 10_000),
        raw: false,
    };
    let expected = vec![
        at("/3/0/9", Some(Value::Integer(5))),
        at("/3/0/10", None),
        at("/3/0/9", Some(Value::Integer(2))),
    ];
    assert_eq!(read(bytes), Ok(expected));
}

#[test]
fn one_bad_record_does_not_spoil_the_others() {
    let fleet = Fleet::new();
    let cases = [
        ("/3/0/9", "02 fbfff8000000000000", None),
        ("/3/0/9", "02 c249010000000000000000", Some(Value::Opaque(hex("c249010000000000000000")))),
        ("/3/0/9", "02 c48221196ab3", Some(Value::Float(273.15))),
        ("/3/0/0", "08 4101", Some(Value::Opaque(vec![1]))),
        ("/9/9/9", "02 1bffffffffffffffff", Some(Value::Unsigned(u64::MAX))),
    ];
    for (path, member, value) in cases {
        let name = testing::path(path).to_string();
        let name: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes = format!("82 a2 00 66 {name} {member} a2 00 66 2f332f302f39 02 05");
        let readings = read(&bytes).unwrap();
        assert!(readings[0].raw, "{member}");
        if value.is_some() {
            assert_eq!(readings[0].value, value);
        }
        assert_eq!(readings[1], reading("/3/0/9", Value::Integer(5)));
        assert!(decode(&Path::ROOT, &hex(&bytes), &fleet.strict()).is_err());
    }
}

#[test]
fn what_is_not_senml_is_refused() {
    let cases = [
        "",
        "a0",
        "81",
        "81 01",
        "82 a2 00 66 2f332f302f39 02 05",
        "81 a2 00 66 2f332f302f39 02 05 00",
        "81 a2 00 05 02 05",
        "81 a3 00 66 2f332f302f39 02 05 04 f5",
        "81 a3 20 0b 00 66 2f332f302f39 02 05",
        "81 a2 00 66 2f332f302f39 65 6d7573745f 05",
        "81 a2 00 66 2f332f302f39 f5 05",
        "81 a3 00 66 2f332f302f39 02 05 06 fb7ff0000000000000",
        "9b ffffffffffffffff",
        "81 bb ffffffffffffffff",
    ];
    for bytes in cases {
        assert!(read(bytes).is_err(), "{bytes}");
    }
}

#[test]
fn records_are_written_with_numbers_as_labels() {
    let fleet = Fleet::new();
    let timed =
        |time_ms| Reading { time_ms: Some(time_ms), ..reading("/3/0/9", Value::Integer(1)) };
    let cases = [
        ("/3/0/9", vec![reading("/3/0/9", Value::Integer(95))], "81a221662f332f302f3902185f"),
        (
            "/3/0",
            vec![reading("/3/0/0", text("a")), reading("/3/0/6/1", Value::Integer(-1))],
            "82 a3 21 65 2f332f302f 00 61 30 03 61 61 a2 00 63 362f31 02 20",
        ),
        ("/3/0/9", vec![timed(1_700_000_000_000)], "81a321662f332f302f390201061a6553f100"),
        ("/3/0/9", vec![timed(-500)], "81a321662f332f302f39020106fabf000000"),
        (
            "/",
            vec![
                reading("/3442/0/170", Value::Objlnk(3, 0)),
                reading("/3442/0/150", Value::Opaque(vec![1])),
                Reading::path_only(testing::path("/4")),
            ],
            "83 a2 00 6b 2f333434322f302f313730 63 766c6f 63 333a30\
             a2 00 6b 2f333434322f302f313530 08 4101 a2 00 62 2f34 02 f6",
        ),
        ("/3/0", vec![], "80"),
    ];
    for (base, readings, expected) in cases {
        let mut out = Vec::new();
        encode(&testing::path(base), &readings, &fleet.context(), &mut out).unwrap();
        assert_eq!(out, hex(expected), "{base} {readings:?}");
    }
}

/// Fact 64: what is asked for is a list of records without values.
#[test]
fn path_lists_have_no_values_and_etch_has_nulls() {
    let fleet = Fleet::new();
    let paths = [testing::path("/3/0/0"), testing::path("/4")];
    let mut listed = Vec::new();
    encode_paths(&paths, &mut listed);
    assert_eq!(listed, hex("82 a1 00 66 2f332f302f30 a1 00 62 2f34"));
    let readings = paths.map(Reading::path_only);
    let mut written = Vec::new();
    encode(&Path::ROOT, &readings, &fleet.context(), &mut written).unwrap();
    assert_eq!(written, listed);
    let mut etch = Vec::new();
    encode_etch(&Path::ROOT, &readings, &fleet.context(), &mut etch).unwrap();
    assert_eq!(etch, hex("82 a2 00 66 2f332f302f30 02 f6 a2 00 62 2f34 02 f6"));
}
