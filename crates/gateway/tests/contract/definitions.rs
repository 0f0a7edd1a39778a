//! Object definitions while the gateway runs: contract, section 1 (`xml_dir`) and the wishes of
//! section 11 (new files without a restart, versions of objects).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::config::Profile;
use serde_json::{Value as Json, json};

use crate::bench::{Device, Gateway, unique_name};

in_both_profiles!(watched, versions);

/// An object with one resource of this type.
fn definition(id: u16, version: &str, data_type: &str) -> String {
    format!(
        "<LWM2M><Object><Name>Test</Name><ObjectID>{id}</ObjectID>\
         <ObjectVersion>{version}</ObjectVersion>\
         <MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>\
         <Resources><Item ID=\"1\"><Name>Value</Name><Operations>R</Operations>\
         <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>\
         <Type>{data_type}</Type></Item></Resources></Object></LWM2M>"
    )
}

fn start(profile: Profile, name: &str) -> (Gateway, PathBuf) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("xml-{}-{name}-{profile:?}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    let gateway = Gateway::start_with(profile, name, |config| {
        config.lwm2m.xml_dir = directory.clone();
        config.lwm2m.xml_poll = Duration::from_millis(20).into();
    });
    (gateway, directory)
}

/// The first item of the content that a read of text `42` is published with.
fn read(device: &mut Device<'_>, path: &str) -> Json {
    let command = json!({"msgType": "read", "data": {"path": path}});
    device.answer(&device.command(&command), "2.05 text 42");
    device.published().json["data"]["content"][0].clone()
}

#[track_caller]
fn becomes(device: &mut Device<'_>, path: &str, item: &Json) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let now = read(device, path);
        if now == *item {
            return;
        }
        assert!(Instant::now() < deadline, "{path} stays {now}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn watched(profile: Profile) {
    let (gateway, directory) = start(profile, "watched");
    let mut device = gateway.registered_with(&unique_name(), "</33000/0>,</3303/0>");
    let path = "/33000/0/1";
    let raw = json!({"path": path, "value": "42", "raw": true});
    assert_eq!(read(&mut device, path), raw);
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("33000.xml");
    std::fs::write(&file, definition(33000, "1.0", "Integer")).unwrap();
    becomes(&mut device, path, &json!({"path": path, "value": 42}));
    std::fs::write(&file, definition(33000, "1.0", "String")).unwrap();
    becomes(&mut device, path, &json!({"path": path, "value": "42"}));
    std::fs::remove_file(&file).unwrap();
    becomes(&mut device, path, &raw);
}

fn versions(profile: Profile) {
    let (gateway, directory) = start(profile, "versions");
    std::fs::create_dir(&directory).unwrap();
    for (version, data_type) in [("1.0", "Integer"), ("1.2", "String"), ("2.0", "Float")] {
        let file = directory.join(format!("33000-{version}.xml"));
        std::fs::write(file, definition(33000, version, data_type)).unwrap();
    }
    let mut device = gateway.registered_with(&unique_name(), "</33000/0>");
    becomes(&mut device, "/33000/0/1", &json!({"path": "/33000/0/1", "value": 42}));
    let rows: &[(&str, &str, Json)] = &[
        ("the version that the device said", "</33000>;ver=1.2,</33000/0>", json!("42")),
        ("another major version", "</33000>;ver=2.0,</33000/0>", json!(42.0)),
        ("with quotes", "</33000>;ver=\"1.2\",</33000/0>", json!("42")),
        ("at the instance", "</33000/0>;ver=1.2", json!("42")),
        ("none: 1.0 by OMA's rule", "</33000/0>", json!(42)),
        ("between two: the older one", "</33000>;ver=1.1,</33000/0>", json!(42)),
        ("beyond all: the highest", "</33000>;ver=2.7,</33000/0>", json!(42.0)),
        ("below all: the lowest", "</33000>;ver=0.9,</33000/0>", json!(42)),
    ];
    gateway.play(
        rows,
        |row| row.0,
        |(_, links, value)| {
            let mut device = gateway.registered_with(&unique_name(), links);
            let item = read(&mut device, "/33000/0/1");
            assert_eq!(item, json!({"path": "/33000/0/1", "value": value}));
        },
    );
}
