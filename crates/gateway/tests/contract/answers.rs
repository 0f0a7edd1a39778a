//! Codes of answers, and which of them bring content: contract, sections 4.1 and 4.2.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{By, Gateway, unique_name};
use By::Both;

in_both_profiles!(codes, answers, discoveries);

fn codes(profile: Profile) {
    let rows: &[(&str, &str, &str)] = &[
        ("2.01", "created", "created"),
        ("2.02", "deleted", "deleted"),
        ("2.03", "valid", "valid"),
        ("2.04", "changed", "changed"),
        ("2.07", "unknown", "unknown"),
        ("2.31", "continue", "continue"),
        ("4.00", "bad_request", "bad_request"),
        ("4.01", "uauthorized", "unauthorized"),
        ("4.02", "bad_option", "bad_option"),
        ("4.03", "forbidden", "forbidden"),
        ("4.04", "not_found", "not_found"),
        ("4.05", "method_not_allowed", "method_not_allowed"),
        ("4.06", "not_acceptable", "not_acceptable"),
        ("4.08", "request_entity_incomplete", "request_entity_incomplete"),
        ("4.09", "conflict", "conflict"),
        ("4.12", "precondition_failed", "precondition_failed"),
        ("4.13", "request_entity_too_large", "request_entity_too_large"),
        ("4.15", "unsupported_content_format", "unsupported_content_format"),
        ("4.22", "unprocessable_entity", "unprocessable_entity"),
        ("4.29", "too_many_requests", "too_many_requests"),
        ("4.30", "unknown", "unknown"),
        ("5.00", "internal_server_error", "internal_server_error"),
        ("5.01", "not_implemented", "not_implemented"),
        ("5.02", "bad_gateway", "bad_gateway"),
        ("5.03", "service_unavailable", "service_unavailable"),
        ("5.04", "gateway_timeout", "gateway_timeout"),
        ("5.05", "proxying_not_supported", "proxying_not_supported"),
        ("5.08", "hop_limit_reached", "hop_limit_reached"),
        ("5.31", "unknown", "unknown"),
    ];
    let gateway = Gateway::start(profile, "codes");
    for message in ["read", "execute", "create", "delete", "write-attr", "observe"] {
        gateway.play(
            rows,
            |row| row.0,
            |(code, four, five)| {
                let mut device = gateway.registered(&unique_name());
                let mut command =
                    json!({"reqID": 1, "msgType": message, "data": {"path": "/3303"}});
                if message == "create" {
                    // Otherwise 4.15 is not the end: another format is tried.
                    command["data"]["format"] = "tlv".into();
                }
                device.answer(&device.command(&command), code);
                let text = if profile == Profile::Emqx4 { four } else { five };
                let mut published = device.published();
                // Without Observe option the first answer of an observation is a notification in
                // profile 4; that is the matter of another table.
                if message == "observe" && code.starts_with('2') {
                    published.json =
                        json!({"reqID": 1, "msgType": message, "data": published.json["data"]});
                    published.topic = "up/resp".to_owned();
                }
                let data = json!({"reqPath": "/3303", "code": code, "codeMsg": text});
                let expected = json!({"reqID": 1, "msgType": message, "data": data});
                assert_eq!((published.topic.as_str(), published.json), ("up/resp", expected));
            },
        );
    }
}

/// Name, `msgType`, path, answer, and what `data` is beside `reqPath`.
type Row = (&'static str, &'static str, &'static str, &'static str, By<Json>);

fn code(code: &str, text: &str) -> By<Json> {
    Both(json!({"code": code, "codeMsg": text}))
}

fn content(content: Json) -> By<Json> {
    Both(json!({"code": "2.05", "codeMsg": "content", "content": content}))
}

fn play(profile: Profile, name: &str, rows: &[Row]) {
    let gateway = Gateway::start(profile, name);
    gateway.play(
        rows,
        |row| row.0,
        |(_, message, path, answer, data)| {
            let mut device = gateway.registered(&unique_name());
            let command = json!({"reqID": 1, "msgType": message, "data": {"path": path}});
            device.answer(&device.command(&command), answer);
            let mut data = data.of(profile);
            data["reqPath"] = json!(path);
            device.expect("up/resp", &json!({"reqID": 1, "msgType": message, "data": data}));
        },
    );
}

