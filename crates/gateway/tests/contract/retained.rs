//! Retained commands, with the broker inside and outside of the gateway: contract, sections 3.1 and
//! 8, and what a lost connection must not do.

use gateway::config::{MqttProtocol, Profile};
use rumqttc_v5::{PublishOptions, PublishProperties, QoS};
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::northbound::message_expiry;

in_both_profiles!(embedded, external, external_without_session, external_3_1_1);

type Play = fn(&mut Device<'_>);

const EVERYWHERE: &[(&str, Play)] = &[
    ("it waits for its device, and nobody is told that the device is unknown", waits),
    ("several come in the order in which they were published", in_order),
    ("a registered device gets it at once and with each further Register", at_once_and_again),
    ("an Update hands it out in profile emqx5", with_updates),
    ("an empty message removes it", removed),
    ("a later one takes the place of the former", replaced),
    ("its Message Expiry goes on while it waits", expires),
    ("an unusable one is reported once and not kept", unusable),
    ("a name with a slash inside", slashed),
    ("a message that expires in the queue of its device", expires_in_the_queue),
];

fn embedded(profile: Profile) {
    let gateway = Gateway::start(profile, "retained");
    play(&gateway, EVERYWHERE);
}

fn external(profile: Profile) {
    let gateway = Gateway::start_external(profile, "retained-external", |_| {});
    play(&gateway, EVERYWHERE);
    play(
        &gateway,
        &[
            ("a lost connection does not repeat it", after_a_cut),
            ("one that is published while the broker is away comes once", during_a_cut),
        ],
    );
}

/// The broker forgets the session, so the gateway subscribes anew and everything is repeated.
fn external_without_session(profile: Profile) {
    let gateway = Gateway::start_external(profile, "retained-new-session", |config| {
        config.mqtt.external.session_expiry = std::time::Duration::ZERO.into();
    });
    play(
        &gateway,
        &[
            ("a lost session does not repeat it", after_a_cut),
            ("one that changed while the broker was away comes once", changed_during_a_cut),
        ],
    );
}

fn external_3_1_1(profile: Profile) {
    let gateway = Gateway::start_external(profile, "retained-3-1-1", |config| {
        config.mqtt.protocol = MqttProtocol::V311;
    });
    let rows: &[(&str, Play)] = &[
        ("it is an ordinary command when it is published", ordinary),
        ("what the broker repeats is neither carried out nor kept", not_after_a_cut),
    ];
    play(&gateway, rows);
}

fn play(gateway: &Gateway, rows: &[(&str, Play)]) {
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.device(&unique_name())));
}

/// A command that [`comes`] answers.
pub(crate) fn delete(id: u16) -> Json {
    json!({"reqID": id, "msgType": "delete", "data": {"path": "/3303/0"}})
}

fn retain(device: &Device<'_>, topic: &str, id: u16) {
    retain_unheard(device, topic, id);
    device.gateway.heard();
}

fn remove(device: &Device<'_>, topic: &str) {
    remove_unheard(device, topic);
    device.gateway.heard();
}

/// While the gateway is away.
fn retain_unheard(device: &Device<'_>, topic: &str, id: u16) {
    device.gateway.retain(&format!("{}{topic}", device.prefix), &delete(id).to_string());
}

fn remove_unheard(device: &Device<'_>, topic: &str) {
    device.gateway.retain(&format!("{}{topic}", device.prefix), "");
}

/// Registers, which is published first.
fn register(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "register");
}

/// The command of [`delete`] comes, is answered, and the answer is published.
#[track_caller]
pub(crate) fn comes(device: &mut Device<'_>, id: u16) {
    let request = device.receive();
    assert_eq!(request.shown(), "DELETE /3303/0");
    device.answer(&request, "2.02");
    let data = json!({"reqPath": "/3303/0", "code": "2.02", "codeMsg": "deleted"});
    device.expect("up/resp", &json!({"reqID": id, "msgType": "delete", "data": data}));
}

fn waits(device: &mut Device<'_>) {
    retain(device, "dn/dm", 1);
    register(device);
    comes(device, 1);
    device.expect_nothing();
}

