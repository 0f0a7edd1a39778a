//! The client of a broker elsewhere: MQTT 5 by default, 3.1.1 for old brokers, TCP or TLS.
//!
//! One connection, so that the events of a device stay in order; at least once: what the broker
//! did not acknowledge is sent again, whatever happened in between.

mod backoff;
mod connection;
mod inbound;
mod lane;
mod publish;
mod session;
mod subscription;
mod transport;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossbeam_queue::ArrayQueue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::session::{Channels, Command, Session};
use super::{Deliveries, Filter, MqttStats, Northbound, SubscribeError};
use crate::outbox::Entry;
use crate::pump::BATCH_MAX;
use crate::telemetry::Redacted;

/// Where a broker is: `mqtt://host:port` or `mqtts://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub security: Security,
}

/// Whether TLS is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// `mqtt://`
    #[default]
    Plain,
    /// `mqtts://`
    Tls,
}

/// Why a text is no broker address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither scheme.
    #[error("expected mqtt://host:port or mqtts://host:port")]
    Scheme,
    /// Nothing between scheme and port.
    #[error("the host is missing")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// A user, path or query.
    #[error("only a host and a port may follow the scheme")]
    Trailing,
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let (rest, security, default_port) = match url.split_once("://") {
            Some(("mqtt", rest)) => (rest, Security::Plain, 1883),
            Some(("mqtts", rest)) => (rest, Security::Tls, 8883),
            _ => return Err(AddressError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(AddressError::Trailing);
        }
        let (host, port) = match rest.strip_prefix('[').map(|v6| v6.split_once(']')) {
            Some(Some((host, port))) => (host, port.strip_prefix(':')),
            Some(None) => return Err(AddressError::Host),
            None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err(AddressError::Host);
        }
        let port = match port {
            None => default_port,
            Some(port) => match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(AddressError::Port),
            },
        };
        Ok(Self { host: host.to_owned(), port, security })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.security {
            Security::Plain => "mqtt",
            Security::Tls => "mqtts",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// The protocol version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5.0.
    #[default]
    V5,
    /// MQTT 3.1.1.
    V311,
}

/// How to reach the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalConfig {
    /// Where it is.
    pub address: BrokerAddress,
    /// What is spoken.
    pub protocol: Protocol,
    /// The same at every start, so that the broker knows the session again. Not empty.
    pub client_id: String,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Redacted<Option<String>>,
    /// PEM file with the certificates that sign the broker's; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Keep Alive, in whole seconds.
    pub keep_alive: Duration,
    /// How long the broker keeps the session after a lost connection (MQTT 5), in whole seconds.
    pub session_expiry: Duration,
    /// Publications under way without acknowledgement; the broker's Receive Maximum may narrow it.
    pub inflight_max: u16,
    /// Largest packet in bytes; the broker's Maximum Packet Size may narrow it.
    pub packet_max: u32,
    /// The first pause before connecting again; it doubles with each failure ..
    pub reconnect_min: Duration,
    /// .. up to this.
    pub reconnect_max: Duration,
}

impl ExternalConfig {
    /// The defaults of the design for a broker at `address`.
    #[must_use]
    pub fn new(address: BrokerAddress, client_id: impl Into<String>) -> Self {
        Self {
            address,
            protocol: Protocol::V5,
            client_id: client_id.into(),
            username: None,
            password: Redacted::new(None),
            ca_file: None,
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(3_600),
            inflight_max: 1_000,
            packet_max: 1 << 20,
            reconnect_min: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(30),
        }
    }
}

/// Why the client does not start. A broker that is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum ExternalError {
    /// The certificates cannot be used.
    #[error("TLS of {address} cannot be set up (setting mqtt.external.ca_file): {reason}")]
    Tls {
        /// The broker.
        address: BrokerAddress,
        /// What is wrong.
        reason: String,
    },
    /// A session needs a name.
    #[error("the client id is empty (setting mqtt.external.client_id)")]
    ClientId,
}

/// QoS 1 commands that the broker may have under way to us: what the shards can take in a second.
const RECEIVE_MAX: u16 = 256;

/// A connection attempt that takes longer has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Batches that wait while the session works on another. They still count for the outbox, which has
/// the bounds; with fewer the pump often waits for its turn.
const BATCHES_WAITING: usize = 8;

/// Batches whose memory serves in turns: those that wait, the one that is being emptied, and one
/// for the pump when it hands its own over.
const BATCHES: usize = BATCHES_WAITING + 2;

/// How long [`Northbound::close`] waits for the task beyond its deadline.
const CLOSE_SLACK: Duration = Duration::from_millis(500);

/// The connection to a broker elsewhere.
#[derive(Debug)]
pub struct External {
    inbox: mpsc::Sender<Vec<Entry>>,
    /// Batches that the session has emptied.
    emptied: Arc<ArrayQueue<Vec<Entry>>>,
    commands: mpsc::Sender<Command>,
    stats: Arc<MqttStats>,
    task: JoinHandle<()>,
}

impl External {
    /// Starts to connect, in the background and for as long as it takes. Messages that match the
    /// filters of [`Northbound::set_filters`] go to `deliveries`.
    pub fn start(
        config: ExternalConfig,
        deliveries: Arc<dyn Deliveries>,
    ) -> Result<Self, ExternalError> {
        if config.client_id.is_empty() {
            return Err(ExternalError::ClientId);
        }
        let tls = transport::tls(&config)?;
        let stats = Arc::new(MqttStats::default());
        let (inbox, batches) = mpsc::channel(BATCHES_WAITING);
        let (commands, asked) = mpsc::channel(4);
        let emptied = Arc::new(ArrayQueue::new(BATCHES));
        (0..BATCHES).for_each(|_| drop(emptied.push(Vec::with_capacity(BATCH_MAX))));
        let channels = Channels { batches, emptied: Arc::clone(&emptied), commands: asked };
        let session = Session::new(config, tls, channels, deliveries, Arc::clone(&stats));
        let task = tokio::spawn(session.run());
        Ok(Self { inbox, emptied, commands, stats, task })
    }

    /// Takes a batch and leaves an emptied one in its place.
    fn exchange(&self, batch: &mut Vec<Entry>) -> Vec<Entry> {
        std::mem::replace(batch, self.emptied.pop().unwrap_or_default())
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }
}

#[async_trait]
impl Northbound for External {
    fn publish_now(&self, batch: &mut Vec<Entry>) -> bool {
        let Ok(place) = self.inbox.try_reserve() else { return false };
        place.send(self.exchange(batch));
        true
    }

    async fn publish(&self, batch: &mut Vec<Entry>) {
        match self.inbox.reserve().await {
            Ok(place) => place.send(self.exchange(batch)),
            // Only after `close`: the tickets count as left behind.
            Err(_) => batch.clear(),
        }
    }

    fn connected(&self) -> bool {
        self.stats.is_connected()
    }

    async fn set_filters(&self, filters: Vec<Filter>) -> Result<(), SubscribeError> {
        let answer = self.ask(|reply| Command::SetFilters(filters, reply)).await;
        answer.unwrap_or(Err(SubscribeError::Closed))
    }

    async fn close(&self, within: Duration) -> usize {
        let closed = self.ask(|reply| Command::Close(within, reply));
        let left = tokio::time::timeout(within + CLOSE_SLACK, closed).await;
        self.task.abort();
        left.ok().flatten().unwrap_or(0)
    }

    fn stats(&self) -> Arc<MqttStats> {
        Arc::clone(&self.stats)
    }
}

impl Drop for External {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
