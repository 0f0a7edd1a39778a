//! Observations that nobody asked for: contract, section 7, and table 0.1, "auto observe pace".
//!
//! What commands had asked for and is set up again is played in `rearm`.

use std::time::{Duration, Instant};

use gateway::config::{AutoObserve, Profile};
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, LINKS, unique_name};
use crate::coap::{CON, Message, NON};
use crate::rearm::observe;

in_both_profiles!(everything, a_list, without_rearming);

pub(crate) type Play = fn(&mut Device<'_>);

/// What a device sends that has objects of each kind.
const ALL: &str = "</3303/1>,</3>,</1/0>,</5/0>,</19/0>,</19/1>,</32000/0>,</3303/0>";

pub(crate) fn play(gateway: &Gateway, rows: &[(&str, Play)]) {
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

fn without_rearming(profile: Profile) {
    let gateway = Gateway::start_with(profile, "without-rearming", |config| {
        config.lwm2m.rearm = false;
        config.lwm2m.auto_observe = AutoObserve::Paths(vec!["/3/0".to_owned()]);
    });
    play(&gateway, &[("rearm = false is as EMQX", as_emqx)]);
}

/// Registers and sees that published.
pub(crate) fn register(device: &mut Device<'_>, links: &str) {
    device.register(&[], links);
    assert_eq!(device.published().json["msgType"], "register");
}

/// The next request, which is an observe.
pub(crate) fn receive_observe(device: &Device<'_>) -> (String, Message) {
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

pub(crate) fn temperature(path: &str, value: f64) -> Json {
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
