//! Operations over REST and their results: section 9.2.

use gateway::config::{Profile, Report};
use serde_json::{Value as Json, json};

use crate::bench::{Device, unique_name};
use crate::coap::{ACK, Message, RST};
use crate::http::{Api, escaped, gateway};

in_both_profiles!(operations, lookups, definitions, ends);

fn lookup(api: &Api, device: &Device<'_>, action: &str, path: &str) -> Json {
    let (name, path) = (&device.name, escaped(path));
    let found = api.get(&format!("/lwm2m/clients/{name}/lookup?path={path}&action={action}"));
    assert_eq!(found.status, 200, "{found:?}");
    found.json
}

/// A row: what is posted, what the device is sent, what it answers, what is published without
/// `reqID`, and where.
type Operation = (&'static str, &'static str, &'static str, fn(Profile) -> (&'static str, Json));

fn operations(profile: Profile) {
    let rows: &[Operation] = &[
        ("read?path=/3/0/0", "GET /3/0/0", "2.05 text EMQ", |_| {
            let content = json!([{"path": "/3/0/0", "value": "EMQ"}]);
            (
                "up/resp",
                json!({"msgType": "read", "data": {"reqPath": "/3/0/0", "code": "2.05",
                               "codeMsg": "content", "content": content}}),
            )
        }),
        ("write?path=/3/0/14&type=String&value=%2B02", "PUT /3/0/14", "2.04", |_| {
            (
                "up/resp",
                json!({"msgType": "write", "data": {"reqPath": "/3/0/14", "code": "2.04",
                               "codeMsg": "changed"}}),
            )
        }),
        (
            "observe?path=/3/0/9&enable=true",
            "GET /3/0/9 observe=0",
            "2.05 observe=0 text 95",
            |_| {
                let content = json!([{"path": "/3/0/9", "value": 95}]);
                (
                    "up/resp",
                    json!({"msgType": "observe", "data": {"reqPath": "/3/0/9", "code": "2.05",
                               "codeMsg": "content", "content": content}}),
                )
            },
        ),
        ("observe?path=/3/0/9&enable=0", "GET /3/0/9 observe=1", "2.05 text 95", |_| {
            let content = json!([{"path": "/3/0/9", "value": 95}]);
            (
                "up/resp",
                json!({"msgType": "cancel-observe", "data": {"reqPath": "/3/0/9",
                               "code": "2.05", "codeMsg": "content", "content": content}}),
            )
        }),
    ];
    let (gateway, api) = gateway(profile, "rest-operations", |_| {});
    let mut device = gateway.registered(&unique_name());
    for (posted, sent, answered, published) in rows {
        let taken = api.post(&format!("/lwm2m/clients/{}/{posted}", device.name));
        assert_eq!((taken.status, taken.json), (204, Json::Null), "{posted}");
        let request = device.receive();
        assert!(request.shown().starts_with(sent), "{posted}: {}", request.shown());
        device.answer(&request, answered);
        let (topic, json) = published(profile);
        device.expect(topic, &json);
    }
}

fn lookups(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-lookups", |_| {});
    let mut device = gateway.registered(&unique_name());
    let name = device.name.clone();
    let none = |action: &str, path: &str| {
        json!({"clientid": name, "action": action, "path": path, "code": "6.01",
               "codeMsg": "reply_not_received"})
    };
    // Never asked, and asked but not answered.
    assert_eq!(lookup(&api, &device, "read", "/3/0/0"), none("read", "/3/0/0"));
    let request = device.command(&json!({"msgType": "read", "data": {"path": "3/0/0/"}}));
    assert_eq!(lookup(&api, &device, "read", "/3/0/0"), none("read", "/3/0/0"));
    // Answered; the path is compared by what it means.
    device.answer(&request, "2.05 text EMQ");
    device.published();
    let answered = json!({"clientid": name, "action": "read", "path": "/3/0/0", "code": "2.05",
                          "codeMsg": "content",
                          "content": [{"path": "/3/0/0", "value": "EMQ"}]});
    assert_eq!(lookup(&api, &device, "read", "/3/0/0"), answered);
    assert_eq!(lookup(&api, &device, "read", "/3/0/1"), none("read", "/3/0/1"));
    assert_eq!(lookup(&api, &device, "write", "/3/0/0"), none("write", "/3/0/0"));
    // An error has no content; a new command takes the result away.
    let request = device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    assert_eq!(lookup(&api, &device, "read", "/3/0/0"), none("read", "/3/0/0"));
    device.answer(&request, "4.04");
    device.published();
    let refused = json!({"clientid": name, "action": "read", "path": "/3/0/0", "code": "4.04",
                         "codeMsg": "not_found"});
    assert_eq!(lookup(&api, &device, "read", "/3/0/0"), refused);
    waiting(&api, &device);
}

