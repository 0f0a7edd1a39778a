use super::*;
use crate::codec::testing::{self, Fleet, WALL_MS};

fn read(request: &str, json: &str) -> Result<Vec<Reading>, DecodeError> {
    let fleet = Fleet::new();
    let content = decode(&testing::path(request), json.as_bytes(), &fleet.context());
    content.map(|content| content.readings.into_vec())
}

fn reading(path: &str, value: Value) -> Reading {
    Reading::new(testing::path(path), value)
}

fn text(value: &str) -> Value {
    Value::String(value.into())
}

/// OMA Core 1.0.2 6.4.4, examples for /3/0, /65 and /72.
#[test]
fn the_examples_of_the_specification_are_read() {
    let device = r#"{"bn":"/3/0/","e":[{"n":"0","sv":"Open Mobile Alliance"},{"n":"6/0","v":1},
        {"n":"6/1","v":5},{"n":"9","v":100},{"n":"13","v":1367491215},{"n":"16","sv":"U"}]}"#;
    let expected = vec![
        reading("/3/0/0", text("Open Mobile Alliance")),
        reading("/3/0/6/0", Value::Integer(1)),
        reading("/3/0/6/1", Value::Integer(5)),
        reading("/3/0/9", Value::Integer(100)),
        reading("/3/0/13", Value::Time(1_367_491_215)),
        reading("/3/0/16", text("U")),
    ];
    assert_eq!(read("/3/0", device), Ok(expected.clone()));
    let without_base = device.replacen(r#""bn":"/3/0/","#, "", 1);
    assert_eq!(read("/3/0", &without_base), Ok(expected));
    let links = r#"{"bn":"/","e":[{"n":"65/0/0/0","ov":"66:0"},
        {"n":"66/0/1","sv":"Internet.15.234"},
        {"n":"66/0/2","ov":"67:0"},{"n":"66/1/2","ov":"65535:65535"}]}"#;
    let expected = vec![
        reading("/65/0/0/0", Value::Objlnk(66, 0)),
        reading("/66/0/1", text("Internet.15.234")),
        reading("/66/0/2", Value::Objlnk(67, 0)),
        reading("/66/1/2", Value::Objlnk(65535, 65535)),
    ];
    assert_eq!(read("/65", links), Ok(expected));
    // The base stands behind the entries, the times before it.
    let history = r#"{"e":[{"n":"1/2","v":22.4,"t":-5},{"n":"1/2","v":22.9,"t":-30},
        {"n":"1/2","v":24.1,"t":-50}],"bn":"/72/","bt":25462634}"#;
    let expected = [(22.4, 25_462_629_000), (22.9, 25_462_604_000), (24.1, 25_462_584_000)].map(
        |(value, time_ms)| Reading {
            time_ms: Some(time_ms),
            ..reading("/72/1/2", Value::Float(value))
        },
    );
    assert_eq!(read("/72", history), Ok(expected.to_vec()));
}

