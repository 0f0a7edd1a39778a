//! A server on a virtual clock with hand-made devices around it.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use coap::{
    Code, ContentFormat, Duration, Instant, Message, MessageId, OptionList, OptionNumber, Peer,
    Token, Type,
};
use lwm2m::model::Models;
use lwm2m::{EndpointName, Operation, Path};

use crate::{
    ClaimAnswer, Command, CommandError, CommandFinished, CommandId, Completion, Config, Datagram,
    Event, Identity, Notification, Origin, Profile, Records, Refused, RegistrationId, ReplyTo,
    Routed, Server, Settings,
};

/// The wall clock at the origin of the virtual one: 2026-01-01.
pub(crate) const WALL: i64 = 1_767_225_600_000;

/// Built once: hundreds of servers are made by the tests.
static MODELS: LazyLock<Arc<Models>> = LazyLock::new(|| Arc::new(Models::builtin()));

/// A message as a test looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Msg {
    pub(crate) kind: Type,
    pub(crate) code: Code,
    pub(crate) id: MessageId,
    pub(crate) token: Token,
    pub(crate) options: OptionList,
    pub(crate) payload: Vec<u8>,
}

impl Msg {
    /// A confirmable request; `uri` is `/path/segments?query&query`.
    pub(crate) fn request(code: Code, id: u16, uri: &str) -> Self {
        let mut options = OptionList::new();
        let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
        path.split('/').skip(1).for_each(|segment| options.uri_path(segment));
        query.into_iter().flat_map(|q| q.split('&')).for_each(|part| options.uri_query(part));
        let token = Token::new(&id.to_be_bytes()).unwrap();
        let id = MessageId::new(id);
        Self { kind: Type::Confirmable, code, id, token, options, payload: Vec::new() }
    }

    pub(crate) fn post(id: u16, uri: &str) -> Self {
        Self::request(Code::POST, id, uri)
    }

    pub(crate) fn non(mut self) -> Self {
        self.kind = Type::NonConfirmable;
        self
    }

    pub(crate) fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    pub(crate) fn format(mut self, format: u16) -> Self {
        self.options.content_format(ContentFormat(format));
        self
    }

    pub(crate) fn observe(mut self, number: u32) -> Self {
        self.options.observe(number);
        self
    }

    pub(crate) fn empty(kind: Type, id: MessageId) -> Self {
        let (token, options) = (Token::EMPTY, OptionList::new());
        Self { kind, code: Code::EMPTY, id, token, options, payload: Vec::new() }
    }

    /// The piggybacked answer to a request of the server.
    pub(crate) fn answer(&self, code: Code) -> Self {
        Self {
            kind: Type::Acknowledgement,
            code,
            id: self.id,
            token: self.token,
            options: OptionList::new(),
            payload: Vec::new(),
        }
    }

    /// A message of the device's own with this token.
    pub(crate) fn with_token(token: Token, kind: Type, code: Code, id: u16) -> Self {
        let options = OptionList::new();
        Self { kind, code, id: MessageId::new(id), token, options, payload: Vec::new() }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Message {
            kind: self.kind,
            code: self.code,
            id: self.id,
            token: self.token,
            options: self.options.options(),
            payload: &self.payload,
        }
        .encode(&mut out);
        out
    }

    pub(crate) fn parse(datagram: &[u8]) -> Self {
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

    /// The path and query as one text.
    pub(crate) fn uri(&self) -> String {
        let options = self.options.options();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let path: String = options.uri_path().map(|part| format!("/{}", text(part))).collect();
        let query: Vec<String> = options.uri_query().map(text).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    pub(crate) fn location(&self) -> String {
        let options = self.options.options();
        let parts = options.all(OptionNumber::LOCATION_PATH);
        parts.map(|part| format!("/{}", String::from_utf8_lossy(part))).collect()
    }
}

/// The server and its surroundings.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) sent: VecDeque<(Peer, Msg)>,
    pub(crate) identity: Identity,
    pub(crate) claims: ClaimAnswer,
    /// Whether notifications and Sends are accepted at once.
    pub(crate) completion: Option<Completion>,
    pub(crate) refused: Vec<ReplyTo>,
    next_id: u16,
}

impl Rig {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::on_shard(settings, 0)
    }

