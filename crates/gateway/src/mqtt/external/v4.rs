//! MQTT 3.1.1 over `rumqttc-v4-next`, for old brokers: no correlation data, no reasons, and QoS 2
//! is the only class above QoS 1 that a refusal cannot reach.

use std::time::Duration;

use rumqttc_v4::{
    AckMode, AsyncClient, Broker, ClientError, ConnectionError, Event, EventLoop, ManualAck,
    MqttOptions, Packet, Publish, PublishOptions, QoS, StateError, SubscribeFilter, Transport,
};

use super::link::{
    Arrived, Connection, Granted, Happening, Lost, Notice, Outcome, Outgoing, Requests, Unsendable,
    Welcome,
};
use super::{ExternalConfig, RECEIVE_MAX, TlsSetup};
use crate::mqtt::{Filter, Incoming, Qos};

/// The requesting half.
pub(super) struct Client(AsyncClient);

/// The half that owns the socket.
pub(super) struct Link(EventLoop);

/// Largest packet taken from a 3.1.1 broker, which cannot be told one. Smaller, and a larger QoS 1
/// message would end the connection, be delivered again and end it again, for ever.
const INCOMING_MAX: usize = 64 << 20;

pub(super) fn open(config: &ExternalConfig, tls: Option<TlsSetup>) -> (Client, Link) {
    let capacity = usize::from(config.inflight_max) + usize::from(RECEIVE_MAX) + 16;
    let options = options(config, tls);
    let (client, mut events) = AsyncClient::builder(options).capacity(capacity).build();
    events.network_options.set_tcp_nodelay(true);
    events.network_options.set_connection_timeout(super::CONNECT_TIMEOUT.as_secs());
    (Client(client), Link(events))
}

fn options(config: &ExternalConfig, tls: Option<TlsSetup>) -> MqttOptions {
    let address = &config.address;
    let broker = Broker::tcp(address.host.clone(), address.port);
    let mut options = MqttOptions::new(config.client_id.clone(), broker);
    let outgoing_max = usize::try_from(config.packet_max).unwrap_or(usize::MAX);
    options
        .set_clean_session(false)
        .set_keep_alive(config.keep_alive_s())
        .set_ack_mode(AckMode::Manual)
        .set_inflight(config.inflight_max)
        .set_max_packet_size(INCOMING_MAX.max(outgoing_max), outgoing_max)
        .set_max_request_batch(BATCH)
        .set_read_batch_size(BATCH);
    if let Some(tls) = tls {
        options.set_transport(Transport::tls_with_config(tls));
    }
    match (&config.username, config.password.reveal()) {
        // MQTT 3.1.1 3.1.2.9: no password without a user name.
        (Some(username), Some(password)) => {
            options.set_credentials(username.clone(), password.clone());
        }
        (Some(username), None) => {
            options.set_username(username.clone());
        }
        (None, _) => {}
    }
    options
}

/// Packets per write and per read: a batch of the outbox.
const BATCH: usize = 128;

impl Requests for Client {
    type Ack = ManualAck;

    fn publish(&self, message: &Outgoing) -> Result<Notice, Unsendable> {
        let options = PublishOptions::new(library_qos(message.qos)).retain(message.retain);
        let topic = message.topic.clone();
        let notice = self.0.try_publish_tracked(topic, message.payload.clone(), options);
        let notice = notice.map_err(unsendable)?;
        Ok(Box::pin(async move {
            match notice.wait_async().await {
                Ok(_) => Outcome::Taken,
                Err(_) => Outcome::Again,
            }
        }))
    }

    fn subscribe(&self, filters: &[Filter]) -> Result<Granted, Unsendable> {
        let filters: Vec<SubscribeFilter> = filters
            .iter()
            .map(|filter| SubscribeFilter::new(filter.as_str().to_owned(), QoS::AtLeastOnce))
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
        match self.0.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(ack))) => Ok(Happening::Connected(Welcome {
                session_present: ack.session_present,
                packet_max: None,
                retain_available: true,
            })),
            Ok(Event::Incoming(Packet::Publish(publish))) => Ok(arrived(publish)),
            Ok(_) => Ok(Happening::Other),
            Err(error) => Err(lost(&error)),
        }
    }

    fn reset(&mut self) {
        self.0.reset_session_state();
    }
}

fn arrived(publish: Publish) -> Happening<ManualAck> {
    let ack = match publish.qos {
        QoS::AtMostOnce => None,
        QoS::AtLeastOnce => {
            Some((publish.pkid, ManualAck::PubAck(rumqttc_v4::PubAck::new(publish.pkid))))
        }
        QoS::ExactlyOnce => {
            Some((publish.pkid, ManualAck::PubRec(rumqttc_v4::PubRec::new(publish.pkid))))
        }
    };
    let incoming = Incoming {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        qos: our_qos(publish.qos),
        retained: publish.retain,
        dup: publish.dup,
        response_topic: None,
        correlation: None,
        expiry: None,
    };
    Happening::Message(Box::new(Arrived { incoming, ack }))
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::ConnectionRefused(code) => Lost::Refused(format!("{code:?}")),
        ConnectionError::MqttState(StateError::Deserialization(
            rumqttc_v4::Error::OutgoingPacketTooLarge { .. },
        )) => Lost::TooLarge(error.to_string()),
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
