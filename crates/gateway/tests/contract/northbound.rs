//! Topics, flags, and what MQTT 5 adds: contract, section 8.

use bytes::Bytes;
use gateway::config::{Profile, Topic};
use rumqttc_v5::PublishProperties;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, unique_name};
use crate::coap::{ACK, CON, Message, NON};

in_both_profiles!(messages, mountpoints);

type Play = fn(&mut Device<'_>);

fn messages(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("uplinks have QoS 0 and are not retained", flags),
        ("every topic below dn is a command topic, and dn itself", command_topics),
        ("other topics are none", other_topics),
        ("the command subscription is there before the registration is published", at_once),
        ("register, update and answers keep their order on one topic", order),
        ("the answer goes to its response topic, too, with correlation data", response_topics),
        ("a response topic that is the usual one gets the answer once", usual_response_topic),
        ("the first answer of an observe goes to its response topic, too", observed_elsewhere),
        ("the ends of commands that wait go to their response topics, too", ends_elsewhere),
        ("a report goes to the response topic as well", reports_to_response_topics),
        ("notifications stay on their topic", notifications_of_response_topics),
        ("response topics that are refused", bad_response_topics),
        ("a message that expires in the queue", message_expiry),
        ("an uplink is no command", uplinks_as_commands),
    ];
    let gateway = Gateway::start(profile, "messages");
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

fn delete(id: u16) -> Json {
    json!({"reqID": id, "msgType": "delete", "data": {"path": "/3303/0"}})
}

fn deleted(id: u16) -> Json {
    let data = json!({"reqPath": "/3303/0", "code": "2.02", "codeMsg": "deleted"});
    json!({"reqID": id, "msgType": "delete", "data": data})
}

fn flags(device: &mut Device<'_>) {
    device.register(&[], "</5/0>");
    assert_plain(device, "register");
    device.update(&[], "</5/0>");
    assert_plain(device, "update");
    device.publish(&json!({"msgType": "nothing"}));
    assert_plain(device, "nothing");
    let command = json!({"msgType": "observe", "data": {"path": "/5/0/3"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text 0");
    assert_plain(device, "observe");
    device.separately(NON, &request, "2.05 observe=1 text 1");
    assert_plain(device, "notify");
}

fn assert_plain(device: &mut Device<'_>, message: &str) {
    let published = device.published();
    assert_eq!(published.json["msgType"], message);
    assert_eq!((published.message.qos, published.message.retain), (0, false), "{message}");
    assert_eq!(published.message.correlation, None);
}

fn command_topics(device: &mut Device<'_>) {
    for (id, topic) in (0..).zip(["dn", "dn/", "dn/dm", "dn/a/b/c"]) {
        let topic = format!("{}{topic}", device.prefix);
        device.gateway.publish(&topic, &delete(id).to_string());
        device.answer(&device.receive(), "2.02");
        device.expect("up/resp", &deleted(id));
    }
}

fn other_topics(device: &mut Device<'_>) {
    let prefix = device.prefix.clone();
    for topic in ["dnx", "up", "d", "x/dn"] {
        device.gateway.publish(&format!("{prefix}{topic}"), &delete(1).to_string());
        assert_eq!(device.published().topic, topic, "only what was published here");
    }
    device.gateway.publish("dn", &delete(1).to_string());
    device.expect_nothing();
}

fn at_once(device: &mut Device<'_>) {
    for name in [unique_name(), format!("a/{}", unique_name())] {
        let mut fresh = device.gateway.device(&name);
        fresh.register(&[], "</3303/0>");
        assert_eq!(fresh.published().json["msgType"], "register");
        fresh.answer(&fresh.command(&delete(1)), "2.02");
        fresh.expect("up/resp", &deleted(1));
    }
}

fn order(device: &mut Device<'_>) {
    for id in 0..20 {
        device.register(&[], "</3303/0>");
        device.answer(&device.command(&delete(id)), "2.02");
        device.update(&[], "</3303/0>");
    }
    for id in 0..20 {
        assert_eq!(device.published().json["msgType"], "register");
        device.expect("up/resp", &deleted(id));
        assert_eq!(device.published().json["msgType"], "update");
    }
}

/// Publishes a command with a Response Topic and Correlation Data.
fn ask(device: &Device<'_>, command: &Json, topic: &str) {
    let properties = PublishProperties {
        response_topic: Some(topic.to_owned()),
        correlation_data: Some(Bytes::from_static(b"\x00\xff42")),
        ..PublishProperties::default()
    };
    let command_topic = format!("{}dn/dm", device.prefix);
    device.gateway.publish_with(&command_topic, &command.to_string(), properties);
}

/// The next message on the response topic of this device.
#[track_caller]
fn expect_response(device: &mut Device<'_>, expected: &Json) {
    let topic = format!("reply/{}", device.name);
    let published = device.published_below(&topic);
    assert_eq!((published.topic.as_str(), &published.json), ("", expected));
    assert_eq!(published.message.correlation.as_deref(), Some(&b"\x00\xff42"[..]));
    assert!(!published.message.retain);
}

fn response_topics(device: &mut Device<'_>) {
    ask(device, &delete(1), &format!("reply/{}", device.name));
    let request = device.receive();
    device.send(&Message::new(ACK, 0, request.id, &[]));
    let acknowledged = json!({"reqID": 1, "msgType": "ack", "data": {"path": "/3303/0"}});
    expect_both(device, "up/resp", &acknowledged);
    device.separately(NON, &request, "2.02");
    expect_both(device, "up/resp", &deleted(1));
    device.expect_nothing();
}

/// The next message on one of the device's topics, and behind it the same on its response topic.
#[track_caller]
fn expect_both(device: &mut Device<'_>, topic: &str, expected: &Json) {
    device.expect(topic, expected);
    expect_response(device, expected);
}

fn usual_response_topic(device: &mut Device<'_>) {
    ask(device, &delete(1), &format!("{}up/resp", device.prefix));
    device.answer(&device.receive(), "2.02");
    let published = device.published();
    assert_eq!((published.topic.as_str(), &published.json), ("up/resp", &deleted(1)));
    assert_eq!(published.message.correlation.as_deref(), Some(&b"\x00\xff42"[..]));
    device.expect_nothing();
}

fn observed_elsewhere(device: &mut Device<'_>) {
    let topic = format!("reply/{}", device.name);
    ask(device, &json!({"reqID": 1, "msgType": "observe", "data": {"path": "/3/0/9"}}), &topic);
    device.answer(&device.receive(), "2.05 observe=7 text 95");
    let (topic, message) = match device.profile() {
        Profile::Emqx4 => ("up/notify", "notify"),
        Profile::Emqx5 => ("up/resp", "observe"),
    };
    let content = json!([{"path": "/3/0/9", "value": 95}]);
    let data =
        json!({"reqPath": "/3/0/9", "code": "2.05", "codeMsg": "content", "content": content});
    expect_both(device, topic, &json!({"reqID": 1, "msgType": message, "seqNum": 7, "data": data}));
}

fn ends_elsewhere(device: &mut Device<'_>) {
    let topic = format!("reply/{}", device.name);
    for id in 1..=3 {
        ask(device, &delete(id), &topic);
    }
    device.receive();
    device.deregister();
    for id in 1..=3 {
        let data = json!({"reqPath": "/3303/0", "code": "5.03", "codeMsg": "service_unavailable",
                          "reason": "deregistered"});
        expect_both(device, "up/resp", &json!({"reqID": id, "msgType": "delete", "data": data}));
    }
}

fn reports_to_response_topics(device: &mut Device<'_>) {
    let topic = format!("reply/{}", device.name);
    ask(device, &json!({"reqID": 1, "msgType": "delete", "data": {"path": "/a"}}), &topic);
    let report = device.published();
    assert_eq!((report.topic.as_str(), &report.json["data"]["code"]), ("up/resp", &json!("4.00")));
    expect_response(device, &report.json);
    device.deregister();
    ask(device, &delete(2), &topic);
    let report = device.published();
    assert_eq!(report.json["data"]["reason"], "unknown_device");
    expect_response(device, &report.json);
}

fn notifications_of_response_topics(device: &mut Device<'_>) {
    let topic = format!("reply/{}", device.name);
    ask(device, &json!({"msgType": "observe", "data": {"path": "/3/0/9"}}), &topic);
    let request = device.receive();
    device.answer(&request, "2.05 observe=7 text 95");
    assert_eq!(device.published_below(&topic).json["data"]["code"], "2.05");
    device.separately(NON, &request, "2.05 observe=8 text 94");
    let published = device.published();
    assert_eq!((published.topic.as_str(), &published.json["seqNum"]), ("up/notify", &json!(8)));
    assert_eq!(published.message.correlation, None);
}

fn bad_response_topics(device: &mut Device<'_>) {
    for topic in ["$SYS/reply", "lwm2m/other/dn/dm", &format!("lwm2m/{}/dn", device.name)] {
        ask(device, &delete(1), topic);
        let published = device.published();
        assert_eq!(published.topic, "up/resp");
        assert!(published.json["data"]["reason"].as_str().unwrap().contains("response topic"));
    }
    device.expect_nothing();
}

pub(crate) fn message_expiry(device: &mut Device<'_>) {
    let first = device.command(&delete(1));
    // So that it is not sent again while the other one waits.
    device.send(&Message::new(ACK, 0, first.id, &[]));
    assert_eq!(device.published().json["msgType"], "ack");
    let expiry =
        PublishProperties { message_expiry_interval: Some(2), ..PublishProperties::default() };
    let topic = format!("{}dn/dm", device.prefix);
    device.gateway.publish_with(&topic, &delete(2).to_string(), expiry);
    let published = device.published();
    assert_eq!(published.json["reqID"], 2);
    assert_eq!(published.json["data"]["reason"], "expired");
    let id = device.separately(CON, &first, "2.02");
    device.acknowledged(id);
    device.expect("up/resp", &deleted(1));
    device.expect_nothing();
}

fn uplinks_as_commands(device: &mut Device<'_>) {
    // The uplinks of this name match the command filter of `x`.
    let name = format!("x/dn/{}", unique_name());
    let mut tricky = device.gateway.device(&name);
    tricky.register(&[], "</3303/0>");
    assert_eq!(tricky.published().json["msgType"], "register");
    tricky.answer(&tricky.command(&delete(1)), "2.02");
    tricky.expect("up/resp", &deleted(1));
    tricky.expect_nothing();
}

fn mountpoints(profile: Profile) {
    // Name, mountpoint, response topic, and the topic for a device `EP`.
    let rows: &[(&str, &str, &str, &str)] = &[
        ("no slash is added", "gw-%e-", "up", "gw-EP-up"),
        ("no slash is added behind a level", "gw/%e/x", "up", "gw/EP/xup"),
        ("no slash is removed", "/gw//%e/", "/up", "/gw//EP//up"),
        ("placeholders of EMQX 5", "${endpoint_name}/${clientid}/", "up", "EP/EP/up"),
        ("the address of the device", "%a/%e/", "up", "127.0.0.1/EP/up"),
        ("peerhost", "%e/${peerhost}/", "up", "EP/127.0.0.1/up"),
        ("unknown placeholders stay", "x-${zone}/%e/", "up", "x-${zone}/EP/up"),
        ("placeholders in topics", "lwm2m/", "%e/up", "lwm2m/EP/up"),
    ];
    for (number, row) in (0..).zip(rows) {
        let (_, mountpoint, response, topic) = row;
        let command =
            if mountpoint.contains("%e") || mountpoint.contains('{') { "dn/#" } else { "%e/dn/#" };
        let gateway = Gateway::start_with(profile, &format!("mountpoint-{number}"), |config| {
            config.lwm2m.mountpoint = (*mountpoint).to_owned();
            config.lwm2m.topics.command = Topic::new(command);
            config.lwm2m.topics.response = Topic::new(response);
            config.lwm2m.topics.register = Topic { qos: Some(2), ..Topic::new(response) };
            config.lwm2m.topics.update =
                Topic { retain: true, qos: Some(1), ..Topic::new(response) };
            config.lwm2m.topics.notify = Topic::new(&format!("{response}/notify"));
        });
        gateway.play(
            &[row],
            |row| row.0,
            |_| {
                let mut device = gateway.device(&unique_name());
                let topic = topic.replace("EP", &device.name);
                device.register(&[], "</3303/0>");
                let registered = device.published_below(&topic);
                assert_eq!((registered.topic.as_str(), registered.message.qos), ("", 2));
                let commands = command_topic(mountpoint, command, &device.name);
                device.gateway.publish(&commands, &delete(1).to_string());
                device.answer(&device.receive(), "2.02");
                assert_eq!(device.published_below(&topic).json, deleted(1));
                device.update(&[], "</3303/0>");
                assert_eq!(device.published_below(&topic).message.qos, 1);
            },
        );
    }
}

fn command_topic(mountpoint: &str, command: &str, name: &str) -> String {
    let mut topic = format!("{mountpoint}{}", command.replace('#', "dm"));
    for (placeholder, text) in [
        ("%e", name),
        ("%a", "127.0.0.1"),
        ("${endpoint_name}", name),
        ("${clientid}", name),
        ("${peerhost}", "127.0.0.1"),
    ] {
        topic = topic.replace(placeholder, text);
    }
    topic
}
