//! How an answer comes about, or why there is none: acknowledgements, separate answers, Reset,
//! silence, blocks, and commands that end in the queue. Contract, sections 4.4, 4.5 and table 0.1.

use std::time::Duration;

use gateway::config::{Period, Profile};
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::coap::{ACK, BLOCK1, BLOCK2, CON, Message, NON, RST, code_name};

in_both_profiles!(exchanges, silence, queues);

type Play = fn(&mut Device<'_>);

fn exchanges(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("an empty acknowledgement is published with the command's data", an_acknowledgement),
        ("a separate CON answer is acknowledged", a_separate_answer),
        ("a separate NON answer", a_separate_non_answer),
        ("a separate answer without acknowledgement before it", an_early_separate_answer),
        (
            "a separate answer that is repeated is acknowledged again and published once",
            a_repeated_answer,
        ),
        ("an answer with another token is not the answer", a_foreign_token),
        ("a Reset", a_reset),
        ("no answer within the timeout of the command", a_timeout),
        ("a late answer is reset and not published", a_late_answer),
        ("one command at a time, in order", one_at_a_time),
        ("mheaders.ttl of 0 does not wait for its turn", an_urgent_command),
        ("a ttl that passes in the queue", an_expired_command),
        ("an answer in blocks is fetched and published once", a_large_answer),
        ("the Content-Format of the first block counts", the_format_of_the_first_block),
        ("a large write leaves in blocks", a_large_write),
        ("a large write in the size that the device wants", a_negotiated_write),
        ("4.13 with a smaller size begins again", a_restarted_write),
        ("a write of 60 000 bytes", the_largest_write),
        ("an error during an upload ends it", a_failed_upload),
        ("4.08 begins again, once", a_device_that_lost_a_block),
        ("a command for nobody", a_command_for_nobody),
    ];
    let gateway = Gateway::start(profile, "exchanges");
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.registered(&unique_name())));
}

fn read() -> Json {
    json!({"reqID": 1, "x": [1], "msgType": "read", "data": {"path": "/3/0/0", "a": null}})
}

/// What answers [`read`] with `EMQ`.
fn emq() -> Json {
    let content = json!([{"path": "/3/0/0", "value": "EMQ"}]);
    json!({"reqID": 1, "x": [1], "msgType": "read",
           "data": {"reqPath": "/3/0/0", "code": "2.05", "codeMsg": "content", "content": content}})
}

/// What returns the `data` of [`read`].
fn returned(message: &str) -> Json {
    json!({"reqID": 1, "x": [1], "msgType": message, "data": {"path": "/3/0/0", "a": null}})
}

fn ended(id: u16, path: &str, code: &str, message: &str, reason: &str) -> Json {
    let data = json!({"reqPath": path, "code": code, "codeMsg": message, "reason": reason});
    json!({"reqID": id, "msgType": "read", "data": data})
}

fn an_acknowledgement(device: &mut Device<'_>) {
    let request = device.command(&read());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    device.expect("up/resp", &returned("ack"));
    device.separately(CON, &request, "2.05 text EMQ");
    device.expect("up/resp", &emq());
}

fn a_separate_answer(device: &mut Device<'_>) {
    let request = device.command(&read());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    let id = device.separately(CON, &request, "2.05 text EMQ");
    device.acknowledged(id);
    device.expect("up/resp", &returned("ack"));
    device.expect("up/resp", &emq());
    device.expect_nothing();
}

fn a_separate_non_answer(device: &mut Device<'_>) {
    let request = device.command(&read());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    device.separately(NON, &request, "2.05 text EMQ");
    device.expect("up/resp", &returned("ack"));
    device.expect("up/resp", &emq());
    device.expect_nothing();
}

fn an_early_separate_answer(device: &mut Device<'_>) {
    let request = device.command(&read());
    let id = device.separately(CON, &request, "2.05 text EMQ");
    device.acknowledged(id);
    device.expect("up/resp", &emq());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    device.expect_nothing();
}

