use proptest::prelude::*;

use super::testing::{self, Fleet, TEST_TYPES, WALL_MS, hex};
use super::*;
use crate::{DataType, Layout, Value};

const FORMATS: [Format; 8] = [
    Format::TEXT,
    Format::OCTETS,
    Format::CBOR,
    Format::TLV,
    Format::JSON,
    Format::SENML_JSON,
    Format::SENML_CBOR,
    Format::LWM2M_CBOR,
];

/// Object 3442 as the Leshan demo client answers it: every type, single and multiple.
const LESHAN_TLV: &str = "\
    c4a0386d4380a4046042000400c88208400921f9f01b866e8004a804650b48000880000000000000008006a6\
    04884400386d4380c4aa00030000a8046a0b480008400921f9f01b866ec18c01c86e0d696e697469616c2076\
    616c7565a60492440000030000c7b43c2f333434323ea30474410001c896080123456789abcdefa804561048\
    000d696e697469616c2076616c7565c2780400a8049c0947003c2f333434323ec87d088000000000000000a8\
    047e0b4800080123456789abcdef";
const LESHAN_SENML: &str = r#"[{"bn":"/3442/0/","n":"160","v":946684800},{"n":"1120/0","v":1024},
    {"n":"130","v":3.14159},{"n":"1125/0","v":9223372036854775808},{"n":"1160/0","v":946684800},
    {"n":"170","vs":"3:0"},{"n":"1130/0","v":3.14159},{"n":"140","vb":true},
    {"n":"110","vs":"initial value"},{"n":"1170/0","vs":"3:0"},{"n":"180","vs":"</3442>"},
    {"n":"1140/0","vb":true},{"n":"150","vd":"ASNFZ4mrze8"},{"n":"1110/0","vs":"initial value"},
    {"n":"120","v":1024},{"n":"1180/0","vs":"</3442>"},{"n":"125","v":9223372036854775808},
    {"n":"1150/0","vd":"ASNFZ4mrze8"}]"#;

fn leshan() -> Vec<Reading> {
    let fleet = Fleet::new();
    let path = testing::path("/3442/0");
    let content = decode(Some(Format::TLV), &path, &hex(LESHAN_TLV), &fleet.strict());
    content.expect("a vector").readings.into_vec()
}

#[test]
fn leshan_says_the_same_in_tlv_and_in_senml() {
    let fleet = Fleet::new();
    let path = testing::path("/3442/0");
    assert_eq!(hex(LESHAN_TLV).len(), 190);
    let senml = decode(Some(Format::SENML_JSON), &path, LESHAN_SENML.as_bytes(), &fleet.strict());
    let senml = senml.expect("a vector");
    assert_eq!(senml.layout, Layout::Paths);
    let tlv = leshan();
    // Resources 4 and 6 are empty multiple resources: two of 20 records without a reading.
    assert_eq!(tlv.len(), 18);
    assert_eq!(senml.readings.as_slice(), tlv);
}

