//! Helpers for tests of the MQTT side: messages, a pump, a place for deliveries, clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway::mqtt::{Deliveries, Filter, Incoming, Northbound, Publication, Qos};
use gateway::outbox::{Limits, Outbox, OutboxMonitor, outboxes};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn message(topic: &str, payload: &str, qos: Qos) -> Publication {
    Publication {
        topic: topic.to_owned(),
        payload: payload.as_bytes().to_vec(),
        qos,
        retain: false,
        correlation: None,
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}

/// An outbox whose messages go to `northbound`.
pub(crate) struct Pump {
    pub(crate) outbox: Outbox,
    pub(crate) monitor: OutboxMonitor,
    task: tokio::task::JoinHandle<()>,
}

impl Pump {
    pub(crate) fn start(northbound: Arc<dyn Northbound>) -> Self {
        let (mut ends, mut reader, monitor) = outboxes(1, Limits::default());
        let task = tokio::spawn(async move {
            let mut batch = Vec::new();
            loop {
                reader.next_batch(&mut batch, 64).await;
                northbound.publish(&mut batch).await;
                batch.clear();
            }
        });
        Self { outbox: ends.remove(0), monitor, task }
    }

    pub(crate) fn push(&self, publication: Publication) {
        self.outbox.try_push(publication).expect("the outbox has room");
        self.outbox.wake();
    }

    pub(crate) async fn drained(&self) {
        assert_eq!(self.monitor.drained(PATIENCE).await, 0, "everything is handed over");
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps what is delivered; each delivery waits for a permit.
pub(crate) struct Inbox {
    taken: Mutex<Vec<Incoming>>,
    permits: Semaphore,
}

impl Inbox {
    /// Takes everything at once.
    pub(crate) fn open() -> Arc<Self> {
        Self::with_permits(Semaphore::MAX_PERMITS)
    }

    pub(crate) fn with_permits(permits: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), permits: Semaphore::new(permits) })
    }

    pub(crate) fn permit(&self, deliveries: usize) {
        self.permits.add_permits(deliveries);
    }

    pub(crate) fn taken(&self) -> Vec<Incoming> {
        self.taken.lock().clone()
    }

    pub(crate) fn payloads(&self) -> Vec<String> {
        let text = |incoming: &Incoming| String::from_utf8_lossy(&incoming.payload).into_owned();
        self.taken.lock().iter().map(text).collect()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Incoming> {
        until(&format!("{count} deliveries"), || self.taken.lock().len() >= count).await;
        self.taken()
    }
}

#[async_trait]
impl Deliveries for Inbox {
    async fn deliver(&self, incoming: Incoming) {
        self.permits.acquire().await.unwrap().forget();
        self.taken.lock().push(incoming);
    }
}

pub(crate) fn filters(texts: &[&str]) -> Vec<Filter> {
    texts.iter().map(|text| Filter::parse(text).unwrap()).collect()
}

/// A received application message, the same for both protocol versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) correlation: Option<Vec<u8>>,
}

/// A MQTT 5 client made of the `rumqttc` library.
pub(crate) struct V5 {
    pub(crate) client: rumqttc_v5::AsyncClient,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

/// A MQTT 3.1.1 client made of the `rumqttc` library.
pub(crate) struct V4 {
    pub(crate) client: rumqttc_v4::AsyncClient,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

macro_rules! common {
    ($name:ident, $library:ident, $correlation:expr) => {
        impl $name {
            /// Runs the connection.
            pub(crate) fn run(
                client: $library::AsyncClient,
                mut events: $library::EventLoop,
            ) -> Self {
                let received = Arc::new(Mutex::new(Vec::new()));
                let out = Arc::clone(&received);
                let task = tokio::spawn(async move {
                    loop {
                        let event = events.poll().await;
                        if let Ok($library::Event::Incoming($library::Packet::Publish(p))) = event {
                            out.lock().push(Received {
                                topic: String::from_utf8_lossy(&p.topic).into_owned(),
                                payload: String::from_utf8_lossy(&p.payload).into_owned(),
                                qos: p.qos as u8,
                                retain: p.retain,
                                correlation: $correlation(&p),
                            });
                        } else if event.is_err() {
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                });
                Self { client, received, task }
            }

            /// Subscribes and waits for the SUBACK.
            pub(crate) async fn subscribe(&self, filter: &str, qos: u8) {
                let qos = $library::qos(qos).unwrap();
                let notice = self.client.subscribe_tracked(filter, qos).await.unwrap();
                let granted = tokio::time::timeout(PATIENCE, notice.wait_completion_async()).await;
                granted.expect("a SUBACK").expect("granted");
            }

            /// Publishes and waits for the acknowledgement (of QoS 0: until written).
            pub(crate) async fn publish(&self, topic: &str, payload: &str, qos: u8, retain: bool) {
                let qos = $library::qos(qos).unwrap();
                let options = $library::PublishOptions::new(qos).retain(retain);
                let payload = payload.as_bytes().to_vec();
                let notice = self.client.publish_tracked(topic, payload, options).await.unwrap();
                let done = tokio::time::timeout(PATIENCE, notice.wait_async()).await;
                done.expect("an acknowledgement").expect("taken");
            }

            pub(crate) fn received(&self) -> Vec<Received> {
                self.received.lock().clone()
            }

            /// Those behind the first `start`.
            pub(crate) fn received_from(&self, start: usize) -> Vec<Received> {
                self.received.lock().get(start..).unwrap_or_default().to_vec()
            }

            pub(crate) fn payloads(&self) -> Vec<String> {
                self.received.lock().iter().map(|message| message.payload.clone()).collect()
            }

            pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
                until(&format!("{count} messages"), || self.received.lock().len() >= count).await;
                self.received()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.task.abort();
            }
        }
    };
}

common!(V5, rumqttc_v5, |p: &rumqttc_v5::Publish| {
    p.properties.as_ref().and_then(|p| p.correlation_data.as_ref()).map(|c| c.to_vec())
});
common!(V4, rumqttc_v4, |_: &rumqttc_v4::Publish| None);

impl V5 {
    pub(crate) fn connect(address: SocketAddr, id: &str) -> Self {
        let broker = rumqttc_v5::Broker::tcp(address.ip().to_string(), address.port());
        let mut options = rumqttc_v5::MqttOptions::new(id, broker);
        options.set_max_packet_size(Some(1 << 20));
        let (client, events) = rumqttc_v5::AsyncClient::builder(options).capacity(1000).build();
        Self::run(client, events)
    }
}

impl V4 {
    pub(crate) fn connect(address: SocketAddr, id: &str) -> Self {
        let broker = rumqttc_v4::Broker::tcp(address.ip().to_string(), address.port());
        let mut options = rumqttc_v4::MqttOptions::new(id, broker);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, events) = rumqttc_v4::AsyncClient::builder(options).capacity(1000).build();
        Self::run(client, events)
    }
}