#[test]
fn a_time_is_never_the_value() {
    let cases = [
        (r#"{"n":"9","t":-5,"v":1}"#, Some(1), Some(WALL_MS - 5000)),
        (r#"{"n":"9","v":1,"t":0}"#, Some(1), Some(WALL_MS)),
        (r#"{"n":"9","v":1,"t":1700000000.5}"#, Some(1), Some(1_700_000_000_500)),
        (r#"{"n":"9","t":5}"#, None, Some(5000)),
        (r#"{"n":"9"}"#, None, None),
    ];
    for (entry, value, time_ms) in cases {
        let json = format!(r#"{{"bn":"/3/0/","e":[{entry}]}}"#);
        let path = testing::path("/3/0/9");
        let expected = Reading { path, value: value.map(Value::Integer), time_ms, raw: false };
        assert_eq!(read("/3/0/9", &json), Ok(vec![expected]), "{entry}");
    }
}

/// The names of Wakaama, Leshan and Anjay for one resource, and Wakaama 1.0's level too many.
#[test]
fn every_dialect_of_names_finds_the_resource() {
    let cases = [
        ("/3/0/9", "/3/0/", "9", "/3/0/9"),
        ("/3/0/9", "/3/0/9", "", "/3/0/9"),
        ("/3/0/9", "/3/0", "/9", "/3/0/9"),
        ("/3/0/9", "/3/0/9/", "9", "/3/0/9"),
        ("/3/0/0", "/3/0/0/", "0", "/3/0/0"),
        ("/3/0/9", "/3/0/9/", "0", "/3/0/9"),
        ("/3/0/6", "/3/0/6/", "0", "/3/0/6/0"),
        ("/3/0/6", "/3/0/6/", "6", "/3/0/6/6"),
        ("/3/0/6", "/3/0/6/", "6/1", "/3/0/6/1"),
        ("/3/0/6/1", "/3/0/6/1", "", "/3/0/6/1"),
        ("/3/0/6/1", "/3/0/6/", "1", "/3/0/6/1"),
        ("/3/0", "/3/0/", "6/1", "/3/0/6/1"),
        // Without a definition a repeated id is taken for the level too many.
        ("/9/0/7", "/9/0/7/", "7", "/9/0/7"),
        ("/9/0/7", "/9/0/7/", "1", "/9/0/7/1"),
        ("/9/0/7", "/9/0/7/", "7/1", "/9/0/7/1"),
        ("/9/0", "/9/0/", "7/7", "/9/0/7/7"),
    ];
    for (request, base, name, path) in cases {
        let json = format!(r#"{{"bn":"{base}","e":[{{"n":"{name}","v":1}}]}}"#);
        let paths: Vec<_> = read(request, &json).unwrap().iter().map(|one| one.path).collect();
        assert_eq!(paths, [testing::path(path)], "{request} {base} {name}");
    }
    let without_name = read("/3/0/9", r#"{"bn":"/3/0/9","e":[{"v":1}]}"#);
    assert_eq!(without_name, Ok(vec![reading("/3/0/9", Value::Integer(1))]));
    let absolute = read("/3", r#"{"e":[{"n":"/3/0/9","v":1}]}"#);
    assert_eq!(absolute, Ok(vec![reading("/3/0/9", Value::Integer(1))]));
    assert!(read("/3/0", r#"{"bn":"/3/0/6/","e":[{"n":"6/1","v":1}]}"#).is_err());
}

#[test]
fn values_are_typed_by_the_definition_and_need_none() {
    let cases = [
        ("/3442/0/125", r#""v":9223372036854775808"#, Value::Unsigned(1 << 63), false),
        ("/3442/0/140", r#""bv":true"#, Value::Boolean(true), false),
        (
            "/3442/0/150",
            r#""sv":"ASNFZ4mrze8=""#,
            Value::Opaque(testing::hex("0123456789abcdef")),
            false,
        ),
        ("/3442/0/160", r#""v":946684800"#, Value::Time(946_684_800), false),
        ("/3442/0/170", r#""ov":"3:0""#, Value::Objlnk(3, 0), false),
        ("/3442/0/170", r#""sv":"3:0""#, Value::Objlnk(3, 0), false),
        ("/3442/0/180", r#""sv":"</3442>""#, Value::Corelnk("</3442>".into()), false),
        ("/3/0/9", r#""sv":"x","v":1"#, Value::Integer(1), false),
        ("/3/0/9", r#""v":null,"sv":"x""#, text("x"), true),
        ("/9/0/0", r#""sv":"x""#, text("x"), true),
        ("/9/0/0", r#""v":1.5"#, Value::Float(1.5), true),
        ("/9/0/0", r#""ov":"3:0""#, Value::Objlnk(3, 0), true),
    ];
    let fleet = Fleet::new();
    for (path, members, value, raw) in cases {
        let json = format!(r#"{{"bn":"{path}","e":[{{{members}}}]}}"#);
        let expected = Reading { raw, ..reading(path, value) };
        assert_eq!(read(path, &json), Ok(vec![expected.clone()]), "{members}");
        // As in EMQX, nothing is refused for want of a definition, and nothing is marked.
        let strict = decode(&testing::path(path), json.as_bytes(), &fleet.strict()).unwrap();
        assert_eq!(strict.readings.as_slice(), [Reading { raw: false, ..expected }]);
    }
}

#[test]
fn what_is_not_this_format_is_refused() {
    let cases = [
        "",
        "[]",
        "{}",
        r#"{"bn":"/3/0/"}"#,
        r#"{"bn":3,"e":[]}"#,
        r#"{"bt":"x","e":[]}"#,
        r#"{"e":{}}"#,
        r#"{"e":[1]}"#,
        r#"{"e":[{"n":9,"v":1}]}"#,
        r#"{"e":[{"n":"x","v":1}]}"#,
        r#"{"e":[{"n":"9","v":1}]"#,
        r#"{"e":[{"n":"9","v":1}]} {}"#,
        r#"{"e":[{"n":"9","t":1e300,"v":1}]}"#,
    ];
    for json in cases {
        assert!(read("/3/0", json).is_err(), "{json}");
    }
    let fleet = Fleet::new();
    let empty = decode(&testing::path("/3/0"), br#"{"bn":"/3/0/","e":[]}"#, &fleet.context());
    assert_eq!(empty.map(|content| content.layout), Ok(crate::Layout::Empty));
}

#[test]
fn entries_are_written_as_devices_write_them() {
    let fleet = Fleet::new();
    let timed =
        Reading { time_ms: Some(1_700_000_000_500), ..reading("/3/0/9", Value::Integer(1)) };
    let cases = [
        ("/3/0/0", vec![reading("/3/0/0", text("x"))], r#"{"bn":"/3/0/0","e":[{"sv":"x"}]}"#),
        (
            "/3/0",
            vec![reading("/3/0/6/1", Value::Integer(5)), timed],
            r#"{"bn":"/3/0/","e":[{"n":"6/1","v":5},{"n":"9","v":1,"t":1700000000.5}]}"#,
        ),
        (
            "/3442/0",
            vec![
                reading("/3442/0/130", Value::Float(1.5)),
                reading("/3442/0/140", Value::Boolean(false)),
                reading("/3442/0/150", Value::Opaque(testing::hex("0123456789abcdef"))),
                reading("/3442/0/170", Value::Objlnk(3, 0)),
            ],
            concat!(
                r#"{"bn":"/3442/0/","e":[{"n":"130","v":1.5},{"n":"140","bv":false},"#,
                r#"{"n":"150","sv":"ASNFZ4mrze8="},{"n":"170","ov":"3:0"}]}"#
            ),
        ),
        ("/", vec![reading("/3/0/0", text("x"))], r#"{"e":[{"n":"/3/0/0","sv":"x"}]}"#),
    ];
    for (base, readings, expected) in cases {
        let mut out = Vec::new();
        encode(&testing::path(base), &readings, &fleet.context(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
