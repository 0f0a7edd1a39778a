//! Commands that cannot be used: reported with 4.00 and a reason, or dropped. Contract, section 3.6
//! and table 0.1.

use gateway::config::{Profile, Report, Size};
use serde_json::{Value as Json, json};

use crate::bench::{Gateway, unique_name};

in_both_profiles!(reports, drops, silence);

/// Name, `msgType`, `data`, and a part of the reason.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Commands whose number or text no JSON library would write stand as text.
const ROWS: &[Row] = &[
    ("five segments", r#""read""#, r#"{"path":"/3/0/0/0/0"}"#, "at most four segments"),
    ("no segments", r#""read""#, r#"{"path":"/"}"#, "one to four segments"),
    ("an empty path", r#""read""#, r#"{"path":""}"#, "one to four segments"),
    ("a path of letters", r#""read""#, r#"{"path":"/device"}"#, "no path"),
    ("an id of 65536", r#""read""#, r#"{"path":"/65536"}"#, "no path"),
    ("a path that is a number", r#""read""#, r#"{"path":3}"#, "string"),
    ("a path that is null", r#""read""#, r#"{"path":null}"#, "missing"),
    ("no path", r#""read""#, r#"{}"#, "missing"),
    ("an unknown msgType", r#""reboot""#, r#"{"path":"/3/0/4"}"#, "none of the commands"),
    ("a msgType in capitals", r#""READ""#, r#"{"path":"/3/0/4"}"#, "none of the commands"),
    ("a msgType that is a number", "5", r#"{"path":"/3/0/4"}"#, "none of the commands"),
    ("a msgType that is null", "null", r#"{"path":"/3/0/4"}"#, "none of the commands"),
    ("data that is no object", r#""read""#, "[1]", "no object"),
    ("data that is null", r#""read""#, "null", "no object"),
    (
        "an unknown type",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Double","value":1}"#,
        "type must be",
    ),
    (
        "a type in small letters",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"integer","value":1}"#,
        "type must be",
    ),
    ("no type", r#""write""#, r#"{"path":"/3/0/1","value":1}"#, "type must be"),
    ("no value", r#""write""#, r#"{"path":"/3/0/1","type":"Integer"}"#, "value is missing"),
    (
        "a value of null",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":null}"#,
        "value is missing",
    ),
    (
        "a String of a number",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"String","value":5}"#,
        "text",
    ),
    (
        "an Integer with a point",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":1.5}"#,
        "an integer",
    ),
    (
        "an Integer with exponent",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":1e3}"#,
        "an integer",
    ),
    (
        "an Integer of letters",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":"x"}"#,
        "an integer",
    ),
    (
        "an Integer in an object",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":{"a":1}}"#,
        "an integer",
    ),
    (
        "an Integer above 2^63 - 1",
        r#""write""#,
        r#"{"path":"/3/0/13","type":"Integer","value":9223372036854775808}"#,
        "out of range",
    ),
    (
        "an Integer below -2^63",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Integer","value":-9223372036854775809}"#,
        "out of range",
    ),
    (
        "an Unsigned Integer above 2^64 - 1",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Unsigned Integer","value":18446744073709551616}"#,
        "out of range",
    ),
    (
        "a negative Unsigned Integer",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Unsigned Integer","value":-1}"#,
        "value",
    ),
    ("1e400", r#""write""#, r#"{"path":"/3/0/1","type":"Float","value":1e400}"#, "out of range"),
    (
        "1e400 as text",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Float","value":"1e400"}"#,
        "out of range",
    ),
    ("NaN as text", r#""write""#, r#"{"path":"/3/0/1","type":"Float","value":"NaN"}"#, "a number"),
    (
        "a Float of true",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Float","value":true}"#,
        "a number",
    ),
    (
        "a Boolean of 1",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Boolean","value":1}"#,
        "true, false",
    ),
    (
        "a Boolean of yes",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Boolean","value":"yes"}"#,
        "true, false",
    ),
    (
        "Opaque that is no Base64",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Opaque","value":"%%"}"#,
        "Base64",
    ),
    (
        "Opaque as list of bytes",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Opaque","value":[1]}"#,
        "Base64",
    ),
    (
        "an Objlnk of one number",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Objlnk","value":"1"}"#,
        "65535",
    ),
    (
        "an Objlnk beyond 16 bits",
        r#""write""#,
        r#"{"path":"/3/0/1","type":"Objlnk","value":"65536:1"}"#,
        "65535",
    ),
    (
        "a write of an instance without content",
        r#""write""#,
        r#"{"basePath":"/3/0"}"#,
        "content is missing",
    ),
    (
        "a basePath of one segment",
        r#""write""#,
        r#"{"basePath":"/3","content":[]}"#,
        "two or three segments",
    ),
    (
        "a basePath of four segments",
        r#""write""#,
        r#"{"basePath":"/3/0/6/1","content":[]}"#,
        "two or three segments",
    ),
    (
        "a single write of an instance",
        r#""write""#,
        r#"{"path":"/3/0","type":"Integer","value":1}"#,
        "three or four segments",
    ),
    ("content that is no list", r#""write""#, r#"{"basePath":"/3/0","content":{}}"#, "a list"),
    (
        "an item that is no object",
        r#""write""#,
        r#"{"basePath":"/3/0","content":[1]}"#,
        "JSON object",
    ),
    (
        "an item without path",
        r#""write""#,
        r#"{"basePath":"/3/0","content":[{"type":"Integer","value":1}]}"#,
        "path",
    ),
    (
        "an item that is too deep",
        r#""write""#,
        r#"{"basePath":"/3/0","content":[{"path":"1/2/3","type":"Integer","value":1}]}"#,
        "path",
    ),
    (
        "the second of two items",
        r#""write""#,
        r#"{"basePath":"/3/0","content":[{"path":"1","type":"Integer","value":1},{"path":"2","type":"Integer","value":"x"}]}"#,
        "value 1:",
    ),
    ("arguments that are a number", r#""execute""#, r#"{"path":"/3/0/4","args":5}"#, "a string"),
    ("arguments that are a list", r#""execute""#, r#"{"path":"/3/0/4","args":["a"]}"#, "a string"),
    (
        "an attribute that is no number",
        r#""write-attr""#,
        r#"{"path":"/3/0/9","pmin":"soon"}"#,
        "a number",
    ),
    ("an attribute of 1e400", r#""write-attr""#, r#"{"path":"/3/0/9","gt":1e400}"#, "a number"),
    ("an attribute that is a list", r#""write-attr""#, r#"{"path":"/3/0/9","gt":[1]}"#, "a number"),
    ("a create without path", r#""create""#, r#"{"content":[]}"#, "missing"),
    (
        "a create below an object",
        r#""create""#,
        r#"{"basePath":"/3/0","content":[]}"#,
        "one segment",
    ),
    ("a timeout of 0", r#""read""#, r#"{"path":"/3/0","timeout":0}"#, "timeout"),
    ("a timeout of days", r#""read""#, r#"{"path":"/3/0","timeout":1e9}"#, "timeout"),
    ("a ttl that is no number", r#""read""#, r#"{"path":"/3/0","ttl":"soon"}"#, "ttl"),
    ("an unknown format", r#""read""#, r#"{"path":"/3/0","accept":"xml"}"#, "content format"),
    (
        "a query that is too long for an option",
        r#""read""#,
        concat!(
            r#"{"path":"/3/0?"#,
            "0123456789012345678901234567890123456789012345678901234567890123",
            "0123456789012345678901234567890123456789012345678901234567890123",
            "0123456789012345678901234567890123456789012345678901234567890123",
            "0123456789012345678901234567890123456789012345678901234567890123",
            r#""}"#
        ),
        "too long",
    ),
];

fn reports(profile: Profile) {
    let gateway = Gateway::start_with(profile, "reports", |config| {
        config.lwm2m.command_payload_max = Size::bytes(4096);
    });
    gateway.play(
        ROWS,
        |row| row.0,
        |(_, message, data, reason)| {
            report(&gateway, message, data, reason);
        },
    );
    let topics: &[(&str, &str)] = &[
        ("notify", "up/notify"),
        ("register", "up/resp"),
        ("update", "up/resp"),
        ("send", "up/resp"),
    ];
    gateway.play(
        topics,
        |row| row.0,
        |(message, topic)| {
            let mut device = gateway.registered(&unique_name());
            device.publish(&json!({"reqID": 1, "msgType": message, "data": {"basePath": "/3"}}));
            let published = device.published();
            assert_eq!(
                (published.topic.as_str(), &published.json["msgType"]),
                (*topic, &json!(message))
            );
            assert_eq!(published.json["data"]["reqPath"], "/3");
        },
    );
    let long = format!("\"{}\"", "x".repeat(5000));
    let data = format!(r#"{{"path":"/3/0/14","type":"String","value":{long}}}"#);
    report(&gateway, "\"write\"", &data, "more than 4096 bytes");
    bad_hexadecimal(&gateway);
}

/// The echoed members, the `msgType` as given, and the first of `path`, `basePath` and `reqPath`.
fn report(gateway: &Gateway, message: &str, data: &str, reason: &str) {
    let mut device = gateway.registered(&unique_name());
    device.publish_text(&format!(r#"{{"reqID":1,"x":[null],"msgType":{message},"data":{data}}}"#));
    let mut published = device.published();
    assert_eq!(published.topic, "up/resp");
    let given = published.json["data"]["reason"].take();
    assert!(given.as_str().is_some_and(|given| given.contains(reason)), "{given}");
    let data: Json = without_digits_that_overflow(data);
    let path = ["path", "basePath"].iter().map(|name| &data[name]).find(|path| !path.is_null());
    let mut path = path.cloned().unwrap_or(Json::Null);
    if let (Some(text), Profile::Emqx5) = (path.as_str(), gateway.profile) {
        path = json!(text.split('?').next());
    }
    let expected = json!({"reqID": 1, "x": [null], "msgType": without_digits_that_overflow(message),
        "data": {"reqPath": path, "code": "4.00", "codeMsg": "bad_request", "reason": null}});
    assert_eq!(published.json, expected);
    device.expect_nothing();
}

/// serde_json reads no 1e400.
fn without_digits_that_overflow(text: &str) -> Json {
    serde_json::from_str(&text.replace("1e400", "1")).unwrap()
}

fn bad_hexadecimal(gateway: &Gateway) {
    for value in ["2", "XY", "2B3", "2B 30"] {
        let mut device = gateway.registered(&unique_name());
        let data = json!({"path": "/3/0/14", "type": "String", "value": value});
        device.publish(&json!({"encoding": "hex", "msgType": "write", "data": data}));
        let published = device.published();
        assert_eq!(published.json["data"]["code"], "4.00", "{value}");
        assert_eq!(published.json["data"]["reqPath"], "/3/0/14");
        assert_eq!(published.json["encoding"], "hex");
    }
}

/// Name and payload of what is dropped in silence.
const DROPPED: &[(&str, &str)] = &[
    ("nothing", ""),
    ("no JSON", "read /3/0"),
    ("half of JSON", r#"{"msgType":"read","data":{"path":"/3/0"}"#),
    ("JSON and something behind", r#"{"msgType":"read","data":{"path":"/3/0"}} x"#),
    ("a list", r#"[{"msgType":"read","data":{"path":"/3/0"}}]"#),
    ("a text", r#""read""#),
    ("a number", "1e400"),
    ("null", "null"),
    ("no msgType", r#"{"reqID":1,"data":{"path":"/3/0"}}"#),
    ("an empty object", "{}"),
];

fn drops(profile: Profile) {
    let gateway = Gateway::start(profile, "drops");
    gateway.play(
        DROPPED,
        |row| row.0,
        |(_, payload)| {
            let mut device = gateway.registered(&unique_name());
            device.publish_text(payload);
            device.expect_nothing();
        },
    );
    // Nested so deep that a careless reader would run out of stack: dropped, and nothing worse.
    let mut device = gateway.registered(&unique_name());
    let deep = "[".repeat(20_000);
    device.publish_text(&format!(r#"{{"msgType":"read","data":{deep}"#));
    device.expect_nothing();
}

/// `report = "profile"` is as silent as the release.
fn silence(profile: Profile) {
    // Name, command, and whether EMQX 6.1.1 reports it.
    let rows: &[(&str, &str, bool)] = &[
        ("an unknown msgType", r#"{"msgType":"x","data":{"path":"/3"}}"#, true),
        ("missing data", r#"{"msgType":"read"}"#, true),
        (
            "bad hexadecimal",
            r#"{"encoding":"hex","msgType":"write","data":{"path":"/3/0/14","type":"String","value":"x"}}"#,
            true,
        ),
        ("five segments", r#"{"msgType":"read","data":{"path":"/1/2/3/4/5"}}"#, false),
        (
            "an unknown type",
            r#"{"msgType":"write","data":{"path":"/3/0/14","type":"X","value":"x"}}"#,
            false,
        ),
    ];
    let gateway = Gateway::start_with(profile, "silence", |config| {
        config.lwm2m.report = Report::Profile;
    });
    gateway.play(
        rows,
        |row| row.0,
        |(_, command, reported)| {
            let mut device = gateway.registered(&unique_name());
            device.publish_text(command);
            if *reported && profile == Profile::Emqx5 {
                assert_eq!(device.published().json["data"]["code"], "4.00");
            }
            device.expect_nothing();
        },
    );
    // Ends without an answer.
    let mut device = gateway.registered(&unique_name());
    let request = device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    device.send(&crate::coap::Message::new(crate::coap::RST, 0, request.id, &[]));
    if profile == Profile::Emqx5 {
        device.expect("up/resp", &json!({"msgType": "coap_reset", "data": {"path": "/3/0/0"}}));
    }
    device.expect_nothing();
    device.deregister();
    device.publish(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    device.register(&[], "");
    assert_eq!(device.published().json["msgType"], "register");
}
