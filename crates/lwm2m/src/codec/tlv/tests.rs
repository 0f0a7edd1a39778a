use super::*;
use crate::codec::testing::{self, Fleet, hex};
use crate::codec::{Context, DecodeError, EncodeError, last_wins};
use crate::{Content, Layout, Path, Reading, Value};

const DEVICE: &str = "C800144F70656E204D6F62696C6520416C6C69616E6365\
    C801164C69676874776569676874204D324D20436C69656E74\
    C80209333435303030313233 C303312E30 860641000141010 5 88070842000ED842011388\
    870841007D42010384 C10964 C10A0F 830B410000 C40D5182428F C60E2B30323A3030 C11055";

fn text(value: &str) -> Value {
    Value::String(value.into())
}

fn device() -> Vec<(&'static str, Value)> {
    vec![
        ("/3/0/0", text("Open Mobile Alliance")),
        ("/3/0/1", text("Lightweight M2M Client")),
        ("/3/0/2", text("345000123")),
        ("/3/0/3", text("1.0")),
        ("/3/0/6/0", Value::Integer(1)),
        ("/3/0/6/1", Value::Integer(5)),
        ("/3/0/7/0", Value::Integer(3800)),
        ("/3/0/7/1", Value::Integer(5000)),
        ("/3/0/8/0", Value::Integer(125)),
        ("/3/0/8/1", Value::Integer(900)),
        ("/3/0/9", Value::Integer(100)),
        ("/3/0/10", Value::Integer(15)),
        ("/3/0/11/0", Value::Integer(0)),
        ("/3/0/13", Value::Time(1_367_491_215)),
        ("/3/0/14", text("+02:00")),
        ("/3/0/16", text("U")),
    ]
}

fn readings(values: &[(&str, Value)]) -> Vec<Reading> {
    values.iter().map(|(path, value)| Reading::new(testing::path(path), value.clone())).collect()
}

fn read(request: &str, bytes: &str, context: &Context<'_>) -> Result<Content, DecodeError> {
    decode(&testing::path(request), &hex(bytes), context)
}

/// Decoded, and for what has one form only also encoded.
fn case(request: &str, bytes: &str, layout: Layout, values: &[(&str, Value)]) {
    let fleet = Fleet::new();
    let content = read(request, bytes, &fleet.strict());
    let expected = Content { readings: readings(values).into(), layout };
    assert_eq!(content, Ok(expected), "{request} {bytes}");
}

fn written(base: &str, values: &[(&str, Value)]) -> Result<Vec<u8>, EncodeError> {
    let fleet = Fleet::new();
    let mut out = Vec::new();
    encode(&testing::path(base), &readings(values), &fleet.context(), &mut out).map(|()| out)
}

fn both_ways(request: &str, bytes: &str, layout: Layout, values: &[(&str, Value)]) {
    case(request, bytes, layout, values);
    assert_eq!(written(request, values), Ok(hex(bytes)), "{request}");
}

/// OMA Core 7.4.3, examples of the requests for /3/0, /3, /2, /65/0 and /66.
#[test]
fn the_examples_of_the_specification_are_read_and_written() {
    both_ways("/3/0", DEVICE, Layout::Resources, &device());
    both_ways("/3", &format!("080079{DEVICE}"), Layout::Instance, &device());
    let access = [
        ("/2/0/0", Value::Integer(1)),
        ("/2/0/1", Value::Integer(0)),
        ("/2/0/2/127", Value::Integer(7)),
        ("/2/0/3", Value::Integer(127)),
        ("/2/2/0", Value::Integer(3)),
        ("/2/2/1", Value::Integer(0)),
        ("/2/2/2/127", Value::Integer(7)),
        ("/2/2/2/310", Value::Integer(1)),
        ("/2/2/3", Value::Integer(127)),
    ];
    let bytes = "08000EC10001C101008302417F07C1037F 080212C10003C101008702417F0761013601C1037F";
    both_ways("/2", bytes, Layout::Instances, &access);
    let links = [
        ("/65/0/0/0", Value::Objlnk(66, 0)),
        ("/65/0/0/1", Value::Objlnk(66, 1)),
        ("/65/0/1", text("8613800755500")),
        ("/65/0/2", Value::Integer(0x1234_5678)),
    ];
    let bytes = "88000C44000042000044010042000 1 C8010D38363133383030373535353030 C40212345678";
    both_ways("/65/0", bytes, Layout::Resources, &links);
    let targets = [
        ("/66/0/1", text("Internet.15.234")),
        ("/66/0/2", Value::Objlnk(67, 0)),
        ("/66/1/1", text("Internet.15.235")),
        ("/66/1/2", Value::Objlnk(65535, 65535)),
    ];
    let bytes = "080018C8010F496E7465726E65742E31352E323334C40200430000\
        080118C8010F496E7465726E65742E31352E323335C402FFFFFFFF";
    both_ways("/66", bytes, Layout::Instances, &targets);
}

