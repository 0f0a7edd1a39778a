//! Protocol facts and cases of the test suites that need two servers or a device's whole life, with
//! hand-made datagrams through the public entry points.

use std::sync::Arc;

use coap::{Code, Message, MessageId, OptionList, OptionNumber, Token, Type};
use engine::{
    ClaimAnswer, Config, Datagram, Duration, Event, Identity, Instant, Peer, Routed, Server,
    Settings,
};
use lwm2m::Models;

struct Bench {
    server: Server,
    now: Instant,
    events: Vec<&'static str>,
    next_id: u16,
}

impl Bench {
    fn new(seed: u8) -> Self {
        let (settings, models) = (Arc::new(Settings::default()), Arc::new(Models::builtin()));
        Self {
            server: Server::new(Config::default(), settings, models, 0, [seed; 32]),
            now: Instant::from_micros(1_000_000),
            events: Vec::new(),
            next_id: u16::from(seed) << 8,
        }
    }

    /// A request of the device; the code and location of the answer.
    fn ask(&mut self, code: Code, uri: &str, payload: &[u8]) -> (Code, String) {
        self.next_id += 1;
        let id = MessageId::new(self.next_id);
        let mut options = OptionList::new();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        path.split('/').skip(1).for_each(|segment| options.uri_path(segment));
        query.split('&').filter(|part| !part.is_empty()).for_each(|part| options.uri_query(part));
        let token = Token::new(b"tk").expect("two bytes");
        let (kind, options) = (Type::Confirmable, options.into_options());
        let mut bytes = Vec::new();
        Message { kind, code, id, token, options, payload }.encode(&mut bytes);
        let peer = Peer::new(0, [127, 0, 0, 1].into(), ([192, 0, 2, 1], 5683).into());
        let datagram = Datagram { peer, identity: &Identity::None, bytes: &bytes };
        let wall = 1_767_225_600_000 + (self.now.as_micros() / 1000) as i64;
        let routed = self.server.handle_datagram(self.now, wall, datagram);
        assert_eq!(routed, Routed::Handled);
        self.settle(id)
    }

    fn settle(&mut self, id: MessageId) -> (Code, String) {
        while let Some(claim) = self.server.poll_claim() {
            let granted = ClaimAnswer::Granted { evict: false };
            self.server.handle_claim(self.now, claim.id, granted);
        }
        let mut out = Vec::new();
        self.server.poll_transmit(&mut out).expect("an answer");
        let answer = Message::parse(&out).expect("a message");
        assert_eq!((answer.kind, answer.id), (Type::Acknowledgement, id));
        self.take_events();
        let segments = answer.options.all(OptionNumber::LOCATION_PATH);
        let location = segments.map(|part| format!("/{}", part.escape_ascii())).collect();
        (answer.code, location)
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.server.handle_timeout(self.now);
        self.take_events();
    }

    fn take_events(&mut self) {
        while let Some(event) = self.server.poll_event() {
            if !matches!(event, Event::Noted(_)) {
                self.events.push(event.name());
            }
        }
    }
}

const REGISTER: &str = "/rd?ep=dev&lt=60&lwm2m=1.1&b=U";

/// Fact 13: a server that lost its registrations answers 4.04, and the device registers again under
/// another id (ETS 105, "discarded Update").
#[test]
fn an_update_after_a_restart_is_4_04_and_a_register_helps() {
    let mut before = Bench::new(1);
    let (code, old) = before.ask(Code::POST, REGISTER, b"</3/0>");
    assert_eq!(code, Code::CREATED);
    let mut after = Bench::new(2);
    assert_eq!(after.ask(Code::POST, &old, b"").0, Code::NOT_FOUND);
    let (code, new) = after.ask(Code::POST, REGISTER, b"</3/0>");
    assert_eq!(code, Code::CREATED);
    assert_ne!(new, old);
    assert_eq!(after.ask(Code::POST, &new, b"").0, Code::CHANGED);
    assert_eq!(after.events, ["registered", "updated"]);
}

/// Fact 6: the lifetime starts anew with each Update, and an Update can change it (ETS 102, 107).
#[test]
fn updates_keep_a_device_registered_beyond_its_first_lifetime() {
    let mut bench = Bench::new(1);
    let (_, location) = bench.ask(Code::POST, REGISTER, b"</3/0>");
    for _ in 0..10 {
        bench.wait(Duration::from_secs(50));
        assert_eq!(bench.ask(Code::POST, &location, b"").0, Code::CHANGED);
    }
    assert_eq!(bench.ask(Code::POST, &format!("{location}?lt=600"), b"").0, Code::CHANGED);
    bench.wait(Duration::from_secs(599));
    assert!(!bench.events.contains(&"late"), "{:?}", bench.events);
    assert_eq!(bench.ask(Code::POST, &location, b"").0, Code::CHANGED);
    bench.wait(Duration::from_secs(700));
    assert_eq!(bench.ask(Code::POST, &location, b"").0, Code::NOT_FOUND);
    assert_eq!(bench.events.iter().filter(|name| **name == "expired").count(), 1);
}

/// Fact 13: the id that a deregistered or replaced registration had is worth nothing (LockStep A2).
#[test]
fn an_old_location_is_gone_for_ever() {
    let mut bench = Bench::new(1);
    let (_, first) = bench.ask(Code::POST, REGISTER, b"</3/0>");
    bench.wait(Duration::from_secs(10));
    let (_, second) = bench.ask(Code::POST, "/rd?ep=dev&lt=61&lwm2m=1.1&b=U", b"</3/0>");
    assert_ne!(first, second);
    assert_eq!(bench.ask(Code::POST, &first, b"").0, Code::NOT_FOUND);
    assert_eq!(bench.ask(Code::DELETE, &second, b"").0, Code::DELETED);
    for code in [Code::POST, Code::DELETE] {
        assert_eq!(bench.ask(code, &second, b"").0, Code::NOT_FOUND);
    }
}
