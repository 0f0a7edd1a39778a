//! The bytes of write and create.

use super::*;

fn write(data: &str) -> String {
    format!(r#"{{"reqID":1,"msgType":"write","data":{{{data}}}}}"#)
}

fn mode(operation: &Operation) -> WriteMode {
    match operation {
        Operation::Write { mode, .. } => *mode,
        other => panic!("{other:?}"),
    }
}

/// Fact 55: integers are 1, 2, 4 or 8 bytes in two's complement, floats 8, Booleans one.
#[test]
fn a_single_write_replaces_the_resource_with_one_tlv() {
    let cases = [
        (r#""path":"/3/0/13","type":"Integer","value":"12345""#, "C2 0D 30 39"),
        (r#""path":"/3/0/13","type":"Integer","value":12345"#, "C2 0D 30 39"),
        (r#""path":"/3/0/13","type":"Time","value":12345"#, "C2 0D 30 39"),
        (r#""path":"/3/0/14","type":"String","value":"87x""#, "C3 0E 38 37 78"),
        (r#""path":"/3/0/9","type":"Integer","value":0"#, "C1 09 00"),
        (r#""path":"/3/0/9","type":"Integer","value":127"#, "C1 09 7F"),
        (r#""path":"/3/0/9","type":"Integer","value":128"#, "C2 09 00 80"),
        (r#""path":"/3/0/9","type":"Integer","value":129"#, "C2 09 00 81"),
        (r#""path":"/3/0/9","type":"Integer","value":255"#, "C2 09 00 FF"),
        (r#""path":"/3/0/9","type":"Integer","value":65536"#, "C4 09 00 01 00 00"),
        (r#""path":"/3/0/9","type":"Integer","value":-1"#, "C1 09 FF"),
        (r#""path":"/3/0/9","type":"Integer","value":-129"#, "C2 09 FF 7F"),
        (
            r#""path":"/3/0/9","type":"Integer","value":2147483648"#,
            "C8 09 08 00 00 00 00 80 00 00 00",
        ),
        (
            r#""path":"/3/0/9","type":"Unsigned Integer","value":18446744073709551615"#,
            "C8 09 08 FF FF FF FF FF FF FF FF",
        ),
        (
            r#""path":"/3442/0/125","type":"Integer","value":18446744073709551615"#,
            "C8 7D 08 FF FF FF FF FF FF FF FF",
        ),
        (
            r#""path":"/3/0/13","type":"Float","value":"12345.0""#,
            "C8 0D 08 40 C8 1C 80 00 00 00 00",
        ),
        (r#""path":"/3/0/13","type":"Float","value":"12345""#, "C8 0D 08 40 C8 1C 80 00 00 00 00"),
        (r#""path":"/3/0/13","type":"Float","value":12345"#, "C8 0D 08 40 C8 1C 80 00 00 00 00"),
        (r#""path":"/1/0/6","type":"Boolean","value":"true""#, "C1 06 01"),
        (r#""path":"/1/0/6","type":"Boolean","value":false"#, "C1 06 00"),
        (r#""path":"/5/0/0","type":"Opaque","value":"AQID""#, "C3 00 01 02 03"),
        (r#""path":"/3/0/22","type":"Objlnk","value":"1:2""#, "C4 16 00 01 00 02"),
        (r#""path":"/1/0/300","type":"Integer","value":1"#, "E1 01 2C 01"),
        (r#""basePath":"/","path":"/3/0/9","type":"Integer","value":1"#, "C1 09 01"),
        // A resource instance, which EMQX cannot write.
        (r#""path":"/3/0/6/1","type":"Integer","value":5"#, "41 01 05"),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (data, bytes) in cases {
            assert_eq!(bench.body(&write(data)), bytes, "{data}");
            assert_eq!(mode(&bench.operation(&write(data))), WriteMode::Replace, "{data}");
        }
    }
}

#[test]
fn a_batch_on_an_instance_updates_it() {
    let cases = [
        (
            r#"{"path":"13","type":"Integer","value":"12345"},{"path":"14","type":"String","value":"87x"}"#,
            "C2 0D 30 39 C3 0E 38 37 78",
        ),
        (r#"{"path":"/13","type":"Integer","value":"12345"}"#, "C2 0D 30 39"),
        (
            r#"{"path":"6/0","type":"Integer","value":1},{"path":"/6/1","type":"Integer","value":5}"#,
            "86 06 41 00 01 41 01 05",
        ),
        ("", ""),
        // The last one wins and moves to the end.
        (
            r#"{"path":"13","type":"Integer","value":1},{"path":"14","type":"String","value":"x"},
            {"path":"13","type":"Integer","value":2}"#,
            "C1 0E 78 C1 0D 02",
        ),
        (
            r#"{"path":"6/0","type":"Integer","value":1},{"path":"6/1","type":"Integer","value":2},
            {"path":"6/0","type":"Integer","value":3}"#,
            "86 06 41 01 02 41 00 03",
        ),
        (
            r#"{"path":"6/0","type":"Integer","value":1},{"path":"6","type":"Integer","value":2}"#,
            "C1 06 02",
        ),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for base in ["/3/0/", "/3/0", "3/0/", "3/0"] {
            for (items, bytes) in cases {
                let payload = write(&format!(r#""basePath":"{base}","content":[{items}]"#));
                assert_eq!(bench.body(&payload), bytes, "{payload}");
                let operation = bench.operation(&payload);
                assert_eq!(operation.path(), path("/3/0"));
                assert_eq!(mode(&operation), WriteMode::Update, "{payload}");
            }
        }
    }
}

#[test]
fn a_batch_on_a_resource_is_one_value_or_one_multiple_resource() {
    let cases = [
        ("/3/0/13", r#"{"type":"Float","value":"12345.0"}"#, "C8 0D 08 40 C8 1C 80 00 00 00 00"),
        ("/3/0/13", r#"{"path":"not looked at","type":"Integer","value":1}"#, "C1 0D 01"),
        (
            "/3/0/22",
            r#"{"path":"0","type":"Objlnk","value":"1:2"},{"path":"1","type":"Objlnk","value":"1:4"}"#,
            "88 16 0C 44 00 00 01 00 02 44 01 00 01 00 04",
        ),
        (
            "/3/0/6",
            r#"{"path":"0","type":"Integer","value":1},{"path":"0","type":"Integer","value":2}"#,
            "83 06 41 00 02",
        ),
        ("/3/0/6", "", ""),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (base, items, bytes) in cases {
            let payload = write(&format!(r#""basePath":"{base}","content":[{items}]"#));
            assert_eq!(bench.body(&payload), bytes, "{payload}");
            assert_eq!(mode(&bench.operation(&payload)), WriteMode::Replace, "{payload}");
        }
    }
}

#[test]
fn hex_encoding_is_a_matter_of_writes_only() {
    let single = r#"{"encoding":"hex","msgType":"write","data":{"path":"/3/0/14","type":"String","value":"454D51"}}"#;
    let other = single.replace("\"hex\"", "\"base64\"");
    let create = r#"{"encoding":"hex","msgType":"create","data":{"basePath":"/6","content":[
        {"path":"0/4","type":"Opaque","value":"AQID"}]}}"#;
    for profile in BOTH {
        let bench = Bench::new(profile);
        assert_eq!(bench.body(single), "C3 0E 45 4D 51");
        assert_eq!(bench.body(&other), "C6 0E 34 35 34 44 35 31");
        assert_eq!(bench.body(create), "05 00 C3 04 01 02 03");
    }
}

/// Fact 69: the instance is asked for by its id, except with nothing in it.
#[test]
fn create_wraps_each_instance() {
    let cases = [
        (
            r#""basePath":"/6","content":[{"path":"0/0","type":"Float","value":"1.5"},
                {"path":"0/4","type":"Opaque","value":"AQID"}]"#,
            "08 00 10 C8 00 08 3F F8 00 00 00 00 00 00 C3 04 01 02 03",
        ),
        (
            r#""basePath":"/3303","content":[{"path":"/5/5700","type":"Float","value":3.5}]"#,
            "08 05 0C E8 16 44 08 40 0C 00 00 00 00 00 00",
        ),
        (r#""path":"/6","content":[{"path":"1/4","type":"Opaque","value":""}]"#, "02 01 C0 04"),
        (r#""basePath":"/6","content":[]"#, ""),
        (r#""basePath":"/6""#, ""),
        (r#""path":"6/""#, ""),
    ];
    for profile in BOTH {
        let bench = Bench::new(profile);
        for (data, bytes) in cases {
            let payload = format!(r#"{{"reqID":2,"msgType":"create","data":{{{data}}}}}"#);
            assert_eq!(bench.body(&payload), bytes, "{data}");
        }
    }
}
