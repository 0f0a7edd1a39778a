//! The content format that a device is written in, and composite operations: what is beyond EMQX.
//! Facts 53 and 64 to 66.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::coap::{ACCEPT, CONTENT_FORMAT, NON, code_name};

in_both_profiles!(formats);

type Play = fn(&mut Device<'_>);

fn formats(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("TLV refused by 4.15 is followed by SenML, once, and remembered", a_refused_format),
        ("a ct without TLV is obeyed", a_listed_format),
        ("a format that the command states is not changed", a_stated_format),
        ("an Accept refused by 4.06 is left out", a_refused_accept),
        ("a path list in the format of the device", a_path_list),
        ("4.05 to a composite operation is remembered until the next Register", unsupported),
        ("cancel-observe with paths ends a composite observation", cancel_by_paths),
    ];
    let gateway = Gateway::start(profile, "formats");
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

fn write(id: u16, format: Option<&str>) -> Json {
    let mut data = json!({"path": "/3/0/14", "type": "String", "value": "+01:00"});
    if let Some(format) = format {
        data["format"] = json!(format);
    }
    json!({"reqID": id, "msgType": "write", "data": data})
}

fn wrote(id: u16, code: &str, message: &str) -> Json {
    let data = json!({"reqPath": "/3/0/14", "code": code, "codeMsg": message});
    json!({"reqID": id, "msgType": "write", "data": data})
}

fn a_refused_format(device: &mut Device<'_>) {
    let request = device.command(&write(1, None));
    assert_eq!(request.number(CONTENT_FORMAT), Some(11542));
    device.answer(&request, "4.15");
    let second = device.receive();
    assert_eq!(
        (code_name(second.code).as_str(), second.number(CONTENT_FORMAT)),
        ("PUT", Some(112))
    );
    device.answer(&second, "2.04");
    device.expect("up/resp", &wrote(1, "2.04", "changed"));
    let request = device.command(&write(2, None));
    assert_eq!(request.number(CONTENT_FORMAT), Some(112));
    device.answer(&request, "4.15");
    let last = device.receive();
    device.answer(&last, "4.15");
    device.expect("up/resp", &wrote(2, "4.15", "unsupported_content_format"));
    device.register(&[], LINKS);
    device.published();
    let request = device.command(&write(3, None));
    assert_eq!(request.number(CONTENT_FORMAT), Some(11542), "a new registration");
    device.answer(&request, "2.04");
    device.expect("up/resp", &wrote(3, "2.04", "changed"));
}

fn a_listed_format(device: &mut Device<'_>) {
    for (ct, format) in [("110", 110), ("112 110", 112), ("11542 110", 11542), ("11543", 11543)] {
        device.register(&[], &format!("</>;rt=\"oma.lwm2m\";ct=\"{ct}\",</3/0>"));
        device.published();
        let request = device.command(&write(1, None));
        assert_eq!(request.number(CONTENT_FORMAT), Some(format), "{ct}");
        device.answer(&request, "2.04");
        device.published();
    }
}

fn a_stated_format(device: &mut Device<'_>) {
    let request = device.command(&write(1, Some("senml-json")));
    assert_eq!(request.number(CONTENT_FORMAT), Some(110));
    assert_eq!(request.payload, br#"[{"bn":"/3/0/14","vs":"+01:00"}]"#);
    device.answer(&request, "4.15");
    device.expect("up/resp", &wrote(1, "4.15", "unsupported_content_format"));
}

fn a_refused_accept(device: &mut Device<'_>) {
    let data = json!({"path": "/3/0/0", "accept": "senml-cbor"});
    let request = device.command(&json!({"msgType": "read", "data": data}));
    assert_eq!(request.number(ACCEPT), Some(112));
    device.answer(&request, "4.06");
    let second = device.receive();
    assert_eq!(second.shown(), "GET /3/0/0");
    device.answer(&second, "2.05 text EMQ");
    assert_eq!(device.published().json["data"]["content"][0]["value"], "EMQ");
}

fn composite(id: u16, message: &str) -> Json {
    json!({"reqID": id, "msgType": message, "data": {"paths": ["/3/0/0", "/3303/0/5700"]}})
}

const VALUES: &str = r#"senml-json [{"n":"/3/0/0","vs":"EMQ"},{"n":"/3303/0/5700","v":20.5}]"#;

fn a_path_list(device: &mut Device<'_>) {
    device.register(&[], "</>;rt=\"oma.lwm2m\";ct=\"110\",</3/0>,</3303/0>");
    device.published();
    let request = device.command(&composite(1, "read-composite"));
    assert_eq!(code_name(request.code), "FETCH");
    assert_eq!(request.number(CONTENT_FORMAT), Some(110));
    assert_eq!(request.payload, br#"[{"n":"/3/0/0"},{"n":"/3303/0/5700"}]"#);
    device.answer(&request, "2.05 senml-json [{\"n\":\"/3/0/0\",\"vs\":\"EMQ\"}]");
    let content = json!([{"path": "/3/0/0", "value": "EMQ"}]);
    let data = json!({"reqPath": null, "code": "2.05", "codeMsg": "content", "content": content});
    device.expect("up/resp", &json!({"reqID": 1, "msgType": "read-composite", "data": data}));
}

fn lacks(id: u16, message: &str, code: (&str, &str)) -> Json {
    let data = json!({"reqPath": null, "code": code.0, "codeMsg": code.1,
                      "reason": "composite_unsupported"});
    json!({"reqID": id, "msgType": message, "data": data})
}

fn unsupported(device: &mut Device<'_>) {
    let request = device.command(&composite(1, "read-composite"));
    device.answer(&request, "4.05");
    let refused = ("4.05", "method_not_allowed");
    device.expect("up/resp", &lacks(1, "read-composite", refused));
    device.publish(&composite(2, "observe-composite"));
    let unknown = ("5.01", "not_implemented");
    device.expect("up/resp", &lacks(2, "observe-composite", unknown));
    device.expect_nothing();
    device.register(&[], LINKS);
    device.published();
    let request = device.command(&composite(3, "read-composite"));
    device.answer(&request, &format!("2.05 {VALUES}"));
    assert_eq!(device.published().json["data"]["content"].as_array().unwrap().len(), 2);
}

fn cancel_by_paths(device: &mut Device<'_>) {
    let request = device.command(&composite(1, "observe-composite"));
    device.answer(&request, &format!("2.05 observe=0 {VALUES}"));
    assert_eq!(device.published().json["msgType"], "observe-composite");
    device.separately(NON, &request, &format!("2.05 observe=1 {VALUES}"));
    let notified = device.published();
    assert_eq!((notified.topic.as_str(), &notified.json["seqNum"]), ("up/notify", &json!(1)));
    assert_eq!(notified.json["data"]["content"].as_array().unwrap().len(), 2, "the whole set");
    let cancel = device.command(&composite(2, "cancel-observe"));
    assert_eq!((code_name(cancel.code).as_str(), &cancel.token), ("FETCH", &request.token));
    assert_eq!(cancel.payload, request.payload);
    device.answer(&cancel, &format!("2.05 {VALUES}"));
    let published = device.published();
    assert_eq!(published.json["msgType"], "cancel-observe");
    assert_eq!(published.json["data"]["code"], "2.05");
    let id = device.separately(NON, &request, &format!("2.05 observe=2 {VALUES}"));
    device.reset(id);
    device.expect_nothing();
}
