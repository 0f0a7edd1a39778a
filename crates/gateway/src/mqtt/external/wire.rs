//! Packets as the session needs them, the same for MQTT 5.0 and 3.1.1, over `rmqtt-codec`.
//!
//! What a packet means for the messages under way is the business of [`super::lane`] and
//! [`super::session`].

use std::collections::HashSet;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rmqtt_codec::types::{MQTT_LEVEL_311, Protocol as Level, Publish, QoS};
use rmqtt_codec::v3::{self, ConnectAckReason as ConnectAckReasonV3, SubscribeReturnCode};
use rmqtt_codec::v5::{
    self, ConnectAckReason, DisconnectReasonCode, PublishAck, PublishAck2, PublishAck2Reason,
    PublishAckReason, RetainHandling, SubscribeAckReason, SubscriptionOptions,
};
use tokio_util::codec::{Decoder, Encoder};

use super::publish::{self, Properties};
use super::{ExternalConfig, Protocol, RECEIVE_MAX};
use crate::mqtt::{Filter, Incoming, Publication, Qos};

/// Identifies a packet until it is acknowledged.
pub(super) type PacketId = NonZeroU16;

/// What the broker said when it accepted the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Welcome {
    pub(super) session_present: bool,
    /// QoS 1 and 2 messages it takes without having acknowledged them.
    pub(super) receive_max: u16,
    /// Largest packet it takes.
    pub(super) packet_max: usize,
    /// Whether it keeps retained messages.
    pub(super) retain_available: bool,
    pub(super) qos_max: Qos,
    /// The Keep Alive it wants instead of ours.
    pub(super) keep_alive: Option<Duration>,
}

/// How the broker answered a message of ours.
pub(super) type Answer = Result<(), String>;

/// A message from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) incoming: Incoming,
    /// What it is acknowledged with.
    pub(super) ack: Option<Ack>,
}

/// The acknowledgement of a message from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// PUBACK, for QoS 1.
    Taken(PacketId),
    /// PUBREC, for QoS 2.
    Received(PacketId),
}

impl Ack {
    pub(super) const fn packet(self) -> PacketId {
        match self {
            Self::Taken(packet) | Self::Received(packet) => packet,
        }
    }
}

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FromBroker {
    Welcome(Welcome),
    Refused(String),
    Message(Box<Arrived>),
    /// PUBACK.
    Taken(PacketId, Answer),
    /// PUBREC.
    Received(PacketId, Answer),
    /// PUBREL.
    Release(PacketId),
    /// PUBCOMP.
    Completed(PacketId),
    /// SUBACK: which filters of the packet were refused, by index.
    Subscribed(PacketId, Vec<(usize, String)>),
    Unsubscribed,
    Pong,
    Disconnected(String),
}

/// The broker sent something that is no MQTT, or nothing a broker may send.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("malformed packet: {0}")]
    Malformed(String),
    #[error("unexpected packet {0}")]
    Unexpected(&'static str),
    #[error("a packet of ours cannot be encoded: {0}")]
    Encode(String),
}

/// Largest packet taken from a 3.1.1 broker, which cannot be told one. If it was smaller, a larger
/// QoS 1 message would end the connection, be delivered again and end it again, for ever.
const INCOMING_MAX_V311: u32 = 64 << 20;

/// Reads and writes packets of one connection.
pub(super) enum Wire {
    V311(v3::Codec),
    V5(v5::Codec),
}

impl Wire {
    pub(super) fn new(config: &ExternalConfig) -> Self {
        match config.protocol {
            // What we send is checked against the broker's limit before it is encoded.
            Protocol::V5 => Self::V5(v5::Codec::new(config.packet_max, 0)),
            Protocol::V311 => Self::V311(v3::Codec::new(INCOMING_MAX_V311)),
        }
    }

    /// Takes the next whole packet out of `bytes`.
    pub(super) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<FromBroker>, WireError> {
        let malformed = |error: &dyn std::fmt::Debug| WireError::Malformed(format!("{error:?}"));
        match self {
            Self::V311(codec) => match codec.decode(bytes).map_err(|e| malformed(&e))? {
                Some((packet, _)) => from_v3(packet).map(Some),
                None => Ok(None),
            },
            Self::V5(codec) => match codec.decode(bytes).map_err(|e| malformed(&e))? {
                Some((packet, _)) => from_v5(packet).map(Some),
                None => Ok(None),
            },
        }
    }

