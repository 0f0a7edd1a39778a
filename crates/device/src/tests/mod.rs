//! The device against hand-made messages: a table of requests and answers, and its life in time.

mod blocks;
mod life;
mod observing;
mod reading;
mod resting;
mod writing;

use std::sync::{Arc, OnceLock};

use coap::{Code, Duration, Instant, Message, MessageId, OptionList, OptionNumber, Token, Type};
use lwm2m::{Models, Path, Value, Version};

use crate::{Device, Event, Profile};

pub(super) fn models() -> Arc<Models> {
    static MODELS: OnceLock<Arc<Models>> = OnceLock::new();
    Arc::clone(MODELS.get_or_init(|| Arc::new(Models::builtin())))
}

pub(super) fn profile() -> Profile {
    Profile::new(Version::V1_1, models())
}

pub(super) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// A message without ties to its datagram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) kind: Type,
    pub(super) code: Code,
    pub(super) id: MessageId,
    pub(super) token: Token,
    pub(super) options: OptionList,
    pub(super) payload: Vec<u8>,
}

impl Seen {
    pub(super) fn of(datagram: &[u8]) -> Self {
        let message = Message::parse(datagram).unwrap();
        Self {
            kind: message.kind,
            code: message.code,
            id: message.id,
            token: message.token,
            options: message.options.to_list(),
            payload: message.payload.to_vec(),
        }
    }

    pub(super) fn format(&self) -> Option<u16> {
        self.options.options().content_format().map(|format| format.0)
    }

    pub(super) fn observe(&self) -> Option<u32> {
        self.options.options().observe()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    pub(super) fn queries(&self) -> Vec<String> {
        let options = self.options.options();
        options.uri_query().map(|query| String::from_utf8_lossy(query).into_owned()).collect()
    }

    pub(super) fn segments(&self, number: OptionNumber) -> String {
        let options = self.options.options();
        options.all(number).map(|part| format!("/{}", String::from_utf8_lossy(part))).collect()
    }

    pub(super) fn block(&self, number: OptionNumber) -> Option<(u32, bool, u32)> {
        let value = self.options.options().uint(number, 3)?;
        Some((value >> 4, value & 8 != 0, 16 << (value & 7)))
    }
}

/// A request of the server, to be completed and sent by [`Lab::ask`].
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) kind: Type,
    pub(super) code: Code,
    pub(super) token: Vec<u8>,
    pub(super) options: OptionList,
    pub(super) payload: Vec<u8>,
}

pub(super) fn ask(code: Code, target: &str) -> Ask {
    let mut options = OptionList::new();
    let (target, query) = target.split_once('?').unwrap_or((target, ""));
    for segment in target.split('/').filter(|segment| !segment.is_empty()) {
        options.uri_path(segment);
    }
    for argument in query.split('&').filter(|argument| !argument.is_empty()) {
        options.uri_query(argument);
    }
    let kind = Type::Confirmable;
    Ask { kind, code, token: vec![1, 2, 3, 4], options, payload: Vec::new() }
}

pub(super) fn get(target: &str) -> Ask {
    ask(Code::GET, target)
}

pub(super) fn put(target: &str) -> Ask {
    ask(Code::PUT, target)
}

pub(super) fn post(target: &str) -> Ask {
    ask(Code::POST, target)
}

impl Ask {
    pub(super) fn accept(mut self, format: u16) -> Self {
        self.options.accept(format);
        self
    }

    pub(super) fn with(mut self, format: u16, payload: impl AsRef<[u8]>) -> Self {
        self.options.content_format(format);
        self.payload = payload.as_ref().to_vec();
        self
    }

    pub(super) fn observe(mut self, number: u32) -> Self {
        self.options.observe(number);
        self
    }

    pub(super) fn token(mut self, token: &[u8]) -> Self {
        self.token = token.to_vec();
        self
    }

    pub(super) fn block(mut self, number: OptionNumber, block: (u32, bool, u32)) -> Self {
        let szx = block.2.ilog2() - 4;
        let value = block.0 << 4 | u32::from(block.1) << 3 | szx;
        self.options.push_uint(number, u64::from(value));
        self
    }
}

