//! The target of the server: a registered device among strangers, all of them saying anything.
//!
//! The device has proven who it is, the strangers have not. Whatever comes, the device stays served
//! and each command ends exactly once.

use std::sync::{Arc, LazyLock};

use coap::{Code, Message, MessageId, OptionList, Token, Type};
use engine::{
    ClaimAnswer, Command, CommandId, Completion, Config, Datagram, Duration, Event, Identity,
    Instant, Origin, Peer, Priority, Records, RegistrationId, Routed, Server, Settings,
};
use lwm2m::{EndpointName, Models, Operation, Path, Reading, Value, WriteMode};

use crate::input::Input;

static MODELS: LazyLock<Arc<Models>> = LazyLock::new(|| Arc::new(Models::builtin()));

const NAME: &str = "dev";
const LINKS: &[u8] = br#"</>;rt="oma.lwm2m";ct="60 110 112 11542",</1/0>,</3/0>,</3303/0>"#;

/// A device, three strangers and the server, step by step; see the steps for the bytes.
pub fn engine_datagrams(data: &[u8]) {
    let mut scene = Scene::new(data);
    scene.register();
    let mut input = Input::new(data);
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        scene.step(&mut input);
    }
    scene.finish();
}

/// Enough for every seed; more only repeats.
const STEPS_MAX: usize = 200;

/// Within an acknowledgement, around the timeouts, beyond a command's time.
const SPANS_MS: [u64; 6] = [0, 900, 2_500, 30_000, 130_000, 300_000];

struct Scene {
    server: Server,
    now: Instant,
    identity: Identity,
    registration: Option<RegistrationId>,
    /// What was sent to the device last, newest last.
    to_device: Vec<Vec<u8>>,
    open: Vec<CommandId>,
    finished: Vec<(CommandId, Option<Vec<u8>>)>,
    next_id: u16,
    datagrams: usize,
    strangers_in: usize,
    strangers_out: usize,
}

