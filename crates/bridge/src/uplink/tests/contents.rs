//! Payloads as `content`: section 4.3 and what table 0.1 decides of it.

use super::*;
use crate::settings::UnknownObjects;

/// Facts 54 and 58: the Content-Format of the answer decides, a missing one means text.
#[test]
fn text_is_the_type_of_its_definition() {
    let cases = [
        ("/3/0/0", "EMQ", r#"[{"path":"/3/0/0","value":"EMQ"}]"#),
        ("/3/0/0", "", r#"[{"path":"/3/0/0","value":""}]"#),
        ("/3/0/9", "95", r#"[{"path":"/3/0/9","value":95}]"#),
        ("/3/0/13", "1367491215", r#"[{"path":"/3/0/13","value":1367491215}]"#),
        ("/3/0/6/1", "5", r#"[{"path":"/3/0/6/1","value":5}]"#),
        ("/6/0/0", "1.5", r#"[{"path":"/6/0/0","value":1.5}]"#),
        ("/1/0/6", "true", r#"[{"path":"/1/0/6","value":true}]"#),
        ("/1/0/6", "false", r#"[{"path":"/1/0/6","value":false}]"#),
        ("/1/0/6", "1", r#"[{"path":"/1/0/6","value":true}]"#),
        ("/1/0/6", "0", r#"[{"path":"/1/0/6","value":false}]"#),
        ("/3442/0/150", "AQID", r#"[{"path":"/3442/0/150","value":"AQID"}]"#),
        ("/3442/0/150", "a b!", r#"[{"path":"/3442/0/150","value":"YSBiIQ=="}]"#),
        ("/3442/0/170", "10:3", r#"[{"path":"/3442/0/170","value":"10:3"}]"#),
        // Not for a resource: 4.00.
        ("/3/0", "EMQ", "4.00"),
        ("/3", "EMQ", "4.00"),
        // Without a definition it is still text.
        ("/9999/0/1", "x", r#"[{"path":"/9999/0/1","value":"x","raw":true}]"#),
    ];
    for profile in BOTH {
        for (path, body, expected) in cases {
            assert_eq!(content(profile, path, &plain(body)), expected, "{path} {body}");
            let unnamed = answer(Code::CONTENT, None, body.as_bytes());
            assert_eq!(content(profile, path, &unnamed), expected, "{path} {body}");
        }
    }
}

#[test]
fn octets_are_one_item_in_base64_at_any_path() {
    let octets = answer(Code::CONTENT, Some(Format::OCTETS), &[1, 2, 3]);
    for profile in BOTH {
        for path in ["/3", "/3/0", "/3/0/0", "/3/0/6/1", "/9999/1"] {
            let expected = format!(r#"[{{"path":"{path}","value":"AQID"}}]"#);
            assert_eq!(content(profile, path, &octets), expected);
        }
    }
}

/// Facts 56 and 57: with or without the wrapper around it, by path level.
#[test]
fn tlv_layouts_have_the_paths_of_emqx() {
    let cases = [
        // One resource: the path of the request; the id only says the type.
        ("/3/0/0", "C3 00 45 4D 51", r#"[{"path":"/3/0/0","value":"EMQ"}]"#),
        ("/3/0", "C3 00 45 4D 51", r#"[{"path":"/3/0/0","value":"EMQ"}]"#),
        ("/3/0/0", "C1 09 05", r#"[{"path":"/3/0/0","value":5}]"#),
        // Several resources, a multiple resource first.
        (
            "/3/0",
            "C3 00 45 4D 51 C1 09 64",
            r#"[{"path":"/3/0/0","value":"EMQ"},{"path":"/3/0/9","value":100}]"#,
        ),
        (
            "/3/0/6",
            "86 06 41 00 01 41 01 05",
            r#"[{"path":"/3/0/6/0","value":1},{"path":"/3/0/6/1","value":5}]"#,
        ),
        (
            "/3/0",
            "86 06 41 00 01 41 01 05 C1 09 64",
            r#"[{"path":"/3/0/6/0","value":1},{"path":"/3/0/6/1","value":5},{"path":"/3/0/9","value":100}]"#,
        ),
        (
            "/3/0/22",
            "88 16 0C 44 00 00 01 00 02 44 01 00 01 00 04",
            r#"[{"path":"/3/0/22/0","value":"1:2"},{"path":"/3/0/22/1","value":"1:4"}]"#,
        ),
        // One object instance.
        (
            "/1",
            "08 00 0F C1 00 01 C4 01 00 01 51 80 C1 06 01 C1 07 55",
            r#"[{"path":"/1/0/0","value":1},{"path":"/1/0/1","value":86400},{"path":"/1/0/6","value":true},{"path":"/1/0/7","value":"U"}]"#,
        ),
        ("/3/0", "08 00 09 C1 09 64", "4.00"),
        ("/3/0", "03 05 C1 09 64", r#"[{"path":"/3/0/9","value":100}]"#),
        ("/3/0/9", "03 00 C1 09 64", r#"[{"path":"/3/0/9","value":100}]"#),
        // Several object instances: no leading slash.
        (
            "/3",
            "03 00 C1 09 64 03 01 C1 09 32",
            r#"[{"path":"3/0/9","value":100},{"path":"3/1/9","value":50}]"#,
        ),
        (
            "/3/0",
            "03 00 C1 09 64 03 01 C1 09 32",
            r#"[{"path":"3/0/9","value":100},{"path":"3/1/9","value":50}]"#,
        ),
        // An empty instance or multiple resource.
        ("/3/0", "00 00", "[]"),
        ("/3/0/6", "80 06", "[]"),
        // Resource instances at the top level: the path of the request.
        ("/3/0/6/1", "41 01 05", r#"[{"path":"/3/0/6/1","value":5}]"#),
        // Empty, truncated.
        ("/3/0", "", "4.00"),
        ("/3/0/0", "C3 00 45 4D", "4.00"),
        ("/3/0", "C3", "4.00"),
    ];
    for profile in BOTH {
        for (path, bytes, expected) in cases {
            assert_eq!(content(profile, path, &tlv(bytes)), expected, "{path} {bytes}");
        }
    }
}

/// Fact 55: four and eight byte floats, Booleans of one byte, any length of integers; what has no
/// bytes is 0.
#[test]
fn tlv_values_have_the_type_of_their_definition() {
    let cases = [
        ("/3/0/9", "C1 09 FF", "-1"),
        ("/3/0/9", "C2 09 FF 7F", "-129"),
        ("/3/0/9", "C8 09 08 7F FF FF FF FF FF FF FF", "9223372036854775807"),
        ("/3/0/9", "C0 09", "0"),
        ("/3/0/13", "C0 0D", "0"),
        ("/3/0/13", "C4 0D FF FF FF FF", "4294967295"),
        ("/3/0/13", "C4 0D 51 82 42 8F", "1367491215"),
        ("/6/0/0", "C4 00 3F C0 00 00", "1.5"),
        ("/6/0/0", "C8 00 08 40 C8 1C 80 00 00 00 00", "12345.0"),
        ("/1/0/6", "C1 06 00", "false"),
        ("/3442/0/150", "C3 96 01 02 03", r#""AQID""#),
        ("/3442/0/125", "C8 7D 08 FF FF FF FF FF FF FF FF", "18446744073709551615"),
        ("/3442/0/180", "C4 B4 3C 2F 33 3E", r#""</3>""#),
        ("/3/0/0", "C2 00 C3 28", "\"\u{fffd}(\""),
    ];
    for profile in BOTH {
        for (path, bytes, value) in cases {
            let expected = format!(r#"[{{"path":"{path}","value":{value}}}]"#);
            assert_eq!(content(profile, path, &tlv(bytes)), expected, "{path} {bytes}");
        }
    }
}

#[test]
fn what_has_no_definition_is_published_as_it_is_and_marked() {
    let cases = [
        // One resource without a definition does not spoil the other.
        (
            "/3/0",
            "C3 00 45 4D 51 E1 7F FF 01",
            r#"[{"path":"/3/0/0","value":"EMQ"},{"path":"/3/0/32767","value":"AQ==","raw":true}]"#,
        ),
        ("/9999/0", "C1 01 02", r#"[{"path":"/9999/0/1","value":"Ag==","raw":true}]"#),
        // A value that does not fit its definition.
        ("/1/0/6", "C1 06 02", r#"[{"path":"/1/0/6","value":"Ag==","raw":true}]"#),
    ];
    for profile in BOTH {
        for (path, bytes, expected) in cases {
            assert_eq!(content(profile, path, &tlv(bytes)), expected, "{path}");
            let unknown_objects = UnknownObjects::Reject;
            let mut bench = Bench::with(Settings { unknown_objects, ..Settings::of(profile) });
            let json = bench.answer(&ask("read", path), &tlv(bytes));
            assert!(json.ends_with(r#""code":"4.00","codeMsg":"bad_request"}}"#), "{json}");
        }
    }
}

#[test]
fn lwm2m_json_needs_no_definition_for_its_paths() {
    let json = |body: &str| answer(Code::CONTENT, Some(Format::JSON), body.as_bytes());
    let cases = [
        (
            r#"{"bn":"/3/0/","e":[{"n":"0","sv":"EMQ"},{"n":"9","v":100}]}"#,
            r#"[{"path":"/3/0/0","value":"EMQ"},{"path":"/3/0/9","value":100}]"#,
        ),
        (r#"{"bn":"/3/0","e":[{"n":"/0","sv":"EMQ"}]}"#, r#"[{"path":"/3/0/0","value":"EMQ"}]"#),
        (r#"{"bn":"/1/0","e":[{"n":"6","bv":true}]}"#, r#"[{"path":"/1/0/6","value":true}]"#),
        (
            r#"{"bn":"/3442/0","e":[{"n":"170","ov":"1:2"}]}"#,
            r#"[{"path":"/3442/0/170","value":"1:2"}]"#,
        ),
        (r#"{"bn":"/3/0","e":[]}"#, "[]"),
        ("{", "4.00"),
    ];
    for profile in BOTH {
        for (body, expected) in cases {
            assert_eq!(content(profile, "/3/0", &json(body)), expected, "{body}");
        }
    }
}

#[test]
fn formats_that_emqx_does_not_know() {
    for (number, four, five) in [
        (41, "4.00", "4.00"),
        (50, "4.00", "4.00"),
        (40, "4.00", "4.00"),
        (10_000, "4.00", r#"[{"path":"/3/0/9","value":"YWI="}]"#),
    ] {
        let answer = answer(Code::CONTENT, Some(Format(number)), b"ab");
        assert_eq!(content(Emqx4, "/3/0/9", &answer), four, "{number}");
        assert_eq!(content(Emqx5, "/3/0/9", &answer), five, "{number}");
    }
}

/// Fact 52: the numbers of old clients mean the formats of today.
#[test]
fn old_format_numbers_are_understood() {
    let old = answer(Code::CONTENT, Some(Format::OLD_TLV), &from_hex("C3 00 45 4D 51"));
    assert_eq!(content(Emqx4, "/3/0/0", &old), r#"[{"path":"/3/0/0","value":"EMQ"}]"#);
}

/// Fact 70: attributes stand at the level where the device shows them, nothing is inherited here.
#[test]
fn discover_answers_are_cut_at_commas_outside_of_quotes() {
    let cases = [
        ("</3/0>;pmin=10,</3/0/0>", r#"["</3/0>;pmin=10","</3/0/0>"]"#),
        ("</1>, </3/0> ,</5>", r#"["</1>"," </3/0> ","</5>"]"#),
        (r#"</3>;ct="60,110",</1>"#, r#"["</3>;ct=\"60,110\"","</1>"]"#),
        ("", r#"[""]"#),
    ];
    for profile in BOTH {
        for (body, expected) in cases {
            for format in [Some(Format::LINK), None] {
                let answer = answer(Code::CONTENT, format, body.as_bytes());
                let json = Bench::new(profile).answer(&ask("discover", "/3/0"), &answer);
                let expected = format!(
                    r#"{{"msgType":"discover","data":{{"reqPath":"/3/0","code":"2.05","codeMsg":"content","content":{expected}}}}}"#
                );
                assert_eq!(json, expected);
            }
        }
    }
}

#[test]
fn every_truncation_of_an_answer_is_published() {
    let whole = from_hex("08 00 0F C1 00 01 C4 01 00 01 51 80 C1 06 01 C1 07 55");
    for format in [0, 40, 42, 60, 110, 112, 11542, 11543, 11544] {
        for len in 0..=whole.len() {
            let answer = answer(Code::CONTENT, Some(Format(format)), &whole[..len]);
            let json = Bench::new(Emqx4).answer(&ask("read", "/1"), &answer);
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