    pub(crate) fn on_shard(settings: Settings, shard: u8) -> Self {
        let config = Config { records: Records::On, ..Config::default() };
        let models = Arc::clone(&MODELS);
        let seed = [shard.wrapping_add(7); 32];
        Self {
            server: Server::new(config, Arc::new(settings), models, shard, seed),
            now: Instant::from_micros(1_000_000),
            events: Vec::new(),
            sent: VecDeque::new(),
            identity: Identity::None,
            claims: ClaimAnswer::Granted { evict: false },
            completion: Some(Completion::Accept),
            refused: Vec::new(),
            next_id: 100,
        }
    }

    pub(crate) fn with_profile(profile: Profile) -> Self {
        Self::new(Settings { profile, ..Settings::default() })
    }

    /// Hands a datagram to the server and settles what follows.
    pub(crate) fn deliver(&mut self, peer: Peer, datagram: &[u8]) -> Routed {
        let identity = self.identity.clone();
        let wall = WALL + (self.now.as_micros() / 1000) as i64;
        let input = Datagram { peer, identity: &identity, bytes: datagram };
        let routed = self.server.handle_datagram(self.now, wall, input);
        self.settle();
        routed
    }

    pub(crate) fn send(&mut self, peer: Peer, message: &Msg) {
        assert_eq!(self.deliver(peer, &message.bytes()), Routed::Handled);
    }

    /// Sends a request and takes the one answer to it.
    pub(crate) fn ask(&mut self, peer: Peer, message: &Msg) -> Msg {
        self.send(peer, message);
        self.take_answer(peer, message)
    }

    pub(crate) fn take_answer(&mut self, peer: Peer, message: &Msg) -> Msg {
        let place = self
            .sent
            .iter()
            .position(|(to, sent)| *to == peer && sent.token == message.token)
            .expect("an answer");
        self.sent.remove(place).unwrap().1
    }