/// A device and the time, and a server made of hand-written messages.
pub(super) struct Lab {
    pub(super) device: Device,
    pub(super) now: Instant,
    pub(super) next_id: u16,
}

impl Lab {
    /// A device that was just made; its Register waits to be taken.
    pub(super) fn new(profile: Profile) -> Self {
        let now = Instant::from_micros(1_000_000);
        let device = Device::new("lab-1", profile.into_shared(), 7, now);
        Self { device, now, next_id: 100 }
    }

    /// A device that is registered at `/rd/x1`.
    pub(super) fn registered(profile: Profile) -> Self {
        let mut lab = Self::new(profile);
        let register = lab.one();
        lab.answer(&register, created());
        assert!(lab.device.is_registered());
        lab.events();
        lab
    }

    /// Everything that wants to leave.
    pub(super) fn transmits(&mut self) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut datagram = Vec::new();
        while self.device.poll_transmit(&mut datagram).is_some() {
            seen.push(Seen::of(&datagram));
            datagram.clear();
        }
        seen
    }

    /// The one message that wants to leave.
    pub(super) fn one(&mut self) -> Seen {
        let mut seen = self.transmits();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    pub(super) fn nothing(&mut self) {
        assert_eq!(self.transmits(), []);
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.device.poll_event()).collect()
    }

    /// Lets time pass, doing what becomes due on the way.
    pub(super) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(at) = self.device.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.device.handle_timeout(self.now);
        }
        self.now = until;
        self.device.handle_timeout(until);
    }

    pub(super) fn pass_secs(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    /// Sends a request and gives its datagram.
    pub(super) fn submit(&mut self, ask: &Ask) -> Vec<u8> {
        self.next_id += 1;
        let mut datagram = Vec::new();
        let id = MessageId::new(self.next_id);
        let token = Token::new(&ask.token).unwrap();
        let options = ask.options.options();
        let payload = ask.payload.as_slice();
        Message { kind: ask.kind, code: ask.code, id, token, options, payload }
            .encode(&mut datagram);
        self.device.handle_datagram(self.now, &datagram);
        datagram
    }

    /// Sends a request and gives its piggybacked answer; what else leaves stays.
    pub(super) fn ask(&mut self, ask: Ask) -> Seen {
        self.submit(&ask);
        let mut datagram = Vec::new();
        self.device.poll_transmit(&mut datagram).expect("an answer");
        let answer = Seen::of(&datagram);
        if ask.kind == Type::Confirmable {
            assert_eq!(answer.kind, Type::Acknowledgement);
            assert_eq!(answer.id.value(), self.next_id);
        }
        assert_eq!(answer.token.as_bytes(), ask.token);
        answer
    }

    /// Answers a request of the device in its acknowledgement.
    pub(super) fn answer(&mut self, request: &Seen, (code, options): (Code, OptionList)) {
        let mut datagram = Vec::new();
        Message {
            kind: Type::Acknowledgement,
            code,
            id: request.id,
            token: request.token,
            options: options.options(),
            payload: &[],
        }
        .encode(&mut datagram);
        self.device.handle_datagram(self.now, &datagram);
    }

    /// An empty acknowledgement or a Reset for a message of the device.
    pub(super) fn empty(&mut self, kind: Type, message: &Seen) {
        let [high, low] = message.id.value().to_be_bytes();
        self.device.handle_datagram(self.now, &[0x40 | kind.bits() << 4, 0, high, low]);
    }

    pub(super) fn set(&mut self, at: &str, value: Value) {
        self.device.set_value(self.now, path(at), value);
    }
}

pub(super) fn created() -> (Code, OptionList) {
    let mut options = OptionList::new();
    options.location_path("rd");
    options.location_path("x1");
    (Code::CREATED, options)
}

pub(super) fn changed() -> (Code, OptionList) {
    (Code::CHANGED, OptionList::new())
}
