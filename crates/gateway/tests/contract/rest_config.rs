//! Configuration and listeners over REST: section 9.1, with the keys of section 1.2.

use std::net::SocketAddr;

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Gateway, register_request, unique_name};
use crate::coap::code_name;
use crate::http::{Api, gateway};

in_both_profiles!(status, shown, changes, listeners, switched_off, refusals);

fn status(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-status", |_| {});
    let device = gateway.registered(&unique_name());
    for (query, count) in [("", 1), ("?status=running", 1), ("?status=stopped", 0)] {
        let listed = api.get(query);
        assert_eq!(listed.json.as_array().map(Vec::len), Some(count), "{query}");
    }
    assert_eq!(api.get("?status=unloaded").json, json!([]));
    assert_eq!(api.get("?status=paused").refusal(), (400, "BAD_REQUEST"));
    let row = &api.get("").json[0];
    assert_eq!((&row["name"], &row["status"]), (&json!("lwm2m"), &json!("running")));
    assert_eq!(
        (&row["current_connections"], &row["max_connections"]),
        (&json!(1), &json!(1_000_000))
    );
    let listener = json!({"id": "lwm2m:udp:default", "name": "default", "type": "udp",
                          "running": true});
    assert_eq!(row["listeners"], json!([listener]));
    assert_eq!(row["node_status"][0]["status"], "running");
    for time in ["created_at", "started_at"] {
        assert!(row[time].as_str().is_some_and(|time| time.ends_with('Z')), "{row}");
    }
    drop(device);
}

/// Every key of section 1.2 that means something here, in EMQX's form.
fn shown(profile: Profile) {
    let (_gateway, api) = gateway(profile, "rest-shown", |_| {});
    let shown = api.get("/lwm2m").json;
    for (key, value) in [
        ("name", json!("lwm2m")),
        ("status", json!("running")),
        ("enable", json!(true)),
        ("lifetime_min", json!("1s")),
        ("lifetime_max", json!("864000s")),
        ("qmode_time_window", json!("22s")),
        ("auto_observe", json!(false)),
        ("mountpoint", json!("lwm2m/%e/")),
        ("xml_dir", json!("etc/lwm2m_xml")),
        ("update_msg_publish_condition", json!("")),
        ("needs_restart", json!([])),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    for (name, topic) in [
        ("command", "dn/#"),
        ("response", "up/resp"),
        ("notify", "up/notify"),
        ("register", "up/resp"),
        ("update", "up/resp"),
    ] {
        assert_eq!(shown["translators"][name], json!({"topic": topic, "qos": 0}), "{name}");
    }
    assert_eq!(shown["listeners"][0]["id"], "lwm2m:udp:default");
    // What was read can be written back.
    assert_eq!(api.put_json("/lwm2m", &shown).status, 204);
    assert_eq!(api.get("/lwm2m").json, shown);
}

/// Limits, topics and mountpoint, without a restart.
fn changes(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-changes", |_| {});
    let change = |change: &Json| {
        let changed = api.put_json("/lwm2m", change);
        assert_eq!((changed.status, &changed.json), (204, &Json::Null), "{change}");
    };
    change(&json!({"lifetime_max": "100s", "lifetime_policy": "refuse", "idle_timeout": "30s"}));
    assert_eq!(api.get("/lwm2m").json["lifetime_max"], "100s");
    let device = gateway.device(&unique_name());
    let request = register_request(&device, &["ep=EP", "lt=101", "lwm2m=1.1"], "");
    assert_eq!(code_name(device.ask(&request).code), "4.00");

    change(&json!({
        "lifetime_max": 86_400,
        "mountpoint": "site/${endpoint_name}/",
        "translators": {
            "register": {"topic": "up/register", "qos": 1},
            "response": {"topic": "up/answer", "qos": 0},
        },
    }));
    let mut device = gateway.device(&unique_name());
    device.prefix = format!("site/{}/", device.name);
    device.register(&[], "</3/0>");
    let registered = device.published();
    assert_eq!((registered.topic.as_str(), registered.message.qos), ("up/register", 1));
    let request = device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    device.answer(&request, "2.05 text EMQ");
    assert_eq!(device.published().topic, "up/answer");
    let row = api.get(&format!("/lwm2m/clients/{}", device.name)).json;
    assert_eq!(row["mountpoint"], device.prefix);
}

fn listeners(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-listeners", |_| {});
    let body = json!({"type": "udp", "name": "second", "bind": "127.0.0.1:0",
                      "mountpoint": "second/%e/", "max_connections": 5,
                      "udp_options": {"recbuf": "1MB", "active_n": 100}});
    let added = api.post_json("/lwm2m/listeners", &body);
    assert_eq!(added.status, 201, "{added:?}");
    for (key, value) in [
        ("id", json!("lwm2m:udp:second")),
        ("type", json!("udp")),
        ("name", json!("second")),
        ("enable", json!(true)),
        ("running", json!(true)),
        ("mountpoint", json!("second/%e/")),
        ("max_connections", json!(5)),
        ("recv_buffer", json!("1MB")),
    ] {
        assert_eq!(added.json[key], value, "{key}");
    }
    let path = "/lwm2m/listeners/lwm2m:udp:second";
    assert_eq!(api.get(path).json, added.json);
    assert_eq!(api.get("/lwm2m/listeners").json.as_array().map(Vec::len), Some(2));

    // A device registers there, and is seen.
    let address: SocketAddr = added.json["status"]["address"].as_str().unwrap().parse().unwrap();
    let mut device = gateway.device(&unique_name());
    device.socket.connect(address).unwrap();
    device.prefix = format!("second/{}/", device.name);
    device.register(&[], "</3/0>");
    assert_eq!(device.published().json["msgType"], "register");
    assert_eq!(api.get(path).json["status"]["current_connections"], 1);

    let changed = api.put_json(path, &json!({"max_connections": 7, "type": "udp"}));
    assert_eq!((changed.status, &changed.json["max_connections"]), (200, &json!(7)));
    let removed = api.delete(path);
    assert_eq!((removed.status, removed.json), (204, Json::Null));
    assert_eq!(api.get(path).refusal(), (404, "RESOURCE_NOT_FOUND"));
    assert_eq!(api.get(&format!("/lwm2m/clients/{}", device.name)).status, 404);
    first_listener_works(&gateway);
}

fn first_listener_works(gateway: &Gateway) {
    drop(gateway.registered(&unique_name()));
}

fn switched_off(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-off", |config| {
        // A port of its own: it is given up and taken again.
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        config.listeners.get_mut("default").unwrap().bind = free.local_addr().unwrap();
    });
    let device = gateway.registered(&unique_name());
    assert_eq!(api.put_json("/lwm2m/enable/false", &Json::Null).status, 204);
    assert_eq!(api.get("").json[0]["status"], "stopped");
    assert_eq!(api.get("/lwm2m").json["enable"], false);
    assert_eq!(api.get("/lwm2m/listeners").json[0]["running"], false);
    assert_eq!(api.put_json("/lwm2m", &json!({"enable": true})).status, 204);
    assert_eq!(api.get("").json[0]["status"], "running");
    assert_eq!(device.update(&[], "").shown(), "2.04");
    assert_eq!(api.put_json("/lwm2m/enable/maybe", &Json::Null).refusal(), (400, "BAD_REQUEST"));
}

