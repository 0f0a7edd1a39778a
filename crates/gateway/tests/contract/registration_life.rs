//! From one Register to the next: repetition, replacement, Update, Deregister, expiry, and requests
//! that belong nowhere. Contract, sections 2.1, 2.3 and 2.6.

use std::time::Duration;

use gateway::config::{Period, Profile};
use serde_json::json;

use crate::bench::{Device, Gateway, LINKS, location, register_request, unique_name};
use crate::coap::{ACK, BLOCK1, CONTENT_FORMAT, DELETE, GET, Message, NON, POST, PUT, code_name};

in_both_profiles!(lives, expiry, requests);

type Life = fn(&mut Device<'_>);

const QUERIES: [&str; 3] = ["ep=EP", "lt=60", "lwm2m=1.0"];

fn lives(profile: Profile) {
    let rows: &[(&str, Life)] = &[
        ("a NON Register is answered with NON", a_non_register),
        ("a repeated message id repeats the answer and publishes nothing", a_repetition),
        ("a Content-Format of 0 or none does not matter", any_content_format),
        ("a Register in 64-byte blocks", a_register_in_blocks),
        ("an Update in 64-byte blocks", an_update_in_blocks),
        ("Update and Deregister in NON are answered with NON", other_non_requests),
        ("a second Register gets a new location and replaces the data", a_second_register),
        ("the same name from elsewhere ends the old registration", a_second_address),
        ("two names at one address are two devices", two_names),
        ("commands that wait move to the new registration in order", waiting_commands),
        ("an Update without links", an_update_without_links),
        ("an Update with links is laid over the registration", an_update_with_links),
        ("lt of an Update outside of the limits", an_update_out_of_limits),
        ("a refused Update leaves the registration as it was", a_refused_update),
        ("an Update from a new address moves the device", an_update_from_elsewhere),
        ("Deregister is silent and ends what waits", a_deregistration),
        ("an unknown location is 4.04", an_unknown_location),
        ("other requests of a registered device leave it registered", other_requests),
    ];
    let gateway = Gateway::start(profile, "lives");
    gateway.play(rows, |row| row.0, |(_, life)| life(&mut gateway.device(&unique_name())));
}

fn registered(device: &Device<'_>) -> serde_json::Value {
    json!({"msgType": "register", "data": {"ep": device.name, "lt": 60, "lwm2m": "1.0"}})
}

fn a_non_register(device: &mut Device<'_>) {
    let request = register_request(device, &QUERIES, "");
    device.send(&Message { kind: NON, ..request.clone() });
    let answer = device.receive();
    assert_eq!((answer.kind, code_name(answer.code).as_str()), (NON, "2.01"));
    assert_eq!(answer.token, request.token);
    assert!(location(&answer).starts_with("/rd/"));
    device.expect("up/resp", &registered(device));
}

fn a_repetition(device: &mut Device<'_>) {
    let request = register_request(device, &QUERIES, "");
    let answers = [device.ask(&request), device.ask(&request), device.ask(&request)];
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    device.expect("up/resp", &registered(device));
    device.location = location(&answers[0]);
    assert_eq!(device.deregister().shown(), "2.02");
    device.register(&[], "");
    assert_eq!(device.published().json["data"]["lt"], 86400, "nothing in between");
}

fn any_content_format(device: &mut Device<'_>) {
    for format in [Some(0), None] {
        let name = format!("ep={}", device.name);
        let mut request = device.request(POST, "/rd").queries(&[&name, "lt=60", "lwm2m=1.0"]);
        if let Some(format) = format {
            request = request.uint(CONTENT_FORMAT, format);
        }
        let answer = device.ask(&request.body(b"</3/0>"));
        assert_eq!(code_name(answer.code), "2.01");
        assert_eq!(device.published().json["data"]["objectList"], json!(["/3/0"]));
    }
}

fn a_register_in_blocks(device: &mut Device<'_>) {
    let links: Vec<String> = (0..40).map(|instance| format!("</3303/{instance}>")).collect();
    let payload = links.join(",").into_bytes();
    let blocks: Vec<&[u8]> = payload.chunks(64).collect();
    for (number, block) in (0..).zip(&blocks) {
        let last = number + 1 == u32::try_from(blocks.len()).unwrap();
        let option = number << 4 | u32::from(!last) << 3 | 2;
        // Each block may have a token of its own.
        let request = register_request(device, &QUERIES, "").uint(BLOCK1, option).body(block);
        let answer = device.ask(&request);
        assert_eq!(code_name(answer.code), if last { "2.01" } else { "2.31" });
        assert_eq!(answer.number(BLOCK1), Some(option));
    }
    let published = device.published();
    assert_eq!(published.json["data"]["objectList"].as_array().unwrap().len(), 40);
}

fn an_update_in_blocks(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let links: Vec<String> = (0..20).map(|instance| format!("</3303/{instance}>")).collect();
    let payload = links.join(",").into_bytes();
    let blocks: Vec<&[u8]> = payload.chunks(64).collect();
    for (number, block) in (0..).zip(&blocks) {
        let last = number + 1 == u32::try_from(blocks.len()).unwrap();
        let option = number << 4 | u32::from(!last) << 3 | 2;
        let request = device.request(POST, &device.location).queries(&["lt=60"]);
        let answer = device.ask(&request.uint(BLOCK1, option).body(block));
        assert_eq!(code_name(answer.code), if last { "2.04" } else { "2.31" });
    }
    let published = device.published();
    assert_eq!(
        (&published.json["msgType"], &published.json["data"]["lt"]),
        (&json!("update"), &json!(60))
    );
    assert_eq!(published.json["data"]["objectList"].as_array().unwrap().len(), 20);
    device.expect_nothing();
}

fn other_non_requests(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    for (code, answer) in [(POST, "2.04"), (DELETE, "2.02"), (DELETE, "4.04")] {
        let request = Message { kind: NON, ..device.request(code, &device.location) };
        device.send(&request);
        let answered = device.receive();
        assert_eq!((answered.kind, answered.shown().as_str()), (NON, answer));
        assert_eq!(answered.token, request.token);
        if answer == "2.04" && device.profile() == Profile::Emqx5 {
            device.published();
        }
    }
}

fn a_second_register(device: &mut Device<'_>) {
    device.register(&["b=U", "sms=+1"], "</1/0>,</3/0>");
    let first = device.location.clone();
    assert_eq!(device.published().json["data"]["sms"], "+1");
    device.register(&["b=UQ"], "</3/0>");
    assert_ne!(device.location, first, "an id that cannot be guessed");
    let data = json!({"ep": device.name, "lt": 86400, "lwm2m": "1.1", "alternatePath": "/",
                      "objectList": ["/3/0"], "b": "UQ"});
    device.expect("up/resp", &json!({"msgType": "register", "data": data}));
    let second = std::mem::replace(&mut device.location, first);
    assert_eq!(device.update(&[], "").shown(), "4.04");
    device.location = second;
    assert_eq!(device.update(&["lt=60"], "").shown(), "2.04");
}

fn a_second_address(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let mut successor = device.gateway.device(&device.name);
    successor.register(&[], LINKS);
    successor.published();
    let command = json!({"msgType": "delete", "data": {"path": "/3303/1"}});
    let request = successor.command(&command);
    assert_eq!(request.shown(), "DELETE /3303/1");
    successor.answer(&request, "2.02");
    successor.published();
    assert_eq!(device.update(&[], "").shown(), "4.04", "and not the command");
}

fn two_names(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let mut other = device.gateway.device(&unique_name());
    other.socket = device.socket.try_clone().unwrap();
    other.location.clone_from(&device.location);
    other.register(&[], "</3/0>");
    assert_eq!(other.published().json["data"]["ep"], json!(other.name));
    for one in [device, &mut other] {
        let request = one.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
        one.answer(&request, "2.05 text EMQ");
        assert_eq!(one.published().json["data"]["content"][0]["value"], "EMQ");
        assert_eq!(one.update(&["lt=60"], "").shown(), "2.04");
    }
}

fn waiting_commands(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    // An address that has proven to be real may be asked twice at a time.
    device.expect_nothing();
    let command = |number: u16| {
        let path = format!("/3/0/{number}");
        json!({"reqID": number, "msgType": "read", "data": {"path": path}})
    };
    let in_flight = device.command(&command(0));
    assert_eq!(in_flight.shown(), "GET /3/0/0");
    device.publish(&command(1));
    device.publish(&command(2));
    // Through the broker and into the queue.
    let probe = json!({"mheaders": {"ttl": 0}, "msgType": "read", "data": {"path": "/3/0/9"}});
    let urgent = device.receive_after(&probe);
    device.answer(&urgent, "4.04");
    device.published();
    device.register(&[], LINKS);
    let ended = json!({"reqPath": "/3/0/0", "code": "5.03", "codeMsg": "service_unavailable",
                       "reason": "replaced"});
    device.expect("up/resp", &json!({"reqID": 0, "msgType": "read", "data": ended}));
    assert_eq!(device.published().json["msgType"], "register");
    for number in [1, 2] {
        let request = device.receive();
        assert_eq!(request.shown(), format!("GET /3/0/{number}"));
        device.answer(&request, "4.04");
        assert_eq!(device.published().json["reqID"], number);
    }
}

impl Device<'_> {
    /// Publishes a command and gives its request, past repetitions of one that is unanswered.
    fn receive_after(&self, command: &serde_json::Value) -> Message {
        let path = command["data"]["path"].as_str().unwrap();
        self.publish(command);
        loop {
            let request = self.receive();
            if request.shown() == format!("GET {path}") {
                return request;
            }
        }
    }
}

