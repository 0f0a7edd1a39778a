//! Devices that sleep: contract, section 6, and table 0.1 on commands that died in the queue.

use std::time::{Duration, Instant};

use gateway::config::{Period, Profile, WhenFull};
use rumqttc_v5::PublishProperties;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, socket, unique_name};
use crate::coap::{CON, CONTENT_FORMAT, Message, NON, POST};

in_both_profiles!(sleepers, crowded);

type Play = fn(&mut Device<'_>);

/// How long the devices of these rows are taken to listen: short, since tests wait it out.
const WINDOW: Duration = Duration::from_millis(600);

fn sleepers(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("three commands wait, are answered in order; a fourth expires", the_scenario),
        ("what says that a device sleeps", signs_of_queue_mode),
        ("an Update changes the binding", an_update_of_the_binding),
        ("every message of the device wakes it", wakes),
        ("mheaders.ttl = 0 wakes no sleeper", an_urgent_command),
        ("a message expiry limits the wait", a_message_expiry),
        ("a command in flight is not repeated, and ends", a_command_in_flight),
        ("a late answer is taken", a_late_answer),
        ("Deregister ends what waits", a_deregistration),
        ("a second Register takes over what waits", a_second_register),
    ];
    let gateway = Gateway::start_with(profile, "sleepers", |config| {
        config.lwm2m.qmode_time_window = Period::from(WINDOW);
        config.lwm2m.command_timeout = Period::seconds(4);
    });
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut sleepy(&gateway)));
}

/// A device in queue mode whose address is proven.
fn sleepy(gateway: &Gateway) -> Device<'_> {
    let mut device = gateway.device(&unique_name());
    device.register(&["b=U", "Q"], LINKS);
    device.published();
    wake(&mut device);
    device
}

/// Sends an Update with links, which both profiles publish.
fn wake(device: &mut Device<'_>) {
    assert_eq!(device.update(&[], LINKS).shown(), "2.04");
    assert_eq!(device.published().json["msgType"], "update");
}

fn fall_asleep() {
    std::thread::sleep(WINDOW + Duration::from_millis(150));
}

fn read(id: u16) -> Json {
    json!({"reqID": id, "msgType": "read", "data": {"path": format!("/3/0/{id}")}})
}

fn read_within(id: u16, ttl: f64) -> Json {
    json!({"reqID": id, "msgType": "read", "data": {"path": format!("/3/0/{id}"), "ttl": ttl}})
}

/// What is published about a command that no device has seen.
fn died(id: u16, reason: &str) -> Json {
    json!({"reqID": id, "msgType": "read",
           "data": {"reqPath": format!("/3/0/{id}"), "code": "5.03",
                    "codeMsg": "service_unavailable", "reason": reason}})
}

fn not_found(id: u16) -> Json {
    json!({"reqID": id, "msgType": "read",
           "data": {"reqPath": format!("/3/0/{id}"), "code": "4.04", "codeMsg": "not_found"}})
}

/// Nothing comes for that long.
fn hears_nothing_for(device: &Device<'_>, span: Duration) {
    device.socket.set_read_timeout(Some(span)).unwrap();
    let mut buffer = [0; 2048];
    if let Ok(length) = device.socket.recv(&mut buffer) {
        panic!("a sleeper is sent {:?}", Message::decode(&buffer[..length]));
    }
    device.socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
}

/// The next request is this one; it is answered and the answer published.
fn takes(device: &mut Device<'_>, id: u16) {
    let request = device.receive();
    assert_eq!(request.shown(), format!("GET /3/0/{id}"));
    device.answer(&request, "4.04");
    device.expect("up/resp", &not_found(id));
}

fn the_scenario(device: &mut Device<'_>) {
    fall_asleep();
    (1..=3).for_each(|id| device.publish(&read(id)));
    let asked = Instant::now();
    device.publish(&read_within(4, 2.0));
    hears_nothing_for(device, Duration::from_millis(300));
    device.expect("up/resp", &died(4, "expired"));
    let waited = asked.elapsed().as_secs_f64();
    assert!((1.9..4.0).contains(&waited), "{waited}");
    wake(device);
    (1..=3).for_each(|id| takes(device, id));
    device.expect_nothing();
}

fn signs_of_queue_mode(device: &mut Device<'_>) {
    let apn = device.profile() == Profile::Emqx5;
    let rows: &[(&[&str], bool)] = &[
        (&["lwm2m=1.0", "b=UQ"], true),
        (&["lwm2m=1.0", "b=SQ"], true),
        (&["lwm2m=1.0", "b=UQS"], true),
        (&["b=U", "Q"], true),
        (&["b=U", "Q="], true),
        (&["b=UQ"], true),
        (&["b=U"], false),
        (&["b=U", "apn=psmA.eDRX0.ctnb"], apn),
        (&["b=U", "apn=Ctnb"], apn),
        (&["b=U", "apn=psmC.eDRX0.ctnb"], apn),
        (&["b=U", "apn=psmF.eDRXC.ctnb"], apn),
        (&["b=U", "apn=internet"], false),
    ];
    // All of them at once: the wait is long.
    let mut devices: Vec<_> = rows
        .iter()
        .map(|(parameters, sleeps)| {
            let mut one = device.gateway.device(&unique_name());
            one.register(parameters, LINKS);
            one.published();
            wake(&mut one);
            (one, *parameters, *sleeps)
        })
        .collect();
    fall_asleep();
    devices.iter().for_each(|(one, ..)| one.publish(&read_within(1, 0.2)));
    for (one, parameters, sleeps) in &mut devices {
        if *sleeps {
            one.expect("up/resp", &died(1, "expired"));
        } else {
            assert_eq!(one.receive().shown(), "GET /3/0/1", "{parameters:?}");
        }
    }
}

