//! The few packets of MQTT 3.1.1 that a subscriber needs (OASIS MQTT 3.1.1, 3.1 to 3.9).
//!
//! Read in place from the receive buffer: a client library would spend several times as much on a
//! message as the counting does, on the processor that the simulator and the broker need.

/// A packet from the broker; what is of no use here is [`Packet::Other`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// The broker took the connection, or gave a reason why not.
    Connack(u8),
    /// The subscription is in place.
    Suback,
    /// A message; with `id` it wants a PUBACK.
    Publish {
        topic: &'a [u8],
        payload: &'a [u8],
        id: Option<u16>,
    },
    Other,
}

/// What the beginning of a buffer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A packet and its length.
    Whole(Packet<'a>, usize),
    /// Not all of a packet yet.
    Partial,
    /// No MQTT.
    Malformed,
}

/// Reads the packet that `buffer` begins with.
pub(crate) fn frame(buffer: &[u8]) -> Frame<'_> {
    let Some((&first, rest)) = buffer.split_first() else { return Frame::Partial };
    let (length, digits) = match remaining_length(rest) {
        Some(Ok(read)) => read,
        Some(Err(())) => return Frame::Malformed,
        None => return Frame::Partial,
    };
    let Some(body) = rest.get(digits..digits + length) else { return Frame::Partial };
    match packet(first, body) {
        Some(packet) => Frame::Whole(packet, 1 + digits + length),
        None => Frame::Malformed,
    }
}

/// The remaining length and how many bytes it takes: 2.2.3.
fn remaining_length(bytes: &[u8]) -> Option<Result<(usize, usize), ()>> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *bytes.get(index)?;
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(Ok((length, index + 1)));
        }
    }
    Some(Err(()))
}

fn packet(first: u8, body: &[u8]) -> Option<Packet<'_>> {
    match first >> 4 {
        2 => Some(Packet::Connack(*body.get(1)?)),
        3 => publish(first, body),
        9 => Some(Packet::Suback),
        _ => Some(Packet::Other),
    }
}

fn publish(first: u8, body: &[u8]) -> Option<Packet<'_>> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    if first & 0b0110 == 0 {
        return Some(Packet::Publish { topic, payload: rest, id: None });
    }
    let (id, payload) = rest.split_first_chunk::<2>()?;
    Some(Packet::Publish { topic, payload, id: Some(u16::from_be_bytes(*id)) })
}

/// What becomes of the session when the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    Clean,
    Kept,
}

/// Appends CONNECT, without keep-alive: a subscriber stalled on purpose must stay connected.
pub(crate) fn connect(out: &mut Vec<u8>, client_id: &str, session: Session) {
    let clean = u8::from(session == Session::Clean) << 1;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, clean, 0, 0];
    string(&mut body, client_id.as_bytes());
    packet_out(out, 0x10, &[&body]);
}

/// Appends SUBSCRIBE.
pub(crate) fn subscribe(out: &mut Vec<u8>, filters: &[(String, u8)]) {
    let mut body = vec![0, 1];
    for (filter, qos) in filters {
        string(&mut body, filter.as_bytes());
        body.push(*qos);
    }
    packet_out(out, 0x82, &[&body]);
}

/// Appends PUBLISH with QoS 0.
pub(crate) fn publish_out(out: &mut Vec<u8>, topic: &[&[u8]], payload: &[u8]) {
    let length = topic.iter().map(|part| part.len()).sum::<usize>() as u16;
    let length = length.to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![&length];
    parts.extend_from_slice(topic);
    parts.push(payload);
    packet_out(out, 0x30, &parts);
}

/// Appends PUBACK.
pub(crate) fn puback(out: &mut Vec<u8>, id: u16) {
    packet_out(out, 0x40, &[&id.to_be_bytes()]);
}

fn packet_out(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) {
    out.push(first);
    let mut length = parts.iter().map(|part| part.len()).sum::<usize>();
    loop {
        let digit = (length & 0x7f) as u8;
        length >>= 7;
        out.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            break;
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_and_without_an_id() {
        let mut bytes = Vec::new();
        publish_out(&mut bytes, &[b"a/", b"b"], b"payload");
        let whole = Packet::Publish { topic: b"a/b", payload: b"payload", id: None };
        assert_eq!(frame(&bytes), Frame::Whole(whole, bytes.len()));
        for length in 0..bytes.len() {
            assert_eq!(frame(&bytes[..length]), Frame::Partial, "{length}");
        }
        let acknowledged = [0x32, 6, 0, 1, b't', 0x12, 0x34, b'x', 0xff];
        let whole = Packet::Publish { topic: b"t", payload: b"x", id: Some(0x1234) };
        assert_eq!(frame(&acknowledged), Frame::Whole(whole, 8));
    }

    #[test]
    fn a_long_message_has_its_length_in_several_bytes() {
        let payload = vec![7; 70_000];
        let mut bytes = Vec::new();
        publish_out(&mut bytes, &[b"t"], &payload);
        let Frame::Whole(Packet::Publish { payload: read, .. }, length) = frame(&bytes) else {
            unreachable!("{:?}", &bytes[..8]);
        };
        assert_eq!((read, length), (&payload[..], bytes.len()));
    }

    #[test]
    fn what_is_no_mqtt_is_told_from_what_is_not_all_there() {
        assert_eq!(frame(&[0x30, 0x80, 0x80, 0x80, 0x80]), Frame::Malformed);
        assert_eq!(frame(&[0x30, 3, 0, 9, b't']), Frame::Malformed);
        assert_eq!(frame(&[0x20, 2, 0, 5]), Frame::Whole(Packet::Connack(5), 4));
        assert_eq!(frame(&[0x90, 3, 0, 1, 0]), Frame::Whole(Packet::Suback, 5));
        assert_eq!(frame(&[0xd0, 0]), Frame::Whole(Packet::Other, 2));
    }

    #[test]
    fn connect_and_subscribe_are_as_the_specification_has_them() {
        let mut bytes = Vec::new();
        connect(&mut bytes, "me", Session::Clean);
        assert_eq!(bytes, b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02me");
        bytes.clear();
        subscribe(&mut bytes, &[("a/#".to_owned(), 1)]);
        assert_eq!(bytes, b"\x82\x08\x00\x01\x00\x03a/#\x01");
        bytes.clear();
        puback(&mut bytes, 0x0102);
        assert_eq!(bytes, b"\x40\x02\x01\x02");
    }
}