fn in_order(device: &mut Device<'_>) {
    for (id, topic) in [(1, "dn/c"), (2, "dn/a"), (3, "dn"), (4, "dn/b")] {
        retain(device, topic, id);
    }
    register(device);
    (1..=4).for_each(|id| comes(device, id));
    device.expect_nothing();
}

fn at_once_and_again(device: &mut Device<'_>) {
    register(device);
    retain(device, "dn/dm", 1);
    comes(device, 1);
    device.expect_nothing();
    for _ in 0..2 {
        register(device);
        comes(device, 1);
    }
    device.expect_nothing();
}

fn with_updates(device: &mut Device<'_>) {
    retain(device, "dn/dm", 1);
    register(device);
    comes(device, 1);
    device.update(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "update");
    if device.profile() == Profile::Emqx5 {
        comes(device, 1);
    }
    device.expect_nothing();
}

fn removed(device: &mut Device<'_>) {
    retain(device, "dn/dm", 1);
    remove(device, "dn/dm");
    register(device);
    device.expect_nothing();
    remove(device, "dn/dm");
    device.expect_nothing();
}

fn replaced(device: &mut Device<'_>) {
    retain(device, "dn/dm", 1);
    retain(device, "dn/dm", 2);
    register(device);
    comes(device, 2);
    device.expect_nothing();
}

fn expires(device: &mut Device<'_>) {
    let properties =
        PublishProperties { message_expiry_interval: Some(2), ..PublishProperties::default() };
    let options = PublishOptions::new(QoS::AtLeastOnce).retain(true).properties(properties);
    let topic = format!("{}dn/dm", device.prefix);
    device.gateway.publish_options(&topic, &delete(1).to_string(), options);
    device.gateway.heard();
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    register(device);
    device.expect_nothing();
}

fn expires_in_the_queue(device: &mut Device<'_>) {
    register(device);
    message_expiry(device);
}

fn unusable(device: &mut Device<'_>) {
    register(device);
    device.gateway.retain(&format!("{}dn", device.prefix), r#"{"msgType":"teleport","data":{}}"#);
    assert_eq!(device.published().json["data"]["code"], "4.00");
    register(device);
    device.expect_nothing();
}

fn slashed(device: &mut Device<'_>) {
    let name = format!("a/{}", device.name);
    let mut device = device.gateway.device(&name);
    retain(&device, "dn/dm", 1);
    register(&mut device);
    comes(&mut device, 1);
    retain(&device, "dn/dm", 2);
    comes(&mut device, 2);
    device.expect_nothing();
    register(&mut device);
    comes(&mut device, 2);
    device.expect_nothing();
}

fn after_a_cut(device: &mut Device<'_>) {
    register(device);
    retain(device, "dn/dm", 1);
    comes(device, 1);
    for _ in 0..2 {
        device.gateway.cut(|| {});
        device.expect_nothing();
    }
    register(device);
    comes(device, 1);
    device.expect_nothing();
}

fn during_a_cut(device: &mut Device<'_>) {
    register(device);
    device.gateway.cut(|| retain_unheard(device, "dn/dm", 1));
    comes(device, 1);
    device.expect_nothing();
    device.gateway.cut(|| remove_unheard(device, "dn/dm"));
    device.expect_nothing();
    register(device);
    device.expect_nothing();
}

fn changed_during_a_cut(device: &mut Device<'_>) {
    register(device);
    retain(device, "dn/dm", 1);
    comes(device, 1);
    device.gateway.cut(|| retain_unheard(device, "dn/dm", 2));
    comes(device, 2);
    device.expect_nothing();
}

fn ordinary(device: &mut Device<'_>) {
    retain(device, "dn/dm", 1);
    assert_eq!(device.published().json["data"]["reason"], "unknown_device");
    register(device);
    retain(device, "dn/dm", 2);
    comes(device, 2);
    register(device);
    device.expect_nothing();
}

fn not_after_a_cut(device: &mut Device<'_>) {
    register(device);
    retain(device, "dn/dm", 1);
    comes(device, 1);
    device.gateway.cut(|| {});
    device.expect_nothing();
    register(device);
    device.expect_nothing();
}
