//! Register and Update: section 2.4, 2.5 and table 0.1.

use engine::{Peer, RegisteredInfo, Rejection};

use super::*;
use crate::{Lifecycle, LifecycleTopics, TopicSetting, UpdateCondition};

fn registered(lifetime: u64, parameters: &[&str], payload: &[u8]) -> Device {
    let info = RegisteredInfo {
        lifetime: Lifetime::from_secs(lifetime),
        parameters: Parameters::from_options(parameters.iter().copied()).unwrap(),
        links: ObjectLinks::parse(payload).unwrap().map(Into::into),
        ..RegisteredInfo::default()
    };
    device("EP", info)
}

fn uplink(settings: Settings, event: &Event) -> Vec<Publication> {
    let mut bench = Bench::with(settings);
    let mut out = Vec::new();
    let surroundings = Surroundings { models: &bench.models, wall_ms: WALL_MS };
    bench.bridge.uplink(event, surroundings, &mut out);
    out
}

fn register(profile: Profile, device: Device) -> Vec<Publication> {
    uplink(Settings::of(profile), &Event::Registered { device, arrival: Arrival::New })
}

#[test]
fn a_registration_has_the_shape_of_the_contract() {
    let device = registered(
        345,
        &["lwm2m=1", "b=UQ", "sms=+15550100", "apn=psmA.eDRX0.ctnb"],
        b"</1>, </2>, </3>,</4>,</5>",
    );
    let expected = r#"{"msgType":"register","data":{"ep":"EP","lt":345,"lwm2m":"1","alternatePath":"/","objectList":["/1","/2","/3","/4","/5"],"b":"UQ","sms":"+15550100","apn":"psmA.eDRX0.ctnb"}}"#;
    for profile in BOTH {
        let out = register(profile, device.clone());
        assert_eq!(published(&out), [("lwm2m/EP/up/resp", expected.to_owned())]);
    }
}

