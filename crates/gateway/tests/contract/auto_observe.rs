//! Observations after a Register: contract, section 7, and table 0.1, "auto observe pace" and
//! "observations after a new Register".

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gateway::config::{AutoObserve, Profile};
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, socket, unique_name};
use crate::coap::{CON, Message, NON};

in_both_profiles!(everything, a_list, rearmed, without_rearming);

type Play = fn(&mut Device<'_>);

/// What a device sends that has objects of each kind.
const ALL: &str = "</3303/1>,</3>,</1/0>,</5/0>,</19/0>,</19/1>,</32000/0>,</3303/0>";

fn play(gateway: &Gateway, rows: &[(&str, Play)]) {
    gateway.play(rows, |row| row.0, |(_, play)| play(&mut gateway.device(&unique_name())));
}

fn everything(profile: Profile) {
    let rows: &[(&str, Play)] = &[
        ("on: which paths, in which order, each once", which_paths),
        ("when: after the first Register, and after a second one", when),
        ("the pace", pace),
        ("published without reqID, and notifications too", published),
        ("a first answer with another number than 0", a_first_answer_with_a_number),
        ("one that is refused is reported once, and asked again after a Register", refused),
        ("one that is reset is reported once", reset),
        ("an Update with new links sets nothing up", an_update),
        ("a command of the same path takes the observation over", a_command_takes_over),
        ("cancel-observe ends it until the next Register", a_cancellation),
    ];
    let name = "auto-observe-on";
    let gateway =
        Gateway::start_with(profile, name, |config| config.lwm2m.auto_observe = AutoObserve::All);
    play(&gateway, rows);
}

fn a_list(profile: Profile) {
    let paths = ["/3303/0", "/3/0/9", "/32000/0", "/5/0", "/3303", "/1/0"];
    let paths = AutoObserve::Paths(paths.map(str::to_owned).into());
    let gateway = Gateway::start_with(profile, "auto-observe-list", |config| {
        config.lwm2m.auto_observe = paths;
    });
    let rows: &[(&str, Play)] = &[
        ("list: compared as text, in the order of the profile", listed_paths),
        ("list: again after every Register", listed_again),
    ];
    play(&gateway, rows);
}

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

fn without_rearming(profile: Profile) {
    let gateway = Gateway::start_with(profile, "without-rearming", |config| {
        config.lwm2m.rearm = false;
        config.lwm2m.auto_observe = AutoObserve::Paths(vec!["/3/0".to_owned()]);
    });
    play(&gateway, &[("rearm = false is as EMQX", as_emqx)]);
}

/// Registers and sees that published.
fn register(device: &mut Device<'_>, links: &str) {
    device.register(&[], links);
    assert_eq!(device.published().json["msgType"], "register");
}

/// The next request, which is an observe.
fn receive_observe(device: &Device<'_>) -> (String, Message) {
    let request = device.receive();
    let shown = request.shown();
    let path = shown.strip_prefix("GET ").and_then(|rest| rest.strip_suffix(" observe=0"));
    (path.unwrap_or_else(|| panic!("{shown}")).to_owned(), request)
}

/// Answers the next observe with a code and looks at the report; its path.
fn answer_next(device: &mut Device<'_>) -> String {
    let (path, request) = receive_observe(device);
    device.answer(&request, "2.05 observe=0");
    let published = device.published();
    assert_eq!(published.topic, "up/resp");
    assert_eq!(
        (&published.json["msgType"], &published.json["reqID"]),
        (&json!("observe"), &Json::Null)
    );
    path
}

fn by_profile<'a>(device: &Device<'_>, four: &[&'a str], five: &[&'a str]) -> Vec<&'a str> {
    match device.profile() {
        Profile::Emqx4 => four.to_vec(),
        Profile::Emqx5 => five.to_vec(),
    }
}

/// A message about an automatic observation.
fn automatic(profile: Profile, mut json: Json) -> Json {
    if profile == Profile::Emqx5 {
        json["is_auto_observe"] = json!(true);
    }
    json
}

fn temperature(path: &str, value: f64) -> Json {
    let content = json!([{"path": path, "value": value}]);
    json!({"reqPath": path, "code": "2.05", "codeMsg": "content", "content": content})
}

fn which_paths(device: &mut Device<'_>) {
    let links = format!("{ALL},</3303/1>");
    let four = ["/3303/1", "/3", "/1/0", "/5/0", "/19/0/0", "/19/1", "/32000/0", "/3303/0"];
    let expected = by_profile(device, &four, &["/3303/1", "/3", "/19/0", "/19/1", "/3303/0"]);
    for _ in 0..2 {
        register(device, &links);
        let found: Vec<String> = expected.iter().map(|_| answer_next(device)).collect();
        assert_eq!(found, expected);
        device.expect_nothing();
    }
}

fn when(device: &mut Device<'_>) {
    for round in 0..2 {
        let started = Instant::now();
        register(device, "</3303/0>");
        let (_, request) = receive_observe(device);
        let waited = started.elapsed();
        device.answer(&request, "4.05");
        device.published();
        if (round, device.profile()) == (0, Profile::Emqx4) {
            assert!(waited >= Duration::from_secs(2), "{waited:?}");
        } else {
            assert!(waited < Duration::from_secs(2), "{waited:?}");
        }
    }
}

fn pace(device: &mut Device<'_>) {
    register(device, "</3303/0>,</3303/1>,</3303/2>");
    let mut last: Option<Instant> = None;
    for _ in 0..3 {
        answer_next(device);
        let apart = last.map_or(Duration::from_secs(1), |last| last.elapsed());
        last = Some(Instant::now());
        if device.profile() == Profile::Emqx4 {
            // What this test takes itself can only shorten what it sees of the pause.
            assert!(apart >= Duration::from_millis(50), "{apart:?}");
        }
    }
}

