//! MQTT 5.0 over `rumqttc-next`.

use std::sync::Arc;
use std::time::Duration;

use rumqttc_v5::{
    AckMode, AsyncClient, Broker, ClientError, ConnectionError, Event, EventLoop,
    IncomingPacketSizeLimit, ManualAck, MqttOptions, Packet, PersistedAckMode, PersistedSession,
    Publish, PublishNoticeError, PublishOptions, PublishProperties, QoS, SessionStore,
    SessionStoreKey, StateError, SubscribeFilter, Transport,
};

use super::link::{
    Arrived, Connection, Granted, Happening, Lost, Notice, Outcome, Outgoing, Requests, Unsendable,
    Welcome,
};
use super::{CONNECT_TIMEOUT, ExternalConfig, RECEIVE_MAX, TlsSetup};
use crate::mqtt::{Filter, Incoming, Qos};

/// The requesting half.
pub(super) struct Client(AsyncClient);

/// The half that owns the socket.
pub(super) struct Link {
    events: EventLoop,
    memory: Arc<NoMemory>,
}

pub(super) fn open(config: &ExternalConfig, tls: Option<TlsSetup>) -> (Client, Link) {
    let memory = Arc::new(NoMemory { inflight_max: config.inflight_max, config: config.clone() });
    let mut options = options(config, tls);
    options.set_session_store_arc(Arc::clone(&memory) as Arc<dyn SessionStore>);
    // Room for everything that can be under way at once, so that nothing is ever refused as full
    // while the window of the session has room.
    let capacity = usize::from(config.inflight_max) + usize::from(RECEIVE_MAX) + 16;
    let (client, events) = AsyncClient::builder(options).capacity(capacity).build();
    (Client(client), Link { events, memory })
}

fn options(config: &ExternalConfig, tls: Option<TlsSetup>) -> MqttOptions {
    let address = &config.address;
    let broker = Broker::tcp(address.host.clone(), address.port);
    let mut options = MqttOptions::new(config.client_id.clone(), broker);
    options
        .set_clean_start(false)
        .set_keep_alive(config.keep_alive_s())
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_ack_mode(AckMode::Manual)
        .set_outgoing_inflight_upper_limit(config.inflight_max)
        .set_max_request_batch(BATCH)
        .set_read_batch_size(BATCH);
    options.set_session_expiry_interval(Some(config.session_expiry_s()));
    options.set_receive_maximum(Some(RECEIVE_MAX));
    options.set_max_packet_size(Some(config.packet_max));
    options.set_incoming_packet_size_limit(IncomingPacketSizeLimit::Bytes(config.packet_max));
    let mut network = options.network_options();
    network.set_tcp_nodelay(true);
    options.set_network_options(network);
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(tls));
    }
    match (&config.username, config.password.reveal()) {
        (Some(username), Some(password)) => {
            options.set_credentials(username.clone(), password.clone());
        }
        (Some(username), None) => {
            options.set_username(username.clone());
        }
        (None, Some(password)) => {
            options.set_password(password.clone());
        }
        (None, None) => {}
    }
    options
}

/// Packets per write and per read: a batch of the outbox.
const BATCH: usize = 128;

impl Requests for Client {
    type Ack = ManualAck;

    fn publish(&self, message: &Outgoing) -> Result<Notice, Unsendable> {
        let mut options = PublishOptions::new(library_qos(message.qos)).retain(message.retain);
        if message.correlation.is_some() {
            options = options.properties(PublishProperties {
                correlation_data: message.correlation.clone(),
                ..PublishProperties::default()
            });
        }
        let topic = message.topic.clone();
        let notice = self.0.try_publish_tracked(topic, message.payload.clone(), options);
        let notice = notice.map_err(unsendable)?;
        Ok(Box::pin(async move {
            match notice.wait_completion_async().await {
                Ok(()) => Outcome::Taken,
                Err(
                    error @ (PublishNoticeError::V5PubAck(_)
                    | PublishNoticeError::V5PubRec(_)
                    | PublishNoticeError::V5PubComp(_)
                    | PublishNoticeError::RetainNotSupported),
                ) => Outcome::Refused(error.to_string()),
                Err(_) => Outcome::Again,
            }
        }))
    }