    fn encode(
        &mut self,
        out: &mut BytesMut,
        old: impl FnOnce() -> v3::Packet,
        new: impl FnOnce() -> v5::Packet,
    ) -> Result<(), WireError> {
        match self {
            Self::V311(codec) => {
                codec.encode(old(), out).map_err(|e| WireError::Encode(format!("{e:?}")))
            }
            Self::V5(codec) => {
                codec.encode(new(), out).map_err(|e| WireError::Encode(format!("{e:?}")))
            }
        }
    }

    pub(super) fn connect(
        &mut self,
        config: &ExternalConfig,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        let keep_alive = u16::try_from(config.keep_alive.as_secs()).unwrap_or(u16::MAX);
        let expiry = u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX);
        let username = config.username.as_deref().map(Into::into);
        let password = config.password.reveal().clone().map(Bytes::from);
        let client_id = config.client_id.as_str().into();
        match self {
            Self::V311(codec) => {
                // MQTT 3.1.1 3.1.2.9: no password without a user name.
                let password = password.filter(|_| config.username.is_some());
                let connect = v3::Connect {
                    protocol: Level(MQTT_LEVEL_311),
                    clean_session: false,
                    keep_alive,
                    last_will: None,
                    client_id,
                    username,
                    password,
                    cert: None,
                };
                codec.encode(connect.into(), out).map_err(|e| WireError::Encode(format!("{e:?}")))
            }
            Self::V5(codec) => {
                let connect = v5::Connect {
                    clean_start: false,
                    keep_alive,
                    session_expiry_interval_secs: expiry,
                    receive_max: NonZeroU16::new(RECEIVE_MAX),
                    max_packet_size: NonZeroU32::new(config.packet_max),
                    client_id,
                    username,
                    password,
                    ..v5::Connect::default()
                };
                codec.encode(connect.into(), out).map_err(|e| WireError::Encode(format!("{e:?}")))
            }
        }
    }

    pub(super) fn publish(
        &self,
        message: &Publication,
        packet: Option<PacketId>,
        sending: Sending,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        let packet = publish::Publish { message, packet, sending };
        match self {
            Self::V311(_) => packet.encode(Properties::Unknown, out),
            Self::V5(_) => packet.encode(Properties::Known, out),
        }
    }

    pub(super) fn acknowledge(&mut self, ack: Ack, out: &mut BytesMut) -> Result<(), WireError> {
        let packet_id = ack.packet();
        let new = PublishAck {
            packet_id,
            reason_code: PublishAckReason::Success,
            ..PublishAck::default()
        };
        match ack {
            Ack::Taken(_) => self.encode(
                out,
                || v3::Packet::PublishAck { packet_id },
                || v5::Packet::PublishAck(new),
            ),
            Ack::Received(_) => self.encode(
                out,
                || v3::Packet::PublishReceived { packet_id },
                || v5::Packet::PublishReceived(new),
            ),
        }
    }

    /// PUBREL, the second half of a QoS 2 message of ours.
    pub(super) fn release(
        &mut self,
        packet: PacketId,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        self.encode(
            out,
            || v3::Packet::PublishRelease { packet_id: packet },
            || v5::Packet::PublishRelease(success2(packet)),
        )
    }

    /// PUBCOMP, the end of a QoS 2 message of the broker.
    pub(super) fn complete(
        &mut self,
        packet: PacketId,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        self.encode(
            out,
            || v3::Packet::PublishComplete { packet_id: packet },
            || v5::Packet::PublishComplete(success2(packet)),
        )
    }

    /// `granted` are filters that the broker has from before: it must not repeat what it keeps for
    /// them. 3.1.1 cannot say so.
    pub(super) fn subscribe(
        &mut self,
        packet_id: PacketId,
        filters: &[Filter],
        granted: &HashSet<Filter>,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        // Our own messages must not come back, and the RETAIN flag must tell whether a command was
        // stored; 3.1.1 knows neither.
        let options = |filter: &Filter| SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: true,
            retain_as_published: true,
            retain_handling: match granted.contains(filter) {
                true => RetainHandling::NoAtSubscribe,
                false => RetainHandling::AtSubscribe,
            },
        };
        let texts = || filters.iter().map(|filter| filter.as_str().into());
        self.encode(
            out,
            || v3::Packet::Subscribe {
                packet_id,
                topic_filters: texts().map(|filter| (filter, QoS::AtLeastOnce)).collect(),
            },
            || {
                v5::Packet::Subscribe(v5::Subscribe {
                    packet_id,
                    id: None,
                    user_properties: Vec::new(),
                    topic_filters: texts().zip(filters.iter().map(options)).collect(),
                })
            },
        )
    }

    pub(super) fn unsubscribe(
        &mut self,
        packet_id: PacketId,
        filters: &[Filter],
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        let texts = || filters.iter().map(|filter| filter.as_str().into()).collect();
        self.encode(
            out,
            || v3::Packet::Unsubscribe { packet_id, topic_filters: texts() },
            || {
                v5::Packet::Unsubscribe(v5::Unsubscribe {
                    packet_id,
                    user_properties: Vec::new(),
                    topic_filters: texts(),
                })
            },
        )
    }

    pub(super) fn ping(&mut self, out: &mut BytesMut) -> Result<(), WireError> {
        self.encode(out, || v3::Packet::PingRequest, || v5::Packet::PingRequest)
    }

    /// A farewell that leaves the session with the broker.
    pub(super) fn disconnect(&mut self, out: &mut BytesMut) -> Result<(), WireError> {
        self.encode(
            out,
            || v3::Packet::Disconnect,
            || {
                v5::Packet::Disconnect(v5::Disconnect {
                    reason_code: DisconnectReasonCode::NormalDisconnection,
                    session_expiry_interval_secs: None,
                    server_reference: None,
                    reason_string: None,
                    user_properties: Vec::new(),
                })
            },
        )
    }
}

