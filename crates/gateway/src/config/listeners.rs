//! CoAP listeners: `[listeners.NAME]` (design, section 5).
//!
//! Opening the sockets and obeying the limits is the job of [`crate::listeners`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::access::AccessRules;
use super::values::{self, Size};

/// One listener. Its REST id is `lwm2m:<type>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// Whether it takes datagrams.
    pub enable: bool,
    /// What is spoken.
    #[serde(rename = "type")]
    pub transport: Transport,
    /// Address and port; `[::]` takes IPv4 as well.
    #[serde(deserialize_with = "values::socket_address")]
    pub bind: SocketAddr,
    /// What stands before the topics of devices that register here, instead of
    /// `lwm2m.mountpoint`; empty takes that one.
    pub mountpoint: String,
    /// Whether a NoSec device that proves its registration id or token may come to an address of
    /// this listener.
    pub nosec_rebind: ListenerRebind,
    /// Devices registered by this listener at the same time; a Register beyond gets 5.03.
    pub max_connections: u64,
    /// Registrations per second over all shards, after as many at once; a Register beyond gets
    /// 5.03. 0 sets no limit.
    pub max_conn_rate: u32,
    /// Which addresses may send datagrams.
    pub access_rules: AccessRules,
    /// The kernel's receive buffer of each socket.
    pub recv_buffer: Size,
    /// The kernel's send buffer of each socket.
    pub send_buffer: Size,
    /// Whether another program that sets it too may bind the same address (SO_REUSEADDR).
    pub reuse_address: bool,
    /// The address of a device in front of each datagram. Known by name so that it can be refused
    /// by name.
    pub proxy_protocol: bool,
}

impl Default for Listener {
    fn default() -> Self {
        // 4 MB hold some 5 000 datagrams of the usual size, the burst of a fleet that wakes up
        // at the same second while the shard is busy for 10 ms.
        Self {
            enable: true,
            transport: Transport::default(),
            bind: SocketAddr::from(([0, 0, 0, 0], 5683)),
            mountpoint: String::new(),
            nosec_rebind: ListenerRebind::default(),
            max_connections: 1_000_000,
            max_conn_rate: 0,
            access_rules: AccessRules::default(),
            recv_buffer: Size::megabytes(4),
            send_buffer: Size::megabytes(1),
            reuse_address: false,
            proxy_protocol: false,
        }
    }
}

/// What a listener says about devices that come from a new address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerRebind {
    /// What `lwm2m.nosec_rebind` says.
    #[default]
    #[serde(rename = "")]
    Common,
    /// They are served there.
    Accept,
    /// They have to register again.
    Refuse,
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// CoAP over UDP, without security (NoSec).
    #[default]
    Udp,
    /// CoAP over DTLS. Known by name so that it can be refused by name.
    Dtls,
}

impl Transport {
    /// As it is written in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Dtls => "dtls",
        }
    }
}