impl Scene {
    fn new(data: &[u8]) -> Self {
        let config = Config { records: Records::On, ..Config::default() };
        // Seeded by the input, so that no input can name an id or a token of its own run.
        let seed = seed_of(data);
        Self {
            server: Server::new(config, Arc::new(Settings::default()), MODELS.clone(), 0, seed),
            now: Instant::from_micros(1_000_000),
            identity: Identity::Psk(NAME.into()),
            registration: None,
            to_device: Vec::new(),
            open: Vec::new(),
            finished: Vec::new(),
            next_id: 0x4000,
            datagrams: 0,
            strangers_in: 0,
            strangers_out: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let what = input.byte();
        match what & 0x0f {
            0..=4 => self.stranger(1 + (what >> 6) % 3, input.counted()),
            5..=6 => self.device(input.counted()),
            7..=9 => self.device_answers(input),
            10..=11 => self.submit(input),
            12 => self.update(input.counted()),
            13 => self.impostor(input),
            _ => self.wait(Duration::from_millis(input.choose(&SPANS_MS))),
        }
    }

    fn stranger(&mut self, number: u8, datagram: &[u8]) {
        self.strangers_in += datagram.len() + STRANGER_SLACK;
        self.hear(peer(number), &Identity::None, datagram);
    }

    fn device(&mut self, datagram: &[u8]) {
        let identity = self.identity.clone();
        self.hear(peer(0), &identity, datagram);
    }

    fn hear(&mut self, peer: Peer, identity: &Identity, bytes: &[u8]) {
        self.datagrams += 1;
        let datagram = Datagram { peer, identity, bytes };
        let wall = self.wall();
        match self.server.handle_datagram(self.now, wall, datagram) {
            Routed::Handled => {}
            // There is one shard: nobody else wants it.
            Routed::Forward(_) | Routed::AskOthers => {
                self.server.handle_forwarded(self.now, wall, datagram);
            }
        }
        self.settle();
    }

    /// The device's answer, or notification, with the token that the server gave.
    fn device_answers(&mut self, input: &mut Input<'_>) {
        let back = usize::from(input.byte() % 4);
        let (first, code) = (input.byte(), input.byte());
        let rest = input.counted();
        let Some(sent) = self.to_device.iter().rev().nth(back) else { return };
        let Ok(asked) = Message::parse(sent) else { return };
        let kind = Type::from_bits(first);
        let own = matches!(kind, Type::Confirmable | Type::NonConfirmable);
        let id = if own { u16::from(first) << 8 } else { asked.id.value() };
        let mut datagram = vec![0x40 | kind.bits() << 4 | asked.token.len() as u8, code];
        datagram.extend_from_slice(&id.to_be_bytes());
        datagram.extend_from_slice(asked.token.as_bytes());
        datagram.extend_from_slice(rest);
        self.device(&datagram);
    }

    fn submit(&mut self, input: &mut Input<'_>) {
        let operation = operation(input.byte());
        let bits = input.byte();
        let name = EndpointName::parse(NAME).expect("a name");
        let mut command = Command::new(name, operation, Origin::new(&[bits]));
        command.timeout = (bits & 1 == 1).then_some(Duration::from_secs(5));
        command.expires = (bits & 2 == 2).then(|| self.now + Duration::from_secs(60));
        command.priority = if bits & 4 == 4 { Priority::Urgent } else { Priority::Normal };
        self.submit_command(command);
    }

    fn submit_command(&mut self, command: Command) -> Option<CommandId> {
        let id = self.server.submit(self.now, command).ok();
        self.open.extend(id);
        self.settle();
        id
    }

    /// An Update as the device sends it, with any payload.
    fn update(&mut self, payload: &[u8]) {
        let Some(path) = self.location() else { return };
        let id = self.id();
        self.device(&request(Code::POST, id, &path, &[], payload));
    }

    /// A stranger that knows the registration's path: that proves nothing.
    fn impostor(&mut self, input: &mut Input<'_>) {
        let Some(path) = self.location() else { return };
        let code = input.choose(&[Code::POST, Code::DELETE, Code::GET, Code::PUT]);
        let id = self.id();
        self.stranger(1, &request(code, id, &path, &["lt=1"], input.counted()));
    }

    fn register(&mut self) {
        let id = self.id();
        let queries = ["ep=dev", "lt=86400", "lwm2m=1.1", "b=U"];
        self.device(&request(Code::POST, id, &["rd".to_owned()], &queries, LINKS));
        assert!(self.registration.is_some(), "the device cannot register");
    }

    fn location(&self) -> Option<[String; 2]> {
        self.registration.map(|id| ["rd".to_owned(), id.to_string()])
    }

    fn id(&mut self) -> u16 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn wall(&self) -> i64 {
        1_767_225_600_000 + (self.now.as_micros() / 1000) as i64
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..TIMEOUTS_MAX {
            match self.server.poll_timeout() {
                Some(at) if at <= end => self.now = self.now.max(at) + Duration::from_micros(1),
                _ => {
                    self.now = end;
                    self.server.handle_timeout(end);
                    return self.settle();
                }
            }
            self.server.handle_timeout(self.now);
            self.settle();
        }
        panic!("the timers never rest");
    }

    /// Answers what is asked and takes what comes out.
    fn settle(&mut self) {
        loop {
            while let Some(claim) = self.server.poll_claim() {
                let foreign = claim.endpoint.as_str() == NAME && claim.identity != self.identity;
                let granted = ClaimAnswer::Granted { evict: false };
                let answer = if foreign { ClaimAnswer::Refused } else { granted };
                self.server.handle_claim(self.now, claim.id, answer);
            }
            let mut out = Vec::new();
            while let Some(to) = self.server.poll_transmit(&mut out) {
                self.sent(to, core::mem::take(&mut out));
            }
            while self.server.poll_record(self.now).is_some() {}
            let Some(event) = self.server.poll_event() else { break };
            self.take(event);
        }
        assert!(self.server.registrations() <= self.datagrams, "registrations out of nothing");
    }

    fn sent(&mut self, to: Peer, datagram: Vec<u8>) {
        let message = Message::parse(&datagram).expect("what we send can be read");
        if to != peer(0) {
            self.strangers_out += datagram.len();
        } else if message.code.is_request() {
            self.to_device.push(datagram);
        }
    }

    fn take(&mut self, event: Event) {
        if let Some(reply_to) = event.reply_to() {
            self.server.complete(self.now, reply_to, Completion::Accept);
        }
        let device = event.device().filter(|device| device.endpoint.as_str() == NAME);
        let registration = device.map(|device| device.registration);
        match event {
            Event::Registered { device, .. } if device.endpoint.as_str() == NAME => {
                assert_eq!(device.peer, peer(0), "a stranger took the name");
                self.registration = registration;
            }
            Event::Deregistered { .. } | Event::Expired { .. } | Event::Replaced { .. }
                if registration.is_some() && registration == self.registration =>
            {
                self.registration = None;
            }
            Event::CommandFinished(finished) => {
                let place = self.open.iter().position(|open| *open == finished.command);
                self.open.swap_remove(place.expect("a command ends once"));
                let body = finished.result.ok().map(|answer| answer.body);
                self.finished.push((finished.command, body));
            }
            _ => {} // The others are no end of anything.
        }
    }

    /// The device is served as on the first day.
    fn finish(mut self) {
        self.wait(Duration::from_secs(300));
        match self.location() {
            Some(_) => self.update(b""),
            None => self.register(), // It said goodbye itself, or asked for a short life.
        }
        self.wait(Duration::from_secs(300));
        self.expect_open_ends();
        self.to_device.clear();
        match self.location() {
            Some(_) => self.update(b""),
            None => self.register(),
        }
        self.read();
        // Each of their datagrams may be answered, and an answer be sent four times more.
        let bound = 5 * 3 * self.strangers_in;
        assert!(self.strangers_out <= bound, "{} of {bound}", self.strangers_out);
    }

    /// Commands that nobody answers end by time; those that wait for a sleeper end by theirs.
    fn expect_open_ends(&mut self) {
        for _ in 0..64 {
            if self.open.is_empty() {
                return;
            }
            self.update(b"");
            self.wait(Duration::from_secs(300));
        }
        assert!(self.open.is_empty(), "a command never ends: {:?}", self.open);
    }

    fn read(&mut self) {
        let name = EndpointName::parse(NAME).expect("a name");
        let read = Operation::Read { path: path("/3/0/0"), accept: None };
        let command = Command::new(name, read, Origin::new(b"last"));
        let command = self.submit_command(command).expect("the command of a served device");
        let asked = self.to_device.pop().expect("the command goes out at once");
        let asked = Message::parse(&asked).expect("a message");
        assert!(asked.options.uri_path().eq([&b"3"[..], b"0", b"0"]));
        let answer = Message { payload: b"served", ..reply(&asked) };
        let mut datagram = Vec::new();
        answer.encode(&mut datagram);
        self.device(&datagram);
        let end = self.finished.last().cloned();
        assert_eq!(end, Some((command, Some(b"served".to_vec()))), "it ends with the answer");
    }
}

/// All that 200 steps can schedule, many times over.
const TIMEOUTS_MAX: usize = 100_000;

/// What the shortest datagram may be answered with: an error code and its header.
const STRANGER_SLACK: usize = 16;

fn reply<'a>(asked: &Message<'_>) -> Message<'a> {
    Message {
        kind: Type::Acknowledgement,
        code: Code::CONTENT,
        id: asked.id,
        token: asked.token,
        options: OptionList::new().into_options(),
        payload: b"",
    }
}

