//! The server that is measured: the gateway, Leshan, or one that somebody else runs.

use std::net::SocketAddr;

use crate::gateway::Gateway;
use crate::leshan::Leshan;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::problem::Outcome;

/// A running server.
pub(crate) enum Server {
    Gateway(Gateway),
    Leshan(Leshan),
    Peer(Peer),
}

impl Server {
    /// Its name in the tables.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Gateway(_) => "gateway".to_owned(),
            Self::Leshan(_) => "leshan".to_owned(),
            Self::Peer(peer) => peer.coap.to_string(),
        }
    }

    /// Whose CPU time and memory are measured; `None` where that is unknown.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Gateway(gateway) => Some(gateway.pid()),
            Self::Leshan(leshan) => Some(leshan.pid()),
            Self::Peer(peer) => peer.pid,
        }
    }

    /// Where devices find it.
    pub(crate) fn coap(&self) -> SocketAddr {
        match self {
            Self::Gateway(gateway) => gateway.coap,
            Self::Leshan(leshan) => leshan.coap,
            Self::Peer(peer) => peer.coap,
        }
    }

    /// What it counts itself; only the gateway does.
    pub(crate) fn metrics(&self) -> Outcome<Metrics> {
        match self {
            Self::Gateway(gateway) => gateway.metrics(),
            Self::Leshan(_) | Self::Peer(_) => Ok(Metrics::default()),
        }
    }
}
