//! The MQTT broker inside the process: MQTT 3.1.1 and 5 on one TCP port.
//!
//! `rmqtt` is the broker; this module starts and stops it, publishes into it without a socket and
//! captures commands before it routes them. What it leaves to plugins is in the submodules:
//! retained messages, shared subscriptions, and how much may wait for one subscriber.

mod capture;
mod paced;
mod retained;
mod shared;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rmqtt::codec::types::Publish as Packet;
use rmqtt::codec::v5::PublishProperties;
use rmqtt::context::ServerContext;
use rmqtt::hook::{Register, Type};
use rmqtt::net::{Builder, Listener};
use rmqtt::server::MqttServer;
use rmqtt::session::SessionState;
use rmqtt::types::{From, Id, Message, Publish, QoS, Reason};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::capture::{Capture, Watch};
use self::paced::{Bounds, Paced, Totals};
use self::retained::Retained;
use self::shared::RoundRobin;
use super::{Deliveries, Filter, FilterSet, Incoming, MqttStats, Northbound, Publication, Qos};
use super::{SubscribeError, packet_size};
use crate::outbox::{Entry, Handover};

/// How the embedded broker is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// Address to listen on; port 0 takes a free one (see [`Embedded::address`]).
    pub bind: SocketAddr,
    /// Clients at the same time, those included whose session outlives their connection.
    pub max_connections: usize,
    /// Largest MQTT packet in bytes, both ways; a client that sends a larger one is disconnected.
    pub packet_max: u32,
    /// Messages that may wait for one client; more are dropped and counted.
    pub queue_max: usize,
    /// Retained messages kept.
    pub retained_max: usize,
}

impl Default for EmbeddedConfig {
    /// Loopback port 1883, 1 000 clients, 1 MiB packets, 100 000 messages and as many retained.
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 1883)),
            max_connections: 1_000,
            packet_max: 1 << 20,
            queue_max: 100_000,
            retained_max: 100_000,
        }
    }
}

/// Why the embedded broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The address is taken or not ours.
    #[error("cannot listen for MQTT on {address} (setting mqtt.embedded.bind): {reason}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
}

/// Unacknowledged messages on their way to one client. 16, the usual value, is 320 messages a
/// second over a line of 50 ms; a client that cannot take 256 says so by its Receive Maximum.
const INFLIGHT_MAX: NonZeroU16 = NonZeroU16::new(256).unwrap();

/// How long a session without connection lives at most. Bounds what clients that never come back
/// can leave behind: `max_connections` sessions for a day.
const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long clients get to notice the end of the broker before their tasks are left alone.
const GOODBYE: Duration = Duration::from_millis(500);