fn published(device: &mut Device<'_>) {
    register(device, "</3303/0/5700>,</3303/0>");
    let path = "/3303/0/5700";
    let (found, request) = receive_observe(device);
    assert_eq!(found, path);
    device.answer(&request, "2.05 observe=0 text 21.5");
    let first = json!({"msgType": "observe", "data": temperature(path, 21.5)});
    device.expect("up/resp", &automatic(device.profile(), first));
    answer_next(device);
    device.separately(NON, &request, "2.05 observe=3 text 22.5");
    let news = json!({"msgType": "notify", "seqNum": 3, "data": temperature(path, 22.5)});
    device.expect("up/notify", &automatic(device.profile(), news));
    device.expect_nothing();
}

fn a_first_answer_with_a_number(device: &mut Device<'_>) {
    register(device, "</3303/0/5700>");
    let (path, request) = receive_observe(device);
    device.answer(&request, "2.05 observe=9 text 21.5");
    let data = temperature(&path, 21.5);
    match device.profile() {
        Profile::Emqx4 => {
            let first = json!({"msgType": "notify", "seqNum": 9, "data": data});
            device.expect("up/notify", &first);
        }
        Profile::Emqx5 => {
            let first = json!({"is_auto_observe": true, "msgType": "observe", "seqNum": 9,
                               "data": data});
            device.expect("up/resp", &first);
        }
    }
}

fn refused(device: &mut Device<'_>) {
    for _ in 0..2 {
        register(device, "</3303/0>,</3303/1>");
        let (path, request) = receive_observe(device);
        assert_eq!(path, "/3303/0");
        device.answer(&request, "4.04");
        let data = json!({"reqPath": path, "code": "4.04", "codeMsg": "not_found"});
        let report = json!({"msgType": "observe", "data": data});
        device.expect("up/resp", &automatic(device.profile(), report));
        assert_eq!(answer_next(device), "/3303/1");
        device.expect_nothing();
    }
}

fn reset(device: &mut Device<'_>) {
    register(device, "</3303/0>");
    let (path, request) = receive_observe(device);
    device.send(&Message::new(crate::coap::RST, 0, request.id, &[]));
    let report = json!({"msgType": "coap_reset", "data": {"path": path}});
    device.expect("up/resp", &automatic(device.profile(), report));
    device.expect_nothing();
}

fn an_update(device: &mut Device<'_>) {
    register(device, "</3303/0>");
    answer_next(device);
    device.update(&[], "</3303/0>,</3303/1>");
    assert_eq!(device.published().json["msgType"], "update");
    device.expect_nothing();
}

fn a_command_takes_over(device: &mut Device<'_>) {
    let command = json!({"reqID": 7, "msgType": "observe", "data": {"path": "/3303/0/5700"}});
    register(device, "</3303/0/5700>");
    let (path, automatic) = receive_observe(device);
    device.answer(&automatic, "2.05 observe=0 text 21.5");
    device.published();
    let request = device.command(&command);
    assert_eq!(request.token, automatic.token);
    device.answer(&request, "2.05 observe=0 text 21.5");
    device.published();
    // Observed once after a Register, for the command.
    register(device, "</3303/0/5700>");
    let (again, request) = receive_observe(device);
    assert_eq!(again, path);
    device.answer(&request, "2.05 observe=0 text 20.5");
    let data = temperature(&path, 20.5);
    let news = json!({"reqID": 7, "msgType": "notify", "seqNum": 0, "data": data});
    device.expect("up/notify", &news);
    device.expect_nothing();
}

fn a_cancellation(device: &mut Device<'_>) {
    let command =
        json!({"reqID": 8, "msgType": "cancel-observe", "data": {"path": "/3303/0/5700"}});
    for _ in 0..2 {
        register(device, "</3303/0/5700>");
        let (_, request) = receive_observe(device);
        device.answer(&request, "2.05 observe=0 text 21.5");
        device.published();
        let cancel = device.command(&command);
        assert_eq!(
            (cancel.shown().as_str(), &cancel.token),
            ("GET /3303/0/5700 observe=1", &request.token)
        );
        device.answer(&cancel, "2.05 text 21.5");
        assert_eq!(device.published().json["reqID"], 8);
        let id = device.separately(CON, &request, "2.05 observe=9 text 22.5");
        device.reset(id);
    }
}

fn listed_paths(device: &mut Device<'_>) {
    register(device, ALL);
    let expected =
        by_profile(device, &["/1/0", "/5/0", "/32000/0", "/3303/0"], &["/3303/0", "/5/0", "/1/0"]);
    let found: Vec<String> = expected.iter().map(|_| answer_next(device)).collect();
    assert_eq!(found, expected);
    device.expect_nothing();
}

fn listed_again(device: &mut Device<'_>) {
    for links in ["</3303/0>", "</3303/0>", "</1/0>"] {
        register(device, links);
        assert_eq!(format!("<{}>", answer_next(device)), links);
        device.expect_nothing();
    }
}

/// Observes the temperature by a command.
fn observe(device: &mut Device<'_>) -> Message {
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

fn as_emqx(device: &mut Device<'_>) {
    register(device, LINKS);
    assert_eq!(answer_next(device), "/3/0");
    observe(device);
    register(device, LINKS);
    if device.profile() == Profile::Emqx4 {
        assert_eq!(answer_next(device), "/3/0");
    }
    device.expect_nothing();
}