/// Fact 52: today's numbers and the old ones name the format.
/// Fact 54: the answer's own format decides; without one it is text.
#[test]
fn the_content_format_chooses_the_codec() {
    let fleet = Fleet::new();
    let path = testing::path("/3/0/9");
    let expected = vec![Reading::new(path, Value::Integer(95))];
    let cases: [(Option<u16>, &[u8]); 13] = [
        (None, b"95"),
        (Some(0), b"95"),
        (Some(1541), b"95"),
        (Some(60), &[0x18, 0x5f]),
        (Some(110), br#"[{"bn":"/3/0/9","v":95}]"#),
        (Some(320), br#"[{"bn":"/3/0/9","v":95}]"#),
        (Some(112), b"\x81\xa2\x21\x66/3/0/9\x02\x18\x5f"),
        (Some(322), b"\x81\xa2\x21\x66/3/0/9\x02\x18\x5f"),
        (Some(11542), &[0xc1, 9, 95]),
        (Some(1542), &[0xc1, 9, 95]),
        (Some(11543), br#"{"bn":"/3/0/9","e":[{"v":95}]}"#),
        (Some(1543), br#"{"bn":"/3/0/9","e":[{"v":95}]}"#),
        (Some(11544), &[0xa1, 0x83, 3, 0, 9, 0x18, 0x5f]),
    ];
    for (format, payload) in cases {
        let content = decode(format.map(Format), &path, payload, &fleet.context());
        assert_eq!(
            content.map(|content| content.readings.into_vec()),
            Ok(expected.clone()),
            "{format:?}"
        );
    }
    for format in [40, 41, 50, 11541, 65535] {
        let unsupported = decode(Some(Format(format)), &path, b"95", &fleet.context());
        assert_eq!(unsupported, Err(DecodeError::UnsupportedFormat(Format(format))));
    }
}

/// Fact 53: every format that a 1.1 server has to take, and the one of 1.2, can be written and is
/// read back as it was.
#[test]
fn what_is_written_is_read_back() {
    let fleet = Fleet::new();
    let base = testing::path("/3442/0");
    let readings = leshan();
    for format in [
        Format::TLV,
        Format::JSON,
        Format::SENML_JSON,
        Format::SENML_CBOR,
        Format::SENML_ETCH_JSON,
        Format::SENML_ETCH_CBOR,
    ] {
        let mut out = Vec::new();
        encode(format, &base, &readings, &fleet.context(), &mut out).unwrap();
        let content = decode(Some(format), &base, &out, &fleet.strict()).unwrap();
        assert_eq!(content.readings.as_slice(), readings, "{format}");
    }
}

#[test]
fn a_failed_encoding_leaves_nothing_behind() {
    let fleet = Fleet::new();
    let base = testing::path("/3442/0");
    let readings = [
        Reading::new(testing::path("/3442/0/110"), Value::String("written".into())),
        Reading::new(testing::path("/3442/0/130"), Value::Float(f64::NAN)),
    ];
    let stray = [Reading::new(testing::path("/3/0/9"), Value::Integer(1))];
    let mut out = b"before".to_vec();
    for format in [Format::JSON, Format::SENML_JSON, Format::TEXT, Format(40)] {
        assert!(encode(format, &base, &readings, &fleet.context(), &mut out).is_err());
        assert_eq!(out, b"before", "{format}");
    }
    let outside = encode(Format::TLV, &base, &stray, &fleet.context(), &mut out);
    assert_eq!(outside, Err(EncodeError::OutsideBase(stray[0].path)));
    let paths = [testing::path("/3/0")];
    assert!(encode_paths(Format::TLV, &paths, &mut out).is_err());
    assert_eq!(out, b"before");
}

/// A payload of each format and the request that it answers.
fn samples() -> Vec<(Format, Path, Vec<u8>)> {
    let fleet = Fleet::new();
    let instance = testing::path("/3442/0");
    let resource = testing::path("/3442/0/120");
    let one = [Reading::new(resource, Value::Integer(-1024))];
    let timed: Vec<Reading> = leshan()
        .into_iter()
        .enumerate()
        .map(|(index, reading)| Reading {
            time_ms: Some(1_700_000_000_000 + index as i64),
            ..reading
        })
        .collect();
    let mut samples = vec![
        (Format::TEXT, resource, b"-1024".to_vec()),
        (Format::OCTETS, resource, vec![1, 2, 3]),
        (Format::SENML_JSON, instance, LESHAN_SENML.as_bytes().to_vec()),
    ];
    for format in FORMATS {
        for (base, readings) in [(resource, &one[..]), (instance, &timed)] {
            let mut out = Vec::new();
            if encode(format, &base, readings, &fleet.context(), &mut out).is_ok() {
                samples.push((format, base, out));
            }
        }
    }
    samples
}

/// What decoding must never do is panic, or make much out of little.
fn survives(format: Format, path: &Path, payload: &[u8], fleet: &Fleet) {
    for context in [fleet.context(), fleet.strict()] {
        if let Ok(content) = decode(Some(format), path, payload, &context) {
            assert!(content.readings.len() <= payload.len().max(1));
            let held: usize = content.readings.iter().map(held_bytes).sum();
            // U+FFFD has three bytes and stands for one.
            assert!(held <= 3 * payload.len(), "{format} {payload:02x?}");
        }
    }
}

fn held_bytes(reading: &Reading) -> usize {
    match &reading.value {
        Some(Value::String(text) | Value::Corelnk(text)) => text.len(),
        Some(Value::Opaque(bytes)) => bytes.len(),
        _ => 0,
    }
}

#[test]
fn every_truncation_and_bit_flip_is_survived() {
    let fleet = Fleet::new();
    for (format, path, payload) in samples() {
        for len in 0..payload.len() {
            survives(format, &path, &payload[..len], &fleet);
        }
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            survives(format, &path, &flipped, &fleet);
        }
    }
}

#[test]
fn a_truncated_payload_of_a_counted_format_is_an_error() {
    let fleet = Fleet::new();
    let counted =
        [Format::CBOR, Format::JSON, Format::SENML_JSON, Format::SENML_CBOR, Format::LWM2M_CBOR];
    for (format, path, payload) in samples() {
        for len in (0..payload.len()).filter(|_| counted.contains(&format)) {
            let cut = decode(Some(format), &path, &payload[..len], &fleet.context());
            assert!(cut.is_err(), "{format} {len}");
        }
    }
}

fn any_value(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type {
        DataType::String => any::<String>().prop_map(Value::String).boxed(),
        DataType::Corelnk => any::<String>().prop_map(Value::Corelnk).boxed(),
        DataType::Integer => any::<i64>().prop_map(Value::Integer).boxed(),
        DataType::Unsigned => any::<u64>().prop_map(Value::Unsigned).boxed(),
        DataType::Float => any::<f64>().prop_map(Value::Float).boxed(),
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::Opaque => any::<Vec<u8>>().prop_map(Value::Opaque).boxed(),
        DataType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        DataType::Objlnk => any::<(u16, u16)>().prop_map(|(o, i)| Value::Objlnk(o, i)).boxed(),
        DataType::None => unreachable!("no resource of the tests"),
    }
}

/// Readings of all resources of /3442/0 in any number and order, each path once.
fn any_readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading =
        (0..TEST_TYPES.len(), prop::option::of(0..300_u16)).prop_flat_map(|(index, instance)| {
            let (id, data_type) = TEST_TYPES[index];
            let path = match instance {
                None => Path::resource(3442, 0, id),
                Some(instance) => Path::resource_instance(3442, 0, id + 1000, instance),
            };
            any_value(data_type).prop_map(move |value| Reading::new(path, value))
        });
    prop::collection::vec(reading, 1..12).prop_map(|mut readings| {
        last_wins(&mut readings);
        readings
    })
}

fn sorted(mut readings: Vec<Reading>) -> Vec<Reading> {
    readings.sort_by_key(|reading| reading.path);
    readings
}

/// Formats that know the types of values only from the definition keep them all the same.
fn returns(format: Format, base: &Path, readings: &[Reading]) -> Result<(), TestCaseError> {
    let fleet = Fleet::new();
    let mut out = Vec::new();
    let encoded = encode(format, base, readings, &fleet.context(), &mut out);
    prop_assert_eq!(encoded, Ok(()));
    let content = decode(Some(format), base, &out, &fleet.strict());
    let content = content.map(|content| sorted(content.readings.into_vec()));
    prop_assert_eq!(content, Ok(sorted(readings.to_vec())), "{} {:02x?}", format, out);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_instance_returns_from_the_formats_with_paths(readings in any_readings()) {
        let base = testing::path("/3442/0");
        let formats = [
            Format::TLV,
            Format::JSON,
            Format::SENML_JSON,
            Format::SENML_CBOR,
            Format::LWM2M_CBOR,
        ];
        for format in formats {
            returns(format, &base, &readings)?;
            // The instance wrapped, or the object's path in the names.
            returns(format, &testing::path("/3442"), &readings)?;
        }
        for format in [Format::SENML_JSON, Format::SENML_CBOR, Format::JSON, Format::LWM2M_CBOR] {
            returns(format, &Path::ROOT, &readings)?;
        }
    }

    #[test]
    fn any_single_value_returns_from_every_format_but_octets(
        (id, value) in prop::sample::select(TEST_TYPES.to_vec())
            .prop_flat_map(|(id, data_type)| (Just(id), any_value(data_type)))
    ) {
        let path = Path::resource(3442, 0, id);
        let reading = [Reading::new(path, value)];
        for format in FORMATS {
            if format != Format::OCTETS {
                returns(format, &path, &reading)?;
            }
        }
    }

    #[test]
    fn any_time_returns_to_the_millisecond(
        time_ms in 268_435_456_000..253_402_300_799_999_i64,
        value in any::<i64>(),
    ) {
        let path = testing::path("/3442/0/120");
        let reading = Reading::new(path, Value::Integer(value));
        let reading = [Reading { time_ms: Some(time_ms), ..reading }];
        for format in [Format::JSON, Format::SENML_JSON, Format::SENML_CBOR] {
            returns(format, &path, &reading)?;
        }
    }

    #[test]
    fn any_bytes_are_survived(
        format in prop::sample::select(FORMATS.to_vec()),
        path in prop::sample::select(vec!["/", "/3", "/3/0", "/3/0/6", "/3/0/6/1", "/9/9/9"]),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        survives(format, &testing::path(path), &payload, &Fleet::new());
    }
}

#[test]
fn relative_times_follow_the_clock_that_is_handed_in() {
    let fleet = Fleet::new();
    let later = Context { wall_ms: WALL_MS + 5, ..fleet.context() };
    let payload = br#"[{"n":"/3/0/9","v":1,"t":-1}]"#;
    for (context, time_ms) in [(fleet.context(), WALL_MS - 1000), (later, WALL_MS - 995)] {
        let content = decode(Some(Format::SENML_JSON), &Path::ROOT, payload, &context).unwrap();
        assert_eq!(content.readings[0].time_ms, Some(time_ms));
    }
}
