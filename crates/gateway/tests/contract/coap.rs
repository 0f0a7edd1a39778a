//! CoAP messages as a device of these tests writes and reads them (RFC 7252 3).
//!
//! Written anew rather than borrowed from the product, so that a mistake in its codec shows. A
//! message can be given and shown as one line of text, which is what the rows of the tables hold:
//!
//! * a request is shown as `POST /3/0 ?query observe=0 ct=11542 accept=40 C2 0D 30 39`;
//! * an answer is given as `2.05 observe=3 tlv C2 0D 30 39`, `2.05 text EMQ` or `2.04`.

use std::fmt::Write;

pub(crate) const CON: u8 = 0;
pub(crate) const NON: u8 = 1;
pub(crate) const ACK: u8 = 2;
pub(crate) const RST: u8 = 3;

pub(crate) const GET: u8 = 0x01;
pub(crate) const POST: u8 = 0x02;
pub(crate) const PUT: u8 = 0x03;
pub(crate) const DELETE: u8 = 0x04;

pub(crate) const OBSERVE: u16 = 6;
pub(crate) const LOCATION_PATH: u16 = 8;
pub(crate) const URI_PATH: u16 = 11;
pub(crate) const CONTENT_FORMAT: u16 = 12;
pub(crate) const URI_QUERY: u16 = 15;
pub(crate) const ACCEPT: u16 = 17;
pub(crate) const BLOCK2: u16 = 23;
pub(crate) const BLOCK1: u16 = 27;
pub(crate) const SIZE1: u16 = 60;

/// One CoAP message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) id: u16,
    pub(crate) token: Vec<u8>,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    pub(crate) fn new(kind: u8, code: u8, id: u16, token: &[u8]) -> Self {
        Self { kind, code, id, token: token.to_vec(), ..Self::default() }
    }

    pub(crate) fn option(mut self, number: u16, value: &[u8]) -> Self {
        self.options.push((number, value.to_vec()));
        self
    }

    /// An option that holds a number.
    pub(crate) fn uint(self, number: u16, value: u32) -> Self {
        let bytes = value.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        self.option(number, &bytes[zeros..])
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            self = self.option(URI_PATH, segment.as_bytes());
        }
        self
    }

    pub(crate) fn queries<S: AsRef<[u8]>>(mut self, queries: &[S]) -> Self {
        for query in queries {
            self = self.option(URI_QUERY, query.as_ref());
        }
        self
    }

    pub(crate) fn body(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub(crate) fn values(&self, number: u16) -> Vec<&[u8]> {
        let found = self.options.iter().filter(|(known, _)| *known == number);
        found.map(|(_, value)| value.as_slice()).collect()
    }

    pub(crate) fn number(&self, number: u16) -> Option<u32> {
        let value = *self.values(number).first()?;
        Some(value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u8::try_from(self.token.len()).unwrap();
        let mut out = vec![0x40 | self.kind << 4 | length, self.code];
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.token);
        let mut options = self.options.clone();
        options.sort_by_key(|(number, _)| *number);
        let mut last = 0;
        for (number, value) in &options {
            push_option(&mut out, usize::from(number - last), value);
            last = *number;
        }
        if !self.payload.is_empty() {
            out.push(0xff);
            out.extend_from_slice(&self.payload);
        }
        out
    }

    /// Panics on anything that is no message: the gateway must not send it.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        assert!(bytes.len() >= 4 && bytes[0] >> 6 == 1, "no CoAP: {bytes:02x?}");
        let length = usize::from(bytes[0] & 0x0f);
        let mut message = Self::new(
            bytes[0] >> 4 & 3,
            bytes[1],
            u16::from_be_bytes([bytes[2], bytes[3]]),
            &bytes[4..4 + length],
        );
        let mut rest = &bytes[4 + length..];
        let mut number = 0;
        while let Some((first, behind)) = rest.split_first() {
            if *first == 0xff {
                assert!(!behind.is_empty(), "a marker without payload");
                message.payload = behind.to_vec();
                break;
            }
            let (delta, behind) = extended(first >> 4, behind);
            let (length, behind) = extended(first & 0x0f, behind);
            number += u16::try_from(delta).unwrap();
            message.options.push((number, behind[..length].to_vec()));
            rest = &behind[length..];
        }
        message
    }

    /// Method or code, options and payload as one line.
    pub(crate) fn shown(&self) -> String {
        let mut out = code_name(self.code);
        let path = self.values(URI_PATH);
        if self.code < 0x20 {
            let path: Vec<_> = path.iter().map(|text| String::from_utf8_lossy(text)).collect();
            let _ = write!(out, " /{}", path.join("/"));
        }
        for query in self.values(URI_QUERY) {
            let _ = write!(out, " ?{}", String::from_utf8_lossy(query));
        }
        for (name, number) in [("observe", OBSERVE), ("ct", CONTENT_FORMAT), ("accept", ACCEPT)] {
            if let Some(value) = self.number(number) {
                let _ = write!(out, " {name}={value}");
            }
        }
        let known = [URI_PATH, URI_QUERY, OBSERVE, CONTENT_FORMAT, ACCEPT];
        for (number, value) in self.options.iter().filter(|(number, _)| !known.contains(number)) {
            let _ = write!(out, " option{number}={}", hex(value).replace(' ', ""));
        }
        if !self.payload.is_empty() {
            let _ = write!(out, " {}", hex(&self.payload));
        }
        out
    }

    /// The answer that a line of text describes; kind, id and token are those of an
    /// acknowledgement of `request`.
    pub(crate) fn answer(request: &Self, text: &str) -> Self {
        let mut words = text.splitn(2, ' ');
        let code = code_number(words.next().unwrap());
        let mut message = Self::new(ACK, code, request.id, &request.token);
        let mut rest = words.next().unwrap_or_default();
        while let Some((word, value, behind)) = member(rest) {
            let number = match word {
                "observe" => OBSERVE,
                "ct" => CONTENT_FORMAT,
                other => panic!("{other} in {text}"),
            };
            message = message.uint(number, value);
            rest = behind;
        }
        if rest.is_empty() {
            return message;
        }
        let (format, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let (number, form) = FORMATS
            .iter()
            .find(|(name, ..)| *name == format)
            .map(|(_, number, form)| (*number, *form))
            .unwrap_or_else(|| panic!("format {format} in {text}"));
        if let Some(number) = number {
            message = message.uint(CONTENT_FORMAT, number);
        }
        message.body(&match form {
            Form::Text => body.as_bytes().to_vec(),
            Form::Hex => from_hex(body),
        })
    }
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Hex,
}