fn a_repeated_answer(device: &mut Device<'_>) {
    let request = device.command(&read());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    let id = device.new_id();
    let answer = Message { kind: CON, id, ..Message::answer(&request, "2.05 text EMQ") };
    for _ in 0..3 {
        device.send(&answer);
        device.acknowledged(id);
    }
    device.expect("up/resp", &returned("ack"));
    device.expect("up/resp", &emq());
    device.expect_nothing();
}

fn a_foreign_token(device: &mut Device<'_>) {
    let request = device.command(&read());
    let mut foreign = Message::answer(&request, "2.05 text wrong");
    foreign.token = vec![1, 2, 3];
    device.send(&foreign);
    device.answer(&request, "2.05 text EMQ");
    device.expect("up/resp", &emq());
}

fn a_reset(device: &mut Device<'_>) {
    let request = device.command(&read());
    device.send(&Message::new(RST, 0, request.id, &[]));
    device.expect("up/resp", &returned("coap_reset"));
    device.expect_nothing();
}

fn a_timeout(device: &mut Device<'_>) {
    let command =
        json!({"reqID": 1, "msgType": "read", "data": {"path": "/3/0/0", "timeout": 0.3}});
    device.command(&command);
    let data = json!({"path": "/3/0/0", "timeout": 0.3});
    device.expect("up/resp", &json!({"reqID": 1, "msgType": "coap_timeout", "data": data}));
    device.expect_nothing();
}

fn a_late_answer(device: &mut Device<'_>) {
    let command = json!({"msgType": "read", "data": {"path": "/3/0/0", "timeout": 0.3}});
    let request = device.command(&command);
    device.send(&Message::new(ACK, 0, request.id, &[]));
    assert_eq!(device.published().json["msgType"], "ack");
    assert_eq!(device.published().json["msgType"], "coap_timeout");
    let id = device.separately(CON, &request, "2.05 text EMQ");
    device.reset(id);
    device.expect_nothing();
}

fn numbered(number: u16) -> Json {
    let path = format!("/3/0/{number}");
    json!({"reqID": number, "msgType": "read", "data": {"path": path}})
}

fn one_at_a_time(device: &mut Device<'_>) {
    for number in 1..=4 {
        device.publish(&numbered(number));
    }
    for number in 1..=4 {
        let request = device.receive();
        assert_eq!(request.shown(), format!("GET /3/0/{number}"));
        device.answer(&request, "4.04");
        assert_eq!(device.published().json["reqID"], number);
    }
    device.expect_nothing();
}

fn an_urgent_command(device: &mut Device<'_>) {
    // An address that has proven to be real may be asked twice at a time.
    device.expect_nothing();
    let first = device.command(&numbered(1));
    device.publish(&numbered(2));
    let mut command = numbered(3);
    command["mheaders"] = json!({"ttl": 0});
    let urgent = device.command(&command);
    assert_eq!(urgent.shown(), "GET /3/0/3");
    device.answer(&urgent, "4.04");
    assert_eq!(device.published().json["reqID"], 3);
    device.answer(&first, "4.04");
    assert_eq!(device.published().json["reqID"], 1);
    assert_eq!(device.receive().shown(), "GET /3/0/2");
}

fn an_expired_command(device: &mut Device<'_>) {
    let first = device.command(&numbered(1));
    let waiting = json!({"reqID": 2, "msgType": "read", "data": {"path": "/3/0/2", "ttl": 0.2}});
    device.publish(&waiting);
    device.expect("up/resp", &ended(2, "/3/0/2", "5.03", "service_unavailable", "expired"));
    device.answer(&first, "4.04");
    assert_eq!(device.published().json["reqID"], 1);
    device.expect_nothing();
}

/// The value of a Block option.
fn block(number: u32, more: bool, szx: u32) -> u32 {
    number << 4 | u32::from(more) << 3 | szx
}

