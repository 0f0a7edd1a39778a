use super::*;
use crate::codec::testing::{self, Fleet, WALL_MS};
use crate::codec::{READINGS_MAX, current};
use crate::{Layout, Value};

fn read(json: &str) -> Result<Vec<Reading>, DecodeError> {
    let fleet = Fleet::new();
    decode(&Path::ROOT, json.as_bytes(), &fleet.context())
        .map(|content| content.readings.into_vec())
}

fn reading(path: &str, value: Value) -> Reading {
    Reading::new(testing::path(path), value)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

/// Fact 60: names are joined as text, whichever way a client cuts them.
#[test]
fn every_dialect_of_names_means_the_same() {
    let expected = vec![reading("/3/0/0", text("anjay")), reading("/3/0/9", Value::Integer(95))];
    for json in [
        // Wakaama, Leshan
        r#"[{"bn":"/3/0/","n":"0","vs":"anjay"},{"n":"9","v":95}]"#,
        // Anjay
        r#"[{"bn":"/3/0","n":"/0","vs":"anjay"},{"n":"/9","v":95}]"#,
        // Anjay, composite
        r#"[{"n":"/3/0/0","vs":"anjay"},{"n":"/3/0/9","v":95}]"#,
        // Leshan, composite
        r#"[{"bn":"/3/0/0","vs":"anjay"},{"bn":"/3/0/9","v":95}]"#,
        // A base alone
        r#"[{"bn":"/3/0/"},{"n":"0","vs":"anjay"},{"n":"9","v":95}]"#,
        r#"[{"bn":"/3/0"},{"n":"/0","vs":"anjay"},{"n":"/9","v":95}]"#,
        // Members in any order, unknown ones, white space
        r#" [ {"vs" : "anjay","x":[{}],"n":"0","bn":"/3/0/"} ,
            {"v":95,"n":"9"} ] "#,
    ] {
        assert_eq!(read(json), Ok(expected.clone()), "{json}");
    }
}

/// RFC 8428 5.1.2 and 5.1.5 (with names of LwM2M): base time and base value, absolute times.
#[test]
fn base_values_are_resolved() {
    let json = r#"[{"bn":"/3442/0/","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"130","u":"V",
        "v":120.1},{"n":"1130/0","t":-5,"v":1.2},{"n":"1130/0","t":-4,"v":1.3},
        {"bt":1.320078429e+09,"bv":100,"n":"120","v":-80},{"n":"120","t":60},
        {"n":"130","t":1,"v":0.5},{"n":"110","vs":"kept"}]"#;
    let at = |path, value, time_ms| Reading { time_ms: Some(time_ms), ..reading(path, value) };
    let expected = vec![
        at("/3442/0/130", Value::Float(120.1), 1_276_020_076_001),
        at("/3442/0/1130/0", Value::Float(1.2), 1_276_020_071_001),
        at("/3442/0/1130/0", Value::Float(1.3), 1_276_020_072_001),
        at("/3442/0/120", Value::Integer(20), 1_320_078_429_000),
        at("/3442/0/120", Value::Integer(100), 1_320_078_489_000),
        at("/3442/0/130", Value::Float(100.5), 1_320_078_430_000),
        at("/3442/0/110", text("kept"), 1_320_078_429_000),
    ];
    assert_eq!(read(json), Ok(expected));
}

