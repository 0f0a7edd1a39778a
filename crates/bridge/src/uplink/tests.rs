use engine::{Arrival, Code};
use lwm2m::registration::{Lifetime, ObjectLinks, Parameters};

use super::*;
use crate::settings::{FirmwareNotify, Profile, Report, StaleNotifications};
use crate::testing::{
    BOTH, Bench, Emqx4, Emqx5, NEWS, News, OBSERVE, WALL_MS, answer, code, device, from_hex, plain,
    text, tlv,
};
use crate::{Delivery, Downlink, Settings};

mod answers;
mod contents;
mod notifications;
mod registrations;

const READ: &str = r#"{"reqID":1,"msgType":"read","data":{"path":"/3/0/0"}}"#;

/// A command with only a path.
fn ask(message: &str, path: &str) -> String {
    format!(r#"{{"msgType":"{message}","data":{{"path":"{path}"}}}}"#)
}

/// The `content` of an answer to a read, or what stands there instead: the code.
#[track_caller]
fn content(profile: Profile, path: &str, answer: &Answer) -> String {
    let json = Bench::new(profile).answer(&ask("read", path), answer);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    match json["data"].get("content") {
        Some(content) => content.to_string(),
        None => json["data"]["code"].as_str().unwrap().to_owned(),
    }
}

/// Topics and payloads.
fn published(publications: &[Publication]) -> Vec<(&str, String)> {
    publications.iter().map(|publication| (&*publication.topic, text(publication))).collect()
}