/// Answers a read with `body` in blocks of 64 bytes.
fn serve(device: &Device<'_>, first: Message, body: &[u8], format: u32) {
    let blocks: Vec<&[u8]> = body.chunks(64).collect();
    let mut request = first;
    for (number, payload) in (0..).zip(&blocks) {
        let asked = request.number(BLOCK2).map_or(0, |value| value >> 4);
        assert_eq!(asked, number, "{request:?}");
        let more = number + 1 < u32::try_from(blocks.len()).unwrap();
        let answer =
            Message::answer(&request, "2.05").uint(12, if number == 0 { format } else { 0 });
        device.send(&answer.uint(BLOCK2, block(number, more, 2)).body(payload));
        if more {
            request = device.receive();
            assert_eq!(code_name(request.code), "GET");
        }
    }
}

fn a_large_answer(device: &mut Device<'_>) {
    let text = "0123456789abcdef".repeat(20);
    serve(device, device.command(&read()), text.as_bytes(), 0);
    let mut expected = emq();
    expected["data"]["content"][0]["value"] = json!(text);
    device.expect("up/resp", &expected);
    device.expect_nothing();
}

fn the_format_of_the_first_block(device: &mut Device<'_>) {
    let text = "0123456789abcdef".repeat(8);
    let tlv = [&[0xc8, 0x00, 128], text.as_bytes()].concat();
    serve(device, device.command(&read()), &tlv, 11542);
    let mut expected = emq();
    expected["data"]["content"][0]["value"] = json!(text);
    device.expect("up/resp", &expected);
}

/// A write of 3000 bytes and what the device has to get.
fn large_write() -> (Json, Vec<u8>) {
    let value = "x".repeat(3000);
    let data = json!({"path": "/3/0/14", "type": "String", "value": value});
    let header = [0xd0, 0x0e, 0x0b, 0xb8];
    (json!({"reqID": 1, "msgType": "write", "data": data}), [&header, value.as_bytes()].concat())
}

fn written(code: &str, message: &str) -> Json {
    let data = json!({"reqPath": "/3/0/14", "code": code, "codeMsg": message});
    json!({"reqID": 1, "msgType": "write", "data": data})
}

/// Takes blocks from `request` on, asking for size `szx`, and answers the last one with 2.04.
fn take(device: &Device<'_>, request: Message, szx: u32) -> Vec<u8> {
    let mut body = Vec::new();
    let mut request = request;
    loop {
        let option = request.number(BLOCK1).expect("a block");
        let size = 16 << (option & 7);
        assert_eq!(usize::try_from(option >> 4).unwrap() * size, body.len(), "{request:?}");
        assert_eq!(request.number(12), Some(11542));
        let more = option & 8 != 0;
        assert!(!more || request.payload.len() == size);
        // It keeps the whole first block; the next ones are smaller (RFC 7959, figure 8).
        let wanted = szx.min(option & 7);
        body.extend_from_slice(&request.payload);
        let code = if more { "2.31" } else { "2.04" };
        device.send(&Message::answer(&request, code).uint(BLOCK1, option & !7 | wanted));
        if !more {
            return body;
        }
        request = device.receive();
    }
}

fn a_large_write(device: &mut Device<'_>) {
    device.expect_nothing();
    let (command, body) = large_write();
    let request = device.command(&command);
    assert_eq!(request.number(BLOCK1), Some(block(0, true, 6)));
    assert_eq!(take(device, request, 6), body);
    device.expect("up/resp", &written("2.04", "changed"));
}

fn the_largest_write(device: &mut Device<'_>) {
    device.expect_nothing();
    let value = "x".repeat(60_000);
    let data = json!({"path": "/3/0/14", "type": "String", "value": value});
    let request = device.command(&json!({"reqID": 1, "msgType": "write", "data": data}));
    let body = [&[0xd0, 0x0e, 0xea, 0x60], value.as_bytes()].concat();
    assert!(take(device, request, 6) == body);
    device.expect("up/resp", &written("2.04", "changed"));
}

fn a_negotiated_write(device: &mut Device<'_>) {
    device.expect_nothing();
    let (command, body) = large_write();
    let request = device.command(&command);
    assert_eq!(take(device, request, 4), body);
    device.expect("up/resp", &written("2.04", "changed"));
}

