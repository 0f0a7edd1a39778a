use super::*;
use crate::json::Members;

fn value(data_type: &str, value: &str, encoding: Encoding) -> Result<Value, Unreadable> {
    let text = format!("{{\"value\":{value}}}");
    let members = Members::parse(text.as_bytes()).expect("JSON in a test");
    let data_type = DataType::parse(data_type).expect("a type in a test");
    read(data_type, members.find("value").expect("a value"), encoding, None)
}

fn plain_value(data_type: &str, text: &str) -> Result<Value, Unreadable> {
    value(data_type, text, Encoding::Plain)
}

#[test]
fn each_type_takes_its_texts_and_numbers() {
    let cases = [
        ("String", r#""EMQ""#, Value::String("EMQ".into())),
        ("String", r#""""#, Value::String(String::new())),
        ("String", r#""\u00e9\n""#, Value::String("é\n".into())),
        ("Integer", "12345", Value::Integer(12345)),
        ("Integer", r#""12345""#, Value::Integer(12345)),
        ("Integer", r#""-1""#, Value::Integer(-1)),
        ("Integer", r#""+5""#, Value::Integer(5)),
        ("Integer", "9223372036854775807", Value::Integer(i64::MAX)),
        ("Integer", "-9223372036854775808", Value::Integer(i64::MIN)),
        ("Unsigned Integer", "18446744073709551615", Value::Unsigned(u64::MAX)),
        ("Unsigned Integer", r#""7""#, Value::Unsigned(7)),
        ("Time", "1367491215", Value::Time(1_367_491_215)),
        ("Time", r#""-5""#, Value::Time(-5)),
        ("Float", r#""12345.0""#, Value::Float(12345.0)),
        ("Float", r#""5""#, Value::Float(5.0)),
        ("Float", "5", Value::Float(5.0)),
        ("Float", "-0.5", Value::Float(-0.5)),
        ("Float", "1.5e3", Value::Float(1500.0)),
        ("Float", r#""1e-3""#, Value::Float(0.001)),
        ("Boolean", r#""true""#, Value::Boolean(true)),
        ("Boolean", r#""false""#, Value::Boolean(false)),
        ("Boolean", "true", Value::Boolean(true)),
        ("Boolean", "false", Value::Boolean(false)),
        ("Opaque", r#""AQID""#, Value::Opaque(vec![1, 2, 3])),
        ("Opaque", r#""AQ==""#, Value::Opaque(vec![1])),
        ("Opaque", r#""AQ""#, Value::Opaque(vec![1])),
        ("Opaque", r#""A Q\nI\tD""#, Value::Opaque(vec![1, 2, 3])),
        ("Opaque", r#""""#, Value::Opaque(vec![])),
        ("Objlnk", r#""1:2""#, Value::Objlnk(1, 2)),
        ("Objlnk", r#""65535:65535""#, Value::Objlnk(65535, 65535)),
        ("Corelnk", r#""</3>""#, Value::Corelnk("</3>".into())),
    ];
    for (data_type, text, expected) in cases {
        assert_eq!(plain_value(data_type, text), Ok(expected), "{data_type} {text}");
    }
}

#[test]
fn texts_and_numbers_that_do_not_fit_are_refused() {
    let cases = [
        ("String", "1"),
        ("String", "true"),
        ("String", "null"),
        ("String", "[]"),
        ("String", r#""\ud800""#),
        ("Integer", "12.0"),
        ("Integer", "1e3"),
        ("Integer", "true"),
        ("Integer", r#""12 ""#),
        ("Integer", r#""""#),
        ("Integer", r#""-""#),
        ("Integer", r#""0x10""#),
        ("Unsigned Integer", "1.5"),
        ("Time", "1.5"),
        ("Float", r#""inf""#),
        ("Float", r#""NaN""#),
        ("Float", r#""1,5""#),
        ("Float", r#""""#),
        ("Boolean", "1"),
        ("Boolean", r#""True""#),
        ("Opaque", r#""not base64!""#),
        ("Opaque", "[1,2]"),
        ("Objlnk", r#""1""#),
        ("Objlnk", r#""1:2:3""#),
        ("Objlnk", r#""65536:0""#),
        ("Objlnk", r#""+1:2""#),
        ("Objlnk", "12"),
        ("Corelnk", "7"),
    ];
    for (data_type, text) in cases {
        match plain_value(data_type, text) {
            Err(Unreadable::Other(fault)) => assert_ne!(fault, ValueFault::Range, "{text}"),
            other => panic!("{data_type} {text}: {other:?}"),
        }
    }
}

/// Fact 63: what 64 bits cannot hold is refused and not bent.
#[test]
fn numbers_out_of_range_are_refused() {
    let cases = [
        ("Integer", "9223372036854775808"),
        ("Integer", "-9223372036854775809"),
        ("Integer", "99999999999999999999999999"),
        ("Unsigned Integer", "18446744073709551616"),
        ("Unsigned Integer", "-1"),
        ("Time", "9223372036854775808"),
        ("Float", "1e400"),
        ("Float", r#""-1e400""#),
    ];
    for (data_type, text) in cases {
        let refused = Err(Unreadable::Other(ValueFault::Range));
        assert_eq!(plain_value(data_type, text), refused, "{data_type} {text}");
    }
}

#[test]
fn an_integer_beyond_63_bits_needs_a_definition_that_says_unsigned() {
    let large = "18446744073709551615";
    assert_eq!(integer(large, Some(DataType::Unsigned)), Ok(Value::Unsigned(u64::MAX)));
    assert_eq!(integer(large, Some(DataType::Integer)), Err(ValueFault::Range));
    assert_eq!(integer("7", Some(DataType::Unsigned)), Ok(Value::Integer(7)));
}

#[test]
fn hex_stands_for_the_bytes_of_the_textual_value() {
    let cases = [
        ("String", r#""454D51""#, Value::String("EMQ".into())),
        ("String", r#""454d51""#, Value::String("EMQ".into())),
        ("String", r#""FF00""#, Value::Opaque(vec![0xff, 0])),
        ("String", r#""""#, Value::String(String::new())),
        ("Integer", r#""3132333435""#, Value::Integer(12345)),
        ("Float", r#""312E35""#, Value::Float(1.5)),
        ("Boolean", r#""74727565""#, Value::Boolean(true)),
        ("Opaque", r#""010203""#, Value::Opaque(vec![1, 2, 3])),
        ("Objlnk", r#""313A32""#, Value::Objlnk(1, 2)),
    ];
    for (data_type, text, expected) in cases {
        assert_eq!(value(data_type, text, Encoding::Hex), Ok(expected), "{data_type} {text}");
    }
    for (data_type, text) in
        [("String", r#""4""#), ("String", r#""4G""#), ("Integer", "12"), ("Integer", r#""FF""#)]
    {
        assert_eq!(value(data_type, text, Encoding::Hex), Err(Unreadable::NotHex), "{text}");
    }
}
