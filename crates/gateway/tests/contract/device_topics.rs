//! Further command topics of single devices, over REST: contract, section 9.1, POST and DELETE of
//! subscriptions, with the broker inside and outside of the gateway.

use std::net::SocketAddr;

use gateway::config::{Config, MqttProtocol, Profile, Topic};
use rumqttc_v5::PublishProperties;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::http::{Answer, Api, escaped, gateway};
use crate::retained::{comes, delete};

in_both_profiles!(embedded, external, external_3_1_1, refusals, shared, settings);

type Play = fn(&Api, &mut Device<'_>);

/// What holds wherever the broker is.
const EVERYWHERE: &[(&str, Play)] = &[
    ("a topic is added, listed, counted and removed", life),
    ("commands on it reach the device, once, and the answer is where answers are", commands),
    ("commands on it are reported like others", reports),
    ("it is removed by either name", either_name),
    ("a Register that replaces the registration keeps it", replaced),
    ("it goes with the registration", ended),
    ("a topic within that of the settings brings nothing twice", within),
    ("the wider of two topics serves both", wider),
    ("an answer is not sent to it", response_topic),
];

fn embedded(profile: Profile) {
    let (gateway, api) = gateway(profile, "device-topics", |_| {});
    play(&gateway, &api, EVERYWHERE);
    play(&gateway, &api, RETAINED);
}

fn external(profile: Profile) {
    let gateway = Gateway::start_external(profile, "device-topics-external", with_http);
    let api = Api::new(gateway.http());
    play(&gateway, &api, EVERYWHERE);
    play(&gateway, &api, RETAINED);
    play(&gateway, &api, &[("it is subscribed to again on a new connection", after_a_cut)]);
}

/// Response Topics are of MQTT 5, and this version does not mark retained messages.
fn external_3_1_1(profile: Profile) {
    let gateway = Gateway::start_external(profile, "device-topics-3-1-1", |config| {
        config.mqtt.protocol = MqttProtocol::V311;
        with_http(config);
    });
    let api = Api::new(gateway.http());
    let is_here = |row: &&(&str, Play)| row.0 != "an answer is not sent to it";
    play(&gateway, &api, &EVERYWHERE.iter().filter(is_here).copied().collect::<Vec<_>>());
}

const RETAINED: &[(&str, Play)] = &[
    ("what the broker keeps on it comes once, when the device gets it", kept),
    ("what the broker keeps on it comes to a second topic as well", kept_for_another),
];

fn with_http(config: &mut Config) {
    config.http.enabled = true;
    config.http.bind = SocketAddr::from(([127, 0, 0, 1], 0));
}

fn play(gateway: &Gateway, api: &Api, rows: &[(&str, Play)]) {
    gateway.play(rows, |row| row.0, |(_, play)| play(api, &mut gateway.registered(&unique_name())));
}

fn topics(device: &Device<'_>) -> String {
    format!("/lwm2m/clients/{}/subscriptions", escaped(&device.name))
}

fn add(api: &Api, device: &Device<'_>, topic: &str) {
    let added = api.post_json(&topics(device), &json!({"topic": topic}));
    assert_eq!((added.status, &added.json), (201, &row(&format!("{}{topic}", device.prefix))));
}

fn remove(api: &Api, device: &Device<'_>, topic: &str) -> Answer {
    api.delete(&format!("{}/{}", topics(device), escaped(topic)))
}

fn row(topic: &str) -> Json {
    json!({"topic": topic, "qos": 0, "nl": 0, "rap": 0, "rh": 1, "sub_props": {}})
}

fn listed(api: &Api, device: &Device<'_>) -> Vec<String> {
    let listed = api.get(&topics(device));
    assert_eq!(listed.status, 200);
    let rows = listed.json.as_array().expect("a list");
    rows.iter().map(|row| row["topic"].as_str().expect("a topic").to_owned()).collect()
}

/// Publishes a command below the mountpoint; the application hears it as well.
fn publish(device: &mut Device<'_>, topic: &str, id: u16) {
    device.gateway.publish(&format!("{}{topic}", device.prefix), &delete(id).to_string());
    assert_eq!(device.published().topic, topic);
}

fn life(api: &Api, device: &mut Device<'_>) {
    let wish = json!({"topic": "cmd/#", "qos": 1, "nl": 1, "rap": 1, "rh": 0, "sub_props": {}});
    let added = api.post_json(&topics(device), &wish);
    let mounted = format!("{}cmd/#", device.prefix);
    let mut expected = wish;
    expected["topic"] = json!(mounted);
    assert_eq!((added.status, &added.json), (201, &expected));
    let standing = format!("{}dn/#", device.prefix);
    assert_eq!(listed(api, device), [standing.as_str(), &mounted]);
    assert_eq!(api.get(&topics(device)).json[1], expected);
    let client = format!("/lwm2m/clients/{}", escaped(&device.name));
    assert_eq!(api.get(&client).json["subscriptions_cnt"], 2);
    // The same again changes its options.
    add(api, device, "cmd/#");
    assert_eq!(api.get(&topics(device)).json[1], row(&mounted));
    assert_eq!(listed(api, device), [standing.as_str(), &mounted]);
    assert_eq!((remove(api, device, "cmd/#").status, api.get(&client).status), (204, 200));
    assert_eq!(listed(api, device), [standing]);
    assert_eq!(api.get(&client).json["subscriptions_cnt"], 1);
    let again = remove(api, device, "cmd/#");
    assert_eq!(again.refusal(), (404, "RESOURCE_NOT_FOUND"));
}

fn commands(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd/+/x");
    publish(device, "cmd/1/x", 1);
    comes(device, 1);
    publish(device, "cmd/1/y", 2);
    device.expect_nothing();
    assert_eq!(remove(api, device, "cmd/+/x").status, 204);
    publish(device, "cmd/1/x", 3);
    device.expect_nothing();
}

fn reports(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd");
    device.gateway.publish(&format!("{}cmd", device.prefix), r#"{"msgType":"jump","data":{}}"#);
    assert_eq!(device.published().topic, "cmd");
    let report = device.published();
    let (code, topic) = (&report.json["data"]["code"], report.topic.as_str());
    assert_eq!((topic, &report.json["msgType"], code), ("up/resp", &json!("jump"), &json!("4.00")));
    device.gateway.publish(&format!("{}cmd", device.prefix), "\"no object\"");
    assert_eq!(device.published().topic, "cmd");
    device.expect_nothing();
}

fn either_name(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd/a");
    let mounted = format!("{}cmd/a", device.prefix);
    assert_eq!(remove(api, device, &mounted).status, 204);
    assert_eq!(listed(api, device).len(), 1);
}

fn replaced(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd");
    device.register(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "register");
    publish(device, "cmd", 1);
    comes(device, 1);
    assert_eq!(listed(api, device).len(), 2);
}

fn ended(api: &Api, device: &mut Device<'_>) {
    for end in ["deregister", "kick"] {
        add(api, device, "cmd");
        if end == "deregister" {
            device.deregister();
        } else {
            let client = format!("/lwm2m/clients/{}", escaped(&device.name));
            assert_eq!(api.delete(&client).status, 204);
        }
        assert_eq!(api.get(&topics(device)).status, 404);
        device.register(&[], LINKS);
        assert_eq!(device.published().json["msgType"], "register", "{end}");
        assert_eq!(listed(api, device).len(), 1, "{end}");
        publish(device, "cmd", 1);
        device.expect_nothing();
    }
}

fn within(api: &Api, device: &mut Device<'_>) {
    add(api, device, "dn/dm");
    device.publish(&delete(1));
    comes(device, 1);
    device.expect_nothing();
    // The topic of the settings is there already, and stays.
    assert_eq!(api.post_json(&topics(device), &json!({"topic": "dn/#"})).status, 201);
    assert_eq!(listed(api, device).len(), 2);
    assert_eq!(remove(api, device, "dn/#").refusal(), (400, "BAD_REQUEST"));
    assert_eq!(remove(api, device, "dn/dm").status, 204);
    device.publish(&delete(2));
    comes(device, 2);
}

fn wider(api: &Api, device: &mut Device<'_>) {
    for topic in ["cmd/a", "cmd/#", "cmd/+"] {
        add(api, device, topic);
    }
    publish(device, "cmd/a", 1);
    comes(device, 1);
    device.expect_nothing();
    assert_eq!(remove(api, device, "cmd/#").status, 204);
    publish(device, "cmd/a", 2);
    comes(device, 2);
    assert_eq!(remove(api, device, "cmd/+").status, 204);
    publish(device, "cmd/a", 3);
    comes(device, 3);
    publish(device, "cmd/b", 4);
    device.expect_nothing();
}

fn response_topic(api: &Api, device: &mut Device<'_>) {
    add(api, device, "answers");
    let response_topic = Some(format!("{}answers", device.prefix));
    let properties = PublishProperties { response_topic, ..PublishProperties::default() };
    let topic = format!("{}dn/dm", device.prefix);
    device.gateway.publish_with(&topic, &delete(1).to_string(), properties);
    let report = device.published();
    assert_eq!((report.topic.as_str(), &report.json["data"]["code"]), ("up/resp", &json!("4.00")));
    device.expect_nothing();
}

fn kept(api: &Api, device: &mut Device<'_>) {
    device.gateway.retain(&format!("{}cmd/a", device.prefix), &delete(1).to_string());
    assert_eq!(device.published().topic, "cmd/a");
    add(api, device, "cmd/#");
    comes(device, 1);
    device.register(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "register");
    device.expect_nothing();
    device.gateway.retain(&format!("{}cmd/a", device.prefix), "");
    assert_eq!(device.published_text(), "");
    device.expect_nothing();
}

fn kept_for_another(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd/#");
    device.gateway.retain(&format!("{}cmd/a", device.prefix), &delete(1).to_string());
    assert_eq!(device.published().topic, "cmd/a");
    comes(device, 1);
    add(api, device, "cmd/a");
    comes(device, 1);
    device.expect_nothing();
}

fn after_a_cut(api: &Api, device: &mut Device<'_>) {
    add(api, device, "cmd");
    device.gateway.cut(|| {});
    publish(device, "cmd", 1);
    comes(device, 1);
    device.expect_nothing();
}

fn refusals(profile: Profile) {
    let (gateway, api) = gateway(profile, "device-topics-refused", |_| {});
    let device = gateway.registered("d");
    let long = "x".repeat(1_024);
    // Topic, and what the message names.
    let rows: &[(&str, &str)] = &[
        ("", "empty"),
        ("#", "up/resp"),
        ("up/#", "up/resp"),
        ("up/resp", "up/resp"),
        ("+/notify", "up/notify"),
        ("/v1/up/dm", "/v1/up/dm"),
        ("+/x", "lwm2m/+/dn/#"),
        ("a/#/b", "wildcard"),
        ("a#", "wildcard"),
        ("a\u{0}", "NUL"),
        ("a\u{7}", "control"),
        (&long, "1024"),
    ];
    gateway.play(
        rows,
        |row| row.0,
        |(topic, named)| {
            let refused = api.post_json(&topics(&device), &json!({"topic": topic}));
            assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{topic:?}");
            let message = refused.message();
            assert!(message.starts_with("topic:") && message.contains(named), "{message}");
        },
    );
    for (member, value) in
        [("qos", json!(3)), ("nl", json!(2)), ("rap", json!(2)), ("rh", json!(2)), ("x", json!(1))]
    {
        let refused = api.post_json(&topics(&device), &json!({"topic": "cmd", member: value}));
        assert_eq!(refused.refusal(), (400, "BAD_REQUEST"), "{member}");
        assert!(refused.message().contains(member), "{}", refused.message());
    }
    assert_eq!(api.post_json(&topics(&device), &json!({})).refusal(), (400, "BAD_REQUEST"));
    add(&api, &device, "a/+/c");
    let refused = api.post_json(&topics(&device), &json!({"topic": "a/b/+"}));
    assert!(refused.message().contains("a/+/c"), "{}", refused.message());
    for number in 1..16 {
        add(&api, &device, &format!("n/{number}"));
    }
    let refused = api.post_json(&topics(&device), &json!({"topic": "n/16"}));
    assert_eq!((refused.status, refused.message().contains("16 topics")), (400, true));
    assert_eq!(listed(&api, &device).len(), 17);
    let nobody = gateway.device("nobody");
    let refused = api.post_json(&topics(&nobody), &json!({"topic": "cmd"}));
    assert_eq!(refused.refusal(), (404, "RESOURCE_NOT_FOUND"));
    assert_eq!(remove(&api, &nobody, "cmd").refusal(), (404, "RESOURCE_NOT_FOUND"));
}

/// With a mountpoint that names no device, several can have the same topic.
fn shared(profile: Profile) {
    let (gateway, api) = gateway(profile, "device-topics-shared", |config| {
        config.lwm2m.mountpoint = "lwm2m/".to_owned();
        for (topic, text) in [
            (&mut config.lwm2m.topics.command, "%e/dn/#"),
            (&mut config.lwm2m.topics.response, "%e/up/resp"),
            (&mut config.lwm2m.topics.notify, "%e/up/notify"),
            (&mut config.lwm2m.topics.register, "%e/up/resp"),
            (&mut config.lwm2m.topics.update, "%e/up/resp"),
        ] {
            *topic = Topic::new(text);
        }
    });
    let (mut one, mut two) = (gateway.registered("one"), gateway.registered("two"));
    for device in [&one, &two] {
        let added = api.post_json(&topics(device), &json!({"topic": "group/7/all"}));
        assert_eq!((added.status, &added.json["topic"]), (201, &json!("lwm2m/group/7/all")));
    }
    gateway.publish("lwm2m/group/7/all", &delete(1).to_string());
    comes(&mut one, 1);
    comes(&mut two, 1);
    // One device's topic within the command topic of the other: each gets it.
    assert_eq!(api.post_json(&topics(&two), &json!({"topic": "one/dn/dm"})).status, 201);
    gateway.publish("lwm2m/one/dn/dm", &delete(2).to_string());
    comes(&mut one, 2);
    comes(&mut two, 2);
    one.deregister();
    gateway.publish("lwm2m/group/7/all", &delete(3).to_string());
    comes(&mut two, 3);
    two.expect_nothing();
}

/// Topics of the settings may not come to publish where a device takes commands.
fn settings(profile: Profile) {
    let (gateway, api) = gateway(profile, "device-topics-settings", |_| {});
    let mut device = gateway.registered("d");
    add(&api, &device, "cmd/#");
    let wish = json!({"translators": {"notify": {"topic": "cmd/notify"}}});
    let refused = api.put_json("/lwm2m", &wish);
    assert_eq!(refused.refusal(), (400, "BAD_REQUEST"));
    assert!(refused.message().contains("lwm2m/d/cmd/#"), "{}", refused.message());
    // Another mountpoint leaves the topic where it is.
    assert_eq!(api.put_json("/lwm2m", &json!({"mountpoint": "other/%e/"})).status, 204);
    publish(&mut device, "cmd/1", 1);
    let request = device.receive();
    device.answer(&request, "2.02");
    assert_eq!(device.published_below("other/d/").topic, "up/resp");
    assert_eq!(listed(&api, &device), ["other/d/dn/#", "lwm2m/d/cmd/#"]);
    assert_eq!(remove(&api, &device, "cmd/#").status, 204);
    assert_eq!(api.put_json("/lwm2m", &wish).status, 204);
}