/// emqx-compat 3.3, 3.5, 14: what a write command has to look like on the wire.
#[test]
fn writes_are_byte_exact() {
    let long = "A".repeat(256);
    type Write<'a> = (&'a str, String, Vec<(&'a str, Value)>);
    let case = |base, bytes: &str, values: &[(&'static str, Value)]| -> Write<'_> {
        (base, bytes.to_owned(), values.to_vec())
    };
    let cases = [
        case("/3/0/13", "C20D3039", &[("/3/0/13", Value::Integer(12345))]),
        case(
            "/3/0",
            "C20D3039 C30E383778",
            &[("/3/0/13", Value::Integer(12345)), ("/3/0/14", text("87x"))],
        ),
        case("/3/0/13", "C80D0840C81C8000000000", &[("/3/0/13", Value::Float(12345.0))]),
        case(
            "/3/0/22",
            "88160C440000010002440100010004",
            &[("/3/0/22/0", Value::Objlnk(1, 2)), ("/3/0/22/1", Value::Objlnk(1, 4))],
        ),
        case(
            "/6",
            "080010 C800083FF8000000000000 C304010203",
            &[("/6/0/0", Value::Float(1.5)), ("/6/0/4", Value::Opaque(vec![1, 2, 3]))],
        ),
        case(
            "/3/0",
            "8606410001410105",
            &[("/3/0/6/0", Value::Integer(1)), ("/3/0/6/1", Value::Integer(5))],
        ),
        case(
            "/2/0",
            "8702417F0761013601",
            &[("/2/0/2/127", Value::Integer(7)), ("/2/0/2/310", Value::Integer(1))],
        ),
        case("/3/0/22", "8616440101020304", &[("/3/0/22/1", Value::Objlnk(0x0102, 0x0304))]),
        case("/9/0/300", "E1012C01", &[("/9/0/300", Value::Integer(1))]),
        case("/9/0/0", &format!("D0000100{}", "41".repeat(256)), &[("/9/0/0", text(&long))]),
        case("/3/0/6/0", "410000", &[("/3/0/6/0", Value::Integer(0))]),
        case("/3/0", "", &[]),
        case("/6", "", &[]),
        case("/3/0/22", "", &[]),
    ];
    for (base, bytes, values) in cases {
        assert_eq!(written(base, &values), Ok(hex(&bytes)), "{base} {values:?}");
    }
}

/// Fact 55: integers take 1, 2, 4 or 8 bytes in two's complement, the fewest that are enough.
#[test]
fn numbers_are_written_in_1_2_4_or_8_bytes() {
    let cases: Vec<(Value, &str)> = vec![
        (Value::Integer(0), "C10000"),
        (Value::Integer(127), "C1007F"),
        (Value::Integer(128), "C2000080"),
        (Value::Integer(255), "C20000FF"),
        (Value::Integer(-1), "C100FF"),
        (Value::Integer(-129), "C200FF7F"),
        (Value::Integer(65536), "C40000010000"),
        (Value::Integer(1 << 31), "C800080000000080000000"),
        (Value::Integer(i64::MIN), "C800088000000000000000"),
        (Value::Time(86400), "C40000015180"),
        (Value::Time(1 << 31), "C800080000000080000000"),
        (Value::Time(-1), "C100FF"),
        (Value::Time(-40000), "C80008FFFFFFFFFFFF63C0"),
        (Value::Unsigned(200), "C20000C8"),
        (Value::Unsigned(1 << 63), "C800088000000000000000"),
        (Value::Unsigned(u64::MAX), "C80008FFFFFFFFFFFFFFFF"),
        (Value::Float(-0.0), "C800088000000000000000"),
        (Value::Boolean(true), "C10001"),
        (Value::Opaque(vec![]), "C000"),
        (Value::Corelnk("</1>".into()), "C4003C2F313E"),
    ];
    for (value, bytes) in cases {
        assert_eq!(written("/9/0/0", &[("/9/0/0", value.clone())]), Ok(hex(bytes)), "{value:?}");
    }
}

/// Fact 55: other lengths than the preferred one are read; none at all is 0 for whole numbers.
#[test]
fn numbers_are_read_in_every_length() {
    let cases: Vec<(&str, &str, Value)> = vec![
        ("/3/0/9", "C009", Value::Integer(0)),
        ("/3/0/9", "C10980", Value::Integer(-128)),
        ("/3/0/9", "C209FF7F", Value::Integer(-129)),
        ("/3/0/9", "C309010000", Value::Integer(65536)),
        ("/3/0/9", "C309FF0000", Value::Integer(-65536)),
        ("/3/0/9", "C809080000000000000064", Value::Integer(100)),
        ("/3/0/13", "C00D", Value::Time(0)),
        ("/3/0/13", "C40DFFFFFFFF", Value::Time(u32::MAX.into())),
        ("/3/0/13", "C80D08FFFFFFFFFFFFFFFF", Value::Time(-1)),
        ("/3/0/13", "C10DFF", Value::Time(-1)),
        ("/3/0/13", "C80D080000000051824 28F", Value::Time(1_367_491_215)),
        ("/3442/0/125", "C07D", Value::Unsigned(0)),
        ("/3442/0/125", "C17DFF", Value::Unsigned(255)),
        ("/3442/0/125", "C87D088000000000000000", Value::Unsigned(1 << 63)),
        ("/3442/0/130", "C4823FC00000", Value::Float(1.5)),
        ("/3442/0/130", "C882083FF8000000000000", Value::Float(1.5)),
        ("/3442/0/140", "C18C00", Value::Boolean(false)),
        ("/3442/0/140", "C18C01", Value::Boolean(true)),
        ("/3442/0/110", "C06E", text("")),
        ("/3442/0/150", "C096", Value::Opaque(vec![])),
        ("/3442/0/110", "C26EC328", text("\u{fffd}(")),
    ];
    for (path, bytes, value) in cases {
        case(path, bytes, Layout::Resource, &[(path, value)]);
    }
}

/// Fact 56: lengths of 3, 8, 16 and 24 bits, ids of 8 and 16; neither has to be the shortest.
#[test]
fn headers_of_every_width_are_read_and_written() {
    for (len, header) in [
        (0, "C06E"),
        (7, "C76E"),
        (8, "C86E08"),
        (255, "C86EFF"),
        (256, "D06E0100"),
        (65535, "D06EFFFF"),
        (65536, "D86E010000"),
    ] {
        let value = text(&"x".repeat(len));
        let bytes = format!("{header}{}", "78".repeat(len));
        both_ways("/3442/0/110", &bytes, Layout::Resource, &[("/3442/0/110", value)]);
    }
    // The last one has bits of an inline length that mean nothing beside a length of its own.
    for bytes in ["C10041", "C8000141", "D000000141", "D80000000141", "E1000041", "CF000141"] {
        case("/3/0/0", bytes, Layout::Resource, &[("/3/0/0", text("A"))]);
    }
}

/// Fact 57: with or without the resource or instance around it, by path level; EMQX's paths
/// (emqx-compat 4.3) where EMQX reads it at all.
#[test]
fn records_find_their_place_by_kind_and_request() {
    let a = || text("A");
    let five = || Value::Integer(5);
    let one = || Value::Integer(1);
    // A resource alone: the request's path if it is one, and then the id gives only the type.
    case("/3/0/0", "C10041", Layout::Resource, &[("/3/0/0", a())]);
    case("/3/0", "C10041", Layout::Resource, &[("/3/0/0", a())]);
    case("/3/0/9", "C10041", Layout::Resource, &[("/3/0/9", a())]);
    case("/3/0/6/1", "C10605", Layout::Resource, &[("/3/0/6/1", five())]);
    case("/3", "C10041", Layout::Resource, &[("/3/0/0", a())]);
    // Several resources, or a multiple one first.
    let several = [("/3/0/6/0", one()), ("/3/0/6/1", five())];
    for request in ["/3/0/6", "/3/0", "/3/0/6/0", "/3"] {
        case(request, "8606410001410105", Layout::Resources, &several);
    }
    let two = [("/3/0/0", a()), ("/3/0/9", five())];
    case("/3/0/0", "C10041C10905", Layout::Resources, &two);
    // Resource instances without the resource around them.
    case("/3/0/6/0", "410000", Layout::ResourceInstances, &[("/3/0/6/0", Value::Integer(0))]);
    case("/3/0/6/0", "410105", Layout::ResourceInstances, &[("/3/0/6/0", five())]);
    case("/3/0/6", "410105", Layout::ResourceInstances, &[("/3/0/6/1", five())]);
    case("/3/0/6/0", "410001410105", Layout::ResourceInstances, &several);
    // One object instance: only a request for the object takes the record's id.
    case("/1", "0302C10007", Layout::Instance, &[("/1/2/0", Value::Integer(7))]);
    for request in ["/1/0", "/1/0/0", "/1/0/0/0"] {
        case(request, "0302C10007", Layout::Instance, &[("/1/0/0", Value::Integer(7))]);
    }
    // Several: the ids of the records, whatever was asked for.
    let instances = [("/1/0/0", Value::Integer(7)), ("/1/2/0", Value::Integer(8))];
    for request in ["/1", "/1/0", "/1/2/0"] {
        case(request, "0300C100070302C10008", Layout::Instances, &instances);
    }
}

/// emqx-compat 4.3: the answer to a Read of /1.
#[test]
fn the_example_of_the_compatibility_page_is_read() {
    case(
        "/1",
        "08000FC10001C40100015180C10601C10755",
        Layout::Instance,
        &[
            ("/1/0/0", Value::Integer(1)),
            ("/1/0/1", Value::Integer(86400)),
            ("/1/0/6", Value::Boolean(true)),
            ("/1/0/7", text("U")),
        ],
    );
}

/// Fact 56: a multiple resource without instances is a record of length 0.
#[test]
fn what_is_empty_has_no_readings() {
    case("/3/0/6", "8006", Layout::Empty, &[]);
    case("/3/0", "8006", Layout::Empty, &[]);
    case("/3/0", "0000", Layout::Empty, &[]);
    case("/3", "00000001", Layout::Empty, &[]);
    case("/3/0", "8006C10905", Layout::Resources, &[("/3/0/9", Value::Integer(5))]);
    let fleet = Fleet::new();
    assert_eq!(read("/3/0", "", &fleet.context()), Err(DecodeError::Empty));
    for (base, path, bytes) in [("/3/0", "/3/0/6", "8006"), ("/3", "/3/0", "0000")] {
        let mut out = Vec::new();
        let nothing = [Reading::path_only(testing::path(path))];
        let encoded = encode(&testing::path(base), &nothing, &fleet.context(), &mut out);
        assert_eq!((encoded, out), (Ok(()), hex(bytes)), "{base} {path}");
    }
}

#[test]
fn one_bad_resource_does_not_spoil_the_others() {
    let fleet = Fleet::new();
    // Resource 99 is unknown, 4 executable, 6 of object 1 no Boolean; 10 has nine bytes.
    let cases = [
        ("/3/0", "C10041C163FFC10905", "/3/0/99", "ff"),
        ("/3/0", "C10041C104FFC10905", "/3/0/4", "ff"),
        ("/3/0", "C10041C80A09010203040506070809C10905", "/3/0/10", "010203040506070809"),
        ("/3/0", "C10041831641 0001C10905", "/3/0/22/0", "01"),
    ];
    for (request, bytes, path, value) in cases {
        let mut expected = readings(&[
            ("/3/0/0", text("A")),
            (path, Value::Opaque(hex(value))),
            ("/3/0/9", Value::Integer(5)),
        ]);
        expected[1].raw = true;
        let content = read(request, bytes, &fleet.context());
        assert_eq!(content.map(|content| content.readings.into_vec()), Ok(expected), "{bytes}");
        assert!(read(request, bytes, &fleet.strict()).is_err(), "{bytes}");
    }
    for (request, bytes) in [("/1/0/6", "C10602"), ("/1/0/6", "C2060001"), ("/6/0/0", "C20001 02")]
    {
        let content = read(request, bytes, &fleet.context()).unwrap();
        assert!(content.readings[0].raw, "{bytes}");
        assert!(matches!(content.readings[0].value, Some(Value::Opaque(_))), "{bytes}");
        let refused = read(request, bytes, &fleet.strict());
        assert_eq!(refused, Err(DecodeError::BadValue(testing::path(request))));
    }
    let unknown = read("/9999/0/5", "C10541", &fleet.context()).unwrap();
    assert_eq!(unknown.readings[0].value, Some(Value::Opaque(vec![0x41])));
    assert!(unknown.readings[0].raw);
    assert_eq!(
        read("/9999/0/5", "C10541", &fleet.strict()),
        Err(DecodeError::Undefined(testing::path("/9999/0/5")))
    );
}

#[test]
fn records_at_the_wrong_level_are_refused() {
    let fleet = Fleet::new();
    let cases = [
        ("/3/0", "410000"),         // whose resource?
        ("/3", "410000"),           // the same
        ("/1", "C10001"),           // whose instance? object 1 has several
        ("/", "C10001"),            // whose object?
        ("/", "0302C10007"),        // the same
        ("/3/0", "0302000041"),     // instance within an instance
        ("/3/0", "8306C10001"),     // resource within a multiple resource
        ("/3/0", "0302410001"),     // resource instance within an instance
        ("/3/0", "C10041410000"),   // resource, then resource instance
        ("/3", "0300C10041C10905"), // instance, then resource
        ("/3/0/0", "E1FFFF41"),     // the reserved id
    ];
    for (request, bytes) in cases {
        assert!(read(request, bytes, &fleet.context()).is_err(), "{request} {bytes}");
    }
}

#[test]
fn readings_that_have_no_place_are_refused() {
    let reading = |path| (path, Value::Integer(1));
    let cases = [
        ("/", vec![reading("/3/0/9")]),
        ("/3", vec![reading("/3")]),
        ("/3", vec![reading("/3/0")]),
        ("/3/0", vec![reading("/3/0")]),
        ("/3/0", vec![reading("/3/0/6"), reading("/3/0/6/0")]),
        ("/3/0/6/0", vec![reading("/3/0/6/0"), reading("/3/0/6/0")]),
        ("/3/0/9", vec![reading("/3/0/9"), reading("/3/0/9")]),
    ];
    for (base, values) in cases {
        assert!(written(base, &values).is_err(), "{base} {values:?}");
    }
    let too_long = [("/5/0/0", Value::Opaque(vec![0; 0x100_0000]))];
    assert_eq!(written("/5/0/0", &too_long), Err(EncodeError::TooLong(testing::path("/5/0/0"))));
}

#[test]
fn readings_of_one_resource_are_gathered_where_the_first_stands() {
    let values = [
        ("/3/0/6/1", Value::Integer(5)),
        ("/3/0/9", Value::Integer(7)),
        ("/3/0/6/0", Value::Integer(1)),
    ];
    assert_eq!(written("/3/0", &values), Ok(hex("8606410105410001 C10907")));
    let values = [("/1/2/0", Value::Integer(1)), ("/1/0/0", Value::Integer(2))];
    assert_eq!(written("/1", &values), Ok(hex("0302C10001 0300C10002")));
}

/// emqx-compat 3.3: a repeated path counts once, with its last value, at its last place.
#[test]
fn the_last_of_a_repeated_path_wins_and_moves_to_the_end() {
    let mut repeated = readings(&[
        ("/3/0/13", Value::Integer(1)),
        ("/3/0/14", text("a")),
        ("/3/0/13", Value::Integer(2)),
        ("/3/0/15", text("b")),
    ]);
    last_wins(&mut repeated);
    let expected =
        readings(&[("/3/0/14", text("a")), ("/3/0/13", Value::Integer(2)), ("/3/0/15", text("b"))]);
    assert_eq!(repeated, expected);
}

#[test]
fn every_truncation_is_an_error_or_ends_between_records() {
    let fleet = Fleet::new();
    let path: Path = testing::path("/3/0");
    let whole = hex(DEVICE);
    let all = decode(&path, &whole, &fleet.context()).unwrap().readings;
    let mut complete = 0;
    for len in 1..whole.len() {
        match decode(&path, &whole[..len], &fleet.context()) {
            Ok(content) => {
                complete += 1;
                assert!(all.starts_with(&content.readings), "{len}");
            }
            Err(error) => assert_eq!(error, DecodeError::Truncated, "{len}"),
        }
    }
    assert_eq!(complete, 12, "one per record but the last");
}