fn an_update_without_links(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let answer = device.update(&["lt=120", "b=UQ"], "");
    assert_eq!((answer.kind, answer.shown().as_str()), (ACK, "2.04"));
    if device.profile() == Profile::Emqx5 {
        let published = device.published();
        assert_eq!(
            (published.topic.as_str(), &published.json["msgType"]),
            ("up/resp", &json!("update"))
        );
        assert_eq!(published.json["data"]["lt"], 120);
        assert_eq!(published.json["data"]["objectList"].as_array().unwrap().len(), 6);
        assert_eq!(device.update(&[], "").shown(), "2.04");
        assert_eq!(device.published().json["data"], published.json["data"], "each time");
    }
    device.expect_nothing();
}

fn an_update_with_links(device: &mut Device<'_>) {
    device.register(&["b=U", "sms=+1"], LINKS);
    device.published();
    assert_eq!(device.update(&["b=UQ", "x=1"], "</3/0>,</6/0>").shown(), "2.04");
    let data = json!({"ep": device.name, "lt": 86400, "lwm2m": "1.1", "alternatePath": "/",
                      "objectList": ["/3/0", "/6/0"], "sms": "+1", "b": "UQ", "x": "1"});
    device.expect("up/resp", &json!({"msgType": "update", "data": data}));
}

