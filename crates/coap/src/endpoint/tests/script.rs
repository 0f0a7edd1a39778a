//! One endpoint and a peer played by hand, in a notation close to the figures of the RFCs:
//! `CON GET /status 2:0/0/64`, `ACK 2.05 obs:12 2:0/1/64 +64`. A payload is `"text"`, or `+n` for n
//! bytes; `lit:` options name themselves.

use super::super::*;
use crate::time::Duration;
use crate::{OptionList, OptionNumber, Token};

pub(super) struct Script {
    pub(super) endpoint: Endpoint,
    pub(super) now: Instant,
    pub(super) peer: Peer,
    /// Token of the peer's requests.
    pub(super) token: Token,
    next_id: u16,
    /// The last message of the endpoint that wants an answer.
    last: Option<(MessageId, Token)>,
}

pub(super) fn peer(port: u16) -> Peer {
    Peer::new(0, [127, 0, 0, 1].into(), ([127, 0, 0, 2], port).into())
}

impl Script {
    pub(super) fn new() -> Self {
        Self::with(EndpointConfig::default())
    }

    pub(super) fn with(config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config, 5, [7; 32]),
            now: Instant::from_micros(1_000_000_000),
            peer: peer(1),
            token: Token::new(b"\x53").unwrap(),
            next_id: 0x7d34,
            last: None,
        }
    }

    /// The peer sends a message of its own.
    pub(super) fn says(&mut self, text: &str) -> Option<Event<'static>> {
        let id = self.fresh_id();
        self.says_as(text, id)
    }

    /// The peer sends a message with that id.
    pub(super) fn says_as(&mut self, text: &str, id: u16) -> Option<Event<'static>> {
        let bytes = write(text, MessageId::new(id), self.token);
        self.hears(&bytes)
    }

    /// The peer answers the last message of the endpoint: with its id if it is an acknowledgement
    /// or a reset, else with a fresh one; always with its token.
    pub(super) fn answers(&mut self, text: &str) -> Option<Event<'static>> {
        let id = self.fresh_id();
        self.answers_as(text, id)
    }

    pub(super) fn answers_as(&mut self, text: &str, id: u16) -> Option<Event<'static>> {
        let (asked, token) = self.last.expect("the endpoint has sent something");
        let own = text.starts_with("ACK") || text.starts_with("RST");
        let id = if own { asked } else { MessageId::new(id) };
        let token = if text.contains("0.00") { Token::EMPTY } else { token };
        self.hears(&write(text, id, token))
    }

    /// The peer sends a message with a token that stands for nothing.
    pub(super) fn answers_nobody(&mut self, text: &str) -> Option<Event<'static>> {
        let id = self.fresh_id();
        self.hears(&write(text, MessageId::new(id), Token::new(b"nobody").unwrap()))
    }

    pub(super) fn hears(&mut self, bytes: &[u8]) -> Option<Event<'static>> {
        self.endpoint.handle_datagram(self.now, self.peer, bytes).map(Event::into_owned)
    }

    /// Everything that the endpoint sends, in the notation.
    pub(super) fn sent(&mut self) -> Vec<String> {
        self.sent_raw().iter().map(|bytes| show(bytes)).collect()
    }

    pub(super) fn sent_raw(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let mut out = Vec::new();
            if self.endpoint.poll_transmit(&mut out).is_none() {
                return all;
            }
            let message = Message::parse(&out).expect("the endpoint sends what can be read");
            if matches!(message.kind, Type::Confirmable | Type::NonConfirmable) {
                self.last = Some((message.id, message.token));
            }
            all.push(out);
        }
    }

    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.sent(), expected);
    }

    pub(super) fn events(&mut self) -> Vec<Event<'static>> {
        core::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// Lets time pass, doing what is due on the way.
    pub(super) fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = until;
        self.endpoint.handle_timeout(until);
    }

    pub(super) fn wait_secs(&mut self, secs: u64) {
        self.wait(Duration::from_secs(secs));
    }

    pub(super) fn last(&self) -> (MessageId, Token) {
        self.last.expect("the endpoint has sent something")
    }

    fn fresh_id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }
}