fn answers(profile: Profile) {
    let rows: Vec<Row> = vec![
        ("an error has no content", "read", "/3/0/0", "4.04", code("4.04", "not_found")),
        (
            "the text of an error is not published",
            "read",
            "/3/0/0",
            "4.04 text no such thing",
            code("4.04", "not_found"),
        ),
        (
            "an error with a payload in TLV",
            "read",
            "/3/0/0",
            "4.00 tlv C3 00 45 4D 51",
            code("4.00", "bad_request"),
        ),
        (
            "2.03 with payload",
            "read",
            "/3/0/0",
            "2.03 text EMQ",
            Both(
                json!({"code": "2.03", "codeMsg": "valid", "content": [{"path": "/3/0/0", "value": "EMQ"}]}),
            ),
        ),
        (
            "2.04 with payload",
            "read",
            "/3/0/0",
            "2.04 text EMQ",
            Both(
                json!({"code": "2.04", "codeMsg": "changed", "content": [{"path": "/3/0/0", "value": "EMQ"}]}),
            ),
        ),
        ("a read answered 2.02", "read", "/3/0/0", "2.02 text EMQ", code("2.02", "deleted")),
        ("an execute answered 2.05", "execute", "/3/0/4", "2.05 text EMQ", code("2.05", "content")),
        (
            "a write-attr answered 2.05",
            "write-attr",
            "/3/0/4",
            "2.05 text EMQ",
            code("2.05", "content"),
        ),
        ("a discover answered 2.04", "discover", "/3/0", "2.04", code("2.04", "changed")),
        (
            "a cancel-observe answered 2.04",
            "cancel-observe",
            "/3/0/9",
            "2.04",
            code("2.04", "changed"),
        ),
        ("a create answered 2.04", "create", "/3303", "2.04", code("2.04", "changed")),
        ("a delete answered 2.04", "delete", "/3303/0", "2.04", code("2.04", "changed")),
        (
            "the location of a create is not published",
            "create",
            "/3303",
            "2.01",
            code("2.01", "created"),
        ),
        (
            "an observe that is refused",
            "observe",
            "/3/0/9",
            "4.05",
            code("4.05", "method_not_allowed"),
        ),
        (
            "cancel-observe has the value",
            "cancel-observe",
            "/3/0/9",
            "2.05 text 94",
            content(json!([{"path": "/3/0/9", "value": 94}])),
        ),
        (
            "2.05 that cannot be decoded is 4.00",
            "read",
            "/3/0/0",
            "2.05 tlv C3 00 45",
            code("4.00", "bad_request"),
        ),
        (
            "2.05 without payload in TLV is 4.00",
            "read",
            "/3/0",
            "2.05 tlv",
            code("4.00", "bad_request"),
        ),
    ];
    play(profile, "answers", &rows);
    let gateway = Gateway::start(profile, "write-answers");
    // A write answered with another success code: as it came, without content.
    let writes =
        [("2.05", "content"), ("2.05 text 1", "content"), ("2.01", "created"), ("2.04", "changed")];
    gateway.play(
        &writes,
        |row| row.0,
        |(answer, text)| {
            let mut device = gateway.registered(&unique_name());
            let data = json!({"path": "/3/0/14", "type": "String", "value": "x"});
            let command = json!({"msgType": "write", "data": data});
            device.answer(&device.command(&command), answer);
            let data = json!({"reqPath": "/3/0/14", "code": &answer[..4], "codeMsg": text});
            device.expect("up/resp", &json!({"msgType": "write", "data": data}));
        },
    );
    echoes(&gateway);
}

/// Everything beside `msgType` and `data` comes back as it came.
fn echoes(gateway: &Gateway) {
    // What is sent, and what comes back if it differs.
    let rows: &[(&str, &str)] = &[
        (r#""reqID":1"#, ""),
        (r#""reqID":"1""#, ""),
        (r#""reqID":null"#, ""),
        (r#""reqID":18446744073709551615,"x":-9223372036854775808"#, ""),
        (r#""reqID":123456789012345678901234567890"#, ""),
        (r#""x":1.10,"y":1E5,"z":1e400,"n":-0"#, ""),
        (
            r#""requestID":1,"cacheID":2,"imei":"86","imsi":"4","serverID":[1,{"a":[]}],"mheaders":{"ttl":7200}"#,
            "",
        ),
        (r#""a":"\u00e9\ud83d\ude00\"\\\/","b":true,"c":{}"#, ""),
        (r#""reqID":1,"reqID":2"#, r#""reqID":2"#),
        (r#""code":"9.99","topic":"x""#, ""),
    ];
    gateway.play(
        rows,
        |row| row.0,
        |(echoed, back)| {
            let mut device = gateway.registered(&unique_name());
            device.publish_text(&format!(
                r#"{{{echoed},"msgType":"delete","data":{{"path":"3/0"}}}}"#
            ));
            device.answer(&device.receive(), "2.02");
            let back = if back.is_empty() { echoed } else { back };
            let payload = device.published_text();
            assert!(payload.contains(back), "{payload}");
            let data = r#""data":{"reqPath":"3/0","code":"2.02","codeMsg":"deleted"}"#;
            assert!(payload.contains(data), "{payload}");
        },
    );
    // The last of a repeated member counts, in data as well.
    let mut device = gateway.registered(&unique_name());
    device.publish_text(r#"{"msgType":"read","msgType":"delete","data":{"path":"/1"},"data":{"path":"/2","path":"/3/0"}}"#);
    let request = device.receive();
    assert_eq!(request.shown(), "DELETE /3/0");
    device.answer(&request, "2.02");
    let data = json!({"reqPath": "/3/0", "code": "2.02", "codeMsg": "deleted"});
    device.expect("up/resp", &json!({"msgType": "delete", "data": data}));
}

fn discoveries(profile: Profile) {
    let rows: Vec<Row> = vec![
        (
            "links as the device sent them",
            "discover",
            "/3/0",
            "2.05 link </3/0>;pmin=10,</3/0/0>,</3/0/9>",
            content(json!(["</3/0>;pmin=10", "</3/0/0>", "</3/0/9>"])),
        ),
        (
            "nothing is trimmed",
            "discover",
            "/3/0",
            "2.05 link </3/0>, </3/0/0> ",
            content(json!(["</3/0>", " </3/0/0> "])),
        ),
        (
            "commas inside of quotes do not split",
            "discover",
            "/3/0",
            "2.05 link </3/0>;ct=\"60,110\",</3/0/0>",
            content(json!(["</3/0>;ct=\"60,110\"", "</3/0/0>"])),
        ),
        ("an empty payload is one empty link", "discover", "/3/0", "2.05", content(json!([""]))),
        (
            "the Content-Format is not looked at",
            "discover",
            "/3/0",
            "2.05 bare </3/0>",
            content(json!(["</3/0>"])),
        ),
        ("an error", "discover", "/3/0", "4.04", code("4.04", "not_found")),
    ];
    play(profile, "discoveries", &rows);
}