    /// Answers claims, collects datagrams and events.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(claim) = self.server.poll_claim() {
                self.server.handle_claim(self.now, claim.id, self.claims);
            }
            let mut out = Vec::new();
            while let Some(peer) = self.server.poll_transmit(&mut out) {
                self.sent.push_back((peer, Msg::parse(&out)));
                out.clear();
            }
            let Some(event) = self.server.poll_event() else { break };
            if let Some(reply_to) = event.reply_to() {
                match self.completion {
                    Some(completion) => self.server.complete(self.now, reply_to, completion),
                    None => self.refused.push(reply_to.clone()),
                }
            }
            self.events.push(event);
        }
    }

    /// Lets time pass, doing what is due on the way.
    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at) + Duration::from_micros(1);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        self.now = self.now.max(end);
        self.server.handle_timeout(self.now);
        self.settle();
    }

    pub(crate) fn secs(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn id(&mut self) -> u16 {
        self.next_id += 1;
        self.next_id
    }

    /// Registers `ep` from `peer` and forgets the events of it; the location.
    pub(crate) fn register(&mut self, peer: Peer, query: &str) -> String {
        let id = self.id();
        let message = Msg::post(id, &format!("/rd?{query}")).payload(LINKS).format(40);
        let answer = self.ask(peer, &message);
        assert_eq!(answer.code, Code::CREATED);
        answer.location()
    }

    /// A device `ep` of version 1.1 that is registered and known to be where it is.
    pub(crate) fn registered(settings: Settings) -> (Self, String) {
        let mut rig = Self::new(settings);
        let location = rig.register(peer(1), "ep=dev&lt=3600&lwm2m=1.1&b=U");
        let update = Msg::post(rig.id(), &location);
        assert_eq!(rig.ask(peer(1), &update).code, Code::CHANGED);
        rig.events.clear();
        (rig, location)
    }

    pub(crate) fn submit(&mut self, operation: Operation) -> Result<CommandId, Refused> {
        self.submit_with(operation, |_| {})
    }

    pub(crate) fn submit_with(
        &mut self,
        operation: Operation,
        change: impl FnOnce(&mut Command),
    ) -> Result<CommandId, Refused> {
        let origin = Origin::new(operation.name().as_bytes());
        let mut command = Command::new(name("dev"), operation, origin);
        change(&mut command);
        let result = self.server.submit(self.now, command);
        self.settle();
        result
    }

    /// The next request of the server.
    pub(crate) fn take_request(&mut self) -> Msg {
        let place = self.sent.iter().position(|(_, sent)| sent.code.is_request());
        let place = place.expect("a request of the server");
        self.sent.remove(place).unwrap().1
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.iter().filter(|(_, sent)| sent.code.is_request()).count()
    }

    /// Takes the names of the events since the last look, without notes.
    pub(crate) fn take_names(&mut self) -> Vec<&'static str> {
        let events = core::mem::take(&mut self.events);
        let names = events.iter().filter(|event| !matches!(event, Event::Noted(_)));
        names.map(|event| event.name()).collect()
    }

    pub(crate) fn finished(&self) -> Vec<&CommandFinished> {
        fn finished(event: &Event) -> Option<&CommandFinished> {
            match event {
                Event::CommandFinished(finished) => Some(finished),
                _ => None,
            }
        }
        self.events.iter().filter_map(finished).collect()
    }

    /// How a command ended; it must have ended exactly once.
    pub(crate) fn outcome(&self, id: CommandId) -> Result<Code, CommandError> {
        let all = self.finished();
        let ends: Vec<_> = all.iter().filter(|finished| finished.command == id).collect();
        assert_eq!(ends.len(), 1, "a command ends once");
        ends[0].result.clone().map(|answer| answer.code)
    }

    pub(crate) fn notifications(&self) -> Vec<&Notification> {
        fn notified(event: &Event) -> Option<&Notification> {
            match event {
                Event::Notified(notification) => Some(notification),
                _ => None,
            }
        }
        self.events.iter().filter_map(notified).collect()
    }

    pub(crate) fn notes(&self) -> Vec<crate::NoteKind> {
        let noted = |event: &Event| match event {
            Event::Noted(note) => Some(note.kind),
            _ => None,
        };
        self.events.iter().filter_map(noted).collect()
    }

    /// Observes `/3303/0/5700`, answers with Observe `first`; the token of the observation.
    pub(crate) fn observed(&mut self, first: u32) -> Token {
        self.submit(observe("/3303/0/5700")).unwrap();
        let request = self.take_request();
        let answer = request.answer(Code::CONTENT).observe(first).payload("21.5").format(0);
        self.send(peer(1), &answer);
        self.events.clear();
        request.token
    }
}

/// What hand-made devices register.
pub(crate) const LINKS: &str =
    r#"</>;rt="oma.lwm2m";ct="60 110 112 11542",</1/0>,</3/0>,</3303/0>"#;

pub(crate) fn peer(host: u8) -> Peer {
    peer_at(host, 5683)
}

pub(crate) fn peer_at(host: u8, port: u16) -> Peer {
    Peer::new(0, [127, 0, 0, 1].into(), ([192, 0, 2, host], port).into())
}

pub(crate) fn name(text: &str) -> EndpointName {
    EndpointName::parse(text).unwrap()
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn read(text: &str) -> Operation {
    Operation::Read { path: path(text), accept: None }
}

pub(crate) fn execute(text: &str) -> Operation {
    Operation::Execute { path: path(text), arguments: String::new() }
}

pub(crate) fn observe(text: &str) -> Operation {
    Operation::Observe { path: path(text), accept: None }
}

pub(crate) fn cancel(text: &str) -> Operation {
    Operation::CancelObserve { path: path(text) }
}

pub(crate) fn id_of(location: &str) -> RegistrationId {
    RegistrationId::parse(location.strip_prefix("/rd/").unwrap().as_bytes()).unwrap()
}
