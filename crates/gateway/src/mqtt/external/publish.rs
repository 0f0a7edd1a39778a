//! PUBLISH as we send it: MQTT 5.0 section 3.3, MQTT 3.1.1 section 3.3.
//!
//! It is written straight from the message, which is kept for a repetition: that takes no copy and
//! no allocation, and it is the one packet that there are many of. All others are the job of
//! [`super::wire`].

use bytes::{BufMut, BytesMut};

use super::wire::{PacketId, Sending, WireError};
use crate::mqtt::{Publication, Qos};

/// A packet to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Publish<'a> {
    pub(super) message: &'a Publication,
    /// For QoS 1 and 2.
    pub(super) packet: Option<PacketId>,
    pub(super) sending: Sending,
}

/// Whether packets have properties: since MQTT 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Properties {
    Known,
    Unknown,
}

const PUBLISH: u8 = 0x30;
const DUP: u8 = 0x08;
const RETAIN: u8 = 0x01;

/// MQTT 5.0 section 3.3.2.3.6.
const CORRELATION_DATA: u8 = 0x09;

/// What a Remaining Length can say: MQTT 5.0 section 1.5.5.
const REMAINING_MAX: usize = 268_435_455;

/// The longest Remaining Length takes four bytes.
const HEAD_MAX: usize = 5;

impl Publish<'_> {
    /// Appends the packet; nothing on an error.
    pub(super) fn encode(
        &self,
        properties: Properties,
        out: &mut BytesMut,
    ) -> Result<(), WireError> {
        let Publication { topic, payload, qos, retain, correlation } = self.message;
        let unfit = |what: &str| Err(WireError::Encode(format!("the {what} is too long")));
        let Ok(topic_len) = u16::try_from(topic.len()) else { return unfit("topic") };
        let correlation = correlation.as_deref().filter(|_| properties == Properties::Known);
        let Ok(correlation_len) = u16::try_from(correlation.map_or(0, <[u8]>::len)) else {
            return unfit("correlation data");
        };
        let packet = self.packet.filter(|_| *qos != Qos::AtMostOnce);
        if packet.is_none() && *qos != Qos::AtMostOnce {
            return Err(WireError::Encode("a packet without an identifier".to_owned()));
        }
        let properties_len = correlation.map_or(0, |data| 3 + data.len());
        let variable = match properties {
            Properties::Known => length_of(properties_len) + properties_len,
            Properties::Unknown => 0,
        };
        let remaining = 2 + topic.len() + packet.map_or(0, |_| 2) + variable + payload.len();
        if remaining > REMAINING_MAX {
            return unfit("message");
        }
        out.reserve(HEAD_MAX + remaining);
        let dup = if self.sending == Sending::Repetition { DUP } else { 0 };
        out.put_u8(PUBLISH | dup | bits_of(*qos) | if *retain { RETAIN } else { 0 });
        put_length(out, remaining);
        out.put_u16(topic_len);
        out.put_slice(topic.as_bytes());
        if let Some(packet) = packet {
            out.put_u16(packet.get());
        }
        if properties == Properties::Known {
            put_length(out, properties_len);
        }
        if let Some(data) = correlation {
            out.put_u8(CORRELATION_DATA);
            out.put_u16(correlation_len);
            out.put_slice(data);
        }
        out.put_slice(payload);
        Ok(())
    }
}

const fn bits_of(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0x00,
        Qos::AtLeastOnce => 0x02,
        Qos::ExactlyOnce => 0x04,
    }
}

/// How many bytes a Variable Byte Integer takes.
const fn length_of(number: usize) -> usize {
    match number {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Appends a Variable Byte Integer: MQTT 5.0 section 1.5.5.
fn put_length(out: &mut BytesMut, mut number: usize) {
    while number > 0x7f {
        out.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8(number as u8);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use bytes::Bytes;
    use proptest::prelude::*;
    use rmqtt_codec::types::{Publish as Reference, QoS};
    use rmqtt_codec::v5::PublishProperties;
    use rmqtt_codec::{v3, v5};
    use tokio_util::codec::Encoder;

    use super::*;

    fn reference(publish: &Publish<'_>) -> Box<Reference> {
        let Publication { topic, payload, qos, retain, correlation } = publish.message;
        Box::new(Reference {
            dup: publish.sending == Sending::Repetition,
            retain: *retain,
            qos: match qos {
                Qos::AtMostOnce => QoS::AtMostOnce,
                Qos::AtLeastOnce => QoS::AtLeastOnce,
                Qos::ExactlyOnce => QoS::ExactlyOnce,
            },
            topic: topic.as_str().into(),
            packet_id: publish.packet,
            payload: payload.clone().into(),
            properties: correlation.clone().map(|data| PublishProperties {
                correlation_data: Some(Bytes::from(data)),
                ..PublishProperties::default()
            }),
        })
    }

    fn ours(publish: &Publish<'_>, properties: Properties) -> BytesMut {
        let mut out = BytesMut::new();
        publish.encode(properties, &mut out).unwrap();
        out
    }

    proptest! {
        /// Byte for byte what the library writes.
        #[test]
        fn the_library_writes_the_same(
            topic in "[a-z/]{1,200}",
            payload in proptest::collection::vec(any::<u8>(), 0..20_000),
            qos in prop_oneof![
                Just(Qos::AtMostOnce), Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)
            ],
            (retain, again) in any::<(bool, bool)>(),
            correlation in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..300)),
            packet in 1..u16::MAX,
        ) {
            let message = Publication { topic, payload, qos, retain, correlation };
            let sending = if again { Sending::Repetition } else { Sending::First };
            let packet = NonZeroU16::new(packet).filter(|_| qos != Qos::AtMostOnce);
            let publish = Publish { message: &message, packet, sending };
            let mut old = BytesMut::new();
            v3::Codec::new(0).encode(v3::Packet::Publish(reference(&publish)), &mut old).unwrap();
            prop_assert_eq!(ours(&publish, Properties::Unknown), old);
            let mut new = BytesMut::new();
            let packet = v5::Packet::Publish(reference(&publish));
            v5::Codec::new(0, 0).encode(packet, &mut new).unwrap();
            prop_assert_eq!(ours(&publish, Properties::Known), new);
        }
    }

    #[test]
    fn what_no_packet_can_hold_is_refused() {
        let message =
            |topic: &str| Publication { topic: topic.to_owned(), ..Publication::default() };
        let long = message(&"t".repeat(65_536));
        let unnamed = Publication { qos: Qos::AtLeastOnce, ..message("t") };
        let correlation = Some(vec![0; 65_536]);
        let correlated = Publication { correlation, ..message("t") };
        for (message, reason) in
            [(&long, "topic"), (&unnamed, "identifier"), (&correlated, "correlation")]
        {
            let publish = Publish { message, packet: None, sending: Sending::First };
            let mut out = BytesMut::new();
            let error = publish.encode(Properties::Known, &mut out).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(out.is_empty());
        }
    }
}
