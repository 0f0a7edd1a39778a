//! The keys of the LwM2M plugin of EMQX 4.x: contract, section 1.1.

use super::lines::Entry;
use super::listener;
use super::target::{Place, Target, topic};
use super::value::{observe, period, quoted, size};

/// What a key is here.
enum Meaning {
    /// One key of ours, and how its value is written.
    Ours(&'static str, fn(&str) -> Result<String, String>),
    /// Nothing; why.
    Nothing(&'static str),
}

use Meaning::{Nothing, Ours};

const NO_DTLS: Meaning = Nothing("DTLS is not available in this version");

/// Keys with one counterpart or none, behind `lwm2m.`. Topics, listeners and socket buffers, which
/// are more than one key, are below.
const KEYS: [(&str, Meaning); 17] = [
    ("lifetime_min", Ours("lwm2m.lifetime_min", period)),
    ("lifetime_max", Ours("lwm2m.lifetime_max", period)),
    ("qmode_time_window", Ours("lwm2m.qmode_time_window", period)),
    ("auto_observe", Ours("lwm2m.auto_observe", observe)),
    ("mountpoint", Ours("lwm2m.mountpoint", text)),
    ("xml_dir", Ours("lwm2m.xml_dir", text)),
    ("update_msg_publish_condition", Ours("lwm2m.update_msg_publish_condition", condition)),
    ("opts.buffer", Nothing("the gateway reads whole datagrams and needs no buffer of its own")),
    ("opts.read_packets", Nothing("the gateway reads up to 64 datagrams at once by itself")),
    ("lb", Nothing("EMQX has no such setting since 4.2 either")),
    ("dtls.verify", NO_DTLS),
    ("dtls.fail_if_no_peer_cert", NO_DTLS),
    ("dtls.keyfile", NO_DTLS),
    ("dtls.certfile", NO_DTLS),
    ("dtls.cacertfile", NO_DTLS),
    ("keyfile", NO_DTLS),
    ("certfile", NO_DTLS),
];

/// Topics with the defaults that EMQX takes when the key is missing.
const TOPICS: [(&str, &str); 5] = [
    ("command", "lwm2m/%e/dn/#"),
    ("response", "lwm2m/%e/up/resp"),
    ("notify", "lwm2m/%e/up/notify"),
    ("register", "lwm2m/%e/up/resp"),
    ("update", "lwm2m/%e/up/resp"),
];

/// Other keys that EMQX has a default for where ours differs, as TOML.
const DEFAULTS: [(&str, &str, &str); 3] = [
    ("lifetime_min", "lwm2m.lifetime_min", "\"0s\""),
    ("lifetime_max", "lwm2m.lifetime_max", "\"315360000s\""),
    ("mountpoint", "lwm2m.mountpoint", "\"\""),
];

/// Turns all settings into ours.
pub(super) fn import(entries: &[Entry], target: &mut Target) {
    target.set("", "profile", "\"emqx4\"");
    for (key, ours, value) in DEFAULTS {
        if find(entries, key).is_none() {
            target.put(Place { line: 1, key }, ours, Ok(value.to_owned()));
        }
    }
    for entry in entries {
        match entry.key.strip_prefix("lwm2m.") {
            Some(key) => import_key(entry, key, target),
            None => target.note(place(entry), "no setting of the LwM2M gateway"),
        }
    }
    topics(entries, target);
    listeners(entries, target);
    remarks(entries, target);
}

fn import_key(entry: &Entry, key: &str, target: &mut Target) {
    if let Some((_, meaning)) = KEYS.iter().find(|(known, _)| *known == key) {
        return match meaning {
            Ours(ours, convert) => target.put(place(entry), ours, convert(&entry.value)),
            Nothing(reason) => target.note(place(entry), *reason),
        };
    }
    let is_topic = |(name, _): &(&str, &str)| key.strip_prefix("topics.") == Some(name);
    if TOPICS.iter().any(is_topic) || number(key, "bind.udp.").is_some() {
        return; // With the others of their kind.
    }
    match key {
        "opts.recbuf" | "opts.sndbuf" => {}
        "dtls.ciphers" | "dtls.psk_ciphers" => target.note(place(entry), "DTLS is not available"),
        _ if number(key, "bind.dtls.").is_some() => target.note(place(entry), listener::NO_DTLS),
        _ => target.note(place(entry), "unknown to EMQX's LwM2M plugin"),
    }
}

fn topics(entries: &[Entry], target: &mut Target) {
    for (name, default) in TOPICS {
        // EMQX 4 publishes with QoS 0 whatever its broker may do.
        let ours = format!("lwm2m.topics.{name}");
        match find(entries, &format!("topics.{name}")) {
            Some(entry) => target.put(place(entry), &ours, Ok(topic(&entry.value, 0))),
            None => target.set("lwm2m.topics", name, &topic(default, 0)),
        }
    }
}

fn listeners(entries: &[Entry], target: &mut Target) {
    let mut count = 0;
    for entry in entries {
        let Some(number) =
            entry.key.strip_prefix("lwm2m.").and_then(|key| number(key, "bind.udp."))
        else {
            continue;
        };
        let section = listener::section(&format!("udp-{number}"));
        listener::bind(target, place(entry), &section, &entry.value);
        for (key, ours) in [("opts.recbuf", "recv_buffer"), ("opts.sndbuf", "send_buffer")] {
            if let Some(entry) = find(entries, key) {
                target.put(place(entry), &format!("{section}.{ours}"), size(&entry.value));
            }
        }
        count += 1;
    }
    if count == 0 {
        target.remark("lwm2m.bind.udp", "no UDP listener is configured: the gateway takes its own");
    }
}

/// What means something else here although the key is the same.
fn remarks(entries: &[Entry], target: &mut Target) {
    if find(entries, "xml_dir").is_some() {
        target.remark(
            "lwm2m.xml_dir",
            "the path is kept; the files are watched, and built-in definitions come on top",
        );
    }
    target.remark(
        "lwm2m.qmode_time_window",
        "EMQX 4 compares it with milliseconds, so that nearly every command waits; here it is \
         seconds since the last message of the device",
    );
    target.remark(
        "lwm2m.lifetime_min, lifetime_max",
        "obeyed by Updates as well; EMQX 4 looks at Registers only",
    );
    target.remark(
        "broker",
        "EMQX was the broker as well: this gateway brings its own on 127.0.0.1:1883; to go on with \
         EMQX set mqtt.mode = \"external\" and mqtt.external.url",
    );
}

fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.key.strip_prefix("lwm2m.") == Some(key))
}

/// The number of a numbered key.
fn number<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix).filter(|number| !number.is_empty() && !number.contains('.'))
}

fn place(entry: &Entry) -> Place<'_> {
    Place { line: entry.line, key: &entry.key }
}

fn text(text: &str) -> Result<String, String> {
    Ok(quoted(text))
}

fn condition(text: &str) -> Result<String, String> {
    match text {
        "always" | "contains_object_list" => Ok(quoted(text)),
        _ => Err(format!("found `{text}`, expected always or contains_object_list")),
    }
}