/// Whether the broker may have seen a message before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    First,
    Repetition,
}

fn success2(packet_id: PacketId) -> PublishAck2 {
    PublishAck2 { packet_id, reason_code: PublishAck2Reason::Success, ..PublishAck2::default() }
}

fn from_v3(packet: v3::Packet) -> Result<FromBroker, WireError> {
    Ok(match packet {
        v3::Packet::ConnectAck(ack) => match ack.return_code {
            ConnectAckReasonV3::ConnectionAccepted => FromBroker::Welcome(Welcome {
                session_present: ack.session_present,
                receive_max: u16::MAX,
                packet_max: usize::MAX,
                retain_available: true,
                qos_max: Qos::ExactlyOnce,
                keep_alive: None,
            }),
            refusal => FromBroker::Refused(refusal.reason().to_owned()),
        },
        v3::Packet::Publish(publish) => message(*publish)?,
        v3::Packet::PublishAck { packet_id } => FromBroker::Taken(packet_id, Ok(())),
        v3::Packet::PublishReceived { packet_id } => FromBroker::Received(packet_id, Ok(())),
        v3::Packet::PublishRelease { packet_id } => FromBroker::Release(packet_id),
        v3::Packet::PublishComplete { packet_id } => FromBroker::Completed(packet_id),
        v3::Packet::SubscribeAck { packet_id, status } => {
            let refused = status.iter().enumerate().filter_map(|(index, status)| match status {
                SubscribeReturnCode::Success(_) => None,
                SubscribeReturnCode::Failure => Some((index, "Failure".to_owned())),
            });
            FromBroker::Subscribed(packet_id, refused.collect())
        }
        v3::Packet::UnsubscribeAck { .. } => FromBroker::Unsubscribed,
        v3::Packet::PingResponse => FromBroker::Pong,
        v3::Packet::Connect(_) => return Err(WireError::Unexpected("CONNECT")),
        v3::Packet::Subscribe { .. } => return Err(WireError::Unexpected("SUBSCRIBE")),
        v3::Packet::Unsubscribe { .. } => return Err(WireError::Unexpected("UNSUBSCRIBE")),
        v3::Packet::PingRequest => return Err(WireError::Unexpected("PINGREQ")),
        v3::Packet::Disconnect => return Err(WireError::Unexpected("DISCONNECT")),
    })
}

