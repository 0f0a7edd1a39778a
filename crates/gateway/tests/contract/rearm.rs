//! Observations of commands that are set up again after a Register: table 0.1, "observations after
//! a new Register".

use std::collections::BTreeSet;

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::auto_observe::{Play, play, receive_observe, register, temperature};
use crate::bench::{Device, Gateway, LINKS, socket};
use crate::coap::{CON, Message, NON};

in_both_profiles!(rearmed);

fn rearmed(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("a second Register from the same address", the_same_address),
        ("a second Register from a new port", a_new_port),
        ("Registers from many ports, at both shards", many_ports),
        ("CON notifications go on", con_notifications),
        ("a first value with another number than 0", a_numbered_value),
        ("several paths, in the order of their commands", several_paths),
        ("path lists and formats", composite),
        ("an observation that the device refuses ends", ended),
        ("commands that wait go first", commands_first),
        ("an Update sets nothing up", no_update),
        ("a cancelled observation stays cancelled", stays_cancelled),
        ("Deregister ends observations", deregistered),
    ];
    play(&Gateway::start(profile, "rearmed"), rows);
}

/// Observes the temperature by a command.
pub(crate) fn observe(device: &mut Device<'_>) -> Message {
    let command = json!({"reqID": 307, "imei": "86", "msgType": "observe",
                         "data": {"path": "/3303/0/5700"}});
    let request = device.command(&command);
    device.answer(&request, "2.05 observe=0 text 20.5");
    assert_eq!(device.published().json["msgType"], "observe");
    request
}

fn news(sequence: u32, value: f64) -> Json {
    json!({"reqID": 307, "imei": "86", "msgType": "notify", "seqNum": sequence,
           "data": temperature("/3303/0/5700", value)})
}

/// Takes the observe that follows a Register, under a token that is not `former`.
fn taken_up(device: &mut Device<'_>, former: &Message) -> Message {
    let (path, request) = receive_observe(device);
    assert_eq!(path, "/3303/0/5700");
    assert_ne!(request.token, former.token);
    device.answer(&request, "2.05 observe=0 text 21.5");
    device.expect("up/notify", &news(0, 21.5));
    request
}

fn move_to_new_port(device: &mut Device<'_>) {
    let moved = socket();
    moved.connect(device.socket.peer_addr().unwrap()).unwrap();
    device.socket = moved;
}

fn the_same_address(device: &mut Device<'_>) {
    register(device, LINKS);
    let mut request = observe(device);
    for _ in 0..3 {
        register(device, LINKS);
        let again = taken_up(device, &request);
        device.separately(NON, &again, "2.05 observe=1 text 22.5");
        device.expect("up/notify", &news(1, 22.5));
        let id = device.separately(CON, &request, "2.05 observe=9 text 23.5");
        device.reset(id);
        request = again;
    }
    device.expect_nothing();
}

fn a_new_port(device: &mut Device<'_>) {
    register(device, LINKS);
    let request = observe(device);
    move_to_new_port(device);
    register(device, LINKS);
    let again = taken_up(device, &request);
    device.separately(NON, &again, "2.05 observe=1 text 22.5");
    device.expect("up/notify", &news(1, 22.5));
    device.expect_nothing();
}

fn many_ports(device: &mut Device<'_>) {
    register(device, LINKS);
    let mut request = observe(device);
    let mut shards = BTreeSet::new();
    for _ in 0..16 {
        move_to_new_port(device);
        register(device, LINKS);
        request = taken_up(device, &request);
        let id = device.separately(CON, &request, "2.05 observe=1 text 22.5");
        device.acknowledged(id);
        device.expect("up/notify", &news(1, 22.5));
        // The first byte of the registration's id is its shard.
        shards.insert(device.location.strip_prefix("/rd/").unwrap()[..2].to_owned());
    }
    assert!(shards.len() > 1, "16 ports led to one shard of two");
    device.expect_nothing();
}

fn con_notifications(device: &mut Device<'_>) {
    register(device, LINKS);
    let request = observe(device);
    move_to_new_port(device);
    register(device, LINKS);
    let again = taken_up(device, &request);
    for sequence in 1..=10 {
        let id = device.separately(CON, &again, &format!("2.05 observe={sequence} text 22.5"));
        device.acknowledged(id);
        device.expect("up/notify", &news(sequence, 22.5));
    }
}