fn request(code: Code, id: u16, path: &[String], queries: &[&str], payload: &[u8]) -> Vec<u8> {
    let mut options = OptionList::new();
    path.iter().for_each(|segment| options.uri_path(segment));
    queries.iter().for_each(|query| options.uri_query(query));
    let token = Token::new(&id.to_be_bytes()).expect("two bytes");
    let (kind, id) = (Type::Confirmable, MessageId::new(id));
    let options = options.into_options();
    let mut out = Vec::new();
    Message { kind, code, id, token, options, payload }.encode(&mut out);
    out
}

fn operation(choice: u8) -> Operation {
    let value = Value::String("x".repeat(usize::from(choice) * 16));
    let content = vec![Reading::new(path("/3/0/14"), value)];
    let (mode, format) = (WriteMode::Replace, None);
    match choice % 8 {
        0 => Operation::Read { path: path("/3/0"), accept: None },
        1 => Operation::Observe { path: path("/3303/0/5700"), accept: None },
        2 => Operation::CancelObserve { path: path("/3303/0/5700") },
        3 => Operation::Write { path: path("/3/0/14"), mode, format, content },
        4 => Operation::Execute { path: path("/3/0/4"), arguments: String::new() },
        5 => Operation::Discover { path: path("/3") },
        6 => Operation::Delete { path: path("/3303/1") },
        _ => Operation::ReadComposite { paths: vec![path("/3/0/0"), path("/1")], accept: None },
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a path")
}

fn peer(number: u8) -> Peer {
    let remote = ([192, 0, 2, number], 5683).into();
    Peer::new(0, [127, 0, 0, 1].into(), remote)
}

fn seed_of(data: &[u8]) -> [u8; 32] {
    let mut seed = [0u8; 32];
    for (index, byte) in data.iter().enumerate() {
        let place = &mut seed[index % 32];
        *place = place.rotate_left(3) ^ byte.wrapping_add(index as u8);
    }
    seed
}
