//! What can be seen of settings and listeners.

use std::net::SocketAddr;

use crate::config;
use crate::listeners::GateCounts;

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
    /// What happened on it since it was added, or since the start of the process.
    pub counts: GateCounts,
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
