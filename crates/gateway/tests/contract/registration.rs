//! What a Register may say, what it is answered, and what is published of it: contract, sections
//! 2.2, 2.4 and 2.5.

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{By, Device, Gateway, location, named, register_request, unique_name};
use crate::coap::ACK;
use By::{Both, Each};
use Outcome::{Refused, Registered};

in_both_profiles!(queries, links, names);

#[derive(Clone)]
enum Outcome {
    /// 2.01, and the `data` that is published, with `EP` for the name.
    Registered(Json),
    /// This code with this text.
    Refused(&'static str, &'static str),
}

/// What EMQX 5 says with a refusal.
const QUERIES: &str = "Login Failed: invalid queries";
const VERSION: &str = "Login Failed: invalid lwm2m version";

fn bad_queries() -> By<Outcome> {
    Each(Refused("4.00", ""), Refused("4.00", QUERIES))
}

fn bad_version() -> By<Outcome> {
    Each(Refused("4.12", ""), Refused("4.00", VERSION))
}

fn registered(data: Json) -> By<Outcome> {
    Both(Registered(data))
}

/// A registration without links.
fn version(version: &str) -> By<Outcome> {
    registered(json!({"ep": "EP", "lt": 60, "lwm2m": version}))
}

type Row = (&'static str, Vec<&'static str>, By<Outcome>);

fn queries(profile: Profile) {
    let plain = || registered(json!({"ep": "EP", "lt": 60, "lwm2m": "1.0"}));
    let with = |name: &str, value: &str| {
        registered(json!({"ep": "EP", "lt": 60, "lwm2m": "1.0", name: value}))
    };
    let rows: Vec<Row> = vec![
        (
            "lt is a number, all else is text",
            vec!["ep=EP", "lt=345", "lwm2m=1", "b=UQ", "sms=+15550100", "apn=psmA.eDRX0.ctnb"],
            registered(
                json!({"ep": "EP", "lt": 345, "lwm2m": "1", "b": "UQ", "sms": "+15550100", "apn": "psmA.eDRX0.ctnb"}),
            ),
        ),
        (
            "a missing lt is 86400",
            vec!["ep=EP", "lwm2m=1.0"],
            registered(json!({"ep": "EP", "lt": 86400, "lwm2m": "1.0"})),
        ),
        ("a missing ep is refused", vec!["lt=60", "lwm2m=1.0"], bad_queries()),
        (
            "lt below the limit",
            vec!["ep=EP", "lt=0", "lwm2m=1.0"],
            Each(Refused("4.00", ""), Registered(json!({"ep": "EP", "lt": 0, "lwm2m": "1.0"}))),
        ),
        (
            "lt above the limit",
            vec!["ep=EP", "lt=864001", "lwm2m=1.0"],
            Each(
                Refused("4.00", ""),
                Registered(json!({"ep": "EP", "lt": 864_001, "lwm2m": "1.0"})),
            ),
        ),
        (
            "lt at the limit",
            vec!["ep=EP", "lt=864000", "lwm2m=1.0"],
            registered(json!({"ep": "EP", "lt": 864_000, "lwm2m": "1.0"})),
        ),
        (
            "lt beyond 32 bits",
            vec!["ep=EP", "lt=5000000000", "lwm2m=1.0"],
            Each(
                Refused("4.00", ""),
                Registered(json!({"ep": "EP", "lt": 5_000_000_000_u64, "lwm2m": "1.0"})),
            ),
        ),
        ("lt beyond 64 bits", vec!["ep=EP", "lt=18446744073709551616", "lwm2m=1.0"], bad_queries()),
        ("lt that is no number", vec!["ep=EP", "lt=abc", "lwm2m=1.0"], bad_queries()),
        ("an empty lt", vec!["ep=EP", "lt=", "lwm2m=1.0"], bad_queries()),
        ("a negative lt", vec!["ep=EP", "lt=-1", "lwm2m=1.0"], bad_queries()),
        ("a fraction as lt", vec!["ep=EP", "lt=60.5", "lwm2m=1.0"], bad_queries()),
        ("version 1", vec!["ep=EP", "lt=60", "lwm2m=1"], version("1")),
        ("version 1.0", vec!["ep=EP", "lt=60", "lwm2m=1.0"], version("1.0")),
        ("version 1.1", vec!["ep=EP", "lt=60", "lwm2m=1.1"], version("1.1")),
        ("version 1.2", vec!["ep=EP", "lt=60", "lwm2m=1.2"], version("1.2")),
        ("version 1.9", vec!["ep=EP", "lt=60", "lwm2m=1.9"], version("1.9")),
        ("version 2.0 is foreign", vec!["ep=EP", "lt=60", "lwm2m=2.0"], bad_version()),
        ("version 11 is foreign", vec!["ep=EP", "lt=60", "lwm2m=11"], bad_version()),
        ("version 0.9 is foreign", vec!["ep=EP", "lt=60", "lwm2m=0.9"], bad_version()),
        ("an empty version is foreign", vec!["ep=EP", "lt=60", "lwm2m="], bad_version()),
        ("a missing version", vec!["ep=EP", "lt=60"], bad_version()),
        ("the version is judged before ep and lt", vec!["lt=abc", "lwm2m=2.0"], bad_version()),
        ("Q without value is queue mode", vec!["ep=EP", "lt=60", "lwm2m=1.0", "Q"], with("Q", "")),
        (
            "another key without value",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "obs"],
            Each(Refused("4.00", ""), Registered(json!({"ep": "EP", "lt": 60, "lwm2m": "1.0"}))),
        ),
        (
            "syntax is judged before the version",
            vec!["ep=EP", "lt=60", "lwm2m=2.0", "obs"],
            Each(Refused("4.00", ""), Refused("4.00", VERSION)),
        ),
        (
            "a value without key",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "=x"],
            Each(
                Refused("4.00", ""),
                Registered(json!({"ep": "EP", "lt": 60, "lwm2m": "1.0", "": "x"})),
            ),
        ),
        (
            "of a repeated key the last one counts",
            vec!["ep=EP", "lt=5", "b=U", "lwm2m=1.0", "lt=60", "b=UQ"],
            with("b", "UQ"),
        ),
        (
            "only the first = splits",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "x=a=b=c"],
            with("x", "a=b=c"),
        ),
        (
            "an empty value is an empty text",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "x="],
            with("x", ""),
        ),
        (
            "a binding of another version is kept",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "b=UT"],
            with("b", "UT"),
        ),
        (
            "imei and device_id are data",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "imei=86", "device_id=D"],
            registered(
                json!({"ep": "EP", "lt": 60, "lwm2m": "1.0", "imei": "86", "device_id": "D"}),
            ),
        ),
        (
            "secrets are not published",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "password=x", "access_token=y", "api-key=z"],
            plain(),
        ),
        (
            "numbers in other parameters stay text",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "n=5"],
            with("n", "5"),
        ),
        (
            "a value that JSON has to escape",
            vec!["ep=EP", "lt=60", "lwm2m=1.0", "x=\"\\\n\u{e9}"],
            with("x", "\"\\\n\u{e9}"),
        ),
    ];
    let gateway = Gateway::start(profile, "queries");
    gateway.play(
        &rows,
        |row| row.0,
        |(_, queries, outcome)| {
            let mut device = gateway.device(&unique_name());
            register(&mut device, queries, "", outcome.of(profile));
        },
    );
}

