//! Settings of the MQTT side: `[mqtt]` (design, section 4, "The MQTT side").
//!
//! Connecting is the job of `crate::mqtt`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::values::{self, Period, Size};
use crate::telemetry::Redacted;

/// `[mqtt]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mqtt {
    /// Where the broker is.
    pub mode: MqttMode,
    /// What is spoken with an external broker.
    pub protocol: MqttProtocol,
    /// Prefixes that an MQTT 5 Response Topic must have one of; none of them allows every topic.
    pub response_topic_prefixes: Vec<String>,
    /// Retained commands that wait for their devices.
    pub retained_commands: RetainedCommands,
    /// The broker inside of this process.
    pub embedded: Embedded,
    /// The broker elsewhere.
    pub external: External,
}

/// `[mqtt.retained_commands]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetainedCommands {
    /// How many; 0 keeps none.
    pub entries: usize,
    /// Bytes of all of them.
    pub bytes: Size,
}

impl Default for RetainedCommands {
    fn default() -> Self {
        // A usual command and its index are about 700 bytes: 16 MB are reached before 100 000.
        Self { entries: 100_000, bytes: Size::megabytes(16) }
    }
}

/// Where the broker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttMode {
    /// Inside of this process.
    #[default]
    Embedded,
    /// Elsewhere.
    External,
}

/// What is spoken with an external broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MqttProtocol {
    /// MQTT 5.0.
    #[default]
    #[serde(rename = "5")]
    V5,
    /// MQTT 3.1.1.
    #[serde(rename = "3.1.1")]
    V311,
}

/// `[mqtt.embedded]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Embedded {
    /// Address and port; port 0 lets the system choose.
    #[serde(deserialize_with = "values::socket_address")]
    pub bind: SocketAddr,
    /// Clients connected at the same time.
    pub max_connections: usize,
    /// The largest packet; a client that sends a larger one is disconnected.
    pub packet_max: Size,
    /// Messages that wait for one client; more are dropped and counted.
    pub queue_max: usize,
    /// Retained messages kept in memory.
    pub retained_max: usize,
}

impl Default for Embedded {
    fn default() -> Self {
        // A subscriber that stalls for a second at 100 000 messages per second loses nothing; at
        // the usual 300 bytes each its queue then holds 30 MB.
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 1883)),
            max_connections: 1_000,
            packet_max: Size::megabytes(1),
            queue_max: 100_000,
            retained_max: 100_000,
        }
    }
}

/// `[mqtt.external]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct External {
    /// `mqtt://host:port`, or `mqtts://` for TLS.
    pub url: String,
    /// Client id; empty means one that is made once and kept in `data_dir`.
    pub client_id: String,
    /// User name; empty sends none.
    pub username: String,
    /// Password; empty sends none.
    pub password: Redacted<String>,
    /// PEM file of the certificates that sign the broker's (`mqtts://`); empty means those of the
    /// system.
    pub ca_file: PathBuf,
    /// Keep Alive.
    pub keep_alive: Period,
    /// How long the broker keeps the session after the connection is lost (MQTT 5).
    pub session_expiry: Period,
    /// Publications on their way without acknowledgement.
    pub inflight_max: u16,
    /// The largest packet in either direction.
    pub packet_max: Size,
    /// The first pause before connecting again; it doubles with each failure.
    pub reconnect_min: Period,
    /// The longest pause.
    pub reconnect_max: Period,
}

impl Default for External {
    fn default() -> Self {
        Self {
            url: "mqtt://127.0.0.1:1883".to_owned(),
            client_id: String::new(),
            username: String::new(),
            password: Redacted::default(),
            ca_file: PathBuf::new(),
            keep_alive: Period::seconds(30),
            session_expiry: Period::seconds(3_600),
            inflight_max: 1_000,
            packet_max: Size::megabytes(1),
            reconnect_min: Period::millis(250),
            reconnect_max: Period::seconds(30),
        }
    }
}