fn an_update_out_of_limits(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let (code, lifetime) = match device.profile() {
        Profile::Emqx4 => ("4.00", 86400),
        Profile::Emqx5 => ("2.04", 864_001),
    };
    let answer = device.update(&["lt=864001"], "</3/0>");
    assert_eq!(code_name(answer.code), code);
    if code == "2.04" {
        assert_eq!(device.published().json["data"]["lt"], lifetime);
    }
    assert_eq!(device.update(&[], "</3/0>").shown(), "2.04");
    assert_eq!(device.published().json["data"]["lt"], lifetime);
}

fn a_refused_update(device: &mut Device<'_>) {
    device.register(&["b=U"], LINKS);
    device.published();
    let (syntax, version) = match device.profile() {
        Profile::Emqx4 => ("4.00", "4.12"),
        Profile::Emqx5 => ("2.04", "4.00"),
    };
    assert_eq!(code_name(device.update(&["lt=x", "b=UQ"], "</9/0>").code), "4.00");
    assert_eq!(code_name(device.update(&["lwm2m=2.0", "b=UQ"], "</9/0>").code), version);
    assert_eq!(code_name(device.update(&["flag"], "").code), syntax);
    if syntax == "2.04" {
        device.published();
    }
    assert_eq!(device.update(&[], "</3/0>").shown(), "2.04");
    let data = json!({"ep": device.name, "lt": 86400, "lwm2m": "1.1", "alternatePath": "/",
                      "objectList": ["/3/0"], "b": "U"});
    device.expect("up/resp", &json!({"msgType": "update", "data": data}));
}

fn an_update_from_elsewhere(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let moved = crate::bench::socket();
    moved.connect(device.socket.peer_addr().unwrap()).unwrap();
    device.socket = moved;
    assert_eq!(device.update(&[], "</3/0>").shown(), "2.04");
    assert_eq!(device.published().json["msgType"], "update");
    device.expect_nothing();
}

fn a_deregistration(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    let read = |id: u16| json!({"reqID": id, "msgType": "read", "data": {"path": "/3/0/0"}});
    let unanswered = device.command(&read(1));
    let answer = device.deregister();
    assert_eq!((answer.kind, answer.shown().as_str()), (ACK, "2.02"));
    let ended = |id: u16, code: &str, message: &str, reason: &str| {
        let data = json!({"reqPath": "/3/0/0", "code": code, "codeMsg": message, "reason": reason});
        json!({"reqID": id, "msgType": "read", "data": data})
    };
    device.expect("up/resp", &ended(1, "5.03", "service_unavailable", "deregistered"));
    device.answer(&unanswered, "2.05 text late");
    device.publish(&read(2));
    device.expect("up/resp", &ended(2, "4.04", "not_found", "unknown_device"));
    assert_eq!(device.deregister().shown(), "4.04");
    assert_eq!(device.update(&[], "").shown(), "4.04");
}

