//! Which settings change while the process runs, and which only with its next start.

use crate::config::{Config, Mqtt};

/// Sections and keys that are used once, when the parts are made that stay until the end.
///
/// `lwm2m.max_in_flight` is among them because the message layer, whose NSTART follows it, is made
/// with it: a lower value holds at once, a higher one with the next start.
const AT_START: [&str; 11] = [
    "coap",
    "data_dir",
    "durability",
    "http",
    "inbox",
    "log",
    "lwm2m.max_in_flight",
    "lwm2m.xml_poll",
    "mqtt",
    "outbox",
    "shards",
];

/// What is excepted from those.
const AT_ONCE: [&str; 1] = ["mqtt.response_topic_prefixes"];

/// Whether a change of this key takes effect with the next start.
pub(super) fn needs_restart(key: &str) -> bool {
    let is_below = |section: &&str| {
        key.strip_prefix(*section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    AT_START.iter().any(is_below) && !AT_ONCE.contains(&key)
}

/// What the process can use now of what is wanted: the rest stays as it was started with.
pub(super) fn running(wanted: &Config, started: &Config) -> Config {
    Config {
        enable: wanted.enable,
        profile: wanted.profile,
        lwm2m: wanted.lwm2m.clone(),
        listeners: wanted.listeners.clone(),
        mqtt: Mqtt {
            response_topic_prefixes: wanted.mqtt.response_topic_prefixes.clone(),
            ..started.mqtt.clone()
        },
        ..started.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_stands_for_its_keys() {
        for key in ["coap.nstart", "mqtt.external.url", "shards", "lwm2m.max_in_flight"] {
            assert!(needs_restart(key), "{key}");
        }
        for key in ["lwm2m.lifetime_max", "mqtt.response_topic_prefixes", "enable", "coapx"] {
            assert!(!needs_restart(key), "{key}");
        }
    }

    #[test]
    fn what_waits_for_a_restart_is_not_used_before() {
        let started = Config::default();
        let mut wanted = Config { shards: 7, enable: false, ..Config::default() };
        wanted.mqtt.response_topic_prefixes = vec!["x".to_owned()];
        wanted.mqtt.external.url = "mqtt://elsewhere".to_owned();
        let running = running(&wanted, &started);
        assert_eq!((running.shards, running.enable), (started.shards, false));
        assert_eq!(running.mqtt.external, started.mqtt.external);
        assert_eq!(running.mqtt.response_topic_prefixes, ["x"]);
    }
}
