//! The gateway's settings: every key with its type and default (design, "Configuration file").
//!
//! [`Config`] is plain validated data. [`load`] merges the layers (flags, environment, overrides,
//! file, defaults), a check judges what no single key can, and [`show`] prints what is in effect
//! and where it came from. The command line itself is the job of [`crate::cli`].

mod access;
mod auto_observe;
mod change;
mod check;
mod de;
mod error;
mod layers;
mod listeners;
mod load;
mod lwm2m;
mod mqtt;
mod overrides;
mod show;
#[cfg(test)]
mod tests;
mod topics;
mod transport;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use access::{AccessRule, AccessRules};
pub use auto_observe::AutoObserve;
pub(crate) use change::Unchangeable;
pub use check::Warning;
pub use error::{ConfigError, ConfigErrors};
pub use listeners::{Listener, ListenerRebind, Transport};
pub use load::{Loaded, Sources, judge, load};
pub use lwm2m::{
    Acceptance, CommandQueue, FirmwareNotify, LifetimePolicy, Limits, Lwm2m, Report,
    StaleNotifications, UnknownObjects, UpdatePublish, WhenFull,
};
pub use mqtt::{Embedded, External, Mqtt, MqttMode, MqttProtocol, RetainedCommands};
pub use overrides::OVERRIDES_FILE;
pub use show::show;
pub use topics::{LifecycleTopics, Topic, Topics};
pub use transport::{Coap, Deduplication, Transfers};
pub use tree::Origin;
pub use values::{Period, Size};

use crate::outbox;
use crate::telemetry::Redacted;

/// The commented configuration file with every key and its default, as `config default` prints it.
pub const DEFAULT_FILE: &str = include_str!("../../../config/gateway.toml");

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether devices are served; if not, no listener takes datagrams.
    pub enable: bool,
    /// Which EMQX generation the topics and payloads follow.
    pub profile: Profile,
    /// Where the gateway keeps what must survive a restart, relative to the working directory.
    pub data_dir: PathBuf,
    /// Number of shards (threads that own devices); 0 means one per core.
    pub shards: u16,
    /// What "responsibility taken" means before a notification is acknowledged.
    pub durability: Durability,
    /// The LwM2M server and its MQTT contract.
    pub lwm2m: Lwm2m,
    /// The CoAP message layer.
    pub coap: Coap,
    /// CoAP listeners by name.
    pub listeners: BTreeMap<String, Listener>,
    /// What waits for one shard: commands, forwarded datagrams, answers to claims.
    pub inbox: Inbox,
    /// What waits for the broker.
    pub outbox: Outbox,
    /// The MQTT side.
    pub mqtt: Mqtt,
    /// Health, metrics and the management API.
    pub http: Http,
    /// The log on standard error.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enable: true,
            profile: Profile::default(),
            data_dir: PathBuf::from("data"),
            shards: 0,
            durability: Durability::default(),
            lwm2m: Lwm2m::default(),
            coap: Coap::default(),
            listeners: BTreeMap::from([("default".to_owned(), Listener::default())]),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            mqtt: Mqtt::default(),
            http: Http::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// The number of shards to start: as set, or one per core this process may use.
    #[must_use]
    pub fn shard_count(&self) -> u16 {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = if self.shards == 0 { cores() } else { usize::from(self.shards) };
        u16::try_from(wanted.min(usize::from(SHARDS_MAX))).unwrap_or(SHARDS_MAX)
    }
}

/// 256 shards: the shard number is one byte of every token and registration id (design, section 2).
pub const SHARDS_MAX: u16 = 256;

/// The two contracts on the MQTT side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// As the LwM2M plugin of EMQX 4.x.
    #[default]
    Emqx4,
    /// As the LwM2M gateway of EMQX 5.x.
    Emqx5,
}

/// When a confirmable notification or Send is acknowledged (design, section 4, rule 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// As soon as its event is in the outbox.
    #[default]
    Memory,
    /// When its event is in the journal. Known by name so that it can be refused by name.
    Journal,
}

/// Bounds of the queue towards one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inbox {
    /// Entries per shard.
    pub entries: usize,
    /// Bytes of datagrams and command payloads per shard.
    pub bytes: Size,
    /// How long a command's MQTT message is held back when the queue is full, before the command
    /// is refused with `queue_full`.
    pub wait_max: Period,
}

impl Default for Inbox {
    fn default() -> Self {
        // 16384 entries are half a second of commands at the fastest rate a broker connection
        // delivers; the bytes bound the worst case, every command at `command_payload_max`.
        Self { entries: 16_384, bytes: Size::megabytes(32), wait_max: Period::seconds(1) }
    }
}

/// Bounds of what waits for the broker, per shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbox {
    /// Events that wait or are on their way.
    pub entries: usize,
    /// Bytes of the same.
    pub bytes: Size,
    /// Outcomes of accepted commands, for which a slot is set aside at acceptance.
    pub reserved: usize,
    /// How long a confirmable notification or Send goes unacknowledged while the outbox is full;
    /// after that it is acknowledged and dropped, because a device that exhausts MAX_RETRANSMIT
    /// gives the observation up (RFC 7641 4.5).
    pub hold_max: Period,
    /// How long a clean stop waits for the outbox to empty.
    pub drain_max: Period,
}

impl Default for Outbox {
    fn default() -> Self {
        let limits = outbox::Limits::default();
        Self {
            entries: limits.entries,
            bytes: Size::bytes(limits.bytes),
            reserved: limits.reserved,
            hold_max: Period::seconds(30),
            drain_max: Period::seconds(5),
        }
    }
}

impl Outbox {
    /// The bounds in the form that the queue itself takes.
    #[must_use]
    pub fn limits(&self) -> outbox::Limits {
        outbox::Limits { entries: self.entries, bytes: self.bytes.get(), reserved: self.reserved }
    }
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Whether there is one.
    pub enabled: bool,
    /// Where it listens; port 0 lets the system choose.
    #[serde(deserialize_with = "values::socket_address")]
    pub bind: SocketAddr,
    /// Bearer token. Without it and without `api_keys` nothing is asked for, which only a loopback
    /// address may do.
    pub token: Redacted<String>,
    /// API keys by name, for HTTP Basic.
    pub api_keys: BTreeMap<String, ApiKey>,
    /// Connections served at the same time; more wait in the accept backlog.
    pub max_connections: usize,
    /// The largest request body.
    pub body_max: Size,
    /// How long the head of a request may take to arrive, and how long a request may be worked on.
    pub timeout: Period,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: true,
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            token: Redacted::default(),
            api_keys: BTreeMap::new(),
            max_connections: 256,
            body_max: Size::megabytes(1),
            timeout: Period::seconds(30),
        }
    }
}

/// A key for programs that use the API, as EMQX has them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// The secret.
    pub secret: Redacted<String>,
    /// A file with the secret, in place of `secret`.
    pub secret_file: PathBuf,
    /// What the key may do.
    pub role: Role,
}

/// What an API key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    #[default]
    Administrator,
    /// Look: GET and HEAD.
    Viewer,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or one with levels by module:
    /// `info,gateway::mqtt=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::default() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
