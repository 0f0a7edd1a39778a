use super::*;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_repeated_name_stands_once_where_it_came_last() {
    let members = Members::parse(br#"{"a":1,"b":2,"a":3,"c":4,"\u0062":5}"#).unwrap();
    let all: Vec<_> = members.iter().map(|(name, value)| (name, value.text())).collect();
    assert_eq!(all, [("a", "3"), ("c", "4"), ("b", "5")]);
}

#[test]
fn values_keep_their_text() {
    let text = r#"{"a": 1.50e+2 , "b":[ 1, {"c":null} ],"d":"\u00e9\/","e":-0}"#;
    let members = Members::parse(text.as_bytes()).unwrap();
    let all: Vec<_> = members.iter().map(|(_, value)| value.text()).collect();
    assert_eq!(all, ["1.50e+2", r#"[ 1, {"c":null} ]"#, r#""\u00e9\/""#, "-0"]);
}

#[test]
fn what_is_no_object_is_refused() {
    for payload in
        ["", " ", "null", "1", "\"a\"", "[]", "{", "{\"a\"}", "{}x", "{\"a\":01}", "{'a':1}"]
    {
        assert!(Members::parse(payload.as_bytes()).is_err(), "{payload}");
    }
    assert!(Members::parse(b"{\"a\":\"\xff\"}").is_err());
    assert!(Members::parse(b" {} \n").is_ok());
}

#[test]
fn deep_nesting_costs_no_stack() {
    let payload = format!("{{\"a\":{}1{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert!(Members::parse(payload.as_bytes()).is_ok());
}

#[test]
fn many_repeated_names_are_sorted_out_in_time() {
    let payload = format!("{{{}\"last\":1}}", "\"x\":1,".repeat(100_000));
    assert_eq!(Members::parse(payload.as_bytes()).unwrap().iter().count(), 2);
}

#[test]
fn strings_are_escaped_as_json_demands() {
    let cases = [
        ("EMQ", "\"EMQ\""),
        ("", "\"\""),
        ("a\"b\\c/d", "\"a\\\"b\\\\c/d\""),
        ("\u{8}\t\n\u{c}\r\u{0}\u{1f}", "\"\\b\\t\\n\\f\\r\\u0000\\u001f\""),
        ("Zürich 中 \u{1f600}\u{7f}", "\"Zürich 中 \u{1f600}\u{7f}\""),
    ];
    for (text, expected) in cases {
        let json = written(|out| push_string(out, text));
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}

/// Fact 63: integers of 64 bits are written digit by digit.
#[test]
fn integers_are_exact() {
    let cases = [
        (Value::Integer(i64::MIN), "-9223372036854775808"),
        (Value::Integer(9_007_199_254_740_993), "9007199254740993"),
        (Value::Unsigned(u64::MAX), "18446744073709551615"),
        (Value::Time(-1), "-1"),
    ];
    for (value, expected) in cases {
        assert_eq!(written(|out| push_value(out, &value)), expected);
    }
}

#[test]
fn floats_are_the_shortest_plain_numbers() {
    let cases = [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (5.0, "5.0"),
        (0.1, "0.1"),
        (-12345.678, "-12345.678"),
        (f64::from(0.1_f32), "0.10000000149011612"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.5e300, "1.5e300"),
        (0.000_000_1, "0.0000001"),
        (5e-324, "5e-324"),
        (f64::NAN, "null"),
        (f64::INFINITY, "null"),
    ];
    for (number, expected) in cases {
        let json = written(|out| push_float(out, number));
        assert_eq!(json, expected);
        if number.is_finite() {
            assert_eq!(serde_json::from_str::<f64>(&json).unwrap(), number);
        }
    }
}

#[test]
fn the_other_types_look_as_in_emqx() {
    let cases = [
        (Value::Boolean(true), "true"),
        (Value::Boolean(false), "false"),
        (Value::Opaque(vec![1, 2, 3]), "\"AQID\""),
        (Value::Opaque(vec![]), "\"\""),
        (Value::Objlnk(3, 65535), "\"3:65535\""),
        (Value::Corelnk("</3>;x=\"1\"".into()), "\"</3>;x=\\\"1\\\"\""),
    ];
    for (value, expected) in cases {
        assert_eq!(written(|out| push_value(out, &value)), expected);
    }
}

#[test]
fn paths_are_written_with_or_without_the_first_slash() {
    let path =
        |text: &str, slash| written(|out| push_path(out, &Path::parse(text).unwrap(), slash));
    assert_eq!(path("/3/0/6/1", LeadingSlash::Kept), "\"/3/0/6/1\"");
    assert_eq!(path("/3/0/0", LeadingSlash::LeftOut), "\"3/0/0\"");
    assert_eq!(path("/", LeadingSlash::Kept), "\"/\"");
}

#[test]
fn half_a_surrogate_pair_is_no_text() {
    let members = Members::parse(br#"{"a":"\ud800","b":"\ud83d\ude00"}"#).unwrap();
    assert_eq!(members.find("a").unwrap().string(), None);
    assert_eq!(members.find("b").unwrap().string().unwrap(), "\u{1f600}");
}
