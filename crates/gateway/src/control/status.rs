//! What can be seen of settings and listeners.

use std::net::SocketAddr;

use crate::config;

/// What a change did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Keys whose value in effect differs from before, sorted.
    pub changed: Vec<String>,
    /// Those of them that take effect with the next start.
    pub needs_restart: Vec<String>,
}

/// Whether devices are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// They are.
    Yes,
    /// Every socket is closed.
    No,
}

/// A listener as it is now.
#[derive(Clone, Debug)]
pub struct ListenerStatus {
    /// Its name. The REST id is `lwm2m:<type>:<name>`.
    pub name: String,
    /// Its number: [`engine::Peer::listener`] of the devices that use it. The same as long as the
    /// process lives.
    pub number: u16,
    /// Its settings.
    pub config: config::Listener,
    /// Whether it takes datagrams.
    pub state: ListenerState,
    /// Devices registered that used it last.
    pub connections: u64,
    /// What happened on it since the start of the process.
    pub counts: ListenerCounts,
}

/// Whether a listener takes datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// It does.
    Running {
        /// Where, with the port that the system chose for port 0.
        address: SocketAddr,
    },
    /// Its own `enable` is off.
    Disabled,
    /// The gateway's `enable` is off.
    GatewayDisabled,
}

/// What happened on a listener since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// Registrations made.
    pub registered: u64,
    /// Registers refused because `max_connections` devices are registered.
    pub refused_full: u64,
    /// Registers refused because of `max_conn_rate`.
    pub refused_rate: u64,
    /// Datagrams dropped because of `access_rules`.
    pub denied: u64,
}