#[test]
fn object_lists_are_published_as_emqx_does() {
    let cases = [
        ("</1>, </2>, </3/0>", r#""alternatePath":"/","objectList":["/1","/2","/3/0"]"#),
        (
            r#"</>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>"#,
            r#""alternatePath":"/","objectList":["/lwm2m/1/0"]"#,
        ),
        (
            r#"</lwm2m>;rt="oma.lwm2m";ct=11543,</lwm2m/1/0>,</3/0>"#,
            r#""alternatePath":"/lwm2m","objectList":["/1/0","/3/0"]"#,
        ),
        (
            r#"</1/0>;ver=1.1, </3/0>;ct="60""#,
            r#""alternatePath":"/","objectList":["/1/0","/3/0"]"#,
        ),
    ];
    for profile in BOTH {
        for (payload, members) in cases {
            let out = register(profile, registered(60, &["lwm2m=1.1"], payload.as_bytes()));
            let expected = format!(
                r#"{{"msgType":"register","data":{{"ep":"EP","lt":60,"lwm2m":"1.1",{members}}}}}"#
            );
            assert_eq!(text(&out[0]), expected);
        }
    }
}

#[test]
fn an_empty_payload_gives_no_list_and_no_alternate_path() {
    let out = register(Emqx4, registered(86_400, &["lwm2m=1.0"], b""));
    assert_eq!(
        text(&out[0]),
        r#"{"msgType":"register","data":{"ep":"EP","lt":86400,"lwm2m":"1.0"}}"#
    );
}

#[test]
fn queue_mode_of_1_1_is_published_as_an_empty_text() {
    for profile in BOTH {
        let out = register(profile, registered(60, &["lwm2m=1.1", "b=U", "Q"], b""));
        assert_eq!(
            text(&out[0]),
            r#"{"msgType":"register","data":{"ep":"EP","lt":60,"lwm2m":"1.1","b":"U","Q":""}}"#
        );
    }
}

#[test]
fn secrets_are_not_published() {
    let parameters = [
        "lwm2m=1.1",
        "password=x",
        "Access-Token=x",
        "api_key=x",
        "PRIVATE_KEY=x",
        "tokens=y",
        "objectList=x",
        "a=1",
    ];
    let out = register(Emqx4, registered(60, &parameters, b""));
    assert_eq!(
        text(&out[0]),
        r#"{"msgType":"register","data":{"ep":"EP","lt":60,"lwm2m":"1.1","tokens":"y","a":"1"}}"#
    );
}

#[test]
fn names_and_parameters_are_escaped() {
    let mut device = registered(60, &["lwm2m=1.1", "a\"b=c\\d"], b"</\"x\">");
    device.endpoint = EndpointName::parse("urn:\"q\"").unwrap();
    let out = register(Emqx4, device);
    assert_eq!(out[0].topic, "lwm2m/urn:\"q\"/up/resp");
    let json: serde_json::Value = serde_json::from_slice(&out[0].payload).unwrap();
    assert_eq!(json["data"]["ep"], "urn:\"q\"");
    assert_eq!(json["data"]["a\"b"], "c\\d");
}

#[test]
fn an_update_is_published_by_its_condition() {
    use UpdateCondition::{Always, ContainsObjectList};
    let cases = [
        (Emqx4, None, 1, 0),
        (Emqx5, None, 1, 1),
        (Emqx4, Some(Always), 1, 1),
        (Emqx5, Some(ContainsObjectList), 1, 0),
    ];
    for (profile, update_msg_publish_condition, with, without) in cases {
        let settings = Settings { update_msg_publish_condition, ..Settings::of(profile) };
        let count = |content| {
            let device = registered(60, &["lwm2m=1"], b"</1>");
            uplink(settings.clone(), &Event::Updated { device, content }).len()
        };
        assert_eq!(count(UpdateContent::WithLinks), with, "{profile:?}");
        assert_eq!(count(UpdateContent::WithoutLinks), without, "{profile:?}");
    }
}

#[test]
fn an_update_has_the_shape_of_a_registration_on_its_own_topic() {
    let mut settings = Settings::of(Emqx5);
    settings.topics.update.topic = "up/update".to_owned();
    let device = registered(120, &["lwm2m=1", "b=U"], b"</1>,</3/0>");
    let content = UpdateContent::WithoutLinks;
    let out = uplink(settings, &Event::Updated { device, content });
    let expected = r#"{"msgType":"update","data":{"ep":"EP","lt":120,"lwm2m":"1","alternatePath":"/","objectList":["/1","/3/0"],"b":"U"}}"#;
    assert_eq!(published(&out), [("lwm2m/EP/up/update", expected.to_owned())]);
}

fn life(device: &Device) -> Vec<(Event, Lifecycle)> {
    let mut moved = device.clone();
    moved.peer = Peer::new(0, device.peer.local(), ([192, 0, 2, 9], 77).into());
    let device = device.clone();
    vec![
        (Event::Deregistered { device: device.clone() }, Lifecycle::Deregistered),
        (Event::Late { device: device.clone() }, Lifecycle::Late),
        (Event::Expired { device: device.clone() }, Lifecycle::Expired),
        (Event::Replaced { device: device.clone() }, Lifecycle::Replaced),
        (Event::Kicked { device: device.clone() }, Lifecycle::Kicked),
        (Event::Asleep { device: device.clone() }, Lifecycle::Asleep),
        (Event::Awake { device: device.clone() }, Lifecycle::Awake),
        (
            Event::AddressChanged { from: moved.peer, device: device.clone() },
            Lifecycle::AddressChanged,
        ),
        (Event::AddressRefused { refused: moved.peer, device }, Lifecycle::AddressRefused),
    ]
}

#[test]
fn life_cycle_events_are_silent_unless_they_have_a_topic() {
    let device = registered(60, &["lwm2m=1"], b"</1>");
    for profile in BOTH {
        let mut settings = Settings::of(profile);
        for (event, _) in &life(&device) {
            assert!(uplink(settings.clone(), event).is_empty(), "{event}");
        }
        settings.topics.lifecycle = LifecycleTopics::all("up/life");
        for (event, kind) in &life(&device) {
            let more = match kind {
                Lifecycle::AddressChanged => r#","formerAddress":"192.0.2.9:77""#,
                Lifecycle::AddressRefused => r#","refusedAddress":"192.0.2.9:77""#,
                _ => "",
            };
            let name = kind.name();
            let expected = format!(
                r#"{{"msgType":"{name}","data":{{"ep":"EP","address":"192.0.2.7:5683"{more}}}}}"#
            );
            let out = uplink(settings.clone(), event);
            assert_eq!(published(&out), [("lwm2m/EP/up/life", expected)]);
        }
    }
}

#[test]
fn each_life_cycle_event_may_have_its_own_topic_or_none() {
    let device = registered(60, &["lwm2m=1"], b"</1>");
    let mut settings = Settings::default();
    settings.topics.lifecycle = LifecycleTopics::all("up/life");
    let own =
        Some(TopicSetting { qos: Some(crate::Qos::AtLeastOnce), retain: true, topic: "x".into() });
    settings.topics.lifecycle.own.insert(Lifecycle::Expired, own);
    settings.topics.lifecycle.own.insert(Lifecycle::Late, None);
    for (event, kind) in &life(&device) {
        let out = uplink(settings.clone(), event);
        match kind {
            Lifecycle::Late => assert!(out.is_empty()),
            Lifecycle::Expired => {
                assert_eq!(out[0].topic, "lwm2m/EP/x");
                assert_eq!((out[0].qos, out[0].retain), (crate::Qos::AtLeastOnce, true));
            }
            _ => assert_eq!(out[0].topic, "lwm2m/EP/up/life"),
        }
    }
}

/// A name that cannot be part of a topic stands in the JSON alone.
#[test]
fn a_rejection_says_what_the_device_got_and_why() {
    let rejection = |name: Option<&str>, code: Code, reason: &'static str| {
        let peer = device("EP", RegisteredInfo::default()).peer;
        let endpoint = name.and_then(|name| EndpointName::parse(name).ok());
        let name = name.map(str::to_owned);
        Event::Rejected(Box::new(Rejection { peer, endpoint, name, code, reason }))
    };
    let rows = [
        (
            Some("EP"),
            Code::PRECONDITION_FAILED,
            "version_foreign",
            "lwm2m/EP/up/life",
            r#""EP","address":"192.0.2.7:5683","code":"4.12","codeMsg":"precondition_failed""#,
        ),
        (
            Some("a/#"),
            Code::BAD_REQUEST,
            "endpoint_unusable",
            "lwm2m/unknown/up/life",
            r#""a/#","address":"192.0.2.7:5683","code":"4.00","codeMsg":"bad_request""#,
        ),
        (
            Some("\0\""),
            Code::BAD_REQUEST,
            "endpoint_unusable",
            "lwm2m/unknown/up/life",
            r#""\u0000\"","address":"192.0.2.7:5683","code":"4.00","codeMsg":"bad_request""#,
        ),
        (
            None,
            Code::BAD_REQUEST,
            "endpoint_missing",
            "lwm2m/unknown/up/life",
            r#"null,"address":"192.0.2.7:5683","code":"4.00","codeMsg":"bad_request""#,
        ),
    ];
    for (name, code, reason, topic, data) in rows {
        let event = rejection(name, code, reason);
        assert!(uplink(Settings::default(), &event).is_empty());
        let mut settings = Settings::default();
        settings.topics.lifecycle = LifecycleTopics::all("up/life");
        let expected =
            format!(r#"{{"msgType":"rejected","data":{{"ep":{data},"reason":"{reason}"}}}}"#);
        assert_eq!(published(&uplink(settings, &event)), [(topic, expected)]);
    }
}

#[test]
fn uplinks_have_the_common_quality_of_service_and_are_not_retained() {
    let settings = Settings { qos: crate::Qos::AtLeastOnce, ..Settings::default() };
    let device = registered(60, &["lwm2m=1"], b"</1>");
    let out = uplink(settings, &Event::Registered { device, arrival: Arrival::Replacing });
    assert_eq!((out[0].qos, out[0].retain), (crate::Qos::AtLeastOnce, false));
}
