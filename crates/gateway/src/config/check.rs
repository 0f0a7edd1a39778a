//! Rules that no single key can judge: limits against each other, what this version cannot do.
//!
//! Each rule looks at the finished [`Config`]; where a value came from is looked up for the
//! message. Topics are judged by `bridge`, which alone knows what they mean.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;

use bridge::{Bridge, SettingsError};
use engine::AcceptedVersion;

use super::error::{ConfigError, ConfigErrors};
use super::tree::{self, Origin, Table};
use super::{ApiKey, Config, Durability, Listener, MqttMode, SHARDS_MAX, Transport};
use crate::listeners::Slots;
use crate::{settings, telemetry};

/// A setting that was given but has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    origin: Origin,
    key: &'static str,
    text: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.text)
    }
}

/// Judges a whole configuration.
///
/// # Errors
/// Every broken rule, in the order of the sections.
pub(super) fn check(config: &Config, layers: &Table) -> Result<Vec<Warning>, ConfigErrors> {
    let mut faults = Faults { layers, errors: Vec::new() };
    general(config, &mut faults);
    lwm2m(config, &mut faults);
    topics(config, &mut faults);
    coap(config, &mut faults);
    listeners(config, &mut faults);
    queues(config, &mut faults);
    mqtt(config, &mut faults);
    http(config, &mut faults);
    log(config, &mut faults);
    if faults.errors.is_empty() {
        Ok(warnings(config, layers))
    } else {
        Err(ConfigErrors(faults.errors))
    }
}

struct Faults<'t> {
    layers: &'t Table,
    errors: Vec<ConfigError>,
}

impl Faults<'_> {
    fn require(&mut self, holds: bool, key: &str, problem: impl Into<String>) {
        if !holds {
            let origin = tree::origin_of(self.layers, key);
            self.errors.push(ConfigError::of_key(origin, key, problem.into()));
        }
    }
}

fn general(config: &Config, faults: &mut Faults<'_>) {
    let shards = format!("expected at most {SHARDS_MAX}, or 0 for one per core");
    faults.require(config.shards <= SHARDS_MAX, "shards", shards);
    faults.require(
        !config.data_dir.as_os_str().is_empty(),
        "data_dir",
        "expected a directory, `.` for the working directory",
    );
    faults.require(
        config.durability != Durability::Journal,
        "durability",
        "\"journal\" is not available in this version; expected \"memory\"",
    );
}

fn lwm2m(config: &Config, faults: &mut Faults<'_>) {
    let lwm2m = &config.lwm2m;
    faults.require(
        lwm2m.lifetime_min <= lwm2m.lifetime_max,
        "lwm2m.lifetime_min",
        format!("{} is above lwm2m.lifetime_max = {}", lwm2m.lifetime_min, lwm2m.lifetime_max),
    );
    for (key, period) in
        [("lifetime_min", lwm2m.lifetime_min), ("lifetime_max", lwm2m.lifetime_max)]
    {
        let whole = period.duration().subsec_nanos() == 0;
        faults.require(whole, &format!("lwm2m.{key}"), "expected whole seconds, as lifetimes are");
    }
    if let Some(path) = lwm2m.auto_observe.unusable() {
        let problem = format!("found \"{path}\", expected a path such as \"/3/0\"");
        faults.require(false, "lwm2m.auto_observe", problem);
    }
    let positive = [
        ("lwm2m.command_timeout", lwm2m.command_timeout.duration().is_zero()),
        ("lwm2m.max_in_flight", lwm2m.max_in_flight == 0),
        ("lwm2m.registrations_max", lwm2m.registrations_max == 0),
        ("lwm2m.queue.commands", lwm2m.queue.commands == 0),
        ("lwm2m.queue.bytes", lwm2m.queue.bytes.get() == 0),
        ("lwm2m.queue.age", lwm2m.queue.age.duration().is_zero()),
    ];
    for (key, is_zero) in positive {
        faults.require(!is_zero, key, "expected more than 0");
    }
    faults.require(
        lwm2m.command_payload_max <= config.lwm2m.queue.bytes,
        "lwm2m.command_payload_max",
        format!("is above lwm2m.queue.bytes = {}: no queue could take it", lwm2m.queue.bytes),
    );
    versions(config, faults);
}