fn from_v5(packet: v5::Packet) -> Result<FromBroker, WireError> {
    Ok(match packet {
        v5::Packet::ConnectAck(ack) if ack.reason_code == ConnectAckReason::Success => {
            FromBroker::Welcome(welcome(&ack))
        }
        v5::Packet::ConnectAck(ack) => {
            FromBroker::Refused(reason(&ack.reason_code, ack.reason_string.as_deref()))
        }
        v5::Packet::Publish(publish) => message(*publish)?,
        v5::Packet::PublishAck(ack) => FromBroker::Taken(ack.packet_id, answer(&ack)),
        v5::Packet::PublishReceived(ack) => FromBroker::Received(ack.packet_id, answer(&ack)),
        v5::Packet::PublishRelease(ack) => FromBroker::Release(ack.packet_id),
        v5::Packet::PublishComplete(ack) => FromBroker::Completed(ack.packet_id),
        v5::Packet::SubscribeAck(ack) => {
            let refused = ack.status.iter().enumerate().filter_map(|(index, status)| {
                let granted = matches!(
                    status,
                    SubscribeAckReason::GrantedQos0
                        | SubscribeAckReason::GrantedQos1
                        | SubscribeAckReason::GrantedQos2
                );
                (!granted).then(|| (index, reason(status, ack.reason_string.as_deref())))
            });
            FromBroker::Subscribed(ack.packet_id, refused.collect())
        }
        v5::Packet::UnsubscribeAck(_) => FromBroker::Unsubscribed,
        v5::Packet::PingResponse => FromBroker::Pong,
        v5::Packet::Disconnect(end) => {
            FromBroker::Disconnected(reason(&end.reason_code, end.reason_string.as_deref()))
        }
        v5::Packet::Connect(_) => return Err(WireError::Unexpected("CONNECT")),
        v5::Packet::Subscribe(_) => return Err(WireError::Unexpected("SUBSCRIBE")),
        v5::Packet::Unsubscribe(_) => return Err(WireError::Unexpected("UNSUBSCRIBE")),
        v5::Packet::PingRequest => return Err(WireError::Unexpected("PINGREQ")),
        v5::Packet::Auth(_) => return Err(WireError::Unexpected("AUTH")),
    })
}

fn welcome(ack: &v5::ConnectAck) -> Welcome {
    let packet_max = ack.max_packet_size.map(usize::try_from);
    Welcome {
        session_present: ack.session_present,
        receive_max: ack.receive_max.get(),
        packet_max: packet_max.map_or(usize::MAX, |max| max.unwrap_or(usize::MAX)),
        retain_available: ack.retain_available,
        qos_max: from_codec(ack.max_qos),
        keep_alive: ack.server_keepalive_sec.map(|s| Duration::from_secs(u64::from(s))),
    }
}

fn message(publish: Publish) -> Result<FromBroker, WireError> {
    let ack = match (publish.qos, publish.packet_id) {
        (QoS::AtMostOnce, _) => None,
        (QoS::AtLeastOnce, Some(packet)) => Some(Ack::Taken(packet)),
        (QoS::ExactlyOnce, Some(packet)) => Some(Ack::Received(packet)),
        (_, None) => return Err(WireError::Malformed("no packet identifier".to_owned())),
    };
    let properties = publish.properties.unwrap_or_default();
    let expiry = properties.message_expiry_interval;
    let incoming = Incoming {
        topic: publish.topic.to_string(),
        payload: publish.payload,
        qos: from_codec(publish.qos),
        retained: publish.retain,
        dup: publish.dup,
        response_topic: properties.response_topic.map(|topic| topic.to_string()),
        correlation: properties.correlation_data,
        expiry: expiry.map(|seconds| Duration::from_secs(u64::from(seconds.get()))),
    };
    Ok(FromBroker::Message(Box::new(Arrived { incoming, ack })))
}

fn answer(ack: &PublishAck) -> Answer {
    match ack.reason_code {
        PublishAckReason::Success | PublishAckReason::NoMatchingSubscribers => Ok(()),
        refusal => Err(reason(&refusal, ack.reason_string.as_deref())),
    }
}

fn reason(code: &dyn std::fmt::Debug, text: Option<&str>) -> String {
    match text {
        Some(text) => format!("{code:?} ({text})"),
        None => format!("{code:?}"),
    }
}

const fn from_codec(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce => Qos::AtLeastOnce,
        QoS::ExactlyOnce => Qos::ExactlyOnce,
    }
}

#[cfg(test)]
mod tests;
