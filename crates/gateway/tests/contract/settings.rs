//! Settings that turn a rule of the profile around: table 0.1, column "option".

use gateway::config::{
    FirmwareNotify, LifetimePolicy, Profile, StaleNotifications, UnknownObjects, UpdatePublish,
};
use serde_json::json;

use crate::bench::{Device, Gateway, named, register_request, unique_name};
use crate::coap::{CON, NON, code_name};

in_both_profiles!(turned);

type Play = fn(&mut Device<'_>);

/// Each setting has the value that is not the profile's.
fn turned(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("lifetime_policy", lifetime_policy),
        ("update_msg_publish_condition", update_condition),
        ("accept_versions", accept_versions),
        ("firmware_notify = both", firmware_notify),
        ("stale_notifications = drop", stale_notifications),
        ("unknown_objects = reject", unknown_objects),
    ];
    let gateway = Gateway::start_with(profile, "turned", |config| {
        let lwm2m = &mut config.lwm2m;
        (lwm2m.lifetime_policy, lwm2m.update_msg_publish_condition) = match profile {
            Profile::Emqx4 => (LifetimePolicy::Accept, UpdatePublish::Always),
            Profile::Emqx5 => (LifetimePolicy::Refuse, UpdatePublish::ContainsObjectList),
        };
        lwm2m.accept_versions = vec!["1.0".to_owned(), "1.1".to_owned()];
        lwm2m.firmware_notify = FirmwareNotify::Both;
        lwm2m.stale_notifications = StaleNotifications::Drop;
        lwm2m.unknown_objects = UnknownObjects::Reject;
    });
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

fn lifetime_policy(device: &mut Device<'_>) {
    let request = register_request(device, &["ep=EP", "lt=864001", "lwm2m=1.1"], "");
    let answer = device.ask(&request);
    if device.profile() == Profile::Emqx5 {
        assert_eq!(code_name(answer.code), "4.00");
        return device.expect_nothing();
    }
    assert_eq!(code_name(answer.code), "2.01");
    let data = json!({"ep": "EP", "lt": 864_001, "lwm2m": "1.1"});
    let published = json!({"msgType": "register", "data": data});
    device.expect("up/resp", &named(&published, &device.name));
}

fn update_condition(device: &mut Device<'_>) {
    assert_eq!(device.update(&[], "").shown(), "2.04");
    if device.profile() == Profile::Emqx4 {
        assert_eq!(device.published().json["msgType"], "update");
    }
    device.expect_nothing();
    assert_eq!(device.update(&[], "</3/0>").shown(), "2.04");
    assert_eq!(device.published().json["msgType"], "update");
}

fn accept_versions(device: &mut Device<'_>) {
    let refused = if device.profile() == Profile::Emqx4 { "4.12" } else { "4.00" };
    for (version, code) in [("1.0", "2.01"), ("1.1", "2.01"), ("1.2", refused), ("1", refused)] {
        let version = format!("lwm2m={version}");
        let request = register_request(device, &["ep=EP", "lt=60", &version], "");
        assert_eq!(code_name(device.ask(&request).code), code, "{version}");
    }
}

fn firmware_notify(device: &mut Device<'_>) {
    let request = device.command(&json!({"msgType": "observe", "data": {"path": "/5/0/3"}}));
    device.answer(&request, "2.05 observe=0 text 0");
    device.published();
    device.separately(NON, &request, "2.05 observe=1 text 2");
    let both = [device.published(), device.published()];
    assert_eq!([both[0].topic.as_str(), &both[1].topic], ["up/notify", "/v1/up/dm"]);
    assert_eq!(both[0].json, both[1].json);
    assert_eq!(both[1].message.qos, 0);
}

fn stale_notifications(device: &mut Device<'_>) {
    let request = device.command(&json!({"msgType": "observe", "data": {"path": "/3/0/9"}}));
    device.answer(&request, "2.05 observe=0 text 95");
    device.published();
    for (sequence, value) in [(10, 94), (9, 93), (11, 92)] {
        let id = device.separately(CON, &request, &format!("2.05 observe={sequence} text {value}"));
        device.acknowledged(id);
    }
    assert_eq!(device.published().json["seqNum"], 10);
    assert_eq!(device.published().json["seqNum"], 11);
    device.expect_nothing();
}

fn unknown_objects(device: &mut Device<'_>) {
    let rows = [
        ("/3/0", "2.05 tlv C3 00 45 4D 51 E1 7F FF 01"),
        ("/32000/0/1", "2.05 text x"),
        ("/3/0/9", "2.05 text full"),
    ];
    for (path, answer) in rows {
        let request = device.command(&json!({"msgType": "read", "data": {"path": path}}));
        device.answer(&request, answer);
        let data = json!({"reqPath": path, "code": "4.00", "codeMsg": "bad_request"});
        device.expect("up/resp", &json!({"msgType": "read", "data": data}));
    }
}