#[test]
fn a_head_of_base_values_is_no_reading() {
    let fleet = Fleet::new();
    let json = br#"[{"bn":"/3/0/","bv":5},{"n":"9","v":1},{"bn":"/3/0/10"},{"bn":"/3/"}]"#;
    let content =
        decode(&Path::ROOT, json, &fleet.strict()).map(|content| content.readings.into_vec());
    // What has only a base name is a path when nothing follows that is built on it.
    let last = decode(&Path::ROOT, br#"[{"bn":"/3/0/10","bv":5}]"#, &fleet.strict());
    assert_eq!(content, Err(DecodeError::Undefined(testing::path("/3"))));
    assert_eq!(last.unwrap().readings.as_slice(), [reading("/3/0/10", Value::Integer(5))]);
    let json = br#"[{"bn":"/3/0/","bv":5},{"n":"9","v":1},{"bn":"/3/0/10"}]"#;
    let content = decode(&Path::ROOT, json, &fleet.strict()).unwrap();
    let expected = [reading("/3/0/9", Value::Integer(6)), reading("/3/0/10", Value::Integer(5))];
    assert_eq!(content.readings.as_slice(), expected);
}

/// Fact 60: below 2^28 a time is relative to now, and negative means the past.
#[test]
fn small_times_are_relative_to_now() {
    let cases = [
        (r#""t":0"#, Some(WALL_MS)),
        (r#""t":-60"#, Some(WALL_MS - 60_000)),
        (r#""t":-0.5"#, Some(WALL_MS - 500)),
        (r#""t":268435455"#, Some(WALL_MS + 268_435_455_000)),
        (r#""t":268435456"#, Some(268_435_456_000)),
        (r#""bt":1700000000,"t":-1.25"#, Some(1_699_999_998_750)),
        (r#""bt":-100,"t":40"#, Some(WALL_MS - 60_000)),
        (r#""bt":1700000000.001"#, Some(1_700_000_000_001)),
        (r#""u":"Cel""#, None),
    ];
    for (members, time_ms) in cases {
        let json = format!(r#"[{{"n":"/3/0/9","v":1,{members}}}]"#);
        let expected = Reading { time_ms, ..reading("/3/0/9", Value::Integer(1)) };
        assert_eq!(read(&json), Ok(vec![expected]), "{members}");
    }
    for members in [r#""t":1e300"#, r#""t":1e400"#, r#""bt":-1e15"#, r#""t":"now""#, r#""t":null"#]
    {
        let json = format!(r#"[{{"n":"/3/0/9","v":1,{members}}}]"#);
        assert!(read(&json).is_err(), "{members}");
    }
}

/// Fact 61: several records of a path are its history; the one without a time counts as newest.
#[test]
fn history_is_kept_in_order_and_the_newest_is_current() {
    let json = r#"[{"bn":"/3/0/9","v":3},{"t":-20,"v":1},{"t":-10,"v":2}]"#;
    let readings = read(json).unwrap();
    let values: Vec<_> = readings.iter().map(|reading| reading.value.clone()).collect();
    let expected = [3, 1, 2].map(|value| Some(Value::Integer(value)));
    assert_eq!(values, expected);
    let path = testing::path("/3/0/9");
    assert_eq!(current(&readings, &path), readings.first());
    assert_eq!(current(&readings[1..], &path), readings.last());
    assert_eq!(current(&readings, &testing::path("/3/0/10")), None);
}

/// Fact 59: `vd` is Base64 for URLs without padding; the other kinds are understood too.
/// Fact 62: `vlo` is an object link.
#[test]
fn values_are_typed_by_the_definition() {
    let cases = [
        ("110", r#""vs":"é""#, text("é")),
        ("120", r#""v":-9223372036854775808"#, Value::Integer(i64::MIN)),
        ("120", r#""v":9007199254740993"#, Value::Integer(9_007_199_254_740_993)),
        ("120", r#""v":5.0"#, Value::Integer(5)),
        ("125", r#""v":9223372036854775808"#, Value::Unsigned(1 << 63)),
        ("125", r#""v":18446744073709551615"#, Value::Unsigned(u64::MAX)),
        ("130", r#""v":5"#, Value::Float(5.0)),
        ("130", r#""v":-0"#, Value::Float(-0.0)),
        ("140", r#""vb":true"#, Value::Boolean(true)),
        ("140", r#""v":0"#, Value::Boolean(false)),
        ("150", r#""vd":"-_8""#, Value::Opaque(vec![0xfb, 0xff])),
        ("150", r#""vd":"-_8=""#, Value::Opaque(vec![0xfb, 0xff])),
        ("150", r#""vd":"+/8=""#, Value::Opaque(vec![0xfb, 0xff])),
        ("150", r#""vd":"""#, Value::Opaque(vec![])),
        ("160", r#""v":946684800"#, Value::Time(946_684_800)),
        ("170", r#""vlo":"10:0""#, Value::Objlnk(10, 0)),
        ("170", r#""vs":"65535:65535""#, Value::Objlnk(65535, 65535)),
        ("180", r#""vs":"</3442>""#, Value::Corelnk("</3442>".into())),
    ];
    for (id, member, value) in cases {
        let json = format!(r#"[{{"bn":"/3442/0/{id}",{member}}}]"#);
        let read = read(&json).unwrap();
        assert_eq!(read, vec![reading(&format!("/3442/0/{id}"), value)], "{member}");
    }
}

/// Fact 63: integers beyond 2^53 and 2^63 are exact; what fits no type stays what it is.
#[test]
fn what_fits_no_definition_is_kept_and_marked() {
    let cases = [
        ("/9999/0/0", r#""v":18446744073709551615"#, Value::Unsigned(u64::MAX)),
        ("/9999/0/0", r#""v":9007199254740993"#, Value::Integer(9_007_199_254_740_993)),
        ("/9999/0/0", r#""v":1.5"#, Value::Float(1.5)),
        ("/9999/0/0", r#""v":1e400"#, text("1e400")),
        ("/9999/0/0", r#""vb":false"#, Value::Boolean(false)),
        ("/9999/0/0", r#""vd":"AQID""#, Value::Opaque(vec![1, 2, 3])),
        ("/9999/0/0", r#""vd":"*""#, text("*")),
        ("/9999/0/0", r#""vlo":"3:0""#, Value::Objlnk(3, 0)),
        ("/9999/0/0", r#""vs":"3:0""#, text("3:0")),
        ("/3442/0/120", r#""v":5.5"#, Value::Float(5.5)),
        ("/3442/0/120", r#""v":1e400"#, text("1e400")),
        ("/3442/0/125", r#""v":-1"#, Value::Integer(-1)),
        ("/3442/0/130", r#""v":1e400"#, text("1e400")),
        ("/3442/0/120", r#""vs":"5""#, text("5")),
        ("/3442/0/110", r#""v":5"#, Value::Integer(5)),
        ("/3442/0/150", r#""vd":"*""#, text("*")),
        ("/3442/0/120", r#""v":[1]"#, Value::Opaque(b"[1]".to_vec())),
        ("/3442/0/4", r#""v":1"#, Value::Integer(1)),
    ];
    let fleet = Fleet::new();
    for (path, member, value) in cases {
        let json = format!(r#"[{{"n":"/3/0/9","v":1}},{{"n":"{path}",{member}}}]"#);
        let bad = Reading { raw: true, ..reading(path, value) };
        let expected = vec![reading("/3/0/9", Value::Integer(1)), bad];
        assert_eq!(read(&json), Ok(expected), "{path} {member}");
        let refused = decode(&Path::ROOT, json.as_bytes(), &fleet.strict());
        assert!(refused.is_err(), "{path} {member}");
    }
}

#[test]
fn records_without_a_value_name_paths_and_null_is_no_value() {
    let paths = |paths: &[&str]| -> Vec<Reading> {
        paths.iter().map(|path| Reading::path_only(testing::path(path))).collect()
    };
    let cases = [
        (r#"[{"n":"/3/0/9"},{"n":"/4"}]"#, paths(&["/3/0/9", "/4"])),
        (r#"[{"bn":"/3/0/9"},{"bn":"/4/0"}]"#, paths(&["/3/0/9", "/4/0"])),
        (r#"[{"bn":"/3/0/9"}]"#, paths(&["/3/0/9"])),
        (r#"[{"bn":"/3/0/"},{"n":"9"}]"#, paths(&["/3/0/9"])),
        (r#"[{"n":"/3/0/9","v":null},{"n":"/3/0/0","vs":null}]"#, paths(&["/3/0/9", "/3/0/0"])),
        (r#"[{"bt":1700000000}]"#, paths(&[])),
    ];
    for (json, expected) in cases {
        assert_eq!(read(json), Ok(expected), "{json}");
    }
    let fleet = Fleet::new();
    let empty = decode(&Path::ROOT, b"[]", &fleet.context());
    assert_eq!(empty.map(|content| content.layout), Ok(Layout::Empty));
}

#[test]
fn what_is_not_senml_is_refused() {
    let cases = [
        "",
        "{}",
        "[",
        "[{}",
        "[{},]",
        "[1]",
        "[{}] x",
        r#"[{"n":"/3/0/9","v":1,"vs":"1"}]"#,
        r#"[{"n":"/3/0/9","v":1,"must_":0}]"#,
        r#"[{"bver":11,"n":"/3/0/9","v":1}]"#,
        r#"[{"bver":"10","n":"/3/0/9","v":1}]"#,
        r#"[{"n":"/3/0/9","v":1,"u":5}]"#,
        r#"[{"n":"/3/0/9","v":1,"bs":"x"}]"#,
        r#"[{"n":"urn:dev:ow:10e2073a01080063","v":23.1}]"#,
        r#"[{"n":9,"v":1}]"#,
        r#"[{"n":"/3/0/9/0/1","v":1}]"#,
    ];
    for json in cases {
        assert!(read(json).is_err(), "{json}");
    }
    assert!(read(r#"[{"n":"/3/0/9","v":1,"optional":0,"bver":10,"bs":1,"s":2,"ut":3}]"#).is_ok());
}

#[test]
fn bytes_that_are_not_utf8_become_replacement_characters() {
    let fleet = Fleet::new();
    let content = decode(&Path::ROOT, b"[{\"n\":\"/3/0/0\",\"vs\":\"caf\xe9\"}]", &fleet.context());
    let expected = vec![reading("/3/0/0", text("caf\u{fffd}"))];
    assert_eq!(content.map(|content| content.readings.into_vec()), Ok(expected));
}

#[test]
fn a_payload_of_endless_records_is_refused() {
    let mut json = String::from(r#"[{"bn":"/3/0/9","v":1}"#);
    json.push_str(&r#",{"v":1}"#.repeat(READINGS_MAX - 1));
    json.push(']');
    assert_eq!(read(&json).map(|readings| readings.len()), Ok(READINGS_MAX));
    json.pop();
    json.push_str(r#",{"v":1}]"#);
    assert_eq!(read(&json), Err(DecodeError::TooMany));
}

#[test]
fn records_are_written_as_servers_and_devices_write_them() {
    let fleet = Fleet::new();
    let timed =
        Reading { time_ms: Some(1_700_000_000_500), ..reading("/3/0/9", Value::Integer(1)) };
    let null = Reading::path_only(testing::path("/3/0/6/1"));
    let cases = [
        ("/3/0/0", vec![reading("/3/0/0", text("a\"b"))], r#"[{"bn":"/3/0/0","vs":"a\"b"}]"#),
        (
            "/3/0",
            vec![reading("/3/0/0", text("x")), reading("/3/0/6/1", Value::Integer(-1))],
            r#"[{"bn":"/3/0/","n":"0","vs":"x"},{"n":"6/1","v":-1}]"#,
        ),
        (
            "/3/0/6",
            vec![reading("/3/0/6/0", Value::Integer(1))],
            r#"[{"bn":"/3/0/6/","n":"0","v":1}]"#,
        ),
        (
            "/",
            vec![reading("/3/0/0", text("x")), null],
            r#"[{"n":"/3/0/0","vs":"x"},{"n":"/3/0/6/1","v":null}]"#,
        ),
        ("/3/0/9", vec![timed], r#"[{"bn":"/3/0/9","v":1,"t":1700000000.5}]"#),
        (
            "/3442/0",
            vec![
                reading("/3442/0/125", Value::Unsigned(u64::MAX)),
                reading("/3442/0/130", Value::Float(5.0)),
                reading("/3442/0/140", Value::Boolean(true)),
                reading("/3442/0/150", Value::Opaque(vec![0xfb, 0xff])),
                reading("/3442/0/110", Value::Opaque(b"hex".to_vec())),
                reading("/3442/0/160", Value::Time(-1)),
                reading("/3442/0/170", Value::Objlnk(3, 0)),
                reading("/3442/0/180", Value::Corelnk("</1>".into())),
            ],
            concat!(
                r#"[{"bn":"/3442/0/","n":"125","v":18446744073709551615},{"n":"130","v":5.0},"#,
                r#"{"n":"140","vb":true},{"n":"150","vd":"-_8"},{"n":"110","vs":"hex"},"#,
                r#"{"n":"160","v":-1},{"n":"170","vlo":"3:0"},{"n":"180","vs":"</1>"}]"#
            ),
        ),
        ("/3/0", vec![], "[]"),
    ];
    for (base, readings, expected) in cases {
        let mut out = Vec::new();
        let written = encode(&testing::path(base), &readings, &fleet.context(), &mut out);
        assert_eq!(written, Ok(()));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    for value in [f64::NAN, f64::INFINITY] {
        let readings = [reading("/3442/0/130", Value::Float(value))];
        let written = encode(&readings[0].path, &readings, &fleet.context(), &mut Vec::new());
        assert_eq!(written, Err(EncodeError::NotFinite(readings[0].path)));
    }
}

/// Fact 64: what is asked for is a list of records without values.
#[test]
fn path_lists_have_no_values_and_etch_has_nulls() {
    let fleet = Fleet::new();
    let paths = [testing::path("/3/0/0"), testing::path("/4/0")];
    let mut listed = Vec::new();
    encode_paths(&paths, &mut listed);
    assert_eq!(listed, br#"[{"n":"/3/0/0"},{"n":"/4/0"}]"#);
    let readings = paths.map(Reading::path_only);
    let mut written = Vec::new();
    encode(&Path::ROOT, &readings, &fleet.context(), &mut written).unwrap();
    assert_eq!(written, listed);
    let mut etch = Vec::new();
    encode_etch(&Path::ROOT, &readings, &fleet.context(), &mut etch).unwrap();
    assert_eq!(etch, br#"[{"n":"/3/0/0","v":null},{"n":"/4/0","v":null}]"#);
}
