//! CoAP messages as bytes, written and read without the product's codec.

use std::net::UdpSocket;
use std::time::Duration;

/// Methods and codes: RFC 7252 12.1, as the byte on the wire.
pub(crate) const GET: u8 = 1;
pub(crate) const POST: u8 = 2;
pub(crate) const PUT: u8 = 3;
pub(crate) const DELETE: u8 = 4;
pub(crate) const CREATED: u8 = 0x41;
pub(crate) const CONTENT: u8 = 0x45;
pub(crate) const BAD_REQUEST: u8 = 0x80;
pub(crate) const UNAVAILABLE: u8 = 0xa3;

/// Option numbers: RFC 7252 5.10, 7641, 7959.
pub(crate) const OBSERVE: u16 = 6;
pub(crate) const LOCATION_PATH: u16 = 8;
pub(crate) const URI_PATH: u16 = 11;
pub(crate) const CONTENT_FORMAT: u16 = 12;
pub(crate) const MAX_AGE: u16 = 14;
pub(crate) const URI_QUERY: u16 = 15;
pub(crate) const BLOCK1: u16 = 27;

/// A confirmable message with a token of 4 bytes that repeats `id`.
pub(crate) fn message(code: u8, id: u16, options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut out = vec![0x44, code, high, low, high, low, high, low];
    let mut last = 0;
    for (number, value) in options {
        let (delta, length) = (nibble(number - last), nibble(value.len() as u16));
        out.push(delta.0 << 4 | length.0);
        out.extend(delta.1.into_iter().chain(length.1));
        out.extend_from_slice(value);
        last = *number;
    }
    if !payload.is_empty() {
        out.push(0xff);
        out.extend_from_slice(payload);
    }
    out
}

/// A Register with these queries.
pub(crate) fn register(id: u16, queries: &[&str], links: &str) -> Vec<u8> {
    let mut options: Vec<(u16, &[u8])> = vec![(URI_PATH, b"rd"), (CONTENT_FORMAT, &[40])];
    options.extend(queries.iter().map(|query| (URI_QUERY, query.as_bytes())));
    message(POST, id, &options, links.as_bytes())
}

/// A CoAP ping, which everybody has to answer with Reset: RFC 7252 4.3.
pub(crate) fn ping(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![0x40, 0, high, low]
}

fn nibble(value: u16) -> (u8, Vec<u8>) {
    match value {
        0..13 => (value as u8, Vec::new()),
        13..269 => (13, vec![(value - 13) as u8]),
        _ => (14, (value - 269).to_be_bytes().to_vec()),
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) id: u16,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    /// Reads a well-formed message; the payload is left out.
    pub(crate) fn read(datagram: &[u8]) -> Self {
        let (kind, token) = (datagram[0] >> 4 & 3, usize::from(datagram[0] & 15));
        let id = u16::from_be_bytes([datagram[2], datagram[3]]);
        let mut rest = &datagram[4 + token..];
        let (mut number, mut options) = (0, Vec::new());
        while let Some((&head, mut tail)) = rest.split_first()
            && head != 0xff
        {
            let mut extended = |nibble: u8| match nibble {
                13 => {
                    let value = u16::from(tail[0]) + 13;
                    tail = &tail[1..];
                    value
                }
                14 => {
                    let value = u16::from_be_bytes([tail[0], tail[1]]) + 269;
                    tail = &tail[2..];
                    value
                }
                value => u16::from(value),
            };
            number += extended(head >> 4);
            let length = usize::from(extended(head & 15));
            options.push((number, tail[..length].to_vec()));
            rest = &tail[length..];
        }
        Self { kind, code: datagram[1], id, options }
    }

    /// The value of an option.
    pub(crate) fn option(&self, number: u16) -> Option<&[u8]> {
        self.options.iter().find(|(at, _)| *at == number).map(|(_, value)| value.as_slice())
    }
}

/// Sends a request until it is answered, as a device would.
pub(crate) fn ask(socket: &UdpSocket, request: &[u8]) -> Answer {
    let id = u16::from_be_bytes([request[2], request[3]]);
    let mut buffer = [0; 2048];
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    for _ in 0..10 {
        socket.send(request).unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            let answer = Answer::read(&buffer[..length]);
            if answer.id == id && answer.kind >= 2 {
                return answer;
            }
        }
    }
    panic!("no answer to {request:02x?}");
}
