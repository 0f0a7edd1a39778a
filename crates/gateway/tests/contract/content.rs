//! Payloads of devices as `content`, format by format: contract, section 4.3 and table 0.1.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{By, Gateway, unique_name};
use By::{Both, Each};

in_both_profiles!(texts, tlv, others);

/// Name, path of the read, answer, and `content`; none when it cannot be decoded.
type Row = (&'static str, &'static str, &'static str, By<Option<Json>>);

/// One value at a path.
fn one(path: &str, value: Json) -> By<Option<Json>> {
    some(json!([{"path": path, "value": value}]))
}

/// One value that no definition fits.
fn raw(path: &str, value: Json) -> By<Option<Json>> {
    some(json!([{"path": path, "value": value, "raw": true}]))
}

fn some(content: Json) -> By<Option<Json>> {
    Both(Some(content))
}

const UNREADABLE: By<Option<Json>> = Both(None);

fn play(profile: Profile, name: &str, rows: &[Row]) {
    let gateway = Gateway::start(profile, name);
    gateway.play(rows, |row| row.0, |(_, path, answer, content)| {
        let links = "</1/0>,</3/0>,</5/0>,</3303/0>,</3442/0>";
        let mut device = gateway.registered_with(&unique_name(), links);
        let command = json!({"reqID": 1, "msgType": "read", "data": {"path": path}});
        device.answer(&device.command(&command), answer);
        let data = match content.of(profile) {
            Some(content) => json!({"reqPath": path, "code": "2.05", "codeMsg": "content", "content": content}),
            None => json!({"reqPath": path, "code": "4.00", "codeMsg": "bad_request"}),
        };
        device.expect("up/resp", &json!({"reqID": 1, "msgType": "read", "data": data}));
    });
}

fn texts(profile: Profile) {
    let rows: Vec<Row> = vec![
        ("a String", "/3/0/0", "2.05 text EMQ", one("/3/0/0", json!("EMQ"))),
        ("no Content-Format is text", "/3/0/0", "2.05 bare EMQ", one("/3/0/0", json!("EMQ"))),
        ("an empty String", "/3/0/0", "2.05 text ", one("/3/0/0", json!(""))),
        ("a String that looks like a number", "/3/0/0", "2.05 text 42", one("/3/0/0", json!("42"))),
        ("an Integer", "/3/0/9", "2.05 text 95", one("/3/0/9", json!(95))),
        (
            "a negative Integer of 64 bits",
            "/3442/0/120",
            "2.05 text -9223372036854775808",
            one("/3442/0/120", json!(i64::MIN)),
        ),
        (
            "an Unsigned Integer of 64 bits",
            "/3442/0/125",
            "2.05 text 18446744073709551615",
            one("/3442/0/125", json!(u64::MAX)),
        ),
        ("a Float", "/3303/0/5700", "2.05 text 21.5", one("/3303/0/5700", json!(21.5))),
        (
            "a whole Float keeps its point",
            "/3303/0/5700",
            "2.05 text 22",
            one("/3303/0/5700", json!(22.0)),
        ),
        (
            "a Float with exponent",
            "/3303/0/5700",
            "2.05 text -1.5e2",
            one("/3303/0/5700", json!(-150.0)),
        ),
        ("Boolean true", "/3442/0/140", "2.05 text true", one("/3442/0/140", json!(true))),
        ("Boolean false", "/3442/0/140", "2.05 text false", one("/3442/0/140", json!(false))),
        ("Boolean 1", "/3442/0/140", "2.05 text 1", one("/3442/0/140", json!(true))),
        ("Boolean 0", "/3442/0/140", "2.05 text 0", one("/3442/0/140", json!(false))),
        ("a Time", "/3/0/13", "2.05 text 1600000000", one("/3/0/13", json!(1_600_000_000))),
        (
            "Opaque that is Base64 is passed on",
            "/3442/0/150",
            "2.05 text AQID",
            one("/3442/0/150", json!("AQID")),
        ),
        (
            "Opaque that is none is encoded",
            "/3442/0/150",
            "2.05 text hello!",
            one("/3442/0/150", json!("aGVsbG8h")),
        ),
        ("an Objlnk", "/3442/0/170", "2.05 text 3:0", one("/3442/0/170", json!("3:0"))),
        ("a Corelnk", "/3442/0/180", "2.05 text </3/0>", one("/3442/0/180", json!("</3/0>"))),
        ("a resource instance", "/3/0/6/1", "2.05 text 5", one("/3/0/6/1", json!(5))),
        ("an Integer of letters is raw", "/3/0/9", "2.05 text full", raw("/3/0/9", json!("full"))),
        (
            "a Float that is no number is raw",
            "/3303/0/5700",
            "2.05 text nan",
            raw("/3303/0/5700", json!("nan")),
        ),
        ("an unknown resource is raw", "/3/0/32000", "2.05 text x", raw("/3/0/32000", json!("x"))),
        ("an unknown object is raw", "/32000/0/1", "2.05 text x", raw("/32000/0/1", json!("x"))),
        ("text for an instance", "/3/0", "2.05 text EMQ", UNREADABLE),
        ("text for an object", "/3", "2.05 text EMQ", UNREADABLE),
        (
            "octets of a resource",
            "/3442/0/150",
            "2.05 octets 01 02 FF",
            one("/3442/0/150", json!("AQL/")),
        ),
        ("octets of an instance", "/3/0", "2.05 octets 01 02 FF", one("/3/0", json!("AQL/"))),
        (
            "octets of an unknown object",
            "/32000/0/1",
            "2.05 octets 01",
            one("/32000/0/1", json!("AQ==")),
        ),
        ("links for a read", "/3/0", "2.05 link </3/0>", UNREADABLE),
        (
            "a text that is no UTF-8",
            "/3/0/0",
            "2.05 ct=0 hex 41 FF",
            one("/3/0/0", json!("A\u{fffd}")),
        ),
        ("application/json", "/3/0/0", "2.05 ct=50 hex 7B 7D", UNREADABLE),
        (
            "a format that nobody knows",
            "/3/0/0",
            "2.05 ct=999 hex 01 02",
            Each(None, Some(json!([{"path": "/3/0/0", "value": "AQI="}]))),
        ),
    ];
    play(profile, "texts", &rows);
}

fn tlv(profile: Profile) {
    let rows: Vec<Row> = vec![
        (
            "one resource at its path",
            "/3/0/0",
            "2.05 tlv C3 00 45 4D 51",
            one("/3/0/0", json!("EMQ")),
        ),
        (
            "one resource of an instance",
            "/3/0",
            "2.05 tlv C3 00 45 4D 51",
            one("/3/0/0", json!("EMQ")),
        ),
        (
            "one resource at another path has the id for its type",
            "/3/0/9",
            "2.05 tlv C3 00 45 4D 51",
            one("/3/0/9", json!("EMQ")),
        ),
        (
            "several resources",
            "/3/0",
            "2.05 tlv C3 00 45 4D 51 C1 09 64",
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 100}])),
        ),
        (
            "a multiple resource",
            "/3/0/6",
            "2.05 tlv 86 06 41 00 01 41 01 05",
            some(json!([{"path": "/3/0/6/0", "value": 1}, {"path": "/3/0/6/1", "value": 5}])),
        ),
        (
            "ids of 16 bits",
            "/3/0",
            "2.05 tlv 87 06 41 7F 07 61 01 36 01",
            some(json!([{"path": "/3/0/6/127", "value": 7}, {"path": "/3/0/6/310", "value": 1}])),
        ),
        (
            "one object instance",
            "/1",
            "2.05 tlv 08 00 0F C1 00 01 C4 01 00 01 51 80 C1 06 01 C1 07 55",
            some(
                json!([{"path": "/1/0/0", "value": 1}, {"path": "/1/0/1", "value": 86400}, {"path": "/1/0/6", "value": true}, {"path": "/1/0/7", "value": "U"}]),
            ),
        ),
        (
            "one object instance keeps the instance of the request",
            "/3303/0",
            "2.05 tlv 04 01 E1 16 45 43",
            one("/3303/0/5701", json!("C")),
        ),
        (
            "several object instances have no slash",
            "/3",
            "2.05 tlv 03 00 C1 09 64 03 01 C1 09 32",
            some(json!([{"path": "3/0/9", "value": 100}, {"path": "3/1/9", "value": 50}])),
        ),
        (
            "several object instances of a read of one",
            "/3/0",
            "2.05 tlv 03 00 C1 09 64 03 01 C1 09 32",
            some(json!([{"path": "3/0/9", "value": 100}, {"path": "3/1/9", "value": 50}])),
        ),
        (
            "one object instance keeps the instance of a read of a resource",
            "/3303/0/5701",
            "2.05 tlv 04 01 E1 16 45 43",
            one("/3303/0/5701", json!("C")),
        ),
        (
            "several resources of a read of one have the instance of the request",
            "/3/0/0",
            "2.05 tlv C3 00 45 4D 51 C1 09 64",
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 100}])),
        ),
        (
            "a multiple resource first, then another one",
            "/3/0",
            "2.05 tlv 86 06 41 00 01 41 01 05 C1 09 64",
            some(json!([{"path": "/3/0/6/0", "value": 1}, {"path": "/3/0/6/1", "value": 5},
                        {"path": "/3/0/9", "value": 100}])),
        ),
        // Devices leave wrappers out (fact 57), where EMQX gives 4.00.
        (
            "resources of an object that has one instance",
            "/3",
            "2.05 tlv C3 00 45 4D 51 C1 09 64",
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 100}])),
        ),
        (
            "a resource of an object that may have several",
            "/3303",
            "2.05 tlv E1 16 45 43",
            UNREADABLE,
        ),
        (
            "a resource for a resource instance",
            "/3/0/6/1",
            "2.05 tlv C1 06 05",
            one("/3/0/6/1", json!(5)),
        ),
        ("an empty object instance", "/3303", "2.05 tlv 00 00", some(json!([]))),
        ("an empty multiple resource", "/3/0/6", "2.05 tlv 80 06", some(json!([]))),
        ("a resource instance alone", "/3/0/6/1", "2.05 tlv 41 01 05", one("/3/0/6/1", json!(5))),
        ("nothing", "/3/0", "2.05 tlv", UNREADABLE),
        ("cut off", "/3/0", "2.05 tlv C3 00 45", UNREADABLE),
        (
            "an unknown resource does not spoil the others",
            "/3/0",
            "2.05 tlv C3 00 45 4D 51 E1 7F FF 01",
            some(
                json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/32767", "value": "AQ==", "raw": true}]),
            ),
        ),
        ("an unknown object", "/32000/0", "2.05 tlv C1 01 05", raw("/32000/0/1", json!("BQ=="))),
        ("an Integer of 3 bytes", "/3/0", "2.05 tlv C3 09 01 00 00", one("/3/0/9", json!(65536))),
        ("a negative Integer", "/3/0", "2.05 tlv C2 09 FF 7F", one("/3/0/9", json!(-129))),
        ("an Integer of no bytes is 0", "/3/0", "2.05 tlv C0 09", one("/3/0/9", json!(0))),
        ("a Time of no bytes is 0", "/3/0", "2.05 tlv C0 0D", one("/3/0/13", json!(0))),
        (
            "a Time of 4 bytes has no sign",
            "/3/0",
            "2.05 tlv C4 0D F0 00 00 00",
            one("/3/0/13", json!(4_026_531_840_u64)),
        ),
        (
            "a Time of 8 bytes has one",
            "/3/0",
            "2.05 tlv C8 0D 08 FF FF FF FF FF FF FF FF",
            one("/3/0/13", json!(-1)),
        ),
        (
            "an Integer of 64 bits is exact",
            "/3442/0",
            "2.05 tlv C8 78 08 7F FF FF FF FF FF FF FF",
            one("/3442/0/120", json!(i64::MAX)),
        ),
        (
            "an Unsigned Integer has no sign",
            "/3442/0",
            "2.05 tlv C1 7D FF",
            one("/3442/0/125", json!(255)),
        ),
        (
            "a Float of 4 bytes",
            "/3303/0",
            "2.05 tlv E4 16 44 41 AC 00 00",
            one("/3303/0/5700", json!(21.5)),
        ),
        (
            "a Float of 8 bytes",
            "/3303/0",
            "2.05 tlv E8 16 44 08 40 35 80 00 00 00 00 00",
            one("/3303/0/5700", json!(21.5)),
        ),
        (
            "a Float that is NaN",
            "/3303/0",
            "2.05 tlv E4 16 44 7F C0 00 00",
            one("/3303/0/5700", Json::Null),
        ),
        ("a Boolean of 2 is raw", "/1/0", "2.05 tlv C1 06 02", raw("/1/0/6", json!("Ag=="))),
        (
            "Opaque is Base64",
            "/3442/0",
            "2.05 tlv C3 96 01 02 FF",
            one("/3442/0/150", json!("AQL/")),
        ),
        ("an Objlnk", "/3442/0", "2.05 tlv C4 AA 00 03 00 00", one("/3442/0/170", json!("3:0"))),
        (
            "a Corelnk",
            "/3442/0",
            "2.05 tlv C6 B4 3C 2F 33 2F 30 3E",
            one("/3442/0/180", json!("</3/0>")),
        ),
        (
            "a String that is no UTF-8",
            "/3/0",
            "2.05 tlv C2 00 41 FF",
            one("/3/0/0", json!("A\u{fffd}")),
        ),
        (
            "the number of old clients",
            "/3/0/0",
            "2.05 old-tlv C3 00 45 4D 51",
            one("/3/0/0", json!("EMQ")),
        ),
    ];
    play(profile, "tlv", &rows);
}