fn a_restarted_write(device: &mut Device<'_>) {
    device.expect_nothing();
    let (command, body) = large_write();
    let request = device.command(&command);
    device.send(&Message::answer(&request, "4.13").uint(BLOCK1, block(0, true, 5)));
    let again = device.receive();
    assert_eq!(again.number(BLOCK1), Some(block(0, true, 5)));
    assert_eq!(take(device, again, 5), body);
    device.expect("up/resp", &written("2.04", "changed"));
}

fn a_failed_upload(device: &mut Device<'_>) {
    device.expect_nothing();
    let (command, _) = large_write();
    let request = device.command(&command);
    device.send(&Message::answer(&request, "2.31").uint(BLOCK1, block(0, true, 6)));
    let second = device.receive();
    assert_eq!(second.number(BLOCK1), Some(block(1, true, 6)));
    device.answer(&second, "5.00");
    device.expect("up/resp", &written("5.00", "internal_server_error"));
    device.expect_nothing();
}

fn a_device_that_lost_a_block(device: &mut Device<'_>) {
    device.expect_nothing();
    let (command, body) = large_write();
    let request = device.command(&command);
    device.send(&Message::answer(&request, "2.31").uint(BLOCK1, block(0, true, 6)));
    device.answer(&device.receive(), "4.08");
    let again = device.receive();
    assert_eq!(again.number(BLOCK1), Some(block(0, true, 6)));
    assert_eq!(take(device, again, 6), body);
    device.expect("up/resp", &written("2.04", "changed"));
}

fn a_command_for_nobody(device: &mut Device<'_>) {
    let mut nobody = device.gateway.device(&unique_name());
    nobody.publish(&numbered(1));
    nobody.expect("up/resp", &ended(1, "/3/0/1", "4.04", "not_found", "unknown_device"));
}

/// Repeated four times, then given up.
fn silence(profile: Profile) {
    let gateway = Gateway::start_with(profile, "no-answer", |config| {
        config.coap.ack_timeout = Period::millis(60);
        config.coap.ack_random_factor = 1.0;
        config.lwm2m.command_timeout = Period::seconds(3);
    });
    let mut device = gateway.registered(&unique_name());
    let first = device.command(&read());
    let mut gaps = vec![std::time::Instant::now()];
    for _ in 0..4 {
        assert_eq!(device.receive(), first, "the same message");
        gaps.push(std::time::Instant::now());
    }
    device.expect("up/resp", &returned("coap_timeout"));
    let last = gaps[4] - gaps[3];
    assert!(last > Duration::from_millis(300), "the pause doubles: {last:?}");
    device.expect_nothing();

    // Acknowledged and never answered: `command_timeout`, from the first transmission.
    let request = device.command(&read());
    device.send(&Message::new(ACK, 0, request.id, &[]));
    device.expect("up/resp", &returned("ack"));
    device.expect("up/resp", &returned("coap_timeout"));
}

fn queues(profile: Profile) {
    let gateway = Gateway::start_with(profile, "queues", |config| {
        // Those in flight are counted.
        config.lwm2m.queue.commands = 4;
        config.lwm2m.max_in_flight = 2;
    });
    let mut device = gateway.registered_with(&unique_name(), LINKS);
    device.expect_nothing();
    let (one, two) = (device.command(&numbered(1)), device.command(&numbered(2)));
    assert_eq!((one.shown().as_str(), two.shown().as_str()), ("GET /3/0/1", "GET /3/0/2"));
    for number in 3..=5 {
        device.publish(&numbered(number));
    }
    device.expect("up/resp", &ended(5, "/3/0/5", "5.03", "service_unavailable", "queue_full"));
    device.answer(&two, "4.04");
    assert_eq!(device.published().json["reqID"], 2);
    let three = device.receive();
    assert_eq!(three.shown(), "GET /3/0/3");
    device.deregister();
    for number in [1, 3, 4] {
        let path = format!("/3/0/{number}");
        device.expect(
            "up/resp",
            &ended(number, &path, "5.03", "service_unavailable", "deregistered"),
        );
    }
}
