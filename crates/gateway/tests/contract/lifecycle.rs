//! What happens to a registration besides Register and Update: silent by default as in EMQX, and
//! with a topic of its own where it is wanted. Contract, section 2.5.

use std::time::Duration;

use gateway::config::{Acceptance, LifecycleTopics, Period, Profile};
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, register_request, socket, unique_name};
use crate::coap::code_name;

in_both_profiles!(told, refused_addresses, silent);

type Play = fn(&mut Device<'_>);

fn told(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("deregistered", deregistered),
        ("late and expired", late_and_expired),
        ("replaced", replaced),
        ("asleep and awake", asleep_and_awake),
        ("address_changed", address_changed),
        ("rejected", rejected),
        ("a name that cannot be in a topic", rejected_names),
    ];
    let gateway = Gateway::start_with(profile, "told", |config| {
        config.lwm2m.topics.lifecycle = LifecycleTopics::all("up/life");
        config.lwm2m.qmode_time_window = Period::millis(500);
        config.lwm2m.expiry_grace = Period::seconds(1);
    });
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

/// The event of this name about the device where it is now.
fn event(device: &Device<'_>, name: &str) -> Json {
    let address = device.socket.local_addr().unwrap().to_string();
    json!({"msgType": name, "data": {"ep": device.name, "address": address}})
}

fn expect_event(device: &mut Device<'_>, name: &str) {
    let expected = event(device, name);
    device.expect("up/life", &expected);
}

fn move_away(device: &mut Device<'_>) -> String {
    let moved = socket();
    moved.connect(device.socket.peer_addr().unwrap()).unwrap();
    let former = std::mem::replace(&mut device.socket, moved);
    former.local_addr().unwrap().to_string()
}

fn deregistered(device: &mut Device<'_>) {
    assert_eq!(device.deregister().shown(), "2.02");
    expect_event(device, "deregistered");
}

fn late_and_expired(device: &mut Device<'_>) {
    assert_eq!(device.update(&["lt=1"], LINKS).shown(), "2.04");
    device.published();
    expect_event(device, "late");
    expect_event(device, "expired");
}

fn replaced(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    expect_event(device, "replaced");
    assert_eq!(device.published().json["msgType"], "register");
}

fn asleep_and_awake(device: &mut Device<'_>) {
    assert_eq!(device.update(&["b=UQ"], LINKS).shown(), "2.04");
    device.published();
    for _ in 0..2 {
        assert_eq!(device.update(&[], LINKS).shown(), "2.04");
        device.published();
        expect_event(device, "asleep");
        assert_eq!(device.update(&[], LINKS).shown(), "2.04");
        expect_event(device, "awake");
        device.published();
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn address_changed(device: &mut Device<'_>) {
    let former = move_away(device);
    assert_eq!(device.update(&[], LINKS).shown(), "2.04");
    let mut expected = event(device, "address_changed");
    expected["data"]["formerAddress"] = json!(former);
    device.expect("up/life", &expected);
    assert_eq!(device.published().json["msgType"], "update");
}

fn rejection(device: &Device<'_>, ep: &Json, code: (&str, &str), reason: &str) -> Json {
    let mut expected = event(device, "rejected");
    expected["data"]["ep"] = ep.clone();
    expected["data"]["code"] = json!(code.0);
    expected["data"]["codeMsg"] = json!(code.1);
    expected["data"]["reason"] = json!(reason);
    expected
}

fn rejected(device: &mut Device<'_>) {
    let foreign = match device.profile() {
        Profile::Emqx4 => ("4.12", "precondition_failed"),
        Profile::Emqx5 => ("4.00", "bad_request"),
    };
    let rows = [
        ("lt=60&lwm2m=2.0", foreign, "version_foreign"),
        ("lt=60", foreign, "version_missing"),
        ("lt=x&lwm2m=1.1", ("4.00", "bad_request"), "lifetime_unusable"),
    ];
    for (query, code, reason) in rows {
        let queries: Vec<&str> = std::iter::once("ep=EP").chain(query.split('&')).collect();
        let request = register_request(device, &queries, LINKS);
        assert_eq!(code_name(device.ask(&request).code), code.0, "{query}");
        let expected = rejection(device, &json!(device.name), code, reason);
        device.expect("up/life", &expected);
    }
}

fn rejected_names(device: &mut Device<'_>) {
    let rows = [
        (Some("a/+/b"), json!("a/+/b"), "endpoint_unusable"),
        (Some("#"), json!("#"), "endpoint_unusable"),
        (Some("x\u{7}\"y"), json!("x\u{7}\"y"), "endpoint_unusable"),
        (Some(""), json!(""), "endpoint_unusable"),
        (None, json!(null), "endpoint_missing"),
    ];
    for (name, ep, reason) in rows {
        let mut queries = vec!["lt=60".to_owned(), "lwm2m=1.1".to_owned()];
        queries.extend(name.map(|name| format!("ep={name}")));
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        let request = register_request(device, &queries, LINKS);
        assert_eq!(code_name(device.ask(&request).code), "4.00", "{name:?}");
        let expected = rejection(device, &ep, ("4.00", "bad_request"), reason);
        let address = expected["data"]["address"].clone();
        // Rows of other tests do not share this gateway, so what comes below `unknown` is ours.
        let published = loop {
            let published = device.published_below("lwm2m/unknown/");
            if published.json["data"]["address"] == address {
                break published;
            }
        };
        assert_eq!((published.topic.as_str(), &published.json), ("up/life", &expected));
    }
}

/// `nosec_rebind = "refuse"`, and a topic for this alone.
fn refused_addresses(profile: Profile) {
    let gateway = Gateway::start_with(profile, "refused-addresses", |config| {
        config.lwm2m.nosec_rebind = Acceptance::Refuse;
        config.lwm2m.topics =
            toml::from_str("lifecycle = { address_refused = { topic = 'life/moved', qos = 1 } }")
                .unwrap();
    });
    let mut device = gateway.registered(&unique_name());
    let mut expected = event(&device, "address_refused");
    move_away(&mut device);
    assert_eq!(device.update(&[], LINKS).shown(), "4.04");
    let refused = device.socket.local_addr().unwrap().to_string();
    expected["data"]["refusedAddress"] = json!(refused);
    let published = device.published();
    assert_eq!((published.topic.as_str(), &published.json), ("life/moved", &expected));
    assert_eq!(published.message.qos, 1);
    device.register(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "register", "`replaced` has no topic");
}

/// By default none of it is published.
fn silent(profile: Profile) {
    let gateway = Gateway::start_with(profile, "silent", |config| {
        config.lwm2m.qmode_time_window = Period::millis(300);
    });
    let mut device = gateway.registered(&unique_name());
    device.update(&["b=UQ"], LINKS);
    device.published();
    std::thread::sleep(Duration::from_millis(500));
    let foreign = register_request(&device, &["ep=EP", "lt=60", "lwm2m=2.0"], "");
    device.ask(&foreign);
    move_away(&mut device);
    device.update(&["b=U"], LINKS);
    assert_eq!(device.published().json["msgType"], "update");
    device.expect_nothing();
    device.deregister();
    device.register(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "register");
}