fn a_numbered_value(device: &mut Device<'_>) {
    register(device, LINKS);
    observe(device);
    register(device, LINKS);
    let (_, request) = receive_observe(device);
    device.answer(&request, "2.05 observe=7 text 21.5");
    device.expect("up/notify", &news(7, 21.5));
    device.expect_nothing();
}

fn several_paths(device: &mut Device<'_>) {
    let paths = ["/3303/0/5700", "/3/0/9", "/1/0"];
    register(device, LINKS);
    for path in paths {
        let command = json!({"reqID": path, "msgType": "observe", "data": {"path": path}});
        let request = device.command(&command);
        device.answer(&request, "2.05 observe=0");
        device.published();
    }
    register(device, LINKS);
    for path in paths {
        let (found, request) = receive_observe(device);
        assert_eq!(found, path);
        device.answer(&request, "2.05 observe=0");
        let published = device.published();
        assert_eq!(
            (published.topic.as_str(), &published.json["reqID"]),
            ("up/notify", &json!(path))
        );
    }
    device.expect_nothing();
}

fn composite(device: &mut Device<'_>) {
    register(device, LINKS);
    let commands = [
        json!({"reqID": 1, "msgType": "observe-composite", "data": {"paths": ["/3/0/9", "/3303/0"]}}),
        json!({"reqID": 2, "msgType": "observe", "data": {"path": "/3303/0", "accept": "senml-json"}}),
    ];
    let mut asked = Vec::new();
    for command in commands {
        let request = device.command(&command);
        device.answer(&request, "2.05 observe=0");
        device.published();
        asked.push(request);
    }
    move_to_new_port(device);
    register(device, LINKS);
    for (request, id) in asked.iter().zip([1, 2]) {
        let again = device.receive();
        assert_eq!((again.shown(), &again.payload), (request.shown(), &request.payload));
        device.answer(&again, "2.05 observe=0");
        let published = device.published();
        assert_eq!((published.topic.as_str(), &published.json["reqID"]), ("up/notify", &json!(id)));
    }
    device.expect_nothing();
}

fn ended(device: &mut Device<'_>) {
    register(device, LINKS);
    observe(device);
    register(device, LINKS);
    let (_, request) = receive_observe(device);
    device.answer(&request, "4.04");
    let data = json!({"reqPath": "/3303/0/5700", "code": "4.04", "codeMsg": "not_found"});
    let end = json!({"reqID": 307, "imei": "86", "msgType": "observe", "data": data});
    device.expect("up/resp", &end);
    register(device, LINKS);
    device.expect_nothing();
}

fn commands_first(device: &mut Device<'_>) {
    register(device, LINKS);
    let former = observe(device);
    for id in 1..=3 {
        device.publish(&json!({"reqID": id, "msgType": "read", "data": {"path": "/3/0/0"}}));
    }
    let under_way = device.receive();
    // The other two have been taken when a later command of the same topic has been.
    let refused = json!({"reqID": 4, "msgType": "read", "data": {"path": "/x"}});
    device.publish(&refused);
    assert_eq!(device.published().json["reqID"], 4);
    register_with_reads_waiting(device);
    for id in [2, 3] {
        let read = device.receive();
        assert_ne!(read.token, under_way.token);
        device.answer(&read, "4.04");
        assert_eq!(device.published().json["reqID"], id);
    }
    taken_up(device, &former);
}

/// What was in flight ends as replaced before the new registration is published.
fn register_with_reads_waiting(device: &mut Device<'_>) {
    device.register(&[], LINKS);
    let replaced = device.published();
    assert_eq!(replaced.json["data"]["reason"], "replaced");
    assert_eq!(device.published().json["msgType"], "register");
}

fn no_update(device: &mut Device<'_>) {
    register(device, LINKS);
    let request = observe(device);
    device.update(&[], LINKS);
    assert_eq!(device.published().json["msgType"], "update");
    device.expect_nothing();
    device.separately(NON, &request, "2.05 observe=1 text 22.5");
    device.expect("up/notify", &news(1, 22.5));
}

fn stays_cancelled(device: &mut Device<'_>) {
    register(device, LINKS);
    observe(device);
    let command =
        json!({"reqID": 308, "msgType": "cancel-observe", "data": {"path": "/3303/0/5700"}});
    let cancel = device.command(&command);
    device.answer(&cancel, "2.05 text 21.5");
    device.published();
    register(device, LINKS);
    device.expect_nothing();
}

fn deregistered(device: &mut Device<'_>) {
    register(device, LINKS);
    observe(device);
    device.deregister();
    register(device, LINKS);
    device.expect_nothing();
}
