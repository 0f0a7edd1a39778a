//! A server that somebody else runs: where it is, and where its events come out.

use std::net::SocketAddr;

use clap::Args;

/// What the user says of it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Peer {
    /// Measure the LwM2M server at this address, too
    #[arg(id = "peer", long = "peer", value_name = "ADDRESS:PORT", required = false)]
    #[arg(requires_all = ["peer_broker", "peer_topics"])]
    pub(crate) coap: SocketAddr,
    /// The MQTT broker where it publishes registrations and notifications
    #[arg(id = "peer_broker", long = "peer-broker", value_name = "ADDRESS:PORT", required = false)]
    pub(crate) broker: SocketAddr,
    /// The topics of its events, as a filter
    #[arg(id = "peer_topics", long = "peer-topics", value_name = "FILTER", required = false)]
    pub(crate) topics: String,
    /// Its process, if it runs here: for CPU time and memory
    #[arg(id = "peer_pid", long = "peer-pid", value_name = "PID")]
    pub(crate) pid: Option<u32>,
}