/// A message in the notation as a datagram.
pub(super) fn write(text: &str, id: MessageId, token: Token) -> Vec<u8> {
    let mut words = text.split(' ');
    let kind = match words.next() {
        Some("CON") => Type::Confirmable,
        Some("NON") => Type::NonConfirmable,
        Some("ACK") => Type::Acknowledgement,
        _ => Type::Reset,
    };
    let code = code(words.next().unwrap_or_default());
    let mut options = OptionList::new();
    let mut payload = Vec::new();
    for word in words {
        if let Some(path) = word.strip_prefix('/') {
            path.split('/').for_each(|segment| options.uri_path(segment));
        } else if let Some(query) = word.strip_prefix('?') {
            query.split('&').for_each(|argument| options.uri_query(argument));
        } else if let Some(len) = word.strip_prefix('+') {
            payload = body(len.parse().unwrap());
        } else if let Some(text) = word.strip_prefix('"') {
            payload = text.trim_end_matches('"').replace('_', " ").into_bytes();
        } else {
            let (name, value) = word.split_once(':').unwrap();
            write_option(&mut options, name, value);
        }
    }
    let mut out = Vec::new();
    let options = options.options();
    Message { kind, code, id, token, options, payload: &payload }.encode(&mut out);
    out
}

fn write_option(options: &mut OptionList, name: &str, value: &str) {
    let number = || value.parse::<u64>().unwrap();
    match name {
        "1" => options.push_uint(OptionNumber::BLOCK1, block(value)),
        "2" => options.push_uint(OptionNumber::BLOCK2, block(value)),
        "obs" => options.push_uint(OptionNumber::OBSERVE, number()),
        "ct" => options.push_uint(OptionNumber::CONTENT_FORMAT, number()),
        "accept" => options.push_uint(OptionNumber::ACCEPT, number()),
        "size1" => options.push_uint(OptionNumber::SIZE1, number()),
        "size2" => options.push_uint(OptionNumber::SIZE2, number()),
        "etag" => options.push(OptionNumber::ETAG, value.as_bytes()),
        "tag" => options.push(OptionNumber::REQUEST_TAG, value.as_bytes()),
        "noresponse" => options.push_uint(OptionNumber::NO_RESPONSE, number()),
        other => options.push(OptionNumber(other.parse().unwrap()), value.as_bytes()),
    }
}

/// `number/more/size` as an option value.
fn block(text: &str) -> u64 {
    let parts: Vec<u64> = text.split('/').map(|part| part.parse().unwrap()).collect();
    parts[0] << 4 | parts[1] << 3 | u64::from(parts[2].ilog2() - 4)
}

fn code(text: &str) -> Code {
    match text {
        "GET" => Code::GET,
        "POST" => Code::POST,
        "PUT" => Code::PUT,
        "DELETE" => Code::DELETE,
        "FETCH" => Code::FETCH,
        dotted => {
            let (class, detail) = dotted.split_once('.').unwrap();
            Code::new(class.parse().unwrap(), detail.parse().unwrap())
        }
    }
}

/// A body of that length whose bytes tell where they stand.
pub(super) fn body(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place / 16) as u8 ^ place as u8).collect()
}

/// A datagram in the notation; what is of no interest (Size1 apart) is left out.
pub(super) fn show(datagram: &[u8]) -> String {
    let message = Message::parse(datagram).unwrap();
    let kind = match message.kind {
        Type::Confirmable => "CON",
        Type::NonConfirmable => "NON",
        Type::Acknowledgement => "ACK",
        Type::Reset => "RST",
    };
    let method = match message.code {
        Code::GET => "GET".into(),
        Code::POST => "POST".into(),
        Code::PUT => "PUT".into(),
        Code::FETCH => "FETCH".into(),
        other => other.to_string(),
    };
    let mut text = format!("{kind} {method}");
    let options = &message.options;
    for segment in options.uri_path() {
        text += &format!("/{}", String::from_utf8_lossy(segment));
    }
    text = text.replacen('/', " /", 1);
    if let Some(number) = options.observe() {
        text += &format!(" obs:{number}");
    }
    for (name, number) in [("1", OptionNumber::BLOCK1), ("2", OptionNumber::BLOCK2)] {
        if let Some(value) = options.uint(number, 3) {
            let (more, size) = (value >> 3 & 1, 16 << (value & 7));
            text += &format!(" {name}:{}/{more}/{size}", value >> 4);
        }
    }
    if let Some(size) = options.size1() {
        text += &format!(" size1:{size}");
    }
    if options.first(OptionNumber::REQUEST_TAG).is_some() {
        text += " tagged";
    }
    match message.payload {
        [] => {}
        short if short.len() < 16 && short.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
            text += &format!(" \"{}\"", String::from_utf8_lossy(short).replace(' ', "_"));
        }
        long => text += &format!(" +{}", long.len()),
    }
    text
}