/// Each says what is wrong by its name, and changes nothing.
fn refusals(profile: Profile) {
    let (gateway, api) = gateway(profile, "rest-config-refusals", |_| {});
    let before = api.get("/lwm2m").json;
    let rows = [
        (json!({"lifetime_mim": "1s"}), "lifetime_mim"),
        (json!({"lifetime_min": "soon"}), "lifetime_min"),
        (json!({"lifetime_min": "100s", "lifetime_max": "10s"}), "lifetime_min"),
        (json!({"mountpoint": "lwm2m/"}), "mountpoint"),
        (json!({"mountpoint": 5}), "mountpoint"),
        (json!({"translators": {"response": {"topic": "+"}}}), "response"),
        (json!({"translators": {"answer": {"topic": "x"}}}), "answer"),
        (json!({"enable": "yes"}), "enable"),
        (json!({"authentication": {}}), "authentication"),
        (json!([]), "body"),
    ];
    gateway.play(
        &rows,
        |row| row.1,
        |(change, named)| {
            let refused = api.put_json("/lwm2m", change);
            assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{change}");
            assert!(refused.message().contains(named), "{change}: {}", refused.message());
        },
    );
    let rows = [
        (json!({"name": "x", "bind": "127.0.0.1:0"}), "type"),
        (json!({"type": "udp", "bind": "127.0.0.1:0"}), "name"),
        (json!({"type": "udp", "name": "x"}), "bind"),
        (json!({"type": "udp", "name": "default", "bind": "127.0.0.1:0"}), "default"),
        (json!({"type": "tcp", "name": "x", "bind": "127.0.0.1:0"}), "type"),
        (json!({"type": "dtls", "name": "x", "bind": "127.0.0.1:0"}), "dtls"),
        (json!({"type": "udp", "name": "x", "bind": "nowhere"}), "bind"),
        (json!({"type": "udp", "name": "x", "bind": "127.0.0.1:0", "bnd": 1}), "bnd"),
    ];
    gateway.play(
        &rows,
        |row| row.1,
        |(listener, named)| {
            let refused = api.post_json("/lwm2m/listeners", listener);
            assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{listener}");
            assert!(refused.message().contains(named), "{listener}: {}", refused.message());
        },
    );
    unknown_listeners(&api);
    for path in ["/coap", "/stomp"] {
        assert_eq!(api.get(path).refusal().0, 404, "{path}");
        assert_eq!(api.put_json(path, &json!({})).refusal().0, 404, "{path}");
        let enable = api.put_json(&format!("{path}/enable/true"), &Json::Null);
        assert_eq!(enable.refusal().0, 404, "{path}");
        assert_eq!(api.get(&format!("{path}/clients")).refusal().0, 404, "{path}");
    }
    assert_eq!(api.get("/lwm2m").json, before);
}

fn unknown_listeners(api: &Api) {
    for id in ["lwm2m:udp:none", "lwm2m:dtls:default", "coap:udp:default", "default", ""] {
        let path = format!("/lwm2m/listeners/{id}");
        assert_eq!(api.get(&path).status, 404, "{id}");
        assert_eq!(api.delete(&path).status, 404, "{id}");
        assert_eq!(api.put_json(&path, &json!({"max_connections": 1})).status, 404, "{id}");
    }
}
