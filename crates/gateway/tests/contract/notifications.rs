//! Observations and what comes of them, and Send: contract, section 5 and table 0.1.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, unique_name};
use crate::coap::{BLOCK2, CON, CONTENT_FORMAT, Message, NON, OBSERVE, POST};

in_both_profiles!(notifications);

type Play = fn(&mut Device<'_>);

fn notifications(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("a first answer with Observe 0", a_first_answer_with_zero),
        ("a first answer with another number", a_first_answer_with_a_number),
        ("a first answer without Observe", a_first_answer_without_number),
        ("a CON notification is acknowledged", a_con_notification),
        ("a NON notification", a_non_notification),
        ("a notification with Observe 0", a_notification_with_zero),
        ("notifications without Observe get growing numbers", notifications_without_number),
        ("a notification with an error is the last", an_error),
        ("a repeated message id is acknowledged again and published once", a_repetition),
        ("an Observe number that never changes", a_number_that_never_changes),
        ("an older Observe number is published", an_older_number),
        ("an unknown token is reset", an_unknown_token),
        ("cancel-observe has the token, and what comes behind it is reset", a_cancellation),
        ("all members are repeated by each notification", echoes),
        ("a member named seqNum gives way", a_member_named_like_ours),
        ("notifications of object 5", firmware),
        ("notifications after Deregister are reset", after_deregistration),
        ("a notification that cannot be decoded", an_unreadable_notification),
        ("a notification of several resources", several_resources),
        ("a notification larger than a block is fetched", a_large_notification),
        ("a notification from a new address moves the device", a_moved_device),
        ("a notification while a command is under way", beside_a_command),
        ("two observations are told apart", two_observations),
        ("a separate first answer", a_separate_first_answer),
        ("what is too much to be repeated is refused", too_much_to_repeat),
        ("a Send", a_send),
        ("a Send that cannot be read", bad_sends),
    ];
    let gateway = Gateway::start(profile, "notifications");
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

fn content(value: Json) -> Json {
    let content = json!([{"path": "/3/0/9", "value": value}]);
    json!({"reqPath": "/3/0/9", "code": "2.05", "codeMsg": "content", "content": content})
}

fn notify(sequence: u32, value: u32) -> Json {
    json!({"reqID": 307, "msgType": "notify", "seqNum": sequence, "data": content(json!(value))})
}

fn observe_command() -> Json {
    json!({"reqID": 307, "msgType": "observe", "data": {"path": "/3/0/9"}})
}

/// Observes with a first answer of Observe 0.
fn observe(device: &mut Device<'_>) -> Message {
    let request = device.command(&observe_command());
    assert_eq!(request.shown(), "GET /3/0/9 observe=0");
    device.answer(&request, "2.05 observe=0 text 95");
    let data = content(json!(95));
    device.expect("up/resp", &json!({"reqID": 307, "msgType": "observe", "data": data}));
    request
}

fn a_first_answer_with_zero(device: &mut Device<'_>) {
    observe(device);
    device.expect_nothing();
}

fn a_first_answer_with_a_number(device: &mut Device<'_>) {
    let request = device.command(&observe_command());
    device.answer(&request, "2.05 observe=7 text 95");
    match device.profile() {
        Profile::Emqx4 => device.expect("up/notify", &notify(7, 95)),
        Profile::Emqx5 => {
            let data = content(json!(95));
            let answer = json!({"reqID": 307, "msgType": "observe", "seqNum": 7, "data": data});
            device.expect("up/resp", &answer);
        }
    }
    device.expect_nothing();
}

fn a_first_answer_without_number(device: &mut Device<'_>) {
    let request = device.command(&observe_command());
    device.answer(&request, "2.05 text 95");
    let first = device.published();
    let (topic, message) = match device.profile() {
        Profile::Emqx4 => ("up/notify", "notify"),
        Profile::Emqx5 => ("up/resp", "observe"),
    };
    assert_eq!((first.topic.as_str(), &first.json["msgType"]), (topic, &json!(message)));
    assert_eq!(first.json["data"], content(json!(95)));
    let sequence = first.json["seqNum"].as_u64().expect("a made-up number");
    let id = device.separately(CON, &request, "2.05 text 96");
    device.acknowledged(id);
    let second = device.published();
    assert_eq!((second.topic.as_str(), &second.json["msgType"]), ("up/notify", &json!("notify")));
    assert!(second.json["seqNum"].as_u64().unwrap() > sequence);
}

fn a_con_notification(device: &mut Device<'_>) {
    let request = observe(device);
    let id = device.separately(CON, &request, "2.05 observe=3 text 94");
    device.acknowledged(id);
    device.expect("up/notify", &notify(3, 94));
    device.expect_nothing();
}

fn a_non_notification(device: &mut Device<'_>) {
    let request = observe(device);
    device.separately(NON, &request, "2.05 observe=3 text 94");
    device.expect("up/notify", &notify(3, 94));
    device.expect_nothing();
}

fn a_notification_with_zero(device: &mut Device<'_>) {
    let request = observe(device);
    device.separately(NON, &request, "2.05 observe=16777215 text 94");
    device.expect("up/notify", &notify(16_777_215, 94));
    device.separately(NON, &request, "2.05 observe=0 text 93");
    device.expect("up/notify", &notify(0, 93));
}

fn notifications_without_number(device: &mut Device<'_>) {
    let request = observe(device);
    let mut last = 0;
    for value in [94, 93, 92] {
        let id = device.separately(CON, &request, &format!("2.05 text {value}"));
        device.acknowledged(id);
        let published = device.published();
        let sequence = published.json["seqNum"].as_u64().expect("a made-up number");
        assert!(sequence > last, "{sequence} after {last}");
        last = sequence;
        assert_eq!(published.json["data"], content(json!(value)));
        assert_eq!(published.topic, "up/notify");
    }
}

fn an_error(device: &mut Device<'_>) {
    let request = observe(device);
    let id = device.separately(CON, &request, "4.04");
    device.acknowledged(id);
    let data = json!({"reqPath": "/3/0/9", "code": "4.04", "codeMsg": "not_found"});
    device.expect("up/resp", &json!({"reqID": 307, "msgType": "observe", "data": data}));
    let id = device.separately(CON, &request, "2.05 observe=5 text 94");
    device.reset(id);
    device.expect_nothing();
}

fn a_repetition(device: &mut Device<'_>) {
    let request = observe(device);
    for kind in [CON, NON] {
        let id = device.new_id();
        let notification =
            Message { kind, id, ..Message::answer(&request, "2.05 observe=3 text 94") };
        for _ in 0..3 {
            device.send(&notification);
            if kind == CON {
                device.acknowledged(id);
            }
        }
        device.expect("up/notify", &notify(3, 94));
    }
    device.expect_nothing();
}

fn a_number_that_never_changes(device: &mut Device<'_>) {
    let request = observe(device);
    for value in [94, 93, 92] {
        device.separately(NON, &request, &format!("2.05 observe=12 text {value}"));
        device.expect("up/notify", &notify(12, value));
    }
}

fn an_older_number(device: &mut Device<'_>) {
    let request = observe(device);
    for (sequence, value) in [(10, 94), (9, 93), (11, 92)] {
        device.separately(NON, &request, &format!("2.05 observe={sequence} text {value}"));
        device.expect("up/notify", &notify(sequence, value));
    }
}

fn an_unknown_token(device: &mut Device<'_>) {
    let mut request = observe(device);
    let last = request.token.last_mut().unwrap();
    *last ^= 1;
    let id = device.separately(CON, &request, "2.05 observe=3 text 94");
    device.reset(id);
    request.token = vec![0xaa, 0xbb];
    let id = device.separately(CON, &request, "2.05 observe=3 text 94");
    device.reset(id);
    device.expect_nothing();
}

fn a_cancellation(device: &mut Device<'_>) {
    let request = observe(device);
    let command = json!({"reqID": 308, "msgType": "cancel-observe", "data": {"path": "/3/0/9"}});
    let cancel = device.command(&command);
    assert_eq!(cancel.shown(), "GET /3/0/9 observe=1");
    assert_eq!(cancel.token, request.token);
    device.answer(&cancel, "2.05 text 93");
    let data = content(json!(93));
    device.expect("up/resp", &json!({"reqID": 308, "msgType": "cancel-observe", "data": data}));
    let id = device.separately(CON, &request, "2.05 observe=9 text 92");
    device.reset(id);
    device.expect_nothing();
}

fn echoes(device: &mut Device<'_>) {
    let command = json!({"reqID": u64::MAX, "imei": "86", "mheaders": {"ttl": 60}, "n": null,
                         "msgType": "observe", "data": {"path": "3/0/9/"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text 95");
    device.published();
    for sequence in [1, 2] {
        device.separately(NON, &request, &format!("2.05 observe={sequence} text 94"));
        let mut data = content(json!(94));
        data["reqPath"] = json!("3/0/9/");
        let expected = json!({"reqID": u64::MAX, "imei": "86", "mheaders": {"ttl": 60}, "n": null,
                              "msgType": "notify", "seqNum": sequence, "data": data});
        device.expect("up/notify", &expected);
    }
}

fn a_member_named_like_ours(device: &mut Device<'_>) {
    let mut command = observe_command();
    command["seqNum"] = json!("mine");
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text 95");
    assert_eq!(device.published().json["seqNum"], "mine");
    device.separately(NON, &request, "2.05 observe=4 text 94");
    device.expect("up/notify", &notify(4, 94));
}

fn firmware(device: &mut Device<'_>) {
    let command = json!({"reqID": 1, "msgType": "observe", "data": {"path": "/5/0/3"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text 0");
    assert_eq!(device.published().topic, "up/resp");
    device.separately(NON, &request, "2.05 observe=1 text 2");
    let content = json!([{"path": "/5/0/3", "value": 2}]);
    let data =
        json!({"reqPath": "/5/0/3", "code": "2.05", "codeMsg": "content", "content": content});
    let topic = match device.profile() {
        Profile::Emqx4 => "up/notify",
        Profile::Emqx5 => "/v1/up/dm",
    };
    let expected = json!({"reqID": 1, "msgType": "notify", "seqNum": 1, "data": data});
    device.expect(topic, &expected);
    device.expect_nothing();
}

fn after_deregistration(device: &mut Device<'_>) {
    let request = observe(device);
    device.deregister();
    let id = device.separately(CON, &request, "2.05 observe=3 text 94");
    device.reset(id);
    device.register(&[], "");
    assert_eq!(device.published().json["msgType"], "register", "nothing in between");
}

fn an_unreadable_notification(device: &mut Device<'_>) {
    let request = observe(device);
    let id = device.separately(CON, &request, "2.05 observe=3 tlv C3 00 45");
    device.acknowledged(id);
    let data = json!({"reqPath": "/3/0/9", "code": "4.00", "codeMsg": "bad_request"});
    let expected = json!({"reqID": 307, "msgType": "notify", "seqNum": 3, "data": data});
    device.expect("up/notify", &expected);
}

fn several_resources(device: &mut Device<'_>) {
    let command = json!({"msgType": "observe", "data": {"path": "/3/0"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 tlv C3 00 45 4D 51 C1 09 64");
    device.published();
    device.separately(NON, &request, "2.05 observe=1 tlv C3 00 45 4D 51 C1 09 32");
    let content = json!([{"path": "/3/0/0", "value": "EMQ"}, {"path": "/3/0/9", "value": 50}]);
    let data = json!({"reqPath": "/3/0", "code": "2.05", "codeMsg": "content", "content": content});
    device.expect("up/notify", &json!({"msgType": "notify", "seqNum": 1, "data": data}));
}

fn a_large_notification(device: &mut Device<'_>) {
    let command = json!({"msgType": "observe", "data": {"path": "/3/0/0"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text EMQ");
    device.published();
    let text = "0123456789abcdef".repeat(8);
    let id = device.new_id();
    let first = Message { kind: CON, id, ..Message::answer(&request, "2.05 observe=4") };
    device.send(&first.uint(CONTENT_FORMAT, 0).uint(BLOCK2, 8 | 2).body(&text.as_bytes()[..64]));
    let next = loop {
        let message = device.receive();
        if message.code != 0 {
            break message;
        }
        assert_eq!(message.id, id, "the acknowledgement");
    };
    assert_eq!((next.number(BLOCK2), next.number(OBSERVE)), (Some(1 << 4 | 2), None));
    let rest = Message::answer(&next, "2.05 text ").uint(BLOCK2, 1 << 4 | 2);
    device.send(&rest.body(&text.as_bytes()[64..]));
    let content = json!([{"path": "/3/0/0", "value": text}]);
    let data =
        json!({"reqPath": "/3/0/0", "code": "2.05", "codeMsg": "content", "content": content});
    device.expect("up/notify", &json!({"msgType": "notify", "seqNum": 4, "data": data}));
}

fn a_moved_device(device: &mut Device<'_>) {
    let request = observe(device);
    let moved = crate::bench::socket();
    moved.connect(device.socket.peer_addr().unwrap()).unwrap();
    device.socket = moved;
    let id = device.separately(CON, &request, "2.05 observe=3 text 94");
    device.acknowledged(id);
    device.expect("up/notify", &notify(3, 94));
    device.expect_nothing();
}

fn beside_a_command(device: &mut Device<'_>) {
    let observed = observe(device);
    let read = device.command(&json!({"reqID": 2, "msgType": "read", "data": {"path": "/3/0/0"}}));
    let id = device.separately(CON, &observed, "2.05 observe=3 text 94");
    device.acknowledged(id);
    device.expect("up/notify", &notify(3, 94));
    device.answer(&read, "4.04");
    assert_eq!(device.published().json["reqID"], 2);
}

fn two_observations(device: &mut Device<'_>) {
    let nine = observe(device);
    let command = json!({"reqID": 2, "msgType": "observe", "data": {"path": "/3/0/0"}});
    let zero = device.command(&command);
    assert_ne!(nine.token, zero.token);
    device.answer(&zero, "2.05 observe=0 text EMQ");
    device.published();
    device.separately(NON, &zero, "2.05 observe=1 text EMQX");
    let published = device.published();
    assert_eq!(
        (&published.json["reqID"], &published.json["data"]["reqPath"]),
        (&json!(2), &json!("/3/0/0"))
    );
    device.separately(NON, &nine, "2.05 observe=1 text 94");
    device.expect("up/notify", &notify(1, 94));
}

fn a_separate_first_answer(device: &mut Device<'_>) {
    let request = device.command(&observe_command());
    device.send(&Message::new(crate::coap::ACK, 0, request.id, &[]));
    assert_eq!(device.published().json["msgType"], "ack");
    let id = device.separately(CON, &request, "2.05 observe=0 text 95");
    device.acknowledged(id);
    let data = content(json!(95));
    device.expect("up/resp", &json!({"reqID": 307, "msgType": "observe", "data": data}));
    device.separately(NON, &request, "2.05 observe=1 text 94");
    device.expect("up/notify", &notify(1, 94));
}

fn too_much_to_repeat(device: &mut Device<'_>) {
    let mut command = observe_command();
    command["x"] = json!("x".repeat(600));
    device.publish(&command);
    let published = device.published();
    assert_eq!(published.json["data"]["code"], "4.00");
    assert!(published.json["data"]["reason"].as_str().unwrap().contains("512 bytes"));
    assert_eq!(published.json["x"], command["x"]);
    device.expect_nothing();
}

fn a_send(device: &mut Device<'_>) {
    let body = br#"[{"bn":"/3303/0/5700","bt":1600000000,"v":20.5},{"n":"","t":60,"v":21}]"#;
    let send = device.request(POST, "/dp").uint(CONTENT_FORMAT, 110).body(body);
    assert_eq!(device.ask(&send).shown(), "2.04");
    let content = json!([
        {"path": "/3303/0/5700", "value": 20.5, "timestamp": 1_600_000_000_000_u64},
        {"path": "/3303/0/5700", "value": 21.0, "timestamp": 1_600_000_060_000_u64}]);
    device.expect("up/notify", &json!({"msgType": "send", "data": {"content": content}}));
}

fn bad_sends(device: &mut Device<'_>) {
    let rows: &[(u32, &[u8], &str)] =
        &[(110, b"[", "4.00"), (0, b"EMQ", "4.15"), (11542, b"\xc1\x09\x05", "4.15")];
    for (format, body, code) in rows {
        let send = device.request(POST, "/dp").uint(CONTENT_FORMAT, *format).body(body);
        assert_eq!(device.ask(&send).shown(), *code);
    }
    device.expect_nothing();
}
