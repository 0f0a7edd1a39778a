//! CoAP listeners: `[listeners.NAME]` (design, section 5).
//!
//! Opening the sockets is the job of [`crate::shard`].

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::values::{self, Size};

/// One listener. Its REST id is `lwm2m:<type>:<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listener {
    /// What is spoken.
    #[serde(rename = "type")]
    pub transport: Transport,
    /// Address and port; `[::]` takes IPv4 as well.
    #[serde(deserialize_with = "values::socket_address")]
    pub bind: SocketAddr,
    /// What stands before the topics of devices that register here, instead of
    /// `lwm2m.mountpoint`; empty takes that one.
    pub mountpoint: String,
    /// The kernel's receive buffer of each socket.
    pub recv_buffer: Size,
    /// The kernel's send buffer of each socket.
    pub send_buffer: Size,
}

impl Default for Listener {
    fn default() -> Self {
        // 4 MB hold some 5 000 datagrams of the usual size, the burst of a fleet that wakes up
        // at the same second while the shard is busy for 10 ms.
        Self {
            transport: Transport::default(),
            bind: SocketAddr::from(([0, 0, 0, 0], 5683)),
            mountpoint: String::new(),
            recv_buffer: Size::megabytes(4),
            send_buffer: Size::megabytes(1),
        }
    }
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