/// Names of Content-Formats in a line, their numbers, and how their bodies are written there.
const FORMATS: [(&str, Option<u32>, Form); 12] = [
    ("bare", None, Form::Text),
    ("hex", None, Form::Hex),
    ("text", Some(0), Form::Text),
    ("link", Some(40), Form::Text),
    ("octets", Some(42), Form::Hex),
    ("cbor", Some(60), Form::Hex),
    ("senml-json", Some(110), Form::Text),
    ("senml-cbor", Some(112), Form::Hex),
    ("tlv", Some(11542), Form::Hex),
    ("json", Some(11543), Form::Text),
    ("lwm2m-cbor", Some(11544), Form::Hex),
    ("old-tlv", Some(1542), Form::Hex),
];

/// `name=number` at the front, and what follows.
fn member(text: &str) -> Option<(&str, u32, &str)> {
    let (word, behind) = text.split_once(' ').unwrap_or((text, ""));
    let (name, value) = word.split_once('=')?;
    Some((name, value.parse().ok()?, behind))
}

fn push_option(out: &mut Vec<u8>, delta: usize, value: &[u8]) {
    let (delta_nibble, delta_bytes) = nibble(delta);
    let (length_nibble, length_bytes) = nibble(value.len());
    out.push(delta_nibble << 4 | length_nibble);
    out.extend_from_slice(&delta_bytes);
    out.extend_from_slice(&length_bytes);
    out.extend_from_slice(value);
}

fn nibble(value: usize) -> (u8, Vec<u8>) {
    match value {
        0..=12 => (u8::try_from(value).unwrap(), Vec::new()),
        13..=268 => (13, vec![u8::try_from(value - 13).unwrap()]),
        _ => (14, u16::try_from(value - 269).unwrap().to_be_bytes().to_vec()),
    }
}

fn extended(nibble: u8, rest: &[u8]) -> (usize, &[u8]) {
    match nibble {
        13 => (usize::from(rest[0]) + 13, &rest[1..]),
        14 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])) + 269, &rest[2..]),
        15 => panic!("a reserved option nibble"),
        small => (usize::from(small), rest),
    }
}

pub(crate) fn code_name(code: u8) -> String {
    match code {
        GET => "GET".to_owned(),
        POST => "POST".to_owned(),
        PUT => "PUT".to_owned(),
        DELETE => "DELETE".to_owned(),
        5 => "FETCH".to_owned(),
        7 => "iPATCH".to_owned(),
        other => format!("{}.{:02}", other >> 5, other & 0x1f),
    }
}

pub(crate) fn code_number(text: &str) -> u8 {
    let (class, detail) = text.split_once('.').expect("a code such as 2.05");
    class.parse::<u8>().unwrap() << 5 | detail.parse::<u8>().unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}