fn versions(config: &Config, faults: &mut Faults<'_>) {
    let key = "lwm2m.accept_versions";
    let versions = &config.lwm2m.accept_versions;
    faults.require(!versions.is_empty(), key, "expected at least one version such as \"1\"");
    for version in versions {
        faults.require(
            AcceptedVersion::parse(version).is_some(),
            key,
            format!("found \"{version}\", expected a version such as \"1\" or \"1.1\""),
        );
    }
}

fn topics(config: &Config, faults: &mut Faults<'_>) {
    for (name, topic) in config.lwm2m.topics.all() {
        let key = format!("lwm2m.topics.{name}");
        faults.require(topic.qos.is_none_or(|qos| qos <= QOS_MAX), &key, "expected qos 0 or 1");
    }
    // The common mountpoint alone first, then each listener's, so that the fault is said of the
    // key that causes it; at last all together, for topics of one that match commands of another.
    let all = settings::bridge_settings(config, &Slots::of(config));
    let common = bridge::Settings { listener_mountpoints: BTreeMap::new(), ..all.clone() };
    if let Err(error) = Bridge::new(common.clone()) {
        let key = faulty_key(&error, faults.layers);
        faults.require(false, &key, error.to_string());
        return;
    }
    for (name, listener) in &config.listeners {
        if listener.mountpoint.is_empty() {
            continue;
        }
        let own = bridge::Settings { mountpoint: listener.mountpoint.clone(), ..common.clone() };
        if let Err(error) = Bridge::new(own) {
            let key = format!("listeners.{name}.mountpoint");
            faults.require(false, &key, error.to_string());
            return;
        }
    }
    if let Err(error) = Bridge::new(all) {
        faults.require(false, "listeners", error.to_string());
    }
}

/// The key to blame: of mountpoint and topic the one that somebody set, else the topic.
fn faulty_key(error: &SettingsError, layers: &Table) -> String {
    let topic = match error {
        SettingsError::NoEndpoint { .. } => "lwm2m.topics.command".to_owned(),
        SettingsError::PayloadMax(_) => return "lwm2m.command_payload_max".to_owned(),
        SettingsError::Template { key, .. } | SettingsError::Loop { key, .. } => {
            format!("lwm2m.{key}")
        }
    };
    let is_set = |key: &str| tree::find(layers, key).is_some();
    if !is_set(&topic) && is_set("lwm2m.mountpoint") {
        "lwm2m.mountpoint".to_owned()
    } else {
        topic
    }
}

/// Exactly-once delivery to the broker would double the packets of every event, and no consumer of
/// this contract asks for it.
const QOS_MAX: u8 = 1;

fn coap(config: &Config, faults: &mut Faults<'_>) {
    let coap = &config.coap;
    let size = coap.block_size_max;
    faults.require(
        size.is_power_of_two() && (16..=1024).contains(&size),
        "coap.block_size_max",
        format!("found {size}, expected 16, 32, 64, 128, 256, 512 or 1024 (RFC 7959 2.2)"),
    );
    faults.require(
        (1.0..=10.0).contains(&coap.ack_random_factor),
        "coap.ack_random_factor",
        "expected a number from 1.0 to 10.0 (RFC 7252 4.8)",
    );
    let timeout = coap.ack_timeout.duration().as_millis();
    faults.require(
        (100..=60_000).contains(&timeout),
        "coap.ack_timeout",
        "expected 100ms to 60s: below, answers overtake retransmissions; above, NSTART blocks",
    );
    faults.require(
        coap.max_retransmit <= 10,
        "coap.max_retransmit",
        "expected at most 10: each one doubles the time a dead device blocks its queue",
    );
    faults.require((1..=16).contains(&coap.nstart), "coap.nstart", "expected 1 to 16");
    let positive = [
        ("coap.body_max", coap.body_max.get()),
        ("coap.transfers.per_peer", coap.transfers.per_peer),
        ("coap.dedup.per_peer", coap.dedup.per_peer),
    ];
    for (key, value) in positive {
        faults.require(value > 0, key, "expected more than 0");
    }
    faults.require(
        coap.transfers.bytes >= coap.body_max,
        "coap.transfers.bytes",
        format!("is below coap.body_max = {}: no body could arrive", coap.body_max),
    );
    faults.require(
        coap.dedup.entries >= coap.dedup.per_peer,
        "coap.dedup.entries",
        "is below coap.dedup.per_peer",
    );
}