/// Registers and compares; a refused device registers properly afterwards, to show that nothing was
/// published of the refusal.
fn register(device: &mut Device<'_>, queries: &[&str], links: &str, outcome: Outcome) {
    let answer = device.ask(&register_request(device, queries, links));
    assert_eq!(answer.kind, ACK, "answered with the acknowledgement");
    match outcome {
        Registered(data) => {
            assert!(answer.shown().starts_with("2.01 "), "{}", answer.shown());
            assert!(answer.payload.is_empty());
            let location = location(&answer);
            let id = location.strip_prefix("/rd/").expect("a location below /rd");
            assert!(!id.is_empty() && !id.contains(&device.name), "the id is not the name");
            let published = json!({"msgType": "register", "data": data});
            device.expect("up/resp", &named(&published, &device.name));
        }
        Refused(code, text) => {
            let shown = crate::coap::code_name(answer.code);
            assert_eq!((shown.as_str(), answer.payload.as_slice()), (code, text.as_bytes()));
            assert!(answer.options.is_empty(), "{answer:?}");
            device.register(&[], "");
            let published = json!({"msgType": "register",
                "data": {"ep": device.name, "lt": 86400, "lwm2m": "1.1"}});
            device.expect("up/resp", &published);
        }
    }
}

fn links(profile: Profile) {
    // Name, payload, and what of it is published.
    type Row = (&'static str, &'static str, Option<(&'static str, &'static [&'static str])>);
    let rows: &[Row] = &[
        ("an empty payload says nothing", "", None),
        ("spaces behind commas", "</1>, </2>, </3/0>", Some(("/", &["/1", "/2", "/3/0"]))),
        (
            "the root link is left out",
            "</>;rt=\"oma.lwm2m\";ct=11543,</lwm2m/1/0>",
            Some(("/", &["/lwm2m/1/0"])),
        ),
        (
            "the alternate path is taken off",
            "</lwm2m>;rt=\"oma.lwm2m\";ct=11543,</lwm2m/1/0>,</3/0>",
            Some(("/lwm2m", &["/1/0", "/3/0"])),
        ),
        (
            "the root link may stand anywhere",
            "</lwm2m/1/0>,</lwm2m>;rt=\"oma.lwm2m\",</lwm2m/3/0>",
            Some(("/lwm2m", &["/1/0", "/3/0"])),
        ),
        (
            "attributes are cut off",
            "</1/0>;ver=1.1, </3/0>;ct=\"60\"",
            Some(("/", &["/1/0", "/3/0"])),
        ),
        (
            "an attribute without value is ignored",
            "</1/0>;obs,</3/0>",
            Some(("/", &["/1/0", "/3/0"])),
        ),
        (
            "commas inside of quotes do not split",
            "</1/0>;ct=\"60,110\",</3/0>",
            Some(("/", &["/1/0", "/3/0"])),
        ),
        (
            "links outside of the alternate path are published",
            "</a>;rt=\"oma.lwm2m\",</b/1/0>",
            Some(("/a", &["/b/1/0"])),
        ),
        (
            "an object and its instances",
            "</3303>;ver=1.1,</3303/0>,</3303/1>",
            Some(("/", &["/3303", "/3303/0", "/3303/1"])),
        ),
        (
            "an alternate path of two segments",
            "</a/b>;rt=\"oma.lwm2m\",</a/b/3/0>",
            Some(("/a/b", &["/3/0"])),
        ),
    ];
    let gateway = Gateway::start(profile, "links");
    gateway.play(
        rows,
        |row| row.0,
        |(_, payload, published)| {
            let mut device = gateway.device(&unique_name());
            let mut data = json!({"ep": "EP", "lt": 60, "lwm2m": "1.0"});
            if let Some((alternate_path, list)) = published {
                data["alternatePath"] = json!(alternate_path);
                data["objectList"] = json!(list);
            }
            register(&mut device, &["ep=EP", "lt=60", "lwm2m=1.0"], payload, Registered(data));
        },
    );
}

fn names(profile: Profile) {
    let long = "n".repeat(252);
    let too_long = "n".repeat(253);
    let far_too_long = "n".repeat(300);
    // Name of the row, endpoint name, and the code.
    let rows: Vec<(&str, &str, &str)> = vec![
        ("252 bytes", &long, "2.01"),
        ("253 bytes make an option too long", &too_long, "4.02"),
        ("300 bytes make an option too long", &far_too_long, "4.02"),
        ("no bytes", "", "4.00"),
        ("a plus", "a+b", "4.00"),
        ("a hash", "a#b", "4.00"),
        ("NUL", "a\0b", "4.00"),
        ("a control character", "a\u{1b}b", "4.00"),
        ("a slash in front", "/ab", "4.00"),
        ("a slash behind", "ab/", "4.00"),
        ("a slash between", "floor/2/lamp", "2.01"),
        ("UTF-8", "Z\u{fc}rich \u{1f4a1}", "2.01"),
        ("a dollar", "a$SYS", "2.01"),
        ("a percent sign", "100%e", "2.01"),
        ("a name that is a topic", "dn", "2.01"),
        ("urn:imei", "urn:imei:490154203237518", "2.01"),
    ];
    let gateway = Gateway::start(profile, "names");
    gateway.play(
        &rows,
        |row| row.0,
        |(_, name, code)| {
            let mut device = gateway.device(name);
            let queries = [&format!("ep={name}"), "lt=60", "lwm2m=1.0"];
            let answer = device.ask(&register_request(&device, &queries, ""));
            assert_eq!(crate::coap::code_name(answer.code), *code);
            if *code == "2.01" {
                let data = json!({"ep": name, "lt": 60, "lwm2m": "1.0"});
                device.expect("up/resp", &json!({"msgType": "register", "data": data}));
                let command = json!({"msgType": "delete", "data": {"path": "/3/0"}});
                device.answer(&device.command(&command), "2.02");
                let data = json!({"reqPath": "/3/0", "code": "2.02", "codeMsg": "deleted"});
                device.expect("up/resp", &json!({"msgType": "delete", "data": data}));
            }
        },
    );
    let bytes = gateway.device("invalid");
    let not_utf8 = bytes.request(crate::coap::POST, "/rd").queries(&[
        &b"ep=a\xff"[..],
        b"lt=60",
        b"lwm2m=1.0",
    ]);
    assert_eq!(crate::coap::code_name(bytes.ask(&not_utf8).code), "4.00");
}