fn an_update_of_the_binding(device: &mut Device<'_>) {
    device.register(&["lwm2m=1.0", "b=UQ"], LINKS);
    device.published();
    device.update(&["b=U"], LINKS);
    device.published();
    fall_asleep();
    device.publish(&read(1));
    takes(device, 1);
    device.update(&["b=UQ"], LINKS);
    device.published();
    fall_asleep();
    device.publish(&read(2));
    hears_nothing_for(device, Duration::from_millis(200));
    wake(device);
    takes(device, 2);
}

fn wakes(device: &mut Device<'_>) {
    let observe = json!({"msgType": "observe", "data": {"path": "/3303/0/5700"}});
    let request = device.command(&observe);
    device.answer(&request, "2.05 observe=0 text 21.5");
    device.published();
    for id in 1..=4 {
        fall_asleep();
        device.publish(&read(id));
        hears_nothing_for(device, Duration::from_millis(100));
        match id {
            1 => _ = device.separately(NON, &request, "2.05 observe=1 text 22.5"),
            2 => {
                let send = device.request(POST, "/dp").uint(CONTENT_FORMAT, 110);
                device.send(&send.body(br#"[{"n":"/3/0/9","v":50}]"#));
                // Its 2.04 waits until its event has its place.
                let mut messages = [device.receive(), device.receive()];
                messages.sort_by_key(|message| message.shown());
                assert_eq!(messages[0].shown(), "2.04");
                assert_eq!(messages[1].shown(), "GET /3/0/2");
                device.answer(&messages[1], "4.04");
                assert_eq!(device.published().json["msgType"], "send");
                device.expect("up/resp", &not_found(2));
                continue;
            }
            3 => {
                // A ping: RFC 7252 4.3.
                device.send(&Message::new(CON, 0, device.new_id(), &[]));
                assert_eq!(device.receive().kind, crate::coap::RST);
            }
            _ => device.register(&["b=U", "Q"], LINKS),
        }
        if id != 3 {
            device.published();
        }
        takes(device, id);
    }
}

fn an_urgent_command(device: &mut Device<'_>) {
    fall_asleep();
    device.publish(&read(1));
    let urgent = json!({"reqID": 2, "mheaders": {"ttl": 0}, "msgType": "read",
                        "data": {"path": "/3/0/2"}});
    device.publish(&urgent);
    hears_nothing_for(device, Duration::from_millis(200));
    wake(device);
    let request = device.receive();
    assert_eq!(request.shown(), "GET /3/0/2", "but it is the first");
}

fn a_message_expiry(device: &mut Device<'_>) {
    fall_asleep();
    let properties =
        PublishProperties { message_expiry_interval: Some(1), ..PublishProperties::default() };
    let topic = format!("{}dn/dm", device.prefix);
    device.gateway.publish_with(&topic, &read(1).to_string(), properties);
    device.expect("up/resp", &died(1, "expired"));
    wake(device);
    device.expect_nothing();
}

fn a_command_in_flight(device: &mut Device<'_>) {
    let request = device.command(&read(1));
    assert_eq!(request.shown(), "GET /3/0/1");
    // Its first repetition would come 2 to 3 s later.
    hears_nothing_for(device, Duration::from_millis(3500));
    let data = json!({"path": "/3/0/1"});
    device.expect("up/resp", &json!({"reqID": 1, "msgType": "coap_timeout", "data": data}));
    wake(device);
    device.expect_nothing();
}

fn a_late_answer(device: &mut Device<'_>) {
    let request = device.command(&read(1));
    device.publish(&read(2));
    fall_asleep();
    device.answer(&request, "4.04");
    device.expect("up/resp", &not_found(1));
    takes(device, 2);
}

fn a_deregistration(device: &mut Device<'_>) {
    fall_asleep();
    (1..=2).for_each(|id| device.publish(&read(id)));
    hears_nothing_for(device, Duration::from_millis(100));
    assert_eq!(device.deregister().shown(), "2.02");
    (1..=2).for_each(|id| device.expect("up/resp", &died(id, "deregistered")));
}

fn a_second_register(device: &mut Device<'_>) {
    fall_asleep();
    (1..=2).for_each(|id| device.publish(&read(id)));
    hears_nothing_for(device, Duration::from_millis(100));
    device.socket = {
        let moved = socket();
        moved.connect(device.socket.peer_addr().unwrap()).unwrap();
        moved
    };
    device.register(&["b=U", "Q"], LINKS);
    assert_eq!(device.published().json["msgType"], "register");
    (1..=2).for_each(|id| takes(device, id));
}

fn crowded(profile: Profile) {
    for (name, when_full, reason) in [
        ("crowded", WhenFull::RefuseNewest, [3, 4]),
        ("crowded-oldest", WhenFull::DropOldest, [1, 2]),
    ] {
        let gateway = Gateway::start_with(profile, name, |config| {
            config.lwm2m.qmode_time_window = Period::from(WINDOW);
            config.lwm2m.queue.commands = 2;
            config.lwm2m.queue.when_full = when_full;
            config.lwm2m.queue.age = Period::seconds(3);
        });
        let mut device = sleepy(&gateway);
        fall_asleep();
        (1..=4).for_each(|id| device.publish(&read_within(id, 3600.0)));
        reason.into_iter().for_each(|id| device.expect("up/resp", &died(id, "queue_full")));
        // Nobody waits longer than the age, whatever its `ttl`.
        for id in (1..=4).filter(|id| !reason.contains(id)) {
            device.expect("up/resp", &died(id, "expired"));
        }
    }
}