    fn subscribe(&self, filters: &[Filter]) -> Result<Granted, Unsendable> {
        let filters: Vec<SubscribeFilter> = filters
            .iter()
            .map(|filter| {
                let mut wanted = SubscribeFilter::new(filter.as_str(), QoS::AtLeastOnce);
                // Our own messages must not come back, and the RETAIN flag must tell whether a
                // command was stored.
                wanted.nolocal = true;
                wanted.preserve_retain = true;
                wanted
            })
            .collect();
        let notice = self.0.try_subscribe_many_tracked(filters).map_err(unsendable)?;
        Ok(Box::pin(async move {
            notice.wait_completion_async().await.map(drop).map_err(|error| error.to_string())
        }))
    }

    fn unsubscribe(&self, filters: &[Filter]) -> Result<(), Unsendable> {
        let filters = filters.iter().map(Filter::as_str);
        self.0.try_unsubscribe_many(filters).map_err(unsendable)
    }

    fn acknowledge(&self, ack: ManualAck) -> Result<(), Unsendable> {
        self.0.try_manual_ack(ack).map_err(unsendable)
    }

    fn disconnect(&self, within: Duration) -> Result<(), Unsendable> {
        self.0.try_disconnect_with_timeout(within).map_err(unsendable)
    }
}

impl Connection for Link {
    type Ack = ManualAck;

    async fn poll(&mut self) -> Result<Happening<ManualAck>, Lost> {
        match self.events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                // The library writes a checkpoint per batch as long as it has a store.
                self.events.options.clear_session_store();
                let properties = ack.properties.as_ref();
                Ok(Happening::Connected(Welcome {
                    session_present: ack.session_present,
                    packet_max: properties
                        .and_then(|p| p.max_packet_size)
                        .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
                    retain_available: properties.and_then(|p| p.retain_available) != Some(0),
                }))
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => Ok(arrived(publish)),
            Ok(_) => Ok(Happening::Other),
            Err(error) => Err(lost(&error)),
        }
    }

    fn reset(&mut self) {
        self.events.reset_session_state();
        let store = Arc::clone(&self.memory) as Arc<dyn SessionStore>;
        self.events.options.set_session_store_arc(store);
    }
}

fn arrived(publish: Publish) -> Happening<ManualAck> {
    let ack = match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => {
            Some((publish.pkid, ManualAck::PubAck(rumqttc_v5::PubAck::new(publish.pkid, None))))
        }
        QoS::ExactlyOnce => {
            Some((publish.pkid, ManualAck::PubRec(rumqttc_v5::PubRec::new(publish.pkid, None))))
        }
    };
    let properties = publish.properties.unwrap_or_default();
    let incoming = Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        qos: our_qos(publish.qos),
        retained: publish.retain,
        dup: publish.dup,
        response_topic: properties.response_topic,
        correlation: properties.correlation_data,
        expiry: properties.message_expiry_interval.map(|s| Duration::from_secs(u64::from(s))),
    };
    Happening::Message(Box::new(Arrived { incoming, ack }))
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::ConnectionRefused(code) => Lost::Refused(format!("{code:?}")),
        ConnectionError::MqttState(StateError::OutgoingPacketTooLarge { .. }) => {
            Lost::TooLarge(error.to_string())
        }
        ConnectionError::RequestsDone | ConnectionError::DisconnectTimeout => Lost::Finished,
        other => Lost::Broken(other.to_string()),
    }
}

fn unsendable(error: ClientError) -> Unsendable {
    match error {
        ClientError::RequestChannelFull(_) => Unsendable::Full,
        other => Unsendable::Invalid(other.to_string()),
    }
}

const fn library_qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

const fn our_qos(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

/// The library refuses to go on with a session that the broker kept from an earlier run unless a
/// store says what this side remembers of it. This one says: nothing is under way. That is the
/// truth about QoS 1; the outbox repeats what was not acknowledged.
#[derive(Debug)]
struct NoMemory {
    inflight_max: u16,
    config: ExternalConfig,
}

type Stored<'a, T> =
    std::pin::Pin<Box<dyn Future<Output = Result<T, rumqttc_v5::SessionStoreError>> + Send + 'a>>;

impl SessionStore for NoMemory {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(self.config.session_expiry_s()),
            outgoing_inflight_upper_limit: Some(self.inflight_max),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async move { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