fn listeners(config: &Config, faults: &mut Faults<'_>) {
    let count = config.listeners.len();
    faults.require(
        count <= LISTENERS_MAX,
        "listeners",
        format!("expected at most {LISTENERS_MAX} listeners, found {count}"),
    );
    let mut seen: HashMap<SocketAddr, &str> = HashMap::new();
    for (name, listener) in &config.listeners {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        faults.require(
            !name.is_empty() && name.chars().all(legal),
            &format!("listeners.{name}"),
            "a listener's name has only a to z, 0 to 9, _ and -",
        );
        faults.require(
            listener.transport != Transport::Dtls,
            &format!("listeners.{name}.type"),
            "\"dtls\" is not available in this version; expected \"udp\"",
        );
        listener_limits(name, listener, faults);
        if !listener.enable || listener.bind.port() == 0 {
            continue;
        }
        if let Some(other) = seen.insert(listener.bind, name) {
            let problem = format!("{} is taken by listeners.{other}.bind", listener.bind);
            faults.require(false, &format!("listeners.{name}.bind"), problem);
        }
    }
}

fn listener_limits(name: &str, listener: &Listener, faults: &mut Faults<'_>) {
    let key = |key: &str| format!("listeners.{name}.{key}");
    let connections = listener.max_connections > 0;
    faults.require(connections, &key("max_connections"), "expected more than 0");
    let rules = listener.access_rules.len();
    faults.require(
        rules <= ACCESS_RULES_MAX,
        &key("access_rules"),
        format!("expected at most {ACCESS_RULES_MAX} rules, found {rules}"),
    );
    faults.require(
        !listener.proxy_protocol,
        &key("proxy_protocol"),
        "is not available for UDP: version 2 of the PROXY protocol has a code for datagrams but \
         does not say which of them carry the header, and proxies differ; expected false",
    );
}

/// 256 rules: they are compared one by one for each datagram, and 256 cost about half a
/// microsecond. Longer lists belong into the packet filter of the system.
const ACCESS_RULES_MAX: usize = 256;

/// 16 listeners: each shard opens a socket per listener, and 256 shards with 16 stay within the
/// usual limit of file descriptors.
const LISTENERS_MAX: usize = 16;

fn queues(config: &Config, faults: &mut Faults<'_>) {
    let positive = [
        ("inbox.entries", config.inbox.entries),
        ("inbox.bytes", config.inbox.bytes.get()),
        ("outbox.entries", config.outbox.entries),
        ("outbox.bytes", config.outbox.bytes.get()),
        ("outbox.reserved", config.outbox.reserved),
    ];
    for (key, value) in positive {
        faults.require(value > 0, key, "expected more than 0");
    }
}