/// `wait` returns what lookup would.
fn waiting(api: &Api, device: &Device<'_>) {
    let client = format!("/lwm2m/clients/{}", device.name);
    let execute = json!({"msgType": "execute", "data": {"path": "/3/0/4", "args": "5"}});
    std::thread::scope(|threads| {
        let asked = threads.spawn(|| api.post(&format!("{client}/read?path=/3/0/1&wait=10")));
        let request = device.receive();
        device.answer(&request, "2.05 text 500");
        let answer = asked.join().unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json, lookup(api, device, "read", "/3/0/1"));
        assert_eq!(answer.json["content"], json!([{"path": "/3/0/1", "value": "500"}]));

        let asked = threads.spawn(|| api.post_json(&format!("{client}/command?wait=10"), &execute));
        let request = device.receive();
        assert!(request.shown().starts_with("POST /3/0/4"), "{}", request.shown());
        device.answer(&request, "2.04");
        let answer = asked.join().unwrap().json;
        assert_eq!((&answer["action"], &answer["code"]), (&json!("execute"), &json!("2.04")));
    });
    let late = api.post(&format!("{client}/read?path=/3/0/2&wait=0"));
    assert_eq!((late.status, &late.json["code"]), (200, &json!("6.01")));
    let request = device.receive();
    device.answer(&request, "2.05 text 1");
}

/// What a discover found, by the object definitions.
fn definitions(profile: Profile) {
    type Row = (&'static str, &'static str, Json);
    let rows: &[Row] = &[
        (
            "/3/0",
            "</3/0>,</3/0/0>,</3/0/4>,</3/0/9>;pmin=10,</3/0/13>",
            json!([
                {"path": "/3/0/0", "name": "Manufacturer", "operations": "R",
                 "dataType": "String"},
                {"path": "/3/0/4", "name": "Reboot", "operations": "E"},
                {"path": "/3/0/9", "name": "Battery Level", "operations": "R",
                 "dataType": "Integer"},
                {"path": "/3/0/13", "name": "Current Time", "operations": "RW",
                 "dataType": "Time"},
            ]),
        ),
        ("/3/0/9", "</3/0/9>", json!([])),
        ("/32000/0", "</32000/0>,</32000/0/1>", json!([{"/32000/0/1": "/32000/0/1"}])),
    ];
    let (gateway, api) = gateway(profile, "rest-definitions", |_| {});
    let mut device = gateway.registered(&unique_name());
    for (path, links, content) in rows {
        let request = device.command(&json!({"msgType": "discover", "data": {"path": path}}));
        let answer = Message::answer(&request, "2.05 link");
        device.send(&answer.body(links.as_bytes()));
        device.published();
        let found = lookup(&api, &device, "discover", path);
        assert_eq!(found["code"], "2.05", "{path}");
        assert_eq!(&found["content"], content, "{path}");
    }
}

/// Commands without an answer: the reason is told here even where the profile is silent on MQTT.
fn ends(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-ends", |config| {
        config.lwm2m.report = Report::Profile;
    });
    let device = gateway.registered(&unique_name());
    let request = device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    device.send(&Message::new(RST, 0, request.id, &[]));
    let client = format!("/lwm2m/clients/{}", device.name);
    std::thread::scope(|threads| {
        let next = threads.spawn(|| api.post(&format!("{client}/read?path=/3/0/1&wait=10")));
        let request = device.receive();
        device.answer(&request, "2.05 text 1");
        assert_eq!(next.join().unwrap().status, 200);
    });
    let reset = lookup(&api, &device, "read", "/3/0/0");
    assert_eq!((&reset["code"], &reset["codeMsg"]), (&json!("6.01"), &json!("reply_not_received")));
    assert_eq!(reset["reason"], "reset");

    // Of a device that says that it has the command and then nothing.
    let data = json!({"path": "/3/0/2", "timeout": 0.2});
    let asked = json!({"msgType": "read", "data": data});
    std::thread::scope(|threads| {
        let waits = threads.spawn(|| api.post_json(&format!("{client}/command?wait=10"), &asked));
        let request = device.receive();
        device.send(&Message::new(ACK, 0, request.id, &[]));
        let timeout = waits.join().unwrap().json;
        assert_eq!((&timeout["code"], &timeout["reason"]), (&json!("6.01"), &json!("timeout")));
    });
    device.deregister();
}