/// The running broker.
pub struct Embedded {
    broker: ServerContext,
    address: SocketAddr,
    packet_max: usize,
    /// Who publishes for us; one identity for all, as `no_local` and logs want it.
    publisher: Id,
    filters: Arc<RwLock<FilterSet>>,
    /// Those that are subscribed, to know new ones.
    subscribed: Mutex<HashSet<Filter>>,
    deliveries: Arc<dyn Deliveries>,
    totals: Arc<Totals>,
    stats: Arc<MqttStats>,
    accepting: JoinHandle<()>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Binds the port and starts to serve clients. Messages of clients that match the filters of
    /// [`Northbound::set_filters`] go to `deliveries` as well as to other subscribers.
    pub async fn start(
        config: &EmbeddedConfig,
        deliveries: Arc<dyn Deliveries>,
    ) -> Result<Self, EmbeddedError> {
        let refused = |reason: rmqtt::Error| EmbeddedError::Bind {
            address: config.bind,
            reason: reason.to_string(),
        };
        let listener = listener(config).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let stats = Arc::new(MqttStats::default());
        let filters = Arc::new(RwLock::new(FilterSet::default()));
        // The broker's own overload check reads /proc/loadavg: a busy neighbour on the same
        // machine must not make it refuse clients.
        let broker = ServerContext::new()
            .busy_check_enable(false)
            .mqtt_max_sessions(isize::try_from(config.max_connections).unwrap_or(isize::MAX))
            .build()
            .await;
        let totals = equip(&broker, config, &stats).await;
        let capture =
            Capture::new(Arc::clone(&filters), Arc::clone(&deliveries), Arc::clone(&stats));
        watch(&broker, capture, &totals, &stats).await;
        let server =
            MqttServer::new(broker.clone()).listener_by_id(listener, address.port()).build();
        // Not `MqttServer::start`: that ends the process when the listener fails.
        let accepting = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(event = "mqtt_broker_stopped", %error);
            }
        });
        stats.set_connected(true);
        let publisher = Id::from(broker.node.id(), PUBLISHER.into());
        let packet_max = usize::try_from(config.packet_max).unwrap_or(usize::MAX);
        Ok(Self {
            broker,
            address,
            packet_max,
            publisher,
            filters,
            subscribed: Mutex::default(),
            deliveries,
            totals,
            stats,
            accepting,
        })
    }

    /// The address clients connect to, with the port that was given when port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Clients connected now.
    #[must_use]
    pub fn clients(&self) -> usize {
        usize::try_from(self.broker.connections.count()).unwrap_or(0)
    }

    /// Messages and bytes that wait for subscribers anywhere in the broker.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        self.totals.waiting()
    }

    async fn publish_one(&self, entry: Entry) {
        let Entry { publication, ticket } = entry;
        if packet_size(&publication) > self.packet_max {
            MqttStats::count(&self.stats.too_large);
            tracing::warn!(
                event = "mqtt_message_too_large",
                topic = publication.topic,
                bytes = publication.payload.len(),
                limit = self.packet_max,
            );
            return ticket.release(Handover::Failed);
        }
        let bytes = publication.payload.len();
        let from = From::from_system(self.publisher.clone());
        let packet = packet(publication);
        match SessionState::forwards(&self.broker, from, packet, false, None).await {
            Ok(()) => {
                MqttStats::count(&self.stats.published);
                MqttStats::add(&self.stats.published_bytes, bytes);
                ticket.release(Handover::Taken);
            }
            Err(error) => {
                MqttStats::count(&self.stats.refused);
                tracing::warn!(event = "mqtt_message_refused", %error);
                ticket.release(Handover::Failed);
            }
        }
    }

    /// Delivers what is kept for new filters, as a broker does. In the background: shards that are
    /// full hold commands back, and must not hold the events of others.
    async fn repeat_retained(&self, new: Vec<Filter>) {
        let mut kept = Vec::new();
        for filter in &new {
            let found = self.broker.extends.retain().await.get(&filter.as_str().into()).await;
            kept.extend(found.unwrap_or_default());
        }
        if kept.is_empty() {
            return;
        }
        self.deliveries.await_again(&new);
        let deliveries = Arc::clone(&self.deliveries);
        tokio::spawn(async move {
            for (_, retain) in kept {
                let incoming = capture::incoming(&retain.publish);
                deliveries.deliver(Incoming { retained: true, ..incoming }).await;
            }
            deliveries.end_of_repetition();
        });
    }

    /// Messages that wait for clients which are connected: those of absent ones are not ours to
    /// wait for.
    async fn waiting_for_connected(&self) -> usize {
        let shared = self.broker.extends.shared().await;
        let mut waiting = 0;
        for entry in shared.iter() {
            if entry.is_connected().await {
                waiting += self.totals.waiting_for(&entry.id().client_id);
            }
        }
        waiting
    }

    async fn disconnect_clients(&self) {
        {
            let shared = self.broker.extends.shared().await;
            for tx in shared.iter().filter_map(|entry| entry.tx()) {
                // An MQTT 5 client is told "server shutting down".
                let _ = tx.unbounded_send(Message::Closed(Reason::ConnectRemoteClose));
            }
        }
        let deadline = Instant::now() + GOODBYE;
        while self.broker.connections.count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Client id under which the gateway's own messages run.
const PUBLISHER: &str = "lwm2m-gateway";

/// How often the end of a stop is looked for; a stop takes up to 5 s.
const POLL: Duration = Duration::from_millis(5);

#[async_trait]
impl Northbound for Embedded {
    async fn publish(&self, batch: &mut Vec<Entry>) {
        for entry in batch.drain(..) {
            self.publish_one(entry).await;
        }
    }

    fn connected(&self) -> bool {
        self.stats.is_connected()
    }

    async fn set_filters(&self, filters: Vec<Filter>) -> Result<(), SubscribeError> {
        if !self.connected() {
            return Err(SubscribeError::Closed);
        }
        let all: HashSet<Filter> = filters.iter().cloned().collect();
        *self.filters.write() = filters.into_iter().collect();
        let before = std::mem::replace(&mut *self.subscribed.lock(), all.clone());
        let new: Vec<Filter> = all.difference(&before).cloned().collect();
        self.repeat_retained(new).await;
        Ok(())
    }

    async fn close(&self, within: Duration) -> usize {
        *self.filters.write() = FilterSet::default();
        self.accepting.abort();
        let deadline = Instant::now() + within;
        let mut left = self.waiting_for_connected().await;
        while left > 0 && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
            left = self.waiting_for_connected().await;
        }
        self.stats.set_connected(false);
        self.disconnect_clients().await;
        left
    }

    fn stats(&self) -> Arc<MqttStats> {
        Arc::clone(&self.stats)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listener(config: &EmbeddedConfig) -> rmqtt::Result<Listener> {
    Builder::new()
        .name("mqtt")
        .laddr(config.bind)
        // Without it a restart fails as long as old connections are in TIME_WAIT.
        .reuseaddr(Some(true))
        .nodelay(true)
        .max_connections(config.max_connections)
        .max_packet_size(config.packet_max)
        .max_mqueue_len(config.queue_max)
        .max_inflight(INFLIGHT_MAX)
        .max_session_expiry_interval(SESSION_EXPIRY_MAX)
        // MQTT 5 4.4 allows repetitions only after a new connection; zero turns the timer off.
        .message_retry_interval(Duration::ZERO)
        // Zero: only messages that carry an expiry of their own expire, and none is added.
        .message_expiry_interval(Duration::ZERO)
        .bind()?
        .tcp()
}

/// Puts our parts in the places of the library's stubs.
async fn equip(
    broker: &ServerContext,
    config: &EmbeddedConfig,
    stats: &Arc<MqttStats>,
) -> Arc<Totals> {
    let bounds = Bounds::new(config.queue_max, config.packet_max);
    let totals = Arc::new(Totals::new(bounds, Arc::clone(stats)));
    let paced = Paced::new(broker.clone(), Arc::clone(&totals));
    *broker.extends.shared_mut().await = Box::new(paced);
    *broker.extends.retain_mut().await = Box::new(Retained::new(config.retained_max));
    *broker.extends.shared_subscription_mut().await = Box::new(RoundRobin::default());
    totals
}

async fn watch(
    broker: &ServerContext,
    capture: Capture,
    totals: &Arc<Totals>,
    stats: &Arc<MqttStats>,
) {
    let register: Box<dyn Register> = broker.extends.hook_mgr().register();
    register.add(Type::MessagePublish, Box::new(capture)).await;
    for kind in [
        Type::ClientConnected,
        Type::ClientDisconnected,
        Type::SessionTerminated,
        Type::MessageDropped,
    ] {
        let watch = Watch::new(Arc::clone(totals), Arc::clone(stats));
        register.add(kind, Box::new(watch)).await;
    }
    register.start().await;
}

fn packet(publication: Publication) -> Publish {
    let Publication { topic, payload, qos, retain, correlation } = publication;
    let properties = PublishProperties {
        correlation_data: correlation.map(Bytes::from),
        ..PublishProperties::default()
    };
    let packet = Packet {
        dup: false,
        retain,
        qos: match qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
            Qos::ExactlyOnce => QoS::ExactlyOnce,
        },
        topic: topic.into(),
        packet_id: None,
        payload: Bytes::from(payload),
        properties: Some(properties),
    };
    Publish::from(packet)
}

#[cfg(test)]
mod tests;
