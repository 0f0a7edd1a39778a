//! The MQTT broker inside the process.

use std::net::SocketAddr;

/// How the embedded broker is set up.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Address to listen on; port 0 takes a free one.
    pub bind: SocketAddr,
}