fn mqtt(config: &Config, faults: &mut Faults<'_>) {
    let external = &config.mqtt.external;
    faults.require(
        broker_url_is_usable(&external.url),
        "mqtt.external.url",
        "expected \"mqtt://host:port\" or \"mqtts://host:port\", user and password in their own keys",
    );
    faults.require(
        external.reconnect_min <= external.reconnect_max,
        "mqtt.external.reconnect_min",
        format!("is above mqtt.external.reconnect_max = {}", external.reconnect_max),
    );
    faults.require(
        external.username.is_empty() <= external.password.is_empty(),
        "mqtt.external.password",
        "needs mqtt.external.username",
    );
    let packets = [
        ("mqtt.external.packet_max", external.packet_max),
        ("mqtt.embedded.packet_max", config.mqtt.embedded.packet_max),
    ];
    for (key, size) in packets {
        faults.require(size.get() <= PACKET_MAX, key, "expected at most 256MB, as MQTT has it");
    }
    let positive = [
        ("mqtt.external.inflight_max", usize::from(external.inflight_max)),
        ("mqtt.external.packet_max", external.packet_max.get()),
        ("mqtt.embedded.max_connections", config.mqtt.embedded.max_connections),
        ("mqtt.embedded.packet_max", config.mqtt.embedded.packet_max.get()),
        ("mqtt.embedded.queue_max", config.mqtt.embedded.queue_max),
    ];
    for (key, value) in positive {
        faults.require(value > 0, key, "expected more than 0");
    }
}

/// MQTT 5 1.5.5: the Remaining Length has 28 bits.
const PACKET_MAX: usize = 256 << 20;

fn broker_url_is_usable(url: &str) -> bool {
    let host = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("mqtts://"));
    host.is_some_and(|host| {
        let host = host.strip_suffix('/').unwrap_or(host);
        let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'));
        !host.is_empty()
            && !host.starts_with(':')
            && !host.contains(['/', '@', '?', '#', ' '])
            && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
    })
}

fn http(config: &Config, faults: &mut Faults<'_>) {
    let http = &config.http;
    let exposed = http.enabled && !http.bind.ip().is_loopback();
    faults.require(
        !exposed || !http.token.is_empty() || !http.api_keys.is_empty(),
        "http.token",
        format!(
            "or a key in http.api_keys is needed because http.bind = {} is not a loopback address",
            http.bind
        ),
    );
    for (name, key) in &http.api_keys {
        api_key(name, key, faults);
    }
    faults.require(http.max_connections > 0, "http.max_connections", "expected more than 0");
    faults.require(!http.timeout.duration().is_zero(), "http.timeout", "expected more than 0");
}

fn api_key(name: &str, key: &ApiKey, faults: &mut Faults<'_>) {
    let section = format!("http.api_keys.{name}");
    // HTTP Basic ends the name at the first colon.
    let named = !name.is_empty() && !name.contains(':') && !name.contains(char::is_control);
    faults.require(named, &section, "expected a name without colons");
    let one = key.secret.is_empty() != key.secret_file.as_os_str().is_empty();
    faults.require(one, &section, "expected either secret or secret_file");
}

fn log(config: &Config, faults: &mut Faults<'_>) {
    let level = telemetry::parse_level(&config.log.level);
    let problem = level.as_ref().err().map(|error| {
        format!("{error}; expected error, warn, info, debug, trace, or such as \"info,gateway::mqtt=debug\"")
    });
    faults.require(level.is_ok(), "log.level", problem.unwrap_or_default());
}

fn warnings(config: &Config, layers: &Table) -> Vec<Warning> {
    // A section that the chosen way to a broker does not look at.
    let (key, text) = match config.mqtt.mode {
        MqttMode::Embedded => ("mqtt.external", "has no effect, because mqtt.mode is \"embedded\""),
        MqttMode::External => ("mqtt.embedded", "has no effect, because mqtt.mode is \"external\""),
    };
    let node = tree::find(layers, key);
    let without_effect = node.map(|node| Warning { origin: node.origin.clone(), key, text });
    let unreachable = |key| Warning {
        origin: tree::origin_of(layers, key),
        key,
        text: "no listener takes datagrams, so no device can be served",
    };
    let deaf = match (config.enable, config.listeners.values().any(|listener| listener.enable)) {
        (false, _) => Some(unreachable("enable")),
        (true, false) => Some(unreachable("listeners")),
        (true, true) => None,
    };
    without_effect.into_iter().chain(deaf).collect()
}
