use super::*;
use crate::Value;
use crate::codec::testing::{self, Fleet, hex};

fn read(bytes: &str) -> Result<Vec<Reading>, DecodeError> {
    let fleet = Fleet::new();
    decode(&Path::ROOT, &hex(bytes), &fleet.context()).map(|content| content.readings.into_vec())
}

fn reading(path: &str, value: Value) -> Reading {
    Reading::new(testing::path(path), value)
}

#[test]
fn keys_are_ids_or_arrays_of_ids() {
    let expected = vec![
        reading("/3/0/0", Value::String("OMA".into())),
        reading("/3/0/6/0", Value::Integer(1)),
        reading("/3/0/6/1", Value::Integer(5)),
    ];
    for bytes in [
        "a1 03 a1 00 a2 00 63 4f4d41 06 a2 00 01 01 05",
        "bf 03 bf 00 bf 00 63 4f4d41 06 bf 00 01 01 05 ff ff ff ff",
        "a1 82 03 00 a2 00 63 4f4d41 06 a2 00 01 01 05",
        "a2 83 03 00 00 63 4f4d41 83 03 00 06 a2 00 01 01 05",
        "a3 83 03 00 00 63 4f4d41 84 03 00 06 00 01 84 03 00 06 01 05",
        "a1 03 a2 82 00 00 7f 62 4f4d 61 41 ff 9f 00 06 ff a2 00 01 01 05",
    ] {
        assert_eq!(read(bytes), Ok(expected.clone()), "{bytes}");
    }
}

#[test]
fn values_are_typed_and_null_is_no_value() {
    let cases = [
        ("a1 83 19 0d72 00 18 a0 c11a386d4380", "/3442/0/160", Some(Value::Time(946_684_800))),
        ("a1 83 19 0d72 00 18 aa 63 333a30", "/3442/0/170", Some(Value::Objlnk(3, 0))),
        (
            "a1 83 19 0d72 00 18 7d 1b8000000000000000",
            "/3442/0/125",
            Some(Value::Unsigned(1 << 63)),
        ),
        ("a1 83 19 0d72 00 18 96 420102", "/3442/0/150", Some(Value::Opaque(vec![1, 2]))),
        ("a1 82 03 00 f6", "/3/0", None),
        ("a1 03 a1 00 a1 09 f6", "/3/0/9", None),
    ];
    for (bytes, path, value) in cases {
        let expected = Reading { value, ..Reading::path_only(testing::path(path)) };
        assert_eq!(read(bytes), Ok(vec![expected]), "{bytes}");
    }
    let unknown = read("a1 83 09 09 09 820102").unwrap();
    assert_eq!(unknown[0].value, Some(Value::Opaque(hex("820102"))));
    assert!(unknown[0].raw);
}

#[test]
fn what_is_not_a_map_of_values_is_refused() {
    let cases = [
        "",
        "80",
        "a1",
        "a1 03",
        "a1 03 01",
        "a1 82 03 00 01",
        "a1 80 01",
        "a1 03 a1 80 01",
        "a1 85 03 00 06 00 00 01",
        "a1 83 03 00 00 a1 00 a1 00 01",
        "a1 83 03 00 19 ffff 01",
        "a1 83 03 00 20 01",
        "a1 83 03 00 1a 00010000 01",
        "a1 83 03 00 61 30 01",
        "a1 83 03 00 09 05 00",
        "bb ffffffffffffffff",
        "a1 9b ffffffffffffffff",
    ];
    for bytes in cases {
        assert!(read(bytes).is_err(), "{bytes}");
    }
    assert!(read(&"a100".repeat(50_000)).is_err());
}

#[test]
fn readings_are_written_as_nested_maps() {
    let fleet = Fleet::new();
    let cases = [
        (vec![reading("/3/0/9", Value::Integer(95))], "a103a100a109185f"),
        (
            vec![
                reading("/3/0/6/1", Value::Integer(5)),
                reading("/1/0/0", Value::Integer(7)),
                reading("/3/0/6/0", Value::Integer(9)),
                reading("/3/0/6/0", Value::Integer(1)),
                reading("/3/0/0", Value::String("OMA".into())),
            ],
            "a2 01 a1 00 a1 00 07 03 a1 00 a2 00 63 4f4d41 06 a2 00 01 01 05",
        ),
        (vec![reading("/3/0/13", Value::Time(946_684_800))], "a103a100a10dc11a386d4380"),
        (vec![Reading::path_only(testing::path("/3/0"))], "a103a100f6"),
        (vec![], "a0"),
    ];
    for (readings, expected) in cases {
        let mut out = Vec::new();
        encode(&Path::ROOT, &readings, &fleet.context(), &mut out).unwrap();
        assert_eq!(out, hex(expected), "{readings:?}");
    }
    for readings in [
        vec![reading("/3/0/6", Value::Integer(5)), reading("/3/0/6/1", Value::Integer(5))],
        vec![reading("/3/0", Value::Integer(5))],
        vec![reading("/", Value::Integer(5))],
    ] {
        let written = encode(&Path::ROOT, &readings, &fleet.context(), &mut Vec::new());
        assert!(written.is_err(), "{readings:?}");
    }
}

#[test]
fn path_lists_are_nulls() {
    let mut out = Vec::new();
    let paths = [testing::path("/3/0/9"), testing::path("/4")];
    encode_paths(&paths, &mut out).unwrap();
    assert_eq!(out, hex("a2 83 03 00 09 f6 81 04 f6"));
    let read: Vec<_> = paths.into_iter().map(Reading::path_only).collect();
    assert_eq!(
        decode(&Path::ROOT, &out, &Fleet::new().context()).unwrap().readings.as_slice(),
        read
    );
    assert!(encode_paths(&[Path::ROOT], &mut out).is_err());
}