fn an_unknown_location(device: &mut Device<'_>) {
    for path in ["/rd/0000000000000000", "/rd/x", "/rd/a/b", "/rd/EP"] {
        for code in [POST, DELETE] {
            let request = device.request(code, path).queries(&["lt=60"]);
            assert_eq!(device.ask(&request).shown(), "4.04", "{path}");
        }
    }
}

fn other_requests(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    device.published();
    for (code, path, answer) in ELSEWHERE {
        let answered = device.ask(&device.request(*code, path));
        assert_eq!(code_name(answered.code), *answer, "{path}");
    }
    for code in [GET, PUT] {
        let request = device.request(code, &device.location);
        assert_eq!(device.ask(&request).shown(), "4.05");
    }
    assert_eq!(device.update(&["lt=60"], "").shown(), "2.04");
}

/// Requests that are no registration, and their answers.
const ELSEWHERE: &[(u8, &str, &str)] = &[
    (GET, "/rd", "4.05"),
    (PUT, "/rd", "4.05"),
    (DELETE, "/rd", "4.05"),
    (POST, "", "4.04"),
    (DELETE, "", "4.04"),
    (POST, "/bs", "4.04"),
    (POST, "/3/0", "4.04"),
    (GET, "/3/0", "4.04"),
    (PUT, "/nowhere", "4.04"),
    (DELETE, "/nowhere", "4.04"),
    (GET, "/.well-known/core", "2.05"),
    (POST, "/.well-known/core", "4.05"),
    (GET, "/dp", "4.05"),
];

/// First contact: nobody is registered, nothing is reset, and a Register works afterwards.
fn requests(profile: Profile) {
    let gateway = Gateway::start(profile, "requests");
    gateway.play(
        ELSEWHERE,
        |row| row.1,
        |(code, path, answer)| {
            let mut device = gateway.device(&unique_name());
            let answered = device.ask(&device.request(*code, path));
            assert_eq!((answered.kind, code_name(answered.code).as_str()), (ACK, *answer));
            device.register(&[], "");
            assert_eq!(device.published().json["msgType"], "register");
        },
    );
    let stranger = gateway.device("stranger");
    let send = stranger.request(POST, "/dp").uint(CONTENT_FORMAT, 110);
    let send = send.body(br#"[{"n":"/3/0/0","vs":"x"}]"#);
    assert_eq!(stranger.ask(&send).shown(), "4.04", "a Send of a device that is not registered");
}

fn expiry(profile: Profile) {
    let rows: &[(&str, Life)] = &[
        ("expiry is silent and ends what waits", an_expiry),
        ("only Register and Update restart the lifetime", a_lifetime_that_runs),
    ];
    let gateway = Gateway::start_with(profile, "expiry", |config| {
        config.lwm2m.expiry_grace = Period::seconds(0);
    });
    gateway.play(rows, |row| row.0, |(_, life)| life(&mut gateway.device(&unique_name())));
}

fn an_expiry(device: &mut Device<'_>) {
    let request = register_request(device, &["ep=EP", "lt=1", "lwm2m=1.0"], "</3/0>");
    device.location = location(&device.ask(&request));
    device.published();
    device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    let data = json!({"reqPath": "/3/0/0", "code": "5.03", "codeMsg": "service_unavailable",
                      "reason": "deregistered"});
    device.expect("up/resp", &json!({"msgType": "read", "data": data}));
    assert_eq!(device.update(&[], "").shown(), "4.04");
    device.register(&[], "");
    assert_eq!(device.published().json["msgType"], "register", "nothing in between");
}

fn a_lifetime_that_runs(device: &mut Device<'_>) {
    let request = register_request(device, &["ep=EP", "lt=2", "lwm2m=1.0"], "</3/0>");
    device.location = location(&device.ask(&request));
    device.published();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(device.update(&[], "</3/0>").shown(), "2.04");
    device.published();
    std::thread::sleep(Duration::from_millis(1200));
    // Still registered, 2.4 s after the Register; this answer restarts nothing.
    let request = device.command(&json!({"msgType": "read", "data": {"path": "/3/0/0"}}));
    device.answer(&request, "4.04");
    device.published();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(device.update(&[], "").shown(), "4.04");
}
