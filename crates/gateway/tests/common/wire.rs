//! MQTT packets as bytes, read without a library: the judge must not share code with the accused.

use bytes::{Buf, Bytes, BytesMut};

/// One control packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    /// Type and flags.
    pub(crate) first: u8,
    /// What follows the remaining length.
    pub(crate) body: Bytes,
}

/// Packet types: MQTT 5.0 section 2.1.2.
pub(crate) const CONNECT: u8 = 1;
pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const SUBSCRIBE: u8 = 8;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const UNSUBSCRIBE: u8 = 10;
pub(crate) const UNSUBACK: u8 = 11;
pub(crate) const PINGREQ: u8 = 12;
pub(crate) const PINGRESP: u8 = 13;
pub(crate) const DISCONNECT: u8 = 14;

impl Raw {
    /// A packet of type `kind` without flags.
    pub(crate) fn new(kind: u8, body: impl Into<Bytes>) -> Self {
        Self { first: kind << 4, body: body.into() }
    }

    /// The packet type.
    pub(crate) const fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Takes a whole packet off the front of `buffer`.
    pub(crate) fn take(buffer: &mut BytesMut) -> Option<Self> {
        let first = *buffer.first()?;
        let (mut length, mut shift, mut header) = (0_usize, 0, 1);
        loop {
            let byte = *buffer.get(header)?;
            header += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if buffer.len() < header + length {
            return None;
        }
        buffer.advance(header);
        Some(Self { first, body: buffer.split_to(length).freeze() })
    }

    /// The packet as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.first];
        variable(self.body.len(), &mut out);
        out.extend_from_slice(&self.body);
        out
    }
}

/// Appends a variable byte integer.
pub(crate) fn variable(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        out.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return;
        }
    }
}

/// A PUBLISH packet, read as far as tests need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) packet: u16,
    /// Bytes of the whole packet.
    pub(crate) size: usize,
}

/// The protocol level of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V311,
    V5,
}

impl Published {
    /// Reads a PUBLISH; `None` for another packet.
    pub(crate) fn read(raw: &Raw, version: Version) -> Option<Self> {
        if raw.kind() != PUBLISH {
            return None;
        }
        let mut body = raw.body.clone();
        let length = usize::from(body.get_u16());
        let topic = String::from_utf8_lossy(&body.split_to(length)).into_owned();
        let qos = (raw.first >> 1) & 3;
        let packet = if qos > 0 { body.get_u16() } else { 0 };
        if version == Version::V5 {
            let mut properties = 0_usize;
            for shift in [0, 7, 14, 21] {
                let byte = body.get_u8();
                properties |= usize::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            body.advance(properties);
        }
        let payload = String::from_utf8_lossy(&body).into_owned();
        let dup = raw.first & 8 != 0;
        Some(Self { topic, payload, qos, dup, packet, size: raw.encode().len() })
    }

    /// Writes it, without properties.
    pub(crate) fn write(&self, version: Version) -> Raw {
        let mut body = Vec::new();
        body.extend_from_slice(&u16::try_from(self.topic.len()).unwrap().to_be_bytes());
        body.extend_from_slice(self.topic.as_bytes());
        if self.qos > 0 {
            body.extend_from_slice(&self.packet.to_be_bytes());
        }
        if version == Version::V5 {
            body.push(0);
        }
        body.extend_from_slice(self.payload.as_bytes());
        let first = PUBLISH << 4 | u8::from(self.dup) << 3 | self.qos << 1;
        Raw { first, body: body.into() }
    }
}