fn others(profile: Profile) {
    let timed = |path: &str, value: Json, time: i64| {
        some(json!([{"path": path, "value": value, "timestamp": time}]))
    };
    let rows: Vec<Row> = vec![
        (
            "JSON",
            "/3/0",
            r#"2.05 json {"bn":"/3/0/","e":[{"n":"0","sv":"EMQ"},{"n":"9","v":95}]}"#,
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 95}])),
        ),
        (
            "JSON joins with one slash",
            "/3/0",
            r#"2.05 json {"bn":"/3/0/","e":[{"n":"/0","sv":"EMQ"}]}"#,
            one("/3/0/0", json!("EMQ")),
        ),
        (
            "JSON joins with a slash that is missing",
            "/3/0",
            r#"2.05 json {"bn":"/3/0","e":[{"n":"0","sv":"EMQ"}]}"#,
            one("/3/0/0", json!("EMQ")),
        ),
        (
            "JSON of one resource",
            "/3/0/9",
            r#"2.05 json {"bn":"/3/0/9","e":[{"v":95}]}"#,
            one("/3/0/9", json!(95)),
        ),
        (
            "JSON without a value",
            "/3/0",
            r#"2.05 json {"bn":"/3/0/","e":[{"n":"0"}]}"#,
            one("/3/0/0", Json::Null),
        ),
        (
            "JSON Boolean and link",
            "/3442/0",
            r#"2.05 json {"bn":"/3442/0/","e":[{"n":"140","bv":true},{"n":"170","ov":"3:0"}]}"#,
            some(
                json!([{"path": "/3442/0/140", "value": true}, {"path": "/3442/0/170", "value": "3:0"}]),
            ),
        ),
        (
            "t in JSON is the time and not the value",
            "/3303/0/5700",
            r#"2.05 json {"bn":"/3303/0/5700","bt":1600000000,"e":[{"v":20.5,"t":5}]}"#,
            timed("/3303/0/5700", json!(20.5), 1_600_000_005_000),
        ),
        (
            "JSON of an unknown object",
            "/32000/0",
            r#"2.05 json {"bn":"/32000/0/","e":[{"n":"1","v":5}]}"#,
            raw("/32000/0/1", json!(5)),
        ),
        (
            "JSON keeps 64 bits",
            "/3442/0/120",
            r#"2.05 json {"bn":"/3442/0/120","e":[{"v":9223372036854775807}]}"#,
            one("/3442/0/120", json!(i64::MAX)),
        ),
        ("no JSON", "/3/0", "2.05 json {", UNREADABLE),
        (
            "SenML JSON",
            "/3/0",
            r#"2.05 senml-json [{"bn":"/3/0/","n":"0","vs":"EMQ"},{"n":"9","v":95}]"#,
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 95}])),
        ),
        (
            "SenML JSON with a time",
            "/3303/0/5700",
            r#"2.05 senml-json [{"bn":"/3303/0/5700","bt":1600000000,"t":0.5,"v":20.5}]"#,
            timed("/3303/0/5700", json!(20.5), 1_600_000_000_500),
        ),
        (
            "SenML JSON Boolean, Opaque and link",
            "/3442/0",
            r#"2.05 senml-json [{"bn":"/3442/0/","n":"140","vb":false},{"n":"150","vd":"AQL_"},{"n":"170","vlo":"3:0"}]"#,
            some(
                json!([{"path": "/3442/0/140", "value": false}, {"path": "/3442/0/150", "value": "AQL/"}, {"path": "/3442/0/170", "value": "3:0"}]),
            ),
        ),
        (
            "SenML CBOR",
            "/3/0",
            "2.05 senml-cbor 82 A3 21 65 2F 33 2F 30 2F 00 61 30 03 63 45 4D 51 A2 00 61 39 02 18 5F",
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 95}])),
        ),
        ("CBOR of an Integer", "/3/0/9", "2.05 cbor 18 5F", one("/3/0/9", json!(95))),
        ("CBOR of a String", "/3/0/0", "2.05 cbor 63 45 4D 51", one("/3/0/0", json!("EMQ"))),
        ("CBOR of a Float", "/3303/0/5700", "2.05 cbor F9 4D 60", one("/3303/0/5700", json!(21.5))),
        (
            "LwM2M CBOR",
            "/3/0",
            "2.05 lwm2m-cbor A1 03 A1 00 A2 00 63 45 4D 51 09 18 5F",
            some(json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 95}])),
        ),
        ("CBOR that is cut off", "/3/0/0", "2.05 cbor 63 45", UNREADABLE),
    ];
    play(profile, "others", &rows);
}
